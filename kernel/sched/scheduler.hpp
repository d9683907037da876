// SPDX-License-Identifier: BSD-2-Clause
// Who runs. A thread runs if it is Running, has a configured scheduling context, and does not wait for a refill. The current thread and the
// candidate are in no ready queue; every other thread that could run is in one; a thread without budget is in the release queue.
#pragma once

#include "sched/core.hpp"

namespace caprock {

// Could run, as far as its state and its scheduling context go.
bool schedulable(const Tcb& thread);

// The thread may have become schedulable with a context whose budget is not looked at yet: candidate if there is budget, else release queue.
void resume_with_budget(Core& core, Tcb& thread);
// The thread must leave all queues: it blocks, stops, or changes its priority or context.
void dequeue(Core& core, Tcb& thread);
void enqueue_back(Core& core, Tcb& thread);
void enqueue_front(Core& core, Tcb& thread);
// Into the release queue until the first refill is usable.
void postpone(Core& core, Tcb& thread);

// Books the time since the last booking on the current context.
void charge(Core& core, Ticks now);
// The timer's deadline has come: books time, ends the budget of the current thread if it is used up, releases threads whose time has come.
void handle_timer(Core& core);
// The current thread gives up what is left of its current refill.
void yield(Core& core);

// Gives the processor to the domain of an entry of the schedule, from the last booking on.
void begin_domain_turn(Core& core, unsigned entry);

// What makes the thread special has changed.
void refresh_special(Core& core, Tcb& thread);

// The scheduler's one way up, implemented by the fault path (ipc/fault.cc): the timeout handler of a thread that is in no queue hears that the
// budget is used up. False: there is no handler that could.
bool report_timeout(Core& core, Tcb& thread);

// Chooses who runs next and makes it current. Called once at the end of every kernel entry.
void schedule(Core& core);

// Gives the floating-point unit to the current thread, or with null to nobody; the registers of the one that had it are saved.
void take_fpu(Core& core, Tcb* thread);
// The current thread uses the unit without having it. It probably will again: so it gets it with its next turns, without a trap.
inline constexpr uint8_t fpu_turns = 8;
void use_fpu(Core& core);

// The current thread's VSpace capability was replaced.
void reload_address_space(Core& core);
// A capability to a VSpace goes, or a VSpace loses its ASID: no thread's `space` counts any more.
void lose_address_spaces(Kernel& kernel);

inline constexpr Word micros_in_second = 1'000'000;
// The smallest budget, and the least rest of one that is worth running on. Both forms round alike, so that no budget that is allowed is less.
inline constexpr Micros min_budget_us{10};
inline Ticks min_budget() { return arch::ten_microseconds(); }
static_assert(min_budget_us.raw == 10);
// Enough is left to enter the kernel and do something.
inline bool refill_sufficient(SchedContext& context) { return context.first().amount >= min_budget(); }
// Durations that user level gives in microseconds: budgets round down, deadlines and periods up. The caller has checked timeout_max_us.
Ticks ticks_down(Micros time);
Ticks ticks_up(Micros time);
Micros micros_down(Ticks time);
Micros micros_up(Ticks time);

}  // namespace caprock
