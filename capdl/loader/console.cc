// SPDX-License-Identifier: BSD-2-Clause
// The console: how the loader comes by its page. Failing to open is no error in itself: there would be nowhere to
// report it.
#include "capdl/loader/console.hpp"

#include "capdl/loader/create.hpp"
#include "capdl/loader/report.hpp"
#include "capdl/loader/windows.hpp"

namespace caprock::loader {
namespace {

constexpr uint64_t page_bytes = 4096;

}  // namespace

uint64_t Console::page_address(const Loader& loader) {
    const abi::RootPlatform* platform = loader.boot.platform;
    if (platform == nullptr || platform->console_kind == static_cast<uint64_t>(abi::ConsoleKind::None)) return alloc::any_address;
    return platform->console_paddr & ~(page_bytes - 1);
}

bool Console::open() {
    const uint64_t page = page_address(loader_);
    if (page == alloc::any_address) return false;
    for (uint64_t i = 0; i < loader_.boot.untyped_count(); ++i) {
        const abi::UntypedDesc& untyped = loader_.boot.info->untyped_list[i];
        if (page < untyped.paddr || page - untyped.paddr >= uint64_t{1} << untyped.size_bits) continue;
        const uint64_t slot = loader_.boot.untyped_slot(i);
        if (!root_cnode.revoke(slot, address_bits).ok()) return false;
        return open_untyped(slot, {untyped.paddr, untyped.size_bits, untyped.is_device != 0});
    }
    return false;
}

bool Console::open_untyped(uint64_t slot, const alloc::Untyped& untyped) {
    alloc::Object frame{page_address(loader_), abi::ObjectType::SmallPage, 12};
    uint32_t order[1];
    uint64_t addresses[1];
    alloc::Step steps[console_slots];
    alloc::Piece pieces[console_slots];
    uint32_t numbers[2][console_slots];
    const alloc::Workspace workspace{{order, 1},
                                     {addresses, 1},
                                     {steps, console_slots},
                                     {pieces, console_slots},
                                     {numbers[0], console_slots},
                                     {numbers[1], console_slots}};
    const alloc::Outcome outcome = plan({&untyped, 1}, {&frame, 1}, workspace);
    if (outcome.problem != alloc::Problem::None) return false;
    // All pieces but the given one are paddings of it, so every step retypes the given one.
    revoke_slot_ = slot;
    for (uint32_t i = 0; i < outcome.steps; ++i)
        if (!retype(Cap<Untyped>{slot}, steps[i], loader_.console_slot + i).ok()) return false;
    return map(loader_.console_slot + outcome.steps - 1, frame.size_bits);
}

bool Console::open_frame(uint64_t slot, unsigned size_bits) {
    copy_slot_ = loader_.console_slot;
    if (!root_cnode.copy(copy_slot_, address_bits, slot, address_bits, all_rights, root_cnode).ok()) return false;
    return map(copy_slot_, size_bits);
}

bool Console::map(uint64_t slot, unsigned size_bits) {
    const uint64_t window = size_bits == 12 ? console_window() : fill_window(size_bits);
    const abi::VMAttributes attributes = abi::VMAttributes::make(0, 0, 1);
    if (!Cap<Frame>{slot}.map(window, read_write, attributes, root_vspace).ok()) return false;
    const abi::RootPlatform& platform = *loader_.boot.platform;
    uart_.open(static_cast<abi::ConsoleKind>(platform.console_kind), window + (platform.console_paddr & ((uint64_t{1} << size_bits) - 1)));
    return true;
}

void Console::close() {
    uart_.close();
    if (copy_slot_ != 0) loader_.delete_slot(copy_slot_);
    if (revoke_slot_ != 0) {
        check(root_cnode.revoke(revoke_slot_, address_bits), [](Text& text) { text << "giving the console's page back"; });
    }
    copy_slot_ = 0;
    revoke_slot_ = 0;
}

}  // namespace caprock::loader
