// SPDX-License-Identifier: BSD-2-Clause
// Capability slots and the derivation tree.
//
// All occupied slots stand in one doubly linked list, in preorder of the derivation tree: the descendants of a capability follow it without a
// gap. No depth is stored. Whether a capability is an ancestor of a later one follows from the two capabilities and two marks: `revocable`
// (it can have children) and `first_badged` (it got its badge from an unbadged one, so it is no child of an equal badge before it). This is
// the scheme of the seL4 manual's chapter on capability derivation; it makes Revoke a walk to the right and finality a look at two neighbours.
#pragma once

#include "cap/cap.hpp"

namespace caprock {

struct Slot {
    Cap cap;

    Slot* next() const { return reinterpret_cast<Slot*>(next_ & ~marks); }
    Slot* prev() const { return reinterpret_cast<Slot*>(prev_); }
    bool revocable() const { return (next_ & revocable_mark) != 0; }
    bool first_badged() const { return (next_ & first_badged_mark) != 0; }
    bool empty() const { return cap.is_null(); }

    void set_next(Slot* slot) { next_ = reinterpret_cast<Word>(slot) | (next_ & marks); }
    void set_prev(Slot* slot) { prev_ = reinterpret_cast<Word>(slot); }
    // What stood behind an unbadged original keeps being a first of its badge.
    void inherit_mark(const Slot& former) { next_ |= former.next_ & first_badged_mark; }
    // Takes a capability, and its place in the list.
    void fill(Cap capability, Slot* prev, Slot* next, bool revocable, bool first_badged) {
        cap = capability;
        next_ = reinterpret_cast<Word>(next) | (revocable ? revocable_mark : 0) | (first_badged ? first_badged_mark : 0);
        prev_ = reinterpret_cast<Word>(prev);
    }
    void clear() { *this = Slot{}; }

private:
    static constexpr Word revocable_mark = 1;
    static constexpr Word first_badged_mark = 2;
    static constexpr Word marks = revocable_mark | first_badged_mark;
    Word next_ = 0;
    Word prev_ = 0;
};
static_assert(sizeof(Slot) == Word{1} << abi::slot_bits);

// -- Questions about capabilities.

// Capabilities of these types name one object, and nothing else names it.
[[gnu::always_inline]] inline bool names_one_object(CapType type) {
    constexpr auto bit = [](CapType of) { return Word{1} << static_cast<Word>(of); };
    constexpr Word types = bit(CapType::Endpoint) | bit(CapType::Notification) | bit(CapType::Reply) | bit(CapType::SchedContext) |
                           bit(CapType::PageTable) | bit(CapType::VSpace) | bit(CapType::ASIDPool) | bit(CapType::ASIDControl) |
                           bit(CapType::Domain) | bit(CapType::Inspect);
    return (types >> static_cast<Word>(type) & 1) != 0;
}

// The memory of `inner`'s object is a part of `outer`'s, an untyped's or a frame's. All objects are aligned to their sizes.
[[gnu::always_inline]] inline bool is_inside(const Cap& inner, const Cap& outer) {
    unsigned outer_bits = as<UntypedCap>(outer).size_bits().raw;
    if ((inner.object() - outer.object()) >> outer_bits != 0) return false;
    bool sized = inner.is(CapType::Untyped) || inner.is(CapType::Frame);
    return !sized || as<UntypedCap>(inner).size_bits().raw <= outer_bits;
}

// Both name the same object, or b names a part of a's region or of what a controls.
bool same_region_of_any(const Cap& a, const Cap& b);
[[gnu::always_inline]] inline bool same_region(const Cap& a, const Cap& b) {
    return names_one_object(a.type()) ? a.names_as(b) : same_region_of_any(a, b);
}
// Both name the same object (of untypeds: never, as each stands for its region).
bool same_object_of_any(const Cap& a, const Cap& b);
[[gnu::always_inline]] inline bool same_object(const Cap& a, const Cap& b) {
    return names_one_object(a.type()) ? a.names_as(b) : same_object_of_any(a, b);
}
// `child`, somewhere behind `parent` in the list with only its descendants between, is derived from it.
bool is_parent(const Slot& parent, const Slot& child);
[[gnu::always_inline]] inline bool has_children(const Slot& slot) { return slot.next() != nullptr && is_parent(slot, *slot.next()); }
// The same of an untyped, whose children are what lies in its memory.
[[gnu::always_inline]] inline bool is_in_use(const Slot& untyped) {
    const Slot* next = untyped.next();
    return next != nullptr && next->cap.object() != KernAddr(0) && is_inside(next->cap, untyped.cap);
}
// No other capability names the object.
[[gnu::always_inline]] inline bool is_final(const Slot& slot) {
    if (slot.prev() != nullptr && same_object(slot.prev()->cap, slot.cap)) return false;
    return slot.next() == nullptr || !same_object(slot.cap, slot.next()->cap);
}
// A copy of `source` that is changed to `copy` can itself have children (abi: Mint of a badge, untypeds, interrupt handlers).
bool is_revocable(Cap copy, const Cap& source);

// -- Changes. All are O(1).

// Puts a capability made from `parent`'s into an empty slot, directly behind the parent.
void insert_derived(Cap cap, Slot& parent, Slot& slot);
// Puts the capability of a new object, child of the untyped in `parent`, into an empty slot.
void insert_object(Cap cap, Slot& parent, Slot& slot);
// Puts a capability without ancestors (at boot) into an empty slot.
void insert_root(Cap cap, Slot& slot);
// Moves to an empty slot, as `cap`, which is the same capability or a mutation of it.
void move_slot(Cap cap, Slot& from, Slot& to);
// Exchanges the capabilities of two slots; the second may be empty.
void swap_slots(Slot& a, Slot& b);
// Takes the capability out of the list and empties the slot.
void unlink_slot(Slot& slot);

}  // namespace caprock
