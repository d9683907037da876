// SPDX-License-Identifier: BSD-2-Clause
#include "cap/lookup.hpp"

namespace caprock {
namespace {
// The `count` highest bits of `word`; 0 to 63 of them.
constexpr Word top_bits(Word word, unsigned count) { return word >> 1 >> (63 - count); }

// Why the walk ends at a CNode that takes more bits than are left, or whose guard they are not. `rest`: the bits, from the highest on.
LookupFault mismatch(const CNodeCap& cnode, Word rest, unsigned left) {
    unsigned guard_size = cnode.guard_size();
    bool guarded = guard_size <= left && top_bits(rest, guard_size) == cnode.guard();
    if (guarded) return LookupFault::of(abi::LookupFailure::DepthMismatch, left, guard_size + cnode.radix());
    return LookupFault::of(abi::LookupFailure::GuardMismatch, left, cnode.guard(), guard_size);
}
}  // namespace

Lookup resolve(const Cap& root, CPtr address, unsigned depth) {
    if (!root.is(CapType::CNode)) return LookupFault::of(abi::LookupFailure::InvalidRoot, depth);
    const Cap* node = &root;
    Word rest = address.raw << (word_bits - depth);
    unsigned left = depth;
    for (unsigned levels = 0; levels < abi::cspace_levels; ++levels) {
        const CNodeCap& cnode = as<CNodeCap>(*node);
        unsigned guard_size = cnode.guard_size();
        unsigned radix = cnode.radix();
        if (top_bits(rest, guard_size) != cnode.guard() || guard_size + radix > left) return mismatch(cnode, rest, left);
        rest <<= guard_size;
        Slot* slot = arch::pointer<Slot>(node->object()) + (rest >> (word_bits - radix));
        rest <<= radix;
        left -= guard_size + radix;
        if (left == 0 || !slot->cap.is(CapType::CNode)) return Resolved{slot, left};
        node = &slot->cap;
    }
    return LookupFault::of(abi::LookupFailure::TooManyLevels, left);
}

Slot* find_slot(const Tcb& thread, CPtr address) {
    Lookup found = resolve(thread.cap(TcbSlot::CSpace), address, word_bits);
    return found.ok() ? found.value().slot : nullptr;
}

LookupFault lookup_fault(const Tcb& thread, CPtr address) {
    Lookup found = resolve(thread.cap(TcbSlot::CSpace), address, word_bits);
    return found.ok() ? LookupFault::of(abi::LookupFailure::MissingCapability, found.value().bits_left) : found.failure();
}

[[gnu::cold]] Result<Slot*> find_slot_at(const Cap& root, CPtr index, Word depth, bool source) {
    if (depth < 1 || depth > word_bits) return Failure::range(1, word_bits);
    Lookup found = resolve(root, index, static_cast<unsigned>(depth));
    if (!found.ok()) return Failure::failed_lookup(found.failure(), source);
    if (found.value().bits_left != 0) {
        return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::DepthMismatch, found.value().bits_left), source);
    }
    return found.value().slot;
}
}  // namespace caprock
