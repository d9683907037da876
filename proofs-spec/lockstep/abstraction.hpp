// SPDX-License-Identifier: BSD-2-Clause
// From the kernel's state to the specification's: everything that the kernel remembers, as the canonical text of proofs-spec/trace.md.
#pragma once

#include "controller.hpp"
#include "world.hpp"

#include <string>
#include <unordered_set>
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
        Word parent;   // name of the slot from which it is derived, 0 if there is none
    };
    /// Occupied slots, by their names.
    const std::vector<Place>& slots() const { return slots_; }
    /// Capabilities that name an object, one for each object.
    const std::vector<const Cap*>& objects() const { return objects_; }
    const std::vector<const Tcb*>& threads() const { return threads_; }

private:
    void add(const Slot* slot, Word name);
    void enter(const Cap& cap);
    void find_parents();
    Place* find(const Slot* slot);

    const Slot* root_;   // of the root task's CNode
    std::vector<Place> slots_;
    std::vector<const Cap*> objects_;
    std::unordered_set<Word> known_;   // addresses of those
    std::vector<const Tcb*> threads_;
    std::vector<const Slot*> unknown_;
};

/// Appends the canonical text of the kernel's state. Of the controller it is what the kernel has told it.
void write_state(std::string& text, Core& core, const Inventory& inventory, const Controller& controller);
/// Appends the order of children, which is part of a state that is read but not of what is compared.
void write_children(std::string& text, const Inventory& inventory);

}  // namespace caprock::lockstep
