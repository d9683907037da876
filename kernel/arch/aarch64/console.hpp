// SPDX-License-Identifier: BSD-2-Clause
// The kernel's console while it has one: polled output on the UART that the boot loader left configured.
#pragma once

#include "arch/seam.hpp"
#include "caprock/abi.hpp"

namespace caprock::arch {

/// Starts to use the console that `info` names, if it names one.
void console_initialise(const abi::BootInfo& info);

/// Unmaps the console; from then on nothing is printed. Before the first user instruction of a production build.
void give_up_console();

void print(const char* text);
/// Prints `value` as 0x and sixteen hexadecimal digits.
void print_hex(Word value);

}  // namespace caprock::arch
