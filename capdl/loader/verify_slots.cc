// SPDX-License-Identifier: BSD-2-Clause
// Compares every slot of every CNode with its entry in the tables, and looks for capabilities that have none.
#include "capdl/loader/verify.hpp"

namespace caprock::loader {
namespace {

using abi::CapType;

bool has_rights(CapType kind) { return kind == CapType::Endpoint || kind == CapType::Notification || kind == CapType::Frame; }

uint64_t rights_of(CapType kind, uint64_t rights) {
    if (kind == CapType::Reply) return abi::CapRights::make(0, 0, 1, 0).raw;
    if (!has_rights(kind)) return 0;
    return kind == CapType::Endpoint ? rights : rights & plain_rights;
}

const CapEntry* entry_at(uint32_t cnode, uint64_t slot) {
    for (const CapEntry& entry : system.caps)
        if (entry.cnode == cnode && entry.slot == slot) return &entry;
    return nullptr;
}

/// Where a page table is, or 0 for one in no address space.
uint64_t mapped_address(uint32_t table) {
    for (const TableMapping& mapping : system.table_mappings)
        if (mapping.table == table) return mapping.address;
    return 0;
}

Expected expected_built_in(const CapEntry& entry) {
    switch (entry.source) {
        case CapSource::IRQControl: return {.kind = CapType::IRQControl};
        case CapSource::ASIDControl: return {.kind = CapType::ASIDControl};
        case CapSource::Domain: return {.kind = CapType::Domain};
        default: return {.kind = CapType::SchedControl, .badge = entry.index};
    }
}

uint64_t expected_badge(const CapEntry& entry, CapType kind) {
    if (kind == CapType::CNode) return abi::CNodeCapData{entry.data}.guard();
    if (kind == CapType::IRQHandler) return system.interrupts[entry.index - system.objects.size].number;
    if (kind == CapType::SGISignal) return system.sgi_signals[entry.index - system.objects.size - system.interrupts.size].irq;
    if (kind == CapType::PageTable) return mapped_address(entry.index);
    if (entry.parent_cnode == none || kind == CapType::Frame) return entry.data;
    return entry_at(entry.parent_cnode, entry.parent_slot)->data;
}

Expected expected_of(const CapEntry& entry) {
    if (entry.source == CapSource::Mapping) {
        const FrameMapping& mapping = system.frame_mappings[entry.index];
        return {CapType::Frame, mapping.frame, mapping.cap_rights.raw & plain_rights, mapping.address, 0};
    }
    if (entry.source != CapSource::Object) return expected_built_in(entry);
    const CapType kind = kind_of(entry.index);
    const uint64_t guard_size = kind == CapType::CNode ? abi::CNodeCapData{entry.data}.guard_size() : 0;
    return {kind, entry.index, rights_of(kind, entry.rights.raw), expected_badge(entry, kind), guard_size};
}

/// Compares what a slot holds with what it has to hold.
template <class Found>
void compare_capability(const Found& found, const Expected& expected) {
    deviations.compare_kinds(found.kind, expected.kind);
    if (expected.object != none) deviations.compare_objects("object", found.identity, expected.object);
    deviations.compare("rights", found.rights.raw, expected.rights);
    if (expected.kind != CapType::VSpace && expected.kind != CapType::ASIDPool) deviations.compare("badge, guard or address", found.badge, expected.badge);
    deviations.compare("guard size", found.guard_size, expected.guard_size);
}

/// Slot + 1 of the moved capability of that source in a CNode; 0 when it is elsewhere.
uint64_t slot_of_moved(uint32_t cnode, CapSource source, uint32_t index) {
    for (const CapEntry& entry : system.caps)
        if (entry.cnode == cnode && entry.source == source && entry.index == index && entry.action == CapAction::Move) return uint64_t{entry.slot} + 1;
    return 0;
}

/// Slot + 1 of an object's first capability in a CNode; 0 when it is elsewhere. First ones are the last of the table.
uint64_t slot_of_first(uint32_t cnode, uint32_t object) {
    for (size_t i = system.caps.size; i-- > 0 && system.caps[i].action == CapAction::First;)
        if (system.caps[i].index == object) return system.caps[i].cnode == cnode ? uint64_t{system.caps[i].slot} + 1 : 0;
    return 0;
}

/// Slot + 1 of what an object was made of, in a CNode: an untyped, or the right to make interrupt handlers.
uint64_t slot_of_origin(uint32_t cnode, uint32_t object) {
    if (object >= system.objects.size) return slot_of_moved(cnode, CapSource::IRQControl, 0);
    for (const Group& group : system.groups)
        if (group.parent != none && object >= group.first && object - group.first < group.count) return slot_of_moved(cnode, CapSource::Object, group.parent);
    return 0;
}

/// Slot + 1 of the capability in the same CNode that another one is derived from; 0 for none there. An object's first capability comes from what it
/// was made of, all others from the first.
uint64_t parent_of(const CapEntry& entry) {
    if (entry.parent_cnode == entry.cnode) return uint64_t{entry.parent_slot} + 1;
    if (entry.parent_cnode != none) return 0;
    if (entry.source == CapSource::Mapping) return slot_of_first(entry.cnode, system.frame_mappings[entry.index].frame);
    if (entry.source != CapSource::Object) return 0;
    // The kernel does not derive rights to send an interrupt from each other.
    const bool is_first = entry.action != CapAction::Copy && entry.action != CapAction::Mint;
    if (is_first || kind_of(entry.index) == CapType::SGISignal) return slot_of_origin(entry.cnode, entry.index);
    return slot_of_first(entry.cnode, entry.index);
}

/// Whether an object has so few capabilities that the kernel, which looks at so many, finds every parent among them.
bool finds_parents(const CapEntry& entry) {
    const uint32_t object = entry.source == CapSource::Mapping ? system.frame_mappings[entry.index].frame : entry.index;
    // A thread has one by its CSpace, VSpace, buffer or handlers.
    uint64_t count = 2 * system.threads.size;
    for (const CapEntry& other : system.caps) count += other.source == CapSource::Object && other.index == object;
    for (const FrameMapping& mapping : system.frame_mappings) count += mapping.frame == object;
    return count < abi::inspect_parent_steps;
}

void verify_entry(const Loader& loader, const CapEntry& entry) {
    const char* name = loader.name_of(entry.cnode);
    const auto found = value_of(inspect.read_cnode(entry.slot, Cap<CNode>{loader.slot_of(entry.cnode)}), name);
    deviations.at(name, "slot", entry.slot);
    compare_capability(found, expected_of(entry));
    const uint64_t parent = parent_of(entry);
    if (found.parent != parent && (found.parent != 0 || finds_parents(entry))) deviations.compare("slot + 1 of its parent", found.parent, parent);
}

/// Names each slot that holds something without an entry.
void verify_empty(const Loader& loader, uint32_t cnode) {
    const char* name = loader.name_of(cnode);
    for (uint64_t slot = 0; slot < uint64_t{1} << loader.radix_of(cnode); ++slot) {
        if (entry_at(cnode, slot) != nullptr) continue;
        const auto found = value_of(inspect.read_cnode(slot, Cap<CNode>{loader.slot_of(cnode)}), name);
        deviations.at(name, "slot", slot);
        deviations.compare_kinds(found.kind, CapType::Null);
    }
}

uint64_t count_entries(uint32_t cnode) {
    uint64_t count = 0;
    for (const CapEntry& entry : system.caps) count += entry.cnode == cnode;
    return count;
}

/// Looks for what no entry of the table stands for. Entries are looked up only when there is more than they account for. The number of capabilities
/// that map a page.
uint64_t verify_rest(const Loader& loader, uint32_t cnode) {
    const char* name = loader.name_of(cnode);
    uint64_t occupied = 0, mapping = 0;
    for (uint64_t slot = 0; slot < uint64_t{1} << loader.radix_of(cnode); ++slot) {
        const auto found = value_of(inspect.read_cnode(slot, Cap<CNode>{loader.slot_of(cnode)}), name);
        occupied += found.kind != CapType::Null;
        mapping += found.kind == CapType::Frame && found.badge != 0;
    }
    if (occupied > count_entries(cnode)) verify_empty(loader, cnode);
    return mapping;
}

}  // namespace

// The vault is the loader's own and empty until that ends.
uint64_t verify_cnodes(const Loader& loader) {
    for (const CapEntry& entry : system.caps) verify_entry(loader, entry);
    uint64_t mapping = 0;
    for (uint32_t object = 0; object < system.objects.size; ++object)
        if (system.objects[object].type == abi::ObjectType::CNode && object != system.vault) mapping += verify_rest(loader, object);
    return mapping;
}

}  // namespace caprock::loader
