// SPDX-License-Identifier: BSD-2-Clause
// A pointer with a length, for code that has neither an allocator nor a standard library.
#pragma once

#include <stddef.h>

namespace caprock::alloc {

/// Elements that somebody else owns. Indices are not checked.
template <class T>
struct Slice {
    T* data = nullptr;
    size_t size = 0;

    constexpr T& operator[](size_t index) const { return data[index]; }
    constexpr T* begin() const { return data; }
    constexpr T* end() const { return data + size; }
};

/// Sorts in place in O(n log n) steps without recursion. `before(a, b)` says whether a comes before b; when it is a total order the
/// result is unique.
template <class T, class Before>
constexpr void heap_sort(Slice<T> items, Before before) {
    auto sift_down = [&](size_t root, size_t end) {
        for (size_t child = 2 * root + 1; child < end; child = 2 * root + 1) {
            if (child + 1 < end && before(items[child], items[child + 1])) ++child;
            if (!before(items[root], items[child])) return;
            T held = items[root];
            items[root] = items[child];
            items[child] = held;
            root = child;
        }
    };
    for (size_t root = items.size / 2; root-- > 0;) sift_down(root, items.size);
    for (size_t end = items.size; end-- > 1;) {
        T held = items[0];
        items[0] = items[end];
        items[end] = held;
        sift_down(0, end);
    }
}

}  // namespace caprock::alloc
