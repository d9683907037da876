// SPDX-License-Identifier: BSD-2-Clause
// The methods of Frame, PageTable, ASIDPool and ASIDControl.
#include "object/invocation.hpp"
#include "object/vspace.hpp"

namespace caprock {
namespace {
[[gnu::always_inline]] inline Result<const VSpaceCap*> find_space(const Invocation& invocation, unsigned argument) {
    const VSpaceCap& cap = as<VSpaceCap>(invocation.caps[argument]->cap);
    // ASID 0 is no VSpace's.
    bool in_use = cap.is(CapType::VSpace) && vspace_of(invocation.kernel(), cap.asid()) == cap.object();
    if (!in_use) return Failure::invalid_capability(argument + 1);
    return &cap;
}

// -- PageTable

Invoked map_table(const Invocation& invocation) {
    using Args = abi::PageTableMapArgs;
    auto args = invocation.args<Args>();
    PageTableCap& cap = as<PageTableCap>(invocation.slot.cap);
    if (cap.is_mapped()) return Failure::invalid_capability(0);
    const VSpaceCap& space = *TRY(space_argument(invocation, Args::cap_vspace));
    if (args.vaddr >= abi::user_top) return Failure::invalid_argument(0);
    Walk found = walk(space.object(), UserVirtAddr(args.vaddr), last_level);
    if (found.level == last_level || arch::entry_present(*found.entry)) return Failure::of(Error::DeleteFirst);
    cap.set_level(found.level + 1);
    cap.set_mapping(space.asid(), UserVirtAddr(align_down(args.vaddr, Word{1} << level_shift(found.level))));
    arch::write_entry(found.entry, arch::table_entry(arch::to_physical(cap.object())));
    return Outcome::Done;
}

[[gnu::cold]] Invoked unmap_table_method(const Invocation& invocation) {
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
    // There is no writing without reading: a frame that may only be written is not accessible.
    constexpr Word both = CapRights::make(1, 1, 0, 0).raw;
    CapRights allowed{cap.rights().raw & rights.raw};
    return {.read = allowed.read() != 0,
            .write = (allowed.raw & both) == both,
            .execute = (attributes.execute_never() | Word{cap.is_device()}) == 0,
            .cacheable = cacheable,
            .device = cap.is_device()};
}

// Not below the end of the user's addresses with all of the frame, or not aligned.
[[gnu::cold]] Failure wrong_address(Word address, SizeBits size) {
    bool outside = address >= abi::user_top || abi::user_top - address < size.bytes();
    return outside ? Failure::invalid_argument(0) : Failure::of(Error::AlignmentError);
}

bool is_own(arch::Pte entry, const FrameCap& cap) {
    return !arch::entry_is_table(entry, cap.level()) && arch::entry_address(entry) == arch::to_physical(cap.object());
}

Invoked map_frame_method(const Invocation& invocation) {
    using Args = abi::FrameMapArgs;
    auto args = invocation.args<Args>();
    FrameCap& cap = as<FrameCap>(invocation.slot.cap);
    const VSpaceCap& space = *TRY(find_space(invocation, Args::cap_vspace));
    UserVirtAddr address(args.vaddr);
    // An aligned frame that begins below the end of the user's addresses ends there at most.
    bool below_top = args.vaddr / abi::user_top == 0;
    if (!below_top || !is_aligned(args.vaddr, cap.size_bits().bytes())) return wrong_address(args.vaddr, cap.size_bits());
    if (cap.is_mapped() && cap.asid() != space.asid()) return Failure::invalid_capability(1);
    if (cap.is_mapped() && cap.address() != address) return Failure::invalid_argument(0);
    bool page = cap.size_bits().raw == page_bits;
    arch::Pte* entry = page ? find_page_entry(space.object(), address) : find_entry(space.object(), address, cap.level());
    if (entry == nullptr) return Failure::no_table(level_shift(walk(space.object(), address, cap.level()).level));
    if (arch::entry_present(*entry)) {
        if (!cap.is_mapped() || !is_own(*entry, cap)) return Failure::of(Error::DeleteFirst);
        remove_entry(entry, space.asid(), address);
    }
    map_frame(entry, cap, space.asid(), address, page_attributes(cap, CapRights{args.rights}, abi::VMAttributes{args.attributes}));
    return Outcome::Done;
}

Invoked unmap_frame_method(const Invocation& invocation) {
    FrameCap& cap = as<FrameCap>(invocation.slot.cap);
    unmap_frame(invocation.kernel(), cap);
    cap.clear_mapping();
    return Outcome::Done;
}

[[gnu::cold]] Invoked get_address(const Invocation& invocation) {
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

[[gnu::cold]] void maintain(Method method, KernAddr start, Word bytes) {
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

[[gnu::cold]] Invoked maintain_frame(const Invocation& invocation) {
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

[[gnu::cold]] Invoked maintain_space(const Invocation& invocation) {
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

Result<const VSpaceCap*> space_argument(const Invocation& invocation, unsigned argument) { return find_space(invocation, argument); }

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

[[gnu::cold]] Invoked invoke_asid_control(const Invocation& invocation) {
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
