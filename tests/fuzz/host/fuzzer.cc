// SPDX-License-Identifier: BSD-2-Clause
#include "fuzzer.hpp"

#include "ipc/message.hpp"

#include <algorithm>
#include <sstream>

namespace caprock::fuzz {

using abi::InitSlot;
using abi::Syscall;
using host::hardware;
using test::World;

namespace {

constexpr Word first_line = 41;
constexpr unsigned most_turns = 200;         // of the clock until the supervisor must have come back
constexpr unsigned frames_interval = 1'024;  // operations between two looks at all frames

Registers registers_of(const Tcb& thread) {
    Registers registers;
    std::copy(std::begin(thread.context.x), std::end(thread.context.x), registers.x);
    registers.sp = thread.context.sp;
    registers.pc = thread.context.pc;
    // While a thread runs its thread pointer is in the processor.
    registers.tpidr = hardware.core->current == &thread ? hardware.tpidr : thread.context.tpidr;
    return registers;
}

void raise(const Finding& finding) {
    if (!finding) return;
    std::ostringstream text;
    text << finding.rule << " (place " << finding.place << ", value 0x" << std::hex << finding.value
         << ", before 0x" << finding.before << ", info 0x" << finding.info << ")";
    throw Failure(text.str());
}

}  // namespace

HostFuzzer::HostFuzzer(Choices& choices, Counts& counts) : choices_(choices), counts_(counts) {
    world_.set_checking(false);
    Word memory = arch::to_kernel(PhysAddr(host::ram_start)).raw;
    Word kernel = reinterpret_cast<Word>(&world_.kernel());
    generator_.forbid({memory, memory + host::ram_bytes});
    generator_.forbid({kernel, kernel + sizeof(Kernel)});
    Resources resources;
    resources.cnode = World::cap(InitSlot::CNode);
    resources.memory = world_.memory();
    resources.tcb = World::cap(InitSlot::TCB);
    resources.asid_control = World::cap(InitSlot::ASIDControl);
    resources.asid_pool = World::cap(InitSlot::ASIDPool);
    resources.irq_control = World::cap(InitSlot::IRQControl);
    resources.domain = World::cap(InitSlot::Domain);
    resources.inspect = World::cap(InitSlot::Inspect);
    resources.sched_control = world_.sched_control();
    // What the world makes for itself is below.
    resources.first_slot = world_.fresh(Universe<HostFuzzer>::slots);
    for (unsigned i = 0; i < fuzz_lines; ++i) resources.lines[i] = first_line + i;
    world_.limit_slots(resources.first_slot + Universe<HostFuzzer>::slots);
    universe_.emplace(*this, resources);
    grants_ = {.irq_control = choices_.one_in(4), .domain = choices_.one_in(4)};
    if (!universe_->build(choices_, grants_)) throw Failure(std::string("the component was not built: ") + universe_->problem());
    world_.set_checking(true);
    world_.check();
    ++counts_.universes;
}

// -- The supervisor

Error HostFuzzer::call(const Request& request) {
    if (!take_over()) return Error::IllegalOperation;
    std::vector<Word> words(request.words.items, request.words.items + request.words.count);
    std::vector<Word> caps(request.caps.items, request.caps.items + request.caps.count);
    return static_cast<Error>(world_.invoke(request.cap, request.method, std::move(words), std::move(caps)).label);
}

bool HostFuzzer::is_clear(uint64_t frame, unsigned) const {
    const Word* words = arch::pointer<Word>(world_.slot(frame).cap.object());
    return std::all_of(words, words + page_size / sizeof(Word), [](Word word) { return word == 0; });
}

// The supervisor's interrupt. In the turn of another domain, or when somebody is to pay for time first, it runs later.
bool HostFuzzer::take_over() {
    if (stranded_ || world_.current() == world_.root().object) return !stranded_;
    world_.interrupt(World::control_irq);
    for (unsigned i = 0; i < most_turns && world_.current() != world_.root().object; ++i) {
        hardware.time = std::max(hardware.time, hardware.deadline);
        world_.timer();
    }
    stranded_ = world_.current() != world_.root().object;
    if (stranded_ && !grants_.domain && !grants_.irq_control) throw Failure("the supervisor does not run any more");
    return !stranded_;
}

void HostFuzzer::supervise() {
    happened_ = "the supervisor mends the component";
    // Many calls that are of no interest here: what they make is checked when they are done.
    world_.set_checking(false);
    switch (choices_.below(6)) {
        case 0: universe_->restock(choices_); break;
        case 1: universe_->assist(choices_, generator_); break;
        case 2: universe_->renew(choices_, generator_); break;
        default: universe_->repair(choices_, generator_); break;
    }
    universe_->give_time(choices_.one_in(3));
    universe_->wake(choices_);
    if (world_.current() == world_.root().object) world_.let_go();
    world_.set_checking(true);
    world_.check();
    // Registers were written.
    calls_.clear();
}

// -- One operation

void HostFuzzer::disturb() {
    hardware.effects.clear();
    hardware.console.clear();
    hardware.ticks_per_read = choices_.one_in(4) ? choices_.below(500) : 0;
    // Most operations pass few preemption points.
    hardware.pending_at = choices_.one_in(3) ? 1 + static_cast<unsigned>(choices_.below(choices_.one_in(2) ? 6 : 1)) : 0;
    hardware.pending_again = choices_.one_in(4) ? 1 : 0;
    if (choices_.one_in(8)) hardware.time += choices_.one_in(3) ? choices_.below(2'000'000) : choices_.below(20'000);
}

void HostFuzzer::step() {
    ++counts_.operations;
    disturb();
    Tcb* thread = world_.current();
    if (thread == world_.root().object) {
        world_.let_go();
    } else if (thread == nullptr) {
        idle();
    } else if (choices_.one_in(64)) {
        if (take_over()) supervise();
    } else {
        operate(*thread);
    }
    audit(thread);
    if (counts_.operations % frames_interval == 0) look_at_frames();
}

void HostFuzzer::idle() {
    happened_ = "an interrupt while nobody runs";
    ++counts_.interrupts;
    switch (choices_.below(6)) {
        case 0:
        case 1:
        case 2:
        case 3:
            if (take_over()) supervise();
            break;
        case 4: world_.interrupt(first_line + choices_.below(fuzz_lines)); break;
        default:
            if (hardware.deadline < hardware.time + 100'000'000) hardware.time = std::max(hardware.time, hardware.deadline);
            world_.timer();
    }
}

void HostFuzzer::operate(Tcb& thread) {
    // A system call that was preempted or cancelled executes again.
    if (thread.context.pc == code_address && calls_.contains(&thread)) return execute(thread, true);
    if (choices_.one_in(10)) return happen();
    generator_.next(operation_, &thread == arch::pointer<Tcb>(world_.slot(universe_->thread(server_thread)).cap.object()));
    switch (operation_.kind) {
        case Operation::Kind::SystemCall: return execute(thread, false);
        case Operation::Kind::MemoryFault:
            happened_ = "a memory fault";
            ++counts_.faults;
            return world_.vm_fault(operation_.x[1], operation_.x[0], choices_.one_in(4));
        case Operation::Kind::Exception:
            happened_ = "an exception";
            ++counts_.faults;
            return world_.user_exception(operation_.x[1]);
        case Operation::Kind::UseFpu:
            happened_ = "a use of the floating-point unit";
            if (!hardware.fpu_enabled) world_.fpu_trap();
            return;
        case Operation::Kind::Interrupt: return;   // is drawn in conversations only
    }
}

void HostFuzzer::happen() {
    happened_ = "an interrupt";
    ++counts_.interrupts;
    switch (choices_.below(6)) {
        case 0: return world_.timer();
        case 1: return world_.serror();
        case 2: return debug_exception();
        case 3: return world_.interrupt(first_line + choices_.below(fuzz_lines));
        case 4: return world_.interrupt(choices_.below(48) == arch::timer_irq().raw ? 1023 : 2 + choices_.below(14));
        default:
            hardware.time = std::max(hardware.time, std::min(hardware.deadline, hardware.time + 1'000'000));
            return world_.timer();
    }
}

void HostFuzzer::debug_exception() {
    static constexpr abi::BreakpointType reasons[] = {abi::BreakpointType::Instruction, abi::BreakpointType::Data, abi::BreakpointType::SingleStep,
                                                      abi::BreakpointType::SoftwareBreakRequest};
    happened_ = "a debug exception";
    ++counts_.faults;
    world_.debug_exception(choices_.one_of(reasons), code_address + 4 * choices_.below(4));
}

void HostFuzzer::load(Tcb& thread) {
    std::copy(std::begin(operation_.x), std::end(operation_.x), thread.context.x);
    for (Word i = std::size(operation_.x); i < std::size(thread.context.x); ++i) thread.context.x[i] = 0x1900 + i;
    thread.context.pc = code_address;
    fill_buffer(thread);
}

void HostFuzzer::fill_buffer(Tcb& thread) {
    abi::IPCBuffer* buffer = writable_buffer(thread);
    if (buffer == nullptr) return;
    for (unsigned i = register_words; i < operation_.message_words; ++i) buffer->msg[i] = operation_.words[i];
    std::copy(std::begin(operation_.caps), std::end(operation_.caps), buffer->caps_or_badges);
    buffer->receive_cnode = operation_.receive_cnode;
    buffer->receive_index = operation_.receive_index;
    buffer->receive_depth = operation_.receive_depth;
}

void HostFuzzer::execute(Tcb& thread, bool restarted) {
    happened_ = restarted ? "a system call that executes again" : "a system call";
    if (restarted) {
        operation_ = Operation{};
    } else {
        load(thread);
    }
    Registers before = registers_of(thread);
    // What such a method leaves in registers, also in the caller's own, is for it to say.
    if (operation_.writes_registers()) {
        calls_.clear();
    } else {
        calls_[&thread] = before;
    }
    ++counts_.system_calls;
    // Whatever was meant to be there: only an object that has the method says how it went.
    bool meant = operation_.is_invocation() && component_slot(operation_.x[0]).cap.is(method_tables[static_cast<unsigned>(operation_.method)].object);
    const Slot* place = place_of_new_object();
    world_.execute();
    if (place != nullptr) check_new_frame(*place);
    if (world_.current() == &thread) count_result(thread, before, meant);
}

void HostFuzzer::count_result(const Tcb& thread, const Registers& before, bool meant) {
    if (thread.context.pc == code_address) {
        ++counts_.preempted;
        return;
    }
    Word label = abi::MessageInfo{thread.context.x[reg::info]}.label();
    counts_.note(thread.context.x[reg::info]);
    if (!meant) return;
    ++(label == 0 ? counts_.succeeded : counts_.refused);
    Word method = abi::MessageInfo{before.x[reg::info]}.label();
    if (method < method_count && label < std::size(counts_.results[0])) ++counts_.results[method][label];
}

// -- Checks

const Slot& HostFuzzer::component_slot(Word address) const {
    return arch::pointer<Slot>(world_.slot(universe_->space()).cap.object())[address];
}

// The slot of the component's CNode where a retype puts its first object, if it is one, and empty: else null.
const Slot* HostFuzzer::place_of_new_object() const {
    constexpr unsigned depth_word = 3;
    constexpr unsigned offset_word = 4;
    Word first = operation_.x[reg::word(offset_word)];
    bool in_space = operation_.method == abi::Method::UntypedRetype && operation_.x[reg::word(depth_word)] == 0;
    if (!in_space || first >> space_bits != 0 || !component_slot(first).empty()) return nullptr;
    return &component_slot(first);
}

// A new frame shows nothing of what its memory held.
void HostFuzzer::check_new_frame(const Slot& slot) const {
    const Cap& cap = slot.cap;
    if (!cap.is(CapType::Frame) || as<FrameCap>(cap).is_device()) return;
    const Word* words = arch::pointer<Word>(cap.object());
    bool clear = std::all_of(words, words + as<FrameCap>(cap).size_bits().bytes() / sizeof(Word), [](Word word) { return word == 0; });
    if (!clear) throw Failure("a new frame shows what its memory held");
}

// Who answers a fault may set registers, and a thread that was destroyed has none.
void HostFuzzer::forget_changed_threads() {
    std::erase_if(calls_, [](const auto& call) {
        const Tcb& thread = *call.first;
        Word pc = thread.context.pc;
        return thread.faulted() || (pc != code_address && pc != code_address + svc_bytes);
    });
}

void HostFuzzer::check_message(const Tcb& thread) {
    raise(find_kernel_address(generator_, registers_of(thread)));
    if (const abi::IPCBuffer* buffer = readable_buffer(thread)) raise(find_kernel_address(generator_, *buffer));
}

void HostFuzzer::audit(const Tcb* issuer) {
    forget_changed_threads();
    const Tcb* thread = world_.current();
    if (thread == nullptr || thread == world_.root().object) return;
    counts_.note(thread->context.x[reg::cap]);
    check_message(*thread);
    auto call = calls_.find(thread);
    if (call == calls_.end() || thread->context.pc != code_address + svc_bytes) return;
    // The registers of a thread that is woken later may be another's answer to what it did; those of one that goes on are its own.
    if (thread == issuer) raise(check_return(call->second, registers_of(*thread)));
    calls_.erase(call);
}

// Memory of the component: only its own words are in it.
void HostFuzzer::look_at_frames() {
    for (Word i = 0; i < fuzz_threads; ++i) {
        const Cap& cap = world_.slot(universe_->buffer(static_cast<unsigned>(i))).cap;
        if (!cap.is(CapType::Frame)) continue;
        const Word* words = arch::pointer<Word>(cap.object());
        for (Word j = 0; j < page_size / sizeof(Word); ++j) {
            if (generator_.is_forbidden(words[j])) throw Failure("a frame of the component holds an address of the kernel");
        }
    }
}

void HostFuzzer::finish() {
    if (!take_over()) return;
    happened_ = "the component is taken back";
    hardware.pending_at = 0;
    hardware.pending_again = 0;
    if (!universe_->destroy()) throw Failure(universe_->problem());
    world_.check();
}

std::string HostFuzzer::last() const {
    std::ostringstream text;
    text << happened_;
    if (operation_.kind != Operation::Kind::SystemCall) return text.str();
    text << "; the last operation had" << std::hex;
    for (unsigned i = 0; i < std::size(operation_.x); ++i) text << " x" << std::dec << i << "=" << std::hex << operation_.x[i];
    return text.str();
}

std::string run_component(Choices& choices, Counts& counts, uint64_t limit) {
    uint64_t first = counts.operations;
    std::optional<HostFuzzer> fuzzer;
    try {
        fuzzer.emplace(choices, counts);
        while (fuzzer->alive() && !choices.ended() && counts.operations - first < limit) fuzzer->step();
        fuzzer->finish();
    } catch (const std::exception& problem) {
        return std::string(problem.what()) + ", in operation " + std::to_string(counts.operations - first) +
               (fuzzer ? " (" + fuzzer->last() + ")" : "");
    }
    return "";
}

}  // namespace caprock::fuzz
