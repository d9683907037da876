// SPDX-License-Identifier: BSD-2-Clause
#include "driver.hpp"

#include "config.hpp"
#include "ipc/message.hpp"

#include <algorithm>

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using abi::Syscall;
using host::hardware;
using test::World;

namespace {

constexpr Word control_irq = 45;
constexpr unsigned most_turns = 200;     // of the clock until the supervisor must have come back
constexpr unsigned most_points = 200;    // preemption points in turn
constexpr Word most_ticks = 20'000;
constexpr Word far_away = 100'000'000;
constexpr Word condition_flags = 0xf000'0000;
constexpr unsigned condition_shift = 28;
constexpr Word extra_slots = 5;          // two frames, two for what is there for a moment only, and memory of a device

test::Message message_of(const fuzz::Request& request) {
    test::Message message{static_cast<Word>(request.method), {}, {}};
    message.words.assign(request.words.items, request.words.items + request.words.count);
    message.caps.assign(request.caps.items, request.caps.items + request.caps.count);
    return message;
}

}  // namespace

Driver::Driver(fuzz::Choices& choices, Oracle& oracle, Tally& tally, const Manner& manner) : choices_(choices), manner_(manner) {
    constexpr Word frequencies[] = {62'500'000, 62'500'000, 54'000'000, 25'909'091};
    hardware.frequency = choices_.one_of(frequencies);
    world_.set_checking(false);
    Word memory = arch::to_kernel(PhysAddr(host::ram_start)).raw;
    Word kernel = reinterpret_cast<Word>(&world_.kernel());
    generator_.forbid({memory, memory + host::ram_bytes});
    generator_.forbid({kernel, kernel + sizeof(Kernel)});
    control_ = world_.mint(world_.make(abi::ObjectType::Notification), 1);
    control_handler_ = world_.fresh();
    world_.must(World::cap(InitSlot::IRQControl), Method::IRQControlGet, {control_irq, 1, control_handler_, World::full_depth}, {World::cap(InitSlot::CNode)});
    world_.must(control_handler_, Method::IRQHandlerSetNotification, {}, {control_});
    fuzz::Resources resources;
    resources.cnode = World::cap(InitSlot::CNode);
    resources.memory = world_.memory();
    resources.tcb = World::cap(InitSlot::TCB);
    resources.asid_control = World::cap(InitSlot::ASIDControl);
    resources.asid_pool = World::cap(InitSlot::ASIDPool);
    resources.irq_control = World::cap(InitSlot::IRQControl);
    resources.domain = World::cap(InitSlot::Domain);
    resources.inspect = World::cap(InitSlot::Inspect);
    resources.sched_control = world_.sched_control();
    extra_ = world_.fresh(extra_slots);
    nest_ = world_.fresh(nest_slots);
    crowd_ = world_.fresh(crowd_slots);
    own_memory_ = other_memory();
    resources.first_slot = world_.fresh(fuzz::Universe<Driver>::slots);
    for (unsigned i = 0; i < fuzz::fuzz_lines; ++i) resources.lines[i] = first_line + i;
    lockstep_.emplace(world_, oracle, tally, resources.first_slot + fuzz::Universe<Driver>::slots, manner_.goes_on);
    universe_.emplace(*this, resources);
}

void Driver::build() {
    grants_ = {.irq_control = choices_.one_in(3), .domain = choices_.one_in(2)};
    if (!universe_->build(choices_, grants_)) throw Mismatch(std::string("the component was not built: ") + universe_->problem());
    give_frames();
    give_weak_ones();
}

// -- The supervisor

void Driver::call_to_end(Syscall number, Word cap, const test::Message& message) {
    world_.prepare(number, cap, message);
    const Tcb* caller = world_.current();
    Word pc = caller->context.pc;
    do {
        arm();
        lockstep_->system_call();
        note_preemption();
    } while (world_.current() == caller && caller->context.pc == pc);
}

// A call that is not executed again when it is preempted, which is at its first preemption point or a later one.
void Driver::begin(const fuzz::Request& request, unsigned point) {
    if (!manner_.preempts || !take_over()) return;
    world_.prepare(Syscall::Call, request.cap, message_of(request));
    hardware.pending_at = point;
    lockstep_->system_call();
}

abi::Error Driver::call(const fuzz::Request& request) {
    if (!take_over()) return abi::Error::IllegalOperation;
    call_to_end(Syscall::Call, request.cap, message_of(request));
    return static_cast<abi::Error>(abi::MessageInfo{world_.root()->context.x[reg::info]}.label());
}

void Driver::make(abi::ObjectType type, Word bits, Word slot, Word untyped, Word count) {
    call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, count}, {static_cast<Word>(InitSlot::CNode)}});
}

void Driver::remove(Word slot) { call({static_cast<Word>(InitSlot::CNode), Method::CNodeDelete, {slot, World::full_depth}, {}}); }

bool Driver::is_clear(uint64_t frame, unsigned) const {
    const Word* words = arch::pointer<Word>(world_.slot(frame).cap.object());
    return std::all_of(words, words + page_size / sizeof(Word), [](Word word) { return word == 0; });
}

// In the turn of another domain, or when somebody is to pay for time first, the supervisor runs later.
bool Driver::take_over() {
    Tcb* root = world_.root().object;
    if (stranded_ || world_.current() == root) return !stranded_;
    lockstep_->interrupt(control_irq);
    for (unsigned i = 0; i < most_turns && world_.current() != root; ++i) {
        hardware.time = std::max(hardware.time, std::min(hardware.deadline, hardware.time + far_away));
        lockstep_->timer();
    }
    stranded_ = world_.current() != root;
    if (stranded_) return false;
    call_to_end(Syscall::Call, control_handler_, {static_cast<Word>(Method::IRQHandlerAck), {}, {}});
    return true;
}

void Driver::let_go() {
    if (world_.current() == world_.root().object) call_to_end(Syscall::Wait, control_);
}

void Driver::supervise() {
    switch (choices_.below(34)) {
        case 7:
        case 8: make_servers(); break;
        case 11: choices_.one_in(2) ? make_nest() : make_chain(); break;
        case 12: choices_.one_in(3) ? revoke_itself() : delete_itself(); break;
        case 13: break_budget(); break;
        case 14: spread_priorities(); break;
        case 15: make_crowd(); break;
        case 16: leave_unwanted(); break;
        case 17:
        case 18: choices_.one_in(3) ? make_refused_behind() : make_refused(); break;
        case 27: choices_.one_in(3) ? resume_sweep() : make_swept(); break;
        case 29:
        case 30:
        case 31:
        case 32:
        case 33:
            switch (choices_.below(15)) {
                case 0: lose_pool(); break;
                case 9: make_float(); break;
                case 10: clear_gap(); break;
                case 5: change_slots(); break;
                case 11: choices_.one_in(3) ? change_space() : change_slots(); break;
                case 12: choices_.one_in(2) ? empty_tables() : reuse_asid(); break;
                case 13: make_roomy(); break;
                case 14: drop_context(); break;
                case 6:
                case 7:
                case 8: choices_.one_in(4) ? break_stack() : make_stack(); break;
                case 3: make_waiters(); break;
                case 2: answer_with_source(); break;
                case 1: make_lent(); break;
                default: make_yield();
            }
            break;
        case 28:
            if (choices_.one_in(20)) make_wide();
            if (choices_.one_in(12)) choices_.one_in(2) ? fill_pool() : make_pools();
            if (choices_.one_in(10)) make_huge_page();
            change_plans();
            break;
        case 19:
            if (choices_.one_in(3)) make_deep();
            else choices_.one_in(4) ? look_far() : look_for_parents();
            break;
        case 20:
        case 21:
        case 22: use_fresh(); break;
        case 23:
        case 24: change_budget(); break;
        case 25:
        case 26: make_family(); break;
        case 9: give_signals(); break;
        case 10:
            if (choices_.one_in(2)) watch_twice();
            settle(static_cast<unsigned>(choices_.below(fuzz::fuzz_threads)), choices_.below(4));
            break;
        case 0: universe_->restock(choices_); break;
        case 1:
        case 2: universe_->assist(choices_, generator_); break;
        case 4:
            give_weak_ones();
            give_frames();
            break;
        case 5: make_last_holder(); break;
        case 6: truncate(); break;
        case 3: universe_->renew(choices_, generator_); break;
        default:
            if (choices_.one_in(3)) universe_->repair(choices_, generator_);
    }
    wake();
    let_go();
}

void Driver::finish() {
    if (!take_over()) return;
    if (!universe_->destroy()) throw Mismatch(universe_->problem());
    remove_originals();
}

// -- One event

// Instants at which something is just over, or just not yet.
Word Driver::border() {
    const Core& core = world_.core();
    SchedContext* context = core.current_sched_context;
    Word budget_end = context == nullptr ? hardware.deadline : core.charged_until.raw + context->first().amount.raw;
    const Tcb* sleeper = core.release.least();
    Word instant = hardware.deadline;
    switch (choices_.below(6)) {
        case 0: instant = budget_end; break;
        case 1: instant = budget_end - min_budget().raw; break;
        case 2: instant = core.domain_end.raw; break;
        case 3: instant = sleeper == nullptr ? hardware.deadline : sleeper->sched_context->first().time.raw; break;
        case 4: instant = director_.instant(component_slots()).value_or(Ticks(hardware.deadline)).raw; break;
        default: break;
    }
    return choices_.one_in(2) ? instant : instant + choices_.below(3) - 1;
}

void Driver::pass_time() {
    if (!manner_.time_passes || !choices_.one_in(6)) return;
    Word least = hardware.time;
    Word instant = least;
    switch (choices_.below(6)) {
        case 0:
        case 1: instant = border(); break;
        case 2: instant = std::min(hardware.deadline, least + far_away) + choices_.below(1'000); break;
        case 3: instant += choices_.below(1'000); break;
        default: instant += choices_.below(most_ticks);
    }
    if (instant >= least && instant <= least + 2 * far_away) hardware.time = instant;
}

// The kernel counts how often an address space may have been lost. When it has counted, some losses more are taken for granted, so that the count comes
// to places where a carry is wrong, or where it ends.
void Driver::count_lost_spaces() {
    SpaceEpoch& epoch = world_.core().space_epoch;
    Word counted = epoch.raw();
    if (counted == epoch_ || counted == SpaceEpoch::last) return;
    unsigned bits = 7 + 8 * static_cast<unsigned>(choices_.below(5));
    const Word places[] = {counted, 2 * (counted - 1), Word{1} << bits, (Word{2} << bits) - 1, SpaceEpoch::last - choices_.below(3)};
    epoch_ = choices_.one_in(8) ? choices_.one_of(places) : places[1];
    if (epoch_ < counted || epoch_ > SpaceEpoch::last) epoch_ = counted;
    for (unsigned i = 0; i < std::size(epoch.bytes); ++i) epoch.bytes[i] = static_cast<uint8_t>(epoch_ >> 8 * i);
}

// Each operation is preempted at its points in turn, so that all of them come up, and else at random.
void Driver::arm() {
    hardware.pending_at = 0;
    in_turn_ = false;
    if (!manner_.preempts || world_.current() == nullptr || choices_.one_in(4)) return;
    in_turn_ = choices_.one_in(2);
    unsigned& point = points_[lockstep_->operation()];
    if (point == 0) point = 1;
    hardware.pending_at = in_turn_ ? point : 1 + static_cast<unsigned>(choices_.below(3));
}

void Driver::note_preemption() {
    if (!in_turn_) return;
    unsigned& point = points_[lockstep_->last_operation()];
    point = lockstep_->preempted() && point < most_points ? point + 1 : 1;
}

void Driver::step() {
    count_lost_spaces();
    Tcb* thread = world_.current();
    if (thread == world_.root().object) return let_go();
    if (thread == nullptr) return idle();
    if (choices_.one_in(64)) {
        if (take_over()) supervise();
        return;
    }
    pass_time();
    // User level may change its own thread pointer and condition flags at any time.
    if (choices_.one_in(8)) hardware.tpidr = choices_.word() & 0xffff'ffff;
    if (choices_.one_in(4)) thread->context.spsr = (thread->context.spsr & ~condition_flags) | choices_.below(16) << condition_shift;
    operate(*thread);
}

void Driver::idle() {
    auto let_deadline_come = [&] {
        if (manner_.time_passes && hardware.deadline < hardware.time + far_away) hardware.time = std::max(hardware.time, hardware.deadline);
        lockstep_->timer();
    };
    bool somebody_comes = manner_.time_passes && world_.core().release.least() != nullptr;
    if (somebody_comes && !choices_.one_in(3)) return let_deadline_come();
    switch (choices_.below(4)) {
        case 0:
        case 1:
            if (!take_over()) break;
            if (choices_.one_in(5)) return supervise();
            wake();
            let_go();
            break;
        case 2: lockstep_->interrupt(first_line + choices_.below(fuzz::fuzz_lines)); break;
        default: let_deadline_come();
    }
}

void Driver::operate(Tcb& thread) {
    if (lockstep_->preempted() && (thread.sweep.endpoint != nullptr || !choices_.one_in(8))) return choices_.one_in(3) ? interfere() : go_on();
    if (choices_.one_in(10)) return interfere();
    draw(thread);
    switch (operation_.kind) {
        case fuzz::Operation::Kind::SystemCall: return execute(thread);
        case fuzz::Operation::Kind::MemoryFault: return lockstep_->memory_fault(operation_.x[1], operation_.x[0], choices_.one_in(4));
        case fuzz::Operation::Kind::Exception: return lockstep_->exception(operation_.x[1]);
        case fuzz::Operation::Kind::UseFpu: return lockstep_->use_fpu();
        case fuzz::Operation::Kind::Interrupt: return;   // is drawn on the target only
    }
}

const Slot* Driver::component_slots() const { return arch::pointer<Slot>(world_.slot(universe_->space()).cap.object()); }

// Most of the operations know what there is.
void Driver::draw(const Tcb& thread) {
    if (auto planned = plans_.find(&thread); planned != plans_.end()) {
        const Plan plan = planned->second;
        plans_.erase(planned);
        return plan.reply == 0 ? director_.wait(operation_, plan.target) : director_.receive_with(operation_, plan.target, plan.reply);
    }
    const Slot* space = component_slots();
    if (choices_.one_in(2) && director_.round_trip(operation_, space, thread)) return;
    if (choices_.one_in(4) && director_.yield_again(operation_, space, thread)) return;
    if (choices_.one_in(3) && director_.help(operation_, space, thread)) return;
    if (debug_build && choices_.one_in(200)) return director_.debug_call(operation_);
    if (choices_.one_in(3) && director_.opportunity(operation_, space, thread)) return;
    if (choices_.one_in(2)) return director_.call(operation_, space);
    generator_.next(operation_);
    if (operation_.kind != fuzz::Operation::Kind::SystemCall) return;
    bool is_message = operation_.method == Method::None;
    bool in_vain = !is_message && operation_.x[0] < space_slots && space[operation_.x[0]].empty();
    if (is_message && choices_.one_in(2)) director_.message(operation_, space);
    else if (in_vain && !choices_.one_in(4)) director_.call(operation_, space);
}

// The thread executes its preempted system call again.
void Driver::go_on() {
    arm();
    lockstep_->system_call();
    note_preemption();
}

void Driver::interfere() {
    switch (choices_.below(6)) {
        case 0: return lockstep_->timer();
        case 1: return lockstep_->interrupt(first_line + choices_.below(fuzz::fuzz_lines));
        case 2: return lockstep_->interrupt(2 + choices_.below(14));
        case 3:
            if (choices_.one_in(8)) return lockstep_->spurious_interrupt();
            return choices_.one_in(2) ? lockstep_->system_error() : debug();
        default:
            if (manner_.time_passes) hardware.time = std::max(hardware.time, std::min(hardware.deadline, hardware.time + most_ticks));
            return lockstep_->timer();
    }
}

// What the debug hardware could tell of the thread. A watchpoint may report an address beside what it watches.
void Driver::debug() {
    using abi::BreakpointType;
    Tcb& thread = *world_.current();
    const DebugState& state = thread.debug;
    if (state.steps != 0 && !choices_.one_in(3)) return lockstep_->debug(BreakpointType::SingleStep, choices_.word());
    unsigned i = static_cast<unsigned>(choices_.below(arch::breakpoint_count()));
    if (state.watchpoints[i].enabled) {
        Word beside = choices_.below(state.watchpoints[i].size + 1u);
        return lockstep_->debug(BreakpointType::Data, state.watchpoints[i].address + beside);
    }
    if (state.breakpoints[i].enabled) {
        if (!choices_.one_in(4)) thread.context.pc = state.breakpoints[i].address;
        return lockstep_->debug(BreakpointType::Instruction, choices_.word());
    }
    lockstep_->debug(BreakpointType::SoftwareBreakRequest, choices_.word());
}

void Driver::execute(Tcb& thread) {
    load(thread);
    // Only now it is known what it is.
    arm();
    lockstep_->system_call();
    note_preemption();
}

// Addresses of the component's slots, as the thread's own CSpace has them.
void Driver::add_guard(const Tcb& thread) {
    const Cap& root = thread.cap(TcbSlot::CSpace);
    if (operation_.kind != fuzz::Operation::Kind::SystemCall || !root.is(CapType::CNode) || as<CNodeCap>(root).radix() != fuzz::space_bits) return;
    Word guard = as<CNodeCap>(root).guard() << fuzz::space_bits;
    auto add = [&](uint64_t& address) {
        if (address < space_slots) address |= guard;
    };
    for (unsigned i : {0u, 6u, 8u}) add(operation_.x[i]);
    for (uint64_t& address : operation_.caps) add(address);
    add(operation_.receive_cnode);
}

void Driver::load(Tcb& thread) {
    add_guard(thread);
    std::copy(std::begin(operation_.x), std::end(operation_.x), thread.context.x);
    thread.context.pc = fuzz::code_address;
    abi::IPCBuffer* buffer = writable_buffer(thread);
    if (buffer == nullptr) return;
    // Words that nobody reads: to whom takes the frame for an endpoint somebody receives there.
    buffer->tag = choices_.below(2);
    buffer->msg[0] = choices_.below(4);
    for (unsigned i = register_words; i < operation_.message_words; ++i) buffer->msg[i] = operation_.words[i];
    std::copy(std::begin(operation_.caps), std::end(operation_.caps), buffer->caps_or_badges);
    for (Word i = abi::MessageInfo{operation_.x[reg::info]}.extra_caps(); choices_.one_in(2) && i < abi::ipc_extra_caps; ++i) {
        buffer->caps_or_badges[i] = ~Word{0};
    }
    buffer->receive_cnode = operation_.receive_cnode;
    buffer->receive_index = operation_.receive_index;
    buffer->receive_depth = operation_.receive_depth;
}

}  // namespace caprock::lockstep
