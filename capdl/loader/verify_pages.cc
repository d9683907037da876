// SPDX-License-Identifier: BSD-2-Clause
// Compares every page of every address space with its entry in the tables, and looks for pages that have none. To each page belongs the capability
// that mapped it, so it is enough to count those: they are the loader's or in the system's CNodes, as threads hold none. Only when there are more
// than pages were found the address spaces are searched.
#include "capdl/loader/verify.hpp"

namespace caprock::loader {
namespace {

/// Compares a page with its entry; whether there is one.
bool verify_mapping(const Loader& loader, const FrameMapping& mapping) {
    const char* name = loader.name_of(mapping.vspace);
    const auto found = value_of(inspect.read_vspace(mapping.address, Cap<VSpace>{loader.slot_of(mapping.vspace)}), name);
    deviations.at(name, "address", mapping.address);
    deviations.compare_objects("frame", found.identity, mapping.frame);
    deviations.compare("size in bits", found.size_bits, system.objects[mapping.frame].size_bits);
    deviations.compare("rights", found.rights.raw, mapping.rights.raw & mapping.cap_rights.raw & plain_rights);
    deviations.compare("attributes", found.attributes.raw, mapping.attributes.raw);
    return found.identity != 0;
}

/// Capabilities of the loader's that map a page at an address other than 0, but for those that map its own.
uint64_t count_mapping(const Loader& loader) {
    uint64_t count = 0;
    for (uint64_t slot = 0; slot < loader.next_slot; ++slot) {
        const auto found = value_of(inspect.read_cnode(slot, root_cnode), "the loader's CNode");
        if (found.kind != abi::CapType::Frame || found.badge == 0) continue;
        const auto own = value_of(inspect.read_vspace(found.badge, root_vspace), "the loader's address space");
        count += own.identity != found.identity;
    }
    return count;
}

/// Pages at address 0, which a capability does not tell from none.
uint64_t count_first_pages(const Loader& loader) {
    uint64_t count = 0;
    for (const AddressSpace& space : system.address_spaces)
        count += value_of(inspect.read_vspace(0, Cap<VSpace>{loader.slot_of(space.vspace)}), loader.name_of(space.vspace)).identity != 0;
    return count;
}

bool is_mapping(uint32_t vspace, uint64_t address) {
    for (const FrameMapping& mapping : system.frame_mappings)
        if (mapping.vspace == vspace && mapping.address == address) return true;
    return false;
}

/// Names each page that no entry of the table stands for.
void search(const Loader& loader, uint32_t vspace) {
    for_each_page(loader, vspace, [&](uint64_t address, const auto& page) {
        if (is_mapping(vspace, address)) return;
        deviations.at(loader.name_of(vspace), "address", address);
        deviations.compare_objects("frame", page.identity, none);
    });
}

}  // namespace

void verify_spaces(const Loader& loader, uint64_t mapping_capabilities) {
    uint64_t pages = 0;
    for (const FrameMapping& mapping : system.frame_mappings) pages += verify_mapping(loader, mapping);
    if (mapping_capabilities + count_mapping(loader) + count_first_pages(loader) == pages) return;
    for (const AddressSpace& space : system.address_spaces) search(loader, space.vspace);
}

}  // namespace caprock::loader
