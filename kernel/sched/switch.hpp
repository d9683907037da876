// SPDX-License-Identifier: BSD-2-Clause
// The switch from one thread to another: what every switch does, in few instructions.
#pragma once

#include "arch/seam.hpp"
#include "core/panic.hpp"
#include "sched/scheduler.hpp"

namespace caprock {

// What the switch from or to a special thread does beyond the usual.
void switch_special(Core& core, Tcb& next);
[[gnu::always_inline]] inline bool is_special(const Core& core, const Tcb& next) { return (core.special | next.special) != 0; }

// After a choice of who runs: what a debug build asserts.
void assert_choice(const Core& core);

// Nothing has happened that would let another thread than the current one run. Whoever puts that into a queue, or unconfigures its context, asks for
// a look at the queues (`reschedule`).
[[gnu::always_inline]] inline bool settled(const Core& core, const Tcb& current) {
    bool quiet = core.candidate == nullptr && !core.reschedule;
    bool same = quiet && current.state == ThreadState::Running && current.sched_context == core.current_sched_context;
    if (same) assert_choice(core);
    return same;
}

// A thread's address space is what the capability in its TcbSlot::VSpace names, as long as the VSpace has the ASID that the capability says: its pool
// may have been deleted. `Tcb::space` remembers what the pool said. It counts only while `space_epoch` is the core's, which advances whenever a
// capability to a VSpace is deleted or a VSpace loses its ASID (lose_address_spaces).
void find_address_space(Core& core, Tcb& thread);
[[gnu::always_inline]] inline bool remembers_address_space(const Core& core, const Tcb& thread) {
    // The epoch is the end of an aligned word, whose beginning is of another kind: both words at once, and then without it.
    constexpr Word before = offsetof(Tcb, space_epoch) - offsetof(Tcb, priority);
    Word remembered;
    Word present;
    __builtin_memcpy(&remembered, __builtin_assume_aligned(reinterpret_cast<const char*>(&thread) + offsetof(Tcb, priority), sizeof(Word)), sizeof(Word));
    __builtin_memcpy(&present, __builtin_assume_aligned(reinterpret_cast<const char*>(&core) + offsetof(Core, no_priority), sizeof(Word)), sizeof(Word));
    return (remembered ^ present) >> 8 * before == 0;
}

[[gnu::always_inline]] inline void enter_address_space(Core& core, Tcb& thread) {
    if (remembers_address_space(core, thread)) {
        arch::set_address_space(thread.space);
    } else {
        find_address_space(core, thread);
    }
}

// What is done for every switch but for the address space and for special threads.
[[gnu::always_inline]] inline void set_current(Core& core, Tcb* former, Tcb& next) {
    if (former != nullptr) arch::save_thread_pointers(former->context);
    arch::load_thread_pointers(next.context);
    core.current = &next;
    core.current_context = &next.context;
}

[[gnu::always_inline]] inline void switch_thread(Core& core, Tcb& next) {
    if (core.current == &next) return;
    enter_address_space(core, next);
    set_current(core, core.current, next);
    if (is_special(core, next)) switch_special(core, next);
}

// -- Time: the context in use is booked on, another one comes into use, the timer is set.

[[gnu::always_inline]] inline Ticks earlier(Ticks a, Ticks b) { return a < b ? a : b; }
[[gnu::always_inline]] inline Ticks later(Ticks a, Ticks b) { return a < b ? b : a; }

[[gnu::always_inline]] inline bool usable(SchedContext& context, Ticks now) { return refill_ready(context, now) && refill_sufficient(context); }

[[gnu::always_inline]] inline void book(Core& core, Ticks now) {
    SchedContext* context = core.current_sched_context;
    assert_that(context == nullptr || context->configured(), "current_configured");
    if (context != nullptr) refill_charge(*context, Ticks(now - core.charged_until));
    core.charged_until = now;
}

[[gnu::always_inline]] inline void switch_context(Core& core, SchedContext& context) {
    core.current_sched_context = &context;
    if (!context.round_robin() && !context.sporadic) refill_unblock(context, core.charged_until);
}

[[gnu::always_inline]] inline void set_next_deadline(Core& core) {
    Ticks deadline = core.domain_end;
    if (SchedContext* context = core.current_sched_context) {
        deadline = earlier(deadline, core.charged_until + context->first().amount.raw);
    }
    if (Tcb* thread = core.release.least()) {
        deadline = earlier(deadline, later(thread->sched_context->first().time, core.last_release + min_budget().raw));
    }
    arch::set_deadline(deadline);
}

}  // namespace caprock
