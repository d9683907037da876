// SPDX-License-Identifier: BSD-2-Clause
#include "machine.hpp"

// Where the SDK's stubs find the IPC buffer.
extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;
extern const char image_start[];
}

namespace caprock::fuzz {

namespace {

constexpr abi::CapRights read_write = abi::CapRights::make(1, 1, 0, 0);

Result<void> retype(uint64_t untyped, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count = 1) {
    return Cap<Untyped>{untyped}.retype(type, bits, 0, 0, slot, count, root_cnode);
}

}  // namespace

bool Machine::start(const abi::RootBootInfo& info) {
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(info.ipc_buffer);
    boot_ = loader::read_boot_info(info);
    next_slot_ = info.empty.start;
    if (boot_.platform == nullptr) return false;
    unsigned most = 0;
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = info.untyped_list[i];
        if (untyped.is_device != 0 || untyped.size_bits <= most) continue;
        most = untyped.size_bits;
        memory_ = boot_.untyped_slot(i);
    }
    own_memory_ = take_memory(own_memory_bits);
    if (own_memory_.is_null()) return false;
    // The window's table; the tables above it are those of the image.
    Cap<PageTable> table = make<PageTable>(abi::ObjectType::PageTable);
    return !table.is_null() && table.map(window_address, abi::VMAttributes::make(1, 0, 1), root_vspace).ok() && open_console();
}

uint64_t Machine::take_slots(uint64_t count) {
    uint64_t first = next_slot_;
    next_slot_ += count;
    if (next_slot_ > boot_.slot_count()) __builtin_trap();
    return first;
}

uint64_t Machine::make_object(abi::ObjectType type, uint64_t bits) {
    uint64_t slot = take_slots();
    return retype(own_memory_.address(), type, bits, slot).ok() ? slot : 0;
}

Cap<Untyped> Machine::take_memory(unsigned bits) {
    uint64_t slot = take_slots();
    return Cap<Untyped>{retype(memory_, abi::ObjectType::Untyped, bits, slot).ok() ? slot : 0};
}

Cap<Frame> Machine::image_frame(const void* address) const {
    uint64_t page = (reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(image_start)) / page_size;
    return Cap<Frame>{boot_.info->user_image_frames.start + page};
}

bool Machine::map(Cap<Frame> frame, unsigned page, bool device) {
    return frame.map(window_address + page * page_size, read_write, abi::VMAttributes::make(!device, 0, 1), root_vspace).ok();
}

// -- Console

// The frame of the page at physical address `address`: the untyped that holds it is halved until it is one page.
uint64_t Machine::device_page(uint64_t address) {
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = boot_.info->untyped_list[i];
        uint64_t start = untyped.paddr;
        unsigned bits = untyped.size_bits;
        if (untyped.is_device == 0 || address < start || address - start >= uint64_t{1} << bits) continue;
        uint64_t slot = boot_.untyped_slot(i);
        while (bits > 12) {
            uint64_t halves = take_slots(2);
            if (!retype(slot, abi::ObjectType::Untyped, --bits, halves, 2).ok()) return 0;
            uint64_t upper = start + (uint64_t{1} << bits);
            slot = address < upper ? halves : halves + 1;
            start = address < upper ? start : upper;
        }
        uint64_t frame = take_slots();
        return retype(slot, abi::ObjectType::SmallPage, 0, frame).ok() ? frame : 0;
    }
    return 0;
}

bool Machine::open_console() {
    uint64_t address = boot_.platform->console_paddr;
    console_ = Cap<Frame>{device_page(address)};
    if (console_.is_null() || !map(console_, console_page, true)) return false;
    uart_.open(static_cast<abi::ConsoleKind>(boot_.platform->console_kind), window_address + console_page * page_size + address % page_size);
    return true;
}

}  // namespace caprock::fuzz
