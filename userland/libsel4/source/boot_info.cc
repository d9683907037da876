// SPDX-License-Identifier: BSD-2-Clause
// The boot information that the root task was started with.
#include <sel4/bootinfo.h>
#include <sel4/functions.h>

namespace {

constinit seL4_BootInfo* boot_info = nullptr;

}  // namespace

extern "C" {

void seL4_InitBootInfo(seL4_BootInfo* bi) {
    boot_info = bi;
    seL4_SetIPCBuffer(bi->ipcBuffer);
}

seL4_BootInfo* seL4_GetBootInfo() { return boot_info; }

}  // extern "C"
