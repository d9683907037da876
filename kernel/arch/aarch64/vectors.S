// SPDX-License-Identifier: BSD-2-Clause
// EL1 exception vectors and the way back. While a thread (or the idle loop) runs, SP_EL1 is the address of its Context, so that entry saves
// registers without a scratch; the kernel itself runs on its core's stack, whose start is Core.stack_top, with IRQ and FIQ masked.
// SError is open between entry and exit. One that comes there belongs to nobody's thread: it is noted in the trap words above the stack and
// delivered on the way out, as one taken from a thread is.
// There is one vector page for all cores; VBAR_EL1 is written per core, so a page chosen at boot (branch-predictor hardening) can take
// its place.
#include "layout.h"

// Saves x2 and up, SP_EL0, ELR and SPSR in the Context at SP (x0 and x1 are there already); leaves Core in x0 and the kernel's stack in SP.
// Clobbers x9 to x12 only.
    .macro save_context
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x10, sp_el0
    mrs     x11, elr_el1
    mrs     x12, spsr_el1
    stp     x30, x10, [sp, #CONTEXT_X30]
    stp     x11, x12, [sp, #CONTEXT_PC]
    mrs     x0, tpidr_el1
    ldr     x9, [x0, #CORE_STACK_TOP]
    mov     sp, x9
    .endm

    .macro vector
    .balign 0x80
    .endm
    .macro fatal kind
    vector
    mov     x0, #\kind
    b       fatal_entry
    .endm

    .section .text.vectors, "ax"
    .balign 0x800
    .global exception_vectors
exception_vectors:
    fatal   FATAL_STACK_POINTER         // current EL on SP_EL0: never selected
    fatal   FATAL_STACK_POINTER
    fatal   FATAL_STACK_POINTER
    fatal   FATAL_STACK_POINTER

    fatal   FATAL_SYNCHRONOUS           // current EL on SP_EL1
    vector
    b       idle_irq
    fatal   FATAL_FIQ
    vector
    b       kernel_serror

    vector                              // EL0: svc #0 is decided on before anything but x0 and x1 is touched
    stp     x0, x1, [sp]
    mrs     x0, esr_el1
    mov     x1, #0x56000000             // EC SVC64, IL, immediate 0
    cmp     x0, x1
    b.ne    user_synchronous
    save_context
    msr     daifclr, #4
    bl      handle_syscall
    b       return_to_thread
    vector
    stp     x0, x1, [sp]
    b       thread_irq
    fatal   FATAL_FIQ
    vector
    stp     x0, x1, [sp]
    b       thread_serror

    .rept 4                             // AArch32 EL0: sanitise_spsr never lets a thread there
    fatal   FATAL_AARCH32
    .endr

// Faults and all else: x0 = Core, x1 = ESR_EL1, x2 = FAR_EL1, read before an SError could replace them.
user_synchronous:
    mov     x1, x0
    save_context
    mrs     x2, far_el1
    msr     daifclr, #4
    bl      handle_synchronous
    b       return_to_thread

idle_irq:
    adr     x0, arch_idle
    mrs     x1, elr_el1
    sub     x1, x1, x0
    cmp     x1, #4
    b.ls    thread_irq                  // the idle loop's registers are dead
    mov     x0, #FATAL_IRQ
    b       fatal_entry

thread_irq:
    save_context
    msr     daifclr, #4
    bl      handle_interrupt

// Continues Core.current_context. SP is the core's stack start, where the trap words are.
    .global return_to_thread
return_to_thread:
    msr     daifset, #4
    ldr     x1, [sp, #TRAP_PENDING_SERROR]
    mrs     x0, tpidr_el1
    cbnz    x1, deliver_serror
    ldr     x9, [x0, #CORE_CURRENT_CONTEXT]
    mov     sp, x9
    ldp     x11, x12, [sp, #CONTEXT_PC]
    ldp     x30, x10, [sp, #CONTEXT_X30]
    msr     elr_el1, x11
    msr     spsr_el1, x12
    msr     sp_el0, x10
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    eret
    dsb     nsh                         // no speculation past the return
    isb

// void start_thread(): leaves the boot path for Core.current_context.
    .global start_thread
start_thread:
    mrs     x0, tpidr_el1
    ldr     x9, [x0, #CORE_STACK_TOP]
    mov     sp, x9
    b       return_to_thread

thread_serror:
    save_context
deliver_serror:                         // x0 = Core. Another thread may have to run after it.
    str     xzr, [sp, #TRAP_PENDING_SERROR]
    bl      handle_serror
    b       return_to_thread

// SError taken by the kernel or the idle loop. SP_EL0 is free (saved, not yet restored) and the trap words hold the second register.
kernel_serror:
    msr     sp_el0, x0
    mrs     x0, tpidr_el1
    ldr     x0, [x0, #CORE_STACK_TOP]
    str     x1, [x0, #TRAP_SCRATCH]
    mrs     x1, esr_el1
    str     x1, [x0, #TRAP_PENDING_SERROR]
    adr     x0, arch_idle
    mrs     x1, elr_el1
    sub     x1, x1, x0
    cmp     x1, #4
    b.ls    thread_serror
    mrs     x0, tpidr_el1
    ldr     x0, [x0, #CORE_STACK_TOP]
    ldr     x1, [x0, #TRAP_SCRATCH]
    mrs     x0, sp_el0
    eret
    dsb     nsh
    isb

// The idle loop: EL1, interrupts open. Two instructions, which idle_irq and kernel_serror recognise.
    .global arch_idle
arch_idle:
    wfi
    b       arch_idle

// An exception that nothing handles: x0 = FATAL_*. The kernel's stack may be the cause, so the report runs on a stack of its own, which the
// first core to come here keeps; another core, or a second exception while reporting, stops.
fatal_entry:
    msr     daifset, #0xf
    mov     x1, sp
    mov     x2, x30
    adrp    x3, fatal_claimed
    add     x3, x3, :lo12:fatal_claimed
1:  ldaxr   w4, [x3]
    cbnz    w4, 2f
    mov     w5, #1
    stxr    w6, w5, [x3]
    cbnz    w6, 1b
    adrp    x3, emergency_stack_top
    mov     sp, x3
    b       fatal_exception
2:  wfi
    b       2b

    .section .bss.fatal_claimed, "aw", %nobits
    .balign 4
fatal_claimed:
    .space  4
