// SPDX-License-Identifier: BSD-2-Clause
// Address spaces: a root (VSpace) and three levels of page tables below it, named by an ASID from a pool. Entries belong to hardware; the
// capabilities of tables and frames remember where they were mapped, and whoever unmaps checks that the entry still says so.
#pragma once

#include "cap/cap.hpp"
#include "core/result.hpp"
#include "sched/core.hpp"

namespace caprock {

inline constexpr unsigned last_level = 3;
// Bits of an address below those that select an entry at `level`: 39, 30, 21, 12.
constexpr unsigned level_shift(unsigned level) { return 39 - 9 * level; }
constexpr Word table_index(UserVirtAddr address, unsigned level) { return address.raw >> level_shift(level) & 511; }

// Where a walk ended: at the level asked for, or earlier at an entry that leads no further.
struct Walk {
    arch::Pte* entry;
    unsigned level;
};
Walk walk(KernAddr root, UserVirtAddr address, unsigned level);
// The entry at `level` itself, or null if the walk ends before.
arch::Pte* find_entry(KernAddr root, UserVirtAddr address, unsigned level);
// The same at the last level.
[[gnu::always_inline]] inline arch::Pte* find_page_entry(KernAddr root, UserVirtAddr address) {
    arch::Pte* table = arch::pointer<arch::Pte>(root);
#pragma GCC unroll 3
    for (unsigned at = 0; at < last_level; ++at) {
        arch::Pte entry = table[table_index(address, at)];
        if (!arch::entry_is_table(entry, at)) return nullptr;
        table = arch::pointer<arch::Pte>(arch::to_kernel(arch::entry_address(entry)));
    }
    return table + table_index(address, last_level);
}

// Maps a frame where nothing is mapped: the checks are the caller's.
[[gnu::always_inline]] inline void map_frame(arch::Pte* entry, FrameCap& cap, Asid asid, UserVirtAddr address, arch::PageAttributes attributes) {
    cap.set_mapping(asid, address);
    arch::write_entry(entry, arch::leaf_entry(arch::to_physical(cap.object()), cap.level(), attributes));
}
// What is mapped there goes, on all processors: none may hold it beside what comes in its place (break before make, Arm ARM D8.14.1).
void remove_entry(arch::Pte* entry, Asid asid, UserVirtAddr address);
// These change the address space if the capability's mapping is still what is there; the capability itself is the caller's.
void unmap_frame(const Kernel& kernel, const FrameCap& cap);
void unmap_table(const Kernel& kernel, const PageTableCap& cap);

// ASID 0 is never given out. The pool's first free one, or 0.
Word free_asid(const AsidPoolCap& pool);
void assign_asid(const AsidPoolCap& pool, Word asid, VSpaceCap& vspace);
void release_asid(Core& core, const VSpaceCap& vspace);
// Takes all ASIDs of the pool back. Preempted: those that are left are still in it.
Progress remove_asid_pool(Core& core, const AsidPoolCap& pool);

}  // namespace caprock
