// SPDX-License-Identifier: BSD-2-Clause
// Physical memory at boot: ranges with holes, and what is left of them.
#pragma once

#include "caprock/abi.hpp"
#include "core/types.hpp"

namespace caprock {

using PhysRange = Range<PhysAddr>;

// A short list of ascending, disjoint ranges.
class RangeList {
public:
    static constexpr unsigned capacity = 4 * abi::boot_max_ranges;

    // Adds a range behind the last one.
    void append(PhysRange range);
    // Takes a range away; what it splits stays on both sides.
    void remove(PhysRange range);
    const PhysRange* begin() const { return ranges_; }
    const PhysRange* end() const { return ranges_ + count_; }

private:
    void insert_at(unsigned position, PhysRange range);
    void erase(unsigned position);

    PhysRange ranges_[capacity];
    unsigned count_ = 0;
};

inline PhysRange phys_range(const abi::BootRange& range) { return {PhysAddr(range.start), PhysAddr(range.end)}; }

// The largest naturally aligned power of two that starts at `range.start` and fits.
SizeBits largest_piece(PhysRange range);

}  // namespace caprock
