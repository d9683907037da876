// SPDX-License-Identifier: BSD-2-Clause
// Where a program keeps the address of its boot information.
#pragma once

#include <sel4/bootinfo_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Remembers the boot information, and with it the root task's IPC buffer.
void seL4_InitBootInfo(seL4_BootInfo *bi);

/// The boot information that was remembered; null before.
seL4_BootInfo *seL4_GetBootInfo(void);

#ifdef __cplusplus
}
#endif
