// SPDX-License-Identifier: BSD-2-Clause
// The methods of a CNode: it names, by index and depth, the slots that they work on.
#include "cap/delete.hpp"
#include "cap/derive.hpp"
#include "ipc/ipc.hpp"
#include "object/invocation.hpp"

namespace caprock {
namespace {
// -- Copy, Mint, Move and Mutate: a capability comes to an empty slot, derived from the one in the source slot or in its stead.

Invoked copy(Slot& source, Slot& destination, CapRights rights) {
    Cap cap = source.cap;
    if (!derives_freely(cap.type())) cap = TRY(derive(source));
    insert_derived(masked(cap, rights), source, destination);
    return Outcome::Done;
}

Invoked mint(Slot& source, Slot& destination, CapRights rights, Word data) {
    Cap cap = TRY(with_data(masked(source.cap, rights), data, false));
    if (!derives_freely(cap.type())) TRY(derive(source));
    if (cap.is(CapType::Frame)) as<FrameCap>(cap).clear_mapping();
    insert_derived(cap, source, destination);
    return Outcome::Done;
}

Invoked move(Slot& source, Slot& destination) {
    if (source.cap.is(CapType::Zombie)) return Failure::illegal_operation();
    move_slot(source.cap, source, destination);
    return Outcome::Done;
}

Invoked mutate(Slot& source, Slot& destination, Word data) {
    if (source.cap.is(CapType::Zombie)) return Failure::illegal_operation();
    Cap cap = TRY(with_data(source.cap, data, true));
    move_slot(cap, source, destination);
    return Outcome::Done;
}

// The four have the same first arguments.
Invoked place(const Invocation& invocation) {
    using Args = abi::CNodeMintArgs;
    auto args = invocation.args<Args>();
    Slot* destination = TRY(find_slot_at_quickly(invocation.cap(), CPtr(args.dest_index), args.dest_depth, false));
    if (!destination->empty()) return Failure::of(Error::DeleteFirst);
    Slot* source = TRY(find_slot_at_quickly(invocation.caps[Args::cap_src_root]->cap, CPtr(args.src_index), args.src_depth, true));
    if (source->empty()) return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability), true);
    switch (invocation.method) {
        case Method::CNodeCopy: return copy(*source, *destination, CapRights{args.rights});
        case Method::CNodeMint: return mint(*source, *destination, CapRights{args.rights}, args.badge);
        case Method::CNodeMove: return move(*source, *destination);
        default: return mutate(*source, *destination, invocation.args<abi::CNodeMutateArgs>().badge);
    }
}

// -- Rotate

Result<Cap> rotated(const Slot& slot, Word data) {
    if (slot.cap.is(CapType::Zombie)) return Failure::illegal_operation();
    return with_data(slot.cap, data, true);
}

[[gnu::cold]] Invoked rotate(const Invocation& invocation) {
    using Args = abi::CNodeRotateArgs;
    auto args = invocation.args<Args>();
    Slot* destination = TRY(find_slot_at(invocation.cap(), CPtr(args.dest_index), args.dest_depth, false));
    Slot* source = TRY(find_slot_at(invocation.caps[Args::cap_src_root]->cap, CPtr(args.src_index), args.src_depth, true));
    Slot* pivot = TRY(find_slot_at(invocation.caps[Args::cap_pivot_root]->cap, CPtr(args.pivot_index), args.pivot_depth, true));
    if (pivot == source || pivot == destination) return Failure::illegal_operation();
    if (destination != source && !destination->empty()) return Failure::of(Error::DeleteFirst);
    if (source->empty() || pivot->empty()) return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability), true);
    Cap to_pivot = TRY(rotated(*source, args.pivot_badge));
    Cap to_destination = TRY(rotated(*pivot, args.dest_badge));
    if (destination == source) {
        swap_slots(*source, *pivot);
        source->cap = to_destination;
        pivot->cap = to_pivot;
    } else {
        move_slot(to_destination, *pivot, *destination);
        move_slot(to_pivot, *source, *pivot);
    }
    return Outcome::Done;
}

[[gnu::cold]] Invoked cancel_badged_sends_at(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeCancelBadgedSendsArgs>();
    Slot* slot = TRY(find_slot_at(invocation.cap(), CPtr(args.index), args.depth, false));
    constexpr Word all_rights = CapRights::make(1, 1, 1, 1).raw;
    const EndpointCap& cap = as<EndpointCap>(slot->cap);
    if (!cap.is(CapType::Endpoint) || cap.rights().raw != all_rights) return Failure::illegal_operation();
    if (cap.badge() == Badge(0)) return Outcome::Done;
    return outcome(cancel_badged_sends(invocation.core, invocation.thread, cap.as_object<Endpoint>(), cap.badge()));
}

Invoked delete_at(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeDeleteArgs>();
    Slot* slot = TRY(find_slot_at_quickly(invocation.cap(), CPtr(args.index), args.depth, false));
    return outcome(delete_slot(invocation.core, *slot));
}

Invoked revoke_at(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeRevokeArgs>();
    Slot* slot = TRY(find_slot_at_quickly(invocation.cap(), CPtr(args.index), args.depth, false));
    return outcome(revoke(invocation.core, *slot));
}
}  // namespace

[[gnu::cold]] Result<Slot*> find_empty_slot(const Cap& root, CPtr index, Word depth) {
    Slot* slot = TRY(find_slot_at(root, index, depth, false));
    if (!slot->empty()) return Failure::of(Error::DeleteFirst);
    return slot;
}

Invoked invoke_cnode(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::CNodeRevoke: return revoke_at(invocation);
        case Method::CNodeDelete: return delete_at(invocation);
        case Method::CNodeCopy:
        case Method::CNodeMint:
        case Method::CNodeMove:
        case Method::CNodeMutate: return place(invocation);
        case Method::CNodeRotate: return rotate(invocation);
        case Method::CNodeCancelBadgedSends: return cancel_badged_sends_at(invocation);
        default: return Failure::illegal_operation();
    }
}
}  // namespace caprock
