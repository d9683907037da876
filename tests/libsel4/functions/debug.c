// SPDX-License-Identifier: BSD-2-Clause
// The debug group, in programs for the debug kernel.
#include "testing.h"

#ifdef CONFIG_DEBUG_BUILD
TEST(seL4_DebugPutChar)
{
    seL4_DebugPutChar('#');
    seL4_DebugPutString(" put by the kernel\n");
}

TEST(seL4_DebugCapIdentify)
{
    CHECK_EQUAL(CAPROCK_CAP_TYPE_TCB, seL4_DebugCapIdentify(self));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_NULL, seL4_DebugCapIdentify(0));
    CHECK_EQUAL(CAPROCK_CAP_TYPE_ENDPOINT, seL4_DebugCapIdentify(make(seL4_EndpointObject, 0)));
}

static void nothing(void *argument)
{
    (void)argument;
}

TEST(seL4_DebugNameThread)
{
    Thread thread = new_thread(nothing, 0, 33);
    seL4_DebugNameThread(thread.tcb, "worker-of-this-test");
    seL4_DebugDumpScheduler();
    seL4_DebugSnapshot();
}

TEST(debug_configuration)
{
    CHECK_EQUAL(1, CONFIG_PRINTING);
}
#else
TEST(production_configuration)
{
#ifdef CONFIG_PRINTING
    CHECK(0);
#endif
    CHECK_EQUAL(64, CONFIG_WORD_SIZE);
}
#endif
