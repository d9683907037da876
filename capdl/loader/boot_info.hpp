// SPDX-License-Identifier: BSD-2-Clause
// What the kernel told the root task, found once: its BootInfo page and the chunks behind it.
#pragma once

#include "capdl/alloc/slice.hpp"
#include "caprock/abi.hpp"

namespace caprock::loader {

/// Views into the boot information; fields are null or empty when the kernel gave nothing.
struct BootView {
    const abi::RootBootInfo* info = nullptr;
    const abi::RootPlatform* platform = nullptr;
    alloc::Slice<const uint8_t> device_tree;

    uint64_t untyped_count() const { return info->untyped.end - info->untyped.start; }
    uint64_t untyped_slot(uint64_t index) const { return info->untyped.start + index; }
    /// Slots of the loader's CNode.
    uint64_t slot_count() const { return uint64_t{1} << info->init_cnode_size_bits; }
};

/// Finds the chunks of the extra boot information that follows the page `info`.
BootView read_boot_info(const abi::RootBootInfo& info);

}  // namespace caprock::loader
