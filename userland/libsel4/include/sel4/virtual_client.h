// SPDX-License-Identifier: BSD-2-Clause
// Methods that are made of others.
#pragma once

#include <interfaces/sel4_client.h>

/// seL4_SchedControl_ConfigureFlags without flags.
LIBSEL4_INLINE seL4_Error seL4_SchedControl_Configure(seL4_SchedControl _service, seL4_SchedContext schedcontext, seL4_Time budget,
                                                      seL4_Time period, seL4_Word extra_refills, seL4_Word badge)
{
    return seL4_SchedControl_ConfigureFlags(_service, schedcontext, budget, period, extra_refills, badge, seL4_SchedContext_NoFlag);
}
