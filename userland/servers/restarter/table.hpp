// SPDX-License-Identifier: BSD-2-Clause
// The table of what is restarted (region `restarts`), as the tool wrote it: capdl/restarts.py.
#pragma once

#include <caprock/self.hpp>

namespace restarter {

using caprock::component::RestartArea;
using caprock::component::RestartComponent;
using caprock::component::RestartIrq;
using caprock::component::RestartSlot;
using caprock::component::RestartTable;

/// The components, and for each of them its areas, slots and interrupts.
class Table {
public:
    explicit Table(const uint8_t* start) : head_ {reinterpret_cast<const RestartTable*>(start)} {}

    /// The restarter's own CNode, and its own thread.
    caprock::Cap<caprock::CNode> cnode() const { return caprock::Cap<caprock::CNode> {head_->cnode}; }
    caprock::Cap<caprock::TCB> tcb() const { return caprock::Cap<caprock::TCB> {head_->tcb}; }

    caprock::Span<const RestartComponent> components() const { return {first_component(), head_->component_count}; }
    caprock::Span<const RestartArea> areas(const RestartComponent& of) const { return {first_area() + of.first_area, of.area_count}; }
    caprock::Span<const RestartSlot> slots(const RestartComponent& of) const { return {first_slot() + of.first_slot, of.slot_count}; }
    caprock::Span<const RestartIrq> irqs(const RestartComponent& of) const { return {first_irq() + of.first_irq, of.irq_count}; }

private:
    const RestartComponent* first_component() const { return reinterpret_cast<const RestartComponent*>(head_ + 1); }
    const RestartArea* first_area() const { return reinterpret_cast<const RestartArea*>(first_component() + head_->component_count); }
    const RestartSlot* first_slot() const { return reinterpret_cast<const RestartSlot*>(first_area() + head_->area_count); }
    const RestartIrq* first_irq() const { return reinterpret_cast<const RestartIrq*>(first_slot() + head_->slot_count); }

    const RestartTable* head_;
};

} // namespace restarter
