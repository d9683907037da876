// SPDX-License-Identifier: BSD-2-Clause
// A component's first instructions: x0 is the address of its ComponentInfo, sp the top of its stack. Sets up thread-local
// storage before any C++ code runs (the IPC buffer's pointer is thread-local), and continues in caprock_start.

.section .text._start, "ax", %progbits
.global _start
.type _start, %function
_start:
    mov x29, xzr                    // ends backtraces
    mov x30, xzr
    adrp x1, __tls_block
    add x1, x1, :lo12:__tls_block
    msr tpidr_el0, x1
    // Two words reserved for the thread library precede the variables. The linker script pads the image to 16 bytes; what
    // follows it (.tbss) lies in .bss and is zero already.
    add x1, x1, #16
    adrp x2, __tls_image
    add x2, x2, :lo12:__tls_image
    adrp x3, __tls_image_end
    add x3, x3, :lo12:__tls_image_end
1:  cmp x2, x3
    b.hs 2f
    ldp x4, x5, [x2], #16
    stp x4, x5, [x1], #16
    b 1b
2:  b caprock_start
.size _start, . - _start

.section .note.GNU-stack, "", %progbits
