// SPDX-License-Identifier: BSD-2-Clause
// Budgets that come back together, or in as many pieces as fit, and what moves the processor from thread to thread.
#include "tests/worst_case/herd.hpp"
#include "tests/worst_case/operations.hpp"

namespace caprock::worst_case {

namespace {

constexpr abi::SchedContextFlags sporadic = abi::SchedContextFlags::make(1);
constexpr abi::SchedContextFlags constant_bandwidth = abi::SchedContextFlags::make(0);

uint64_t microseconds(uint64_t ticks) { return ticks * 1'000'000 / system.platform().timer_frequency; }

// -- Replenishments that are due at once

constexpr uint64_t gathering = 80'000;   // microseconds; more than it takes to prepare all members
constexpr uint64_t released_within = 20'000;

// Each member has used up its budget, and all get it back at the same time, within two microseconds; returns when, in ticks.
uint64_t gather_replenishments() {
    const uint64_t due = physical_count() + ticks_of(gathering);
    const Registers yielding = Registers::call(CapRef{}, empty_message, abi::Syscall::Yield);
    for (unsigned i = 0; i < Herd::size; ++i) {
        const Cap<SchedContext> context = herd.context(i);
        must(context.unbind());
        const uint64_t period = microseconds(due - physical_count());
        must(system.sched_control().configure_flags(10, period, 0, 0, i % 2 == 0 ? sporadic : constant_bandwidth, context));
        must(context.bind(herd.member(i)));
        herd.start(i, yielding);
    }
    must(physical_count() < due, "all members are prepared before the first replenishment");
    return due;
}

// As Herd::make left them.
void give_back_turns() {
    for (unsigned i = 0; i < Herd::size; ++i) {
        must(herd.context(i).unbind());
        must(system.sched_control().configure_flags(1'000, 1'000, 0, 0, constant_bandwidth, herd.context(i)));
        must(herd.context(i).bind(herd.member(i)));
    }
}

// Threads taken from among 4,096 that wait for their replenishments: another one each time.
void measure_suspension(Sweep& sweep) {
    gather_replenishments();
    unsigned next = 0;
    sweep.each([&] {
        constexpr unsigned stride = 1'237;   // prime: it comes to all
        must(herd.member(next).suspend());
        next = (next + stride) % Herd::size;
    });
    herd.stop_all();
    give_back_turns();
}

void spin_until(uint64_t count) {
    while (physical_count() < count) {}
}

// A thread that runs until its budget ends, while the worker waits for the deadline, and raises a fault to which nobody comes: it stands behind
// 255 groups of other threads.
void measure_end_of_budget(Sweep& sweep) {
    constexpr uint64_t budget = 15;   // microseconds
    const Cap<Endpoint> endpoint = create<Endpoint>();
    herd.start_all(send_to(endpoint));
    for (unsigned i = 0; i < Herd::size; ++i) must(herd.member(i).set_priority(255 - i % 255, root_tcb));
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<TCB> thread = make_thread({.priority = 0, .passive = true});
    must(thread.set_timeout_endpoint(endpoint));
    wake_by_deadline(true);
    sweep.each_until(ticks_of(budget) + 400, [=] {
        must(thread.suspend());
        must(context.unbind());
        must(system.sched_control().configure_flags(budget, 10 * budget, 2, 0, sporadic, context));
        must(context.bind(thread));
        start_at(thread, hog_entry, Registers{}, {});
        wait_for_wake();
    });
    wake_by_deadline(false);
    must(state_of(thread) == ThreadState::BlockedOnSend, "the fault waits");
    herd.stop_all();
}

void measure_replenishments(Sweep& sweep) {
    uint64_t due = 0;
    sweep.throughout(
        [&] {
            due = gather_replenishments();
            sleep_for(due - physical_count() - ticks_of(20));
        },
        [&] { spin_until(due + ticks_of(released_within)); });
    herd.finish();
    give_back_turns();
}

// -- A budget in as many pieces as a context can remember

// A thread whose budget has come to pieces: it ran `pieces` times, each time as briefly as it could.
class Pieces {
public:
    Pieces(uint64_t size_bits, void (*entry)()) : context_(create<SchedContext>(size_bits)), entry_(entry) {
        most_ = ((uint64_t{1} << size_bits) - abi::sched_context_core_bytes) / abi::refill_bytes;
    }
    void build(abi::SchedContextFlags flags) const {
        must(context_.unbind());
        must(system.sched_control().configure_flags(budget(), period(), most_ - 2, 0, flags, context_));
        must(context_.bind(thread_));
        start_at(thread_, waiter_entry, Registers{}, {{0, go_.address()}});
        for (uint64_t i = 0; i + 1 < most_; ++i) tell();
        start_at(thread_, entry_, Registers{}, {{0, go_.address()}});
    }
    void tell() const { sys::signal(go_.address()); }
    Cap<SchedContext> context() const { return context_; }
    /// Microseconds. A piece takes less than one, and building it less than three.
    uint64_t budget() const { return most_; }
    uint64_t period() const { return 6 * most_; }

private:
    Cap<SchedContext> context_;
    void (*entry_)();
    uint64_t most_;
    Cap<Notification> go_ = create<Notification>();
    Cap<TCB> thread_ = make_thread({.passive = true});
};

void sweep_pieces(Sweep& sweep, uint64_t size_bits, abi::SchedContextFlags flags) {
    const Pieces waiter(size_bits, waiter_entry);
    const Pieces yielder(size_bits, yielder_entry);
    const auto all_come_back = [=](const Pieces& pieces) {
        pieces.build(flags);
        sleep_for(ticks_of(pieces.period()));
    };
    sweep.each([&] { waiter.build(flags); }, [&] { waiter.tell(); });
    sweep.each([&] { all_come_back(waiter); }, [&] { waiter.tell(); });
    sweep.each([&] { yielder.build(flags); }, [&] { yielder.tell(); });
    sweep.each([&] { all_come_back(yielder); }, [&] { yielder.tell(); });
    const auto configure = [&] {
        must(system.sched_control().configure_flags(waiter.budget(), waiter.period() + 1, 2, 0, flags, waiter.context()));
    };
    sweep.each([&] { all_come_back(waiter); }, configure);
}

void measure_pieces(Sweep& sweep) {
    constexpr uint64_t size_bits = 12;
    sweep_pieces(sweep, size_bits, sporadic);
    sweep_pieces(sweep, size_bits, constant_bandwidth);
}

// As many as a context can count, 65,530, take some time to make: a small budget has a sixteenth of them.
void measure_most_pieces(Sweep& sweep) {
    constexpr uint64_t much = 1'000'000'000;
    const uint64_t size_bits = worst_case_options.budget < much ? 16 : 20;
    sweep_pieces(sweep, size_bits, sporadic);
    sweep_pieces(sweep, size_bits, constant_bandwidth);
}

// -- Who runs next

void measure_yield_to(Sweep& sweep) {
    const Cap<SchedContext> context = make_round_robin();
    const Cap<TCB> equal = make_thread({.priority = worker_priority, .vspace = system.other_vspace(), .passive = true});
    must(context.bind(equal));
    start_at(equal, spinner_entry, Registers{}, {});
    sweep.each([=] { must(context.yield_to()); });
    must(equal.set_priority(worker_priority - 1, root_tcb));
    sweep.each([=] { must(context.yield_to()); });
}

// Turns as short as they make sense, all of them of the one domain in which somebody runs: at each end the kernel decides anew.
void measure_domain_turns(Sweep& sweep) {
    constexpr uint64_t shortest = 10;   // microseconds
    for (unsigned i = 0; i < abi::domain_schedule_entries; ++i) must(domain.schedule_configure(i, 0, shortest));
    must(domain.schedule_set_start(0));
    sweep.throughout([] {}, [] { spin_until(physical_count() + ticks_of(10'000)); });
    sweep.each([] { must(domain.schedule_set_start(abi::domain_schedule_entries - 1)); });
    must(domain.schedule_configure(0, 0, abi::timeout_max_us));
    must(domain.schedule_set_start(0));
    for (unsigned i = 1; i < abi::domain_schedule_entries; ++i) must(domain.schedule_configure(i, 0, 0));
}

// A thread that is ready, and waits in a queue of many.
void measure_domain_change(Sweep& sweep) {
    const Cap<SchedContext> context = make_round_robin();
    const Cap<TCB> equal = make_thread({.priority = worker_priority, .passive = true});
    must(context.bind(equal));
    start_at(equal, spinner_entry, Registers{}, {});
    sweep.each([=] { must(domain.set(0, equal)); }, [=] { must(domain.set(1, equal)); });
}

}  // namespace

const Operation time_operations[] = {
    {"4,096 replenishments due at once", measure_replenishments},
    {"suspension of threads that wait for replenishment", measure_suspension},
    {"a budget that ends", measure_end_of_budget},
    {"a budget in 250 pieces", measure_pieces},
    {"a budget in as many pieces as fit", measure_most_pieces},
    {"a thread yielded to", measure_yield_to},
    {"64 domain turns of 10 us", measure_domain_turns},
    {"a thread moved to another domain", measure_domain_change},
    {nullptr, nullptr},
};

}  // namespace caprock::worst_case
