// SPDX-License-Identifier: BSD-2-Clause
// Gives up all authority. Objects live as long as a capability to them does, and a frame stays mapped as long as the capability does
// that mapped it, yet no component holds one to its own frames and threads. So what the system consists of moves to the vault: a CNode
// whose only capability is in one of its own slots. It keeps everything alive, and nobody can ever reach into it.
//
// All else goes, the loader last. Its CNode holds a capability to itself, which would keep it alive like a vault; so that one moves to
// the vault, and the vault becomes the thread's CSpace. From there the whole CNode can be deleted, and with it thread, address space and
// the call that does it. What the code needs that makes the last calls (see vanish in start.S) stands in the lowest slots, below the
// thread: a deletion goes from the last slot to the first, and the thread shall end before its memory does.
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

/// Slots of the vault; the first is empty, as address 0 is nobody's.
constexpr uint64_t vault_self = 1;
constexpr uint64_t vault_root = 2;
constexpr uint64_t vault_first = 3;

/// Slots of the loader's CNode at its end: those of the kernel that are free by now.
constexpr uint64_t last_tcb = init_slot(abi::InitSlot::FirstDynamic) - 1;
constexpr uint64_t last_code = init_slot(abi::InitSlot::IRQControl);
constexpr uint64_t code_capabilities = 4;

/// Page tables of the page that holds vanish, from the top: BootInfo lists them first.
constexpr uint64_t code_tables = 3;

class Vault {
public:
    explicit Vault(const Loader& loader)
        : slot_(loader.slot_of(system.vault)),
          cnode_(slot_),
          depth_(loader.radix_of(system.vault)),
          guard_(abi::CNodeCapData::make(address_bits - depth_, 0)) {
        check(cnode_.mint(vault_self, depth_, slot_, address_bits, all_rights, guard_.raw, root_cnode),
              [](Text& text) { text << "placing the vault's capability in itself"; });
    }

    /// Moves the capability in `slot` of the loader's CNode, if it is still there.
    void keep(uint64_t slot) {
        if (slot == 0 || slot == slot_) return;
        move(next_++, slot);
    }

    /// Takes the loader's CNode in, and takes its place as the CSpace of `thread`.
    void take_over(Cap<TCB> thread) {
        move(vault_root, root_cnode.address());
        check(thread.set_space(guard_, 0, CapRef{}, cnode_, root_vspace),
              [](Text& text) { text << "making the vault the loader's CSpace"; });
    }

private:
    void move(uint64_t target, uint64_t slot) {
        check(cnode_.move(target, depth_, slot, address_bits, root_cnode),
              [slot](Text& text) { text << "moving slot " << slot << " to the vault"; });
    }

    uint64_t slot_;
    Cap<CNode> cnode_;
    uint64_t depth_;
    abi::CNodeCapData guard_;  // makes its slots' indices addresses of 64 bits
    uint64_t next_ = vault_first;
};

void fill(Vault& vault) {
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

/// Deletes what is neither the loader's image nor needed for its last calls.
void delete_rest(const Loader& loader, const abi::SlotRegion& image, const abi::SlotRegion& tables) {
    for (uint64_t slot = loader.next_slot; slot-- > init_slot(abi::InitSlot::VSpace) + 1;) {
        const bool needed = slot == loader.slot_of(system.vault) || slot == init_slot(abi::InitSlot::IPCBuffer) ||
                            slot == init_slot(abi::InitSlot::SchedContext) || holds(image, slot) || holds(tables, slot);
        if (!needed) loader.delete_slot(slot);
    }
}

void move_in_root(uint64_t target, uint64_t slot) {
    check(root_cnode.move(target, address_bits, slot, address_bits, root_cnode),
          [slot](Text& text) { text << "moving slot " << slot << " of the loader's CNode"; });
}

constexpr uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
constexpr uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/// Arguments of vanish.
struct LastCalls {
    uint64_t message_info;  // of CNode::Delete
    uint64_t number;        // of the system call
    uint64_t root;          // the loader's CNode
    uint64_t first_slot;    // its slots [first_slot, end_slot) are deleted first
    uint64_t end_slot;
    uint64_t self;  // the CNode that holds `root`, at the index `root`
};

}  // namespace

// In start.S.
extern "C" [[noreturn]] void vanish(const LastCalls& calls);

void release(Loader& loader) {
    // The boot information is deleted on the way.
    const abi::SlotRegion image = loader.boot.info->user_image_frames;
    const abi::SlotRegion tables = loader.boot.info->user_image_paging;
    Vault vault(loader);
    fill(vault);
    delete_rest(loader, image, tables);

    static_assert(last_code + code_capabilities <= init_slot(abi::InitSlot::IPCBuffer), "occupied");
    for (uint64_t i = 0; i < code_tables; ++i) move_in_root(last_code + i, tables.start + i);
    move_in_root(last_code + code_tables, image.start);
    move_in_root(last_tcb, root_tcb.address());
    vault.take_over(Cap<TCB>{last_tcb});
    vanish({
        .message_info = abi::MessageInfo::make(2, 0, 0, static_cast<uint64_t>(abi::Method::CNodeDelete)).raw,
        .number = static_cast<uint64_t>(abi::Syscall::Call),
        .root = vault_root,
        .first_slot = smaller(image.start, tables.start),
        .end_slot = larger(image.end, tables.end),
        .self = vault_self,
    });
}

}  // namespace caprock::loader
