// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the comparison share: the system is read back with Inspect and compared with the tables.
#pragma once

#include "capdl/loader/deviations.hpp"

namespace caprock::loader {

inline constexpr Cap<Inspect> inspect{init_slot(abi::InitSlot::Inspect)};

/// Rights that memory and notifications have.
inline constexpr uint64_t plain_rights = 3;

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

/// Type of the capabilities to an object of the tables.
abi::CapType kind_of(uint32_t object);
/// Compares every slot of every CNode (verify_slots.cc).
void verify_cnodes(const Loader& loader);

}  // namespace caprock::loader
