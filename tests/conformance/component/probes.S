// SPDX-License-Identifier: BSD-2-Clause
// Code whose registers are known exactly.

        .arch_extension fp
        .arch_extension simd
        .text

// void probe_system_call(uint64_t* registers): x0 to x18 become registers[0] to [18], svc #0, and they are stored there again. NZCV and the
// callee-saved registers are left to the caller, who sees whether they survive.
        .global probe_system_call
probe_system_call:
        stp     x29, x30, [sp, #-32]!
        str     x19, [sp, #16]
        mov     x19, x0
        ldp     x2, x3, [x19, #16]
        ldp     x4, x5, [x19, #32]
        ldp     x6, x7, [x19, #48]
        ldp     x8, x9, [x19, #64]
        ldp     x10, x11, [x19, #80]
        ldp     x12, x13, [x19, #96]
        ldp     x14, x15, [x19, #112]
        ldp     x16, x17, [x19, #128]
        ldr     x18, [x19, #144]
        ldp     x0, x1, [x19]
        .global probe_system_call_svc
probe_system_call_svc:
        svc     #0
        stp     x0, x1, [x19]
        stp     x2, x3, [x19, #16]
        stp     x4, x5, [x19, #32]
        stp     x6, x7, [x19, #48]
        stp     x8, x9, [x19, #64]
        stp     x10, x11, [x19, #80]
        stp     x12, x13, [x19, #96]
        stp     x14, x15, [x19, #112]
        stp     x16, x17, [x19, #128]
        str     x18, [x19, #144]
        ldr     x19, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret

// void probe_store_registers(): a thread's first instruction; sp is where x0 to x30 go.
        .global probe_store_registers
probe_store_registers:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
        str     x\n, [sp, #8 * \n]
        .endr
        udf     #0

// void probe_call_and_stop(): a thread's first instruction, without a stack.
        .global probe_call_and_stop
probe_call_and_stop:
        svc     #0
        udf     #0

// uint64_t probe_general_registers(uint64_t seed, uint64_t rounds): fills x2 to x29 with seed + number, counts rounds down, and returns how
// many of them changed meanwhile.
        .global probe_general_registers
probe_general_registers:
        stp     x29, x30, [sp, #-96]!
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        .irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
        add     x\n, x0, #\n
        .endr
1:      subs    x1, x1, #1
        b.ne    1b
        mov     x30, xzr
        .irp n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
        sub     x\n, x\n, #\n
        cmp     x\n, x0
        cinc    x30, x30, ne
        .endr
        mov     x0, x30
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     x29, x30, [sp], #96
        ret

// void probe_fill_simd(uint64_t seed): v0 to v31 become seed + number in both halves; FPCR and FPSR become values made of the seed's
// low bit.
        .global probe_fill_simd
probe_fill_simd:
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        add     x1, x0, #\n
        dup     v\n\().2d, x1
        .endr
        and     x1, x0, #1
        lsl     x2, x1, #22             // FPCR.RMode
        msr     fpcr, x2
        msr     fpsr, x1                // FPSR.IOC
        ret

// uint64_t probe_check_simd(uint64_t seed): how many of these differ.
        .global probe_check_simd
probe_check_simd:
        mov     x3, xzr
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        add     x1, x0, #\n
        mov     x2, v\n\().d[0]
        cmp     x1, x2
        cinc    x3, x3, ne
        mov     x2, v\n\().d[1]
        cmp     x1, x2
        cinc    x3, x3, ne
        .endr
        and     x1, x0, #1
        mrs     x2, fpsr
        cmp     x1, x2
        cinc    x3, x3, ne
        lsl     x1, x1, #22
        mrs     x2, fpcr
        cmp     x1, x2
        cinc    x3, x3, ne
        mov     x0, x3
        ret

// uint64_t probe_gather_simd(): the bits that are set anywhere in v0 to v31, FPCR and FPSR.
        .global probe_gather_simd
probe_gather_simd:
        mrs     x0, fpcr
        mrs     x1, fpsr
        orr     x0, x0, x1
        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        mov     x1, v\n\().d[0]
        orr     x0, x0, x1
        mov     x1, v\n\().d[1]
        orr     x0, x0, x1
        .endr
        ret

// void probe_use_simd(): uses the unit, and no more.
        .global probe_use_simd
probe_use_simd:
        fmov    d0, xzr
        ret

        .section .note.GNU-stack, "", %progbits
