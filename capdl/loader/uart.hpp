// SPDX-License-Identifier: BSD-2-Clause
// The UART that the device tree names, written to by polling: before there is a driver, and in root tasks that have none.
#pragma once

#include "capdl/loader/text.hpp"
#include "caprock/abi.hpp"

namespace caprock::loader {

class Uart {
public:
    /// From here on there is a UART of `kind`, whose registers are mapped from virtual address `registers` on.
    void open(abi::ConsoleKind kind, uint64_t registers);
    void close() { registers_ = 0; }
    /// Turns its interrupts off.
    void silence();
    /// Writes a text, with line ends as terminals want them; nothing while there is no UART.
    void write(const Text& text);

private:
    struct Layout {
        uint64_t data;
        uint64_t status;
        uint32_t status_mask;   // of the bit that says whether a character can be written
        uint32_t status_ready;  // its value then
        uint64_t interrupts;    // enable register
    };
    // PL011 (Arm DDI 0183) and mini-UART (BCM2711 ARM Peripherals, 2.2).
    static constexpr Layout pl011_{.data = 0x00, .status = 0x18, .status_mask = 1u << 5, .status_ready = 0, .interrupts = 0x38};
    static constexpr Layout mini_uart_{.data = 0x00, .status = 0x14, .status_mask = 1u << 5, .status_ready = 1u << 5, .interrupts = 0x04};

    volatile uint32_t& at(uint64_t offset) const { return *reinterpret_cast<volatile uint32_t*>(registers_ + offset); }
    void put(char character);

    const Layout* layout_ = &pl011_;
    uint64_t registers_ = 0;
};

}  // namespace caprock::loader
