// SPDX-License-Identifier: BSD-2-Clause
// The driver's console, and how a run ends that cannot go on.
#pragma once

#include "capdl/loader/uart.hpp"

namespace caprock::conformance {

/// The UART that the device tree names, by polling, in both kernels alike.
extern loader::Uart console;

/// Ends the run: what the driver itself has to do cannot be done.
[[noreturn]] void bail_out(const char* file, unsigned line, const char* what, uint64_t error);

/// The value of a Result that cannot be an error unless the kernel or the driver is wrong.
#define MUST(result) \
    ([&](const auto& outcome) { \
        if (!outcome.ok()) ::caprock::conformance::bail_out(__FILE_NAME__, __LINE__, #result, static_cast<uint64_t>(outcome.error())); \
        return outcome.value(); \
    }(result))

}  // namespace caprock::conformance
