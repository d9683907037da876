// SPDX-License-Identifier: BSD-2-Clause
// The two ends of the root task: its entry, and the code that deletes it. Both are in the image's first page.

        .section .text.start, "ax"

// x0 is the address of the RootBootInfo; there is neither a stack nor a thread-local block.
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

// vanish(x0: const LastCalls&) deletes the slots of the loader's image and then the loader's CNode with all that is left, the running
// thread included. It uses no memory but this page. Errors have nowhere to go: what cannot be deleted stays as it is, out of reach.
        .global vanish
vanish:
        ldp     x19, x20, [x0]          // message info, system-call number
        ldp     x21, x22, [x0, #16]     // the loader's CNode, first slot
        ldp     x23, x24, [x0, #32]     // end of the slots, the CNode that holds x21
1:      mov     x0, x21
        mov     x2, x22
        bl      2f
        add     x22, x22, #1
        cmp     x22, x23
        b.lo    1b
        mov     x0, x24
        mov     x2, x21
        bl      2f
        b       .
// CNode::Delete(index x2) of the CNode x0.
2:      mov     x1, x19
        mov     x3, #64
        mov     x6, xzr
        mov     x7, x20
        mov     x8, xzr
        svc     #0
        ret

        .section .bss.thread_block, "aw", %nobits
        .balign 16
thread_block:
        .skip   64

        .section .note.GNU-stack, "", %progbits
