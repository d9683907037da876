// SPDX-License-Identifier: BSD-2-Clause
// An intrusive leftist heap: insertion, removal of the least and of any element in O(log n) steps, without recursion or memory of its own.
// (C. A. Crane, "Linear lists and priority queues as balanced binary trees", 1972.) `rank` is the length of the right spine plus one.
#pragma once

#include "core/panic.hpp"
#include "core/types.hpp"

namespace caprock {

template <class T>
struct HeapHook {
    T* left = nullptr;
    T* right = nullptr;
    T* parent = nullptr;
    Word rank = 0;  // 0: in no heap
    bool linked() const { return rank != 0; }
};

// Ordered by `Less`, a type with `static bool before(const T&, const T&)`; elements that compare equal leave in no particular order.
template <class T, HeapHook<T> T::*M, class Less>
struct Heap {
    T* root = nullptr;

    bool empty() const { return root == nullptr; }
    T* least() const { return root; }

    [[gnu::cold]] void insert(T& element) {
        assert_that(!hook(element).linked(), "release_heap");
        hook(element) = HeapHook<T>{.rank = 1};
        root = merge(root, &element);
        hook(*root).parent = nullptr;
    }

    [[gnu::cold]] void remove(T& element) {
        T* parent = hook(element).parent;
        assert_that(hook(element).linked() && (parent != nullptr || root == &element), "release_heap");
        assert_that(parent == nullptr || !Less::before(element, *parent), "release_heap");
        T* orphans = merge(hook(element).left, hook(element).right);
        if (orphans != nullptr) hook(*orphans).parent = parent;
        if (parent == nullptr) {
            root = orphans;
        } else {
            (hook(*parent).left == &element ? hook(*parent).left : hook(*parent).right) = orphans;
            restore_ranks(parent);
        }
        hook(element) = HeapHook<T>{};
    }

private:
    static HeapHook<T>& hook(T& element) { return element.*M; }
    static Word rank(T* element) { return element == nullptr ? 0 : hook(*element).rank; }

    // Makes the left child the one of higher rank; true if the rank of `element` changed.
    static bool balance(T& element) {
        HeapHook<T>& h = hook(element);
        if (rank(h.left) < rank(h.right)) swap(h.left, h.right);
        Word before = h.rank;
        h.rank = rank(h.right) + 1;
        return h.rank != before;
    }

    // Ranks change along a path no longer than the new right spine: each step up that changes one shortens a right spine.
    static void restore_ranks(T* element) {
        while (element != nullptr && balance(*element)) element = hook(*element).parent;
    }

    // Merges down the two right spines, then restores the ranks on the way up.
    static T* merge(T* a, T* b) {
        if (a == nullptr) return b;
        if (b == nullptr) return a;
        if (Less::before(*b, *a)) swap(a, b);
        T* top = a;
        hook(*top).parent = nullptr;
        while (b != nullptr) {
            T* right = hook(*a).right;
            if (right == nullptr || Less::before(*b, *right)) {
                hook(*a).right = b;
                hook(*b).parent = a;
                a = b;
                b = right;
            } else {
                a = right;
            }
        }
        for (T* element = a; element != nullptr; element = hook(*element).parent) balance(*element);
        return top;
    }

    static void swap(T*& a, T*& b) {
        T* other = a;
        a = b;
        b = other;
    }
};

}  // namespace caprock
