// SPDX-License-Identifier: BSD-2-Clause
// The interrupt controller as both sides imagine it: how each interrupt is configured, masked and active. What the kernel tells the
// hardware is applied to one, what the specification says it tells to another.
#pragma once

#include <cstdint>
#include <map>

namespace caprock::lockstep {

struct Line {
    bool edge = false;
    bool masked = true;
    bool active = false;
    bool operator==(const Line&) const = default;
};

struct Controller {
    std::map<uint64_t, Line> lines;
    Line& line(uint64_t irq) { return lines[irq]; }
};

}  // namespace caprock::lockstep
