// SPDX-License-Identifier: BSD-2-Clause
// Timer: the driver of the processor's physical timer, which gives each client an alarm. The timer is set to the earliest deadline and is
// off while there is none. docs/decisions/timer-driver.md says why it is this timer, and one component.
//
// Description: access physical_timer; irq alarm: "/timer" 1 (the second interrupt of that node is the physical timer's); provides timer:
// Timer; emits CLIENT for each client of that name.

#include <caprock/clock.hpp>
#include <caprock/server.hpp>
#include <interfaces/timer.hpp>

#include "alarms.hpp"
#include "physical_timer.hpp"

namespace timer {

class Timer : public interfaces::Timer::Service<Timer> {
public:
    /// Lets the interrupt come, also after an earlier life of this component left it unacknowledged. That one's deadlines are lost: all clients hear of
    /// it by a signal.
    Timer()
    {
        irq_.ack();
        if (caprock::self().incarnation() != 0)
            wake_clients();
    }

    caprock::RpcResult<uint64_t> now(caprock::Caller) { return caprock::now_us(); }

    caprock::RpcResult<void> arm(caprock::Caller caller, uint64_t deadline)
    {
        Alarm* alarm = find(caller);
        if (alarm == nullptr)
            return caprock::RpcError::Refused;
        alarm->deadline = caprock::us_to_ticks(deadline, caprock::counter_frequency());
        serve();
        return {};
    }

    caprock::RpcResult<void> cancel(caprock::Caller caller)
    {
        if (Alarm* alarm = find(caller); alarm != nullptr)
            alarm->deadline = never;
        serve();
        return {};
    }

    /// The bit, as a mask, that the timer's interrupt sets.
    uint64_t interrupt() const { return irq_.signal(); }

    void on_interrupt()
    {
        serve();
        // The line is down by now, or up for a deadline that has come meanwhile.
        irq_.ack();
    }

private:
    static void wake_clients()
    {
        for (const caprock::ComponentEntry& entry : caprock::self().entries()) {
            if (entry.kind == static_cast<uint64_t>(caprock::ComponentEntryKind::Client))
                if (const auto* signal = caprock::self().find(caprock::ComponentEntryKind::Emits, caprock::entry_name(entry)); signal != nullptr)
                    caprock::Signal {*signal}();
        }
    }

    /// The alarm of a client, made at its first call; null when the description connects no signal to it.
    Alarm* find(caprock::Caller caller)
    {
        if (Alarm* alarm = alarms_.find(caller.badge); alarm != nullptr)
            return alarm;
        const auto* client = caprock::self().find_badge(caprock::ComponentEntryKind::Client, caller.badge);
        if (client == nullptr)
            return nullptr;
        const auto* signal = caprock::self().find(caprock::ComponentEntryKind::Emits, caprock::entry_name(*client));
        return signal == nullptr ? nullptr : alarms_.add(caller.badge, reinterpret_cast<uint64_t>(signal));
    }

    /// Signals whose time has come, and sets the timer to the next deadline.
    void serve()
    {
        const auto ring = [](uint64_t entry) { caprock::Signal {*reinterpret_cast<const caprock::ComponentEntry*>(entry)}(); };
        const uint64_t next = alarms_.expire(caprock::counter_ticks(), ring);
        if (next == never)
            timer_.stop();
        else
            timer_.arm(next);
    }

    PhysicalTimer timer_;
    Alarms alarms_;
    caprock::Irq irq_ = caprock::self().irq("alarm");
};

} // namespace timer

int main()
{
    timer::Timer timer;
    auto on_interrupt = [&](uint64_t) { timer.on_interrupt(); };
    caprock::Server server;
    server.provide("timer", timer);
    server.on_signal(timer.interrupt(), on_interrupt);
    server.run();
}
