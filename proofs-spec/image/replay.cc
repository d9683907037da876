// SPDX-License-Identifier: BSD-2-Clause
#include "replay.hpp"

#include "ipc/message.hpp"
#include "object/inspect.hpp"

#include <algorithm>
#include <utility>

namespace caprock::image {

using host::hardware;
using lockstep::hex;

namespace {

constexpr Word condition_flags = 0xf000'0000;
constexpr unsigned most_units = 5'000;
constexpr unsigned first_preserved = 19;   // general registers from here on outlast a system call
constexpr Word software_interrupts = 16;
constexpr Word pending_interrupt = 0x80;   // ISR_EL1.I
constexpr Word fixed_spsr = 0x40;          // of a thread, beside the condition flags
constexpr std::string_view before = "before";

// Exception classes (Arm ARM D17.2.37) that are not told as they are.
enum Class : Word {
    FpAccess = 0x07,
    InstructionAbort = 0x20,
    DataAbort = 0x24,
    Breakpoint = 0x30,
    SoftwareStep = 0x32,
    Watchpoint = 0x34,
    Brk = 0x3c
};
constexpr Word alignment_fault = 0x21;

constexpr const char* register_names[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10", "x11",
                                          "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                          "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "spsr", "tpidr_el0", "tpidrro_el0"};
constexpr unsigned register_count = std::size(register_names);

// Where a message has a thread's SPSR (register names): the kernel's has fixed bits there, the specification's none.
constexpr const char* spsr_words[] = {"x4:", "x16:"};

// Makes a line of a thread one without those bits.
void drop_fixed_bits(std::string& line) {
    for (std::string_view name : spsr_words) {
        std::size_t at = line.find(name, line.find("registers="));
        if (at == std::string::npos || (line[at - 1] != ',' && line[at - 1] != '=')) continue;
        std::size_t start = at + name.size();
        std::size_t end = std::min(line.find_first_of(", ", start), line.size());
        Word value = lockstep::number(std::string_view(line).substr(start, end - start));
        if ((value & ~condition_flags) != fixed_spsr) continue;
        Word flags = value & condition_flags;
        if (flags != 0) {
            line.replace(start, end - start, hex(flags));
        } else if (end < line.size() && line[end] == ',') {
            line.erase(at, end + 1 - at);
        } else {
            line.erase(line[at - 1] == ',' ? at - 1 : at, end - (line[at - 1] == ',' ? at - 1 : at));
            if (line.ends_with("registers=")) line += "-";
        }
    }
}

// Makes a line of a software-generated interrupt one without a mask: the controller has none for it.
void drop_mask(std::string_view key, std::string& line) {
    constexpr std::string_view interrupt = "interrupt ";
    constexpr std::string_view masked = "masked=1";
    if (!key.starts_with(interrupt) || lockstep::number(key.substr(interrupt.size())) >= software_interrupts) return;
    std::size_t at = line.find(masked);
    if (at != std::string::npos) line[at + masked.size() - 1] = '0';
}

// Whether a difference is in no other lines than those that say what was booked when.
bool is_about_time(std::string_view found) {
    constexpr std::size_t side = std::string_view("  specification: ").size();
    for (std::size_t end = 0; !found.empty(); found.remove_prefix(end + 1)) {
        end = found.find('\n');
        std::string_view line = found.substr(std::min(side, end), end - std::min(side, end));
        bool context = line.starts_with("object ") && line.find(" SchedContext:") != std::string_view::npos;
        if (!context && !line.starts_with("core:")) return false;
    }
    return true;
}

Word exception_class(Word syndrome) { return syndrome >> 26 & 0x3f; }

}  // namespace

Replay::Replay(Memory& memory, lockstep::Oracle& oracle, Tally& tally, const GicPlace& gic, Word frequency, Word every, std::FILE* trace)
    : memory_(memory), oracle_(oracle), tally_(tally), gic_(gic), every_(every), trace_(trace) {
    hardware.frequency = frequency;
}

void Replay::take(const Record& record) {
    switch (record.event) {
        case Event::Syscall:
        case Event::Exception:
        case Event::Interrupt:
        case Event::SystemError:
        case Event::FastEntry: return enter(record);
        case Event::Register: registers_[record.x[0]] = record.x[1]; return;
        case Event::FastLeave:
        case Event::Leave: return core_ == nullptr ? start(record) : leave(record);
        case Event::Time: times_.push_back(record.x[0]); return;
        case Event::Pending: preempted_ |= (record.x[0] & pending_interrupt) != 0; return;
        case Event::Image: memory_.set_image(record.x[0]); return;
        default: break;
    }
    std::optional<uint64_t> taken = gic_.take(record, ours_);
    if (!taken) return;
    irq_ = taken;
    if (*taken >= software_interrupts) ours_.line(*taken).active = true;
}

// -- The first state: before the first instruction of user level.

void Replay::start(const Record& record) {
    if (!memory_.has_image() || gic_.interrupts() == 0) {
        throw std::runtime_error("user level was reached, and the kernel's image or its interrupt controller was not seen (are the addresses right?)");
    }
    hardware.interrupts = gic_.interrupts();
    hardware.tpidr = record.tpidr;
    hardware.tpidrro = record.tpidrro;
    if (!times_.empty()) hardware.time = times_.back();
    core_ = &memory_.object<Core>(record.core);
    const Tcb* thread = core_->current;
    if (thread == nullptr || !thread->cap(TcbSlot::CSpace).is(CapType::CNode)) throw std::runtime_error("no root task was about to run");
    seeds_.begin(thread->cap(TcbSlot::CSpace));
    look();
    take_over_state();
}

Word Replay::count_slots() const {
    return static_cast<Word>(std::count_if(our_lines_.begin(), our_lines_.end(), [](const lockstep::Line& line) { return line.key.starts_with("slot "); }));
}

void Replay::look() {
    if (inventory_) seeds_.drop_dead();
    inventory_.emplace(*core_, seeds_.slots(), seeds_.count());
    for (const Tcb* thread : inventory_->threads()) {
        memory_.expose(&thread->context, sizeof thread->context);
        memory_.expose(&thread->fault, sizeof thread->fault);
        memory_.expose(&thread->badge, sizeof thread->badge);
    }
    text_.clear();
    // Behind a fast path the current thread's registers are not in its Context.
    Context* missing = left_fast_ ? &core_->current->context : nullptr;
    Context kept = missing != nullptr ? *missing : Context{};
    if (missing != nullptr) take_live_registers(*missing);
    lockstep::write_state(text_, *core_, *inventory_, ours_);
    if (missing != nullptr) *missing = kept;
    seeds_.remove_from(text_);
    seeds_.keep(*inventory_);
    our_lines_ = lockstep::split_state(text_);
    restored_ = false;
}

// What a fast path does not keep, and does not tell, it has cleared, unless the thread just goes on.
void Replay::take_live_registers(Context& context) const {
    bool same = core_->current == before_;
    for (unsigned i = 0; i < std::size(context.x); ++i) {
        if (kept_by_fast_path(i)) context.x[i] = registers_[i];
        else if (i < first_preserved && !same) context.x[i] = 0;
    }
    context.sp = registers_[31];
    context.pc = registers_[32];
    context.spsr = registers_[33];
}

// Few words of user level look like pointers, so they are put right only where something differs.
void Replay::restore_words() {
    memory_.restore(text_);
    our_lines_ = lockstep::split_state(text_);
    restored_ = true;
}

void Replay::take_over_state() {
    restore_words();
    theirs_ = ours_;
    std::string state = text_;
    lockstep::write_children(state, *inventory_);
    oracle_.begin(state);
    if (trace_ != nullptr) std::fprintf(trace_, "begin\n%send\n", state.c_str());
    lines_.clear();
    lockstep::apply_changes(lines_, oracle_.state());
}

// -- Entry: what the event says of user level.

void Replay::enter(const Record& record) {
    // A fast path that is not taken goes on in the handler.
    bool goes_on = inside_ && entry_.event == Event::FastEntry && record.event == Event::Syscall;
    if (core_ == nullptr || (inside_ && !goes_on)) return;
    inside_ = true;
    left_fast_ = false;
    before_ = core().current;
    entry_ = record;
    memory_.refresh();
    hardware.tpidr = record.tpidr;
    hardware.tpidrro = record.tpidrro;
    charged_ = core().charged_until;
    turn_ = {core().domain_entry, core().domain_end};
    times_.clear();
    irq_.reset();
    preempted_ = false;
    parts_.clear();
    remember_buffers();
    write_changed_registers();
    write_readable_words();
}

Word Replay::saved_register(Word context, unsigned i) const {
    return entry_.event == Event::FastEntry && kept_by_fast_path(i) ? registers_[i] : memory_.word(context + sizeof(Word) * i);
}

void Replay::write_changed_registers() {
    const Tcb* thread = core().current;
    if (thread == nullptr) return;
    auto line = lines_.find("object " + hex(lockstep::physical(thread)));
    if (line == lines_.end()) throw std::runtime_error("the specification lacks the thread that runs");
    std::map<std::string_view, Word> known;
    for (std::string_view part : lockstep::parts(lockstep::field(line->second, "registers"))) {
        std::size_t colon = part.find(':');
        known[part.substr(0, colon)] = lockstep::number(part.substr(colon + 1));
    }
    Word context = lockstep::physical(&thread->context);
    for (unsigned i = 0; i < register_count; ++i) {
        Word now = saved_register(context, i);
        if (i == 33) now &= condition_flags;
        if (i == 34) now = hardware.tpidr;
        if (i == 35) now = hardware.tpidrro;
        auto before_it = known.find(register_names[i]);
        if (now != (before_it == known.end() ? 0 : before_it->second)) ((parts_ += " ") += register_names[i]) += "=" + hex(now);
    }
}

void Replay::remember_buffers() {
    buffers_.clear();
    for (const Tcb* thread : inventory_->threads()) {
        const abi::IPCBuffer* buffer = readable_buffer(*thread);
        if (buffer == nullptr || as<FrameCap>(thread->cap(TcbSlot::Buffer)).is_device()) continue;
        Word address = lockstep::physical(buffer);
        if (!memory_.contains(address, sizeof *buffer)) continue;
        Buffer& copy = buffers_.emplace_back(address, std::vector<Word>(sizeof *buffer / sizeof(Word)));
        for (std::size_t i = 0; i < copy.words.size(); ++i) copy.words[i] = memory_.word(address + sizeof(Word) * i);
    }
}

// All that a message could be made of, and all receive slots.
void Replay::write_readable_words() {
    auto write = [&](const void* place) {
        Word address = lockstep::physical(place);
        if (!memory_.contains(address, sizeof(Word))) return;
        Word word = memory_.word(address);
        if (word != 0) ((parts_ += " @") += hex(address)) += "=" + hex(word);
    };
    for (const Tcb* thread : inventory_->threads()) {
        const abi::IPCBuffer* buffer = readable_buffer(*thread);
        if (buffer == nullptr || as<FrameCap>(thread->cap(TcbSlot::Buffer)).is_device()) continue;
        Word context = lockstep::physical(&thread->context);
        abi::MessageInfo info{thread == core().current ? saved_register(context, reg::info) : memory_.word(context + sizeof(Word) * reg::info)};
        for (Word i = register_words; i < std::min<Word>(info.length(), abi::ipc_message_words); ++i) write(&buffer->msg[i]);
        for (Word i = 0; i < info.extra_caps(); ++i) write(&buffer->caps_or_badges[i]);
        for (const Word* word : {&buffer->receive_cnode, &buffer->receive_index, &buffer->receive_depth}) write(word);
    }
}

// -- Exit: the event is known, and the state after it.

// The first words of the event's line; none if the specification knows nothing of what happened.
std::string Replay::kind_of_event() const {
    std::string time = " " + std::to_string(hardware.time);
    Word syndrome = entry_.x[1];
    Word address = entry_.x[2];
    auto exception = [&] { return "exception" + time + " " + hex(exception_class(syndrome)) + " " + hex(syndrome); };
    auto memory = [&](const char* fetch) { return "memory" + time + " " + hex(address) + fetch + hex(syndrome); };
    auto debug = [&](const char* reason, Word where, Word number) { return "debug" + time + " " + reason + " " + hex(where) + " " + hex(number); };
    auto numbered = [&](const char* reason, abi::BreakpointType type, Word where) {
        return debug(reason, where, triggered_breakpoint(*core().current, type, where));
    };
    switch (entry_.event) {
        case Event::Syscall:
        case Event::FastEntry: return "svc" + time;
        case Event::SystemError: return "irq" + time + " " + std::to_string(abi::irq_serror);
        case Event::Interrupt:
            if (!irq_) return "";
            return Irq(static_cast<uint32_t>(*irq_)) == arch::timer_irq() ? "timer" + time : "irq" + time + " " + std::to_string(*irq_);
        default: break;
    }
    switch (exception_class(syndrome)) {
        case FpAccess: return core().current->thread_flags().fpu_disabled() == 0 ? "" : exception();
        case InstructionAbort: return memory(" 1 ");
        case DataAbort: return (syndrome & 0x3f) == alignment_fault ? exception() : memory(" 0 ");
        case Breakpoint: return numbered("Instruction", abi::BreakpointType::Instruction, memory_.word(lockstep::physical(&core().current->context.pc)));
        case Watchpoint: return numbered("Data", abi::BreakpointType::Data, address);
        case SoftwareStep: return debug("SingleStep", 0, 0);
        case Brk: return debug("SoftwareBreakRequest", 0, 0);
        default: return exception();
    }
}

void Replay::leave(const Record& record) {
    if (!inside_) return;
    inside_ = false;
    if (!times_.empty()) hardware.time = times_.back();
    std::string event = kind_of_event();   // of the thread that ran before
    memory_.refresh();
    hardware.tpidr = record.tpidr;
    hardware.tpidrro = record.tpidrro;
    if (event.empty()) return;
    event += parts_;
    if (core().charged_until != charged_) event += " %";
    if (std::pair(core().domain_entry, core().domain_end) != turn_ && !event.starts_with("timer")) event += " /";
    left_fast_ = record.event == Event::FastLeave;
    ++tally_.events;
    if (preempted_) ++tally_.preemptions;
    theirs_before_ = theirs_;
    slots_before_ = count_slots();
    look();
    oracle_.save(before);
    parts_ = event;
    agree();
}

void Replay::agree() {
    ++tally_.compared;
    std::string found = preempted_ ? agree_on_preemption(parts_) : compare(parts_);
    if (found.empty() || (!preempted_ && agree_on_order(parts_))) return;
    bool moved = std::adjacent_find(times_.begin(), times_.end(), std::not_equal_to<>{}) != times_.end();
    std::string kind = parts_.substr(0, parts_.find(' ')) + (preempted_ ? ", preempted" : "");
    if (moved && is_about_time(found)) {
        ++tally_.moments;
    } else {
        tally_.differences[kind].push_back("event " + std::to_string(tally_.events) + ": " + parts_.substr(0, parts_.find(" @")) + "\n" + found);
    }
    take_over_state();
}

// What differs after the oracle has performed the event; empty if nothing does.
std::string Replay::compare(const std::string& event) {
    std::string changes;
    lockstep::Outcome outcome = oracle_.perform(event, changes);
    lockstep::apply_changes(lines_, changes);
    theirs_ = theirs_before_;
    lockstep::Effects effects = lockstep::effects_of(outcome.effects, theirs_);
    auto names = [&] { return identities(); };
    std::string found = lockstep::difference(our_lines_, lines_, names);
    if (!found.empty() && !restored_) {
        restore_words();
        found = lockstep::difference(our_lines_, lines_, names);
    }
    if (!found.empty()) {
        std::string text;
        for (const lockstep::Line& line : our_lines_) {
            std::string whole = std::string(line.key) + std::string(line.value);
            drop_fixed_bits(whole);
            drop_mask(line.key, whole);
            text += whole + "\n";
        }
        lockstep::Lines theirs = lines_;
        for (auto& [key, value] : theirs) {
            drop_fixed_bits(value);
            drop_mask(key, value);
        }
        found = lockstep::difference(lockstep::split_state(text), theirs, names);
    }
    found += compare_memory(effects) + compare_controllers();
    if (preempted_ != outcome.preempted()) found += "  the specification's result is " + outcome.result + "\n";
    if (!found.empty()) return found;
    ++tally_.results[event.substr(0, event.find(' ')) + " " + outcome.result];
    note(event);
    return found;
}

void Replay::note(const std::string& event) {
    if (trace_ != nullptr) std::fprintf(trace_, "%s\n", event.c_str());
}

bool Replay::agree_on_order(const std::string& event) {
    const std::string ready(lockstep::field(lines_.at("core"), "ready"));
    for (std::string_view thread : lockstep::parts(ready)) {
        for (const char* place : {" ^", " _"}) {
            oracle_.restore(before);
            if (!compare(event + place + std::string(thread)).empty()) continue;
            ++tally_.orders;
            return true;
        }
    }
    return false;
}

// The kernel may stop wherever it has a preemption point: the specification must have a state like that after some number of units. Where slots
// were emptied or filled the number of those is near; otherwise it is small.
std::string Replay::agree_on_preemption(const std::string& event) {
    Word now = count_slots();
    Word guess = now < slots_before_ ? slots_before_ - now : now - slots_before_;
    Word most = most_units;
    std::string nearest;
    bool first = true;
    for (Word distance = 0; distance <= std::max(guess, most); ++distance) {
        for (Word units : {guess + distance, guess - distance}) {
            if (units >= most || (units == guess && distance != 0)) continue;
            if (!std::exchange(first, false)) oracle_.restore(before);
            std::string found = compare(event + " !" + std::to_string(units));
            if (found.empty()) return found;
            bool ended = found.find("the specification's result is") != std::string::npos;
            if (ended) most = units;
            bool is_nearer = nearest.empty() || (!ended && found.size() < nearest.size());
            if (is_nearer) nearest = "  the nearest is that after " + std::to_string(units) + " units:\n" + found;
        }
    }
    return "  preempted, and the specification has no such state on the way\n" + nearest;
}

// Inspect tells objects apart by numbers that are the kernel's own; the specification has their addresses there.
lockstep::Renaming Replay::identities() const {
    lockstep::Renaming addresses;
    for (const lockstep::Inventory::Place& place : inventory_->slots()) {
        const Cap& cap = place.slot->cap;
        Word size = cap.is(CapType::Untyped) ? as<UntypedCap>(cap).size_bits().raw : 0;
        Word object = arch::to_physical(cap.object()).raw;
        addresses.emplace(hex(identity(*core().kernel, cap.type(), KernAddr(memory_base + object), size)), hex(object));
    }
    return addresses;
}

std::string Replay::compare_memory(const lockstep::Effects& theirs) const {
    std::string text;
    for (const Buffer& buffer : buffers_) {
        for (std::size_t i = 0; i < buffer.words.size(); ++i) {
            Word address = buffer.address + sizeof(Word) * i;
            Word now = memory_.word(address);
            auto written = theirs.written.find(address);
            Word said = written == theirs.written.end() ? buffer.words[i] : written->second;
            if (now == said || theirs.cleared.overlaps(address, address + 1)) continue;
            text += "  kernel:        memory " + hex(address) + " is " + hex(now) + "\n";
            text += "  specification: memory " + hex(address) + " is " + hex(said) + "\n";
        }
    }
    for (auto [address, value] : theirs.written) {
        auto holds = [&](const Buffer& buffer) { return address - buffer.address < sizeof(Word) * buffer.words.size(); };
        if (std::none_of(buffers_.begin(), buffers_.end(), holds)) text += "  specification: writes memory " + hex(address) + ", which is no buffer's\n";
    }
    return text;
}

// Software-generated interrupts are never masked in the controller.
std::string Replay::compare_controllers() const {
    std::string text;
    for (Word irq = software_interrupts; irq < ours_.lines.size(); ++irq) {
        bool ours = ours_.lines[irq].masked;
        bool theirs = theirs_.lines[irq].masked;
        if (ours == theirs || irq == abi::irq_serror) continue;
        text += "  interrupt " + hex(irq) + ": masked is " + (ours ? "1" : "0") + " in the controller, and " + (theirs ? "1" : "0") +
                " in the specification\n";
    }
    return text;
}

}  // namespace caprock::image
