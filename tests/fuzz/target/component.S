// SPDX-License-Identifier: BSD-2-Clause
// What the component's threads execute: one operation each, then an instruction that stops them, so that every register is as the kernel left it
// when the supervisor looks.
        .arch_extension fp

// Entries are 16 bytes apart, in the order of the enumeration Entry (component.hpp).
        .macro entry
        .balign 16
        .endm

        .section .component, "ax"
        .balign 4096
        .global component_code
component_code:
        svc     #0
        udf     #0
        entry                           // memory faults: x0 is the address
        ldr     x1, [x0]
        udf     #1
        entry
        str     x1, [x0]
        udf     #1
        entry
        br      x0
        udf     #1
        entry
        mov     sp, x0
        ldr     x1, [sp]
        udf     #1
        entry                           // exceptions
        udf     #2
        entry
        brk     #2
        udf     #2
        entry
        svc     #1
        udf     #2
        entry
        hvc     #0
        udf     #2
        entry
        smc     #0
        udf     #2
        entry
        mrs     x1, pmccntr_el0
        udf     #2
        entry
        mrs     x1, cntp_ctl_el0
        udf     #2
        entry
        mrs     x1, ttbr0_el1
        udf     #2
        entry
        msr     daifset, #15
        udf     #2
        entry
        dc      ivac, x0
        udf     #2
        entry
        ic      ivau, x0
        udf     #2
        entry                           // floating point: x0 becomes a register's value, and comes back
        fmov    d8, x0
        fmov    x1, d8
        udf     #3
        entry                           // the console's interrupt: x0 is the register that lets it through
        str     w1, [x0]
        nop
        udf     #4
        .global component_code_end
component_code_end:
        .org    component_code + 4096   // it is one page

        .section .note.GNU-stack, "", %progbits
