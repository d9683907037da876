// SPDX-License-Identifier: BSD-2-Clause
// The entry of the root task of serrors.cc: a stack, and the thread-local block that holds the address of its IPC buffer.

    .section .text.start, "ax"
    .global _start
_start:
    adrp    x1, root_stack_top
    add     x1, x1, :lo12:root_stack_top
    mov     sp, x1
    adrp    x1, root_thread_block       // two words before the thread-local variables, which start as zero
    add     x1, x1, :lo12:root_thread_block
    msr     tpidr_el0, x1
    mov     x29, xzr
    mov     x30, xzr
    b       root_main

    .section .bss.root_stack, "aw", %nobits
    .balign 16
root_thread_block:
    .skip   64
    .skip   16384
root_stack_top:

    .section .note.GNU-stack, "", %progbits
