// SPDX-License-Identifier: BSD-2-Clause
// Notification: a word of flags. Signalling ors a badge into it or wakes one waiter with it; waiting takes the word.
#pragma once

#include "ipc/message.hpp"

namespace caprock {

struct Core;
struct SchedContext;

struct Notification {
    enum class State : Word { Idle, Waiting, Active };

    PrioQueue<Tcb> queue;
    State state = State::Idle;
    Word word = 0;                           // the badges signalled since the last wait
    Tcb* bound_tcb = nullptr;                // receives signals also while it waits for an endpoint
    SchedContext* sched_context = nullptr;   // lent to a waiter that has none
};
static_assert(sizeof(Notification) <= 1u << 6);

// Delivers `badge` to a waiter, to the bound thread if it receives, or into the word.
void signal(Core& core, Notification& notification, Badge badge);
// Takes the word if active; else blocks `thread`, or gives badge 0 if `blocking` is false.
void wait(Core& core, Tcb& thread, Notification& notification, bool blocking);
// Takes the word of the notification bound to `thread` if it is active: the first thing that a receive looks at.
bool take_bound_notification(Core& core, Tcb& thread);
// Restarts every waiter (the notification is going away). May be preempted between two waiters.
[[nodiscard]] bool cancel_all_waiters(Core& core, Notification& notification);
void bind_notification(Tcb& thread, Notification& notification);
void unbind_notification(Tcb& thread);

}  // namespace caprock
