// SPDX-License-Identifier: BSD-2-Clause
// The end of the kernel, and assertions: a debug build checks them, a production build does not contain them.
#pragma once

#include "arch/seam.hpp"
#include "config.hpp"

namespace caprock {

// Prints `caprock: halt: kernel: <reason>` on the kernel's console, if it still has one, and stops the machine.
[[noreturn]] void panic(const char* reason);

inline void assert_that(bool condition, const char* invariant) {
    if constexpr (debug_build) {
        if (!condition) panic(invariant);
    }
}

}  // namespace caprock
