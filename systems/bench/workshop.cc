// SPDX-License-Identifier: BSD-2-Clause
// The move to the larger CNode.
#include "workshop.hpp"

namespace bench {

using namespace caprock;

namespace {

constexpr abi::CapRights all_rights {15};

/// Slots of the CNode that a component is given: what it is told of lies below.
uint64_t slots_in_use()
{
    uint64_t last = self().info().notification;
    for (const auto& entry : self().entries()) {
        const bool has_slot = entry.kind == static_cast<uint64_t>(ComponentEntryKind::Uses) || entry.kind == static_cast<uint64_t>(ComponentEntryKind::Emits)
            || entry.kind == static_cast<uint64_t>(ComponentEntryKind::Grant);
        if (has_slot && entry.value > last)
            last = entry.value;
    }
    return last + 1;
}

} // namespace

Workshop::Workshop() : cnode {self().grant("workshop")}
{
    const Cap<CNode> given {self().grant("cnode")};
    next_slot_ = slots_in_use();
    // The CNode that the description made is just large enough, and its granted capability has no guard.
    const auto given_radix = static_cast<uint64_t>(64 - __builtin_clzll(next_slot_ - 1));
    for (uint64_t slot = 1; slot < next_slot_; ++slot) {
        // Not every slot holds something.
        const auto copied = cnode.copy(slot, radix, slot, given_radix, all_rights, given);
        if (!copied.ok() && copied.error() != abi::Error::FailedLookup)
            must(copied);
    }
    const Cap<Endpoint> faults {self().grant("faults")};
    // From here on addresses lead through the workshop, in which one of 64 bits names a slot.
    must(thread.set_space(abi::CNodeCapData::make(depth - radix, 0), 0, faults, cnode, vspace));
    // The capability in it has no guard yet.
    const uint64_t slot = next_slot_++;
    must(cnode.mint(slot, radix, cnode.address(), radix, all_rights, abi::CNodeCapData::make(depth - radix, 0).raw, cnode));
    cnode = Cap<CNode> {slot};
}

Cap<Untyped> Workshop::make_memory(uint64_t bits)
{
    const uint64_t place = slot();
    make(memory, abi::ObjectType::Untyped, place, bits);
    return Cap<Untyped> {place};
}

} // namespace bench
