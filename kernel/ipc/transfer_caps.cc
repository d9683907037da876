// SPDX-License-Identifier: BSD-2-Clause
#include "ipc/transfer_caps.hpp"

#include "cap/derive.hpp"
#include "cap/lookup.hpp"
#include "ipc/message.hpp"

namespace caprock {
namespace {
Slot* receive_slot(const Tcb& receiver, const IPCBuffer& buffer) {
    Slot* root = find_slot(receiver, CPtr(buffer.receive_cnode));
    if (root == nullptr) return nullptr;
    Result<Slot*> slot = find_slot_at(root->cap, CPtr(buffer.receive_index), buffer.receive_depth, false);
    return slot.ok() && slot.value()->empty() ? slot.value() : nullptr;
}

bool names(const Cap& cap, const Endpoint* endpoint) {
    return endpoint != nullptr && cap.is(CapType::Endpoint) && &cap.as_object<const Endpoint>() == endpoint;
}
}  // namespace

ReceivedCaps transfer_caps(const Tcb& sender, Tcb& receiver, const Endpoint* endpoint) {
    ReceivedCaps received;
    IPCBuffer* buffer = writable_buffer(receiver);
    if (buffer == nullptr) return received;
    SentMessage message(sender);
    for (unsigned i = 0; i < message.extra_caps(); ++i) {
        Slot* source = find_slot(sender, message.cap(i));
        if (source == nullptr || source->empty()) break;
        if (names(source->cap, endpoint)) {
            buffer->caps_or_badges[i] = as<EndpointCap>(source->cap).badge().raw;
            received.unwrapped |= Word{1} << i;
        } else {
            Slot* slot = receive_slot(receiver, *buffer);   // Empty: one capability fills it.
            if (slot == nullptr) break;
            Result<Cap> derived = derive(*source);
            if (!derived.ok()) break;
            insert_derived(derived.value(), *source, *slot);
        }
        received.count = i + 1;
    }
    return received;
}
}  // namespace caprock
