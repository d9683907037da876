// SPDX-License-Identifier: BSD-2-Clause
// Two address spaces that show the same program and data, and at one address a page each of its own.
#pragma once

#include "arch/seam.hpp"
#include "caprock/abi.hpp"

namespace caprock::arch_test {

/// Builds both from the root task's segments that `info` describes, and enters none.
void build_spaces(const abi::BootInfo& info);

/// Makes space 0 or 1 the processor's.
void enter_space(Word number);

/// The page at own_page of space 0 becomes that of space 1, by break before make.
void replace_own_page();

/// The page at own_page of space 0 goes, with an invalidation of the whole space.
void remove_own_page();

/// The kernel's pointer to a word or text of the program; nullptr if no segment holds the address.
void* from_user(const abi::BootInfo& info, Word address);

}  // namespace caprock::arch_test
