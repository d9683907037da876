// SPDX-License-Identifier: BSD-2-Clause
// Scheduling contexts, control over time, domains and interrupts.
#include "testing.h"

enum { physical_timer = 30, unused_line = 200 };

static void set_flag(void *argument)
{
    *(volatile seL4_Word *)argument = 1;
}

static void count_forever(void *argument)
{
    for (;;)
        ++*(volatile seL4_Word *)argument;
}

TEST(seL4_SchedControl_ConfigureFlags)
{
    seL4_CPtr context = make(seL4_SchedContextObject, 8);
    SUCCEEDS(seL4_SchedControl_ConfigureFlags(boot->schedcontrol.start, context, 1000, 5000, seL4_MaxExtraRefills(8), 0, seL4_SchedContext_Sporadic));
    FAILS_WITH(seL4_RangeError, 1, seL4_MaxExtraRefills(8),
               seL4_SchedControl_ConfigureFlags(boot->schedcontrol.start, context, 1000, 5000, seL4_MaxExtraRefills(8) + 1, 0, 0));
}

TEST(seL4_SchedControl_Configure)
{
    seL4_CPtr context = make(seL4_SchedContextObject, seL4_MinSchedContextBits);
    SUCCEEDS(seL4_SchedControl_Configure(boot->schedcontrol.start, context, 1000, 5000, 0, 0));
    FAILS_WITH(seL4_RangeError, 1, 5000, seL4_SchedControl_Configure(boot->schedcontrol.start, context, 6000, 5000, 0, 0));
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_SchedControl_Configure(boot->schedcontrol.start, cnode, 1000, 5000, 0, 0));
}

TEST(seL4_SchedControl_SetThreadAccess)
{
    seL4_CPtr tcb = make(seL4_TCBObject, 0);
    SUCCEEDS(seL4_SchedControl_SetThreadAccess(boot->schedcontrol.start, tcb, 0, seL4_TCBFlag_physicalTimer).error);
    CHECK_EQUAL(seL4_TCBFlag_physicalTimer, seL4_TCB_SetFlags(tcb, 0, 0).flags);
    CHECK_EQUAL(0, seL4_SchedControl_SetThreadAccess(boot->schedcontrol.start, tcb, seL4_TCBFlag_physicalTimer, 0).flags);
    FAILS(seL4_InvalidCapability, seL4_SchedControl_SetThreadAccess(boot->schedcontrol.start, cnode, 0, 0).error);
}

TEST(seL4_SchedContext_Bind)
{
    volatile seL4_Word ran = 0;
    Thread thread = new_thread(set_flag, (void *)&ran, main_priority + 1);
    SUCCEEDS(seL4_SchedContext_Unbind(thread.context));
    SUCCEEDS(seL4_TCB_Resume(thread.tcb));
    CHECK_EQUAL(0, ran);
    SUCCEEDS(seL4_SchedContext_Bind(thread.context, thread.tcb));
    CHECK_EQUAL(1, ran);
    FAILS(seL4_IllegalOperation, seL4_SchedContext_Bind(thread.context, thread.tcb));
}

TEST(seL4_SchedContext_Unbind)
{
    volatile seL4_Word count = 0;
    Thread thread = start(count_forever, (void *)&count, main_priority - 50);
    SUCCEEDS(seL4_SchedContext_Unbind(thread.context));
    sleep_us(100);
    CHECK_EQUAL(0, count);
    FAILS(seL4_IllegalOperation, seL4_SchedContext_Unbind(seL4_CapInitThreadSC));
}

TEST(seL4_SchedContext_UnbindObject)
{
    Thread thread = new_thread(set_flag, 0, 50);
    SUCCEEDS(seL4_SchedContext_UnbindObject(thread.context, thread.tcb));
    FAILS(seL4_IllegalOperation, seL4_SchedContext_UnbindObject(thread.context, thread.tcb));
}

TEST(seL4_SchedContext_Consumed)
{
    volatile seL4_Word count = 0;
    Thread thread = start(count_forever, (void *)&count, main_priority - 50);
    seL4_SchedContext_Consumed_t used = seL4_SchedContext_Consumed(thread.context);
    CHECK_EQUAL(0, used.consumed);
    SUCCEEDS(seL4_TCB_SetPriority(self, self, main_priority - 50));
    while (count == 0)
        seL4_Yield();
    SUCCEEDS(seL4_TCB_SetPriority(self, self, main_priority));
    SUCCEEDS(seL4_SchedContext_Consumed(thread.context).error);
    FAILS(seL4_IllegalOperation, seL4_SchedContext_Consumed(cnode).error);
}

TEST(seL4_SchedContext_YieldTo)
{
    volatile seL4_Word ran = 0;
    Thread thread = start(set_flag, (void *)&ran, main_priority);
    CHECK_EQUAL(0, ran);
    SUCCEEDS(seL4_SchedContext_YieldTo(thread.context).error);
    CHECK_EQUAL(1, ran);
    FAILS(seL4_IllegalOperation, seL4_SchedContext_YieldTo(seL4_CapInitThreadSC).error);
}

TEST(seL4_DomainSet_Set)
{
    volatile seL4_Word ran = 0;
    Thread thread = new_thread(set_flag, (void *)&ran, main_priority + 1);
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 3, thread.tcb));
    SUCCEEDS(seL4_TCB_Resume(thread.tcb));
    CHECK_EQUAL(0, ran);
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 0, thread.tcb));
    CHECK_EQUAL(1, ran);
    FAILS_WITH(seL4_InvalidArgument, 0, 0, seL4_DomainSet_Set(seL4_CapDomain, CONFIG_NUM_DOMAINS, thread.tcb));
}

TEST(seL4_DomainSet_ScheduleConfigure)
{
    volatile seL4_Word count = 0;
    Thread thread = start(count_forever, (void *)&count, 50);
    SUCCEEDS(seL4_DomainSet_Set(seL4_CapDomain, 3, thread.tcb));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 0, 0, ticks(2000)));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 3, ticks(1000)));
    SUCCEEDS(seL4_DomainSet_ScheduleSetStart(seL4_CapDomain, 0));
    // This domain has two milliseconds of three, and the other one the rest.
    while (count == 0)
        seL4_Yield();
    SUCCEEDS(seL4_TCB_Suspend(thread.tcb));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 0, 0));
    // What is longer than the kernel's longest turn becomes that.
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 0, 0, 0xffffffffffff));
    FAILS(seL4_RangeError, seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, CONFIG_NUM_DOMAIN_SCHEDULES, 0, ticks(1000)));
    // The smallest turn, in microseconds, is among the details.
    FAILS(seL4_RangeError, seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 0, 1));
    seL4_Word smallest = seL4_GetMR(0);
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 0, ticks(smallest)));
    FAILS(seL4_RangeError, seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 0, ticks(smallest - 1)));
    SUCCEEDS(seL4_DomainSet_ScheduleConfigure(seL4_CapDomain, 1, 0, 0));
}

TEST(seL4_DomainSet_ScheduleSetStart)
{
    SUCCEEDS(seL4_DomainSet_ScheduleSetStart(seL4_CapDomain, 0));
    FAILS(seL4_IllegalOperation, seL4_DomainSet_ScheduleSetStart(seL4_CapDomain, 7));
}

// Takes a handler of the physical timer, and lets this thread use it.
static seL4_CPtr take_timer(seL4_CPtr notification)
{
    seL4_CPtr handler = new_slot();
    seL4_IRQControl_GetTrigger(seL4_CapIRQControl, physical_timer, 0, cnode, handler, depth);
    seL4_IRQHandler_SetNotification(handler, notification);
    seL4_SchedControl_SetThreadAccess(boot->schedcontrol.start, self, 0, seL4_TCBFlag_physicalTimer);
    return handler;
}

static void ring_timer(void)
{
    __asm__ volatile("msr cntp_tval_el0, %0\n\tmsr cntp_ctl_el0, %1\n\tisb" : : "r"(1000ul), "r"(1ul));
}

static void silence_timer(void)
{
    __asm__ volatile("msr cntp_ctl_el0, xzr\n\tisb");
}

TEST(seL4_IRQControl_Get)
{
    seL4_CPtr handler = new_slot();
    SUCCEEDS(seL4_IRQControl_Get(seL4_CapIRQControl, unused_line, cnode, handler, depth));
    FAILS(seL4_RevokeFirst, seL4_IRQControl_Get(seL4_CapIRQControl, unused_line, cnode, new_slot(), depth));
}

TEST(seL4_IRQControl_GetTrigger)
{
    seL4_CPtr handler = new_slot();
    SUCCEEDS(seL4_IRQControl_GetTrigger(seL4_CapIRQControl, unused_line, 1, cnode, handler, depth));
    FAILS(seL4_RangeError, seL4_IRQControl_GetTrigger(seL4_CapIRQControl, unused_line + 1, 2, cnode, new_slot(), depth));
}

TEST(seL4_IRQControl_IssueSGISignal)
{
    seL4_CPtr signal = new_slot(), handler = new_slot(), notification = make(seL4_NotificationObject, 0);
    seL4_Word badge = 0;
    SUCCEEDS(seL4_IRQControl_Get(seL4_CapIRQControl, 9, cnode, handler, depth));
    SUCCEEDS(seL4_IRQHandler_SetNotification(handler, mint(notification, 4)));
    SUCCEEDS(seL4_IRQControl_IssueSGISignal(seL4_CapIRQControl, 9, 0, cnode, signal, depth));
    seL4_Signal(signal);
    seL4_Wait(notification, &badge);
    CHECK_EQUAL(4, badge);
    FAILS_WITH(seL4_RangeError, 1, 15, seL4_IRQControl_IssueSGISignal(seL4_CapIRQControl, 16, 0, cnode, new_slot(), depth));
}

TEST(seL4_IRQHandler_Ack)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0), handler = take_timer(mint(notification, 2));
    for (int i = 0; i < 3; ++i) {
        seL4_Word badge = 0;
        ring_timer();
        seL4_Wait(notification, &badge);
        CHECK_EQUAL(2, badge);
        silence_timer();
        SUCCEEDS(seL4_IRQHandler_Ack(handler));
    }
    FAILS(seL4_IllegalOperation, seL4_IRQHandler_Ack(cnode));
}

TEST(seL4_IRQHandler_SetNotification)
{
    seL4_CPtr handler = new_slot();
    SUCCEEDS(seL4_IRQControl_Get(seL4_CapIRQControl, unused_line, cnode, handler, depth));
    SUCCEEDS(seL4_IRQHandler_SetNotification(handler, make(seL4_NotificationObject, 0)));
    FAILS_WITH(seL4_InvalidCapability, 0, 1, seL4_IRQHandler_SetNotification(handler, cnode));
}

TEST(seL4_IRQHandler_Clear)
{
    seL4_CPtr notification = make(seL4_NotificationObject, 0), handler = take_timer(notification);
    seL4_Word badge = 7;
    SUCCEEDS(seL4_IRQHandler_Clear(handler));
    ring_timer();
    sleep_us(100);
    seL4_Poll(notification, &badge);
    silence_timer();
    CHECK_EQUAL(0, badge);
    FAILS(seL4_IllegalOperation, seL4_IRQHandler_Clear(cnode));
}
