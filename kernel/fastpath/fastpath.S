// SPDX-License-Identifier: BSD-2-Clause
// The common cases of what threads do with each other: Call and ReplyRecv with a server that waits alone at an endpoint, a page fault that such a server
// handles, signals, messages and interrupts that wake somebody, waiting for them, and Yield. What is done here the general path (syscall/syscall.cc) would do
// alike; a test runs both on the same states. Each path looks at everything first, in registers that are saved already, and changes nothing before it is sure
// to end: whatever is not the common case goes on in system_call as if nothing had been tried (an interrupt was acknowledged by then). A passive server gets
// the scheduling context along with the call, so the timer stays as it is; between threads that each have one, switch_contexts books the time.
//
// The message stays where it is, in x1 to x5 and x9 to x16. So the words of a thread that waits are not in its Context; nobody asks for them
// there (clear_dead_registers, ipc/message.hpp).
//
// Entered from the vector with x17 to x28 saved. SP is the current thread's Context, which its Tcb begins with. SError stays masked.
#include "arch/aarch64/layout.h"

// What the registers hold on all paths; x17, x18 and x28 are scratch.
endpoint    .req x19
cap         .req x20                // of the endpoint: on the way to a server its badge
badge       .req x20
next        .req x21                // the thread that is switched to
reply       .req x22
core        .req x23
standing    .req x24                // TCB_STANDING of `next`, then what is odd about the switch to it
odd         .req x24
state       .req x25                // TCB_STATE of `next`
context     .req x26                // the scheduling context
ready       .req x27                // the ready queues of the domain

// `odd`: what is special about either thread, from here on (Special, object/tcb.hpp), and that the next one has been waiting for its fault's handler.
#define ODD_SPECIAL_SHIFT 8
#define ODD_FPU_MOVES (3 << ODD_SPECIAL_SHIFT)
#define ODD_FAULTED_BIT 20
#define WAKES_RECEIVER 1
#define icc_iar1_el1 S3_0_C12_C12_0
#define icc_eoir1_el1 S3_0_C12_C12_1
#define icc_dir_el1 S3_0_C12_C11_1

    .section .text.fast, "ax"

// x17: the CNode that is the CSpace, x18: its guard, where it stands in an address, x28: the guard's size. Leaves with the flags that check_addresses expects.
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
// x24: the slot that x0 names; x17 and x20 are its capability.
    .macro load_cap
    load_cspace
    eor     x19, x18, x0
    check_addresses x19
    object_of x17, x17
    slot_at x24, x19
    ldp     x17, cap, [x24]
    .endm
// Leaves unless the capability x17 is an endpoint's through which the server may be answered.
    .macro check_answerable leave
    lsr     x18, x17, #CAP_RECEIVE_BIT
    sub     w18, w18, #((CAP_TYPE_ENDPOINT << (CAP_TYPE_SHIFT - CAP_RECEIVE_BIT)) + 2)
    cmp     w18, #5
    b.hi    \leave
    .endm
// `odd` is 0 if the next thread's domain has its turn, its address space is known, and no hardware has to be set up for it.
    .macro find_odd
    ldr     x17, [core, #CORE_STANDING]
    eor     odd, x17, standing
    lsr     odd, odd, #8
    .endm
// Leaves unless the next thread comes before all that are ready.
    .macro check_turn
    ldr     x17, [ready, #READY_HIGHEST]
    cmp     x17, w24, uxtb
    b.gt    leave_call
    find_odd
    .endm
// Leaves if `odd` is something beyond what is special.
    .macro check_special leave=leave_call
    tst     odd, #~(0xff << ODD_SPECIAL_SHIFT)
    b.ne    \leave
    .endm
// Branches if the interrupt controller is of version 3. Else x18 is where the CPU interface of version 2 has its registers.
    .macro branch_version3 to
    adrp    x17, gic
    ldrb    w18, [x17, #:lo12:gic]
    cbnz    w18, \to
    ldr     x18, [x17, #:lo12:gic + GIC_CPU]
    .endm
// In force from the exception return on.
    .macro enter_address_space
    ldr     x17, [next, #TCB_SPACE]
    msr     ttbr0_el1, x17
    .endm
// What of the current thread has to outlast its wait: the registers that a procedure preserves, and where it is.
    .macro save_place
    mrs     x17, sp_el0
    mrs     x18, elr_el1
    stp     x17, x18, [sp, #CONTEXT_SP]
    mrs     x17, spsr_el1
    mrs     x18, tpidr_el0
    stp     x17, x18, [sp, #CONTEXT_SPSR]
    .endm
// All of the current thread that is not saved yet, behind switch_contexts (x29 and x30 are), when it may be continued anywhere.
    .macro save_message
    message_registers stp, sp
    str     x8, [sp, #CONTEXT_X(8)]
    save_place
    .endm
// For the priority x17: x25 is where READY_PRESENT finds its word, x26 that word's number, x29 the bit in it, x30 that of the word in READY_SUMMARY.
    .macro ring_words
    lsr     x26, x17, #6
    add     x25, ready, x26, lsl #3
    mov     x30, #1
    lsl     x29, x30, x17
    lsl     x30, x30, x26
    .endm
// Where the words that registers do not hold are in the IPC buffer of a thread. x17: the frame.
    .macro buffer_of register, thread
    ubfx    x20, x17, #FRAME_SIZE_SHIFT, #FRAME_SIZE_BITS
    object_of \register, x17
    ldr     x17, [\thread, #TCB_BUFFER]
    mov     x26, #-1
    lsl     x26, x26, x20
    bic     x17, x17, x26
    add     x17, x17, #BUFFER_LONG_WORDS
    add     \register, \register, x17
    .endm

    .global fast_call
fast_call:
    load_cap
    check_answerable call_object
    tbz     x17, #CAP_SEND_BIT, system_call_found
    tst     w1, #INFO_CAPS
    b.ne    system_call_found
// x17: the endpoint's capability.
call_endpoint:
    // One thread waits to receive, with a reply object.
    object_of endpoint, x17
    ldp     next, x17, [endpoint]
    cmp     x17, #ENDPOINT_ONLY_RECEIVER
    b.ne    leave_call
    ldp     reply, x28, [next, #TCB_REPLY]
    cbz     reply, leave_call
    mrs     core, tpidr_el1
    ldp     context, ready, [core, #CORE_SCHED_CONTEXT]
    ldp     standing, state, [next, #TCB_STANDING]
    check_turn
    cbnz    odd, call_special
call_in_turn:
    cbnz    x28, call_on_own_context
    // The call is delivered: the caller waits for `reply`, which is the newest call on the scheduling context, and the server runs on that.
    enter_address_space
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    save_place
    stp     xzr, xzr, [endpoint]                    // nobody waits
    ldr     x17, [context, #SCHED_CONTEXT_REPLY]
    cbnz    x17, push_on_another
push:
    mov     x18, sp
    stp     x18, context, [reply]
    stp     next, reply, [context]
    stp     reply, xzr, [sp, #TCB_REPLY]
    stp     xzr, context, [next, #TCB_REPLY]
called:
    add     w25, w25, #(STATE_BLOCKED_ON_REPLY - STATE_BLOCKED_ON_RECEIVE)
    str     w25, [sp, #TCB_STATE]                   // how the server received says what the answer may carry
    mov     w17, #STATE_RUNNING
    strb    w17, [next, #TCB_STATE]
    mov     x0, badge
    ldp     x6, x7, [next, #CONTEXT_X(6)]
    b       switch_to_next

call_special:
    check_special
    b       call_in_turn

push_on_another:                                    // x17: the newest call so far
    str     xzr, [x17, #REPLY_CONTEXT]
    str     reply, [x17, #REPLY_NEXT]
    str     x17, [reply, #REPLY_PREV]
    b       push

call_on_own_context:
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    bl      switch_contexts
    enter_address_space
    save_place
    stp     xzr, xzr, [endpoint]
    mov     x18, sp
    str     x18, [reply]
    str     reply, [sp, #TCB_REPLY]
    str     xzr, [next, #TCB_REPLY]
    ldr     w25, [next, #TCB_STATE]
    b       called

// A fault or a system call that is not the common case.
leave_call:
    mrs     x17, esr_el1
    tbz     w17, #ESR_ABORT_BIT, system_call
    str     xzr, [sp, #TCB_FAULT_LABEL]
    b       synchronous

// A page fault calls its handler in the kernel's words. All registers are saved; x1 is ESR_EL1, x2 FAR_EL1, x11 the program counter.
    .global fast_fault
fast_fault:
    ubfx    w17, w1, #ESR_CLASS_SHIFT, #6
    eor     w17, w17, #ESR_CLASS_INSTRUCTION_ABORT
    tst     w17, #~(ESR_CLASS_INSTRUCTION_ABORT ^ ESR_CLASS_DATA_ABORT)
    b.ne    synchronous
    and     w18, w1, #ESR_STATUS
    cmp     w18, #ESR_STATUS_ALIGNMENT
    b.eq    synchronous
    cmp     w17, #0
    cset    w4, eq                                  // an instruction fetch
    ldp     x17, badge, [sp, #TCB_FAULT_HANDLER]
    check_answerable synchronous
    mov     x3, x2
    mov     x5, x1
    mov     x2, x11
    mov     x1, #((FAULT_VM << INFO_LABEL_SHIFT) + FAULT_VM_WORDS)
    mov     x18, #FAULT_VM
    str     x18, [sp, #TCB_FAULT_LABEL]
    strb    w4, [sp, #TCB_FAULT_FLAG]
    str     x3, [sp, #TCB_FAULT_WORDS]
    str     x5, [sp, #TCB_FAULT_WORDS + 8]
    b       call_endpoint

answer_special:
    check_special
    b       answer

pop_off_another:                                    // x17: the call before it
    str     xzr, [x17, #REPLY_NEXT]
    str     context, [x17, #REPLY_CONTEXT]
    str     xzr, [reply, #REPLY_PREV]
    b       pop

// The caller faulted; it has no scheduling context beside the one that comes back (x28).
answer_fault:
    cbnz    x28, system_call
    b       answer_other

// A call that took no scheduling context along, of a thread that has one. x18: that of the reply object.
answer_on_own_context:
    cbz     next, system_call
    ldp     x17, x28, [reply, #REPLY_PREV]
    orr     x17, x17, x28
    orr     x17, x17, x18
    cbnz    x17, system_call
    ldrb    w17, [next, #TCB_STATE]
    cmp     w17, #STATE_BLOCKED_ON_REPLY
    b.ne    system_call
    ldr     x28, [next, #TCB_SCHED_CONTEXT]
    cbz     x28, system_call
// x28: the caller's own scheduling context, if any. The answer to a page fault, and to a capability that was missing, says nothing.
answer_other:
    ldr     standing, [next, #TCB_STANDING]
    check_turn
    check_special
    ldr     x17, [next, #TCB_FAULT_LABEL]
    cbz     x17, 1f
    cmp     x17, #FAULT_CAP
    mov     w18, #FAULT_VM
    ccmp    x17, x18, #4, ne
    b.ne    system_call
    orr     odd, odd, #(1 << ODD_FAULTED_BIT)
1:  cbz     x28, answer
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    bl      switch_contexts
    enter_address_space
    save_place
    mov     x18, sp
    str     x18, [reply]
    str     xzr, [next, #TCB_REPLY]
    str     reply, [sp, #TCB_REPLY]
    b       answered

// From one scheduling context to another (x28), as book, switch_context and set_next_deadline do (sched/switch.hpp). Leaves unless the thread that has it could
// run at once. x17, x18, x25, x27, x29 and x30 do not survive.
switch_contexts:
    mrs     x17, cntvct_el0
    ldr     x18, [core, #CORE_DOMAIN_END]
    cmp     x17, x18
    b.hs    stay_in_context
    ldr     x27, [x28, #SCHED_CONTEXT_FORM]
    tbnz    x27, #SCHED_CONTEXT_SPORADIC_BIT, stay_in_context
    tst     x27, #0xffff
    b.eq    stay_in_context
    ldp     x25, x27, [x28, #SCHED_CONTEXT_FIRST]
    adrp    x29, ten_microseconds_ticks
    ldr     x29, [x29, #:lo12:ten_microseconds_ticks]
    cmp     x25, x17
    ccmp    x27, x29, #0, ls
    b.lo    stay_in_context
    ldr     x29, [context, #SCHED_CONTEXT_PERIOD]
    ldr     x25, [x28, #SCHED_CONTEXT_PERIOD]
    orr     x29, x29, x25
    cbnz    x29, switch_periodic_contexts
    // The time since the last booking is charged.
    ldr     x25, [core, #CORE_CHARGED_UNTIL]
    sub     x25, x17, x25
    ldr     x29, [context, #SCHED_CONTEXT_CONSUMED]
    add     x29, x29, x25
    str     x29, [context, #SCHED_CONTEXT_CONSUMED]
    ldr     x29, [context, #SCHED_CONTEXT_FIRST + 8]
    subs    x29, x29, x25
    csel    x29, xzr, x29, lo
    str     x29, [context, #SCHED_CONTEXT_FIRST + 8]
    str     x17, [core, #CORE_CHARGED_UNTIL]
    str     x28, [core, #CORE_SCHED_CONTEXT]
    // The timer is due at the end of the budget or of the domain's turn, or when somebody's time comes.
    add     x17, x17, x27
    cmp     x17, x18
    csel    x17, x17, x18, lo
    ldr     x18, [core, #CORE_RELEASE]
    cbnz    x18, await_release
set_timer:
    msr     cntv_cval_el0, x17
    ret

await_release:                                      // x18: the first thread that waits for its time
    ldr     x18, [x18, #TCB_SCHED_CONTEXT]
    ldr     x18, [x18, #SCHED_CONTEXT_FIRST]
    adrp    x29, ten_microseconds_ticks
    ldr     x29, [x29, #:lo12:ten_microseconds_ticks]
    ldr     x25, [core, #CORE_CHARGED_UNTIL + 8]
    add     x25, x25, x29
    cmp     x18, x25
    csel    x18, x18, x25, hi
    cmp     x17, x18
    csel    x17, x17, x18, lo
    b       set_timer

stay_in_context:
    adr     x17, wake_in_context
    cmp     x17, x30
    ldp     x29, x30, [sp, #CONTEXT_X(29)]
    b.eq    leave_wake
    b       leave_call

// All registers are what they were.
continue_faulted:
    str     xzr, [next, #TCB_FAULT_LABEL]
continue_whole:
    stp     next, next, [core, #CORE_CURRENT]
    ldp     x17, x18, [next, #CONTEXT_TPIDR]
    msr     tpidr_el0, x17
    msr     tpidrro_el0, x18
    tst     odd, #(0xff << ODD_SPECIAL_SHIFT)
    b.eq    leave_whole
    mov     x0, core
    ldr     x17, [core, #CORE_STACK_TOP]
    mov     sp, x17
    bl      handle_special_switch
    .global leave_whole
leave_whole:                                        // no SError could come
    mov     sp, next
    b       restore_thread

    .global fast_reply_recv
fast_reply_recv:
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
    tst     w1, #INFO_CAPS
    b.ne    system_call
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
    b.ne    answer_on_own_context
    ldp     x28, x18, [next, #TCB_SCHED_CONTEXT]
    orr     x17, x28, x18
    cbnz    x17, answer_fault
    ldr     standing, [next, #TCB_STANDING]
    check_turn
    cbnz    odd, answer_special
    // The answer is delivered: the caller runs on the scheduling context again, whose newest call is the one before, and the server waits for the next
    // with its reply object. Should it have to execute its system call again, that only receives.
answer:
    enter_address_space
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    save_place
    ldr     x17, [reply, #REPLY_PREV]
    stp     next, x17, [context]
    cbnz    x17, pop_off_another
pop:
    mov     x18, sp
    stp     x18, xzr, [reply]
    stp     xzr, context, [next, #TCB_REPLY]
    stp     reply, xzr, [sp, #TCB_REPLY]
answered:                                           // x18: the server
    mov     w17, #STATE_RUNNING
    strb    w17, [next, #TCB_STATE]
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

// The rest, of all: x0, x1, x6 and x7 are the next thread's, SP is still the one before. The words beyond the length of the message are cleared, as are the
// other registers that a system call does not preserve.
switch_to_next:
    cbz     odd, take_message
    cmp     odd, #ODD_FPU_MOVES
    b.ne    switch_specially
    ldrb    w17, [sp, #TCB_SPECIAL]
    tbz     w17, #0, switch_specially
    // The floating-point unit holds the current thread's registers, and the next one has used it lately (switch_special, sched/scheduler.cc).
    and     w17, w17, #~SPECIAL_FPU
    strb    w17, [sp, #TCB_SPECIAL]
    add     x17, sp, #(TCB_FPU + FPU_MIDDLE)
    bl      fpu_save_at
    add     x17, next, #(TCB_FPU + FPU_MIDDLE)
    bl      fpu_restore_at
    ldrb    w17, [next, #TCB_FPU_TURNS]
    subs    w17, w17, #1
    strb    w17, [next, #TCB_FPU_TURNS]
    mov     w17, #(SPECIAL_FPU | SPECIAL_FPU_SOON)
    csinc   w17, w17, wzr, ne
    strb    w17, [next, #TCB_SPECIAL]
    str     next, [core, #CORE_FPU_OWNER]
take_message:
    and     w18, w1, #INFO_LENGTH
    cmp     w18, #REGISTER_WORDS
    b.hi    take_long_message
    stp     next, next, [core, #CORE_CURRENT]
    mov     sp, next
    adr     x17, 1f
    add     x17, x17, x18, lsl #2
    br      x17
1:  .irp    word, x2, x3, x4, x5, x9, x10, x11, x12, x13, x14, x15, x16
    mov     \word, #0
    .endr
continue_next:
    ldp     x17, x18, [sp, #CONTEXT_SP]
    msr     sp_el0, x17
    msr     elr_el1, x18
    ldp     x17, x18, [sp, #CONTEXT_SPSR]
    msr     spsr_el1, x17
    msr     tpidr_el0, x18
    ldr     x17, [sp, #CONTEXT_TPIDRRO]
    msr     tpidrro_el0, x17
    preserved_registers ldp
    ldp     x29, x30, [sp, #CONTEXT_X(29)]
    mov     x8, #0
    mov     x17, #0
    mov     x18, #0
    leave_exception

// A call of IRQHandlerAck, which lets the interrupt x20 come again. x17: the capability, which is no endpoint's.
call_object:
    tbz     x17, #(CAP_TYPE_SHIFT + 2), system_call_found   // soon for all others
    tbz     x17, #(CAP_TYPE_SHIFT + 3), system_call_found
    lsr     x18, x17, #CAP_TYPE_SHIFT
    lsr     x17, x1, #INFO_CAPS_SHIFT
    cmp     w18, #CAP_TYPE_IRQ_HANDLER
    mov     x18, #(METHOD_IRQ_HANDLER_ACK << (INFO_LABEL_SHIFT - INFO_CAPS_SHIFT))
    ccmp    x17, x18, #0, eq
    b.ne    system_call_found
    sub     w18, w20, #FIRST_DEVICE_IRQ
    cmp     w18, #(IRQ_LIMIT - FIRST_DEVICE_IRQ)
    b.hs    system_call_found
    branch_version3 1f
    str     w20, [x18, #GICC_DIR]
    b       done
1:  msr     icc_dir_el1, x20
    isb
    b       done

// System calls other than Call and ReplyRecv.
    .global fast_other
fast_other:
    cmp     w17, #(SYSCALL_NB_WAIT - SYSCALL_CALL)
    b.hi    fast_yield
    load_cap
    and     w18, w7, #0xff
    lsr     x21, x17, #CAP_TYPE_SHIFT
    cmp     w21, #CAP_TYPE_NOTIFICATION
    b.eq    fast_notification
    cmp     w18, #SYSCALL_NB_SEND
    ccmp    w21, #0, #0, eq
    b.eq    done
    // A message for a receiver that waits alone.
    cmp     w18, #SYSCALL_SEND
    ccmp    w21, #CAP_TYPE_ENDPOINT, #0, eq
    b.ne    system_call_found
    tbz     x17, #CAP_SEND_BIT, system_call_found
    tst     w1, #INFO_CAPS
    b.ne    system_call_found
    object_of endpoint, x17
    ldp     next, x17, [endpoint]
    cmp     x17, #ENDPOINT_ONLY_RECEIVER
    b.ne    system_call_found
    mov     x22, #WAKES_RECEIVER
    mrs     core, tpidr_el1
    b       wake_next

// x17 and x20: a notification's capability, x18: the number of the system call.
fast_notification:
    object_of x19, x17
    ldp     x25, x26, [x19, #NOTIFICATION_STATE]
    ldr     x22, [x19, #NOTIFICATION_BOUND]
    cmp     w18, #SYSCALL_RECV
    b.hs    take_word
    // A signal, and nobody waits for it: neither in the notification nor, bound to it, in an endpoint.
    cmp     w18, #SYSCALL_SEND
    b.lo    system_call
    tbz     x17, #CAP_SEND_BIT, system_call_found
    cmp     x25, #NOTIFICATION_WAITING
    b.eq    wake_by_signal
    cbz     x22, 1f
    ldrb    w22, [x22, #TCB_STATE]
    cmp     w22, #STATE_BLOCKED_ON_RECEIVE
    b.eq    system_call_found
1:  orr     x26, x26, badge
    mov     x25, #NOTIFICATION_ACTIVE
    stp     x25, x26, [x19, #NOTIFICATION_STATE]
    b       done

// A word that is there, for a thread that may have it.
take_word:
    tbz     x17, #CAP_RECEIVE_BIT, system_call_found
    mov     x27, sp
    cmp     x22, #0
    ccmp    x22, x27, #4, ne
    b.ne    system_call_found
    cmp     x25, #NOTIFICATION_ACTIVE
    b.ne    await
    stp     xzr, xzr, [x19, #NOTIFICATION_STATE]
    mov     x0, x26
    mov     x1, #NOTIFICATION_INFO
    .irp    word, x2, x3, x4, x5, x9, x10, x11, x12, x13, x14, x15, x16
    mov     \word, #0
    .endr
    b       continue_at_once

done:
    mov     x0, #0
    mov     x1, #0
// The current thread goes on; of its registers those from x17 to x28 are saved.
continue_at_once:
    ldp     x17, x18, [sp, #CONTEXT_X(17)]
    preserved_registers ldp
    leave_exception

// From here on what is done less often: it has no place in the page of the vectors, and comes before it.
    .section .text.fast_rest, "ax"
    .global fast_path_start
fast_path_start:

// Replenishment is for C++, on the kernel's stack, where the message waits. x17: the present.
switch_periodic_contexts:
    mov     x25, x30
    mov     x27, sp
    ldr     x18, [core, #CORE_STACK_TOP]
    sub     sp, x18, #CONTEXT_X(18)
    message_registers stp, sp
    mov     x0, core
    mov     x1, x28
    mov     x2, x17
    bl      handle_context_switch
    message_registers ldp, sp
    mov     sp, x27
    mov     x30, x25
    ret

// Other hardware has to be set up, or the next thread continues where it faulted.
switch_specially:
    tbnz    odd, #ODD_FAULTED_BIT, continue_faulted
    mov     x19, sp
    message_registers stp, next
    stp     next, next, [core, #CORE_CURRENT]
    mov     x0, core
    ldr     x17, [core, #CORE_STACK_TOP]
    mov     sp, x17
    bl      handle_special_switch
    message_registers ldp, next
    mov     sp, x19
    b       take_message

// The words that registers do not hold go from buffer to buffer, as transfer_rest does it (ipc/ipc.cc). x18: the length that the sender says.
take_long_message:
    mov     x19, #REGISTER_WORDS                    // what arrives if there are no two buffers
    ldr     x17, [sp, #TCB_BUFFER_CAP]
    lsr     x20, x17, #(FRAME_WRITE_SHIFT + 1)
    cmp     x20, #((CAP_TYPE_FRAME << (CAP_TYPE_SHIFT - FRAME_WRITE_SHIFT - 1)) + 1)
    b.ne    3f
    buffer_of x22, sp
    ldr     x17, [next, #TCB_BUFFER_CAP]
    lsr     x20, x17, #FRAME_WRITE_SHIFT
    cmp     x20, #((CAP_TYPE_FRAME << (CAP_TYPE_SHIFT - FRAME_WRITE_SHIFT)) + 3)
    b.ne    3f
    buffer_of x25, next
    mov     x19, #MESSAGE_WORDS
    cmp     x18, x19
    csel    x19, x18, x19, lo
    sub     x18, x19, #REGISTER_WORDS
    tbz     x18, #0, 1f
    ldr     x17, [x22], #8
    str     x17, [x25], #8
1:  tbz     x18, #1, 1f
    ldp     x17, x20, [x22], #16
    stp     x17, x20, [x25], #16
1:  lsr     x18, x18, #2
    cbz     x18, 3f
2:  ldp     x17, x20, [x22], #32
    ldp     x26, x27, [x22, #-16]
    stp     x17, x20, [x25], #32
    stp     x26, x27, [x25, #-16]
    subs    x18, x18, #1
    b.ne    2b
3:  bfi     x1, x19, #0, #7
    stp     next, next, [core, #CORE_CURRENT]
    mov     sp, next
    b       continue_next

// An interrupt, and a thread waits for it. All registers are saved.
    .global fast_irq
fast_irq:
    branch_version3 acknowledge_version3
    ldr     w22, [x18, #GICC_IAR]
acknowledged:
    sub     w17, w22, #FIRST_DEVICE_IRQ
    cmp     w17, #(IRQ_LIMIT - FIRST_DEVICE_IRQ)
    b.hs    acknowledged_interrupt
    mrs     core, tpidr_el1
    ldr     x17, [core, #CORE_KERNEL]
    mov     x18, #(KERNEL_IRQ_NOTIFICATIONS >> SLOT_SHIFT)
    add     x18, x18, x22
    add     x17, x17, x18, lsl #SLOT_SHIFT
    ldp     x17, badge, [x17]
    lsr     x18, x17, #CAP_TYPE_SHIFT
    cmp     w18, #CAP_TYPE_NOTIFICATION
    b.ne    acknowledged_interrupt
    object_of x19, x17
    ldr     x17, [x19, #NOTIFICATION_STATE]
    cmp     x17, #NOTIFICATION_WAITING
    b.eq    wake
    b       acknowledged_interrupt
acknowledge_version3:
    mrs     x22, icc_iar1_el1
    dsb     sy                                      // the acknowledgement reaches the redistributor before the handler's accesses
    b       acknowledged

// Yield to the next of as many as are alike. A budget that is not a turn's is for C++.
fast_yield:
    cmp     w17, #(SYSCALL_YIELD - SYSCALL_CALL)
    b.ne    system_call
    mrs     core, tpidr_el1
    ldp     context, ready, [core, #CORE_SCHED_CONTEXT]
    ldr     x17, [context, #SCHED_CONTEXT_PERIOD]
    cbnz    x17, system_call
    ldrb    w17, [sp, #TCB_STANDING]
    ldr     x18, [ready, #READY_HIGHEST]
    cmp     x17, x18
    b.ne    system_call
    add     x20, ready, x17, lsl #3
    ldr     next, [x20, #READY_RINGS]
    ldr     x28, [next, #TCB_SCHED_CONTEXT]
    ldr     x17, [x28, #SCHED_CONTEXT_PERIOD]
    cbnz    x17, system_call
    ldr     standing, [next, #TCB_STANDING]
    find_odd
    check_special
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    bl      switch_contexts
    ldr     x17, [context, #SCHED_CONTEXT_BUDGET]
    str     x17, [context, #SCHED_CONTEXT_FIRST + 8]
    save_message
    // The current thread takes the next one's place in the ring, which begins behind it.
    mov     x18, sp
    add     x26, next, #TCB_READY
    ldp     x17, x25, [x26]
    stp     xzr, xzr, [x26]
    cmp     x17, next
    csel    x17, x18, x17, eq
    csel    x25, x18, x25, eq
    str     x17, [x20, #READY_RINGS]
    str     x18, [x17, #TCB_READY + 8]
    str     x18, [x25, #TCB_READY]
    add     x26, x18, #TCB_READY
    stp     x17, x25, [x26]
    enter_address_space
    b       continue_whole

leave_wake:
    cmp     x22, #WAKES_RECEIVER
    b.hi    acknowledged_interrupt
    b       system_call

// Wakes the only waiter of the notification x19, or the only receiver of an endpoint, which has a scheduling context and is more important than the current
// thread and all that are ready. That has enough budget left to go before its equals. x22: 0 for a signal, WAKES_RECEIVER, or the number of an interrupt,
// whose priority drops only here.
wake_by_signal:
    mov     x22, #0
    mrs     core, tpidr_el1
wake:
    ldr     next, [x19]
    ldr     x17, [next, #TCB_WAIT]
    ldr     x18, [next, #TCB_WAIT_LOWER]
    orr     x17, x17, x18
    cbnz    x17, leave_wake
wake_next:
    ldr     x28, [next, #TCB_SCHED_CONTEXT]
    cbz     x28, leave_wake
    ldp     context, ready, [core, #CORE_SCHED_CONTEXT]
    ldr     standing, [next, #TCB_STANDING]
    ldrb    w18, [sp, #TCB_STANDING]
    ldr     x17, [ready, #READY_HIGHEST]
    cmp     x17, x18
    csel    x17, x17, x18, gt
    cmp     x17, w24, uxtb
    b.ge    leave_wake
    find_odd
    check_special leave_wake
    mrs     x17, cntvct_el0
    ldr     x18, [core, #CORE_CHARGED_UNTIL]
    sub     x17, x17, x18
    ldr     x18, [context, #SCHED_CONTEXT_FIRST + 8]
    adrp    x25, ten_microseconds_ticks
    ldr     x25, [x25, #:lo12:ten_microseconds_ticks]
    add     x17, x17, x25, lsl #1                   // what the way from here on takes is much less
    cmp     x18, x17
    b.lo    leave_wake
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    bl      switch_contexts
wake_in_context:
    cmp     x22, #WAKES_RECEIVER
    b.hi    drop_priority
    save_message
    stp     xzr, xzr, [sp]
queue_first:
    // The current thread becomes the first of its priority.
    ldr     ready, [core, #CORE_READY]
    mov     x18, sp
    ldrb    w17, [sp, #TCB_STANDING]
    add     x25, ready, x17, lsl #3
    add     x26, x18, #TCB_READY
    ldr     x28, [x25, #READY_RINGS]
    str     x18, [x25, #READY_RINGS]
    cbnz    x28, join_ring
    stp     x18, x18, [x26]
    ring_words
    ldr     x28, [x25, #READY_PRESENT]
    orr     x28, x28, x29
    str     x28, [x25, #READY_PRESENT]
    ldp     x28, x29, [ready, #READY_HIGHEST]
    orr     x29, x29, x30
    cmp     x28, x17
    csel    x28, x28, x17, gt
    stp     x28, x29, [ready, #READY_HIGHEST]
woken:
    cmp     x22, #WAKES_RECEIVER
    b.eq    received
    stp     xzr, xzr, [x19]                         // nobody waits, and there is no word
    str     xzr, [next, #TCB_NOTIFICATION]
    mov     x17, #NOTIFICATION_INFO
    stp     badge, x17, [next]
    .irp    word, 2, 4, 9, 11, 13, 15
    stp     xzr, xzr, [next, #CONTEXT_X(\word)]
    .endr
    mov     w17, #STATE_RUNNING
    strb    w17, [next, #TCB_STATE]
    enter_address_space
    b       continue_whole

received:
    ldr     x17, [next, #TCB_REPLY]
    stp     xzr, xzr, [endpoint]
    cbz     x17, 1f
    str     xzr, [x17]
    str     xzr, [next, #TCB_REPLY]
1:  mov     w17, #STATE_RUNNING
    strb    w17, [next, #TCB_STATE]
    enter_address_space
    mov     x0, badge
    ldp     x6, x7, [next, #CONTEXT_X(6)]
    b       switch_to_next

drop_priority:
    mrs     x17, tpidr_el0
    str     x17, [sp, #CONTEXT_TPIDR]
    branch_version3 1f
    str     w22, [x18, #GICC_EOIR]
    b       queue_first
1:  msr     icc_eoir1_el1, x22
    isb
    b       queue_first

join_ring:                                          // x28: the first so far
    ldr     x29, [x28, #TCB_READY + 8]
    str     x18, [x28, #TCB_READY + 8]
    stp     x28, x29, [x26]
    str     x18, [x29, #TCB_READY]
    b       woken

// Nobody waits for the notification x19, and no word is there: the current thread (x27) waits, and the most important one that is ready goes on.
await:
    cmp     w18, #SYSCALL_WAIT
    b.ne    system_call_found
    cbnz    x25, system_call_found
    ldr     x17, [sp, #TCB_SCHED_CONTEXT]
    ldr     x18, [x19, #NOTIFICATION_SCHED_CONTEXT]
    cmp     x17, x18
    b.eq    system_call_found
    mrs     core, tpidr_el1
    ldp     context, ready, [core, #CORE_SCHED_CONTEXT]
    ldr     x17, [ready, #READY_HIGHEST]
    tbnz    x17, #63, system_call_found
    add     x20, ready, x17, lsl #3
    ldr     next, [x20, #READY_RINGS]
    ldr     x28, [next, #TCB_SCHED_CONTEXT]
    ldr     standing, [next, #TCB_STANDING]
    find_odd
    check_special
    stp     x29, x30, [sp, #CONTEXT_X(29)]
    bl      switch_contexts
    save_message
    // The next thread leaves its ring.
    add     x26, next, #TCB_READY
    ldp     x17, x18, [x26]
    stp     xzr, xzr, [x26]
    cmp     x17, next
    b.ne    leave_ring
    str     xzr, [x20, #READY_RINGS]
    ldr     ready, [core, #CORE_READY]
    ldr     x17, [ready, #READY_HIGHEST]
    ring_words
    ldr     x28, [x25, #READY_PRESENT]
    bic     x28, x28, x29
    str     x28, [x25, #READY_PRESENT]
    ldr     x29, [ready, #READY_SUMMARY]
    cbnz    x28, 1f
    bic     x29, x29, x30
    str     x29, [ready, #READY_SUMMARY]
1:  mov     x28, #-1
    cbz     x29, 1f
    clz     x29, x29
    eor     x26, x29, #63
    add     x25, ready, x26, lsl #3
    ldr     x28, [x25, #READY_PRESENT]
    clz     x28, x28
    eor     x28, x28, #63
    add     x28, x28, x26, lsl #6
1:  str     x28, [ready, #READY_HIGHEST]
waiting:
    mov     x18, sp
    mov     w17, #STATE_BLOCKED_ON_NOTIFICATION
    strb    w17, [sp, #TCB_STATE]
    str     x19, [sp, #TCB_NOTIFICATION]
    mov     x17, #NOTIFICATION_WAITING
    stp     x18, x17, [x19]
    enter_address_space
    b       continue_whole

leave_ring:                                         // between x18 and x17
    str     x17, [x20, #READY_RINGS]
    str     x18, [x17, #TCB_READY + 8]
    str     x17, [x18, #TCB_READY]
    b       waiting
