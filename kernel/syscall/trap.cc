// SPDX-License-Identifier: BSD-2-Clause
// Everything but system calls that brings the processor into the kernel.
#include "core/panic.hpp"
#include "ipc/fault.hpp"
#include "object/irq.hpp"
#include "sched/scheduler.hpp"
#include "syscall/entry.hpp"

using namespace caprock;

extern "C" void handle_interrupt(Core& core) {
    Irq irq = arch::irq_acknowledge();
    if (irq.raw >= arch::irq_count()) return;
    if (irq == arch::timer_irq()) {
        // The line stays up until `schedule` has set the next deadline; only then may the interrupt come again.
        handle_timer(core);
        schedule(core);
        arch::irq_priority_drop(irq);
        arch::irq_deactivate(irq);
        return;
    }
    arch::irq_priority_drop(irq);
    handle_device_irq(core, irq);
    schedule(core);
}

extern "C" void handle_vm_fault(Core& core, Word esr, Word far, bool instruction_fetch) {
    send_fault(core, *core.current, {.label = abi::FaultLabel::VMFault, .flag = instruction_fetch, .words = {far, esr}, .lookup = {}});
    schedule(core);
}

extern "C" void handle_user_exception(Core& core, Word esr) {
    constexpr unsigned exception_class_shift = 26;
    send_fault(core, *core.current,
               {.label = abi::FaultLabel::UserException, .flag = false, .words = {esr >> exception_class_shift, esr}, .lookup = {}});
    schedule(core);
}

// The unit holds the registers of the thread that used it last. They are saved only when another thread wants the unit.
extern "C" void handle_fpu_trap(Core& core) {
    arch::fpu_enable(true);
    core.fpu_enabled = true;
    if (core.fpu_owner == core.current) return;
    if (core.fpu_owner != nullptr) arch::fpu_save(core.fpu_owner->fpu);
    arch::fpu_restore(core.current->fpu);
    core.fpu_owner = core.current;
}

// An asynchronous error belongs to no thread. Nothing can be bound to it yet: a debug build says that it came, and the system goes on.
extern "C" void handle_serror(Core&, Word) {
    if constexpr (debug_build) {
        for (const char* text = "caprock: an SError came\n"; *text != 0; ++text) arch::console_put(*text);
    }
}
