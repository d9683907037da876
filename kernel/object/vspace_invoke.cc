// SPDX-License-Identifier: BSD-2-Clause
// The methods of Frame, PageTable, ASIDPool and ASIDControl.
#include "object/invocation.hpp"
#include "object/vspace.hpp"

namespace caprock {

namespace {

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

// -- Cache maintenance works on the memory itself through the kernel's own mapping: no user mapping, whatever its rights, is involved. What is
// no memory has no such mapping and no cached lines.

constexpr Word cache_step = 4 * page_size;   // maintained between two preemption points
constexpr Word cache_line = 64;              // a multiple of every processor's

// The eight methods, Frame's and VSpace's, have the arguments and the operations of these four.
using CacheArgs = abi::FrameCleanDataArgs;
constexpr unsigned start_argument = offsetof(CacheArgs, start) / sizeof(Word);

void maintain(Method method, KernAddr start, Word bytes) {
    KernAddr first(align_down(start.raw, cache_line));
    Word size = align_up(start.raw + bytes, cache_line) - first.raw;
    switch (method) {
        case Method::FrameCleanData:
        case Method::VSpaceCleanData: return arch::clean_data(first, size);
        case Method::FrameUnifyInstruction:
        case Method::VSpaceUnifyInstruction: return arch::unify_instruction(first, size);
        // Invalidating without cleaning could uncover what the memory held before it was cleared.
        default: return arch::clean_invalidate_data(first, size);
    }
}

Word shorter(Word a, Word b) { return a < b ? a : b; }

// True when the rest, from `at` on, is left to another execution of the system call, which finds it in its arguments.
bool leave_rest(const Invocation& invocation, Word at, Word end) {
    if (at >= end || !arch::irq_pending()) return false;
    invocation.set_argument(start_argument, at);
    return true;
}

Invoked maintain_frame(const Invocation& invocation) {
    auto args = invocation.args<CacheArgs>();
    const FrameCap& cap = as<FrameCap>(invocation.cap());
    Word size = cap.size_bits().bytes();
    if (args.start >= args.end || args.end > size) return Failure::range(0, size);
    if (cap.is_device()) return Failure::illegal_operation();
    for (Word at = args.start; at < args.end;) {
        Word bytes = shorter(args.end - at, cache_step - at % cache_step);
        maintain(invocation.method, cap.object() + at, bytes);
        at += bytes;
        if (leave_rest(invocation, at, args.end)) return Outcome::Preempted;
    }
    return Outcome::Done;
}

Invoked maintain_space(const Invocation& invocation) {
    auto args = invocation.args<CacheArgs>();
    const VSpaceCap& cap = as<VSpaceCap>(invocation.cap());
    Asid asid(static_cast<uint16_t>(cap.number()));
    if (asid == Asid(0) || vspace_of(invocation.kernel(), asid) != cap.object()) return Failure::invalid_capability(0);
    if (args.end <= args.start) return Failure::invalid_argument(1);
    if (args.end > abi::user_top) return Failure::illegal_operation();
    for (Word at = args.start; at < args.end;) {
        Walk found = walk(cap.object(), UserVirtAddr(at), last_level);
        bool memory = arch::entry_present(*found.entry) && !arch::entry_attributes(*found.entry).device;
        Word page = Word{1} << level_shift(found.level);
        Word bytes = shorter(args.end - at, page - at % page);
        if (memory) {
            bytes = shorter(bytes, cache_step - at % cache_step);
            maintain(invocation.method, arch::to_kernel(arch::entry_address(*found.entry)) + at % page, bytes);
        }
        at += bytes;
        if (leave_rest(invocation, at, args.end)) return Outcome::Preempted;
    }
    return Outcome::Done;
}

}  // namespace

Result<Space> space_argument(const Invocation& invocation, unsigned argument) {
    Slot* slot = TRY(invocation.argument<VSpaceCap>(argument));
    const VSpaceCap& cap = as<VSpaceCap>(slot->cap);
    Asid asid(static_cast<uint16_t>(cap.number()));
    if (asid == Asid(0) || vspace_of(invocation.kernel(), asid) != cap.object()) return Failure::invalid_capability(argument + 1);
    return Space{cap.object(), asid};
}

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
        case Method::FrameUnifyInstruction: return maintain_frame(invocation);
        default: return Failure::illegal_operation();
    }
}

Invoked invoke_vspace(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::VSpaceCleanData:
        case Method::VSpaceInvalidateData:
        case Method::VSpaceCleanInvalidateData:
        case Method::VSpaceUnifyInstruction: return maintain_space(invocation);
        default: return Failure::illegal_operation();
    }
}

Invoked invoke_asid_pool(const Invocation& invocation) {
    constexpr unsigned argument = abi::ASIDPoolAssignArgs::cap_vspace;
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
