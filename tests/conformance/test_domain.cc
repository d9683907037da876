// SPDX-License-Identifier: BSD-2-Clause
// Domains: who runs when. The driver and the test itself are in domain 0, which every schedule here has; the driver puts the schedule of
// boot back after each test.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

// Writes down when it runs: a gap of more than 100 microseconds is time in which it did not.
struct Recorder {
    static constexpr unsigned most = 16;
    uint64_t starts[most] = {};
    uint64_t ends[most] = {};
    volatile unsigned count = 0;

    void operator()() {
        uint64_t last = 0;
        for (;;) {
            const uint64_t time = now();
            if (time - last > ticks_of(100) && count < most) {
                starts[count] = time;
                count = count + 1;
            }
            last = time;
            ends[count - 1] = time;
        }
    }
};

void spend(uint64_t microseconds) {
    const uint64_t start = now();
    while (now() - start < ticks_of(microseconds)) {}
}

bool is_about(uint64_t ticks, uint64_t microseconds) {
    return ticks + ticks_of(150) >= ticks_of(microseconds) && ticks <= ticks_of(microseconds + 150);
}

}  // namespace

TEST(order_set, "Set's checks come in the documented order") {
    Order order(abi::Method::DomainSet);
    NEXT(order, domain_control.set(abi::domains, CapRef{own_cnode.address()})).number(0);
    AGAIN(order, domain_control.set(~uint64_t{0}, CapRef{own_cnode.address()})).number(0);
    NEXT(order, domain_control.set(abi::domains - 1, CapRef{own_cnode.address()})).number(1);
    AGAIN(order, domain_control.set(0, CapRef{})).number(1);
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(domain_control.set(abi::domains - 1, tcb));
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(tcb)).domain, abi::domains - 1);
}

TEST(order_schedule_configure, "ScheduleConfigure's checks come in the documented order") {
    const uint64_t most = abi::timeout_max_us;
    Order order(abi::Method::DomainScheduleConfigure);
    NEXT(order, domain_control.schedule_configure(abi::domain_schedule_entries, abi::domains, most + 1))
        .range(0, abi::domain_schedule_entries - 1);
    NEXT(order, domain_control.schedule_configure(0, abi::domains, most + 1)).range(0, abi::domains - 1);
    constexpr uint64_t least = 10;
    NEXT(order, domain_control.schedule_configure(0, 0, most + 1)).range(least, most);
    AGAIN(order, domain_control.schedule_configure(0, 0, ~uint64_t{0})).range(least, most);
    AGAIN(order, domain_control.schedule_configure(0, 0, least - 1)).range(least, most);
    AGAIN(order, domain_control.schedule_configure(0, 0, 1)).range(least, most);
    NEXT(order, domain_control.schedule_configure(0, 0, 0));
    CHECK_OK(domain_control.schedule_configure(0, 0, most));
    CHECK_OK(domain_control.schedule_configure(1, 0, 0));
    CHECK_OK(domain_control.schedule_configure(abi::domain_schedule_entries - 1, abi::domains - 1, most));
}

TEST(order_schedule_set_start, "ScheduleSetStart's checks come in the documented order") {
    Order order(abi::Method::DomainScheduleSetStart);
    NEXT(order, domain_control.schedule_set_start(abi::domain_schedule_entries)).range(0, abi::domain_schedule_entries - 1);
    CHECK_OK(domain_control.schedule_configure(5, 0, 0));
    NEXT(order, domain_control.schedule_set_start(5));
    CHECK_OK(domain_control.schedule_configure(5, 0, 1'000));
    CHECK_OK(domain_control.schedule_set_start(5));
    CHECK_ERROR(domain_control.schedule_configure(5, 0, 0), IllegalOperation);
}

TEST(not_scheduled, "a thread of a domain that has no time does not run, whatever its priority") {
    bool ran = false;
    auto running = [&] { ran = true; };
    const Thread& thread = prepare(running, {.priority = 200});
    CHECK_OK(domain_control.set(3, thread.tcb));
    thread.resume();
    spend(3'000);
    CHECK(!ran);
    CHECK_OK(domain_control.set(0, thread.tcb));
    CHECK(ran);
}

TEST(leave_own, "a thread that leaves the current domain stops, and goes on when its domain has time") {
    unsigned step = 0;
    auto leaving = [&] {
        step = 1;
        CHECK_OK(domain_control.set(2, current_thread()->tcb));
        step = 2;
    };
    const Thread& thread = spawn(leaving);
    CHECK_EQUAL(step, 1);
    spend(2'000);
    CHECK_EQUAL(step, 1);
    CHECK_OK(domain_control.schedule_configure(0, 0, 1'000));
    CHECK_OK(domain_control.schedule_configure(1, 2, 1'000));
    CHECK_OK(domain_control.schedule_set_start(0));
    thread.join();
    CHECK_EQUAL(step, 2);
}

TEST(turns, "domains take turns as the schedule says, each for its time, over and over") {
    static constinit Recorder recorder;
    const Thread& thread = prepare(recorder, {.priority = 1});
    CHECK_OK(domain_control.set(1, thread.tcb));
    thread.resume();
    CHECK_OK(domain_control.schedule_configure(0, 0, 2'000));
    CHECK_OK(domain_control.schedule_configure(1, 1, 1'000));
    CHECK_OK(domain_control.schedule_configure(2, 0, 500));
    CHECK_OK(domain_control.schedule_configure(3, 1, 3'000));
    CHECK_OK(domain_control.schedule_configure(4, 0, 0));
    CHECK_OK(domain_control.schedule_set_start(0));
    const uint64_t start = now();
    // The test, of the highest priority by far, runs in its domain's turns only.
    spend(30'000);
    CHECK_OK(thread.tcb.suspend());
    CHECK(recorder.count >= 8);
    CHECK(is_about(recorder.starts[0] - start, 2'000));
    for (unsigned i = 0; i + 3 < recorder.count; ++i) {
        CHECK(is_about(recorder.ends[i] - recorder.starts[i], i % 2 == 0 ? 1'000 : 3'000));
        CHECK(is_about(recorder.starts[i + 1] - recorder.ends[i], i % 2 == 0 ? 500 : 2'000));
    }
}

TEST(end_of_table, "after the last entry of the table the schedule begins again at its start") {
    static constinit Recorder recorder;
    const Thread& thread = prepare(recorder, {.priority = 1});
    CHECK_OK(domain_control.set(1, thread.tcb));
    thread.resume();
    const uint64_t last = abi::domain_schedule_entries - 1;
    CHECK_OK(domain_control.schedule_configure(last - 1, 0, 1'000));
    CHECK_OK(domain_control.schedule_configure(last, 1, 1'000));
    CHECK_OK(domain_control.schedule_set_start(last - 1));
    spend(10'000);
    CHECK(recorder.count >= 4);
    for (unsigned i = 0; i + 1 < recorder.count; ++i) CHECK(is_about(recorder.starts[i + 1] - recorder.starts[i], 2'000));
}

TEST(set_start_now, "ScheduleSetStart ends the turn in progress and begins the entry's own") {
    static constinit Recorder recorder;
    const Thread& thread = prepare(recorder, {.priority = 1});
    CHECK_OK(domain_control.set(1, thread.tcb));
    thread.resume();
    CHECK_OK(domain_control.schedule_configure(0, 0, abi::timeout_max_us));
    CHECK_OK(domain_control.schedule_configure(1, 1, 1'000));
    CHECK_OK(domain_control.schedule_configure(2, 0, abi::timeout_max_us));
    spend(2'000);
    CHECK_EQUAL(recorder.count, 0);
    const uint64_t start = now();
    CHECK_OK(domain_control.schedule_set_start(1));
    // This runs again when the turn of domain 1 is over.
    CHECK(is_about(now() - start, 1'000));
    CHECK_EQUAL(recorder.count, 1);
}

TEST(turn_in_progress, "a turn in progress keeps the length that it began with") {
    CHECK_OK(domain_control.schedule_configure(0, 0, 1'000));
    CHECK_OK(domain_control.schedule_configure(1, 1, 1'000));
    CHECK_OK(domain_control.schedule_set_start(0));
    const uint64_t start = now();
    CHECK_OK(domain_control.schedule_configure(0, 0, 5'000));
    uint64_t last = start;
    uint64_t next = start;
    for (; next - last < ticks_of(500); next = now()) last = next;
    CHECK(is_about(last - start, 1'000));
    // Domain 1 has nobody, and has its turn all the same.
    CHECK(is_about(next - last, 1'000));
}

TEST(cross_domain_call, "a call to a thread of another domain is served in that domain's turn") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    uint64_t served = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            served = now();
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(domain_control.set(1, server.tcb));
    CHECK_OK(domain_control.schedule_configure(0, 0, 2'000));
    CHECK_OK(domain_control.schedule_configure(1, 1, 1'000));
    CHECK_OK(domain_control.schedule_set_start(0));
    const uint64_t start = now();
    sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
    sys::call(endpoint.address(), message);
    CHECK(is_about(served - start, 2'000));
    CHECK(is_about(now() - start, 3'000));
}

TEST(cross_domain_signal, "a signal to a thread of another domain wakes it for that domain's turn") {
    const Cap<Notification> notification = create<Notification>();
    uint64_t woken = 0;
    auto waiting = [&] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
        woken = now();
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(domain_control.set(1, thread.tcb));
    CHECK_OK(domain_control.schedule_configure(0, 0, 2'000));
    CHECK_OK(domain_control.schedule_configure(1, 1, 1'000));
    CHECK_OK(domain_control.schedule_set_start(0));
    const uint64_t start = now();
    sys::signal(notification.address());
    CHECK_EQUAL(woken, 0);
    spend(4'000);
    CHECK(is_about(woken - start, 2'000));
}

TEST(budget_in_turn, "a thread's budget is used by its own turns only") {
    static constinit Recorder recorder;
    const Thread& thread = prepare(recorder, {.priority = 1, .budget = 50'000, .period = 100'000});
    CHECK_OK(domain_control.set(1, thread.tcb));
    thread.resume();
    CHECK_OK(domain_control.schedule_configure(0, 0, 3'000));
    CHECK_OK(domain_control.schedule_configure(1, 1, 1'000));
    CHECK_OK(domain_control.schedule_set_start(0));
    spend(20'000);
    const uint64_t consumed = CHECK_OK(thread.context.consumed());
    CHECK(consumed >= 4'500 && consumed <= 6'100);
}

TEST(moved_ready, "a ready thread that is moved to another domain waits there, and comes back") {
    bool ran = false;
    auto running = [&] { ran = true; };
    const Thread& thread = spawn(running, {.priority = worker_priority});
    CHECK_OK(domain_control.set(1, thread.tcb));
    sys::yield();
    spend(1'000);
    sys::yield();
    CHECK(!ran);
    CHECK_OK(domain_control.set(0, thread.tcb));
    sys::yield();
    CHECK(ran);
}

TEST(end_of_schedule, "the schedule ends before an entry of length 0, whose domain has no time at all") {
    static constinit Recorder recorder;
    const Thread& thread = prepare(recorder, {.priority = 200});
    CHECK_OK(domain_control.set(5, thread.tcb));
    thread.resume();
    CHECK_OK(domain_control.schedule_configure(0, 0, 300));
    CHECK_OK(domain_control.schedule_configure(1, 1, 100));
    CHECK_OK(domain_control.schedule_configure(2, 5, 0));
    CHECK_OK(domain_control.schedule_set_start(0));
    spend(20'000);
    CHECK_EQUAL(recorder.count, 0);
    CHECK_EQUAL(CHECK_OK(thread.context.consumed()), 0);
}

TEST(woken_at_the_end, "a thread that is woken when its domain's time ends runs when the domain has time again") {
    const Cap<Notification> notification = create<Notification>();
    unsigned woken = 0;
    auto waiting = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            ++woken;
        }
    };
    spawn(waiting);
    CHECK_OK(domain_control.schedule_configure(1, 1, 10));
    unsigned sent = 0;
    // Turns of many lengths: they end at every point of the system call.
    for (uint64_t length = 20; length < 120; ++length) {
        CHECK_OK(domain_control.schedule_configure(0, 0, length));
        CHECK_OK(domain_control.schedule_set_start(0));
        for (unsigned i = 0; i < 100; ++i) {
            sys::signal(notification.address());
            CHECK_EQUAL(woken, ++sent);
        }
    }
}

}  // namespace caprock::conformance
