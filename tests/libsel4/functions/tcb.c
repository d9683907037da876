// SPDX-License-Identifier: BSD-2-Clause
// Methods of threads.
#include "testing.h"

enum { all_registers = sizeof(seL4_UserContext) / sizeof(seL4_Word) };

static void nothing(void *argument)
{
    (void)argument;
}

static void set_flag(void *argument)
{
    *(volatile seL4_Word *)argument = 1;
}

static void count_forever(void *argument)
{
    for (;;)
        ++*(volatile seL4_Word *)argument;
}

TEST(seL4_TCB_ReadRegisters)
{
    Thread thread = new_thread(nothing, (void *)0x1234, 50);
    seL4_UserContext registers = {0};
    registers.x9 = 77;
    SUCCEEDS(seL4_TCB_ReadRegisters(thread.tcb, 0, 0, 5, &registers));
    CHECK_EQUAL((seL4_Word)nothing, registers.x0);
    CHECK_EQUAL(0x1234, registers.x1);
    // A count selects a prefix: what comes after it stays.
    CHECK_EQUAL(77, registers.x9);
    SUCCEEDS(seL4_TCB_ReadRegisters(thread.tcb, 1, 0, all_registers, &registers));
    CHECK_EQUAL(0, registers.x9);
    CHECK(registers.tpidr_el0 != 0);
    FAILS(seL4_IllegalOperation, seL4_TCB_ReadRegisters(self, 0, 0, 1, &registers));
    FAILS_WITH(seL4_RangeError, 1, all_registers, seL4_TCB_ReadRegisters(thread.tcb, 0, 0, all_registers + 1, &registers));
}

TEST(seL4_TCB_WriteRegisters)
{
    Thread thread = new_thread(nothing, 0, 50);
    seL4_UserContext registers, read;
    for (int i = 0; i < all_registers; ++i)
        ((seL4_Word *)&registers)[i] = 0x1000u + (seL4_Word)i * 4;
    registers.spsr = 0;   // of which only the flags of conditions count
    SUCCEEDS(seL4_TCB_WriteRegisters(thread.tcb, 0, 0, all_registers, &registers));
    SUCCEEDS(seL4_TCB_ReadRegisters(thread.tcb, 0, 0, all_registers, &read));
    for (int i = 0; i < all_registers; ++i)
        CHECK(i == 2 || ((seL4_Word *)&registers)[i] == ((seL4_Word *)&read)[i]);
    FAILS(seL4_IllegalOperation, seL4_TCB_WriteRegisters(self, 0, 0, 1, &registers));
}

TEST(seL4_TCB_CopyRegisters)
{
    Thread source = new_thread(nothing, (void *)5, 50), target = new_thread(nothing, 0, 50);
    seL4_UserContext registers = {0};
    SUCCEEDS(seL4_TCB_ReadRegisters(source.tcb, 0, 0, all_registers, &registers));
    registers.x19 = 19;
    SUCCEEDS(seL4_TCB_WriteRegisters(source.tcb, 0, 0, all_registers, &registers));
    SUCCEEDS(seL4_TCB_CopyRegisters(target.tcb, source.tcb, 0, 0, 1, 0, 0));
    SUCCEEDS(seL4_TCB_ReadRegisters(target.tcb, 0, 0, all_registers, &registers));
    CHECK_EQUAL(5, registers.x1);
    CHECK_EQUAL(0, registers.x19);
    SUCCEEDS(seL4_TCB_CopyRegisters(target.tcb, source.tcb, 0, 0, 0, 1, 0));
    SUCCEEDS(seL4_TCB_ReadRegisters(target.tcb, 0, 0, all_registers, &registers));
    CHECK_EQUAL(19, registers.x19);
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_TCB_CopyRegisters(target.tcb, cnode, 0, 0, 1, 0, 0));
}

TEST(seL4_TCB_Configure)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0), frame;
    seL4_Word buffer = (seL4_Word)new_page(&frame);
    SUCCEEDS(seL4_TCB_Configure(tcb, cnode, 0, vspace, 0, buffer, frame));
    FAILS(seL4_AlignmentError, seL4_TCB_Configure(tcb, cnode, 0, vspace, 0, buffer + 8, frame));
    FAILS_WITH(seL4_InvalidCapability, 0, 2, seL4_TCB_Configure(tcb, cnode, 0, cnode, 0, buffer, frame));
    FAILS_WITH(seL4_InvalidCapability, 0, 3, seL4_TCB_Configure(tcb, cnode, 0, vspace, 0, buffer, tcb));
}

TEST(seL4_TCB_SetPriority)
{
    volatile seL4_Word ran = 0;
    Thread thread = start(set_flag, (void *)&ran, main_priority - 1);
    CHECK_EQUAL(0, ran);
    SUCCEEDS(seL4_TCB_SetPriority(thread.tcb, self, main_priority + 1));
    CHECK_EQUAL(1, ran);
    FAILS_WITH(seL4_RangeError, 1, seL4_MaxPrio, seL4_TCB_SetPriority(thread.tcb, self, seL4_MaxPrio + 1));
}

TEST(seL4_TCB_SetMCPriority)
{
    Thread thread = new_thread(nothing, 0, 50);
    SUCCEEDS(seL4_TCB_SetMCPriority(thread.tcb, self, 60));
    FAILS_WITH(seL4_RangeError, 1, 60, seL4_TCB_SetMCPriority(thread.tcb, thread.tcb, 61));
}

TEST(seL4_TCB_SetSchedParams)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0), context = make(seL4_SchedContextObject, 8), endpoint = make(seL4_EndpointObject, 0);
    SUCCEEDS(seL4_TCB_SetSchedParams(tcb, self, 10, 20, context, endpoint));
    FAILS(seL4_IllegalOperation, seL4_TCB_SetSchedParams(make(seL4_TCBObject, 0), self, 10, 20, context, endpoint));
    FAILS_WITH(seL4_InvalidCapability, 0, 3, seL4_TCB_SetSchedParams(tcb, self, 10, 20, context, cnode));
}

TEST(seL4_TCB_SetTimeoutEndpoint)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0);
    SUCCEEDS(seL4_TCB_SetTimeoutEndpoint(tcb, make(seL4_EndpointObject, 0)));
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_TCB_SetTimeoutEndpoint(tcb, cnode));
}

TEST(seL4_TCB_SetIPCBuffer)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0), frame;
    seL4_Word buffer = (seL4_Word)new_page(&frame);
    SUCCEEDS(seL4_TCB_SetIPCBuffer(tcb, buffer, frame));
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_TCB_SetIPCBuffer(tcb, buffer, tcb));
}

TEST(seL4_TCB_SetSpace)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0), endpoint = make(seL4_EndpointObject, 0);
    SUCCEEDS(seL4_TCB_SetSpace(tcb, endpoint, cnode, 0, vspace, 0));
    FAILS_WITH(seL4_InvalidCapability, 0, 2, seL4_TCB_SetSpace(tcb, endpoint, tcb, 0, vspace, 0));
}

TEST(seL4_TCB_Suspend)
{
    volatile seL4_Word count = 0;
    Thread thread = start(count_forever, (void *)&count, main_priority - 50);
    SUCCEEDS(seL4_TCB_SetPriority(self, self, main_priority - 50));
    while (count == 0)
        seL4_Yield();
    SUCCEEDS(seL4_TCB_Suspend(thread.tcb));
    seL4_Word before = count;
    sleep_us(200);
    CHECK_EQUAL(before, count);
    FAILS(seL4_IllegalOperation, seL4_TCB_Suspend(cnode));
}

TEST(seL4_TCB_Resume)
{
    volatile seL4_Word ran = 0;
    Thread thread = new_thread(set_flag, (void *)&ran, main_priority + 1);
    CHECK_EQUAL(0, ran);
    SUCCEEDS(seL4_TCB_Resume(thread.tcb));
    CHECK_EQUAL(1, ran);
    FAILS(seL4_IllegalOperation, seL4_TCB_Resume(cnode));
}

TEST(seL4_TCB_BindNotification)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0), endpoint = make(seL4_EndpointObject, 0);
    seL4_Word badge = 0;
    SUCCEEDS(seL4_TCB_BindNotification(self, notification));
    seL4_Signal(mint(notification, 3));
    seL4_Wait(endpoint, &badge);
    CHECK_EQUAL(3, badge);
    FAILS(seL4_IllegalOperation, seL4_TCB_BindNotification(self, make(seL4_NotificationObject, 0)));
}

TEST(seL4_TCB_UnbindNotification)
{
    SUCCEEDS(seL4_TCB_BindNotification(self, make(seL4_NotificationObject, 0)));
    SUCCEEDS(seL4_TCB_UnbindNotification(self));
    FAILS(seL4_IllegalOperation, seL4_TCB_UnbindNotification(self));
}

TEST(seL4_TCB_SetTLSBase)
{
    Thread thread = new_thread(nothing, 0, 50);
    seL4_UserContext registers;
    SUCCEEDS(seL4_TCB_SetTLSBase(thread.tcb, 0x5000));
    SUCCEEDS(seL4_TCB_ReadRegisters(thread.tcb, 0, 0, all_registers, &registers));
    CHECK_EQUAL(0x5000, registers.tpidr_el0);
    FAILS(seL4_IllegalOperation, seL4_TCB_SetTLSBase(cnode, 0x5000));
}

TEST(seL4_TCB_SetFlags)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0);
    SUCCEEDS(seL4_TCB_SetFlags(tcb, 0, seL4_TCBFlag_fpuDisabled).error);
    CHECK_EQUAL(seL4_TCBFlag_fpuDisabled, seL4_TCB_SetFlags(tcb, 0, 0).flags);
    CHECK_EQUAL(0, seL4_TCB_SetFlags(tcb, seL4_TCBFlag_fpuDisabled, 0).flags);
    FAILS(seL4_IllegalOperation, seL4_TCB_SetFlags(cnode, 0, 0).error);
}

TEST(seL4_TCB_SetBreakpoint)
{
    Thread thread = new_thread(set_flag, 0, 50);
    seL4_Word address = (seL4_Word)set_flag;
    SUCCEEDS(seL4_TCB_SetBreakpoint(thread.tcb, seL4_FirstBreakpoint, address, seL4_InstructionBreakpoint, 0, seL4_BreakOnRead));
    FAILS(seL4_RangeError, seL4_TCB_SetBreakpoint(thread.tcb, 99, address, seL4_InstructionBreakpoint, 0, seL4_BreakOnRead));
}

TEST(seL4_TCB_GetBreakpoint)
{
    Thread thread = new_thread(set_flag, 0, 50);
    seL4_Word watched = 0;
    SUCCEEDS(seL4_TCB_SetBreakpoint(thread.tcb, seL4_FirstWatchpoint, (seL4_Word)&watched, seL4_DataBreakpoint, 8, seL4_BreakOnReadWrite));
    seL4_TCB_GetBreakpoint_t found = seL4_TCB_GetBreakpoint(thread.tcb, seL4_FirstWatchpoint);
    SUCCEEDS(found.error);
    CHECK_EQUAL((seL4_Word)&watched, found.vaddr);
    CHECK_EQUAL(seL4_DataBreakpoint, found.type);
    CHECK_EQUAL(8, found.size);
    CHECK_EQUAL(seL4_BreakOnReadWrite, found.rw);
    CHECK_EQUAL(1, found.is_enabled);
    SUCCEEDS(seL4_TCB_GetBreakpoint(thread.tcb, seL4_FirstBreakpoint).error);
    FAILS(seL4_RangeError, seL4_TCB_GetBreakpoint(thread.tcb, 99).error);
}

TEST(seL4_TCB_UnsetBreakpoint)
{
    Thread thread = new_thread(set_flag, 0, 50);
    SUCCEEDS(seL4_TCB_SetBreakpoint(thread.tcb, seL4_FirstBreakpoint, (seL4_Word)set_flag, seL4_InstructionBreakpoint, 0, seL4_BreakOnRead));
    SUCCEEDS(seL4_TCB_UnsetBreakpoint(thread.tcb, seL4_FirstBreakpoint));
    CHECK_EQUAL(0, seL4_TCB_GetBreakpoint(thread.tcb, seL4_FirstBreakpoint).is_enabled);
    FAILS(seL4_RangeError, seL4_TCB_UnsetBreakpoint(thread.tcb, 99));
}

TEST(seL4_TCB_ConfigureSingleStepping)
{
    Thread thread = new_thread(set_flag, 0, 50);
    SUCCEEDS(seL4_TCB_ConfigureSingleStepping(thread.tcb, 0, 1).error);
    CHECK_EQUAL(0, seL4_TCB_ConfigureSingleStepping(thread.tcb, 0, 0).bp_was_consumed);
    FAILS(seL4_IllegalOperation, seL4_TCB_ConfigureSingleStepping(cnode, 0, 1).error);
}
