// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the comparison share: the system is read back with Inspect and compared with the tables.
#pragma once

#include "capdl/loader/deviations.hpp"

namespace caprock::loader {

inline constexpr Cap<Inspect> inspect{init_slot(abi::InitSlot::Inspect)};

/// Rights that memory and notifications have.
inline constexpr uint64_t plain_rights = 3;

/// Slots of a thread that ReadTCBSlot reads.
inline constexpr uint64_t tcb_slots = 5;

/// What is found.
extern Deviations deviations;

/// The result of an invocation; halts when there is none. what: whose state is read.
template <class T>
T value_of(const Result<T>& result, const char* what) {
    check(result, [what](Text& text) { text << "reading back " << what; });
    return result.value();
}

/// What a slot has to hold; object is none for what the kernel has built in.
struct Expected {
    abi::CapType kind = abi::CapType::Null;
    uint32_t object = none;
    uint64_t rights = 0;
    uint64_t badge = 0;
    uint64_t guard_size = 0;
};

/// Calls `visit(address, page)` for each page of an address space, with what ReadVSpace says of it.
template <class Visit>
void for_each_page(const Loader& loader, uint32_t vspace, Visit visit) {
    for (uint64_t address = 0; address < abi::user_top;) {
        const auto page = value_of(inspect.read_vspace(address, Cap<VSpace>{loader.slot_of(vspace)}), loader.name_of(vspace));
        if (page.identity != 0) visit(address, page);
        address = (address | ((uint64_t{1} << page.size_bits) - 1)) + 1;
    }
}

/// Type of the capabilities to an object of the tables.
abi::CapType kind_of(uint32_t object);
/// Compares every slot of every CNode (verify_slots.cc). The number of capabilities in them that map a page.
uint64_t verify_cnodes(const Loader& loader);
/// Compares every page of every address space (verify_pages.cc). mapping_capabilities: of the system's CNodes.
void verify_spaces(const Loader& loader, uint64_t mapping_capabilities);

}  // namespace caprock::loader
