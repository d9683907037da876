// SPDX-License-Identifier: BSD-2-Clause
// Calls for debugging, in programs for the debug kernel. The kernel prints, halts and tells types; libsel4 does the rest, by what the root task's
// Inspect capability shows.
#pragma once

#include <sel4/caprock_stubs.h>
#include <sel4/functions.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef CONFIG_PRINTING
/// Prints a character on the kernel's console.
LIBSEL4_INLINE_FUNC void seL4_DebugPutChar(char c)
{
    caprock_debug_put_char(c);
}

/// Prints a string that ends in NUL.
LIBSEL4_INLINE_FUNC void seL4_DebugPutString(const char *str)
{
    for (const char *s = str; *s; ++s)
        seL4_DebugPutChar(*s);
}

/// Prints the threads whose TCBs are in the root task's CNode: name, state, priority, domain. In the root task only.
void seL4_DebugDumpScheduler(void);
#endif

#ifdef CONFIG_DEBUG_BUILD
/// Stops the machine.
LIBSEL4_INLINE_FUNC void seL4_DebugHalt(void)
{
    caprock_debug_halt();
}

/// The type of a capability, a value of caprock_cap_type_t; 0 for an empty slot.
LIBSEL4_INLINE_FUNC seL4_Uint32 seL4_DebugCapIdentify(seL4_CPtr cap)
{
    return (seL4_Uint32)caprock_debug_cap_identify(cap);
}

/// Prints the capabilities in the root task's CNode. In the root task only.
void seL4_DebugSnapshot(void);

/// Names a thread in what seL4_DebugDumpScheduler and seL4_DebugSnapshot of this program print.
void seL4_DebugNameThread(seL4_CPtr tcb, const char *name);
#endif

#ifdef CONFIG_ENABLE_BENCHMARKS
// Declarations only: no kernel of Caprock's has them, and no configuration here sets CONFIG_ENABLE_BENCHMARKS.
seL4_Error seL4_BenchmarkResetLog(void);
seL4_Word seL4_BenchmarkFinalizeLog(void);
seL4_Error seL4_BenchmarkSetLogBuffer(seL4_Word frame_cptr);
void seL4_BenchmarkNullSyscall(void);
void seL4_BenchmarkFlushCaches(void);
void seL4_BenchmarkGetThreadUtilisation(seL4_Word tcb_cptr);
void seL4_BenchmarkResetThreadUtilisation(seL4_Word tcb_cptr);
void seL4_BenchmarkDumpAllThreadsUtilisation(void);
void seL4_BenchmarkResetAllThreadsUtilisation(void);
#endif

#ifdef __cplusplus
}
#endif
