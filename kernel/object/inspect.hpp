// SPDX-License-Identifier: BSD-2-Clause
// Opaque numbers of objects.
#pragma once

#include "cap/cap.hpp"
#include "sched/core.hpp"

namespace caprock {

// The number of an object in this boot; of an untyped its size counts too.
Word identity(const Kernel& kernel, CapType type, KernAddr object, Word size_bits = 0);

// A pseudorandom permutation of words.
Word encrypt(const uint32_t (&key)[4], Word block);

}  // namespace caprock
