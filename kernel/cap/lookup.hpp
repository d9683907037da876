// SPDX-License-Identifier: BSD-2-Clause
// Resolution of capability addresses: from a CNode down, guard by guard, until the bits are used up or something other than a CNode is reached.
#pragma once

#include "cap/slot.hpp"
#include "core/result.hpp"
#include "object/tcb.hpp"

namespace caprock {

inline constexpr unsigned word_bits = 64;

struct Resolved {
    Slot* slot;
    unsigned bits_left;   // bits of the address that the slot did not need
};

using Lookup = Result<Resolved, LookupFault>;

// Resolves `depth` bits (1 to 64) of `address` from `root`.
Lookup resolve(const Cap& root, CPtr address, unsigned depth);

// The slot that `address` names in a thread's CSpace, or null; `lookup_fault` says why.
Slot* find_slot(const Tcb& thread, CPtr address);
LookupFault lookup_fault(const Tcb& thread, CPtr address);

// A slot for a CNode operation: all `depth` bits must be used up exactly. `source` only colours the failure.
Result<Slot*> find_slot_at(const Cap& root, CPtr index, Word depth, bool source);

// -- The same where it has to be quick: mostly one CNode takes all bits of an address.

// What is left of an address without the guard: the slot's number, if that is below the CNode's size and the guard and radix are all bits.
[[gnu::always_inline]] inline Word unguarded(const CNodeCap& cnode, CPtr address) { return address.raw ^ cnode.guard() << cnode.radix(); }
[[gnu::always_inline]] inline bool is_flat(const Cap& root, CPtr address, Word depth) {
    const CNodeCap& cnode = as<CNodeCap>(root);
    return root.is(CapType::CNode) && cnode.guard_size() + cnode.radix() == depth && unguarded(cnode, address) >> cnode.radix() == 0;
}
[[gnu::always_inline]] inline Slot& slot_in_flat(const Cap& root, CPtr address) {
    return arch::pointer<Slot>(root.object())[unguarded(as<CNodeCap>(root), address)];
}

[[gnu::always_inline]] inline bool is_flat(const Tcb& thread, CPtr address) { return is_flat(thread.cap(TcbSlot::CSpace), address, word_bits); }
[[gnu::always_inline]] inline Slot& slot_in_flat(const Tcb& thread, CPtr address) { return slot_in_flat(thread.cap(TcbSlot::CSpace), address); }
[[gnu::always_inline]] inline Slot* find_slot_quickly(const Tcb& thread, CPtr address) {
    return is_flat(thread, address) ? &slot_in_flat(thread, address) : find_slot(thread, address);
}
[[gnu::always_inline]] inline Result<Slot*> find_slot_at_quickly(const Cap& root, CPtr index, Word depth, bool source) {
    if (is_flat(root, index, depth)) return &slot_in_flat(root, index);
    return find_slot_at(root, index, depth, source);
}

}  // namespace caprock
