// SPDX-License-Identifier: BSD-2-Clause
// Starting the other cores.
#pragma once

#include "arch/seam.hpp"
#include "caprock/abi.hpp"

namespace caprock::arch {

/// Starts cores 1 and up of `info` at the kernel's entry and waits, one second at most, until they are parked. `entry`: physical address of
/// that entry; `conduit`: how PSCI is called. Names each core that did not come on the console. Returns the cores that are up, this one
/// included.
unsigned start_cores(const abi::BootInfo& info, PhysAddr entry, abi::PsciConduit conduit);

/// What a started core does last: says that it is up and waits for ever, interrupts masked.
[[noreturn]] void park_core(unsigned core);

}  // namespace caprock::arch
