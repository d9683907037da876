// SPDX-License-Identifier: BSD-2-Clause
// The interrupt controller as both sides imagine it: how each interrupt is configured, masked and active. What the kernel tells the
// hardware is applied to one, what the specification says it tells to another.
#pragma once

#include "caprock/abi.hpp"

#include <cstdint>
#include <vector>

namespace caprock::lockstep {

struct InterruptLine {
    bool edge = false;
    bool masked = true;
    bool active = false;
    bool operator==(const InterruptLine&) const = default;
};

struct Controller {
    /// One for each number that a handler can have.
    std::vector<InterruptLine> lines = std::vector<InterruptLine>(abi::irq_serror + 1);
    InterruptLine& line(uint64_t irq) { return lines.at(irq); }
};

}  // namespace caprock::lockstep
