// SPDX-License-Identifier: BSD-2-Clause
// The root task: makes the system of its tables out of what the kernel gave it, starts it, and gives all its authority up.
//
// Steps, in this order: look whether it is the right board; create every object where the planner says; fill frames; give pages of its own image away
// as frames; build address spaces; place capabilities; configure and bind threads; read all of it back; print one line; resume; begin the domain
// schedule; release. Whatever goes wrong halts the system with a line that names the object.
//
// Slots of its CNode: the kernel's come first, then one for capabilities that live for one call, some for the console's way, and from
// first_object_slot on what the system consists of, in order of creation.
#pragma once

#include "capdl/loader/boot_info.hpp"
#include "capdl/loader/tables.hpp"
#include "capdl/loader/text.hpp"
#include "caprock/objects.hpp"

namespace caprock::loader {

inline constexpr uint64_t init_slot(abi::InitSlot slot) { return static_cast<uint64_t>(slot); }

/// The loader's own capabilities.
inline constexpr Cap<CNode> root_cnode{init_slot(abi::InitSlot::CNode)};
inline constexpr Cap<VSpace> root_vspace{init_slot(abi::InitSlot::VSpace)};
inline constexpr Cap<TCB> root_tcb{init_slot(abi::InitSlot::TCB)};

/// Bits of a capability address: the depth of every slot of the loader's CNode.
inline constexpr uint64_t address_bits = 64;

inline constexpr abi::CapRights all_rights = abi::CapRights::make(1, 1, 1, 1);
inline constexpr abi::CapRights read_write = abi::CapRights::make(1, 1, 0, 0);

/// Steps and slots of the console's way: paddings to its page, and the frame.
inline constexpr size_t console_slots = alloc::paddings_per_run + 1;

/// What the steps share.
struct Loader {
    BootView boot;
    uint64_t scratch_slot = 0;  // empty between two calls
    uint64_t console_slot = 0;  // first of console_slots
    uint64_t next_slot = 0;     // first one that was never used

    const char* name_of(uint32_t object) const { return system.object_names[object]; }
    uint32_t slot_of(uint32_t object) const { return buffers.object_slots[object]; }
    /// Slot of an object's capability, or the null capability's.
    uint64_t slot_or_null(uint32_t object) const { return object == none ? 0 : slot_of(object); }
    /// Bits of an index into a CNode of the system.
    uint64_t radix_of(uint32_t cnode) const { return system.objects[cnode].size_bits - abi::slot_bits; }
    /// The first of `count` adjacent slots that were never used. Halts when the CNode is full.
    uint32_t take_slots(uint64_t count);
    /// Deletes what is in a slot, if anything. Halts when that fails.
    void delete_slot(uint64_t slot) const;
};

/// Halts when the board's devices are not those that the system was built for (board.cc).
void check_board(const Loader& loader);
/// Creates every object, pool and interrupt handler (create.cc).
void create_objects(Loader& loader);
/// Writes the initial content of frames (fill.cc).
void fill_frames(Loader& loader);
/// Makes frames of pages of the loader's image, which it has no access to from then on (pages.cc).
void take_page_frames(const Loader& loader);
/// Gives ASIDs, maps page tables and frames (map.cc).
void map_memory(Loader& loader);
/// Compares objects and page tables with their entries while the loader has all capabilities, and notes by what numbers Inspect knows them
/// (verify.cc).
void verify_objects(const Loader& loader);
/// Places the capabilities of CNodes (install.cc).
void install_capabilities(Loader& loader);
/// Configures scheduling contexts and threads, and binds interrupts (threads.cc).
void configure_threads(Loader& loader);
/// Reads everything back and halts, with a line for each, if anything is not as the tables say or is not in them (verify.cc).
void verify_system(const Loader& loader);
/// Starts the threads, those first that others wait for. Ends when whoever started on a lent scheduling context has given it back.
void resume_threads(Loader& loader);
/// Fills the domain schedule (domains.cc).
void configure_domains();
/// Begins the schedule. The loader is of domain 0 and goes on when that has its turn; if it never has, the loader never does anything again.
void begin_domains();
/// Deletes every capability that the loader has, and ends (release.cc).
[[noreturn]] void release(Loader& loader);

}  // namespace caprock::loader
