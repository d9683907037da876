// SPDX-License-Identifier: BSD-2-Clause
// Cases of scheduling domains: the methods of Domain, the schedule, and what does not cross from one domain's turn into another's.
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>

using namespace caprock;
using namespace caprock::test;
using host::hardware;

namespace {

constexpr Word domain_cap = World::cap(InitSlot::Domain);
constexpr Word root_tcb = World::cap(InitSlot::TCB);
constexpr Word last_entry = abi::domain_schedule_entries - 1;
constexpr Word ticks_in_ms = 62'500;

struct Domains : World {
    Answer set(const Thread& thread, Word domain) { return invoke(domain_cap, Method::DomainSet, {domain}, {thread.tcb}); }
    Answer configure_entry(Word index, Word domain, Word duration_us) {
        return invoke(domain_cap, Method::DomainScheduleConfigure, {index, domain, duration_us});
    }
    Answer set_start(Word index) { return invoke(domain_cap, Method::DomainScheduleSetStart, {index}); }
    // Domain 0 for 10 ms, domain 1 for 5 ms, domain 2 for 1 ms, again and again.
    void alternate() {
        REQUIRE_OK(configure_entry(0, 0, 10'000));
        REQUIRE_OK(configure_entry(1, 1, 5'000));
        REQUIRE_OK(configure_entry(2, 2, 1'000));
        REQUIRE_OK(set_start(0));
        REQUIRE(core().domain == DomainId(0));
    }
    // The time of the next deadline comes.
    void tick() {
        hardware.time = std::max(hardware.time, hardware.deadline);
        timer();
    }
    // Lets time pass until it is a domain's turn.
    void turn_of(unsigned domain) {
        for (unsigned i = 0; core().domain != DomainId(static_cast<uint8_t>(domain)); ++i) {
            REQUIRE(i < 2000);
            tick();
        }
    }
    // A thread that was resumed, in a domain.
    Thread start_in(Word domain, unsigned priority) {
        Thread thread = start_thread(priority);
        REQUIRE_OK(set(thread, domain));
        return thread;
    }
};

}  // namespace

// -- Methods

TEST_CASE("checks of Domain's methods, in order", "[domain]") {
    Domains w;
    Thread thread = w.make_thread(10);
    Word endpoint = w.make(ObjectType::Endpoint);
    for (Word none : {Word{abi::domains}, Word{256}, ~Word{0}})
        CHECK(w.invoke(domain_cap, Method::DomainSet, {none}, {endpoint}) == failure(Error::InvalidArgument, {0}));
    CHECK(w.invoke(domain_cap, Method::DomainSet, {15}, {endpoint}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(domain_cap, Method::DomainSet, {15}, {0}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(domain_cap, Method::DomainSet, {15}) == failure(Error::TruncatedMessage));
    REQUIRE_OK(w.set(thread, 15));
    CHECK(thread->domain == DomainId(15));

    constexpr Word domains = abi::domains;
    for (Word none : {last_entry + 1, ~Word{0}})
        CHECK(w.configure_entry(none, domains, abi::timeout_max_us + 1) == failure(Error::RangeError, {0, last_entry}));
    for (Word none : {domains, Word{256}, ~Word{0}})
        CHECK(w.configure_entry(0, none, abi::timeout_max_us + 1) == failure(Error::RangeError, {0, domains - 1}));
    for (Word none : {Word{1}, Word{9}, Word{abi::timeout_max_us} + 1, ~Word{0}})
        CHECK(w.configure_entry(0, 15, none) == failure(Error::RangeError, {10, abi::timeout_max_us}));
    CHECK(w.configure_entry(0, 15, 0) == failure(Error::IllegalOperation));
    CHECK(w.kernel().domain_schedule[0].length == never);
    REQUIRE_OK(w.configure_entry(last_entry, 15, abi::timeout_max_us));
    REQUIRE_OK(w.configure_entry(1, 15, 0));

    for (Word none : {last_entry + 1, ~Word{0}}) CHECK(w.set_start(none) == failure(Error::RangeError, {0, last_entry}));
    CHECK(w.set_start(1) == failure(Error::IllegalOperation));
    CHECK(w.kernel().domain_start == 0);
    REQUIRE_OK(w.configure_entry(1, 0, 10));
    REQUIRE_OK(w.set_start(1));
    CHECK(w.configure_entry(1, 15, 0) == failure(Error::IllegalOperation));
    // The former start can be an end now.
    REQUIRE_OK(w.configure_entry(0, 0, 0));
    CHECK(w.set_start(0) == failure(Error::IllegalOperation));
}

TEST_CASE("durations round up to ticks", "[domain]") {
    Domains w;
    REQUIRE_OK(w.configure_entry(5, 3, 11));
    CHECK(w.kernel().domain_schedule[5].length == Ticks(688));
    CHECK(w.kernel().domain_schedule[5].domain == DomainId(3));
}

TEST_CASE("the deletion of Domain changes nothing else", "[domain]") {
    Domains w;
    w.alternate();
    Word copy = w.copy(domain_cap);
    REQUIRE_OK(w.remove(domain_cap));
    REQUIRE_OK(w.remove(copy));
    w.turn_of(1);
    CHECK(w.kernel().domain_schedule[1].length == Ticks(5 * ticks_in_ms));
}

// -- The schedule

TEST_CASE("at boot there is one domain without an end", "[domain]") {
    Domains w;
    CHECK(w.core().domain == DomainId(0));
    CHECK(w.core().domain_end == never);
    CHECK(w.root()->domain == DomainId(0));
    w.let_go();
    REQUIRE(w.current() == nullptr);
    CHECK(hardware.deadline == never.raw);
}

TEST_CASE("a thread does not run while it is another domain's turn, whatever its priority", "[domain]") {
    Domains w;
    Thread other = w.start_in(1, 250);
    Thread low = w.start_in(0, 1);
    w.let_go();
    CHECK(w.current() == low.object);
    w.must(low.tcb, Method::TCBSuspend);
    w.let_go();
    CHECK(w.current() == nullptr);
    CHECK(other->ready.linked());
    CHECK(hardware.root == PhysAddr(0));
}

TEST_CASE("domains take turns", "[domain]") {
    Domains w;
    Thread first = w.start_in(0, 10);
    Thread second = w.start_in(1, 10);
    w.alternate();
    w.let_go();
    Word start = hardware.time;
    CHECK(w.current() == first.object);
    CHECK(w.core().domain_end == Ticks(start + 10 * ticks_in_ms));
    for (unsigned round = 0; round < 3; ++round) {
        Word begin = start + round * 16 * ticks_in_ms;
        w.turn_of(1);
        CHECK(hardware.time == begin + 10 * ticks_in_ms);
        CHECK(w.current() == second.object);
        w.turn_of(2);
        CHECK(hardware.time == begin + 15 * ticks_in_ms);
        // Nobody belongs to domain 2.
        CHECK(w.current() == nullptr);
        CHECK(hardware.deadline == begin + 16 * ticks_in_ms);
        w.turn_of(0);
        CHECK(hardware.time == begin + 16 * ticks_in_ms);
        CHECK(w.current() == first.object);
    }
}

TEST_CASE("a turn that begins late has its whole length", "[domain]") {
    Domains w;
    w.alternate();
    w.let_go();
    hardware.time += 12 * ticks_in_ms;
    w.timer();
    CHECK(w.core().domain == DomainId(1));
    CHECK(w.core().domain_end == Ticks(hardware.time + 5 * ticks_in_ms));
    // A turn ends at the first entry into the kernel that looks at the time, not only at the timer.
    hardware.time += 5 * ticks_in_ms;
    w.interrupt(World::control_irq);
    CHECK(w.core().domain != DomainId(1));
}

TEST_CASE("the schedule begins again at its start: at an entry of duration 0, or at the end of the table", "[domain]") {
    Domains w;
    SECTION("at an entry of duration 0") {
        w.alternate();
        // What stands behind the end is never reached.
        REQUIRE_OK(w.configure_entry(4, 5, 1000));
        w.turn_of(2);
        w.tick();
        CHECK(w.core().domain == DomainId(0));
        CHECK(w.core().domain_entry == 0);
    }
    SECTION("at the end of the table, from a start in its middle") {
        REQUIRE_OK(w.configure_entry(last_entry, 7, 1000));
        REQUIRE_OK(w.configure_entry(last_entry - 1, 0, 1000));
        REQUIRE_OK(w.set_start(last_entry - 1));
        w.turn_of(7);
        CHECK(w.core().domain_entry == last_entry);
        w.tick();
        CHECK(w.core().domain == DomainId(0));
        CHECK(w.core().domain_entry == last_entry - 1);
    }
    SECTION("a single entry follows itself") {
        REQUIRE_OK(w.configure_entry(0, 0, 1000));
        REQUIRE_OK(w.set_start(0));
        w.let_go();
        Word end = w.core().domain_end.raw;
        w.tick();
        CHECK(w.core().domain_entry == 0);
        CHECK(w.core().domain_end.raw == end + ticks_in_ms);
    }
}

TEST_CASE("a turn in progress keeps the length that it began with", "[domain]") {
    Domains w;
    w.alternate();
    Ticks end = w.core().domain_end;
    REQUIRE_OK(w.configure_entry(0, 3, 11));
    CHECK(w.core().domain_end == end);
    CHECK(w.core().domain == DomainId(0));
    w.turn_of(2);
    w.tick();
    CHECK(w.core().domain == DomainId(3));
    CHECK(w.core().domain_end == Ticks(hardware.time + 688));
}

TEST_CASE("an entry that becomes an end during its turn ends the schedule behind it", "[domain]") {
    Domains w;
    w.alternate();
    w.turn_of(1);
    w.kernel().domain_schedule[2].length = Ticks(0);  // the root task would say so itself if it were its turn
    w.tick();
    CHECK(w.core().domain == DomainId(0));
}

TEST_CASE("ScheduleSetStart begins the schedule there at once", "[domain]") {
    Domains w;
    Thread other = w.start_in(1, 10);
    w.alternate();
    hardware.time += 3 * ticks_in_ms;
    w.take_over();
    w.syscall(Syscall::Call, domain_cap, {static_cast<Word>(Method::DomainScheduleSetStart), {1}, {}});
    // The root task, which is of domain 0, stops; its call is done.
    CHECK(w.current() == other.object);
    CHECK(w.core().domain_end == Ticks(hardware.time + 5 * ticks_in_ms));
    CHECK(w.answer(w.root()) == success());
    CHECK(w.root()->ready.linked());
    w.turn_of(2);
    w.tick();
    // The schedule has begun at entry 1 again: entry 0 is before its start.
    CHECK(w.core().domain == DomainId(1));
}

TEST_CASE("a start in the caller's own domain lets it run on", "[domain]") {
    Domains w;
    w.alternate();
    hardware.time += 3 * ticks_in_ms;
    REQUIRE_OK(w.set_start(0));
    CHECK(w.current() == w.root().object);
    CHECK(w.core().domain_end == Ticks(hardware.time + 10 * ticks_in_ms));
}

// -- Threads that change their domain

TEST_CASE("a thread changes its domain while it runs, is ready, waits for budget, or is blocked", "[domain]") {
    Domains w;
    w.alternate();
    Thread caller = w.start_thread(100);
    SECTION("running: it stops") {
        w.run(caller);
        w.syscall(Syscall::Call, domain_cap, {static_cast<Word>(Method::DomainSet), {1}, {caller.tcb}});
        CHECK(w.current() == nullptr);
        CHECK(caller->ready.linked());
        CHECK(w.answer(caller) == success());
    }
    SECTION("ready") { REQUIRE_OK(w.set(caller, 1)); }
    SECTION("waiting for budget") {
        w.configure(caller.context, {.budget_us = 100, .period_us = 3'000});
        w.run(caller);
        hardware.time += 100 * 63;
        w.timer();
        REQUIRE(caller->release.linked());
        REQUIRE_OK(w.set(caller, 1));
        CHECK(caller->release.linked());
        w.let_go();
    }
    SECTION("blocked") {
        Word notification = w.make(ObjectType::Notification);
        w.run(caller);
        w.syscall(Syscall::Wait, notification);
        REQUIRE_OK(w.set(caller, 1));
        CHECK(caller->state == ThreadState::BlockedOnNotification);
        w.syscall(Syscall::Send, notification);
    }
    w.let_go();
    CHECK(w.current() != caller.object);
    w.turn_of(1);
    CHECK(w.current() == caller.object);
    // And back: it is not its turn any more.
    w.turn_of(0);
    REQUIRE_OK(w.set(caller, 0));
    w.let_go();
    CHECK(w.current() == caller.object);
}

TEST_CASE("an inactive thread changes its domain, and one that stays stays", "[domain]") {
    Domains w;
    Thread thread = w.make_thread(10, Budget{});
    REQUIRE_OK(w.set(thread, 3));
    CHECK(thread->domain == DomainId(3));
    CHECK(thread->state == ThreadState::Inactive);
    Thread running = w.start_thread(10);
    w.run(running);
    w.syscall(Syscall::Call, domain_cap, {static_cast<Word>(Method::DomainSet), {0}, {running.tcb}});
    CHECK(w.current() == running.object);
}

// -- What does not change the domain

TEST_CASE("a call to another domain waits for its turn", "[domain]") {
    Domains w;
    w.alternate();
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    bool passive = GENERATE(false, true);
    Word starter = w.make_context({});
    Thread server = w.make_thread(150);
    Thread client = w.start_thread(100);
    w.resume(server);
    w.must(starter, Method::SchedContextBind, {}, {server.tcb});
    w.run(server);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    if (passive) w.must(starter, Method::SchedContextUnbind);
    REQUIRE_OK(w.set(server, 1));
    w.run(client);
    w.syscall(Syscall::Call, endpoint, {.label = 9, .words = {4}});
    CHECK(w.core().domain == DomainId(0));
    CHECK(w.current() == nullptr);
    CHECK(server->state == ThreadState::Running);
    CHECK(server->ready.linked());
    CHECK(w.answer(server) == Answer{.label = 9, .words = {4}});
    w.turn_of(1);
    REQUIRE(w.current() == server.object);
    w.syscall(Syscall::ReplyRecv, endpoint, {.label = 5}, reply);
    CHECK(w.core().domain == DomainId(1));
    CHECK(w.current() == nullptr);
    CHECK(client->ready.linked());
    w.turn_of(0);
    CHECK(w.current() == client.object);
    CHECK(w.answer(client) == Answer{.label = 5});
}

TEST_CASE("signals and interrupts wake threads of other domains, and leave the turn alone", "[domain]") {
    Domains w;
    w.alternate();
    Word notification = w.make(ObjectType::Notification);
    Word handler = w.fresh();
    w.must(World::cap(InitSlot::IRQControl), Method::IRQControlGet, {60, 1, handler, 64}, {World::cap(InitSlot::CNode)});
    w.must(handler, Method::IRQHandlerSetNotification, {}, {notification});
    Thread waiter = w.start_thread(200);
    Thread busy = w.start_thread(5);
    w.run(waiter);
    w.syscall(Syscall::Wait, notification);
    REQUIRE_OK(w.set(waiter, 1));
    w.run(busy);
    SECTION("an interrupt") { w.interrupt(60); }
    SECTION("a signal") { w.syscall(Syscall::Send, notification); }
    SECTION("while the core idles") {
        w.must(busy.tcb, Method::TCBSuspend);
        w.let_go();
        w.interrupt(60);
        CHECK(w.current() == nullptr);
        w.resume(busy);
        w.let_go();
    }
    CHECK(waiter->state == ThreadState::Running);
    CHECK(w.core().domain == DomainId(0));
    CHECK(w.current() == busy.object);
    w.turn_of(1);
    CHECK(w.current() == waiter.object);
}

TEST_CASE("budgets are charged for what their threads used, not for the turns of others", "[domain]") {
    Domains w;
    Thread first = w.start_in(0, 10);
    Thread second = w.start_in(1, 10);
    w.alternate();
    w.must(first.context, Method::SchedContextConsumed);
    w.let_go();
    w.turn_of(1);
    w.turn_of(2);
    w.turn_of(0);
    CHECK(w.invoke(first.context, Method::SchedContextConsumed) == success({10'000}));
    CHECK(w.invoke(second.context, Method::SchedContextConsumed) == success({5'000}));
}

TEST_CASE("refills that come in another domain's turn are waited for", "[domain]") {
    Domains w;
    Thread thread = w.make_thread(10, Budget{.budget_us = 1000, .period_us = 12'000});
    w.resume(thread);
    w.alternate();
    w.let_go();
    REQUIRE(w.current() == thread.object);
    Word start = hardware.time;
    hardware.time += ticks_in_ms;
    w.timer();
    REQUIRE(thread->release.linked());
    // The refill comes at 12 ms, in domain 1's turn.
    while (hardware.time < start + 12 * ticks_in_ms) w.tick();
    CHECK(w.core().domain == DomainId(1));
    CHECK(!thread->release.linked());
    CHECK(w.current() == nullptr);
    w.turn_of(0);
    CHECK(w.current() == thread.object);
}

TEST_CASE("round robin and timeouts within a turn go on as ever", "[domain]") {
    Domains w;
    Thread a = w.make_thread(10, Budget{.budget_us = 2000, .period_us = 2000});
    Thread b = w.make_thread(10, Budget{.budget_us = 2000, .period_us = 2000});
    for (const Thread* thread : {&a, &b}) {
        REQUIRE_OK(w.set(*thread, 1));
        w.resume(*thread);
    }
    w.alternate();
    w.turn_of(1);
    Tcb* first = w.current();
    REQUIRE((first == a.object || first == b.object));
    w.tick();
    CHECK(w.current() != first);
    CHECK(w.current() != nullptr);
    w.tick();
    CHECK(w.current() == first);
    // The turn ends in the middle of a slice; what is left of it is used in the next turn.
    w.tick();
    CHECK(w.core().domain == DomainId(2));
    CHECK(first->sched_context->first().amount == Ticks(ticks_in_ms));
    w.turn_of(1);
    CHECK(w.current() == first);
    CHECK(hardware.deadline == hardware.time + ticks_in_ms);
}

TEST_CASE("a thread to which its context returns as a turn ends stands ahead of its equals", "[domain]") {
    Domains w;
    constexpr unsigned priority = 254;
    constexpr Budget slice{.budget_us = 2000, .period_us = 2000};
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Word starter = w.make_context({});
    Thread server = w.make_thread(priority);
    Thread client = w.make_thread(priority, slice);
    Thread answerer = w.make_thread(priority, slice);
    Thread other = w.make_thread(priority, slice);
    w.resume(server);
    w.must(starter, Method::SchedContextBind, {}, {server.tcb});
    w.run(server);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    w.must(starter, Method::SchedContextUnbind);
    w.resume(client);
    w.run(client);
    w.syscall(Syscall::Call, endpoint);
    w.must(server.tcb, Method::TCBSuspend);
    w.resume(answerer);
    w.run(answerer);
    w.resume(other);
    // Two turns of one domain.
    for (Word entry : {Word{0}, Word{1}}) REQUIRE_OK(w.configure_entry(entry, 0, 2'000));
    REQUIRE_OK(w.set_start(0));
    w.let_go();
    REQUIRE(w.current() == answerer.object);
    hardware.time += 3 * ticks_in_ms;
    w.syscall(Syscall::Call, reply);
    CHECK(w.current() == client.object);
    REQUIRE(w.core().queues[0].rings[priority].head == other.object);
    CHECK(other->ready.next == answerer.object);
}
