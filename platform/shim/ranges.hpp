// SPDX-License-Identifier: BSD-2-Clause
// Sorted lists of address ranges and the placement of memory in them: all arithmetic that decides which byte of RAM the shim may write.
#pragma once

#include <stdint.h>

#include "caprock/abi.hpp"

namespace caprock::shim {

using abi::BootRange;

inline constexpr uint64_t page_size = 4096;

constexpr uint64_t align_down(uint64_t value, uint64_t alignment) { return value & ~(alignment - 1); }
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) { return align_down(value + alignment - 1, alignment); }
constexpr uint64_t size_of(BootRange range) { return range.end - range.start; }
constexpr bool overlap(BootRange a, BootRange b) { return a.start < b.end && b.start < a.end; }

// The pages that `range` touches.
constexpr BootRange pages_around(BootRange range) { return {align_down(range.start, page_size), align_up(range.end, page_size)}; }

// The pages that lie wholly in `range`; an empty range if there are none.
constexpr BootRange pages_within(BootRange range) {
    const BootRange pages{align_up(range.start, page_size), align_down(range.end, page_size)};
    return pages.start < pages.end ? pages : BootRange{range.start, range.start};
}

// The range of `size` bytes at `start`, cut off where the address space ends.
constexpr BootRange range_at(uint64_t start, uint64_t size) {
    return {start, size <= UINT64_MAX - start ? start + size : align_down(UINT64_MAX, page_size)};
}

// Disjoint, ascending ranges with gaps between them, in a fixed array.
class RangeList {
public:
    static constexpr unsigned capacity = 64;

    constexpr unsigned size() const { return size_; }
    constexpr const BootRange& operator[](unsigned i) const { return ranges_[i]; }

    // Adds a range, joining it with those that it touches; an empty one adds nothing. False: the list is full, and unchanged.
    [[nodiscard]] constexpr bool add(BootRange range) {
        if (range.start >= range.end) return true;
        const unsigned first = first_ending_at_or_after(range.start);
        unsigned last = first;
        for (; last < size_ && ranges_[last].start <= range.end; ++last) {
            if (ranges_[last].start < range.start) range.start = ranges_[last].start;
            if (ranges_[last].end > range.end) range.end = ranges_[last].end;
        }
        return replace(first, last, &range, 1);
    }

    // Takes a range out, which may cut one in two. False: the list is full, and unchanged.
    [[nodiscard]] constexpr bool remove(BootRange range) {
        if (range.start >= range.end) return true;
        unsigned first = 0;
        while (first < size_ && ranges_[first].end <= range.start) ++first;
        unsigned last = first;
        while (last < size_ && ranges_[last].start < range.end) ++last;
        if (first == last) return true;
        BootRange kept[2];
        unsigned count = 0;
        if (ranges_[first].start < range.start) kept[count++] = {ranges_[first].start, range.start};
        if (ranges_[last - 1].end > range.end) kept[count++] = {range.end, ranges_[last - 1].end};
        return replace(first, last, kept, count);
    }

    constexpr bool contains(BootRange range) const {
        for (unsigned i = 0; i < size_; ++i) {
            if (ranges_[i].start <= range.start && range.end <= ranges_[i].end) return true;
        }
        return false;
    }

    constexpr bool overlaps(BootRange range) const {
        for (unsigned i = 0; i < size_; ++i) {
            if (overlap(ranges_[i], range)) return true;
        }
        return false;
    }

    // Sum of the ranges' sizes, in bytes.
    constexpr uint64_t bytes() const {
        uint64_t sum = 0;
        for (unsigned i = 0; i < size_; ++i) sum += size_of(ranges_[i]);
        return sum;
    }

private:
    constexpr unsigned first_ending_at_or_after(uint64_t address) const {
        unsigned i = 0;
        while (i < size_ && ranges_[i].end < address) ++i;
        return i;
    }

    // Puts `count` ranges in the place of entries first..last-1.
    constexpr bool replace(unsigned first, unsigned last, const BootRange* ranges, unsigned count) {
        const unsigned new_size = size_ - (last - first) + count;
        if (new_size > capacity) return false;
        if (count > last - first) {
            const unsigned shift = count - (last - first);
            for (unsigned i = size_; i > last; --i) ranges_[i - 1 + shift] = ranges_[i - 1];
        } else {
            const unsigned shift = last - first - count;
            for (unsigned i = last; i < size_; ++i) ranges_[i - shift] = ranges_[i];
        }
        for (unsigned i = 0; i < count; ++i) ranges_[first + i] = ranges[i];
        size_ = new_size;
        return true;
    }

    BootRange ranges_[capacity]{};
    unsigned size_ = 0;
};

// Memory that is wanted, and where `place` put it.
struct Request {
    uint64_t size;       // bytes; a multiple of the page size
    uint64_t alignment;  // a power of two, the page size at least
    BootRange placed{};
};

// Finds the lowest place of each request in turn and takes it out of `free`. Address 0 is never handed out: it reads as a null pointer.
// Returns the first request that fits nowhere, or nullptr if all fit.
constexpr const Request* place(RangeList& free, Request* requests, unsigned count) {
    for (Request* request = requests; request != requests + count; ++request) {
        bool found = false;
        for (unsigned i = 0; i < free.size() && !found; ++i) {
            const uint64_t lowest = free[i].start == 0 ? page_size : free[i].start;
            const uint64_t start = align_up(lowest, request->alignment);
            if (start < lowest || start >= free[i].end || free[i].end - start < request->size) continue;
            request->placed = {start, start + request->size};
            found = free.remove(request->placed);
        }
        if (!found) return request;
    }
    return nullptr;
}

}  // namespace caprock::shim
