// SPDX-License-Identifier: BSD-2-Clause
// The seam's hot names, inline. arch/seam.hpp includes this file by a name that the include path resolves: here for AArch64, in tests/unit
// for the host.
#pragma once

#include "layout.h"
#include "sysreg.hpp"

extern "C" void fpu_save_registers(caprock::FpuContext*);
extern "C" void fpu_restore_registers(const caprock::FpuContext*);

namespace caprock::arch {

inline KernAddr to_kernel(PhysAddr address) { return KernAddr(address.raw + DIRECT_MAP_BASE); }
inline PhysAddr to_physical(KernAddr address) { return PhysAddr(address.raw - DIRECT_MAP_BASE); }

// A new mapping needs no TLB invalidation, but walkers must see it before the next access through it: dsb ishst; the isb is the exception
// return's (Arm ARM D5.10.2).
inline void write_entry(Pte* slot, Pte entry) {
    __atomic_store_n(slot, entry, __ATOMIC_RELAXED);
    dsb_ishst();
}

// TCR_EL1.A1 is 0: root and ASID change together in one write, so no invalidation and one isb.
inline AddressSpace address_space(PhysAddr root, Asid asid) { return root.raw | Word{asid.raw} << 48; }
inline void set_address_space(AddressSpace space) {
    TTBR0_EL1::write(space);
    isb();
}

// -- User entries. PXN and nG always; the kernel never reads through them. What was asked for and the hardware's bits do not say is in bits that
// the hardware leaves to software (58:55).
namespace user_page {
inline constexpr Word always = PAGE_PXN | 1 << 11 | 0x700 | 1;   // not global, inner shareable, AF
inline constexpr Word at_last_level = 2;
inline constexpr Word normal_non_cacheable = 1 << 2, normal_write_back = 2 << 2, memory_type = 7 << 2;   // else device memory
inline constexpr Word accessible = 1 << 6, read_only = accessible << 1;
inline constexpr Word asked_device = Word{1} << 55, asked_write = Word{1} << 56;
}  // namespace user_page

[[gnu::always_inline]] inline Pte leaf_entry(PhysAddr frame, unsigned level, PageAttributes attributes) {
    bool uncached = (attributes.cacheable | attributes.device) == 0;
    Word memory = user_page::normal_write_back * attributes.cacheable | user_page::normal_non_cacheable * uncached;
    Word rights = attributes.write ? user_page::asked_write : user_page::read_only;
    rights |= user_page::read_only >> attributes.read | PAGE_UXN * !attributes.execute;   // read: accessible, the bit below; else nobody may write
    Word place = frame.raw | user_page::at_last_level * (level == 3) | user_page::asked_device * attributes.device;
    return place | user_page::always | memory | rights;
}

inline bool irq_pending() { return (ISR_EL1::read() & ISR_EL1::I) != 0; }

// Without an isb the counter may be read a few instructions early; the kernel reads it after an exception, which synchronises.
inline Ticks now() { return Ticks(CNTVCT_EL0::read()); }

// The comparator may act late, never early: the interrupt comes once the counter reaches CVAL.
inline void set_deadline(Ticks instant) { CNTV_CVAL_EL0::write(instant.raw); }

// Takes effect at the exception return at the latest, before any instruction of user level.
inline void fpu_enable(bool enable) { CPACR_EL1::write(enable ? CPACR_EL1::FPEN_no_trap : CPACR_EL1::FPEN_trap_EL0); }
inline void fpu_save(FpuContext& context) { fpu_save_registers(&context); }
inline void fpu_restore(const FpuContext& context) { fpu_restore_registers(&context); }

// EL0t with D, A and I open. FIQ stays masked: no interrupt is of that kind, and its vector is fatal.
inline Word initial_spsr() { return SPSR_EL1::F; }
inline Word sanitise_spsr(Word spsr) { return (spsr & SPSR_EL1::NZCV) | initial_spsr(); }

inline bool has_performance_monitor() { return ID_AA64DFR0_EL1::has_pmu(ID_AA64DFR0_EL1::read()); }
// In force at the exception return.
[[gnu::always_inline]] inline void set_user_access(bool pmu, bool physical_timer) {
    constexpr Word counters = CNTKCTL_EL1::EL0PCTEN | CNTKCTL_EL1::EL0VCTEN;
    if (has_performance_monitor())
        PMUSERENR_EL0::write(pmu ? PMUSERENR_EL0::EN : 0);
    CNTKCTL_EL1::write(counters | (physical_timer ? CNTKCTL_EL1::EL0PTEN : 0));
}

inline void load_thread_pointers(const Context& context) {
    TPIDR_EL0::write(context.tpidr);
    TPIDRRO_EL0::write(context.tpidrro);
}
// TPIDRRO_EL0 cannot have changed while the thread ran.
inline void save_thread_pointers(Context& context) { context.tpidr = TPIDR_EL0::read(); }

}  // namespace caprock::arch
