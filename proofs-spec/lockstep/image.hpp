// SPDX-License-Identifier: BSD-2-Clause
// The kernel's memory, and the machine that it runs on, as they were: whole, to go back to quickly, and as what differs from another image, to be kept.
#pragma once

#include "world.hpp"

#include <cstddef>
#include <vector>

namespace caprock::lockstep {

/// A stretch of memory that can change.
struct Region {
    std::byte* start;
    std::size_t bytes;
};

class Image {
public:
    static constexpr std::size_t grain = 16;

    /// What differs from a first image, with the machine.
    struct Delta {
        std::vector<uint32_t> grains;
        std::vector<std::byte> bytes;
        host::Hardware hardware;
    };

    /// The regions as they are now.
    explicit Image(std::vector<Region> regions);
    /// Makes the memory and the machine what they were.
    void restore() const;
    /// What of the memory is otherwise now than in this image.
    Delta difference() const;
    /// This image, as a difference to it says.
    void apply(const Delta& delta);
    std::size_t bytes() const { return bytes_.size(); }

private:
    std::vector<Region> regions_;
    std::vector<std::byte> bytes_;
    host::Hardware hardware_;
};

/// The kernel's state, and the pages of memory that hold something or lie from `first` to `last`.
std::vector<Region> changing_memory(const test::World& world, Word first, Word last);

}  // namespace caprock::lockstep
