// SPDX-License-Identifier: BSD-2-Clause
// The methods of CNodes, and the derivation tree.
#include "tests/target/thread.hpp"

namespace caprock::target {

namespace {

uint64_t empty_slot() { return environment.take_slots(); }

Result<void> copy_to(uint64_t target, CapRef source) {
    return root_cnode.copy(target, address_bits, source.address(), address_bits, all_rights, root_cnode);
}
Result<void> mint_to(uint64_t target, CapRef source, uint64_t badge) {
    return root_cnode.mint(target, address_bits, source.address(), address_bits, all_rights, badge, root_cnode);
}
Result<void> move_to(uint64_t target, CapRef source) {
    return root_cnode.move(target, address_bits, source.address(), address_bits, root_cnode);
}
Result<void> mutate_to(uint64_t target, CapRef source, uint64_t data) {
    return root_cnode.mutate(target, address_bits, source.address(), address_bits, data, root_cnode);
}

// Whether the slot is empty: only an occupied one can be moved.
bool is_empty(CapRef cap) {
    const uint64_t aside = empty_slot();
    if (!move_to(aside, cap).ok()) return true;
    CHECK_OK(move_to(cap.address(), CapRef{aside}));
    return false;
}

}  // namespace

TEST(copy_order, "Copy's errors come in the documented order") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const uint64_t empty = empty_slot();
    const CapRef nothing{empty_slot()};
    CHECK_RANGE(root_cnode.copy(0, 0, 0, 0, all_rights, nothing), 1, 64);
    CHECK_RANGE(root_cnode.copy(0, 65, 0, 0, all_rights, nothing), 1, 64);
    CHECK_LOOKUP(root_cnode.copy(0, 63, 0, 0, all_rights, nothing), false, DepthMismatch);
    CHECK_LOOKUP(root_cnode.copy(empty | uint64_t{1} << 20, 64, 0, 0, all_rights, nothing), false, GuardMismatch);
    CHECK_ERROR(root_cnode.copy(endpoint.address(), 64, 0, 0, all_rights, nothing), DeleteFirst);
    CHECK_RANGE(root_cnode.copy(empty, 64, 0, 0, all_rights, nothing), 1, 64);
    CHECK_LOOKUP(root_cnode.copy(empty, 64, 0, 64, all_rights, nothing), true, InvalidRoot);
    CHECK_LOOKUP(root_cnode.copy(empty, 64, nothing.address(), 64, all_rights, root_cnode), true, MissingCapability);
}

TEST(copy_refused, "what cannot be derived is refused") {
    const uint64_t empty = empty_slot();
    CHECK_ERROR(copy_to(empty, irq_control), IllegalOperation);
    CHECK_ERROR(copy_to(empty, create<VSpace>()), IllegalOperation);
    CHECK_ERROR(copy_to(empty, create<PageTable>()), IllegalOperation);
    const Cap<Untyped> untyped = create<Untyped>(12);
    create_in<Endpoint>(untyped);
    CHECK_ERROR(copy_to(empty, untyped), RevokeFirst);
    CHECK(is_empty(CapRef{empty}));
}

TEST(copy_untyped, "of an untyped and its copy only one can be used") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Untyped> second = copy(untyped);
    CHECK_ERROR(untyped.retype(abi::ObjectType::Endpoint, 0, 0, 0, empty_slot(), 1, root_cnode), NotEnoughMemory);
    create_in<TCB>(second);
}

TEST(copy_rights, "a copy has no more rights than its source and than the mask") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> receiver = copy(endpoint, read_only);
    const Cap<Endpoint> again = copy(receiver, all_rights);
    CHECK_EQUAL(sys::send(receiver.address(), sys::ShortMessage{}), abi::Error::InvalidCapability);
    CHECK_EQUAL(sys::send(again.address(), sys::ShortMessage{}), abi::Error::InvalidCapability);
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), abi::Error::NoError);
}

TEST(mint_badge, "a badge is given once") {
    const Cap<Endpoint> badged = mint(create<Endpoint>(), 7);
    CHECK_ERROR(mint_to(empty_slot(), badged, 8), IllegalOperation);
    CHECK_OK(copy_to(empty_slot(), badged));
    const Cap<Notification> notification = mint(create<Notification>(), 7);
    CHECK_ERROR(mint_to(empty_slot(), notification, 8), IllegalOperation);
}

TEST(mint_guard, "a guard fits beside the radix, and decides on lookups") {
    const Cap<CNode> node = create<CNode>(4);
    CHECK_ERROR(mint_to(empty_slot(), node, abi::CNodeCapData::make(61, 0).raw), IllegalOperation);
    const Cap<CNode> guarded = mint(node, abi::CNodeCapData::make(8, 0xa5).raw);
    CHECK_OK(guarded.copy(0xa53, 12, root_tcb.address(), 64, all_rights, root_cnode));
    CHECK_ERROR(guarded.copy(0xa53, 12, root_tcb.address(), 64, all_rights, root_cnode), DeleteFirst);
    const Result<void> other = guarded.copy(0xb53, 12, root_tcb.address(), 64, all_rights, root_cnode);
    CHECK_LOOKUP(other, false, GuardMismatch);
    CHECK_EQUAL(other.detail(2), 12);
    CHECK_EQUAL(other.detail(3), 0xa5);
    CHECK_EQUAL(other.detail(4), 8);
    const Result<void> deep = guarded.copy(0xa531, 16, root_tcb.address(), 64, all_rights, root_cnode);
    CHECK_LOOKUP(deep, false, DepthMismatch);
    CHECK_EQUAL(deep.detail(2), 4);
    const Result<void> shallow = guarded.copy(0xa5 << 2, 10, root_tcb.address(), 64, all_rights, root_cnode);
    CHECK_LOOKUP(shallow, false, DepthMismatch);
    CHECK_EQUAL(shallow.detail(2), 10);
    CHECK_EQUAL(shallow.detail(3), 12);
}

TEST(move, "Move takes the capability, and its children with it") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> badged = mint(endpoint, 1);
    const Cap<Endpoint> moved{empty_slot()};
    CHECK_OK(move_to(moved.address(), endpoint));
    CHECK(is_empty(endpoint));
    CHECK_ERROR(move_to(badged.address(), moved), DeleteFirst);
    CHECK_LOOKUP(move_to(empty_slot(), endpoint), true, MissingCapability);
    revoke(moved);
    CHECK(is_empty(badged));
    CHECK(!is_empty(moved));
}

TEST(move_irq_control, "what cannot be copied can be moved") {
    const uint64_t aside = empty_slot();
    CHECK_OK(move_to(aside, irq_control));
    CHECK_OK(move_to(irq_control.address(), CapRef{aside}));
}

TEST(mutate, "Mutate changes a guard, and nothing that has a badge") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    CHECK_ERROR(mutate_to(empty_slot(), endpoint, 5), IllegalOperation);
    CHECK_ERROR(mutate_to(empty_slot(), create<Notification>(), 5), IllegalOperation);
    const Cap<CNode> node = create<CNode>(4);
    CHECK_ERROR(mutate_to(empty_slot(), node, abi::CNodeCapData::make(61, 0).raw), IllegalOperation);
    const Cap<CNode> guarded{empty_slot()};
    CHECK_OK(mutate_to(guarded.address(), node, abi::CNodeCapData::make(60, 0).raw));
    CHECK(is_empty(node));
    CHECK_OK(guarded.copy(3, 64, endpoint.address(), 64, all_rights, root_cnode));
    const uint64_t back = empty_slot();
    CHECK_OK(root_cnode.move(back, 64, 3, 64, guarded));
}

TEST(delete_errors, "Delete and Revoke check depth and address") {
    CHECK_RANGE(root_cnode.delete_cap(0, 0), 1, 64);
    CHECK_RANGE(root_cnode.revoke(0, 65), 1, 64);
    CHECK_LOOKUP(root_cnode.delete_cap(0, 12), false, GuardMismatch);
    CHECK_LOOKUP(root_cnode.revoke(~uint64_t{0}, 64), false, GuardMismatch);
    CHECK_OK(root_cnode.delete_cap(empty_slot(), 64));
    CHECK_OK(root_cnode.revoke(empty_slot(), 64));
}

TEST(revoke_badges, "Revoke of a badged capability spares other badges and the original") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> first = mint(endpoint, 1);
    const Cap<Endpoint> second = mint(endpoint, 2);
    const Cap<Endpoint> copy_of_first = copy(first);
    const Cap<Endpoint> copy_of_original = copy(endpoint);
    revoke(first);
    CHECK(is_empty(copy_of_first) && !is_empty(first) && !is_empty(second) && !is_empty(endpoint) && !is_empty(copy_of_original));
    revoke(endpoint);
    CHECK(is_empty(first) && is_empty(second) && is_empty(copy_of_original) && !is_empty(endpoint));
}

TEST(revoke_untyped, "Revoke of an untyped deletes grandchildren wherever they are") {
    const Cap<Untyped> untyped = create<Untyped>(16);
    const Cap<Untyped> inner = create_in<Untyped>(untyped, 14);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(inner);
    const Cap<CNode> node = mint(create<CNode>(4), abi::CNodeCapData::make(60, 0).raw);
    CHECK_OK(node.copy(1, 64, endpoint.address(), 64, all_rights, root_cnode));
    revoke(untyped);
    CHECK(is_empty(inner) && is_empty(endpoint));
    CHECK_LOOKUP(root_cnode.move(empty_slot(), 64, 1, 64, node), true, MissingCapability);
}

TEST(revoke_many, "Revoke of a thousand children, with interrupts meanwhile") {
    volatile uint64_t turns = 0;
    auto ticking = [&] {
        for (;;) {
            turns = turns + 1;
            sys::yield();
        }
    };
    spawn(ticking, {.budget = 20, .period = 100});
    const Cap<Untyped> untyped = create<Untyped>(20);
    const Cap<CNode> node = mint(create<CNode>(10), abi::CNodeCapData::make(54, 0).raw);
    for (uint64_t i = 0; i < 1024; i += 256)
        CHECK_OK(untyped.retype(abi::ObjectType::Notification, 0, 0, 0, i, 256, node));
    const uint64_t before = turns;
    revoke(untyped);
    CHECK(turns > before);
    for (uint64_t i = 0; i < 1024; i += 93) CHECK_LOOKUP(root_cnode.move(empty_slot(), 64, i, 64, node), true, MissingCapability);
}

TEST(delete_node, "the last capability to a CNode takes what is in it along") {
    const Cap<CNode> node = mint(create<CNode>(4), abi::CNodeCapData::make(60, 0).raw);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    // The badged child is in the node; its deletion leaves the endpoint with no child.
    CHECK_OK(node.mint(2, 64, endpoint.address(), 64, all_rights, 5, root_cnode));
    // A node within the node, and the node itself.
    CHECK_OK(environment.memory().retype(abi::ObjectType::CNode, 4, 0, 0, 3, 1, node));
    CHECK_OK(node.copy(4, 64, node.address(), 64, all_rights, root_cnode));
    const CapRef original{node.address() - 1};
    delete_cap(original);
    delete_cap(node);
    CHECK(is_empty(node) && is_empty(original) && !is_empty(endpoint));
}

TEST(null_root, "a null capability as a root is no CNode") {
    CHECK_LOOKUP(root_cnode.copy(empty_slot(), 64, 0, 64, all_rights, CapRef{}), true, InvalidRoot);
}

}  // namespace caprock::target
