// SPDX-License-Identifier: BSD-2-Clause
// Untyped::Retype.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

using abi::ObjectType;

Result<void> retype(Cap<Untyped> untyped, ObjectType type, uint64_t bits, uint64_t slot, uint64_t count = 1) {
    return untyped.retype(type, bits, 0, 0, slot, count, own_cnode);
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

TEST(order_retype, "Retype's checks come in the documented order") {
    const Cap<Untyped> untyped = create<Untyped>(13);
    const Cap<CNode> node = create<CNode>(2);
    const CapRef nothing{take_slots()};
    const uint64_t far = uint64_t{1} << 20;
    const auto attempt = [&](ObjectType type, uint64_t bits, uint64_t index, uint64_t depth, uint64_t offset, uint64_t count, CapRef root) {
        return untyped.retype(type, bits, index, depth, offset, count, root);
    };
    Order order(abi::Method::UntypedRetype);
    NEXT(order, attempt(ObjectType{12}, 99, far, 65, 99, 0, nothing)).number(0);
    AGAIN(order, attempt(ObjectType{~uint64_t{0}}, 99, far, 65, 99, 0, nothing)).number(0);
    NEXT(order, attempt(ObjectType::Untyped, 3, far, 65, 99, 0, nothing)).range(abi::min_untyped_bits, abi::max_untyped_bits);
    AGAIN(order, attempt(ObjectType::Untyped, 48, far, 65, 99, 0, nothing)).range(abi::min_untyped_bits, abi::max_untyped_bits);
    AGAIN(order, attempt(ObjectType::CNode, 0, far, 65, 99, 0, nothing)).range(1, 31);
    AGAIN(order, attempt(ObjectType::CNode, 32, far, 65, 99, 0, nothing)).range(1, 31);
    AGAIN(order, attempt(ObjectType::SchedContext, 6, far, 65, 99, 0, nothing)).range(abi::min_sched_context_bits, 20);
    AGAIN(order, attempt(ObjectType::SchedContext, 21, far, 65, 99, 0, nothing)).range(abi::min_sched_context_bits, 20);
    NEXT(order, attempt(ObjectType::Endpoint, 0, far, 65, 99, 0, nothing)).range(1, 64);
    NEXT(order, attempt(ObjectType::Endpoint, 0, far, 64, 99, 0, own_cnode)).lookup(false, abi::LookupFailure::GuardMismatch);
    AGAIN(order, attempt(ObjectType::Endpoint, 0, far, 64, 99, 0, nothing)).lookup(false, abi::LookupFailure::InvalidRoot);
    NEXT(order, attempt(ObjectType::Endpoint, 0, nothing.address(), 64, 99, 0, own_cnode)).lookup(false, abi::LookupFailure::MissingCapability);
    AGAIN(order, attempt(ObjectType::Endpoint, 0, untyped.address(), 64, 99, 0, own_cnode));
    AGAIN(order, attempt(ObjectType::Endpoint, 0, 0, 0, 99, 0, nothing)).lookup(false, abi::LookupFailure::InvalidRoot);
    NEXT(order, attempt(ObjectType::Endpoint, 0, node.address(), 64, 4, 0, own_cnode)).range(0, 3);
    NEXT(order, attempt(ObjectType::Endpoint, 0, node.address(), 64, 1, 0, own_cnode)).range(1, abi::retype_fan_out_limit);
    AGAIN(order, attempt(ObjectType::Endpoint, 0, node.address(), 64, 1, abi::retype_fan_out_limit + 1, own_cnode))
        .range(1, abi::retype_fan_out_limit);
    CHECK_OK(memory.retype(ObjectType::Endpoint, 0, node.address(), 64, 2, 1, own_cnode));
    NEXT(order, attempt(ObjectType::LargePage, 0, node.address(), 64, 1, 4, own_cnode)).range(1, 3);
    NEXT(order, device_untyped.retype(ObjectType::TCB, 0, node.address(), 64, 1, 2, own_cnode));
    NEXT(order, device_untyped.retype(ObjectType::TCB, 0, node.address(), 64, 1, 1, own_cnode)).number(0);
    NEXT(order, device_untyped.retype(ObjectType::Untyped, 11, node.address(), 64, 1, 1, own_cnode)).range(12, abi::max_untyped_bits);
    NEXT(order, attempt(ObjectType::LargePage, 0, node.address(), 64, 1, 1, own_cnode)).detail(0, 8192);
    AGAIN(order, device_untyped.retype(ObjectType::LargePage, 0, node.address(), 64, 1, 1, own_cnode)).detail(0, 8192);
    CHECK_OK(attempt(ObjectType::TCB, 99, node.address(), 64, 1, 1, own_cnode));
}

TEST(retype_window, "Retype fills consecutive slots of the CNode that is named, and no others") {
    const Cap<CNode> node = create<CNode>(3);
    CHECK_OK(memory.retype(ObjectType::Endpoint, 0, node.address(), 64, 2, 3, own_cnode));
    const Cap<CNode> reached = mint(node, abi::CNodeCapData::make(61, 0).raw);
    for (uint64_t i = 0; i < 8; ++i) {
        const uint64_t target = take_slots();
        const Result<void> copied = own_cnode.copy(target, address_bits, i, address_bits, all_rights, reached);
        if (i >= 2 && i < 5) CHECK_OK(copied);
        else CHECK_LOOKUP(copied, true, MissingCapability);
    }
}

TEST(retype_fan_out, "Retype makes as many objects at once as the limit says") {
    const Cap<CNode> node = create<CNode>(8);
    CHECK_OK(memory.retype(ObjectType::SmallPage, 0, node.address(), 64, 0, abi::retype_fan_out_limit, own_cnode));
    const Cap<CNode> reached = mint(node, abi::CNodeCapData::make(56, 0).raw);
    uint64_t last = 0;
    for (uint64_t i = 0; i < abi::retype_fan_out_limit; ++i) {
        const Cap<Frame> frame{take_slots()};
        CHECK_OK(own_cnode.copy(frame.address(), address_bits, i, address_bits, all_rights, reached));
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
        const Cap<Frame> frame{take_slots()};
        CHECK_OK(retype(untyped, ObjectType::SmallPage, 0, frame.address()));
        CHECK_OK(frame.map(small_window, read_write, round == 1 ? uncached : cached, own_vspace));
        for (unsigned i = 0; i < page_bytes / sizeof(uint64_t); ++i) CHECK_EQUAL(words[i], 0);
        for (unsigned i = 0; i < page_bytes / sizeof(uint64_t); ++i) words[i] = ~uint64_t{0};
        revoke(untyped);
    }
}

TEST(retype_reuse, "an untyped is full until its children are gone, and then free from the start") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const uint64_t slot = take_slots(2);
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, slot));
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, slot + 1));
    const Result<void> full = retype(untyped, ObjectType::Endpoint, 0, take_slots());
    CHECK_ERROR(full, NotEnoughMemory);
    CHECK_EQUAL(full.detail(0), 0);
    delete_cap(CapRef{slot});
    CHECK_ERROR(retype(untyped, ObjectType::TCB, 0, slot), NotEnoughMemory);
    delete_cap(CapRef{slot + 1});
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, slot));
}

TEST(retype_free_bytes, "an error tells the bytes that are left, behind what alignment takes") {
    const Cap<Untyped> untyped = create<Untyped>(13);
    create_in<Endpoint>(untyped);
    const Result<void> large = retype(untyped, ObjectType::LargePage, 0, take_slots());
    CHECK_ERROR(large, NotEnoughMemory);
    CHECK_EQUAL(large.detail(0), 8192 - 16);
    // The page begins at the next multiple of its size, and then nothing is left.
    CHECK_OK(retype(untyped, ObjectType::SmallPage, 0, take_slots()));
    const Result<void> next = retype(untyped, ObjectType::Endpoint, 0, take_slots());
    CHECK_ERROR(next, NotEnoughMemory);
    CHECK_EQUAL(next.detail(0), 0);
}

TEST(retype_aligned, "objects lie aligned to their size, one after another") {
    const Cap<Untyped> untyped = create<Untyped>(24 - 1);
    create_in<Endpoint>(untyped);
    const uint64_t slot = take_slots(3);
    CHECK_OK(retype(untyped, ObjectType::LargePage, 0, slot, 3));
    const uint64_t first = CHECK_OK(Cap<Frame>{slot}.get_address());
    CHECK_EQUAL(first % large_bytes, 0);
    for (uint64_t i = 1; i < 3; ++i) CHECK_EQUAL(CHECK_OK(Cap<Frame>{slot + i}.get_address()), first + i * large_bytes);
    CHECK_ERROR(retype(untyped, ObjectType::LargePage, 0, take_slots()), NotEnoughMemory);
}

TEST(retype_error_changes_nothing, "a Retype that fails takes no memory and fills no slot") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<CNode> node = create<CNode>(3);
    CHECK_OK(memory.retype(ObjectType::Endpoint, 0, node.address(), 64, 5, 1, own_cnode));
    // The last of three slots is occupied; the untyped has room for the first two.
    CHECK_ERROR(untyped.retype(ObjectType::Notification, 0, node.address(), 64, 3, 3, own_cnode), DeleteFirst);
    const Cap<CNode> root = as_root(node, 3);
    CHECK_LOOKUP(own_cnode.move(take_slots(), 64, 3, 64, root), true, MissingCapability);
    CHECK_OK(retype(untyped, ObjectType::SmallPage, 0, take_slots()));
}

TEST(retype_rights, "what Retype makes has all rights, no badge and no guard") {
    const Cap<CNode> node = create<CNode>(2);
    // Without a guard two bits name a slot.
    CHECK_OK(memory.retype(ObjectType::Notification, 0, node.address(), 64, 3, 1, own_cnode));
    const Cap<Notification> notification{take_slots()};
    CHECK_OK(own_cnode.move(notification.address(), 64, 3, 2, node));
    CHECK_EQUAL(sys::nb_send(notification.address(), sys::ShortMessage{}), abi::Error::NoError);
    sys::ShortMessage message;
    sys::nb_wait(notification.address(), message);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
    CHECK_EQUAL(message.badge, 0);
    CHECK_OK(mint_to(take_slots(), notification, 5));
}

TEST(retype_nested, "untypeds are split down to 16 bytes, and an endpoint fits into that") {
    Cap<Untyped> inner = create<Untyped>(12);
    for (unsigned bits = 11; bits >= abi::min_untyped_bits; --bits) {
        const Cap<Untyped> outer = inner;
        inner = create_in<Untyped>(outer, bits);
        CHECK_OK(retype(outer, ObjectType::Untyped, bits, take_slots()));
        CHECK_ERROR(retype(outer, ObjectType::Untyped, abi::min_untyped_bits, take_slots()), NotEnoughMemory);
    }
    CHECK_ERROR(retype(inner, ObjectType::Notification, 0, take_slots()), NotEnoughMemory);
    create_in<Endpoint>(inner);
}

TEST(retype_device, "a device untyped makes only untypeds and frames, of at least a page") {
    const uint64_t slot = take_slots(2);
    constexpr ObjectType memory_types[] = {ObjectType::TCB,   ObjectType::Endpoint, ObjectType::Notification, ObjectType::CNode,
                                           ObjectType::Reply, ObjectType::VSpace,   ObjectType::PageTable,    ObjectType::SchedContext};
    for (const ObjectType type : memory_types) CHECK_ARGUMENT(retype(device_untyped, type, 8, slot), 0);
    CHECK_RANGE(retype(device_untyped, ObjectType::Untyped, 11, slot), 12, abi::max_untyped_bits);
    CHECK_OK(retype(device_untyped, ObjectType::Untyped, 12, slot));
    CHECK_OK(retype(device_untyped, ObjectType::SmallPage, 0, slot + 1));
    CHECK_EQUAL(CHECK_OK(Cap<Frame>{slot + 1}.get_address()), shared_page().device_address + page_bytes);
    // What is made of a device untyped is one too.
    CHECK_ARGUMENT(retype(Cap<Untyped>{slot}, ObjectType::Endpoint, 0, take_slots()), 0);
    CHECK_ERROR(Cap<Frame>{slot + 1}.clean_data(0, 64), IllegalOperation);
}

TEST(retype_zeroes_large, "the memory of a large object is zero to its last byte, also when it was used a moment ago") {
    const Cap<Untyped> untyped = create<Untyped>(21);
    for (unsigned round = 0; round < 2; ++round) {
        const Cap<Frame> frame{take_slots()};
        CHECK_OK(retype(untyped, ObjectType::LargePage, 0, frame.address()));
        CHECK_OK(frame.map(large_window, read_write, cached, own_vspace));
        uint64_t found = 0;
        for (uint64_t offset = 0; offset < large_bytes; offset += 64) {
            found |= word_at(large_window + offset) | word_at(large_window + offset + 56);
            word_at(large_window + offset) = ~uint64_t{0};
            word_at(large_window + offset + 56) = ~uint64_t{0};
        }
        CHECK_EQUAL(found, 0);
        revoke(untyped);
    }
}

TEST(retype_preempted, "a Retype that is preempted while it clears ends with all objects made") {
    const Cap<Untyped> untyped = create<Untyped>(23);
    const Cap<Frame> frames[] = {create_in<Frame>(untyped), create_in<Frame>(untyped)};
    const uint64_t large = take_slots(3);
    Ticker ticker(60);
    CHECK_OK(retype(untyped, ObjectType::LargePage, 0, large, 3));
    ticker.check_on_time();
    const uint64_t first = CHECK_OK(frames[0].get_address());
    CHECK_EQUAL(CHECK_OK(Cap<Frame>{large + 2}.get_address()), first + (uint64_t{3} << 21));
}

TEST(retype_abandoned, "memory that was partly cleared by a Retype that never ended is zero for the next one") {
    const Cap<Untyped> untyped = create<Untyped>(21);
    static constinit Cap<TCB> victim{};
    for (unsigned round = 0; round < 6; ++round) {
        // All of it is dirty.
        const Cap<Frame> dirty{take_slots()};
        CHECK_OK(retype(untyped, ObjectType::LargePage, 0, dirty.address()));
        CHECK_OK(dirty.map(large_window, read_write, cached, own_vspace));
        for (uint64_t offset = 0; offset < large_bytes; offset += 64) word_at(large_window + offset) = ~uint64_t{0};
        revoke(untyped);
        // A thread clears it for one large frame, and is suspended in the middle.
        auto retyping = [&] { CHECK_OK(retype(untyped, ObjectType::LargePage, 0, dirty.address())); };
        const Thread& thread = prepare(retyping, {.priority = lower_priority});
        victim = thread.tcb;
        auto suspending = [] {
            sys::yield();
            CHECK_OK(victim.suspend());
        };
        const Thread& other = spawn(suspending, {.budget = 20, .period = 25 + 15 * round});
        thread.resume();
        other.join();
        CHECK(is_empty(dirty));
        // The frames take what was cleared, or lie behind a gap and something small.
        if (round % 2 == 0) create_in<Endpoint>(untyped);
        const Cap<CNode> node = create<CNode>(8);
        CHECK_OK(untyped.retype(ObjectType::SmallPage, 0, node.address(), 64, 0, 256, own_cnode));
        uint64_t found = 0;
        for (uint64_t i = 0; i < 256; ++i) {
            const Cap<Frame> frame{take_slots()};
            CHECK_OK(own_cnode.move(frame.address(), 64, i, 8, node));
            CHECK_OK(frame.map(small_window, read_only, cached, own_vspace));
            for (uint64_t offset = 0; offset < page_bytes; offset += 64) found |= word_at(small_window + offset);
            delete_cap(frame);
        }
        CHECK_EQUAL(found, 0);
        revoke(untyped);
        delete_cap(thread.tcb);
        delete_cap(other.tcb);
        forget_threads(2);
    }
}

TEST(retype_zeroes_behind_gap, "objects that begin within a page whose first bytes are another object's hold zeroes") {
    const Cap<Untyped> untyped = create<Untyped>(16);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    for (uint64_t offset = 0; offset < page_bytes; offset += 8) word_at(small_window + offset) = ~uint64_t{0};
    revoke(untyped);
    create_in<Endpoint>(untyped);
    // So many that their memory is cleared in steps; the first one lies in the page.
    constexpr uint64_t count = 16;
    const Cap<TCB> first{take_slots(count)};
    CHECK_OK(retype(untyped, ObjectType::TCB, 0, first.address(), count));
    abi::UserContext context{};
    CHECK_OK(first.read_registers(0, sizeof context / sizeof(uint64_t), context));
    context.spsr = 0;
    for (const uint64_t& word : reinterpret_cast<const uint64_t(&)[sizeof context / sizeof(uint64_t)]>(context)) CHECK_EQUAL(word, 0);
}

TEST(retype_between, "a Retype of many objects lets others run between two of them") {
    constexpr uint64_t count = abi::retype_fan_out_limit;
    constexpr uint64_t bytes = count * 2048;
    const Cap<Untyped> untyped = create<Untyped>(19);
    const uint64_t slots = take_slots(count);
    bool between = false;
    // Somebody looks at it at moments that sweep through the call, which clears the memory first.
    for (uint64_t wait = 20; wait < 200 && !between; ++wait) {
        uint64_t free_bytes = 0;
        auto looking = [&] {
            sys::yield();
            free_bytes = CHECK_OK(inspect.read_untyped(untyped)).free_bytes;
        };
        const Thread& thread = spawn(looking, {.budget = 20, .period = wait});
        CHECK_OK(retype(untyped, ObjectType::TCB, 0, slots, count));
        thread.join();
        between = free_bytes != 0 && free_bytes != bytes;
        revoke(untyped);
        delete_cap(thread.tcb);
        forget_threads(1);
    }
    CHECK(between);
}

TEST(retype_many_preempted, "a Retype of many objects that is preempted between them ends with each of them in its slot, once") {
    const Cap<Untyped> untyped = create<Untyped>(22);
    const Cap<CNode> node = create<CNode>(9);
    Ticker ticker(25);
    // Each round meets it somewhere else.
    for (unsigned round = 0; round < 4; ++round) {
        revoke(untyped);
        CHECK_OK(untyped.retype(ObjectType::TCB, 0, node.address(), 64, 100, abi::retype_fan_out_limit, own_cnode));
        ticker.check_on_time(round + 1);
        uint64_t last = 0;
        for (uint64_t slot = 0; slot < 512; ++slot) {
            const auto read = CHECK_OK(inspect.read_cnode(slot, node));
            const bool made = slot >= 100 && slot < 100 + abi::retype_fan_out_limit;
            CHECK_EQUAL(read.kind, made ? abi::CapType::TCB : abi::CapType::Null);
            if (made) CHECK(read.identity != last);
            last = read.identity;
        }
    }
    CHECK_EQUAL(CHECK_OK(inspect.read_untyped(untyped)).free_bytes, (uint64_t{1} << 22) - abi::retype_fan_out_limit * 2048);
}

}  // namespace caprock::conformance
