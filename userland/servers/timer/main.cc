// SPDX-License-Identifier: BSD-2-Clause
// Timer server: one alarm per client, checked at each tick of the ticker, which runs only while an alarm is set.
// docs/decisions/timer-driver.md says why time comes from a scheduling context and not from a device.
//
// Description: provides timer: Timer; consumes tick; emits start; emits CLIENT for each client of that name.

#include <caprock/clock.hpp>
#include <caprock/server.hpp>
#include <interfaces/timer.hpp>

namespace timer {

class Timer : public interfaces::Timer::Service<Timer> {
public:
    caprock::RpcResult<uint64_t> now(caprock::Caller) { return caprock::now_us(); }

    caprock::RpcResult<void> arm(caprock::Caller caller, uint64_t deadline)
    {
        Alarm* alarm = find(caller);
        if (alarm == nullptr)
            return caprock::RpcError::Refused;
        alarm->armed = true;
        alarm->deadline = deadline;
        check();
        return {};
    }

    caprock::RpcResult<void> cancel(caprock::Caller caller)
    {
        if (Alarm* alarm = find(caller); alarm != nullptr)
            alarm->armed = false;
        return {};
    }

    /// Called at each tick.
    void tick()
    {
        ticking_ = false;
        check();
    }

private:
    static constexpr size_t max_clients = 64;

    struct Alarm {
        uint64_t badge;
        uint64_t signal;
        uint64_t deadline;
        bool armed;
    };

    /// The alarm of a client, made at its first call; null when the description connects no signal to it.
    Alarm* find(caprock::Caller caller)
    {
        for (size_t i = 0; i < count_; ++i) {
            if (alarms_[i].badge == caller.badge)
                return &alarms_[i];
        }
        const auto* client = caprock::self().find_badge(caprock::ComponentEntryKind::Client, caller.badge);
        if (client == nullptr || count_ == max_clients)
            return nullptr;
        const auto* signal = caprock::self().find(caprock::ComponentEntryKind::Emits, caprock::entry_name(*client));
        if (signal == nullptr)
            return nullptr;
        alarms_[count_] = {caller.badge, signal->value, 0, false};
        return &alarms_[count_++];
    }

    /// Signals whose time has come; asks for a tick if others are left.
    void check()
    {
        const uint64_t time = caprock::now_us();
        bool waiting = false;
        for (size_t i = 0; i < count_; ++i) {
            Alarm& alarm = alarms_[i];
            if (alarm.armed && alarm.deadline <= time) {
                alarm.armed = false;
                caprock::Signal {alarm.signal}();
            }
            waiting |= alarm.armed;
        }
        if (waiting && !ticking_) {
            ticking_ = true;
            start_();
        }
    }

    Alarm alarms_[max_clients] {};
    size_t count_ = 0;
    bool ticking_ = false;
    caprock::Signal start_ = caprock::self().emits("start");
};

} // namespace timer

int main()
{
    timer::Timer timer;
    auto on_tick = [&](uint64_t) { timer.tick(); };
    caprock::Server server;
    server.provide("timer", timer);
    server.on_signal(caprock::self().consumes("tick"), on_tick);
    server.run();
}
