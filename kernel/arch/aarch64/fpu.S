// SPDX-License-Identifier: BSD-2-Clause
// Saves and restores the SIMD and floating-point registers (FpuContext: v0 to v31, FPCR, FPSR). CPACR_EL1 never traps EL1. The fast path keeps a message in
// x0 to x16 and enters at the second labels, with x17 FPU_MIDDLE behind the FpuContext's begin, from where all of it is within reach.
#include "layout.h"

    .arch armv8-a+fp+simd
    .section .text.fpu, "ax"

#define control (FPU_CONTROL - FPU_MIDDLE)
    .macro all_registers operation
    \operation q0, q1, [x17, #-64]
    \operation q2, q3, [x17, #-32]
    \operation q4, q5, [x17]
    \operation q6, q7, [x17, #32]
    \operation q8, q9, [x17, #64]
    \operation q10, q11, [x17, #96]
    \operation q12, q13, [x17, #128]
    \operation q14, q15, [x17, #160]
    \operation q16, q17, [x17, #192]
    \operation q18, q19, [x17, #224]
    \operation q20, q21, [x17, #256]
    \operation q22, q23, [x17, #288]
    \operation q24, q25, [x17, #320]
    \operation q26, q27, [x17, #352]
    \operation q28, q29, [x17, #384]
    \operation q30, q31, [x17, #416]
    .endm

    .global fpu_save_registers
fpu_save_registers:
    add     x17, x0, #FPU_MIDDLE
    .global fpu_save_at
fpu_save_at:
    all_registers stp
    mrs     x18, fpcr
    str     x18, [x17, #control]
    mrs     x18, fpsr
    str     x18, [x17, #control + 8]
    ret

    .global fpu_restore_registers
fpu_restore_registers:
    add     x17, x0, #FPU_MIDDLE
    .global fpu_restore_at
fpu_restore_at:
    all_registers ldp
    ldp     x17, x18, [x17, #control]
    msr     fpcr, x17
    msr     fpsr, x18
    ret
