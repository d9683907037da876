// SPDX-License-Identifier: BSD-2-Clause
// Measuring what the generated stubs do, from before their first to behind their last instruction.
#pragma once

#include "bench.hpp"

namespace bench {

/// The counter. Nothing that reads or writes memory moves across it.
[[gnu::always_inline]] inline uint64_t read_counter()
{
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

/// Ends the component unless a method succeeded.
inline void must(const caprock::ResultBase& result)
{
    if (!result.ok())
        caprock::panic("a method failed with error {}", static_cast<uint64_t>(result.error()));
}

/// Ticks that `operation`, which returns a Result, takes.
template <class Operation>
[[gnu::always_inline]] inline uint64_t ticks_of(Operation operation)
{
    const uint64_t start = read_counter();
    const auto result = operation();
    const uint64_t end = read_counter();
    must(result);
    return end - start;
}

} // namespace bench
