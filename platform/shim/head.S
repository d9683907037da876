// SPDX-License-Identifier: BSD-2-Clause
// The shim's first and last instructions: the header of a Linux arm64 Image, which every boot loader can start; self-relocation;
// exception vectors; the jump to the kernel.

#define R_AARCH64_RELATIVE 1027
#define CURRENT_EL2 8
#define SCTLR_I (1 << 12)

    // Address of a symbol, wherever the image was loaded.
    .macro address register, symbol
    adrp    \register, \symbol
    add     \register, \register, :lo12:\symbol
    .endm

    .section .head.text, "ax"
    .global image_start
image_start:
    b       start
    .long   0
    .quad   0                           // text_offset: at the 2 MiB boundary itself
    .quad   image_end - image_start     // image_size, bss and stack included
    .quad   0xa                         // little-endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    .section .text
start:
    msr     daifset, #0xf
    mov     x19, x0                     // the device tree
    mrs     x20, CurrentEL

    // Write back and drop every cached line of this image, bss and stack included: a stale one would be written over our data later, and if
    // the loader jumped here with its caches on, our code may be nowhere else.
    address x0, image_start
    address x1, image_end
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4
    mov     x3, #4
    lsl     x2, x3, x2
1:  dc      civac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    1b
    dsb     sy

    // MMU, alignment check and data cache off, instruction cache on: fetches past it would be slow.
    cmp     x20, #CURRENT_EL2
    b.eq    2f
    b.hi    wait_for_ever               // EL3: no loader of an Image enters there, and no console is known
    ldr     x0, =0x30d00800 | SCTLR_I   // RES1 bits of SCTLR_EL1
    msr     sctlr_el1, x0
    isb
    tlbi    vmalle1
    address x1, vectors
    msr     vbar_el1, x1
    b       3f
2:  ldr     x0, =0x30c50830 | SCTLR_I   // RES1 bits of SCTLR_EL2
    msr     sctlr_el2, x0
    isb
    tlbi    alle2
    address x1, vectors
    msr     vbar_el2, x1
3:  ic      iallu
    dsb     sy
    isb

    address x0, bss_start
    address x1, bss_end
4:  cmp     x0, x1
    b.hs    5f
    stp     xzr, xzr, [x0], #16
    b       4b
5:  address x0, relocations_start
    address x1, relocations_end
    address x5, image_start
6:  cmp     x0, x1
    b.hs    7f
    ldp     x2, x3, [x0], #16           // offset, kind
    ldr     x4, [x0], #8                // addend
    cmp     w3, #R_AARCH64_RELATIVE
    b.ne    wait_for_ever               // the link step allows no other kind
    add     x4, x4, x5
    str     x4, [x2, x5]
    b       6b

7:  msr     spsel, #1
    address x0, stack_top
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
    lsr     x1, x20, #2
    bl      shim_main
wait_for_ever:
    wfe
    b       wait_for_ever

// [[noreturn]] void enter_kernel(uint64_t entry, uint64_t boot_info)
    .global enter_kernel
enter_kernel:
    mov     x16, x0
    mov     x0, x1
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    dsb     sy
    isb
    br      x16

// Every exception is a fault of the shim's or of what it was given: report it once. A fault in the report stops in silence.
    .macro vector
    .balign 0x80
    b       exception
    .endm
    .balign 0x800
vectors:
    .rept   16
    vector
    .endr

exception:
    address x9, exception_seen
    ldr     w10, [x9]
    cbnz    w10, wait_for_ever
    mov     w10, #1
    str     w10, [x9]
    address x9, stack_top
    mov     sp, x9
    mrs     x9, CurrentEL
    cmp     x9, #CURRENT_EL2
    b.eq    1f
    mrs     x0, esr_el1
    mrs     x1, elr_el1
    mrs     x2, far_el1
    b       shim_exception
1:  mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    b       shim_exception
    .ltorg

    .section .bss
    .balign 16
    .space  65536
stack_top:
exception_seen:
    .space  16

    .section .note.GNU-stack, "", %progbits
