// SPDX-License-Identifier: BSD-2-Clause
#include "object/reply.hpp"

#include "core/panic.hpp"
#include "ipc/ipc.hpp"
#include "object/call_stack.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
void push_call(Reply& reply, Tcb& caller, Tcb& callee, bool donate_context) {
    assert_that(reply.tcb == nullptr && caller.reply == nullptr, "reply_tie");
    assert_that(reply.prev == nullptr && reply.next == nullptr && reply.context == nullptr, "call_stack");
    tie_caller(reply, caller, callee);
    SchedContext* context = caller.sched_context;
    if (!donate_context || context == nullptr || callee.sched_context != nullptr) return;
    push_on_stack(reply, *context);
    hand_over(*context, caller, callee);
}

void pop_call(Core& core, Reply& reply) {
    Tcb& caller = *reply.tcb;
    SchedContext* context = reply.context;
    if (context == nullptr) return detach_call(reply);
    assert_that(caller.reply == &reply, "reply_tie");
    assert_that(context->reply == &reply && reply.next == nullptr && (reply.prev == nullptr || reply.prev->next == &reply), "call_stack");
    pop_off_stack(reply, *context);
    untie_caller(caller);
    if (caller.sched_context == nullptr) donate(core, *context, caller);
}

bool returns_context(const Reply& reply, const Tcb& callee) {
    return reply.context != nullptr && reply.context == callee.sched_context && reply.tcb->sched_context == nullptr;
}

void detach_call(Reply& reply) {
    assert_that(reply.tcb->reply == &reply, "reply_tie");
    if (reply.prev != nullptr) reply.prev->next = nullptr;
    if (reply.next != nullptr) reply.next->prev = nullptr;
    if (reply.context != nullptr) reply.context->reply = nullptr;
    reply.tcb->reply = nullptr;
    reply = Reply{};
}

void cancel_reply(Core& core, Reply& reply) {
    Tcb* thread = reply.tcb;
    if (thread == nullptr) return;
    if (thread->state == ThreadState::BlockedOnReceive) {
        thread->reply = nullptr;
        reply.tcb = nullptr;
        return;
    }
    bool faulted = thread->faulted();
    pop_call(core, reply);
    cancel_call(*thread);
    thread->state = faulted ? ThreadState::Inactive : ThreadState::Running;
    resume_with_budget(core, *thread);
}
}  // namespace caprock
