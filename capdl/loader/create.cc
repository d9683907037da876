// SPDX-License-Identifier: BSD-2-Clause
// Creates the system's objects: plans each group of objects and executes the plan, then makes ASID pools and interrupt
// handlers, and rights to send interrupts.
#include "capdl/loader/create.hpp"

#include "capdl/loader/console.hpp"
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

/// Most untypeds that a group is placed in: the kernel's.
using UntypedList = alloc::Untyped[abi::root_max_untypeds];

[[noreturn]] void halt_unplaced(const Group& group, const alloc::Outcome& outcome) {
    const uint32_t index = group.first + outcome.object;
    const alloc::Object& object = system.objects[index];
    Text text;
    if (outcome.problem == alloc::Problem::TooSmallBuffers) halt(text << "internal error: the planner's buffers are too small");
    text << system.object_names[index] << " (";
    text.size(uint64_t{1} << object.size_bits);
    if (object.paddr != alloc::any_address) text << " at " << Hex{object.paddr};
    text << ") ";
    switch (outcome.problem) {
        case alloc::Problem::NoMemory:
            text << "does not fit: ";
            text.size(outcome.free_bytes) << " are free, the largest piece ";
            text.size(outcome.largest_free_bits == 0 ? 0 : uint64_t{1} << outcome.largest_free_bits) << "; ";
            text.size(outcome.missing_bytes) << " are still needed";
            break;
        case alloc::Problem::NotCovered:
            text << "is at an address where the kernel gave nothing";
            break;
        case alloc::Problem::Overlap:
            text << "overlaps " << system.object_names[group.first + outcome.other];
            break;
        case alloc::Problem::Misaligned:
            text << "is not aligned to its size";
            break;
        case alloc::Problem::DeviceMemory:
            text << "cannot be in device memory";
            break;
        case alloc::Problem::TooSmallBuffers:
        case alloc::Problem::None:
            break;
    }
    halt(text);
}

bool covers(uint64_t start, unsigned size_bits, uint64_t address) { return address >= start && address - start < uint64_t{1} << size_bits; }

class Creator {
public:
    explicit Creator(Loader& loader) : loader_(loader) {}

    /// Places and creates the objects of a group.
    void create(const Group& group) {
        const size_t untypeds = group.parent == none ? take_kernel_untypeds() : take_untyped(group.parent);
        alloc::Workspace workspace = buffers.plan;
        workspace.addresses = {buffers.plan.addresses.data + group.first, group.count};
        const alloc::Outcome outcome = plan({untypeds_, untypeds}, {system.objects.data + group.first, group.count}, workspace);
        if (outcome.problem != alloc::Problem::None) halt_unplaced(group, outcome);
        for (uint32_t i = 0; i < outcome.steps; ++i) execute(group, workspace.steps[i]);
    }

private:
    size_t take_kernel_untypeds() {
        const uint64_t count = loader_.boot.untyped_count();
        for (uint64_t i = 0; i < count; ++i) {
            const abi::UntypedDesc& untyped = loader_.boot.info->untyped_list[i];
            untypeds_[i] = {untyped.paddr, untyped.size_bits, untyped.is_device != 0};
            buffers.piece_slots[i] = static_cast<uint32_t>(loader_.boot.untyped_slot(i));
        }
        return count;
    }

    size_t take_untyped(uint32_t object) {
        const uint64_t paddr = buffers.plan.addresses[object];
        untypeds_[0] = {paddr, system.objects[object].size_bits, is_device(paddr)};
        buffers.piece_slots[0] = loader_.slot_of(object);
        return 1;
    }

    bool is_device(uint64_t paddr) const {
        for (uint64_t i = 0; i < loader_.boot.untyped_count(); ++i) {
            const abi::UntypedDesc& untyped = loader_.boot.info->untyped_list[i];
            if (covers(untyped.paddr, untyped.size_bits, paddr)) return untyped.is_device != 0;
        }
        return false;
    }

    void execute(const Group& group, const alloc::Step& step) {
        const uint32_t slot = loader_.take_slots(step.count);
        const uint32_t first = step.is_padding ? 0 : group.first + buffers.plan.order[step.first];
        check(retype(Cap<Untyped>{buffers.piece_slots[step.parent]}, step, slot), [&](Text& text) {
            text << "creating " << uint64_t{step.count} << " objects of 2^" << uint64_t{step.size_bits} << " bytes";
            if (!step.is_padding) text << ", the first " << system.object_names[first];
        });
        if (step.is_padding) {
            buffers.piece_slots[step.first] = slot;
            return;
        }
        for (uint32_t i = 0; i < step.count; ++i) buffers.object_slots[group.first + buffers.plan.order[step.first + i]] = slot + i;
    }

    Loader& loader_;
    UntypedList untypeds_;
};

/// The untypeds of the kernel's group, with the console's page when no object of the system holds it: the last line before the system
/// starts is printed through it.
Group kernel_group(const Loader& loader) {
    Group group = system.groups[0];
    const uint64_t page = Console::page_address(loader);
    if (page == alloc::any_address) return group;
    for (uint32_t i = group.first; i < group.first + group.count; ++i) {
        const alloc::Object& object = system.objects[i];
        if (object.paddr != alloc::any_address && covers(object.paddr, object.size_bits, page)) return group;
    }
    system.objects[group.first + group.count] = {page, abi::ObjectType::SmallPage, 12};
    ++group.count;
    return group;
}

void make_pool(Loader& loader, uint32_t object) {
    const uint32_t slot = loader.take_slots(1);
    const Cap<ASIDControl> control{init_slot(abi::InitSlot::ASIDControl)};
    check(control.make_pool(slot, address_bits, Cap<Untyped>{loader.slot_of(object)}, root_cnode),
          [&](Text& text) { text << "making the ASID pool " << loader.name_of(object); });
    buffers.object_slots[object] = slot;
}

void make_handler(Loader& loader, const Interrupt& interrupt) {
    const uint32_t slot = loader.take_slots(1);
    const Cap<IRQControl> control{init_slot(abi::InitSlot::IRQControl)};
    check(control.get(interrupt.number, interrupt.trigger, slot, address_bits, root_cnode), [&](Text& text) {
        text << "making the handler of interrupt " << uint64_t{interrupt.number} << " for " << loader.name_of(interrupt.object);
    });
    buffers.object_slots[interrupt.object] = slot;
}

void make_sgi_signal(Loader& loader, const SgiSignal& signal) {
    const uint32_t slot = loader.take_slots(1);
    const Cap<IRQControl> control{init_slot(abi::InitSlot::IRQControl)};
    check(control.issue_sgisignal(signal.irq, signal.core, slot, address_bits, root_cnode), [&](Text& text) {
        text << "making the right to send interrupt " << uint64_t{signal.irq} << " to core " << uint64_t{signal.core} << " for "
             << loader.name_of(signal.object);
    });
    buffers.object_slots[signal.object] = slot;
}

}  // namespace

void create_objects(Loader& loader) {
    Creator creator(loader);
    for (size_t i = 0; i < system.groups.size; ++i) creator.create(i == 0 ? kernel_group(loader) : system.groups[i]);
    for (const uint32_t object : system.asid_pools) make_pool(loader, object);
    for (const Interrupt& interrupt : system.interrupts) make_handler(loader, interrupt);
    for (const SgiSignal& signal : system.sgi_signals) make_sgi_signal(loader, signal);
}

}  // namespace caprock::loader
