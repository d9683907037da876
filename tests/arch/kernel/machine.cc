// SPDX-License-Identifier: BSD-2-Clause
// Registers, hypercalls, interrupt controller, debug hardware, caches and page-table entries as the kernel finds them after its start.
#include "machine.hpp"

#include "arch/aarch64/core.hpp"
#include "arch/aarch64/mmu.hpp"
#include "memory.hpp"
#include "report.hpp"

namespace caprock::arch_test {
namespace {

using namespace arch;

constexpr Ticks never{~Word{0}};
constexpr Word cortex_a72 = 0x410fd080;
constexpr Word short_time = 1000, long_time = 10;  // fractions of a second: enough to see that nothing comes, and that something does

bool within(Word fraction, bool (*condition)()) {
    const Ticks limit = now() + timer_frequency() / fraction;
    while (!condition()) {
        if (now() > limit) return condition();
    }
    return true;
}

bool nothing_pending() { return !irq_pending(); }

Word hypercall(Word function, Word argument) {
    register Word x0 asm("x0") = function;
    register Word x1 asm("x1") = argument;
    asm volatile("hvc #0" : "+r"(x0) : "r"(x1) : "x2", "x3", "memory");
    return x0;
}

#define READ_REGISTER(name)                           \
    [] {                                              \
        Word value;                                   \
        asm volatile("mrs %0, " #name : "=r"(value)); \
        return value;                                 \
    }()

void check_registers(const abi::BootInfo& info) {
    const Word mpidr = MPIDR_EL1::read() & MPIDR_EL1::affinity;
    check("registers: MPIDR_EL1 is the boot core's", mpidr == info.cores[0].mpidr, mpidr);
    const Word midr = READ_REGISTER(midr_el1);
    check("registers: MIDR_EL1 is a Cortex-A72's", (midr & ~Word{0xf}) == cortex_a72, midr);
    constexpr Word sctlr = SCTLR_EL1_MMU | SCTLR_EL1::UCI | SCTLR_EL1::UCT | SCTLR_EL1::DZE | SCTLR_EL1::nTWE;
    check("registers: SCTLR_EL1", SCTLR_EL1::read() == sctlr, SCTLR_EL1::read());
    const Word tcr = READ_REGISTER(tcr_el1);
    const Word sizes = (physical_bits() == 48 ? 5 : 4) * bit(TCR_EL1_IPS_SHIFT) | Word{asid_bits() == 16} << TCR_EL1_AS_SHIFT;
    check("registers: TCR_EL1", tcr == (TCR_EL1_VALUE | sizes), tcr);
    check("registers: MAIR_EL1", READ_REGISTER(mair_el1) == MAIR_VALUE, READ_REGISTER(mair_el1));
    check("registers: CNTKCTL_EL1", CNTKCTL_EL1::read() == 3, CNTKCTL_EL1::read());
    check("registers: PMUSERENR_EL0", PMUSERENR_EL0::read() == 0, PMUSERENR_EL0::read());
    constexpr Word unlocked = 8;  // OSLSR_EL1: a lock is there (OSLM), and open (OSLK)
    check("registers: MDSCR_EL1", MDSCR_EL1::read() == MDSCR_EL1::TDCC, MDSCR_EL1::read());
    check("registers: OSLSR_EL1", READ_REGISTER(oslsr_el1) == unlocked, READ_REGISTER(oslsr_el1));
    check("registers: OSDLR_EL1", OSDLR_EL1::read() == 0, OSDLR_EL1::read());
    const Word counting = (PMCR_EL0::read() & 1) | PMCNTENCLR_EL0::read() | PMINTENCLR_EL1::read();
    check("registers: the performance monitor counts nothing", counting == 0, counting);
    check("registers: CPACR_EL1", CPACR_EL1::read() == CPACR_EL1::FPEN_trap_EL0, CPACR_EL1::read());
    check("registers: the physical timer is off", CNTP_CTL_EL0::read() == 0, CNTP_CTL_EL0::read());
    check("registers: the virtual timer is on", (CNTV_CTL_EL0::read() & 3) == CNTV_CTL_EL0::ENABLE, CNTV_CTL_EL0::read());
}

void check_thread_pointers() {
    Context given, taken;
    given.tpidr = 0x1111222233334444;
    given.tpidrro = 0x5555666677778888;
    load_thread_pointers(given);
    save_thread_pointers(taken);
    check("registers: the thread pointer is loaded and saved", taken.tpidr == given.tpidr, taken.tpidr);
    check("registers: the read-only thread pointer is loaded", TPIDRRO_EL0::read() == given.tpidrro, TPIDRRO_EL0::read());
    load_thread_pointers(Context());
}

void check_saved_state() {
    const Word everything = sanitise_spsr(~Word{0});
    check("registers: a thread's state keeps its flags only", everything == (SPSR_EL1::NZCV | initial_spsr()), everything);
    check("registers: a thread starts at EL0 with interrupts open", (initial_spsr() & 0x9f) == 0, initial_spsr());
}

void check_stub(const abi::BootInfo& info) {
    if (info.boot_el != 2) return;
    constexpr Word refused = ~Word{0};
    check("el2: the stub is sealed", hypercall(EL2_CALL_INSTALL, 0) == refused);
    check("el2: the stub refuses other calls", hypercall(0x84000000, 0) == refused);
}

void check_timer_pending() {
    check("interrupts: nothing is pending at first", nothing_pending(), ISR_EL1::read());
    set_deadline(now());
    check("interrupts: a deadline that is due is pending", within(long_time, irq_pending));
    irq_mask(timer_irq());
    check("interrupts: a masked one is not", within(long_time, nothing_pending));
    irq_unmask(timer_irq());
    check("interrupts: unmasked it is again", within(long_time, irq_pending));
    set_deadline(never);
    check("interrupts: it goes with its deadline", within(long_time, nothing_pending));
    check("interrupts: acknowledging nothing gives no interrupt", irq_acknowledge().raw == no_irq);
}

// A shared interrupt that no device uses, made pending by hand (GICD_ISPENDR).
void check_shared_interrupt(const abi::BootInfo& info) {
    const Irq irq(static_cast<uint32_t>(irq_count() - 1));
    const Mmio distributor = map_device(PhysAddr(info.gic_distributor.start), page_size);
    irq_configure(irq, true, CoreId(0));
    distributor.write(Word{0x200}, 1u << irq.raw % 32, irq.raw / 32);
    check("interrupts: a shared one is masked at first", !within(short_time, irq_pending));
    irq_unmask(irq);
    check("interrupts: a shared one comes to the boot core", within(long_time, irq_pending));
    const Irq taken = irq_acknowledge();
    check("interrupts: the shared one is acknowledged by its number", taken == irq, taken.raw);
    irq_priority_drop(irq);
    irq_deactivate(irq);
    irq_mask(irq);
    check("interrupts: the shared one comes once", within(long_time, nothing_pending));
    unmap_device(distributor.address(), page_size);
}

// The interrupt that is acknowledged next, which is over then.
Irq take_next() {
    const Irq taken = irq_acknowledge();
    if (taken.raw == no_irq) return taken;
    irq_priority_drop(taken);
    irq_deactivate(taken);
    return taken;
}

// The timer's interrupt and a shared one at once: the shared one is taken first, and is not held back by the timer's while that is handled.
void check_priorities(const abi::BootInfo& info) {
    const Irq irq(static_cast<uint32_t>(irq_count() - 1));
    const Mmio distributor = map_device(PhysAddr(info.gic_distributor.start), page_size);
    irq_unmask(irq);
    const auto raise = [&] { distributor.write(Word{0x200}, 1u << irq.raw % 32, irq.raw / 32); };
    const auto settle = [] { within(short_time, [] { return false; }); };
    constexpr bool orders[] = {true, false};
    for (const bool timer_first : orders) {
        if (!timer_first) raise();
        set_deadline(Ticks(0));
        settle();
        if (timer_first) raise();
        settle();
        const Irq first = take_next();
        check("interrupts: of two, the timer's waits", first == irq, first.raw);
        check("interrupts: then the timer's is pending", irq_pending());
        const Irq second = irq_acknowledge();
        check("interrupts: and taken", second == timer_irq(), second.raw);
        set_deadline(never);
        isb();
        check("interrupts: while it is handled nothing is pending", within(long_time, nothing_pending));
        raise();
        check("interrupts: a shared one is pending while the timer's is handled", within(long_time, irq_pending));
        irq_priority_drop(second);
        irq_deactivate(second);
        check("interrupts: and comes", take_next() == irq);
    }
    irq_mask(irq);
    unmap_device(distributor.address(), page_size);
}

// Software-generated interrupts need no acknowledgement but the one that takes them, and cannot be masked.
void check_software_interrupts(const abi::BootInfo& info, unsigned cores_up) {
    const CoreId self(0), other(1);
    constexpr Irq irq(5), second(9);
    irq_configure(irq, false, self);
    irq_unmask(irq);
    for (unsigned i = 0; i < 3; i++) {
        irq_send_sgi(irq, self);
        check("sgi: one that is sent is pending", within(long_time, irq_pending));
        const Irq taken = irq_acknowledge();
        check("sgi: it is acknowledged by its number", taken == irq, taken.raw);
        irq_priority_drop(taken);
        check("sgi: it comes once", within(long_time, nothing_pending));
        if (i == 1) irq_deactivate(taken);  // changes nothing
    }
    irq_send_sgi(irq, self);
    irq_send_sgi(irq, self);
    check("sgi: two that were sent before the first is taken", take_next() == irq);
    check("sgi: are one", within(long_time, nothing_pending) && take_next().raw == no_irq);
    irq_send_sgi(second, self);
    irq_send_sgi(irq, self);
    check("sgi: different ones are different", take_next() == irq && take_next() == second && take_next().raw == no_irq);
    irq_mask(second);
    irq_send_sgi(second, self);
    check("sgi: none can be masked", within(long_time, irq_pending) && take_next() == second);
    irq_send_sgi(irq, other);
    check("sgi: one for another core does not come here", !within(short_time, irq_pending) && take_next().raw == no_irq);
    if (cores_up < 2) return;
    if (info.gic_version == 3) {
        constexpr Word frames_of_core = 0x20000, pending = 0x10200;  // GICR_ISPENDR0
        const Mmio redistributor = map_device(PhysAddr(info.gic_cpu.start + frames_of_core), frames_of_core);
        check("sgi: it waits at the other core", redistributor.read(Word{pending}) == 1u << irq.raw, redistributor.read(Word{pending}));
        unmap_device(redistributor.address(), frames_of_core);
    } else {
        constexpr Word set_pending = 0xf20;  // GICD_SPENDSGIR: a byte for each interrupt with a bit for each sender
        const Mmio distributor = map_device(PhysAddr(info.gic_distributor.start), page_size);
        distributor.write_byte(Word{set_pending}, 1u << 1, irq.raw);
        check("sgi: one of another core is acknowledged by its number", within(long_time, irq_pending) && take_next() == irq);
        check("sgi: and comes once", within(long_time, nothing_pending));
        unmap_device(distributor.address(), page_size);
    }
}

Word watched = 0;
[[gnu::noinline]] void touch_watched() { *const_cast<volatile Word*>(&watched) = 1; }

// The kernel runs over what would trap at user level.
void check_debug_hardware() {
    constexpr unsigned cortex_a72_breakpoints = 6, cortex_a72_watchpoints = 4;
    check("debug: breakpoints", breakpoint_count() == cortex_a72_breakpoints, breakpoint_count());
    check("debug: watchpoints", watchpoint_count() == cortex_a72_watchpoints, watchpoint_count());
    DebugState state;
    state.breakpoints[0] = {.address = reinterpret_cast<Word>(touch_watched), .enabled = true};
    state.watchpoints[0] = {.address = reinterpret_cast<Word>(&watched), .size = 8, .access = 2, .enabled = true};
    state.steps = 1;
    load_debug_state(&state);
    constexpr Word all = MDSCR_EL1::TDCC | MDSCR_EL1::MDE | MDSCR_EL1::SS;
    check("debug: armed, with the kernel exempt", MDSCR_EL1::read() == all, MDSCR_EL1::read());
    asm volatile("msr daifclr, #8");
    touch_watched();
    asm volatile("msr daifset, #8");
    load_debug_state(nullptr);
    check("debug: disarmed", MDSCR_EL1::read() == MDSCR_EL1::TDCC && watched == 1, MDSCR_EL1::read());
    Context context;
    context.spsr = SPSR_EL1::NZCV;
    arm_step(context, true);
    check("debug: a step is armed in the thread's state", context.spsr == (SPSR_EL1::NZCV | bit(21)), context.spsr);
    arm_step(context, false);
    check("debug: and disarmed", context.spsr == SPSR_EL1::NZCV, context.spsr);
}

void check_memory_operations() {
    const PhysAddr page = allocate_page();
    const KernAddr start = to_kernel(page);
    Word* const words = pointer<Word>(start);
    constexpr Word count = page_size / sizeof(Word);
    for (Word i = 0; i < count; i++) words[i] = i + 1;
    clean_data(start, page_size);
    clean_invalidate_data(start, page_size);
    unify_instruction(start, page_size);
    Word changed = 0;
    for (Word i = 0; i < count; i++) changed |= words[i] ^ (i + 1);
    check("memory: cache maintenance changes no contents", changed == 0, changed);
    clear_memory(start + 16, 32);
    check("memory: a small range is cleared and its neighbours stay", words[1] == 2 && words[2] == 0 && words[5] == 0 && words[6] == 7);
    clear_memory(start, page_size);
    Word left = 0;
    for (Word i = 0; i < count; i++) left |= words[i];
    check("memory: a page is cleared", left == 0, left);
}

// Every page of user level: not executable by the kernel, not global, accessed; and each right as asked for.
void check_user_entries() {
    constexpr Word not_global = bit(11), accessed = bit(10), user = bit(6);
    Word bad = 0;
    for (unsigned rights = 0; rights < 32; rights++) {
        const PageAttributes wanted{(rights & 1) != 0, (rights & 2) != 0, (rights & 4) != 0, (rights & 8) != 0, (rights & 16) != 0};
        for (unsigned level = 1; level <= 3; level++) {
            const Pte entry = leaf_entry(PhysAddr(Word{1} << 30), level, wanted);
            const bool well = (entry & PAGE_PXN) != 0 && (entry & not_global) != 0 && (entry & accessed) != 0 && entry_present(entry) &&
                              !entry_is_table(entry, level) && entry_address(entry).raw == Word{1} << 30 &&
                              ((entry & PAGE_UXN) == 0) == wanted.execute && ((entry & user) != 0) == wanted.read &&
                              ((entry & PAGE_READ_ONLY) == 0) == (wanted.read && wanted.write);
            const PageAttributes found = entry_attributes(entry);
            const bool same = found.read == wanted.read && found.write == wanted.write && found.execute == wanted.execute &&
                              found.cacheable == wanted.cacheable && found.device == wanted.device;
            if (!well || !same) bad = rights << 8 | level;
        }
    }
    check("memory: entries of user pages grant and say what is asked, and nothing to the kernel's execution", bad == 0, bad);
    const Pte table = table_entry(PhysAddr(0x5000));
    check("memory: entries of tables", entry_is_table(table, 0) && entry_is_table(table, 2) && entry_address(table).raw == 0x5000, table);
}

}  // namespace

void check_machine(const abi::BootInfo& info, unsigned cores_up) {
    check("cores: all came up", cores_up == info.core_count, cores_up);
    check_registers(info);
    check_thread_pointers();
    check_saved_state();
    check_stub(info);
    check_timer_pending();
    check_shared_interrupt(info);
    check_priorities(info);
    check_software_interrupts(info, cores_up);
    check_debug_hardware();
    check_memory_operations();
    check_user_entries();
}

void check_timer_interrupt(Irq irq) {
    check("interrupts: it is the timer's", irq == timer_irq(), irq.raw);
    set_deadline(never);
    irq_priority_drop(irq);
    set_deadline(Ticks(0));
    check("interrupts: it is held back while active", !within(short_time, irq_pending));
    irq_deactivate(irq);
    check("interrupts: it comes again when deactivated", within(long_time, irq_pending));
    set_deadline(never);
    isb();
    check("interrupts: it is quiet without a deadline", within(long_time, nothing_pending));
}

void check_work() {
    constexpr Word bytes = 16384, most = 4000, nanoseconds_in_second = 1'000'000'000;
    const KernAddr start = to_kernel(allocate_page());
    while (to_kernel(allocate_page()).raw < start.raw + bytes) {
    }
    struct Operation {
        const char* name;
        void (*execute)(KernAddr, Word);
    };
    constexpr Operation operations[] = {
        {"work: clearing", clear_memory},
        {"work: cleaning", clean_data},
        {"work: cleaning and invalidating", clean_invalidate_data},
        {"work: unifying", unify_instruction},
    };
    for (const Operation& operation : operations) {
        const Ticks before = now();
        operation.execute(start, bytes);
        isb();
        const Word instructions = (now() - before) * (nanoseconds_in_second / timer_frequency());
        // More than one for each cache line: else nothing was counted.
        check(operation.name, instructions > bytes / 64 && instructions < most, instructions);
    }
}

}  // namespace caprock::arch_test
