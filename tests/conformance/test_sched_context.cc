// SPDX-License-Identifier: BSD-2-Clause
// Scheduling contexts: budgets, turns, and the methods that configure and bind them.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

// Counts in a thread as fast as it can.
struct Spinner {
    volatile uint64_t count = 0;
    void operator()() {
        for (;;) count = count + 1;
    }
};

void work(unsigned rounds) {
    for (unsigned i = 0; i < rounds; ++i) asm volatile("");
}

// Whether `part` is between `least` and `most` percent of `whole`.
bool is_share(uint64_t part, uint64_t whole, uint64_t least, uint64_t most) {
    return part * 100 >= whole * least && part * 100 <= whole * most;
}

// Counts in a thread at every turn that it gets.
struct Turns {
    volatile uint64_t count = 0;
    void operator()() {
        for (;;) {
            count = count + 1;
            sys::yield();
        }
    }
};

// Runs in a thread, and writes down when: a gap of more than 50 microseconds is time in which it did not.
struct RunLog {
    static constexpr unsigned most = 400;
    uint64_t starts[most] = {};
    uint64_t ends[most] = {};
    unsigned count = 0;

    void run(uint64_t microseconds) {
        const uint64_t begin = now();
        for (uint64_t time = begin; time - begin < ticks_of(microseconds); time = now()) {
            if (count == 0 || time - ends[count - 1] > ticks_of(50)) {
                CHECK(count < most);
                starts[count++] = time;
            }
            ends[count - 1] = time;
        }
    }
    void operator()() { run(1'000'000'000); }
    // The most ticks in which it ran in any window of so many microseconds.
    uint64_t most_in(uint64_t window) const {
        uint64_t result = 0;
        for (unsigned first = 0; first < count; ++first) {
            const uint64_t end = starts[first] + ticks_of(window);
            uint64_t used = 0;
            for (unsigned i = first; i < count && starts[i] < end; ++i) used += (ends[i] < end ? ends[i] : end) - starts[i];
            if (used > result) result = used;
        }
        return result;
    }
};

constexpr abi::SchedContextFlags no_flags = abi::SchedContextFlags::make(0);
constexpr abi::SchedContextFlags sporadic = abi::SchedContextFlags::make(1);

}  // namespace

// -- The documented order of the checks

TEST(order_configure_flags, "ConfigureFlags's checks come in the documented order") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const uint64_t most = abi::timeout_max_us;
    const uint64_t refills = (256 - abi::sched_context_core_bytes) / abi::refill_bytes;
    Order order(abi::Method::SchedControlConfigureFlags);
    NEXT(order, sched_control.configure_flags(0, 0, 999, 0, no_flags, CapRef{own_cnode.address()})).number(1);
    const Result<void> small = sched_control.configure_flags(0, 0, 999, 0, no_flags, context);
    NEXT(order, small).detail(1, most);
    const uint64_t least = small.detail(0);
    CHECK(least > 0 && least <= 100);
    AGAIN(order, sched_control.configure_flags(least - 1, most + 1, 999, 0, no_flags, context)).range(least, most);
    AGAIN(order, sched_control.configure_flags(most + 1, 0, 999, 0, no_flags, context)).range(least, most);
    AGAIN(order, sched_control.configure_flags(~uint64_t{0}, 0, 999, 0, no_flags, context)).range(least, most);
    AGAIN(order, sched_control.configure_flags(least - 1, 1'000, 0, 0, no_flags, context)).range(least, most);
    AGAIN(order, sched_control.configure_flags(most + 1, 1'000, 0, 0, no_flags, context)).range(least, most);
    NEXT(order, sched_control.configure_flags(most, least - 1, 999, 0, no_flags, context)).range(least, most);
    AGAIN(order, sched_control.configure_flags(most, most + 1, 999, 0, no_flags, context)).range(least, most);
    NEXT(order, sched_control.configure_flags(2'000, 1'000, 999, 0, no_flags, context)).range(least, 1'000);
    NEXT(order, sched_control.configure_flags(1'000, 2'000, refills - 1, 0, no_flags, context)).range(0, refills - 2);
    AGAIN(order, sched_control.configure_flags(1'000, 2'000, ~uint64_t{0}, 0, no_flags, context)).range(0, refills - 2);
    CHECK_OK(sched_control.configure_flags(1'000, 2'000, refills - 2, 0, no_flags, context));
    CHECK_OK(sched_control.configure_flags(most, most, 0, 0, no_flags, context));
    CHECK_OK(sched_control.configure_flags(least, most, 0, 0, no_flags, context));
}

TEST(order_set_thread_access, "SetThreadAccess's check") {
    constexpr abi::ThreadFlags none{0};
    Order order(abi::Method::SchedControlSetThreadAccess);
    NEXT(order, sched_control.set_thread_access(none, none, CapRef{own_cnode.address()})).number(1);
    AGAIN(order, sched_control.set_thread_access(none, none, CapRef{})).number(1);
    CHECK_EQUAL(CHECK_OK(sched_control.set_thread_access(none, none, own_tcb)).raw, 0);
}

TEST(order_bind, "Bind's checks come in the documented order") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<TCB> tcb = create<TCB>();
    Order order(abi::Method::SchedContextBind);
    NEXT(order, current_thread()->context.bind(CapRef{context.address()})).number(1);
    AGAIN(order, current_thread()->context.bind(CapRef{})).number(1);
    NEXT(order, current_thread()->context.bind(own_tcb));
    NEXT(order, context.bind(own_tcb));
    CHECK_OK(context.bind(tcb));
    AGAIN(order, context.bind(create<TCB>()));
    const Cap<SchedContext> second = create<SchedContext>(8);
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(second.bind(notification));
    AGAIN(order, create<SchedContext>(8).bind(notification));
    AGAIN(order, context.bind(notification));
    AGAIN(order, second.bind(create<TCB>()));
}

TEST(order_unbind, "Unbind's check") {
    Order order(abi::Method::SchedContextUnbind);
    NEXT(order, current_thread()->context.unbind());
    const Cap<SchedContext> context = create<SchedContext>(8);
    CHECK_OK(context.unbind());
    CHECK_OK(context.bind(create<TCB>()));
    CHECK_OK(context.unbind());
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(context.bind(notification));
    CHECK_OK(context.unbind());
    CHECK_OK(context.bind(create<TCB>()));
    CHECK_OK(create<SchedContext>(8).bind(notification));
}

TEST(order_unbind_object, "UnbindObject's checks come in the documented order") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(context.bind(tcb));
    Order order(abi::Method::SchedContextUnbindObject);
    NEXT(order, context.unbind_object(CapRef{context.address()})).number(1);
    AGAIN(order, context.unbind_object(CapRef{})).number(1);
    NEXT(order, context.unbind_object(own_tcb));
    AGAIN(order, context.unbind_object(create<Notification>()));
    NEXT(order, current_thread()->context.unbind_object(own_tcb));
    CHECK_OK(context.unbind_object(tcb));
    AGAIN(order, context.unbind_object(tcb));
}

TEST(order_yield_to, "YieldTo's checks come in the documented order") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(tcb.set_priority(200, own_tcb));
    Order order(abi::Method::SchedContextYieldTo);
    NEXT(order, context.yield_to());
    CHECK_OK(context.bind(create<Notification>()));
    AGAIN(order, context.yield_to());
    NEXT(order, current_thread()->context.yield_to());
    CHECK_OK(context.unbind());
    CHECK_OK(context.bind(tcb));
    CHECK_OK(own_tcb.set_mc_priority(199, own_tcb));
    NEXT(order, context.yield_to());
    CHECK_OK(tcb.set_priority(199, own_tcb));
    CHECK_EQUAL(CHECK_OK(context.yield_to()), 0);
}

// -- Budgets

TEST(share, "a spinner of higher priority gets its budget in each period, and a thread below the rest") {
    Spinner limited;
    Spinner rest;
    spawn(rest, {.priority = lower_priority - 1});
    spawn(limited, {.priority = lower_priority, .budget = 2'000, .period = 10'000});
    sleep(100'000);
    const uint64_t total = limited.count + rest.count;
    CHECK(is_share(limited.count, total, 17, 23));
}

TEST(share_consumed, "what a context consumed is reported, and counted anew") {
    Spinner limited;
    const Thread& thread = spawn(limited, {.priority = lower_priority, .budget = 1'000, .period = 5'000});
    sleep(50'000);
    const uint64_t consumed = CHECK_OK(thread.context.consumed());
    CHECK(consumed >= 9'000 && consumed <= 11'100);
    CHECK_EQUAL(CHECK_OK(thread.context.consumed()), 0);
}

TEST(round_robin, "equals take turns and get the same") {
    Spinner spinners[3];
    for (Spinner& spinner : spinners) spawn(spinner, {.priority = lower_priority, .budget = 1'000, .period = 1'000});
    sleep(60'000);
    const uint64_t total = spinners[0].count + spinners[1].count + spinners[2].count;
    for (const Spinner& spinner : spinners) CHECK(is_share(spinner.count, total, 30, 37));
}

TEST(starved, "a thread of lower priority does not run while one of higher priority can") {
    Spinner above;
    Spinner below;
    spawn(below, {.priority = lower_priority - 1});
    spawn(above, {.priority = lower_priority});
    sleep(30'000);
    CHECK(above.count > 0);
    CHECK_EQUAL(below.count, 0);
}

TEST(yield_turns, "Yield lets all equals run before the thread goes on") {
    unsigned log[9] = {};
    unsigned next = 0;
    struct {
        unsigned number;
        unsigned* next;
        unsigned* log;
        void operator()() const {
            for (unsigned i = 0; i < 3; ++i) {
                log[(*next)++] = number;
                sys::yield();
            }
        }
    } turns[3];
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        turns[i] = {i, &next, log};
        threads[i] = &spawn(turns[i], {.priority = lower_priority});
    }
    for (const Thread* thread : threads) thread->join();
    for (unsigned i = 0; i < 9; i += 3) CHECK_EQUAL(1u << log[i] | 1u << log[i + 1] | 1u << log[i + 2], 0b111);
}

TEST(server_period, "a server with a period serves as long as its budget of each period lasts, and its caller's time is its own") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    volatile uint64_t rounds = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            for (unsigned i = 0; i < 3'000; ++i) asm volatile("");
            ++message.words[0];
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    auto calling = [&] {
        for (;;) {
            sys::ShortMessage message{abi::MessageInfo::make(1, 0, 0, 0), 0, {rounds}};
            sys::call(endpoint.address(), message);
            CHECK_EQUAL(message.words[0], rounds + 1);
            rounds = rounds + 1;
        }
    };
    const Thread& server = spawn(serving, {.priority = lower_priority, .budget = 1'000, .period = 5'000});
    const Thread& caller = spawn(calling, {.priority = lower_priority, .budget = 2'000, .period = 10'000});
    sleep(50'000);
    const uint64_t consumed = CHECK_OK(server.context.consumed());
    CHECK(consumed >= 9'000 && consumed <= 11'100);
    const uint64_t calls = CHECK_OK(caller.context.consumed());
    CHECK(calls > 0 && calls < consumed / 4);
    CHECK(rounds >= 100);
}
TEST(yield_period, "Yield of a limited context waits for its next period") {
    uint64_t times[4] = {};
    auto yielding = [&] {
        for (uint64_t& time : times) {
            time = now();
            sys::yield();
        }
    };
    spawn(yielding, {.budget = 100, .period = 5'000}).join();
    for (unsigned i = 1; i < 4; ++i) {
        const uint64_t passed = times[i] - times[i - 1];
        CHECK(passed >= ticks_of(4'900) && passed <= ticks_of(5'300));
    }
}

TEST(replenish, "a blocked thread's unused budget does not add up") {
    Spinner spinner;
    const Cap<Notification> start = create<Notification>();
    auto late = [&] {
        sys::ShortMessage message;
        sys::wait(start.address(), message);
        spinner();
    };
    const Thread& thread = spawn(late, {.priority = lower_priority, .budget = 1'000, .period = 10'000});
    sleep(50'000);
    sys::signal(start.address());
    sleep(9'000);
    const uint64_t consumed = CHECK_OK(thread.context.consumed());
    CHECK(consumed >= 900 && consumed <= 1'100);
}

TEST(refills, "a budget that is used in pieces comes back in pieces") {
    Spinner other;
    spawn(other, {.priority = lower_priority - 1});
    // Works a little, waits a little: never more than the budget in any period.
    uint64_t rounds = 0;
    const Cap<Notification> tick = create<Notification>();
    auto ticking = [&] {
        for (;;) {
            sys::signal(tick.address());
            sys::yield();
        }
    };
    auto working = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(tick.address(), message);
            work(4'000);
            ++rounds;
        }
    };
    const Thread& worker = prepare(working, {.priority = lower_priority, .passive = true});
    const Cap<SchedContext> context = create<SchedContext>(10);
    set_budget(context, 500, 5'000, 8);
    CHECK_OK(context.bind(worker.tcb));
    worker.resume();
    spawn(ticking, {.budget = 20, .period = 300});
    sleep(50'000);
    const uint64_t consumed = CHECK_OK(context.consumed());
    CHECK(rounds > 10);
    CHECK(consumed <= 5'600);
}

TEST(unbound, "a thread whose context is taken stops, and goes on with another") {
    Spinner spinner;
    const Thread& thread = spawn(spinner, {.priority = lower_priority});
    sleep(5'000);
    CHECK(spinner.count > 0);
    CHECK_OK(thread.context.unbind());
    const uint64_t seen = spinner.count;
    sleep(5'000);
    CHECK_EQUAL(spinner.count, seen);
    const Cap<SchedContext> other = create<SchedContext>(8);
    CHECK_OK(other.bind(thread.tcb));
    sleep(5'000);
    CHECK_EQUAL(spinner.count, seen);   // it has no time yet
    set_budget(other, 1'000, 1'000);
    sleep(5'000);
    CHECK(spinner.count > seen);
}

TEST(deleted_context, "a thread whose context is deleted stops, also while it waits for a refill") {
    Spinner spinner;
    const Thread& thread = spawn(spinner, {.priority = lower_priority, .budget = 100, .period = 2'000});
    sleep(1'000);
    CHECK(spinner.count > 0);
    delete_cap(thread.context);
    const uint64_t seen = spinner.count;
    sleep(10'000);
    CHECK_EQUAL(spinner.count, seen);
    const Cap<SchedContext> other = create<SchedContext>(8);
    set_budget(other, 1'000, 1'000);
    CHECK_OK(other.bind(thread.tcb));
    sleep(3'000);
    CHECK(spinner.count > seen);
}

TEST(reconfigured, "a new budget of a waiting thread takes effect") {
    Spinner spinner;
    const Thread& thread = spawn(spinner, {.priority = lower_priority, .budget = 100, .period = 3'000'000});
    sleep(10'000);
    const uint64_t seen = spinner.count;
    set_budget(thread.context, 10'000, 10'000);
    sleep(10'000);
    CHECK(spinner.count > seen * 10);
}

TEST(suspended, "a thread that waits for a refill can be suspended and resumed") {
    Spinner spinner;
    const Thread& thread = spawn(spinner, {.priority = lower_priority, .budget = 100, .period = 2'000});
    sleep(1'000);
    CHECK_OK(thread.tcb.suspend());
    const uint64_t seen = spinner.count;
    sleep(5'000);
    CHECK_EQUAL(spinner.count, seen);
    thread.resume();
    sleep(5'000);
    CHECK(spinner.count > seen);
}

TEST(release_order, "threads come back in the order of their refills") {
    unsigned order[5] = {};
    unsigned next = 0;
    struct {
        unsigned* next;
        unsigned* order;
        void operator()() const {
            sys::yield();
            *order = ++*next;
        }
    } threads[5];
    const uint64_t periods[] = {3'000, 1'000, 5'000, 2'000, 4'000};
    const Thread* last = nullptr;
    for (unsigned i = 0; i < 5; ++i) {
        threads[i] = {&next, &order[i]};
        const Thread& thread = spawn(threads[i], {.budget = 50, .period = periods[i]});
        if (i == 2) last = &thread;
    }
    last->join();
    CHECK(order[1] == 1 && order[3] == 2 && order[0] == 3 && order[4] == 4 && order[2] == 5);
}

TEST(server_time, "the time of a passive server is its caller's") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    auto serving = [=] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            const uint64_t start = now();
            while (now() - start < ticks_of(2'000)) {}
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    auto calling = [=] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
    };
    const Thread& caller = prepare(calling);
    caller.resume();
    caller.join();
    CHECK(CHECK_OK(caller.context.consumed()) >= 2'000);
    CHECK_EQUAL(CHECK_OK(server.context.consumed()), 0);
}

TEST(server_waits, "a caller's budget that ends in a passive server without a timeout handler is waited for") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    auto serving = [=] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        work(400'000);
        sys::reply_recv(endpoint.address(), reply.address(), message);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(server.tcb.set_priority(lower_priority, own_tcb));
    uint64_t start = 0;
    uint64_t end = 0;
    auto calling = [&] {
        start = now();
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
        end = now();
    };
    const Thread& caller = spawn(calling, {.priority = lower_priority, .budget = 200, .period = 2'000});
    caller.join();
    const uint64_t consumed = CHECK_OK(caller.context.consumed());
    CHECK(consumed > 400);
    CHECK(end - start >= ticks_of(consumed / 200 * 2'000 - 2'000));
}

// -- YieldTo

TEST(yield_to_equal, "YieldTo lets an equal run at once, ahead of the others") {
    Turns first;
    Turns second;
    spawn(first, {.priority = worker_priority});
    const Thread& target = spawn(second, {.priority = worker_priority});
    CHECK_EQUAL(first.count, 0);
    CHECK_OK(target.context.yield_to());
    CHECK_EQUAL(second.count, 1);
    CHECK_EQUAL(first.count, 0);
}

TEST(yield_to_consumed, "YieldTo tells the time that the other thread used, and starts a new count") {
    Spinner spinner;
    const Thread& thread = spawn(spinner, {.priority = worker_priority, .budget = 500, .period = 500});
    const uint64_t consumed = CHECK_OK(thread.context.yield_to());
    CHECK(spinner.count > 0);
    CHECK(consumed >= 450 && consumed <= 600);
    CHECK_OK(thread.tcb.suspend());
    CHECK_EQUAL(CHECK_OK(thread.context.consumed()), 0);
}

TEST(yield_to_lower, "YieldTo of a thread of lower priority returns at once, and puts it before its equals") {
    unsigned order[2] = {};
    unsigned next = 0;
    struct {
        unsigned* order;
        unsigned* next;
        void operator()() const { *order = ++*next; }
    } bodies[2] = {{&order[0], &next}, {&order[1], &next}};
    const Thread& first = spawn(bodies[0], {.priority = lower_priority});
    const Thread& second = spawn(bodies[1], {.priority = lower_priority});
    CHECK_OK(second.context.yield_to());
    CHECK_EQUAL(next, 0);
    first.join();
    CHECK(order[1] == 1 && order[0] == 2);
}

TEST(yield_to_blocked, "YieldTo of a thread that is blocked, or has no budget, returns at once") {
    const Cap<Notification> notification = create<Notification>();
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    const Thread& blocked = spawn(waiting);
    CHECK_OK(blocked.tcb.set_priority(worker_priority, own_tcb));
    CHECK_OK(blocked.context.yield_to());
    CHECK(!blocked.done());
    Spinner spinner;
    const Thread& spent = spawn(spinner, {.priority = worker_priority, .budget = 100, .period = 100'000});
    sys::yield();
    const uint64_t seen = spinner.count;
    CHECK(seen > 0);
    const uint64_t consumed = CHECK_OK(spent.context.yield_to());
    CHECK(consumed >= 90 && consumed <= 130);
    CHECK_EQUAL(spinner.count, seen);
}

TEST(yield_to_twice, "a second caller's YieldTo ends the first one's, and each is told the time that was used until then") {
    Spinner spinner;
    const Thread& target = prepare(spinner, {.priority = worker_priority, .budget = 10'000, .period = 10'000});
    uint64_t first = 0;
    uint64_t second = 0;
    auto yielding = [&] { first = CHECK_OK(target.context.yield_to()); };
    // Comes when the target has run for a while.
    auto interrupting = [&] {
        sys::yield();
        second = CHECK_OK(target.context.yield_to());
    };
    const Thread& other = spawn(interrupting, {.budget = 100, .period = 300});
    const Thread& caller = spawn(yielding, {.priority = worker_priority});
    target.resume();
    sleep(25'000);
    CHECK(caller.done() && other.done());
    CHECK_OK(target.tcb.suspend());
    CHECK(first >= 150 && first <= 350);
    CHECK(second <= 10);
}

// -- Round robin, refills, time over long spans

TEST(consumed_own, "a thread's own consumed time includes what it used a moment ago") {
    const Cap<SchedContext> own = current_thread()->context;
    CHECK_OK(own.consumed());
    const uint64_t start = now();
    while (now() - start < ticks_of(3'000)) {}
    const uint64_t consumed = CHECK_OK(own.consumed());
    CHECK(consumed >= 2'990 && consumed <= 3'200);
}

TEST(overrun, "a thread that uses its budget to the end in every period gets no more over a hundred periods") {
    Spinner spinner;
    const Thread& thread = spawn(spinner, {.priority = lower_priority, .budget = 300, .period = 1'000});
    sleep(100'000);
    const uint64_t consumed = CHECK_OK(thread.context.consumed());
    CHECK(consumed >= 29'000 && consumed <= 30'700);
}

TEST(overrun_preempted, "a thread that is preempted at any point of its budget has all of it in every period") {
    // A thread of higher priority runs for a moment, once, at points that sweep through the period.
    for (unsigned phase = 0; phase < 25; ++phase) {
        Spinner spinner;
        const Thread& thread = spawn(spinner, {.priority = lower_priority, .budget = 300, .period = 1'000});
        auto interrupting = [] { sys::yield(); };
        const Thread& above = spawn(interrupting, {.budget = 500, .period = 4'013 + 41 * phase});
        sleep(10'000);
        CHECK(above.done());
        const uint64_t consumed = CHECK_OK(thread.context.consumed());
        CHECK(consumed >= 2'700 && consumed <= 3'300);
        delete_cap(thread.tcb);
        delete_cap(above.tcb);
        forget_threads(2);
    }
}

TEST(sporadic_window, "no window of a period sees more than the budget, however a sporadic budget is used") {
    // Runs half of the budget late in its period, and then as soon and as long as it can: the refill must not come together with the rest.
    static constinit RunLog log;
    const Cap<SchedContext> context = create<SchedContext>(10);
    CHECK_OK(sched_control.configure_flags(1'000, 10'000, 16, 0, sporadic, context));
    const Thread& thread = prepare(log, {.priority = lower_priority, .passive = true});
    CHECK_OK(context.bind(thread.tcb));
    sleep(9'000);
    thread.resume();
    sleep(500);
    CHECK_OK(thread.tcb.suspend());
    sleep(400);
    thread.resume();
    sleep(60'000);
    CHECK_OK(thread.tcb.suspend());
    CHECK(log.count > 4);
    CHECK(log.most_in(10'000) <= ticks_of(1'060));
}

TEST(round_robin_many, "ten equals take their turns in order, over and over") {
    unsigned log[40] = {};
    unsigned next = 0;
    struct {
        unsigned number;
        unsigned* next;
        unsigned* log;
        void operator()() const {
            while (*next < 40) {
                log[(*next)++] = number;
                sys::yield();
            }
        }
    } bodies[10];
    const Thread* threads[10];
    for (unsigned i = 0; i < 10; ++i) {
        bodies[i] = {i, &next, log};
        threads[i] = &spawn(bodies[i], {.priority = lower_priority});
    }
    for (const Thread* thread : threads) thread->join();
    for (unsigned i = 10; i < 40; ++i) CHECK_EQUAL(log[i], log[i - 10]);
}

TEST(round_robin_rotation, "a round-robin thread whose slice is over goes behind its equals, and one that is preempted does not") {
    Spinner spinners[2];
    const Thread& first = spawn(spinners[0], {.priority = lower_priority, .budget = 10'000, .period = 10'000});
    spawn(spinners[1], {.priority = lower_priority, .budget = 10'000, .period = 10'000});
    // Interrupted often, the first still has its whole slice before the second begins.
    for (unsigned i = 0; i < 5; ++i) sleep(1'000);
    CHECK(spinners[0].count > 0);
    CHECK_EQUAL(spinners[1].count, 0);
    sleep(8'000);
    CHECK(spinners[1].count > 0);
    CHECK(CHECK_OK(first.context.consumed()) <= 10'600);
}

TEST(long_periods, "the longest and the shortest budgets and periods are kept") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const uint64_t least = sched_control.configure_flags(0, 0, 0, 0, no_flags, context).detail(0);
    Spinner spinner;
    const Thread& thread = prepare(spinner, {.priority = lower_priority, .passive = true});
    set_budget(context, least, abi::timeout_max_us);
    CHECK_OK(context.bind(thread.tcb));
    thread.resume();
    sleep(20'000);
    const uint64_t seen = spinner.count;
    CHECK(seen > 0);
    CHECK(CHECK_OK(context.consumed()) <= least + 30);
    sleep(100'000);
    CHECK_EQUAL(spinner.count, seen);
}

TEST(reconfigure_own, "a thread that reconfigures the context on which it runs goes on") {
    uint64_t count = 0;
    auto configuring = [&] {
        const Cap<SchedContext> own = current_thread()->context;
        for (uint64_t budget = 500; budget < 520; ++budget) {
            set_budget(own, budget, budget);
            ++count;
            set_budget(own, budget, 3 * budget);
            ++count;
        }
    };
    spawn(configuring).join();
    CHECK_EQUAL(count, 40);
}

TEST(extra_refills, "a context without extra refills merges what was used in pieces, and loses no time for good") {
    // Blocks after every little piece of work: two refills must stand for all pieces.
    const Cap<Notification> tick = create<Notification>();
    auto ticking = [&] {
        for (;;) {
            sys::signal(tick.address());
            sys::yield();
        }
    };
    uint64_t rounds = 0;
    auto working = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(tick.address(), message);
            work(2'000);
            ++rounds;
        }
    };
    const Thread& worker = spawn(working, {.priority = lower_priority, .budget = 500, .period = 2'000});
    spawn(ticking, {.budget = 20, .period = 200});
    sleep(20'000);
    const uint64_t early = rounds;
    sleep(40'000);
    CHECK(early > 20);
    CHECK(rounds >= 2 * early);
    CHECK(CHECK_OK(worker.context.consumed()) <= 500 * 31);
}

TEST(less_at_once, "a smaller budget takes effect at once, and a new configuration brings no time that was used back") {
    Spinner spinners[2];
    const Thread& smaller = prepare(spinners[0], {.priority = lower_priority, .budget = 10'000, .period = 30'000});
    set_budget(smaller.context, 1'000, 30'000);
    smaller.resume();
    sleep(15'000);
    const uint64_t used = CHECK_OK(smaller.context.consumed());
    CHECK(used >= 900 && used <= 1'100);
    const Thread& same = spawn(spinners[1], {.priority = lower_priority, .budget = 1'000, .period = 30'000});
    sleep(700);
    set_budget(same.context, 1'000, 30'000);
    sleep(10'000);
    const uint64_t used_again = CHECK_OK(same.context.consumed());
    CHECK(used_again >= 900 && used_again <= 1'100);
}

TEST(woken_spent, "a thread that is woken with too little budget left waits for its refill") {
    const Cap<Notification> notification = create<Notification>();
    uint64_t started = 0;
    uint64_t woken = 0;
    auto running = [&] {
        started = now();
        while (now() - started < ticks_of(292)) {}
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
        woken = now();
    };
    const Thread& thread = spawn(running, {.priority = lower_priority, .budget = 300, .period = 10'000});
    sleep(2'000);
    sys::signal(notification.address());
    sleep(2'000);
    CHECK_EQUAL(woken, 0);
    thread.join();
    CHECK(woken - started >= ticks_of(9'900));
}

TEST(woken_at_turns_end, "a round-robin thread that is woken with next to nothing left of its turn has another turn") {
    const Cap<Notification> notification = create<Notification>();
    uint64_t woken = 0;
    auto running = [&] {
        const uint64_t started = now();
        while (now() - started < ticks_of(292)) {}
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
        woken = now();
    };
    spawn(running, {.budget = 300, .period = 300});
    CHECK_EQUAL(woken, 0);
    // Woken by a thread that was released a moment ago itself: it need not wait for a release, nor let less important threads run.
    volatile bool signalled = false;
    auto signalling = [&] {
        sys::yield();
        sys::signal(notification.address());
        signalled = true;
    };
    spawn(signalling, {.priority = higher_priority + 1, .budget = 20, .period = 1'000});
    while (!signalled) {}
    CHECK(woken != 0);
}

TEST(full_ring, "budget that is used in more pieces than there are refills comes back late, and never early") {
    static constinit RunLog log;
    const Cap<SchedContext> context = create<SchedContext>(10);
    CHECK_OK(sched_control.configure_flags(1'000, 10'000, 0, 0, sporadic, context));
    const Thread& thread = prepare(log, {.priority = lower_priority, .passive = true});
    CHECK_OK(context.bind(thread.tcb));
    for (unsigned i = 0; i < 2; ++i) {
        thread.resume();
        sleep(300);
        CHECK_OK(thread.tcb.suspend());
        sleep(2'000);
    }
    thread.resume();
    sleep(60'000);
    CHECK_OK(thread.tcb.suspend());
    CHECK(log.count > 4);
    CHECK(log.most_in(10'000) <= ticks_of(1'060));
}

TEST(small_pieces, "what is used in pieces too small to come back alone comes back with others, once") {
    static constinit RunLog log;
    const Cap<Notification> start = create<Notification>();
    volatile uint64_t length = 4;
    auto running = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(start.address(), message);
            log.run(length);
        }
    };
    const Cap<SchedContext> context = create<SchedContext>(12);
    CHECK_OK(sched_control.configure_flags(1'000, 20'000, 64, 0, sporadic, context));
    const Thread& thread = prepare(running, {.priority = lower_priority, .passive = true});
    CHECK_OK(context.bind(thread.tcb));
    thread.resume();
    for (unsigned i = 0; i < 40; ++i) {
        sys::signal(start.address());
        sleep(200);
        length = 15;
    }
    length = 1'000'000;
    sys::signal(start.address());
    sleep(100'000);
    CHECK_OK(thread.tcb.suspend());
    CHECK(log.most_in(20'000) <= ticks_of(1'060));
    // And nothing was lost either.
    CHECK(CHECK_OK(context.consumed()) >= 4'900);
}

TEST(small_budget, "a budget that is used in pieces too small to come back alone comes back whole") {
    unsigned rounds = 0;
    const Cap<Notification> start = create<Notification>();
    Spinner spinner;
    auto running = [&] {
        for (sys::ShortMessage message; rounds < 60; ++rounds) sys::wait(start.address(), message);
        spinner();
    };
    const Thread& thread = prepare(running, {.priority = lower_priority, .passive = true});
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 12, 1'000);
    CHECK_OK(context.bind(thread.tcb));
    thread.resume();
    for (unsigned i = 1; i <= 60; ++i) {
        sys::signal(start.address());
        sleep(3'000);
        CHECK_EQUAL(rounds, i);
    }
    CHECK_OK(context.consumed());
    sleep(50'000);
    CHECK(CHECK_OK(context.consumed()) >= 11 * 49);
}

TEST(yield_to_gone, "a YieldTo ends when the other thread's context is deleted, and leaves its memory alone") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<SchedContext> context = create_in<SchedContext>(untyped, 8);
    set_budget(context, 10'000, 10'000);
    Spinner spinner;
    const Thread& target = prepare(spinner, {.priority = lower_priority, .passive = true});
    CHECK_OK(context.bind(target.tcb));
    uint64_t told = 0;
    auto yielding = [&] { told = CHECK_OK(context.yield_to()); };
    const Thread& caller = spawn(yielding, {.priority = lower_priority});
    target.resume();
    sleep(500);
    revoke(untyped);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    volatile uint64_t* const words = reinterpret_cast<volatile uint64_t*>(small_window);
    for (uint64_t i = 0; i < page_bytes / 8; ++i) words[i] = 0x5555;
    caller.join();
    CHECK(told >= 400 && told <= 600);
    for (uint64_t i = 0; i < page_bytes / 8; ++i) CHECK_EQUAL(words[i], 0x5555);
}

TEST(yield_to_ended, "a YieldTo that the other thread ends while it runs tells the time until then") {
    Cap<TCB> waiting{};
    auto ending = [&] {
        const uint64_t start = now();
        while (now() - start < ticks_of(1'000)) {}
        CHECK_OK(waiting.suspend());
    };
    const Thread& target = prepare(ending, {.priority = lower_priority, .budget = 10'000, .period = 10'000});
    uint64_t told = 0;
    auto yielding = [&] { told = CHECK_OK(target.context.yield_to()); };
    const Thread& caller = spawn(yielding, {.priority = lower_priority});
    waiting = caller.tcb;
    target.resume();
    target.join();
    caller.resume();
    caller.join();
    CHECK(told >= 990 && told <= 1'100);
}

TEST(yield_to_suspended, "a caller that is suspended while its YieldTo lasts is told the time until then, and nothing when its registers are written") {
    Spinner spinner;
    const Thread& target = prepare(spinner, {.priority = lower_priority, .budget = 10'000, .period = 10'000});
    uint64_t told = 0;
    auto yielding = [&] { told = CHECK_OK(target.context.yield_to()); };
    const Thread& caller = spawn(yielding, {.priority = lower_priority});
    target.resume();
    sleep(500);
    CHECK_OK(caller.tcb.suspend());
    sleep(3'000);
    CHECK_EQUAL(told, 0);
    CHECK_OK(target.tcb.suspend());
    caller.resume();
    caller.join();
    CHECK(told >= 400 && told <= 600);

    static volatile uint64_t first_register;
    first_register = 0;
    static volatile bool reached;
    reached = false;
    const Thread& second = spawn(yielding, {.priority = lower_priority});
    target.resume();
    sleep(500);
    abi::UserContext context{};
    CHECK_OK(second.tcb.read_registers(0, 4, context));
    context.pc = reinterpret_cast<uint64_t>(+[](uint64_t value) {
        first_register = value;
        reached = true;
        stop_current_thread();
    });
    context.x0_x8[0] = 0xabcd;
    CHECK_OK(second.tcb.write_registers(resume_target, 4, context));
    CHECK_OK(target.tcb.suspend());
    sleep(500);
    CHECK(reached);
    CHECK_EQUAL(first_register, 0xabcd);
}

}  // namespace caprock::conformance
