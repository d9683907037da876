// SPDX-License-Identifier: BSD-2-Clause
#include "capdl/loader/uart.hpp"

namespace caprock::loader {

void Uart::open(abi::ConsoleKind kind, uint64_t registers) {
    layout_ = kind == abi::ConsoleKind::MiniUart ? &mini_uart_ : &pl011_;
    registers_ = registers;
}

void Uart::silence() { at(layout_->interrupts) = 0; }

void Uart::write(const Text& text) {
    if (registers_ == 0) return;
    for (const char character : text) {
        if (character == '\n') put('\r');
        put(character);
    }
}

void Uart::put(char character) {
    while ((at(layout_->status) & layout_->status_mask) != layout_->status_ready) {
    }
    at(layout_->data) = static_cast<uint8_t>(character);
}

}  // namespace caprock::loader
