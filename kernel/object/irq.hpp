// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "sched/core.hpp"

namespace caprock {

// A device's interrupt has come: signals the notification that its handler set. Without one the interrupt is masked.
void handle_device_irq(Core& core, Irq irq);

// Signals the notification of an interrupt's handler, if there is one.
bool signal_irq(Core& core, Irq irq);

// The interrupt controller knows it: it is not SError.
constexpr bool has_line(Irq irq) { return irq.raw != abi::irq_serror; }

}  // namespace caprock
