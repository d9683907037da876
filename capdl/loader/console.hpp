// SPDX-License-Identifier: BSD-2-Clause
// The UART that the device tree names, written to by polling. The loader has it only while it prints: its page is retyped from an
// untyped that holds it, or shared with the frame that the system has of it.
#pragma once

#include "capdl/loader/loader.hpp"
#include "capdl/loader/uart.hpp"

namespace caprock::loader {

class Console {
public:
    /// Physical address of the console's page, or alloc::any_address when the board has no console.
    static uint64_t page_address(const Loader& loader);

    explicit Console(Loader& loader) : loader_(loader) {}

    /// Takes the page from the kernel's device untyped that holds it, and all else that was made of that untyped with it. False when
    /// there is no such page; write() then does nothing.
    bool open();
    /// Retypes the page from the untyped in `slot`, which has no children and holds it.
    bool open_untyped(uint64_t slot, const alloc::Untyped& untyped);
    /// Uses the page through a copy of the frame in `slot`, of 2^size_bits bytes (12 or 21), which holds it.
    bool open_frame(uint64_t slot, unsigned size_bits);
    void write(const Text& text) { uart_.write(text); }
    /// Undoes what open did.
    void close();

private:
    bool map(uint64_t slot, unsigned size_bits);

    Loader& loader_;
    Uart uart_;
    uint64_t revoke_slot_ = 0;  // untyped that the page was made of
    uint64_t copy_slot_ = 0;    // copy of a frame that it was mapped by
};

}  // namespace caprock::loader
