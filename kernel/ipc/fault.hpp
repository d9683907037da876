// SPDX-License-Identifier: BSD-2-Clause
// Faults: a thread that cannot go on calls its fault handler in the kernel's words. The handler's reply restarts it, or not.
#pragma once

#include "sched/core.hpp"

namespace caprock {

// The thread's `fault` is a message to its fault handler.
void call_fault_handler(Core& core, Tcb& thread);

// The current thread cannot go on. Its fault handler gets a message; without one the thread stops.
[[gnu::always_inline]] inline void send_fault(Core& core, Tcb& thread, const Fault& fault) {
    if (thread.cap(TcbSlot::FaultHandler).is(CapType::Endpoint)) {
        thread.fault = fault;
        call_fault_handler(core, thread);
    } else {
        thread.state = ThreadState::Inactive;
    }
}

// Writes the fault message of `faulter` as if it had been sent to `receiver`.
void transfer_fault(Tcb& faulter, Tcb& receiver, Badge badge);
// Applies the handler's reply (in `handler`'s registers) to the faulter; true if the faulter continues.
bool apply_fault_reply(Core& core, Tcb& faulter, const Tcb& handler);

}  // namespace caprock
