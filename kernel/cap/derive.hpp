// SPDX-License-Identifier: BSD-2-Clause
// What a copy of a capability may be: derivation, rights, badges and guards.
#pragma once

#include "cap/slot.hpp"
#include "core/result.hpp"

namespace caprock {

// The capability that a copy of the one in `slot` starts as.
// Errors: RevokeFirst for an untyped with children; IllegalOperation for what cannot be copied (IRQControl, zombies, unmapped page tables and
// VSpaces without an ASID).
Result<Cap> derive(const Slot& slot);

// The capability without the rights that `mask` lacks. Types without rights stay as they are.
Cap masked(Cap cap, CapRights mask);

// The capability with a badge (Endpoint and Notification that have none) or a guard (CNode). IllegalOperation: it has a badge already, or
// `keep_badge` (Mutate) forbids to give one, or guard and radix exceed an address of 64 bits.
Result<Cap> with_data(Cap cap, Word data, bool keep_badge);

}  // namespace caprock
