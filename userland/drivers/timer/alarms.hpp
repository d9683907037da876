// SPDX-License-Identifier: BSD-2-Clause
// The alarms of a timer's clients: one each, by the badge of their calls.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace timer {

/// A deadline that never comes.
inline constexpr uint64_t never = UINT64_MAX;

/// The alarm of one client.
struct Alarm {
    /// Badge of the client's calls.
    uint64_t badge;
    /// Slot of the notification that tells the client.
    uint64_t signal;
    /// Ticks of the counter; `never` while it is not set.
    uint64_t deadline;
};

/// All alarms. Clients are few, so nothing is sorted.
class Alarms {
public:
    static constexpr size_t capacity = 64;

    /// The alarm of the client with that badge, or null.
    Alarm* find(uint64_t badge)
    {
        for (size_t i = 0; i < count_; ++i) {
            if (alarms_[i].badge == badge)
                return &alarms_[i];
        }
        return nullptr;
    }

    /// Makes the alarm of a client that has none yet; null when there are too many.
    Alarm* add(uint64_t badge, uint64_t signal)
    {
        if (count_ == capacity)
            return nullptr;
        alarms_[count_] = {badge, signal, never};
        return &alarms_[count_++];
    }

    /// Calls `ring(signal)` for each alarm whose deadline has come at `now`, and takes these deadlines away.
    /// @return the earliest deadline that is left, or `never`
    template <class Ring>
    uint64_t expire(uint64_t now, Ring ring)
    {
        uint64_t next = never;
        for (size_t i = 0; i < count_; ++i) {
            Alarm& alarm = alarms_[i];
            if (alarm.deadline <= now && alarm.deadline != never) {
                alarm.deadline = never;
                ring(alarm.signal);
            }
            if (alarm.deadline < next)
                next = alarm.deadline;
        }
        return next;
    }

private:
    Alarm alarms_[capacity] {};
    size_t count_ = 0;
};

} // namespace timer
