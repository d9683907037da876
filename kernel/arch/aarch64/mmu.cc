// SPDX-License-Identifier: BSD-2-Clause
// Translation tables (Arm ARM D5): the entries that portable code asks for, TLB maintenance, and the kernel's own maps. head.S has mapped
// the image with final permissions; here the direct map and the device window join it in the same tables, so that no live entry ever
// changes its size or attributes: entries only appear (dsb ishst) or go (break, then invalidate).
#include "mmu.hpp"

#include "core/panic.hpp"

extern "C" {
extern caprock::Word kernel_root[512], kernel_level3[512];
extern char kernel_stacks[], emergency_stack[], text_end[], el2_text_end[], data_end[], image_end[];
}

namespace caprock::arch {
namespace {
constexpr unsigned table_entries = 512;
constexpr unsigned pool_pages = 64;  // 32 ranges with two ragged edges rarely share nothing; a direct map of whole GiB takes one
constexpr Word device_page = 0x403 | PAGE_UXN | PAGE_PXN;  // AttrIndx 0, AF
constexpr Word address_mask = 0x0000fffffffff000;
constexpr Word block_to_page_bit = 2;
constexpr Word highest_memory = Word{1} << 46;  // of the direct map's 2^47 minus what the image and devices take at its end

struct Table {
    alignas(page_size) Pte entry[table_entries];
};
Table pool[pool_pages];
Table no_address_space;  // never written: TTBR0's root while no thread's is there
unsigned pool_used = 0;
Word image_physical = 0;
Word next_device = DEVICE_BASE;

Table& new_table() {
    if (pool_used == pool_pages)
        panic("the kernel's page-table pool is used up (the memory map is too fragmented: join ranges in the device tree)");
    return pool[pool_used++];
}

constexpr unsigned level_shift(unsigned level) { return 39 - 9 * level; }

Pte* table_at(Pte entry) { return reinterpret_cast<Pte*>((entry & address_mask) - image_physical + IMAGE_BASE); }

Pte* next_level(Pte* slot) {
    if (!entry_present(*slot))
        *slot = image_to_physical(&new_table()).raw | PAGE_TABLE;
    return table_at(*slot);
}

// Maps [virtual_start, +bytes) to [physical, +bytes), all whole pages, with the attributes of a page entry and the largest blocks that fit.
void map_range(Pte* root, Word virtual_start, Word physical, Word bytes, Word attributes) {
    while (bytes != 0) {
        Pte* slot = root + bits(virtual_start, 47, 39);
        unsigned level = 0;
        Word step = 0;
        for (;;) {
            step = Word{1} << level_shift(level);
            const bool fits = is_aligned(virtual_start | physical, step) && bytes >= step;
            if (level == 3 || (level > 0 && fits && !entry_present(*slot)))
                break;
            Pte* const table = next_level(slot);
            level++;
            slot = table + ((virtual_start >> level_shift(level)) & (table_entries - 1));
        }
        *slot = physical | (level == 3 ? attributes : attributes & ~block_to_page_bit);
        virtual_start += step;
        physical += step;
        bytes -= step;
    }
    dsb_ishst();
    isb();
}

void unmap_page(Pte* slot, Word address) {
    *slot = 0;
    dsb_ishst();
    asm volatile("tlbi vaae1is, %0" : : "r"(bits(address, 55, 12)) : "memory");
    dsb_ish();
    isb();
}

void unmap_image_page(const void* page) {
    const Word address = reinterpret_cast<Word>(page);
    unmap_page(kernel_level3 + bits(address, 20, 12), address);
}

void map_direct(Word start, Word end) {
    if (start < end)
        map_range(kernel_root, start + DIRECT_MAP_BASE, start, end - start, PAGE_DATA);
}

// Maps what is left of [start, end) after the ranges of `holes` (ascending) from `first` on.
void map_direct_without(Word start, Word end, const abi::BootRange* holes, Word count) {
    for (Word i = 0; i < count; i++) {
        if (holes[i].end <= start || holes[i].start >= end)
            continue;
        map_direct(start, holes[i].start);
        start = holes[i].end;
    }
    map_direct(start, end);
}

void map_outside_image(Word start, Word end, const abi::BootInfo& info) {
    const Word image_stop = image_physical + static_cast<Word>(image_end - reinterpret_cast<char*>(IMAGE_BASE));
    const Word low_end = end < image_physical ? end : image_physical;
    const Word high_start = start > image_stop ? start : image_stop;
    if (start < low_end)
        map_direct_without(start, low_end, info.no_map, info.no_map_count);
    if (high_start < end)
        map_direct_without(high_start, end, info.no_map, info.no_map_count);
}
}  // namespace

PhysAddr image_to_physical(const void* object) {
    return PhysAddr(reinterpret_cast<Word>(object) - IMAGE_BASE + image_physical);
}

void mmu_set_image(PhysAddr image) { image_physical = image.raw; }

void mmu_map_memory(const abi::BootInfo& info) {
    for (Word i = 0; i < info.ram_count; i++) {
        if (info.ram[i].end > highest_memory)
            panic("memory above 64 TiB (limit the memory nodes of the device tree)");
        map_outside_image(info.ram[i].start, info.ram[i].end, info);
    }
    for (unsigned core = 0; core < MAX_CORES; core++)
        unmap_image_page(kernel_stacks + core * STACK_STRIDE);
    unmap_image_page(emergency_stack);
}

void mmu_end_boot_maps() {
    unmap_image_page(reinterpret_cast<const void*>(BOOT_INFO_WINDOW));
    set_no_address_space();
    asm volatile("tlbi vmalle1" : : : "memory");  // the identity map is global; only this core's TTBR0 named it
    asm volatile("dsb nsh" : : : "memory");
    isb();
}

Mmio map_device(PhysAddr start, Word bytes) {
    const Word first = align_down(start.raw, page_size);
    const Word size = align_up(start.raw + bytes, page_size) - first;
    // The same offset in 2 MiB as in physical memory, so that large regions (redistributors) take blocks.
    const Word address = align_up(next_device, IMAGE_LIMIT) + (first & (IMAGE_LIMIT - 1));
    if (size > DEVICE_LIMIT || address + size - DEVICE_BASE > DEVICE_LIMIT - IMAGE_LIMIT)
        panic("the kernel's device window is full (a device's range in the device tree is too large)");
    map_range(kernel_root, address, first, size, device_page);
    next_device = address + size;
    return Mmio(address + (start.raw - first));
}

void unmap_device(KernAddr device_start, Word bytes) {
    for (Word address = align_down(device_start.raw, page_size); address < device_start.raw + bytes; address += page_size) {
        Pte* slot = kernel_root + bits(address, 47, 39);
        for (unsigned level = 1; level <= 3 && entry_present(*slot); level++)
            slot = table_at(*slot) + ((address >> level_shift(level)) & (table_entries - 1));
        unmap_page(slot, address);
    }
}

PhysAddr mmu_build_el2_tables() {
    constexpr Word text = PAGE_NORMAL | PAGE_READ_ONLY | bit(6);  // AP[1] is RES1 and bit 54 XN in the EL2 regime
    constexpr Word data = PAGE_NORMAL | PAGE_UXN | bit(6);
    Table& root = new_table();
    const Word text_start = image_to_physical(text_end).raw;
    const Word data_start = image_to_physical(data_end).raw;
    map_range(root.entry, text_start, text_start, static_cast<Word>(el2_text_end - text_end), text);
    map_range(root.entry, data_start, data_start, static_cast<Word>(image_end - data_end), data);
    return image_to_physical(&root);
}

bool is_guard_page(Word address) {
    const Word offset = address - reinterpret_cast<Word>(kernel_stacks);
    return offset < (MAX_CORES + 1) * STACK_STRIDE && offset % STACK_STRIDE < GUARD_BYTES;
}

// -- User entries (leaf_entry: arch_inline.hpp).

PageAttributes entry_attributes(Pte entry) {
    return {.read = (entry & user_page::accessible) != 0,
            .write = (entry & user_page::asked_write) != 0,
            .execute = (entry & PAGE_UXN) == 0,
            .cacheable = (entry & user_page::memory_type) == user_page::normal_write_back,
            .device = (entry & user_page::asked_device) != 0};
}

Pte table_entry(PhysAddr table) { return table.raw | PAGE_TABLE; }
bool entry_present(Pte entry) { return (entry & 1) != 0; }
bool entry_is_table(Pte entry, unsigned level) { return level < 3 && (entry & 3) == PAGE_TABLE; }
PhysAddr entry_address(Pte entry) { return PhysAddr(entry & address_mask); }

// The entry was removed before, by write_entry, or a walker could fetch it again.
void tlb_invalidate_page(Asid asid, UserVirtAddr page) {
    asm volatile("tlbi vale1is, %0" : : "r"(Word{asid.raw} << 48 | bits(page.raw, 55, 12)) : "memory");
    dsb_ish();  // the isb is the exception return's: the kernel itself does not use the mapping
}

void tlb_invalidate_asid(Asid asid) {
    dsb_ishst();
    asm volatile("tlbi aside1is, %0" : : "r"(Word{asid.raw} << 48) : "memory");
    dsb_ish();
    isb();
}

void set_no_address_space() { set_address_space(address_space(image_to_physical(&no_address_space), Asid(0))); }

unsigned asid_bits() { return ID_AA64MMFR0_EL1::asid_bits(ID_AA64MMFR0_EL1::read()); }
unsigned physical_bits() { return ID_AA64MMFR0_EL1::physical_bits(ID_AA64MMFR0_EL1::read()); }
}  // namespace caprock::arch
