// SPDX-License-Identifier: BSD-2-Clause
// What the system consists of, as text for `./caprock dump`.
#pragma once

#include "capdl/loader/console.hpp"

namespace caprock::loader {

/// Prints everything that Inspect shows of the system.
void dump_system(const Loader& loader, Console& console);

}  // namespace caprock::loader
