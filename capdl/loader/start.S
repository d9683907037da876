// SPDX-License-Identifier: BSD-2-Clause
// Entry of the root task: x0 is the address of its RootBootInfo; it has neither a stack nor a thread-local block.

        .section .text.start, "ax"
        .global _start
_start:
        adrp    x1, stack_top
        mov     sp, x1
        // The thread pointer stands two words before the thread-local variables, which all start as zero.
        adrp    x1, thread_block
        add     x1, x1, :lo12:thread_block
        msr     tpidr_el0, x1
        mov     x29, xzr
        mov     x30, xzr
        b       loader_main

        .section .bss.thread_block, "aw", %nobits
        .balign 16
thread_block:
        .skip   64

        .section .note.GNU-stack, "", %progbits
