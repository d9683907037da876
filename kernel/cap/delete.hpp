// SPDX-License-Identifier: BSD-2-Clause
// Deletion and revocation.
//
// Deleting the last capability to an object destroys the object. A CNode or TCB contains slots, which must be emptied first, and these may hold
// the last capabilities to further containers, to any depth and in cycles. The kernel has no stack for that. The last capability to a container
// becomes a *zombie*, which counts the slots still to be emptied; it stays in the slot that is being deleted, the anchor. When another container
// turns up inside, the two are rotated: the inner zombie comes to the anchor, the outer one goes to the inner container's first slot, to be met
// again last. So everything unfinished can always be reached from the anchor, and the operation can stop after any step: whoever deletes the
// anchor again, or revokes an ancestor, goes on where it stopped.
#pragma once

#include "cap/slot.hpp"
#include "core/result.hpp"

namespace caprock {

struct Core;

// Empties the slot. An empty one is Complete. Preempted: the slot holds the same capability, an endpoint or notification with fewer waiters, or
// a zombie with fewer slots.
Progress delete_slot(Core& core, Slot& slot);

// Deletes every capability derived from the one in `slot`. Preempted: some of them are left.
Progress revoke(Core& core, Slot& slot);

}  // namespace caprock
