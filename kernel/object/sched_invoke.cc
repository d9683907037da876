// SPDX-License-Identifier: BSD-2-Clause
// The methods of SchedControl and SchedContext.
#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
SchedContext& context_of(const Invocation& invocation) { return invocation.cap().as_object<SchedContext>(); }

// Refills that fit into an object of this size.
Word most_refills(SizeBits size) { return (size.bytes() - sizeof(SchedContext)) / sizeof(Refill); }

Invoked configure(const Invocation& invocation) {
    using Args = abi::SchedControlConfigureFlagsArgs;
    auto args = invocation.args<Args>();
    Slot* slot = TRY(invocation.argument<SchedContextCap>(Args::cap_sched_context));
    constexpr uint16_t least = min_budget_us.raw;
    if (args.budget < least || args.budget > abi::timeout_max_us) return Failure::range(least, abi::timeout_max_us);
    if (args.period < least || args.period > abi::timeout_max_us) return Failure::range(least, abi::timeout_max_us);
    if (args.budget > args.period) return Failure::range(least, args.period);
    Word most = most_refills(as<SchedContextCap>(slot->cap).size_bits());
    if (most > UINT16_MAX) most = UINT16_MAX;
    if (args.extra_refills > most - min_refills) return Failure::range(0, most - min_refills);

    Core& core = invocation.core;
    SchedContext& context = slot->cap.as_object<SchedContext>();
    bool round_robin = args.budget == args.period;
    Ticks budget = ticks_down(Micros(args.budget));
    Ticks period = round_robin ? Ticks(0) : ticks_up(Micros(args.period));
    unsigned refills = round_robin ? 1 : static_cast<unsigned>(args.extra_refills) + min_refills;
    Ticks now = arch::now();
    if (&context == core.current_sched_context) charge(core, now);
    if (context.tcb != nullptr) dequeue(core, *context.tcb);
    context.badge = Badge(args.badge);
    context.core = CoreId(static_cast<uint8_t>(as<SchedControlCap>(invocation.cap()).number()));
    context.sporadic = abi::SchedContextFlags{args.flags}.sporadic() != 0;
    if (context.configured() && context.tcb != nullptr) {
        refill_update(context, refills, budget, period, now);
    } else {
        refill_new(context, refills, budget, period, now);
    }
    if (context.tcb != nullptr && context.tcb != core.current) resume_with_budget(core, *context.tcb);
    core.reschedule = true;
    return Outcome::Done;
}

Invoked bind(const Invocation& invocation) {
    constexpr unsigned argument = abi::SchedContextBindArgs::cap_cap;
    SchedContext& context = context_of(invocation);
    const Cap& cap = invocation.caps[argument]->cap;
    if (!cap.is(CapType::TCB) && !cap.is(CapType::Notification)) return Failure::invalid_capability(argument + 1);
    if (context.tcb != nullptr || context.notification != nullptr) return Failure::illegal_operation();
    if (cap.is(CapType::TCB)) {
        Tcb& thread = cap.as_object<Tcb>();
        if (thread.sched_context != nullptr) return Failure::illegal_operation();
        bind_sched_context(invocation.core, context, thread);
    } else {
        Notification& notification = cap.as_object<Notification>();
        if (notification.sched_context != nullptr) return Failure::illegal_operation();
        notification.sched_context = &context;
        context.notification = &notification;
    }
    return Outcome::Done;
}

Invoked unbind_all(const Invocation& invocation) {
    SchedContext& context = context_of(invocation);
    if (context.tcb == &invocation.thread) return Failure::illegal_operation();
    unbind_sched_context_tcb(invocation.core, context);
    unbind_sched_context_notification(context);
    return Outcome::Done;
}

Invoked unbind_object(const Invocation& invocation) {
    constexpr unsigned argument = abi::SchedContextUnbindObjectArgs::cap_cap;
    SchedContext& context = context_of(invocation);
    const Cap& cap = invocation.caps[argument]->cap;
    if (cap.is(CapType::TCB)) {
        if (context.tcb == nullptr || context.tcb != &cap.as_object<Tcb>()) return Failure::illegal_operation();
        if (context.tcb == &invocation.thread) return Failure::illegal_operation();
        unbind_sched_context_tcb(invocation.core, context);
    } else if (cap.is(CapType::Notification)) {
        if (context.notification == nullptr || context.notification != &cap.as_object<Notification>()) return Failure::illegal_operation();
        unbind_sched_context_notification(context);
    } else {
        return Failure::invalid_capability(argument + 1);
    }
    return Outcome::Done;
}

Invoked consumed(const Invocation& invocation) {
    SchedContext& context = context_of(invocation);
    book_use(invocation.core, context);
    set_result(invocation.thread, take_consumed(context).raw);
    return Outcome::Answered;
}

Invoked yield_to(const Invocation& invocation) {
    Core& core = invocation.core;
    Tcb& caller = invocation.thread;
    SchedContext& context = context_of(invocation);
    Tcb* thread = context.tcb;
    if (thread == nullptr || thread == &caller || thread->priority > caller.max_priority) return Failure::illegal_operation();
    if (context.yield_from != nullptr) end_yield(core, *context.yield_from);
    bool at_once = false;
    if (schedulable(*thread)) {
        at_once = thread->priority >= caller.priority && thread->domain == caller.domain;
        dequeue(core, *thread);
        // The current thread comes to stand right behind it.
        if (at_once) enqueue_front(core, caller);
        enqueue_front(core, *thread);
        core.reschedule = true;
    }
    if (at_once) {
        begin_yield(core, context, caller);
    } else {
        set_result(caller, take_consumed(context).raw);
    }
    return Outcome::Answered;
}

// -- Access of threads to the core's timer and performance monitor: it is the core's time that they see.

Invoked set_thread_access(const Invocation& invocation) {
    using Args = abi::SchedControlSetThreadAccessArgs;
    auto args = invocation.args<Args>();
    Slot* slot = TRY(invocation.argument<TcbCap>(Args::cap_tcb));
    Tcb& thread = slot->cap.as_object<Tcb>();
    set_flags(invocation.core, thread, abi::ThreadFlags{args.clear}, abi::ThreadFlags{args.set});
    set_result(invocation.thread, thread.flags);
    return Outcome::Answered;
}
}  // namespace

Invoked invoke_sched_control(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::SchedControlConfigureFlags: return configure(invocation);
        case Method::SchedControlSetThreadAccess: return set_thread_access(invocation);
        default: return Failure::illegal_operation();
    }
}

Invoked invoke_sched_context(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::SchedContextBind: return bind(invocation);
        case Method::SchedContextUnbind: return unbind_all(invocation);
        case Method::SchedContextUnbindObject: return unbind_object(invocation);
        case Method::SchedContextConsumed: return consumed(invocation);
        case Method::SchedContextYieldTo: return yield_to(invocation);
        default: return Failure::illegal_operation();
    }
}
}  // namespace caprock
