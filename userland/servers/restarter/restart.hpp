// SPDX-License-Identifier: BSD-2-Clause
// Stopping a component, and making it again what it was at boot. The order of the steps is that of docs/restart.md.
#pragma once

#include "table.hpp"

namespace restarter {

/// What one component is made of, and the steps of its restart. A step that the kernel refuses ends the system: nothing is right any more then.
class Restart {
public:
    Restart(const Table& table, const RestartComponent& component) : table_ {table}, component_ {component} {}

    /// Nothing of it runs any more, and nobody waits for an answer of it.
    void stop() const
    {
        check(tcb().suspend(), "stop");
        // A device that goes on finds nobody to interrupt.
        for (const RestartIrq& irq : table_.irqs(component_))
            check(caprock::Cap<caprock::IRQHandler> {irq.handler}.clear(), "mask an interrupt of");
        answer_caller();
    }

    /// All of it is as at boot but for its incarnation number, and it runs.
    void start(uint64_t incarnation) const
    {
        take_back();
        restore_slots();
        for (const RestartArea& area : table_.areas(component_))
            restore_memory(area);
        reinterpret_cast<caprock::component::ComponentInfo*>(component_.info)->incarnation = incarnation;
        restore_thread();
        for (const RestartIrq& irq : table_.irqs(component_)) {
            const caprock::Cap<caprock::Notification> signal {irq.notification};
            check(caprock::Cap<caprock::IRQHandler> {irq.handler}.set_notification(signal), "bind an interrupt of");
        }
        resume();
    }

    /// Where its thread stands.
    uint64_t address() const
    {
        caprock::abi::UserContext context {};
        check(tcb().read_registers(0, 1, context), "read the registers of");
        return context.pc;
    }

private:
    caprock::Cap<caprock::TCB> tcb() const { return caprock::Cap<caprock::TCB> {component_.tcb}; }
    caprock::Cap<caprock::CNode> cnode() const { return caprock::Cap<caprock::CNode> {component_.cnode}; }

    template <class Result>
    void check(const Result& result, const char* what) const
    {
        if (!result.ok())
            caprock::panic("cannot {} {}: error {}", what, caprock::Text::from_field(component_.name, sizeof component_.name),
                           static_cast<uint64_t>(result.error()));
    }

    /// Whoever waits for a reply gets one, and with it the time that it lent. When nobody waits the kernel drops the message.
    void answer_caller() const
    {
        if (component_.reply == 0)
            return;
        caprock::sys::ShortMessage message {caprock::abi::MessageInfo::make(0, 0, 0, static_cast<uint64_t>(caprock::RpcError::PeerRestarted)), 0, {}};
        static_cast<void>(caprock::sys::nb_send(component_.reply, message));
    }

    /// What it passed on to others, or made of what it has.
    void take_back() const
    {
        for (const RestartSlot& slot : table_.slots(component_)) {
            if (slot.revoke != 0)
                check(table_.cnode().revoke(slot.master, address_bits), "take back capabilities of");
        }
    }

    void restore_slots() const
    {
        for (uint64_t slot = 0; slot < uint64_t {1} << component_.cnode_radix; ++slot)
            check(cnode().delete_cap(slot, component_.cnode_radix), "empty a slot of");
        for (const RestartSlot& slot : table_.slots(component_)) {
            check(cnode().copy(slot.slot, component_.cnode_radix, slot.master, address_bits, all_rights, table_.cnode()), "fill a slot of");
        }
    }

    static void restore_memory(const RestartArea& area)
    {
        auto* const live = reinterpret_cast<uint8_t*>(area.live);
        if (area.pristine != 0)
            __builtin_memcpy(live, reinterpret_cast<const uint8_t*>(area.pristine), area.size);
        else
            __builtin_memset(live, 0, area.size);
        if (area.executable != 0)
            unify_instructions(area);
    }

    /// Lets instruction fetches see what was written.
    static void unify_instructions(const RestartArea& area)
    {
        // No cache has shorter lines.
        constexpr uint64_t line = 16;
        for (uint64_t address = area.live; address < area.live + area.size; address += line)
            __asm__ volatile("dc cvau, %0" : : "r"(address) : "memory");
        __asm__ volatile("dsb ish" : : : "memory");
        for (uint64_t address = area.live; address < area.live + area.size; address += line)
            __asm__ volatile("ic ivau, %0" : : "r"(address) : "memory");
        __asm__ volatile("dsb ish\n\tisb" : : : "memory");
    }

    void restore_thread() const
    {
        const caprock::Cap<caprock::Frame> buffer {component_.buffer_frame};
        check(tcb().configure(caprock::abi::CNodeCapData {component_.cspace_data}, 0, component_.buffer_address, cnode(),
                              caprock::Cap<caprock::VSpace> {component_.vspace}, buffer),
              "configure");
        check(tcb().set_sched_params(component_.max_priority, component_.priority, table_.tcb(), caprock::CapRef {component_.sched_context},
                                     caprock::CapRef {component_.fault_handler}),
              "schedule");
        if (component_.notification == 0)
            return;
        // Nobody else can have unbound it; that the kernel has nothing to unbind then is no error.
        static_cast<void>(tcb().unbind_notification());
        check(tcb().bind_notification(caprock::Cap<caprock::Notification> {component_.notification}), "bind a notification to");
    }

    void resume() const
    {
        constexpr uint64_t resume_target = 1;
        caprock::abi::UserContext context {};
        context.pc = component_.ip;
        context.sp = component_.sp;
        context.x0_x8[0] = component_.argument;
        check(tcb().write_registers(resume_target, sizeof context / sizeof(uint64_t), context), "resume");
    }

    static constexpr uint64_t address_bits = 64;
    static constexpr caprock::abi::CapRights all_rights = caprock::abi::CapRights::make(1, 1, 1, 1);

    const Table& table_;
    const RestartComponent& component_;
};

} // namespace restarter
