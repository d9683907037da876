// SPDX-License-Identifier: BSD-2-Clause
// A thread's user-visible registers as the kernel keeps them. The assembly of arch/aarch64/vectors.S relies on these offsets.
#pragma once

#include "core/types.hpp"

namespace caprock {

// SP_EL1 points at it while the thread runs, so it is aligned as a stack.
struct alignas(16) Context {
    Word x[31]{};         // x0 to x30
    Word sp{};            // SP_EL0
    Word pc{};            // ELR_EL1: where the thread continues
    Word spsr{};          // SPSR_EL1
    Word tpidr{};         // TPIDR_EL0
    Word tpidrro{};       // TPIDRRO_EL0
};

inline constexpr unsigned svc_bytes = 4;  // length of the instruction that a restarted system call executes again

static_assert(offsetof(Context, sp) == 248 && offsetof(Context, pc) == 256 && offsetof(Context, spsr) == 264);
static_assert(offsetof(Context, tpidr) == 272 && offsetof(Context, tpidrro) == 280 && sizeof(Context) == 288);

// A hardware breakpoint or watchpoint.
struct DebugPoint {
    Word address = 0;
    uint8_t size = 0;       // bytes; 0 for an instruction
    uint8_t access = 0;     // abi::BreakpointAccess
    bool enabled = false;
};

// What the debug hardware does for a thread. The architecture has at most 16 of each kind; a processor has fewer.
struct DebugState {
    static constexpr unsigned most = 16;
    DebugPoint breakpoints[most];
    DebugPoint watchpoints[most];
    Word steps = 0;         // instructions to the next single-step fault; 0: not stepped
};

// SIMD and floating-point registers, saved when another thread takes the unit.
struct alignas(16) FpuContext {
    Word v[64]{};  // v0 to v31
    Word fpcr{};
    Word fpsr{};
};
static_assert(sizeof(FpuContext) == 528);

}  // namespace caprock
