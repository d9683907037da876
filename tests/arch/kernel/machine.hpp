// SPDX-License-Identifier: BSD-2-Clause
// Checks of the processor's set-up that the kernel can make of itself.
#pragma once

#include "caprock/abi.hpp"

namespace caprock::arch_test {

/// Checks what the other cores came to, the registers that EL1 can read, the answers of the EL2 stub, and memory maintenance. Leaves the
/// interrupt controller as it was.
void check_machine(const abi::BootInfo& info, unsigned cores_up);

/// Whether the timer's interrupt that is being handled is held back until deactivated, comes again then, and goes with its cause. To be
/// called with nothing acknowledged yet; leaves the timer quiet.
void check_timer_interrupt();

}  // namespace caprock::arch_test
