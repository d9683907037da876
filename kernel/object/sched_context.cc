// SPDX-License-Identifier: BSD-2-Clause
#include "object/sched_context.hpp"

#include "core/panic.hpp"
#include "ipc/message.hpp"
#include "object/notification.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
void begin_yield(Core& core, SchedContext& context, Tcb& caller) {
    assert_that(context.yield_from == nullptr && caller.yielding_to == nullptr, "yield_tie");
    context.yield_from = &caller;
    caller.yielding_to = &context;
    refresh_special(core, caller);
}

void complete_yield(Core& core, Tcb& caller) {
    SchedContext& context = *caller.yielding_to;
    forget_yield(core, caller);
    set_result(caller, take_consumed(context).raw);
}

void end_yield(Core& core, Tcb& caller) {
    book_use(core, *caller.yielding_to);
    complete_yield(core, caller);
}

void forget_yield(Core& core, Tcb& caller) {
    assert_that(caller.yielding_to->yield_from == &caller, "yield_tie");
    caller.yielding_to->yield_from = nullptr;
    caller.yielding_to = nullptr;
    refresh_special(core, caller);
}

void book_use(Core& core, const SchedContext& context) {
    if (&context != core.current_sched_context) return;
    charge(core, arch::now());
    core.reschedule = true;
}

Micros take_consumed(SchedContext& context) {
    Micros consumed = micros_down(context.consumed);
    context.consumed = Ticks(0);
    return consumed;
}

void bind_sched_context(Core& core, SchedContext& context, Tcb& thread) {
    assert_that(context.tcb == nullptr && thread.sched_context == nullptr, "sched_context_tie");
    context.tcb = &thread;
    thread.sched_context = &context;
    resume_with_budget(core, thread);
}

void unbind_sched_context_tcb(Core& core, SchedContext& context) {
    Tcb* thread = context.tcb;
    if (thread == nullptr) return;
    assert_that(thread->sched_context == &context, "sched_context_tie");
    // The current thread is in no queue.
    if (thread != core.current) dequeue(core, *thread);
    thread->sched_context = nullptr;
    context.tcb = nullptr;
}

void unbind_sched_context_notification(SchedContext& context) {
    if (context.notification == nullptr) return;
    assert_that(context.notification->sched_context == &context, "lending_notification");
    context.notification->sched_context = nullptr;
    context.notification = nullptr;
}

void donate(Core& core, SchedContext& context, Tcb& thread) {
    assert_that(thread.sched_context == nullptr, "sched_context_tie");
    unbind_sched_context_tcb(core, context);
    context.tcb = &thread;
    thread.sched_context = &context;
}

void lend_from_notification(Core& core, Notification& notification, Tcb& thread) {
    SchedContext* context = notification.sched_context;
    if (thread.sched_context != nullptr || context == nullptr || context->tcb != nullptr) return;
    donate(core, *context, thread);
}

void return_to_notification(Core& core, Notification& notification, Tcb& thread) {
    if (thread.sched_context == nullptr || thread.sched_context != notification.sched_context) return;
    unbind_sched_context_tcb(core, *thread.sched_context);
}
}  // namespace caprock
