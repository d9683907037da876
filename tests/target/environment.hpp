// SPDX-License-Identifier: BSD-2-Clause
// What a test stands on: the root task's own capabilities, slots, memory that is revoked after each test, device frames, a second
// address space and the console.
#pragma once

#include "capdl/loader/boot_info.hpp"
#include "capdl/loader/text.hpp"
#include "caprock/objects.hpp"

namespace caprock::target {

using loader::Hex;
using loader::Text;

inline constexpr uint64_t page_bytes = 4096;
/// Bits of a capability address: the depth of every slot of the root CNode.
inline constexpr uint64_t address_bits = 64;

inline constexpr abi::CapRights all_rights = abi::CapRights::make(1, 1, 1, 1);
inline constexpr abi::CapRights read_write = abi::CapRights::make(1, 1, 0, 0);
inline constexpr abi::CapRights read_only = abi::CapRights::make(0, 1, 0, 0);
inline constexpr abi::VMAttributes cached = abi::VMAttributes::make(1, 0, 1);
inline constexpr abi::VMAttributes cached_executable = abi::VMAttributes::make(1, 0, 0);
inline constexpr abi::VMAttributes uncached = abi::VMAttributes::make(0, 0, 1);

inline constexpr uint64_t init_slot(abi::InitSlot slot) { return static_cast<uint64_t>(slot); }

/// The root task's capabilities.
inline constexpr Cap<CNode> root_cnode{init_slot(abi::InitSlot::CNode)};
inline constexpr Cap<VSpace> root_vspace{init_slot(abi::InitSlot::VSpace)};
inline constexpr Cap<TCB> root_tcb{init_slot(abi::InitSlot::TCB)};
inline constexpr Cap<IRQControl> irq_control{init_slot(abi::InitSlot::IRQControl)};
inline constexpr Cap<ASIDControl> asid_control{init_slot(abi::InitSlot::ASIDControl)};
inline constexpr Cap<ASIDPool> root_asid_pool{init_slot(abi::InitSlot::ASIDPool)};

/// The type of object that a typed capability stands for.
template <class T> inline constexpr abi::ObjectType object_type_of = T::no_such_object;
template <> inline constexpr abi::ObjectType object_type_of<Untyped> = abi::ObjectType::Untyped;
template <> inline constexpr abi::ObjectType object_type_of<TCB> = abi::ObjectType::TCB;
template <> inline constexpr abi::ObjectType object_type_of<Endpoint> = abi::ObjectType::Endpoint;
template <> inline constexpr abi::ObjectType object_type_of<Notification> = abi::ObjectType::Notification;
template <> inline constexpr abi::ObjectType object_type_of<CNode> = abi::ObjectType::CNode;
template <> inline constexpr abi::ObjectType object_type_of<SchedContext> = abi::ObjectType::SchedContext;
template <> inline constexpr abi::ObjectType object_type_of<Reply> = abi::ObjectType::Reply;
template <> inline constexpr abi::ObjectType object_type_of<VSpace> = abi::ObjectType::VSpace;
template <> inline constexpr abi::ObjectType object_type_of<Frame> = abi::ObjectType::SmallPage;
template <> inline constexpr abi::ObjectType object_type_of<PageTable> = abi::ObjectType::PageTable;

/// Places in the root task's address space that tests may use: 2 MiB that have a page table, and the place of a large page without one.
inline constexpr uint64_t small_window = 0x1000'0000;
inline constexpr uint64_t large_window = 0x2000'0000;
/// Nothing is mapped in the terabyte from here on, not even a table of level 1.
inline constexpr uint64_t empty_terabyte = 0x100'0000'0000;

/// All of the above's state. There is one.
class Environment {
public:
    /// Takes what the kernel gave: must be called first, once. False when memory or the description of the machine is missing.
    bool start(const abi::RootBootInfo& info);

    const loader::BootView& boot() const { return boot_; }
    /// Where the timer stood when the root task began.
    uint64_t started() const { return started_; }
    Cap<SchedControl> sched_control() const { return Cap<SchedControl>{boot_.info->sched_control.start}; }
    /// A second address space with the same image at the same addresses.
    Cap<VSpace> other_vspace() const { return other_vspace_; }
    /// The untyped that objects are made of: until keep() one that stays, then the running test's, of 2^memory_bits bytes.
    Cap<Untyped> memory() const { return Cap<Untyped>{memory_slot_}; }
    static constexpr unsigned memory_bits = 24;

    /// The capability to the frame of the page that holds `address`, which lies in the image.
    Cap<Frame> image_frame(const volatile void* address) const;
    /// Slots that are empty, one after another; emptied again after the test.
    uint64_t take_slots(uint64_t count = 1);
    /// Revokes the memory of a test and empties its slots. False if either failed or anything but an empty slot was left over.
    bool clean_up();
    /// What was made so far stays for good; from here on everything is a test's.
    void keep();

    /// The frame of the device registers at physical address `address`, made at the first call for it; null when there is none.
    Cap<Frame> device_frame(uint64_t address);
    /// A memory untyped of the kernel's with at least `size_bits` that no test uses; null when there is none.
    Cap<Untyped> spare_untyped(unsigned size_bits) const;

    void print(const Text& text);

private:
    /// A device untyped with no children, or the frame that became of one.
    struct Device {
        uint64_t slot = 0;
        uint64_t address = 0;
        unsigned size_bits = 0;
        bool frame = false;
    };
    static constexpr unsigned most_devices = 480;

    uint64_t take_device_slots(uint64_t count) { return next_device_slot_ -= count; }
    bool take_memory();
    bool map_windows();
    bool open_console();
    bool make_other_space();
    bool split(Device& device);
    volatile uint32_t& console_register(uint64_t offset) const;
    void put(char character);

    loader::BootView boot_;
    uint64_t started_ = 0;
    uint64_t next_slot_ = 0;
    uint64_t first_test_slot_ = 0;
    uint64_t next_device_slot_ = 0;   // device slots stay for good, from the end of the CNode down
    uint64_t memory_slot_ = 0;
    uint64_t test_memory_slot_ = 0;
    uint64_t memory_source_ = 0;   // the kernel's untyped that both are made of
    Cap<VSpace> other_vspace_{};
    Device devices_[most_devices];
    unsigned device_count_ = 0;
    uint64_t console_ = 0;
};

extern Environment environment;

/// Makes an object of the running test's memory. `bits`: a CNode's radix, an untyped's or a scheduling context's size.
Result<CapRef> try_create(abi::ObjectType type, uint64_t bits = 0, uint64_t count = 1);

/// Maps copies of the root task's image into a VSpace that has an ASID, at the same addresses. False when something failed.
bool copy_image(Cap<VSpace> vspace);

/// Where the timer counts, in ticks.
inline uint64_t now() {
    uint64_t ticks;
    asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}
/// Ticks of so many microseconds.
inline uint64_t ticks_of(uint64_t microseconds) { return microseconds * environment.boot().platform->timer_frequency / 1'000'000; }

}  // namespace caprock::target
