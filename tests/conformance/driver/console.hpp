// SPDX-License-Identifier: BSD-2-Clause
// The driver's console: the UART that the device tree names, by polling, in both kernels alike.
#pragma once

#include "caprock/abi.hpp"
#include "capdl/loader/text.hpp"

namespace caprock::conformance {

/// From here on there is a console, whose registers are at `address`.
void open_console(const abi::RootPlatform& platform, uint64_t address);
/// Turns the UART's interrupts off, whatever a test did to them.
void silence_console();
/// Prints a text; nothing while there is no console.
void print(const loader::Text& text);

/// Ends the run: what the driver itself has to do cannot be done.
[[noreturn]] void bail_out(const char* file, unsigned line, const char* what, uint64_t error);

/// The value of a Result that cannot be an error unless the kernel or the driver is wrong.
#define MUST(result) \
    ([&](const auto& outcome) { \
        if (!outcome.ok()) ::caprock::conformance::bail_out(__FILE_NAME__, __LINE__, #result, static_cast<uint64_t>(outcome.error())); \
        return outcome.value(); \
    }(result))

}  // namespace caprock::conformance
