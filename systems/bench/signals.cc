// SPDX-License-Identifier: BSD-2-Clause
// Notifications, and Yield.
#include <caprock/self.hpp>

#include "messages.hpp"
#include "objects.hpp"

namespace bench {
namespace {

uint64_t notification_of(caprock::Text peer) { return self().get(caprock::ComponentEntryKind::Emits, peer).value; }

/// Ticks of a signal alone. Between them the word is taken, so that nothing is signalled twice.
Figure signal_idle()
{
    const uint64_t notification = notification_of("own");
    Registers registers {};
    const auto shot = [&] {
        announce<Operation::SignalIdle>();
        const uint64_t ticks = trap(registers, abi::Syscall::Send, notification).ticks();
        trap(registers, abi::Syscall::NBWait, self().info().notification);
        return ticks;
    };
    return figure_of(shot);
}

Figure signal_low()
{
    const uint64_t notification = notification_of("low");
    Registers registers {};
    const auto shot = [&] {
        announce<Operation::SignalLow>();
        const uint64_t ticks = trap(registers, abi::Syscall::Send, notification).ticks();
        self().wait_for(self().consumes("back"));
        return ticks;
    };
    return figure_of(shot);
}

void measure_high(Table& table)
{
    const uint64_t notification = notification_of("high");
    Stamps& times = stamps("high");
    Registers registers {};
    const auto signal = [&] {
        announce<Operation::SignalHigh>();
        const Shot shot = trap(registers, abi::Syscall::Send, notification);
        return times.end - shot.start;
    };
    // The waiter tells when its wait began once it has ended, by the next signal.
    Shot last = trap(registers, abi::Syscall::Send, notification);
    const auto wait = [&] {
        const Shot shot = trap(registers, abi::Syscall::Send, notification);
        const uint64_t ticks = last.end - times.start;
        last = shot;
        return ticks;
    };
    table.add("signal high", figure_of(signal));
    last = trap(registers, abi::Syscall::Send, notification);
    table.add("wait blocking", figure_of(wait));
}

Figure wait_active()
{
    const uint64_t notification = notification_of("own");
    Registers registers {};
    const auto shot = [&] {
        trap(registers, abi::Syscall::Send, notification);
        announce<Operation::WaitActive>();
        return trap(registers, abi::Syscall::Wait, self().info().notification).ticks();
    };
    return figure_of(shot);
}

/// Singly until the equal notes its time, then both in loops of as many rounds.
Figure yield()
{
    const caprock::Signal start {notification_of("equal")};
    Stamps& times = stamps("equal");
    Registers registers {};
    start();
    trap(registers, abi::Syscall::Yield, 0);
    const uint64_t middle = median_of([&] {
        const Shot shot = trap(registers, abi::Syscall::Yield, 0);
        return times.end - shot.start;
    });
    times.stop = 1;
    trap(registers, abi::Syscall::Yield, 0);
    start();
    trap(registers, abi::Syscall::Yield, 0);
    Registers nothing {};
    const uint64_t own = bench_loop_nothing(nothing, rounds).ticks();
    const uint64_t ticks = bench_loop_trap(registers, rounds).ticks();
    // Both loop, and each round is two switches.
    return {middle, (ticks - 2 * own) * 100 / (2 * rounds)};
}

} // namespace

void measure_signals(Table& table)
{
    table.add("yield", yield());
    table.add("signal idle", signal_idle());
    table.add("signal low", signal_low());
    measure_high(table);
    table.add("wait active", wait_active());
}

namespace {

/// Starts a faulting component, and waits until its handler knows the figure.
Figure fault(caprock::Text faulter, caprock::Text handler)
{
    self().emits(faulter)();
    self().wait_for(self().consumes(handler));
    const Stamps& result = stamps(handler);
    return {result.start, result.end};
}

} // namespace

void measure_faults(Table& table, const Workshop& shop)
{
    // No description can make a passive component a fault handler, since timeouts would bring it no time. Here none comes.
    must(caprock::Cap<caprock::TCB> {self().grant("passive_faulter_thread")}.set_sched_params(
        0, 110, shop.thread, caprock::Cap<caprock::SchedContext> {self().grant("passive_faulter_time")},
        caprock::Cap<caprock::Endpoint> {self().grant("passive_handler")}));
    table.add("fault passive", fault("passive_faulter", "passive_faults"));
    table.add("fault active", fault("active_faulter", "active_faults"));
}

void measure_interrupts(Table& table)
{
    const caprock::Signal set {notification_of("interrupts")};
    Stamps& times = stamps("interrupts");
    const auto cycle = [&] {
        set();
        uint64_t ticks;
        // In real time something else can hold the processor up before.
        do
            ticks = bench_watch();
        while (times.end < times.start);
        return ticks;
    };
    Figure whole;
    Figure to_user;
    figures_of(cycle, [&] { return times.end - times.start; }, whole, to_user);
    table.add("irq to user", to_user);
    table.add("irq cycle", whole);
}

} // namespace bench
