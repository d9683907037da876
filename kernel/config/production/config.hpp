// SPDX-License-Identifier: BSD-2-Clause
// Configuration of the production kernel.
#pragma once

namespace caprock {

/// Whether assertions and the debug system calls are compiled in, and the kernel keeps its console.
inline constexpr bool debug_build = false;

}  // namespace caprock
