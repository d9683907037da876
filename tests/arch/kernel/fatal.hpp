// SPDX-License-Identifier: BSD-2-Clause
// Mistakes of the kernel, made on purpose.
#pragma once

#include "../protocol.hpp"
#include "caprock/abi.hpp"

namespace caprock::arch_test {

/// Makes the mistake that the request names, which must end the machine; returns if it names none.
void make_mistake(const Request& request, const abi::BootInfo& info);

}  // namespace caprock::arch_test
