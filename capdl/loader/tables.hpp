// SPDX-License-Identifier: BSD-2-Clause
// The system as the loader reads it: tables that the emitter writes from the elaborated description, with all names resolved to indices.
// The loader's code is the same for every system; it is linked with one set of these tables and the content of the frames.
#pragma once

#include "capdl/alloc/plan.hpp"
#include "caprock/abi.hpp"

namespace caprock::loader {

using alloc::Slice;

/// Index of an object that is not there.
inline constexpr uint32_t none = ~uint32_t{0};

/// Objects [first, first + count) that are placed in the untyped object `parent`, or in the kernel's untypeds when it is none.
struct Group {
    uint32_t parent;
    uint32_t first;
    uint32_t count;
};

/// An interrupt. It is an object without memory: `object` numbers it behind those that have some.
struct Interrupt {
    uint32_t object;
    uint32_t number;  // as the GIC counts
    abi::IRQTrigger trigger;
    uint32_t notification;  // what it signals, or none
    uint64_t badge;
};

/// The right to send a software-generated interrupt. As Interrupt it is an object without memory.
struct SgiSignal {
    uint32_t object;
    uint32_t irq;
    uint32_t core;
};

/// An entry of the domain schedule. A duration of 0 ends the schedule.
struct DomainTurn {
    uint32_t entry;
    uint32_t domain;
    uint64_t duration;
    bool in_ticks;  // of the counter; else microseconds
};

/// A frame that is made of a page of the loader's image: `page` counts from the first of those for frames.
struct PageFrame {
    uint32_t frame;
    uint32_t page;
    bool executable;  // code: unify the instruction cache
    bool uncached;    // read past the caches: clean them
};

enum class FillSource : uint8_t {
    Embedded,    // bytes in the loader's image
    DeviceTree,  // bytes of the flattened device tree that the kernel passes on
};

/// Initial content of a part of a frame. Fills of one frame stand together.
struct Fill {
    uint32_t frame;
    uint32_t offset;  // in the frame, bytes
    uint32_t length;  // bytes
    FillSource source;
    bool executable;       // code: unify the instruction cache afterwards
    bool uncached;         // read past the caches: clean them afterwards
    const uint8_t* bytes;  // of FillSource::Embedded
    uint64_t tree_offset;  // of FillSource::DeviceTree, bytes
};

/// An address space, and the ASID pool that names it; none for the loader's own pool.
struct AddressSpace {
    uint32_t vspace;
    uint32_t pool;
};

/// A page table of an address space. Upper levels stand before lower ones.
struct TableMapping {
    uint32_t vspace;
    uint32_t table;
    uint64_t address;
};

/// A frame of an address space. Each mapping belongs to a capability of its own: the frame's first one, or a copy of it.
struct FrameMapping {
    uint32_t vspace;
    uint32_t frame;
    uint64_t address;
    abi::CapRights rights;
    abi::VMAttributes attributes;
    bool is_copy;               // maps a copy of the frame's capability
    abi::CapRights cap_rights;  // of that copy
};

enum class CapSource : uint8_t {
    Object,      // index: the object
    Mapping,     // index: the frame mapping that the capability controls; it is moved
    IRQControl,  // the kernel's; moved, as there is only one
    ASIDControl,
    Domain,
    SchedControl,  // index: the core
};

enum class CapAction : uint8_t {
    Copy,
    Mint,
    Move,
    First,  // the object's first capability, from which all others are derived; the loader goes on with a copy
};

/// A capability in a slot of a CNode. One that is derived from a badged one stands behind that, and first ones are the last.
struct CapEntry {
    uint32_t cnode;
    uint32_t slot;
    uint32_t index;  // see CapSource
    CapSource source;
    CapAction action;
    abi::CapRights rights;
    uint64_t data;          // badge, or CNodeCapData; of CapAction::Mint
    uint32_t parent_cnode;  // where the badged capability that it is derived from is, or none for the loader's own
    uint32_t parent_slot;
};

/// Parameters of a scheduling context.
struct Schedule {
    uint32_t sched_context;
    uint32_t core;
    uint64_t budget;  // microseconds
    uint64_t period;  // microseconds
    uint64_t badge;   // of timeout faults
};

/// An endpoint that faults are sent to, by a capability with this badge and these rights.
struct Handler {
    uint32_t endpoint;
    uint64_t badge;
    abi::CapRights rights;
};

/// A thread. Indices are none for what it does not have.
struct Thread {
    uint32_t tcb;
    uint32_t cspace;
    uint32_t vspace;
    uint32_t buffer_frame;
    uint32_t sched_context;
    uint32_t notification;
    Handler fault;
    Handler timeout;
    abi::CNodeCapData cspace_data;
    uint64_t buffer_address;
    uint64_t ip;
    uint64_t sp;
    uint64_t arguments[9];  // x0 to x8
    uint32_t priority;
    uint32_t max_priority;
    uint32_t domain;
    uint32_t core;  // of a thread without a scheduling context
    abi::ThreadFlags flags;
    uint32_t first_receive;  // the scheduling context is lent: it is taken back once the thread has received from this endpoint
    bool resume;
};

/// Something that the description took from the board's device tree: bytes of a node's property.
struct BoardFact {
    const char* path;
    const char* property;
    uint32_t offset;  // in the property
    Slice<const uint8_t> bytes;
    const char* user;  // the component that needs it
};

/// What the loader prints of a system beside the line that it is loaded.
enum class Says : uint8_t {
    Nothing,
    Verified,  // that it was compared with its description
    Dump,      // all of it
};

/// The whole system.
struct System {
    const char* name;
    const uint8_t* hash;                    // 32 bytes: SHA-256 of the description and its ELFs
    Slice<const char* const> object_names;  // of `objects`, and behind them of the interrupts
    Slice<alloc::Object> objects;           // those with memory, page frames first; the last entry is the loader's, for its console
    Slice<const Group> groups;              // the kernel's untypeds first (up to that last entry), each untyped before what is in it
    Slice<const uint32_t> asid_pools;       // untyped objects that become ASID pools
    Slice<const Interrupt> interrupts;
    Slice<const SgiSignal> sgi_signals;
    Slice<const DomainTurn> domain_turns;
    uint32_t domain_start;  // the entry with which the schedule begins, or none
    Slice<const PageFrame> page_frames;
    Slice<const Fill> fills;
    Slice<const AddressSpace> address_spaces;
    Slice<const TableMapping> table_mappings;
    Slice<const FrameMapping> frame_mappings;
    Slice<const CapEntry> caps;
    Slice<const Schedule> schedules;
    Slice<const BoardFact> board_facts;
    Slice<const Thread> threads;  // in the order in which they start
    uint32_t vault;               // the CNode object of release.cc
    Says says;
    uint64_t object_count;        // objects that the description declares
    uint64_t capability_count;    // capabilities that it places: in CNodes, TCBs, address spaces and interrupts
};

/// Memory for the loader's work, sized for the system.
struct Buffers {
    alloc::Workspace plan;
    Slice<uint32_t> piece_slots;    // one per piece of the plan
    Slice<uint32_t> object_slots;   // one per name of an object
    Slice<uint32_t> mapping_slots;  // one per frame mapping
    Slice<uint64_t> identities;     // one per name of an object: the numbers by which Inspect knows them
};

/// Written by the emitter.
extern const System system;
extern const Buffers buffers;

}  // namespace caprock::loader
