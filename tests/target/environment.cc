// SPDX-License-Identifier: BSD-2-Clause
// How the environment is made of what the kernel gave.
#include "tests/target/environment.hpp"

// Where the SDK's stubs find the IPC buffer.
extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;

extern const char image_start[];
extern const char constants_start[];
extern const char data_start[];
extern const char image_end[];
}

namespace caprock::target {

constinit Environment environment;

namespace {

constexpr unsigned kept_memory_bits = 22;

// PL011 (Arm DDI 0183): data, flags and the bit "transmit FIFO full".
constexpr uint64_t pl011_data = 0x00;
constexpr uint64_t pl011_flags = 0x18;
constexpr uint32_t pl011_transmit_full = 1u << 5;

// Mini-UART (BCM2711 ARM Peripherals, 2.2): data, line status and the bit "transmitter empty".
constexpr uint64_t mini_uart_data = 0x00;
constexpr uint64_t mini_uart_line_status = 0x14;
constexpr uint32_t mini_uart_transmitter_empty = 1u << 5;

// Below the windows of the tests.
constexpr uint64_t console_window = small_window - page_bytes;

Result<void> retype(Cap<Untyped> untyped, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count = 1) {
    return untyped.retype(type, bits, 0, 0, slot, count, root_cnode);
}

// Makes the tables that are missing for `address`.
bool map_tables(Cap<VSpace> vspace, uint64_t address) {
    for (;;) {
        const Result<CapRef> table = try_create(abi::ObjectType::PageTable);
        if (!table.ok()) return false;
        const Result<void> mapped = Cap<PageTable>{table.value().address()}.map(address, cached, vspace);
        if (!mapped.ok()) return mapped.error() == abi::Error::DeleteFirst;
    }
}

bool copy_page(Cap<VSpace> vspace, const char* page) {
    const Cap<Frame> copy{environment.take_slots()};
    const Cap<Frame> frame = environment.image_frame(page);
    if (!root_cnode.copy(copy.address(), address_bits, frame.address(), address_bits, all_rights, root_cnode).ok()) return false;
    const abi::CapRights rights = page >= data_start ? read_write : read_only;
    return copy.map(reinterpret_cast<uint64_t>(page), rights, page < constants_start ? cached_executable : cached, vspace).ok();
}

}  // namespace

bool copy_image(Cap<VSpace> vspace) {
    constexpr uint64_t table_bytes = 512 * page_bytes;
    for (const char* page = image_start; page < image_end; page += page_bytes) {
        const uint64_t address = reinterpret_cast<uint64_t>(page);
        const bool first_of_table = page == image_start || address % table_bytes == 0;
        if ((first_of_table && !map_tables(vspace, address)) || !copy_page(vspace, page)) return false;
    }
    return true;
}

bool Environment::start(const abi::RootBootInfo& info) {
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(info.ipc_buffer);
    started_ = now();
    boot_ = loader::read_boot_info(info);
    next_slot_ = info.empty.start;
    if (boot_.platform == nullptr) return false;
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = info.untyped_list[i];
        if (untyped.is_device == 0) continue;
        devices_[device_count_++] = {.slot = boot_.untyped_slot(i), .address = untyped.paddr, .size_bits = untyped.size_bits};
    }
    next_device_slot_ = boot_.slot_count();
    return take_memory() && map_windows() && open_console() && make_other_space();
}

bool Environment::take_memory() {
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = boot_.info->untyped_list[i];
        if (untyped.is_device != 0 || untyped.size_bits <= memory_bits) continue;
        memory_source_ = boot_.untyped_slot(i);
        test_memory_slot_ = take_slots(2);
        memory_slot_ = test_memory_slot_ + 1;
        return retype(Cap<Untyped>{memory_source_}, abi::ObjectType::Untyped, memory_bits, test_memory_slot_).ok() &&
               retype(Cap<Untyped>{memory_source_}, abi::ObjectType::Untyped, kept_memory_bits, memory_slot_).ok();
    }
    return false;
}

bool Environment::map_windows() { return map_tables(root_vspace, console_window) && map_tables(root_vspace, small_window); }

bool Environment::open_console() {
    const Cap<Frame> frame = device_frame(boot_.platform->console_paddr);
    if (frame.is_null() || !frame.map(console_window, read_write, uncached, root_vspace).ok()) return false;
    console_ = console_window + boot_.platform->console_paddr % page_bytes;
    return true;
}

bool Environment::make_other_space() {
    const Result<CapRef> vspace = try_create(abi::ObjectType::VSpace);
    if (!vspace.ok()) return false;
    other_vspace_ = Cap<VSpace>{vspace.value().address()};
    return root_asid_pool.assign(other_vspace_).ok() && copy_image(other_vspace_);
}

void Environment::keep() {
    first_test_slot_ = next_slot_;
    memory_slot_ = test_memory_slot_;
}

Cap<Frame> Environment::image_frame(const volatile void* address) const {
    const uint64_t page = (reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(image_start)) / page_bytes;
    return Cap<Frame>{boot_.info->user_image_frames.start + page};
}

uint64_t Environment::take_slots(uint64_t count) {
    const uint64_t first = next_slot_;
    next_slot_ += count;
    if (next_slot_ > next_device_slot_) __builtin_trap();
    return first;
}

bool Environment::clean_up() {
    bool clean = root_cnode.revoke(memory_slot_, address_bits).ok();
    for (; next_slot_ > first_test_slot_; --next_slot_)
        clean = root_cnode.delete_cap(next_slot_ - 1, address_bits).ok() && clean;
    return clean;
}

// Makes two halves of a device untyped.
bool Environment::split(Device& device) {
    if (device_count_ == most_devices) return false;
    const uint64_t slot = take_device_slots(2);
    const unsigned bits = device.size_bits - 1;
    if (!retype(Cap<Untyped>{device.slot}, abi::ObjectType::Untyped, bits, slot, 2).ok()) return false;
    devices_[device_count_++] = {.slot = slot + 1, .address = device.address + (uint64_t{1} << bits), .size_bits = bits};
    device = {.slot = slot, .address = device.address, .size_bits = bits};
    return true;
}

Cap<Frame> Environment::device_frame(uint64_t address) {
    for (unsigned i = 0; i < device_count_; ++i) {
        Device& device = devices_[i];
        if (address < device.address || address - device.address >= uint64_t{1} << device.size_bits) continue;
        if (device.frame) return Cap<Frame>{device.slot};
        if (device.size_bits > 12) {
            if (!split(device)) return {};
            --i;   // one of the halves holds it
            continue;
        }
        const uint64_t slot = take_device_slots(1);
        if (!retype(Cap<Untyped>{device.slot}, abi::ObjectType::SmallPage, 0, slot).ok()) return {};
        device.slot = slot;
        device.frame = true;
        return Cap<Frame>{slot};
    }
    return {};
}

Cap<Untyped> Environment::spare_untyped(unsigned size_bits) const {
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = boot_.info->untyped_list[i];
        if (untyped.is_device != 0 || untyped.size_bits < size_bits || boot_.untyped_slot(i) == memory_source_) continue;
        return Cap<Untyped>{boot_.untyped_slot(i)};
    }
    return {};
}

volatile uint32_t& Environment::console_register(uint64_t offset) const { return *reinterpret_cast<volatile uint32_t*>(console_ + offset); }

void Environment::put(char character) {
    if (boot_.platform->console_kind == static_cast<uint64_t>(abi::ConsoleKind::MiniUart)) {
        while ((console_register(mini_uart_line_status) & mini_uart_transmitter_empty) == 0) {}
        console_register(mini_uart_data) = static_cast<uint8_t>(character);
    } else {
        while ((console_register(pl011_flags) & pl011_transmit_full) != 0) {}
        console_register(pl011_data) = static_cast<uint8_t>(character);
    }
}

void Environment::print(const Text& text) {
    for (const char character : text) {
        if (character == '\n') put('\r');
        put(character);
    }
}

Result<CapRef> try_create(abi::ObjectType type, uint64_t bits, uint64_t count) {
    const uint64_t slot = environment.take_slots(count);
    const Result<void> made = retype(environment.memory(), type, bits, slot, count);
    if (!made.ok()) return made.failure();
    return CapRef{slot};
}

}  // namespace caprock::target
