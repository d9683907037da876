// SPDX-License-Identifier: BSD-2-Clause
// The test's way from the boot shim to the kernel: the worst state of the processor that a boot loader could leave, cores that wait in a
// loop of the test, and hypervisors that raise SErrors.

    .macro address register, symbol
    adrp    \register, \symbol
    add     \register, \register, :lo12:\symbol
    .endm
    .macro write register, value
    ldr     x9, =\value
    msr     \register, x9
    .endm
    .macro skip_without_gic_registers label
    mrs     x9, id_aa64pfr0_el1
    ubfx    x9, x9, #24, #4
    cbz     x9, \label
    .endm

    .section .text
// void poison(): writes a wrong value to every register that the kernel must not inherit. Clobbers x9.
    .global poison
poison:
    mrs     x9, CurrentEL
    cmp     x9, #(2 << 2)
    b.ne    2f
    write   hcr_el2, 0x7fffffff         // AArch32 at EL1, every trap, stage 2, virtual interrupts and SError pending
    write   cnthctl_el2, 0
    write   cntvoff_el2, 0x123456789abcd
    write   cnthp_cval_el2, 0
    write   cnthp_ctl_el2, 1
    write   cptr_el2, -1
    write   hstr_el2, -1
    write   hacr_el2, -1
    write   mdcr_el2, 0xffe
    write   vpidr_el2, 0xdeadbeef
    write   vmpidr_el2, 0x8000beef
    write   vttbr_el2, 0x00ff0000dead0000
    write   tpidr_el2, 1                // the stub's mark that it is sealed
    write   sctlr_el1, 0x34d5d91d       // MMU on
    write   tcr_el2, 0xffff
    write   ttbr0_el2, 0xdead0000
    write   mair_el2, 0
    write   sctlr_el2, 0x30c5183c
    skip_without_gic_registers 2f
    write   S3_4_C12_C11_0, 0x7c07      // ICH_HCR_EL2: every trap
    write   S3_4_C12_C9_5, 1            // ICC_SRE_EL2: no access from EL1
2:  write   cntkctl_el1, 0x3ff
    write   cpacr_el1, 0
    write   pmuserenr_el0, 0xf
    write   pmcr_el0, 1                 // counting
    write   pmcntenset_el0, 0x8000003f
    write   pmintenset_el1, 0x8000003f
    write   mdscr_el1, 0xa001           // monitor debug, of the kernel too; single step
    write   dbgbcr0_el1, 0x21e7         // a breakpoint at any level
    write   dbgbvr0_el1, 0
    write   dbgwcr0_el1, 0x3ff7
    write   dbgwvr0_el1, 0
    write   osdlr_el1, 1
    write   oslar_el1, 1
    write   cntp_cval_el0, 0
    write   cntp_ctl_el0, 1
    write   cntv_cval_el0, 0
    write   cntv_ctl_el0, 1
    write   tpidr_el0, -1
    write   tpidrro_el0, -1
    write   tpidr_el1, -1
    write   vbar_el1, -1
    write   ttbr0_el1, 0x3333
    write   ttbr1_el1, 0x3333
    write   tcr_el1, 0x3333
    write   mair_el1, -1
    write   contextidr_el1, -1
    write   sp_el0, 0xbad
    isb
    ret

// x0 = entry, x1 = argument: jumps there with wrong values in everything else.
    .macro jump_poisoned
    mov     x30, x0
    mov     x0, x1
    .irp register, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    mov     x\register, #-1
    .endr
    mov     sp, x29
    msr     spsel, #0
    msr     daifclr, #0xf
    br      x30
    .endm

// [[noreturn]] void enter_poisoned(uint64_t entry, uint64_t boot_info)
    .global enter_poisoned
enter_poisoned:
    bl      poison
    jump_poisoned

// Where other cores are sent: they wait for an address in their word of release_words, and go there poisoned.
    .global waiting_core
waiting_core:
    msr     daifset, #0xf
    mrs     x9, mpidr_el1
    and     x9, x9, #0xff               // Aff0: the core's number on the machines of these tests
    address x10, release_words
    add     x10, x10, x9, lsl #3
1:  ldr     x11, [x10]
    cbnz    x11, 2f
    wfe
    b       1b
2:  bl      poison
    mov     x0, x11
    mov     x1, #0x77                   // a spin table passes nothing of meaning
    jump_poisoned

// [[noreturn]] void enter_under_hypervisor(uint64_t entry, uint64_t boot_info): enters at EL1 with a hypervisor at EL2 that makes a virtual
// SError pending on every hvc.
    .global enter_under_hypervisor
enter_under_hypervisor:
    address x10, hypervisor_vectors
    ldr     x9, =0x80000020             // HCR_EL2: RW, AMO: SErrors that HCR_EL2.VSE raises are EL1's
    b       enter_guest

// [[noreturn]] void enter_as_guest(uint64_t entry, uint64_t boot_info): the same with hypervisor.cc at EL2, on this stack.
    .global enter_as_guest
enter_as_guest:
    address x10, guest_vectors
    ldr     x9, =0x80022020             // RW, TID2: reads of CTR_EL0 trap, TWI: wfi traps, AMO

// x9 = HCR_EL2, x10 = vectors.
enter_guest:
    msr     hcr_el2, x9
    msr     vbar_el2, x10
    isb
    write   cnthctl_el2, 3
    msr     cntvoff_el2, xzr
    write   cptr_el2, 0x33ff
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9
    skip_without_gic_registers 1f
    write   S3_4_C12_C9_5, 0xf
1:  write   sctlr_el1, 0x30d00800
    write   spsr_el2, 0x3c5
    msr     elr_el2, x0
    mov     x0, x1
    isb
    eret

    .balign 0x800
hypervisor_vectors:
    .rept   8
    .balign 0x80
    b       .
    .endr
    .balign 0x80
    mrs     x3, hcr_el2
    orr     x3, x3, #(1 << 8)           // VSE
    msr     hcr_el2, x3
    eret
    .rept   7
    .balign 0x80
    b       .
    .endr

    .balign 0x800
guest_vectors:
    .rept   8
    .balign 0x80
    b       .
    .endr
    .balign 0x80
    b       guest_trap
    .rept   7
    .balign 0x80
    b       .
    .endr

    .macro each_pair operation
    .irp    n, 0,2,4,6,8,10,12,14,16,18,20,22,24,26,28
    \operation \n, %(\n + 1)
    .endr
    .endm
    .altmacro
    .macro save_pair n, m
    stp     x\n, x\m, [sp, #(8 * \n)]
    .endm
    .macro load_pair n, m
    ldp     x\n, x\m, [sp, #(8 * \n)]
    .endm
guest_trap:
    sub     sp, sp, #256
    each_pair save_pair
    str     x30, [sp, #240]
    mov     x0, sp
    bl      hypervisor_trap
    ldr     x30, [sp, #240]
    each_pair load_pair
    add     sp, sp, #256
    eret
    .noaltmacro
    .ltorg

    .section .bss
    .balign 8
    .global release_words
release_words:
    .space  8 * 8

    .section .note.GNU-stack, "", %progbits
