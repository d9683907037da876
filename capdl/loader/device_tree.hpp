// SPDX-License-Identifier: BSD-2-Clause
// The board as its device tree describes it at boot: properties of nodes. The boot shim has checked the whole tree.
#pragma once

#include "capdl/alloc/slice.hpp"

#include <stdint.h>

namespace caprock::loader {

/// What was found of a node.
enum class Found : uint8_t {
    Property,    // it has the property
    Node,        // it has not
    Disabled,    // its status is neither ok nor okay
    Nothing,     // there is no such node
};

/// Looks for property `name` of the node `path` in a flattened device tree, which may be empty. `value` is set when it is found.
Found find_property(alloc::Slice<const uint8_t> tree, const char* path, const char* name, alloc::Slice<const uint8_t>& value);

}  // namespace caprock::loader
