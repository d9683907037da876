// SPDX-License-Identifier: BSD-2-Clause
// What the driver got from the kernel, and the few objects that it keeps: memory for the components, device frames, slots.
#pragma once

#include "capdl/loader/boot_info.hpp"
#include "caprock/objects.hpp"
#include "tests/conformance/protocol.hpp"

namespace caprock::conformance {

inline constexpr abi::CapRights all_rights = abi::CapRights::make(1, 1, 1, 1);
inline constexpr abi::CapRights read_write = abi::CapRights::make(1, 1, 0, 0);
inline constexpr abi::CapRights read_only = abi::CapRights::make(0, 1, 0, 0);
inline constexpr abi::VMAttributes cached = abi::VMAttributes::make(1, 0, 1);
inline constexpr abi::VMAttributes cached_executable = abi::VMAttributes::make(1, 0, 0);
inline constexpr abi::VMAttributes uncached = abi::VMAttributes::make(0, 0, 1);

inline constexpr Cap<CNode> root_cnode{static_cast<uint64_t>(abi::InitSlot::CNode)};
inline constexpr Cap<VSpace> root_vspace{static_cast<uint64_t>(abi::InitSlot::VSpace)};
inline constexpr Cap<TCB> root_tcb{static_cast<uint64_t>(abi::InitSlot::TCB)};
inline constexpr Cap<IRQControl> irq_control{static_cast<uint64_t>(abi::InitSlot::IRQControl)};
inline constexpr Cap<ASIDControl> asid_control{static_cast<uint64_t>(abi::InitSlot::ASIDControl)};
inline constexpr Cap<Domain> domain{static_cast<uint64_t>(abi::InitSlot::Domain)};
inline constexpr Cap<Inspect> inspect{static_cast<uint64_t>(abi::InitSlot::Inspect)};

/// Places in the driver's address space.
inline constexpr uint64_t console_window = 0x1000'0000;
inline constexpr uint64_t shared_window = console_window + page_bytes;
inline constexpr uint64_t image_window = 0x1020'0000;

/// log2 of the memory of which a test's component and the test's own memory are made.
inline constexpr unsigned arena_bits = memory_bits + 1;

/// Makes `count` objects in consecutive slots of the driver's CNode, or of `node` in its slot.
Result<void> retype(Cap<Untyped> untyped, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count = 1);
Result<void> retype_into(Cap<CNode> node, Cap<Untyped> untyped, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count = 1);

/// A range of device registers that is an untyped without children, or the frame that became of one.
struct Device {
    uint64_t slot = 0;
    uint64_t address = 0;
    unsigned size_bits = 0;
    bool frame = false;
};

/// All of the driver's authority. There is one.
class Authority {
public:
    /// Must be called first, once. False when the kernel did not say what machine this is, or there is too little memory.
    bool take(const abi::RootBootInfo& info);

    const loader::BootView& boot() const { return boot_; }
    /// Where the counter stood when the driver began.
    uint64_t started() const { return started_; }
    /// Memory for what stays for good.
    Cap<Untyped> kept() const { return kept_; }
    /// Memory of components; nothing is left of it between two tests.
    Cap<Untyped> arena() const { return arena_; }
    /// An untyped of 2^spare_bits bytes; null when there is none.
    Cap<Untyped> spare() const { return spare_; }
    /// A device untyped of 2^device_bits bytes that no driver uses, and its address.
    const Device& device() const { return unused_device_; }
    Cap<SchedControl> sched_control() const { return Cap<SchedControl>{boot_.info->sched_control.start}; }

    /// Slots that stay taken.
    uint64_t take_slots(uint64_t count = 1);
    /// An object that stays.
    template <class T> Cap<T> make(abi::ObjectType type, uint64_t bits = 0);
    /// The frame of the page of device registers at physical address `address`; null when there is none.
    Cap<Frame> device_frame(uint64_t address);
    /// Makes the tables that are missing for `address` in the driver's own address space.
    bool map_tables(uint64_t address);

private:
    static constexpr unsigned most_devices = 400;

    bool take_memory();
    bool take_device();
    bool split(Device& device);
    void take_devices(const abi::RootBootInfo& info);

    loader::BootView boot_;
    uint64_t started_ = 0;
    uint64_t next_slot_ = 0;
    Cap<Untyped> kept_;
    Cap<Untyped> arena_;
    Cap<Untyped> spare_;
    Device unused_device_;
    Device devices_[most_devices];
    unsigned device_count_ = 0;
};

extern Authority authority;

template <class T>
Cap<T> Authority::make(abi::ObjectType type, uint64_t bits) {
    const Cap<T> made{take_slots()};
    return retype(kept_, type, bits, made.address()).ok() ? made : Cap<T>{};
}

}  // namespace caprock::conformance
