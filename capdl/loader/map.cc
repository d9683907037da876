// SPDX-License-Identifier: BSD-2-Clause
// Builds the address spaces: ASIDs, page tables from the top down, frames.
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

void assign_asid(const Loader& loader, const AddressSpace& space) {
    const uint64_t pool = space.pool == none ? init_slot(abi::InitSlot::ASIDPool) : loader.slot_of(space.pool);
    check(Cap<ASIDPool>{pool}.assign(Cap<VSpace>{loader.slot_of(space.vspace)}),
          [&](Text& text) { text << "giving an ASID to " << loader.name_of(space.vspace); });
}

void map_table(const Loader& loader, const TableMapping& mapping) {
    const Cap<PageTable> table{loader.slot_of(mapping.table)};
    check(table.map(mapping.address, abi::VMAttributes::make(1, 0, 0), Cap<VSpace>{loader.slot_of(mapping.vspace)}), [&](Text& text) {
        text << "mapping the page table " << loader.name_of(mapping.table) << " in " << loader.name_of(mapping.vspace) << " at "
             << Hex{mapping.address};
    });
}

void map_frame(Loader& loader, size_t index) {
    const FrameMapping& mapping = system.frame_mappings[index];
    const auto describe = [&](Text& text) {
        text << "mapping " << loader.name_of(mapping.frame) << " in " << loader.name_of(mapping.vspace) << " at " << Hex{mapping.address};
    };
    uint32_t slot = loader.slot_of(mapping.frame);
    if (mapping.is_copy) {
        const uint32_t copy = loader.take_slots(1);
        check(root_cnode.copy(copy, address_bits, slot, address_bits, mapping.cap_rights, root_cnode), describe);
        slot = copy;
    }
    check(Cap<Frame>{slot}.map(mapping.address, mapping.rights, mapping.attributes, Cap<VSpace>{loader.slot_of(mapping.vspace)}), describe);
    buffers.mapping_slots[index] = slot;
}

}  // namespace

void map_memory(Loader& loader) {
    for (const AddressSpace& space : system.address_spaces) assign_asid(loader, space);
    for (const TableMapping& mapping : system.table_mappings) map_table(loader, mapping);
    for (size_t i = 0; i < system.frame_mappings.size; ++i) map_frame(loader, i);
}

}  // namespace caprock::loader
