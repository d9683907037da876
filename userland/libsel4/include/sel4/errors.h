// SPDX-License-Identifier: BSD-2-Clause
// Results of invocations; the numbers are the kernel's.
#pragma once

#include <sel4/macros.h>

typedef enum seL4_Error {
    seL4_NoError = 0,
    seL4_InvalidArgument,
    seL4_InvalidCapability,
    seL4_IllegalOperation,
    seL4_RangeError,
    seL4_AlignmentError,
    seL4_FailedLookup,
    seL4_TruncatedMessage,
    seL4_DeleteFirst,
    seL4_RevokeFirst,
    seL4_NotEnoughMemory,
    // Caprock's own: a receiver refused the message, or the answer to a call will not come.
    seL4_NoDonation,
    seL4_CallCancelled,
    seL4_NumErrors,
    SEL4_FORCE_LONG_ENUM(seL4_Error)
} seL4_Error;
