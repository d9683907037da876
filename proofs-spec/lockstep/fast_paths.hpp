// SPDX-License-Identifier: BSD-2-Clause
// How often the kernel's fast paths were taken: a lockstep that does not take them says nothing about them.
#pragma once

#include <cstdint>

namespace caprock::lockstep {

/// System calls that the fast paths have done.
inline uint64_t fast_paths = 0;

}  // namespace caprock::lockstep
