// SPDX-License-Identifier: BSD-2-Clause
// Cache maintenance around the shim's work with the caches off.
//
// The shim reads and writes memory with the MMU off, past the caches. A boot loader that ran with caches on may have left lines in them:
// dirty ones, which hold what it loaded (and would be missed by a read, or written back over what the shim writes, at any later time), and
// clean ones, which would hide what the shim wrote from a kernel that switches its caches on. So a range is cleaned and invalidated to the
// point of coherency before the shim reads or writes it the first time, and again after it was written. In between no line can be
// allocated dirty, because nothing stores through the cache, so that the second pass writes nothing back.
#pragma once

#include "caprock/abi.hpp"

namespace caprock::shim {

// Cleans and invalidates the data-cache lines of a range of physical addresses to the point of coherency.
void clean_invalidate(abi::BootRange range);

// Makes the instruction cache forget everything: what the shim wrote may be executed.
void invalidate_instructions();

}  // namespace caprock::shim
