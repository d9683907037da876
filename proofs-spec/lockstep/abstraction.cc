// SPDX-License-Identifier: BSD-2-Clause
#include "abstraction.hpp"

#include "config.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>
#include <vector>

namespace caprock::lockstep {

using host::hardware;

namespace {

constexpr unsigned first_line = 16;   // interrupts below are software-generated

// -- Text

// Appends words, numbers and lists to a text.
class Text {
public:
    explicit Text(std::string& out) : out_(out) {}

    Text& operator<<(std::string_view words) {
        out_ += words;
        return *this;
    }
    Text& operator<<(Word number) {
        char digits[18] = {'0', 'x'};
        char* end = std::to_chars(digits + 2, std::end(digits), number, 16).ptr;
        out_.append(digits, static_cast<std::size_t>(end - digits));
        return *this;
    }
    Text& flag(bool value) { return *this << (value ? "1" : "0"); }
    Text& object(const void* object) { return object == nullptr ? *this << "-" : *this << physical(object); }
    Text& option(Word value, bool present) { return present ? *this << value : *this << "-"; }

private:
    std::string& out_;
};

// Commas between items, "-" for none.
class Items {
public:
    explicit Items(Text& text) : text_(text) {}
    Text& next() {
        if (any_) text_ << ",";
        any_ = true;
        return text_;
    }
    void end() {
        if (!any_) text_ << "-";
    }

private:
    Text& text_;
    bool any_ = false;
};

// A name and arguments in parentheses.
void call(Text& text, std::string_view name, std::initializer_list<Word> arguments) {
    text << name << "(";
    for (const Word& argument : arguments) text << (&argument == arguments.begin() ? "" : ",") << argument;
    text << ")";
}

Word object_address(const Cap& cap) { return arch::to_physical(cap.object()).raw; }

// -- Capabilities

void place(Text& text, const MappedCap& cap, unsigned level) {
    if (!cap.is_mapped()) {
        text << "-)";
        return;
    }
    text << cap.asid().raw << "," << cap.address().raw << "," << Word{level} << ")";
}

void frame(Text& text, const FrameCap& cap) {
    Word rights = Word{cap.can_write()} | Word{cap.can_read()} << 1;
    text << "Frame(" << object_address(cap) << "," << Word{cap.size_bits().raw} << ",";
    text.flag(cap.is_device()) << "," << rights << ",";
    place(text, cap, cap.level());
}

void untyped(Text& text, const UntypedCap& cap) {
    text << "Untyped(" << object_address(cap) << "," << Word{cap.size_bits().raw} << ",";
    text.flag(cap.is_device()) << "," << cap.watermark() << ")";
}

void vspace(Text& text, const VSpaceCap& cap) {
    text << "VSpace(" << object_address(cap) << ",";
    text.option(cap.number(), cap.number() != 0) << ")";
}

void page_table(Text& text, const PageTableCap& cap) {
    text << "PageTable(" << object_address(cap) << ",";
    place(text, cap, cap.level());
}

void capability(Text& text, const Cap& cap) {
    constexpr Word grant = 4;
    auto badged = [&](const char* name) {
        const auto& endpoint = as<EndpointCap>(cap);
        call(text, name, {object_address(cap), endpoint.badge().raw, endpoint.rights().raw});
    };
    auto cnode = [&] {
        const auto& node = as<CNodeCap>(cap);
        call(text, "CNode", {object_address(cap), node.radix(), node.guard(), node.guard_size()});
    };
    switch (cap.type()) {
        case CapType::Untyped: return untyped(text, as<UntypedCap>(cap));
        case CapType::Endpoint: return badged("Endpoint");
        case CapType::Notification: return badged("Notification");
        case CapType::Reply: return call(text, "Reply", {object_address(cap), as<ReplyCap>(cap).can_grant() ? grant : 0});
        case CapType::CNode: return cnode();
        case CapType::TCB: return call(text, "TCB", {object_address(cap)});
        case CapType::SchedContext: return call(text, "SchedContext", {object_address(cap), as<SchedContextCap>(cap).size_bits().raw});
        case CapType::SchedControl: return call(text, "SchedControl", {as<SchedControlCap>(cap).number()});
        case CapType::VSpace: return vspace(text, as<VSpaceCap>(cap));
        case CapType::PageTable: return page_table(text, as<PageTableCap>(cap));
        case CapType::Frame: return frame(text, as<FrameCap>(cap));
        case CapType::ASIDControl: text << "ASIDControl"; return;
        case CapType::ASIDPool: return call(text, "ASIDPool", {object_address(cap)});
        case CapType::IRQControl: text << "IRQControl"; return;
        case CapType::IRQHandler: return call(text, "IRQHandler", {as<IrqHandlerCap>(cap).number()});
        case CapType::SGISignal: return call(text, "SGISignal", {as<SgiSignalCap>(cap).irq().raw, as<SgiSignalCap>(cap).core().raw});
        case CapType::Domain: text << "Domain"; return;
        case CapType::Inspect: text << "Inspect"; return;
        case CapType::Zombie: return call(text, "Zombie", {object_address(cap)});
        case CapType::Null: break;
    }
    throw std::logic_error("a capability of no type");
}

// -- Threads

void run_state(Text& text, const Tcb& thread) {
    const SendOptions how = thread.sending;
    auto flag = [&](bool value) { (text << ",").flag(value); };
    switch (thread.state) {
        case ThreadState::Inactive: text << "inactive"; return;
        case ThreadState::Running: text << "running"; return;
        case ThreadState::BlockedOnReceive:
            (text << "receive(").object(thread.endpoint) << ",";
            text.object(thread.reply);
            flag(thread.receiving.has(ReceiveOptions::require_donation));
            flag(thread.receiving.has(ReceiveOptions::grant));
            break;
        case ThreadState::BlockedOnSend:
            (text << "send(").object(thread.endpoint) << "," << thread.badge.raw;
            for (auto option : {SendOptions::grant, SendOptions::grant_reply, SendOptions::call, SendOptions::donate}) flag(how.has(option));
            break;
        case ThreadState::BlockedOnReply:
            (text << "reply(").object(thread.reply);
            flag(thread.receiving.has(ReceiveOptions::grant));
            break;
        case ThreadState::BlockedOnNotification: (text << "wait(").object(thread.notification); break;
    }
    text << ")";
}

// The message that the handler will get.
void fault(Text& text, const Tcb& thread) {
    const Fault& fault = thread.fault;
    const Context& at = thread.context;
    const LookupFault& lookup = fault.lookup;
    Word spsr = arch::sanitise_spsr(at.spsr);
    switch (fault.label) {
        case abi::FaultLabel::NullFault: text << "-"; return;
        case abi::FaultLabel::CapFault:
            return call(text, "CapFault", {at.pc, fault.words[0], fault.flag, static_cast<Word>(lookup.type()), lookup.bits_left(), lookup.detail,
                                           lookup.guard_size()});
        case abi::FaultLabel::UnknownSyscall:
            return call(text, "UnknownSyscall", {at.x[0], at.x[1], at.x[2], at.x[3], at.x[4], at.x[5], at.x[6], at.x[7], at.pc, at.sp, at.x[30],
                                                 spsr, fault.words[0]});
        case abi::FaultLabel::UserException: return call(text, "UserException", {at.pc, at.sp, spsr, fault.words[0], fault.words[1]});
        case abi::FaultLabel::DebugException:
            return call(text, "DebugException", {at.pc, fault.words[0], fault.words[1], fault.words[2]});
        case abi::FaultLabel::Timeout: return call(text, "Timeout", {fault.words[0], fault.words[1]});
        case abi::FaultLabel::VMFault: return call(text, "VMFault", {at.pc, fault.words[0], fault.flag, fault.words[1]});
    }
    throw std::logic_error("a fault of no kind");
}

void breakpoints(Text& text, const Tcb& thread) {
    Items items(text);
    auto add = [&](const DebugPoint& point, unsigned number) {
        if (point.enabled) items.next() << Word{number} << ":" << point.address << ":" << point.size << ":" << static_cast<Word>(point.access);
    };
    for (unsigned i = 0; i < arch::breakpoint_count(); ++i) add(thread.debug.breakpoints[i], i);
    for (unsigned i = 0; i < arch::watchpoint_count(); ++i) add(thread.debug.watchpoints[i], arch::breakpoint_count() + i);
    items.end();
}

void registers(Text& text, const Core& core, const Tcb& thread) {
    static constexpr const char* x_names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
                                              "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30"};
    Items items(text);
    auto add = [&](const char* name, Word value) {
        if (value != 0) items.next() << name << ":" << value;
    };
    const Context& context = thread.context;
    // Of a thread that waits for a message or an answer only what its system call needs counts.
    bool receives = thread.state == ThreadState::BlockedOnReceive;
    bool calls = thread.state == ThreadState::BlockedOnReply && !thread.faulted();
    for (unsigned i = 0; i < 31; ++i) {
        bool kept = i == reg::cap || i == reg::reply || i == reg::number || i > 18;
        if (!(receives && !kept) && !(calls && i <= 18)) add(x_names[i], context.x[i]);
    }
    add("sp", context.sp);
    add("pc", context.pc);
    add("spsr", context.spsr);
    // While a thread runs its thread pointers are in the processor.
    bool runs = core.current == &thread;
    add("tpidr_el0", runs ? hardware.tpidr : context.tpidr);
    add("tpidrro_el0", runs ? hardware.tpidrro : context.tpidrro);
    items.end();
}

void thread_line(Text& text, const Core& core, const Tcb& thread) {
    run_state(text << "TCB state=", thread);
    text << " priority=" << Word{thread.priority.raw} << " mcp=" << Word{thread.max_priority.raw} << " domain=" << Word{thread.domain.raw}
         << " affinity=" << Word{thread.core.raw} << " flags=" << Word{thread.flags} << " buffer=" << thread.buffer.raw << " notification=";
    text.object(thread.bound_notification) << " sched_context=";
    text.object(thread.sched_context) << " yielded_to=";
    text.object(thread.yielding_to) << " step_count=" << Word{thread.debug.steps} << " fault=";
    fault(text, thread);
    breakpoints(text << " breakpoints=", thread);
    registers(text << " registers=", core, thread);
}

// -- Other objects

void queue(Text& text, const PrioQueue<Tcb>& queue, bool shown = true) {
    Items items(text);
    for (const Tcb* thread = shown ? queue.head : nullptr; thread != nullptr; thread = PrioQueue<Tcb>::after(*thread)) items.next() << physical(thread);
    items.end();
}

// Who sweeps an endpoint is not in the abstract state, but who is said to do so must.
bool is_swept_rightly(const Endpoint& endpoint) {
    return !endpoint.sending() || endpoint.sweeper() == nullptr || endpoint.sweeper()->sweep.endpoint == &endpoint;
}

void endpoint_line(Text& text, const Endpoint& endpoint) {
    if (!is_swept_rightly(endpoint)) throw std::logic_error("an endpoint that another one's sweeper sweeps");
    queue(text << "Endpoint senders=", endpoint.queue, endpoint.sending());
    queue(text << " receivers=", endpoint.queue, endpoint.receiving());
}

void notification_line(Text& text, const Notification& notification) {
    bool active = notification.state == Notification::State::Active;
    (text << "Notification active=").flag(active) << " word=" << (active ? notification.word : 0);
    queue(text << " waiters=", notification.queue);
    (text << " thread=").object(notification.bound_tcb);
    (text << " sched_context=").object(notification.sched_context);
}

void reply_line(Text& text, const Reply& reply) {
    const Tcb* thread = reply.tcb;
    bool receives = thread != nullptr && thread->state == ThreadState::BlockedOnReceive;
    const Reply* newest = &reply;
    while (newest->next != nullptr) newest = newest->next;
    (text << "Reply caller=").object(receives ? nullptr : thread);
    (text << " receiver=").object(receives ? thread : nullptr);
    (text << " along=").object(newest->context);
}

void refills(Text& text, SchedContext& context) {
    // A turn that is as good as over is a new one as soon as anybody looks.
    if (context.configured() && context.round_robin() && !refill_sufficient(context)) {
        text << context.first().time.raw << ":" << context.budget.raw;
        return;
    }
    Items items(text);
    for (unsigned i = 0; context.configured() && i < context.count; ++i) {
        items.next() << context.refill(i).time.raw << ":" << context.refill(i).amount.raw;
    }
    items.end();
}

void context_line(Text& text, SchedContext& context, SizeBits bits) {
    bool configured = context.configured();
    Ticks period = context.round_robin() ? context.budget : context.period;
    Micros budget_us = micros_up(context.budget);
    Micros period_us = context.round_robin() ? budget_us : micros_down(context.period);
    unsigned extra = configured && !context.round_robin() ? context.refill_max - 2u : 0;
    text << "SchedContext size_bits=" << Word{bits.raw} << " core=" << Word{context.core.raw} << " budget_us=" << (configured ? budget_us.raw : 0)
         << " period_us=" << (configured ? period_us.raw : 0) << " budget=" << context.budget.raw << " period=" << period.raw
         << " extra_refills=" << Word{extra} << " badge=" << context.badge.raw << " flags=" << Word{context.sporadic} << " refills=";
    refills(text, context);
    text << " unreturned=" << context.unreturned.raw << " consumed=" << context.consumed.raw << " thread=";
    text.object(context.tcb) << " notification=";
    text.object(context.notification) << " calls=";
    Items items(text);
    for (const Reply* reply = context.reply; reply != nullptr; reply = reply->prev) items.next() << physical(reply);
    items.end();
    (text << " yielder=").object(context.yield_from);
}

void page(Text& text, arch::Pte entry, unsigned level) {
    arch::PageAttributes made = arch::entry_attributes(entry);
    Word rights = Word{made.write} | Word{made.read} << 1;
    Word attributes = abi::VMAttributes::make(made.cacheable, 0, !made.execute).raw;
    text << "page(" << arch::entry_address(entry).raw << "," << Word{level_shift(level)} << ",";
    text.flag(made.device) << "," << rights << "," << attributes << ")";
}

void entries(Text& text, const Cap& table, unsigned level) {
    constexpr unsigned count = 512;
    const arch::Pte* all = arch::pointer<arch::Pte>(table.object());
    Items items(text << " entries=");
    for (unsigned i = 0; i < count; ++i) {
        if (all[i] == 0 || !arch::entry_present(all[i])) continue;
        items.next() << Word{i} << ":";
        if (arch::entry_is_table(all[i], level)) {
            text << "table(" << arch::entry_address(all[i]).raw << ")";
        } else {
            page(text, all[i], level);
        }
    }
    items.end();
}

void pool_line(Text& text, const AsidPoolCap& cap) {
    const AsidPool& pool = cap.as_object<AsidPool>();
    Items items(text << "ASIDPool index=" << cap.number() / abi::asid_pool_entries << " assigned=");
    for (Word i = 0; i < abi::asid_pool_entries; ++i) {
        if (pool.vspace[i] != KernAddr(0)) items.next() << i << ":" << arch::to_physical(pool.vspace[i]).raw;
    }
    items.end();
}

bool is_thread(const Cap& cap) { return cap.is(CapType::TCB) || (cap.is(CapType::Zombie) && as<ZombieCap>(cap).is_tcb()); }

void object_line(Text& text, const Core& core, const Cap& cap) {
    if (is_thread(cap)) return thread_line(text, core, cap.as_object<Tcb>());
    switch (cap.type()) {
        case CapType::CNode: text << "CNode radix=" << Word{as<CNodeCap>(cap).radix()}; return;
        case CapType::Zombie: text << "CNode radix=" << Word{as<ZombieCap>(cap).radix()}; return;
        case CapType::Endpoint: return endpoint_line(text, cap.as_object<Endpoint>());
        case CapType::Notification: return notification_line(text, cap.as_object<Notification>());
        case CapType::Reply: return reply_line(text, cap.as_object<Reply>());
        case CapType::SchedContext: return context_line(text, cap.as_object<SchedContext>(), as<SchedContextCap>(cap).size_bits());
        case CapType::VSpace: return entries(text << "VSpace", cap, 0);
        case CapType::PageTable:
            return entries(text << "PageTable", cap, as<PageTableCap>(cap).is_mapped() ? as<PageTableCap>(cap).level() : last_level);
        case CapType::ASIDPool: return pool_line(text, as<AsidPoolCap>(cap));
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
void ready(Text& text, const Core& core) {
    struct Place {
        unsigned priority;
        const Tcb* head;
        const Tcb* ahead;   // the thread that runs, where it stands ahead of the others
    };
    std::vector<Place> places;
    for (const ReadyQueues& queues : core.queues) {
        const Tcb* running = &queues == core.ready ? core.current : nullptr;
        for (unsigned priority = 0; priority < abi::priorities; ++priority) {
            const Tcb* ahead = running != nullptr && running->priority.raw == priority ? running : nullptr;
            const Tcb* head = queues.rings[priority].head;
            if (head != nullptr || ahead != nullptr) places.push_back({priority, head, ahead});
        }
    }
    std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.priority > b.priority; });
    Items items(text);
    for (const Place& place : places) {
        if (place.ahead != nullptr) items.next() << physical(place.ahead);
        for (const Tcb* thread = place.head; thread != nullptr; thread = thread->ready.next == place.head ? nullptr : thread->ready.next) {
            items.next() << physical(thread);
        }
    }
    items.end();
}

void machine_line(Text& text, const Kernel& kernel) {
    text << "machine cores=" << Word{kernel.core_count} << " last_interrupt=" << Word{arch::irq_count() - 1}
         << " timer_interrupt=" << Word{arch::timer_irq().raw} << " timer_frequency=" << arch::timer_frequency()
         << " smallest_budget_us=" << min_budget_us.raw << " breakpoints=" << Word{arch::breakpoint_count()}
         << " watchpoints=" << Word{arch::watchpoint_count()} << " debug_build=";
    text.flag(debug_build) << "\n";
}

// By the time of the first refill. The kernel's heap has no order of all.
void sleepers(Text& text, const Inventory& inventory) {
    std::vector<const Tcb*> threads;
    for (const Tcb* thread : inventory.threads()) {
        if (thread->release.linked()) threads.push_back(thread);
    }
    auto wakes_before = [](const Tcb* a, const Tcb* b) { return a->sched_context->first().time < b->sched_context->first().time; };
    std::stable_sort(threads.begin(), threads.end(), wakes_before);
    Items items(text << " sleeping=");
    for (const Tcb* thread : threads) items.next() << physical(thread);
    items.end();
}

void core_line(Text& text, const Core& core, const Inventory& inventory) {
    (text << "core now=" << hardware.time << " current=").object(core.current) << " sched_context=";
    text.object(core.current_sched_context) << " charged_until=" << core.charged_until.raw << " ready=";
    ready(text, core);
    sleepers(text, inventory);
    text << " schedule_start=" << Word{core.kernel->domain_start} << " schedule_index=" << Word{core.domain_entry} << " domain=" << Word{core.domain.raw}
         << " turn_end=";
    text.option(core.domain_end.raw, core.domain_end != never) << "\n";
}

void turns(Text& text, const Kernel& kernel) {
    for (unsigned i = 0; i < abi::domain_schedule_entries; ++i) {
        const DomainTurn& turn = kernel.domain_schedule[i];
        if (turn.length == Ticks(0)) continue;
        text << "turn " << Word{i} << " domain=" << Word{turn.domain.raw} << " length=" << turn.length.raw << "\n";
    }
}

void interrupts(Text& text, const Kernel& kernel, const Controller& controller) {
    for (unsigned irq = 0; irq < Kernel::max_irqs; ++irq) {
        if (!kernel.irq_issued[irq]) continue;
        InterruptLine line = controller.lines[irq];
        // Software-generated interrupts are edges, and SError is no line of the controller.
        if (irq < first_line) line = {.edge = true, .masked = line.masked, .active = false};
        if (irq == abi::irq_serror) line = {.edge = false, .masked = kernel.irq_notifications[irq].empty(), .active = false};
        (text << "interrupt " << Word{irq} << " edge=").flag(line.edge) << " masked=";
        text.flag(line.masked) << " active=";
        text.flag(line.active) << "\n";
    }
}

void pools(Text& text, const Kernel& kernel) {
    for (unsigned i = 0; i < abi::asid_pools; ++i) {
        if (kernel.asid_pools[i] != nullptr) text << "pool " << Word{i} << " object=" << physical(kernel.asid_pools[i]) << "\n";
    }
}

void slot_line(Text& text, const Inventory::Place& place) {
    capability(text << "slot " << place.name << " ", place.slot->cap);
    (text << " parent=").option(place.parent, place.parent != 0) << " original=";
    text.flag(place.slot->revocable()) << "\n";
}

}  // namespace

Word physical(const void* object) { return arch::to_physical(arch::address_of(object)).raw; }

// -- Inventory

Inventory::Inventory(Core& core, Slot* slots, Word count) : root_(slots) {
    slots_.reserve(512);
    for (Word i = 0; i < count; ++i) add(&slots[i], physical(&slots[i]));
    for (unsigned irq = 0; irq < Kernel::max_irqs; ++irq) add(&core.kernel->irq_notifications[irq], irq_slots + sizeof(Slot) * irq);
    std::size_t entered = 0;
    std::size_t known = 0;
    do {
        known = objects_.size();
        // A container that holds its own last capability is found by what that is derived from.
        for (const Slot* slot : std::exchange(unknown_, {})) enter(slot->cap);
        // What lies in containers is found while the list grows.
        for (; entered < slots_.size(); ++entered) enter(slots_[entered].slot->cap);
        std::sort(slots_.begin(), slots_.end(), [](const Place& a, const Place& b) { return std::less<>{}(a.slot, b.slot); });
        find_parents();
    } while (!unknown_.empty() && objects_.size() > known);
    if (!unknown_.empty()) throw std::logic_error("a capability in a slot of no container");
    std::sort(slots_.begin(), slots_.end(), [](const Place& a, const Place& b) { return a.name < b.name; });
    std::sort(objects_.begin(), objects_.end(), [](const Cap* a, const Cap* b) { return a->object() < b->object(); });
    for (const Cap* cap : objects_) {
        if (is_thread(*cap)) threads_.push_back(&cap->as_object<Tcb>());
    }
}

void Inventory::add(const Slot* slot, Word name) {
    if (!slot->empty()) slots_.push_back({slot, name, 0});
}

void Inventory::enter(const Cap& cap) {
    if (!has_object(cap) || !known_.insert(cap.object().raw).second) return;
    objects_.push_back(&cap);
    if (is_thread(cap)) {
        const Tcb& thread = cap.as_object<Tcb>();
        for (unsigned i = 0; i < tcb_slots; ++i) add(&thread.slots[i], physical(&thread) + sizeof(Slot) * i);
    } else if (cap.is(CapType::CNode) || cap.is(CapType::Zombie)) {
        unsigned radix = cap.is(CapType::Zombie) ? as<ZombieCap>(cap).radix() : as<CNodeCap>(cap).radix();
        const Slot* all = arch::pointer<Slot>(cap.object());
        for (Word i = 0; all != root_ && i >> radix == 0; ++i) add(&all[i], physical(&all[i]));
    }
}

// The derivatives of a capability follow it in the list: those above a slot are a stack.
void Inventory::find_parents() {
    std::vector<const Place*> above;
    for (const Place& head : slots_) {
        if (head.slot->prev() != nullptr) continue;
        above.clear();
        for (const Slot* slot = head.slot; slot != nullptr; slot = slot->next()) {
            while (!above.empty() && !is_parent(*above.back()->slot, *slot)) above.pop_back();
            Place* place = find(slot);
            if (place == nullptr) {
                unknown_.push_back(slot);
                continue;
            }
            place->parent = above.empty() ? 0 : above.back()->name;
            above.push_back(place);
        }
    }
}

// While the slots stand in the order of their addresses.
Inventory::Place* Inventory::find(const Slot* slot) {
    auto found = std::lower_bound(slots_.begin(), slots_.end(), slot, [](const Place& place, const Slot* sought) { return std::less<>{}(place.slot, sought); });
    return found == slots_.end() || found->slot != slot ? nullptr : &*found;
}

// -- All of it

void write_state(std::string& out, Core& core, const Inventory& inventory, const Controller& controller) {
    const Kernel& kernel = *core.kernel;
    Text text(out);
    machine_line(text, kernel);
    core_line(text, core, inventory);
    turns(text, kernel);
    for (const Cap* cap : inventory.objects()) {
        object_line(text << "object " << object_address(*cap) << " ", core, *cap);
        text << "\n";
    }
    for (const Inventory::Place& place : inventory.slots()) slot_line(text, place);
    interrupts(text, kernel, controller);
    pools(text, kernel);
}

void write_children(std::string& out, const Inventory& inventory) {
    std::map<const Slot*, const Inventory::Place*> places;
    for (const Inventory::Place& place : inventory.slots()) places[place.slot] = &place;
    // Children in the order of their list, which is that in which they would be deleted.
    std::map<Word, std::vector<Word>> all;
    for (const Inventory::Place& head : inventory.slots()) {
        if (head.slot->prev() != nullptr) continue;
        for (const Slot* slot = head.slot; slot != nullptr; slot = slot->next()) all[places.at(slot)->parent].push_back(places.at(slot)->name);
    }
    all.erase(0);
    Text text(out);
    for (const auto& [parent, slots] : all) {
        Items items(text << "children " << parent << " of=");
        for (Word slot : slots) items.next() << slot;
        text << "\n";
    }
}

}  // namespace caprock::lockstep
