// SPDX-License-Identifier: BSD-2-Clause
// Every system call takes the general path: the test's kernel has none of the objects that the fast paths look at.
    .section .text.vectors, "ax"
    .global fast_call
fast_call:
    .global fast_reply_recv
fast_reply_recv:
    b       system_call
