// SPDX-License-Identifier: BSD-2-Clause
// The EL2 stub: what stays behind when the kernel is booted at EL2. It has its own vectors, its own stack per core and, once installed, its
// own cached mapping; EL1 maps none of it. Later it switches worlds for virtual machines; now it only refuses.
// Erratum 1319367 (A57, A72; speculative address translation while the regime changes) concerns that switch: the order in which it must
// write HCR_EL2, VTTBR_EL2 and the EL1 registers. Here nothing runs at EL1 yet and every TLB entry is dropped before the drop to EL1.
#include "layout.h"

// el2_install_stub: x0 = core number. Called at EL2 with the MMU off; returns to its caller at EL1, MMU off, all interrupts masked.
// Clobbers x9 to x12. Each register is written whatever firmware left in it.
    .section .head.text, "ax"
    .global el2_install_stub
el2_install_stub:
    ldr     x9, =SCTLR_EL2_OFF
    msr     sctlr_el2, x9
    mov     x9, #(1 << 31)              // HCR_EL2: RW; TSC, TGE, VM, IMO, FMO, AMO clear
    msr     hcr_el2, x9
    isb                                 // E2H decides what the registers below mean
    mov     x9, #3                      // CNTHCTL_EL2: EL1PCTEN, EL1PCEN
    msr     cnthctl_el2, x9
    msr     cntvoff_el2, xzr
    msr     cnthp_ctl_el2, xzr
    mov     x9, #0x33ff                 // CPTR_EL2: RES1; TCPAC, TTA, TFP clear
    msr     cptr_el2, x9
    msr     hstr_el2, xzr
    msr     hacr_el2, xzr
    msr     vttbr_el2, xzr              // VMID 0
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9

    mov     x10, xzr                    // MDCR_EL2: HPMN = PMCR_EL0.N where there is a PMU (ID_AA64DFR0_EL1.PMUVer), no traps
    mrs     x9, id_aa64dfr0_el1
    ubfx    x9, x9, #8, #4
    cbz     x9, 1f
    cmp     x9, #0xf
    b.eq    1f
    mrs     x10, pmcr_el0
    ubfx    x10, x10, #11, #5
1:  msr     mdcr_el2, x10

    mrs     x9, id_aa64pfr0_el1         // with GIC system registers: ICC_SRE_EL2 = Enable, DIB, DFB, SRE; ICH_HCR_EL2 = 0
    ubfx    x9, x9, #24, #4
    cbz     x9, 1f
    mov     x9, #0xf
    msr     S3_4_C12_C9_5, x9
    isb
    msr     S3_4_C12_C11_0, xzr

1:  ldr     x9, =TCR_EL2_VALUE
    mrs     x10, id_aa64mmfr0_el1
    and     x10, x10, #0xf
    mov     x11, #5
    cmp     x10, x11
    csel    x10, x10, x11, lo
    orr     x9, x9, x10, lsl #TCR_EL2_PS_SHIFT
    msr     tcr_el2, x9
    ldr     x9, =MAIR_VALUE
    msr     mair_el2, x9
    adr     x9, el2_vectors
    msr     vbar_el2, x9
    msr     tpidr_el2, xzr              // not sealed
    adrp    x9, el2_stacks
    add     x10, x0, #1
    mov     x11, #EL2_STACK_BYTES
    madd    x9, x10, x11, x9
    mov     sp, x9
    dsb     sy
    tlbi    alle1
    tlbi    alle2
    dsb     nsh
    isb

    ldr     x9, =SCTLR_EL1_OFF
    msr     sctlr_el1, x9
    mov     x9, #0x3c5                  // EL1h, DAIF masked
    msr     spsr_el2, x9
    msr     elr_el2, x30
    leave_exception
    .ltorg

    .section .el2.text, "ax"
    .macro entry target
    .balign 0x80
    b       \target
    .endm
    .balign 0x800
el2_vectors:
    .rept 8                             // from EL2 itself: a defect of the stub
    entry el2_stop
    .endr
    entry el2_call                      // from EL1 or EL0
    .rept 3                             // HCR_EL2 routes no interrupt here
    entry el2_stop
    .endr
    .rept 4                             // EL1 is never AArch32
    entry el2_stop
    .endr

// A hypercall: function in x0, argument in x1, result in x0; x3 is clobbered. EL2_CALL_INSTALL with x1 = physical address of the stub's
// translation root turns its mapping on, once for each core; from then on, and for any other request, the answer is EL2_CALL_REFUSED.
el2_call:
    mrs     x3, esr_el2
    lsr     x3, x3, #26
    cmp     x3, #0x16                   // HVC from AArch64
    b.ne    2f
    mrs     x3, tpidr_el2
    cbnz    x3, 1f
    cmp     x0, #EL2_CALL_INSTALL
    b.ne    1f
    msr     ttbr0_el2, x1
    dsb     sy
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    ldr     x3, =SCTLR_EL2_MMU
    msr     sctlr_el2, x3
    isb
    mov     x3, #1
    msr     tpidr_el2, x3               // sealed
    mov     x0, #EL2_CALL_DONE
    leave_exception
2:  mrs     x3, elr_el2                 // a trap that nobody asked for: step over it
    add     x3, x3, #4
    msr     elr_el2, x3
1:  mov     x0, #EL2_CALL_REFUSED
    leave_exception
el2_stop:
    wfe
    b       el2_stop
    .ltorg

    .section .el2.data, "aw", %nobits
    .balign 4096
el2_stacks:
    .space  MAX_CORES * EL2_STACK_BYTES
