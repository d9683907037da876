// SPDX-License-Identifier: BSD-2-Clause
#include "cap/delete.hpp"

#include "core/panic.hpp"
#include "object/finalise.hpp"
#include "object/tcb.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
bool is_container(const Cap& cap) { return cap.is(CapType::CNode) || cap.is(CapType::TCB); }

Slot* container_slots(const ZombieCap& zombie) {
    if (zombie.is_tcb()) return zombie.as_object<Tcb>().slots;
    return arch::pointer<Slot>(zombie.object());
}

bool contains(const ZombieCap& zombie, const Slot* slot) {
    Slot* first = container_slots(zombie);
    Word count = zombie.is_tcb() ? Word{tcb_slots} : Word{1} << zombie.radix();
    return first <= slot && slot < first + count;
}

// The last capability to a container becomes its zombie.
void bury(Core& core, Slot& slot) {
    Cap cap = slot.cap;
    if (cap.is(CapType::TCB)) {
        finalise_tcb(core, cap.as_object<Tcb>());
        slot.cap = ZombieCap::make(cap.object(), true, 0, tcb_slots);
    } else {
        unsigned radix = as<CNodeCap>(cap).radix();
        slot.cap = ZombieCap::make(cap.object(), false, radix, Word{1} << radix);
    }
}

void take_out(Core& core, Slot& slot) {
    unlink_slot(slot);
    // A thread that loses its address space does so at once, not when another runs.
    if (core.current != nullptr && &slot == &core.current->slot(TcbSlot::VSpace)) reload_address_space(core);
}

[[gnu::noinline]] Progress destroy(Core& core, Slot& slot, bool final) {
    if (final && is_container(slot.cap)) {
        bury(core, slot);
        return Progress::Complete;
    }
    if (finalise(core, slot.cap, final) == Progress::Preempted) return Progress::Preempted;
    take_out(core, slot);
    return Progress::Complete;
}

// Empties a slot that holds no zombie, or leaves a zombie in it.
[[gnu::always_inline]] inline Progress discard(Core& core, Slot& slot) {
    bool final = is_final(slot);
    // Each capability of a frame or a VSpace stands for something, not only the last.
    if (final || slot.cap.is(CapType::Frame) || slot.cap.is(CapType::VSpace)) return destroy(core, slot, final);
    take_out(core, slot);
    return Progress::Complete;
}

void count_down(Slot& anchor) {
    ZombieCap& zombie = as<ZombieCap>(anchor.cap);
    assert_that(zombie.slots() > 0 && container_slots(zombie)[zombie.slots() - 1].empty(), "zombie_slots");
    zombie.set_slots(zombie.slots() - 1);
}

// `last`, the last unfinished slot of the anchor's container, holds an inner zombie.
[[gnu::cold]] void enter_inner(Slot*& anchor, Slot& last) {
    const ZombieCap inner = as<ZombieCap>(last.cap);
    if (inner.slots() == 0) {
        unlink_slot(last);
        count_down(*anchor);
    } else if (contains(inner, anchor)) {
        // A cycle without a way in from outside: the inner container keeps its zombie in its own slot, for whoever revokes its memory.
        swap_slots(*anchor, last);
        anchor = &last;
    } else if (as<ZombieCap>(anchor->cap).slots() == 1) {
        unlink_slot(*anchor);
        move_slot(last.cap, last, *anchor);
    } else {
        swap_slots(*anchor, last);
        swap_slots(last, container_slots(inner)[0]);
    }
}

// One step of emptying the container whose zombie is in `anchor`, which can move.
Progress reduce(Core& core, Slot*& anchor) {
    const ZombieCap zombie = as<ZombieCap>(anchor->cap);
    Slot* slots = container_slots(zombie);
    Word left = zombie.slots();
    if (left == 0 || (left == 1 && &slots[0] == anchor)) {
        unlink_slot(*anchor);
        return Progress::Complete;
    }
    Slot& last = slots[left - 1];
    if (&last == anchor) {
        swap_slots(last, slots[0]);
        anchor = &slots[0];
        return Progress::Complete;
    }
    if (!last.empty() && !last.cap.is(CapType::Zombie) && discard(core, last) == Progress::Preempted) return Progress::Preempted;
    if (last.empty()) {
        count_down(*anchor);
    } else {
        enter_inner(anchor, last);
    }
    return Progress::Complete;
}
}  // namespace

Progress delete_slot(Core& core, Slot& slot) {
    Slot* anchor = &slot;
    while (!anchor->empty()) {
        bool zombie = anchor->cap.is(CapType::Zombie);
        Progress progress = zombie ? reduce(core, anchor) : discard(core, *anchor);
        if (progress == Progress::Preempted) return progress;
        // Preemption point: all that is unfinished is reachable from the anchor, whose zombie says how far it came.
        if (!anchor->empty() && arch::irq_pending()) return Progress::Preempted;
    }
    return Progress::Complete;
}

Progress revoke(Core& core, Slot& slot) {
    if (!has_children(slot)) return Progress::Complete;
    for (;;) {
        if (delete_slot(core, *slot.next()) == Progress::Preempted) return Progress::Preempted;
        if (!has_children(slot)) return Progress::Complete;
        // Preemption point: the children that are left are still behind the slot.
        if (arch::irq_pending()) return Progress::Preempted;
    }
}
}  // namespace caprock
