// SPDX-License-Identifier: BSD-2-Clause
// The methods of CNodes, and the derivation tree.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

using abi::Method;

constexpr uint64_t long_guard = abi::CNodeCapData::make(61, 0).raw;   // does not fit beside a radix of 4
constexpr CapRef nowhere{uint64_t{1} << 20};                          // beyond the own CNode's guard

Result<void> mutate_to(uint64_t target, CapRef source, uint64_t data) {
    return own_cnode.mutate(target, address_bits, source.address(), address_bits, data, own_cnode);
}

// Rotates in the own CNode, without new guards.
Result<void> rotate(CapRef target, CapRef pivot, CapRef source) {
    return own_cnode.rotate(target.address(), 64, 0, pivot.address(), 64, 0, source.address(), 64, own_cnode, own_cnode);
}

// Blocks sending a word to an endpoint, and counts when that ends.
struct Sender {
    Cap<Endpoint> endpoint;
    uint64_t word;
    unsigned* sent;
    void operator()() const {
        CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 0), 0, {word}}), abi::Error::NoError);
        ++*sent;
    }
};

}  // namespace

// -- The documented order of the checks

TEST(order_revoke, "Revoke's checks come in the documented order") {
    Order order(Method::CNodeRevoke);
    NEXT(order, own_cnode.revoke(nowhere.address(), 0)).range(1, 64);
    AGAIN(order, own_cnode.revoke(nowhere.address(), 65)).range(1, 64);
    NEXT(order, own_cnode.revoke(nowhere.address(), 64)).lookup(false, abi::LookupFailure::GuardMismatch);
    CHECK_OK(own_cnode.revoke(take_slots(), 64));
}

TEST(order_delete, "Delete's checks come in the documented order") {
    Order order(Method::CNodeDelete);
    NEXT(order, own_cnode.delete_cap(nowhere.address(), 0)).range(1, 64);
    AGAIN(order, own_cnode.delete_cap(nowhere.address(), 65)).range(1, 64);
    NEXT(order, own_cnode.delete_cap(0, 12)).lookup(false, abi::LookupFailure::GuardMismatch);
    CHECK_OK(own_cnode.delete_cap(take_slots(), 64));
}

TEST(order_cancel_badged_sends, "CancelBadgedSends's checks come in the documented order") {
    const Cap<Endpoint> badged = mint(create<Endpoint>(), 3);
    Order order(Method::CNodeCancelBadgedSends);
    NEXT(order, own_cnode.cancel_badged_sends(nowhere.address(), 0)).range(1, 64);
    NEXT(order, own_cnode.cancel_badged_sends(nowhere.address(), 64)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.cancel_badged_sends(take_slots(), 64));
    AGAIN(order, own_cnode.cancel_badged_sends(create<Notification>().address(), 64));
    for (unsigned missing = 0; missing < 4; ++missing) {
        const Cap<Endpoint> weak = copy(badged, abi::CapRights{0xf & ~(uint64_t{1} << missing)});
        AGAIN(order, own_cnode.cancel_badged_sends(weak.address(), 64));
    }
    CHECK_OK(own_cnode.cancel_badged_sends(badged.address(), 64));
}

TEST(order_copy, "Copy's checks come in the documented order") {
    const Cap<Untyped> used = create<Untyped>(12);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(used);
    const uint64_t empty = take_slots();
    const CapRef nothing{take_slots()};
    Order order(Method::CNodeCopy);
    NEXT(order, own_cnode.copy(nowhere.address(), 0, 0, 0, all_rights, nothing)).range(1, 64);
    AGAIN(order, own_cnode.copy(nowhere.address(), 65, 0, 0, all_rights, nothing)).range(1, 64);
    NEXT(order, own_cnode.copy(nowhere.address(), 64, 0, 0, all_rights, nothing)).lookup(false, abi::LookupFailure::GuardMismatch);
    AGAIN(order, own_cnode.copy(0, 63, 0, 0, all_rights, nothing)).lookup(false, abi::LookupFailure::DepthMismatch);
    NEXT(order, own_cnode.copy(endpoint.address(), 64, 0, 0, all_rights, nothing));
    NEXT(order, own_cnode.copy(empty, 64, nowhere.address(), 0, all_rights, nothing)).range(1, 64);
    NEXT(order, own_cnode.copy(empty, 64, nowhere.address(), 64, all_rights, nothing)).lookup(true, abi::LookupFailure::InvalidRoot);
    AGAIN(order, own_cnode.copy(empty, 64, nowhere.address(), 64, all_rights, own_cnode)).lookup(true, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.copy(empty, 64, nothing.address(), 64, all_rights, own_cnode)).lookup(true, abi::LookupFailure::MissingCapability);
    NEXT(order, copy_to(empty, used));
    NEXT(order, copy_to(empty, irq_control));
    CHECK_OK(copy_to(empty, endpoint));
}

TEST(order_mint, "Mint's checks come in the documented order") {
    const Cap<Untyped> used = create<Untyped>(12);
    const Cap<Endpoint> badged = mint(create_in<Endpoint>(used), 1);
    const uint64_t empty = take_slots();
    const CapRef nothing{take_slots()};
    Order order(Method::CNodeMint);
    NEXT(order, own_cnode.mint(nowhere.address(), 0, 0, 0, all_rights, long_guard, nothing)).range(1, 64);
    NEXT(order, own_cnode.mint(nowhere.address(), 64, 0, 0, all_rights, long_guard, nothing)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.mint(badged.address(), 64, 0, 0, all_rights, long_guard, nothing));
    NEXT(order, own_cnode.mint(empty, 64, nowhere.address(), 65, all_rights, long_guard, nothing)).range(1, 64);
    NEXT(order, own_cnode.mint(empty, 64, nowhere.address(), 64, all_rights, long_guard, nothing)).lookup(true, abi::LookupFailure::InvalidRoot);
    NEXT(order, mint_to(empty, nothing, long_guard)).lookup(true, abi::LookupFailure::MissingCapability);
    NEXT(order, mint_to(empty, badged, 2));
    AGAIN(order, mint_to(empty, create<CNode>(4), long_guard));
    NEXT(order, mint_to(empty, used, long_guard));
    NEXT(order, mint_to(empty, irq_control, long_guard));
    CHECK_OK(mint_to(empty, create<CNode>(4), abi::CNodeCapData::make(60, 0).raw));
}

TEST(order_move, "Move's checks come in the documented order") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const uint64_t empty = take_slots();
    const CapRef nothing{take_slots()};
    Order order(Method::CNodeMove);
    NEXT(order, own_cnode.move(nowhere.address(), 0, 0, 0, nothing)).range(1, 64);
    NEXT(order, own_cnode.move(nowhere.address(), 64, 0, 0, nothing)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.move(endpoint.address(), 64, 0, 0, nothing));
    NEXT(order, own_cnode.move(empty, 64, nowhere.address(), 0, nothing)).range(1, 64);
    NEXT(order, own_cnode.move(empty, 64, nowhere.address(), 64, nothing)).lookup(true, abi::LookupFailure::InvalidRoot);
    NEXT(order, move_to(empty, nothing)).lookup(true, abi::LookupFailure::MissingCapability);
    order.pass_over();   // a Zombie is seen only by who interrupts a deletion: see delete_preempted
    CHECK_OK(move_to(empty, endpoint));
}

TEST(order_mutate, "Mutate's checks come in the documented order") {
    const Cap<CNode> node = create<CNode>(4);
    const uint64_t empty = take_slots();
    const CapRef nothing{take_slots()};
    Order order(Method::CNodeMutate);
    NEXT(order, own_cnode.mutate(nowhere.address(), 0, 0, 0, long_guard, nothing)).range(1, 64);
    NEXT(order, own_cnode.mutate(nowhere.address(), 64, 0, 0, long_guard, nothing)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.mutate(node.address(), 64, 0, 0, long_guard, nothing));
    NEXT(order, own_cnode.mutate(empty, 64, nowhere.address(), 0, long_guard, nothing)).range(1, 64);
    NEXT(order, own_cnode.mutate(empty, 64, nowhere.address(), 64, long_guard, nothing)).lookup(true, abi::LookupFailure::InvalidRoot);
    NEXT(order, mutate_to(empty, nothing, long_guard)).lookup(true, abi::LookupFailure::MissingCapability);
    order.pass_over();   // a Zombie, as with Move
    NEXT(order, mutate_to(empty, node, long_guard));
    AGAIN(order, mutate_to(empty, create<Endpoint>(), 5));
    AGAIN(order, mutate_to(empty, create<Notification>(), 5));
    CHECK_OK(mutate_to(empty, node, abi::CNodeCapData::make(60, 0).raw));
}

TEST(order_rotate, "Rotate's checks come in the documented order") {
    const Cap<CNode> source = create<CNode>(4);
    const Cap<CNode> pivot = create<CNode>(4);
    const Cap<Endpoint> occupied = create<Endpoint>();
    const uint64_t empty = take_slots();
    const CapRef nothing{take_slots()};
    const CapRef more_nothing{take_slots()};
    const uint64_t far = nowhere.address();
    const uint64_t bad = long_guard;
    Order order(Method::CNodeRotate);
    NEXT(order, own_cnode.rotate(far, 0, bad, far, 0, bad, far, 0, nothing, nothing)).range(1, 64);
    NEXT(order, own_cnode.rotate(far, 64, bad, far, 0, bad, far, 0, nothing, nothing)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.rotate(occupied.address(), 64, bad, far, 0, bad, far, 65, nothing, nothing)).range(1, 64);
    NEXT(order, own_cnode.rotate(occupied.address(), 64, bad, far, 0, bad, far, 64, nothing, own_cnode))
        .lookup(true, abi::LookupFailure::GuardMismatch);
    NEXT(order, own_cnode.rotate(occupied.address(), 64, bad, far, 0, bad, nothing.address(), 64, nothing, own_cnode)).range(1, 64);
    NEXT(order, own_cnode.rotate(occupied.address(), 64, bad, far, 64, bad, nothing.address(), 64, nothing, own_cnode))
        .lookup(true, abi::LookupFailure::InvalidRoot);
    // The pivot is the destination, which is occupied, or the source, which is empty.
    NEXT(order, own_cnode.rotate(occupied.address(), 64, bad, occupied.address(), 64, bad, nothing.address(), 64, own_cnode, own_cnode));
    AGAIN(order, own_cnode.rotate(occupied.address(), 64, bad, nothing.address(), 64, bad, nothing.address(), 64, own_cnode, own_cnode));
    NEXT(order, own_cnode.rotate(occupied.address(), 64, bad, more_nothing.address(), 64, bad, nothing.address(), 64, own_cnode, own_cnode));
    NEXT(order, own_cnode.rotate(empty, 64, bad, more_nothing.address(), 64, bad, nothing.address(), 64, own_cnode, own_cnode))
        .lookup(true, abi::LookupFailure::MissingCapability);
    NEXT(order, own_cnode.rotate(empty, 64, bad, more_nothing.address(), 64, bad, source.address(), 64, own_cnode, own_cnode))
        .lookup(true, abi::LookupFailure::MissingCapability);
    NEXT(order, own_cnode.rotate(empty, 64, bad, pivot.address(), 64, 0, source.address(), 64, own_cnode, own_cnode));
    AGAIN(order, own_cnode.rotate(empty, 64, 0, pivot.address(), 64, bad, source.address(), 64, own_cnode, own_cnode));
    AGAIN(order, rotate(CapRef{empty}, occupied, source));
    AGAIN(order, rotate(CapRef{empty}, pivot, occupied));
    CHECK_OK(rotate(CapRef{empty}, pivot, source));
}

// -- Deriving capabilities

TEST(copy_refused, "what cannot be derived is refused") {
    const uint64_t empty = take_slots();
    CHECK_ERROR(copy_to(empty, irq_control), IllegalOperation);
    CHECK_ERROR(copy_to(empty, create<VSpace>()), IllegalOperation);
    CHECK_ERROR(copy_to(empty, create<PageTable>()), IllegalOperation);
    const Cap<Untyped> untyped = create<Untyped>(12);
    create_in<Endpoint>(untyped);
    CHECK_ERROR(copy_to(empty, untyped), RevokeFirst);
    CHECK(is_empty(CapRef{empty}));
}

TEST(copy_every_kind, "every kind of capability that can be derived is, and works") {
    const CapRef sources[] = {create<Untyped>(12), create<Endpoint>(),     create<Notification>(), create<Reply>(), create<CNode>(4),
                              create<TCB>(),       create<SchedContext>(8), own_vspace,            create<Frame>(), asid_control,
                              own_asid_pool,       domain_control,         inspect,                sched_control};
    for (const CapRef source : sources) {
        const CapRef copied{take_slots()};
        CHECK_OK(copy_to(copied.address(), source));
        CHECK(!is_empty(copied));
        delete_cap(copied);
        CHECK(!is_empty(source));
    }
}

TEST(copy_untyped, "of an untyped and its copy only one can be used") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Untyped> second = copy(untyped);
    CHECK_ERROR(untyped.retype(abi::ObjectType::Endpoint, 0, 0, 0, take_slots(), 1, own_cnode), NotEnoughMemory);
    const Cap<TCB> made = create_in<TCB>(second);
    CHECK_ERROR(copy_to(take_slots(), second), RevokeFirst);
    revoke(second);
    CHECK(is_empty(made));
}

TEST(copy_rights, "a copy has no more rights than its source and than the mask") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> receiver = copy(endpoint, read_only);
    const Cap<Endpoint> again = copy(receiver, all_rights);
    CHECK_EQUAL(sys::send(receiver.address(), sys::ShortMessage{}), abi::Error::InvalidCapability);
    CHECK_EQUAL(sys::send(again.address(), sys::ShortMessage{}), abi::Error::InvalidCapability);
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), abi::Error::NoError);
}

TEST(mint_rights, "Mint takes rights away as Copy does") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Notification> waiter = mint(notification, 4, read_only);
    CHECK_EQUAL(sys::nb_send(waiter.address(), sys::ShortMessage{}), abi::Error::InvalidCapability);
    const Cap<Notification> signaller = mint(notification, 8, write_only);
    CHECK_EQUAL(sys::nb_send(signaller.address(), sys::ShortMessage{}), abi::Error::NoError);
    sys::ShortMessage message;
    sys::nb_wait(waiter.address(), message);
    CHECK_EQUAL(message.badge, 8);
}

TEST(mint_badge, "a badge is given once") {
    const Cap<Endpoint> badged = mint(create<Endpoint>(), 7);
    CHECK_ERROR(mint_to(take_slots(), badged, 8), IllegalOperation);
    CHECK_OK(copy_to(take_slots(), badged));
    const Cap<Notification> notification = mint(create<Notification>(), 7);
    CHECK_ERROR(mint_to(take_slots(), notification, 8), IllegalOperation);
}

TEST(mint_guard, "a guard fits beside the radix, and decides on lookups") {
    const Cap<CNode> node = create<CNode>(4);
    CHECK_ERROR(mint_to(take_slots(), node, long_guard), IllegalOperation);
    const Cap<CNode> guarded = mint(node, abi::CNodeCapData::make(8, 0xa5).raw);
    CHECK_OK(guarded.copy(0xa53, 12, own_tcb.address(), 64, all_rights, own_cnode));
    CHECK_ERROR(guarded.copy(0xa53, 12, own_tcb.address(), 64, all_rights, own_cnode), DeleteFirst);
    const Result<void> other = guarded.copy(0xb53, 12, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(other, false, GuardMismatch);
    CHECK_EQUAL(other.detail(2), 12);
    CHECK_EQUAL(other.detail(3), 0xa5);
    CHECK_EQUAL(other.detail(4), 8);
    const Result<void> deep = guarded.copy(0xa531, 16, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(deep, false, DepthMismatch);
    CHECK_EQUAL(deep.detail(2), 4);
    const Result<void> shallow = guarded.copy(0xa5 << 2, 10, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(shallow, false, DepthMismatch);
    CHECK_EQUAL(shallow.detail(2), 10);
    CHECK_EQUAL(shallow.detail(3), 12);
}

TEST(guard_only, "a CNode whose guard takes all the bits that are left says how many there were") {
    const Cap<CNode> guarded = mint(create<CNode>(4), abi::CNodeCapData::make(8, 0xa5).raw);
    const Result<void> guard_left = guarded.copy(0xa5, 8, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(guard_left, false, DepthMismatch);
    CHECK_EQUAL(guard_left.detail(2), 8);
    // Fewer bits than the guard has: that they are the guard's first ones helps nobody.
    const Result<void> less = guarded.copy(0xa, 4, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(less, false, GuardMismatch);
    CHECK_EQUAL(less.detail(2), 4);
}

TEST(deep_node, "a slot is named through CNodes at every level, by the depth that ends there") {
    const Cap<CNode> top = create<CNode>(4);
    const Cap<CNode> middle = create<CNode>(3);
    const Cap<CNode> bottom = create<CNode>(2);
    const Cap<CNode> outer = mint(top, abi::CNodeCapData::make(2, 0b10).raw);
    const Cap<CNode> inner = mint(middle, abi::CNodeCapData::make(1, 1).raw);
    // Bits: guard 10, slot 0111; guard 1, slot 101; slot 11. The bottom node has no guard.
    CHECK_OK(outer.copy(0b10'0111, 6, inner.address(), 64, all_rights, own_cnode));
    CHECK_OK(outer.copy(0b10'0111'1'101, 10, bottom.address(), 64, all_rights, own_cnode));
    CHECK_OK(outer.copy(0b10'0111'1'101'11, 12, own_tcb.address(), 64, all_rights, own_cnode));
    CHECK_ERROR(outer.copy(0b10'0111'1'101'11, 12, own_tcb.address(), 64, all_rights, own_cnode), DeleteFirst);
    // The other levels' slots are what they were.
    CHECK_ERROR(outer.copy(0b10'0111'1'101, 10, own_tcb.address(), 64, all_rights, own_cnode), DeleteFirst);
    const Result<void> missing = outer.copy(0b10'0110'1'101'11, 12, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(missing, false, DepthMismatch);
    CHECK_EQUAL(missing.detail(2), 6);
    const Result<void> wrong_guard = outer.copy(0b10'0111'0'101'11, 12, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(wrong_guard, false, GuardMismatch);
    CHECK_EQUAL(wrong_guard.detail(2), 6);
    CHECK_EQUAL(wrong_guard.detail(3), 1);
    CHECK_EQUAL(wrong_guard.detail(4), 1);
}

TEST(high_bits, "bits of an address above its depth do not count") {
    const Cap<CNode> node = create<CNode>(4);
    CHECK_OK(node.copy(~uint64_t{0} << 4 | 5, 4, own_tcb.address(), 64, all_rights, own_cnode));
    CHECK_ERROR(node.copy(5, 4, own_tcb.address(), 64, all_rights, own_cnode), DeleteFirst);
}

TEST(too_many_levels, "an address that leads through more CNodes than the limit is TooManyLevels") {
    // A node with itself in slot 1: every bit is one more level.
    const Cap<CNode> node = create<CNode>(1);
    CHECK_OK(node.copy(1, 1, node.address(), 64, all_rights, own_cnode));
    const uint64_t levels = abi::cspace_levels;
    CHECK_ERROR(node.copy((uint64_t{1} << levels) - 1, levels, own_tcb.address(), 64, all_rights, own_cnode), DeleteFirst);
    const Result<void> deeper = node.copy((uint64_t{2} << levels) - 1, levels + 1, own_tcb.address(), 64, all_rights, own_cnode);
    CHECK_LOOKUP(deeper, false, TooManyLevels);
    CHECK_EQUAL(deeper.detail(2), 1);
}

TEST(null_root, "a null capability as a root is no CNode") {
    const Result<void> result = own_cnode.copy(take_slots(), 64, 0, 44, all_rights, CapRef{});
    CHECK_LOOKUP(result, true, InvalidRoot);
    CHECK_EQUAL(result.detail(2), 44);   // bits left
}

// -- Moving capabilities

TEST(move, "Move takes the capability, and its children with it") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> badged = mint(endpoint, 1);
    const Cap<Endpoint> moved{take_slots()};
    CHECK_OK(move_to(moved.address(), endpoint));
    CHECK(is_empty(endpoint));
    CHECK_ERROR(move_to(badged.address(), moved), DeleteFirst);
    CHECK_LOOKUP(move_to(take_slots(), endpoint), true, MissingCapability);
    revoke(moved);
    CHECK(is_empty(badged));
    CHECK(!is_empty(moved));
}

TEST(move_mapped, "a mapped frame that is moved stays mapped, and is unmapped from its new place") {
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    const Cap<Frame> moved{take_slots()};
    CHECK_OK(move_to(moved.address(), frame));
    *reinterpret_cast<volatile uint64_t*>(small_window) = 3;
    CHECK_OK(moved.unmap());
    CHECK_OK(create<Frame>().map(small_window, read_write, cached, own_vspace));
    CHECK_EQUAL(*reinterpret_cast<volatile uint64_t*>(small_window), 0);
}

TEST(move_irq_control, "what cannot be copied can be moved") {
    const uint64_t aside = take_slots();
    CHECK_OK(move_to(aside, irq_control));
    CHECK_OK(move_to(irq_control.address(), CapRef{aside}));
}

TEST(mutate, "Mutate changes a guard, and nothing that has a badge") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    CHECK_ERROR(mutate_to(take_slots(), endpoint, 5), IllegalOperation);
    CHECK_ERROR(mutate_to(take_slots(), create<Notification>(), 5), IllegalOperation);
    const Cap<CNode> node = create<CNode>(4);
    CHECK_ERROR(mutate_to(take_slots(), node, long_guard), IllegalOperation);
    const Cap<CNode> guarded{take_slots()};
    CHECK_OK(mutate_to(guarded.address(), node, abi::CNodeCapData::make(60, 0).raw));
    CHECK(is_empty(node));
    CHECK_OK(guarded.copy(3, 64, endpoint.address(), 64, all_rights, own_cnode));
    const uint64_t back = take_slots();
    CHECK_OK(own_cnode.move(back, 64, 3, 64, guarded));
}

TEST(mutate_other, "Mutate of what has neither badge nor guard is a move") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> moved{take_slots()};
    CHECK_OK(mutate_to(moved.address(), tcb, ~uint64_t{0}));
    CHECK(is_empty(tcb));
    CHECK_OK(moved.set_priority(5, own_tcb));
}

TEST(rotate, "Rotate moves the pivot to the destination and the source to the pivot, with new guards") {
    const Cap<CNode> first = create<CNode>(4);
    const Cap<CNode> second = create<CNode>(5);
    const Cap<CNode> target{take_slots()};
    CHECK_OK(own_cnode.rotate(target.address(), 64, abi::CNodeCapData::make(60, 1).raw, first.address(), 64,
                              abi::CNodeCapData::make(59, 2).raw, second.address(), 64, own_cnode, own_cnode));
    CHECK(is_empty(second));
    CHECK_OK(target.copy(1 << 4 | 9, 64, own_tcb.address(), 64, all_rights, own_cnode));
    CHECK_OK(first.copy(2 << 5 | 20, 64, own_tcb.address(), 64, all_rights, own_cnode));
}

TEST(rotate_exchange, "Rotate onto the source exchanges two capabilities, with their children") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<TCB> child = create_in<TCB>(untyped);
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(rotate(untyped, tcb, untyped));
    // Each slot holds the other capability now.
    CHECK_OK(Cap<TCB>{untyped.address()}.set_priority(5, own_tcb));
    const Cap<Untyped> moved{tcb.address()};
    CHECK_ERROR(copy_to(take_slots(), moved), RevokeFirst);
    revoke(moved);
    CHECK(is_empty(child));
    CHECK(!is_empty(untyped));
}

TEST(rotate_neighbours, "Rotate exchanges a capability with its own child, and the child stays one") {
    const Cap<Untyped> parent = create<Untyped>(14);
    const Cap<Untyped> child = create_in<Untyped>(parent, 12);
    CHECK_OK(rotate(parent, child, parent));
    const Cap<Untyped> moved_parent{child.address()};
    const Cap<Untyped> moved_child{parent.address()};
    create_in<TCB>(moved_child);
    revoke(moved_parent);
    CHECK(is_empty(moved_child));
    CHECK(!is_empty(moved_parent));
}

// -- Destroying capabilities

TEST(revoke_badges, "Revoke of a badged capability spares other badges and the original") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> first = mint(endpoint, 1);
    const Cap<Endpoint> second = mint(endpoint, 2);
    const Cap<Endpoint> copy_of_first = copy(first);
    const Cap<Endpoint> copy_of_original = copy(endpoint);
    revoke(first);
    CHECK(is_empty(copy_of_first) && !is_empty(first) && !is_empty(second) && !is_empty(endpoint) && !is_empty(copy_of_original));
    // The other way round, as the later one comes before the earlier in the tree.
    const Cap<Endpoint> copy_of_second = copy(second);
    revoke(second);
    CHECK(is_empty(copy_of_second) && !is_empty(first) && !is_empty(second) && !is_empty(endpoint));
    revoke(endpoint);
    CHECK(is_empty(first) && is_empty(second) && is_empty(copy_of_original) && !is_empty(endpoint));
}

TEST(revoke_untyped, "Revoke of an untyped deletes grandchildren wherever they are") {
    const Cap<Untyped> untyped = create<Untyped>(16);
    const Cap<Untyped> inner = create_in<Untyped>(untyped, 14);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(inner);
    const Cap<CNode> node = as_root(create<CNode>(4), 4);
    CHECK_OK(node.copy(1, 64, endpoint.address(), 64, all_rights, own_cnode));
    revoke(untyped);
    CHECK(is_empty(inner) && is_empty(endpoint));
    CHECK_LOOKUP(own_cnode.move(take_slots(), 64, 1, 64, node), true, MissingCapability);
}

TEST(revoke_many, "Revoke of a thousand children, with interrupts meanwhile") {
    const Cap<Untyped> untyped = create<Untyped>(20);
    const Cap<CNode> node = as_root(create<CNode>(10), 10);
    for (uint64_t i = 0; i < 1024; i += 256)
        CHECK_OK(untyped.retype(abi::ObjectType::Notification, 0, 0, 0, i, 256, node));
    Ticker ticker(60);
    revoke(untyped);
    ticker.check_on_time();
    for (uint64_t i = 0; i < 1024; i += 93) CHECK_LOOKUP(own_cnode.move(take_slots(), 64, i, 64, node), true, MissingCapability);
}

TEST(revoke_own_space, "Revoke of the memory of the revoker's own CNode ends the thread, not the system") {
    const Cap<Untyped> untyped = create<Untyped>(16);
    const Cap<CNode> node = as_root(create_in<CNode>(untyped, 4), 4);
    CHECK_OK(node.copy(2, 64, own_cnode.address(), 64, all_rights, own_cnode));
    const FaultHandler handler;
    auto revoking = [=] {
        sys::Invocation message{abi::MessageInfo::make(2, 0, 0, static_cast<uint64_t>(Method::CNodeRevoke)), 0, {untyped.address(), 64}};
        sys::call(2, message);
        for (;;) sys::signal(2);
    };
    const Thread& thread = spawn(revoking, {.fault_endpoint = handler.endpoint(), .cspace = node});
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::CapFault);
    CHECK(!thread.done());
    CHECK(is_empty(node));
}

TEST(delete_siblings, "children of a capability that is deleted become its parent's") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(untyped);
    const Cap<Endpoint> badged = mint(endpoint, 1);
    delete_cap(endpoint);
    CHECK(!is_empty(badged));
    CHECK_ERROR(copy_to(take_slots(), untyped), RevokeFirst);
    revoke(untyped);
    CHECK(is_empty(badged));
    CHECK_OK(copy_to(take_slots(), untyped));
}

TEST(delete_node, "the last capability to a CNode takes what is in it along") {
    const Cap<CNode> original = create<CNode>(4);
    const Cap<CNode> node = as_root(original, 4);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    // The badged child is in the node; its deletion leaves the endpoint with no child.
    CHECK_OK(node.mint(2, 64, endpoint.address(), 64, all_rights, 5, own_cnode));
    // A node within the node, and the node itself.
    CHECK_OK(memory.retype(abi::ObjectType::CNode, 4, 0, 0, 3, 1, node));
    CHECK_OK(node.copy(4, 64, node.address(), 64, all_rights, own_cnode));
    delete_cap(original);
    delete_cap(node);
    CHECK(is_empty(node) && is_empty(original) && !is_empty(endpoint));
}

TEST(delete_cycle, "CNodes that hold each other's last capabilities go together") {
    const Cap<Untyped> untyped = create<Untyped>(14);
    const Cap<CNode> first = as_root(create_in<CNode>(untyped, 4), 4);
    const Cap<CNode> second = as_root(create_in<CNode>(untyped, 4), 4);
    CHECK_OK(first.move(1, 64, second.address() - 1, 64, own_cnode));
    CHECK_OK(second.move(1, 64, first.address() - 1, 64, own_cnode));
    CHECK_OK(first.move(2, 64, second.address(), 64, own_cnode));
    // The first node's last outer capability: the cycle is out of reach, and its memory comes back.
    delete_cap(first);
    revoke(untyped);
    CHECK_OK(untyped.retype(abi::ObjectType::Untyped, 14, 0, 0, take_slots(), 1, own_cnode));
}

TEST(delete_preempted, "a CNode whose deletion is interrupted is a Zombie, which can only be deleted") {
    const Cap<Untyped> untyped = create<Untyped>(21);
    const Cap<CNode> node = create_in<CNode>(untyped, 14);
    const Cap<CNode> root = as_root(node, 14);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    for (uint64_t i = 0; i < 4'000; ++i) CHECK_OK(root.copy(i * 4, 64, endpoint.address(), 64, all_rights, own_cnode));
    delete_cap(root);
    auto deleting = [=] { delete_cap(node); };
    const Thread& thread = spawn(deleting, {.priority = lower_priority});
    // Sees the deletion in the middle, and sees it through after that.
    bool zombie = false;
    auto looking = [&] {
        for (;;) {
            sys::yield();
            const uint64_t aside = take_slots();
            const abi::Error error = move_to(aside, node).error();
            if (error == abi::Error::FailedLookup) return;
            CHECK_EQUAL(error, abi::Error::IllegalOperation);
            CHECK_ERROR(mutate_to(aside, node, 0), IllegalOperation);
            CHECK_ERROR(copy_to(aside, node), IllegalOperation);
            CHECK_ERROR(mint_to(aside, node, 0), IllegalOperation);
            CHECK_ERROR(rotate(node, own_tcb, node), IllegalOperation);
            CHECK_ERROR(node.copy(0, 14, endpoint.address(), 64, all_rights, own_cnode), IllegalOperation);
            CHECK_LOOKUP(own_cnode.copy(aside, 64, 0, 14, all_rights, node), true, InvalidRoot);
            if (zombie) continue;
            zombie = true;
            CHECK_OK(thread.tcb.suspend());
            delete_cap(node);
            CHECK(is_empty(node));
            return;
        }
    };
    spawn(looking, {.budget = 60, .period = 60 + 47}).join();
    CHECK(zombie);
    revoke(untyped);
    CHECK(!is_empty(endpoint));
}

// -- Cancelling sends

TEST(cancel_badged, "CancelBadgedSends restarts the senders with the badge, and no others") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> first = mint(endpoint, 1);
    const Cap<Endpoint> second = mint(endpoint, 2);
    const Cap<Endpoint> copy_of_first = copy(first);
    const FaultHandler handler;
    unsigned sent = 0;
    const Cap<Endpoint> unbadged = copy(endpoint);
    Sender senders[] = {{first, 10, &sent}, {second, 20, &sent}, {copy_of_first, 30, &sent}, {unbadged, 40, &sent}};
    const Thread* threads[4];
    for (unsigned i = 0; i < 4; ++i) threads[i] = &spawn(senders[i], {.fault_endpoint = handler.endpoint()});
    // Without their capabilities those that are restarted meet an empty slot.
    const Cap<Endpoint> kept = copy(first);
    const CapRef used[] = {first, second, copy_of_first, unbadged};
    for (const CapRef cap : used) delete_cap(cap);
    CHECK_OK(own_cnode.cancel_badged_sends(kept.address(), 64));
    CHECK_EQUAL(sent, 0);
    for (unsigned i = 0; i < 2; ++i) {
        CHECK_EQUAL(handler.receive().label, abi::FaultLabel::CapFault);
        handler.reply(1);
    }
    const uint64_t left[] = {20, 40};
    for (const uint64_t word : left) {
        sys::ShortMessage message;
        sys::nb_wait(endpoint.address(), message);
        CHECK_EQUAL(message.words[0], word);
    }
    sys::ShortMessage message;
    sys::nb_wait(endpoint.address(), message);
    CHECK_EQUAL(message.info.raw, 0);
    CHECK(threads[1]->done() && threads[3]->done());
}

TEST(cancel_restart, "a sender that is cancelled and still has its capability sends again") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> badged = mint(endpoint, 5);
    unsigned sent = 0;
    Sender sender{badged, 77, &sent};
    spawn(sender);
    CHECK_OK(own_cnode.cancel_badged_sends(badged.address(), 64));
    sys::ShortMessage message;
    sys::nb_wait(endpoint.address(), message);
    CHECK_EQUAL(message.badge, 5);
    CHECK_EQUAL(message.words[0], 77);
    CHECK_EQUAL(sent, 1);
}

TEST(cancel_calls, "a blocked Call with the badge is restarted, a receiver and a caller that waits for its reply are not") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> badged = mint(endpoint, 5);
    const Cap<Reply> reply = create<Reply>();
    sys::ShortMessage results[2]{};
    struct {
        Cap<Endpoint> endpoint;
        sys::ShortMessage* result;
        void operator()() const {
            *result = {abi::MessageInfo::make(1, 0, 0, 0), 0, {9}};
            sys::call(endpoint.address(), *result);
        }
    } callers[2] = {{badged, &results[0]}, {badged, &results[1]}};
    const Thread& first = spawn(callers[0]);
    sys::ShortMessage message;
    sys::recv(endpoint.address(), reply.address(), message);
    const Thread& second = spawn(callers[1]);
    CHECK_OK(own_cnode.cancel_badged_sends(badged.address(), 64));
    CHECK(!first.done() && !second.done());
    CHECK_EQUAL(sys::send(reply.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK(first.done());
    CHECK_EQUAL(results[0].info.label(), abi::Error::NoError);
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(message.words[0], 9);
    CHECK_EQUAL(sys::send(reply.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK(second.done());

    auto receiving = [&] {
        sys::ShortMessage received;
        sys::wait(endpoint.address(), received);
    };
    const Thread& receiver = spawn(receiving);
    CHECK_OK(own_cnode.cancel_badged_sends(badged.address(), 64));
    CHECK(!receiver.done());
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK(receiver.done());
}

TEST(cancel_unbadged, "badge 0 is no badge: nothing is cancelled") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> sending = copy(endpoint);
    unsigned sent = 0;
    Sender sender{sending, 3, &sent};
    spawn(sender);
    delete_cap(sending);
    CHECK_OK(own_cnode.cancel_badged_sends(endpoint.address(), 64));
    sys::ShortMessage message;
    sys::nb_wait(endpoint.address(), message);
    CHECK_EQUAL(message.words[0], 3);
    CHECK_EQUAL(sent, 1);
}

TEST(cancel_preempted, "CancelBadgedSends of many is preempted, and misses none, though senders leave and move in the queue meanwhile") {
    constexpr unsigned count = 1'800;
    static constinit Cap<TCB> senders[count]{};
    static constinit unsigned next = 0;
    next = 0;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> cancelled = mint(endpoint, 5);
    const Cap<Endpoint> other = mint(endpoint, 6);
    Crowd crowd(count);
    for (unsigned i = 0; i < count; ++i)
        senders[i] = crowd.add(abi::Syscall::Send, i % 6 == 0 ? other : cancelled, static_cast<uint8_t>(120 + i % 5));
    Ticker ticker(40);
    // One of those that come next leaves the queue, and others move to its end, its head and its middle.
    ticker.at_turn = [] {
        next += 97;
        if (next + 3 >= count) return;
        CHECK_OK(senders[count - next].suspend());
        for (unsigned i = 1; i < 4; ++i) CHECK_OK(senders[count - next - i].set_priority(118 + 2 * i, own_tcb));
    };
    ticker.start();
    CHECK_OK(own_cnode.cancel_badged_sends(cancelled.address(), 64));
    ticker.check_on_time();
    ticker.at_turn = nullptr;
    // Those that were cancelled have no time to send again.
    for (;;) {
        sys::ShortMessage message;
        sys::nb_wait(endpoint.address(), message);
        if (message.info.raw == 0) break;
        CHECK_EQUAL(message.badge, 6);
    }
}

// -- Derivation

TEST(equal_badges, "capabilities that were minted with the same badge are no children of each other, and a copy that outlives its own stays apart") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> first = mint(endpoint, 4);
    const Cap<Endpoint> copy_of_first = copy(first);
    const Cap<Endpoint> second = mint(endpoint, 4);
    const Cap<Endpoint> copy_of_second = copy(second);
    revoke(second);
    CHECK(is_empty(copy_of_second) && !is_empty(second) && !is_empty(first) && !is_empty(copy_of_first));
    // The copy takes the place of the first, which is no child of the second either.
    delete_cap(first);
    revoke(second);
    CHECK(!is_empty(copy_of_first) && !is_empty(second));
    revoke(endpoint);
    CHECK(is_empty(copy_of_first) && is_empty(second));
}

TEST(originals, "what Retype made is the parent of its copies, of every kind; a copy is the parent of none") {
    const CapRef originals[] = {create<TCB>(),   create<Endpoint>(), create<Notification>(),  create<Reply>(),
                                create<CNode>(4), create<Frame>(),    create<SchedContext>(8)};
    for (const CapRef original : originals) {
        const CapRef first{take_slots()};
        CHECK_OK(copy_to(first.address(), original));
        const CapRef second{take_slots()};
        CHECK_OK(copy_to(second.address(), first));
        revoke(first);
        CHECK(!is_empty(second));
        revoke(original);
        CHECK(is_empty(first) && is_empty(second) && !is_empty(original));
    }
}

TEST(guard_too_long, "of a guard only as many bits count as its size says") {
    const Cap<CNode> node = mint(create<CNode>(4), abi::CNodeCapData::make(4, 0x3a5).raw);
    CHECK_OK(node.copy(0x53, 8, own_tcb.address(), 64, all_rights, own_cnode));
}

// -- The ends of containers

TEST(delete_full_node, "a CNode's last slot is emptied as its first is") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<CNode> node = as_root(create<CNode>(3), 3);
    for (uint64_t i = 0; i < 8; ++i) {
        const Cap<Endpoint> endpoint = create_in<Endpoint>(untyped);
        CHECK_OK(node.move(i, 64, endpoint.address(), 64, own_cnode));
    }
    CHECK_ERROR(copy_to(take_slots(), untyped), RevokeFirst);
    delete_cap(node);
    delete_cap(CapRef{node.address() - 1});
    CHECK_OK(copy_to(take_slots(), untyped));
}

TEST(delete_chain, "CNodes that hold each other in their last, first and middle slots are destroyed to the last") {
    const Cap<Untyped> untyped = create<Untyped>(20);
    for (uint64_t place = 0; place < 8; place += 3) {
        const uint64_t slot = place == 6 ? 7 : place;
        Cap<CNode> outer = create_in<CNode>(untyped, 3);
        for (unsigned depth = 0; depth < 40; ++depth) {
            const Cap<CNode> inner = outer;
            outer = create_in<CNode>(untyped, 3);
            CHECK_OK(outer.move(slot, 3, inner.address(), 64, own_cnode));
            CHECK_OK(outer.copy((slot + 1) % 8, 3, own_tcb.address(), 64, all_rights, own_cnode));
        }
        delete_cap(outer);
        CHECK_EQUAL(CHECK_OK(inspect.read_cnode(outer.address(), own_cnode)).kind, abi::CapType::Null);
        CHECK_OK(copy_to(take_slots(), untyped));
        delete_cap(CapRef{take_slots() - 1});
        revoke(untyped);
    }
    CHECK_OK(untyped.retype(abi::ObjectType::Untyped, 20, 0, 0, take_slots(), 1, own_cnode));
}

TEST(cancel_next_leaves, "CancelBadgedSends that is preempted goes on though the very next sender leaves the queue") {
    constexpr unsigned count = 1'500;
    static constinit uint64_t first = 0;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> badged = mint(endpoint, 5);
    Crowd crowd(count);
    first = crowd.add(abi::Syscall::Send, badged, 120).address();
    for (unsigned i = 1; i < count; ++i) crowd.add(abi::Syscall::Send, badged, 120);
    Ticker ticker(40);
    // Those that are still sending are the last ones of the queue: the first of them is next.
    ticker.at_turn = [] {
        uint64_t low = first;
        uint64_t high = first + count;
        while (low < high) {
            const uint64_t middle = (low + high) / 2;
            if (CHECK_OK(inspect.read_tcb(CapRef{middle})).state == 3) high = middle;
            else low = middle + 1;
        }
        if (low < first + count) CHECK_OK(Cap<TCB>{low}.suspend());
    };
    ticker.start();
    CHECK_OK(own_cnode.cancel_badged_sends(badged.address(), 64));
    ticker.at_turn = nullptr;
    sys::ShortMessage message;
    sys::nb_wait(endpoint.address(), message);
    CHECK_EQUAL(message.info.raw, 0);
}

}  // namespace caprock::conformance
