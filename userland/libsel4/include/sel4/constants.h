// SPDX-License-Identifier: BSD-2-Clause
// Limits of messages and priorities, breakpoints, scheduling contexts, flags of threads.
#pragma once

#include <sel4/config.h>
#include <sel4/macros.h>
#include <sel4/sel4_arch/constants.h>

#ifndef __ASSEMBLER__
#include <sel4/simple_types.h>

// Arguments of seL4_TCB_SetBreakpoint, and reasons of a debug exception; the numbers are the kernel's.
typedef enum {
    seL4_InstructionBreakpoint = 0,
    seL4_DataBreakpoint,
    seL4_SingleStep,
    seL4_SoftwareBreakRequest,
    SEL4_FORCE_LONG_ENUM(seL4_BreakpointType)
} seL4_BreakpointType;

typedef enum {
    seL4_BreakOnRead = 0,
    seL4_BreakOnWrite,
    seL4_BreakOnReadWrite,
    seL4_MaxBreakpointAccess,
    SEL4_FORCE_LONG_ENUM(seL4_BreakpointAccess)
} seL4_BreakpointAccess;

enum priorityConstants {
    seL4_InvalidPrio = -1,
    seL4_MinPrio = 0,
    seL4_MaxPrio = CONFIG_NUM_PRIORITIES - 1
};

enum seL4_MsgLimits {
    seL4_MsgLengthBits = 7,
    seL4_MsgExtraCapBits = 2,
    seL4_MsgMaxLength = 120
};

typedef enum {
    seL4_NoFailure = 0,
    seL4_InvalidRoot,
    seL4_MissingCapability,
    seL4_DepthMismatch,
    seL4_GuardMismatch,
    // Caprock's own: the address leads through more CNodes than the kernel follows.
    seL4_TooManyLevels,
    SEL4_FORCE_LONG_ENUM(seL4_LookupFailureType)
} seL4_LookupFailureType;

// Flags of seL4_SchedControl_ConfigureFlags.
typedef enum {
    seL4_SchedContext_NoFlag = 0,
    seL4_SchedContext_Sporadic = 1,
    SEL4_FORCE_LONG_ENUM(seL4_SchedContextFlag)
} seL4_SchedContextFlag;

// Flags of seL4_TCB_SetFlags; the last two are Caprock's own and set by seL4_SchedControl_SetThreadAccess.
typedef enum {
    seL4_TCBFlag_NoFlag = 0,
    seL4_TCBFlag_fpuDisabled = 1,
    seL4_TCBFlag_pmu = 2,
    seL4_TCBFlag_physicalTimer = 4,
    seL4_TCBFlag_MASK = 7,
    SEL4_FORCE_LONG_ENUM(seL4_TCBFlag)
} seL4_TCBFlag;

#endif

#define seL4_MsgMaxExtraCaps (LIBSEL4_BIT(seL4_MsgExtraCapBits) - 1)
#define seL4_CapRightsBits 4

// Breakpoint registers of the Cortex-A72: breakpoints first, then watchpoints.
#define seL4_NumHWBreakpoints 10
#define seL4_NumExclusiveBreakpoints 6
#define seL4_NumExclusiveWatchpoints 4
#define seL4_NumDualFunctionMonitors 0
#define seL4_FirstBreakpoint 0
#define seL4_FirstWatchpoint 6
#define seL4_FirstDualFunctionMonitor (-1)

// Scheduling contexts: the smallest, what precedes the refills, and a refill.
#define seL4_MinSchedContextBits 7
#define seL4_CoreSchedContextBytes 96ul
#define seL4_RefillSizeBytes 16ul

#ifndef __ASSEMBLER__
/// Most extra refills, beyond the two that each has, of a scheduling context of 2^size bytes.
LIBSEL4_INLINE_FUNC seL4_Word seL4_MaxExtraRefills(seL4_Word size)
{
    return (LIBSEL4_BIT(size) - seL4_CoreSchedContextBytes) / seL4_RefillSizeBytes - 2;
}
#endif
