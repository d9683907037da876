// SPDX-License-Identifier: BSD-2-Clause
// What each core sets up for itself, and which core this is.
#pragma once

#include "arch/seam.hpp"

extern "C" char kernel_stacks[];

namespace caprock::arch {

/// Number of the core that executes this, 0 for the boot core: told by the stack, so it is known before any other state.
inline unsigned current_core() {
    Word stack;
    asm("mov %0, sp" : "=r"(stack));
    return static_cast<unsigned>((stack - reinterpret_cast<Word>(kernel_stacks)) / STACK_STRIDE);
}

/// Sets every register that shows at EL0, and the timer of this core, to what the table in core.cc says.
void initialise_core_registers();

/// Gives the EL2 stub its mapping and seals it. `root`: physical address of its translation tables. Panics when the stub refuses.
void el2_install(PhysAddr root);

}  // namespace caprock::arch
