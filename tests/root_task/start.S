// SPDX-License-Identifier: BSD-2-Clause
// The entry of a test that is a root task: x0 is the address of the RootBootInfo; there is neither a stack nor a thread-local block.

        .section .text.start, "ax"
        .global _start
_start:
        adrp    x1, root_stack_top
        add     x1, x1, :lo12:root_stack_top
        mov     sp, x1
        // The thread pointer stands two words before the thread-local variables, which all start as zero.
        adrp    x1, root_thread_block
        add     x1, x1, :lo12:root_thread_block
        msr     tpidr_el0, x1
        mov     x29, xzr
        mov     x30, xzr
        b       root_main

        .section .bss.root_stack, "aw", %nobits
        .balign 16
root_thread_block:
        .skip   64
        .skip   65536
root_stack_top:

        .section .note.GNU-stack, "", %progbits
