// SPDX-License-Identifier: BSD-2-Clause
// The machine that the portable kernel runs on in unit tests: memory that is an arena of this process, a clock that tests set, interrupts
// that tests raise, and a record of what the kernel did to caches, TLB, interrupt controller and timer.
#pragma once

#include "arch/seam.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace caprock::host {

/// Memory of the machine: [ram_start, ram_start + ram_bytes), dirty when the machine starts.
inline constexpr Word ram_start = 0x4000'0000;
inline constexpr Word ram_bytes = Word{64} << 20;

/// What the kernel's halt becomes; the text is what the kernel had printed by then.
struct Halt : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// An effect of the kernel on hardware; a and b are what the seam's function was given.
struct Effect {
    enum Kind {
        Clear,
        Clean,
        CleanInvalidate,
        Unify,           // physical start, bytes
        WriteEntry,      // physical address of the entry, entry
        InvalidatePage,  // ASID, address
        InvalidateAsid,  // ASID, whether the processor is in its address space
        SetAddressSpace,
        NoAddressSpace,  // root, ASID; nothing
        PriorityDrop,
        Deactivate,
        Mask,
        Unmask,     // interrupt
        Configure,  // interrupt, edge
        SendSgi,    // interrupt, core
    };
    Kind kind;
    Word a = 0;
    Word b = 0;
    bool operator==(const Effect&) const = default;
};

struct Hardware {
    // Set by tests.
    Word time = 1'000'000;    // counter
    Word ticks_per_read = 0;  // how much the counter advances whenever the kernel reads it
    Word frequency = 62'500'000;
    unsigned asid_bits = 16;
    Word interrupts = 288;
    unsigned breakpoints = 6;  // as a Cortex-A72 has them
    unsigned watchpoints = 4;
    std::deque<Word> incoming;    // interrupts to acknowledge, first one first; empty: spurious
    unsigned pending_at = 0;      // the n-th preemption point from now sees an interrupt; 0: none does
    unsigned pending_again = 0;   // and the n-th after that one
    bool always_pending = false;  // every preemption point sees one

    // Seen by tests.
    std::vector<Effect> effects;
    unsigned preemption_points = 0;  // passed so far
    Word deadline = 0;
    PhysAddr root;  // TTBR0: 0 is no address space
    Asid asid;
    std::map<Word, bool> masked;  // interrupts by number
    bool fpu_enabled = false;
    Word fpu_register = 0;  // v0 of the unit
    bool pmu = false;       // user level may use it
    bool physical_timer = false;
    std::optional<DebugState> debug;  // what is armed
    Word tpidr = 0;
    Word tpidrro = 0;
    std::string console;
    Core* core = nullptr;  // the core bound at boot

    bool saw(Effect effect) const;
    /// Position of the first such effect, or -1.
    std::ptrdiff_t first(Effect::Kind kind) const;
};

extern Hardware hardware;

/// The bit of a context's SPSR that `arm_step` sets.
inline constexpr Word single_step = Word{1} << 21;

/// Makes the machine as it is at power-on; memory keeps what it holds.
void reset();
/// Fills all memory with a pattern that no clean memory has.
void dirty_memory();

}  // namespace caprock::host
