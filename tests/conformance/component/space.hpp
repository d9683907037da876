// SPDX-License-Identifier: BSD-2-Clause
// Address spaces in tests: making them, and finding out what a thread may do in them.
#pragma once

#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

inline constexpr uint64_t large_bytes = uint64_t{1} << 21;
inline constexpr uint64_t huge_bytes = uint64_t{1} << 30;
/// Nothing of the image is in the gigabyte from here.
inline constexpr uint64_t huge_window = 0x80'0000'0000 - huge_bytes;

inline volatile uint64_t& word_at(uint64_t address) { return *reinterpret_cast<volatile uint64_t*>(address); }

/// A frame of 2 MiB.
Cap<Frame> create_large();
/// An address space with an ASID and nothing else.
Cap<VSpace> create_space();
/// Makes the tables that are missing for `address`, of the test's memory or of another untyped.
void make_tables(Cap<VSpace> vspace, uint64_t address, Cap<Untyped> source = memory);

/// Whether a load from the address, or a store, faults in an address space that has the image.
bool load_faults(uint64_t address, Cap<VSpace> vspace = own_vspace);
bool store_faults(uint64_t address, Cap<VSpace> vspace = own_vspace);

}  // namespace caprock::conformance
