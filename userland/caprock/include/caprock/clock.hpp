// SPDX-License-Identifier: BSD-2-Clause
// The time since power-on, read from the processor's counter without a system call.
#pragma once

#include <stdint.h>

namespace caprock {

/// The virtual counter.
inline uint64_t counter_ticks()
{
    uint64_t ticks;
    // The isb keeps the read from being executed early, so that two reads do not go back.
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

/// Counter ticks per second; never 0 on a board that the boot shim accepts.
inline uint64_t counter_frequency()
{
    uint64_t frequency;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return frequency;
}

/// `ticks` of a counter of `frequency` Hz in microseconds, rounded down. Exact for every 64-bit count: whole seconds and the rest
/// are converted apart, so that no product overflows (frequency below 2^44).
constexpr uint64_t ticks_to_us(uint64_t ticks, uint64_t frequency)
{
    return ticks / frequency * 1'000'000 + ticks % frequency * 1'000'000 / frequency;
}

/// `us` microseconds in ticks of a counter of `frequency` Hz, rounded up: no counter shows it before the time has come. What exceeds 64 bits
/// is the largest number (frequency below 2^44).
constexpr uint64_t us_to_ticks(uint64_t us, uint64_t frequency)
{
    const uint64_t seconds = us / 1'000'000;
    const uint64_t rest = (us % 1'000'000 * frequency + 999'999) / 1'000'000;
    if (seconds > (UINT64_MAX - rest) / frequency)
        return UINT64_MAX;
    return seconds * frequency + rest;
}

/// Microseconds since power-on.
inline uint64_t now_us() { return ticks_to_us(counter_ticks(), counter_frequency()); }

} // namespace caprock
