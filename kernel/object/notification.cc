// SPDX-License-Identifier: BSD-2-Clause
#include "object/notification.hpp"

#include "core/panic.hpp"
#include "ipc/ipc.hpp"
#include "sched/scheduler.hpp"

namespace caprock {
namespace {
void give_word(Tcb& thread, Badge word) {
    set_received(thread, word, MessageInfo{abi::notification_message_info});
    clear_register_words(thread.context);
}

void wake(Core& core, Notification& notification, Tcb& thread, Badge badge) {
    give_word(thread, badge);
    lend_from_notification(core, notification, thread);
    thread.state = ThreadState::Running;
    resume_with_budget(core, thread);
}

void take(Core& core, Tcb& thread, Notification& notification) {
    give_word(thread, Badge(notification.word));
    notification.word = 0;
    notification.state = Notification::State::Idle;
    lend_from_notification(core, notification, thread);
    // A context that was lent may have to wait for its next refill, and the thread with it.
    resume_with_budget(core, thread);
}

void remove_waiter(Notification& notification, Tcb& thread) {
    assert_that(notification.state == Notification::State::Waiting, "notification_state");
    assert_that(thread.notification == &notification && thread.state == ThreadState::BlockedOnNotification, "notification_waiters");
    notification.queue.remove(thread);
    thread.notification = nullptr;
    if (notification.queue.empty()) notification.state = Notification::State::Idle;
}
}  // namespace

void signal(Core& core, Notification& notification, Badge badge) {
    Tcb* bound = notification.bound_tcb;
    if (notification.state == Notification::State::Waiting) {
        Tcb& waiter = *notification.queue.head;
        remove_waiter(notification, waiter);
        wake(core, notification, waiter, badge);
    } else if (notification.state == Notification::State::Idle && bound != nullptr && bound->state == ThreadState::BlockedOnReceive) {
        leave_endpoint(*bound);
        wake(core, notification, *bound, badge);
    } else {
        notification.word |= badge.raw;
        notification.state = Notification::State::Active;
    }
}

void wait(Core& core, Tcb& thread, Notification& notification, bool blocking) {
    if (notification.state == Notification::State::Active) return take(core, thread, notification);
    if (!blocking) return set_received(thread, Badge(0), MessageInfo{0});
    return_to_notification(core, notification, thread);
    thread.state = ThreadState::BlockedOnNotification;
    thread.notification = &notification;
    notification.state = Notification::State::Waiting;
    notification.queue.insert(thread);
}

bool take_bound_notification(Core& core, Tcb& thread) {
    Notification* notification = thread.bound_notification;
    if (notification == nullptr || notification->state != Notification::State::Active) return false;
    take(core, thread, *notification);
    return true;
}

bool cancel_all_waiters(Core& core, Notification& notification) {
    while (Tcb* thread = notification.queue.head) {
        remove_waiter(notification, *thread);
        restart_syscall(*thread);
        thread->state = ThreadState::Running;
        resume_with_budget(core, *thread);
        // Preemption point: the queue holds exactly the threads that are still blocked, so the deletion goes on with the rest.
        if (!notification.queue.empty() && arch::irq_pending()) return false;
    }
    return true;
}

void bind_notification(Tcb& thread, Notification& notification) {
    assert_that(thread.bound_notification == nullptr && notification.bound_tcb == nullptr, "bound_notification");
    thread.bound_notification = &notification;
    notification.bound_tcb = &thread;
}

void unbind_notification(Tcb& thread) {
    if (thread.bound_notification == nullptr) return;
    assert_that(thread.bound_notification->bound_tcb == &thread, "bound_notification");
    thread.bound_notification->bound_tcb = nullptr;
    thread.bound_notification = nullptr;
}
}  // namespace caprock
