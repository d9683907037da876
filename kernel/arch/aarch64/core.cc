// SPDX-License-Identifier: BSD-2-Clause
// Per-core set-up: the table of what user level sees of the machine, the idle loop, the binding of a core to its state.
#include "core.hpp"

#include "core/panic.hpp"
#include "sched/core.hpp"

extern "C" void arch_idle();

namespace caprock::arch {

static_assert(alignof(Context) == 16, "Context is addressed by SP while its thread runs: struct alignas(16) Context");
static_assert(offsetof(Context, x) == 0 && offsetof(Context, pc) == CONTEXT_PC && offsetof(Context, x) + 30 * sizeof(Word) == CONTEXT_X30);
static_assert(offsetof(Core, current_context) == CORE_CURRENT_CONTEXT && offsetof(Core, stack_top) == CORE_STACK_TOP);

namespace {

bool has_performance_monitor() { return ID_AA64DFR0_EL1::has_pmu(ID_AA64DFR0_EL1::read()); }

// Nothing counts, nothing interrupts, and no count of the boot loader's is left.
void stop_performance_monitor() {
    constexpr Word all_counters = 0xffffffff;
    if (!has_performance_monitor())
        return;
    PMCR_EL0::write(PMCR_EL0::P | PMCR_EL0::C);
    PMCNTENCLR_EL0::write(all_counters);
    PMINTENCLR_EL1::write(all_counters);
    PMOVSCLR_EL0::write(all_counters);
}

}  // namespace

// The machine as user level sees it.
void initialise_core_registers() {
    // Open: cache maintenance by address (UCI), CTR_EL0 (UCT), dc zva (DZE), wfe (nTWE). Trapped: wfi (nTWI), DAIF (UMA).
    SCTLR_EL1::write(SCTLR_EL1_MMU | SCTLR_EL1::UCI | SCTLR_EL1::UCT | SCTLR_EL1::DZE | SCTLR_EL1::nTWE);
    // Both counters can be read; no event stream. No timer register and no performance monitor but for threads that were given it.
    stop_performance_monitor();
    set_user_access(false, false);
    // No breakpoint, and the locks that a debugger of the firmware's may have left are open. By trap: the debug communication channel (TDCC),
    // which would connect any two threads, and floating point.
    OSDLR_EL1::write(0);
    OSLAR_EL1::write(0);
    load_debug_state(nullptr);
    fpu_enable(false);
    // Nothing of the boot loader's in the thread pointers; its physical timer stopped; the kernel's virtual timer on, never due.
    TPIDR_EL0::write(0);
    TPIDRRO_EL0::write(0);
    CNTP_CTL_EL0::write(0);
    set_deadline(Ticks(~Word{0}));
    CNTV_CTL_EL0::write(CNTV_CTL_EL0::ENABLE);
    isb();
}

// In force at the exception return.
void set_user_access(bool pmu, bool physical_timer) {
    constexpr Word counters = CNTKCTL_EL1::EL0PCTEN | CNTKCTL_EL1::EL0VCTEN;
    if (has_performance_monitor())
        PMUSERENR_EL0::write(pmu ? PMUSERENR_EL0::EN : 0);
    CNTKCTL_EL1::write(counters | (physical_timer ? CNTKCTL_EL1::EL0PTEN : 0));
}

void el2_install(PhysAddr root) {
    register Word function asm("x0") = EL2_CALL_INSTALL;
    register Word argument asm("x1") = root.raw;
    asm volatile("hvc #0" : "+r"(function) : "r"(argument) : "x2", "x3", "memory");
    if (function != EL2_CALL_DONE)
        panic("the EL2 stub refused its installation (something else owns EL2)");
}

void bind_core(Core& core) {
    core.stack_top = reinterpret_cast<Word>(kernel_stacks) + (current_core() + 1) * STACK_STRIDE - TRAP_WORDS_BYTES;
    TPIDR_EL1::write(reinterpret_cast<Word>(&core));
}

void init_idle_context(Context& context, unsigned) {
    context = Context();
    context.pc = reinterpret_cast<Word>(arch_idle);
    context.spsr = SPSR_EL1::EL1h | SPSR_EL1::F | SPSR_EL1::D;
}

void halt() {
    asm volatile("msr daifset, #0xf" : : : "memory");
    for (;;)
        asm volatile("wfi" : : : "memory");
}

}  // namespace caprock::arch
