// SPDX-License-Identifier: BSD-2-Clause
// The host's part of the seam that kernel/arch/seam.hpp includes by this name. Nothing needs to be inline but the conversions of addresses.
#pragma once

namespace caprock::arch {

/// Kernel address of physical address 0: what the direct map adds.
extern Word direct_map;

inline KernAddr to_kernel(PhysAddr address) { return KernAddr(address.raw + direct_map); }
inline PhysAddr to_physical(KernAddr address) { return PhysAddr(address.raw - direct_map); }

}  // namespace caprock::arch
