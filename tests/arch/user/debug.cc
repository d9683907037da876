// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints, watchpoints and single steps as a debugged thread meets them. The test's kernel skips an instruction that hit a breakpoint or
// a watchpoint, so whether it was executed shows.
#include "arch/context.hpp"
#include "call.hpp"
#include "caprock/abi.hpp"

extern "C" {
extern const char breakpoint_targets[], step_1[], step_2[], step_3[], step_4[], step_5[], step_6[], step_7[];
void run_steps(caprock::Word steps, caprock::Word call);
void step_until_interrupted(caprock::Word steps, caprock::Word call);
}

namespace caprock::arch_test {
namespace {

using abi::BreakpointAccess, abi::BreakpointType;

constexpr unsigned breakpoints = 6, watchpoints = 4;  // of a Cortex-A72
constexpr Word target_bytes = 8;

DebugState state;
Word trace[trace_words];
alignas(8) volatile uint8_t watched[24];

void load() { call(Call::Debug, reinterpret_cast<Word>(&state)); }

void unload() {
    call(Call::Debug);
    state = DebugState();
}

bool hit(const Provoked& provoked, BreakpointType type, Word address) {
    return provoked.fault == Fault::Debug && provoked.syndrome == static_cast<Word>(type) && provoked.address == address;
}

// -- Breakpoints
Word target(unsigned number) { return reinterpret_cast<Word>(breakpoint_targets) + number * target_bytes; }

unsigned called;
Word returned;

Provoked call_target(unsigned number) {
    called = number;
    return provoke([] { returned = reinterpret_cast<Word (*)(Word)>(target(called))(1); });
}

void set_breakpoint(unsigned number, bool enabled) {
    state.breakpoints[number] = {.address = target(number), .size = 0, .access = 0, .enabled = enabled};
}

void check_breakpoints() {
    unsigned missed = 0, wrong = 0;
    for (unsigned armed = 0; armed < breakpoints; armed++) {
        for (unsigned i = 0; i < breakpoints; i++) set_breakpoint(i, i == armed);
        load();
        for (unsigned i = 0; i < breakpoints; i++) {
            const Provoked provoked = call_target(i);
            if (i == armed && !(hit(provoked, BreakpointType::Instruction, target(i)) && returned == 1)) missed |= 1u << i;
            if (i != armed && !(provoked.fault == Fault::None && returned == 2)) wrong |= 1u << i;
        }
        unload();
    }
    check("debug: a breakpoint traps before its instruction is executed", missed == 0, missed);
    check("debug: a breakpoint that is not armed does not trap", wrong == 0, wrong);
    for (unsigned i = 0; i < breakpoints; i++) set_breakpoint(i, true);
    load();
    Word hits = 0;
    for (unsigned i = 0; i < breakpoints; i++) hits += hit(call_target(i), BreakpointType::Instruction, target(i));
    check("debug: all breakpoints can be armed", hits == breakpoints, hits);
    call(Call::Debug);
    check("debug: without a state nothing traps", call_target(0).fault == Fault::None && returned == 2);
    load();
    check("debug: it traps again with it", call_target(0).fault == Fault::Debug);
    unload();
}

// -- Watchpoints
volatile uint8_t* accessed;

Provoked access(unsigned byte, bool write) {
    accessed = watched + byte;
    return write ? provoke([] { *accessed = 1; }) : provoke([] { *accessed; });
}

constexpr bool directions[] = {false, true};

// Every byte of what is watched and the ones around it, by loads and stores.
bool traps_exactly(unsigned first, unsigned size, BreakpointAccess kind) {
    for (unsigned byte = 0; byte < sizeof(watched); byte++) {
        for (const bool write : directions) {
            const bool inside = byte >= first && byte < first + size;
            const bool wanted = inside && (kind == BreakpointAccess::ReadWrite || (kind == BreakpointAccess::Write) == write);
            const Provoked provoked = access(byte, write);
            const Word address = reinterpret_cast<Word>(watched + byte);
            if (wanted ? !hit(provoked, BreakpointType::Data, address) : provoked.fault != Fault::None) return false;
        }
    }
    return true;
}

void check_watchpoint(unsigned number) {
    constexpr BreakpointAccess kinds[] = {BreakpointAccess::Read, BreakpointAccess::Write, BreakpointAccess::ReadWrite};
    Word wrong = 0;
    for (uint8_t size = 1; size <= 8; size = static_cast<uint8_t>(size * 2)) {
        for (unsigned first = 8; first < 16; first += size) {
            for (const BreakpointAccess kind : kinds) {
                state.watchpoints[number] = {.address = reinterpret_cast<Word>(watched + first), .size = size,
                                             .access = static_cast<uint8_t>(kind), .enabled = true};
                load();
                if (!traps_exactly(first, size, kind)) wrong = Word{first} << 16 | Word{size} << 8 | static_cast<Word>(kind);
            }
        }
    }
    check("debug: a watchpoint traps on its bytes and its kind of access, and on nothing else", wrong == 0, wrong);
    unload();
}

void check_watchpoints() {
    for (unsigned number = 0; number < watchpoints; number++) check_watchpoint(number);
    state.watchpoints[0] = {.address = reinterpret_cast<Word>(watched), .size = 8, .access = 2, .enabled = false};
    set_breakpoint(0, true);
    load();
    check("debug: a watchpoint that is not armed does not trap", access(0, true).fault == Fault::None);
    unload();
    asm volatile("" : : : "memory");
    const Provoked provoked = provoke([] { asm volatile("brk #7"); });
    check("debug: a software breakpoint", provoked.fault == Fault::Debug &&
          provoked.syndrome == static_cast<Word>(BreakpointType::SoftwareBreakRequest), provoked.syndrome);
}

// -- Steps
struct Stepped {
    Word steps;
    Word repeated;
};

Stepped take_trace() {
    const Answer answer = call(Call::TakeTrace, reinterpret_cast<Word>(trace));
    return {answer.first, answer.second};
}

void check_steps() {
    const char* const ends[] = {step_1, step_2, step_3, step_4, step_5, step_6, step_7};
    constexpr Word count = sizeof(ends) / sizeof(ends[0]);
    call(Call::CloseFpu);
    run_steps(count, static_cast<Word>(Call::Step));
    const Stepped stepped = take_trace();
    check("debug: so many steps are made", stepped.steps == count, stepped.steps);
    Word wrong = 0;
    for (Word i = 0; i < count; i++) {
        if (trace[i] != reinterpret_cast<Word>(ends[i])) wrong |= Word{1} << i;
    }
    check("debug: a step is an instruction; a system call is one; what faults is none", wrong == 0, wrong);
    const Answer fault = call(Call::TakeFault);
    check("debug: what faults while stepping is reported as such", static_cast<Fault>(fault.first) == Fault::Debug &&
          fault.second == static_cast<Word>(BreakpointType::SoftwareBreakRequest), fault.second);
}

// In a loop of two instructions no step ends where the one before did: neither is one lost nor made twice when an interrupt comes between.
void check_interrupted_steps() {
    interrupted = 0;
    call(Call::ArmTimer, milliseconds(2), reinterpret_cast<Word>(&interrupted));
    step_until_interrupted(~Word{0}, static_cast<Word>(Call::Step));
    const Stepped stepped = take_trace();
    check("debug: stepping goes on over an interrupt", interrupted == 1 && stepped.steps > 2, stepped.steps);
    check("debug: and no step is lost or made twice", stepped.repeated == 0, stepped.repeated);
    const Word before = take_trace().steps;
    check("debug: stepping ends", before == 0, before);
}

}  // namespace

void check_debugging() {
    check_breakpoints();
    check_watchpoints();
    check_steps();
    check_interrupted_steps();
}

}  // namespace caprock::arch_test
