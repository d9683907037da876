// SPDX-License-Identifier: BSD-2-Clause
// A board has no constants of its own: what differs comes from the device tree.
#pragma once

#include <sel4/constants.h>
