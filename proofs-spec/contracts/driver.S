// SPDX-License-Identifier: BSD-2-Clause
// Executes single instructions on a bare machine at EL1, one per case: loads all registers from the case's record, enters the code there, which ends with a
// breakpoint wherever the instruction leads, and writes all registers back. The records follow this code (validation.py). Then it switches the machine off.

#define RECORD 2048             // bytes of a case
#define OUT 512                 // where the results are in it
#define SP_AT 248
#define FLAGS_AT 256
#define PC_AT 264
#define SYSTEM_AT 272
#define CAUSE_AT 280

    .macro registers operation, base
    .irp first, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27
    pair    \operation, \first, \base
    .endr
    \operation x29, x30, [\base, #232]
    .endm
    .altmacro
    .macro pair operation, first, base
    pair_of \operation, \first, %(\first + 1), \base
    .endm
    .macro pair_of operation, first, second, base
    \operation x\first, x\second, [\base, #(8 * \first)]
    .endm

    .text
    .global _start
_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    isb
    adr     x0, cases
    b       begin

    .balign 2048
vectors:
    .skip   0x200               // the current exception level with its own stack pointer, synchronous
    msr     tpidr_el0, x0
    mrs     x0, tpidr_el1
    add     x0, x0, #OUT
    registers stp, x0
    mov     x1, sp
    str     x1, [x0, #SP_AT]
    mrs     x1, tpidr_el0
    str     x1, [x0]
    mrs     x1, spsr_el1
    str     x1, [x0, #FLAGS_AT]
    mrs     x1, elr_el1
    str     x1, [x0, #PC_AT]
    mrs     x1, tpidrro_el0
    str     x1, [x0, #SYSTEM_AT]
    mrs     x1, esr_el1
    str     x1, [x0, #CAUSE_AT]
    add     x0, x0, #(RECORD - OUT)
begin:
    ldr     x1, [x0, #PC_AT]
    cbz     x1, finish          // the last record is all zeroes
    msr     tpidr_el1, x0
    msr     elr_el1, x1
    ldr     x1, [x0, #SP_AT]
    mov     sp, x1
    ldr     x1, [x0, #FLAGS_AT]
    msr     spsr_el1, x1
    ldr     x1, [x0, #SYSTEM_AT]
    msr     tpidrro_el0, x1
    registers ldp, x0
    ldr     x0, [x0]
    eret
finish:
    mov     w0, #0x8
    movk    w0, #0x8400, lsl #16
    hvc     #0
    b       finish

    .balign 2048
cases:
