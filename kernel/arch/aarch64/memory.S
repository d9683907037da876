// SPDX-License-Identifier: BSD-2-Clause
// memset and memcpy, which the compiler calls for large initialisations and copies of structures. Kernel structures are multiples of 8
// bytes and aligned to 8, so words first, then what is left by bytes; unaligned arguments go by bytes altogether. Long messages are copied too.
    .section .text.memset, "ax"
    .global memset
memset:                                 // x0 = start, w1 = byte, x2 = bytes; returns x0
    mov     x3, x0
    and     w1, w1, #0xff
    orr     w1, w1, w1, lsl #8
    orr     w1, w1, w1, lsl #16
    orr     x1, x1, x1, lsl #32
    tst     x0, #7
    b.ne    2f
1:  subs    x2, x2, #8
    b.lo    3f
    str     x1, [x3], #8
    b       1b
3:  add     x2, x2, #8
2:  cbz     x2, 4f
    strb    w1, [x3], #1
    sub     x2, x2, #1
    b       2b
4:  ret

    .section .text.memcpy, "ax"
    .global memcpy
memcpy:                                 // x0 = to, x1 = from, x2 = bytes, not overlapping; returns x0
    mov     x3, x0
    orr     x4, x0, x1
    tst     x4, #7
    b.ne    2f
0:  subs    x2, x2, #32
    b.lo    5f
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    stp     x4, x5, [x3], #16
    stp     x6, x7, [x3], #16
    b       0b
5:  add     x2, x2, #32
1:  subs    x2, x2, #8
    b.lo    3f
    ldr     x5, [x1], #8
    str     x5, [x3], #8
    b       1b
3:  add     x2, x2, #8
2:  cbz     x2, 4f
    ldrb    w5, [x1], #1
    strb    w5, [x3], #1
    sub     x2, x2, #1
    b       2b
4:  ret
