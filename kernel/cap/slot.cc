// SPDX-License-Identifier: BSD-2-Clause
#include "cap/slot.hpp"

#include "core/panic.hpp"

namespace caprock {
namespace {
// A zombie names the container that it is what is left of.
bool is_container(const Cap& cap) { return cap.is(CapType::CNode) || cap.is(CapType::TCB) || cap.is(CapType::Zombie); }
}  // namespace

bool same_region_of_any(const Cap& a, const Cap& b) {
    switch (a.type()) {
        case CapType::Untyped: return b.object() != KernAddr(0) && is_inside(b, a);
        case CapType::Frame: return b.is(CapType::Frame) && is_inside(b, a);
        case CapType::IRQControl: return b.is(CapType::IRQControl) || b.is(CapType::IRQHandler) || b.is(CapType::SGISignal);
        case CapType::IRQHandler:
        case CapType::SGISignal:
        case CapType::SchedControl: return a.type() == b.type() && a.w1 == b.w1;
        default: return is_container(a) && is_container(b) && a.object() == b.object();
    }
}

bool same_object_of_any(const Cap& a, const Cap& b) {
    if (a.is(CapType::Untyped) || b.is(CapType::Untyped)) return false;
    if (a.is(CapType::IRQControl) && !b.is(CapType::IRQControl)) return false;
    return same_region(a, b);
}

bool is_parent(const Slot& parent, const Slot& child) {
    if (!parent.revocable() || !same_region(parent.cap, child.cap)) return false;
    if (parent.cap.is(CapType::Endpoint) || parent.cap.is(CapType::Notification)) {
        Badge badge = as<EndpointCap>(parent.cap).badge();
        return badge == Badge(0) || (badge == as<EndpointCap>(child.cap).badge() && !child.first_badged());
    }
    return true;
}

bool is_revocable(Cap copy, const Cap& source) {
    switch (copy.type()) {
        case CapType::Endpoint:
        case CapType::Notification: return as<EndpointCap>(copy).badge() != as<EndpointCap>(source).badge();
        case CapType::IRQHandler: return source.is(CapType::IRQControl);
        case CapType::Untyped: return true;
        default: return false;
    }
}

namespace {
void assert_links(const Slot& slot) {
    assert_that(slot.prev() == nullptr || slot.prev()->next() == &slot, "derivation_links");
    assert_that(slot.next() == nullptr || slot.next()->prev() == &slot, "derivation_links");
}

// Fills an empty slot and puts it directly behind the parent.
[[gnu::always_inline]] inline void put_behind(Slot& parent, Slot& slot, Cap cap, bool revocable, bool first_badged) {
    assert_that(slot.empty() && !parent.empty(), "empty_slot_filled");
    assert_links(parent);
    Slot* next = parent.next();
    slot.fill(cap, &parent, next, revocable, first_badged);
    parent.set_next(&slot);
    if (next != nullptr) next->set_prev(&slot);
}
}  // namespace

void insert_derived(Cap cap, Slot& parent, Slot& slot) {
    bool revocable = is_revocable(cap, parent.cap);
    put_behind(parent, slot, cap, revocable, revocable);
    // A copy of an untyped may not move the watermark of the original back: the original counts as full.
    if (cap.is(CapType::Untyped)) {
        UntypedCap& original = as<UntypedCap>(parent.cap);
        original.set_progress(original.size_bits().bytes(), 0);
    }
}

void insert_object(Cap cap, Slot& parent, Slot& slot) { put_behind(parent, slot, cap, true, true); }

void insert_root(Cap cap, Slot& slot) {
    assert_that(slot.empty(), "empty_slot_filled");
    slot.fill(cap, nullptr, nullptr, true, true);
}

void move_slot(Cap cap, Slot& from, Slot& to) {
    assert_that(to.empty() && !from.empty(), "empty_slot_filled");
    assert_links(from);
    Slot* prev = from.prev();
    Slot* next = from.next();
    to.fill(cap, prev, next, from.revocable(), from.first_badged());
    if (prev != nullptr) prev->set_next(&to);
    if (next != nullptr) next->set_prev(&to);
    from.clear();
}

[[gnu::cold]] void swap_slots(Slot& a, Slot& b) {
    if (b.empty()) return move_slot(a.cap, a, b);
    Slot parked;
    move_slot(a.cap, a, parked);
    move_slot(b.cap, b, a);
    move_slot(parked.cap, parked, b);
}

void unlink_slot(Slot& slot) {
    assert_links(slot);
    Slot* prev = slot.prev();
    Slot* next = slot.next();
    if (prev != nullptr) prev->set_next(next);
    if (next != nullptr) {
        next->set_prev(prev);
        next->inherit_mark(slot);
    }
    slot.clear();
}
}  // namespace caprock
