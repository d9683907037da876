// SPDX-License-Identifier: BSD-2-Clause
// Replenishment. A refill that is overdue is usable when the one before it is used up: it *begins* at its time or at the end of the one before
// it, whichever is later. So a thread that wakes up late has one refill moved to the present, and not all of them.
// Time that was used in pieces too small to run on is kept apart (`unreturned`) and comes back with the next piece, or with the only refill when
// that is put off by a period: it would take a place in the ring, or delay all of the last refill when there is none.
// Invariants while a context is configured and not round robin: 1 <= count <= refill_max; the amounts and `unreturned` sum to the budget; behind
// the first the times ascend; every refill is at least the smallest budget, and `unreturned` is less.
#include "sched/switch.hpp"

namespace caprock {
namespace {
// There is more than one.
Refill pop_first(SchedContext& context) {
    Refill refill = context.first();
    context.first() = context.refill(1);
    context.head = static_cast<uint16_t>(context.head + 2 == context.refill_max ? 0 : context.head + 1);
    context.count = static_cast<uint16_t>(context.count - 1);
    return refill;
}

constexpr unsigned merge_batch = 4;   // overdue refills that one wake-up joins to the first, which saves timer interrupts

Ticks end_of(const Refill& refill) { return refill.time + refill.amount.raw; }

// Adds budget that comes back at `refill.time`. When the ring is full the last refill is delayed to meet it: budget may come late, never early.
void schedule_return(SchedContext& context, Refill refill) {
    Refill& last = context.last();
    refill.amount += context.unreturned.raw;
    context.unreturned = Ticks(0);
    if (end_of(last) >= refill.time) {
        last.amount += refill.amount.raw;
    } else if (refill.amount < min_budget()) {
        context.unreturned = refill.amount;
    } else if (context.count == context.refill_max) {
        last.time = refill.time - last.amount.raw;
        last.amount += refill.amount.raw;
    } else {
        context.count = static_cast<uint16_t>(context.count + 1);
        context.last() = refill;
    }
}

// Puts the only refill off by a period. The pieces that wait were used before it began, so they are back by then.
void postpone_only(SchedContext& context) {
    Refill& only = context.first();
    only.time += context.period.raw;
    only.amount += context.unreturned.raw;
    context.unreturned = Ticks(0);
}

// A first refill too small to run on waits for the next one, or for the return of all that was used.
void join_small_first(SchedContext& context) {
    Refill& first = context.first();
    if (first.amount >= min_budget()) return;
    if (context.count > 1) {
        Refill small = pop_first(context);
        Refill& next = context.first();
        next.time = later(next.time, end_of(small)) - small.amount.raw;
        next.amount += small.amount.raw;
    } else {
        postpone_only(context);
    }
}

// What a change of refills could break, without a look at all of them.
void assert_refills(SchedContext& context) {
    if constexpr (debug_build) {
        assert_that(context.count >= 1 && context.count <= context.refill_max, "refill_bounds");
        assert_that(context.first().amount >= min_budget() && context.last().amount >= min_budget(), "refill_sufficient");
        assert_that(context.unreturned < min_budget(), "refill_sufficient");
        assert_that(context.count > 1 || context.first().amount + context.unreturned.raw == context.budget, "refill_sum");
        assert_that(context.count < 3 || end_of(context.refill(context.count - 2u)) <= context.last().time, "refill_order");
    }
}
}  // namespace

void refill_new(SchedContext& context, unsigned max, Ticks budget, Ticks period, Ticks now) {
    context.period = period;
    context.budget = budget;
    context.refill_max = static_cast<uint16_t>(max);
    context.head = 0;
    context.count = 1;
    context.unreturned = Ticks(0);
    context.first() = {now, budget};
}

void refill_update(SchedContext& context, unsigned max, Ticks budget, Ticks period, Ticks now) {
    Refill kept = context.first();
    // A turn that is as good as over is a new one.
    if (context.round_robin() && kept.amount < min_budget()) kept.amount = context.budget;
    if (kept.amount > budget) kept.amount = budget;
    if (kept.time < now || period == Ticks(0)) kept.time = now;
    refill_new(context, max, budget, period, kept.time);
    Ticks rest = budget - kept.amount.raw;
    if (context.round_robin()) context.first().amount = kept.amount;
    if (context.round_robin() || rest == Ticks(0)) return;
    if (kept.amount < min_budget() || rest < min_budget()) {
        context.first().time = kept.time + period.raw;
        return;
    }
    context.first().amount = kept.amount;
    schedule_return(context, {kept.time + period.raw, rest});
}

void refill_charge_sporadic(SchedContext& context, Ticks used) {
    while (used >= context.first().amount) {
        used = used - context.first().amount.raw;
        if (context.count == 1) {
            postpone_only(context);
        } else {
            Refill spent = pop_first(context);
            context.first().time = later(context.first().time, end_of(spent));
            schedule_return(context, {spent.time + context.period.raw, spent.amount});
        }
    }
    if (used > Ticks(0)) {
        Refill& first = context.first();
        Refill spent{first.time + context.period.raw, used};
        first.amount = first.amount - used.raw;
        first.time += used.raw;
        schedule_return(context, spent);
    }
    join_small_first(context);
    assert_refills(context);
}

void refill_unblock(SchedContext& context, Ticks now) {
    if (context.round_robin() || context.first().time > now) return;
    context.first().time = now;
    for (unsigned i = 0; i < merge_batch && context.count > 1 && context.refill(1).time <= end_of(context.first()); ++i) {
        Refill earlier = pop_first(context);
        context.first().amount += earlier.amount.raw;
        context.first().time = now;
    }
    assert_refills(context);
}
}  // namespace caprock
