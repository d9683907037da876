// SPDX-License-Identifier: BSD-2-Clause
#include "object/reply.hpp"

#include "core/panic.hpp"
#include "ipc/ipc.hpp"
#include "sched/scheduler.hpp"

namespace caprock {

void push_call(Reply& reply, Tcb& caller, Tcb& callee, bool donate_context) {
    assert_that(reply.tcb == nullptr && caller.reply == nullptr, "reply_tie");
    assert_that(reply.prev == nullptr && reply.next == nullptr && reply.context == nullptr, "call_stack");
    reply.tcb = &caller;
    caller.reply = &reply;
    caller.receiving = callee.receiving;
    caller.state = ThreadState::BlockedOnReply;
    SchedContext* context = caller.sched_context;
    if (!donate_context || context == nullptr || callee.sched_context != nullptr) return;
    Reply* newest = context->reply;
    if (newest != nullptr) {
        newest->next = &reply;
        newest->context = nullptr;
    }
    reply.prev = newest;
    reply.context = context;
    context->reply = &reply;
    // A caller is blocked, so it is in no queue of the scheduler.
    caller.sched_context = nullptr;
    context->tcb = &callee;
    callee.sched_context = context;
}

void pop_call(Core& core, Reply& reply) {
    Tcb& caller = *reply.tcb;
    SchedContext* context = reply.context;
    if (context == nullptr) return detach_call(reply);
    Reply* older = reply.prev;
    assert_that(caller.reply == &reply, "reply_tie");
    assert_that(context->reply == &reply && reply.next == nullptr && (older == nullptr || older->next == &reply), "call_stack");
    context->reply = older;
    if (older != nullptr) {
        older->next = nullptr;
        older->context = context;
    }
    if (caller.sched_context == nullptr) donate(core, *context, caller);
    reply = Reply{};
    caller.reply = nullptr;
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
