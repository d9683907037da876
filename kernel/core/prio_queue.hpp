// SPDX-License-Identifier: BSD-2-Clause
// Threads that wait for an endpoint or a notification, highest priority first and first come first served among equals. One leader per priority is linked into
// the list of groups, the others into the leader's ring, so every operation takes at most one step per priority: a constant, however many threads wait.
#pragma once

#include "core/ring.hpp"
#include "core/types.hpp"

namespace caprock {

// A thread that waits alone among those of its priority, and one that does not wait at all, is in no ring; both pointers are null then. So the place of
// a thread that waits alone in a queue is all zeroes, and so is that of one that never waited: to enter an empty queue, or to leave it empty, is to write
// its head.
template <class T>
struct WaitHook {
    Hook<T> ring;             // threads of the same priority
    T* higher = nullptr;      // leaders of the neighbouring groups
    T* lower = nullptr;
    bool follower = false;    // not the first of its priority
    bool clear() const { return !ring.linked() && higher == nullptr && lower == nullptr && !follower; }
};

// T has `WaitHook<T> wait` and `Prio priority`.
template <class T>
struct PrioQueue {
    T* head = nullptr;  // leader of the highest priority

    bool empty() const { return head == nullptr; }

    // Nobody else is in it.
    [[gnu::always_inline]] bool holds_only(const T& thread) const {
        return head == &thread && !thread.wait.ring.linked() && thread.wait.lower == nullptr;
    }

    [[gnu::always_inline]] void insert(T& thread) {
        assert_that(thread.wait.clear(), "blocked_waits");
        if (head == nullptr) {
            head = &thread;
        } else {
            insert_among(thread);
        }
    }

    [[gnu::always_inline]] void remove(T& thread) {
        assert_that(head != nullptr, "blocked_waits");
        if (holds_only(thread)) {
            head = nullptr;
        } else {
            remove_among(thread);
        }
    }

    // The one behind `thread`, or null.
    static T* after(const T& thread) {
        T* next = thread.wait.ring.next;
        if (next != nullptr && next->wait.follower) return next;
        const T& leader = next == nullptr ? thread : *next;
        return leader.wait.lower;
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
            link(above, thread, leader);
        }
    }

    [[gnu::noinline]] void remove_among(T& thread) {
        T* next = leave_ring(thread);
        if (!thread.wait.follower) hand_over(thread, next);
        thread.wait = {};
    }

    static void join(T& leader, T& thread) {
        T* tail = leader.wait.ring.linked() ? leader.wait.ring.prev : &leader;
        thread.wait.ring = {.next = &leader, .prev = tail};
        thread.wait.follower = true;
        tail->wait.ring.next = &thread;
        leader.wait.ring.prev = &thread;
    }

    // Returns the one behind it in its group, or null.
    static T* leave_ring(T& thread) {
        T* next = thread.wait.ring.next;
        T* prev = thread.wait.ring.prev;
        if (next == nullptr) return nullptr;
        if (next == prev) {
            next->wait.ring = {};
        } else {
            next->wait.ring.prev = prev;
            prev->wait.ring.next = next;
        }
        return next;
    }

    void hand_over(T& leader, T* next) {
        T* above = leader.wait.higher;
        T* below = leader.wait.lower;
        if (next != nullptr) {
            next->wait.follower = false;
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
        if (below != nullptr) below->wait.higher = &leader;
        (above == nullptr ? head : above->wait.lower) = &leader;
    }
};

}  // namespace caprock
