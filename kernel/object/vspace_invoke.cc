// SPDX-License-Identifier: BSD-2-Clause
// The methods of Frame, PageTable, ASIDPool and ASIDControl.
#include "object/invocation.hpp"
#include "object/vspace.hpp"

namespace caprock {

namespace {

// An address space that is in use, given as a VSpace capability argument.
struct Space {
    KernAddr root;
    Asid asid;
};

Result<Space> space_argument(const Invocation& invocation, unsigned argument) {
    Slot* slot = TRY(invocation.argument<VSpaceCap>(argument));
    const VSpaceCap& cap = as<VSpaceCap>(slot->cap);
    Asid asid(static_cast<uint16_t>(cap.number()));
    if (asid == Asid(0) || vspace_of(invocation.kernel(), asid) != cap.object()) return Failure::invalid_capability(argument + 1);
    return Space{cap.object(), asid};
}

// -- PageTable

Invoked map_table(const Invocation& invocation) {
    using Args = abi::PageTableMapArgs;
    auto args = invocation.args<Args>();
    PageTableCap& cap = as<PageTableCap>(invocation.slot.cap);
    if (cap.is_mapped()) return Failure::invalid_capability(0);
    Space space = TRY(space_argument(invocation, Args::cap_vspace));
    if (args.vaddr >= abi::user_top) return Failure::invalid_argument(0);
    Walk found = walk(space.root, UserVirtAddr(args.vaddr), last_level);
    if (found.level == last_level || arch::entry_present(*found.entry)) return Failure::of(Error::DeleteFirst);
    cap.set_level(found.level + 1);
    cap.set_mapping(space.asid, UserVirtAddr(align_down(args.vaddr, Word{1} << level_shift(found.level))));
    arch::write_entry(found.entry, arch::table_entry(arch::to_physical(cap.object())));
    return Outcome::Done;
}

Invoked unmap_table_method(const Invocation& invocation) {
    PageTableCap& cap = as<PageTableCap>(invocation.slot.cap);
    if (!is_final(invocation.slot)) return Failure::of(Error::RevokeFirst);
    if (!cap.is_mapped()) return Outcome::Done;
    unmap_table(invocation.kernel(), cap);
    // The table is empty when it is mapped again: what it still leads to must not appear elsewhere.
    arch::clear_memory(cap.object(), page_size);
    cap.clear_mapping();
    return Outcome::Done;
}

// -- Frame

arch::PageAttributes page_attributes(const FrameCap& cap, CapRights rights, abi::VMAttributes attributes) {
    bool cacheable = attributes.cacheable() != 0;
    return {.read = cap.can_read() && rights.read() != 0,
            .write = cap.can_read() && cap.can_write() && rights.read() != 0 && rights.write() != 0,
            .execute = attributes.execute_never() == 0 && !cap.is_device(),
            .cacheable = cacheable,
            .device = cap.is_device()};
}

Invoked map_frame_method(const Invocation& invocation) {
    using Args = abi::FrameMapArgs;
    auto args = invocation.args<Args>();
    FrameCap& cap = as<FrameCap>(invocation.slot.cap);
    Space space = TRY(space_argument(invocation, Args::cap_vspace));
    UserVirtAddr address(args.vaddr);
    if (args.vaddr >= abi::user_top || abi::user_top - args.vaddr < cap.size_bits().bytes()) return Failure::invalid_argument(0);
    if (!is_aligned(args.vaddr, cap.size_bits().bytes())) return Failure::of(Error::AlignmentError);
    if (cap.is_mapped() && cap.asid() != space.asid) return Failure::invalid_capability(1);
    if (cap.is_mapped() && cap.address() != address) return Failure::invalid_argument(0);
    Walk found = walk(space.root, address, cap.level());
    if (found.level != cap.level()) return Failure::no_table(level_shift(found.level));
    bool occupied = arch::entry_present(*found.entry);
    bool own = occupied && !arch::entry_is_table(*found.entry, found.level) &&
               arch::entry_address(*found.entry) == arch::to_physical(cap.object());
    if (occupied && !(own && cap.is_mapped())) return Failure::of(Error::DeleteFirst);
    map_frame(found.entry, cap, space.asid, address,
              page_attributes(cap, CapRights{args.rights}, abi::VMAttributes{args.attributes}));
    return Outcome::Done;
}

Invoked unmap_frame_method(const Invocation& invocation) {
    FrameCap& cap = as<FrameCap>(invocation.slot.cap);
    unmap_frame(invocation.kernel(), cap);
    cap.clear_mapping();
    return Outcome::Done;
}

Invoked get_address(const Invocation& invocation) {
    set_result(invocation.thread, arch::to_physical(invocation.cap().object()).raw);
    return Outcome::Answered;
}

// Cache maintenance works on the frame itself through the kernel's own mapping: no user mapping, whatever its rights, is involved. Memory that is
// not RAM has no such mapping and no cached lines.
constexpr Word cache_step = 4 * page_size;

template <class Operation>
Invoked maintain(const Invocation& invocation, Word start, Word end, Operation operation) {
    const FrameCap& cap = as<FrameCap>(invocation.cap());
    Word size = cap.size_bits().bytes();
    if (start >= end || end > size) return Failure::range(0, size);
    if (end - start > cache_step) return Failure::range(0, start + cache_step);
    if (cap.is_device()) return Failure::illegal_operation();
    Word first = align_down(start, 64);
    operation(cap.object() + first, align_up(end, 64) - first);
    return Outcome::Done;
}

Invoked maintain_cache(const Invocation& invocation) {
    // All four methods have the arguments of the first.
    auto args = invocation.args<abi::FrameCleanDataArgs>();
    switch (invocation.method) {
        case Method::FrameCleanData: return maintain(invocation, args.start, args.end, arch::clean_data);
        // Invalidating without cleaning could uncover what the memory held before it was cleared.
        case Method::FrameInvalidateData:
        case Method::FrameCleanInvalidateData: return maintain(invocation, args.start, args.end, arch::clean_invalidate_data);
        default: return maintain(invocation, args.start, args.end, arch::unify_instruction);
    }
}

}  // namespace

Invoked invoke_page_table(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::PageTableMap: return map_table(invocation);
        case Method::PageTableUnmap: return unmap_table_method(invocation);
        default: return Failure::illegal_operation();
    }
}

Invoked invoke_frame(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::FrameMap: return map_frame_method(invocation);
        case Method::FrameUnmap: return unmap_frame_method(invocation);
        case Method::FrameGetAddress: return get_address(invocation);
        case Method::FrameCleanData:
        case Method::FrameInvalidateData:
        case Method::FrameCleanInvalidateData:
        case Method::FrameUnifyInstruction: return maintain_cache(invocation);
        default: return Failure::illegal_operation();
    }
}

Invoked invoke_asid_pool(const Invocation& invocation) {
    constexpr unsigned argument = abi::ASIDPoolAssignArgs::cap_vspace;
    if (invocation.method != Method::ASIDPoolAssign) return Failure::illegal_operation();
    const AsidPoolCap& pool = as<AsidPoolCap>(invocation.cap());
    Slot* slot = TRY(invocation.argument<VSpaceCap>(argument));
    VSpaceCap& vspace = as<VSpaceCap>(slot->cap);
    if (vspace.number() != 0) return Failure::invalid_capability(argument + 1);
    Word asid = free_asid(pool);
    if (asid == 0) return Failure::of(Error::DeleteFirst);
    assign_asid(pool, asid, vspace);
    return Outcome::Done;
}

Invoked invoke_asid_control(const Invocation& invocation) {
    using Args = abi::ASIDControlMakePoolArgs;
    if (invocation.method != Method::ASIDControlMakePool) return Failure::illegal_operation();
    auto args = invocation.args<Args>();
    Kernel& kernel = invocation.kernel();
    // With 8-bit ASIDs there is one pool, half used.
    Word pools = arch::asid_bits() < 16 ? 1 : Word{abi::asid_pools};
    Word number = 0;
    while (number < pools && kernel.asid_pools[number] != nullptr) ++number;
    if (number == pools) return Failure::of(Error::DeleteFirst);
    Slot* memory = TRY(invocation.argument<UntypedCap>(Args::cap_untyped));
    UntypedCap& untyped = as<UntypedCap>(memory->cap);
    if (untyped.size_bits().raw != page_bits || untyped.is_device()) return Failure::invalid_capability(Args::cap_untyped + 1);
    if (has_children(*memory)) return Failure::of(Error::RevokeFirst);
    Slot* slot = TRY(find_empty_slot(invocation.caps[Args::cap_root]->cap, CPtr(args.index), args.depth));
    arch::clear_memory(untyped.object(), page_size);
    untyped.set_progress(page_size, 0);
    kernel.asid_pools[number] = arch::pointer<AsidPool>(untyped.object());
    insert_object(AsidPoolCap::make(untyped.object(), number * abi::asid_pool_entries), *memory, *slot);
    return Outcome::Done;
}

}  // namespace caprock
