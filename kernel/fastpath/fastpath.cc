// SPDX-License-Identifier: BSD-2-Clause
// Each path looks at everything first, and changes nothing before it is sure to end. The scheduling context goes along, so the timer stays as it
// is, and no queue of the scheduler is touched. Whatever would need a function of another file is left to the general path: so the compiler needs
// no stack.
#include "fastpath/fastpath.hpp"

#include "fastpath/steps.hpp"

namespace caprock {

namespace {

[[gnu::always_inline]] inline bool finish(Core& core, Tcb& former, Tcb& next) {
    set_current(core, &former, next);
    if (is_special(core, next)) switch_special(core, next);
    assert_choice(core);
    return true;
}

}  // namespace

bool fast_call(Core& core, Tcb& caller) {
    MessageInfo info{caller.context.x[reg::info]};
    CPtr address(caller.context.x[reg::cap]);
    if (!in_registers(info) || !is_flat(caller, address)) return false;
    const EndpointCap& cap = as<EndpointCap>(slot_in_flat(caller, address).cap);
    if (!cap.is(CapType::Endpoint) || !cap.can_send() || !(cap.can_grant() || cap.can_grant_reply())) return false;
    Endpoint& endpoint = cap.as_object<Endpoint>();
    if (!endpoint.receiving()) return false;
    Tcb& server = *endpoint.queue.head;
    bool passive = server.sched_context == nullptr && server.reply != nullptr;
    if (!passive || !endpoint.queue.holds_only(server) || !comes_next(core, server)) return false;

    enter_address_space(*core.kernel, server);
    deliver(caller.context, server.context, cap.badge(), info);
    endpoint.queue.end(server);
    endpoint.set_idle();
    Reply& reply = *server.reply;
    server.reply = nullptr;
    server.state = ThreadState::Running;
    tie_caller(reply, caller, server);
    SchedContext& context = *core.current_sched_context;
    push_on_stack(reply, context);
    hand_over(context, caller, server);
    return finish(core, caller, server);
}

bool fast_reply_recv(Core& core, Tcb& server) {
    Context& from = server.context;
    MessageInfo info{from.x[reg::info]};
    CPtr address(from.x[reg::cap]), answers(from.x[reg::reply]);
    if (!in_registers(info) || !is_flat(server, address) || !is_flat(server, answers)) return false;
    const Cap& named = slot_in_flat(server, answers).cap;
    const EndpointCap& cap = as<EndpointCap>(slot_in_flat(server, address).cap);
    if (!named.is(CapType::Reply) || !cap.is(CapType::Endpoint) || !cap.can_receive() || server.bound_notification != nullptr) return false;
    Endpoint& endpoint = cap.as_object<Endpoint>();
    Reply& reply = named.as_object<Reply>();
    SchedContext& context = *core.current_sched_context;
    if (!endpoint.idle() || reply.context != &context) return false;
    Tcb& caller = *reply.tcb;
    if (caller.faulted() || caller.sched_context != nullptr || !comes_next(core, caller)) return false;

    enter_address_space(*core.kernel, caller);
    deliver(from, caller.context, Badge(0), info);
    pop_off_stack(reply, context);
    untie_caller(caller);
    caller.state = ThreadState::Running;
    hand_over(context, server, caller);
    await_call(server, endpoint, cap, reply);
    return finish(core, server, caller);
}

}  // namespace caprock
