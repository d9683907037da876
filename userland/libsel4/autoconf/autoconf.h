// SPDX-License-Identifier: BSD-2-Clause
// The configuration, under the name by which build systems of this ecosystem include it.
#pragma once

#include <kernel/gen_config.h>
#include <sel4/gen_config.h>
