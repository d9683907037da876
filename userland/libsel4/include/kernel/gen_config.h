// SPDX-License-Identifier: BSD-2-Clause
// The kernel's configuration in the words of the seL4 API. There is one kernel and a debug build of it; CAPROCK_DEBUG_BUILD says that a program is
// for the latter.
#pragma once

#define CONFIG_KERNEL_MCS 1
#define CONFIG_ARCH_ARM 1
#define CONFIG_ARCH_AARCH64 1
#define CONFIG_ARCH_ARM_V8A 1
#define CONFIG_SEL4_ARCH aarch64
#define CONFIG_SEL4_ARCH_AARCH64 1
#define CONFIG_WORD_SIZE 64
#define CONFIG_ARM_CORTEX_A72 1
#define CONFIG_HAVE_FPU 1
// The platform's name in that API. What differs between boards comes from the device tree.
#define CONFIG_PLAT qemu-arm-virt
#define CONFIG_PLAT_QEMU_ARM_VIRT 1
#define CONFIG_ARM_PLAT qemu-arm-virt
#define CONFIG_ARM_TLS_REG_TPIDRU 1
// Hertz of the counter on that platform; CNTFRQ_EL0 has the board's.
#define CONFIG_TIMER_FREQUENCY 62500000

#define CONFIG_MAX_NUM_NODES 1
#define CONFIG_NUM_DOMAINS 16
#define CONFIG_NUM_DOMAIN_SCHEDULES 64
#define CONFIG_NUM_PRIORITIES 256
#define CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS 230
#define CONFIG_RETYPE_FAN_OUT_LIMIT 256
// Milliseconds of the root task's scheduling context.
#define CONFIG_BOOT_THREAD_TIME_SLICE 10
// Slots of the root task's CNode unless it is started with another number of bits, which build systems can say here.
#ifndef CONFIG_ROOT_CNODE_SIZE_BITS
#define CONFIG_ROOT_CNODE_SIZE_BITS 12
#endif

// Every thread may read the counters. The physical timer and the performance monitor are for those that seL4_SchedControl_SetThreadAccess lets in.
#define CONFIG_EXPORT_PCNT_USER 1
#define CONFIG_EXPORT_VCNT_USER 1
#define CONFIG_EXPORT_PTMR_USER 1
#define CONFIG_HARDWARE_DEBUG_API 1

#ifdef CAPROCK_DEBUG_BUILD
#define CONFIG_DEBUG_BUILD 1
#define CONFIG_PRINTING 1
#endif
