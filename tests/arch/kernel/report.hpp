// SPDX-License-Identifier: BSD-2-Clause
// Results of the architecture tests on the kernel's console, in the Test Anything Protocol.
#pragma once

#include "core/types.hpp"

namespace caprock::arch_test {

/// Prints a result. `name`: "group: what holds"; `value`: printed beside a failure.
void check(const char* name, bool passed, Word value = 0);

/// Prints the plan and `caprock: exit 0`, or 1 if a check failed, which ends the run; then stops the machine.
[[noreturn]] void finish();

}  // namespace caprock::arch_test
