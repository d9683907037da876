// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "sched/core.hpp"

namespace caprock {

// A device's interrupt has come: signals the notification that its handler set. Without one the interrupt is masked.
void handle_device_irq(Core& core, Irq irq);

}  // namespace caprock
