// SPDX-License-Identifier: BSD-2-Clause
// What a test stands on: its component's capabilities, empty slots, memory, and what the driver told about the machine.
#pragma once

#include "tests/conformance/protocol.hpp"
#include "tests/root_task/object_types.hpp"

namespace caprock::conformance {

using loader::Hex;
using loader::Text;

inline constexpr abi::CapRights all_rights = abi::CapRights::make(1, 1, 1, 1);
inline constexpr abi::CapRights read_write = abi::CapRights::make(1, 1, 0, 0);
inline constexpr abi::CapRights read_only = abi::CapRights::make(0, 1, 0, 0);
inline constexpr abi::CapRights write_only = abi::CapRights::make(1, 0, 0, 0);
inline constexpr abi::VMAttributes cached = abi::VMAttributes::make(1, 0, 1);
inline constexpr abi::VMAttributes cached_executable = abi::VMAttributes::make(1, 0, 0);
inline constexpr abi::VMAttributes uncached = abi::VMAttributes::make(0, 0, 1);

inline constexpr uint64_t slot_of(abi::InitSlot slot) { return static_cast<uint64_t>(slot); }
inline constexpr uint64_t slot_of(Slot slot) { return static_cast<uint64_t>(slot); }

/// The component's capabilities. Its CNode has 2^cnode_radix slots, its own thread can give every priority.
inline constexpr Cap<CNode> own_cnode{slot_of(abi::InitSlot::CNode)};
inline constexpr Cap<VSpace> own_vspace{slot_of(abi::InitSlot::VSpace)};
inline constexpr Cap<TCB> own_tcb{slot_of(abi::InitSlot::TCB)};
inline constexpr Cap<IRQControl> irq_control{slot_of(abi::InitSlot::IRQControl)};
inline constexpr Cap<ASIDControl> asid_control{slot_of(abi::InitSlot::ASIDControl)};
inline constexpr Cap<ASIDPool> own_asid_pool{slot_of(abi::InitSlot::ASIDPool)};
inline constexpr Cap<Domain> domain_control{slot_of(abi::InitSlot::Domain)};
inline constexpr Cap<Inspect> inspect{slot_of(abi::InitSlot::Inspect)};
inline constexpr Cap<SchedControl> sched_control{slot_of(Slot::SchedControl)};
inline constexpr Cap<Untyped> memory{slot_of(Slot::Memory)};
inline constexpr Cap<Untyped> device_untyped{slot_of(Slot::Device)};
inline constexpr Cap<Frame> uart_frame{slot_of(Slot::Uart)};
/// Where faults of threads go for which a test names no other endpoint: one of them fails the test.
inline constexpr Cap<Endpoint> default_fault_endpoint{slot_of(Slot::Faults)};

/// Places in the component's address space that tests may use, beside small_window: that of a large page, without a table.
inline constexpr uint64_t large_window = 0x2000'0000;
/// Nothing is mapped in the terabyte from here on, not even a table of level 1.
inline constexpr uint64_t empty_terabyte = 0x100'0000'0000;

inline SharedPage& shared_page() { return *reinterpret_cast<SharedPage*>(shared_address); }
/// What the kernel said about the machine.
inline const abi::RootPlatform& platform() { return shared_page().platform; }
inline bool is_debug_kernel() { return platform().debug_build != 0; }

/// A second address space with the same image at the same addresses, made at the first use.
Cap<VSpace> other_vspace();
/// Maps the image into an address space.
void map_image(Cap<VSpace> vspace);
/// An untyped of 2^spare_bits bytes; null on machines that have not so much memory.
inline Cap<Untyped> spare_untyped() { return shared_page().has_spare != 0 ? Cap<Untyped>{slot_of(Slot::Spare)} : Cap<Untyped>{}; }

/// The frame of the page that holds `address`, which lies in the component's data.
inline Cap<Frame> data_frame(const volatile void* address) {
    return Cap<Frame>{slot_of(Slot::DataFrames) + (reinterpret_cast<uint64_t>(address) - data_address) / page_bytes};
}

/// Slots that are empty, one after another.
uint64_t take_slots(uint64_t count = 1);

/// Makes objects of the test's memory in slots of their own. `bits`: a CNode's radix, an untyped's or a scheduling context's size.
Result<CapRef> try_create(abi::ObjectType type, uint64_t bits = 0, uint64_t count = 1);

/// The counter that scheduling uses, and user level may read.
inline uint64_t now() {
    uint64_t ticks;
    asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}
/// Ticks of so many microseconds.
inline uint64_t ticks_of(uint64_t microseconds) { return microseconds * platform().timer_frequency / 1'000'000; }

}  // namespace caprock::conformance
