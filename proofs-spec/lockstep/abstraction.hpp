// SPDX-License-Identifier: BSD-2-Clause
// From the kernel's state to the specification's: everything that the kernel remembers, as the canonical text of proofs-spec/trace.md.
#pragma once

#include "controller.hpp"
#include "world.hpp"

#include <string>
#include <vector>

namespace caprock::lockstep {

/// Physical address of what the kernel keeps in memory.
Word physical(const void* object);
/// The canonical name of an interrupt's slot is this and 32 times its number.
inline constexpr Word irq_slots = Word{1} << 56;

/// All slots and objects, found from the root task's capabilities on.
class Inventory {
public:
    Inventory(Core& core, Slot* slots, Word count);

    struct Place {
        const Slot* slot;
        Word name;
    };
    const std::vector<Place>& slots() const { return slots_; }
    /// Capabilities that name an object, one for each object.
    const std::vector<const Cap*>& objects() const { return objects_; }
    std::vector<const Tcb*> threads() const;
    /// Canonical name of an occupied slot.
    Word name_of(const Slot* slot) const;

private:
    void add(const Slot* slot, Word name);
    void enter(const Cap& cap);

    std::map<const Slot*, Word> names_;
    std::map<KernAddr, bool> seen_;
    std::vector<Place> slots_;
    std::vector<const Cap*> objects_;
};

/// The canonical text of the kernel's state. Of the controller it is what the kernel has told it.
std::string abstract_state(Core& core, const Inventory& inventory, const Controller& controller);

}  // namespace caprock::lockstep
