// SPDX-License-Identifier: BSD-2-Clause
// What user level may execute and what traps, instruction by instruction.
#include "call.hpp"

namespace caprock::arch_test {
namespace {

// ESR_EL1.EC.
constexpr Word open = ~Word{0};    // no exception
constexpr Word closed = ~Word{1};  // some exception: QEMU does not have the register, a processor traps it
constexpr Word undefined = 0x00, wfx = 0x01, trapped = 0x18;

struct Row {
    const char* name;
    Word expected;
    void (*instructions)();
};

alignas(64) Word line[512];

#define ROW(name, expected, text) {"el0: " name, expected, [] { asm volatile(text : : "r"(line) : "x9", "memory"); }}

// %0 is the address of a page of data.
constexpr Row rows[] = {
    // SCTLR_EL1.UCI, UCT, DZE
    ROW("dc cvau", open, "dc cvau, %0"),
    ROW("dc cvac", open, "dc cvac, %0"),
    ROW("dc civac", open, "dc civac, %0"),
    ROW("ic ivau", open, "ic ivau, %0"),
    ROW("CTR_EL0", open, "mrs x9, ctr_el0"),
    ROW("DCZID_EL0", open, "mrs x9, dczid_el0"),
    ROW("dc zva", open, "dc zva, %0"),
    // SCTLR_EL1.nTWE, nTWI
    ROW("wfe", open, "sevl\n wfe"),
    ROW("wfi traps", wfx, "wfi"),
    // SCTLR_EL1.UMA
    ROW("masking interrupts traps", trapped, "msr daifset, #2"),
    ROW("unmasking interrupts traps", trapped, "msr daifclr, #2"),
    ROW("reading the masks traps", trapped, "mrs x9, daif"),
    // CNTKCTL_EL1
    ROW("CNTVCT_EL0", open, "mrs x9, cntvct_el0"),
    ROW("CNTPCT_EL0", open, "mrs x9, cntpct_el0"),
    ROW("CNTFRQ_EL0", open, "mrs x9, cntfrq_el0"),
    ROW("CNTV_CTL_EL0 traps", trapped, "mrs x9, cntv_ctl_el0"),
    ROW("CNTV_CTL_EL0 traps on write", trapped, "msr cntv_ctl_el0, xzr"),
    ROW("CNTV_CVAL_EL0 traps", trapped, "mrs x9, cntv_cval_el0"),
    ROW("CNTV_CVAL_EL0 traps on write", trapped, "msr cntv_cval_el0, xzr"),
    ROW("CNTV_TVAL_EL0 traps", trapped, "mrs x9, cntv_tval_el0"),
    ROW("CNTP_CTL_EL0 traps", trapped, "mrs x9, cntp_ctl_el0"),
    ROW("CNTP_CTL_EL0 traps on write", trapped, "msr cntp_ctl_el0, xzr"),
    ROW("CNTP_CVAL_EL0 traps", trapped, "mrs x9, cntp_cval_el0"),
    ROW("CNTP_TVAL_EL0 traps on write", trapped, "msr cntp_tval_el0, xzr"),
    ROW("CNTFRQ_EL0 cannot be written", undefined, "msr cntfrq_el0, xzr"),
    // PMUSERENR_EL0
    ROW("PMCR_EL0 traps", trapped, "mrs x9, pmcr_el0"),
    ROW("PMCCNTR_EL0 traps", trapped, "mrs x9, pmccntr_el0"),
    ROW("PMCNTENSET_EL0 traps", trapped, "mrs x9, pmcntenset_el0"),
    ROW("PMSELR_EL0 traps on write", trapped, "msr pmselr_el0, xzr"),
    ROW("PMSWINC_EL0 traps on write", trapped, "msr pmswinc_el0, xzr"),
    ROW("PMXEVCNTR_EL0 traps", trapped, "mrs x9, pmxevcntr_el0"),
    ROW("PMEVCNTR0_EL0 traps", trapped, "mrs x9, pmevcntr0_el0"),
    ROW("PMUSERENR_EL0", open, "mrs x9, pmuserenr_el0"),
    ROW("PMUSERENR_EL0 cannot be written", undefined, "msr pmuserenr_el0, xzr"),
    // MDSCR_EL1.TDCC
    ROW("MDCCSR_EL0 traps", trapped, "mrs x9, mdccsr_el0"),
    ROW("DBGDTR_EL0 cannot be read", closed, "mrs x9, dbgdtr_el0"),
    ROW("DBGDTR_EL0 cannot be written", closed, "msr dbgdtr_el0, xzr"),
    ROW("MDSCR_EL1 cannot be written", undefined, "msr mdscr_el1, xzr"),
    ROW("OSLAR_EL1 cannot be written", undefined, "msr oslar_el1, xzr"),
    ROW("DBGBCR0_EL1 is hidden", undefined, "mrs x9, dbgbcr0_el1"),
    ROW("DBGWVR0_EL1 cannot be written", undefined, "msr dbgwvr0_el1, xzr"),
    // Thread pointers
    ROW("TPIDR_EL0", open, "mrs x9, tpidr_el0\n msr tpidr_el0, x9"),
    ROW("TPIDRRO_EL0", open, "mrs x9, tpidrro_el0"),
    ROW("TPIDRRO_EL0 cannot be written", undefined, "msr tpidrro_el0, xzr"),
    // Privileged whatever is set
    ROW("SCTLR_EL1 is hidden", undefined, "mrs x9, sctlr_el1"),
    ROW("TTBR0_EL1 cannot be written", undefined, "msr ttbr0_el1, xzr"),
    ROW("TPIDR_EL1 is hidden", undefined, "mrs x9, tpidr_el1"),
    ROW("VBAR_EL1 cannot be written", undefined, "msr vbar_el1, xzr"),
    ROW("MIDR_EL1 is hidden", undefined, "mrs x9, midr_el1"),
    ROW("MPIDR_EL1 is hidden", undefined, "mrs x9, mpidr_el1"),
    ROW("CNTKCTL_EL1 cannot be written", undefined, "msr cntkctl_el1, xzr"),
    ROW("PMINTENSET_EL1 cannot be written", undefined, "msr pmintenset_el1, xzr"),
    ROW("ICC_SGI1R_EL1 cannot be written", undefined, "msr S3_0_C12_C11_5, xzr"),
    ROW("ICC_PMR_EL1 is hidden", undefined, "mrs x9, S3_0_C4_C6_0"),
    ROW("CurrentEL is hidden", undefined, "mrs x9, CurrentEL"),
    ROW("SP_EL0 is hidden", undefined, "mrs x9, sp_el0"),
    ROW("spsel", undefined, "msr spsel, #1"),
    ROW("eret", undefined, "eret"),
    ROW("tlbi", undefined, "tlbi vmalle1is"),
    ROW("at", undefined, "at s1e0r, %0"),
    ROW("ic iallu", undefined, "ic iallu"),
    ROW("dc ivac", undefined, "dc ivac, %0"),
    ROW("dc isw", undefined, "dc isw, xzr"),
    ROW("hvc", undefined, "hvc #0"),
    ROW("smc", undefined, "smc #0"),
};

bool as_expected(const Row& row, const Provoked& provoked) {
    if (row.expected == open) return provoked.fault == Fault::None;
    return provoked.fault == Fault::Exception && (row.expected == closed || provoked.exception_class() == row.expected);
}

// What a thread may be given (Call::SetAccess).
enum Access : unsigned { nothing = 0, performance_monitor = 1, physical_timer = 2, both = 3 };

struct GrantedRow {
    const char* name;
    Access needed;
    void (*instructions)();
};

#define GRANTED(name, needed, text) {"access: " name, needed, [] { asm volatile(text : : : "x9", "memory"); }}

constexpr GrantedRow granted[] = {
    GRANTED("PMCR_EL0", performance_monitor, "mrs x9, pmcr_el0\n msr pmcr_el0, xzr"),
    GRANTED("PMCCNTR_EL0", performance_monitor, "mrs x9, pmccntr_el0\n msr pmccntr_el0, xzr"),
    GRANTED("PMCCFILTR_EL0", performance_monitor, "mrs x9, pmccfiltr_el0\n msr pmccfiltr_el0, xzr"),
    GRANTED("PMCNTENSET_EL0", performance_monitor, "mrs x9, pmcntenset_el0\n msr pmcntenset_el0, xzr"),
    GRANTED("PMCNTENCLR_EL0", performance_monitor, "mrs x9, pmcntenclr_el0\n msr pmcntenclr_el0, xzr"),
    GRANTED("PMOVSCLR_EL0", performance_monitor, "mrs x9, pmovsclr_el0\n msr pmovsclr_el0, xzr"),
    GRANTED("PMSELR_EL0", performance_monitor, "mrs x9, pmselr_el0\n msr pmselr_el0, xzr"),
    GRANTED("PMSWINC_EL0", performance_monitor, "msr pmswinc_el0, xzr"),
    GRANTED("PMXEVTYPER_EL0", performance_monitor, "mrs x9, pmxevtyper_el0"),
    GRANTED("PMXEVCNTR_EL0", performance_monitor, "mrs x9, pmxevcntr_el0"),
    GRANTED("PMEVTYPER0_EL0", performance_monitor, "mrs x9, pmevtyper0_el0\n msr pmevtyper0_el0, xzr"),
    GRANTED("PMEVCNTR0_EL0", performance_monitor, "mrs x9, pmevcntr0_el0\n msr pmevcntr0_el0, xzr"),
    GRANTED("PMCEID0_EL0", performance_monitor, "mrs x9, pmceid0_el0"),
    GRANTED("CNTP_CTL_EL0", physical_timer, "mrs x9, cntp_ctl_el0\n msr cntp_ctl_el0, xzr"),
    GRANTED("CNTP_CVAL_EL0", physical_timer, "mrs x9, cntp_cval_el0\n msr cntp_cval_el0, xzr"),
    GRANTED("CNTP_TVAL_EL0", physical_timer, "mrs x9, cntp_tval_el0\n msr cntp_tval_el0, xzr"),
    GRANTED("CNTV_CTL_EL0 to nobody", nothing, "mrs x9, cntv_ctl_el0"),
    GRANTED("CNTV_CVAL_EL0 to nobody", nothing, "mrs x9, cntv_cval_el0"),
};

void set_access(unsigned access) { call(Call::SetAccess, (access & performance_monitor) != 0, (access & physical_timer) != 0); }

// Given alone, together and not at all, in an order that takes each away again.
void check_granted_rows() {
    constexpr Access orders[] = {performance_monitor, physical_timer, both, nothing};
    for (const GrantedRow& row : granted) {
        Word wrong = 0;
        for (const Access access : orders) {
            set_access(access);
            const Provoked provoked = provoke(row.instructions);
            const bool wanted = (access & row.needed) != 0;
            const bool found = provoked.fault == Fault::None;
            if (wanted != found || (!found && provoked.exception_class() != trapped)) wrong |= 1u << access;
        }
        check(row.name, wrong == 0, wrong);
    }
}

Word count_cycles() {
    Word before, after;
    asm volatile(
        "msr pmcntenset_el0, %2\n msr pmcr_el0, %3\n isb\n mrs %0, pmccntr_el0\n"
        "mov x9, #1000\n 1: subs x9, x9, #1\n b.ne 1b\n isb\n mrs %1, pmccntr_el0\n msr pmcr_el0, xzr\n msr pmcntenclr_el0, %2"
        : "=&r"(before), "=&r"(after)
        : "r"(Word{1} << 31), "r"(Word{1})
        : "x9", "cc", "memory");
    return after - before;
}

// The physical timer's interrupt, which the test's kernel lets through once, as a handler of its own would.
void check_physical_timer() {
    const Word irq = call(Call::OpenTimer).first;
    const Word wanted = milliseconds(2);
    const Word start = counter();
    asm volatile("msr cntp_tval_el0, %0\n msr cntp_ctl_el0, %1\n isb" : : "r"(wanted), "r"(Word{1}) : "memory");
    Answer taken{};
    while (taken.first == 0 && counter() - start < milliseconds(1000)) taken = call(Call::TakeInterrupt);
    const Word passed = counter() - start;
    asm volatile("msr cntp_ctl_el0, xzr\n isb" : : : "memory");
    check("access: the physical timer interrupts", taken.first == 1 && taken.second == irq, taken.second);
    check("access: when it is due", passed >= wanted, passed);
}

void check_granted_use() {
    set_access(both);
    const Word cycles = count_cycles();
    check("access: the performance monitor counts", cycles != 0);
    check_physical_timer();
    set_access(nothing);
}

Word unexpected_rows() {
    Word count = 0;
    for (const Row& row : rows) count += !as_expected(row, provoke(row.instructions));
    return count;
}

bool zva_clears() {
    for (Word& word : line) word = 1;
    Word block;
    asm volatile("mrs %0, dczid_el0" : "=r"(block));
    const Word words = Word{1} << (block & 0xf) >> 1;
    Word* const middle = line + sizeof(line) / sizeof(Word) / 2;
    asm volatile("dc zva, %0" : : "r"(middle) : "memory");
    for (Word i = 0; i < words; i++) {
        if (middle[i] != 0) return false;
    }
    return middle[-1] == 1 && middle[words] == 1;
}

bool counters_agree() {
    Word before, between, after;
    asm volatile("isb\n mrs %0, cntpct_el0\n isb\n mrs %1, cntvct_el0\n isb\n mrs %2, cntpct_el0"
                 : "=&r"(before), "=&r"(between), "=r"(after));
    return before <= between && between <= after;
}

}  // namespace

void check_visible_state() {
    for (const Row& row : rows) {
        const Provoked provoked = provoke(row.instructions);
        check(row.name, as_expected(row, provoked), provoked.syndrome);
    }
    check("el0: dc zva clears a block", zva_clears());
    check("el0: the virtual counter is the physical one", counters_agree());
    check_granted_rows();
    check_granted_use();
    const Word unexpected = unexpected_rows();
    check("access: taken back, all is as before", unexpected == 0, unexpected);
}

}  // namespace caprock::arch_test
