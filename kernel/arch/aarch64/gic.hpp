// SPDX-License-Identifier: BSD-2-Clause
// Interrupt controller start-up; its use is in arch/seam.hpp.
#pragma once

#include "caprock/abi.hpp"

namespace caprock::arch {

/// Maps the interrupt controller of `info` and puts every shared interrupt into a known state: masked, idle, for the boot core. Panics by
/// name on a version other than 2 and 3.
void gic_initialise(const abi::BootInfo& info);

/// Starts this core's part: its private interrupts masked and idle, its CPU interface open with split priority drop and deactivation.
void gic_initialise_core(unsigned core);

/// No interrupt is signalled to this core any more, which could only wake it for nothing.
void gic_close_core();

}  // namespace caprock::arch
