// SPDX-License-Identifier: BSD-2-Clause
// SchedContext: a budget of processor time per period, replenished as a sporadic server (B. Sprunt et al., 1989; M. Stanovich et al., 2010).
// Time that was used comes back one period after it was used; up to `refill_max` pieces are remembered, in a ring ordered by time.
#pragma once

#include "caprock/abi.hpp"
#include "core/types.hpp"

namespace caprock {

struct Core;
struct Notification;
struct Reply;
struct Tcb;

struct Refill {
    Ticks time;     // usable from this instant on
    Ticks amount;
};
static_assert(sizeof(Refill) == abi::refill_bytes);

struct SchedContext {
    Tcb* tcb = nullptr;                     // the thread that runs on it now
    Reply* reply = nullptr;                 // newest call that carried it along
    Ticks period;                           // 0: round robin, the whole budget at once and always
    Ticks budget;
    Ticks consumed;                         // since the last report
    Notification* notification = nullptr;   // the one that lends it
    Tcb* yield_from = nullptr;              // its YieldTo on this context is not over
    Badge badge;                            // told in timeout faults
    uint16_t refill_max = 0;                // 0: not configured
    uint16_t head = 0;                      // of the ring behind the first refill
    uint16_t count = 0;
    CoreId core;
    bool sporadic = false;
    Ticks unreturned;                       // used in pieces too small to be refills
    Word reserved[2] = {};

    bool configured() const { return refill_max != 0; }
    bool round_robin() const { return period == Ticks(0); }
    // The first refill, which every switch looks at, has a place of its own; the others are a ring behind it.
    Refill& first() { return *reinterpret_cast<Refill*>(this + 1); }
    Refill& refill(unsigned i) {
        if (i == 0) return first();
        unsigned places = refill_max - 1u;
        unsigned index = head + i - 1;
        return (&first())[1 + (index < places ? index : index - places)];
    }
    Refill& last() { return refill(count - 1u); }
};
static_assert(sizeof(SchedContext) == abi::sched_context_core_bytes);
static_assert(sizeof(SchedContext) + 2 * sizeof(Refill) <= Word{1} << abi::min_sched_context_bits);

// -- Refills (sched/refill.cc).

inline constexpr unsigned min_refills = 2;   // what a sporadic server cannot do without

// Gives the context a fresh budget, usable from `now` on.
void refill_new(SchedContext& context, unsigned max, Ticks budget, Ticks period, Ticks now);
// Changes the parameters of a context in use: at most the new budget is usable at once.
void refill_update(SchedContext& context, unsigned max, Ticks budget, Ticks period, Ticks now);
// Books `used` ticks as spent and schedules their return.
void refill_charge_sporadic(SchedContext& context, Ticks used);
inline void refill_charge(SchedContext& context, Ticks used) {
    context.consumed += used.raw;
    if (!context.round_robin()) return refill_charge_sporadic(context, used);
    Ticks& left = context.first().amount;
    left = used < left ? left - used.raw : Ticks(0);
}
// A thread starts to run on the context at `now`: budget that was available earlier is available from now on only.
void refill_unblock(SchedContext& context, Ticks now);
[[gnu::always_inline]] inline bool refill_ready(SchedContext& context, Ticks now) { return context.first().time <= now; }
// The time used since the last report; the next one starts at zero. Of the context in use only what is booked counts.
Micros take_consumed(SchedContext& context);
// Books the time up to now, if this is the context in use.
void book_use(Core& core, const SchedContext& context);

// -- YieldTo. The caller stays runnable; when it runs again, or either side goes away, the call ends.

void begin_yield(Core& core, SchedContext& context, Tcb& caller);
// The caller is told the time consumed, right after it was booked.
void complete_yield(Core& core, Tcb& caller);
// The same at any time.
void end_yield(Core& core, Tcb& caller);
// The caller wants no result.
void forget_yield(Core& core, Tcb& caller);

// -- Binding.

void bind_sched_context(Core& core, SchedContext& context, Tcb& thread);
// Takes the context away from its thread, which stops running.
void unbind_sched_context_tcb(Core& core, SchedContext& context);
void unbind_sched_context_notification(SchedContext& context);
// Moves the context from the thread that has it, if any, to `thread`.
void donate(Core& core, SchedContext& context, Tcb& thread);
// Lends the context of a notification to a woken waiter that has none, and takes it back when the waiter waits again.
void lend_from_notification(Core& core, Notification& notification, Tcb& thread);
void return_to_notification(Core& core, Notification& notification, Tcb& thread);

}  // namespace caprock
