// SPDX-License-Identifier: BSD-2-Clause
// Rendezvous: sending, receiving and replying. The invariants: a thread is in an endpoint's queue exactly when its state says so; the words of
// a blocked sender stay in its registers and buffer until they are delivered; a reply object names at most one thread.
#pragma once

#include "core/result.hpp"
#include "object/endpoint.hpp"
#include "sched/core.hpp"

namespace caprock {

// What a sender whose system call ends with the send is told.
enum class SendResult : uint8_t {
    Finished,   // delivered, or nobody waited and the send does not block
    Pending,    // the sender waits: for a receiver, or for the answer
    Refused,    // the receiver asked for a scheduling context (NoDonation)
};

// Sends what is in the sender's registers and buffer through `endpoint` with `badge`. A faulter that is refused stops.
SendResult send_ipc(Core& core, Tcb& sender, Endpoint& endpoint, Badge badge, SendOptions options);

// Receives from `endpoint` into `receiver`; `reply` (may be null) is what the answer will go through.
void receive_ipc(Core& core, Tcb& receiver, Endpoint& endpoint, Reply* reply, ReceiveOptions options);

// Answers the call that waits in `reply` with what is in the sender's registers and buffer. Nothing happens if none waits.
void send_reply(Core& core, Tcb& sender, Reply& reply, bool grant);

// Before what leaves `receiver`, which is to receive from `endpoint` with `reply`, without a scheduling context: refuses the waiting senders that
// bring none.
[[nodiscard]] Progress refuse_waiting(Core& core, const Tcb& receiver, Endpoint& endpoint, const Reply* reply);

// Restarts the threads that wait to send with `badge`. Preempted: `sweeper` knows how far it came, until it executes the system call again.
[[nodiscard]] Progress cancel_badged_sends(Core& core, Tcb& sweeper, Endpoint& endpoint, Badge badge);
// The thread will not go on with a sweep that was preempted.
void end_sweep(Tcb& sweeper);
// Changes the priority of a thread that waits in the endpoint.
void reposition(Endpoint& endpoint, Tcb& thread, Prio priority);

// Wakes every thread that waits in the endpoint: each executes its system call again. False: preempted between two of them.
[[nodiscard]] bool cancel_all(Core& core, Endpoint& endpoint);
// Takes a thread that is BlockedOnSend or BlockedOnReceive out of its endpoint, and off the reply object that it receives with.
void leave_endpoint(Tcb& thread);
// Makes a thread that left its system call unfinished execute it again.
void restart_syscall(Tcb& thread);
// The call's result will not come: the caller returns from it with CallCancelled, the faulter stays where it faulted.
void cancel_call(Tcb& caller);

// Copies a message; capabilities go along if `grant`.
void transfer_message(Tcb& sender, Tcb& receiver, const Endpoint* endpoint, Badge badge, bool grant);

}  // namespace caprock
