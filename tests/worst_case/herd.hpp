// SPDX-License-Identifier: BSD-2-Clause
// Thousands of threads of every priority, which block where they are told to.
#pragma once

#include "tests/worst_case/thread.hpp"

namespace caprock::worst_case {

/// Threads with scheduling contexts of their own. There is one herd, which stays.
class Herd {
public:
    static constexpr unsigned size = 4'096;

    /// Makes the members. Must be called first, once.
    void make();

    /// Member `i` makes this system call, at once, and then suspends itself; it keeps the priority that it has then.
    void start(unsigned i, const Registers& registers);
    /// Priority of member `i` when it is cancelled: 1 to 190, all of them.
    static uint8_t priority(unsigned i) { return static_cast<uint8_t>(1 + i % 190); }
    Cap<TCB> member(unsigned i) const { return Cap<TCB>{threads_ + i}; }
    Cap<SchedContext> context(unsigned i) const { return Cap<SchedContext>{contexts_ + i}; }

    /// All members make the same system call, in which they block.
    void start_all(const Registers& registers, unsigned count = size);
    /// Lets all members run that can; each must come to its end.
    void finish();
    /// Suspends the members, wherever they wait.
    void stop_all(unsigned count = size);

private:
    uint64_t threads_ = 0;
    uint64_t contexts_ = 0;
};

extern Herd herd;

}  // namespace caprock::worst_case
