// SPDX-License-Identifier: BSD-2-Clause
// The root task's entry for programs without a runtime of their own: x0 is the address of the boot information; there is neither a stack nor a
// thread-local block. A runtime that has its own entry does not link this file.

        .section .text._start, "ax", %progbits
        .global _start
        .type _start, %function
        // The name of the entry in runtimes of the seL4 ecosystem, whose build systems ask for it.
        .global _sel4_start
        .type _sel4_start, %function
_start:
_sel4_start:
        mov     x29, xzr                // ends backtraces
        mov     x30, xzr
        adrp    x1, stack_top
        add     x1, x1, :lo12:stack_top
        mov     sp, x1
        b       caprock_root_start
        .size _start, . - _start
        .size _sel4_start, . - _start

        .section .bss.caprock_root_stack, "aw", %nobits
        .balign 16
        .skip   65536
stack_top:

        .section .note.GNU-stack, "", %progbits
