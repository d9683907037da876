// SPDX-License-Identifier: BSD-2-Clause
// Polled console output, and the one way in which the shim ends badly.
#pragma once

#include <stdint.h>

#include "device_tree.hpp"
#include "problem.hpp"

namespace caprock::shim {

// Makes `console` the one that is printed on, switching its transmitter on if the loader has not. The baud rate is the loader's.
void open_console(const Console& console);

// Opens a console without a device tree: the UART that the board which this seems to be is known to have. `load_address` is the shim's own.
//
// The boards that the project knows tell themselves apart by where RAM is: on QEMU's virt it starts at 1 GiB, so that code below that must
// be on a Raspberry Pi 4, whose boot loaders in turn load below 1 GiB. A guess is believed only if the PrimeCell identification that is
// read there is a PL011's, or if the firmware has switched the mini-UART on; nothing is written before. A read that no device answers ends
// in the exception vectors, which halt in silence.
void open_fallback_console(uint64_t load_address);

// Whether anything that is printed can be seen.
bool console_open();

void print(const char* text);
void print_decimal(uint64_t value);
void print_hex(uint64_t value);

// Prints "caprock: halt: ..." and stops this core for good.
[[noreturn]] void halt(const Problem& problem);

}  // namespace caprock::shim
