// SPDX-License-Identifier: BSD-2-Clause
#include "object/tcb.hpp"

#include "ipc/ipc.hpp"
#include "object/notification.hpp"
#include "object/sched_context.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
void suspend(Core& core, Tcb& thread) {
    if (thread.yielding_to != nullptr) end_yield(core, thread);
    cancel_ipc(thread);
    dequeue(core, thread);
    thread.state = ThreadState::Inactive;
}

void resume(Core& core, Tcb& thread) {
    if (thread.state == ThreadState::Running) return;
    if (thread.state != ThreadState::Inactive) suspend(core, thread);
    thread.state = ThreadState::Running;
    resume_with_budget(core, thread);
}

[[gnu::cold]] void set_priority(Core& core, Tcb& thread, Prio priority) {
    bool ready = thread.ready.linked() || core.candidate == &thread;
    bool waits_for_budget = thread.release.linked();
    if (ready || waits_for_budget) dequeue(core, thread);
    switch (thread.state) {
        case ThreadState::BlockedOnSend:
        case ThreadState::BlockedOnReceive: reposition(*thread.endpoint, thread, priority); break;
        case ThreadState::BlockedOnNotification:
            thread.notification->queue.remove(thread);
            thread.priority = priority;
            thread.notification->queue.insert(thread);
            break;
        default: thread.priority = priority;
    }
    if (waits_for_budget) postpone(core, thread);
    if (ready) enqueue_back(core, thread);
    core.reschedule = true;
}

[[gnu::cold]] void set_domain(Core& core, Tcb& thread, DomainId domain) {
    bool ready = thread.ready.linked() || core.candidate == &thread;
    if (ready) dequeue(core, thread);
    thread.domain = domain;
    if (ready) enqueue_back(core, thread);
    core.reschedule = true;
}

void set_flags(Core& core, Tcb& thread, abi::ThreadFlags clear, abi::ThreadFlags set) {
    constexpr Word known = abi::ThreadFlags::make(1, 1, 1).raw;
    thread.flags = static_cast<uint8_t>(((thread.flags & ~clear.raw) | set.raw) & known);
    if (thread.thread_flags().fpu_disabled() != 0) thread.fpu_turns = 0;
    refresh_special(core, thread);
    // What the thread has in the unit goes to its context: should it use the unit again, that traps.
    if (thread.thread_flags().fpu_disabled() != 0 && core.fpu_owner == &thread) take_fpu(core, nullptr);
}
}  // namespace caprock
