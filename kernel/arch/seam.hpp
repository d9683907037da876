// SPDX-License-Identifier: BSD-2-Clause
// The one seam between the portable kernel and hardware. arch/aarch64 implements it for the target, tests/unit/host_seam for the host.
// Everything below a line of portable code that touches a register, a barrier, a cache or a device goes through one of these names.
#pragma once

#include "arch/context.hpp"
#include "core/types.hpp"

namespace caprock {
struct Core;

namespace arch {

// -- Addresses. Only these convert; `pointer` is the only place that makes a pointer out of a kernel address.
KernAddr to_kernel(PhysAddr address);
PhysAddr to_physical(KernAddr address);
template <class T>
inline T* pointer(KernAddr address) { return reinterpret_cast<T*>(address.raw); }
inline KernAddr address_of(const void* object) { return KernAddr(reinterpret_cast<Word>(object)); }

// -- Memory. Ranges are of Normal memory in the direct map; to be cleared, in units of 16 bytes, else in whole cache lines.
void clear_memory(KernAddr start, Word bytes);              // writes zeroes; the cache may hold them
void clear_and_clean(KernAddr start, Word bytes);           // both, of whole lines
void clean_data(KernAddr start, Word bytes);                // to the point of coherency
void clean_invalidate_data(KernAddr start, Word bytes);     // to the point of coherency
void unify_instruction(KernAddr start, Word bytes);         // data to the point of unification, instruction caches of all cores

// -- Page tables. Level 0 is the root, level 3 maps 4 KiB.
using Pte = Word;
struct PageAttributes {
    bool read;           // user level may read
    bool write;          // user level may write, and read
    bool execute;        // user level may execute
    bool cacheable;      // Normal write-back; else Normal non-cacheable
    bool device;         // Device-nGnRnE, whatever cacheable says, unless cacheable
};
Pte leaf_entry(PhysAddr frame, unsigned level, PageAttributes attributes);
Pte table_entry(PhysAddr table);
bool entry_present(Pte entry);
bool entry_is_table(Pte entry, unsigned level);
PhysAddr entry_address(Pte entry);
PageAttributes entry_attributes(Pte entry);                 // of a leaf: those that it was made with
void write_entry(Pte* slot, Pte entry);                     // stores and makes it visible to table walkers (dsb ishst)
void tlb_invalidate_page(Asid asid, UserVirtAddr page);     // all cores; leaf entries of one page
void tlb_invalidate_asid(Asid asid);                        // all cores; complete when it returns
using AddressSpace = Word;                                  // what TTBR0_EL1 holds
AddressSpace address_space(PhysAddr root, Asid asid);
void set_address_space(AddressSpace space);                 // TTBR0_EL1 and at most one isb
void set_no_address_space();                                // an empty TTBR0, ASID 0
unsigned asid_bits();                                       // 8 or 16
unsigned physical_bits();                                   // width of a physical address

// -- Interrupt controller.
inline constexpr Word no_irq = 1023;
Irq irq_acknowledge();                                      // no_irq: spurious
Irq irq_acknowledged(Word said);                            // the same, of what the controller has said already
void irq_priority_drop(Irq irq);                            // EOImode 1: other interrupts can come again
void irq_deactivate(Irq irq);                               // this one can come again
void irq_mask(Irq irq);
void irq_unmask(Irq irq);
void irq_configure(Irq irq, bool edge, CoreId target);      // of a software-generated one: nothing to configure
void irq_send_sgi(Irq irq, CoreId target);                  // software-generated interrupt 0 to 15: needs no deactivation
Word irq_count();                                           // interrupt numbers are 0 to irq_count() - 1
Irq timer_irq();                                            // the kernel's own: CNTV
bool irq_pending();                                         // ISR_EL1: read at preemption points. The timer yields to all others

// -- Time.
Ticks now();
void set_deadline(Ticks instant);                           // CNTV_CVAL_EL0: an interrupt at or after this instant
Word timer_frequency();                                     // ticks in a second
Ticks ten_microseconds();                                   // rounded down

// -- Floating point. Exactly one thread's registers are in a core's unit; a trap hands it over.
void fpu_enable(bool enable);                               // CPACR_EL1.FPEN: user level may use it, or traps
void fpu_save(FpuContext& context);
void fpu_restore(const FpuContext& context);

// -- Access of user level, and debugging.
void set_user_access(bool pmu, bool physical_timer);        // PMUSERENR_EL0.EN, CNTKCTL_EL1.EL0PTEN
unsigned breakpoint_count();                                // at most DebugState::most
unsigned watchpoint_count();
void load_debug_state(const DebugState* state);             // arms what the state says for user level; null: nothing
void arm_step(Context& context, bool armed);                // the thread executes one instruction and traps (SPSR_EL1.SS)

// -- Threads.
Word initial_spsr();                                        // EL0t, interrupts on
Word sanitise_spsr(Word spsr);                              // NZCV of the given value, the rest as initial_spsr
void load_thread_pointers(const Context& context);          // TPIDR_EL0, TPIDRRO_EL0
void save_thread_pointers(Context& context);                // those that user level can change

void init_idle_context(Context& context, unsigned core);    // a loop of the kernel that waits for interrupts
void bind_core(Core& core);                                 // makes `core` the state of this processor, before its first exception

// -- Console and end.
void console_put(char character);                           // nothing once the console was given up
[[noreturn]] void halt();

}  // namespace arch
}  // namespace caprock

#include "arch_inline.hpp"
