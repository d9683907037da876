// SPDX-License-Identifier: BSD-2-Clause
// Everything but system calls that brings the processor into the kernel.
#include "core/panic.hpp"
#include "ipc/fault.hpp"
#include "object/irq.hpp"
#include "sched/scheduler.hpp"
#include "sched/switch.hpp"
#include "syscall/entry.hpp"

using namespace caprock;

static void handle_irq(Core& core, Irq irq) {
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

extern "C" void handle_interrupt(Core& core) { handle_irq(core, arch::irq_acknowledge()); }
extern "C" void handle_acknowledged(Core& core, Word said) { handle_irq(core, arch::irq_acknowledged(said)); }

extern "C" void handle_special_switch(Core& core) {
    switch_special(core, *core.current);
    assert_choice(core);
}

extern "C" void handle_context_switch(Core& core, SchedContext& next, Ticks now) {
    book(core, now);
    switch_context(core, next);
    set_next_deadline(core);
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

// A step that is not the last of its count only re-arms.
extern "C" [[gnu::cold]] void handle_debug_exception(Core& core, abi::BreakpointType reason, Word address) {
    Tcb& thread = *core.current;
    if (reason == abi::BreakpointType::SingleStep) {
        if (thread.debug.steps > 1) return set_single_stepping(core, thread, thread.debug.steps - 1);
        set_single_stepping(core, thread, 0);
    }
    if (reason == abi::BreakpointType::Instruction) address = thread.context.pc;
    Fault fault{.label = abi::FaultLabel::DebugException, .flag = false, .words = {static_cast<Word>(reason)}, .lookup = {}};
    if (reason == abi::BreakpointType::Instruction || reason == abi::BreakpointType::Data) {
        fault.words[1] = address;
        fault.words[2] = triggered_breakpoint(thread, reason, address);
    }
    send_fault(core, thread, fault);
    schedule(core);
}

// The unit holds the registers of the thread that used it last. They are saved only when another thread wants the unit.
extern "C" void handle_fpu_trap(Core& core, Word esr) {
    if (core.current->thread_flags().fpu_disabled() != 0) return handle_user_exception(core, esr);
    use_fpu(core);
}

// An asynchronous error belongs to no thread: it is an interrupt that the interrupt controller does not know.
extern "C" void handle_serror(Core& core) {
    signal_irq(core, Irq(abi::irq_serror));
    schedule(core);
}
