// SPDX-License-Identifier: BSD-2-Clause
// The test's system calls as functions.
#pragma once

#include "../protocol.hpp"

/// What the timer's interrupt sets.
extern "C" volatile caprock::Word interrupted;

namespace caprock::arch_test {

/// What a system call returns in x0 to x2.
struct Answer {
    Word first;
    Word second;
    Word third;
};

inline Answer call(Call number, Word first = 0, Word second = 0, Word third = 0) {
    register Word x0 asm("x0") = first;
    register Word x1 asm("x1") = second;
    register Word x2 asm("x2") = third;
    register Word x7 asm("x7") = static_cast<Word>(number);
    asm volatile("svc #0" : "+r"(x0), "+r"(x1), "+r"(x2) : "r"(x7) : "memory");
    return {x0, x1, x2};
}

inline void check(const char* name, bool passed, Word value = 0) { call(Call::Report, passed, reinterpret_cast<Word>(name), value); }

/// An exception that was provoked; `exception_class` is ESR_EL1.EC.
struct Provoked {
    Fault fault;
    Word syndrome;
    Word address;
    Word exception_class() const { return syndrome >> 26; }
};

/// Executes `instructions` and returns the exception that came of it, or Fault::None.
inline Provoked provoke(void (*instructions)()) {
    call(Call::TakeFault);
    instructions();
    const Answer answer = call(Call::TakeFault);
    return {static_cast<Fault>(answer.first), answer.second, answer.third};
}

/// The machine as user level sees it: each row of the table in kernel/arch/aarch64/core.cc, and what no setting opens; what a thread that was
/// given more sees, and that it is gone when taken back. (user/table.cc)
void check_visible_state();

/// Breakpoints, watchpoints and single steps. Leaves the floating-point unit open. (user/debug.cc)
void check_debugging();

/// Ticks of the counter, and where it stands.
Word milliseconds(Word count);
Word counter();

}  // namespace caprock::arch_test
