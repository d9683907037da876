// SPDX-License-Identifier: BSD-2-Clause
// Everything is in <sel4/constants.h>; this name is for software that includes it.
#pragma once

#include <sel4/constants.h>
