// SPDX-License-Identifier: BSD-2-Clause
// The code of the threads whose every instruction matters.
#include "tests/worst_case/labels.h"

        .text

// uint64_t wait_for_deadline(uint64_t notification): the physical count right after the notification was signalled.
        .global wait_for_deadline
wait_for_deadline:
        mov     x7, #SYSCALL_WAIT
        svc     #0
        isb
        mrs     x0, cntpct_el0
        ret

// A member of the herd: one system call with the registers that it was given, then it suspends itself through x19. Cancelled, it makes the
// system call again.
        .global member_entry
member_entry:
        svc     #0
        mov     x0, x19
        mov     x1, #LABEL_TCB_SUSPEND << 12
        mov     x7, #SYSCALL_CALL
        svc     #0
        b       member_entry

// A puppet: each signal of the notification x20 makes it perform the system call whose x0 to x16 are at x21, where they are stored again.
        .global puppet_entry
puppet_entry:
        mov     x0, x20
        mov     x7, #SYSCALL_WAIT
        svc     #0
        ldp     x0, x1, [x21]
        ldp     x2, x3, [x21, #16]
        ldp     x4, x5, [x21, #32]
        ldp     x6, x7, [x21, #48]
        ldp     x8, x9, [x21, #64]
        ldp     x10, x11, [x21, #80]
        ldp     x12, x13, [x21, #96]
        ldp     x14, x15, [x21, #112]
        ldr     x16, [x21, #128]
        svc     #0
        stp     x0, x1, [x21]
        stp     x2, x3, [x21, #16]
        stp     x4, x5, [x21, #32]
        str     x9, [x21, #72]
        b       puppet_entry

// A passive server that wants to be left without a scheduling context by nobody: it receives from x19 with the reply object x20, then answers
// and receives from x21; x22 is the number of that system call with its flag.
        .global server_entry
server_entry:
        mov     x0, x19
        mov     x6, x20
        mov     x7, #SYSCALL_RECV
        svc     #0
        mov     x0, x21
        mov     x1, xzr
        mov     x6, x20
        mov     x7, x22
        svc     #0
        b       server_entry

// Waits for the notification x20, again and again: each time it runs as briefly as a thread can.
        .global waiter_entry
waiter_entry:
        mov     x0, x20
        mov     x7, #SYSCALL_WAIT
        svc     #0
        b       waiter_entry

// Waits for it once, then yields.
        .global yielder_entry
yielder_entry:
        mov     x0, x20
        mov     x7, #SYSCALL_WAIT
        svc     #0
        mov     x7, #SYSCALL_YIELD
        svc     #0
        b       yielder_entry

// Never does anything else.
        .global hog_entry
hog_entry:
        b       hog_entry

// Yields, again and again; and so with a use of the floating-point unit in between.
        .arch_extension fp
        .global fpu_spinner_entry
fpu_spinner_entry:
        fmov    d0, xzr
        mov     x7, #SYSCALL_YIELD
        svc     #0
        b       fpu_spinner_entry

        .global use_fpu
use_fpu:
        fmov    d0, xzr
        ret

        .global spinner_entry
spinner_entry:
        mov     x7, #SYSCALL_YIELD
        svc     #0
        b       spinner_entry

// A link of a chain of calls: it receives from x19 with the reply object x20, calls x21, and answers.
        .global link_entry
link_entry:
        mov     x0, x19
        mov     x6, x20
        mov     x7, #SYSCALL_RECV
        svc     #0
        mov     x0, x21
        mov     x1, xzr
        mov     x7, #SYSCALL_CALL
        svc     #0
        mov     x0, x20
        mov     x1, xzr
        mov     x7, #SYSCALL_SEND
        svc     #0
        b       link_entry

        .section .note.GNU-stack, "", %progbits
