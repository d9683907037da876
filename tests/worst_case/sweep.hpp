// SPDX-License-Identifier: BSD-2-Clause
// The measurement: the physical timer's interrupt, whose handler has the highest priority and an address space of its own, comes at a deadline
// that moves through an operation tick by tick. Latency is what the counter shows in the handler's first instructions, less the deadline.
// Meaningful where virtual time advances one nanosecond with every instruction.
#pragma once

#include "tests/worst_case/system.hpp"

namespace caprock::worst_case {

/// The most instructions from a deadline to its handler.
inline constexpr uint64_t latency_limit = 8'000;

/// What the runner wrote into the program before it started (run_worst_case.py).
struct Options {
    /// Instructions that a sweep may take: what takes longer with a deadline at every tick has fewer deadlines.
    uint64_t budget;
    /// Operations whose names begin with it are measured; empty: all.
    char selection[120];
};

extern "C" volatile Options worst_case_options;

/// Makes the handler and its interrupt. Must be called first, once.
void start_handler();

/// The handler's thread.
Cap<TCB> handler_thread();

/// A count of the timer, in ticks.
uint64_t physical_count();
/// Instructions in so many ticks.
uint64_t instructions(uint64_t ticks);
/// Ticks in so many microseconds.
uint64_t ticks_of(uint64_t microseconds);

/// Measures from its construction to report(): one operation, or several that belong together.
class Sweep {
public:
    explicit Sweep(const char* name);

    /// Repeats `prepare` and `operation`, with one deadline each time: a stride later than the last time, from before the operation until it
    /// ends before the deadline comes.
    template <class Prepare, class Operation>
    void each(Prepare prepare, Operation operation) {
        const Duration once = time(prepare, operation);
        set_stride(once.operation, once.prepare + once.operation);
        for (uint64_t offset = 1;; offset += stride_) {
            prepare();
            arm(offset, 0);
            operation();
            if (disarm() == 0) return must(2 * offset > once.operation, "no deadline is missed");
        }
    }
    template <class Operation>
    void each(Operation operation) {
        each([] {}, operation);
    }

    /// The same for an operation that the deadline ends; offsets up to `longest` ticks.
    template <class Operation>
    void each_until(uint64_t longest, Operation operation) {
        set_stride(longest, longest);
        for (uint64_t offset = 1; offset <= longest; offset += stride_) {
            arm(offset, 0);
            operation();
            must(disarm() == 1, "the deadline ends the operation");
        }
    }

    /// Repeats `prepare` and `operation` with a deadline again after each interrupt, a stride later each time, until every length of time that an
    /// interrupt can leave to the operation has come. For operations that are preempted and go on, or that never end.
    template <class Prepare, class Operation>
    void throughout(Prepare prepare, Operation operation) {
        const Duration once = time(prepare, operation);
        // An offset uses up as much of the operation as it is long, so all together they need it as often as this.
        const uint64_t all_offsets = longest_offset * longest_offset / 2;
        set_stride(all_offsets / once.operation + 1, once.prepare + once.operation);
        start_pass();
        for (uint64_t offset = 1;; offset = armed_offset()) {
            prepare();
            arm(offset, stride_);
            operation();
            const bool interrupted = disarm() != 0;
            must(interrupted || offset > 1, "the operation is longer than the first deadline");
            if (!interrupted || pass_ended()) return;
        }
    }

    /// Prints what was found. True when it is within the limit, or the kernel is a debug build, whose assertions are measured but not limited.
    bool report();

private:
    // Longer than anything between two preemption points with what a restart takes before.
    static constexpr uint64_t longest_offset = 12'000 / 16;

    // In ticks, without an interrupt.
    struct Duration {
        uint64_t prepare;
        uint64_t operation;
    };
    template <class Prepare, class Operation>
    static Duration time(Prepare prepare, Operation operation) {
        const uint64_t start = physical_count();
        prepare();
        const uint64_t prepared = physical_count();
        operation();
        return {prepared - start, physical_count() - prepared};
    }
    // So many repetitions of so many ticks are thinned to what the budget allows.
    void set_stride(uint64_t repetitions, uint64_t ticks);
    friend void sleep_for(uint64_t ticks);
    // The deadline comes in `offset` ticks; after the interrupt the next one in `stride` more, or none if that is 0.
    static void arm(uint64_t offset, uint64_t stride);
    // Returns how many interrupts came since arm().
    static uint64_t disarm();
    // A pass goes through the offsets up to the longest; the next one begins a tick later than the last.
    static void start_pass();
    static bool pass_ended();
    // Of the deadline that was set last.
    static uint64_t armed_offset();

    const char* name_;
    uint64_t stride_ = 1;
};

/// Lets the handler of the next deadlines wake the worker, which waits with wait_for_wake().
void wake_by_deadline(bool enabled);
void wait_for_wake();
/// Lets time pass, in ticks, and threads of lower priority run.
void sleep_for(uint64_t ticks);

}  // namespace caprock::worst_case
