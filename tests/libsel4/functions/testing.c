// SPDX-License-Identifier: BSD-2-Clause
// Runs the tests and reports in TAP; and what they make things with.
#include "testing.h"

extern const Test __start_tests[], __stop_tests[];

enum { most_threads = 24, stack_bytes = 8192, block_bytes = 4096, arena_bits = 24 };

seL4_BootInfo *boot;
static int failed;
static seL4_CPtr arena;
static seL4_CPtr first_slot, next_slot;
static seL4_Word next_address;
static unsigned threads;
static char stacks[most_threads][stack_bytes] __attribute__((aligned(16)));
static char blocks[most_threads][block_bytes] __attribute__((aligned(64)));

static void print_number(seL4_Word value)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    *--at = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    caprock_root_print(at);
}

void note(const char *text, seL4_Word value)
{
    caprock_root_print("# ");
    caprock_root_print(text);
    caprock_root_print(" ");
    print_number(value);
    caprock_root_print("\n");
}

void fail(const char *file, int line, const char *text, seL4_Word expected, seL4_Word actual)
{
    failed = 1;
    caprock_root_print("# ");
    caprock_root_print(file);
    caprock_root_print(":");
    print_number((seL4_Word)line);
    caprock_root_print(": ");
    caprock_root_print(text);
    caprock_root_print(": expected ");
    print_number(expected);
    caprock_root_print(", found ");
    print_number(actual);
    caprock_root_print("\n");
}

seL4_CPtr new_slot(void)
{
    return next_slot++;
}

seL4_CPtr make(seL4_Word type, seL4_Word bits)
{
    seL4_CPtr slot = new_slot();
    seL4_Error error = seL4_Untyped_Retype(arena, type, bits, cnode, 0, 0, slot, 1);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "make", seL4_NoError, error);
    return slot;
}

seL4_CPtr mint(seL4_CPtr source, seL4_Word badge)
{
    seL4_CPtr slot = new_slot();
    seL4_Error error = seL4_CNode_Mint(cnode, slot, depth, cnode, source, depth, seL4_AllRights, badge);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "mint", seL4_NoError, error);
    return slot;
}

seL4_Word kind_of(seL4_CPtr slot)
{
    caprock_cap_type_t kind = CAPROCK_CAP_TYPE_NULL;
    caprock_cap_rights_t rights;
    uint64_t badge, bits, guard, identity, parent;
    caprock_inspect_read_cnode(seL4_CapInspect, slot, cnode, &kind, &rights, &badge, &bits, &guard, &identity, &parent, 0);
    return kind;
}

seL4_Word new_address(void)
{
    next_address += LIBSEL4_BIT(seL4_LargePageBits);
    return next_address;
}

seL4_Error map(seL4_CPtr frame, seL4_CPtr space, seL4_Word vaddr)
{
    for (;;) {
        seL4_Error error = seL4_ARM_Page_Map(frame, space, vaddr, seL4_ReadWrite, seL4_ARM_Default_VMAttributes);
        if (error != seL4_FailedLookup)
            return error;
        error = seL4_ARM_PageTable_Map(make(seL4_ARM_PageTableObject, 0), space, vaddr, seL4_ARM_Default_VMAttributes);
        if (error != seL4_NoError)
            return error;
    }
}

void *new_page(seL4_CPtr *frame)
{
    seL4_CPtr made = make(seL4_ARM_SmallPageObject, 0);
    seL4_Word address = new_address();
    seL4_Error error = map(made, vspace, address);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "new_page", seL4_NoError, error);
    if (frame)
        *frame = made;
    return (void *)address;
}

// A thread's first function: x0 and x1 are what new_thread put there.
static void thread_start(void (*entry)(void *), void *argument)
{
    entry(argument);
    stop();
}

Thread new_thread(void (*entry)(void *), void *argument, seL4_Word priority)
{
    seL4_CPtr frame;
    Thread thread = {make(seL4_TCBObject, 0), make(seL4_SchedContextObject, 8), (seL4_IPCBuffer *)new_page(&frame)};
    char *block = blocks[threads];
    // This program's thread-local variables all start as zero but the buffer's address, which is where the running thread has its own.
    for (int i = 0; i < block_bytes; ++i)
        block[i] = 0;
    *(seL4_IPCBuffer **)(block + ((char *)&__sel4_ipc_buffer - (char *)__builtin_thread_pointer())) = thread.buffer;
    seL4_UserContext registers = {0};
    registers.pc = (seL4_Word)thread_start;
    registers.sp = (seL4_Word)(stacks[threads++] + stack_bytes);
    registers.x0 = (seL4_Word)entry;
    registers.x1 = (seL4_Word)argument;
    registers.tpidr_el0 = (seL4_Word)block;
    seL4_Error error = seL4_SchedControl_Configure(boot->schedcontrol.start, thread.context, 10000, 10000, 0, 0);
    if (error == seL4_NoError)
        error = seL4_TCB_Configure(thread.tcb, cnode, 0, vspace, 0, (seL4_Word)thread.buffer, frame);
    if (error == seL4_NoError)
        error = seL4_TCB_SetSchedParams(thread.tcb, self, 0, priority, thread.context, seL4_CapNull);
    if (error == seL4_NoError)
        error = seL4_TCB_WriteRegisters(thread.tcb, 0, 0, sizeof(registers) / sizeof(seL4_Word), &registers);
    if (error != seL4_NoError)
        fail(__FILE__, __LINE__, "new_thread", seL4_NoError, error);
    return thread;
}

Thread start(void (*entry)(void *), void *argument, seL4_Word priority)
{
    Thread thread = new_thread(entry, argument, priority);
    seL4_TCB_Resume(thread.tcb);
    return thread;
}

static seL4_Word now(void)
{
    seL4_Word value;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value));
    return value;
}

seL4_Word ticks(seL4_Word microseconds)
{
    seL4_Word frequency;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return microseconds * frequency / 1000000;
}

void sleep_us(seL4_Word microseconds)
{
    seL4_Word end = now() + ticks(microseconds);
    seL4_TCB_SetPriority(self, self, 1);
    while (now() < end)
        seL4_Yield();
    seL4_TCB_SetPriority(self, self, main_priority);
}

void stop(void)
{
    for (;;)
        seL4_Wait(seL4_CapNull, 0);
}

// The largest untyped of memory gives the arena that objects are made of.
static seL4_Error make_arena(void)
{
    seL4_Word best = 0;
    for (seL4_Word i = 1; i < boot->untyped.end - boot->untyped.start; ++i)
        if (!boot->untypedList[i].isDevice && boot->untypedList[i].sizeBits > boot->untypedList[best].sizeBits)
            best = i;
    arena = boot->empty.start;
    return seL4_Untyped_Retype(boot->untyped.start + best, seL4_UntypedObject, arena_bits, cnode, 0, 0, arena, 1);
}

static void clean_up(void)
{
    for (seL4_CPtr slot = first_slot; slot < next_slot; ++slot)
        seL4_CNode_Delete(cnode, slot, depth);
    seL4_CNode_Revoke(cnode, arena, depth);
    next_slot = first_slot;
    next_address = 0x40000000;
    threads = 0;
    seL4_SetCapReceivePath(cnode, 0, depth);
}

int main(void)
{
    int number = 0, all_passed = 1;
    boot = seL4_GetBootInfo();
    first_slot = next_slot = boot->empty.start + 1;
    next_address = 0x40000000;
    if (make_arena() != seL4_NoError || seL4_TCB_SetPriority(self, self, main_priority) != seL4_NoError)
        return 2;
    for (const Test *test = __start_tests; test != __stop_tests; ++test) {
        failed = 0;
        test->run();
        clean_up();
        all_passed &= !failed;
        caprock_root_print(failed ? "not ok " : "ok ");
        print_number((seL4_Word)++number);
        caprock_root_print(" - ");
        caprock_root_print(test->name);
        caprock_root_print("\n");
    }
    caprock_root_print("1..");
    print_number((seL4_Word)number);
    caprock_root_print("\n");
    return all_passed ? 0 : 1;
}
