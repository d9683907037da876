// SPDX-License-Identifier: BSD-2-Clause
// Intrusive circular lists. An element embeds one Hook per list that it can be in; insertion and removal are O(1) and need no search.
#pragma once

#include "core/panic.hpp"

namespace caprock {

// A place in a ring. Not linked: both pointers are null.
template <class T>
struct Hook {
    T* next = nullptr;
    T* prev = nullptr;
    bool linked() const { return next != nullptr; }
};

// A first-in first-out ring of elements through the hook M; only its head is stored.
template <class T, Hook<T> T::*M>
struct Ring {
    T* head = nullptr;

    bool empty() const { return head == nullptr; }

    void push_back(T& element) {
        assert_that(!(element.*M).linked(), "ready_queue");
        if (head == nullptr) {
            (element.*M).next = (element.*M).prev = &element;
            head = &element;
            return;
        }
        T* tail = (head->*M).prev;
        (element.*M).next = head;
        (element.*M).prev = tail;
        (tail->*M).next = &element;
        (head->*M).prev = &element;
    }

    void push_front(T& element) {
        push_back(element);
        head = &element;
    }

    void remove(T& element) {
        assert_that((element.*M).linked(), "ready_queue");
        T* next = (element.*M).next;
        T* prev = (element.*M).prev;
        (element.*M).next = (element.*M).prev = nullptr;
        if (next == &element) {
            head = nullptr;
            return;
        }
        (next->*M).prev = prev;
        (prev->*M).next = next;
        if (head == &element) head = next;
    }
};

}  // namespace caprock
