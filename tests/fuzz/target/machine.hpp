// SPDX-License-Identifier: BSD-2-Clause
// What the supervisor stands on: the root task's capabilities, slots, memory, the console, and places in its address space.
#pragma once

#include "capdl/loader/boot_info.hpp"
#include "capdl/loader/text.hpp"
#include "capdl/loader/uart.hpp"
#include "caprock/objects.hpp"

namespace caprock::fuzz {

using loader::Hex;
using loader::Text;

inline constexpr uint64_t address_bits = 64;
inline constexpr uint64_t page_size = 4096;

inline constexpr Cap<CNode> root_cnode{static_cast<uint64_t>(abi::InitSlot::CNode)};
inline constexpr Cap<VSpace> root_vspace{static_cast<uint64_t>(abi::InitSlot::VSpace)};
inline constexpr Cap<TCB> root_tcb{static_cast<uint64_t>(abi::InitSlot::TCB)};

class Machine {
public:
    /// Takes what the kernel gave. False when something is missing: then there is nobody to tell.
    bool start(const abi::RootBootInfo& info);

    const abi::RootBootInfo& info() const { return *boot_.info; }
    /// Slots that are empty, for good.
    uint64_t take_slots(uint64_t count = 1);
    /// A new object of the supervisor's own memory; null when that failed.
    template <class T>
    Cap<T> make(abi::ObjectType type, uint64_t bits = 0) {
        return Cap<T>{make_object(type, bits)};
    }
    /// An untyped of 2^bits bytes that nothing else uses; null when there is none.
    Cap<Untyped> take_memory(unsigned bits);
    /// The frame of the page of the image that holds `address`.
    Cap<Frame> image_frame(const void* address) const;
    /// Maps a frame of 4 KiB, uncached and for devices if `device`, at a page of the supervisor's window. False when that failed.
    bool map(Cap<Frame> frame, unsigned page, bool device = false);
    static volatile uint64_t* window(unsigned page) { return reinterpret_cast<volatile uint64_t*>(window_address + page * page_size); }
    void print(const Text& text) { uart_.write(text); }
    /// The frame of the console's registers. What it has printed makes its interrupt pending; a PL011's comes once `let_interrupt` is in its
    /// register `interrupt_mask`, until silence() is called.
    Cap<Frame> console() const { return console_; }
    static constexpr uint64_t interrupt_mask = 0x38;
    static constexpr uint64_t let_interrupt = 1 << 5;
    static void silence() { *reinterpret_cast<volatile uint32_t*>(window_address + console_page * page_size + interrupt_mask) = 0; }

private:
    // 2 MiB with a page table of their own.
    static constexpr uint64_t window_address = 0x1000'0000;
    static constexpr unsigned console_page = 511;
    static constexpr unsigned own_memory_bits = 20;

    uint64_t make_object(abi::ObjectType type, uint64_t bits);
    bool open_console();
    uint64_t device_page(uint64_t address);

    loader::BootView boot_;
    uint64_t next_slot_ = 0;
    uint64_t memory_ = 0;          // the kernel's untyped that everything is made of
    Cap<Untyped> own_memory_{};
    loader::Uart uart_;
    Cap<Frame> console_{};
};

}  // namespace caprock::fuzz
