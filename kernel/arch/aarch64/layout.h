// SPDX-License-Identifier: BSD-2-Clause
// Numbers that assembly and C++ share: the kernel's address map, structure offsets (start.cc asserts them) and system-register values
// that are needed while the MMU is still off. Plain defines, because an assembler reads this file too.
#pragma once

// Address map of TTBR1 (48 bits): direct map, kernel image, device window. One 2 MiB level-3 table holds the image.
#define DIRECT_MAP_BASE 0xffff800000000000
#define IMAGE_BASE 0xffffffff80000000
#define IMAGE_LIMIT 0x200000
#define DEVICE_BASE 0xffffffffc0000000
#define DEVICE_LIMIT 0x40000000
// The image's last page shows BootInfo until the direct map exists.
#define BOOT_INFO_WINDOW (IMAGE_BASE + IMAGE_LIMIT - 0x1000)

#define MAX_CORES 8

// A core's stack: a guard page below STACK_BYTES. The topmost 16 bytes are the core's trap words (below) and the stack starts under them.
#define GUARD_BYTES 4096
#define STACK_BYTES 8192
#define STACK_STRIDE (GUARD_BYTES + STACK_BYTES)
#define TRAP_WORDS_BYTES 16
#define TRAP_PENDING_SERROR 0
#define TRAP_SCRATCH 8
#define EL2_STACK_BYTES 512

// struct Core, struct Context, abi::BootInfo.
#define CORE_CURRENT_CONTEXT 0
#define CORE_STACK_TOP 8
#define CONTEXT_X30 240
#define CONTEXT_PC 256
#define BOOT_INFO_CORE_COUNT 1472
#define BOOT_INFO_CORES 1480
#define BOOT_CORE_BYTES 32

// MPIDR_EL1.Aff3 to Aff0.
#define MPIDR_AFFINITY 0xff00ffffff

// MAIR_EL1 and MAIR_EL2: index 0 Device-nGnRnE, 1 Normal non-cacheable, 2 Normal write-back.
#define MAIR_VALUE 0xff4400

// Descriptors (Arm ARM D5.3): valid page, AttrIndx 2, inner shareable, AF; AP[2] read-only; PXN, UXN.
#define PAGE_TABLE 0x3
#define PAGE_NORMAL 0x70b
#define BLOCK_NORMAL 0x709
#define PAGE_READ_ONLY 0x80
#define PAGE_PXN 0x0020000000000000
#define PAGE_UXN 0x0040000000000000
#define PAGE_TEXT (PAGE_NORMAL | PAGE_READ_ONLY | PAGE_UXN)
#define PAGE_RODATA (PAGE_NORMAL | PAGE_READ_ONLY | PAGE_UXN | PAGE_PXN)
#define PAGE_DATA (PAGE_NORMAL | PAGE_UXN | PAGE_PXN)
#define BLOCK_IDENTITY (BLOCK_NORMAL | PAGE_READ_ONLY | PAGE_UXN)

// TCR_EL1: T0SZ = T1SZ = 16, write-back write-allocate inner-shareable walks, 4 KiB granules; IPS and AS come from the ID registers.
#define TCR_EL1_VALUE 0xb5103510
#define TCR_EL1_IPS_SHIFT 32
#define TCR_EL1_AS_SHIFT 36
// TCR_EL2: the same for its one range; PS from the ID registers.
#define TCR_EL2_VALUE 0x80803510
#define TCR_EL2_PS_SHIFT 16

// SCTLR_EL1 and SCTLR_EL2 with nothing on, RES1 bits set; SCTLR_MMU adds M, C, SA, SA0 (EL1), I.
#define SCTLR_EL1_OFF 0x30d00800
#define SCTLR_EL1_MMU (SCTLR_EL1_OFF | 0x101d)
#define SCTLR_EL2_OFF 0x30c50830
#define SCTLR_EL2_MMU (SCTLR_EL2_OFF | 0x100d)

// Hypercalls of the EL2 stub: function in x0, result in x0.
#define EL2_CALL_INSTALL 1
#define EL2_CALL_DONE 0
#define EL2_CALL_REFUSED -1

// What fatal_exception is told about an exception that nothing handles.
#define FATAL_SYNCHRONOUS 0
#define FATAL_IRQ 1
#define FATAL_FIQ 2
#define FATAL_STACK_POINTER 3
#define FATAL_AARCH32 4
