// SPDX-License-Identifier: BSD-2-Clause
// The kernel's own address space: what is mapped where, while booting and after.
#pragma once

#include "arch/seam.hpp"
#include "caprock/abi.hpp"
#include "mmio.hpp"

namespace caprock::arch {

/// Tells the MMU code where the image was placed. `image`: physical address, a multiple of 2 MiB. First of all calls here.
void mmu_set_image(PhysAddr image);

/// Maps all memory of `info` except no-map ranges and the kernel's image into the direct map, and unmaps the guard pages below the stacks.
/// Panics by name when the page-table pool is used up or memory lies beyond the direct map.
void mmu_map_memory(const abi::BootInfo& info);

/// Takes away what only booting needed: the identity map (of this core) and BootInfo's window.
void mmu_end_boot_maps();

/// Maps registers. `start`: physical address, any alignment; `bytes`: 1 and up. Returns them; panics when the device window is full.
Mmio map_device(PhysAddr start, Word bytes);

/// Takes the pages of a device mapped by map_device away. `device_start` and `bytes` as given there.
void unmap_device(KernAddr device_start, Word bytes);

/// Builds the EL2 stub's translation tables: its code and stacks, nothing else. Returns the physical address of their root.
PhysAddr mmu_build_el2_tables();

/// Whether `address` is in a guard page below a stack.
bool is_guard_page(Word address);

/// The physical address of an object in the kernel's image (not in the direct map).
PhysAddr image_to_physical(const void* object);

}  // namespace caprock::arch
