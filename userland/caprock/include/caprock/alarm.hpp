// SPDX-License-Identifier: BSD-2-Clause
// Sleeping by a `uses NAME: Timer` and the signal that its alarm sends.
#pragma once

#include <caprock/clock.hpp>
#include <caprock/self.hpp>
#include <interfaces/timer.hpp>

namespace caprock {

/// The component's alarm at a timer server. One per component.
class Alarm {
public:
    /// `timer`: name of the `uses`; `signal`: name of the `consumes` that the timer's signal is connected to.
    explicit Alarm(Text timer = "timer", Text signal = "alarm")
        : timer_ {self().uses<interfaces::Timer>(timer)}, signal_ {self().consumes(signal)}
    {
    }

    /// The bit, as a mask, that the alarm sets: for Server::on_signal.
    uint64_t signal() const { return signal_; }
    /// Lets the signal come `us` microseconds from now, instead of any earlier setting. It comes early if the timer is restarted.
    [[nodiscard]] RpcResult<void> set(uint64_t us) const { return timer_.arm(deadline_after(us)); }
    /// Takes the setting back. A signal that is under way still comes.
    [[nodiscard]] RpcResult<void> cancel() const { return timer_.cancel(); }
    /// Waits for `us` microseconds or a little more. Other signals that come meanwhile are kept.
    [[nodiscard]] RpcResult<void> sleep(uint64_t us) const
    {
        const uint64_t end = deadline_after(us);
        // A signal of an earlier setting may still have been under way; and a timer that was restarted has forgotten this one, and says so by a signal.
        do {
            const auto armed = timer_.arm(end);
            if (!armed.ok())
                return armed;
            self().wait_for(signal_);
        } while (now_us() < end);
        return {};
    }

private:
    /// The far future instead of an overflow.
    static uint64_t deadline_after(uint64_t us)
    {
        const uint64_t now = now_us();
        return us < UINT64_MAX - now ? now + us : UINT64_MAX;
    }

    interfaces::Timer::Client<IpcTransport> timer_;
    uint64_t signal_;
};

} // namespace caprock
