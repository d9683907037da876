// SPDX-License-Identifier: BSD-2-Clause
#include "lockstep.hpp"

#include "cap/lookup.hpp"
#include "fuzz_tables.hpp"
#include "ipc/message.hpp"
#include "object/inspect.hpp"

namespace caprock::lockstep {

using host::hardware;

namespace {

constexpr Word condition_flags = 0xf000'0000;
constexpr unsigned most_units = 5'000;

std::string register_name(unsigned i) {
    constexpr const char* others[] = {"sp", "pc", "spsr", "tpidr_el0", "tpidrro_el0"};
    return i < 31 ? "x" + std::to_string(i) : others[i - 31];
}
constexpr unsigned register_count = 36;

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
    if (low > 0 && low < std::size(names)) return names[low];
    return "another number";
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

Inventory Lockstep::inventory() const { return Inventory(world_.core(), &world_.slot(0), limit_); }

void Lockstep::take_over_state() {
    theirs_ = ours_;
    oracle_.begin(abstract_state(world_.core(), inventory(), ours_));
    after_ = oracle_.state();
    lines_ = split_state(after_);
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
    Line& line = ours_.line(irq);
    // A controller does not deliver what is masked, nor an interrupt that is being served.
    if (irq >= first_line && (line.masked || line.active)) return;
    operation_ = "interrupt";
    line.active = irq >= first_line;
    happen("irq", " " + std::to_string(irq), [&] {
        hardware.incoming.push_back(irq);
        handle_interrupt(world_.core());
    });
}

void Lockstep::timer() {
    operation_ = "timer";
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
    if (reason == abi::BreakpointType::Instruction) address = thread.context.pc;
    bool numbered = reason == abi::BreakpointType::Instruction || reason == abi::BreakpointType::Data;
    Word number = numbered ? triggered_breakpoint(thread, reason, address) : 0;
    std::string arguments = std::string(" ") + names[static_cast<Word>(reason)] + " " + hex(numbered ? address : 0) + " " + hex(number);
    happen("debug", arguments, [&] { handle_debug_exception(world_.core(), reason, address); });
}

void Lockstep::use_fpu() {
    if (hardware.fpu_enabled) return;
    constexpr Word syndrome = 0x1fe0'0000;
    // Only a thread that may not use the unit notices anything.
    if (world_.current()->thread_flags().fpu_disabled() == 0) return handle_fpu_trap(world_.core(), syndrome);
    operation_ = "exception";
    happen("exception", " " + hex(syndrome >> 26) + " " + hex(syndrome), [&] { handle_fpu_trap(world_.core(), syndrome); });
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

// -- What the event says of the machine

std::string Lockstep::changed_registers() const {
    const Tcb* thread = world_.current();
    if (thread == nullptr) return "";
    auto line = lines_.find("object " + hex(physical(thread)));
    if (line == lines_.end()) throw Mismatch("the specification lacks the thread that runs");
    std::map<std::string_view, Word> known;
    for (std::string_view part : parts(field(line->second, "registers"))) {
        std::size_t colon = part.find(':');
        known[part.substr(0, colon)] = number(part.substr(colon + 1));
    }
    std::string text;
    for (unsigned i = 0; i < register_count; ++i) {
        std::string name = register_name(i);
        auto found = known.find(name);
        Word before = found == known.end() ? 0 : found->second;
        Word now = register_value(*thread, i);
        if (now != before) text += " " + name + "=" + hex(now);
    }
    return text;
}

// All that a message could be made of, and all receive slots.
Lockstep::Words Lockstep::buffer_words() const {
    Words words;
    for (const Tcb* thread : inventory().threads()) {
        const Word* buffer = reinterpret_cast<const Word*>(readable_buffer(*thread));
        if (buffer == nullptr || as<FrameCap>(thread->cap(TcbSlot::Buffer)).is_device()) continue;
        for (unsigned i = 0; i < sizeof(abi::IPCBuffer) / sizeof(Word); ++i) words[physical(buffer + i)] = buffer[i];
    }
    return words;
}

std::string Lockstep::readable_memory() const {
    std::string text;
    for (auto [address, value] : memory_before_) {
        if (value != 0) text += " @" + hex(address) + "=" + hex(value);
    }
    return text;
}

// -- One event

void Lockstep::happen(const std::string& kind, const std::string& arguments, const std::function<void()>& entry) {
    ++tally_.events;
    before_ = after_;
    theirs_before_ = theirs_;
    memory_before_ = buffer_words();
    event_ = kind + " " + std::to_string(hardware.time) + arguments + changed_registers() + readable_memory();
    hardware.effects.clear();
    hardware.console.clear();
    bool armed = hardware.pending_at != 0;
    Ticks charged = world_.core().charged_until;
    entry();
    // When time is booked is for the kernel to choose.
    if (world_.core().charged_until != charged) event_ += " %";
    preempted_ = armed && hardware.pending_at == 0;
    hardware.pending_at = 0;
    our_effects_ = effects_of(hardware.effects, ours_);
    our_effects_.printed = hardware.console;
    // Memory may have been cleared by an earlier execution of an operation that was preempted.
    for (auto [start, end] : our_effects_.cleared) ready_memory_.add(start, end);
    for (auto [start, end] : our_effects_.clean) clean_memory_.add(start, end);
    our_effects_.ready = ready_memory_;
    our_effects_.ready_clean = clean_memory_;
    our_lines_ = split_state(abstract_state(world_.core(), inventory(), ours_));
    normalise(our_lines_);
    preempted_ ? agree_on_preemption(event_) : agree(event_);
}

// The first difference of any kind after the oracle has performed the event; empty if there is none.
std::string Lockstep::compare(const std::string& event) {
    Outcome outcome = oracle_.perform(event);
    theirs_ = theirs_before_;
    Effects effects = effects_of(outcome.effects, theirs_);
    after_ = oracle_.state();
    lines_ = split_state(after_);
    Lines theirs = lines_;
    normalise(theirs);
    std::string found = difference(our_lines_, theirs);
    if (!found.empty()) found = difference(with_addresses(our_lines_), with_addresses(theirs));
    found += compare_memory(effects);
    found += difference(our_effects_, effects) + compare_controllers();
    if (preempted_ != outcome.preempted()) found += "  the specification's result is " + outcome.result + "\n";
    if (!found.empty()) return found;
    ++tally_.results[operation_][outcome.result];
    ready_memory_ = ready_memory_.without(effects.cleared);
    clean_memory_ = clean_memory_.without(effects.cleared);
    return found;
}

void Lockstep::agree(const std::string& event) {
    std::string found = compare(event);
    if (found.empty() || agree_on_order(event)) return;
    fail(found);
}

// Who stands where among threads of the same priority that became ready in this event is not said: the specification is told of one of them.
bool Lockstep::agree_on_order(const std::string& event) {
    const std::string ready(field(lines_["core"], "ready"));
    for (std::string_view thread : parts(ready)) {
        for (const char* place : {" ^", " _"}) {
            oracle_.begin(before_);
            if (!compare(event + place + std::string(thread)).empty()) continue;
            ++tally_.orders;
            return true;
        }
    }
    return false;
}

// The kernel may stop wherever it has a preemption point: the specification must have a state like that after some number of units.
void Lockstep::agree_on_preemption(const std::string& event) {
    ++tally_.preemptions;
    std::string first;
    for (unsigned units = 0; units < most_units; ++units) {
        if (units != 0) oracle_.begin(before_);
        std::string found = compare(event + " !" + std::to_string(units));
        if (found.empty()) return;
        if (units == 0) first = found;
        if (found.find("the specification's result is") != std::string::npos) break;
    }
    fail("  preempted, and the specification has no such state on the way; after no unit:\n" + first);
}

// Inspect tells objects apart by numbers that are the kernel's own; the specification has their addresses there.
Lines Lockstep::with_addresses(Lines lines) const {
    const Kernel& kernel = world_.kernel();
    std::map<std::string, std::string, std::less<>> addresses;
    Inventory all = inventory();
    for (const Inventory::Place& place : all.slots()) {
        const Cap& cap = place.slot->cap;
        Word size = cap.is(CapType::Untyped) ? as<UntypedCap>(cap).size_bits().raw : 0;
        addresses.emplace(hex(identity(kernel, cap.type(), cap.object(), size)), hex(arch::to_physical(cap.object()).raw));
    }
    for (auto& [key, line] : lines) {
        if (line.starts_with(" TCB ")) rename_registers(line, addresses);
    }
    return lines;
}

// -- Memory and the controller

std::string Lockstep::compare_memory(const Effects& theirs) const {
    std::string text;
    auto report = [&](Word address, Word ours, Word said) {
        text += "  kernel:        memory " + hex(address) + " is " + hex(ours) + "\n  specification: memory " + hex(address) + " is " + hex(said) + "\n";
    };
    for (auto [address, before] : memory_before_) {
        auto written = theirs.written.find(address);
        Word said = written == theirs.written.end() ? before : written->second;
        Word now = *arch::pointer<Word>(arch::to_kernel(PhysAddr(address)));
        if (now != said && !our_effects_.cleared.overlaps(address, address + 1)) report(address, now, said);
    }
    for (auto [address, value] : theirs.written) {
        if (!memory_before_.contains(address)) text += "  specification: writes memory " + hex(address) + ", which is no buffer's\n";
    }
    return text;
}

std::string Lockstep::compare_controllers() const {
    std::string text;
    for (unsigned irq = 0; irq < ours_.lines.size(); ++irq) {
        bool ours = ours_.lines[irq].masked;
        bool theirs = theirs_.lines[irq].masked;
        if (ours == theirs) continue;
        text += "  interrupt " + hex(irq) + ": masked is " + (ours ? "1" : "0") + " in the kernel's controller, " +
                (theirs ? "1" : "0") + " in the specification's\n";
    }
    return text;
}

}  // namespace caprock::lockstep
