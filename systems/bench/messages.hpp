// SPDX-License-Identifier: BSD-2-Clause
// What measuring messages needs and others use too.
#pragma once

#include "bench.hpp"

namespace bench {

/// The endpoint behind `uses SERVER`.
uint64_t endpoint_of(caprock::Text server);

/// A loop of measure.S.
using Loop = Shot (*)(Registers& registers, uint64_t rounds);

/// A hundredfold mean of one turn of `loop`, less what the loop itself takes.
uint64_t loop_mean(Loop loop, Registers& registers);

} // namespace bench
