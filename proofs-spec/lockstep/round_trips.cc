// SPDX-License-Identifier: BSD-2-Clause
// Calls of servers, passive ones and such with time of their own, and their answers, as most systems have them: these are what the kernel's fast paths
// are for.
#include "director.hpp"

#include "object/endpoint.hpp"
#include "object/reply.hpp"
#include "object/sched_context.hpp"

namespace caprock::lockstep {

using abi::Syscall;
using fuzz::Operation;

// A message that registers hold, mostly.
void Director::write_short_message(Operation& operation, Syscall number, uint64_t target) {
    write_message(operation, number, target);
    if (choices_.one_in(6)) return;
    uint64_t length = choices_.below(abi::ipc_register_words + 1);
    operation.message_words = static_cast<unsigned>(length);
    operation.x[1] = abi::MessageInfo::make(length, 0, 0, choices_.below(4)).raw;
}

// A server that only receives must not send capabilities.
void Director::add_capabilities(Operation& operation) {
    abi::MessageInfo info{operation.x[1]};
    operation.x[1] = abi::MessageInfo::make(info.length(), 1 + choices_.below(3), 0, info.label()).raw;
}

bool Director::call_server(Operation& operation, bool passive) {
    auto leads_to_server = [&](const Cap& cap) {
        const Endpoint& endpoint = cap.as_object<Endpoint>();
        return endpoint.receiving() && (endpoint.queue.head->sched_context == nullptr) == passive && endpoint.queue.head->reply != nullptr;
    };
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, leads_to_server);
    if (!endpoint) return false;
    write_short_message(operation, Syscall::Call, *endpoint);
    return true;
}

// Where nobody waits, mostly: the next call is still to come.
bool Director::answer_and_wait(Operation& operation, const Tcb& current) {
    auto returns_time = [&](const Cap& cap) {
        const Reply& reply = cap.as_object<Reply>();
        return reply.context != nullptr && reply.context == current.sched_context;
    };
    // Or of a caller that kept its time.
    auto has_time = [](const Cap& cap) {
        const Reply& reply = cap.as_object<Reply>();
        return reply.tcb != nullptr && reply.tcb->state == ThreadState::BlockedOnReply && reply.tcb->sched_context != nullptr;
    };
    std::optional<uint64_t> reply = holder_of(CapType::Reply, returns_time);
    if (!reply) reply = holder_of(CapType::Reply, has_time);
    if (!reply) return false;
    auto waits_alone = [](const Cap& cap) { return cap.as_object<Endpoint>().idle(); };
    std::optional<uint64_t> endpoint = choices_.one_in(4) ? std::nullopt : holder_of(CapType::Endpoint, waits_alone);
    if (!endpoint) endpoint = holder(mask_of(CapType::Endpoint));
    const Cap& answers = space_[*reply].cap;
    write_short_message(operation, Syscall::ReplyRecv, endpoint.value_or(0));
    operation.x[6] = choices_.one_in(32) ? *reply | space_slots : *reply;
    bool refused = as<ReplyCap>(answers).can_grant() && !answers.as_object<Reply>().tcb->receiving.has(ReceiveOptions::grant);
    if (refused && choices_.one_in(3)) add_capabilities(operation);
    if (choices_.one_in(8)) give_source(operation, *answers.as_object<Reply>().tcb);
    return true;
}

// A caller that waits for its answer gets other time than what it lent.
bool Director::give_back_time(Operation& operation) {
    auto has_lent = [](const Cap& cap) {
        const Tcb& thread = cap.as_object<Tcb>();
        return thread.state == ThreadState::BlockedOnReply && thread.sched_context == nullptr;
    };
    auto is_free = [](const Cap& cap) { return cap.as_object<SchedContext>().tcb == nullptr && cap.as_object<SchedContext>().notification == nullptr; };
    std::optional<uint64_t> thread = holder_of(CapType::TCB, has_lent);
    std::optional<uint64_t> context = holder_of(CapType::SchedContext, is_free);
    if (!thread || !context) return false;
    invoke(operation, abi::Method::SchedContextBind, *context, {}, {*thread});
    return true;
}

// A thread that waits for a call or an answer goes to another domain.
bool Director::move_partner(Operation& operation) {
    auto waits = [](const Cap& cap) {
        const Tcb& thread = cap.as_object<Tcb>();
        return thread.state == ThreadState::BlockedOnReply || thread.state == ThreadState::BlockedOnReceive;
    };
    std::optional<uint64_t> domain = holder(mask_of(CapType::Domain));
    std::optional<uint64_t> thread = holder_of(CapType::TCB, waits);
    if (!domain || !thread) return false;
    invoke(operation, abi::Method::DomainSet, *domain, {choices_.below(3)}, {*thread});
    return true;
}

// Waits for calls itself.
bool Director::become_server(Operation& operation) {
    auto is_free = [](const Cap& cap) { return cap.as_object<Reply>().tcb == nullptr; };
    auto receives = [](const Cap& cap) { return as<EndpointCap>(cap).can_receive() && !cap.as_object<Endpoint>().sending(); };
    std::optional<uint64_t> reply = holder_of(CapType::Reply, is_free);
    std::optional<uint64_t> endpoint = holder_of(CapType::Endpoint, receives);
    if (!reply || !endpoint) return false;
    receive_with(operation, *endpoint, *reply);
    return true;
}

bool Director::round_trip(Operation& operation, const Slot* space, const Tcb& current) {
    space_ = space;
    bool passive = !choices_.one_in(3);
    if (choices_.one_in(6) && call_server(operation, passive)) return true;
    if (choices_.one_in(16) && move_partner(operation)) return true;
    if (answer_and_wait(operation, current) || call_server(operation, passive) || call_server(operation, !passive)) return true;
    return choices_.one_in(8) && (make_passive(operation, current) || give_back_time(operation) || become_server(operation));
}

}  // namespace caprock::lockstep
