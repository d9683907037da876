// SPDX-License-Identifier: BSD-2-Clause
#include "cap/derive.hpp"

namespace caprock {
Result<Cap> derive(const Slot& slot) {
    Cap cap = slot.cap;
    switch (cap.type()) {
        case CapType::Null:
        case CapType::Zombie:
        case CapType::IRQControl: return Failure::illegal_operation();
        case CapType::Untyped:
            if (has_children(slot)) return Failure::of(Error::RevokeFirst);
            return cap;
        case CapType::PageTable:
            if (!as<PageTableCap>(cap).is_mapped()) return Failure::illegal_operation();
            return cap;
        case CapType::VSpace:
            if (as<VSpaceCap>(cap).number() == 0) return Failure::illegal_operation();
            return cap;
        case CapType::Frame: as<FrameCap>(cap).clear_mapping(); return cap;
        default: return cap;
    }
}

Cap masked_of_any(Cap cap, CapRights mask) {
    switch (cap.type()) {
        case CapType::Endpoint:
        case CapType::Notification: as<EndpointCap>(cap).mask_rights(mask); break;
        case CapType::Reply: as<ReplyCap>(cap).mask_rights(mask); break;
        case CapType::Frame: as<FrameCap>(cap).mask_rights(mask); break;
        default: break;
    }
    return cap;
}

Result<Cap> with_data(Cap cap, Word data, bool keep_badge) {
    if (cap.is(CapType::Endpoint) || cap.is(CapType::Notification)) {
        if (keep_badge || as<EndpointCap>(cap).badge() != Badge(0)) return Failure::illegal_operation();
        as<EndpointCap>(cap).set_badge(Badge(data));
    } else if (cap.is(CapType::CNode)) {
        abi::CNodeCapData guard{data};
        unsigned size = static_cast<unsigned>(guard.guard_size());
        if (size + as<CNodeCap>(cap).radix() > 64) return Failure::illegal_operation();
        as<CNodeCap>(cap).set_guard(size, guard.guard() & ((Word{1} << size) - 1));
    }
    return cap;
}
}  // namespace caprock
