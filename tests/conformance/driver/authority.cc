// SPDX-License-Identifier: BSD-2-Clause
// How the driver shares out what the kernel gave.
#include "tests/conformance/driver/authority.hpp"

// Where the SDK's stubs find the IPC buffer.
extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;
}

namespace caprock::conformance {

constinit Authority authority;

namespace {

constexpr unsigned kept_bits = 23;

uint64_t now() {
    uint64_t ticks;
    asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

}  // namespace

Result<void> retype(Cap<Untyped> untyped, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count) {
    return untyped.retype(type, bits, 0, 0, slot, count, root_cnode);
}

Result<void> retype_into(Cap<CNode> node, Cap<Untyped> untyped, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count) {
    return untyped.retype(type, bits, node.address(), address_bits, slot, count, root_cnode);
}

bool Authority::take(const abi::RootBootInfo& info) {
    started_ = now();
    caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(info.ipc_buffer);
    boot_ = loader::read_boot_info(info);
    next_slot_ = info.empty.start;
    if (boot_.platform == nullptr) return false;
    take_devices(info);
    return take_memory() && take_device();
}

uint64_t Authority::take_slots(uint64_t count) {
    const uint64_t first = next_slot_;
    next_slot_ += count;
    if (next_slot_ > boot_.slot_count()) __builtin_trap();
    return first;
}

// What stays and the arena come from the first untyped that is large enough; the spare one is another.
bool Authority::take_memory() {
    uint64_t source = 0;
    for (uint64_t i = 0; i < boot_.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = boot_.info->untyped_list[i];
        if (untyped.is_device != 0) continue;
        if (source == 0 && untyped.size_bits > arena_bits) {
            source = boot_.untyped_slot(i);
        } else if (spare_.is_null() && untyped.size_bits >= spare_bits) {
            spare_ = Cap<Untyped>{take_slots()};
            if (!retype(Cap<Untyped>{boot_.untyped_slot(i)}, abi::ObjectType::Untyped, spare_bits, spare_.address()).ok()) return false;
        }
    }
    if (source == 0) return false;
    arena_ = Cap<Untyped>{take_slots(2)};
    kept_ = Cap<Untyped>{arena_.address() + 1};
    return retype(Cap<Untyped>{source}, abi::ObjectType::Untyped, arena_bits, arena_.address()).ok() &&
           retype(Cap<Untyped>{source}, abi::ObjectType::Untyped, kept_bits, kept_.address()).ok();
}

void Authority::take_devices(const abi::RootBootInfo& info) {
    for (uint64_t i = 0; i < boot_.untyped_count() && device_count_ < most_devices; ++i) {
        const abi::UntypedDesc& untyped = info.untyped_list[i];
        if (untyped.is_device == 0) continue;
        devices_[device_count_++] = {.slot = boot_.untyped_slot(i), .address = untyped.paddr, .size_bits = untyped.size_bits};
    }
}

// The first pages of the largest range of device addresses: QEMU's machines have nothing there that minds being read.
bool Authority::take_device() {
    Device* largest = nullptr;
    for (unsigned i = 0; i < device_count_; ++i)
        if (largest == nullptr || devices_[i].size_bits > largest->size_bits) largest = &devices_[i];
    if (largest == nullptr || largest->size_bits <= device_bits) return false;
    unused_device_ = {.slot = take_slots(), .address = largest->address, .size_bits = device_bits};
    const bool made = retype(Cap<Untyped>{largest->slot}, abi::ObjectType::Untyped, device_bits, unused_device_.slot).ok();
    *largest = devices_[--device_count_];
    return made;
}

// Makes two halves of a device untyped.
bool Authority::split(Device& device) {
    if (device_count_ == most_devices) return false;
    const uint64_t slot = take_slots(2);
    const unsigned bits = device.size_bits - 1;
    if (!retype(Cap<Untyped>{device.slot}, abi::ObjectType::Untyped, bits, slot, 2).ok()) return false;
    devices_[device_count_++] = {.slot = slot + 1, .address = device.address + (uint64_t{1} << bits), .size_bits = bits};
    device = {.slot = slot, .address = device.address, .size_bits = bits};
    return true;
}

Cap<Frame> Authority::device_frame(uint64_t address) {
    for (unsigned i = 0; i < device_count_; ++i) {
        Device& device = devices_[i];
        if (address < device.address || address - device.address >= uint64_t{1} << device.size_bits) continue;
        if (device.frame) return Cap<Frame>{device.slot};
        if (device.size_bits > 12) {
            if (!split(device)) return {};
            --i;   // one of the halves holds it
            continue;
        }
        const uint64_t slot = take_slots();
        if (!retype(Cap<Untyped>{device.slot}, abi::ObjectType::SmallPage, 0, slot).ok()) return {};
        device.slot = slot;
        device.frame = true;
        return Cap<Frame>{slot};
    }
    return {};
}

bool Authority::map_tables(uint64_t address) {
    for (;;) {
        const Cap<PageTable> table = make<PageTable>(abi::ObjectType::PageTable);
        if (table.is_null()) return false;
        const Result<void> mapped = table.map(address, cached, root_vspace);
        if (!mapped.ok()) return mapped.error() == abi::Error::DeleteFirst;
    }
}

}  // namespace caprock::conformance
