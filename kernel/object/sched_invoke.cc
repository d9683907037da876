// SPDX-License-Identifier: BSD-2-Clause
// The methods of SchedControl and SchedContext.
#include "object/invocation.hpp"
#include "object/notification.hpp"
#include "sched/scheduler.hpp"

namespace caprock {

namespace {

constexpr unsigned min_refills = 2;   // what a sporadic server cannot do without

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
    if (&context == invocation.core.current_sched_context) charge(invocation.core, arch::now());
    set_result(invocation.thread, micros_down(context.consumed).raw);
    context.consumed = Ticks(0);
    invocation.core.reschedule = true;
    return Outcome::Answered;
}

}  // namespace

Invoked invoke_sched_control(const Invocation& invocation) {
    if (invocation.method != Method::SchedControlConfigureFlags) return Failure::illegal_operation();
    return configure(invocation);
}

Invoked invoke_sched_context(const Invocation& invocation) {
    switch (invocation.method) {
        case Method::SchedContextBind: return bind(invocation);
        case Method::SchedContextUnbind: return unbind_all(invocation);
        case Method::SchedContextUnbindObject: return unbind_object(invocation);
        case Method::SchedContextConsumed: return consumed(invocation);
        default: return Failure::illegal_operation();
    }
}

}  // namespace caprock
