// SPDX-License-Identifier: BSD-2-Clause
// The boot shim: reads the machine from its device tree, checks the payload, puts kernel and root task in memory and enters the kernel.
//
// Order matters. Nothing is written outside the shim's own image before every input has been checked and every placement is known, so a
// problem is reported with the inputs untouched. Placement takes only RAM that nothing needed for booting lies in.
#include <libfdt.h>

#include "cache.hpp"
#include "console.hpp"
#include "device_tree.hpp"
#include "elf.hpp"
#include "payload.hpp"
#include "ranges.hpp"

extern "C" {
extern const uint8_t image_start[];
extern const uint8_t image_end[];
extern const uint8_t kernel_elf[];
extern const uint8_t kernel_elf_end[];
[[noreturn]] void enter_kernel(uint64_t entry, uint64_t boot_info);
[[noreturn]] void shim_main(uint64_t fdt_address, uint64_t exception_level);
[[noreturn]] void shim_exception(uint64_t syndrome, uint64_t address, uint64_t fault_address);
}

namespace caprock::shim {
namespace {

constexpr uint64_t kernel_alignment = uint64_t{2} << 20;

constexpr ElfTexts kernel_texts{
    .damaged = "kernel: its ELF in the Image is damaged",
    .foreign = "kernel: not an AArch64 executable",
    .segments = "kernel: its segments are unordered, overlapping or not 1 to 8",
    .remedy = "build the Image again, or copy it to the boot medium again",
};

// Everything that was read and checked, and where everything goes.
struct Boot {
    uint64_t exception_level = 0;
    BootRange shim{};
    BootRange fdt{};  // as loaded; ends where its content ends
    Machine machine;
    Payload payload;
    Elf kernel;
    uint64_t kernel_bytes = 0;
    uint64_t kernel_entry_offset = 0;
    BootRange kernel_place{};
    BootRange root_place{};
    BootRange fdt_place{};
    BootRange boot_info_place{};
};

// Too large for the stack, and zeroed memory costs nothing in the Image.
constinit Boot boot;

uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

template <class T>
T* pointer_to(uint64_t address) {
    return reinterpret_cast<T*>(address);
}

uint64_t boot_mpidr() {
    uint64_t mpidr;
    asm volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
    return mpidr & mpidr_affinity_mask;
}

uint64_t counter_frequency() {
    uint64_t frequency;
    asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return frequency;
}

// The end of the last block of a device tree: loaders leave it room to grow, which need not be copied.
uint64_t device_tree_content(const void* fdt) {
    const uint64_t structure = uint64_t{fdt_off_dt_struct(fdt)} + fdt_size_dt_struct(fdt);
    const uint64_t strings = uint64_t{fdt_off_dt_strings(fdt)} + fdt_size_dt_strings(fdt);
    const uint64_t reservations = fdt_off_mem_rsvmap(fdt) + (uint64_t(fdt_num_mem_rsv(fdt)) + 1) * sizeof(fdt_reserve_entry);
    uint64_t end = structure > strings ? structure : strings;
    if (reservations > end) end = reservations;
    return align_up(end, 8);
}

// Checks that there is a device tree at the address that the loader passed, and opens the console that it names; on a problem with either,
// the fallback console.
Problem open_device_tree(uint64_t address) {
    constexpr const char* remedy = "start the Image as a Linux kernel is started, with the address of a device tree in x0";
    const void* fdt = pointer_to<const void>(address);
    Problem problem{"no device tree", remedy, address};
    if (address != 0 && address % 8 == 0) {
        clean_invalidate({address, address + sizeof(fdt_header)});
        if (const uint64_t size = device_tree_size(fdt)) {
            clean_invalidate({address, address + size});
            problem = check_device_tree(fdt, size);
        }
    }
    Console console;
    if (!problem) problem = read_console(fdt, console);
    if (problem) {
        open_fallback_console(boot.shim.start);
        return problem;
    }
    boot.fdt = {address, address + device_tree_content(fdt)};
    open_console(console);
    return {};
}

// The device tree's facts against the core's own.
Problem check_machine() {
    Machine& machine = boot.machine;
    if (machine.timer_frequency == 0) machine.timer_frequency = counter_frequency();
    if (machine.timer_frequency == 0) {
        return {"timer: neither the device tree nor CNTFRQ_EL0 gives its frequency", "set clock-frequency in the device tree's timer node"};
    }
    if (boot.exception_level == 2 && machine.psci == abi::PsciConduit::Hvc) {
        return {"device tree: PSCI by hvc, but the Image was entered at EL2, where hvc reaches nobody",
                "use the device tree of this machine"};
    }
    return {};
}

// The payload must lie in RAM that nothing else is in.
Problem check_payload_range() {
    const BootRange payload = boot.machine.payload;
    constexpr const char* remedy = "load system.bin at another address";
    if (payload.start % 8 != 0) return {"payload: not aligned to 8 bytes", remedy, payload.start};
    if (!boot.machine.ram.contains(pages_around(payload))) return {"payload: not in RAM", remedy, payload.start};
    if (overlap(payload, boot.shim)) return {"payload: overlaps the Image", remedy, payload.start};
    if (overlap(payload, boot.fdt)) return {"payload: overlaps the device tree", remedy, payload.start};
    if (boot.machine.no_map.overlaps(payload)) return {"payload: in reserved memory", remedy, payload.start};
    return {};
}

Problem read_kernel() {
    Elf& kernel = boot.kernel;
    if (const Problem problem = read_elf(kernel_elf, address_of(kernel_elf_end) - address_of(kernel_elf), kernel_texts, kernel))
        return problem;
    if (kernel.has_api_hash && kernel.api_hash != abi::api_hash) {
        return {"kernel: built for another API than the boot shim", "build the Image again from one source tree"};
    }
    return check_kernel(kernel, boot.kernel_bytes, boot.kernel_entry_offset);
}

// Finds room for all that the kernel gets. RAM that holds what is still to be read, or that firmware keeps, is not free.
Problem place_everything() {
    constexpr Problem fragmented{"device tree: memory is in too many pieces", "give the boot loader this machine's own device tree"};
    RangeList free = boot.machine.ram;
    for (unsigned i = 0; i < boot.machine.no_map.size(); ++i) {
        if (!free.remove(boot.machine.no_map[i])) return fragmented;
    }
    const BootRange in_use[] = {boot.shim, boot.fdt, boot.machine.payload};
    for (const BootRange& used : in_use) {
        if (!free.remove(pages_around(used))) return fragmented;
    }
    Request requests[] = {
        {boot.kernel_bytes, kernel_alignment},
        {boot.payload.root_bytes, page_size},
        {align_up(size_of(boot.fdt), page_size), page_size},
        {align_up(sizeof(abi::BootInfo), page_size), page_size},
    };
    static const char* const texts[] = {"too little RAM: no room for the kernel", "too little RAM: no room for the root task",
                                        "too little RAM: no room for the device tree", "too little RAM: no room for the boot information"};
    if (const Request* failed = place(free, requests, 4)) {
        return {texts[failed - requests], "give the machine more memory, or make the system smaller"};
    }
    boot.kernel_place = requests[0].placed;
    boot.root_place = requests[1].placed;
    boot.fdt_place = requests[2].placed;
    boot.boot_info_place = requests[3].placed;
    return {};
}

void zero(BootRange range) { __builtin_memset(pointer_to<void>(range.start), 0, size_of(range)); }

void copy_segment(const Elf& elf, const ElfSegment& segment, uint64_t destination) {
    __builtin_memcpy(pointer_to<void>(destination), elf.image + segment.offset, segment.file_size);
}

void write_kernel() {
    for (unsigned i = 0; i < boot.kernel.segment_count; ++i) {
        copy_segment(boot.kernel, boot.kernel.segments[i], boot.kernel_place.start + boot.kernel.segments[i].paddr);
    }
}

// Lays the root task's segments out page by page, one behind the other, and describes them in `info`.
void write_root(abi::BootInfo& info) {
    const Elf& root = boot.payload.root;
    uint64_t next = boot.root_place.start;
    for (unsigned i = 0; i < root.segment_count; ++i) {
        const ElfSegment& segment = root.segments[i];
        const BootRange pages = pages_around({segment.vaddr, segment.vaddr + segment.memory_size});
        copy_segment(root, segment, next + (segment.vaddr - pages.start));
        abi::BootSegment& described = info.segments[i];
        described.vaddr = pages.start;
        described.paddr = next;
        described.size = size_of(pages);
        described.flags = segment.flags & (elf_read | elf_write | elf_execute);
        next += size_of(pages);
    }
    info.segment_count = root.segment_count;
    info.root_entry = root.entry;
}

void write_device_tree() {
    void* copy = pointer_to<void>(boot.fdt_place.start);
    __builtin_memcpy(copy, pointer_to<const void>(boot.fdt.start), size_of(boot.fdt));
    fdt_set_totalsize(copy, static_cast<uint32_t>(size_of(boot.fdt)));
}

uint64_t write_ranges(const RangeList& list, abi::BootRange* ranges) {
    for (unsigned i = 0; i < list.size(); ++i) ranges[i] = list[i];
    return list.size();
}

void write_machine(abi::BootInfo& info) {
    const Machine& machine = boot.machine;
    info.ram_count = write_ranges(machine.ram, info.ram);
    info.no_map_count = write_ranges(machine.no_map, info.no_map);
    info.core_count = machine.core_count;
    for (unsigned i = 0; i < machine.core_count; ++i) info.cores[i] = machine.cores[i];
    info.gic_version = machine.gic_version;
    info.gic_distributor = machine.gic_distributor;
    info.gic_cpu = machine.gic_cpu;
    info.timer_virtual_ppi = machine.timer_virtual;
    info.timer_physical_ppi = machine.timer_physical;
    info.timer_frequency = machine.timer_frequency;
    info.psci_conduit = static_cast<uint64_t>(machine.psci);
    info.console_kind = static_cast<uint64_t>(machine.console.kind);
    info.console = pages_around({machine.console.address, machine.console.address + 1});
    info.console_offset = machine.console.address - info.console.start;
    info.boot_el = boot.exception_level;
    for (unsigned i = 0; i < 4; ++i) info.entropy[i] = machine.entropy[i];
}

void write_boot_info(abi::BootInfo& info) {
    info.magic = abi::boot_magic;
    info.version = abi::boot_version;
    info.api_hash = abi::api_hash;
    info.kernel = boot.kernel_place;
    info.fdt = boot.fdt_place;
    info.boot_info = boot.boot_info_place;
    info.root = boot.root_place;
    info.root_cnode_bits = boot.payload.header.root_cnode_bits;
    info.payload = boot.machine.payload;
    __builtin_memcpy(info.system_hash, boot.payload.header.system_hash, sizeof(info.system_hash));
    write_machine(info);
}

void print_summary() {
    print("caprock: boot shim " CAPROCK_VERSION ": ");
    print(boot.machine.compatible);
    print(", EL");
    print_decimal(boot.exception_level);
    print(", GICv");
    print_decimal(boot.machine.gic_version);
    print(", ");
    print_decimal(boot.machine.ram.bytes() >> 20);
    print(" MiB RAM, ");
    print_decimal(boot.machine.core_count);
    print(boot.machine.core_count == 1 ? " core\n" : " cores\n");
}

// Reads and checks every input and plans the placement; writes nothing.
Problem prepare(uint64_t fdt_address) {
    if (const Problem problem = open_device_tree(fdt_address)) return problem;
    if (const Problem problem = read_machine(pointer_to<const void>(fdt_address), boot_mpidr(), boot.machine)) return problem;
    if (const Problem problem = check_machine()) return problem;
    if (const Problem problem = check_payload_range()) return problem;
    const BootRange payload = boot.machine.payload;
    clean_invalidate(payload);
    if (const Problem problem = read_payload(pointer_to<const uint8_t>(payload.start), size_of(payload), boot.payload)) return problem;
    if (const Problem problem = read_kernel()) return problem;
    return place_everything();
}

// Writes everything to its place and returns the kernel's entry.
uint64_t carry_out() {
    const BootRange places[] = {boot.kernel_place, boot.root_place, boot.fdt_place, boot.boot_info_place};
    for (const BootRange place : places) {
        clean_invalidate(place);
        zero(place);
    }
    auto& info = *pointer_to<abi::BootInfo>(boot.boot_info_place.start);
    write_kernel();
    write_root(info);
    write_device_tree();
    write_boot_info(info);
    for (const BootRange place : places) clean_invalidate(place);
    invalidate_instructions();
    return boot.kernel_place.start + boot.kernel_entry_offset;
}

}  // namespace
}  // namespace caprock::shim

using namespace caprock::shim;

void shim_main(uint64_t fdt_address, uint64_t exception_level) {
    boot.exception_level = exception_level;
    boot.shim = {address_of(image_start), address_of(image_end)};
    if (const Problem problem = prepare(fdt_address)) halt(problem);
    print_summary();
    const uint64_t entry = carry_out();
    enter_kernel(entry, boot.boot_info_place.start);
}

void shim_exception(uint64_t syndrome, uint64_t address, uint64_t fault_address) {
    if (!console_open()) open_fallback_console(boot.shim.start);
    print("caprock: boot shim: ESR ");
    print_hex(syndrome);
    print(", FAR ");
    print_hex(fault_address);
    print("\n");
    halt(
        {"boot shim: exception", "the device tree may not match the machine; report this with the device tree", address - boot.shim.start});
}
