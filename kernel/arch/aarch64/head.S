// SPDX-License-Identifier: BSD-2-Clause
// The kernel's one entry, for the boot core and every other core: MMU off, at EL2 or EL1, x0 = physical address of BootInfo (boot
// core only: a spin table passes nothing). Position-independent until the jump to start_high.
// Registers kept throughout: x19 core number, x20 BootInfo, x21 image (both physical), x22 CurrentEL at entry.
#include "layout.h"

    .section .head.start, "ax"
    .global _start
_start:
    msr     daifset, #0xf
    msr     spsel, #1
    mrs     x22, CurrentEL
    adrp    x21, _start
    adr     x9, boot_info_physical
    ldr     x20, [x9]
    cbnz    x20, find_core
    mov     x19, xzr                    // the first core to come here is the boot core
    mov     x20, x0
    str     x20, [x9]                   // to memory, where cores with their MMU off will look
    dmb     sy
    dc      ivac, x9
    dsb     sy
    b       leave_el2

// A later core: its number is the place of its affinity in BootInfo, which is in memory (clean) and never written.
find_core:
    mrs     x10, mpidr_el1
    ldr     x11, =MPIDR_AFFINITY
    and     x10, x10, x11
    ldr     x12, [x20, #BOOT_INFO_CORE_COUNT]
    mov     x13, #BOOT_INFO_CORES
    add     x13, x13, x20
    mov     x19, xzr
1:  cmp     x19, x12
    b.hs    park_unknown_core
    ldr     x14, [x13], #BOOT_CORE_BYTES
    and     x14, x14, x11
    cmp     x14, x10
    b.eq    leave_el2
    add     x19, x19, #1
    b       1b
park_unknown_core:
    wfi
    b       park_unknown_core

leave_el2:
    cmp     x22, #(2 << 2)
    b.ne    1f
    mov     x0, x19
    bl      el2_install_stub            // returns at EL1
1:  ldr     x9, =SCTLR_EL1_OFF
    msr     sctlr_el1, x9
    isb
    cbnz    x19, enable_mmu
    bl      build_boot_tables

enable_mmu:
    adrp    x9, identity_root
    msr     ttbr0_el1, x9
    adrp    x9, kernel_root
    msr     ttbr1_el1, x9
    ldr     x9, =MAIR_VALUE
    msr     mair_el1, x9
    ldr     x9, =TCR_EL1_VALUE
    mrs     x10, id_aa64mmfr0_el1
    and     x11, x10, #0xf              // PARange: 48 bits of output address at most without FEAT_LPA
    mov     x12, #5
    cmp     x11, x12
    csel    x11, x11, x12, lo
    orr     x9, x9, x11, lsl #TCR_EL1_IPS_SHIFT
    ubfx    x10, x10, #4, #4            // ASIDBits: 2 for 16 bits
    lsr     x10, x10, #1
    orr     x9, x9, x10, lsl #TCR_EL1_AS_SHIFT
    msr     tcr_el1, x9
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    ldr     x9, =SCTLR_EL1_MMU
    msr     sctlr_el1, x9
    isb
    ldr     x9, =start_high
    br      x9

// The image's final tables (each section with its own permissions, the EL2 stub not mapped), BootInfo's page, and an identity map of the
// image for the few instructions around the switch. The tables are zero (bss).
build_boot_tables:
    adrp    x9, kernel_root
    adrp    x10, kernel_level1
    orr     x11, x10, #PAGE_TABLE
    str     x11, [x9, #(511 * 8)]
    adrp    x9, kernel_level2
    orr     x11, x9, #PAGE_TABLE
    str     x11, [x10, #(510 * 8)]
    adrp    x10, kernel_level3
    orr     x11, x10, #PAGE_TABLE
    str     x11, [x9]

    .macro map_pages start, end, attributes
    adrp    x11, \start
    adrp    x12, \end
    ldr     x13, =\attributes
1:  cmp     x11, x12
    b.hs    2f
    orr     x14, x11, x13
    ubfx    x15, x11, #12, #9           // the image is 2 MiB aligned in both worlds
    str     x14, [x10, x15, lsl #3]
    add     x11, x11, #0x1000
    b       1b
2:
    .endm
    map_pages _start, text_end, PAGE_TEXT
    map_pages rodata_start, rodata_end, PAGE_RODATA
    map_pages data_start, data_end, PAGE_DATA
    ldr     x13, =PAGE_RODATA
    and     x14, x20, #~0xfff
    orr     x14, x14, x13
    str     x14, [x10, #(511 * 8)]

    adrp    x9, identity_root
    adrp    x10, identity_level1
    orr     x11, x10, #PAGE_TABLE
    ubfx    x12, x21, #39, #9
    str     x11, [x9, x12, lsl #3]
    adrp    x9, identity_level2
    orr     x11, x9, #PAGE_TABLE
    ubfx    x12, x21, #30, #9
    str     x11, [x10, x12, lsl #3]
    ldr     x11, =BLOCK_IDENTITY
    orr     x11, x11, x21
    ubfx    x12, x21, #21, #9
    str     x11, [x9, x12, lsl #3]

    // The stores above went to memory past the caches, while table walks look in the caches: drop lines fetched before.
    dmb     sy
    mrs     x9, ctr_el0
    ubfx    x9, x9, #16, #4             // DminLine: log2 of words
    mov     x10, #4
    lsl     x10, x10, x9
    adrp    x11, boot_tables_start
    adrp    x12, boot_tables_end
1:  dc      ivac, x11
    add     x11, x11, x10
    cmp     x11, x12
    b.lo    1b
    dsb     sy
    ret

start_high:
    adrp    x9, kernel_stacks
    mov     x10, #STACK_STRIDE
    add     x11, x19, #1
    madd    x9, x10, x11, x9
    sub     sp, x9, #TRAP_WORDS_BYTES
    adr     x9, exception_vectors
    msr     vbar_el1, x9
    msr     tpidr_el1, xzr
    isb
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
    mov     x1, x20
    mov     x2, x21
    lsr     x3, x22, #2
    b       start_core
    .ltorg

// Zero until the boot core came by. In the text, so that no cache can hold it dirty: cores read it with their MMU off.
    .balign 8
boot_info_physical:
    .quad   0

    .section .boot_tables, "aw", %nobits
    .macro table name
    .global \name
\name:
    .space  4096
    .endm
    .balign 4096
    table kernel_root
    table kernel_level1
    table kernel_level2
    table kernel_level3
    table identity_root
    table identity_level1
    table identity_level2

    .section .stacks, "aw", %nobits
    .balign 4096
    .global kernel_stacks
kernel_stacks:
    .space  MAX_CORES * STACK_STRIDE
    .global emergency_stack
emergency_stack:
    .space  STACK_STRIDE
    .global emergency_stack_top
emergency_stack_top:
