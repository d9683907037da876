// SPDX-License-Identifier: BSD-2-Clause
// Situations that the component hardly comes to by itself: containers in containers, also in themselves, that go all at once; budgets that come back in
// many pieces, or change; threads whose priorities lie at the ends of the bitmap's words; many threads that sleep.
#include "driver.hpp"

#include "fuzz_tables.hpp"
#include "ipc/message.hpp"

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using abi::Syscall;
using host::hardware;
using test::World;

namespace {

constexpr Word cnode = static_cast<Word>(InitSlot::CNode);
constexpr unsigned most_nodes = 3;
constexpr Word all_rights = 15;
constexpr Word most_pause = 20'000;      // ticks

}  // namespace

// CNodes and threads that hold each other and themselves, made of one untyped. It is revoked, or one of them is deleted: the last capabilities to them
// lie in each other then.
void Driver::make_nest() {
    constexpr Word nest_bits = 14;
    Word memory = nest_;
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Untyped), nest_bits, 0, 0, memory, 1}, {cnode}});
    unsigned count = 1 + static_cast<unsigned>(choices_.below(most_nodes));
    Word radix[most_nodes] = {};
    for (unsigned i = 0; i < count; ++i) {
        radix[i] = 1 + choices_.below(3);
        call({memory, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::CNode), radix[i], 0, 0, memory + 1 + i, 1}, {cnode}});
    }
    Word thread = memory + 1 + most_nodes;
    bool threaded = choices_.one_in(2);
    if (threaded) call({memory, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::TCB), 0, 0, 0, thread, 1}, {cnode}});
    auto any_node = [&] { return static_cast<unsigned>(choices_.below(count)); };
    unsigned ties = 1 + static_cast<unsigned>(choices_.below(5));
    for (unsigned i = 0; i < ties; ++i) {
        unsigned outer = any_node();
        Word inner = threaded && choices_.one_in(3) ? thread : memory + 1 + any_node();
        Word slot = choices_.below(Word{1} << radix[outer]);
        call({memory + 1 + outer, Method::CNodeCopy, {slot, radix[outer], inner, World::full_depth, all_rights}, {cnode}});
    }
    if (threaded) call({thread, Method::TCBSetSpace, {0, 0}, {0, memory + 1 + any_node(), universe_->vspace(0)}});
    // The supervisor's own capabilities go into a container too, or away.
    for (unsigned i = 0; i < count; ++i) {
        unsigned outer = any_node();
        Word slot = choices_.below(Word{1} << radix[outer]);
        switch (choices_.below(3)) {
            case 0: call({memory + 1 + outer, Method::CNodeMove, {slot, radix[outer], memory + 1 + i, World::full_depth}, {cnode}}); break;
            case 1: call({cnode, Method::CNodeDelete, {memory + 1 + i, World::full_depth}, {}}); break;
            default: break;
        }
    }
    if (choices_.one_in(2)) call({cnode, Method::CNodeDelete, {thread, World::full_depth}, {}});
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// A CNode of more slots than fit in memory beside much else: it goes with a capability somewhere in it.
void Driver::make_wide() {
    constexpr Word radix = 16;
    Word wide = nest_;
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::CNode), radix, 0, 0, wide, 1}, {cnode}});
    call({wide, Method::CNodeCopy, {choices_.below(Word{1} << radix), radix, control_, World::full_depth, all_rights}, {cnode}});
    call({cnode, Method::CNodeDelete, {wide, World::full_depth}, {}});
}

// Pages are made until that is preempted, while memory is cleared or later; then other ones of the same untyped, more or fewer.
void Driver::change_plans() {
    constexpr Word memory_bits = 17;
    constexpr unsigned most_pages = 12;
    constexpr unsigned most_calls = 4;
    Word memory = nest_;
    Word pages = crowd_ + 1;
    Word first = pages;
    if (!world_.slot(crowd_).empty()) call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Untyped), memory_bits, 0, 0, memory, 1}, {cnode}});
    for (unsigned i = 0; i < most_calls && first + most_pages <= crowd_ + crowd_slots; ++i) {
        Word count = 1 + choices_.below(most_pages);
        begin({memory, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::SmallPage), 0, 0, 0, first, count}, {cnode}},
              1 + static_cast<unsigned>(choices_.below(most_pages)));
        while (first < crowd_ + crowd_slots && !world_.slot(first).empty()) ++first;
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// A CNode in a CNode in a CNode, each named by the one around it alone: the outermost of the capabilities is deleted in its slot. They lie next to each
// other in memory, in any order, and the innermost may lead back.
void Driver::make_chain() {
    constexpr Word chain_bits = 12;
    constexpr unsigned length = 3;
    const Word outer = choices_.below(length);
    const Word middle = (outer + 1 + choices_.below(length - 1)) % length;
    const Word inner = length - outer - middle;
    Word memory = nest_;
    Word radix[length] = {};
    Word slot[length] = {};
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Untyped), chain_bits, 0, 0, memory, 1}, {cnode}});
    for (unsigned i = 0; i < length; ++i) {
        radix[i] = 1 + choices_.below(2);
        slot[i] = choices_.below(Word{1} << radix[i]);
        call({memory, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::CNode), radix[i], 0, 0, memory + 1 + i, 1}, {cnode}});
    }
    auto enter = [&](Method method, Word node, Word index, Word what) {
        call({memory + 1 + node, method, {index, radix[node], what, World::full_depth, all_rights}, {cnode}});
    };
    if (choices_.one_in(3)) enter(Method::CNodeCopy, inner, slot[inner], memory + 1 + choices_.below(length));
    enter(Method::CNodeMove, middle, slot[middle], memory + 1 + inner);
    if (choices_.one_in(2)) begin({memory + 1 + middle, Method::CNodeDelete, {slot[middle], radix[middle]}, {}}, 1 + static_cast<unsigned>(choices_.below(6)));
    enter(Method::CNodeMove, outer, slot[outer], memory + 1 + middle);
    if (choices_.one_in(2)) enter(Method::CNodeCopy, outer, choices_.below(Word{1} << radix[outer]), control_);
    call({memory + 1 + outer, Method::CNodeDelete, {slot[outer], radix[outer]}, {}});
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// A thread deletes the CNode `outer` in a slot of its own CSpace `inner`. The last capability to the thread lies in `outer`, and so does another one to
// `inner`: the thread goes, and with it the last way to the slot that is being deleted.
void Driver::delete_itself() {
    constexpr Word suicide_bits = 14;
    constexpr Word inner_bits = 1;
    Word memory = nest_;
    Word inner = memory + 1;
    Word outer = memory + 2;
    Word thread = memory + 3;
    Word context = memory + 4;
    Word outer_bits = 1 + choices_.below(3);
    auto make = [&](abi::ObjectType type, Word bits, Word slot, Word untyped) {
        call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, 1}, {cnode}});
    };
    make(abi::ObjectType::Untyped, suicide_bits, memory, own_memory_);
    make(abi::ObjectType::CNode, inner_bits, inner, memory);
    make(abi::ObjectType::CNode, outer_bits, outer, memory);
    make(abi::ObjectType::TCB, 0, thread, memory);
    make(abi::ObjectType::SchedContext, 8, context, memory);
    if (world_.slot(context).empty()) return;
    Word tcb = static_cast<Word>(InitSlot::TCB);
    Word guard = abi::CNodeCapData::make(World::full_depth - inner_bits - outer_bits, 0).raw;
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {10'000, 10'000, 0, 0xc0, 0}, {context}});
    call({thread, Method::TCBConfigure, {guard, 0, 0}, {inner, universe_->vspace(0), 0}});
    call({thread, Method::TCBSetSchedParams, {fuzz::thread_max_priority, fuzz::thread_max_priority}, {tcb, context, 0}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    const Tcb* object = &world_.object<Tcb>(thread);
    // What else is in `outer` goes as well.
    Word way = choices_.below(Word{1} << outer_bits);
    Word own = choices_.below(Word{1} << outer_bits);
    if (own == way) own ^= 1;
    call({outer, Method::CNodeCopy, {way, outer_bits, inner, World::full_depth, all_rights}, {cnode}});
    call({outer, Method::CNodeMove, {own, outer_bits, thread, World::full_depth}, {cnode}});
    if (choices_.one_in(2)) call({outer, Method::CNodeCopy, {0, outer_bits, control_, World::full_depth, all_rights}, {cnode}});
    Word place = choices_.below(Word{1} << inner_bits);
    call({inner, Method::CNodeMove, {place, inner_bits, outer, World::full_depth}, {cnode}});
    call({cnode, Method::CNodeDelete, {inner, World::full_depth}, {}});
    let_go();
    test::Message message{static_cast<Word>(Method::CNodeDelete), {place, inner_bits}, {}};
    if (world_.current() == object) call_to_end(Syscall::Call, place << outer_bits | way, message);
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// A thread revokes the memory that it was made of: it goes, with its scheduling context, and then the address space in which it ran. Or it revokes only
// its address space, and goes on without one.
void Driver::revoke_itself() {
    constexpr Word memory_bits = 15;
    Word memory = nest_;
    Word space = memory + 1;
    Word thread = memory + 2;
    Word context = memory + 3;
    Word tcb = static_cast<Word>(InitSlot::TCB);
    auto make = [&](abi::ObjectType type, Word bits, Word slot, Word untyped) {
        call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, 1}, {cnode}});
    };
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::VSpace, 0, space, memory);
    make(abi::ObjectType::TCB, 0, thread, memory);
    make(abi::ObjectType::SchedContext, 8, context, memory);
    if (world_.slot(context).empty()) return;
    call({static_cast<Word>(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {space}});
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {10'000, 10'000, 0, 0xc0, 0}, {context}});
    call({thread, Method::TCBConfigure, {0, 0, 0}, {cnode, space, 0}});
    call({thread, Method::TCBSetSchedParams, {fuzz::thread_max_priority, fuzz::thread_max_priority}, {tcb, context, 0}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    const Tcb* object = &world_.object<Tcb>(thread);
    let_go();
    test::Message message{static_cast<Word>(Method::CNodeRevoke), {choices_.one_in(3) ? space : memory, World::full_depth}, {}};
    if (world_.current() == object) call_to_end(Syscall::Call, cnode, message);
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// A thread runs in short turns with breaks, so that its budget comes back in pieces; then nobody uses it until all of them are due.
void Driver::break_budget() {
    constexpr Word budget_us = 1'000;
    constexpr Word period_us = 4'000;
    constexpr Word most_extra = 6;
    constexpr unsigned most_turns = 9;
    unsigned i = static_cast<unsigned>(choices_.below(fuzz::fuzz_threads));
    Word thread = universe_->thread(i);
    const Tcb* object = &world_.object<Tcb>(thread);
    Word extra = choices_.one_in(3) ? choices_.below(3) : 3 + choices_.below(most_extra - 2);
    give_time(thread);
    if (object->sched_context == nullptr) return;
    auto is_its = [&](const SchedContext& one) { return &one == object->sched_context; };
    use_copy(is_its, [&](Word copy) {
        call({world_.sched_control(), Method::SchedControlConfigureFlags, {budget_us, period_us, extra, 0x90, choices_.below(2)}, {copy}});
    });
    call({thread, Method::TCBSetPriority, {fuzz::thread_max_priority}, {static_cast<Word>(InitSlot::TCB)}});
    call({static_cast<Word>(InitSlot::Domain), Method::DomainSet, {world_.core().domain.raw}, {thread}});
    for (unsigned turn = 0; turn < most_turns; ++turn) {
        call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
        let_go();
        if (world_.current() == object) pass(20 + choices_.below(60));
        if (!take_over()) return;
        if (object->sched_context == nullptr) return;
        pass(20 + choices_.below(100));
    }
    if (choices_.one_in(2)) call({thread, Method::TCBSuspend, {}, {}});
    SchedContext& context = *object->sched_context;
    // Also until the first piece just touches the next.
    if (context.count > 1 && choices_.one_in(2)) pass_until(context.refill(1).time.raw - context.first().amount.raw + choices_.below(2));
    else pass(choices_.below(2 * period_us));
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    // More pieces may be due than one awakening joins.
    if (choices_.one_in(2)) return;
    call({thread, Method::TCBSuspend, {}, {}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
}

// A context is configured anew when just so much of its budget is left, or is missing, as counts.
void Driver::change_budget() {
    constexpr Word least_us = 10;
    unsigned i = static_cast<unsigned>(choices_.below(fuzz::fuzz_threads));
    Word thread = universe_->thread(i);
    const Tcb* object = &world_.object<Tcb>(thread);
    give_time(thread);
    if (object->sched_context == nullptr) return;
    SchedContext& context = *object->sched_context;
    auto configure = [&](Word budget_us, Word more_us) {
        auto is_it = [&](const SchedContext& one) { return &one == &context; };
        use_copy(is_it, [&](Word copy) {
            Word period_us = budget_us + more_us;
            call({world_.sched_control(), Method::SchedControlConfigureFlags, {budget_us, period_us, choices_.below(3), 0x91, choices_.below(2)}, {copy}});
        });
    };
    auto any_more = [&] { return choices_.one_in(3) ? 0 : 1 + choices_.below(500); };
    configure(2 * least_us + choices_.below(3 * least_us), any_more());
    call({thread, Method::TCBSetPriority, {fuzz::thread_max_priority}, {static_cast<Word>(InitSlot::TCB)}});
    call({static_cast<Word>(InitSlot::Domain), Method::DomainSet, {world_.core().domain.raw}, {thread}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    let_go();
    if (world_.current() == object && world_.core().current_sched_context == &context) {
        Word least = min_budget().raw;
        Word amount = context.first().amount.raw;
        const Word lefts[] = {least, least, least + 1, 2 * least, amount - least, amount - least + 1, amount - 1, amount};
        Word instant = world_.core().charged_until.raw + amount - std::min(choices_.one_of(lefts), amount);
        hardware.time = std::max(hardware.time, std::min(hardware.deadline, instant));
        lockstep_->timer();
    }
    if (!take_over() || !context.configured()) return;
    Word kept_us = context.first().amount.raw * 1'000'000 / arch::timer_frequency();
    Word other = choices_.below(2 * least_us + 2);
    configure(std::max(least_us, choices_.one_in(4) ? kept_us - std::min(other, kept_us) : kept_us + other), any_more());
}

// Capabilities to one object, made, moved and taken away in any order. What is left of a CNode that is being deleted lies among them.
void Driver::make_family() {
    using abi::ObjectType;
    constexpr unsigned most_changes = 30;
    struct Founder {
        ObjectType type;
        Word bits;
    };
    constexpr Founder founders[] = {{ObjectType::Endpoint, 0}, {ObjectType::Endpoint, 0}, {ObjectType::Notification, 0}, {ObjectType::CNode, 2},
                                    {ObjectType::CNode, 2},    {ObjectType::Untyped, 13}, {ObjectType::Reply, 0}};
    const Founder& founder = choices_.one_of(founders);
    const Word mapped = choices_.one_in(2) ? universe_->buffer(0) : universe_->vspace(0);
    if (choices_.one_in(4)) call({cnode, Method::CNodeCopy, {nest_, World::full_depth, mapped, World::full_depth, all_rights}, {cnode}});
    else call({own_memory_, Method::UntypedRetype, {static_cast<Word>(founder.type), founder.bits, 0, 0, nest_, 1}, {cnode}});
    for (unsigned i = 0; i < most_changes; ++i) change_family();
    for (Word slot = nest_; slot < nest_ + nest_slots; ++slot) call({cnode, Method::CNodeDelete, {slot, World::full_depth}, {}});
}

void Driver::change_family() {
    constexpr Word depth = World::full_depth;
    auto any = [&](bool empty) {
        Word start = choices_.below(nest_slots);
        for (Word i = 0; i < nest_slots && !choices_.one_in(16); ++i) {
            Word slot = nest_ + (start + i) % nest_slots;
            if (world_.slot(slot).empty() == empty) return slot;
        }
        return nest_ + start;
    };
    Word from = any(false);
    Word to = any(true);
    // Often the same badge again; of a CNode it is a guard, as long as there may be, or longer.
    bool is_node = world_.slot(from).cap.is(CapType::CNode) && choices_.one_in(2);
    Word badge = is_node ? abi::CNodeCapData::make(60 + choices_.below(4), choices_.below(4)).raw : choices_.one_in(3) ? choices_.below(3) : 1;
    switch (choices_.below(10)) {
        case 0: call({cnode, Method::CNodeDelete, {from, depth}, {}}); break;
        case 1: call({cnode, Method::CNodeRevoke, {from, depth}, {}}); break;
        case 2: call({cnode, Method::CNodeMove, {to, depth, from, depth}, {cnode}}); break;
        case 3: call({cnode, Method::CNodeMutate, {to, depth, from, depth, badge}, {cnode}}); break;
        case 4: {
            Word pivot = any(false);
            if (choices_.one_in(2)) to = any(false);
            call({cnode, Method::CNodeRotate, {to, depth, badge, pivot, depth, choices_.below(2), from, depth}, {cnode, cnode}});
            break;
        }
        case 5: begin({cnode, Method::CNodeDelete, {from, depth}, {}}); break;
        case 6:
        case 7: call({cnode, Method::CNodeCopy, {to, depth, from, depth, all_rights}, {cnode}}); break;
        default: call({cnode, Method::CNodeMint, {to, depth, choices_.one_in(2) ? nest_ : from, depth, all_rights, badge}, {cnode}});
    }
}

// The clock goes on, but not past the next deadline.
void Driver::pass(Word micros) { pass_until(hardware.time + micros * arch::timer_frequency() / 1'000'000); }

void Driver::pass_until(Word instant) {
    if (!manner_.time_passes) return;
    hardware.time = std::max(hardware.time, std::min(hardware.deadline, instant));
    lockstep_->timer();
}

// Further threads, with capabilities to be looked for in a CNode. Those of the last crowd go.
void Driver::raise_crowd(Word space, Word guard, unsigned size) {
    using abi::ObjectType;
    constexpr Word crowd_bits = 16;
    Word threads = crowd_ + 1;
    auto make = [&](ObjectType type, Word bits, Word first, Word count, Word untyped) {
        call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, first, count}, {cnode}});
    };
    if (world_.slot(crowd_).empty()) make(ObjectType::Untyped, crowd_bits, crowd_, 1, own_memory_);
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
    make(ObjectType::TCB, 0, threads, size, crowd_);
    make(ObjectType::SchedContext, 8, context_of_crowd(0), size, crowd_);
    for (unsigned i = 0; i < size; ++i) {
        call({threads + i, Method::TCBConfigure, {guard, 0, 0}, {space, universe_->vspace(0), 0}});
    }
}

bool Driver::runs(unsigned member) const {
    Word thread = crowd_ + 1 + member;
    return world_.slot(thread).cap.is(CapType::TCB) && world_.current() == &world_.object<Tcb>(thread);
}

// One of a crowd gets time and begins, with the most important priority: whether it runs.
bool Driver::start_of_crowd(unsigned member, Word fault_handler) {
    constexpr Word budget_us = 5'000;
    Word thread = crowd_ + 1 + member;
    Word context = context_of_crowd(member);
    Word tcb = static_cast<Word>(InitSlot::TCB);
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {budget_us, budget_us, 0, 0xb0 + member, 0}, {context}});
    call({thread, Method::TCBSetSchedParams, {fuzz::thread_max_priority, fuzz::thread_max_priority}, {tcb, context, fault_handler}});
    call({thread, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    let_go();
    return runs(member);
}

void Driver::perform(Syscall number, Word cap, const test::Message& message, Word reply, Word destination, Word flags) {
    world_.prepare(number, cap, message, reply, destination, flags);
    arm();
    lockstep_->system_call();
    note_preemption();
}

// Most of a crowd send, or report faults, to one endpoint. Then one receives there that takes only who brings time, and gives its own time away in the same
// system call: by a send to a server without any, or by the answer to its client. All others are refused.
void Driver::make_refused() {
    constexpr unsigned server = crowd_size - 2;
    constexpr unsigned client = crowd_size - 1;
    Word crowded = nest_;
    Word served = nest_ + 1;
    Word reply = nest_ + 2;
    Word notification = nest_ + 4;
    raise_crowd(cnode, 0);
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Endpoint), 0, 0, 0, crowded, 2}, {cnode}});
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Reply), 0, 0, 0, reply, 2}, {cnode}});
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Notification), 0, 0, 0, notification, 1}, {cnode}});
    auto start = [&](unsigned i) { return start_of_crowd(i, crowded); };
    for (unsigned i = 0; i < server; ++i) {
        if (!start(i)) break;
        choices_.one_in(4) ? lockstep_->exception(1) : perform(Syscall::Send, crowded);
        if (!take_over()) return;
    }
    // Who takes a notification refuses nobody.
    bool is_bound = choices_.one_in(4);
    bool answers = choices_.one_in(2);
    unsigned receiver = answers ? server : client;
    if (is_bound) call({crowd_ + 1 + receiver, Method::TCBBindNotification, {}, {notification}});
    if (start(server)) perform(Syscall::Recv, served, {}, reply);
    if (!take_over()) return;
    call({context_of_crowd(server), Method::SchedContextUnbind, {}, {}});
    if (start(client)) {
        if (answers) perform(Syscall::Call, served);
        if (is_bound && runs(receiver)) perform(Syscall::Send, notification);
        unsigned most_times = static_cast<unsigned>(choices_.below(4));
        for (unsigned i = 0; i < most_times && runs(receiver); ++i) {
            perform(answers ? Syscall::ReplyRecv : Syscall::NBSendRecv, crowded, {}, answers ? reply : reply + 1, served, abi::syscall_flag_require_donation);
        }
    }
    if (!take_over()) return;
    // The context may still be on its way with the call.
    if (choices_.one_in(2)) call({cnode, Method::CNodeDelete, {context_of_crowd(client), World::full_depth}, {}});
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A crowd sends to one endpoint, as many as are refused at once. Then one receives there that takes only who brings time, and has just deleted its own.
void Driver::make_refused_late() {
    constexpr unsigned server = largest_crowd - 1;
    Word crowded = nest_;
    Word reply = nest_ + 1;
    raise_crowd(cnode, 0, largest_crowd);
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Endpoint), 0, 0, 0, crowded, 1}, {cnode}});
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Reply), 0, 0, 0, reply, 1}, {cnode}});
    unsigned senders = choices_.one_in(2) ? server : static_cast<unsigned>(choices_.below(server));
    for (unsigned i = 0; i < senders; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Send, crowded);
        if (!take_over()) return;
    }
    if (start_of_crowd(server, 0)) {
        test::Message last{static_cast<Word>(Method::CNodeDelete), {context_of_crowd(server), World::full_depth}, {}};
        world_.prepare(Syscall::NBSendRecv, crowded, last, reply, cnode, abi::syscall_flag_require_donation);
        // In the specification they are refused in units, in the kernel at once: see questions.md.
        lockstep_->system_call();
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// Some of a crowd send with one of two badges, and one of them cancels the sends with a badge, again and again: to its end, or preempted and then with the
// same badge or the other, or at another endpoint, when others have come to wait in between, in front of where it stopped or behind.
void Driver::make_swept() {
    constexpr unsigned sweeper = crowd_size - 1;
    Word threads = crowd_ + 1;
    Word endpoint = nest_;
    Word badged = nest_ + 1;
    Word other = nest_ + 3;
    raise_crowd(cnode, 0);
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Endpoint), 0, 0, 0, endpoint, 1}, {cnode}});
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Endpoint), 0, 0, 0, other, 1}, {cnode}});
    auto mint = [&](Word target, Word source, Word badge) {
        call({cnode, Method::CNodeMint, {target, World::full_depth, source, World::full_depth, all_rights, badge}, {cnode}});
    };
    mint(badged, endpoint, 1);
    mint(badged + 1, endpoint, 2);
    mint(other + 1, other, 1);
    auto any_end = [&] { return choices_.one_in(6) ? other + 1 : badged + choices_.below(2); };
    auto give_priority = [&](unsigned member, Word priority) {
        call({threads + member, Method::TCBSetPriority, {priority}, {static_cast<Word>(InitSlot::TCB)}});
    };
    auto sweep = [&] {
        if (!runs(sweeper)) return;
        perform(Syscall::Call, cnode, {static_cast<Word>(Method::CNodeCancelBadgedSends), {any_end(), World::full_depth}, {}});
    };
    bool sweeps = false;
    for (unsigned i = 0; i < sweeper; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Send, any_end());
        if (!take_over()) return;
        if (choices_.one_in(2)) give_priority(i, fuzz::thread_max_priority - choices_.below(3));
        if (i < 2 || choices_.one_in(2)) continue;
        if (sweeps) {
            give_priority(sweeper, fuzz::thread_max_priority);
            let_go();
        } else {
            sweeps = start_of_crowd(sweeper, 0);
        }
        sweep();
        if (choices_.one_in(3)) sweep();
        if (!take_over()) return;
        give_priority(sweeper, 0);
        // Whose send was cancelled would run before the sweeper does. Some others go away, perhaps the one to whom the sweep has come.
        for (unsigned j = 0; j <= i; ++j) {
            if (world_.object<Tcb>(threads + j).state == ThreadState::Running || choices_.one_in(8)) call({threads + j, Method::TCBSuspend, {}, {}});
        }
    }
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// Some of a crowd wait for one notification: signals come, and some go away or get another priority. Then the notification goes.
void Driver::make_waiters() {
    constexpr unsigned waiters = 4;
    const Word changes = choices_.below(8);
    Word threads = crowd_ + 1;
    Word notification = nest_;
    raise_crowd(cnode, 0, waiters);
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Notification), 0, 0, 0, notification, 1}, {cnode}});
    for (unsigned i = 0; i < waiters; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Wait, notification);
        if (!take_over()) return;
    }
    for (Word i = 0; i < changes && take_over(); ++i) {
        Word thread = threads + choices_.below(waiters);
        switch (choices_.below(4)) {
            case 0: call({thread, Method::TCBSuspend, {}, {}}); break;
            case 1: call({thread, Method::TCBSetPriority, {choices_.below(fuzz::thread_max_priority)}, {static_cast<Word>(InitSlot::TCB)}}); break;
            default: call_to_end(Syscall::Send, notification);
        }
    }
    // With whoever still waits it goes as what is in a CNode does.
    Word node = nest_ + 1;
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::CNode), 1, 0, 0, node, 1}, {cnode}});
    call({node, Method::CNodeMove, {choices_.below(2), 1, notification, World::full_depth}, {cnode}});
    call({cnode, Method::CNodeDelete, {node, World::full_depth}, {}});
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A notification lends its context to a thread without one, which waits there again: the context is the notification's then.
void Driver::make_lent() {
    constexpr unsigned waiter = 0;
    constexpr unsigned lent = 1;
    constexpr Word budget_us = 5'000;
    Word notification = nest_;
    raise_crowd(cnode, 0, 2);
    call({crowd_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Notification), 0, 0, 0, notification, 1}, {cnode}});
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {budget_us, budget_us, 0, 0, 0}, {context_of_crowd(lent)}});
    call({context_of_crowd(lent), Method::SchedContextBind, {}, {notification}});
    if (start_of_crowd(waiter, 0)) perform(Syscall::Wait, notification);
    call({context_of_crowd(waiter), Method::SchedContextUnbind, {}, {}});
    for (unsigned i = 0; i < 2 && take_over(); ++i) {
        call_to_end(Syscall::Send, notification);
        let_go();
        if (runs(waiter)) perform(choices_.one_in(4) ? Syscall::NBWait : Syscall::Wait, notification);
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// One of two threads yields to the other, which runs for a while and ends that in one way or another.
void Driver::make_yield() {
    constexpr unsigned yielder = 0;
    constexpr unsigned other = 1;
    Word thread = crowd_ + 1 + yielder;
    raise_crowd(cnode, 0, 2);
    auto invoke = [&](Word cap, Method method, std::vector<Word> words) { perform(Syscall::Call, cap, {static_cast<Word>(method), std::move(words), {}}); };
    start_of_crowd(other, 0);
    if (!take_over()) return;
    start_of_crowd(yielder, 0);
    if (runs(other)) perform(Syscall::Yield, 0);
    if (runs(yielder)) invoke(context_of_crowd(other), Method::SchedContextYieldTo, {});
    if (runs(other)) {
        if (manner_.time_passes) hardware.time = std::max(hardware.time, std::min(hardware.deadline, hardware.time + choices_.below(most_pause)));
        switch (choices_.below(5)) {
            case 0: invoke(thread, Method::TCBSuspend, {}); break;
            case 1: invoke(thread, Method::TCBResume, {}); break;
            case 2: invoke(context_of_crowd(yielder), Method::SchedContextYieldTo, {}); break;
            case 3: invoke(cnode, Method::CNodeDelete, {thread, World::full_depth}); break;
            default: invoke(cnode, Method::CNodeDelete, {context_of_crowd(other), World::full_depth});
        }
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// The answer brings the caller a CNode, to where the way to the endpoint begins from which the server receives next.
void Driver::answer_with_source() {
    constexpr unsigned server = 0;
    constexpr unsigned client = 1;
    constexpr Word outer_bits = 1;
    constexpr Word way = Word{1} << (World::full_depth - outer_bits);
    Word served = nest_;
    Word outer = nest_ + 1;
    Word inner = nest_ + 2;
    Word reply = nest_ + 3;
    Word guard = abi::CNodeCapData::make(World::full_depth - outer_bits - as<CNodeCap>(world_.slot(cnode).cap).radix(), 0).raw;
    auto make = [&](abi::ObjectType type, Word bits, Word slot) {
        call({crowd_, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, 1}, {cnode}});
    };
    raise_crowd(cnode, 0, 2);
    make(abi::ObjectType::Endpoint, 0, served);
    make(abi::ObjectType::CNode, outer_bits, outer);
    make(abi::ObjectType::Reply, 0, reply);
    call({cnode, Method::CNodeMint, {inner, World::full_depth, cnode, World::full_depth, all_rights, guard}, {cnode}});
    call({outer, Method::CNodeCopy, {1, outer_bits, inner, World::full_depth, all_rights}, {cnode}});
    call({crowd_ + 1 + server, Method::TCBSetSpace, {0, 0}, {0, outer, universe_->vspace(0)}});
    for (unsigned i : {server, client}) call({crowd_ + 1 + i, Method::TCBSetIPCBuffer, {universe_->buffer_of(i)}, {universe_->buffer(i)}});
    if (start_of_crowd(server, 0)) perform(Syscall::Recv, way | served, {}, way | reply);
    if (!take_over()) return;
    if (start_of_crowd(client, 0)) {
        if (abi::IPCBuffer* buffer = writable_buffer(*world_.current()); buffer != nullptr) {
            buffer->receive_cnode = outer;
            buffer->receive_index = 0;
            buffer->receive_depth = outer_bits;
        }
        perform(Syscall::Call, served);
    }
    if (runs(server)) perform(Syscall::ReplyRecv, served, {0, {}, {way | inner}}, way | reply);
    if (!take_over()) return;
    call({cnode, Method::CNodeDelete, {inner, World::full_depth}, {}});
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A pool of ASIDs goes in whose address space a thread runs, or ran. When the thread runs again it has none.
void Driver::lose_pool() {
    Word memory = nest_;
    Word pool = nest_ + 1;
    Word space = nest_ + 2;
    auto remove = [&](Word slot) { call({cnode, Method::CNodeDelete, {slot, World::full_depth}, {}}); };
    raise_crowd(cnode, 0, 1);
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Untyped), page_bits, 0, 0, memory, 1}, {cnode}});
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::VSpace), 0, 0, 0, space, 1}, {cnode}});
    call({static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, World::full_depth}, {memory, cnode}});
    call({pool, Method::ASIDPoolAssign, {}, {space}});
    call({crowd_ + 1, Method::TCBConfigure, {0, 0, 0}, {cnode, space, 0}});
    bool runs_there = start_of_crowd(0, 0);
    if (runs_there && choices_.one_in(2)) perform(Syscall::Call, cnode, {static_cast<Word>(Method::CNodeDelete), {pool, World::full_depth}, {}});
    remove(pool);
    let_go();
    if (runs(0)) perform(Syscall::Yield, 0);
    for (Word slot : {space, pool, memory}) remove(slot);
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// As many address spaces as a pool has ASIDs, and one more.
void Driver::fill_pool() {
    constexpr Word memory_bits = 22;
    constexpr Word radix = 10;
    Word memory = nest_;
    Word pool = nest_ + 1;
    Word kept = nest_ + 2;
    Word space = nest_ + 3;
    auto make = [&](abi::ObjectType type, Word bits, Word slot, Word untyped) {
        call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, 1}, {cnode}});
    };
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::Untyped, page_bits, space, memory);
    make(abi::ObjectType::CNode, radix, kept, memory);
    call({static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, World::full_depth}, {space, cnode}});
    call({kept, Method::CNodeMove, {abi::asid_pool_entries + 1, radix, space, World::full_depth}, {cnode}});
    for (Word i = 0; i <= abi::asid_pool_entries && world_.slot(pool).cap.is(CapType::ASIDPool); ++i) {
        make(abi::ObjectType::VSpace, 0, space, memory);
        call({pool, Method::ASIDPoolAssign, {}, {space}});
        call({kept, Method::CNodeMove, {i, radix, space, World::full_depth}, {cnode}});
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// As many pools of ASIDs as there may be, and one more.
void Driver::make_pools() {
    constexpr Word memory_bits = 20;
    constexpr Word radix = 8;
    Word memory = nest_;
    Word kept = nest_ + 1;
    Word page = nest_ + 2;
    Word pool = nest_ + 3;
    auto make = [&](abi::ObjectType type, Word bits, Word slot, Word untyped) {
        call({untyped, Method::UntypedRetype, {static_cast<Word>(type), bits, 0, 0, slot, 1}, {cnode}});
    };
    auto keep = [&](Word place, Word slot) { call({kept, Method::CNodeMove, {place, radix, slot, World::full_depth}, {cnode}}); };
    make(abi::ObjectType::Untyped, memory_bits, memory, own_memory_);
    make(abi::ObjectType::CNode, radix, kept, memory);
    for (Word i = 0; i < abi::asid_pools && !world_.slot(kept).empty(); ++i) {
        make(abi::ObjectType::Untyped, page_bits, page, memory);
        call({static_cast<Word>(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, World::full_depth}, {page, cnode}});
        if (world_.slot(pool).empty()) break;
        keep(2 * i, page);
        keep(2 * i + 1, pool);
    }
    call({cnode, Method::CNodeRevoke, {memory, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {memory, World::full_depth}, {}});
}

// Further threads with little time: most of them sleep.
void Driver::make_crowd() {
    constexpr unsigned most_turns = 4 * crowd_size;
    constexpr Word most_sleep_us = 4'200;
    Word tcb = static_cast<Word>(InitSlot::TCB);
    Word threads = crowd_ + 1;
    raise_crowd(universe_->space(), abi::CNodeCapData::make(World::full_depth - fuzz::space_bits, 0).raw);
    for (unsigned i = 0; i < crowd_size; ++i) {
        Word budget = 10 + choices_.below(40);
        Word period = budget + 100 + choices_.below(4'000);
        Word context = context_of_crowd(i);
        call({world_.sched_control(), Method::SchedControlConfigureFlags, {budget, period, choices_.below(3), 0xa0 + i, choices_.below(2)}, {context}});
        call({threads + i, Method::TCBSetSchedParams, {fuzz::thread_max_priority, 1 + choices_.below(fuzz::thread_max_priority)}, {tcb, context, 0}});
        call({threads + i, Method::TCBWriteRegisters, {1, 1, fuzz::code_address}, {}});
    }
    let_go();
    auto is_of_crowd = [&] {
        for (unsigned i = 0; i < crowd_size; ++i) {
            if (runs(i)) return true;
        }
        return false;
    };
    for (unsigned i = 0; i < most_turns && is_of_crowd(); ++i) pass(50);
    // The timer comes late: all who sleep are due, and it wakes some of them.
    if (manner_.time_passes && choices_.one_in(2)) {
        hardware.time += most_sleep_us * arch::timer_frequency() / 1'000'000;
        lockstep_->timer();
    }
    if (!take_over()) return;
    for (unsigned i = 0; i < crowd_size; ++i) {
        switch (choices_.below(8)) {
            case 0: call({threads + i, Method::TCBSuspend, {}, {}}); break;
            case 1: call({threads + i, Method::TCBSetPriority, {choices_.below(fuzz::thread_max_priority)}, {tcb}}); break;
            case 2: call({context_of_crowd(i), Method::SchedContextUnbind, {}, {}}); break;
            case 3: {
                Word period = 20 + choices_.below(5'000);
                call({world_.sched_control(), Method::SchedControlConfigureFlags, {20, period, 0, 0xb0, 0}, {context_of_crowd(i)}});
                break;
            }
            default: break;
        }
    }
}

// At the ends of the words of the bitmap that says which priorities have threads.
void Driver::spread_priorities() {
    constexpr Word ends[] = {0, 1, 62, 63, 64, 65, 127, 128, 129, 191, 192, 193, 254};
    Word tcb = static_cast<Word>(InitSlot::TCB);
    for (unsigned i = 0; i < fuzz::fuzz_threads; ++i) {
        if (choices_.one_in(3)) continue;
        Word priority = choices_.one_of(ends);
        call({universe_->thread(i), Method::TCBSetMCPriority, {priority}, {tcb}});
        call({universe_->thread(i), Method::TCBSetPriority, {priority}, {tcb}});
    }
}

// An interrupt comes whose notification is gone, although its handler is there: with the notification's other capabilities that of the interrupt was revoked.
void Driver::leave_unwanted() {
    Word object = extra_ + 2;
    Word handler = extra_ + 3;
    Word line = fuzz::shelf_slot(CapType::IRQHandler, choices_.below(fuzz::fuzz_lines));
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Notification), 0, 0, 0, object, 1}, {cnode}});
    call({cnode, Method::CNodeCopy, {handler, World::full_depth, line, fuzz::space_bits, all_rights}, {universe_->space()}});
    if (world_.slot(handler).cap.is(CapType::IRQHandler)) {
        Word irq = as<IrqHandlerCap>(world_.slot(handler).cap).number();
        call({handler, Method::IRQHandlerSetNotification, {}, {object}});
        call({handler, Method::IRQHandlerAck, {}, {}});
        call({cnode, Method::CNodeRevoke, {object, World::full_depth}, {}});
        if (irq >= first_line && irq != abi::irq_serror) lockstep_->interrupt(irq);
    }
    // The notification leaves a context behind that was bound to it.
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::SchedContext), 8, 0, 0, nest_, 1}, {cnode}});
    if (world_.slot(object).cap.is(CapType::Notification)) call({nest_, Method::SchedContextBind, {}, {object}});
    call({cnode, Method::CNodeDelete, {object, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {nest_, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {handler, World::full_depth}, {}});
}

// The first two breakpoints of a thread are at one address.
void Driver::watch_twice() {
    Word thread = universe_->thread(static_cast<unsigned>(choices_.below(fuzz::fuzz_threads)));
    Word address = fuzz::code_address + 4 * choices_.below(4);
    for (Word i = 0; i < 2; ++i) {
        call({thread, Method::TCBSetBreakpoint, {i, address, static_cast<Word>(abi::BreakpointType::Instruction), 0, 0}, {}});
    }
}

// Methods of an object that was just made: nothing is bound to it or mapped, and there are no other capabilities to it.
void Driver::use_fresh() {
    using abi::ObjectType;
    constexpr unsigned most_calls = 4;
    struct Fresh {
        ObjectType type;
        Word bits;
        CapType cap;
    };
    constexpr Fresh choices[] = {{ObjectType::TCB, 0, CapType::TCB},           {ObjectType::SchedContext, 8, CapType::SchedContext},
                                 {ObjectType::CNode, 2, CapType::CNode},       {ObjectType::SmallPage, 0, CapType::Frame},
                                 {ObjectType::PageTable, 0, CapType::PageTable}, {ObjectType::VSpace, 0, CapType::VSpace}};
    const Fresh& fresh = choices_.one_of(choices);
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(fresh.type), fresh.bits, 0, 0, nest_, 1}, {cnode}});
    const Word others[] = {nest_, nest_, cnode, control_, universe_->vspace(0), universe_->vspace(1), universe_->thread(0), universe_->context(1),
                           universe_->buffer(2), universe_->reply(0), static_cast<Word>(InitSlot::TCB), static_cast<Word>(InitSlot::ASIDPool)};
    auto capability = [&](uint32_t kinds) {
        std::vector<Word> found;
        for (Word slot : others) {
            if ((mask_of(world_.slot(slot).cap.type()) & kinds) != 0) found.push_back(slot);
        }
        return found.empty() || choices_.one_in(8) ? choices_.one_of(others) : found[choices_.below(found.size())];
    };
    for (unsigned i = 0; i < most_calls; ++i) {
        auto method = static_cast<Method>(1 + choices_.below(fuzz::method_count - 1));
        const fuzz::MethodTable* table = &fuzz::method_tables[static_cast<unsigned>(method)];
        while (table->object != fresh.cap) {
            method = static_cast<Method>(1 + choices_.below(fuzz::method_count - 1));
            table = &fuzz::method_tables[static_cast<unsigned>(method)];
        }
        fuzz::Operation operation;
        generator_.invocation(operation, method);
        if (choices_.one_in(2)) director_.go_to_border(operation, *table);
        fuzz::Request request{nest_, method};
        request.words.count = std::min<unsigned>(table->word_count, std::size(request.words.items));
        for (unsigned j = 0; j < request.words.count; ++j) request.words.items[j] = word(operation, j);
        request.caps.count = table->cap_count;
        for (unsigned j = 0; j < table->cap_count; ++j) request.caps.items[j] = capability(fuzz::cap_tables[table->caps + j].kinds);
        call(request);
    }
    call({cnode, Method::CNodeDelete, {nest_, World::full_depth}, {}});
}

// The largest page there is, of a device's registers.
void Driver::make_huge_page() {
    constexpr unsigned huge_bits = 30;
    abi::SlotRegion all = world_.root_info().untyped;
    auto has_room = [](const Cap& cap) {
        return cap.is(CapType::Untyped) && as<UntypedCap>(cap).is_device() && as<UntypedCap>(cap).size_bits().raw >= huge_bits;
    };
    Word untyped = all.start;
    while (untyped < all.end && !has_room(world_.slot(untyped).cap)) ++untyped;
    if (untyped == all.end) return;
    call({untyped, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::HugePage), 0, 0, 0, nest_, 1}, {cnode}});
    call({cnode, Method::CNodeDelete, {nest_, World::full_depth}, {}});
}

// Inspect says where in a CNode a capability's parent is: also when that lies just behind the CNode, or just before it, in another one, and when it is that of
// all interrupts.
void Driver::look_for_parents() {
    constexpr Word radix = 1;
    Word nodes = nest_ + 1;
    Word notification = static_cast<Word>(abi::ObjectType::Notification);
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Untyped), 12, 0, 0, nest_, 1}, {cnode}});
    call({nest_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::CNode), radix, 0, 0, nodes, 3}, {cnode}});
    Word parent = choices_.below(6);
    Word child = (parent + 1 + choices_.below(5)) % 6;
    auto node = [&](Word place) { return nodes + place / 2; };
    call({nest_, Method::UntypedRetype, {notification, 0, 0, 0, parent % 2, 1}, {node(parent)}});
    call({node(child), Method::CNodeCopy, {child % 2, radix, parent % 2, radix, all_rights}, {node(parent)}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {child % 2}, {node(child)}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {node(child)}, {cnode}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {control_handler_}, {cnode}});
    call({cnode, Method::CNodeRevoke, {nest_, World::full_depth}, {}});
    call({cnode, Method::CNodeDelete, {nest_, World::full_depth}, {}});
}

// Between a capability and its parent stand as many others as Inspect goes back, or one more or less.
void Driver::look_far() {
    constexpr Word radix = 8;
    constexpr Word parent = (Word{1} << radix) - 1;
    Word node = nest_;
    Word count = abi::inspect_parent_steps + choices_.below(3) - 1;
    static_assert(abi::inspect_parent_steps + 2 <= Word{1} << radix);
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::CNode), radix, 0, 0, node, 1}, {cnode}});
    call({own_memory_, Method::UntypedRetype, {static_cast<Word>(abi::ObjectType::Notification), 0, 0, 0, parent, 1}, {node}});
    for (Word i = 0; i <= count; ++i) call({node, Method::CNodeCopy, {i, radix, parent, radix, all_rights}, {node}});
    call({static_cast<Word>(InitSlot::Inspect), Method::InspectReadCNode, {0}, {node}});
    call({cnode, Method::CNodeDelete, {node, World::full_depth}, {}});
}

// Capabilities that are derived from none move and go: the root task's own, when it needs them no more.
void Driver::remove_originals() {
    const Word originals[] = {static_cast<Word>(InitSlot::Inspect),    static_cast<Word>(InitSlot::Domain), static_cast<Word>(InitSlot::ASIDControl),
                              static_cast<Word>(InitSlot::IRQControl), world_.root_info().untyped.end - 1,  own_memory_};
    for (Word original : originals) {
        Word place = original;
        if (choices_.one_in(2)) {
            call({cnode, Method::CNodeMove, {nest_, World::full_depth, original, World::full_depth}, {cnode}});
            place = nest_;
        }
        if (!choices_.one_in(4)) call({cnode, Method::CNodeDelete, {place, World::full_depth}, {}});
    }
}

}  // namespace caprock::lockstep
