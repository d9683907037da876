// SPDX-License-Identifier: BSD-2-Clause
#include "lockstep.hpp"

#include "cap/lookup.hpp"
#include "fuzz_tables.hpp"
#include "ipc/message.hpp"
#include "object/inspect.hpp"
#include "saved_state.hpp"
#include "watchdog.hpp"

#include <algorithm>
#include <cstring>

namespace caprock::lockstep {

using host::hardware;

namespace {

constexpr Word condition_flags = 0xf000'0000;
constexpr unsigned most_units_at_once = 4;           // between two preemption points
constexpr Word most_cleared = 4 * page_size;         // the same
constexpr std::string_view before = "before";   // the specification's state before the event

constexpr const char* register_names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10", "x11",
                                          "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                          "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "spsr", "tpidr_el0", "tpidrro_el0"};
constexpr unsigned register_count = std::size(register_names);

// The current thread's registers.
Word register_value(const Tcb& thread, unsigned i) {
    const Context& context = thread.context;
    if (i < 31) return context.x[i];
    switch (i) {
        case 31: return context.sp;
        case 32: return context.pc;
        case 33: return context.spsr & condition_flags;
        case 34: return hardware.tpidr;
        default: return hardware.tpidrro;
    }
}

const char* syscall_name(Word number) {
    constexpr const char* names[] = {"",     "Call",   "ReplyRecv", "Send",   "NBSend",     "Recv",
                                     "NBRecv", "Wait", "NBWait",    "NBSendRecv", "NBSendWait", "Yield"};
    Word low = number & abi::syscall_number_mask;
    if (low == static_cast<Word>(abi::Syscall::DebugPutChar)) return "DebugPutChar";
    if (low == static_cast<Word>(abi::Syscall::DebugCapIdentify)) return "DebugCapIdentify";
    if (low > 0 && low < std::size(names)) return names[low];
    return "another number";
}

// The number of the breakpoint or watchpoint that stands for an address, or of the first of its kind.
Word hit_point(const DebugState& state, bool watch, Word address) {
    constexpr Word instruction_bytes = 4;
    const DebugPoint* points = watch ? state.watchpoints : state.breakpoints;
    unsigned count = watch ? hardware.watchpoints : hardware.breakpoints;
    unsigned i = 0;
    while (i < count && !(points[i].enabled && address - points[i].address < (watch ? points[i].size : instruction_bytes))) ++i;
    return (watch ? hardware.breakpoints : 0) + (i < count ? i : 0);
}

}  // namespace

Lockstep::Lockstep(test::World& world, Oracle& oracle, Tally& tally, Word limit, bool goes_on)
    : world_(world), oracle_(oracle), tally_(tally), limit_(limit), goes_on_(goes_on) {
    for (unsigned irq = 0; irq < Kernel::max_irqs; ++irq) {
        auto found = hardware.masked.find(irq);
        ours_.line(irq) = {.edge = true, .masked = found == hardware.masked.end() || found->second, .active = false};
    }
    take_over_state();
    hardware.effects.clear();
    hardware.console.clear();
}

// What the kernel's state is now.
void Lockstep::look() {
    inventory_.emplace(take_inventory());
    text_.clear();
    write_state(text_, world_.core(), *inventory_, ours_);
    our_lines_ = split_state(text_);
}

void Lockstep::take_over_state() {
    theirs_ = ours_;
    look();
    std::string state = text_;
    write_children(state, *inventory_);
    oracle_.begin(state);
    lines_.clear();
    apply_changes(lines_, oracle_.state());
}

std::string Lockstep::last_trace() {
    oracle_.restore(before);
    return "begin\n" + oracle_.state() + "end\n" + event_ + "\n";
}

void Lockstep::fail(const std::string& what) {
    // The words of memory are in the trace.
    std::string text = "they differ after " + operation_ + "\n  event:         " + event_.substr(0, event_.find(" @")) + "\n" + what;
    if (!goes_on_) throw Mismatch(text);
    tally_.differences[operation_ + (preempted_ ? ", preempted" : "")].push_back(text);
    take_over_state();
}

// -- Events

void Lockstep::system_call() {
    Tcb& thread = *world_.current();
    thread.context.pc += svc_bytes;
    thread.context.spsr &= ~host::single_step;
    operation_ = operation();
    happen("svc", "", [&] { handle_syscall(world_.core()); });
}

void Lockstep::interrupt(Word irq) {
    constexpr Word first_line = 16;
    InterruptLine& line = ours_.line(irq);
    // A controller does not deliver what is masked, nor an interrupt that is being served.
    if (irq >= first_line && (line.masked || line.active)) return;
    operation_ = "interrupt";
    line.active = irq >= first_line;
    happen("irq", " " + std::to_string(irq), [&] {
        hardware.incoming.push_back(irq);
        handle_interrupt(world_.core());
    });
}

// Nobody takes notice.
void Lockstep::spurious_interrupt() {
    std::string earlier;
    std::string now;
    look();
    write_state(earlier, world_.core(), *inventory_, ours_);
    hardware.effects.clear();
    handle_interrupt(world_.core());
    write_state(now, world_.core(), *inventory_, ours_);
    if (now != earlier || !hardware.effects.empty()) throw Mismatch("an interrupt that is none changes something");
}

void Lockstep::timer() {
    operation_ = "timer";
    ours_.line(arch::timer_irq().raw).active = true;
    happen("timer", "", [&] {
        hardware.incoming.push_back(arch::timer_irq().raw);
        handle_interrupt(world_.core());
    });
}

void Lockstep::memory_fault(Word syndrome, Word address, bool fetch) {
    operation_ = "memory fault";
    happen("memory", " " + hex(address) + (fetch ? " 1 " : " 0 ") + hex(syndrome), [&] { handle_vm_fault(world_.core(), syndrome, address, fetch); });
}

void Lockstep::exception(Word syndrome) {
    constexpr unsigned class_shift = 26;
    operation_ = "exception";
    happen("exception", " " + hex(syndrome >> class_shift) + " " + hex(syndrome), [&] { handle_user_exception(world_.core(), syndrome); });
}

void Lockstep::system_error() {
    operation_ = "system error";
    happen("irq", " " + std::to_string(abi::irq_serror), [&] { handle_serror(world_.core()); });
}

void Lockstep::debug(abi::BreakpointType reason, Word address) {
    constexpr const char* names[] = {"Instruction", "Data", "SingleStep", "SoftwareBreakRequest"};
    const Tcb& thread = *world_.current();
    operation_ = "debug exception";
    if (reason == abi::BreakpointType::SingleStep) world_.current()->context.spsr &= ~host::single_step;
    // Only with a watchpoint does the address that the processor tells mean anything; an instruction is the thread's next one.
    Word place = reason == abi::BreakpointType::Instruction ? thread.context.pc : address;
    bool numbered = reason == abi::BreakpointType::Instruction || reason == abi::BreakpointType::Data;
    Word number = numbered ? hit_point(thread.debug, reason == abi::BreakpointType::Data, place) : 0;
    std::string arguments = std::string(" ") + names[static_cast<Word>(reason)] + " " + hex(numbered ? place : 0) + " " + hex(number);
    happen("debug", arguments, [&] { handle_debug_exception(world_.core(), reason, address); });
}

void Lockstep::use_fpu() {
    constexpr Word syndrome = 0x1fe0'0000;
    operation_ = "exception";
    // Only a thread that may not use the unit notices anything.
    if (world_.current()->thread_flags().fpu_disabled() != 0) {
        return happen("exception", " " + hex(syndrome >> 26) + " " + hex(syndrome), [&] { handle_fpu_trap(world_.core(), syndrome); });
    }
    if (!hardware.fpu_enabled) handle_fpu_trap(world_.core(), syndrome);
    std::string found = processor_.use_fpu(hex(physical(world_.current())));
    if (!found.empty()) fail(found);
}

std::string Lockstep::operation() const {
    const Tcb& thread = *world_.current();
    Word number = thread.context.x[reg::number];
    std::string name = syscall_name(number);
    auto which = static_cast<abi::Syscall>(number & abi::syscall_number_mask);
    bool invokes = which == abi::Syscall::Call || which == abi::Syscall::Send || which == abi::Syscall::NBSend;
    if (!invokes) return name;
    Slot* slot = find_slot(thread, CPtr(thread.context.x[reg::cap]));
    if (slot == nullptr) return name;
    switch (slot->cap.type()) {
        case CapType::Null:
        case CapType::Endpoint:
        case CapType::Notification:
        case CapType::Reply:
        case CapType::SGISignal: return name;
        default: break;
    }
    Word label = sent_info(thread).label();
    bool known = label > 0 && label < fuzz::method_count && fuzz::method_tables[label].object == slot->cap.type();
    return known ? fuzz::method_tables[label].name : "no method";
}

void Lockstep::go_back(const Aside& aside, const std::string& name, const Inventory& inventory) {
    ours_ = aside.ours;
    theirs_ = aside.theirs;
    processor_ = aside.processor;
    ready_memory_ = aside.ready_memory;
    clean_memory_ = aside.clean_memory;
    swept_ = aside.swept;
    goes_back_ = true;
    inventory_.emplace(inventory);
    oracle_.restore_and_tell(name);
}

// -- What the event says of the machine

void Lockstep::write_changed_registers() {
    const Tcb* thread = world_.current();
    if (thread == nullptr) return;
    auto line = lines_.find("object " + hex(physical(thread)));
    if (line == lines_.end()) throw Mismatch("the specification lacks the thread that runs");
    Word known[register_count] = {};
    unsigned i = 0;
    for (std::string_view part : parts(field(line->second, "registers"))) {
        std::size_t colon = part.find(':');
        while (i < register_count && part.substr(0, colon) != register_names[i]) ++i;
        if (i == register_count) throw Mismatch("the specification has a register that no thread has");
        known[i] = number(part.substr(colon + 1));
    }
    for (i = 0; i < register_count; ++i) {
        Word now = register_value(*thread, i);
        if (now != known[i]) ((event_ += " ") += register_names[i]) += "=" + hex(now);
    }
}

void Lockstep::write_all_registers() {
    const Tcb* thread = world_.current();
    for (unsigned i = 0; thread != nullptr && i < register_count; ++i) {
        ((event_ += " ") += register_names[i]) += "=" + hex(register_value(*thread, i));
    }
}

// All that a message could be made of, and all receive slots. What else the kernel reads of a buffer is a difference, as the oracle reads zeroes.
void Lockstep::write_readable_words() {
    auto write = [&](const Word& word) {
        if (word != 0) ((event_ += " @") += hex(physical(&word))) += "=" + hex(word);
    };
    for (const Tcb* thread : inventory_->threads()) {
        const abi::IPCBuffer* buffer = readable_buffer(*thread);
        if (buffer == nullptr || as<FrameCap>(thread->cap(TcbSlot::Buffer)).is_device()) continue;
        abi::MessageInfo info{thread->context.x[reg::info]};
        for (Word i = register_words; i < std::min<Word>(info.length(), abi::ipc_message_words); ++i) write(buffer->msg[i]);
        for (Word i = 0; i < info.extra_caps(); ++i) write(buffer->caps_or_badges[i]);
        for (const Word* word : {&buffer->receive_cnode, &buffer->receive_index, &buffer->receive_depth}) write(*word);
    }
}

// A CancelBadgedSends that was preempted goes on where it stopped: who came to wait with its badge before that place since then is passed over. The place is
// behind all others if who stood there last has gone.
std::vector<Word> Lockstep::overtaken() {
    std::vector<Word> passed;
    const Tcb* caller = world_.current();
    if (caller == nullptr || caller->sweep.endpoint == nullptr) return passed;
    auto preempted = swept_.find(physical(caller));
    if (preempted == swept_.end()) return passed;
    const std::vector<Word>& waited = preempted->second;
    for (const Tcb* sender = caller->sweep.endpoint->queue.head; sender != nullptr && sender != caller->sweep.next; sender = PrioQueue<Tcb>::after(*sender)) {
        bool has_badge = sender->badge == caller->sweep.badge;
        if (has_badge && std::find(waited.begin(), waited.end(), physical(sender)) == waited.end()) passed.push_back(physical(sender));
    }
    return passed;
}

std::map<Word, Context> Lockstep::contexts_of_sweepers() const {
    std::map<Word, Context> found;
    for (const Tcb* thread : inventory_->threads()) {
        if (thread != world_.current() && swept_.contains(physical(thread))) found.emplace(physical(thread), thread->context);
    }
    return found;
}

// Whose registers somebody else has written is not in a system call any more.
void Lockstep::forget_sweeps(const std::map<Word, Context>& before) {
    for (const auto& [thread, context] : before) {
        if (std::memcmp(&context, &arch::pointer<Tcb>(arch::to_kernel(PhysAddr(thread)))->context, sizeof context) != 0) swept_.erase(thread);
    }
}

void Lockstep::remember_buffers() {
    buffers_.clear();
    for (const Tcb* thread : inventory_->threads()) {
        const abi::IPCBuffer* buffer = readable_buffer(*thread);
        if (buffer == nullptr || as<FrameCap>(thread->cap(TcbSlot::Buffer)).is_device()) continue;
        Buffer& copy = buffers_.emplace_back();
        copy.address = physical(buffer);
        std::memcpy(copy.words, buffer, sizeof copy.words);
    }
}

// -- One event

void Lockstep::happen(std::string_view kind, std::string_view arguments, const std::function<void()>& entry) {
    ++tally_.events;
    theirs_before_ = theirs_;
    remember_buffers();
    (event_ = kind) += " " + std::to_string(hardware.time);
    event_ += arguments;
    goes_back_ ? write_all_registers() : write_changed_registers();
    write_readable_words();
    Watch watch;
    for (Word thread : overtaken()) event_ += " -" + hex(thread);
    for (const Inventory::Place& place : inventory_->slots()) {
        const Cap& cap = place.slot->cap;
        // How far a zombie's slots were emptied is not in the abstract state.
        if (cap.is(CapType::Zombie) && as<ZombieCap>(cap).slots() == 0) event_ += " &" + hex(arch::to_physical(cap.object()).raw);
    }
    const Tcb* caller = world_.current();
    SavedState saved(*inventory_);
    hardware.effects.clear();
    hardware.console.clear();
    unsigned armed_at = hardware.pending_at;
    const Core& core = world_.core();
    auto turn = std::pair(core.domain_entry, core.domain_end);
    Turn own = own_turn();
    std::vector<Placed> placed = placed_threads();
    auto sweepers = contexts_of_sweepers();
    entry();
    forget_sweeps(sweepers);
    went_behind_ = goes_behind(own) && stands_ahead_of_any(*own.thread, own.equals) ? hex(physical(own.thread)) : "";
    // So is when a turn that is over ends, if it is not at the timer.
    if (std::pair(core.domain_entry, core.domain_end) != turn && kind != "timer") event_ += " /";
    // When time is booked is for the kernel to choose.
    if (world_.core().charged_until.raw == hardware.time) event_ += " %";
    preempted_ = armed_at != 0 && hardware.pending_at == 0;
    hardware.pending_at = 0;
    if (preempted_ && caller->sweep.next != nullptr) {
        std::vector<Word>& waiting = swept_[physical(caller)];
        waiting.clear();
        for (const Tcb* sender = caller->sweep.next; sender != nullptr; sender = PrioQueue<Tcb>::after(*sender)) {
            if (sender->badge == caller->sweep.badge) waiting.push_back(physical(sender));
        }
    } else if (!preempted_ && kind == "svc" && operation_ == "CNode::CancelBadgedSends") {
        swept_.erase(physical(caller));
    }
    our_effects_ = effects_of(hardware.effects, ours_);
    our_effects_.printed = hardware.console;
    our_effects_.acknowledged = kind == "timer" || (kind == "irq" && arguments != " " + std::to_string(abi::irq_serror));
    // Memory may have been cleared by an earlier execution of an operation that was preempted.
    for (auto [start, end] : our_effects_.cleared) ready_memory_.add(start, end);
    for (auto [start, end] : our_effects_.clean) clean_memory_.add(start, end);
    our_effects_.ready = ready_memory_;
    our_effects_.ready_clean = clean_memory_;
    look();
    note_overtaking(placed, own);
    oracle_.save(before);
    if (std::string found = saved.difference(*inventory_) + forgotten_in_use() + wrong_context(); !found.empty()) return fail(found);
    if (armed_at != 0 && our_effects_.cleared.bytes() > armed_at * most_cleared + page_size) {
        return fail("  kernel: clears " + our_effects_.cleared.text() + " with fewer than " + std::to_string(armed_at) + " preemption points\n");
    }
    if (preempted_) return agree_on_preemption(event_, armed_at * most_units_at_once);
    // With points between its units the kernel would have been preempted, had there been more of them.
    if (armed_at != 0) event_ += " !" + std::to_string(armed_at * most_units_at_once);
    agree(event_);
}

// What the way back to user level restores.
std::string Lockstep::wrong_context() const {
    const Core& core = world_.core();
    const Context* expected = core.current == nullptr ? &core.idle : &core.current->context;
    return core.current_context == expected ? "" : "  kernel: what goes on is not the thread that runs\n";
}

// The ASIDs that belong to nobody any more and of which the TLB could learn again, as the processor was in their space when it forgot them.
std::string Lockstep::forgotten_in_use() const {
    std::string text;
    for (const host::Effect& effect : hardware.effects) {
        bool in_use = effect.kind == host::Effect::InvalidateAsid && effect.b != 0;
        if (in_use && vspace_of(world_.kernel(), Asid(static_cast<uint16_t>(effect.a))) == KernAddr(0)) {
            text += "  kernel: ASID " + hex(effect.a) + " is taken away while the processor is in its address space\n";
        }
    }
    return text;
}

std::string Lockstep::after_units(const std::string& event, unsigned units) { return event + " !" + std::to_string(units); }

// The first difference of any kind after the oracle has performed the event; empty if there is none.
std::string Lockstep::compare(const std::string& event) {
    std::string changes;
    Outcome outcome = oracle_.perform(event, changes);
    apply_changes(lines_, changes);
    theirs_ = theirs_before_;
    Effects effects = effects_of(outcome.effects, theirs_);
    std::string found = difference(our_lines_, lines_, [&] { return identities(); });
    found += compare_memory(effects);
    found += difference(our_effects_, effects) + compare_controllers();
    if (found.empty()) found = processor_.difference(lines_, event.starts_with("timer "));
    if (preempted_ != outcome.preempted()) found += "  the specification's result is " + outcome.result + "\n";
    if (!found.empty()) return found;
    ++tally_.results[operation_][outcome.result];
    if (!effects.cleared.empty()) {
        ready_memory_ = ready_memory_.without(effects.cleared);
        clean_memory_ = clean_memory_.without(effects.cleared);
    }
    return found;
}

void Lockstep::agree(const std::string& event) {
    std::string found = compare(event);
    if (found.empty() || agree_on_order(event)) return;
    fail(found);
}

// The current thread's turn: what is left of it, if others run first when it is over; and who these are.
Lockstep::Turn Lockstep::own_turn() const {
    const Core& core = world_.core();
    if (core.current == nullptr) return {};
    SchedContext& context = *core.current_sched_context;
    Turn turn{core.current, core.charged_until, context.round_robin() ? context.first().amount : never, {}};
    for (const Tcb* thread : inventory_->threads()) {
        if (thread->ready.linked() && thread->priority == turn.thread->priority && thread->domain == core.domain) turn.equals.push_back(thread);
    }
    return turn;
}

bool Lockstep::is_over(const Turn& turn) const {
    if (turn.thread == nullptr) return false;
    Ticks used = world_.core().charged_until - turn.start.raw;
    return operation_ == "Yield" || turn.left < used + min_budget().raw;
}

// A configuration takes threads out of their places itself.
bool Lockstep::goes_behind(const Turn& turn) const { return is_over(turn) && operation_ != "SchedControl::ConfigureFlags"; }

bool Lockstep::stands_ahead_of_any(const Tcb& thread, const std::vector<const Tcb*>& others) const {
    auto is_behind = [&](const Tcb* other) {
        if (!other->ready.linked() || other->priority != thread.priority || other->domain != thread.domain) return false;
        if (!thread.ready.linked()) return world_.core().current == &thread;
        const Tcb* head = world_.core().queues[thread.domain.raw].rings[thread.priority.raw].head;
        for (const Tcb* next = thread.ready.next; next != head; next = next->ready.next) {
            if (next == other) return true;
        }
        return false;
    };
    return std::any_of(others.begin(), others.end(), is_behind);
}

std::vector<Lockstep::Placed> Lockstep::placed_threads() const {
    std::vector<Placed> found;
    for (const Tcb* thread : inventory_->threads()) {
        if (thread->ready.linked() || thread == world_.core().current) found.push_back({thread, thread->priority, thread->domain});
    }
    return found;
}

// The threads that became ready and stand ahead of one that was, although the thread that ran neither stopped, nor was its turn over.
void Lockstep::note_overtaking(const std::vector<Placed>& placed, const Turn& own) {
    overtaking_.clear();
    bool goes_on = own.thread == nullptr || own.thread == world_.core().current || own.thread->ready.linked();
    if (!goes_on || is_over(own)) return;
    std::vector<const Tcb*> others;
    std::vector<const Tcb*> came;
    for (const Tcb* thread : inventory_->threads()) {
        auto was = std::find_if(placed.begin(), placed.end(), [&](const Placed& one) { return one.thread == thread; });
        if (was == placed.end()) came.push_back(thread);
        else if (thread->priority == was->priority && thread->domain == was->domain) others.push_back(thread);
    }
    for (const Tcb* thread : came) {
        if (stands_ahead_of_any(*thread, others)) overtaking_.insert(hex(physical(thread)));
    }
}

// Who stands where among threads of the same priority that became ready in this event is not said: the specification is told of one of them. But those
// that were ready before stay ahead of them, and whose turn is over goes behind these.
bool Lockstep::agree_on_order(const std::string& event) {
    constexpr const char* ahead = " ^";
    constexpr const char* behind = " _";
    auto core = std::find_if(our_lines_.begin(), our_lines_.end(), [](const Line& line) { return line.key == "core"; });
    if (core == our_lines_.end()) return false;
    for (std::string_view thread : parts(field(core->value, "ready"))) {
        for (const char* place : {ahead, behind}) {
            if (place == ahead && (thread == went_behind_ || overtaking_.contains(std::string(thread)))) continue;
            oracle_.restore(before);
            if (!compare(event + place + std::string(thread)).empty()) continue;
            ++tally_.orders;
            return true;
        }
    }
    return false;
}

// The kernel may stop wherever it has a preemption point: the specification must have a state like that after some number of units, not too many.
void Lockstep::agree_on_preemption(const std::string& event, unsigned most_units) {
    ++tally_.preemptions;
    std::string nearest;
    unsigned least = 0;
    for (unsigned units = 0; units <= most_units; ++units) {
        if (units != 0) oracle_.restore(before);
        std::string found = compare(after_units(event, units));
        if (found.empty()) return;
        bool ended = found.find("the specification's result is") != std::string::npos;
        if (nearest.empty() || (!ended && found.size() < nearest.size())) {
            nearest = found;
            least = units;
        }
        if (ended) break;
    }
    if (agree_on_order(after_units(event, least))) return;
    fail("  preempted, and the specification has no such state on the way, to where the kernel may come\n  the nearest is that after " +
         std::to_string(least) + " units:\n" + nearest);
}

// Inspect tells objects apart by numbers that are the kernel's own; the specification has their addresses there.
Renaming Lockstep::identities() const {
    const Kernel& kernel = world_.kernel();
    Renaming addresses;
    for (const Inventory::Place& place : inventory_->slots()) {
        const Cap& cap = place.slot->cap;
        Word size = cap.is(CapType::Untyped) ? as<UntypedCap>(cap).size_bits().raw : 0;
        addresses.emplace(hex(identity(kernel, cap.type(), cap.object(), size)), hex(arch::to_physical(cap.object()).raw));
    }
    return addresses;
}

// -- Memory and the controller

std::string Lockstep::compare_memory(const Effects& theirs) const {
    std::string text;
    auto report = [&](Word address, Word ours, Word said) {
        text += "  kernel:        memory " + hex(address) + " is " + hex(ours) + "\n  specification: memory " + hex(address) + " is " + hex(said) + "\n";
    };
    auto compare_word = [&](Word address, Word earlier) {
        auto written = theirs.written.find(address);
        Word said = written == theirs.written.end() ? earlier : written->second;
        Word now = *arch::pointer<Word>(arch::to_kernel(PhysAddr(address)));
        if (now != said && !our_effects_.cleared.overlaps(address, address + 1)) report(address, now, said);
    };
    for (const Buffer& buffer : buffers_) {
        bool same = std::memcmp(arch::pointer<Word>(arch::to_kernel(PhysAddr(buffer.address))), buffer.words, sizeof buffer.words) == 0;
        for (Word i = 0; (!same || !theirs.written.empty()) && i < std::size(buffer.words); ++i) {
            compare_word(buffer.address + sizeof(Word) * i, buffer.words[i]);
        }
    }
    for (auto [address, value] : theirs.written) {
        auto holds = [&](const Buffer& buffer) { return address - buffer.address < sizeof buffer.words; };
        if (std::none_of(buffers_.begin(), buffers_.end(), holds)) text += "  specification: writes memory " + hex(address) + ", which is no buffer's\n";
    }
    return text;
}

std::string Lockstep::compare_controllers() const {
    std::string text;
    if (our_effects_.acknowledged != our_effects_.dropped) text += "  kernel: the priority of an interrupt that it was given is not dropped once\n";
    for (unsigned irq = 0; irq < hardware.interrupts; ++irq) {
        if (ours_.lines[irq].active && !world_.kernel().irq_issued[irq]) text += "  kernel: interrupt " + hex(irq) + ", which has no handler, stays active\n";
    }
    if (ours_.lines == theirs_.lines) return text;
    // SError, which the specification masks like others, is no line of it.
    for (unsigned irq = 0; irq < hardware.interrupts; ++irq) {
        bool ours = ours_.lines[irq].masked;
        bool theirs = theirs_.lines[irq].masked;
        if (ours == theirs) continue;
        text += "  interrupt " + hex(irq) + ": masked is " + (ours ? "1" : "0") + " in the kernel's controller, " +
                (theirs ? "1" : "0") + " in the specification's\n";
    }
    return text;
}

}  // namespace caprock::lockstep
