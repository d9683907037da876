// SPDX-License-Identifier: BSD-2-Clause
// What a component holds, by the names of its description: `self().uses<interfaces::Log>("log")`, `self().region("ring")`.
// A name that the description does not give ends the component with a message that says which.
#pragma once

#include <caprock/info.hpp>
#include <caprock/ipc.hpp>
#include <caprock/objects.hpp>

namespace caprock {

/// A notification that the component may signal.
class Signal {
public:
    explicit Signal(uint64_t slot, uint64_t next = 0) : slot_ {slot}, next_ {next} {}
    explicit Signal(const ComponentEntry& entry) : Signal {entry.value, entry.size} {}
    void operator()() const
    {
        sys::signal(slot_);
        if (next_ != 0)
            sys::signal(next_);
    }

private:
    uint64_t slot_;
    uint64_t next_; // where the consumer waits, if that is elsewhere
};

/// A device's registers.
struct Device {
    /// Address of the first register.
    uint64_t address;
    /// Bytes of registers.
    uint64_t size;
    /// First compatible string of the device tree's node.
    Text compatible;
};

/// An interrupt that arrives as a signal.
class Irq {
public:
    Irq(Cap<IRQHandler> handler, uint64_t signal) : handler_ {handler}, signal_ {signal} {}

    /// The bit, as a mask, that the interrupt sets in the component's notification.
    uint64_t signal() const { return signal_; }
    /// Lets the next interrupt come. Panics when the kernel refuses, which only a wrong description can cause.
    void ack() const
    {
        if (!handler_.ack().ok())
            panic("the kernel refused to acknowledge an interrupt");
    }

private:
    Cap<IRQHandler> handler_;
    uint64_t signal_;
};

/// The running component.
class Self : public ComponentView {
public:
    using ComponentView::ComponentView;

    /// A client of the interface that is connected to `uses NAME`.
    template <class Interface>
    auto uses(Text name) const
    {
        return typename Interface::template Client<IpcTransport> {IpcTransport {uses_endpoint(name, Interface::name, Interface::meaning)}};
    }
    /// The endpoint of `uses NAME`. Panics when that is connected to another interface, or to one of another meaning.
    uint64_t uses_endpoint(Text name, Text interface, uint64_t meaning) const;
    /// The number of `provides NAME`, counted from 0: bits 63:48 of its callers' badges are one more.
    uint64_t provides(Text name) const { return get(ComponentEntryKind::Provides, name).value - 1; }
    /// The notification behind `emits NAME`.
    Signal emits(Text name) const { return Signal {get(ComponentEntryKind::Emits, name)}; }
    /// The bit, as a mask, that signals of `consumes NAME` set. A component that consumes more kinds than there are bits has several for one.
    uint64_t consumes(Text name) const { return get(ComponentEntryKind::Consumes, name).value; }
    /// The shared memory of `region NAME`. Writing to one that is shared read-only is a fault.
    Bytes region(Text name) const
    {
        const ComponentEntry& entry = get(ComponentEntryKind::Region, name);
        return {reinterpret_cast<uint8_t*>(entry.value), static_cast<size_t>(entry.size)};
    }
    /// The registers of `device NAME`.
    Device device(Text name) const
    {
        const ComponentEntry& entry = get(ComponentEntryKind::Device, name);
        return {entry.value, entry.size, entry_text(entry)};
    }
    /// The interrupt of `irq NAME`.
    Irq irq(Text name) const
    {
        const ComponentEntry& entry = get(ComponentEntryKind::Irq, name);
        return {Cap<IRQHandler> {entry.value}, entry.badge};
    }
    /// The number in `args { NAME: n }`.
    uint64_t argument(Text name) const { return get(ComponentEntryKind::Argument, name).value; }
    /// The text in `args { NAME: "text" }`; a number's text is its decimal digits.
    Text argument_text(Text name) const { return entry_text(get(ComponentEntryKind::Argument, name)); }
    /// True when the description gives an argument of that name.
    bool has_argument(Text name) const { return find(ComponentEntryKind::Argument, name) != nullptr; }
    /// The slot of the capability of `grant NAME`; of one to all elements of an array the first slot, the others follow.
    uint64_t grant(Text name) const { return get(ComponentEntryKind::Grant, name).value; }
    /// How many capabilities `grant NAME` gave.
    uint64_t grant_count(Text name) const { return get(ComponentEntryKind::Grant, name).size; }
    /// The heap of the description; empty for `heap 0`.
    Bytes heap() const { return {reinterpret_cast<uint8_t*>(info().heap_start), static_cast<size_t>(info().heap_size)}; }

    /// Waits until one of the signals in `mask` has come, and takes those of them that have. Other signals are kept for later.
    uint64_t wait_for(uint64_t mask);
    /// Takes the signals in `mask` that were kept by wait_for; does not wait.
    uint64_t take_kept(uint64_t mask);
    /// Calls `visit(name)` for each `consumes` of which a signal has come. signals: bits that were taken.
    template <class Visit>
    void for_each_signal(uint64_t signals, Visit visit) const
    {
        uint64_t bank = 0, arrived = 0;
        for (const ComponentEntry& entry : entries()) {
            if (entry.kind != static_cast<uint64_t>(ComponentEntryKind::Consumes) || (entry.value & signals) == 0)
                continue;
            if (entry.size != 0 && entry.size != bank) {
                bank = entry.size;
                arrived = take_bank(bank);
            }
            if (entry.size == 0 || (arrived & entry.badge) != 0)
                visit(entry_name(entry));
        }
    }
    /// Keeps signals that arrived elsewhere. Whoever asks for a sign of life gets it.
    void keep(uint64_t signals)
    {
        kept_ |= signals & ~asked_alone_;
        if ((signals & asked_) != 0)
            alive_();
    }
    /// How often the component was restarted.
    uint64_t incarnation() const { return info().incarnation; }
    /// Finds how to show that the component is alive, if the description wants it.
    void prepare_heartbeat();

    /// Names the next free slot for capabilities that come with messages. A component that is sent some has such slots.
    void prepare_receive_slot();
    /// Takes the slot that a capability has come to; the next one goes elsewhere.
    uint64_t take_receive_slot();
    /// Deletes the capability in a slot that take_receive_slot gave, which is free then.
    void release_receive_slot(uint64_t slot);

private:
    /// Signals that have come to another notification than the component's own; does not wait.
    static uint64_t take_bank(uint64_t slot);

    uint64_t kept_ = 0;
    uint64_t asked_ = 0; // the bit of the signal that asks for a sign of life
    uint64_t asked_alone_ = 0; // the same, if no other signal has it
    Signal alive_ {0};
    uint64_t used_receive_slots_ = 0;
};

/// The running component.
Self& self();

} // namespace caprock
