// SPDX-License-Identifier: BSD-2-Clause
#include "boot/memory.hpp"

#include "core/bits.hpp"
#include "core/panic.hpp"

namespace caprock {
void RangeList::append(PhysRange range) {
    if (!range.empty()) insert_at(count_, range);
}

void RangeList::remove(PhysRange hole) {
    if (hole.empty()) return;
    for (unsigned i = 0; i < count_;) {
        PhysRange range = ranges_[i];
        if (hole.end <= range.start || range.end <= hole.start) {
            ++i;
            continue;
        }
        erase(i);
        if (hole.end < range.end) insert_at(i, {hole.end, range.end});
        if (range.start < hole.start) insert_at(i++, {range.start, hole.start});
        if (hole.end < range.end) ++i;
    }
}

void RangeList::insert_at(unsigned position, PhysRange range) {
    if (count_ == capacity) panic("physical memory is in too many pieces");
    for (unsigned i = count_; i > position; --i) ranges_[i] = ranges_[i - 1];
    ranges_[position] = range;
    ++count_;
}

void RangeList::erase(unsigned position) {
    --count_;
    for (unsigned i = position; i < count_; ++i) ranges_[i] = ranges_[i + 1];
}

SizeBits largest_piece(PhysRange range) {
    unsigned by_size = 63 - leading_zeros(range.size());
    unsigned by_start = range.start.raw == 0 ? 63 : trailing_zeros(range.start.raw);
    unsigned bits = by_size < by_start ? by_size : by_start;
    return SizeBits(bits < abi::max_untyped_bits ? bits : static_cast<unsigned>(abi::max_untyped_bits));
}
}  // namespace caprock
