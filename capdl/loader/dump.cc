// SPDX-License-Identifier: BSD-2-Clause
// Prints what Inspect shows of the system, a line for each thing, with objects by their names; capdl/live.py makes a description of it. Numbers are
// hexadecimal, - stands for no object.
#include "capdl/loader/dump.hpp"

#include "capdl/loader/verify.hpp"

namespace caprock::loader {
namespace {

const char* name_of(uint64_t identity) {
    if (identity == 0) return "-";
    for (size_t i = 0; i < buffers.identities.size; ++i)
        if (buffers.identities[i] == identity) return system.object_names[i];
    return "?";
}

/// The object that a capability is to. Those without memory have no identity, but numbers; the kernel does not tell the core that an interrupt is sent to.
template <class Capability>
const char* object_of(const Capability& found) {
    if (found.kind == abi::CapType::IRQHandler)
        for (const Interrupt& interrupt : system.interrupts)
            if (interrupt.number == found.badge) return system.object_names[interrupt.object];
    if (found.kind == abi::CapType::SGISignal)
        for (const SgiSignal& signal : system.sgi_signals)
            if (signal.irq == found.badge) return system.object_names[signal.object];
    return name_of(found.identity);
}

/// A line under construction: words with blanks between them.
class Line {
public:
    Line(Console& console, const char* word) : console_(console) { text_ << word; }
    ~Line() { console_.write(text_ << "\n"); }

    Line& operator<<(const char* word) {
        text_ << " " << word;
        return *this;
    }
    Line& operator<<(uint64_t number) {
        text_ << " " << Hex{number};
        return *this;
    }

private:
    Console& console_;
    Text text_;
};

template <class Capability>
void print_capability(Console& console, const char* word, const char* holder, uint64_t slot, const Capability& found) {
    if (found.kind == abi::CapType::Null) return;
    Line(console, word) << holder << slot << static_cast<uint64_t>(found.kind) << object_of(found) << found.rights.raw << found.badge
                        << found.guard_size;
}

void print_object(const Loader& loader, Console& console, uint32_t object) {
    const char* name = loader.name_of(object);
    const auto found = value_of(inspect.read_cnode(loader.slot_of(object), root_cnode), name);
    Line(console, "object") << name << static_cast<uint64_t>(found.kind) << found.size_bits << found.badge;
}

void print_cnode(const Loader& loader, Console& console, uint32_t cnode) {
    const char* name = loader.name_of(cnode);
    for (uint64_t slot = 0; slot < uint64_t{1} << loader.radix_of(cnode); ++slot)
        print_capability(console, "slot", name, slot, value_of(inspect.read_cnode(slot, Cap<CNode>{loader.slot_of(cnode)}), name));
}

void print_space(const Loader& loader, Console& console, uint32_t vspace) {
    const char* name = loader.name_of(vspace);
    for_each_page(loader, vspace, [&](uint64_t address, const auto& page) {
        Line(console, "page") << name << address << name_of(page.identity) << page.rights.raw << page.attributes.raw;
    });
}

void print_thread(const Loader& loader, Console& console, const Thread& thread) {
    const char* name = loader.name_of(thread.tcb);
    const Cap<TCB> tcb{loader.slot_of(thread.tcb)};
    const auto found = value_of(inspect.read_tcb(tcb), name);
    Line(console, "thread") << name << found.priority << found.mcp << found.domain << found.core << found.flags.raw << found.buffer
                            << name_of(found.sched_context) << name_of(found.notification);
    abi::UserContext context{};
    check(tcb.read_registers(0, sizeof context / sizeof(uint64_t), context), [name](Text& text) { text << "reading back the registers of " << name; });
    Line registers(console, "registers");
    registers << name << context.pc << context.sp;
    for (const uint64_t word : context.x0_x8) registers << word;
    for (uint64_t slot = 0; slot < tcb_slots; ++slot) print_capability(console, "held", name, slot, value_of(inspect.read_tcb_slot(slot, tcb), name));
}

void print_context(const Loader& loader, Console& console, const Schedule& schedule) {
    const char* name = loader.name_of(schedule.sched_context);
    const auto found = value_of(inspect.read_sched_context(Cap<SchedContext>{loader.slot_of(schedule.sched_context)}), name);
    Line(console, "context") << name << found.budget << found.period << found.badge << found.core;
}

void print_interrupt(const Loader& loader, Console& console, const Interrupt& interrupt) {
    const char* name = loader.name_of(interrupt.object);
    const auto found = value_of(inspect.read_irq_handler(Cap<IRQHandler>{loader.slot_of(interrupt.object)}), name);
    Line(console, "interrupt") << name << found.irq << name_of(found.notification) << found.badge;
}

}  // namespace

void dump_system(const Loader& loader, Console& console) {
    console.write(Text() << "caprock: dump\n");
    for (uint32_t object = 0; object < buffers.object_slots.size; ++object)
        if (object != system.objects.size - 1 && object != system.vault && buffers.object_slots[object] != 0) print_object(loader, console, object);
    for (uint32_t object = 0; object < system.objects.size; ++object)
        if (system.objects[object].type == abi::ObjectType::CNode) print_cnode(loader, console, object);
    for (const AddressSpace& space : system.address_spaces) print_space(loader, console, space.vspace);
    for (const Thread& thread : system.threads) print_thread(loader, console, thread);
    for (const Schedule& schedule : system.schedules) print_context(loader, console, schedule);
    for (const Interrupt& interrupt : system.interrupts) print_interrupt(loader, console, interrupt);
    console.write(Text() << "caprock: end of dump\n");
}

}  // namespace caprock::loader
