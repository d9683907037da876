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
// The same where messages pass: most CSpaces are one CNode whose guard and radix make 64 bits.
[[gnu::always_inline]] inline bool is_flat(const Tcb& thread, CPtr address) {
    const Cap& root = thread.cap(TcbSlot::CSpace);
    const CNodeCap& cnode = as<CNodeCap>(root);
    return root.is(CapType::CNode) && cnode.guard_size() + cnode.radix() == word_bits && address.raw >> cnode.radix() == cnode.guard();
}
[[gnu::always_inline]] inline Slot& slot_in_flat(const Tcb& thread, CPtr address) {
    const Cap& root = thread.cap(TcbSlot::CSpace);
    return arch::pointer<Slot>(root.object())[address.raw & ((Word{1} << as<CNodeCap>(root).radix()) - 1)];
}
[[gnu::always_inline]] inline Slot* find_slot_quickly(const Tcb& thread, CPtr address) {
    return is_flat(thread, address) ? &slot_in_flat(thread, address) : find_slot(thread, address);
}
LookupFault lookup_fault(const Tcb& thread, CPtr address);

// A slot for a CNode operation: all `depth` bits must be used up exactly. `source` only colours the failure.
Result<Slot*> find_slot_at(const Cap& root, CPtr index, Word depth, bool source);

}  // namespace caprock
