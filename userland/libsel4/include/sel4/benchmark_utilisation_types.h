// SPDX-License-Identifier: BSD-2-Clause
// The kernel keeps no such records: there is nothing to declare, and the name is for software that includes it.
#pragma once

#include <sel4/config.h>
