// SPDX-License-Identifier: BSD-2-Clause
#include "host_seam.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace caprock::host {

namespace {

// Low enough that device addresses behind the direct map still have 48 bits, and clear of the sanitizers' shadow memory.
constexpr Word arena_address = 0x2000'0000'0000;

void* map_arena() {
    void* arena = mmap(reinterpret_cast<void*>(arena_address), ram_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (arena == MAP_FAILED) std::abort();
    std::memset(arena, 0xa5, ram_bytes);
    return arena;
}

void* const arena = map_arena();

void record(Effect::Kind kind, Word a = 0, Word b = 0) { hardware.effects.push_back({kind, a, b}); }

// The kernel may touch memory only, and in the granules that clearing and caches have.
void record_range(Effect::Kind kind, KernAddr start, Word bytes) {
    constexpr Word granule = 16;
    PhysAddr physical = arch::to_physical(start);
    if (physical.raw < ram_start || bytes > ram_bytes || physical.raw - ram_start > ram_bytes - bytes)
        throw Halt("maintenance outside memory");
    if (!is_aligned(start.raw | bytes, granule)) throw Halt("maintenance of part of a granule");
    record(kind, physical.raw, bytes);
}

}  // namespace

Hardware hardware;

bool Hardware::saw(Effect effect) const {
    for (const Effect& seen : effects) {
        if (seen == effect) return true;
    }
    return false;
}

std::ptrdiff_t Hardware::first(Effect::Kind kind) const {
    for (std::size_t i = 0; i < effects.size(); ++i) {
        if (effects[i].kind == kind) return static_cast<std::ptrdiff_t>(i);
    }
    return -1;
}

void reset() { hardware = Hardware{}; }
void dirty_memory() { std::memset(arena, 0xa5, ram_bytes); }

}  // namespace caprock::host

namespace caprock::arch {

using host::Effect;
using host::hardware;
using host::record;

Word direct_map = host::arena_address - host::ram_start;

void clear_memory(KernAddr start, Word bytes) {
    host::record_range(Effect::Clear, start, bytes);
    std::memset(pointer<void>(start), 0, bytes);
}
void clear_and_clean(KernAddr start, Word bytes) {
    clear_memory(start, bytes);
    clean_data(start, bytes);
}
void clean_data(KernAddr start, Word bytes) { host::record_range(Effect::Clean, start, bytes); }
void clean_invalidate_data(KernAddr start, Word bytes) { host::record_range(Effect::CleanInvalidate, start, bytes); }
void unify_instruction(KernAddr start, Word bytes) { host::record_range(Effect::Unify, start, bytes); }

// Entries as AArch64 has them where tests look at them: bits 1:0 valid and table, 6 user, 7 read-only, 54 execute-never; bits 3:2 hold the
// memory type: 2 write-back, 1 non-cacheable, 0 device. Bits 55 and 56, which are software's, say what else the entry was made with.
constexpr Pte made_device = Pte{1} << 55;
constexpr Pte made_writable = Pte{1} << 56;
Pte leaf_entry(PhysAddr frame, unsigned level, PageAttributes attributes) {
    Pte entry = frame.raw | (level == 3 ? 3 : 1);
    if (attributes.cacheable)
        entry |= 2 << 2;
    else if (!attributes.device)
        entry |= 1 << 2;
    if (attributes.read) entry |= 1 << 6;
    if (!attributes.write) entry |= 1 << 7;
    if (!attributes.execute) entry |= Word{1} << 54;
    return entry | (attributes.device ? made_device : 0) | (attributes.write ? made_writable : 0);
}
Pte table_entry(PhysAddr table) { return table.raw | 3; }
bool entry_present(Pte entry) { return (entry & 1) != 0; }
bool entry_is_table(Pte entry, unsigned level) { return level < 3 && (entry & 3) == 3; }
PhysAddr entry_address(Pte entry) { return PhysAddr(entry & 0x0000'ffff'ffff'f000); }
PageAttributes entry_attributes(Pte entry) {
    return {.read = (entry & 1 << 6) != 0,
            .write = (entry & made_writable) != 0,
            .execute = (entry & Word{1} << 54) == 0,
            .cacheable = (entry >> 2 & 3) == 2,
            .device = (entry & made_device) != 0};
}
void write_entry(Pte* slot, Pte entry) {
    record(Effect::WriteEntry, to_physical(address_of(slot)).raw, entry);
    *slot = entry;
}
void tlb_invalidate_page(Asid asid, UserVirtAddr page) { record(Effect::InvalidatePage, asid.raw, page.raw); }
void tlb_invalidate_asid(Asid asid) { record(Effect::InvalidateAsid, asid.raw, hardware.root != PhysAddr(0) && hardware.asid == asid); }
AddressSpace address_space(PhysAddr root, Asid asid) { return root.raw | Word{asid.raw} << 48; }
void set_address_space(AddressSpace space) {
    hardware.root = PhysAddr(space & 0xffff'ffff'ffff);
    hardware.asid = Asid(static_cast<uint16_t>(space >> 48));
    record(Effect::SetAddressSpace, hardware.root.raw, hardware.asid.raw);
}
void set_no_address_space() {
    record(Effect::NoAddressSpace);
    hardware.root = PhysAddr(0);
    hardware.asid = Asid(0);
}
unsigned asid_bits() { return hardware.asid_bits; }
unsigned physical_bits() { return 40; }

Irq irq_acknowledge() {
    if (hardware.incoming.empty()) return Irq(static_cast<uint32_t>(no_irq));
    Word irq = hardware.incoming.front();
    hardware.incoming.pop_front();
    return Irq(static_cast<uint32_t>(irq));
}
Irq irq_acknowledged(Word said) { return Irq(static_cast<uint32_t>(said)); }
void irq_priority_drop(Irq irq) { record(Effect::PriorityDrop, irq.raw); }
void irq_deactivate(Irq irq) { record(Effect::Deactivate, irq.raw); }
void irq_mask(Irq irq) {
    record(Effect::Mask, irq.raw);
    hardware.masked[irq.raw] = true;
}
void irq_unmask(Irq irq) {
    record(Effect::Unmask, irq.raw);
    hardware.masked[irq.raw] = false;
}
void irq_configure(Irq irq, bool edge, CoreId) { record(Effect::Configure, irq.raw, edge); }
void irq_send_sgi(Irq irq, CoreId target) { record(Effect::SendSgi, irq.raw, target.raw); }
Word irq_count() { return hardware.interrupts; }
Irq timer_irq() { return Irq(27); }
bool irq_pending() {
    ++hardware.preemption_points;
    if (hardware.always_pending) return true;
    if (hardware.pending_at == 0 || --hardware.pending_at != 0) return false;
    hardware.pending_at = std::exchange(hardware.pending_again, 0);
    return true;
}

Ticks now() { return Ticks(hardware.time += hardware.ticks_per_read); }
void set_deadline(Ticks instant) { hardware.deadline = instant.raw; }
Word timer_frequency() { return hardware.frequency; }
Ticks ten_microseconds() { return Ticks(hardware.frequency / 100'000); }

void fpu_enable(bool enable) { hardware.fpu_enabled = enable; }
void fpu_save(FpuContext& context) { context.v[0] = hardware.fpu_register; }
void fpu_restore(const FpuContext& context) { hardware.fpu_register = context.v[0]; }

void set_user_access(bool pmu, bool physical_timer) {
    hardware.pmu = pmu;
    hardware.physical_timer = physical_timer;
}
unsigned breakpoint_count() { return hardware.breakpoints; }
unsigned watchpoint_count() { return hardware.watchpoints; }
void load_debug_state(const DebugState* state) {
    hardware.debug.reset();
    if (state != nullptr) hardware.debug = *state;
}
void arm_step(Context& context, bool armed) { context.spsr = armed ? context.spsr | host::single_step : context.spsr & ~host::single_step; }

Word initial_spsr() { return 0x40; }
Word sanitise_spsr(Word spsr) { return (spsr & 0xf000'0000) | initial_spsr(); }
void load_thread_pointers(const Context& context) {
    hardware.tpidr = context.tpidr;
    hardware.tpidrro = context.tpidrro;
}
void save_thread_pointers(Context& context) {
    context.tpidr = hardware.tpidr;
    context.tpidrro = hardware.tpidrro;
}
void init_idle_context(Context& context, unsigned core) { context.x[0] = core; }
void bind_core(Core& core) { hardware.core = &core; }

void console_put(char character) { hardware.console += character; }
void halt() { throw host::Halt(hardware.console); }

}  // namespace caprock::arch
