// SPDX-License-Identifier: BSD-2-Clause
// Untyped::Retype.
#include "tests/target/thread.hpp"

namespace caprock::target {

namespace {

using abi::ObjectType;

Result<void> retype(Cap<Untyped> untyped, ObjectType type, uint64_t bits, uint64_t slot, uint64_t count = 1) {
    return untyped.retype(type, bits, 0, 0, slot, count, root_cnode);
}

Cap<Untyped> device_untyped() {
    const loader::BootView& boot = environment.boot();
    for (uint64_t i = 0; i < boot.untyped_count(); ++i)
        if (boot.info->untyped_list[i].is_device != 0) return Cap<Untyped>{boot.untyped_slot(i)};
    fail(Text() << "the machine has no device untyped");
}

}  // namespace

TEST(every_type, "Retype makes every type of object") {
    constexpr struct {
        ObjectType type;
        uint64_t bits;
    } kinds[] = {{ObjectType::Untyped, 4},      {ObjectType::Untyped, 20},     {ObjectType::TCB, 0},    {ObjectType::Endpoint, 0},
                 {ObjectType::Notification, 0}, {ObjectType::CNode, 1},        {ObjectType::CNode, 10}, {ObjectType::SchedContext, 7},
                 {ObjectType::SchedContext, 12}, {ObjectType::Reply, 0},       {ObjectType::VSpace, 0}, {ObjectType::SmallPage, 0},
                 {ObjectType::LargePage, 0},    {ObjectType::PageTable, 0}};
    for (const auto& kind : kinds) CHECK_OK(try_create(kind.type, kind.bits));
}

TEST(retype_argument_order, "Retype's errors come in the documented order") {
    const Cap<Untyped> untyped = create<Untyped>(13);
    const Cap<CNode> node = create<CNode>(2);
    const uint64_t slot = environment.take_slots();
    CHECK_ARGUMENT(untyped.retype(ObjectType{12}, 99, 0, 65, 99, 0, CapRef{slot}), 0);
    CHECK_RANGE(untyped.retype(ObjectType::Untyped, 3, 0, 65, 99, 0, CapRef{slot}), abi::min_untyped_bits, abi::max_untyped_bits);
    CHECK_RANGE(untyped.retype(ObjectType::Untyped, 48, 0, 65, 99, 0, CapRef{slot}), abi::min_untyped_bits, abi::max_untyped_bits);
    CHECK_RANGE(untyped.retype(ObjectType::CNode, 0, 0, 65, 99, 0, CapRef{slot}), 1, 31);
    CHECK_RANGE(untyped.retype(ObjectType::SchedContext, 21, 0, 65, 99, 0, CapRef{slot}), abi::min_sched_context_bits, 20);
    CHECK_RANGE(untyped.retype(ObjectType::Endpoint, 0, 0, 65, 99, 0, CapRef{slot}), 1, 64);
    CHECK_LOOKUP(untyped.retype(ObjectType::Endpoint, 0, 0, 64, 99, 0, CapRef{slot}), false, InvalidRoot);
    CHECK_LOOKUP(untyped.retype(ObjectType::Endpoint, 0, slot, 64, 99, 0, root_cnode), false, MissingCapability);
    CHECK_LOOKUP(untyped.retype(ObjectType::Endpoint, 0, 0, 0, 99, 0, CapRef{slot}), false, InvalidRoot);
    CHECK_RANGE(untyped.retype(ObjectType::Endpoint, 0, node.address(), 64, 4, 0, root_cnode), 0, 3);
    CHECK_RANGE(untyped.retype(ObjectType::Endpoint, 0, node.address(), 64, 1, 0, root_cnode), 1, abi::retype_fan_out_limit);
    CHECK_RANGE(untyped.retype(ObjectType::Endpoint, 0, node.address(), 64, 1, abi::retype_fan_out_limit + 1, root_cnode), 1,
                abi::retype_fan_out_limit);
    CHECK_RANGE(untyped.retype(ObjectType::Endpoint, 0, node.address(), 64, 1, 4, root_cnode), 1, 3);
    CHECK_OK(untyped.retype(ObjectType::Endpoint, 0, node.address(), 64, 2, 1, root_cnode));
    CHECK_ERROR(untyped.retype(ObjectType::LargePage, 0, node.address(), 64, 1, 2, root_cnode), DeleteFirst);
    const Result<void> large = untyped.retype(ObjectType::LargePage, 0, node.address(), 64, 1, 1, root_cnode);
    CHECK_ERROR(large, NotEnoughMemory);
    CHECK_EQUAL(large.detail(0), 8192 - 16);
}

TEST(retype_window, "Retype fills consecutive slots of the CNode that is named, and no others") {
    const Cap<CNode> node = create<CNode>(3);
    CHECK_OK(environment.memory().retype(ObjectType::Endpoint, 0, node.address(), 64, 2, 3, root_cnode));
    const Cap<CNode> reached = mint(node, abi::CNodeCapData::make(61, 0).raw);
    for (uint64_t i = 0; i < 8; ++i) {
        const uint64_t target = environment.take_slots();
        const Result<void> copied = root_cnode.copy(target, address_bits, i, address_bits, all_rights, reached);
        if (i >= 2 && i < 5) CHECK_OK(copied);
        else CHECK_LOOKUP(copied, true, MissingCapability);
    }
}

TEST(retype_fan_out, "Retype makes as many objects at once as the limit says") {
    const Cap<CNode> node = create<CNode>(8);
    CHECK_OK(environment.memory().retype(ObjectType::SmallPage, 0, node.address(), 64, 0, abi::retype_fan_out_limit, root_cnode));
    const Cap<CNode> reached = mint(node, abi::CNodeCapData::make(56, 0).raw);
    uint64_t last = 0;
    for (uint64_t i = 0; i < abi::retype_fan_out_limit; ++i) {
        const Cap<Frame> frame{environment.take_slots()};
        CHECK_OK(root_cnode.copy(frame.address(), address_bits, i, address_bits, all_rights, reached));
        const uint64_t address = CHECK_OK(frame.get_address());
        if (i > 0) CHECK_EQUAL(address, last + page_bytes);
        last = address;
        delete_cap(frame);
    }
}

TEST(retype_zeroes, "memory that is used again holds zeroes") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    volatile uint64_t* const words = reinterpret_cast<volatile uint64_t*>(small_window);
    for (unsigned round = 0; round < 3; ++round) {
        const Cap<Frame> frame{environment.take_slots()};
        CHECK_OK(retype(untyped, ObjectType::SmallPage, 0, frame.address()));
        CHECK_OK(frame.map(small_window, read_write, round == 1 ? uncached : cached, root_vspace));
        for (unsigned i = 0; i < page_bytes / sizeof(uint64_t); ++i) CHECK_EQUAL(words[i], 0);
        for (unsigned i = 0; i < page_bytes / sizeof(uint64_t); ++i) words[i] = ~uint64_t{0};
        revoke(untyped);
    }
}

TEST(retype_reuse, "an untyped is full until its children are gone, and then free from the start") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const uint64_t slot = environment.take_slots(2);
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, slot));
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, slot + 1));
    const Result<void> full = retype(untyped, ObjectType::Endpoint, 0, environment.take_slots());
    CHECK_ERROR(full, NotEnoughMemory);
    CHECK_EQUAL(full.detail(0), 0);
    delete_cap(CapRef{slot});
    CHECK_ERROR(retype(untyped, ObjectType::TCB, 0, slot), NotEnoughMemory);
    delete_cap(CapRef{slot + 1});
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, slot));
}

TEST(retype_device, "a device untyped makes only untypeds and frames, of at least a page") {
    const Cap<Untyped> device = device_untyped();
    const uint64_t slot = environment.take_slots();
    CHECK_ARGUMENT(retype(device, ObjectType::TCB, 0, slot), 0);
    CHECK_ARGUMENT(retype(device, ObjectType::PageTable, 0, slot), 0);
    CHECK_RANGE(retype(device, ObjectType::Untyped, 11, slot), 12, abi::max_untyped_bits);
}

TEST(retype_preempted, "a Retype that is preempted while it clears ends with all objects made") {
    // Another thread gets its turns meanwhile: its budget comes back often.
    volatile uint64_t turns = 0;
    auto ticking = [&] {
        for (;;) {
            turns = turns + 1;
            sys::yield();
        }
    };
    spawn(ticking, {.budget = 20, .period = 200});
    const Cap<Untyped> untyped = create<Untyped>(23);
    const uint64_t before = turns;
    const Cap<Frame> frames[] = {create_in<Frame>(untyped), create_in<Frame>(untyped)};
    const uint64_t large = environment.take_slots(3);
    CHECK_OK(retype(untyped, ObjectType::LargePage, 0, large, 3));
    CHECK(turns > before);
    const uint64_t first = CHECK_OK(frames[0].get_address());
    CHECK_EQUAL(CHECK_OK(Cap<Frame>{large + 2}.get_address()), first + (uint64_t{3} << 21));
}

}  // namespace caprock::target
