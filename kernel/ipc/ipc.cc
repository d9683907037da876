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
// Copies words 12 and up, which the sender has a buffer for; returns the length that the receiver gets.
unsigned copy_buffer_words(const Tcb& sender, Tcb& receiver, unsigned length) {
    const IPCBuffer* from = readable_buffer(sender);
    IPCBuffer* to = writable_buffer(receiver);
    if (to == nullptr) return register_words;
    // Buffers are aligned to their size: two of them are the same or apart.
    __builtin_memcpy(to->msg + register_words, from->msg + register_words, (length - register_words) * sizeof(Word));
    return length;
}

// A sweep that has come to the thread goes on with the next one.
void step_over(const Endpoint& endpoint, const Tcb& thread) {
    Sweep& sweep = endpoint.sweeper()->sweep;
    if (sweep.next == &thread) sweep.next = PrioQueue<Tcb>::after(thread);
}

[[gnu::always_inline]] inline void remove_receiver(Endpoint& endpoint, Tcb& receiver) {
    assert_that(endpoint.receiving(), "endpoint_state");
    assert_that(receiver.endpoint == &endpoint && receiver.state == ThreadState::BlockedOnReceive, "endpoint_waiters");
    endpoint.queue.remove(receiver);
    if (endpoint.queue.empty()) endpoint.set_idle();
}

void remove_sender(Endpoint& endpoint, Tcb& sender) {
    assert_that(endpoint.sending(), "endpoint_state");
    assert_that(sender.endpoint == &endpoint && sender.state == ThreadState::BlockedOnSend, "endpoint_waiters");
    if (endpoint.sweeper() != nullptr) step_over(endpoint, sender);
    endpoint.queue.remove(sender);
    if (!endpoint.queue.empty()) return;
    if (endpoint.sweeper() != nullptr) end_sweep(*endpoint.sweeper());
    endpoint.set_idle();
}

void block(Endpoint& endpoint, Tcb& thread, ThreadState state) {
    assert_that(!thread.faulted() || state == ThreadState::BlockedOnSend, "fault_pending");
    thread.state = state;
    thread.endpoint = &endpoint;
    endpoint.queue.insert(thread);
}

// The sender's scheduling context goes along to a receiver without one. With a call it does only if the call can be answered: else it would never come back.
bool brings_context(const Tcb& sender, const SendOptions& options, const Reply* reply) {
    bool returns = !options.has(SendOptions::call) || (reply != nullptr && options.has(SendOptions::grant | SendOptions::grant_reply));
    return options.has(SendOptions::donate) && returns && sender.sched_context != nullptr;
}

// The receiver would be left without a scheduling context, which it asked not to be.
bool refuses(const Tcb& receiver, const Tcb& sender, const SendOptions& options) {
    return receiver.receiving.has(ReceiveOptions::require_donation) && receiver.sched_context == nullptr && !brings_context(sender, options, receiver.reply);
}

// Ends a thread that cannot go on; if it was a fault that brought it here, that is over.
void stop(Tcb& thread) {
    thread.fault.label = abi::FaultLabel::NullFault;
    thread.state = ThreadState::Inactive;
}

// Ends the system call of a sender that does not get what it asked for.
void refuse(Core& core, Tcb& sender, Error error) {
    if (sender.faulted()) return stop(sender);
    set_result(sender, Failure::of(error));
    sender.state = ThreadState::Running;
    if (&sender != core.current) resume_with_budget(core, sender);
}

// The first waiting sender, if a receiver without a scheduling context would refuse it.
Tcb* refused_sender(const Endpoint& endpoint, const Reply* reply) {
    if (!endpoint.sending()) return nullptr;
    Tcb* sender = endpoint.queue.head;
    return brings_context(*sender, sender->sending, reply) ? nullptr : sender;
}

// Preempted: nothing of what takes the receiver's context is done.
[[gnu::cold, gnu::noinline]] Progress refuse_all(Core& core, Endpoint& endpoint, const Reply* reply) {
    Tcb* sender = refused_sender(endpoint, reply);
    while (sender != nullptr) {
        remove_sender(endpoint, *sender);
        refuse(core, *sender, Error::NoDonation);
        sender = refused_sender(endpoint, reply);
        // Preemption point: the queue holds those that are not refused yet.
        if (sender != nullptr && arch::irq_pending()) return Progress::Preempted;
    }
    return Progress::Complete;
}

// A thread that waited for a partner in vain executes its system call again; a faulter stops.
void restart_waiter(Core& core, Tcb& thread) {
    if (thread.faulted()) return stop(thread);
    restart_syscall(thread);
    thread.state = ThreadState::Running;
    resume_with_budget(core, thread);
}

void deliver(Tcb& sender, Tcb& receiver, Endpoint& endpoint, Badge badge, bool grant) {
    if (sender.faulted()) {
        transfer_fault(sender, receiver, badge);
    } else {
        transfer_message(sender, receiver, &endpoint, badge, grant);
    }
}

// The sender's message was delivered and it wants an answer: through `reply`, or it learns that there will be none.
[[gnu::always_inline]] inline void await_reply(Core& core, Tcb& sender, Tcb& receiver, Reply* reply, SendOptions options) {
    if (reply != nullptr && options.has(SendOptions::grant | SendOptions::grant_reply)) {
        push_call(*reply, sender, receiver, options.has(SendOptions::donate));
    } else {
        refuse(core, sender, Error::CallCancelled);
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
    if (!endpoint.receiving()) {
        if (!options.has(SendOptions::blocking)) return SendResult::Finished;
        sender.badge = badge;
        sender.sending = options;
        endpoint.set_sending();
        block(endpoint, sender, ThreadState::BlockedOnSend);
        return SendResult::Pending;
    }
    Tcb& receiver = *endpoint.queue.head;
    if (refuses(receiver, sender, options)) {
        if (sender.faulted()) stop(sender);
        return SendResult::Refused;
    }
    remove_receiver(endpoint, receiver);
    clear_dead_registers(receiver);
    Reply* reply = receiver.reply;
    detach_receiver_reply(receiver);
    deliver(sender, receiver, endpoint, badge, options.has(SendOptions::grant));
    if (options.has(SendOptions::call)) {
        await_reply(core, sender, receiver, reply, options);
    } else if (receiver.sched_context == nullptr && brings_context(sender, options, reply)) {
        donate(core, *sender.sched_context, receiver);
    }
    receiver.state = ThreadState::Running;
    resume_with_budget(core, receiver);
    return options.has(SendOptions::call) ? SendResult::Pending : SendResult::Finished;
}

void receive_ipc(Core& core, Tcb& receiver, Endpoint& endpoint, Reply* reply, ReceiveOptions options) {
    bool has_context = receiver.sched_context != nullptr && !(reply != nullptr && returns_context(*reply, receiver));
    if (options.has(ReceiveOptions::require_donation) && !has_context && refuse_waiting(core, receiver, endpoint, reply) == Progress::Preempted) {
        return restart_syscall(receiver);
    }
    if (reply != nullptr && reply->tcb != nullptr && reply->tcb != &receiver) cancel_reply(core, *reply);
    if (take_bound_notification(core, receiver)) return;
    receiver.receiving = options;
    if (!endpoint.sending()) {
        if (!options.has(ReceiveOptions::blocking)) return set_received(receiver, Badge(0), MessageInfo{0});
        if (receiver.bound_notification != nullptr) return_to_notification(core, *receiver.bound_notification, receiver);
        receiver.reply = reply;
        if (reply != nullptr) reply->tcb = &receiver;
        endpoint.add_receiver();
        return block(endpoint, receiver, ThreadState::BlockedOnReceive);
    }
    Tcb& sender = *endpoint.queue.head;
    remove_sender(endpoint, sender);
    deliver(sender, receiver, endpoint, sender.badge, sender.sending.has(SendOptions::grant));
    if (sender.sending.has(SendOptions::call)) {
        await_reply(core, sender, receiver, reply, sender.sending);
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
        bool continues = apply_fault_reply(core, *caller, sender);
        caller->fault.label = abi::FaultLabel::NullFault;
        caller->state = continues ? ThreadState::Running : ThreadState::Inactive;
    } else {
        clear_dead_registers(*caller);
        transfer_message(sender, *caller, nullptr, Badge(0), grant & caller->receiving.has(ReceiveOptions::grant));
        caller->state = ThreadState::Running;
    }
    resume_with_budget(core, *caller);
}

// svc has ended the step of a stepped thread: it has to make it again.
void restart_syscall(Tcb& thread) {
    thread.context.pc -= svc_bytes;
    if (thread.debug.steps != 0) arch::arm_step(thread.context, true);
}

void leave_endpoint(Tcb& thread) {
    if (thread.state == ThreadState::BlockedOnReceive) {
        remove_receiver(*thread.endpoint, thread);
        detach_receiver_reply(thread);
        clear_dead_registers(thread);
        clear_register_words(thread.context);
        thread.context.x[reg::info] = 0;
    } else {
        remove_sender(*thread.endpoint, thread);
    }
    thread.endpoint = nullptr;
}

void reposition(Endpoint& endpoint, Tcb& thread, Prio priority) {
    Tcb* sweeper = endpoint.sweeper();
    if (sweeper != nullptr) step_over(endpoint, thread);
    endpoint.queue.remove(thread);
    thread.priority = priority;
    endpoint.queue.insert(thread);
    if (sweeper == nullptr) return;
    // Should the thread have come to stand where the sweep was already, the sweep goes back to it.
    Sweep& sweep = sweeper->sweep;
    if (sweep.next == nullptr || priority > sweep.next->priority) sweep.next = &thread;
}

Progress refuse_waiting(Core& core, const Tcb& receiver, Endpoint& endpoint, const Reply* reply) {
    const Notification* bound = receiver.bound_notification;
    bool takes_notification = bound != nullptr && bound->state == Notification::State::Active;
    return takes_notification ? Progress::Complete : refuse_all(core, endpoint, reply);
}

void end_sweep(Tcb& sweeper) {
    if (sweeper.sweep.endpoint == nullptr) return;
    assert_that(sweeper.sweep.endpoint->sweeper() == &sweeper, "sweep_tie");
    sweeper.sweep.endpoint->set_sweeper(nullptr);
    sweeper.sweep = {};
}

[[gnu::cold]] Progress cancel_badged_sends(Core& core, Tcb& sweeper, Endpoint& endpoint, Badge badge) {
    if (sweeper.sweep.endpoint != &endpoint || sweeper.sweep.badge != badge) {
        end_sweep(sweeper);
        if (!endpoint.sending()) return Progress::Complete;
        if (endpoint.sweeper() != nullptr) end_sweep(*endpoint.sweeper());
        endpoint.set_sweeper(&sweeper);
        sweeper.sweep = {&endpoint, endpoint.queue.head, badge};
    }
    while (Tcb* sender = sweeper.sweep.next) {
        assert_that(sender->endpoint == &endpoint && sender->state == ThreadState::BlockedOnSend, "sweep_cursor");
        sweeper.sweep.next = PrioQueue<Tcb>::after(*sender);
        if (sender->badge == badge) {
            leave_endpoint(*sender);
            restart_waiter(core, *sender);
        }
        // Preemption point: the senders from `next` on are those that were not looked at. The last sender's leaving ends the sweep.
        if (sweeper.sweep.next != nullptr && arch::irq_pending()) return Progress::Preempted;
    }
    end_sweep(sweeper);
    return Progress::Complete;
}

void cancel_call(Tcb& caller) {
    if (caller.faulted()) {
        caller.fault.label = abi::FaultLabel::NullFault;
    } else {
        clear_dead_registers(caller);
        set_result(caller, Failure::of(Error::CallCancelled));
    }
}

[[gnu::cold]] bool cancel_all(Core& core, Endpoint& endpoint) {
    while (Tcb* thread = endpoint.queue.head) {
        leave_endpoint(*thread);
        restart_waiter(core, *thread);
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
            return;
        default: return;
    }
    if (thread.faulted()) {
        thread.fault.label = abi::FaultLabel::NullFault;
    } else {
        restart_syscall(thread);
    }
}
}  // namespace caprock
