// SPDX-License-Identifier: BSD-2-Clause
// Scheduling contexts: budgets, turns, and the methods that configure and bind them.
#include "tests/target/thread.hpp"

namespace caprock::target {

namespace {

// Counts in a thread as fast as it can.
struct Spinner {
    volatile uint64_t count = 0;
    void operator()() {
        for (;;) count = count + 1;
    }
};

// Lets everybody of lower priority run for so many microseconds.
void sleep(uint64_t microseconds) {
    auto waiting = [] { sys::yield(); };
    spawn(waiting, {.priority = higher_priority, .budget = 20, .period = microseconds}).join();
}

void work(unsigned rounds) {
    for (unsigned i = 0; i < rounds; ++i) asm volatile("");
}

// Whether `part` is between `least` and `most` percent of `whole`.
bool is_share(uint64_t part, uint64_t whole, uint64_t least, uint64_t most) {
    return part * 100 >= whole * least && part * 100 <= whole * most;
}

}  // namespace

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

TEST(configure_errors, "ConfigureFlags's errors come in the documented order") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const abi::SchedContextFlags flags = abi::SchedContextFlags::make(0);
    const Cap<SchedControl> control = environment.sched_control();
    const uint64_t most = abi::timeout_max_us;
    const uint64_t refills = (256 - abi::sched_context_core_bytes) / abi::refill_bytes;
    CHECK_CAPABILITY(control.configure_flags(0, 0, 999, 0, flags, CapRef{root_cnode.address()}), 1);
    const Result<void> small = control.configure_flags(0, 0, 999, 0, flags, context);
    CHECK_ERROR(small, RangeError);
    const uint64_t least = small.detail(0);
    CHECK(least > 0 && least <= 100);
    CHECK_RANGE(small, least, most);
    CHECK_RANGE(control.configure_flags(least - 1, most, 999, 0, flags, context), least, most);
    CHECK_RANGE(control.configure_flags(most + 1, 0, 999, 0, flags, context), least, most);
    CHECK_RANGE(control.configure_flags(most, most + 1, 999, 0, flags, context), least, most);
    CHECK_RANGE(control.configure_flags(2'000, 1'000, 999, 0, flags, context), least, 1'000);
    CHECK_RANGE(control.configure_flags(1'000, 2'000, refills - 1, 0, flags, context), 0, refills - 2);
    CHECK_OK(control.configure_flags(1'000, 2'000, refills - 2, 0, flags, context));
    CHECK_OK(control.configure_flags(most, most, 0, 0, flags, context));
    CHECK_OK(control.configure_flags(least, most, 0, 0, flags, context));
}

TEST(bind_errors, "the errors of Bind, Unbind and UnbindObject come in the documented order") {
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<SchedContext> second = create<SchedContext>(8);
    const Cap<SchedContext> own = current_thread()->context;
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> other = create<TCB>();
    const Cap<Notification> notification = create<Notification>();
    CHECK_CAPABILITY(context.bind(CapRef{second.address()}), 1);
    CHECK_CAPABILITY(own.bind(CapRef{second.address()}), 1);
    CHECK_ERROR(own.bind(tcb), IllegalOperation);
    CHECK_OK(context.bind(tcb));
    CHECK_ERROR(context.bind(notification), IllegalOperation);
    CHECK_ERROR(second.bind(tcb), IllegalOperation);
    CHECK_OK(second.bind(notification));
    CHECK_ERROR(second.bind(other), IllegalOperation);
    CHECK_CAPABILITY(context.unbind_object(CapRef{second.address()}), 1);
    CHECK_ERROR(context.unbind_object(other), IllegalOperation);
    CHECK_ERROR(context.unbind_object(notification), IllegalOperation);
    CHECK_ERROR(own.unbind_object(current_thread()->tcb), IllegalOperation);
    CHECK_ERROR(own.unbind(), IllegalOperation);
    CHECK_OK(context.unbind_object(tcb));
    CHECK_OK(second.unbind());
    CHECK_OK(context.unbind());
    CHECK_OK(second.bind(tcb));
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
    CHECK_OK(server.tcb.set_priority(lower_priority, root_tcb));
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

}  // namespace caprock::target
