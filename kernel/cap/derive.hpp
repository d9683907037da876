// SPDX-License-Identifier: BSD-2-Clause
// What a copy of a capability may be: derivation, rights, badges and guards.
#pragma once

#include "cap/slot.hpp"
#include "core/result.hpp"

namespace caprock {

// Copies of capabilities of these types start as they are.
[[gnu::always_inline]] inline bool derives_freely(CapType type) {
    constexpr auto bit = [](CapType of) { return Word{1} << static_cast<Word>(of); };
    constexpr Word others = bit(CapType::Null) | bit(CapType::Zombie) | bit(CapType::IRQControl) | bit(CapType::Untyped) | bit(CapType::PageTable) |
                            bit(CapType::VSpace) | bit(CapType::Frame);
    return (others >> static_cast<Word>(type) & 1) == 0;
}

// The capability that a copy of the one in `slot` starts as.
// Errors: RevokeFirst for an untyped with children; IllegalOperation for what cannot be copied (IRQControl, zombies, unmapped page tables and
// VSpaces without an ASID).
Result<Cap> derive(const Slot& slot);

// The capability without the rights that `mask` lacks. Types without rights stay as they are.
Cap masked_of_any(Cap cap, CapRights mask);
[[gnu::always_inline]] inline Cap masked(Cap cap, CapRights mask) {
    if (!cap.is(CapType::Endpoint)) return masked_of_any(cap, mask);
    as<EndpointCap>(cap).mask_rights(mask);
    return cap;
}

// The capability with a badge (Endpoint and Notification that have none) or a guard (CNode). IllegalOperation: it has a badge already, or
// `keep_badge` (Mutate) forbids to give one, or guard and radix exceed an address of 64 bits.
Result<Cap> with_data(Cap cap, Word data, bool keep_badge);

}  // namespace caprock
