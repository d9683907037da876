// SPDX-License-Identifier: BSD-2-Clause
// The measured instructions. What a figure counts is what is executed between two reads of the counter: from the first read to before the
// second one. Registers are loaded before the first and stored behind the second read, so that nothing but the operation is between them.
// The kernel preserves x19 to x30 and sp, so values that outlive a system call stand there.

.arch_extension simd

// x0 to x16 from Registers at x19.
.macro load_registers
    ldp x0, x1, [x19]
    ldp x2, x3, [x19, #16]
    ldp x4, x5, [x19, #32]
    ldp x6, x7, [x19, #48]
    ldp x8, x9, [x19, #64]
    ldp x10, x11, [x19, #80]
    ldp x12, x13, [x19, #96]
    ldp x14, x15, [x19, #112]
    ldr x16, [x19, #128]
.endm

.macro store_registers
    stp x0, x1, [x19]
    stp x2, x3, [x19, #16]
    stp x4, x5, [x19, #32]
    stp x6, x7, [x19, #48]
    stp x8, x9, [x19, #64]
    stp x10, x11, [x19, #80]
    stp x12, x13, [x19, #96]
    stp x14, x15, [x19, #112]
    str x16, [x19, #128]
.endm

.macro use_simd
    add v0.2d, v0.2d, v1.2d
.endm

.macro function name
.section .text.\name, "ax", %progbits
.global \name
.type \name, %function
.balign 64
\name:
    stp x19, x20, [sp, #-64]!
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    str x25, [sp, #48]
.endm

// Returns x24 and x25, the two reads.
.macro end_function name
    mov x0, x24
    mov x1, x25
    ldr x25, [sp, #48]
    ldp x23, x24, [sp, #32]
    ldp x21, x22, [sp, #16]
    ldp x19, x20, [sp], #64
    ret
.size \name, . - \name
.endm

// Shot bench_nothing()
function bench_nothing
    mrs x24, cntvct_el0
    mrs x25, cntvct_el0
    end_function bench_nothing

// Shot bench_countdown(uint64_t rounds): two instructions each.
function bench_countdown
    mrs x24, cntvct_el0
1:  subs x0, x0, #1
    b.ne 1b
    mrs x25, cntvct_el0
    end_function bench_countdown

// Shot bench_trap(Registers*)
function bench_trap
    mov x19, x0
    load_registers
    mrs x24, cntvct_el0
    svc #0
    mrs x25, cntvct_el0
    store_registers
    end_function bench_trap

// Shot bench_simd_trap(Registers*)
function bench_simd_trap
    mov x19, x0
    load_registers
    mrs x24, cntvct_el0
    use_simd
    svc #0
    mrs x25, cntvct_el0
    store_registers
    end_function bench_simd_trap

// Shot bench_simd()
function bench_simd
    mrs x24, cntvct_el0
    use_simd
    mrs x25, cntvct_el0
    end_function bench_simd

// A loop over `body`: the registers that no system call preserves and that do not come back as they were are set each time.
.macro loop_function name, body
function \name
    mov x19, x0
    mov x23, x1
    load_registers
    mov x20, x0
    mov x21, x1
    mov x22, x7
    mrs x24, cntvct_el0
1:  mov x0, x20
    mov x1, x21
    mov x7, x22
    \body
    subs x23, x23, #1
    b.ne 1b
    mrs x25, cntvct_el0
    store_registers
    end_function \name
.endm

.macro no_body
.endm
.macro trap_body
    svc #0
.endm
.macro simd_trap_body
    use_simd
    svc #0
.endm

// Shot bench_loop_nothing(Registers*, uint64_t rounds), and so on
loop_function bench_loop_nothing, no_body
loop_function bench_loop_trap, trap_body
loop_function bench_loop_simd_trap, simd_trap_body

// A server's loop, the shortest that there is: it answers each message with itself. The first system call is that of Registers, the
// later ones have the number in x1 of the call.
.macro serve_function name, body
function \name
    mov x19, x0
    mov x22, x1
    load_registers
    mov x20, x0
    mov x21, x6
1:  svc #0
    \body
    mov x0, x20
    mov x6, x21
    mov x7, x22
    b 1b
.size \name, . - \name
.endm

.macro use_simd_body
    use_simd
.endm

// [[noreturn]] void bench_serve(const Registers*, uint64_t number), and so on
serve_function bench_serve, no_body
serve_function bench_serve_simd, use_simd_body

// [[noreturn]] void bench_serve_interrupts(const InterruptLoop*): waits; on bit 0 of the badge sets the timer `distance` ticks ahead,
// on bit 1 notes when it runs, masks the timer and acknowledges the interrupt.
function bench_serve_interrupts
    ldp x19, x20, [x0]          // notification, handler
    ldp x21, x22, [x0, #16]     // message info of the acknowledgement, where to note times
    ldr x23, [x0, #32]          // distance
1:  mov x0, x19
    mov x7, #7                  // Wait
    svc #0
    mrs x24, cntvct_el0
    tbz x0, #1, 2f
    msr cntp_ctl_el0, xzr
    isb
    str x24, [x22, #8]
    mov x0, x20
    mov x1, x21
    mov x7, #1                  // Call
    svc #0
    b 1b
2:  mrs x0, cntpct_el0
    add x0, x0, x23
    str x0, [x22]
    msr cntp_cval_el0, x0
    mov x1, #1
    msr cntp_ctl_el0, x1
    isb
    movz xzr, #6                // Operation::Interrupt
    b 1b
.size bench_serve_interrupts, . - bench_serve_interrupts

// uint64_t bench_watch(): reads the counter every five ticks until something takes longer, and returns by how much.
function bench_watch
    mrs x0, cntvct_el0
1:  mrs x1, cntvct_el0
    sub x24, x1, x0
    mov x0, x1
    cmp x24, #64
    b.lo 1b
    sub x24, x24, #5
    end_function bench_watch

.section .note.GNU-stack, "", %progbits
