// SPDX-License-Identifier: BSD-2-Clause
// The common cases of Call and ReplyRecv: a passive server that waits alone at an endpoint is called, and answers the newest call. What is done here
// the general path (syscall/syscall.cc) would do alike; a test runs both on the same states. Each path looks at everything first, in registers that
// are saved already, and changes nothing before it is sure to end: whatever is not the common case goes on in system_call as if nothing had been
// tried. The scheduling context goes along, so the timer stays as it is and no queue of the scheduler is touched.
//
// The message stays where it is, in x1 to x5 and x9 to x16. So the words of a thread that waits are not in its Context; nobody asks for them
// there (clear_dead_registers, ipc/message.hpp).
//
// Entered from the vector with x17 to x28 saved. SP is the current thread's Context, which its Tcb begins with. SError stays masked.
#include "arch/aarch64/layout.h"

// What the registers hold on both paths; x17, x18 and x28 are scratch.
endpoint    .req x19
cap         .req x20                // of the endpoint: on the way to a server its badge
badge       .req x20
next        .req x21                // the thread that is switched to
reply       .req x22
core        .req x23
standing    .req x24                // TCB_STANDING of `next`
state       .req x25                // TCB_STATE of `next`
context     .req x26                // the scheduling context
ready       .req x27                // the ready queues of the domain

    .section .text.vectors, "ax"

// Leaves unless the message is all in registers.
    .macro check_message
    and     w17, w1, #INFO_FORM
    cmp     w17, #REGISTER_WORDS
    b.hi    system_call
    .endm

// x17: the CNode that is the CSpace, x18: its guard, where it stands in an address, x28: the guard's size. Leaves with the flags that
// check_addresses expects.
    .macro load_cspace
    ldp     x17, x18, [sp, #TCB_CSPACE]
    lsr     x26, x17, #CNODE_RADIX_SHIFT
    ubfx    x28, x17, #CNODE_GUARD_SIZE_SHIFT, #CNODE_GUARD_SIZE_BITS
    add     w26, w26, w28
    ror     x18, x18, x28
    cmp     w26, #CNODE_FLAT
    .endm

// Leaves unless the CSpace is one CNode and `indices` (addresses without guard, ored) are below its size.
    .macro check_addresses indices
    clz     x18, \indices
    ccmp    x18, x28, #0, eq
    b.lo    system_call
    .endm

// The kernel address of a capability's object.
    .macro object_of register, cap
    sbfx    \register, \cap, #0, #48
    .endm

// The address of the slot `index` in the CNode x17.
    .macro slot_at register, index
    add     \register, x17, \index, lsl #SLOT_SHIFT
    .endm

// Leaves unless the next thread comes before all that are ready, belongs to the domain whose turn it is, and has an address space. When the hardware
// has to be set up for it, or was for the current one, it goes on at `special`.
    .macro check_turn special
    ldr     x17, [ready, #READY_HIGHEST]
    cmp     x17, w24, uxtb
    b.gt    system_call
    ldr     x17, [core, #CORE_STANDING]
    eor     x17, x17, standing
    lsr     x17, x17, #8
    cbnz    x17, \special
    .endm

// There: leaves if the two differ in more than what is special about them.
    .macro check_special
    tst     x17, #~(0xff << (8 * (CORE_SPECIAL - CORE_STANDING) - 8))
    b.ne    system_call
    .endm

// In force from the exception return on.
    .macro enter_address_space
    ldr     x17, [next, #TCB_SPACE]
    msr     ttbr0_el1, x17
    .endm

// What of the current thread has to outlast its wait: the registers that a procedure preserves, and where it is.
    .macro save_rest_of_current
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    mrs     x17, sp_el0
    mrs     x18, elr_el1
    stp     x17, x18, [sp, #CONTEXT_SP]
    mrs     x17, spsr_el1
    mrs     x18, tpidr_el0
    stp     x17, x18, [sp, #CONTEXT_SPSR]
    .endm

// The call is delivered: the caller waits for `reply`, which is the newest call on the scheduling context, and the server runs on that.
    .macro call_server how
    enter_address_space
    save_rest_of_current
    stp     xzr, xzr, [endpoint]                    // nobody waits
    ldr     x17, [context, #SCHED_CONTEXT_REPLY]
    cbnz    x17, push_on_another_\how
push_\how:
    mov     x18, sp
    stp     x18, context, [reply]
    stp     next, reply, [context]
    stp     reply, xzr, [sp, #TCB_REPLY]
    stp     xzr, context, [next, #TCB_REPLY]
    add     w25, w25, #(STATE_BLOCKED_ON_REPLY - STATE_BLOCKED_ON_RECEIVE)
    str     w25, [sp, #TCB_STATE]                   // how the server received says what the answer may carry
    mov     w17, #STATE_RUNNING
    strb    w17, [next, #TCB_STATE]
    mov     x0, badge
    ldp     x6, x7, [next, #CONTEXT_X(6)]
    .endm

    .macro call_server_out_of_line how
push_on_another_\how:                // x17: the newest call so far
    str     xzr, [x17, #REPLY_CONTEXT]
    str     reply, [x17, #REPLY_NEXT]
    str     x17, [reply, #REPLY_PREV]
    b       push_\how
    .endm

// The answer is delivered: the caller runs on the scheduling context again, whose newest call is the one before, and the server waits for the next
// with its reply object. Should it have to execute its system call again, that only receives.
    .macro answer_and_wait how
    enter_address_space
    save_rest_of_current
    ldr     x17, [reply, #REPLY_PREV]
    stp     next, x17, [context]
    cbnz    x17, pop_off_another_\how
pop_\how:
    mov     x18, sp
    stp     x18, xzr, [reply]
    stp     xzr, context, [next, #TCB_REPLY]
    mov     w17, #STATE_RUNNING
    strb    w17, [next, #TCB_STATE]
    stp     reply, xzr, [sp, #TCB_REPLY]
    lsr     x20, cap, #32                           // how it receives: the capability's rights, and the flag
    movk    x20, #STATE_BLOCKED_ON_RECEIVE
    and     w17, w7, #REQUIRE_DONATION
    orr     w20, w20, w17, lsl #16
    str     w20, [sp, #TCB_STATE]
    str     endpoint, [sp, #TCB_ENDPOINT]
    mov     w17, #ENDPOINT_ONLY_RECEIVER
    stp     x18, x17, [endpoint]
    mov     w17, #SYSCALL_RECV
    bfi     x7, x17, #0, #8
    str     x0, [sp]
    stp     x6, x7, [sp, #CONTEXT_X(6)]
    mov     x0, #0
    mov     x6, #0
    mov     x7, #0
    .endm

    .macro answer_and_wait_out_of_line how
pop_off_another_\how:                // x17: the call before it
    str     xzr, [x17, #REPLY_NEXT]
    str     context, [x17, #REPLY_CONTEXT]
    str     xzr, [reply, #REPLY_PREV]
    b       pop_\how
    .endm

// The next thread is the current one; the words beyond the length of its message are cleared.
    .macro become_current
    stp     next, next, [core, #CORE_CURRENT]
    mov     sp, next
    adr     x17, 1f
    and     w18, w1, #INFO_FORM
    add     x17, x17, x18, lsl #2
    br      x17
1:  .irp    word, x2, x3, x4, x5, x9, x10, x11, x12, x13, x14, x15, x16
    mov     \word, #0
    .endr
    .endm

    .global fast_call
fast_call:
    check_message
    load_cspace
    eor     x19, x18, x0
    check_addresses x19
    object_of x17, x17
    slot_at x17, x19
    ldp     x17, badge, [x17]
    // An endpoint, the right to send, and one to be answered.
    lsr     x18, x17, #CAP_RECEIVE_BIT
    sub     w18, w18, #((CAP_TYPE_ENDPOINT << (CAP_TYPE_SHIFT - CAP_RECEIVE_BIT)) + 2)
    cmp     w18, #5
    b.hi    system_call
    tbz     x17, #CAP_SEND_BIT, system_call
    // One thread waits to receive, with a reply object and without a scheduling context.
    object_of endpoint, x17
    ldp     next, x17, [endpoint]
    cmp     x17, #ENDPOINT_ONLY_RECEIVER
    b.ne    system_call
    ldp     reply, x17, [next, #TCB_REPLY]
    cbz     reply, system_call
    cbnz    x17, system_call
    mrs     core, tpidr_el1
    ldp     context, ready, [core, #CORE_SCHED_CONTEXT]
    ldp     standing, state, [next, #TCB_STANDING]
    check_turn call_special
    call_server plain
    b       switch_to_next

call_special:
    check_special
    call_server special
    b       switch_to_special
    call_server_out_of_line plain
    call_server_out_of_line special

    .global fast_reply_recv
fast_reply_recv:
    check_message
    load_cspace
    eor     x19, x18, x0
    eor     x22, x18, x6
    orr     x21, x19, x22
    check_addresses x21
    object_of x17, x17
    slot_at x19, x19
    slot_at x22, x22
    ldr     cap, [x19]
    ldr     reply, [x22]
    // An endpoint, the right to receive, and a reply object; no notification that could have to be taken first.
    lsr     x17, cap, #CAP_TYPE_SHIFT
    lsr     x18, reply, #CAP_TYPE_SHIFT
    cmp     w17, #CAP_TYPE_ENDPOINT
    ccmp    w18, #CAP_TYPE_REPLY, #0, eq
    b.ne    system_call
    tbz     cap, #CAP_RECEIVE_BIT, system_call
    ldr     x17, [sp, #TCB_BOUND_NOTIFICATION]
    cbnz    x17, system_call
    // Nobody waits at the endpoint.
    object_of endpoint, cap
    ldr     x17, [endpoint, #ENDPOINT_STATE]
    cbnz    x17, system_call
    // The newest call on this scheduling context, of a thread that has no other one, and that did not fault.
    object_of reply, reply
    ldp     next, x18, [reply]
    mrs     core, tpidr_el1
    ldp     context, ready, [core, #CORE_SCHED_CONTEXT]
    cmp     x18, context
    b.ne    system_call
    ldp     x17, x18, [next, #TCB_SCHED_CONTEXT]
    orr     x17, x17, x18
    cbnz    x17, system_call
    ldr     standing, [next, #TCB_STANDING]
    check_turn reply_recv_special
    answer_and_wait plain

// The rest, of both: x0, x1, x6 and x7 are the next thread's. The other registers that a system call does not preserve are cleared.
switch_to_next:
    become_current
    ldp     x17, x18, [sp, #CONTEXT_SP]
    msr     sp_el0, x17
    msr     elr_el1, x18
    ldp     x17, x18, [sp, #CONTEXT_SPSR]
    msr     spsr_el1, x17
    msr     tpidr_el0, x18
    ldr     x17, [sp, #CONTEXT_TPIDRRO]
    msr     tpidrro_el0, x17
    ldp     x19, x20, [sp, #CONTEXT_X(19)]
    ldp     x21, x22, [sp, #CONTEXT_X(21)]
    ldp     x23, x24, [sp, #CONTEXT_X(23)]
    ldp     x25, x26, [sp, #CONTEXT_X(25)]
    ldp     x27, x28, [sp, #CONTEXT_X(27)]
    ldp     x29, x30, [sp, #CONTEXT_X(29)]
    mov     x8, #0
    mov     x17, #0
    mov     x18, #0
    eret
    dsb     nsh                                     // no speculation past the return
    isb

reply_recv_special:
    check_special
    answer_and_wait special

// The same for a thread for which the hardware has to be set up, which C++ does.
switch_to_special:
    become_current
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #CONTEXT_X(2)]
    stp     x4, x5, [sp, #CONTEXT_X(4)]
    stp     x6, x7, [sp, #CONTEXT_X(6)]
    stp     xzr, x9, [sp, #CONTEXT_X(8)]
    stp     x10, x11, [sp, #CONTEXT_X(10)]
    stp     x12, x13, [sp, #CONTEXT_X(12)]
    stp     x14, x15, [sp, #CONTEXT_X(14)]
    stp     x16, xzr, [sp, #CONTEXT_X(16)]
    str     xzr, [sp, #CONTEXT_X(18)]
    ldp     x17, x18, [sp, #CONTEXT_TPIDR]
    msr     tpidr_el0, x17
    msr     tpidrro_el0, x18
    mov     x0, core
    ldr     x9, [core, #CORE_STACK_TOP]
    mov     sp, x9
    bl      handle_special_switch
    b       return_to_thread

    answer_and_wait_out_of_line plain
    answer_and_wait_out_of_line special
    .global fast_path_end
fast_path_end:
