// SPDX-License-Identifier: BSD-2-Clause
#include "ipc/ipc.hpp"

#include "core/panic.hpp"
#include "ipc/fault.hpp"
#include "ipc/message.hpp"
#include "ipc/transfer_caps.hpp"
#include "object/notification.hpp"
#include "object/reply.hpp"
#include "sched/scheduler.hpp"

namespace caprock {

namespace {

// Copies message words [First, Last) as far as the message goes, and clears the others of them.
template <unsigned First, unsigned Last>
[[gnu::always_inline]] inline void copy_bank(const Context& from, Context& to, unsigned length) {
    if (length <= First) return clear_register_words<First, Last>(to);
#pragma GCC unroll 12
    for (unsigned i = First; i < Last; ++i) to.x[reg::word(i)] = from.x[reg::word(i)];
    for (unsigned i = length; i < Last; ++i) to.x[reg::word(i)] = 0;
}

void copy_register_words(const Context& from, Context& to, unsigned length) {
    copy_bank<0, 4>(from, to, length);
    copy_bank<4, register_words>(from, to, length);
}

// Copies words 12 and up; returns the length that the receiver gets.
unsigned copy_buffer_words(const Tcb& sender, Tcb& receiver, unsigned length) {
    const IPCBuffer* from = readable_buffer(sender);
    IPCBuffer* to = writable_buffer(receiver);
    if (from == nullptr || to == nullptr) return register_words;
    for (unsigned i = register_words; i < length; ++i) to->msg[i] = from->msg[i];
    return length;
}

void remove_from(Endpoint& endpoint, Tcb& thread) {
    endpoint.queue.remove(thread);
    if (endpoint.queue.empty()) endpoint.state = Endpoint::State::Idle;
}

void block(Endpoint& endpoint, Tcb& thread, Endpoint::State queue_state, ThreadState thread_state) {
    thread.state = thread_state;
    thread.endpoint = &endpoint;
    endpoint.state = queue_state;
    endpoint.queue.insert(thread);
}

// The sender's scheduling context goes along to a receiver without one. With a call it does only if the call can be answered: else it would
// never come back.
bool brings_context(const Tcb& sender, const SendOptions& options, const Reply* reply) {
    bool returns = !options.call || (reply != nullptr && (options.grant || options.grant_reply));
    return options.donate && returns && sender.sched_context != nullptr;
}

// The receiver would be left without a scheduling context, which it asked not to be.
bool refuses(const Tcb& receiver, const Tcb& sender, const SendOptions& options, const Reply* reply) {
    return receiver.requires_donation && receiver.sched_context == nullptr && !brings_context(sender, options, reply);
}

// What a sender that waits has asked for.
SendOptions options_of(const Tcb& sender) {
    bool donate = sender.is_call && sender.fault.label != abi::FaultLabel::Timeout;
    return {.blocking = true, .call = sender.is_call, .grant = sender.can_grant, .grant_reply = sender.can_grant_reply, .donate = donate};
}

// Ends a thread that cannot go on; if it was a fault that brought it here, that is over.
void stop(Tcb& thread) {
    thread.fault.label = abi::FaultLabel::NullFault;
    thread.state = ThreadState::Inactive;
}

// Ends the wait of a sender that was refused.
void refuse(Core& core, Tcb& sender) {
    if (sender.faulted()) return stop(sender);
    set_result(sender, Failure::of(Error::NoDonation));
    sender.state = ThreadState::Running;
    resume_with_budget(core, sender);
}

// Refuses waiting senders up to the first one that the receiver takes. It cannot leave the rest to another execution of its system call: to
// execute anything it needs the very context that they do not bring.
void refuse_senders(Core& core, Endpoint& endpoint, const Tcb& receiver, const Reply* reply) {
    while (endpoint.state == Endpoint::State::Send) {
        Tcb& sender = *endpoint.queue.head;
        if (!refuses(receiver, sender, options_of(sender), reply)) return;
        remove_from(endpoint, sender);
        refuse(core, sender);
    }
}

void deliver(Tcb& sender, Tcb& receiver, Endpoint& endpoint, Badge badge, bool grant) {
    if (sender.faulted()) {
        transfer_fault(sender, receiver, badge);
    } else {
        transfer_message(sender, receiver, &endpoint, badge, grant);
    }
}

// The sender's message was delivered and it wants an answer: through `reply`, or never.
void await_reply(Tcb& sender, Tcb& receiver, Reply* reply, bool may_reply, bool donate) {
    if (reply != nullptr && may_reply) {
        push_call(*reply, sender, receiver, donate);
    } else {
        stop(sender);
    }
}

void detach_receiver_reply(Tcb& receiver) {
    if (receiver.reply != nullptr) receiver.reply->tcb = nullptr;
    receiver.reply = nullptr;
}

}  // namespace

// What does not travel in registers: further words, and capabilities.
[[gnu::noinline]] MessageInfo transfer_rest(Tcb& sender, Tcb& receiver, const Endpoint* endpoint, bool grant) {
    MessageInfo info = sent_info(sender);
    unsigned length = static_cast<unsigned>(info.length());
    if (length > register_words) length = copy_buffer_words(sender, receiver, length);
    ReceivedCaps caps;
    if (info.extra_caps() != 0 && grant) caps = transfer_caps(sender, receiver, endpoint);
    return MessageInfo::make(length, caps.count, caps.unwrapped, info.label());
}

void transfer_message(Tcb& sender, Tcb& receiver, const Endpoint* endpoint, Badge badge, bool grant) {
    MessageInfo info{sender.context.x[reg::info]};
    copy_register_words(sender.context, receiver.context, static_cast<unsigned>(info.length()));
    bool in_registers = info.length() <= register_words && info.extra_caps() == 0;
    info = in_registers ? MessageInfo::make(info.length(), 0, 0, info.label()) : transfer_rest(sender, receiver, endpoint, grant);
    set_received(receiver, badge, info);
}

SendResult send_ipc(Core& core, Tcb& sender, Endpoint& endpoint, Badge badge, SendOptions options) {
    if (endpoint.state != Endpoint::State::Receive) {
        if (!options.blocking) return SendResult::Finished;
        sender.badge = badge;
        sender.is_call = options.call;
        sender.can_grant = options.grant;
        sender.can_grant_reply = options.grant_reply;
        block(endpoint, sender, Endpoint::State::Send, ThreadState::BlockedOnSend);
        return SendResult::Pending;
    }
    Tcb& receiver = *endpoint.queue.head;
    if (refuses(receiver, sender, options, receiver.reply)) {
        if (sender.faulted()) stop(sender);
        return SendResult::Refused;
    }
    remove_from(endpoint, receiver);
    Reply* reply = receiver.reply;
    detach_receiver_reply(receiver);
    deliver(sender, receiver, endpoint, badge, options.grant);
    if (options.call) {
        await_reply(sender, receiver, reply, options.grant || options.grant_reply, options.donate);
    } else if (receiver.sched_context == nullptr && brings_context(sender, options, reply)) {
        donate(core, *sender.sched_context, receiver);
    }
    receiver.state = ThreadState::Running;
    resume_receiver(core, receiver);
    return options.call ? SendResult::Pending : SendResult::Finished;
}

void receive_ipc(Core& core, Tcb& receiver, Endpoint& endpoint, Reply* reply, ReceiveOptions options) {
    if (reply != nullptr && reply->tcb != nullptr && reply->tcb != &receiver) cancel_reply(core, *reply);
    if (take_bound_notification(core, receiver)) return;
    receiver.requires_donation = options.requires_donation;
    refuse_senders(core, endpoint, receiver, reply);
    if (endpoint.state != Endpoint::State::Send) {
        if (!options.blocking) return set_received(receiver, Badge(0), MessageInfo{0});
        if (receiver.bound_notification != nullptr) return_to_notification(core, *receiver.bound_notification, receiver);
        receiver.reply = reply;
        if (reply != nullptr) reply->tcb = &receiver;
        return block(endpoint, receiver, Endpoint::State::Receive, ThreadState::BlockedOnReceive);
    }
    Tcb& sender = *endpoint.queue.head;
    remove_from(endpoint, sender);
    deliver(sender, receiver, endpoint, sender.badge, sender.can_grant);
    if (sender.is_call) {
        await_reply(sender, receiver, reply, sender.can_grant || sender.can_grant_reply, options_of(sender).donate);
        // The context that came with the call may have to wait for its next refill, and the receiver with it.
        resume_with_budget(core, receiver);
    } else {
        set_done(sender);
        sender.state = ThreadState::Running;
        resume_with_budget(core, sender);
    }
}

void send_reply(Core& core, Tcb& sender, Reply& reply, bool grant) {
    Tcb* caller = reply.tcb;
    if (caller == nullptr || caller->state != ThreadState::BlockedOnReply) return;
    pop_call(core, reply);
    if (caller->faulted()) {
        bool continues = apply_fault_reply(*caller, sender);
        caller->fault.label = abi::FaultLabel::NullFault;
        caller->state = continues ? ThreadState::Running : ThreadState::Inactive;
    } else {
        transfer_message(sender, *caller, nullptr, Badge(0), grant);
        caller->state = ThreadState::Running;
    }
    resume_receiver(core, *caller);
}

void restart_syscall(Tcb& thread) { thread.context.pc -= svc_bytes; }

void leave_endpoint(Tcb& thread) {
    remove_from(*thread.endpoint, thread);
    if (thread.state == ThreadState::BlockedOnReceive) detach_receiver_reply(thread);
    thread.endpoint = nullptr;
}

void cancel_call(Tcb& caller) {
    if (caller.faulted()) {
        caller.fault.label = abi::FaultLabel::NullFault;
    } else {
        set_result(caller, Failure::of(Error::CallCancelled));
    }
}

bool cancel_all(Core& core, Endpoint& endpoint) {
    while (Tcb* thread = endpoint.queue.head) {
        leave_endpoint(*thread);
        if (thread->faulted()) {
            stop(*thread);
        } else {
            restart_syscall(*thread);
            thread->state = ThreadState::Running;
            resume_with_budget(core, *thread);
        }
        // Preemption point: the queue holds exactly the threads that are still blocked, so the deletion goes on with the rest.
        if (!endpoint.queue.empty() && arch::irq_pending()) return false;
    }
    return true;
}

void cancel_ipc(Tcb& thread) {
    switch (thread.state) {
        case ThreadState::BlockedOnSend:
        case ThreadState::BlockedOnReceive: leave_endpoint(thread); break;
        case ThreadState::BlockedOnNotification: {
            Notification& notification = *thread.notification;
            notification.queue.remove(thread);
            if (notification.queue.empty()) notification.state = Notification::State::Idle;
            break;
        }
        case ThreadState::BlockedOnReply:
            detach_call(*thread.reply);
            cancel_call(thread);
            thread.state = ThreadState::Inactive;
            return;
        default: return;
    }
    if (thread.faulted()) {
        thread.fault.label = abi::FaultLabel::NullFault;
    } else {
        restart_syscall(thread);
    }
    thread.state = ThreadState::Inactive;
}

}  // namespace caprock
