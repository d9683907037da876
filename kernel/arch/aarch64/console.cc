// SPDX-License-Identifier: BSD-2-Clause
// PL011 (Arm DDI 0183) and BCM2835 mini-UART (BCM2711 peripherals, section 2.2) output. Baud rate and pins are firmware's.
#include "console.hpp"

#include "mmu.hpp"

namespace caprock::arch {
namespace {
enum class Pl011 : Word { DR = 0x00, FR = 0x18 };
constexpr uint32_t FR_TXFF = 1 << 5;
enum class MiniUart : Word { IO = 0x00, LSR = 0x14 };
constexpr uint32_t LSR_TX_EMPTY = 1 << 5;

constexpr Word register_bytes = 0x40;
abi::ConsoleKind kind = abi::ConsoleKind::None;
Mmio device;

void send(char character) {
    const auto byte = static_cast<uint8_t>(character);
    if (kind == abi::ConsoleKind::Pl011) {
        while ((device.read(Pl011::FR) & FR_TXFF) != 0) {
        }
        device.write(Pl011::DR, byte);
    } else if (kind == abi::ConsoleKind::MiniUart) {
        while ((device.read(MiniUart::LSR) & LSR_TX_EMPTY) == 0) {
        }
        device.write(MiniUart::IO, byte);
    }
}
}  // namespace

void console_initialise(const abi::BootInfo& info) {
    const auto wanted = static_cast<abi::ConsoleKind>(info.console_kind);
    if (wanted != abi::ConsoleKind::Pl011 && wanted != abi::ConsoleKind::MiniUart)
        return;
    device = map_device(PhysAddr(info.console.start + info.console_offset), register_bytes);
    kind = wanted;
}

void give_up_console() {
    if (kind == abi::ConsoleKind::None)
        return;
    kind = abi::ConsoleKind::None;
    unmap_device(device.address(), register_bytes);
    device = Mmio();
}

// A terminal wants CR LF.
void console_put(char character) {
    if (character == '\n')
        send('\r');
    send(character);
}

void print(const char* text) {
    for (; *text != '\0'; text++)
        console_put(*text);
}

void print_hex(Word value) {
    print("0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        console_put("0123456789abcdef"[(value >> shift) & 0xf]);
}
}  // namespace caprock::arch
