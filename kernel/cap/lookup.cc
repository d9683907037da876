// SPDX-License-Identifier: BSD-2-Clause
#include "cap/lookup.hpp"


namespace caprock {

namespace {

// The `count` bits of `word` below bit `top`; count is at most top, and at most 63.
constexpr Word bits_below(Word word, unsigned top, unsigned count) {
    return count == 0 ? 0 : (word >> (top - count)) & ((Word{1} << count) - 1);
}

}  // namespace

Lookup resolve(const Cap& root, CPtr address, unsigned depth) {
    if (!root.is(CapType::CNode)) return LookupFault::of(abi::LookupFailure::InvalidRoot, depth);
    Cap node = root;
    unsigned left = depth;
    for (;;) {
        const CNodeCap& cnode = as<CNodeCap>(node);
        unsigned guard_size = cnode.guard_size();
        unsigned level = guard_size + cnode.radix();
        if (guard_size > left || bits_below(address.raw, left, guard_size) != cnode.guard()) {
            return LookupFault::of(abi::LookupFailure::GuardMismatch, left, cnode.guard(), guard_size);
        }
        if (level > left) return LookupFault::of(abi::LookupFailure::DepthMismatch, left, level);
        Word index = bits_below(address.raw, left - guard_size, cnode.radix());
        Slot* slot = arch::pointer<Slot>(node.object()) + index;
        left -= level;
        if (left == 0 || !slot->cap.is(CapType::CNode)) return Resolved{slot, left};
        node = slot->cap;
    }
}

Slot* find_slot(const Tcb& thread, CPtr address) {
    Lookup found = resolve(thread.cap(TcbSlot::CSpace), address, word_bits);
    return found.ok() ? found.value().slot : nullptr;
}

LookupFault lookup_fault(const Tcb& thread, CPtr address) {
    Lookup found = resolve(thread.cap(TcbSlot::CSpace), address, word_bits);
    return found.ok() ? LookupFault::of(abi::LookupFailure::MissingCapability, found.value().bits_left) : found.failure();
}

Result<Slot*> find_slot_at(const Cap& root, CPtr index, Word depth, bool source) {
    if (depth < 1 || depth > word_bits) return Failure::range(1, word_bits);
    Lookup found = resolve(root, index, static_cast<unsigned>(depth));
    if (!found.ok()) return Failure::failed_lookup(found.failure(), source);
    if (found.value().bits_left != 0) {
        return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::DepthMismatch, found.value().bits_left), source);
    }
    return found.value().slot;
}

}  // namespace caprock
