// SPDX-License-Identifier: BSD-2-Clause
// What the programs of the architecture tests agree on: how a run is asked for, and the system calls between the test's user level and the
// test's portable part.
#pragma once

#include "core/types.hpp"

namespace caprock::arch_test {

/// Selects what a run does. It travels as the payload's system hash, so that one Image serves every run; unused bytes are zero.
struct Request {
    char boot[16];  // what the boot shim does on the way to the kernel: a name in shim/harness.cc, or nothing
    char run[16];   // what the kernel does when it has booted: a name in kernel/portable.cc or kernel/fatal.cc
};
static_assert(sizeof(Request) == 32);

/// Whether a field of a request is `name`.
inline bool is(const char (&field)[16], const char* name) {
    for (unsigned i = 0; i < sizeof(field); i++) {
        if (field[i] != name[i]) return false;
        if (name[i] == '\0') return true;
    }
    return name[sizeof(field)] == '\0';
}

/// System calls: number in x7, arguments and results from x0 on. All other registers stay.
enum class Call : Word {
    Nothing = 0,
    Report,         // x0 whether a check passed, x1 its name, x2 a value that explains a failure
    TakeFault,      // -> x0 Fault, x1 ESR_EL1, x2 FAR_EL1 of the last exception; forgets it. Debug: x1 BreakpointType, x2 where
    ArmTimer,       // x0 ticks from now; x1 a word that the interrupt sets to 1
    Idle,           // x0 ticks: the core idles until the timer's interrupt
    EnterSpace,     // x0 number of the address space, 0 or 1
    ReplacePage,    // the page at own_page of space 0 becomes that of space 1
    RemovePage,     // the page at own_page of space 0 goes, and with it all cached entries of the space
    CycleFpu,       // saves the unit, loads zeroes, restores -> x0 sum over the saved words
    CloseFpu,       // the next use of the unit traps
    RaiseSError,    // x0 SErrorAt
    CountSErrors,   // -> x0 how many were delivered
    SwitchBack,     // from the thread that runs after each SError: the first thread goes on
    SetAccess,      // x0 whether user level may use the performance monitor, x1 the physical timer
    OpenTimer,      // the physical timer's interrupt is let through once -> x0 its number
    SendSgi,        // x0 a software-generated interrupt, sent to this core
    TakeInterrupt,  // -> x0 how many interrupts came that are not the kernel's timer's, x1 the last one's number; forgets them
    Debug,          // x0 address of a DebugState to load, or 0: none
    Step,           // x0 instructions, each of which traps
    TakeTrace,      // x0 address of trace_words words for where the steps ended -> x0 steps, x1 how many ended where the one before did
    EnterAArch32,   // x0 address of an A32 instruction
    Speak,          // prints a line -> x0 whether the kernel still maps its console
    Finish,
};

/// The kernel's function that an exception of user level came to.
enum class Fault : Word { None, Memory, Fetch, Exception, Fpu, Debug };

/// What is interrupted by an SError.
enum class SErrorAt : Word { Thread, Kernel, Idle };

/// Of the steps that come in a row, so many are remembered.
inline constexpr Word trace_words = 16;

/// What user level is started for, in its x0. Other: the thread that runs after each SError, with Call::SwitchBack in x1.
enum class UserRun : Word { Suite, SErrors, Silence, AArch32, Other };

/// Addresses of user level beside its ELF's segments.
inline constexpr Word own_page = 0x10000000;      // read-only; another frame in each address space, which holds own_page_value + its number
inline constexpr Word own_page_value = 0xa0;
inline constexpr Word console_page = 0x20000000;  // the console's registers

/// What a user level on the real kernel asks of the hypervisor below it (shim/hypervisor.cc), by reading CTR_EL0 into the register of this
/// number. Any other reads it.
enum class Service : unsigned {
    RaiseHere = 20,  // an SError, at once
    RaiseInKernel,   // one when the kernel reads CTR_EL0 next, as it does to maintain caches
    RaiseInIdle,     // one when the kernel waits for an interrupt next
    Print,           // the character in print_register
};
inline constexpr unsigned print_register = 24;

}  // namespace caprock::arch_test
