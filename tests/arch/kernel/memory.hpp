// SPDX-License-Identifier: BSD-2-Clause
// Checks of the kernel's address space, and memory that the tests may write to.
#pragma once

#include "arch/seam.hpp"
#include "caprock/abi.hpp"

namespace caprock::arch_test {

/// Checks what the kernel maps: every entry of its tables against `info` and the image's layout, and some addresses through the processor.
void check_memory(const abi::BootInfo& info);

/// Whether the kernel's tables map a page that holds the physical address.
bool kernel_maps(PhysAddr address);

/// Whether the processor lets the kernel read, or write, this address.
bool accessible(Word address, bool write);

/// Finds memory for `allocate_page` that nothing of the boot chain uses.
void prepare_pages(const abi::BootInfo& info);

/// Returns a page of zeroes in the direct map.
PhysAddr allocate_page();

}  // namespace caprock::arch_test
