// SPDX-License-Identifier: BSD-2-Clause
// PL011 (Arm DDI 0183) and mini-UART (BCM2711 ARM Peripherals, 2.2).
#include "tests/conformance/driver/console.hpp"

#include "caprock/syscall.hpp"

namespace caprock::conformance {

namespace {

struct Registers {
    uint64_t data;
    uint64_t status;
    uint32_t status_mask;    // of the bit that says whether a character can be written
    uint32_t status_ready;   // its value then
    uint64_t interrupts;     // enable register
};
constexpr Registers pl011 = {.data = 0x00, .status = 0x18, .status_mask = 1u << 5, .status_ready = 0, .interrupts = 0x38};
constexpr Registers mini_uart = {.data = 0x00, .status = 0x14, .status_mask = 1u << 5, .status_ready = 1u << 5, .interrupts = 0x04};

constinit uint64_t console = 0;
constinit const Registers* registers = &pl011;

volatile uint32_t& at(uint64_t offset) { return *reinterpret_cast<volatile uint32_t*>(console + offset); }

void put(char character) {
    while ((at(registers->status) & registers->status_mask) != registers->status_ready) {}
    at(registers->data) = static_cast<uint8_t>(character);
}

}  // namespace

void open_console(const abi::RootPlatform& platform, uint64_t address) {
    console = address;
    if (platform.console_kind == static_cast<uint64_t>(abi::ConsoleKind::MiniUart)) registers = &mini_uart;
}

void silence_console() { at(registers->interrupts) = 0; }

void print(const loader::Text& text) {
    if (console == 0) return;
    for (const char character : text) {
        if (character == '\n') put('\r');
        put(character);
    }
}

void bail_out(const char* file, unsigned line, const char* what, uint64_t error) {
    print(loader::Text() << "Bail out! " << file << ":" << uint64_t{line} << ": " << what << " is error " << error << "\ncaprock: exit 1\n");
    for (;;) sys::yield();
}

}  // namespace caprock::conformance
