// SPDX-License-Identifier: BSD-2-Clause
// What the linker puts between the kernel's core and what it calls.
#pragma once

#include <cstdint>

namespace caprock::lockstep {

/// System calls that the kernel's fast paths have done.
inline uint64_t fast_paths = 0;

}  // namespace caprock::lockstep
