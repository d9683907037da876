// SPDX-License-Identifier: BSD-2-Clause
// ASIDs: control, pools, and what stays apart by them.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

// A pool made of this page of memory.
Cap<ASIDPool> make_pool(Cap<Untyped> page) {
    const Cap<ASIDPool> pool{take_slots()};
    CHECK_OK(asid_control.make_pool(pool.address(), address_bits, page, own_cnode));
    return pool;
}

}  // namespace

TEST(order_make_pool, "MakePool's checks come in the documented order") {
    const Cap<Untyped> page = create<Untyped>(12);
    const Cap<Untyped> device_page{take_slots()};
    CHECK_OK(device_untyped.retype(abi::ObjectType::Untyped, 12, 0, 0, device_page.address(), 1, own_cnode));
    const uint64_t empty = take_slots();
    const CapRef wrong{create<Endpoint>().address()};
    const uint64_t far = uint64_t{1} << 20;
    Order order(abi::Method::ASIDControlMakePool);
    order.pass_over();   // all pools exist: see all_pools
    NEXT(order, asid_control.make_pool(far, 0, wrong, wrong)).number(1);
    AGAIN(order, asid_control.make_pool(far, 0, create<Untyped>(11), wrong)).number(1);
    AGAIN(order, asid_control.make_pool(far, 0, create<Untyped>(13), wrong)).number(1);
    AGAIN(order, asid_control.make_pool(far, 0, device_page, wrong)).number(1);
    const Cap<Endpoint> child = create_in<Endpoint>(page);
    NEXT(order, asid_control.make_pool(far, 0, page, wrong));
    delete_cap(child);
    NEXT(order, asid_control.make_pool(far, 0, page, wrong)).range(1, 64);
    AGAIN(order, asid_control.make_pool(far, 65, page, wrong)).range(1, 64);
    NEXT(order, asid_control.make_pool(far, 64, page, wrong)).lookup(false, abi::LookupFailure::InvalidRoot);
    AGAIN(order, asid_control.make_pool(far, 64, page, own_cnode)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, asid_control.make_pool(wrong.address(), 64, page, own_cnode));
    CHECK_OK(asid_control.make_pool(empty, 64, page, own_cnode));
    CHECK_ERROR(asid_control.make_pool(take_slots(), 64, page, own_cnode), RevokeFirst);
    CHECK_OK(Cap<ASIDPool>{empty}.assign(create<VSpace>()));
}

TEST(all_pools, "MakePool says DeleteFirst, before all else, when all pools exist, and makes one again when one is gone") {
    Cap<Untyped> page{};
    const CapRef wrong{create<Endpoint>().address()};
    unsigned made = 0;
    for (; made < abi::asid_pools; ++made) {
        const Cap<Untyped> next = create<Untyped>(12);
        const Result<void> pool = asid_control.make_pool(take_slots(), 64, next, own_cnode);
        if (pool.error() == abi::Error::DeleteFirst) break;
        CHECK_OK(pool);
        page = next;
    }
    // The driver has one, and the component another.
    CHECK_EQUAL(made, abi::asid_pools - 2);
    CHECK_ERROR(asid_control.make_pool(uint64_t{1} << 20, 0, wrong, wrong), DeleteFirst);
    revoke(page);
    make_pool(page);
}

TEST(order_assign, "Assign's checks come in the documented order") {
    const Cap<ASIDPool> full = make_pool(create<Untyped>(12));
    const uint64_t first = take_slots(256);
    // Twice as many as one Retype makes, and one fewer in a pool that has ASID 0.
    for (uint64_t made = 0; made < abi::asid_pool_entries; made += 256) {
        CHECK_OK(memory.retype(abi::ObjectType::VSpace, 0, 0, 0, first, 256, own_cnode));
        for (uint64_t i = 0; i < 256; ++i) {
            CHECK_OK(full.assign(CapRef{first + i}));
            // The last capability goes, and with it the ASID: only the first half stays assigned, in slots of its own.
            if (made == 0) CHECK_OK(move_to(take_slots(), CapRef{first + i}));
        }
    }
    Order order(abi::Method::ASIDPoolAssign);
    NEXT(order, full.assign(CapRef{create<Frame>().address()})).number(1);
    AGAIN(order, full.assign(CapRef{})).number(1);
    AGAIN(order, full.assign(own_vspace)).number(1);
    NEXT(order, full.assign(create<VSpace>()));
    delete_cap(CapRef{first});
    CHECK_OK(full.assign(create<VSpace>()));
}

TEST(high_asids, "address spaces whose ASIDs differ in the upper bits only are different ones") {
    // ASIDs 512 * pool + entry: the entries of two pools have the same low 9 bits.
    const Cap<ASIDPool> pools[2] = {make_pool(create<Untyped>(12)), make_pool(create<Untyped>(12))};
    uint64_t seen[2] = {};
    const Thread* threads[2];
    const Cap<Notification> go = create<Notification>();
    struct {
        Cap<Notification> go;
        uint64_t* seen;
        void operator()() const {
            for (;;) {
                sys::ShortMessage message;
                sys::wait(go.address(), message);
                *seen = word_at(empty_terabyte);
            }
        }
    } looking[2] = {{go, &seen[0]}, {go, &seen[1]}};
    for (unsigned i = 0; i < 2; ++i) {
        const Cap<VSpace> vspace = create<VSpace>();
        CHECK_OK(pools[i].assign(vspace));
        map_image(vspace);
        make_tables(vspace, empty_terabyte);
        const Cap<Frame> frame = create<Frame>();
        CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
        word_at(small_window) = 1'000 + i;
        CHECK_OK(frame.unmap());
        CHECK_OK(frame.map(empty_terabyte, read_only, cached, vspace));
        threads[i] = &spawn(looking[i], {.vspace = vspace});
    }
    for (unsigned round = 0; round < 4; ++round) {
        sys::signal(go.address());
        CHECK_EQUAL(seen[round % 2], 1'000 + round % 2);
        seen[round % 2] = 0;
    }
    CHECK(!threads[0]->done() && !threads[1]->done());
}

TEST(pool_order, "a pool gives each VSpace an ASID of its own, and one that was deleted gives its ASID back") {
    const Cap<ASIDPool> pool = make_pool(create<Untyped>(12));
    const Cap<VSpace> first = create<VSpace>();
    const Cap<VSpace> second = create<VSpace>();
    CHECK_OK(pool.assign(first));
    CHECK_OK(pool.assign(second));
    const uint64_t first_slot = first.address();
    const uint64_t second_slot = second.address();
    const uint64_t asid = CHECK_OK(inspect.read_cnode(first_slot, own_cnode)).badge;
    CHECK(asid != CHECK_OK(inspect.read_cnode(second_slot, own_cnode)).badge);
    delete_cap(first);
    const Cap<VSpace> third = create<VSpace>();
    CHECK_OK(pool.assign(third));
    CHECK_EQUAL(CHECK_OK(inspect.read_cnode(third.address(), own_cnode)).badge, asid);
}

TEST(asid_reuse, "an ASID that is given again shows nothing of the space that had it") {
    const Cap<Frame> frames[2] = {create<Frame>(), create<Frame>()};
    for (unsigned i = 0; i < 2; ++i) {
        CHECK_OK(frames[i].map(small_window, read_write, cached, own_vspace));
        word_at(small_window) = 100 + i;
        CHECK_OK(frames[i].unmap());
    }
    const Cap<Untyped> memory = create<Untyped>(16);
    constexpr uint64_t address = empty_terabyte;
    for (unsigned round = 0; round < 4; ++round) {
        const Cap<VSpace> vspace = create_in<VSpace>(memory);
        CHECK_OK(own_asid_pool.assign(vspace));
        map_image(vspace);
        for (unsigned level = 0; level < 3; ++level) CHECK_OK(create_in<PageTable>(memory).map(address, cached, vspace));
        const Cap<Frame> shown = copy(frames[round % 2]);
        CHECK_OK(shown.map(address, read_only, cached, vspace));
        uint64_t seen = 0;
        auto looking = [&] { seen = word_at(address); };
        CHECK(spawn(looking, {.vspace = vspace}).done());
        CHECK_EQUAL(seen, 100 + round % 2);
        revoke(memory);
    }
}

TEST(many_spaces, "forty address spaces at once keep their mappings apart") {
    constexpr uint64_t address = empty_terabyte;
    constexpr unsigned count = 40;
    Cap<VSpace> spaces[count];
    Cap<Frame> frames[count];
    for (unsigned i = 0; i < count; ++i) {
        spaces[i] = create_space();
        frames[i] = create<Frame>();
        for (unsigned level = 0; level < 3; ++level) CHECK_OK(create<PageTable>().map(address, cached, spaces[i]));
        CHECK_OK(frames[i].map(address, read_only, cached, spaces[i]));
    }
    for (unsigned i = 0; i < count; ++i) {
        CHECK_CAPABILITY(frames[i].map(address, read_only, cached, spaces[(i + 1) % count]), 1);
        CHECK_OK(frames[i].map(address, read_write, cached, spaces[i]));
    }
}

TEST(pool_memory, "a pool takes all of its memory, whatever that held") {
    const Cap<Untyped> page = create<Untyped>(12);
    const Cap<Frame> dirty = create_in<Frame>(page);
    CHECK_OK(dirty.map(small_window, read_write, cached, own_vspace));
    for (uint64_t offset = 0; offset < page_bytes; offset += 8) word_at(small_window + offset) = ~uint64_t{0};
    revoke(page);
    const Cap<ASIDPool> pool = make_pool(page);
    for (unsigned i = 0; i < 20; ++i) CHECK_OK(pool.assign(create<VSpace>()));
    const Result<void> second = page.retype(abi::ObjectType::Endpoint, 0, 0, 0, take_slots(), 1, own_cnode);
    CHECK_ERROR(second, NotEnoughMemory);
    CHECK_EQUAL(second.detail(0), 0);
    // The same of memory that was never used before.
    const Cap<Untyped> fresh = create<Untyped>(12);
    make_pool(fresh);
    CHECK_ERROR(fresh.retype(abi::ObjectType::Endpoint, 0, 0, 0, take_slots(), 1, own_cnode), NotEnoughMemory);
}

}  // namespace caprock::conformance
