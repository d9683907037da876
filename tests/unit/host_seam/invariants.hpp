// SPDX-License-Identifier: BSD-2-Clause
// What must be true of the kernel's state between two kernel entries, whatever user level did. docs/invariants.md lists the invariants by
// name.
#pragma once

#include "sched/core.hpp"

#include <cstddef>
#include <stdexcept>
#include <vector>

namespace caprock::test {

/// An invariant that does not hold; the text begins with its name and says how it is broken, and where.
struct Broken : std::logic_error {
    using std::logic_error::logic_error;
};

/// Throws Broken unless all invariants hold: derivation lists, queues, ties between objects, refills, the processor's state.
/// Objects are found through the capabilities in `slots` (the first `count` slots of the root CNode) and in what these lead to. `deep` adds
/// the checks that look at all pairs: objects are disjoint and derived from the untyped that they lie in, and page tables lead to live
/// memory only.
void check_invariants(Core& core, Slot* slots, Word count, bool deep);

/// A piece of the kernel's state in user-supplied memory.
struct Live {
    const void* start;
    std::size_t bytes;
    const char* kind;
};

/// All slots and objects that are found in the same way.
std::vector<Live> find_live(Core& core, Slot* slots, Word count);

}  // namespace caprock::test
