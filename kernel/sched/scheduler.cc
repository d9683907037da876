// SPDX-License-Identifier: BSD-2-Clause
#include "sched/scheduler.hpp"

#include "core/panic.hpp"
#include "sched/switch.hpp"

namespace caprock {
namespace {
// Due threads that one timer interrupt releases. Those that are left wait for the next one, which keeps a distance: however many are due at once,
// other interrupts and user level have most of the time.
constexpr unsigned release_batch = 4;

ReadyQueues& queues_of(Core& core, const Tcb& thread) {
    return thread.domain == core.domain ? *core.ready : core.queues[thread.domain.raw];
}

void take_from_ready(Core& core, Tcb& thread) {
    ReadyQueues& ready = queues_of(core, thread);
    auto& ring = ready.rings[thread.priority.raw];
    ring.remove(thread);
    if (ring.empty()) ready.unmark(thread.priority);
}

// The current context has no budget left for `thread`, which is in no queue: report it to its timeout handler, or let it wait.
void end_budget(Core& core, Tcb& thread) {
    SchedContext& context = *thread.sched_context;
    if (context.round_robin()) {
        context.first().amount = context.budget;
        enqueue_back(core, thread);
    } else if (!report_timeout(core, thread)) {
        postpone(core, thread);
    }
}

[[gnu::cold, gnu::noinline]] void budget_is_over(Core& core, const SchedContext& context) {
    Tcb* thread = context.tcb;
    if (thread == nullptr || !schedulable(*thread)) return;
    dequeue(core, *thread);
    end_budget(core, *thread);
}

// After booking: the thread on the current context may run on only with usable budget.
[[gnu::always_inline]] inline void check_budget(Core& core) {
    SchedContext* context = core.current_sched_context;
    if (context != nullptr && !usable(*context, core.charged_until)) budget_is_over(core, *context);
}

// The thread can run: unless it has its place it becomes the candidate, or goes into the ready queues.
[[gnu::always_inline]] inline void place(Core& core, Tcb& thread) {
    if (&thread == core.current || &thread == core.candidate || thread.ready.linked()) return;
    if (thread.domain != core.domain) return enqueue_back(core, thread);
    if (core.candidate == nullptr && !core.reschedule) {
        core.candidate = &thread;
        return;
    }
    if (core.candidate != nullptr) enqueue_back(core, *core.candidate);
    core.candidate = nullptr;
    core.reschedule = true;
    enqueue_back(core, thread);
}

// A thread wakes up on a context that is not in use: is there budget?
[[gnu::always_inline]] inline bool make_usable(SchedContext& context) {
    if (context.round_robin()) {
        // A turn that is as good as over is a new one.
        if (!refill_sufficient(context)) context.first().amount = context.budget;
        return true;
    }
    Ticks now = arch::now();
    if (context.sporadic) refill_unblock(context, now);
    return usable(context, now);
}

void release_due_threads(Core& core) {
    for (unsigned i = 0; i < release_batch; ++i) {
        Tcb* thread = core.release.least();
        if (thread == nullptr || !refill_ready(*thread->sched_context, core.charged_until)) return;
        core.release.remove(*thread);
        core.last_release = core.charged_until;
        place(core, *thread);
    }
}

void set_fpu(Core& core, bool open) {
    if (((core.special & Special::fpu) != 0) == open) return;
    core.special ^= Special::fpu;
    arch::fpu_enable(open);
}

// Hardware that few threads use. What neither the thread before nor this one has to do with stays as it is.
[[gnu::always_inline]] inline void set_up_access(Core& core, const Tcb& thread) {
    uint8_t concerned = (core.special | thread.special) & (Special::access | Special::debug);
    if ((concerned & Special::access) != 0) {
        arch::set_user_access(thread.thread_flags().pmu() != 0, thread.thread_flags().physical_timer() != 0);
    }
    if ((concerned & Special::debug) != 0) arch::load_debug_state((thread.special & Special::debug) != 0 ? &thread.debug : nullptr);
    core.special = static_cast<uint8_t>((core.special & ~concerned) | (thread.special & concerned));
}

void switch_to_idle(Core& core) {
    if (core.current != nullptr) arch::save_thread_pointers(core.current->context);
    arch::set_no_address_space();
    set_fpu(core, false);
    core.current = nullptr;
    core.current_context = &core.idle;
}

[[gnu::always_inline]] inline bool current_runs(const Core& core) {
    return core.current != nullptr && schedulable(*core.current) && !core.current->ready.linked();
}

// The usual end of an IPC: the candidate runs on the context that it was just given, the current thread has none any more (unless a notification
// lent it one at once), and nobody more important is ready.
[[gnu::always_inline]] inline bool switch_within_context(Core& core) {
    Tcb* next = core.candidate;
    if (next == nullptr || core.reschedule || next->sched_context != core.current_sched_context) return false;
    if (core.current != nullptr && core.current->sched_context != nullptr) return false;
    if (next->priority.raw < core.ready->highest) return false;
    core.candidate = nullptr;
    switch_thread(core, *next);
    return true;
}

void next_domain(Core& core) {
    const Kernel& kernel = *core.kernel;
    unsigned next = core.domain_entry + 1;
    bool end = next == abi::domain_schedule_entries || kernel.domain_schedule[next].length == Ticks(0);
    begin_domain_turn(core, end ? kernel.domain_start : next);
}

// Takes the first thread of the highest priority out of the ready queues; null if they are empty.
Tcb* take_highest(Core& core) {
    int64_t highest = core.ready->highest;
    if (highest < 0) return nullptr;
    Tcb* next = core.ready->rings[highest].head;
    take_from_ready(core, *next);
    return next;
}

// Who runs next, in no queue; whom it wins against is put into the queues. The current thread and one that takes over from a thread that blocks go
// before their equals; who is woken waits behind them.
[[gnu::always_inline]] inline Tcb* take_next(Core& core) {
    Tcb* first = current_runs(core) ? core.current : nullptr;
    Tcb* candidate = core.candidate;
    core.candidate = nullptr;
    core.reschedule = false;
    if (first == nullptr) {
        first = candidate;
    } else if (candidate != nullptr) {
        if (candidate->priority > first->priority && candidate->priority.raw > core.ready->highest) {
            enqueue_front(core, *first);
            return candidate;
        }
        enqueue_back(core, *candidate);
    }
    if (first == nullptr) return take_highest(core);
    if (first->priority.raw >= core.ready->highest && first->domain == core.domain) return first;
    enqueue_front(core, *first);
    return take_highest(core);
}

void choose(Core& core) {
    Tcb* next = take_next(core);
    if (next == nullptr) {
        core.current_sched_context = nullptr;
        if (core.current_context != &core.idle) switch_to_idle(core);
        return;
    }
    if (next->sched_context != core.current_sched_context) switch_context(core, *next->sched_context);
    switch_thread(core, *next);
}
}  // namespace

[[gnu::noinline]] void switch_special(Core& core, Tcb& next) {
    if ((next.special & Special::fpu_soon) != 0) {
        take_fpu(core, &next);
        if (--next.fpu_turns == 0) next.special ^= Special::fpu_soon;
    } else {
        set_fpu(core, core.fpu_owner == &next);
    }
    set_up_access(core, next);
    if ((next.special & Special::yield) != 0) complete_yield(core, next);
}

bool schedulable(const Tcb& thread) {
    return thread.state == ThreadState::Running && thread.sched_context != nullptr && thread.sched_context->configured() &&
           !thread.release.linked();
}

// Threads that could run stand in one place: the current one and the candidate in no queue.
void assert_placement(const Tcb& thread) {
    if constexpr (debug_build) assert_that(schedulable(thread) && !thread.ready.linked(), "runnable_placed");
}

// An exchange within a context needs no look at the queues.
void assert_choice(const Core& core) {
    if constexpr (debug_build) {
        const Tcb* current = core.current;
        assert_that(core.candidate == nullptr && !core.reschedule, "entry_settled");
        assert_that(core.current_context == (current == nullptr ? &core.idle : &current->context), "current_context");
        assert_that(core.ready == &core.queues[core.domain.raw] && (current == nullptr || current->domain == core.domain), "current_domain");
        assert_that((current == nullptr ? -1 : int{current->priority.raw}) >= core.ready->highest, "highest_runs");
        assert_that(current == nullptr || (schedulable(*current) && !current->ready.linked()), "current_runnable");
        assert_that(current == nullptr || current->sched_context == core.current_sched_context, "current_sched_context");
        assert_that(current == nullptr || current->yielding_to == nullptr, "yield_tie");
        assert_that((core.special & Special::fpu) == 0 || core.fpu_owner == current, "fpu_owner");
    }
}

void enqueue_back(Core& core, Tcb& thread) {
    assert_placement(thread);
    ReadyQueues& ready = queues_of(core, thread);
    ready.rings[thread.priority.raw].push_back(thread);
    ready.mark(thread.priority);
}

void enqueue_front(Core& core, Tcb& thread) {
    assert_placement(thread);
    ReadyQueues& ready = queues_of(core, thread);
    ready.rings[thread.priority.raw].push_front(thread);
    ready.mark(thread.priority);
}

void resume_with_budget(Core& core, Tcb& thread) {
    if (!schedulable(thread)) return;
    if (thread.sched_context == core.current_sched_context || make_usable(*thread.sched_context)) return place(core, thread);
    dequeue(core, thread);
    postpone(core, thread);
}

void dequeue(Core& core, Tcb& thread) {
    if (core.candidate == &thread) core.candidate = nullptr;
    if (thread.ready.linked()) take_from_ready(core, thread);
    if (thread.release.linked()) core.release.remove(thread);
}

void postpone(Core& core, Tcb& thread) {
    // The release queue is ordered by refills, so nothing may be booked on the context as long as its thread is in it.
    if (core.current_sched_context == thread.sched_context) core.current_sched_context = nullptr;
    core.release.insert(thread);
    core.reschedule = true;
}

void charge(Core& core, Ticks now) { book(core, now); }

void handle_timer(Core& core) {
    charge(core, arch::now());
    core.reschedule = true;
    check_budget(core);
    release_due_threads(core);
}

void yield(Core& core) {
    book(core, arch::now());
    SchedContext& context = *core.current_sched_context;
    if (context.round_robin()) {
        context.first().amount = context.budget;
    } else if (refill_ready(context, core.charged_until)) {
        Ticks consumed = context.consumed;
        refill_charge(context, context.first().amount);
        context.consumed = consumed;
    }
    Tcb& thread = *core.current;
    if (usable(context, core.charged_until)) {
        enqueue_back(core, thread);
    } else {
        postpone(core, thread);
    }
}

void schedule(Core& core) {
    if (switch_within_context(core)) return assert_choice(core);
    bool unchanged = core.candidate == nullptr && !core.reschedule && current_runs(core);
    if (unchanged && core.current->sched_context == core.current_sched_context) return;
    book(core, arch::now());
    check_budget(core);
    if (core.charged_until >= core.domain_end) next_domain(core);
    choose(core);
    assert_choice(core);
    set_next_deadline(core);
}

void begin_domain_turn(Core& core, unsigned entry) {
    const DomainTurn& turn = core.kernel->domain_schedule[entry];
    core.domain_entry = entry;
    core.domain = turn.domain;
    core.ready = &core.queues[turn.domain.raw];
    core.domain_end = turn.length == never ? never : core.charged_until + turn.length.raw;
    // The candidate was one of the former domain's, and may be one of this, too: it keeps its place among its equals.
    if (core.candidate != nullptr) current_runs(core) ? enqueue_back(core, *core.candidate) : enqueue_front(core, *core.candidate);
    core.candidate = nullptr;
    core.reschedule = true;
}

void refresh_special(Core& core, Tcb& thread) {
    bool access = thread.thread_flags().pmu() != 0 || thread.thread_flags().physical_timer() != 0;
    bool debug = is_debugged(thread);
    bool yield = thread.yielding_to != nullptr;
    thread.special = static_cast<uint8_t>((core.fpu_owner == &thread ? Special::fpu : 0) | (access ? Special::access : 0) | (debug ? Special::debug : 0) |
                                          (yield ? Special::yield : 0) | (thread.fpu_turns != 0 ? Special::fpu_soon : 0) |
                                          (access || debug || yield ? Special::rare : 0));
    if (core.current == &thread) set_up_access(core, thread);
}

void take_fpu(Core& core, Tcb* thread) {
    Tcb* owner = core.fpu_owner;
    if (owner != thread) {
        assert_that(owner == nullptr || (owner->special & Special::fpu) != 0, "special_thread");
        if (owner != nullptr) {
            arch::fpu_save(owner->fpu);
            owner->special &= static_cast<uint8_t>(~Special::fpu);
        }
        if (thread != nullptr) {
            arch::fpu_restore(thread->fpu);
            thread->special |= Special::fpu;
        }
        core.fpu_owner = thread;
    }
    set_fpu(core, thread != nullptr);
}

void use_fpu(Core& core) {
    Tcb& thread = *core.current;
    take_fpu(core, &thread);
    thread.fpu_turns = fpu_turns;
    thread.special |= Special::fpu_soon;
}

void find_address_space(Core& core, Tcb& thread) {
    const Cap& root = thread.cap(TcbSlot::VSpace);
    Asid asid(static_cast<uint16_t>(root.w1));
    if (!root.is(CapType::VSpace) || asid == Asid(0) || vspace_of(*core.kernel, asid) != root.object()) return arch::set_no_address_space();
    thread.space = arch::address_space(arch::to_physical(root.object()), asid);
    if (core.space_epoch.raw() != SpaceEpoch::last) thread.space_epoch = core.space_epoch;
    arch::set_address_space(thread.space);
}

void lose_address_spaces(Kernel& kernel) {
    for (unsigned i = 0; i < kernel.core_count; ++i) kernel.cores[i].space_epoch.advance();
}

void reload_address_space(Core& core) { find_address_space(core, *core.current); }
Ticks ticks_down(Micros time) { return Ticks(time.raw * arch::timer_frequency() / micros_in_second); }
Ticks ticks_up(Micros time) { return Ticks((time.raw * arch::timer_frequency() + micros_in_second - 1) / micros_in_second); }

Micros micros_down(Ticks time) {
    Word frequency = arch::timer_frequency();
    return Micros(time.raw / frequency * micros_in_second + time.raw % frequency * micros_in_second / frequency);
}

Micros micros_up(Ticks time) {
    Micros down = micros_down(time);
    return ticks_down(down) < time ? down + 1 : down;
}
}  // namespace caprock
