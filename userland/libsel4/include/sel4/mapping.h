// SPDX-License-Identifier: BSD-2-Clause
// What a mapping call that failed says of the page table that is missing.
#pragma once

#include <sel4/functions.h>

// The word with the address bits that were left, and its values.
#define SEL4_MAPPING_LOOKUP_LEVEL 2
#define SEL4_MAPPING_LOOKUP_NO_PT 21
#define SEL4_MAPPING_LOOKUP_NO_PD 30
#define SEL4_MAPPING_LOOKUP_NO_PUD 39

/// Of the mapping call that just returned seL4_FailedLookup: which table is missing.
LIBSEL4_INLINE_FUNC seL4_Word seL4_MappingFailedLookupLevel(void)
{
    return seL4_GetMR(SEL4_MAPPING_LOOKUP_LEVEL);
}
