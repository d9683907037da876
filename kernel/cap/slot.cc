// SPDX-License-Identifier: BSD-2-Clause
#include "cap/slot.hpp"

#include "core/panic.hpp"

namespace caprock {

namespace {

// The memory that a capability's object occupies, as far as it matters for what lies in it; empty for capabilities that name no object.
Range<KernAddr> region(const Cap& cap) {
    KernAddr start = cap.object();
    if (cap.is(CapType::Untyped)) return {start, start + as<UntypedCap>(cap).size_bits().bytes()};
    if (cap.is(CapType::Frame)) return {start, start + as<FrameCap>(cap).size_bits().bytes()};
    return start == KernAddr(0) ? Range<KernAddr>{} : Range<KernAddr>{start, start + 1};
}

bool is_container(const Cap& cap, bool& tcb) {
    tcb = cap.is(CapType::TCB) || (cap.is(CapType::Zombie) && as<ZombieCap>(cap).is_tcb());
    return tcb || cap.is(CapType::CNode) || cap.is(CapType::Zombie);
}

bool same_number(const Cap& a, const Cap& b) { return a.type() == b.type() && a.w1 == b.w1; }

}  // namespace

bool same_region_of_any(const Cap& a, const Cap& b) {
    switch (a.type()) {
        case CapType::Untyped:
        case CapType::Frame: {
            Range<KernAddr> outer = region(a);
            Range<KernAddr> inner = region(b);
            bool comparable = a.is(CapType::Untyped) || b.is(CapType::Frame);
            return comparable && !inner.empty() && outer.start <= inner.start && inner.end <= outer.end;
        }
        case CapType::IRQControl: return b.is(CapType::IRQControl) || b.is(CapType::IRQHandler) || b.is(CapType::SGISignal);
        case CapType::ASIDControl: return b.is(CapType::ASIDControl);
        case CapType::IRQHandler:
        case CapType::SGISignal:
        case CapType::SchedControl: return same_number(a, b);
        case CapType::Domain:
        case CapType::Inspect: return a.type() == b.type();
        case CapType::Null: return false;
        default: break;
    }
    bool a_tcb = false;
    bool b_tcb = false;
    if (is_container(a, a_tcb) && is_container(b, b_tcb)) return a.object() == b.object() && a_tcb == b_tcb;
    return a.type() == b.type() && a.object() == b.object();
}

bool same_object(const Cap& a, const Cap& b) {
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

bool is_final(const Slot& slot) {
    bool before = slot.prev() != nullptr && same_object(slot.prev()->cap, slot.cap);
    bool after = slot.next() != nullptr && same_object(slot.cap, slot.next()->cap);
    return !before && !after;
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
    if (a.empty() || b.empty()) {
        if (!a.empty()) move_slot(a.cap, a, b);
        else if (!b.empty()) move_slot(b.cap, b, a);
        return;
    }
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
        // What stood behind an unbadged original keeps being a first of its badge.
        next->set_marks(next->revocable(), next->first_badged() || slot.first_badged());
    }
    slot.clear();
}

}  // namespace caprock
