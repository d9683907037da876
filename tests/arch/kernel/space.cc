// SPDX-License-Identifier: BSD-2-Clause
#include "space.hpp"

#include "../protocol.hpp"
#include "memory.hpp"

namespace caprock::arch_test {
namespace {

using namespace arch;

constexpr Word segment_executable = 1, segment_writable = 2;
constexpr PageAttributes read_only{.read = true, .write = false, .execute = false, .cacheable = true, .device = false};
constexpr PageAttributes device_registers{.read = true, .write = true, .execute = false, .cacheable = false, .device = true};

struct Space {
    PhysAddr root;
    Asid asid;
    PhysAddr own;
};

// The ASIDs differ above their eighth bit only: a processor that was told to use eight bits would confuse them.
constinit Space spaces[2] = {{{}, Asid(0x001), {}}, {{}, Asid(0x101), {}}};

Pte* table(PhysAddr address) { return pointer<Pte>(to_kernel(address)); }

// The entry of level 3 for a user address; makes the tables above it.
Pte* entry_for(const Space& space, Word address) {
    PhysAddr at = space.root;
    for (unsigned level = 0; level < 3; level++) {
        Pte* const entry = table(at) + ((address >> (39 - 9 * level)) & 511);
        if (!entry_present(*entry)) write_entry(entry, table_entry(allocate_page()));
        at = entry_address(*entry);
    }
    return table(at) + ((address >> 12) & 511);
}

void map(const Space& space, Word address, PhysAddr frame, PageAttributes attributes) {
    write_entry(entry_for(space, address), leaf_entry(frame, 3, attributes));
}

void map_segment(const Space& space, const abi::BootSegment& segment) {
    const bool executable = (segment.flags & segment_executable) != 0;
    const bool writable = (segment.flags & segment_writable) != 0;
    for (Word offset = 0; offset < segment.size; offset += page_size)
        map(space, segment.vaddr + offset, PhysAddr(segment.paddr + offset), {true, writable, executable, true, false});
    if (executable) unify_instruction(to_kernel(PhysAddr(segment.paddr)), segment.size);
}

}  // namespace

void build_spaces(const abi::BootInfo& info) {
    for (Word number = 0; number < 2; number++) {
        Space& space = spaces[number];
        space.root = allocate_page();
        space.own = allocate_page();
        *pointer<Word>(to_kernel(space.own)) = own_page_value + number;
        for (Word i = 0; i < info.segment_count; i++) map_segment(space, info.segments[i]);
        map(space, own_page, space.own, read_only);
        map(space, console_page, PhysAddr(info.console.start), device_registers);
    }
}

void enter_space(Word number) { set_address_space(address_space(spaces[number].root, spaces[number].asid)); }

void replace_own_page() {
    Pte* const entry = entry_for(spaces[0], own_page);
    write_entry(entry, 0);
    tlb_invalidate_page(spaces[0].asid, UserVirtAddr(own_page));
    write_entry(entry, leaf_entry(spaces[1].own, 3, read_only));
}

void remove_own_page() {
    write_entry(entry_for(spaces[0], own_page), 0);
    tlb_invalidate_asid(spaces[0].asid);
}

void* from_user(const abi::BootInfo& info, Word address) {
    for (Word i = 0; i < info.segment_count; i++) {
        const abi::BootSegment& segment = info.segments[i];
        if (address - segment.vaddr < segment.size) return pointer<void>(to_kernel(PhysAddr(segment.paddr + (address - segment.vaddr))));
    }
    return nullptr;
}

}  // namespace caprock::arch_test
