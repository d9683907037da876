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

// struct Context: x0 to x30, SP, PC, SPSR, TPIDR, TPIDRRO.
#define CONTEXT_X(n) (8 * (n))
#define CONTEXT_SP 248
#define CONTEXT_SPSR 264
#define CONTEXT_TPIDR 272
#define CONTEXT_TPIDRRO 280

// struct Tcb: a Context first. Pairs and words that are read or written at once are named by their first.
#define TCB_CSPACE 288
#define TCB_BUFFER_CAP 352
#define TCB_FAULT_HANDLER 384
#define TCB_STANDING 448            // priority, domain, what is special, epoch of the address space: as CORE_STANDING
#define TCB_SPECIAL 450
#define TCB_STATE 456               // 32 bits: state, how it sends, how it receives (16 bits); behind TCB_STANDING
#define TCB_FPU_TURNS 463
#define TCB_SPACE 464
#define TCB_ENDPOINT 472
#define TCB_BOUND_NOTIFICATION 480
#define TCB_REPLY 488               // and TCB_SCHED_CONTEXT
#define TCB_SCHED_CONTEXT 496       // and the fault's label
#define TCB_FAULT_LABEL 504
#define TCB_FAULT_FLAG 512
#define TCB_FAULT_WORDS 520
#define TCB_NOTIFICATION 560
#define TCB_WAIT 584                // next of its ring
#define TCB_WAIT_LOWER 608
#define TCB_READY 624               // next and previous of its ring
#define TCB_BUFFER 672
#define TCB_FPU 1232
#define FPU_MIDDLE 64               // where fpu_save_at and fpu_restore_at count from
#define FPU_CONTROL 512             // FPCR and FPSR
#define SPECIAL_FPU 1
#define SPECIAL_FPU_SOON 2
#define STATE_RUNNING 1
#define STATE_BLOCKED_ON_RECEIVE 2
#define STATE_BLOCKED_ON_REPLY 4
#define STATE_BLOCKED_ON_NOTIFICATION 5

// struct Core.
#define CORE_CURRENT 0              // context and thread
#define CORE_SCHED_CONTEXT 16       // and the ready queues
#define CORE_READY 24
#define CORE_STANDING 32
#define CORE_SPECIAL 34
#define CORE_STACK_TOP 40
#define CORE_KERNEL 48
#define CORE_CHARGED_UNTIL 64       // and the last release
#define CORE_DOMAIN_END 88
#define CORE_FPU_OWNER 104
#define CORE_RELEASE 112
#define READY_HIGHEST 0
#define READY_SUMMARY 8
#define READY_PRESENT 16
#define READY_RINGS 48

// struct Endpoint: head and state.
#define ENDPOINT_STATE 8
#define ENDPOINT_ONLY_RECEIVER 3
// struct SchedContext: thread and newest call; behind it the first refill, which is a time and an amount.
#define SCHED_CONTEXT_REPLY 8
#define SCHED_CONTEXT_PERIOD 16
#define SCHED_CONTEXT_BUDGET 24
#define SCHED_CONTEXT_CONSUMED 32
#define SCHED_CONTEXT_FORM 64       // 16 bits: most refills, 0 if it is not configured
#define SCHED_CONTEXT_SPORADIC_BIT 56
#define SCHED_CONTEXT_FIRST 96
// struct Notification.
#define NOTIFICATION_STATE 8        // and the word
#define NOTIFICATION_BOUND 24
#define NOTIFICATION_SCHED_CONTEXT 32
#define NOTIFICATION_WAITING 1
#define NOTIFICATION_ACTIVE 2
// struct Kernel, and struct Gic: the version, and where the CPU interface of version 2 is.
#define KERNEL_IRQ_NOTIFICATIONS 273952
#define GIC_CPU 32
#define GICC_IAR 0x0c
#define GICC_EOIR 0x10
#define GICC_DIR 0x1000
#define FIRST_DEVICE_IRQ 16
#define IRQ_LIMIT 1020
// abi::IPCBuffer.
#define BUFFER_LONG_WORDS 104       // those that registers do not hold
// struct Reply: thread and context; the older and the newer call.
#define REPLY_CONTEXT 8
#define REPLY_PREV 16
#define REPLY_NEXT 24

// Capabilities (cap/cap.hpp): the type is in the highest bits, the object in the lowest 48.
#define CAP_TYPE_SHIFT 59
#define CAP_TYPE_ENDPOINT 2
#define CAP_TYPE_NOTIFICATION 3
#define CAP_TYPE_REPLY 4
#define CAP_TYPE_FRAME 11
#define CAP_TYPE_IRQ_HANDLER 15
#define CAP_SEND_BIT 48             // from here on: send, receive, grant, grant the reply
#define CAP_RECEIVE_BIT 49
#define FRAME_SIZE_SHIFT 48
#define FRAME_SIZE_BITS 6
#define FRAME_WRITE_SHIFT 55         // and above it read, and the type
#define CNODE_RADIX_SHIFT 54
#define CNODE_GUARD_SIZE_SHIFT 48
#define CNODE_GUARD_SIZE_BITS 6
#define SLOT_SHIFT 5
// Type and radix, plus the size of the guard: of a CNode that resolves all 64 bits. What else a TCB's slot for the CSpace holds is different.
#define CNODE_FLAT (5 * 32 + 64)

// System calls: numbers, the flag of a receive, message info.
#define SYSCALL_CALL 1
#define SYSCALL_REPLY_RECV 2
#define SYSCALL_SEND 3
#define SYSCALL_NB_SEND 4
#define SYSCALL_RECV 5
#define SYSCALL_WAIT 7
#define SYSCALL_NB_WAIT 8
#define SYSCALL_YIELD 11
#define REQUIRE_DONATION 0x100
#define INFO_LENGTH 0x7f
#define INFO_CAPS 0xf80             // capabilities, what of them was unwrapped
#define INFO_CAPS_SHIFT 7
#define INFO_LABEL_SHIFT 12
#define METHOD_IRQ_HANDLER_ACK 53
#define NOTIFICATION_INFO 0xe00
#define REGISTER_WORDS 12
#define MESSAGE_WORDS 120
// Faults.
#define FAULT_CAP 1
#define FAULT_VM 6
#define FAULT_VM_WORDS 4

// ESR_EL1: exception class, and the status of an abort.
#define ESR_CLASS_SHIFT 26
#define ESR_CLASS_INSTRUCTION_ABORT 0x20
#define ESR_CLASS_DATA_ABORT 0x24
#define ESR_STATUS 0x3f
#define ESR_STATUS_ALIGNMENT 0x21
#define ESR_ABORT_BIT 31            // clear for system calls

// abi::BootInfo.
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

#ifdef __ASSEMBLER__
    .macro leave_exception
    eret
    dsb     nsh                         // no speculation past the return
    isb
    .endm
// x0 to x16 but for x8: what is of a message.
    .macro message_registers operation, base
    \operation x0, x1, [\base]
    \operation x2, x3, [\base, #CONTEXT_X(2)]
    \operation x4, x5, [\base, #CONTEXT_X(4)]
    \operation x6, x7, [\base, #CONTEXT_X(6)]
    \operation x9, x10, [\base, #CONTEXT_X(9)]
    \operation x11, x12, [\base, #CONTEXT_X(11)]
    \operation x13, x14, [\base, #CONTEXT_X(13)]
    \operation x15, x16, [\base, #CONTEXT_X(15)]
    .endm
// x19 to x28, in the Context at SP.
    .macro preserved_registers operation
    \operation x19, x20, [sp, #CONTEXT_X(19)]
    \operation x21, x22, [sp, #CONTEXT_X(21)]
    \operation x23, x24, [sp, #CONTEXT_X(23)]
    \operation x25, x26, [sp, #CONTEXT_X(25)]
    \operation x27, x28, [sp, #CONTEXT_X(27)]
    .endm
#endif

// What fatal_exception is told about an exception that nothing handles.
#define FATAL_SYNCHRONOUS 0
#define FATAL_IRQ 1
#define FATAL_FIQ 2
#define FATAL_STACK_POINTER 3
#define FATAL_AARCH32 4
