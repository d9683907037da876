// SPDX-License-Identifier: BSD-2-Clause
// Checks of the processor's set-up that the kernel can make of itself.
#pragma once

#include "caprock/abi.hpp"
#include "core/types.hpp"

namespace caprock::arch_test {

/// Checks what the other cores came to, the registers that EL1 can read, the answers of the EL2 stub, and memory maintenance. Leaves the
/// interrupt controller as it was.
void check_machine(const abi::BootInfo& info, unsigned cores_up);

/// Whether the timer's interrupt that is being handled is held back until deactivated, comes again then, and goes with its cause. `irq`: what
/// was acknowledged. Leaves the timer quiet.
void check_timer_interrupt(Irq irq);

/// Counts instructions of the operations on memory that have no preemption point, and nothing else. For a machine whose virtual time
/// advances one nanosecond with each.
void check_work();

}  // namespace caprock::arch_test
