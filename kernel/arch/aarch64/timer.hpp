// SPDX-License-Identifier: BSD-2-Clause
// Timer start-up; its use is in arch/seam.hpp.
#pragma once

#include "caprock/abi.hpp"

namespace caprock::arch {

/// Takes the counter's frequency from `info` and opens the virtual timer's interrupt on the boot core. Panics by name on a frequency of
/// zero. The interrupt controller must be up.
void timer_initialise(const abi::BootInfo& info);

}  // namespace caprock::arch
