// SPDX-License-Identifier: BSD-2-Clause
// Waiting for signals, and the check that a port has the interface that the program expects.

#include <caprock/self.hpp>

namespace caprock {

uint64_t Self::wait_for(uint64_t mask)
{
    while ((kept_ & mask) == 0) {
        if (info().notification == 0)
            panic("waits for a signal, but consumes none");
        sys::ShortMessage message;
        sys::wait(info().notification, message);
        keep(message.badge);
    }
    return take_kept(mask);
}

uint64_t Self::take_kept(uint64_t mask)
{
    const uint64_t taken = kept_ & mask;
    kept_ &= ~mask;
    return taken;
}

void Self::prepare_heartbeat()
{
    const ComponentEntry* asked = find(ComponentEntryKind::Consumes, "heartbeat");
    const ComponentEntry* alive = find(ComponentEntryKind::Emits, "alive");
    if (asked == nullptr || alive == nullptr)
        return;
    asked_ = asked->value;
    asked_alone_ = asked->size == 0 ? asked_ : 0;
    alive_ = Signal {*alive};
}

uint64_t Self::take_bank(uint64_t slot)
{
    sys::ShortMessage message;
    sys::nb_wait(slot, message);
    return message.badge;
}

uint64_t Self::uses_endpoint(Text name, Text interface, uint64_t meaning) const
{
    const ComponentEntry& entry = get(ComponentEntryKind::Uses, name);
    const Text described = entry_text(entry);
    if (!(described == interface))
        panic("`uses {}` is {}, not {}", name, described, interface);
    if (entry.size != meaning)
        panic("`uses {}`: the program has another {}", name, interface);
    return entry.value;
}

namespace {

// Where capabilities that come with messages go; at most as many slots as a word has bits.
const ComponentEntry* receive_entry() { return self().find(ComponentEntryKind::Receive, "caps"); }

} // namespace

void Self::prepare_receive_slot()
{
    const ComponentEntry* entry = receive_entry();
    caprock_ipc_buffer->receive_depth = 0;
    if (entry == nullptr)
        return;
    for (uint64_t i = 0; i < entry->size; ++i) {
        if ((used_receive_slots_ >> i & 1) != 0)
            continue;
        caprock_ipc_buffer->receive_cnode = entry->value;
        caprock_ipc_buffer->receive_index = entry->badge + i;
        caprock_ipc_buffer->receive_depth = 64;
        return;
    }
}

uint64_t Self::take_receive_slot()
{
    const ComponentEntry* entry = receive_entry();
    if (entry == nullptr || caprock_ipc_buffer->receive_depth == 0)
        return 0;
    const uint64_t slot = caprock_ipc_buffer->receive_index;
    used_receive_slots_ |= uint64_t {1} << (slot - entry->badge);
    prepare_receive_slot();
    return slot;
}

void Self::release_receive_slot(uint64_t slot)
{
    const ComponentEntry* entry = receive_entry();
    if (entry == nullptr || slot < entry->badge || slot - entry->badge >= entry->size)
        panic("slot {} is none for received capabilities", slot);
    if (!Cap<CNode> {entry->value}.delete_cap(slot, 64).ok())
        panic("the kernel refused to delete a received capability");
    used_receive_slots_ &= ~(uint64_t {1} << (slot - entry->badge));
    prepare_receive_slot();
}

void release_cap(uint64_t slot) { self().release_receive_slot(slot); }

void note_received_cap(Packet& packet)
{
    if ((packet.info.caps_unwrapped() & 1) != 0)
        packet.received_badge = packet.caps[0];
    else
        packet.received_slot = self().take_receive_slot();
}

} // namespace caprock
