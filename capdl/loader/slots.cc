// SPDX-License-Identifier: BSD-2-Clause
// Slots of the loader's own CNode.
#include "capdl/loader/report.hpp"

namespace caprock::loader {

uint32_t Loader::take_slots(uint64_t count) {
    if (next_slot + count > boot.slot_count()) {
        halt(Text() << "the root CNode has " << boot.slot_count()
                    << " slots, which is too few for the kernel's and the system's (build the "
                    << "image with a larger one)");
    }
    const uint64_t first = next_slot;
    next_slot += count;
    return static_cast<uint32_t>(first);
}

void Loader::delete_slot(uint64_t slot) const {
    check(root_cnode.delete_cap(slot, address_bits), [&](Text& text) { text << "deleting slot " << slot << " of the loader's CNode"; });
}

}  // namespace caprock::loader
