// SPDX-License-Identifier: BSD-2-Clause
// Reply: the right to answer one call. While a thread receives with it, it names the receiver; once a call was delivered, the caller.
//
// Calls that carried a scheduling context along form a stack that hangs off that context: `SchedContext::reply` is the newest call, `prev` an
// older one. Answering the newest returns the context to its caller; a reply that is removed from the middle breaks the stack there, and the
// context then stays with whoever has it.
#pragma once

#include "core/types.hpp"

namespace caprock {

struct Core;
struct SchedContext;
struct Tcb;

struct Reply {
    Tcb* tcb = nullptr;                 // receiver (BlockedOnReceive with this reply) or caller (BlockedOnReply)
    SchedContext* context = nullptr;    // set in the newest only: the context whose stack this is
    Reply* prev = nullptr;              // the call before it on the same scheduling context
    Reply* next = nullptr;              // the call after it
};
static_assert(sizeof(Reply) <= 1u << 5);

// The call of `caller` was delivered to `callee`: the caller waits for `reply`, and its scheduling context moves if `donate` and the callee has none.
void push_call(Reply& reply, Tcb& caller, Tcb& callee, bool donate);
// Takes `reply` off its stack and gives the context back to the caller if the reply was the newest and the caller has none. The caller stays blocked.
void pop_call(Core& core, Reply& reply);
// Whether `pop_call` would take the scheduling context of `callee`.
bool returns_context(const Reply& reply, const Tcb& callee);
// The caller goes away (or is cancelled): takes the reply out of its stack, which breaks there; the context stays with whoever runs on it.
void detach_call(Reply& reply);
// The reply goes away, or is used for another receive: its caller returns with CallCancelled, its receiver goes on without a reply object.
void cancel_reply(Core& core, Reply& reply);

}  // namespace caprock
