// SPDX-License-Identifier: BSD-2-Clause
// The entry of a component's first thread. The driver has set its stack pointer; all memory of the data is zero.

        .section .text.start, "ax"

        .global _start
_start:
        ldr     x0, =data_start
        ldr     x1, =data_image_end
        ldr     x2, =data_image
1:      cmp     x0, x1
        b.hs    2f
        ldp     x3, x4, [x2], #16
        stp     x3, x4, [x0], #16
        b       1b
        // The thread pointer stands two words before the thread-local variables, which all start as zero.
2:      ldr     x1, =thread_block
        msr     tpidr_el0, x1
        mov     x29, xzr
        mov     x30, xzr
        b       component_main
        .ltorg

        .section .note.GNU-stack, "", %progbits
