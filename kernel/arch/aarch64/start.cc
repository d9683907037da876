// SPDX-License-Identifier: BSD-2-Clause
// The way from head.S to the first thread. The boot core checks BootInfo, completes the kernel's address space, starts its devices and
// the other cores, and hands over to the portable kernel; the other cores prepare themselves and park.
#include "caprock/abi.hpp"
#include "console.hpp"
#include "core.hpp"
#include "core/panic.hpp"
#include "gic.hpp"
#include "mmu.hpp"
#include "smp.hpp"
#include "syscall/entry.hpp"
#include "timer.hpp"

extern "C" [[noreturn]] void start_thread();

namespace caprock::arch {
namespace {
static_assert(offsetof(abi::BootInfo, core_count) == BOOT_INFO_CORE_COUNT && offsetof(abi::BootInfo, cores) == BOOT_INFO_CORES);
static_assert(sizeof(abi::BootCore) == BOOT_CORE_BYTES && offsetof(abi::BootCore, mpidr) == 0 && abi::max_cores == MAX_CORES);
static_assert(sizeof(abi::BootInfo) <= page_size);

PhysAddr el2_tables;  // 0: booted at EL1

bool is_readable(const abi::BootInfo& info) { return info.magic == abi::boot_magic && info.version == abi::boot_version; }

bool ascending(const abi::BootRange* ranges, Word count) {
    for (Word i = 0; i < count; i++) {
        if (!is_aligned(ranges[i].start | ranges[i].end, page_size) || ranges[i].end < ranges[i].start)
            return false;
        if (i != 0 && ranges[i].start < ranges[i - 1].end)
            return false;
    }
    return true;
}

bool in_memory(const abi::BootInfo& info, PhysAddr page) {
    for (Word i = 0; i < info.ram_count; i++) {
        if (info.ram[i].start <= page.raw && page.raw < info.ram[i].end)
            return true;
    }
    return false;
}

// What of BootInfo the kernel relies on; a wrong one is a defect of the boot shim. nullptr when all is well.
const char* defect_of(const abi::BootInfo& info, PhysAddr boot_info, PhysAddr image) {
    if (info.api_hash != abi::api_hash)
        return "the boot shim is of another build (API hash; build both from one commit)";
    if (info.ram_count > abi::boot_max_ranges || info.no_map_count > abi::boot_max_ranges)
        return "BootInfo lists too many memory ranges";
    if (info.core_count == 0 || info.core_count > abi::max_cores)
        return "BootInfo lists no core or more than eight";
    if (!ascending(info.ram, info.ram_count) || !ascending(info.no_map, info.no_map_count))
        return "BootInfo's memory ranges are not page-aligned, ascending and disjoint";
    if (!is_aligned(boot_info.raw, page_size) || !in_memory(info, boot_info))
        return "BootInfo is not in memory that it lists, or not page-aligned";
    if (info.kernel.start != image.raw || !is_aligned(image.raw, IMAGE_LIMIT))
        return "the kernel is not where BootInfo says, or not 2 MiB aligned";
    return nullptr;
}

// The kernel's own EL2 stub would answer hvc: with it, PSCI is the firmware below, by smc.
abi::PsciConduit psci_conduit(const abi::BootInfo& info, bool entered_at_el2) {
    const auto conduit = static_cast<abi::PsciConduit>(info.psci_conduit);
    return conduit != abi::PsciConduit::None && entered_at_el2 ? abi::PsciConduit::Smc : conduit;
}

void prepare_core() {
    initialise_core_registers();
    if (el2_tables.raw != 0)
        el2_install(el2_tables);
}

[[noreturn]] void start_boot_core(PhysAddr boot_info, PhysAddr image, bool entered_at_el2) {
    const auto& early = *pointer<const abi::BootInfo>(KernAddr(BOOT_INFO_WINDOW));
    if (!is_readable(early))
        halt();  // whoever wrote it does not speak this language: where a console is cannot be known
    mmu_set_image(image);
    console_initialise(early);
    if (const char* defect = defect_of(early, boot_info, image); defect != nullptr)
        panic(defect);
    mmu_map_memory(early);
    mmu_end_boot_maps();

    const auto& info = *pointer<const abi::BootInfo>(to_kernel(boot_info));
    if (entered_at_el2)
        el2_tables = mmu_build_el2_tables();
    prepare_core();
    gic_initialise(info);
    timer_initialise(info);
    const unsigned up = start_cores(info, image, psci_conduit(info, entered_at_el2));
    boot_kernel(info, up);
    if constexpr (!debug_build)
        give_up_console();
    start_thread();
}
}  // namespace

// Called by head.S on the core's own stack. `core`: its number; `boot_info`, `image`: physical addresses; `level`: exception level at entry.
extern "C" [[noreturn]] void start_core(Word core, Word boot_info, Word image, Word level) {
    if (core == 0)
        start_boot_core(PhysAddr(boot_info), PhysAddr(image), level == 2);
    set_no_address_space();
    asm volatile("tlbi vmalle1\n dsb nsh\n isb" : : : "memory");
    prepare_core();
    gic_initialise_core(static_cast<unsigned>(core));
    park_core(static_cast<unsigned>(core));
}
}  // namespace caprock::arch
