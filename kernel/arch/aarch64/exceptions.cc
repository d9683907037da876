// SPDX-License-Identifier: BSD-2-Clause
// Exceptions beyond the system call: a thread's are told apart by ESR_EL1.EC (Arm ARM D17.2.37) and handed to portable code; the kernel's
// own end the machine with a line that says where and why.
#include "console.hpp"
#include "mmu.hpp"
#include "syscall/entry.hpp"

namespace caprock::arch {
namespace {
const char* reason_of(Word kind, Word esr, Word far) {
    switch (kind) {
    case FATAL_IRQ: return "an interrupt while the kernel had them masked";
    case FATAL_FIQ: return "an FIQ, which nothing here sends";
    case FATAL_STACK_POINTER: return "an exception on the wrong stack pointer";
    case FATAL_AARCH32: return "an exception from AArch32";
    default: break;
    }
    switch (ESR_EL1::exception_class(esr)) {
    case ESR_EL1::EC::DATA_ABORT: return is_guard_page(far) ? "its stack overflowed" : "a data abort";
    case ESR_EL1::EC::INSTRUCTION_ABORT: return "an instruction abort";
    default: return "an unexpected exception";
    }
}

void print_field(const char* name, Word value) {
    print(name);
    print_hex(value);
}
}  // namespace

// Called by vectors.S on the emergency stack. `kind`: FATAL_*; `stack` and `link`: SP and x30 of the code that stopped.
extern "C" [[noreturn]] void fatal_exception(Word kind, Word stack, Word link) {
    const Word esr = ESR_EL1::read();
    const Word far = FAR_EL1::read();
    print("\ncaprock: halt: kernel exception: ");
    print(reason_of(kind, esr, far));
    print_field(": ESR ", esr);
    print_field(" FAR ", far);
    print_field(" ELR ", ELR_EL1::read());
    print_field(" SP ", stack);
    print_field(" LR ", link);
    print("\n");
    halt();
}

// Called by vectors.S for every synchronous exception of a thread that is not svc #0.
extern "C" void handle_synchronous(Core& core, Word esr, Word far) {
    const ESR_EL1::EC exception = ESR_EL1::exception_class(esr);
    const bool aligned = ESR_EL1::fault_status(esr) != ESR_EL1::FSC_alignment;
    switch (exception) {
    case ESR_EL1::EC::FP_ACCESS: return handle_fpu_trap(core, esr);
    case ESR_EL1::EC::INSTRUCTION_ABORT_EL0: return handle_vm_fault(core, esr, far, true);
    case ESR_EL1::EC::DATA_ABORT_EL0: return aligned ? handle_vm_fault(core, esr, far, false) : handle_user_exception(core, esr);
    case ESR_EL1::EC::BREAKPOINT_EL0: return handle_debug_exception(core, abi::BreakpointType::Instruction, 0);
    case ESR_EL1::EC::WATCHPOINT_EL0: return handle_debug_exception(core, abi::BreakpointType::Data, far);
    case ESR_EL1::EC::SOFTWARE_STEP_EL0: return handle_debug_exception(core, abi::BreakpointType::SingleStep, 0);
    case ESR_EL1::EC::BRK: return handle_debug_exception(core, abi::BreakpointType::SoftwareBreakRequest, 0);
    default: return handle_user_exception(core, esr);
    }
}
}  // namespace caprock::arch
