// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints, watchpoints and single steps of user level by the processor's self-hosted debug (Arm ARM D2). The kernel is never subject to
// them: every register is for EL0 alone, and MDSCR_EL1.KDE stays 0.
#include "arch/seam.hpp"

namespace caprock::arch {
namespace {
// DBGBCR_EL1 and DBGWCR_EL1: E; PMC or PAC with HMC and SSC of 0: EL0 in either security state.
constexpr Word armed_at_el0 = bit(0) | 2 << 1;
constexpr Word whole_instruction = 0xf << 5;
constexpr unsigned access_shift = 3, bytes_shift = 5;
constexpr Word watched_bytes = 8;  // of a watchpoint register: those at an address that is a multiple of 8

[[gnu::noinline]] Word breakpoint_control(const DebugPoint& point) { return point.enabled ? armed_at_el0 | whole_instruction : 0; }

// LSC is 1 for loads, 2 for stores, 3 for both. BAS has a bit for each byte.
[[gnu::noinline]] Word watchpoint_control(const DebugPoint& point) {
    const Word access = Word{point.access} + 1;
    const Word bytes = (bit(point.size) - 1) << point.address % watched_bytes;
    return point.enabled ? armed_at_el0 | access << access_shift | bytes << bytes_shift : 0;
}

// The registers are numbered in the instructions, and those beyond the processor's are undefined.
template <unsigned n = 0>
void load_breakpoints(const DebugPoint* points, unsigned count) {
    if (n >= count)
        return;
    DBGBVR_EL1<n>::write(points[n].address);
    DBGBCR_EL1<n>::write(breakpoint_control(points[n]));
    if constexpr (n + 1 < DebugState::most)
        load_breakpoints<n + 1>(points, count);
}

template <unsigned n = 0>
void load_watchpoints(const DebugPoint* points, unsigned count) {
    if (n >= count)
        return;
    DBGWVR_EL1<n>::write(align_down(points[n].address, watched_bytes));
    DBGWCR_EL1<n>::write(watchpoint_control(points[n]));
    if constexpr (n + 1 < DebugState::most)
        load_watchpoints<n + 1>(points, count);
}
}  // namespace

unsigned breakpoint_count() { return ID_AA64DFR0_EL1::breakpoints(ID_AA64DFR0_EL1::read()); }
unsigned watchpoint_count() { return ID_AA64DFR0_EL1::watchpoints(ID_AA64DFR0_EL1::read()); }

// The exception return reads MDSCR_EL1.SS to decide on PSTATE.SS, so the write must be over by then: isb (Arm ARM D2.12.3).
void load_debug_state(const DebugState* state) {
    Word control = MDSCR_EL1::TDCC;
    if (state != nullptr) {
        load_breakpoints(state->breakpoints, breakpoint_count());
        load_watchpoints(state->watchpoints, watchpoint_count());
        control |= MDSCR_EL1::MDE | (state->steps != 0 ? MDSCR_EL1::SS : 0);
    }
    MDSCR_EL1::write(control);
    isb();
}

void arm_step(Context& context, bool armed) { context.spsr = armed ? context.spsr | SPSR_EL1::SS : context.spsr & ~SPSR_EL1::SS; }
}  // namespace caprock::arch
