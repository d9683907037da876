// SPDX-License-Identifier: BSD-2-Clause
// The debug group of system calls: in debug builds only.
#pragma once

#include "object/tcb.hpp"

namespace caprock {

// Performs system call `number` if it is of the debug group and this is a debug build.
bool debug_syscall(Tcb& thread, Word number);

}  // namespace caprock
