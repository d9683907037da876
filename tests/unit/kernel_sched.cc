// SPDX-License-Identifier: BSD-2-Clause
// Cases of scheduling: who runs, round robin, budgets, refills and their arithmetic, the methods of SchedContext and SchedControl.
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>

using namespace caprock;
using namespace caprock::test;
using host::hardware;

namespace {

constexpr Word tick_us = 62;  // ticks in a microsecond, rounded down: 62.5 MHz

// A scheduling context with room for refills, outside a kernel.
struct LooseContext {
    static constexpr unsigned room = 10;
    alignas(16) std::byte memory[sizeof(SchedContext) + room * sizeof(Refill)] = {};
    SchedContext& context = *new (memory) SchedContext;
    SchedContext* operator->() { return &context; }
};

Word sum(SchedContext& context) {
    Word total = context.unreturned.raw;
    for (unsigned i = 0; i < context.count; ++i) total += context.refill(i).amount.raw;
    return total;
}

// Behind the first, which may have been delayed beyond the time of the next.
bool ordered(SchedContext& context) {
    for (unsigned i = 2; i < context.count; ++i) {
        if (context.refill(i - 1).time + context.refill(i - 1).amount.raw > context.refill(i).time) return false;
    }
    return true;
}

}  // namespace

// -- Refills

TEST_CASE("what is used comes back one period later", "[refill]") {
    host::reset();
    LooseContext c;
    refill_new(c.context, 4, Ticks(10'000), Ticks(100'000), Ticks(50));
    CHECK(refill_ready(c.context, Ticks(50)));
    CHECK(!refill_ready(c.context, Ticks(49)));
    refill_charge(c.context, Ticks(3000));
    CHECK(c->count == 2);
    CHECK(c->first().time == Ticks(3050));
    CHECK(c->first().amount == Ticks(7000));
    CHECK(c->last().time == Ticks(100'050));
    CHECK(c->last().amount == Ticks(3000));
    refill_charge(c.context, Ticks(7000));
    CHECK(c->count == 1);
    CHECK(c->first().time == Ticks(100'050));
    CHECK(c->first().amount == Ticks(10'000));
    CHECK(c->consumed == Ticks(10'000));
    // Overrun: what was used beyond the budget is missing next time.
    refill_charge(c.context, Ticks(12'000));
    CHECK(sum(c.context) == 10'000);
    CHECK(c->first().time == Ticks(202'050));
}

TEST_CASE("a rest too small to run on waits for the next refill", "[refill]") {
    host::reset();
    LooseContext c;
    refill_new(c.context, 4, Ticks(10'000), Ticks(100'000), Ticks(0));
    refill_charge(c.context, Ticks(9'900));
    CHECK(c->count == 1);
    CHECK(c->first().time == Ticks(99'900));
    CHECK(c->first().amount == Ticks(10'000));
}

TEST_CASE("a budget that is overrun each time comes back each period, less the overrun", "[refill]") {
    host::reset();
    for (Word budget : {700u, 750u, 1100u, 10'000u}) {
        LooseContext c;
        constexpr Word overrun = 40, period = 62'500;
        constexpr unsigned periods = 200;
        refill_new(c.context, 8, Ticks(budget), Ticks(period), Ticks(0));
        Word now = 0;
        for (unsigned i = 0; i < periods; ++i) {
            now = std::max(now, c->first().time.raw);
            refill_unblock(c.context, Ticks(now));
            Word used = c->first().amount.raw + overrun;
            refill_charge(c.context, Ticks(used));
            now += used;
            REQUIRE(sum(c.context) == budget);
        }
        INFO("budget " << budget);
        CHECK(now <= periods * period);
        CHECK(c->consumed.raw <= periods * budget + overrun);
        CHECK(c->consumed.raw >= periods * (budget - overrun));
    }
}

TEST_CASE("a full ring delays, and loses nothing", "[refill]") {
    host::reset();
    LooseContext c;
    refill_new(c.context, 2, Ticks(10'000), Ticks(100'000), Ticks(0));
    Word now = 0;
    for (unsigned i = 0; i < 3; ++i) {
        refill_unblock(c.context, Ticks(now));
        refill_charge(c.context, Ticks(1000));
        now += 5000;
    }
    CHECK(c->count == 2);
    CHECK(c->last().amount == Ticks(3000));
    CHECK(c->last().time + c->last().amount.raw == Ticks(110'000 + 1000));
    CHECK(sum(c.context) == 10'000);
}

TEST_CASE("budget that was not used is usable from now on", "[refill]") {
    host::reset();
    LooseContext c;
    refill_new(c.context, 4, Ticks(10'000), Ticks(100'000), Ticks(0));
    refill_charge(c.context, Ticks(4000));
    refill_unblock(c.context, Ticks(500'000));
    CHECK(c->count == 1);
    CHECK(c->first().time == Ticks(500'000));
    CHECK(c->first().amount == Ticks(10'000));
    refill_unblock(c.context, Ticks(400'000));
    CHECK(c->first().time == Ticks(500'000));
}

TEST_CASE("changed parameters keep what is there", "[refill]") {
    host::reset();
    LooseContext c;
    refill_new(c.context, 4, Ticks(10'000), Ticks(100'000), Ticks(0));
    refill_charge(c.context, Ticks(4000));
    SECTION("less budget: at most that at once") {
        refill_update(c.context, 4, Ticks(5000), Ticks(50'000), Ticks(6000));
        CHECK(c->first().time == Ticks(6000));
        CHECK(c->first().amount == Ticks(5000));
        CHECK(c->count == 1);
    }
    SECTION("more budget: the rest a period later") {
        refill_update(c.context, 3, Ticks(20'000), Ticks(50'000), Ticks(2000));
        CHECK(c->first().time == Ticks(4000));
        CHECK(c->first().amount == Ticks(6000));
        CHECK(c->last().time == Ticks(54'000));
        CHECK(sum(c.context) == 20'000);
    }
    SECTION("a round robin goes on with what is left, now") {
        refill_update(c.context, 1, Ticks(20'000), Ticks(0), Ticks(2000));
        CHECK(c->first().time == Ticks(2000));
        CHECK(c->first().amount == Ticks(6000));
    }
    SECTION("a remainder that nobody could run on waits with the rest") {
        refill_charge(c.context, Ticks(5000));
        REQUIRE(c->first().amount == Ticks(1000));
        refill_update(c.context, 4, Ticks(1100), Ticks(50'000), Ticks(9000));
        CHECK(c->count == 1);
        CHECK(c->first().amount == Ticks(1100));
        CHECK(c->first().time == Ticks(59'000));
    }
}

TEST_CASE("refills keep their sum and order, and no window of a period sees more than the budget", "[refill]") {
    host::reset();
    std::mt19937_64 random(3);
    auto below = [&](Word limit) { return random() % limit; };
    for (unsigned round = 0; round < 300; ++round) {
        LooseContext c;
        unsigned max = 2 + static_cast<unsigned>(below(LooseContext::room - 2));
        Word budget = 625 + below(20'000);
        Word period = budget + 1 + below(100'000);
        Word now = below(2) == 0 ? below(1000) : (Word{1} << 56) + below(1000);
        refill_new(c.context, max, Ticks(budget), Ticks(period), Ticks(now));
        struct Use {
            Word start, end;
        };
        std::deque<Use> uses;
        for (unsigned step = 0; step < 200; ++step) {
            now += below(3) == 0 ? below(2 * period) : below(500);
            now = std::max(now, c->first().time.raw);
            // The thread starts to run at its refill or later, for at most what the refill has.
            refill_unblock(c.context, Ticks(now));
            Word used = 1 + below(c->first().amount.raw);
            uses.push_back({now, now + used});
            refill_charge(c.context, Ticks(used));
            now += used;
            REQUIRE(sum(c.context) == budget);
            REQUIRE(ordered(c.context));
            REQUIRE(c->count <= max);
            REQUIRE(c->first().amount.raw >= 625);
            // Every window of one period that ends here.
            while (!uses.empty() && uses.front().end + period <= now) uses.pop_front();
            Word window = now > period ? now - period : 0;
            Word in_window = 0;
            for (const Use& use : uses) in_window += use.end - std::max(use.start, window);
            REQUIRE(in_window <= budget);
        }
    }
}

TEST_CASE("time converts budgets down and periods up, without overflow", "[refill]") {
    for (Word frequency : {62'500'000u, 54'000'000u, 19'200'000u, 31'250'000u, 1'000'000'000u}) {
        host::reset();
        hardware.frequency = frequency;
        INFO("at " << frequency << " Hz");
        CHECK(ticks_down(Micros(1'000'000)).raw == frequency);
        CHECK(ticks_up(Micros(abi::timeout_max_us)).raw == frequency * 3600);
        CHECK(ticks_down(Micros(7)).raw == frequency * 7 / 1'000'000);
        CHECK(ticks_up(Micros(7)).raw == (frequency * 7 + 999'999) / 1'000'000);
        CHECK(micros_down(Ticks(frequency * 5 + frequency / 2)).raw == 5'500'000);
        CHECK(micros_down(Ticks(~Word{0})).raw == ~Word{0} / frequency * 1'000'000 + ~Word{0} % frequency * 1'000'000 / frequency);
        // The smallest budget that is allowed is enough to run on.
        CHECK(ticks_down(min_budget_us) >= min_budget());
    }
}

// -- Who runs

TEST_CASE("the highest priority runs", "[sched]") {
    World w;
    Thread low = w.start_thread(10);
    Thread high = w.start_thread(200);
    Thread middle = w.start_thread(100);
    w.let_go();
    CHECK(w.current() == high.object);
    w.syscall(Syscall::Call, high.tcb, {static_cast<Word>(Method::TCBSuspend)});
    CHECK(w.current() == middle.object);
    w.must(low.tcb, Method::TCBSetPriority, {150}, {World::cap(InitSlot::TCB)});
    w.let_go();
    CHECK(w.current() == low.object);
    w.must(low.tcb, Method::TCBSetPriority, {50}, {World::cap(InitSlot::TCB)});
    w.let_go();
    CHECK(w.current() == middle.object);
    w.must(middle.tcb, Method::TCBSuspend);
    w.must(low.tcb, Method::TCBSuspend);
    w.let_go();
    CHECK(w.current() == nullptr);
    CHECK(hardware.root == PhysAddr(0));
}

TEST_CASE("a thread needs a configured context", "[sched]") {
    World w;
    Thread thread = w.make_thread(10);
    Word context = w.make(ObjectType::SchedContext, 8);
    w.resume(thread);
    w.let_go();
    CHECK(w.current() == nullptr);
    w.must(context, Method::SchedContextBind, {}, {thread.tcb});
    w.let_go();
    CHECK(w.current() == nullptr);
    w.configure(context, {});
    w.let_go();
    CHECK(w.current() == thread.object);
    REQUIRE_OK(w.remove(context));
    w.let_go();
    CHECK(w.current() == nullptr);
    CHECK(thread->state == ThreadState::Running);
}

TEST_CASE("equals take turns", "[sched]") {
    World w;
    Thread threads[] = {w.start_thread(10), w.start_thread(10), w.start_thread(10)};
    w.let_go();
    std::vector<Tcb*> order;
    for (unsigned i = 0; i < 6; ++i) {
        order.push_back(w.current());
        REQUIRE(hardware.deadline == hardware.time + 625'000);
        hardware.time += 625'000;
        w.timer();
    }
    // Which of them comes first is nobody's business; that all of them come, and always in the same order, is.
    for (const Thread& thread : threads) CHECK(std::count(order.begin(), order.begin() + 3, thread.object) == 1);
    CHECK(std::equal(order.begin(), order.begin() + 3, order.begin() + 3));
    SECTION("Yield passes the turn on at once, and starts a whole one") {
        Tcb* first = w.current();
        hardware.time += 1000;
        w.syscall(Syscall::Yield, 0);
        CHECK(w.current() == order[1]);
        CHECK(w.current() != first);
        CHECK(first->sched_context->first().amount == Ticks(625'000));
    }
}

TEST_CASE("a turn that is nearly over when its thread blocks is a new one when it wakes", "[sched]") {
    World w;
    Word notification = w.make(ObjectType::Notification);
    Thread thread = w.start_thread(10);
    w.let_go();
    hardware.time += 624'900;
    w.syscall(Syscall::Wait, notification);
    CHECK(w.current() == nullptr);
    w.take_over();
    w.syscall(Syscall::Send, notification);
    w.let_go();
    CHECK(w.current() == thread.object);
    CHECK(hardware.deadline == hardware.time + 625'000);
}

TEST_CASE("a budget ends, and its thread comes back at the refill", "[sched]") {
    bool sporadic = GENERATE(false, true);
    World w;
    Thread thread = w.make_thread(10, Budget{.budget_us = 1000, .period_us = 5000, .sporadic = sporadic});
    Thread other = w.start_thread(5);
    w.resume(thread);
    w.let_go();
    Word start = hardware.time;
    REQUIRE(w.current() == thread.object);
    hardware.time = start + 62'500;
    w.timer();
    CHECK(w.current() == other.object);
    CHECK(hardware.deadline == start + 312'500);
    hardware.time = hardware.deadline;
    w.timer();
    CHECK(w.current() == thread.object);
    SECTION("Yield gives up the rest of the refill") {
        hardware.time += 10 * tick_us;
        w.syscall(Syscall::Yield, 0);
        CHECK(w.current() == other.object);
        CHECK(thread->release.linked());
        // What was given up does not count as consumed.
        CHECK(w.object<SchedContext>(thread.context).consumed == Ticks(62'500 + 10 * tick_us));
    }
    SECTION("Yield when nothing is left gives up nothing of the next refill") {
        start = hardware.time;
        hardware.time += 62'500;
        w.syscall(Syscall::Yield, 0);
        CHECK(thread->release.linked());
        CHECK(hardware.deadline == start + 312'500);
    }
    SECTION("a late timer charges the overrun") {
        hardware.time += 100'000;
        w.timer();
        CHECK(w.object<SchedContext>(thread.context).consumed == Ticks(162'500));
    }
}

TEST_CASE("the clock runs while the kernel works", "[sched]") {
    World w;
    Thread a = w.make_thread(10, Budget{.budget_us = 100, .period_us = 1000, .extra_refills = 4});
    Thread b = w.make_thread(11, Budget{.budget_us = 200, .period_us = 1500, .extra_refills = 4});
    Thread c = w.make_thread(12, Budget{.budget_us = 50, .period_us = 700, .extra_refills = 2, .sporadic = true});
    for (const Thread* thread : {&a, &b, &c}) w.resume(*thread);
    w.let_go();
    std::mt19937 random(5);
    for (unsigned i = 0; i < 3000; ++i) {
        // Every entry checks that the release queue is in order and that budgets sum up.
        hardware.ticks_per_read = random() % 200;
        if (w.current() != nullptr && random() % 4 == 0) w.syscall(Syscall::Yield, 0);
        hardware.time = std::max(hardware.time, hardware.deadline);
        w.timer();
    }
    Word total = 0;
    for (const Thread* thread : {&a, &b, &c}) total += w.object<SchedContext>(thread->context).consumed.raw;
    CHECK(total > 0);
}

TEST_CASE("many refills at once are released in batches, the processor kept by interrupts between", "[sched]") {
    World w;
    std::vector<Thread> threads;
    for (unsigned i = 0; i < 40; ++i) {
        threads.push_back(w.make_thread(10, Budget{.budget_us = 100, .period_us = 1'000'000}));
        w.resume(threads.back());
    }
    w.let_go();
    for (unsigned i = 0; i < 40; ++i) {
        hardware.time = hardware.deadline;
        w.timer();
    }
    REQUIRE(w.current() == nullptr);
    hardware.time += 100'000'000;
    unsigned released = 0;
    unsigned interrupts = 0;
    while (released < 40 && interrupts < 20) {
        // The next one keeps its distance.
        hardware.time = std::max(hardware.time, hardware.deadline);
        w.timer();
        ++interrupts;
        Word waiting =
            static_cast<Word>(std::count_if(threads.begin(), threads.end(), [](const Thread& t) { return t->release.linked(); }));
        CHECK((waiting == 0 || hardware.deadline <= hardware.time + 10 * 63));
        released = 40 - static_cast<unsigned>(waiting);
    }
    // No interrupt releases more than four.
    CHECK(interrupts == 10);
}

TEST_CASE("budget is kept near the end of the counter's range", "[sched]") {
    World w;
    hardware.time = (Word{1} << 56) - 1000;
    w.take_over();
    Thread thread = w.make_thread(10, Budget{.budget_us = 1000, .period_us = 5000});
    w.resume(thread);
    w.let_go();
    hardware.time += 62'500;
    w.timer();
    CHECK(w.current() == nullptr);
    hardware.time = hardware.deadline;
    w.timer();
    CHECK(w.current() == thread.object);
}

// -- Methods

TEST_CASE("checks of SchedControl::ConfigureFlags, in order", "[sched]") {
    World w;
    Word context = w.make(ObjectType::SchedContext, 7);
    auto configure = [&](Word budget, Word period, Word extra, Word to) {
        return w.invoke(w.sched_control(), Method::SchedControlConfigureFlags, {budget, period, extra, 5, 0}, {to});
    };
    CHECK(configure(9, 9, 9, World::cap(InitSlot::TCB)) == failure(Error::InvalidCapability, {1}));
    CHECK(configure(9, 9, 9, context) == failure(Error::RangeError, {10, abi::timeout_max_us}));
    CHECK(configure(abi::timeout_max_us + 1, 9, 9, context) == failure(Error::RangeError, {10, abi::timeout_max_us}));
    CHECK(configure(10, 9, 9, context) == failure(Error::RangeError, {10, abi::timeout_max_us}));
    CHECK(configure(10, abi::timeout_max_us + 1, 9, context) == failure(Error::RangeError, {10, abi::timeout_max_us}));
    CHECK(configure(12, 11, 9, context) == failure(Error::RangeError, {10, 11}));
    CHECK(configure(10, 11, 1, context) == failure(Error::RangeError, {0, 0}));
    REQUIRE_OK(configure(10, 11, 0, context));
    CHECK(w.object<SchedContext>(context).refill_max == 2);
    CHECK(w.object<SchedContext>(context).budget == Ticks(625));
    CHECK(w.object<SchedContext>(context).period == Ticks(688));
    Word large = w.make(ObjectType::SchedContext, 20);
    CHECK(configure(10, 11, 65'534, large) == failure(Error::RangeError, {0, (((Word{1} << 20) - 96) / 16) - 2}));
    REQUIRE_OK(configure(10, 11, 60'000, large));
    REQUIRE_OK(configure(abi::timeout_max_us, abi::timeout_max_us, 0, large));
    CHECK(w.object<SchedContext>(large).round_robin());
}

TEST_CASE("checks of SchedContext's methods", "[sched]") {
    World w;
    Word context = w.make_context({});
    Word other = w.make_context({});
    Thread thread = w.make_thread(10);
    Word notification = w.make(ObjectType::Notification);
    constexpr Word own = World::cap(InitSlot::SchedContext);
    auto bind = [&](Word sc, Word to) { return w.invoke(sc, Method::SchedContextBind, {}, {to}); };
    auto unbind = [&](Word sc, Word from) { return w.invoke(sc, Method::SchedContextUnbindObject, {}, {from}); };
    CHECK(bind(own, own) == failure(Error::InvalidCapability, {1}));
    CHECK(bind(own, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(bind(context, World::cap(InitSlot::TCB)) == failure(Error::IllegalOperation));
    REQUIRE_OK(bind(context, notification));
    CHECK(bind(other, notification) == failure(Error::IllegalOperation));
    CHECK(bind(context, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(unbind(context, own) == failure(Error::InvalidCapability, {1}));
    CHECK(unbind(context, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(unbind(own, World::cap(InitSlot::TCB)) == failure(Error::IllegalOperation));
    CHECK(unbind(other, notification) == failure(Error::IllegalOperation));
    REQUIRE_OK(unbind(context, notification));
    REQUIRE_OK(bind(context, thread.tcb));
    REQUIRE_OK(unbind(context, thread.tcb));
    CHECK(thread->sched_context == nullptr);
    CHECK(w.invoke(own, Method::SchedContextUnbind) == failure(Error::IllegalOperation));
    REQUIRE_OK(w.invoke(context, Method::SchedContextUnbind));
    REQUIRE_OK(bind(context, notification));
    REQUIRE_OK(w.invoke(context, Method::SchedContextUnbind));
    CHECK(w.object<Notification>(notification).sched_context == nullptr);
}

TEST_CASE("consumed time is told once", "[sched]") {
    World w;
    Thread thread = w.start_thread(10);
    w.let_go();
    hardware.time += 62'500;
    w.take_over();
    CHECK(w.invoke(thread.context, Method::SchedContextConsumed) == success({1000}));
    CHECK(w.invoke(thread.context, Method::SchedContextConsumed) == success({0}));
    w.must(World::cap(InitSlot::SchedContext), Method::SchedContextConsumed);
    hardware.time += 125'000;
    CHECK(w.invoke(World::cap(InitSlot::SchedContext), Method::SchedContextConsumed) == success({2000}));
}

TEST_CASE("a context that is configured anew while its thread waits, runs, or is ready", "[sched]") {
    World w;
    Thread thread = w.make_thread(10, Budget{.budget_us = 1000, .period_us = 100'000});
    w.resume(thread);
    w.let_go();
    SECTION("waiting for its refill") {
        hardware.time += 62'500;
        w.timer();
        REQUIRE(thread->release.linked());
        w.configure(thread.context, {});
        w.let_go();
        CHECK(w.current() == thread.object);
    }
    SECTION("running, by itself") {
        w.syscall(Syscall::Call, w.sched_control(),
                  {static_cast<Word>(Method::SchedControlConfigureFlags), {500, 50'000, 0, 0, 0}, {thread.context}});
        CHECK(w.current() == thread.object);
        CHECK(hardware.deadline == hardware.time + 31'250);
    }
    SECTION("ready") {
        w.configure(thread.context, {.budget_us = 500, .period_us = 50'000});
        w.let_go();
        CHECK(w.current() == thread.object);
        CHECK(hardware.deadline == hardware.time + 31'250);
    }
}

TEST_CASE("a context is unbound from a running thread by another", "[sched]") {
    World w;
    Thread thread = w.start_thread(10);
    Thread other = w.start_thread(9);
    w.let_go();
    REQUIRE(w.current() == thread.object);
    w.must(thread.context, Method::SchedContextUnbind);
    w.let_go();
    CHECK(w.current() == other.object);
    w.must(thread.context, Method::SchedContextBind, {}, {thread.tcb});
    w.let_go();
    CHECK(w.current() == thread.object);
}

TEST_CASE("a blocked thread's priority counts where it waits", "[sched]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word notification = w.make(ObjectType::Notification);
    Thread a = w.start_thread(10);
    Thread b = w.start_thread(20);
    Word object = GENERATE(0u, 1u) == 0 ? endpoint : notification;
    for (const Thread* thread : {&a, &b}) {
        w.run(*thread);
        w.syscall(Syscall::Wait, object);
    }
    // Back at 20, b stands before a; then a is raised.
    w.must(b.tcb, Method::TCBSetPriority, {20}, {World::cap(InitSlot::TCB)});
    w.must(a.tcb, Method::TCBSetPriority, {30}, {World::cap(InitSlot::TCB)});
    w.syscall(Syscall::NBSend, object, {});
    CHECK(a->state == ThreadState::Running);
    CHECK(b->state != ThreadState::Running);
}

// -- YieldTo

namespace {

// Callers and the thread that they yield to; all of them may be given time by the others.
struct Yielding : World {
    Thread target = start_thread(20);
    Thread caller = start_thread(20);
    Thread equal = start_thread(20);
    Yielding() {
        for (const Thread* thread : {&target, &caller, &equal})
            must(thread->tcb, Method::TCBSetMCPriority, {20}, {cap(InitSlot::TCB)});
        // The caller runs, the others are ready, the target last.
        let_go();
        while (current() != caller.object) syscall(Syscall::Yield, 0);
    }
    void yield_to(const Thread& thread) { syscall(Syscall::Call, thread.context, {static_cast<Word>(Method::SchedContextYieldTo)}); }
};

}  // namespace

TEST_CASE("checks of YieldTo, in order", "[sched]") {
    World w;
    Thread caller = w.start_thread(20);
    Thread target = w.start_thread(10);
    Word free = w.make_context({});
    w.must(caller.tcb, Method::TCBSetMCPriority, {15}, {World::cap(InitSlot::TCB)});
    w.run(caller);
    auto yield_to = [&](Word context) {
        w.syscall(Syscall::Call, context, {static_cast<Word>(Method::SchedContextYieldTo)});
        return w.answer(caller);
    };
    CHECK(yield_to(free) == failure(Error::IllegalOperation));
    CHECK(yield_to(caller.context) == failure(Error::IllegalOperation));
    CHECK(yield_to(World::cap(InitSlot::SchedContext)) == failure(Error::IllegalOperation));
    CHECK(yield_to(target.context) == success({0}));
    w.must(target.tcb, Method::TCBSetPriority, {16}, {World::cap(InitSlot::TCB)});
    w.run(caller);
    CHECK(yield_to(target.context) == failure(Error::IllegalOperation));
    w.must(target.tcb, Method::TCBSetPriority, {15}, {World::cap(InitSlot::TCB)});
    w.run(caller);
    CHECK(yield_to(target.context) == success({0}));
}

TEST_CASE("YieldTo lets an equal run at once, and the caller behind it", "[sched]") {
    Yielding w;
    Word notification = w.make(ObjectType::Notification);
    w.must(w.target.context, Method::SchedContextConsumed);
    w.let_go();
    REQUIRE(w.current() == w.caller.object);
    w.yield_to(w.target);
    CHECK(w.current() == w.target.object);
    CHECK(w.caller->ready.linked());
    hardware.time += 12'500;
    SECTION("the target blocks: the caller is next, before its equals, and is told the time") { w.syscall(Syscall::Wait, notification); }
    SECTION("the target yields") { w.syscall(Syscall::Yield, 0); }
    SECTION("the target's turn ends") {
        hardware.time += 1'000'000;
        w.timer();
        CHECK(w.current() == w.caller.object);
        CHECK(w.answer(w.caller) == success({16'200}));
        return;
    }
    w.let_go();
    CHECK(w.current() == w.caller.object);
    CHECK(w.answer(w.caller) == success({200}));
    CHECK(w.caller->yielding_to == nullptr);
}

TEST_CASE("YieldTo to a thread of lower priority returns at once, and brings it to the head of its queue", "[sched]") {
    Yielding w;
    Thread lower[] = {w.start_thread(5), w.start_thread(5)};
    w.run(w.caller);
    w.yield_to(lower[1]);
    CHECK(w.current() == w.caller.object);
    CHECK(w.answer(w.caller) == success({0}));
    for (const Thread* thread : {&w.caller, &w.target, &w.equal}) w.must(thread->tcb, Method::TCBSuspend);
    w.let_go();
    CHECK(w.current() == lower[1].object);
}

TEST_CASE("YieldTo to a thread that cannot run returns at once, and tells the time that it used", "[sched]") {
    Yielding w;
    SECTION("it is inactive") { w.must(w.target.tcb, Method::TCBSuspend); }
    SECTION("it waits") {
        Word notification = w.make(ObjectType::Notification);
        w.run(w.target);
        w.syscall(Syscall::Wait, notification);
    }
    SECTION("it has no budget") {
        w.configure(w.target.context, {.budget_us = 100, .period_us = 1'000'000});
        w.run(w.target);
        hardware.time += 6'250;
        w.timer();
        REQUIRE(w.target->release.linked());
    }
    SECTION("it is of another domain") { w.must(World::cap(InitSlot::Domain), Method::DomainSet, {1}, {w.target.tcb}); }
    w.object<SchedContext>(w.target.context).consumed = Ticks(62'500);
    w.run(w.caller);
    w.yield_to(w.target);
    CHECK(w.current() == w.caller.object);
    CHECK(w.answer(w.caller) == success({1000}));
    CHECK(w.object<SchedContext>(w.target.context).consumed == Ticks(0));
}

TEST_CASE("a YieldTo that is not over when something happens to either side", "[sched]") {
    Yielding w;
    w.must(w.target.context, Method::SchedContextConsumed);
    w.let_go();
    w.yield_to(w.target);
    REQUIRE(w.caller->yielding_to != nullptr);
    hardware.time += 6'250;
    SECTION("another caller yields to the same context") {
        Thread important = w.start_thread(30);
        w.run(important);
        w.yield_to(w.target);
        // The first one's is over, and has taken the time.
        CHECK(w.caller->yielding_to == nullptr);
        CHECK(w.answer(w.caller) == success({100}));
        CHECK(w.answer(important) == success({0}));
    }
    SECTION("the context is deleted") {
        REQUIRE_OK(w.remove(w.target.context));
        CHECK(w.caller->yielding_to == nullptr);
        CHECK(w.answer(w.caller) == success({100}));
    }
    SECTION("the caller is suspended") {
        w.must(w.caller.tcb, Method::TCBSuspend);
        CHECK(w.caller->yielding_to == nullptr);
        CHECK(w.object<SchedContext>(w.target.context).yield_from == nullptr);
        w.resume(w.caller);
        w.run(w.caller);
        CHECK(w.answer(w.caller) == success({100}));
    }
    SECTION("the caller is deleted") {
        REQUIRE_OK(w.remove(w.caller.tcb));
        CHECK(w.object<SchedContext>(w.target.context).yield_from == nullptr);
    }
    SECTION("the caller's registers are written: they stay as written") {
        w.must(w.caller.tcb, Method::TCBWriteRegisters, {0, 12, 0x500000, 0x600000, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
        w.run(w.caller);
        CHECK(w.caller->context.x[0] == 1);
        CHECK(w.caller->context.x[2] == 3);
    }
    SECTION("the caller gets another priority") {
        w.must(w.caller.tcb, Method::TCBSetPriority, {40}, {World::cap(InitSlot::TCB)});
        w.let_go();
        CHECK(w.current() == w.caller.object);
        CHECK(w.answer(w.caller) == success({100}));
    }
    SECTION("the context passes to another thread") {
        w.must(w.target.context, Method::SchedContextUnbind);
        w.let_go();
        CHECK(w.current() == w.caller.object);
        CHECK(w.answer(w.caller) == success({100}));
    }
}

TEST_CASE("a thread that is resumed while its YieldTo waits for a timeout handler has its YieldTo over", "[sched]") {
    Yielding w;
    Word timeouts = w.make(ObjectType::Endpoint);
    w.must(w.caller.tcb, Method::TCBSetTimeoutEndpoint, {}, {timeouts});
    w.configure(w.caller.context, {.budget_us = 100, .period_us = 1'000'000});
    w.let_go();
    while (w.current() != w.caller.object) w.syscall(Syscall::Yield, 0);
    // The budget ends with the system call.
    hardware.time += 6'250;
    w.yield_to(w.target);
    REQUIRE(w.caller->yielding_to != nullptr);
    REQUIRE(w.caller->faulted());
    w.must(w.caller.tcb, Method::TCBResume);
    CHECK(w.caller->yielding_to == nullptr);
    CHECK(!w.caller->faulted());
}

TEST_CASE("YieldTo by a message before a receive goes on with the receive", "[sched]") {
    Yielding w;
    Word notification = w.make(ObjectType::Notification);
    w.let_go();
    REQUIRE(w.current() == w.caller.object);
    bool at_once = GENERATE(true, false);
    if (!at_once) {
        w.must(w.target.tcb, Method::TCBSuspend);
        w.let_go();
    }
    w.prepare(Syscall::NBSendWait, notification, {static_cast<Word>(Method::SchedContextYieldTo), {}, {}}, 0, w.target.context);
    w.execute();
    if (at_once) {
        CHECK(w.current() == w.target.object);
        CHECK(w.caller->state == ThreadState::Running);
        w.run(w.caller);
        w.execute();
    }
    CHECK(w.caller->state == ThreadState::BlockedOnNotification);
    w.take_over();
    w.syscall(Syscall::Send, notification);
    CHECK(w.answer(w.caller) == Answer{.unwrapped = 7});
}

// -- Threads that wait for budget

TEST_CASE("a thread that waits for its budget changes priority, and comes before its lessers at the same time", "[sched]") {
    World w;
    std::vector<Thread> threads;
    for (unsigned i = 0; i < 6; ++i) {
        threads.push_back(w.make_thread(10 + i, Budget{.budget_us = 1000, .period_us = 50'000}));
        w.resume(threads.back());
    }
    Word start = hardware.time;
    w.let_go();
    for (unsigned i = 0; i < 6; ++i) {
        hardware.time += 62'500;
        w.timer();
    }
    REQUIRE(w.current() == nullptr);
    // Every entry checks the order of the release queue.
    for (unsigned i = 0; i < 6; ++i) w.must(threads[i].tcb, Method::TCBSetPriority, {60 - 7 * i}, {World::cap(InitSlot::TCB)});
    for (unsigned i = 0; i < 6; ++i) w.must(threads[i].tcb, Method::TCBSetPriority, {20 + 13 * i % 5}, {World::cap(InitSlot::TCB)});
    for (const Thread& thread : threads) CHECK(thread->release.linked());
    w.let_go();
    hardware.time = start + 6'250'000;
    w.timer();
    CHECK(w.current() != nullptr);
}

TEST_CASE("late refills are joined a few at a time, and all of the budget comes in the end", "[sched]") {
    host::reset();
    LooseContext c;
    refill_new(c.context, LooseContext::room, Ticks(80'000), Ticks(1'000'000), Ticks(0));
    // Eight pieces, far enough apart to stay pieces.
    Word now = 0;
    for (unsigned i = 0; i < 8; ++i) {
        refill_unblock(c.context, Ticks(now));
        refill_charge(c.context, Ticks(10'000));
        now += 50'000;
    }
    REQUIRE(c->count == 8);
    CHECK(c->first().amount == Ticks(10'000));
    now = 10'000'000;
    refill_unblock(c.context, Ticks(now));
    CHECK(c->count == 4);
    CHECK(c->first().amount == Ticks(50'000));
    CHECK(c->first().time == Ticks(now));
    CHECK(sum(c.context) == 80'000);
    // The others are overdue: they are usable as soon as the first is used up, with no pause.
    refill_charge(c.context, Ticks(50'000));
    now += 50'000;
    CHECK(refill_ready(c.context, Ticks(now)));
    CHECK(sum(c.context) == 80'000);
    refill_unblock(c.context, Ticks(now));
    CHECK(c->first().amount == Ticks(30'000));
}
