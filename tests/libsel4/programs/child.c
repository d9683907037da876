// SPDX-License-Identifier: BSD-2-Clause
// The program of every process of these tests, in an address space of its own. Its argument says what it does.
#include "process.h"

static char thread_block[256] __attribute__((aligned(64), used));

// There is a stack, but neither thread-local storage nor the buffer's address.
__asm__(".section .text._start, \"ax\"\n"
        ".global _start\n"
        "_start:\n"
        "    adrp x9, thread_block\n"
        "    add x9, x9, :lo12:thread_block\n"
        "    msr tpidr_el0, x9\n"
        "    b child_main\n"
        ".text\n");

static seL4_Word call(seL4_Word label, seL4_Word word)
{
    seL4_SetMR(0, word);
    seL4_Call(child_endpoint, seL4_MessageInfo_new(label, 0, 0, 1));
    return seL4_GetMR(0);
}

// Writes to pages that are not there, every second one only, and sums them up.
static seL4_Word touch_pages(void)
{
    seL4_Word sum = 0;
    for (seL4_Word i = 0; i < touched_pages; i += 2) {
        volatile seL4_Word *page = (seL4_Word *)(child_heap + i * page_bytes);
        page[3] = i;
    }
    for (seL4_Word i = 0; i < touched_pages; i += 2)
        sum += ((volatile seL4_Word *)(child_heap + i * page_bytes))[3];
    return sum;
}

// Asks for a page, maps it, and leaves a word there.
static seL4_Word map_received(void)
{
    seL4_SetCapReceivePath(child_cnode, child_received, 64);
    seL4_MessageInfo_t info = seL4_Call(child_endpoint, seL4_MessageInfo_new(request_page, 0, 0, 0));
    if (seL4_MessageInfo_get_extraCaps(info) != 1)
        return 1;
    seL4_Error error = seL4_ARM_Page_Map(child_received, child_vspace, child_heap, seL4_ReadWrite, seL4_ARM_Default_VMAttributes);
    if (error == seL4_NoError)
        *(volatile seL4_Word *)child_heap = 0x600d;
    return error;
}

// Keeps a pattern of its own in every SIMD register while another process does the same: the rounds in which one was not as it was left.
static seL4_Word use_simd(seL4_Word pattern)
{
    seL4_Word wrong = 0;
    for (int round = 0; round < simd_rounds; ++round) {
        seL4_Word first = pattern + (seL4_Word)round, low, high;
        __asm__ volatile("dup v0.2d, %0\n\tdup v1.2d, %0\n\tdup v7.2d, %0\n\tdup v8.2d, %0\n\tdup v15.2d, %0\n\tdup v16.2d, %0\n\tdup v31.2d, %0"
                         : : "r"(first) : "v0", "v1", "v7", "v8", "v15", "v16", "v31");
        call(request_progress, (seL4_Word)round);
        __asm__ volatile("and v0.16b, v0.16b, v1.16b\n\tand v0.16b, v0.16b, v7.16b\n\tand v0.16b, v0.16b, v8.16b\n\t"
                         "and v0.16b, v0.16b, v15.16b\n\tand v0.16b, v0.16b, v16.16b\n\tand v0.16b, v0.16b, v31.16b\n\t"
                         "mov %0, v0.d[0]\n\tmov %1, v0.d[1]"
                         : "=r"(low), "=r"(high) : : "v0");
        wrong += low != first || high != first;
    }
    return wrong;
}

__attribute__((noreturn, used)) static void child_main(seL4_Word what) __asm__("child_main");

static void child_main(seL4_Word what)
{
    seL4_SetIPCBuffer((seL4_IPCBuffer *)child_buffer);
    seL4_Word result = 42;
    if ((what & 0xff) == do_touch_pages)
        result = touch_pages();
    else if ((what & 0xff) == do_map_received)
        result = map_received();
    else if ((what & 0xff) == do_simd)
        result = use_simd(what << 8);
    call(request_done, result);
    for (;;)
        seL4_Yield();
}
