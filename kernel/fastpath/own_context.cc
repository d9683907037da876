// SPDX-License-Identifier: BSD-2-Clause
// Calls and answers between threads that each have a scheduling context: the one blocks, and the other, which waited for it, goes on at once. Each
// path looks at everything first, and changes nothing before it is sure to end.
#include "fastpath/fastpath.hpp"

#include "fastpath/steps.hpp"

namespace caprock {

namespace {

// The thread would be the next to run, on its own scheduling context and without more ado, once the current one blocks.
bool goes_on(Core& core, const Tcb& thread, Ticks now) {
    SchedContext* context = thread.sched_context;
    if (context == nullptr || !context->configured() || context->sporadic || !usable(*context, now)) return false;
    return now < core.domain_end && comes_next(core, thread);
}

void go_on(Core& core, Tcb& thread, Ticks now) {
    book(core, now);
    switch_context(core, *thread.sched_context);
    switch_thread(core, thread);
    assert_choice(core);
    set_next_deadline(core);
}

}  // namespace

bool fast_call_own(Core& core, Tcb& caller, const EndpointCap& cap) {
    MessageInfo info{caller.context.x[reg::info]};
    Endpoint& endpoint = cap.as_object<Endpoint>();
    if (!in_registers(info) || !cap.can_send() || !(cap.can_grant() || cap.can_grant_reply()) || !endpoint.receiving()) return false;
    Tcb& server = *endpoint.queue.head;
    Ticks now = arch::now();
    if (server.reply == nullptr || !endpoint.has_only_receiver() || !goes_on(core, server, now)) return false;

    deliver(caller, server, cap.badge(), info);
    endpoint.queue.remove(server);
    endpoint.set_idle();
    Reply& reply = *server.reply;
    server.reply = nullptr;
    server.state = ThreadState::Running;
    tie_caller(reply, caller, server);
    go_on(core, server, now);
    return true;
}

bool fast_reply_recv_own(Core& core, Tcb& server, const EndpointCap& cap) {
    MessageInfo info{server.context.x[reg::info]};
    CPtr answers(server.context.x[reg::reply]);
    Endpoint& endpoint = cap.as_object<Endpoint>();
    if (!in_registers(info) || !is_flat(server, answers) || !cap.can_receive() || server.bound_notification != nullptr || !endpoint.idle()) return false;
    const Cap& named = slot_in_flat(server, answers).cap;
    if (!named.is(CapType::Reply)) return false;
    Reply& reply = named.as_object<Reply>();
    if (reply.tcb == nullptr || reply.context != nullptr || reply.prev != nullptr || reply.next != nullptr) return false;
    Tcb& caller = *reply.tcb;
    Ticks now = arch::now();
    if (caller.state != ThreadState::BlockedOnReply || caller.faulted() || !goes_on(core, caller, now)) return false;

    deliver(server, caller, Badge(0), info);
    untie_caller(caller);
    caller.state = ThreadState::Running;
    await_call(server, endpoint, cap, reply);
    go_on(core, caller, now);
    return true;
}

}  // namespace caprock
