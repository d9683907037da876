// SPDX-License-Identifier: BSD-2-Clause
// The entry of the driver and of its watchdog, and the components' image.

        .section .text.start, "ax"

// x0 is the address of the RootBootInfo; there is neither a stack nor a thread-local block.
        .global _start
_start:
        adrp    x1, driver_stack_top
        add     x1, x1, :lo12:driver_stack_top
        mov     sp, x1
        // The thread pointer stands two words before the thread-local variables, which all start as zero.
        adrp    x1, driver_thread_block
        add     x1, x1, :lo12:driver_thread_block
        msr     tpidr_el0, x1
        mov     x29, xzr
        mov     x30, xzr
        b       driver_main

        .section .bss.driver_stack, "aw", %nobits
        .balign 16
driver_thread_block:
        .skip   64
        .skip   16384
driver_stack_top:

        .section .note.GNU-stack, "", %progbits
