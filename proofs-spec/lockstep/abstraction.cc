// SPDX-License-Identifier: BSD-2-Clause
#include "abstraction.hpp"

#include "canonical.hpp"
#include "config.hpp"

#include <algorithm>
#include <functional>

namespace caprock::lockstep {

using host::hardware;

namespace {

constexpr unsigned first_line = 16;   // interrupts below are software-generated

// -- Text

std::string option(const void* object) { return object == nullptr ? "-" : hex(physical(object)); }
std::string option(Word value, bool present) { return present ? hex(value) : "-"; }
const char* boolean(bool value) { return value ? "1" : "0"; }

std::string call(std::string_view name, std::initializer_list<std::string> arguments) {
    std::string text(name);
    for (const std::string& argument : arguments) text += (&argument == arguments.begin() ? "(" : ",") + argument;
    return text + ")";
}

std::string list(const std::vector<std::string>& items) {
    if (items.empty()) return "-";
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
    return text;
}

std::string object_address(const Cap& cap) { return hex(arch::to_physical(cap.object()).raw); }

// -- Capabilities

std::string place(const MappedCap& cap, unsigned level) {
    return cap.is_mapped() ? hex(cap.asid().raw) + "," + hex(cap.address().raw) + "," + hex(level) : "-";
}

std::string frame(const FrameCap& cap) {
    Word rights = Word{cap.can_write()} | Word{cap.can_read()} << 1;
    return call("Frame", {object_address(cap), hex(cap.size_bits().raw), boolean(cap.is_device()), hex(rights), place(cap, cap.level())});
}

std::string badged(const char* name, const EndpointCap& cap) {
    return call(name, {object_address(cap), hex(cap.badge().raw), hex(cap.rights().raw)});
}

std::string cnode(const CNodeCap& cap) {
    return call("CNode", {object_address(cap), hex(cap.radix()), hex(cap.guard()), hex(cap.guard_size())});
}

std::string untyped(const UntypedCap& cap) {
    return call("Untyped", {object_address(cap), hex(cap.size_bits().raw), boolean(cap.is_device()), hex(cap.watermark())});
}

std::string capability(const Cap& cap) {
    constexpr Word grant = 4;
    switch (cap.type()) {
        case CapType::Untyped: return untyped(as<UntypedCap>(cap));
        case CapType::Endpoint: return badged("Endpoint", as<EndpointCap>(cap));
        case CapType::Notification: return badged("Notification", as<EndpointCap>(cap));
        case CapType::Reply: return call("Reply", {object_address(cap), hex(as<ReplyCap>(cap).can_grant() ? grant : 0)});
        case CapType::CNode: return cnode(as<CNodeCap>(cap));
        case CapType::TCB: return call("TCB", {object_address(cap)});
        case CapType::SchedContext: return call("SchedContext", {object_address(cap), hex(as<SchedContextCap>(cap).size_bits().raw)});
        case CapType::SchedControl: return call("SchedControl", {hex(as<SchedControlCap>(cap).number())});
        case CapType::VSpace: return call("VSpace", {object_address(cap), option(as<VSpaceCap>(cap).number(), as<VSpaceCap>(cap).number() != 0)});
        case CapType::PageTable: return call("PageTable", {object_address(cap), place(as<PageTableCap>(cap), as<PageTableCap>(cap).level())});
        case CapType::Frame: return frame(as<FrameCap>(cap));
        case CapType::ASIDControl: return "ASIDControl";
        case CapType::ASIDPool: return call("ASIDPool", {object_address(cap)});
        case CapType::IRQControl: return "IRQControl";
        case CapType::IRQHandler: return call("IRQHandler", {hex(as<IrqHandlerCap>(cap).number())});
        case CapType::SGISignal: return call("SGISignal", {hex(as<SgiSignalCap>(cap).irq().raw), hex(as<SgiSignalCap>(cap).core().raw)});
        case CapType::Domain: return "Domain";
        case CapType::Inspect: return "Inspect";
        case CapType::Zombie: return call("Zombie", {object_address(cap)});
        case CapType::Null: break;
    }
    throw std::logic_error("a capability of no type");
}

// -- Threads

std::string run_state(const Tcb& thread) {
    const SendOptions how = thread.sending;
    switch (thread.state) {
        case ThreadState::Inactive: return "inactive";
        case ThreadState::Running: return "running";
        case ThreadState::BlockedOnReceive: return call("receive", {option(thread.endpoint), option(thread.reply), boolean(thread.requires_donation)});
        case ThreadState::BlockedOnSend:
            return call("send", {option(thread.endpoint), hex(thread.badge.raw), boolean(how.has(SendOptions::grant)),
                                 boolean(how.has(SendOptions::grant_reply)), boolean(how.has(SendOptions::call)), boolean(how.has(SendOptions::donate))});
        case ThreadState::BlockedOnReply: return call("reply", {option(thread.reply)});
        case ThreadState::BlockedOnNotification: return call("wait", {option(thread.notification)});
    }
    throw std::logic_error("a thread in no state");
}

// Number of the breakpoint that a DebugException names.
Word breakpoint_number(const Tcb& thread) {
    auto reason = static_cast<abi::BreakpointType>(thread.fault.words[0]);
    bool numbered = reason == abi::BreakpointType::Instruction || reason == abi::BreakpointType::Data;
    return numbered ? triggered_breakpoint(thread, reason, thread.fault.words[1]) : 0;
}

// The message that the handler will get.
std::string fault(const Tcb& thread) {
    const Fault& fault = thread.fault;
    const Context& at = thread.context;
    const LookupFault& lookup = fault.lookup;
    auto x = [&](unsigned i) { return hex(at.x[i]); };
    switch (fault.label) {
        case abi::FaultLabel::NullFault: return "-";
        case abi::FaultLabel::CapFault:
            return call("CapFault", {hex(at.pc), hex(fault.words[0]), hex(fault.flag), hex(lookup.type), hex(lookup.bits_left), hex(lookup.detail1),
                                     hex(lookup.guard_size)});
        case abi::FaultLabel::UnknownSyscall:
            return call("UnknownSyscall", {x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7), hex(at.pc), hex(at.sp), x(30),
                                           hex(arch::sanitise_spsr(at.spsr)), hex(fault.words[0])});
        case abi::FaultLabel::UserException:
            return call("UserException", {hex(at.pc), hex(at.sp), hex(arch::sanitise_spsr(at.spsr)), hex(fault.words[0]), hex(fault.words[1])});
        case abi::FaultLabel::DebugException:
            return call("DebugException", {hex(at.pc), hex(fault.words[0]), hex(fault.words[1]), hex(breakpoint_number(thread))});
        case abi::FaultLabel::Timeout: return call("Timeout", {hex(fault.words[0]), hex(fault.words[1])});
        case abi::FaultLabel::VMFault: return call("VMFault", {hex(at.pc), hex(fault.words[0]), hex(fault.flag), hex(fault.words[1])});
    }
    throw std::logic_error("a fault of no kind");
}

std::string breakpoints(const Tcb& thread) {
    std::vector<std::string> all;
    auto add = [&](const DebugPoint& point, unsigned number) {
        if (point.enabled) all.push_back(hex(number) + ":" + hex(point.address) + ":" + hex(point.size) + ":" + hex(point.access));
    };
    for (unsigned i = 0; i < arch::breakpoint_count(); ++i) add(thread.debug.breakpoints[i], i);
    for (unsigned i = 0; i < arch::watchpoint_count(); ++i) add(thread.debug.watchpoints[i], arch::breakpoint_count() + i);
    return list(all);
}

std::string registers(const Core& core, const Tcb& thread) {
    std::vector<std::string> all;
    auto add = [&](const std::string& name, Word value) {
        if (value != 0) all.push_back(name + ":" + hex(value));
    };
    const Context& context = thread.context;
    for (unsigned i = 0; i < 31; ++i) add("x" + std::to_string(i), context.x[i]);
    add("sp", context.sp);
    add("pc", context.pc);
    add("spsr", context.spsr);
    // While a thread runs its thread pointers are in the processor.
    bool runs = core.current == &thread;
    add("tpidr_el0", runs ? hardware.tpidr : context.tpidr);
    add("tpidrro_el0", runs ? hardware.tpidrro : context.tpidrro);
    return list(all);
}

std::string thread_line(const Core& core, const Tcb& thread) {
    return "TCB state=" + run_state(thread) + " priority=" + hex(thread.priority.raw) + " mcp=" + hex(thread.max_priority.raw) +
           " domain=" + hex(thread.domain.raw) + " affinity=" + hex(thread.core.raw) + " flags=" + hex(thread.flags) +
           " buffer=" + hex(thread.buffer.raw) + " notification=" + option(thread.bound_notification) +
           " sched_context=" + option(thread.sched_context) + " yielded_to=" + option(thread.yielding_to) +
           " step_count=" + hex(thread.debug.steps) + " fault=" + fault(thread) + " breakpoints=" + breakpoints(thread) +
           " registers=" + registers(core, thread);
}

// -- Other objects

std::string queue(const PrioQueue<Tcb>& queue) {
    std::vector<std::string> all;
    for (const Tcb* thread = queue.head; thread != nullptr; thread = PrioQueue<Tcb>::after(*thread)) all.push_back(hex(physical(thread)));
    return list(all);
}

std::string endpoint_line(const Endpoint& endpoint) {
    return std::string("Endpoint senders=") + (endpoint.sending() ? queue(endpoint.queue) : "-") +
           " receivers=" + (endpoint.receiving() ? queue(endpoint.queue) : "-");
}

std::string notification_line(const Notification& notification) {
    bool active = notification.state == Notification::State::Active;
    return std::string("Notification active=") + boolean(active) + " word=" + hex(active ? notification.word : 0) + " waiters=" + queue(notification.queue) +
           " thread=" + option(notification.bound_tcb) + " sched_context=" + option(notification.sched_context);
}

std::string reply_line(const Reply& reply) {
    const Tcb* thread = reply.tcb;
    bool receives = thread != nullptr && thread->state == ThreadState::BlockedOnReceive;
    const Reply* newest = &reply;
    while (newest->next != nullptr) newest = newest->next;
    return "Reply caller=" + option(receives ? nullptr : thread) + " receiver=" + option(receives ? thread : nullptr) +
           " along=" + option(newest->context);
}

std::string refills(SchedContext& context) {
    std::vector<std::string> all;
    // A turn that is as good as over is a new one as soon as anybody looks.
    if (context.configured() && context.round_robin() && !refill_sufficient(context)) {
        return hex(context.first().time.raw) + ":" + hex(context.budget.raw);
    }
    for (unsigned i = 0; i < context.count; ++i) all.push_back(hex(context.refill(i).time.raw) + ":" + hex(context.refill(i).amount.raw));
    return list(context.configured() ? all : std::vector<std::string>{});
}

std::string context_line(SchedContext& context, SizeBits bits) {
    bool configured = context.configured();
    Ticks period = context.round_robin() ? context.budget : context.period;
    Micros budget_us = micros_up(context.budget);
    Micros period_us = context.round_robin() ? budget_us : micros_down(context.period);
    unsigned extra = configured && !context.round_robin() ? context.refill_max - 2u : 0;
    std::vector<std::string> calls;
    for (const Reply* reply = context.reply; reply != nullptr; reply = reply->prev) calls.push_back(hex(physical(reply)));
    return "SchedContext size_bits=" + hex(bits.raw) + " core=" + hex(context.core.raw) + " budget_us=" + hex(configured ? budget_us.raw : 0) +
           " period_us=" + hex(configured ? period_us.raw : 0) + " budget=" + hex(context.budget.raw) + " period=" + hex(period.raw) +
           " extra_refills=" + hex(extra) + " badge=" + hex(context.badge.raw) + " flags=" + hex(context.sporadic) +
           " refills=" + refills(context) + " unreturned=" + hex(context.unreturned.raw) +
           " consumed=" + hex(context.consumed.raw) + " thread=" + option(context.tcb) +
           " notification=" + option(context.notification) + " calls=" + list(calls) + " yielder=" + option(context.yield_from);
}

std::string page(arch::Pte entry, unsigned level) {
    arch::PageAttributes made = arch::entry_attributes(entry);
    Word rights = Word{made.write} | Word{made.read} << 1;
    Word attributes = abi::VMAttributes::make(made.cacheable, 0, !made.execute).raw;
    return call("page", {hex(arch::entry_address(entry).raw), hex(level_shift(level)), boolean(made.device), hex(rights), hex(attributes)});
}

std::string entries(const Cap& table, unsigned level) {
    constexpr unsigned count = 512;
    const arch::Pte* all = arch::pointer<arch::Pte>(table.object());
    std::vector<std::string> present;
    for (unsigned i = 0; i < count; ++i) {
        if (!arch::entry_present(all[i])) continue;
        bool leads_on = arch::entry_is_table(all[i], level);
        present.push_back(hex(i) + ":" + (leads_on ? call("table", {hex(arch::entry_address(all[i]).raw)}) : page(all[i], level)));
    }
    return " entries=" + list(present);
}

std::string pool_line(const AsidPoolCap& cap) {
    const AsidPool& pool = cap.as_object<AsidPool>();
    std::vector<std::string> assigned;
    for (Word i = 0; i < abi::asid_pool_entries; ++i) {
        if (pool.vspace[i] != KernAddr(0)) assigned.push_back(hex(i) + ":" + hex(arch::to_physical(pool.vspace[i]).raw));
    }
    return "ASIDPool index=" + hex(cap.number() / abi::asid_pool_entries) + " assigned=" + list(assigned);
}

std::string object_line(const Core& core, const Cap& cap) {
    switch (cap.type()) {
        case CapType::CNode: return "CNode radix=" + hex(as<CNodeCap>(cap).radix());
        case CapType::Zombie:
            if (!as<ZombieCap>(cap).is_tcb()) return "CNode radix=" + hex(as<ZombieCap>(cap).radix());
            return thread_line(core, cap.as_object<Tcb>());
        case CapType::TCB: return thread_line(core, cap.as_object<Tcb>());
        case CapType::Endpoint: return endpoint_line(cap.as_object<Endpoint>());
        case CapType::Notification: return notification_line(cap.as_object<Notification>());
        case CapType::Reply: return reply_line(cap.as_object<Reply>());
        case CapType::SchedContext: return context_line(cap.as_object<SchedContext>(), as<SchedContextCap>(cap).size_bits());
        case CapType::VSpace: return "VSpace" + entries(cap, 0);
        case CapType::PageTable: return "PageTable" + entries(cap, as<PageTableCap>(cap).is_mapped() ? as<PageTableCap>(cap).level() : last_level);
        case CapType::ASIDPool: return pool_line(as<AsidPoolCap>(cap));
        default: break;
    }
    throw std::logic_error("a capability without an object");
}

bool has_object(const Cap& cap) {
    switch (cap.type()) {
        case CapType::CNode:
        case CapType::Zombie:
        case CapType::TCB:
        case CapType::Endpoint:
        case CapType::Notification:
        case CapType::Reply:
        case CapType::SchedContext:
        case CapType::VSpace:
        case CapType::PageTable:
        case CapType::ASIDPool: return true;
        default: return false;
    }
}

// -- The core's own

// The thread that runs and those that are ready stand in one list, by priority.
std::string ready(const Core& core) {
    std::vector<std::string> all;
    for (unsigned priority = abi::priorities; priority-- > 0;) {
        for (const ReadyQueues& queues : core.queues) {
            bool own = core.current != nullptr && &queues == core.ready && core.current->priority.raw == priority;
            if (own) all.push_back(hex(physical(core.current)));
            const Tcb* head = queues.rings[priority].head;
            const Tcb* thread = head;
            while (thread != nullptr) {
                all.push_back(hex(physical(thread)));
                thread = thread->ready.next == head ? nullptr : thread->ready.next;
            }
        }
    }
    return list(all);
}

std::string sleeping(const Inventory& inventory) {
    std::vector<std::string> all;
    for (const Tcb* thread : inventory.threads()) {
        if (thread->release.linked()) all.push_back(hex(physical(thread)));
    }
    return list(all);
}

std::string machine_line(const Kernel& kernel) {
    return "machine cores=" + hex(kernel.core_count) + " last_interrupt=" + hex(arch::irq_count() - 1) +
           " timer_interrupt=" + hex(arch::timer_irq().raw) + " timer_frequency=" + hex(arch::timer_frequency()) +
           " smallest_budget_us=" + hex(min_budget_us.raw) + " breakpoints=" + hex(arch::breakpoint_count()) +
           " watchpoints=" + hex(arch::watchpoint_count()) + " debug_build=" + boolean(debug_build) + "\n";
}

std::string core_line(const Core& core, const Inventory& inventory) {
    return "core now=" + hex(hardware.time) + " current=" + option(core.current) + " sched_context=" + option(core.current_sched_context) +
           " charged_until=" + hex(core.charged_until.raw) + " ready=" + ready(core) + " sleeping=" + sleeping(inventory) +
           " schedule_start=" + hex(core.kernel->domain_start) + " schedule_index=" + hex(core.domain_entry) +
           " turn_end=" + option(core.domain_end.raw, core.domain_end != never) + "\n";
}

std::string turns(const Kernel& kernel) {
    std::string text;
    for (unsigned i = 0; i < abi::domain_schedule_entries; ++i) {
        const DomainTurn& turn = kernel.domain_schedule[i];
        if (turn.length == Ticks(0)) continue;
        text += "turn " + hex(i) + " domain=" + hex(turn.domain.raw) + " length=" + hex(turn.length.raw) + "\n";
    }
    return text;
}

std::string interrupts(const Kernel& kernel, const Controller& controller) {
    std::string text;
    for (unsigned irq = 0; irq < Kernel::max_irqs; ++irq) {
        if (!kernel.irq_issued[irq]) continue;
        Line line = controller.lines[irq];
        // Software-generated interrupts are edges, and SError is no line of the controller.
        if (irq < first_line) line = {.edge = true, .masked = line.masked, .active = false};
        if (irq == abi::irq_serror) line = {.edge = false, .masked = kernel.irq_notifications[irq].empty(), .active = false};
        text += "interrupt " + hex(irq) + " edge=" + boolean(line.edge) + " masked=" + boolean(line.masked) + " active=" + boolean(line.active) + "\n";
    }
    return text;
}

std::string pools(const Kernel& kernel) {
    std::string text;
    for (unsigned i = 0; i < abi::asid_pools; ++i) {
        if (kernel.asid_pools[i] != nullptr) text += "pool " + hex(i) + " object=" + hex(physical(kernel.asid_pools[i])) + "\n";
    }
    return text;
}

// The nearest capability before a slot in its list from which it is derived, or null.
const Slot* parent_of(const Slot& slot) {
    for (const Slot* before = slot.prev(); before != nullptr; before = before->prev()) {
        if (is_parent(*before, slot)) return before;
    }
    return nullptr;
}

std::string slot_line(const Inventory& inventory, const Inventory::Place& place) {
    const Slot* parent = parent_of(*place.slot);
    return "slot " + hex(place.name) + " " + capability(place.slot->cap) +
           " parent=" + option(parent == nullptr ? 0 : inventory.name_of(parent), parent != nullptr) +
           " original=" + boolean(place.slot->revocable()) + "\n";
}

// Children in the order of their list, which is that in which they would be deleted.
std::string children(const Inventory& inventory) {
    std::map<Word, std::vector<std::string>> all;
    for (const Inventory::Place& place : inventory.slots()) {
        if (place.slot->prev() != nullptr) continue;
        for (const Slot* slot = place.slot; slot != nullptr; slot = slot->next()) {
            if (const Slot* parent = parent_of(*slot)) all[inventory.name_of(parent)].push_back(hex(inventory.name_of(slot)));
        }
    }
    std::string text;
    for (const auto& [parent, slots] : all) {
        if (slots.size() > 1) text += "children " + hex(parent) + " of=" + list(slots) + "\n";
    }
    return text;
}

}  // namespace

Word physical(const void* object) { return arch::to_physical(arch::address_of(object)).raw; }

// -- Inventory

Inventory::Inventory(Core& core, Slot* slots, Word count) {
    for (Word i = 0; i < count; ++i) add(&slots[i], physical(&slots[i]));
    for (unsigned irq = 0; irq < Kernel::max_irqs; ++irq) add(&core.kernel->irq_notifications[irq], irq_slots + sizeof(Slot) * irq);
    // What lies in containers is found while the list grows.
    for (std::size_t i = 0; i < slots_.size(); ++i) enter(slots_[i].slot->cap);
    std::sort(slots_.begin(), slots_.end(), [](const Place& a, const Place& b) { return a.name < b.name; });
    std::sort(objects_.begin(), objects_.end(), [](const Cap* a, const Cap* b) { return a->object() < b->object(); });
}

void Inventory::add(const Slot* slot, Word name) {
    if (slot->empty() || !names_.emplace(slot, name).second) return;
    slots_.push_back({slot, name});
}

void Inventory::enter(const Cap& cap) {
    if (!has_object(cap) || !seen_.emplace(cap.object(), true).second) return;
    objects_.push_back(&cap);
    bool zombie = cap.is(CapType::Zombie);
    if (cap.is(CapType::TCB) || (zombie && as<ZombieCap>(cap).is_tcb())) {
        const Tcb& thread = cap.as_object<Tcb>();
        for (unsigned i = 0; i < tcb_slots; ++i) add(&thread.slots[i], physical(&thread) + sizeof(Slot) * i);
    } else if (cap.is(CapType::CNode) || zombie) {
        unsigned radix = zombie ? as<ZombieCap>(cap).radix() : as<CNodeCap>(cap).radix();
        const Slot* all = arch::pointer<Slot>(cap.object());
        for (Word i = 0; i >> radix == 0; ++i) add(&all[i], physical(&all[i]));
    }
}

std::vector<const Tcb*> Inventory::threads() const {
    std::vector<const Tcb*> all;
    for (const Cap* cap : objects_) {
        bool thread = cap->is(CapType::TCB) || (cap->is(CapType::Zombie) && as<ZombieCap>(*cap).is_tcb());
        if (thread) all.push_back(&cap->as_object<Tcb>());
    }
    return all;
}

Word Inventory::name_of(const Slot* slot) const {
    auto found = names_.find(slot);
    if (found == names_.end()) throw std::logic_error("a capability in a slot of no container");
    return found->second;
}

// -- All of it

std::string abstract_state(Core& core, const Inventory& inventory, const Controller& controller) {
    const Kernel& kernel = *core.kernel;
    std::string text = machine_line(kernel) + core_line(core, inventory) + turns(kernel);
    for (const Cap* cap : inventory.objects()) text += "object " + object_address(*cap) + " " + object_line(core, *cap) + "\n";
    for (const Inventory::Place& place : inventory.slots()) text += slot_line(inventory, place);
    return text + children(inventory) + interrupts(kernel, controller) + pools(kernel);
}

}  // namespace caprock::lockstep
