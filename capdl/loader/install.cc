// SPDX-License-Identifier: BSD-2-Clause
// Places the capabilities of the system's CNodes, with exact rights, badges and guards.
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

/// Where a capability comes from: a slot under a CNode.
struct Origin {
    Cap<CNode> root;
    uint64_t index;
    uint64_t depth;
};

/// The loader's own slot of what `entry` names.
uint64_t own_slot(const Loader& loader, const CapEntry& entry) {
    switch (entry.source) {
        case CapSource::Object:
            return loader.slot_of(entry.index);
        case CapSource::Mapping:
            return buffers.mapping_slots[entry.index];
        case CapSource::IRQControl:
            return init_slot(abi::InitSlot::IRQControl);
        case CapSource::ASIDControl:
            return init_slot(abi::InitSlot::ASIDControl);
        case CapSource::Domain:
            return init_slot(abi::InitSlot::Domain);
        case CapSource::SchedControl:
            return loader.boot.info->sched_control.start + entry.index;
    }
    return 0;
}

Origin origin_of(const Loader& loader, const CapEntry& entry) {
    if (entry.parent_cnode == none) return {root_cnode, own_slot(loader, entry), address_bits};
    return {Cap<CNode>{loader.slot_of(entry.parent_cnode)}, entry.parent_slot, loader.radix_of(entry.parent_cnode)};
}

Result<void> place(const Loader& loader, const CapEntry& entry, const Origin& origin) {
    const Cap<CNode> cnode{loader.slot_of(entry.cnode)};
    const uint64_t depth = loader.radix_of(entry.cnode);
    switch (entry.action) {
        case CapAction::Copy:
            return cnode.copy(entry.slot, depth, origin.index, origin.depth, entry.rights, origin.root);
        case CapAction::Mint:
            return cnode.mint(entry.slot, depth, origin.index, origin.depth, entry.rights, entry.data, origin.root);
        case CapAction::Move:
        case CapAction::First:
            return cnode.move(entry.slot, depth, origin.index, origin.depth, origin.root);
    }
    return {};
}

/// Leaves the loader a copy of what it is about to give away.
void keep_copy(Loader& loader, uint32_t object) {
    const uint32_t copy = loader.take_slots(1);
    check(root_cnode.copy(copy, address_bits, loader.slot_of(object), address_bits, all_rights, root_cnode),
          [&](Text& text) { text << "copying the capability to " << loader.name_of(object); });
    buffers.object_slots[object] = copy;
}

void install(Loader& loader, const CapEntry& entry) {
    if (entry.source == CapSource::SchedControl) {
        const abi::SlotRegion& cores = loader.boot.info->sched_control;
        if (entry.index >= cores.end - cores.start)
            halt(Text() << loader.name_of(entry.cnode) << " slot " << uint64_t{entry.slot} << " names core " << uint64_t{entry.index}
                        << ", but the kernel runs " << cores.end - cores.start);
    }
    const Origin origin = origin_of(loader, entry);
    if (entry.action == CapAction::First) keep_copy(loader, entry.index);
    check(place(loader, entry, origin), [&](Text& text) {
        text << "placing the capability of " << loader.name_of(entry.cnode) << " slot " << uint64_t{entry.slot};
        if (entry.source == CapSource::Object) text << " to " << loader.name_of(entry.index);
    });
    // A moved capability is the system's alone: there is nothing left to keep.
    if (entry.action == CapAction::Move && entry.source == CapSource::Object) buffers.object_slots[entry.index] = 0;
    if (entry.action == CapAction::Move && entry.source == CapSource::Mapping) buffers.mapping_slots[entry.index] = 0;
}

}  // namespace

void install_capabilities(Loader& loader) {
    for (const CapEntry& entry : system.caps) install(loader, entry);
}

}  // namespace caprock::loader
