// SPDX-License-Identifier: BSD-2-Clause
// The console: how the loader comes by its page, and the two UARTs. Failing to open is no error in itself: there would be nowhere to
// report it.
#include "capdl/loader/console.hpp"

#include "capdl/loader/create.hpp"
#include "capdl/loader/report.hpp"
#include "capdl/loader/windows.hpp"

namespace caprock::loader {
namespace {

constexpr uint64_t page_bytes = 4096;

// PL011 (Arm DDI 0183): data, flags and the bit "transmit FIFO full".
constexpr uint64_t pl011_data = 0x00;
constexpr uint64_t pl011_flags = 0x18;
constexpr uint32_t pl011_transmit_full = 1u << 5;

// Mini-UART (BCM2711 ARM Peripherals, 2.2): data, line status and the bit "transmitter empty".
constexpr uint64_t mini_uart_data = 0x00;
constexpr uint64_t mini_uart_line_status = 0x14;
constexpr uint32_t mini_uart_transmitter_empty = 1u << 5;

bool is_mini_uart(const Loader& loader) { return loader.boot.platform->console_kind == static_cast<uint64_t>(abi::ConsoleKind::MiniUart); }

}  // namespace

uint64_t Console::page_address(const Loader& loader) {
    const abi::RootPlatform* platform = loader.boot.platform;
    if (platform == nullptr || platform->console_kind == static_cast<uint64_t>(abi::ConsoleKind::None)) return alloc::any_address;
    return platform->console_paddr & ~(page_bytes - 1);
}

bool Console::open() {
    const uint64_t page = page_address(loader_);
    if (page == alloc::any_address) return false;
    for (uint64_t i = 0; i < loader_.boot.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = loader_.boot.info->untyped_list[i];
        if (page < untyped.paddr || page - untyped.paddr >= uint64_t{1} << untyped.size_bits) continue;
        const uint64_t slot = loader_.boot.untyped_slot(i);
        if (!root_cnode.revoke(slot, address_bits).ok()) return false;
        return open_untyped(slot, {untyped.paddr, untyped.size_bits, untyped.is_device != 0});
    }
    return false;
}

bool Console::open_untyped(uint64_t slot, const alloc::Untyped& untyped) {
    alloc::Object frame{page_address(loader_), abi::ObjectType::SmallPage, 12};
    uint32_t order[1];
    uint64_t addresses[1];
    alloc::Step steps[console_slots];
    alloc::Piece pieces[console_slots];
    uint32_t numbers[2][console_slots];
    const alloc::Workspace workspace{{order, 1},
                                     {addresses, 1},
                                     {steps, console_slots},
                                     {pieces, console_slots},
                                     {numbers[0], console_slots},
                                     {numbers[1], console_slots}};
    const alloc::Outcome outcome = plan({&untyped, 1}, {&frame, 1}, workspace);
    if (outcome.problem != alloc::Problem::None) return false;
    // All pieces but the given one are paddings of it, so every step retypes the given one.
    revoke_slot_ = slot;
    for (uint32_t i = 0; i < outcome.steps; ++i)
        if (!retype(Cap<Untyped>{slot}, steps[i], loader_.console_slot + i).ok()) return false;
    return map(loader_.console_slot + outcome.steps - 1, frame.size_bits);
}

bool Console::open_frame(uint64_t slot, unsigned size_bits) {
    copy_slot_ = loader_.console_slot;
    if (!root_cnode.copy(copy_slot_, address_bits, slot, address_bits, all_rights, root_cnode).ok()) return false;
    return map(copy_slot_, size_bits);
}

bool Console::map(uint64_t slot, unsigned size_bits) {
    const uint64_t window = size_bits == 12 ? console_window() : fill_window(size_bits);
    const abi::VMAttributes attributes = abi::VMAttributes::make(0, 0, 1);
    if (!Cap<Frame>{slot}.map(window, read_write, attributes, root_vspace).ok()) return false;
    base_ = window + (loader_.boot.platform->console_paddr & ((uint64_t{1} << size_bits) - 1));
    return true;
}

volatile uint32_t& Console::reg(uint64_t offset) const { return *reinterpret_cast<volatile uint32_t*>(base_ + offset); }

bool Console::busy() const {
    if (is_mini_uart(loader_)) return (reg(mini_uart_line_status) & mini_uart_transmitter_empty) == 0;
    return (reg(pl011_flags) & pl011_transmit_full) != 0;
}

void Console::write(const Text& text) {
    if (base_ == 0) return;
    for (const char character : text) {
        if (character == '\n') put('\r');
        put(character);
    }
}

void Console::put(char character) {
    while (busy()) {
    }
    reg(is_mini_uart(loader_) ? mini_uart_data : pl011_data) = static_cast<uint8_t>(character);
}

void Console::close() {
    base_ = 0;
    if (copy_slot_ != 0) loader_.delete_slot(copy_slot_);
    if (revoke_slot_ != 0) {
        check(root_cnode.revoke(revoke_slot_, address_bits), [](Text& text) { text << "giving the console's page back"; });
    }
    copy_slot_ = 0;
    revoke_slot_ = 0;
}

}  // namespace caprock::loader
