// SPDX-License-Identifier: BSD-2-Clause
// In place of the portable kernel: the functions that kernel/arch/aarch64 calls (syscall/entry.hpp). They record what comes, answer the
// system calls of protocol.hpp, and step over what user level provokes.
#include "../protocol.hpp"
#include "arch/aarch64/console.hpp"
#include "arch/aarch64/mmu.hpp"
#include "core/panic.hpp"
#include "fatal.hpp"
#include "machine.hpp"
#include "memory.hpp"
#include "report.hpp"
#include "space.hpp"
#include "syscall/entry.hpp"

namespace caprock::arch_test {
namespace {

using namespace arch;

constexpr Word a32_user_state = 0x10 | bit(6);  // SPSR_EL1: AArch32 User, FIQ masked
constexpr Word isr_serror = bit(8);

struct Run {
    const abi::BootInfo* info = nullptr;
    Core core;
    Context thread;
    Context other;                       // runs after each SError
    Context* serror_expected = nullptr;  // the context that the next SError is to interrupt
    Word serrors = 0;
    Fault fault = Fault::None;
    Word esr = 0;
    Word far = 0;
    Word* timer_flag = nullptr;          // what the timer's interrupt sets
    Word interrupts = 0;                 // that were not the timer's
    Word last_interrupt = 0;
    DebugState stepping;
    Word steps = 0;                      // steps that ended
    Word repeated = 0;                   // steps that ended where the one before them did
    Word last_step = 0;
    Word trace[trace_words] = {};
    FpuContext fpu;
};
constinit Run run;

// Whatever the kernel leaves in registers must not reach a thread: leave something in all that the compiler does not keep, and in SP_EL0.
void scramble_registers() {
    asm volatile(
        ".irp register, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28\n"
        "mov x\\register, #-1\n"
        ".endr\n"
        "msr sp_el0, x0"
        : : : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18",
        "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28");
}

void record(Fault fault, Word esr, Word far) {
    run.fault = fault;
    run.esr = esr;
    run.far = far;
}

void take_fault(Context& thread) {
    thread.x[0] = static_cast<Word>(run.fault);
    thread.x[1] = run.esr;
    thread.x[2] = run.far;
    record(Fault::None, 0, 0);
}

// To the instruction after the one that faulted; after a jump to where nothing can be fetched, to the caller's.
void step_over(Context& thread, bool jumped) { thread.pc = jumped ? thread.x[30] : thread.pc + svc_bytes; }

void go_idle(Core& core, Ticks deadline) {
    set_deadline(deadline);
    core.current_context = &core.idle;
    set_no_address_space();
}

Word sum_of(const FpuContext& context) {
    Word sum = context.fpcr + context.fpsr;
    for (const Word word : context.v) sum += word;
    return sum;
}

// Loads zeroes in between, and makes sure that they arrived: what is restored after them has come from memory.
Word cycle_fpu() {
    FpuContext between;
    fpu_save(run.fpu);
    fpu_restore(FpuContext());
    fpu_save(between);
    check("fpu: all registers are loaded", sum_of(between) == 0, sum_of(between));
    fpu_restore(run.fpu);
    return sum_of(run.fpu);
}

// The test's hypervisor makes an SError pending on any hvc; masked, it waits for the exception return.
void raise_serror(Core& core, SErrorAt place) {
    run.serror_expected = place == SErrorAt::Idle ? &core.idle : &run.thread;
    const Word before = run.serrors;
    if (place != SErrorAt::Kernel) asm volatile("msr daifset, #4");
    register Word x0 asm("x0") = 0x1234;
    register Word x1 asm("x1") = 0x5678;
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1) : : "x3", "memory");
    check("serror: the kernel's own registers stay", x0 == 0x1234 && x1 == 0x5678, x0);
    const bool pending = (ISR_EL1::read() & isr_serror) != 0;
    check("serror: it is taken unless masked", pending == (place != SErrorAt::Kernel));
    check("serror: the kernel's own work goes on", run.serrors == before, run.serrors);
    if (place == SErrorAt::Idle) go_idle(core, Ticks(~Word{0}));  // nothing else wakes it
}

void enter_aarch32(Context& thread) {
    thread.pc = thread.x[0];
    thread.spsr = a32_user_state;
}

Word open_physical_timer() {
    const Irq irq(static_cast<uint32_t>(run.info->timer_physical_ppi));
    irq_configure(irq, false, CoreId(0));
    irq_unmask(irq);
    return irq.raw;
}

void take_interrupt(Context& thread) {
    thread.x[0] = run.interrupts;
    thread.x[1] = run.last_interrupt;
    run.interrupts = 0;
}

void start_stepping(Context& thread, Word steps) {
    run.stepping.steps = steps;
    run.steps = run.repeated = run.last_step = 0;
    load_debug_state(steps == 0 ? nullptr : &run.stepping);
    arm_step(thread, steps != 0);
}

void end_step(Context& thread) {
    if (run.steps < trace_words) run.trace[run.steps] = thread.pc;
    run.steps++;
    if (thread.pc == run.last_step) run.repeated++;
    run.last_step = thread.pc;
    if (run.steps == run.stepping.steps) load_debug_state(nullptr);
    arm_step(thread, run.steps < run.stepping.steps);
}

// Ends stepping, if it has not come to its end.
void take_trace(Context& thread) {
    auto* const words = static_cast<Word*>(from_user(*run.info, thread.x[0]));
    for (Word i = 0; i < trace_words; i++) words[i] = run.trace[i];
    thread.x[0] = run.steps;
    thread.x[1] = run.repeated;
    start_stepping(thread, 0);
}

// The cause of an interrupt that only user level can clear stays: let through once.
void take_other(Irq irq) {
    run.interrupts++;
    run.last_interrupt = irq.raw;
    irq_priority_drop(irq);
    irq_mask(irq);
    irq_deactivate(irq);
}

Word speak() {
    print("the kernel speaks\n");
    return kernel_maps(PhysAddr(run.info->console.start));
}

void answer(Core& core, Context& thread) {
    switch (static_cast<Call>(thread.x[7])) {
    case Call::Nothing: break;
    case Call::Report: check(static_cast<const char*>(from_user(*run.info, thread.x[1])), thread.x[0] == 1, thread.x[2]); break;
    case Call::TakeFault: take_fault(thread); break;
    case Call::ArmTimer:
        run.timer_flag = static_cast<Word*>(from_user(*run.info, thread.x[1]));
        set_deadline(now() + thread.x[0]);
        break;
    case Call::Idle: go_idle(core, now() + thread.x[0]); break;
    case Call::EnterSpace: enter_space(thread.x[0]); break;
    case Call::ReplacePage: replace_own_page(); break;
    case Call::RemovePage: remove_own_page(); break;
    case Call::CycleFpu: thread.x[0] = cycle_fpu(); break;
    case Call::CloseFpu: fpu_enable(false); break;
    case Call::RaiseSError: raise_serror(core, static_cast<SErrorAt>(thread.x[0])); break;
    case Call::CountSErrors: thread.x[0] = run.serrors; break;
    case Call::SwitchBack: core.current_context = &run.thread; break;
    case Call::SetAccess: set_user_access(thread.x[0] != 0, thread.x[1] != 0); break;
    case Call::OpenTimer: thread.x[0] = open_physical_timer(); break;
    case Call::SendSgi: irq_send_sgi(Irq(static_cast<uint32_t>(thread.x[0])), CoreId(0)); break;
    case Call::TakeInterrupt: take_interrupt(thread); break;
    case Call::Debug: load_debug_state(static_cast<const DebugState*>(from_user(*run.info, thread.x[0]))); break;
    case Call::Step: start_stepping(thread, thread.x[0]); break;
    case Call::TakeTrace: take_trace(thread); break;
    case Call::EnterAArch32: enter_aarch32(thread); break;
    case Call::Speak: thread.x[0] = speak(); break;
    case Call::Finish: finish();
    default: panic("a system call that the test does not have");
    }
}

UserRun user_run(const Request& request) {
    if (is(request.run, "serrors")) return UserRun::SErrors;
    if (is(request.run, "silence")) return UserRun::Silence;
    if (is(request.run, "aarch32")) return UserRun::AArch32;
    if (!is(request.run, "suite")) panic("the payload asks for a run that the test does not have");
    return UserRun::Suite;
}

// x0: UserRun. x1, x2: the console's kind and the offset of its registers in their page.
void start_user(const abi::BootInfo& info, UserRun user) {
    run.thread.pc = info.root_entry;
    run.thread.spsr = initial_spsr();
    run.thread.x[0] = static_cast<Word>(user);
    run.thread.x[1] = info.console_kind;
    run.thread.x[2] = info.console_offset;
    run.other.pc = info.root_entry;
    run.other.spsr = initial_spsr();
    run.other.x[0] = static_cast<Word>(UserRun::Other);
    run.other.x[1] = static_cast<Word>(Call::SwitchBack);
    build_spaces(info);
    enter_space(0);
    run.core.current_context = &run.thread;
}

}  // namespace

extern "C" {

void boot_kernel(const abi::BootInfo& info, unsigned cores_up) {
    run.info = &info;
    Request request;
    __builtin_memcpy(&request, info.system_hash, sizeof(request));
    prepare_pages(info);
    arch::init_idle_context(run.core.idle, 0);
    arch::bind_core(run.core);
    make_mistake(request, info);
    if (is(request.run, "work")) {
        check_work();
        finish();
    }
    const UserRun user = user_run(request);
    if (user == UserRun::Suite) {
        check_memory(info);
        check_machine(info, cores_up);
    }
    start_user(info, user);
}

void handle_found(Core&, Slot&) {}
void handle_acknowledged(Core&, Word) {}

void handle_syscall(Core& core) {
    Context& thread = *core.current_context;
    scramble_registers();
    answer(core, thread);
}

void handle_interrupt(Core& core) {
    const Irq irq = irq_acknowledge();
    if (irq != timer_irq()) return take_other(irq);
    const bool idle = core.current_context == &core.idle;
    check(idle ? "interrupts: one wakes the idle core" : "interrupts: one reaches a running thread", true);
    if (idle) {
        core.current_context = &run.thread;
        enter_space(0);
    }
    check_timer_interrupt(irq);
    if (run.timer_flag != nullptr) *run.timer_flag = 1;
    run.timer_flag = nullptr;
    scramble_registers();
}

void handle_vm_fault(Core& core, Word esr, Word far, bool instruction_fetch) {
    record(instruction_fetch ? Fault::Fetch : Fault::Memory, esr, far);
    step_over(*core.current_context, instruction_fetch);
    scramble_registers();
}

void handle_user_exception(Core& core, Word esr) {
    constexpr Word supervisor_call = 0x15, unaligned_jump = 0x22;
    const Word exception_class = esr >> 26;
    record(Fault::Exception, esr, arch::FAR_EL1::read());
    if (exception_class != supervisor_call) step_over(*core.current_context, exception_class == unaligned_jump);
    scramble_registers();
}

// The instruction runs again, with the unit open.
void handle_fpu_trap(Core&, Word esr) {
    record(Fault::Fpu, esr, 0);
    arch::fpu_enable(true);
}

void handle_debug_exception(Core& core, abi::BreakpointType reason, Word address) {
    Context& thread = *core.current_context;
    if (reason == abi::BreakpointType::SingleStep) {
        end_step(thread);
    } else {
        record(Fault::Debug, static_cast<Word>(reason), reason == abi::BreakpointType::Data ? address : thread.pc);
        step_over(thread, false);
    }
    scramble_registers();
}

// Another thread runs after it than before.
void handle_serror(Core& core) {
    run.serrors++;
    check("serror: it is told which context it interrupted", core.current_context == run.serror_expected);
    core.current_context = &run.other;
    enter_space(0);
    scramble_registers();
}

}  // extern "C"

}  // namespace caprock::arch_test
