// SPDX-License-Identifier: BSD-2-Clause
// The interrupt controller as both sides imagine it: how each interrupt is configured, masked and active. What the kernel tells the
// hardware is applied to one, what the specification says it tells to another.
#pragma once

#include "caprock/abi.hpp"

#include <cstdint>
#include <vector>

namespace caprock::lockstep {

struct Line {
    bool edge = false;
    bool masked = true;
    bool active = false;
    bool operator==(const Line&) const = default;
};

struct Controller {
    /// One for each number that a handler can have.
    std::vector<Line> lines = std::vector<Line>(abi::irq_serror + 1);
    Line& line(uint64_t irq) { return lines.at(irq); }
};

}  // namespace caprock::lockstep
