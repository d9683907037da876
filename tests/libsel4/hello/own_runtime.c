// SPDX-License-Identifier: BSD-2-Clause
// A root task with a runtime of its own: entry, stack and thread-local storage are here, and it prints and ends by the debug kernel.
#include <sel4/sel4.h>

static char stack[8192] __attribute__((aligned(16), used));
static seL4_Word thread_block[64] __attribute__((aligned(64)));
static __thread int zero;

__asm__(".global _sel4_start\n"
        "_sel4_start:\n"
        "    adrp x1, stack\n"
        "    add x1, x1, :lo12:stack\n"
        "    add sp, x1, #8192\n"
        "    b start\n");

__attribute__((noreturn, used)) static void start(seL4_BootInfo *info) __asm__("start");

static void start(seL4_BootInfo *info)
{
    __asm__ volatile("msr tpidr_el0, %0" : : "r"(thread_block));
    seL4_SetIPCBuffer(info->ipcBuffer);
    seL4_DebugPutString("own runtime\n");
    int works = zero == 0 && info->initThreadCNodeSizeBits >= 12 &&
                seL4_CNode_Copy(seL4_CapInitThreadCNode, info->empty.start, seL4_WordBits, seL4_CapInitThreadCNode, seL4_CapInitThreadTCB,
                                seL4_WordBits, seL4_AllRights) == seL4_NoError;
    seL4_DebugPutString(works ? "caprock: exit 5\n" : "caprock: exit 6\n");
    for (;;)
        seL4_Yield();
}
