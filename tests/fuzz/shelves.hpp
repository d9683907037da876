// SPDX-License-Identifier: BSD-2-Clause
// The CSpace of the component that is fuzzed: one CNode, divided into shelves, one for each type of capability. The generator takes a
// capability of a type from its shelf and puts new ones there, so that most calls find what they need, whatever calls before them did.
#pragma once

#include "fuzz_tables.hpp"

namespace caprock::fuzz {

using abi::CapType;

/// log2 of the slots of the component's CNode, and of the small ones on its shelf.
inline constexpr unsigned space_bits = 7;
inline constexpr unsigned child_bits = 3;
/// Depth of every slot of the CNode, through a capability with its guard.
inline constexpr uint64_t space_depth = 64;

/// Slots for capabilities of a type; types that this does not know have a few.
constexpr unsigned shelf_size(CapType type) {
    switch (type) {
        case CapType::Null: return 2;   // slot 0, which no method fills, and one that is mostly empty
        case CapType::Untyped: return 6;
        case CapType::Endpoint: return 8;
        case CapType::Notification: return 8;
        case CapType::Reply: return 8;
        case CapType::CNode: return 6;
        case CapType::TCB: return 10;
        case CapType::SchedContext: return 8;
        case CapType::VSpace: return 4;
        case CapType::PageTable: return 6;
        case CapType::Frame: return 10;
        case CapType::ASIDPool: return 4;
        case CapType::IRQHandler: return 6;
        case CapType::Zombie: return 1;
        default: return 3;
    }
}

/// Of these, from the first on, those that the component is given, when it is made or later.
constexpr unsigned given(CapType type) {
    switch (type) {
        case CapType::Null: return 1;
        case CapType::Untyped: return 4;
        case CapType::Endpoint: return 6;
        case CapType::Notification: return 6;
        case CapType::Reply: return 3;
        case CapType::CNode: return 5;
        case CapType::TCB: return 6;
        case CapType::SchedContext: return 6;
        case CapType::VSpace: return 3;
        case CapType::PageTable: return 3;
        case CapType::Frame: return 5;
        case CapType::ASIDPool: return 2;
        case CapType::IRQHandler: return 4;
        default: return 1;
    }
}

/// The shelf's first slot.
constexpr unsigned shelf_start(CapType type) {
    unsigned start = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(type); ++i) start += shelf_size(static_cast<CapType>(i));
    return start;
}
static_assert(shelf_start(static_cast<CapType>(cap_types)) <= 1u << space_bits, "the shelves do not fit the CNode: make it larger");

/// Slot `i` of a shelf.
constexpr uint64_t shelf_slot(CapType type, uint64_t i) { return shelf_start(type) + i % shelf_size(type); }

constexpr bool is_on_shelf(CapType type, uint64_t slot) { return slot >= shelf_start(type) && slot - shelf_start(type) < shelf_size(type); }

/// On the shelf of CNodes the whole space comes first, then a second capability to it, then small ones.
inline constexpr unsigned first_child = 2;
constexpr bool is_child_place(uint64_t slot) {
    return is_on_shelf(CapType::CNode, slot) && slot >= shelf_start(CapType::CNode) + first_child;
}

/// Places in the component's address spaces: of its code, of its threads' IPC buffers, and where its calls map frames and tables.
inline constexpr uint64_t code_address = 0x400'0000;
inline constexpr uint64_t buffer_address = 0x1000'0000;
inline constexpr uint64_t page_bits = 12;
inline constexpr uint64_t page_bytes = 4096;

}  // namespace caprock::fuzz
