// SPDX-License-Identifier: BSD-2-Clause
#include "supervisor.hpp"

#include <caprock/syscall.hpp>

namespace caprock::fuzz {

namespace {

using abi::CapRights;
using abi::CapType;
using abi::InitSlot;
using abi::Method;
using abi::VMAttributes;

constexpr uint64_t helper_stack_bytes = 2048;
constexpr uint8_t idle_priority = 0;
constexpr uint8_t clock_priority = 254;
constexpr uint64_t clock_budget = 10;        // microseconds
constexpr uint64_t clock_period = 53;        // no multiple of anything here
constexpr unsigned patience = 100;           // periods in which the component must come to rest
constexpr unsigned short_patience = 3;       // while the core may be idle
constexpr unsigned sleep_odds = 64;          // one operation in so many begins or ends such a time
constexpr unsigned together_odds = 16;       // of a steady run, two in so many are those of two threads
constexpr uint64_t most_priority = 6;        // of those two
constexpr unsigned memory_bits = universe_bits + 1;
constexpr uint64_t first_line = 100;         // interrupts that no device of the machines has
constexpr uint64_t console_interrupt = 33;   // QEMU's virt
constexpr uint64_t console_address = code_address + page_bytes;
constexpr unsigned mend_interval = 48;       // operations
constexpr unsigned look_interval = 4;
constexpr unsigned most_refusals = 4;
constexpr uint64_t preserved_pattern = 0x1900'0000'0000;
constexpr unsigned context_words = sizeof(abi::UserContext) / sizeof(uint64_t);
constexpr unsigned fault_endpoint_argument = 2; // of SetSchedParams
constexpr uint64_t first_blocked_state = 2;     // as Inspect tells states
constexpr uint64_t steady_budget = 50'000'000;   // microseconds: no turn ends
constexpr VMAttributes executable = VMAttributes::make(1, 0, 0);
constexpr CapRights all_rights = CapRights::make(1, 1, 1, 1);

// What the helpers share with the supervisor.
struct Shared {
    Cap<Notification> rest;            // signalled when the component has come to rest, or should have
    volatile uint64_t rounds = 0;      // how often the supervisor waited
    Cap<Notification> bed;             // where the idle helper sleeps
    volatile bool asleep = false;      // it should: then nothing runs when the component does not, and the clock tells
};
constinit Shared shared;

alignas(16) constinit uint8_t helper_stacks[2][helper_stack_bytes] = {};
constinit unsigned helpers = 0;

// Runs when no thread of the component does.
[[noreturn]] void idle() {
    for (;;) {
        sys::signal(shared.rest.address());
        sys::ShortMessage message;
        if (shared.asleep) sys::wait(shared.bed.address(), message);
    }
}

[[noreturn]] void watch_clock() {
    uint64_t seen = 0;
    for (unsigned periods = 0;; ++periods) {
        sys::yield();
        if (seen != shared.rounds) periods = 0;
        seen = shared.rounds;
        if (periods == (shared.asleep ? short_patience : patience)) sys::signal(shared.rest.address());
    }
}

uint64_t slot_of(InitSlot slot) { return static_cast<uint64_t>(slot); }

Registers to_registers(const abi::UserContext& context) {
    Registers registers;
    for (unsigned i = 0; i < 9; ++i) registers.x[i] = context.x0_x8[i];
    for (unsigned i = 0; i < 7; ++i) registers.x[9 + i] = context.x9_x15[i];
    for (unsigned i = 0; i < 3; ++i) registers.x[16 + i] = context.x16_x18[i];
    for (unsigned i = 0; i < 10; ++i) registers.x[19 + i] = context.x19_x28[i];
    registers.x[29] = context.x29;
    registers.x[30] = context.x30;
    registers.sp = context.sp;
    registers.pc = context.pc;
    registers.tpidr = context.tpidr_el0;
    return registers;
}

abi::UserContext to_context(const Registers& registers) {
    abi::UserContext context{};
    for (unsigned i = 0; i < 9; ++i) context.x0_x8[i] = registers.x[i];
    for (unsigned i = 0; i < 7; ++i) context.x9_x15[i] = registers.x[9 + i];
    for (unsigned i = 0; i < 3; ++i) context.x16_x18[i] = registers.x[16 + i];
    for (unsigned i = 0; i < 10; ++i) context.x19_x28[i] = registers.x[19 + i];
    context.x29 = registers.x[29];
    context.x30 = registers.x[30];
    context.sp = registers.sp;
    context.pc = registers.pc;
    context.tpidr_el0 = registers.tpidr;
    return context;
}

}  // namespace

bool Supervisor::fail(const char* problem, Finding finding) {
    report_ = {problem, finding};
    return false;
}

// -- What stays

bool Supervisor::make_helper(void (*function)(), uint8_t priority, uint64_t budget, uint64_t period) {
    Cap<TCB> tcb = machine_.make<TCB>(abi::ObjectType::TCB);
    Cap<SchedContext> context = machine_.make<SchedContext>(abi::ObjectType::SchedContext, 8);
    if (tcb.is_null() || context.is_null()) return false;
    abi::UserContext registers{};
    registers.pc = reinterpret_cast<uint64_t>(function);
    registers.sp = reinterpret_cast<uint64_t>(helper_stacks[helpers++] + helper_stack_bytes);
    Cap<SchedControl> control{machine_.info().sched_control.start};
    return control.configure_flags(budget, period, 0, 0, abi::SchedContextFlags::make(0), context).ok() &&
           tcb.set_space(abi::CNodeCapData{0}, 0, CapRef{}, root_cnode, root_vspace).ok() &&
           tcb.set_sched_params(priority, priority, root_tcb, context, CapRef{}).ok() && tcb.write_registers(1, 2, registers).ok();
}

bool Supervisor::make_code_tables() {
    for (unsigned i = 0; i < fuzz_spaces; ++i) {
        code_tables_[i] = machine_.make<PageTable>(abi::ObjectType::PageTable);
        code_copies_[i] = Cap<Frame>{machine_.take_slots()};
        console_copies_[i] = Cap<Frame>{machine_.take_slots()};
        Cap<Frame> code = machine_.image_frame(component_code);
        if (code_tables_[i].is_null()) return false;
        if (!root_cnode.copy(code_copies_[i].address(), address_bits, code.address(), address_bits, all_rights, root_cnode).ok()) return false;
        if (!root_cnode.copy(console_copies_[i].address(), address_bits, machine_.console().address(), address_bits, all_rights, root_cnode).ok()) return false;
    }
    return true;
}

bool Supervisor::start(bool steady) {
    steady_ = steady;
    if (steady) machine_.print(Text() << "fuzz target: steady\n");
    shared.rest = machine_.make<Notification>(abi::ObjectType::Notification);
    shared.bed = machine_.make<Notification>(abi::ObjectType::Notification);
    memory_ = machine_.take_memory(memory_bits);
    universe_slots_ = machine_.take_slots(Universe<Supervisor>::slots);
    for (uint64_t& alias : aliases_) alias = machine_.take_slots();
    return !shared.rest.is_null() && !shared.bed.is_null() && !memory_.is_null() && make_code_tables() &&
           make_helper(idle, idle_priority, steady_budget, steady_budget) && (steady || make_helper(watch_clock, clock_priority, clock_budget, clock_period));
}

Resources Supervisor::resources() {
    Resources resources;
    resources.cnode = slot_of(InitSlot::CNode);
    resources.memory = memory_.address();
    resources.tcb = slot_of(InitSlot::TCB);
    resources.asid_control = slot_of(InitSlot::ASIDControl);
    resources.asid_pool = slot_of(InitSlot::ASIDPool);
    resources.irq_control = slot_of(InitSlot::IRQControl);
    resources.domain = slot_of(InitSlot::Domain);
    resources.inspect = slot_of(InitSlot::Inspect);
    resources.sched_control = machine_.info().sched_control.start;
    resources.first_slot = universe_slots_;
    for (unsigned i = 0; i < fuzz_lines; ++i) resources.lines[i] = first_line + i;
    if (steady_) resources.lines[Generator::console_line] = console_interrupt;
    return resources;
}

// -- Port

Error Supervisor::call(const Request& request) {
    sys::Message message{abi::MessageInfo::make(request.words.count, request.caps.count, 0, static_cast<uint64_t>(request.method)), 0, {}};
    for (unsigned i = 0; i < request.words.count; ++i) message.words[i] = request.words.items[i];
    if (steady_ && request.method == Method::SchedControlConfigureFlags) message.words[0] = message.words[1] = steady_budget;
    for (unsigned i = 0; i < request.caps.count; ++i) caprock_ipc_buffer->caps_or_badges[i] = request.caps.items[i];
    // A thread whose operation is over stops: its fault would stand before others' messages.
    if (steady_ && request.method == Method::TCBSetSchedParams) caprock_ipc_buffer->caps_or_badges[fault_endpoint_argument] = 0;
    sys::call(request.cap, message);
    return static_cast<Error>(message.info.label());
}

// The tables and copies are the supervisor's own, and outlive the address spaces in which they were mapped.
bool Supervisor::prepare_space(uint64_t vspace) {
    unsigned i = spaces_prepared_++ % fuzz_spaces;
    constexpr CapRights read_only = CapRights::make(0, 1, 0, 0);
    return code_tables_[i].unmap().ok() && code_tables_[i].map(code_address, executable, Cap<VSpace>{vspace}).ok() &&
           code_copies_[i].unmap().ok() && code_copies_[i].map(code_address, read_only, executable, Cap<VSpace>{vspace}).ok() &&
           console_copies_[i].unmap().ok() && (!steady_ || map_console(i, vspace));
}

// Whose thread stores there lets the console's interrupt through.
bool Supervisor::map_console(unsigned space, uint64_t vspace) {
    return console_copies_[space].map(console_address, CapRights::make(1, 1, 0, 0), VMAttributes::make(0, 0, 1), Cap<VSpace>{vspace}).ok();
}

bool Supervisor::is_clear(uint64_t frame, unsigned thread) {
    if (!root_cnode.copy(aliases_[thread], address_bits, frame, address_bits, all_rights, root_cnode).ok()) return false;
    if (!machine_.map(Cap<Frame>{aliases_[thread]}, thread)) return false;
    for (unsigned i = 0; i < page_size / sizeof(uint64_t); ++i) {
        if (Machine::window(thread)[i] != 0) return false;
    }
    return true;
}

// -- One operation

void Supervisor::wait() {
    shared.rounds = shared.rounds + 1;
    sys::ShortMessage message;
    sys::wait(shared.rest.address(), message);
}

bool Supervisor::give(unsigned thread, const Operation& operation) {
    threads_[thread].writes = operation.writes_registers();
    Registers& registers = threads_[thread].before;
    for (unsigned i = 0; i < 19; ++i) registers.x[i] = operation.x[i];
    if (operation.kind == Operation::Kind::Interrupt) {
        registers.x[0] = console_address + Machine::interrupt_mask;
        registers.x[1] = Machine::let_interrupt;
    }
    for (unsigned i = 19; i < 31; ++i) registers.x[i] = preserved_pattern + i;
    registers.sp = preserved_pattern + 31 * 16;
    registers.tpidr = preserved_pattern + 33;
    registers.pc = entry_of(operation);
    volatile abi::IPCBuffer& buffer = *reinterpret_cast<volatile abi::IPCBuffer*>(Machine::window(thread));
    for (unsigned i = abi::ipc_register_words; i < operation.message_words; ++i) buffer.msg[i] = operation.words[i];
    for (unsigned i = 0; i < abi::ipc_extra_caps; ++i) buffer.caps_or_badges[i] = operation.caps[i];
    buffer.receive_cnode = operation.receive_cnode;
    buffer.receive_index = operation.receive_index;
    buffer.receive_depth = operation.receive_depth;
    return Cap<TCB>{universe_->thread(thread)}.write_registers(1, context_words, to_context(registers)).ok() ||
           fail("registers of a thread could not be written");
}

bool Supervisor::look_at_buffer(unsigned thread) {
    const volatile uint64_t* words = Machine::window(thread);
    for (unsigned i = 0; i < sizeof(abi::IPCBuffer) / sizeof(uint64_t); ++i) {
        if (generator_->is_forbidden(words[i])) return fail({"an IPC buffer holds an address of the kernel", i, words[i]});
    }
    return true;
}

void Supervisor::count(const Operation& operation, const Registers& after, bool ended) {
    if (operation.kind != Operation::Kind::SystemCall) {
        ++counts_.faults;
        return;
    }
    ++counts_.system_calls;
    if (!ended) ++counts_.waited;
    if (!ended || !operation.is_invocation()) return;
    ++(abi::MessageInfo{after.x[1]}.label() == 0 ? counts_.succeeded : counts_.refused);
}

// Whether registers may have changed otherwise than by the kernel's return: an operation that was held up may have gone on.
bool Supervisor::may_write_registers() const {
    for (const Thread& thread : threads_) {
        if (thread.writes) return true;
    }
    return false;
}

// `at_once`: the thread had its turn just now. Then nobody but itself can have changed what its system call returned.
bool Supervisor::look(unsigned number, bool at_once) {
    Thread& thread = threads_[number];
    abi::UserContext context{};
    if (!Cap<TCB>{universe_->thread(number)}.read_registers(0, context_words, context).ok()) return fail("registers of a thread could not be read");
    Registers after = to_registers(context);
    if (Finding finding = find_kernel_address(*generator_, after)) return fail(finding);
    bool is_call = operation_.kind == Operation::Kind::SystemCall;
    bool ended = at_once && !is_call ? after.pc != thread.before.pc : after.pc == returned_pc;
    thread.pending = !ended;
    counts_.note(after.x[0] ^ after.x[1]);
    if (!at_once) return true;
    thread.refused = ended ? 0 : thread.refused + 1;
    count(operation_, after, ended);
    bool known = is_call && operation_.syscall() >= abi::Syscall::Call && operation_.syscall() <= abi::Syscall::Yield;
    if (!ended || !known || may_write_registers()) return true;
    if (Finding finding = check_return(thread.before, after)) return fail(finding);
    return look_at_buffer(number);
}

// For some time the core is idle when the component is.
void Supervisor::sleep_or_wake(Choices& choices) {
    if (steady_ || !choices.one_in(sleep_odds)) return;
    shared.asleep = !shared.asleep;
    if (!shared.asleep) sys::signal(shared.bed.address());
}

// Draws an operation; of a steady run none that tells or measures out time, and mostly part of a conversation. False: not this one.
bool Supervisor::draw(Choices& choices, Operation& operation, bool server) {
    if (steady_ && !choices.one_in(4)) {
        generator_->converse(operation, server);
        return true;
    }
    generator_->next(operation, server);
    if (!steady_) return true;
    switch (static_cast<Method>(abi::MessageInfo{operation.x[1]}.label())) {
        case Method::SchedControlConfigureFlags:
        case Method::SchedContextConsumed:
        case Method::SchedContextYieldTo: return false;
        default: return true;
    }
}

// Lets a thread do `operation_`.
bool Supervisor::perform(unsigned thread) {
    ++counts_.operations;
    if (!give(thread, operation_)) return false;
    wait();
    if (steady_) Machine::silence();
    return look(thread, true) && (!steady_ || note_all(0));
}

bool Supervisor::operate(Choices& choices, unsigned thread) {
    while (!draw(choices, operation_, thread == server_thread)) {}
    return perform(thread);
}

void Supervisor::set_priority(unsigned thread, uint64_t priority) {
    static_cast<void>(call({universe_->thread(thread), Method::TCBSetPriority, {priority}, {slot_of(InitSlot::TCB)}}));
}

// Two threads of one priority, the first of which yields to the second.
bool Supervisor::operate_equals(Choices& choices, unsigned thread, unsigned other) {
    ++counts_.operations;
    uint64_t priority = 1 + choices.below(most_priority);
    set_priority(thread, priority);
    set_priority(other, priority);
    generator_->yield(operation_);
    while (!draw(choices, other_operation_, other == server_thread)) {}
    if (!give(thread, operation_) || !give(other, other_operation_)) return false;
    wait();
    Machine::silence();
    return look(thread, true) && look(other, false) && note_all(0);
}

// What `thread` does wakes the other one, which is mostly the more important one.
bool Supervisor::operate_meeting(Choices& choices, unsigned thread, unsigned other) {
    auto meeting = static_cast<Generator::Meeting>(choices.below(Generator::meetings));
    set_priority(thread, 1 + choices.below(most_priority / 2));
    set_priority(other, choices.one_in(6) ? 1 : 1 + most_priority / 2 + choices.below(most_priority / 2));
    if (other == server_thread) universe_->give_time(choices.one_in(2));
    if (meeting == Generator::Meeting::Fault) universe_->give_handler(thread);
    generator_->await(operation_, meeting);
    // Twice, if something was there at once.
    if (!perform(other) || (!threads_[other].pending && !perform(other))) return false;
    generator_->wake(operation_, meeting);
    if (!perform(thread) || meeting != Generator::Meeting::Interrupt) return report_.problem == nullptr;
    generator_->acknowledge(operation_);
    return perform(thread);
}

// One thread's operation, or those of two threads in a steady run: what the other one may wait for is cancelled.
bool Supervisor::operate_some(Choices& choices, unsigned thread) {
    unsigned other = steady_ ? static_cast<unsigned>(choices.below(fuzz_threads)) : thread;
    if (other == thread || threads_[thread].pending) return operate(choices, thread);
    switch (choices.below(together_odds)) {
        case 0: return operate_equals(choices, thread, other);
        case 1: return operate_meeting(choices, thread, other);
        default: return operate(choices, thread);
    }
}

// `state`: word 1 of the answer.
bool Supervisor::note_answer(Method method, uint64_t cap, uint64_t* state) {
    constexpr Cap<Inspect> inspect{static_cast<uint64_t>(InitSlot::Inspect)};
    sys::Message message{abi::MessageInfo::make(0, 1, 0, static_cast<uint64_t>(method)), 0, {}};
    caprock_ipc_buffer->caps_or_badges[0] = cap;
    sys::call(inspect.address(), message);
    counts_.note(message.info.raw);
    for (unsigned i = 0; i < message.info.length(); ++i) counts_.note(message.words[i]);
    if (state != nullptr) *state = message.words[1];
    return message.info.label() == 0 || fail("Inspect refused");
}

// Registers, what Inspect tells, and buffers. `flags`: of ReadRegisters.
bool Supervisor::note_all(uint64_t flags) {
    for (unsigned i = 0; i < fuzz_threads; ++i) {
        uint64_t tcb = universe_->thread(i);
        abi::UserContext context{};
        if (!Cap<TCB>{tcb}.read_registers(flags, context_words, context).ok()) return fail("registers of a thread could not be read");
        uint64_t words[context_words];
        __builtin_memcpy(words, &context, sizeof(words));
        for (uint64_t word : words) counts_.note(word);
        uint64_t state;
        if (!note_answer(Method::InspectReadTCB, tcb, &state)) return false;
        threads_[i].waits = state >= first_blocked_state;
        for (unsigned word = 0; word < sizeof(abi::IPCBuffer) / sizeof(uint64_t); ++word) counts_.note(Machine::window(i)[word]);
    }
    for (unsigned i = 0; i < fuzz_endpoints; ++i) {
        if (!note_answer(Method::InspectReadReply, universe_->reply(i))) return false;
    }
    for (unsigned i = 0; i < fuzz_threads; ++i) {
        if (!note_answer(Method::InspectReadSchedContext, universe_->context(i))) return false;
    }
    return true;
}

// A thread that is blocked keeps its chance to be answered, mostly.
unsigned Supervisor::next_thread(Choices& choices) {
    if (steady_ && !threads_[server_thread].waits && !choices.one_in(4)) return server_thread;
    unsigned thread = static_cast<unsigned>(choices.below(fuzz_threads));
    for (unsigned i = 0; steady_ && i < fuzz_threads && threads_[thread].waits && !choices.one_in(16); ++i) thread = (thread + 1) % fuzz_threads;
    for (unsigned i = 0; i < fuzz_threads && threads_[thread].pending; ++i) thread = (thread + 1) % fuzz_threads;
    return thread;
}

void Supervisor::mend(Choices& choices) {
    switch (choices.below(6)) {
        case 0: return universe_->restock(choices);
        case 1: return universe_->assist(choices, *generator_);
        case 2: return universe_->renew(choices, *generator_);
        default: return universe_->repair(choices, *generator_);
    }
}

bool Supervisor::run(uint64_t seed, uint64_t operations) {
    Choices choices(seed);
    Generator generator(choices);
    Universe<Supervisor> universe(*this, resources());
    generator_ = &generator;
    universe_ = &universe;
    for (Thread& thread : threads_) thread = Thread{};
    if (!universe.build(choices, {})) return fail(universe.problem());
    ++counts_.universes;
    for (uint64_t i = 0; i < operations; ++i) {
        unsigned thread = next_thread(choices);
        sleep_or_wake(choices);
        if (!operate_some(choices, thread)) return false;
        if (threads_[thread].refused >= most_refusals || i % mend_interval == 0) mend(choices);
        if (thread == server_thread) universe.give_time(choices.one_in(steady_ ? 3 : 2));
        for (unsigned other = 0; i % look_interval == 0 && other < fuzz_threads; ++other) {
            if (other != thread && threads_[other].pending && !look(other, false)) return false;
        }
    }
    // Suspended, threads show registers that they do not show while they wait.
    if (steady_ && !note_all(1)) return false;
    return universe.destroy() || fail(universe.problem());
}

}  // namespace caprock::fuzz
