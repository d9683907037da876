// SPDX-License-Identifier: BSD-2-Clause
// What the operations stand on: the root task's capabilities, slots, memory that is given back after each operation, the console.
#pragma once

#include "capdl/loader/boot_info.hpp"
#include "capdl/loader/text.hpp"
#include "capdl/loader/uart.hpp"
#include "tests/root_task/object_types.hpp"

namespace caprock::worst_case {

using loader::Text;

inline constexpr uint64_t page_bytes = 4096;
/// Bits of a capability address: the depth of every slot of the root CNode.
inline constexpr uint64_t address_bits = 64;

inline constexpr abi::CapRights all_rights = abi::CapRights::make(1, 1, 1, 1);
inline constexpr abi::CapRights read_write = abi::CapRights::make(1, 1, 0, 0);
inline constexpr abi::VMAttributes cached = abi::VMAttributes::make(1, 0, 1);
inline constexpr abi::VMAttributes cached_executable = abi::VMAttributes::make(1, 0, 0);
inline constexpr abi::VMAttributes uncached = abi::VMAttributes::make(0, 0, 1);

inline constexpr uint64_t init_slot(abi::InitSlot slot) { return static_cast<uint64_t>(slot); }

/// The root task's capabilities. Its thread is the worker, which performs the operations.
inline constexpr Cap<CNode> root_cnode{init_slot(abi::InitSlot::CNode)};
inline constexpr Cap<VSpace> root_vspace{init_slot(abi::InitSlot::VSpace)};
inline constexpr Cap<TCB> root_tcb{init_slot(abi::InitSlot::TCB)};
inline constexpr Cap<SchedContext> root_sched_context{init_slot(abi::InitSlot::SchedContext)};
inline constexpr Cap<IRQControl> irq_control{init_slot(abi::InitSlot::IRQControl)};
inline constexpr Cap<ASIDControl> asid_control{init_slot(abi::InitSlot::ASIDControl)};
inline constexpr Cap<Domain> domain{init_slot(abi::InitSlot::Domain)};
inline constexpr Cap<Inspect> inspect{init_slot(abi::InitSlot::Inspect)};
inline constexpr Cap<ASIDPool> root_asid_pool{init_slot(abi::InitSlot::ASIDPool)};

/// Priorities: who handles the deadline's interrupt, who reports faults, who works. What the worker wakes has a lower one, unless it shall run.
inline constexpr uint8_t handler_priority = 255;
inline constexpr uint8_t monitor_priority = 254;
inline constexpr uint8_t eager_priority = 210;
inline constexpr uint8_t worker_priority = 200;

/// Places in the root task's address space: nothing is mapped in the terabyte from here on, not even a table of level 1.
inline constexpr uint64_t empty_terabyte = 0x100'0000'0000;

/// All of the above's state. There is one.
class System {
public:
    /// Takes what the kernel gave: must be called first, once.
    void start(const abi::RootBootInfo& info);

    const abi::RootPlatform& platform() const { return *boot_.platform; }
    Cap<SchedControl> sched_control() const { return Cap<SchedControl>{boot_.info->sched_control.start}; }
    /// A second address space with the same image at the same addresses.
    Cap<VSpace> other_vspace() const { return other_vspace_; }
    /// The capability to the frame of the page that holds `address`, which lies in the image.
    Cap<Frame> image_frame(const volatile void* address) const;

    /// Slots of the root CNode that are empty, one after another.
    uint64_t take_slots(uint64_t count = 1);
    /// The untyped of which create() makes objects: the operation's while it runs, else one that stays.
    Cap<Untyped> memory() const { return memory_; }
    static constexpr unsigned memory_bits = 26;
    /// What was made so far stays for good; from here on everything is an operation's.
    void keep();
    /// Destroys what an operation made, and empties its slots.
    void clean_up();
    /// The largest untyped of memory that the kernel gave; nothing else uses it.
    Cap<Untyped> giant() const { return Cap<Untyped>{giant_slot_}; }
    unsigned giant_bits() const { return giant_bits_; }

    /// Before there is a console there is no way to say anything: the run then ends by its time limit.
    void print(const Text& text) { uart_.write(text); }

private:
    void take_memory();
    void open_console();

    loader::BootView boot_;
    uint64_t next_slot_ = 0;
    uint64_t first_operation_slot_ = 0;
    Cap<Untyped> memory_{};
    Cap<Untyped> operation_memory_{};
    uint64_t giant_slot_ = 0;
    unsigned giant_bits_ = 0;
    Cap<VSpace> other_vspace_{};
    loader::Uart uart_;
};

extern System system;

/// Prints why there is nothing more to measure, and ends the run as failed.
[[noreturn]] void fail(const Text& reason);

/// Where in the test something is demanded.
struct Place {
    const char* file = __builtin_FILE();
    unsigned line = __builtin_LINE();
};
/// Ends the run unless the operation succeeded.
void must(const ResultBase& result, Place place = {});
void must(bool condition, const char* what, Place place = {});

/// Makes `count` objects of `memory` in slots of the root CNode from `slot` on.
void retype(Cap<Untyped> memory, abi::ObjectType type, uint64_t bits, uint64_t slot, uint64_t count, Place place = {});
/// The same in new slots; returns the first.
uint64_t create_many(abi::ObjectType type, uint64_t bits, uint64_t count, Place place = {});

/// Makes an object. `bits`: a CNode's radix, an untyped's or a scheduling context's size.
template <class T>
Cap<T> create(uint64_t bits = 0, Place place = {}) {
    return Cap<T>{create_many(object_type_of<T>, bits, 1, place)};
}

/// Copies a capability of the root CNode to slot `index` of `node`, which resolves `depth` bits.
void copy_to(Cap<CNode> node, uint64_t index, uint64_t depth, CapRef source, Place place = {});
/// A copy in a new slot; minted, with a badge or guard.
template <class T>
Cap<T> copy(Cap<T> source, Place place = {}) {
    const Cap<T> made{system.take_slots()};
    copy_to(root_cnode, made.address(), address_bits, source, place);
    return made;
}
template <class T>
Cap<T> mint(Cap<T> source, uint64_t badge, Place place = {}) {
    const Cap<T> made{system.take_slots()};
    must(root_cnode.mint(made.address(), address_bits, source.address(), address_bits, all_rights, badge, root_cnode), place);
    return made;
}

inline void delete_cap(CapRef cap, Place place = {}) { must(root_cnode.delete_cap(cap.address(), address_bits), place); }
inline void revoke(CapRef cap, Place place = {}) { must(root_cnode.revoke(cap.address(), address_bits), place); }

/// Makes the tables that are missing for `address`, down to the level whose tables hold entries of 2^`shift` bytes.
void map_tables(Cap<VSpace> vspace, uint64_t address, unsigned shift = 12);

}  // namespace caprock::worst_case
