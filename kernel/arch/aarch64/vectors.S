// SPDX-License-Identifier: BSD-2-Clause
// EL1 exception vectors and the way back. While a thread (or the idle loop) runs, SP_EL1 is the address of its Context, so that entry saves registers without a
// scratch; the kernel itself runs on its core's stack, whose start is Core.stack_top, with IRQ and FIQ masked. SError is open between entry and exit. One that
// comes there belongs to nobody's thread: it is noted in the trap words above the stack and delivered on the way out, as one taken from a thread is.
// There is one vector page for all cores; VBAR_EL1 is written per core, so a page chosen at boot (branch-predictor hardening) can take its place.
#include "layout.h"

// Entry saves registers in the Context at SP, in three steps. First the linkage scratch registers:
    .macro save_scratch
    stp     x17, x18, [sp, #CONTEXT_X(17)]
    .endm
// Those that a procedure preserves (preserved_registers); and all others, SP_EL0, ELR (x11) and SPSR:
    .macro save_others
    message_registers stp, sp
    str     x8, [sp, #CONTEXT_X(8)]
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    mrs     x10, sp_el0
    mrs     x11, elr_el1
    mrs     x12, spsr_el1
    stp     x10, x11, [sp, #CONTEXT_SP]
    str     x12, [sp, #CONTEXT_SPSR]
    .endm
// Leaves Core in x0 and the kernel's stack in SP.
    .macro take_stack
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
    .balign 0x1000                      // the fast path shares the page (link.ld)
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

    vector                              // EL0
    save_scratch
    mrs     x17, esr_el1
    mov     x18, #0x56000000            // EC SVC64, IL, immediate 0
    cmp     x17, x18
    b.ne    user_synchronous
    preserved_registers stp
    .global fast_path_decision          // does a fast path do? tests/fastpath decides otherwise
fast_path_decision:
    sub     w17, w7, #SYSCALL_CALL
    tst     w17, #0xfe
    b.ne    fast_other
    tbnz    w17, #0, fast_reply_recv
    b       fast_call
    vector
    save_scratch
    preserved_registers stp
    save_others
    .global fast_irq_decision           // as above
fast_irq_decision:
    b       fast_irq
    fatal   FATAL_FIQ
    vector
    b       thread_serror

    .rept 4                             // AArch32 EL0: sanitise_spsr never lets a thread there
    fatal   FATAL_AARCH32
    .endr

    .section .text.entry, "ax"
// System calls that no fast path does: x17 to x28 are saved.
    .global system_call
system_call:
    save_others
    take_stack
    msr     daifclr, #4
    bl      handle_syscall
    b       return_to_thread

// Faults and all else.
user_synchronous:
    preserved_registers stp
    save_others
    mrs     x1, esr_el1
    mrs     x2, far_el1
    .global fast_fault_decision         // as above
fast_fault_decision:
    b       fast_fault
// No fast path does: x0 = Core, x1 = ESR_EL1, x2 = FAR_EL1, read before an SError could replace them.
    .global synchronous
synchronous:
    take_stack
    mrs     x1, esr_el1
    mrs     x2, far_el1
    msr     daifclr, #4
    bl      handle_synchronous
    b       return_to_thread

idle_irq:
    adr     x0, arch_idle
    mrs     x1, elr_el1
    sub     x1, x1, x0
    cmp     x1, #4
    b.ls    interrupt                   // the idle loop's registers are dead
    mov     x0, #FATAL_IRQ
    b       fatal_entry

// No fast path does: x0 = Core, x22 is what the interrupt controller said.
    .global acknowledged_interrupt
acknowledged_interrupt:
    take_stack
    mov     x1, x22
    msr     daifclr, #4
    bl      handle_acknowledged
    b       return_to_thread

// Nothing is acknowledged yet, and what has to be saved is.
    .global interrupt
interrupt:
    take_stack
    msr     daifclr, #4
    bl      handle_interrupt
    b       return_to_thread

// As system_call, when the slot that x0 names is known: x24. What follows is the way back from the commonest of what C++ does.
    .global system_call_found
system_call_found:
    save_others
    take_stack
    mov     x1, x24
    msr     daifclr, #4
    bl      handle_found

// Continues Core.current_context. SP is the core's stack start, where the trap words are.
    .global return_to_thread
return_to_thread:
    msr     daifset, #4
    ldr     x1, [sp, #TRAP_PENDING_SERROR]
    mrs     x0, tpidr_el1
    cbnz    x1, deliver_serror
    ldr     x9, [x0, #CORE_CURRENT]
    mov     sp, x9
    .global restore_thread              // the one whose Context is at SP
restore_thread:
    ldp     x10, x11, [sp, #CONTEXT_SP]
    ldr     x12, [sp, #CONTEXT_SPSR]
    msr     sp_el0, x10
    msr     elr_el1, x11
    msr     spsr_el1, x12
    message_registers ldp, sp
    ldr     x8, [sp, #CONTEXT_X(8)]
    ldp     x17, x18, [sp, #CONTEXT_X(17)]
    preserved_registers ldp
    ldp     x29, x30, [sp, #CONTEXT_X(29)]
    leave_exception

// void start_thread(): leaves the boot path for Core.current_context.
    .global start_thread
start_thread:
    mrs     x0, tpidr_el1
    ldr     x9, [x0, #CORE_STACK_TOP]
    mov     sp, x9
    b       return_to_thread

thread_serror:
    save_scratch
    preserved_registers stp
    save_others
    take_stack
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
    leave_exception

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
