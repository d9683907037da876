// SPDX-License-Identifier: BSD-2-Clause
#include "object/vspace.hpp"

#include "core/panic.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
AsidPool* pool_of(const Kernel& kernel, Asid asid) { return kernel.asid_pools[asid.raw / abi::asid_pool_entries]; }

// The current thread may run in an address space that ends: the processor must not walk its tables any more.
void leave_address_space(Core& core, KernAddr root) {
    if (core.current == nullptr) return;
    const Cap& cap = core.current->cap(TcbSlot::VSpace);
    if (cap.is(CapType::VSpace) && cap.object() == root) arch::set_no_address_space();
}

// The entry at `level` if it is what a capability to `object` mapped there, else null.
arch::Pte* mapped_entry(const Kernel& kernel, const MappedCap& cap, unsigned level) {
    if (!cap.is_mapped()) return nullptr;
    KernAddr root = vspace_of(kernel, cap.asid());
    if (root == KernAddr(0)) return nullptr;
    arch::Pte* entry = find_entry(root, cap.address(), level);
    if (entry == nullptr || !arch::entry_present(*entry) || arch::entry_address(*entry) != arch::to_physical(cap.object())) return nullptr;
    return entry;
}
}  // namespace

[[gnu::cold]] Walk walk(KernAddr root, UserVirtAddr address, unsigned level) {
    arch::Pte* table = arch::pointer<arch::Pte>(root);
    for (unsigned at = 0;; ++at) {
        arch::Pte* entry = table + table_index(address, at);
        if (at == level || !arch::entry_is_table(*entry, at)) return {entry, at};
        table = arch::pointer<arch::Pte>(arch::to_kernel(arch::entry_address(*entry)));
    }
}

arch::Pte* find_entry(KernAddr root, UserVirtAddr address, unsigned level) {
    if (level == last_level) return find_page_entry(root, address);
    Walk found = walk(root, address, level);
    return found.level == level ? found.entry : nullptr;
}

void remove_entry(arch::Pte* entry, Asid asid, UserVirtAddr address) {
    arch::write_entry(entry, 0);
    arch::tlb_invalidate_page(asid, address);
}

void unmap_frame(const Kernel& kernel, const FrameCap& cap) {
    arch::Pte* entry = mapped_entry(kernel, cap, cap.level());
    if (entry == nullptr || arch::entry_is_table(*entry, cap.level())) return;
    remove_entry(entry, cap.asid(), cap.address());
}

void unmap_table(const Kernel& kernel, const PageTableCap& cap) {
    if (cap.level() == 0) return;
    arch::Pte* entry = mapped_entry(kernel, cap, cap.level() - 1);
    if (entry == nullptr || !arch::entry_is_table(*entry, cap.level() - 1)) return;
    arch::write_entry(entry, 0);
    arch::tlb_invalidate_asid(cap.asid());
}

Word free_asid(const AsidPoolCap& cap) {
    const AsidPool& pool = cap.as_object<AsidPool>();
    Word limit = Word{1} << arch::asid_bits();
    for (Word i = 0; i < abi::asid_pool_entries; ++i) {
        Word asid = cap.number() + i;
        if (asid != 0 && asid < limit && pool.vspace[i] == KernAddr(0)) return asid;
    }
    return 0;
}

void assign_asid(const AsidPoolCap& pool, Word asid, VSpaceCap& vspace) {
    KernAddr& entry = pool.as_object<AsidPool>().vspace[asid - pool.number()];
    assert_that(entry == KernAddr(0), "asid_named");
    entry = vspace.object();
    vspace = VSpaceCap::make(vspace.object(), asid);
}

void release_asid(Core& core, const VSpaceCap& vspace) {
    Asid asid(static_cast<uint16_t>(vspace.number()));
    if (asid == Asid(0) || vspace_of(*core.kernel, asid) != vspace.object()) return;
    leave_address_space(core, vspace.object());
    pool_of(*core.kernel, asid)->vspace[asid.raw % abi::asid_pool_entries] = KernAddr(0);
    arch::tlb_invalidate_asid(asid);
}

[[gnu::cold]] Progress remove_asid_pool(Core& core, const AsidPoolCap& cap) {
    AsidPool& pool = cap.as_object<AsidPool>();
    for (Word i = 0; i < abi::asid_pool_entries; ++i) {
        if (pool.vspace[i] == KernAddr(0)) continue;
        leave_address_space(core, pool.vspace[i]);
        lose_address_spaces(*core.kernel);
        pool.vspace[i] = KernAddr(0);
        arch::tlb_invalidate_asid(Asid(static_cast<uint16_t>(cap.number() + i)));
        // Preemption point: the pool is what it was, with fewer ASIDs in use.
        if (arch::irq_pending()) return Progress::Preempted;
    }
    core.kernel->asid_pools[cap.number() / abi::asid_pool_entries] = nullptr;
    return Progress::Complete;
}
}  // namespace caprock
