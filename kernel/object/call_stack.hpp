// SPDX-License-Identifier: BSD-2-Clause
// The stack of calls that hangs off a scheduling context, and the ties of a call: the steps that calling and answering are made of.
#pragma once

#include "object/reply.hpp"
#include "object/sched_context.hpp"
#include "object/tcb.hpp"

namespace caprock {

// The caller waits for `reply` from now on; how the callee received decides what the answer may carry.
[[gnu::always_inline]] inline void tie_caller(Reply& reply, Tcb& caller, const Tcb& callee) {
    reply.tcb = &caller;
    caller.reply = &reply;
    caller.receiving = callee.receiving;
    caller.state = ThreadState::BlockedOnReply;
}

[[gnu::always_inline]] inline void untie_caller(Tcb& caller) { caller.reply = nullptr; }

// `reply` becomes the newest call on the context.
[[gnu::always_inline]] inline void push_on_stack(Reply& reply, SchedContext& context) {
    Reply* newest = context.reply;
    if (newest != nullptr) {
        newest->next = &reply;
        newest->context = nullptr;
    }
    reply.prev = newest;
    reply.context = &context;
    context.reply = &reply;
}

// Takes the newest call off the context, and leaves `reply` free.
[[gnu::always_inline]] inline void pop_off_stack(Reply& reply, SchedContext& context) {
    Reply* older = reply.prev;
    context.reply = older;
    if (older != nullptr) {
        older->next = nullptr;
        older->context = &context;
    }
    reply = Reply{};
}

// The context goes from a thread that is in no queue of the scheduler to one that has none.
[[gnu::always_inline]] inline void hand_over(SchedContext& context, Tcb& from, Tcb& to) {
    from.sched_context = nullptr;
    context.tcb = &to;
    to.sched_context = &context;
}

}  // namespace caprock
