// SPDX-License-Identifier: BSD-2-Clause
// The operations that are measured: each builds its adversarial state and sweeps deadlines through what the kernel then has to do.
#pragma once

#include "tests/worst_case/sweep.hpp"

namespace caprock::worst_case {

struct Operation {
    const char* name;
    void (*measure)(Sweep& sweep);
};

// Each ends with an entry without a name.
extern const Operation basic_operations[];      // basics.cc
extern const Operation memory_operations[];     // memory.cc
extern const Operation deletion_operations[];   // deletion.cc
extern const Operation queue_operations[];      // queues.cc
extern const Operation time_operations[];       // time.cc
extern const Operation lookup_operations[];     // lookups.cc

}  // namespace caprock::worst_case
