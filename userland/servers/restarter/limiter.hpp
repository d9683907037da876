// SPDX-License-Identifier: BSD-2-Clause
// When a component may be started again: at most so often in a window of time, and each time after twice the pause of the time before.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace restarter {

/// The restarts of one component. Times are in microseconds since power-on.
class Limiter {
public:
    /// Most restarts that are remembered.
    static constexpr size_t capacity = 16;

    /// `most`: restarts in any `window`, up to `capacity`; 0 for any number. `backoff`: pause before the second restart in a window; 0 for none.
    constexpr Limiter(uint64_t most, uint64_t window, uint64_t backoff) : most_ {most < capacity ? most : capacity}, window_ {window}, backoff_ {backoff} {}

    /// When what stopped at `now` may be started.
    constexpr uint64_t ready_at(uint64_t now) const
    {
        const size_t recent = count_after(now);
        uint64_t ready = recent == 0 ? now : now + pause(recent);
        if (most_ != 0 && count_ >= most_) {
            // The restart that is `most` restarts ago has to leave the window first.
            const uint64_t leaves = times_[(count_ - most_) % capacity] + window_;
            ready = leaves > ready ? leaves : ready;
        }
        return ready;
    }

    /// Notes a restart.
    constexpr void restarted(uint64_t now) { times_[count_++ % capacity] = now; }

    /// Restarts so far.
    constexpr uint64_t count() const { return count_; }

private:
    /// How many of the last restarts are in the window that ends at `now`.
    constexpr size_t count_after(uint64_t now) const
    {
        size_t recent = 0;
        while (recent < count_ && recent < capacity && now - times_[(count_ - 1 - recent) % capacity] < window_)
            ++recent;
        return recent;
    }

    /// The pause behind `recent` restarts; never longer than the window.
    constexpr uint64_t pause(size_t recent) const
    {
        const uint64_t doubled = backoff_ << (recent - 1);
        return doubled < window_ ? doubled : window_;
    }

    uint64_t most_;
    uint64_t window_;
    uint64_t backoff_;
    uint64_t times_[capacity] {};
    uint64_t count_ = 0;
};

} // namespace restarter
