// SPDX-License-Identifier: BSD-2-Clause
// Defects that other kernels have had, each as the scenario that showed it.
#include "tests/conformance/component/space.hpp"
#include "tests/conformance/component/probes.hpp"

namespace caprock::conformance {

namespace {

using abi::Error;
using abi::FaultLabel;
using abi::MessageInfo;

struct Channel {
    Cap<Endpoint> endpoint = create<Endpoint>();
    Cap<Reply> reply = create<Reply>();
};

struct Spinner {
    volatile uint64_t count = 0;
    void operator()() {
        for (;;) count = count + 1;
    }
};

// A passive server that spins between a call and its reply until it is told to finish.
struct SpinningServer {
    Channel channel;
    volatile bool finish = false;
    volatile uint64_t count = 0;
    Thread* thread = nullptr;

    explicit SpinningServer(CapRef fault_endpoint = {}) {
        thread = &spawn(*this, {.fault_endpoint = fault_endpoint});
        CHECK_OK(thread->context.unbind());
        CHECK_OK(thread->tcb.set_priority(lower_priority, own_tcb));
    }
    void operator()() {
        sys::ShortMessage message;
        sys::recv(channel.endpoint.address(), channel.reply.address(), message);
        for (;;) {
            while (!finish) count = count + 1;
            message.info = MessageInfo{0};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
        }
    }
};

struct Caller {
    Cap<Endpoint> endpoint;
    sys::ShortMessage result{};
    void operator()() {
        result = {MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), result);
    }
};

void fill_frame(Cap<Frame> frame, uint64_t value) {
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    word_at(small_window) = value;
    CHECK_OK(frame.unmap());
}

}  // namespace

// -- Caches and address spaces

TEST(asid_truncated, "unmapping in a space with an ASID beyond 8 bits takes effect there, and not in the one with the same low bits") {
    // ASIDs of the component's pool are given in ascending order.
    const Cap<VSpace> low = create_space();
    const uint64_t low_asid = CHECK_OK(inspect.read_cnode(low.address(), own_cnode)).badge;
    Cap<VSpace> high{};
    for (uint64_t asid = 0; asid != low_asid + 256;) {
        high = create_space();
        asid = CHECK_OK(inspect.read_cnode(high.address(), own_cnode)).badge;
    }
    Cap<Frame> frames[2];
    const Cap<VSpace> spaces[] = {low, high};
    for (unsigned i = 0; i < 2; ++i) {
        map_image(spaces[i]);
        make_tables(spaces[i], empty_terabyte);
        frames[i] = create<Frame>();
        CHECK_OK(frames[i].map(empty_terabyte, read_only, cached, spaces[i]));
        CHECK(!load_faults(empty_terabyte, spaces[i]));
    }
    CHECK_OK(frames[1].unmap());
    CHECK(load_faults(empty_terabyte, high));
    CHECK(!load_faults(empty_terabyte, low));
    CHECK_OK(frames[1].map(empty_terabyte, read_only, cached, high));
    CHECK_OK(frames[0].unmap());
    CHECK(load_faults(empty_terabyte, low));
    CHECK(!load_faults(empty_terabyte, high));
}

TEST(cleared_in_cache_only, "memory that was dirty in the cache is zero for an uncached mapping of its next owner") {
    const Cap<Untyped> untyped = create<Untyped>(21);
    const Cap<Frame> dirty{take_slots()};
    CHECK_OK(untyped.retype(abi::ObjectType::LargePage, 0, 0, 0, dirty.address(), 1, own_cnode));
    CHECK_OK(dirty.map(large_window, read_write, cached, own_vspace));
    for (uint64_t offset = 0; offset < large_bytes; offset += 512) word_at(large_window + offset) = ~offset;
    revoke(untyped);
    const uint64_t slot = take_slots(16);
    CHECK_OK(untyped.retype(abi::ObjectType::SmallPage, 0, 0, 0, slot, 16, own_cnode));
    for (uint64_t i = 0; i < 16; ++i) {
        CHECK_OK(Cap<Frame>{slot + i}.map(small_window, read_only, uncached, own_vspace));
        for (uint64_t offset = 0; offset < page_bytes; offset += 8) CHECK_EQUAL(word_at(small_window + offset), 0);
        CHECK_OK(Cap<Frame>{slot + i}.unmap());
    }
}

TEST(stale_code, "other code at the same address runs as it was written, mapping after mapping") {
    for (uint32_t i = 0; i < 6; ++i) {
        const Cap<Frame> frame = create<Frame>();
        CHECK_OK(frame.map(small_window, read_write, cached_executable, own_vspace));
        volatile uint32_t* const code = reinterpret_cast<volatile uint32_t*>(small_window);
        code[0] = 0x52800000 | (i + 40) << 5;   // mov w0, #i + 40
        code[1] = 0xd65f03c0;                   // ret
        CHECK_OK(frame.unify_instruction(0, 8));
        CHECK_EQUAL(reinterpret_cast<uint32_t (*)()>(small_window)(), i + 40);
        CHECK_OK(frame.unmap());
    }
}

TEST(invalidate_read_only, "invalidating through a read-only capability and mapping does no harm, and undoes no write") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> weak = copy(frame, read_only);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    CHECK_OK(weak.map(small_window + page_bytes, read_only, cached, own_vspace));
    word_at(small_window + 24) = 99;
    CHECK_OK(weak.invalidate_data(0, page_bytes));
    CHECK_OK(own_vspace.invalidate_data(small_window + page_bytes, small_window + 2 * page_bytes));
    CHECK_EQUAL(word_at(small_window + page_bytes + 24), 99);
}

TEST(stale_frame_maintained, "cache maintenance through capabilities of mappings that are gone does not crash") {
    const Cap<Untyped> untyped = create<Untyped>(16);
    const Cap<Untyped> page = create<Untyped>(12);
    const Cap<ASIDPool> pool{take_slots()};
    CHECK_OK(asid_control.make_pool(pool.address(), 64, page, own_cnode));
    const Cap<VSpace> vspace = create<VSpace>();
    CHECK_OK(pool.assign(vspace));
    make_tables(vspace, empty_terabyte, untyped);
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(empty_terabyte, read_write, cached, vspace));
    // The tables go, then the ASID.
    revoke(untyped);
    CHECK_OK(frame.clean_invalidate_data(0, page_bytes));
    CHECK_OK(vspace.clean_invalidate_data(empty_terabyte, empty_terabyte + page_bytes));
    revoke(page);
    CHECK_OK(frame.unify_instruction(0, page_bytes));
    CHECK_CAPABILITY(vspace.clean_data(empty_terabyte, empty_terabyte + page_bytes), 0);
    CHECK_OK(frame.unmap());
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
}

TEST(stale_frame_unmapped, "a frame capability of a dead address space does not unmap what has its ASID and its address now") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<VSpace> first = create_in<VSpace>(untyped);
    CHECK_OK(own_asid_pool.assign(first));
    const uint64_t asid = CHECK_OK(inspect.read_cnode(first.address(), own_cnode)).badge;
    make_tables(first, empty_terabyte);
    const Cap<Frame> stale = create<Frame>();
    const Cap<Frame> stale_too = create<Frame>();
    const Cap<Frame> live = create<Frame>();
    fill_frame(live, 0x11fe);
    CHECK_OK(stale.map(empty_terabyte, read_write, cached, first));
    CHECK_OK(stale_too.map(empty_terabyte + page_bytes, read_write, cached, first));
    revoke(untyped);
    const Cap<VSpace> second = create_in<VSpace>(untyped);
    CHECK_OK(own_asid_pool.assign(second));
    CHECK_EQUAL(CHECK_OK(inspect.read_cnode(second.address(), own_cnode)).badge, asid);
    map_image(second);
    make_tables(second, empty_terabyte);
    CHECK_OK(live.map(empty_terabyte, read_only, cached, second));
    const Cap<Frame> other = copy(live);
    CHECK_OK(other.map(empty_terabyte + page_bytes, read_only, cached, second));
    CHECK_OK(stale.unmap());
    delete_cap(stale_too);
    CHECK(!load_faults(empty_terabyte, second));
    CHECK(!load_faults(empty_terabyte + page_bytes, second));
    // Nor can a stale capability change the mapping of the other.
    CHECK_OK(stale.map(small_window, read_write, cached, own_vspace));
    revoke(untyped);
}

// -- Scheduling contexts

TEST(context_used_after_unbind, "a context is unbound from a thread in every state, and each of them goes on with another") {
    Spinner spinner;
    const Thread& ready = spawn(spinner, {.priority = lower_priority});
    const Thread& spent = spawn(spinner, {.priority = higher_priority, .budget = 50, .period = 1'000'000});
    const Channel channel;
    Caller caller{channel.endpoint};
    const Thread& blocked = spawn(caller);
    const Thread& inactive = prepare(spinner, {.priority = lower_priority});
    const Thread* const threads[] = {&ready, &spent, &blocked, &inactive};
    for (const Thread* thread : threads) {
        CHECK_OK(thread->context.unbind());
        CHECK_OK(thread->context.consumed());
        set_budget(thread->context, 300, 400);
        CHECK_ERROR(thread->context.yield_to(), IllegalOperation);
        CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread->tcb)).sched_context, 0);
    }
    const uint64_t seen = spinner.count;
    sleep(2'000);
    CHECK_EQUAL(spinner.count, seen);
    // In a circle: each has another's context.
    for (unsigned i = 0; i < 4; ++i) CHECK_OK(threads[i]->context.bind(threads[(i + 1) % 4]->tcb));
    sleep(2'000);
    CHECK(spinner.count > seen);
    sys::ShortMessage message;
    sys::recv(channel.endpoint.address(), channel.reply.address(), message);
    CHECK_EQUAL(sys::send(channel.reply.address(), sys::ShortMessage{}), Error::NoError);
    blocked.join();
}

TEST(donor_in_release_queue, "a caller whose lent context waits for its refill is deleted, and the server goes on when it has another") {
    SpinningServer server;
    Caller caller{server.channel.endpoint};
    const Thread& thread = spawn(caller, {.priority = lower_priority, .budget = 100, .period = 1'000'000});
    sleep(2'000);
    CHECK(server.count > 0);
    const uint64_t seen = server.count;
    sleep(2'000);
    CHECK_EQUAL(server.count, seen);
    delete_cap(thread.tcb);
    sleep(2'000);
    CHECK_EQUAL(server.count, seen);
    delete_cap(thread.context);
    sleep(2'000);
    CHECK_EQUAL(server.count, seen);
    server.finish = true;
    CHECK_OK(server.thread->context.bind(server.thread->tcb));
    sleep(1'000);
    // It replied to nobody, and serves the next.
    Caller next{server.channel.endpoint};
    spawn(next, {.priority = lower_priority}).join();
    CHECK_EQUAL(next.result.info.label(), Error::NoError);
}

TEST(refill_overflow, "no pattern of use and reconfiguration overflows the refills, whatever their number") {
    for (uint64_t extra = 0; extra < 9; extra += 4) {
        const Cap<SchedContext> context = create<SchedContext>(9);
        const Cap<Notification> tick = create<Notification>();
        auto ticking = [&] {
            for (unsigned i = 0; i < 60; ++i) {
                sys::signal(tick.address());
                sys::yield();
            }
        };
        auto working = [&] {
            for (;;) {
                sys::ShortMessage message;
                sys::wait(tick.address(), message);
                for (unsigned i = 0; i < 300; ++i) asm volatile("");
            }
        };
        const Thread& worker = prepare(working, {.priority = lower_priority, .passive = true});
        set_budget(context, 400, 2'000, extra);
        CHECK_OK(context.bind(worker.tcb));
        worker.resume();
        const Thread& ticker = spawn(ticking, {.budget = 20, .period = 70});
        for (unsigned i = 0; i < 10; ++i) {
            sleep(300);
            set_budget(context, 100 + 37 * i, 2'000 - 111 * i, extra);
        }
        ticker.join();
        CHECK(CHECK_OK(context.consumed()) > 0);
        delete_cap(worker.tcb);
    }
}

TEST(chain_deleted_in_the_middle, "of a chain of passive servers each part is deleted, and its caller is told") {
    enum : unsigned { FirstServer, SecondServer, FirstReply, SecondReply, Context, cases };
    for (unsigned which = 0; which < cases; ++which) {
        // A server whose reply object is gone faults at its next receive.
        const Cap<Endpoint> faults = create<Endpoint>();
        SpinningServer second(faults);
        const Cap<Untyped> reply_memory = create<Untyped>(12);
        const Cap<Endpoint> endpoint = create<Endpoint>();
        const Cap<Reply> reply = create_in<Reply>(reply_memory);
        sys::ShortMessage inner{};
        auto forwarding = [&] {
            sys::ShortMessage message;
            sys::recv(endpoint.address(), reply.address(), message);
            inner = {MessageInfo{0}, 0, {}};
            sys::call(second.channel.endpoint.address(), inner);
            message.info = MessageInfo::make(1, 0, 0, 0);
            message.words[0] = 1 + inner.info.label();
            sys::reply_recv(endpoint.address(), reply.address(), message);
        };
        const Thread& first = spawn(forwarding, {.fault_endpoint = faults});
        CHECK_OK(first.context.unbind());
        Caller caller{endpoint};
        const Thread& thread = spawn(caller, {.priority = lower_priority});
        sleep(500);
        CHECK(second.count > 0);
        switch (which) {
        case FirstServer: delete_cap(first.tcb); break;
        case SecondServer: delete_cap(second.thread->tcb); break;
        case FirstReply: revoke(reply_memory); break;
        case SecondReply: delete_cap(second.channel.reply); break;
        default: delete_cap(thread.context); break;
        }
        second.finish = true;
        sleep(500);
        // Whoever is left without time gets some, and then all of them come to their ends.
        const Thread* const left[] = {&thread, &first, second.thread};
        for (const Thread* waiting : left) {
            if (is_empty(waiting->tcb) || CHECK_OK(inspect.read_tcb(waiting->tcb)).sched_context != 0) continue;
            const Cap<SchedContext> more = create<SchedContext>(8);
            set_budget(more, 1'000, 1'000);
            CHECK_OK(more.bind(waiting->tcb));
        }
        if (which == FirstServer || which == FirstReply) revoke(reply_memory);
        if (which == SecondServer) delete_cap(second.channel.reply);
        sleep(500);
        CHECK(thread.done());
        const bool told = which == FirstServer || which == FirstReply;
        CHECK_EQUAL(caller.result.info.label(), told ? Error::CallCancelled : Error::NoError);
        if (!told) {
            const bool second_cancelled = which == SecondServer || which == SecondReply;
            CHECK_EQUAL(caller.result.words[0], 1 + static_cast<uint64_t>(second_cancelled ? Error::CallCancelled : Error::NoError));
        }
        const Thread* const all[] = {&thread, &first, second.thread};
        for (const Thread* gone : all) delete_cap(gone->tcb);
    }
}

TEST(stolen_time, "what two threads consumed is what passed, however often they preempt each other") {
    Spinner low;
    const Thread& below = spawn(low, {.priority = lower_priority - 1});
    auto interrupting = [] {
        for (;;) {
            for (unsigned i = 0; i < 200; ++i) asm volatile("");
            sys::yield();
        }
    };
    const Thread& above = spawn(interrupting, {.priority = lower_priority, .budget = 100, .period = 170});
    CHECK_OK(below.context.consumed());
    CHECK_OK(above.context.consumed());
    const uint64_t start = now();
    sleep(40'000);
    const uint64_t passed = (now() - start) * 1'000'000 / platform().timer_frequency;
    const uint64_t consumed = CHECK_OK(below.context.consumed()) + CHECK_OK(above.context.consumed());
    CHECK(low.count > 0);
    CHECK(consumed <= passed + 5);
    CHECK(consumed + passed / 50 + 100 >= passed);
}

TEST(blocked_and_released, "a thread that blocks with a spent budget is not woken by its refill") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    unsigned received = 0;
    auto receiving = [&] {
        const uint64_t start = now();
        while (now() - start < ticks_of(90)) {}
        sys::ShortMessage message;
        sys::wait(endpoint.address(), message);
        ++received;
    };
    const Thread& thread = spawn(receiving, {.priority = lower_priority, .budget = 100, .period = 1'000});
    for (unsigned i = 0; i < 5; ++i) sleep(1'000);
    CHECK_EQUAL(received, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 2);
    CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{}), Error::NoError);
    sleep(2'000);
    CHECK_EQUAL(received, 1);
    // The other way round: it is in the release queue when it is suspended, and stays inactive when its refill comes.
    Spinner spinner;
    const Thread& spent = spawn(spinner, {.priority = lower_priority, .budget = 100, .period = 2'000});
    sleep(500);
    CHECK_OK(spent.tcb.suspend());
    const uint64_t seen = spinner.count;
    sleep(5'000);
    CHECK_EQUAL(spinner.count, seen);
}

TEST(passive_server_hung, "no client can hang a passive server that asks for a context, by Send, NBSend or a Call without one") {
    const Channel channel;
    unsigned served = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(channel.endpoint.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
        for (;;) {
            ++served;
            message.info = MessageInfo{0};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    for (unsigned round = 1; round <= 3; ++round) {
        CHECK_EQUAL(sys::send(channel.endpoint.address(), sys::ShortMessage{}), Error::NoDonation);
        CHECK_EQUAL(sys::nb_send(channel.endpoint.address(), sys::ShortMessage{}), Error::NoDonation);
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
        CHECK_EQUAL(message.info.label(), Error::NoError);
        CHECK_EQUAL(served, round);
    }
}

TEST(reply_grant_confined, "without grant a call carries no capability there, and without grant_reply and the reply's right none back") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    const Cap<Reply> weak_reply = copy(channel.reply, abi::CapRights::make(1, 1, 0, 0));
    for (uint64_t rights = 0; rights < 4; ++rights) {
        const bool grant = (rights & 1) != 0;
        const bool grant_reply = (rights & 2) != 0;
        if (!grant && !grant_reply) continue;   // cannot be answered at all
        const Cap<Endpoint> way = copy(channel.endpoint, abi::CapRights::make(1, 0, grant, grant_reply));
        const Cap<Reply> replies[] = {channel.reply, weak_reply};
        for (const Cap<Reply> through : replies) {
            uint64_t came_back = 9;
            auto calling = [&] {
                const uint64_t slot = take_slots();
                caprock_ipc_buffer->receive_cnode = own_cnode.address();
                caprock_ipc_buffer->receive_index = slot;
                caprock_ipc_buffer->receive_depth = address_bits;
                caprock_ipc_buffer->caps_or_badges[0] = gift.address();
                sys::ShortMessage message{MessageInfo::make(0, 1, 0, 0), 0, {}};
                sys::call(way.address(), message);
                came_back = message.info.extra_caps();
            };
            spawn(calling);
            const uint64_t slot = take_slots();
            caprock_ipc_buffer->receive_cnode = own_cnode.address();
            caprock_ipc_buffer->receive_index = slot;
            caprock_ipc_buffer->receive_depth = address_bits;
            sys::ShortMessage message;
            sys::recv(channel.endpoint.address(), channel.reply.address(), message);
            CHECK_EQUAL(message.info.extra_caps(), grant);
            caprock_ipc_buffer->caps_or_badges[0] = gift.address();
            CHECK_EQUAL(sys::send(through.address(), sys::ShortMessage{MessageInfo::make(0, 1, 0, 0), 0, {}}), Error::NoError);
            CHECK_EQUAL(came_back, through == channel.reply);
        }
    }
}

// -- Registers

TEST(dead_fpu_owner, "the SIMD registers of a thread that is gone are nobody's: its memory stays as its next owner left it") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Notification> never = create<Notification>();
    bool used = false;
    auto using_simd = [&] {
        probe_fill_simd(0xabcd'0000);
        used = true;
        sys::ShortMessage message;
        sys::wait(never.address(), message);
    };
    const Thread& model = prepare(using_simd);
    // A thread whose TCB lies in memory that is taken from it while the unit holds its registers.
    const Cap<TCB> tcb = create_in<TCB>(untyped);
    abi::UserContext context{};
    constexpr uint64_t words = sizeof context / sizeof(uint64_t);
    CHECK_OK(model.tcb.read_registers(0, words, context));
    CHECK_OK(tcb.configure(abi::CNodeCapData{0}, 0, reinterpret_cast<uint64_t>(&model.buffer()), own_cnode, own_vspace,
                           data_frame(&model.buffer())));
    CHECK_OK(tcb.write_registers(0, words, context));
    CHECK_OK(model.context.unbind());
    CHECK_OK(tcb.set_sched_params(0, higher_priority, own_tcb, model.context, default_fault_endpoint));
    CHECK_OK(tcb.resume());
    CHECK(used);
    revoke(untyped);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    probe_fill_simd(5);
    auto looking = [] { CHECK_EQUAL(probe_gather_simd(), 0); };
    CHECK(spawn(looking).done());
    CHECK_EQUAL(probe_check_simd(5), 0);
    for (uint64_t offset = 0; offset < page_bytes; offset += 8) CHECK_EQUAL(word_at(small_window + offset), 0);
}

TEST(false_fpu_fault, "a thread that may use SIMD registers never faults for it, suspended, resumed and switched at any point") {
    struct User {
        volatile uint64_t rounds = 0;
        uint64_t seed;
        uint64_t changed = 0;
        void operator()() {
            for (;;) {
                probe_fill_simd(seed);
                changed += probe_check_simd(seed);
                rounds = rounds + 1;
            }
        }
    } users[2];
    const Thread* threads[2];
    for (unsigned i = 0; i < 2; ++i) {
        users[i].seed = (i + 1) * 0x1'0000;
        threads[i] = &spawn(users[i], {.priority = lower_priority, .budget = 60, .period = 60});
    }
    for (unsigned i = 0; i < 40; ++i) {
        CHECK_OK(threads[i % 2]->tcb.suspend());
        probe_use_simd();
        CHECK_OK(threads[i % 2]->tcb.resume());
        CHECK_OK(threads[i % 2]->tcb.set_flags(abi::ThreadFlags::make(1, 0, 0), abi::ThreadFlags{0}));
        sleep(130);
    }
    for (const User& user : users) {
        CHECK(user.rounds > 10);
        CHECK_EQUAL(user.changed, 0);
    }
}

TEST(thread_pointer_lost, "TPIDR_EL0 is kept over system calls, faults and suspensions") {
    const FaultHandler handler;
    const Cap<Notification> go = create<Notification>();
    bool kept = false;
    auto running = [&] {
        uint64_t before;
        asm volatile("mrs %0, tpidr_el0" : "=r"(before));
        sys::ShortMessage message;
        sys::wait(go.address(), message);
        asm volatile("udf #0" : : : "memory");
        sys::yield();
        uint64_t after;
        asm volatile("mrs %0, tpidr_el0" : "=r"(after));
        kept = before == after;
    };
    const Thread& thread = spawn(running, {.fault_endpoint = handler.endpoint()});
    CHECK_OK(thread.tcb.suspend());
    thread.resume();
    sys::signal(go.address());
    const FaultReport report = handler.receive();
    const uint64_t next = report.words[abi::UserException::fault_ip] + 4;
    handler.reply(0, &next, 1);
    thread.join();
    CHECK(kept);
}

// -- Faults and messages

TEST(lookup_details, "a CapFault has the details of every kind of failed lookup") {
    const FaultHandler handler;
    const Cap<CNode> top = create<CNode>(4);
    const Cap<CNode> inner = create<CNode>(4);
    const Cap<CNode> root = as_root(top, 4);
    // Slot 1: a node with a guard; slot 2: one that resolves more than is left.
    CHECK_OK(root.mint(1, 64, inner.address(), 64, all_rights, abi::CNodeCapData::make(8, 0xc3).raw, own_cnode));
    CHECK_OK(root.mint(2, 64, inner.address(), 64, all_rights, abi::CNodeCapData::make(60, 0).raw, own_cnode));
    // A node with itself in slot 1: each bit is a level.
    const Cap<CNode> cycle = create<CNode>(1);
    CHECK_OK(cycle.copy(1, 1, cycle.address(), 64, all_rights, own_cnode));
    const struct {
        Cap<CNode> cspace;
        uint64_t address;
        abi::LookupFailure failure;
        uint64_t details[3];
    } rows[] = {{top, 0, abi::LookupFailure::MissingCapability, {60, 0, 0}},
                {top, uint64_t{0x1c4} << 52, abi::LookupFailure::GuardMismatch, {60, 0xc3, 8}},
                {top, uint64_t{0x1c35} << 48, abi::LookupFailure::MissingCapability, {48, 0, 0}},
                {top, uint64_t{0x2} << 60, abi::LookupFailure::DepthMismatch, {60, 64, 0}},
                {cycle, ~uint64_t{0}, abi::LookupFailure::TooManyLevels, {64 - abi::cspace_levels, 0, 0}}};
    for (const auto& row : rows) {
        auto signalling = [&] { sys::signal(row.address); };
        spawn(signalling, {.fault_endpoint = handler.endpoint(), .cspace = row.cspace});
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, FaultLabel::CapFault);
        CHECK_EQUAL(report.words[abi::CapFault::addr], row.address);
        CHECK_EQUAL(report.words[abi::CapFault::lookup_failure_type], row.failure);
        CHECK_EQUAL(report.words[abi::CapFault::bits_left], row.details[0]);
        CHECK_EQUAL(report.words[abi::CapFault::detail1], row.details[1]);
        CHECK_EQUAL(report.words[abi::CapFault::detail2], row.details[2]);
    }
}

TEST(misleading_fault, "a fault of a passive server goes to the server's handler, with the server's badge and address") {
    const FaultHandler handler;
    const Channel channel;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(channel.endpoint.address(), channel.reply.address(), message);
        (void)uint64_t{word_at(empty_terabyte + 0x5678)};
    };
    const Thread& server = spawn(serving, {.fault_endpoint = mint(handler.endpoint(), 20)});
    CHECK_OK(server.context.unbind());
    Caller caller{channel.endpoint};
    const Thread& client = spawn(caller, {.fault_endpoint = mint(handler.endpoint(), 10)});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.badge, 20);
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.words[abi::VMFault::addr], empty_terabyte + 0x5678);
    CHECK_EQUAL(report.words[abi::VMFault::prefetch_fault], 0);
    CHECK(!client.done());
}

TEST(undefined_after_notification, "a receive that a notification ends has defined message info and words, whatever was there before") {
    const Cap<Notification> notification = mint(create<Notification>(), 3);
    uint64_t registers[19];
    for (uint64_t& value : registers) value = 0xdead'beef;
    sys::signal(notification.address());
    registers[0] = notification.address();
    registers[7] = static_cast<uint64_t>(abi::Syscall::Wait);
    probe_system_call(registers);
    CHECK_EQUAL(registers[0], 3);
    CHECK_EQUAL(registers[1], abi::notification_message_info);
    for (unsigned i = 0; i < abi::ipc_register_words; ++i) CHECK_EQUAL(registers[i < 4 ? 2 + i : 5 + i], 0);
}

TEST(debug_call_panics, "debug system calls take any argument without harm") {
    if (!is_debug_kernel()) skip("the kernel has no debug system calls");
    for (uint64_t slot = 0; slot < uint64_t{1} << cnode_radix; ++slot) (void)sys::debug_cap_identify(slot);
    const uint64_t addresses[] = {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << cnode_radix, 0xffff'ffff'8000'0000};
    for (const uint64_t address : addresses) CHECK_EQUAL(sys::debug_cap_identify(address), abi::CapType::Null);
    CHECK_EQUAL(sys::debug_cap_identify(0), abi::CapType::Null);
    CHECK_EQUAL(sys::debug_cap_identify(memory.address()), abi::CapType::Untyped);
    const Cap<CNode> cycle = create<CNode>(1);
    CHECK_OK(cycle.copy(1, 1, cycle.address(), 64, all_rights, own_cnode));
    // A thread with that for a CSpace gets to its end, and faults there.
    const FaultHandler handler;
    abi::CapType type = abi::CapType::Zombie;
    auto identifying = [&] { type = sys::debug_cap_identify(~uint64_t{0}); };
    const Thread& thread = spawn(identifying, {.fault_endpoint = handler.endpoint(), .cspace = cycle});
    CHECK(thread.done());
    CHECK_EQUAL(type, abi::CapType::Null);
}

// -- Interrupts

TEST(false_interrupt, "an interrupt whose line went down before it was unmasked does not come") {
    const Cap<IRQHandler> handler{take_slots()};
    constexpr uint64_t physical_timer_irq = 30;
    CHECK_OK(irq_control.get(physical_timer_irq, abi::IRQTrigger::Level, handler.address(), address_bits, own_cnode));
    CHECK_OK(sched_control.set_thread_access(abi::ThreadFlags{0}, abi::ThreadFlags::make(0, 0, 1), own_tcb));
    const Cap<Notification> notification = create<Notification>();
    for (unsigned i = 0; i < 50; ++i) {
        // The line is up while the interrupt is masked, and down again before and after.
        asm volatile("msr cntp_cval_el0, xzr\n\tmsr cntp_ctl_el0, %0\n\tisb" : : "r"(uint64_t{1}));
        asm volatile("msr cntp_ctl_el0, xzr\n\tisb");
        CHECK_OK(handler.set_notification(notification));
        sys::ShortMessage message;
        sys::nb_wait(notification.address(), message);
        CHECK_EQUAL(message.info.raw, 0);
        CHECK_OK(handler.clear());
        asm volatile("msr cntp_cval_el0, xzr\n\tmsr cntp_ctl_el0, %0\n\tisb" : : "r"(uint64_t{1}));
        sys::nb_wait(notification.address(), message);
        CHECK_EQUAL(message.info.raw, 0);
        asm volatile("msr cntp_ctl_el0, xzr\n\tisb");
    }
}

}  // namespace caprock::conformance
