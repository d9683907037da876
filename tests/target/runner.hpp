// SPDX-License-Identifier: BSD-2-Clause
// The runner: runs the cases one after another, each in a thread and memory of its own, and prints their results in TAP.
#pragma once

#include "caprock/objects.hpp"

namespace caprock::target {

/// Where the faults of threads go for which a case names no other endpoint: one of them ends the case.
Cap<Endpoint> default_fault_endpoint();

}  // namespace caprock::target
