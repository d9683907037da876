// SPDX-License-Identifier: BSD-2-Clause
// Everything is in <sel4/deprecated.h>; this name is for software that includes it.
#pragma once

#include <sel4/deprecated.h>
