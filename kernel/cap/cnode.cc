// SPDX-License-Identifier: BSD-2-Clause
// The methods of a CNode: it names, by index and depth, the slots that they work on.
#include "cap/delete.hpp"
#include "cap/derive.hpp"
#include "object/invocation.hpp"

namespace caprock {

namespace {

// Destination and source of a copy or move.
struct Pair {
    Slot* destination;
    Slot* source;
};

template <class Args>
Result<Pair> find_pair(const Invocation& invocation, const Args& args) {
    Slot* destination = TRY(find_empty_slot(invocation.cap(), CPtr(args.dest_index), args.dest_depth));
    const Cap& root = invocation.caps[Args::cap_src_root]->cap;
    Slot* source = TRY(find_slot_at(root, CPtr(args.src_index), args.src_depth, true));
    if (source->empty()) return Failure::failed_lookup(LookupFault::of(abi::LookupFailure::MissingCapability), true);
    return Pair{destination, source};
}

Invoked copy(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeCopyArgs>();
    Pair pair = TRY(find_pair(invocation, args));
    Cap cap = TRY(derive(*pair.source));
    insert_derived(masked(cap, CapRights{args.rights}), *pair.source, *pair.destination);
    return Outcome::Done;
}

Invoked mint(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeMintArgs>();
    Pair pair = TRY(find_pair(invocation, args));
    Cap cap = TRY(with_data(masked(pair.source->cap, CapRights{args.rights}), args.badge, false));
    TRY(derive(*pair.source));
    if (cap.is(CapType::Frame)) as<FrameCap>(cap).clear_mapping();
    insert_derived(cap, *pair.source, *pair.destination);
    return Outcome::Done;
}

Invoked move(const Invocation& invocation) {
    Pair pair = TRY(find_pair(invocation, invocation.args<abi::CNodeMoveArgs>()));
    if (pair.source->cap.is(CapType::Zombie)) return Failure::illegal_operation();
    move_slot(pair.source->cap, *pair.source, *pair.destination);
    return Outcome::Done;
}

Invoked mutate(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeMutateArgs>();
    Pair pair = TRY(find_pair(invocation, args));
    if (pair.source->cap.is(CapType::Zombie)) return Failure::illegal_operation();
    Cap cap = TRY(with_data(pair.source->cap, args.badge, true));
    move_slot(cap, *pair.source, *pair.destination);
    return Outcome::Done;
}

Invoked delete_at(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeDeleteArgs>();
    Slot* slot = TRY(find_slot_at(invocation.cap(), CPtr(args.index), args.depth, false));
    return outcome(delete_slot(invocation.core, *slot));
}

Invoked revoke_at(const Invocation& invocation) {
    auto args = invocation.args<abi::CNodeRevokeArgs>();
    Slot* slot = TRY(find_slot_at(invocation.cap(), CPtr(args.index), args.depth, false));
    return outcome(revoke(invocation.core, *slot));
}

}  // namespace

Result<Slot*> find_empty_slot(const Cap& root, CPtr index, Word depth) {
    Slot* slot = TRY(find_slot_at(root, index, depth, false));
    if (!slot->empty()) return Failure::of(Error::DeleteFirst);
    return slot;
}

Invoked invoke_cnode(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::CNodeRevoke: return revoke_at(invocation);
        case Method::CNodeDelete: return delete_at(invocation);
        case Method::CNodeCopy: return copy(invocation);
        case Method::CNodeMint: return mint(invocation);
        case Method::CNodeMove: return move(invocation);
        case Method::CNodeMutate: return mutate(invocation);
        default: return Failure::illegal_operation();
    }
}

}  // namespace caprock
