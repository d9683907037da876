// SPDX-License-Identifier: BSD-2-Clause
#include "object/tcb.hpp"

#include "object/endpoint.hpp"
#include "object/notification.hpp"
#include "sched/scheduler.hpp"

namespace caprock {

void suspend(Core& core, Tcb& thread) {
    cancel_ipc(thread);
    dequeue(core, thread);
    thread.state = ThreadState::Inactive;
}

void resume(Core& core, Tcb& thread) {
    if (thread.state == ThreadState::Running) return;
    cancel_ipc(thread);
    thread.state = ThreadState::Running;
    resume_with_budget(core, thread);
}

void set_priority(Core& core, Tcb& thread, Prio priority) {
    PrioQueue<Tcb>* queue = nullptr;
    if (thread.state == ThreadState::BlockedOnSend || thread.state == ThreadState::BlockedOnReceive) queue = &thread.endpoint->queue;
    if (thread.state == ThreadState::BlockedOnNotification) queue = &thread.notification->queue;
    bool ready = thread.ready.linked() || core.candidate == &thread;
    if (queue != nullptr) queue->remove(thread);
    if (ready) dequeue(core, thread);
    thread.priority = priority;
    if (queue != nullptr) queue->insert(thread);
    if (ready) enqueue_back(core, thread);
    core.reschedule = true;
}

}  // namespace caprock
