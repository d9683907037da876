// SPDX-License-Identifier: BSD-2-Clause
// libsel4's own configuration.
#pragma once

#define CONFIG_LIB_SEL4_INLINE_INVOCATIONS 1
