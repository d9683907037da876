// SPDX-License-Identifier: BSD-2-Clause
// The first instructions of the test's user level, and what only assembly can see: whether every register survives an exception.

    .macro address register, symbol
    adrp    \register, \symbol
    add     \register, \register, :lo12:\symbol
    .endm
    .macro all_registers operation:vararg
    .irp    n, 0,1,2,3,4,5,6,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    \operation
    .endr
    .endm
    // A value of each register's own, in its low and its high half.
    .macro fill n
    mov     x\n, #(0x100 + \n)
    movk    x\n, #(\n + 1), lsl #48
    .endm
    // Leaves the flags alone.
    .macro expect n, label
    sub     x\n, x\n, #(0x100 + \n)
    ror     x\n, x\n, #48
    sub     x\n, x\n, #(\n + 1)
    cbnz    x\n, \label
    .endm

#define FLAGS 0xa0000000

    .section .text.start, "ax"
    .global _start
_start:
    cmp     x0, #4                      // UserRun::Other
    b.eq    other_thread
    address x9, stack_top
    mov     sp, x9
    mov     x29, xzr
    mov     x30, xzr
    b       user_main

    .section .text

// Without a stack: counts how often it runs, and makes the call that x1 held at its start.
other_thread:
    address x9, other_ran
    mov     x7, x1
1:  ldr     x8, [x9]
    add     x8, x8, #1
    str     x8, [x9]
    svc     #0
    b       1b

// bool NAME(): whether all general registers (x7 aside for a system call, whose number it holds), SP and the flags are as they were, after
// the instructions of the macro ACTION.
    .macro preserves name, action
    .global \name
\name:
    stp     x19, x20, [sp, #-96]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    address x9, stack_before
    mov     x10, sp
    str     x10, [x9]
    mov     x9, #FLAGS
    msr     nzcv, x9
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    fill    \n
    .endr
    \action
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    expect  \n, 8f
    .endr
    mrs     x1, nzcv
    mov     x2, #FLAGS
    cmp     x1, x2
    b.ne    8f
    address x1, stack_before
    ldr     x1, [x1]
    mov     x2, sp
    cmp     x1, x2
    cset    w0, eq
    b       9f
8:  mov     w0, #0
9:  address x9, stack_before
    ldr     x9, [x9]
    mov     sp, x9
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #96
    ret
    .endm

    .macro call_nothing
    mov     x7, #0                      // Call::Nothing
    svc     #0
    fill    7
    .endm
    .macro fault_on_memory
    mov     x9, xzr
    ldr     x8, [x9]
    fill    9
    .endm
    .macro undefined_instruction
    udf     #0
    .endm
    // The interrupt comes while this spins.
    .macro wait_for_interrupt
    address x9, interrupted
1:  ldr     x8, [x9]
    cbz     x8, 1b
    fill    8
    fill    9
    .endm
    preserves registers_survive_call, call_nothing
    preserves registers_survive_memory_fault, fault_on_memory
    preserves registers_survive_exception, undefined_instruction
    preserves registers_survive_interrupt, wait_for_interrupt

    .arch   armv8-a+fp+simd
// void fill_fpu(): v0 to v31, FPCR and FPSR get values of their own. bool expect_fpu(): whether they have them.
    .macro each_vector operation
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \operation \n
    .endr
    .endm
    .macro fill_vector n
    mov     x9, #(0x1000 + \n)
    mov     x10, #(0x2000 + \n)
    fmov    d\n, x9
    fmov    v\n\().d[1], x10
    .endm
    .macro expect_vector n
    fmov    x9, d\n
    fmov    x10, v\n\().d[1]
    sub     x9, x9, #(0x1000 + \n) & ~0xfff
    sub     x9, x9, #\n
    cbnz    x9, 1f
    sub     x10, x10, #(0x2000 + \n) & ~0xfff
    sub     x10, x10, #\n
    cbnz    x10, 1f
    .endm
#define FPCR_VALUE 0x02000000           // default NaN
#define FPSR_VALUE 0x08000000           // QC
    .global fill_fpu
fill_fpu:
    each_vector fill_vector
    mov     x9, #FPCR_VALUE
    msr     fpcr, x9
    mov     x9, #FPSR_VALUE
    msr     fpsr, x9
    ret
    .global expect_fpu
expect_fpu:
    each_vector expect_vector
    mrs     x9, fpcr
    mov     x10, #FPCR_VALUE
    cmp     x9, x10
    b.ne    1f
    mrs     x9, fpsr
    mov     x10, #FPSR_VALUE
    cmp     x9, x10
    cset    w0, eq
    ret
1:  mov     w0, #0
    ret

// void run_steps(x0 = 7, x1 = Call::Step): from its first nop on it is stepped, and step_N is where step N ends. Faults and exceptions are
// stepped over by the test's kernel, and no steps themselves. The floating-point unit must be closed.
    .macro step_end n
    .global step_\n
step_\n:
    .endm
    .global run_steps
run_steps:
    mov     x7, x1
    svc     #0
    nop
    step_end 1
    b       step_2
    nop
    step_end 2
    mov     x7, #0                      // Call::Nothing
    step_end 3
    svc     #0
    step_end 4
    ldr     x9, [x7]                    // a memory fault
    nop
    step_end 5
    udf     #0
    mrs     x9, fpcr                    // opens the unit
    step_end 6
    brk     #0
    nop
    step_end 7
    ret

// void step_until_interrupted(x0 = steps, x1 = Call::Step): steps through a loop until the timer's interrupt.
    .global step_until_interrupted
step_until_interrupted:
    address x9, interrupted
    mov     x7, x1
    svc     #0
1:  ldr     x8, [x9]
    cbz     x8, 1b
    ret

// Word breakpoint_targets[n](Word x): x + 1. Eight bytes each.
    .global breakpoint_targets
breakpoint_targets:
    .rept   16
    add     x0, x0, #1
    ret
    .endr

// A32: svc #0.
    .global a32_instructions
    .balign 4
a32_instructions:
    .word   0xef000000

    .section .bss
    .balign 8
    .global interrupted
interrupted:
    .space  8
    .global other_ran
other_ran:
    .space  8
stack_before:
    .space  8

    .section .note.GNU-stack, "", %progbits
