// SPDX-License-Identifier: BSD-2-Clause
// Stands between the production boot shim and the kernel (the link step wraps enter_kernel): as the request in the payload says, it makes
// one thing in BootInfo wrong, or enters the kernel in another way.
#include "../../../platform/shim/console.hpp"
#include "../protocol.hpp"
#include "caprock/abi.hpp"

extern "C" {
[[noreturn]] void __real_enter_kernel(uint64_t entry, uint64_t boot_info);
[[noreturn]] void __wrap_enter_kernel(uint64_t entry, uint64_t boot_info);
[[noreturn]] void enter_poisoned(uint64_t entry, uint64_t boot_info);
[[noreturn]] void enter_under_hypervisor(uint64_t entry, uint64_t boot_info);
[[noreturn]] void enter_as_guest(uint64_t entry, uint64_t boot_info);
void poison();
void waiting_core();
extern uint64_t release_words[caprock::abi::max_cores];
extern const char image_start[], image_end[];
}

namespace caprock::arch_test {
namespace {

using abi::BootInfo;

constexpr uint64_t gibibyte = uint64_t{1} << 30;

// One change of BootInfo that the kernel must find, or must cope with.
struct Change {
    const char* name;
    void (*apply)(BootInfo& info);
};

void insert(abi::BootRange* ranges, uint64_t& count, abi::BootRange range) {
    uint64_t i = count++;
    for (; i > 0 && ranges[i - 1].start > range.start; i--) ranges[i] = ranges[i - 1];
    ranges[i] = range;
}

// Memory with a gap near its end and firmware's ranges in the middle, whose edges no block fits.
void cut_holes(BootInfo& info) {
    abi::BootRange& last = info.ram[info.ram_count - 1];
    const abi::BootRange end{last.end - 0x00200000, last.end};
    last.end -= 0x00301000;
    insert(info.ram, info.ram_count, end);
    const uint64_t middle = last.start / 2 + last.end / 2;
    const uint64_t hole = middle - middle % 0x200000;
    insert(info.no_map, info.no_map_count, {hole + 0x5000, hole + 0x403000});
    insert(info.no_map, info.no_map_count, {hole + 0x404000, hole + 0x405000});
}

// Ranges that need three tables each, 512 GiB apart.
void scatter(BootInfo& info) {
    info.ram_count = 1;
    while (info.ram_count < abi::boot_max_ranges) {
        const uint64_t start = info.ram_count * 512 * gibibyte + 0x1000;
        info.ram[info.ram_count++] = {start, start + 0x1000};
    }
}

void add_absent_core(BootInfo& info) {
    info.cores[info.core_count] = info.cores[info.core_count - 1];
    info.cores[info.core_count++].mpidr = 0x7f00;
}

constexpr Change changes[] = {
    {"holes", cut_holes},
    {"absent-core", add_absent_core},
    {"magic", [](BootInfo& info) { info.magic++; }},
    {"version", [](BootInfo& info) { info.version++; }},
    {"api-hash", [](BootInfo& info) { info.api_hash ^= 1; }},
    {"many-ranges", [](BootInfo& info) { info.ram_count = abi::boot_max_ranges + 1; }},
    {"no-core", [](BootInfo& info) { info.core_count = 0; }},
    {"many-cores", [](BootInfo& info) { info.core_count = abi::max_cores + 1; }},
    {"reversed-range", [](BootInfo& info) { info.ram[0] = {info.ram[0].end, info.ram[0].start}; }},
    {"ragged-range", [](BootInfo& info) { info.ram[0].start += 8; }},
    {"no-memory", [](BootInfo& info) { info.ram_count = 0; }},
    {"kernel-place", [](BootInfo& info) { info.kernel.start += 0x200000; }},
    {"high-memory", [](BootInfo& info) { info.ram[info.ram_count++] = {uint64_t{1} << 46, (uint64_t{1} << 46) + 0x1000}; }},
    {"fragments", scatter},
    {"large-device", [](BootInfo& info) { info.gic_distributor.end = info.gic_distributor.start + gibibyte; }},
    {"gic-version", [](BootInfo& info) { info.gic_version = 4; }},
    {"gic-short", [](BootInfo& info) { info.gic_cpu.end = info.gic_cpu.start + 0x1000; }},
    {"no-frequency", [](BootInfo& info) { info.timer_frequency = 0; }},
};

uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

uint64_t start_by_psci(uint64_t conduit, uint64_t core, uint64_t entry) {
    register uint64_t x0 asm("x0") = 0xc4000003;  // CPU_ON
    register uint64_t x1 asm("x1") = core;
    register uint64_t x2 asm("x2") = entry;
    register uint64_t x3 asm("x3") = 0;
    if (conduit == static_cast<uint64_t>(abi::PsciConduit::Smc))
        asm volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                     "x14", "x15", "x16", "x17", "memory");
    else
        asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                     "x14", "x15", "x16", "x17", "memory");
    return x0;
}

// Moves the other cores into the test's loop, and tells the kernel that they wait there as by a spin table.
void collect_cores(BootInfo& info) {
    const uint64_t loop = address_of(reinterpret_cast<const void*>(waiting_core));
    for (uint64_t i = 1; i < info.core_count; i++) {
        abi::BootCore& core = info.cores[i];
        if (core.start_method == static_cast<uint64_t>(abi::StartMethod::SpinTable)) {
            *reinterpret_cast<volatile uint64_t*>(core.release_addr) = loop;
            asm volatile("dsb sy\n sev" : : : "memory");
        } else if (start_by_psci(info.psci_conduit, core.mpidr, loop) != 0) {
            shim::halt({"harness: PSCI refused to start a core", "the test needs a machine with all cores of its device tree", core.mpidr});
        }
        core.start_method = static_cast<uint64_t>(abi::StartMethod::SpinTable);
        core.release_addr = address_of(&release_words[core.mpidr & 0xff]);
    }
    info.psci_conduit = static_cast<uint64_t>(abi::PsciConduit::None);
}

// One core at EL1, as if there were nothing below it.
void hide_el2(BootInfo& info) {
    info.core_count = 1;
    info.boot_el = 1;
}

// The hypervisor stays in the shim's image: the kernel must not make memory of it.
void keep_shim(BootInfo& info) { insert(info.no_map, info.no_map_count, {address_of(image_start), address_of(image_end)}); }

}  // namespace
}  // namespace caprock::arch_test

using namespace caprock::arch_test;

void __wrap_enter_kernel(uint64_t entry, uint64_t boot_info) {
    auto& info = *reinterpret_cast<caprock::abi::BootInfo*>(boot_info);
    Request request;
    __builtin_memcpy(&request, info.system_hash, sizeof(request));
    for (const Change& change : changes) {
        if (is(request.boot, change.name)) {
            change.apply(info);
            __real_enter_kernel(entry, boot_info);
        }
    }
    if (is(request.boot, "")) __real_enter_kernel(entry, boot_info);
    if (is(request.boot, "ragged-info")) __real_enter_kernel(entry, boot_info + 8);
    if (is(request.boot, "poison")) {
        collect_cores(info);
        enter_poisoned(entry, boot_info);
    }
    if (is(request.boot, "poison-only")) {
        poison();
        caprock::shim::print("caprock: harness: poisoned\n");
        for (;;) asm volatile("wfe");
    }
    if (is(request.boot, "hypervisor")) {
        hide_el2(info);
        enter_under_hypervisor(entry, boot_info);
    }
    if (is(request.boot, "guest")) {
        hide_el2(info);
        keep_shim(info);
        enter_as_guest(entry, boot_info);
    }
    caprock::shim::halt({"harness: an unknown request", "name one of the ways in tests/arch/shim/harness.cc"});
}
