// SPDX-License-Identifier: BSD-2-Clause
// Gives up all authority. Objects live as long as a capability to them does, and a frame stays mapped as long as the capability does
// that mapped it, yet no component holds one to its own frames and threads. So what the system consists of moves to the vault: a CNode
// whose only capability is in one of its own slots. It keeps everything alive, and nobody can ever reach into it.
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

/// The vault's slot for the capability to itself; the others follow.
constexpr uint64_t vault_self = 0;

class Vault {
public:
    explicit Vault(const Loader& loader)
        : slot_(loader.slot_of(system.vault)), cnode_(slot_), depth_(loader.radix_of(system.vault)) {
        check(cnode_.copy(vault_self, depth_, slot_, address_bits, all_rights, root_cnode),
              [](Text& text) { text << "placing the vault's capability in itself"; });
    }

    /// Moves the capability in `slot` of the loader's CNode, if it is still there.
    void keep(uint64_t slot) {
        if (slot == 0 || slot == slot_) return;
        check(cnode_.move(next_, depth_, slot, address_bits, root_cnode),
              [slot](Text& text) { text << "moving slot " << slot << " to the vault"; });
        ++next_;
    }

private:
    uint64_t slot_;
    Cap<CNode> cnode_;
    uint64_t depth_;
    uint64_t next_ = vault_self + 1;
};

void fill_vault(const Loader& loader) {
    Vault vault(loader);
    // The entry behind the objects is the loader's console, which nobody needs any more.
    const size_t console = system.objects.size - 1;
    for (size_t i = 0; i < buffers.object_slots.size; ++i)
        if (i != console) vault.keep(buffers.object_slots[i]);
    for (size_t i = 0; i < buffers.mapping_slots.size; ++i)
        if (system.frame_mappings[i].is_copy) vault.keep(buffers.mapping_slots[i]);
    // The pool's last capability would take the names of all address spaces along.
    vault.keep(init_slot(abi::InitSlot::ASIDPool));
}

bool holds(const abi::SlotRegion& region, uint64_t slot) { return slot >= region.start && slot < region.end; }

}  // namespace

void release(Loader& loader) {
    fill_vault(loader);
    // The boot information is deleted on the way.
    const abi::SlotRegion image = loader.boot.info->user_image_frames;
    const abi::SlotRegion tables = loader.boot.info->user_image_paging;
    for (uint64_t slot = loader.next_slot; slot-- > init_slot(abi::InitSlot::VSpace) + 1;) {
        const bool own = slot == init_slot(abi::InitSlot::SchedContext) || holds(image, slot) || holds(tables, slot);
        if (!own) loader.delete_slot(slot);
    }
    // What is left is the loader itself: its thread, CNode and address space, which only this thread could reach.
    check(root_tcb.suspend(), [](Text& text) { text << "suspending the loader"; });
    __builtin_unreachable();
}

}  // namespace caprock::loader
