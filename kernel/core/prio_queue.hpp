// SPDX-License-Identifier: BSD-2-Clause
// Threads that wait for an endpoint or a notification, highest priority first and first come first served among equals. One leader per
// priority is linked into the list of groups, the others into the leader's ring, so every operation takes at most one step per priority:
// a constant, however many threads wait.
#pragma once

#include "core/ring.hpp"
#include "core/types.hpp"

namespace caprock {

template <class T>
struct WaitHook {
    Hook<T> ring;             // threads of the same priority
    T* higher = nullptr;      // leaders of the neighbouring groups
    T* lower = nullptr;
    bool leader = false;
    bool linked() const { return ring.linked(); }
};

// T has `WaitHook<T> wait` and `Prio priority`.
template <class T>
struct PrioQueue {
    T* head = nullptr;  // leader of the highest priority

    bool empty() const { return head == nullptr; }

    // Nobody else is in it.
    [[gnu::always_inline]] bool holds_only(const T& thread) const {
        return head == &thread && thread.wait.ring.next == &thread && thread.wait.lower == nullptr;
    }

    // The first one in.
    [[gnu::always_inline]] void start(T& thread) { lead(nullptr, nullptr, thread); }
    // The last one out.
    [[gnu::always_inline]] void end(T& thread) {
        head = nullptr;
        thread.wait.ring.next = nullptr;
    }

    [[gnu::always_inline]] void insert(T& thread) {
        assert_that(!thread.wait.linked(), "blocked_waits");
        if (head == nullptr) {
            start(thread);
        } else {
            insert_among(thread);
        }
    }

    [[gnu::always_inline]] void remove(T& thread) {
        WaitHook<T>& hook = thread.wait;
        assert_that(hook.linked() && head != nullptr, "blocked_waits");
        if (holds_only(thread)) {
            end(thread);
        } else {
            remove_among(thread);
        }
    }

    // The one behind `thread`, or null.
    static T* after(const T& thread) {
        T* next = thread.wait.ring.next;
        return next->wait.leader ? next->wait.lower : next;
    }

private:
    [[gnu::noinline]] void insert_among(T& thread) {
        T* above = nullptr;
        T* leader = head;
        while (leader != nullptr && leader->priority > thread.priority) {
            above = leader;
            leader = leader->wait.lower;
        }
        if (leader != nullptr && leader->priority == thread.priority) {
            join(*leader, thread);
        } else {
            lead(above, leader, thread);
        }
    }

    [[gnu::noinline]] void remove_among(T& thread) {
        WaitHook<T>& hook = thread.wait;
        T* next = hook.ring.next == &thread ? nullptr : hook.ring.next;
        if (next != nullptr) {
            next->wait.ring.prev = hook.ring.prev;
            hook.ring.prev->wait.ring.next = next;
        }
        if (hook.leader) hand_over(thread, next);
        hook.ring.next = nullptr;
    }

    static void join(T& leader, T& thread) {
        T* tail = leader.wait.ring.prev;
        thread.wait.ring = {.next = &leader, .prev = tail};
        thread.wait.leader = false;
        tail->wait.ring.next = &thread;
        leader.wait.ring.prev = &thread;
    }

    void lead(T* above, T* below, T& thread) {
        thread.wait.ring = {.next = &thread, .prev = &thread};
        link(above, thread, below);
    }

    void hand_over(T& leader, T* next) {
        T* above = leader.wait.higher;
        T* below = leader.wait.lower;
        if (next != nullptr) {
            link(above, *next, below);
        } else {
            if (below != nullptr) below->wait.higher = above;
            (above == nullptr ? head : above->wait.lower) = below;
        }
    }

    void link(T* above, T& leader, T* below) {
        assert_that(above == nullptr || above->priority > leader.priority, "wait_queue_order");
        assert_that(below == nullptr || below->priority < leader.priority, "wait_queue_order");
        leader.wait.higher = above;
        leader.wait.lower = below;
        leader.wait.leader = true;
        if (below != nullptr) below->wait.higher = &leader;
        (above == nullptr ? head : above->wait.lower) = &leader;
    }
};

}  // namespace caprock
