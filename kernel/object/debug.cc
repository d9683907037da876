// SPDX-License-Identifier: BSD-2-Clause
// Debugging of threads by the processor: breakpoints, watchpoints and single steps belong to a TCB, and are armed while its thread runs.
#include "object/invocation.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
using abi::BreakpointAccess;
using abi::BreakpointType;

constexpr Word instruction_bytes = 4;

Word point_count() { return Word{arch::breakpoint_count()} + arch::watchpoint_count(); }

bool is_watchpoint(Word number) { return number >= arch::breakpoint_count(); }

DebugPoint& point(Tcb& thread, Word number) {
    return is_watchpoint(number) ? thread.debug.watchpoints[number - arch::breakpoint_count()] : thread.debug.breakpoints[number];
}

bool is_watch_size(Word size) { return size == 1 || size == 2 || size == 4 || size == 8; }

Tcb& target(const Invocation& invocation) { return invocation.cap().as_object<Tcb>(); }

Invoked set(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBSetBreakpointArgs>();
    if (args.number >= point_count()) return Failure::range(0, point_count() - 1);
    bool watch = is_watchpoint(args.number);
    if (args.vaddr >= abi::user_top) return Failure::invalid_argument(1);
    if (args.type != static_cast<Word>(watch ? BreakpointType::Data : BreakpointType::Instruction)) return Failure::invalid_argument(2);
    if (watch ? !is_watch_size(args.size) : args.size != 0) return Failure::invalid_argument(3);
    if (args.access > static_cast<Word>(watch ? BreakpointAccess::ReadWrite : BreakpointAccess::Read)) return Failure::invalid_argument(4);
    if (!is_aligned(args.vaddr, watch ? args.size : instruction_bytes)) return Failure::of(Error::AlignmentError);
    point(target(invocation), args.number) = {args.vaddr, static_cast<uint8_t>(args.size), static_cast<uint8_t>(args.access), true};
    refresh_special(invocation.core, target(invocation));
    return Outcome::Done;
}

Invoked get(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBGetBreakpointArgs>();
    if (args.number >= point_count()) return Failure::range(0, point_count() - 1);
    const DebugPoint& found = point(target(invocation), args.number);
    Word type = static_cast<Word>(is_watchpoint(args.number) ? BreakpointType::Data : BreakpointType::Instruction);
    set_results(invocation.thread, {found.address, type, found.size, found.access, found.enabled});
    return Outcome::Answered;
}

Invoked unset(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBUnsetBreakpointArgs>();
    if (args.number >= point_count()) return Failure::range(0, point_count() - 1);
    point(target(invocation), args.number) = {};
    refresh_special(invocation.core, target(invocation));
    return Outcome::Done;
}

Invoked configure_single_stepping(const Invocation& invocation) {
    auto args = invocation.args<abi::TCBConfigureSingleSteppingArgs>();
    set_single_stepping(invocation.core, target(invocation), args.instructions);
    set_result(invocation.thread, 0);
    return Outcome::Answered;
}
}  // namespace

bool is_debugged(const Tcb& thread) {
    if (thread.debug.steps != 0) return true;
    for (unsigned i = 0; i < DebugState::most; ++i) {
        if (thread.debug.breakpoints[i].enabled || thread.debug.watchpoints[i].enabled) return true;
    }
    return false;
}

Word triggered_breakpoint(const Tcb& thread, BreakpointType kind, Word address) {
    bool watch = kind == BreakpointType::Data;
    const DebugPoint* points = watch ? thread.debug.watchpoints : thread.debug.breakpoints;
    Word first = watch ? arch::breakpoint_count() : 0;
    for (unsigned i = 0; i < DebugState::most; ++i) {
        Word bytes = watch ? points[i].size : instruction_bytes;
        if (points[i].enabled && address - points[i].address < bytes) return first + i;
    }
    return first;
}

void set_single_stepping(Core& core, Tcb& thread, Word steps) {
    thread.debug.steps = steps;
    arch::arm_step(thread.context, steps != 0);
    refresh_special(core, thread);
}

Invoked invoke_debug(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::TCBSetBreakpoint: return set(invocation);
        case Method::TCBGetBreakpoint: return get(invocation);
        case Method::TCBUnsetBreakpoint: return unset(invocation);
        case Method::TCBConfigureSingleStepping: return configure_single_stepping(invocation);
        default: return Failure::illegal_operation();
    }
}
}  // namespace caprock
