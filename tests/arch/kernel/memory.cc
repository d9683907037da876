// SPDX-License-Identifier: BSD-2-Clause
// The kernel's tables are walked by software, entry by entry over the whole address space, so that "exactly" means it; translations by the
// processor (AT) then show that no TLB remembers what the tables no longer say.
#include "memory.hpp"

#include "arch/aarch64/core.hpp"
#include "arch/aarch64/mmu.hpp"
#include "report.hpp"

extern "C" {
extern caprock::arch::Pte kernel_root[512], kernel_level3[512];
extern char emergency_stack[], text_end[], el2_text_end[], rodata_start[], rodata_end[], data_start[], data_end[], image_end[];
}

namespace caprock::arch_test {
namespace {

using arch::Pte;

constexpr unsigned table_entries = 512;
constexpr Word address_bits = 0x0000fffffffff000;
constexpr Word kernel_half = 0xffff000000000000;
constexpr Word direct_map_end = IMAGE_BASE;
constexpr Word test_memory_bytes = 0x200000;
constexpr Word table_bit = 2;  // set in an entry of level 3, clear in a block of an upper level
constexpr Word user_bit = arch::bit(6);

Word image_start = 0;
PhysAddr next_page;

// A mapping: a block or a page.
struct Leaf {
    Word start;
    Word physical;
    Word bytes;
    Word attributes;  // without the address, and as a page's
    bool writable() const { return (attributes & PAGE_READ_ONLY) == 0; }
    bool executable() const { return (attributes & PAGE_PXN) == 0; }
};

// Tables are in the image, which the direct map leaves out.
const Pte* table_at(Pte entry) { return reinterpret_cast<const Pte*>(arch::entry_address(entry).raw - image_start + IMAGE_BASE); }

template <class Visit>
void walk(const Pte* table, unsigned level, Word start, Visit& visit) {
    const Word step = Word{1} << (39 - 9 * level);
    for (unsigned i = 0; i < table_entries; i++) {
        const Pte entry = table[i];
        const Word address = start + i * step;
        if (!arch::entry_present(entry)) continue;
        if (arch::entry_is_table(entry, level))
            walk(table_at(entry), level + 1, address, visit);
        else
            visit(Leaf{address, entry & address_bits, step, (entry & ~address_bits) | table_bit});
    }
}

template <class Visit>
void for_each_leaf(Visit visit) { walk(kernel_root, 0, kernel_half, visit); }

bool overlap(Word start, Word end, const abi::BootRange& range) { return start < range.end && range.start < end; }

Word overlapping_bytes(const abi::BootRange& a, const abi::BootRange& b) {
    const Word start = a.start > b.start ? a.start : b.start;
    const Word end = a.end < b.end ? a.end : b.end;
    return start < end ? end - start : 0;
}

bool in_memory(const abi::BootInfo& info, Word start, Word end) {
    for (Word i = 0; i < info.ram_count; i++) {
        if (info.ram[i].start <= start && end <= info.ram[i].end) return true;
    }
    return false;
}

bool reserved(const abi::BootInfo& info, Word start, Word end) {
    for (Word i = 0; i < info.no_map_count; i++) {
        if (overlap(start, end, info.no_map[i])) return true;
    }
    return false;
}

// RAM minus no-map minus the kernel's image.
Word ordinary_bytes(const abi::BootInfo& info) {
    Word bytes = 0;
    for (Word i = 0; i < info.ram_count; i++) {
        bytes += info.ram[i].end - info.ram[i].start - overlapping_bytes(info.ram[i], info.kernel);
        for (Word j = 0; j < info.no_map_count; j++) bytes -= overlapping_bytes(info.ram[i], info.no_map[j]);
    }
    return bytes;
}

bool in_device(const abi::BootInfo& info, const Leaf& leaf) {
    const abi::BootRange devices[] = {info.gic_distributor, info.gic_cpu, info.console};
    for (const abi::BootRange& device : devices) {
        const Word start = align_down(device.start, page_size);
        if (start <= leaf.physical && leaf.physical + leaf.bytes <= align_up(device.end, page_size)) return true;
    }
    return false;
}

// The direct map's leaves are disjoint, so when each lies in ordinary memory and they come to as much, they are all of it.
void check_direct_map(const abi::BootInfo& info) {
    Word mapped = 0, misplaced = 0, odd = 0, outside = 0;
    for_each_leaf([&](const Leaf& leaf) {
        if (leaf.start < DIRECT_MAP_BASE || leaf.start >= direct_map_end) return;
        mapped += leaf.bytes;
        if (leaf.start != leaf.physical + DIRECT_MAP_BASE) misplaced = leaf.start;
        if (leaf.attributes != PAGE_DATA) odd = leaf.attributes;
        const Word end = leaf.physical + leaf.bytes;
        if (!in_memory(info, leaf.physical, end) || reserved(info, leaf.physical, end) || overlap(leaf.physical, end, info.kernel))
            outside = leaf.physical;
    });
    check("memory: direct map entries translate by one offset", misplaced == 0, misplaced);
    check("memory: direct map entries are cacheable data", odd == 0, odd);
    check("memory: the direct map shows RAM without no-map ranges and the image", outside == 0, outside);
    check("memory: the direct map shows all of that", mapped == ordinary_bytes(info), mapped - ordinary_bytes(info));
}

void check_permissions() {
    Word both = 0, user = 0, user_executable = 0;
    for_each_leaf([&](const Leaf& leaf) {
        if (leaf.writable() && leaf.executable()) both = leaf.start;
        if ((leaf.attributes & user_bit) != 0) user = leaf.start;
        if ((leaf.attributes & PAGE_UXN) == 0) user_executable = leaf.start;
    });
    check("memory: nothing is writable and executable", both == 0, both);
    check("memory: no kernel page is user level's", user == 0, user);
    check("memory: no kernel page is executable by user level", user_executable == 0, user_executable);
}

void check_device_window(const abi::BootInfo& info) {
    constexpr Word device_page = 0x403 | PAGE_UXN | PAGE_PXN;
    Word odd = 0, foreign = 0, elsewhere = 0;
    for_each_leaf([&](const Leaf& leaf) {
        if (leaf.start < DIRECT_MAP_BASE || (leaf.start >= direct_map_end && leaf.start < IMAGE_BASE)) elsewhere = leaf.start;
        if (leaf.start >= IMAGE_BASE + IMAGE_LIMIT && leaf.start < DEVICE_BASE) elsewhere = leaf.start;
        if (leaf.start < DEVICE_BASE) return;
        if (leaf.attributes != device_page) odd = leaf.attributes;
        if (!in_device(info, leaf)) foreign = leaf.physical;
    });
    check("memory: the device window is device memory", odd == 0, odd);
    check("memory: only interrupt controller and console are in it", foreign == 0, foreign);
    check("memory: nothing is mapped outside the three windows", elsewhere == 0, elsewhere);
}

bool is_guard(Word address) {
    for (unsigned core = 0; core < MAX_CORES; core++) {
        if (address == reinterpret_cast<Word>(kernel_stacks) + core * STACK_STRIDE) return true;
    }
    return address == reinterpret_cast<Word>(emergency_stack);
}

// The whole entry that the image's page at `address` should have; 0: none. The EL2 stub's text and stacks belong to EL2.
Pte expected_image_entry(Word address) {
    const auto between = [address](const char* start, const char* end) {
        return reinterpret_cast<Word>(start) <= address && address < reinterpret_cast<Word>(end);
    };
    const Word physical = address - IMAGE_BASE + image_start;
    if (address < reinterpret_cast<Word>(text_end)) return physical | PAGE_TEXT;
    if (between(rodata_start, rodata_end)) return physical | PAGE_RODATA;
    if (between(data_start, data_end) && !is_guard(address)) return physical | PAGE_DATA;
    return 0;
}

void check_image() {
    Word wrong = 0;
    for (unsigned i = 0; i < table_entries; i++) {
        const Word address = IMAGE_BASE + i * page_size;
        if (kernel_level3[i] != expected_image_entry(address)) wrong = address;
    }
    check("memory: each page of the image has its section's permissions", wrong == 0, wrong);
    check("memory: text can be read and not written", accessible(IMAGE_BASE, false) && !accessible(IMAGE_BASE, true));
    const Word constants = reinterpret_cast<Word>(rodata_start);
    check("memory: constants can be read and not written", accessible(constants, false) && !accessible(constants, true));
    check("memory: data can be written", accessible(reinterpret_cast<Word>(data_start), true));
    check("memory: the EL2 stub's code is out of sight", !accessible(reinterpret_cast<Word>(text_end), false));
    check("memory: the EL2 stub's stacks are out of sight", !accessible(reinterpret_cast<Word>(data_end), false));
}

void check_guards() {
    Word open = 0, closed = 0;
    for (unsigned core = 0; core < MAX_CORES; core++) {
        const Word guard = reinterpret_cast<Word>(kernel_stacks) + core * STACK_STRIDE;
        if (accessible(guard, false) || accessible(guard + GUARD_BYTES - 8, false)) open = guard;
        if (!accessible(guard + GUARD_BYTES, true) || !accessible(guard + STACK_STRIDE - 8, true)) closed = guard;
    }
    check("memory: there is a guard page below each core's stack", open == 0, open);
    check("memory: each core's stack can be written", closed == 0, closed);
    check("memory: there is a guard page below the emergency stack", !accessible(reinterpret_cast<Word>(emergency_stack), false));
}

void check_boot_maps(const abi::BootInfo& info) {
    check("memory: the window of BootInfo is gone", !accessible(BOOT_INFO_WINDOW, false));
    check("memory: the identity map is gone", !accessible(info.kernel.start, false));
}

void check_edges(const abi::BootInfo& info) {
    const auto visible = [](Word physical) { return accessible(arch::to_kernel(PhysAddr(physical)).raw, false); };
    check("memory: the processor sees the direct map around the image", visible(info.kernel.end));
    check("memory: the processor does not see the image there", !visible(info.kernel.start) && !visible(info.kernel.end - 1));
    const Word end = info.ram[info.ram_count - 1].end;
    check("memory: the processor sees memory up to its end", visible(end - 1) && !visible(end), end);
    Word seen = 0;
    for (Word i = 0; i < info.no_map_count; i++) {
        if (visible(info.no_map[i].start) || visible(info.no_map[i].end - 1)) seen = info.no_map[i].start;
    }
    check("memory: the processor does not see no-map ranges", seen == 0, seen);
}

bool is_free(const abi::BootInfo& info, Word start, Word end) {
    const abi::BootRange used[] = {info.kernel, info.fdt, info.boot_info, info.root, info.payload};
    for (const abi::BootRange& range : used) {
        if (overlap(start, end, range)) return false;
    }
    return in_memory(info, start, end) && !reserved(info, start, end);
}

}  // namespace

bool accessible(Word address, bool write) {
    Word result;
    if (write)
        asm volatile("at s1e1w, %0\n isb" : : "r"(address));
    else
        asm volatile("at s1e1r, %0\n isb" : : "r"(address));
    asm volatile("mrs %0, par_el1" : "=r"(result));
    return (result & 1) == 0;
}

bool kernel_maps(PhysAddr address) {
    bool found = false;
    for_each_leaf([&](const Leaf& leaf) { found |= leaf.physical <= address.raw && address.raw < leaf.physical + leaf.bytes; });
    return found;
}

void check_memory(const abi::BootInfo& info) {
    check_direct_map(info);
    check_permissions();
    check_device_window(info);
    check_image();
    check_guards();
    check_boot_maps(info);
    check_edges(info);
}

// From the top of memory down: the boot shim, which BootInfo does not list, and what boot loaders place are at its bottom.
void prepare_pages(const abi::BootInfo& info) {
    image_start = info.kernel.start;
    for (Word i = info.ram_count; i-- > 0;) {
        Word start = align_down(info.ram[i].end, test_memory_bytes);
        while (start >= info.ram[i].start + test_memory_bytes) {
            start -= test_memory_bytes;
            if (is_free(info, start, start + test_memory_bytes)) {
                next_page = PhysAddr(start);
                return;
            }
        }
    }
    check("memory: there is free memory for the tests", false);
    finish();
}

PhysAddr allocate_page() {
    const PhysAddr page = next_page;
    next_page += page_size;
    arch::clear_memory(arch::to_kernel(page), page_size);
    return page;
}

}  // namespace caprock::arch_test
