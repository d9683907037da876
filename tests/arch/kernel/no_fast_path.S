// SPDX-License-Identifier: BSD-2-Clause
// Every system call and fault takes the general path: the test's kernel has none of the objects that the fast paths look at.
    .section .text.fast, "ax"
    .global fast_call
fast_call:
    .global fast_reply_recv
fast_reply_recv:
    .global fast_other
fast_other:
    b       system_call
    .global fast_fault
fast_fault:
    b       synchronous
    .global fast_irq
fast_irq:
    b       interrupt
