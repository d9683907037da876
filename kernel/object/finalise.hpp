// SPDX-License-Identifier: BSD-2-Clause
// What the end of a capability does to its object.
#pragma once

#include "cap/cap.hpp"
#include "core/result.hpp"

namespace caprock {

struct Core;
struct Tcb;

// Prepares the removal of a capability to anything but a container: mappings go, and with the `final` one the object goes too: waiters are woken,
// bindings are undone, hardware forgets it. Preempted: executed again, it goes on with what is left.
Progress finalise(Core& core, const Cap& cap, bool final);

// Stops a thread for good and undoes its bindings. Its slots remain to be emptied.
void finalise_tcb(Core& core, Tcb& thread);

// Empties the slot in which an interrupt keeps its notification.
Progress clear_irq_notification(Core& core, Irq irq);

}  // namespace caprock
