// SPDX-License-Identifier: BSD-2-Clause
// Where the processor enters portable code. Each function returns when `core.current_context` is what must run next.
#pragma once

#include "sched/core.hpp"

extern "C" {

// `slot`: what x0 names, which the fast path has looked up.
void handle_found(caprock::Core& core, caprock::Slot& slot);
void handle_syscall(caprock::Core& core);
// Behind the fast path (fastpath/fastpath.S), which has made a thread current for which hardware has to be set up.
void handle_special_switch(caprock::Core& core);
// Before the fast path makes the thread current that has `next`, which is usable: one of the two contexts is replenished.
void handle_context_switch(caprock::Core& core, caprock::SchedContext& next, caprock::Ticks now);
void handle_interrupt(caprock::Core& core);
// said: what the interrupt controller answered to the fast path, which has acknowledged the interrupt.
void handle_acknowledged(caprock::Core& core, caprock::Word said);
// esr: ESR_EL1; far: FAR_EL1.
void handle_vm_fault(caprock::Core& core, caprock::Word esr, caprock::Word far, bool instruction_fetch);
void handle_user_exception(caprock::Core& core, caprock::Word esr);
void handle_fpu_trap(caprock::Core& core, caprock::Word esr);
// address: of the access for Data, else ignored.
void handle_debug_exception(caprock::Core& core, caprock::abi::BreakpointType reason, caprock::Word address);
// Whoever runs when it comes has nothing to do with it.
void handle_serror(caprock::Core& core);

// Makes the first objects and the root task from what the boot shim said. cores_up: cores that came up, this one included.
void boot_kernel(const caprock::abi::BootInfo& info, unsigned cores_up);

}  // extern "C"
