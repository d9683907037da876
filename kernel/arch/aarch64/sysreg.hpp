// SPDX-License-Identifier: BSD-2-Clause
// System registers by their encoding, with the fields that the kernel uses spelt as in the Arm Architecture Reference Manual (chapter D17).
// A read is exactly one mrs, a write one msr; barriers are the caller's.
#pragma once

#include "core/types.hpp"

namespace caprock::arch {

template <unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2>
struct SysReg {
    static Word read() {
        Word value;
        asm volatile("mrs %0, S%c1_%c2_C%c3_C%c4_%c5" : "=r"(value) : "i"(op0), "i"(op1), "i"(crn), "i"(crm), "i"(op2) : "memory");
        return value;
    }
    static void write(Word value) {
        asm volatile("msr S%c1_%c2_C%c3_C%c4_%c5, %x0" : : "rZ"(value), "i"(op0), "i"(op1), "i"(crn), "i"(crm), "i"(op2) : "memory");
    }
};

constexpr Word bit(unsigned number) { return Word{1} << number; }
constexpr Word bits(Word value, unsigned high, unsigned low) { return (value >> low) & (bit(high - low + 1) - 1); }

struct SCTLR_EL1 : SysReg<3, 0, 1, 0, 0> {
    static constexpr Word DZE = bit(14), UCT = bit(15), nTWE = bit(18), UCI = bit(26);
};
struct CPACR_EL1 : SysReg<3, 0, 1, 0, 2> {
    static constexpr Word FPEN_trap_EL0 = bit(20), FPEN_no_trap = bit(20) | bit(21);
};
struct TTBR0_EL1 : SysReg<3, 0, 2, 0, 0> {};
struct ESR_EL1 : SysReg<3, 0, 5, 2, 0> {
    enum class EC : unsigned {
        FP_ACCESS = 0x07, INSTRUCTION_ABORT_EL0 = 0x20, INSTRUCTION_ABORT = 0x21, DATA_ABORT_EL0 = 0x24, DATA_ABORT = 0x25,
        BREAKPOINT_EL0 = 0x30, SOFTWARE_STEP_EL0 = 0x32, WATCHPOINT_EL0 = 0x34, BRK = 0x3c,
    };
    static constexpr EC exception_class(Word esr) { return static_cast<EC>(bits(esr, 31, 26)); }
    static constexpr Word fault_status(Word esr) { return bits(esr, 5, 0); }
    static constexpr Word FSC_alignment = 0x21;
};
struct FAR_EL1 : SysReg<3, 0, 6, 0, 0> {};
struct ELR_EL1 : SysReg<3, 0, 4, 0, 1> {};
struct SPSR_EL1 : SysReg<3, 0, 4, 0, 0> {
    static constexpr Word EL1h = 5, F = bit(6), D = bit(9), SS = bit(21), NZCV = 0xf0000000;
};
struct ISR_EL1 : SysReg<3, 0, 12, 1, 0> {
    static constexpr Word I = bit(7);
};
struct TPIDR_EL1 : SysReg<3, 0, 13, 0, 4> {};
struct TPIDR_EL0 : SysReg<3, 3, 13, 0, 2> {};
struct TPIDRRO_EL0 : SysReg<3, 3, 13, 0, 3> {};

struct CTR_EL0 : SysReg<3, 3, 0, 0, 1> {
    static constexpr Word instruction_line(Word ctr) { return Word{4} << bits(ctr, 3, 0); }
    static constexpr Word data_line(Word ctr) { return Word{4} << bits(ctr, 19, 16); }
    static constexpr bool physically_indexed(Word ctr) { return bits(ctr, 15, 14) == 3; }
};
struct DCZID_EL0 : SysReg<3, 3, 0, 0, 7> {
    static constexpr Word DZP = bit(4);
    static constexpr Word block(Word dczid) { return Word{4} << bits(dczid, 3, 0); }
};
struct ID_AA64DFR0_EL1 : SysReg<3, 0, 0, 5, 0> {
    static constexpr bool has_pmu(Word value) { return bits(value, 11, 8) != 0 && bits(value, 11, 8) != 0xf; }
    static constexpr unsigned breakpoints(Word value) { return static_cast<unsigned>(bits(value, 15, 12) + 1); }
    static constexpr unsigned watchpoints(Word value) { return static_cast<unsigned>(bits(value, 23, 20) + 1); }
};
struct ID_AA64MMFR0_EL1 : SysReg<3, 0, 0, 7, 0> {
    static constexpr unsigned asid_bits(Word value) { return bits(value, 7, 4) == 2 ? 16 : 8; }
    // PARange; 52-bit addresses need FEAT_LPA's translation tables, which the kernel does not use.
    static constexpr unsigned physical_bits(Word value) {
        constexpr uint8_t widths[] = {32, 36, 40, 42, 44, 48};
        const Word range = bits(value, 3, 0);
        return widths[range < sizeof(widths) ? range : sizeof(widths) - 1];
    }
};
struct MPIDR_EL1 : SysReg<3, 0, 0, 0, 5> {
    static constexpr Word affinity = 0xff00ffffff;
};
struct MDSCR_EL1 : SysReg<2, 0, 0, 2, 2> {
    static constexpr Word SS = bit(0), TDCC = bit(12), MDE = bit(15);
};
struct OSLAR_EL1 : SysReg<2, 0, 1, 0, 4> {};
struct OSDLR_EL1 : SysReg<2, 0, 1, 3, 4> {};
template <unsigned n>
struct DBGBVR_EL1 : SysReg<2, 0, 0, n, 4> {};
template <unsigned n>
struct DBGBCR_EL1 : SysReg<2, 0, 0, n, 5> {};
template <unsigned n>
struct DBGWVR_EL1 : SysReg<2, 0, 0, n, 6> {};
template <unsigned n>
struct DBGWCR_EL1 : SysReg<2, 0, 0, n, 7> {};

struct PMUSERENR_EL0 : SysReg<3, 3, 9, 14, 0> {
    static constexpr Word EN = bit(0);
};
struct PMCR_EL0 : SysReg<3, 3, 9, 12, 0> {
    static constexpr Word P = bit(1), C = bit(2);
};
struct PMCNTENCLR_EL0 : SysReg<3, 3, 9, 12, 2> {};
struct PMOVSCLR_EL0 : SysReg<3, 3, 9, 12, 3> {};
struct PMINTENCLR_EL1 : SysReg<3, 0, 9, 14, 2> {};

struct CNTKCTL_EL1 : SysReg<3, 0, 14, 1, 0> {
    static constexpr Word EL0PCTEN = bit(0), EL0VCTEN = bit(1), EL0PTEN = bit(9);
};
struct CNTVCT_EL0 : SysReg<3, 3, 14, 0, 2> {};
struct CNTP_CTL_EL0 : SysReg<3, 3, 14, 2, 1> {};
struct CNTV_CTL_EL0 : SysReg<3, 3, 14, 3, 1> {
    static constexpr Word ENABLE = bit(0);
};
struct CNTV_CVAL_EL0 : SysReg<3, 3, 14, 3, 2> {};

struct ICC_PMR_EL1 : SysReg<3, 0, 4, 6, 0> {};
struct ICC_DIR_EL1 : SysReg<3, 0, 12, 11, 1> {};
struct ICC_IAR1_EL1 : SysReg<3, 0, 12, 12, 0> {};
struct ICC_EOIR1_EL1 : SysReg<3, 0, 12, 12, 1> {};
struct ICC_BPR1_EL1 : SysReg<3, 0, 12, 12, 3> {};
struct ICC_CTLR_EL1 : SysReg<3, 0, 12, 12, 4> {
    static constexpr Word EOImode = bit(1);
};
struct ICC_SGI1R_EL1 : SysReg<3, 0, 12, 11, 5> {
    // Interrupt `id` to the one core of that affinity: Aff3, RS, Aff2, INTID, Aff1, and a list of 16 values of Aff0 from RS * 16 on.
    static constexpr Word to(Word affinity, Word id) {
        return bits(affinity, 39, 32) << 48 | bits(affinity, 7, 4) << 44 | bits(affinity, 23, 16) << 32 | id << 24 |
               bits(affinity, 15, 8) << 16 | bit(static_cast<unsigned>(bits(affinity, 3, 0)));
    }
};
struct ICC_SRE_EL1 : SysReg<3, 0, 12, 12, 5> {
    static constexpr Word SRE = bit(0);
};
struct ICC_IGRPEN1_EL1 : SysReg<3, 0, 12, 12, 7> {};

inline void isb() { asm volatile("isb" : : : "memory"); }
inline void dsb_sy() { asm volatile("dsb sy" : : : "memory"); }
inline void dsb_ish() { asm volatile("dsb ish" : : : "memory"); }
inline void dsb_ishst() { asm volatile("dsb ishst" : : : "memory"); }

}  // namespace caprock::arch
