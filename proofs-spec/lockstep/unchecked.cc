// SPDX-License-Identifier: BSD-2-Clause
// The world of the unit tests without their invariants: in a lockstep only what differs from the specification counts.
#include "invariants.hpp"

namespace caprock::test {

std::vector<Live> find_live(Core&, Slot*, Word) { return {}; }
void check_invariants(Core&, Slot*, Word, bool) {}

}  // namespace caprock::test
