// SPDX-License-Identifier: BSD-2-Clause
// Execution of a planner's step.
#pragma once

#include "capdl/loader/loader.hpp"

namespace caprock::loader {

/// Creates the objects of one step from `untyped`; their capabilities go to `slot` and the slots after it.
inline Result<void> retype(Cap<Untyped> untyped, const alloc::Step& step, uint64_t slot) {
    return untyped.retype(step.type, alloc::retype_size_argument(step.type, step.size_bits), 0, 0, slot, step.count, root_cnode);
}

}  // namespace caprock::loader
