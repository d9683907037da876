// SPDX-License-Identifier: BSD-2-Clause
// Threads beside the component's own that meet in ways in which these hardly do: they wait, are refused, cancelled or yielded to, or sleep, many at once;
// budgets that come back in many pieces, or change; priorities at the ends of the bitmap's words.
#include "driver.hpp"

#include "ipc/message.hpp"

namespace caprock::lockstep {

using abi::InitSlot;
using abi::Method;
using abi::Syscall;
using host::hardware;
using test::World;

namespace {

constexpr Word cnode = static_cast<Word>(InitSlot::CNode);
constexpr Word all_rights = 15;
constexpr Word write_right = 1;
constexpr Word no_address = ~Word{0};
constexpr Word free_line = 250;          // an interrupt that nobody else has
constexpr Word most_pause = 20'000;      // ticks

}  // namespace

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
    if (world_.slot(crowd_).empty()) make(ObjectType::Untyped, crowd_bits, crowd_, own_memory_);
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
    make(ObjectType::TCB, 0, threads, crowd_, size);
    make(ObjectType::SchedContext, 8, context_of_crowd(0), crowd_, size);
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

// Who was called gives the context back: by an answer, in either way, or by receiving the next call with the same reply object.
void Driver::receive_behind_call(Word from, Word reply) {
    constexpr Word flag = abi::syscall_flag_require_donation;
    Word other = reply + 1;
    switch (choices_.below(6)) {
        case 0: perform(Syscall::Recv, from, {}, reply, 0, flag); break;
        case 1: perform(Syscall::NBRecv, from, {}, reply, 0, flag); break;
        case 2: perform(Syscall::NBSendRecv, from, {}, other, reply, flag); break;
        case 3: perform(Syscall::NBSendRecv, from, {}, reply, 0, flag); break;
        default: perform(Syscall::ReplyRecv, from, {}, reply, 0, flag);
    }
}

void Driver::receive_behind_send(Word from, Word reply, Word destination) {
    bool waits = choices_.one_in(4);
    Word answer = choices_.one_in(6) ? 0 : reply + 1;
    if (choices_.one_in(8)) destination = no_address;
    perform(waits ? Syscall::NBSendWait : Syscall::NBSendRecv, from, {}, answer, destination, abi::syscall_flag_require_donation);
}

// Most of a crowd send, or report faults, to one endpoint. Then one receives there that takes only who brings time, and gives its own time away in the same
// system call: by a send to a server without any, or to its client. All others are refused.
void Driver::make_refused() {
    constexpr unsigned server = crowd_size - 2;
    constexpr unsigned client = crowd_size - 1;
    Word crowded = nest_;
    Word served = nest_ + 1;
    Word reply = nest_ + 2;
    Word notification = nest_ + 4;
    Word sent_only = nest_ + 5;
    raise_crowd(cnode, 0);
    make(abi::ObjectType::Endpoint, 0, crowded, crowd_, 2);
    make(abi::ObjectType::Reply, 0, reply, crowd_, 2);
    make(abi::ObjectType::Notification, 0, notification, crowd_);
    call({cnode, Method::CNodeCopy, {sent_only, World::full_depth, crowded, World::full_depth, write_right}, {cnode}});
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
        // Who answers for somebody else keeps the own context.
        if (answers && choices_.one_in(4)) {
            call({crowd_ + 1 + server, Method::TCBSuspend, {}, {}});
            receiver = server - 1;
            start(receiver);
        }
        unsigned most_times = static_cast<unsigned>(choices_.below(4));
        for (unsigned i = 0; i < most_times && runs(receiver); ++i) {
            Word from = choices_.one_in(6) ? choices_.one_in(2) ? no_address : sent_only : crowded;
            answers ? receive_behind_call(from, reply) : receive_behind_send(from, reply, served);
        }
    }
    if (!take_over()) return;
    // The context may still be on its way with the call.
    if (choices_.one_in(2)) remove(context_of_crowd(client));
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A crowd sends to one endpoint. Then one receives there that takes only who brings time, and has just deleted its own.
void Driver::make_refused_behind() {
    constexpr unsigned server = crowd_size - 1;
    Word crowded = nest_;
    Word reply = nest_ + 1;
    raise_crowd(cnode, 0);
    make(abi::ObjectType::Endpoint, 0, crowded, crowd_);
    make(abi::ObjectType::Reply, 0, reply, crowd_);
    unsigned senders = choices_.one_in(2) ? server : static_cast<unsigned>(choices_.below(server));
    for (unsigned i = 0; i < senders; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Send, crowded);
        if (!take_over()) return;
    }
    if (start_of_crowd(server, 0)) {
        test::Message last{static_cast<Word>(Method::CNodeDelete), {context_of_crowd(server), World::full_depth}, {}};
        perform(Syscall::NBSendRecv, crowded, last, reply, cnode, abi::syscall_flag_require_donation);
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// Threads without time of their own call each other at one endpoint, one within the call of another, and answer, in any order. Callers are suspended and
// reply objects go in between: the stack of calls breaks, and others come to be.
void Driver::make_stack() {
    constexpr unsigned members = 5;
    constexpr unsigned turns = 30;
    constexpr Word flag = abi::syscall_flag_require_donation;
    Word threads = crowd_ + 1;
    Word served = nest_;
    Word replies = nest_ + 1;
    raise_crowd(cnode, 0, members);
    make(abi::ObjectType::Endpoint, 0, served, crowd_);
    make(abi::ObjectType::Reply, 0, replies, crowd_, members);
    for (unsigned i = 0; i < members; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Recv, served, {}, replies + i);
        if (!take_over()) return;
        if (i >= 2) call({context_of_crowd(i), Method::SchedContextUnbind, {}, {}});
    }
    auto any = [&](Word of) { return of + choices_.below(members); };
    auto act = [&](unsigned i) {
        Word own = choices_.one_in(6) ? any(replies) : replies + i;
        switch (choices_.below(7)) {
            case 0: perform(Syscall::Recv, served, {}, own, 0, choices_.one_in(2) ? flag : 0); break;
            case 1: perform(Syscall::NBSendRecv, served, {}, own, choices_.one_in(2) ? served : any(replies)); break;
            case 2:
            case 3: perform(Syscall::ReplyRecv, served, {}, own, 0, choices_.one_in(4) ? flag : 0); break;
            default: perform(Syscall::Call, served);
        }
    };
    auto intervene = [&] {
        Word thread = any(threads);
        Word reply = any(replies);
        switch (choices_.below(4)) {
            case 0: call({any(context_of_crowd(0)), Method::SchedContextBind, {}, {thread}}); break;
            case 1: call({any(context_of_crowd(0)), Method::SchedContextUnbind, {}, {}}); break;
            case 2:
                remove(reply);
                make(abi::ObjectType::Reply, 0, reply, crowd_);
                break;
            default:
                call({thread, Method::TCBSuspend, {}, {}});
                call({thread, Method::TCBResume, {}, {}});
        }
    };
    for (unsigned turn = 0; turn < turns; ++turn) {
        unsigned i = 0;
        while (i < members && !runs(i)) ++i;
        if (i < members && !choices_.one_in(4)) {
            act(i);
            continue;
        }
        if (!take_over()) return;
        intervene();
        let_go();
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A call goes from the middle of a stack. Its reply object stands in another stack when the call below it goes as well.
void Driver::break_stack() {
    constexpr unsigned client = 0;
    constexpr unsigned other_client = 4;
    Word threads = crowd_ + 1;
    Word served = nest_;
    Word replies = nest_ + 1;
    raise_crowd(cnode, 0, other_client + 1);
    make(abi::ObjectType::Endpoint, 0, served, crowd_);
    make(abi::ObjectType::Reply, 0, replies, crowd_, other_client);
    for (unsigned server : {1, 2, 3}) {
        if (start_of_crowd(server, 0)) perform(Syscall::Recv, served, {}, replies + server);
        call({context_of_crowd(server), Method::SchedContextUnbind, {}, {}});
    }
    if (start_of_crowd(client, 0)) perform(Syscall::Call, served);
    if (runs(1)) perform(Syscall::Call, served);
    call({threads + 1, Method::TCBSuspend, {}, {}});
    let_go();
    if (runs(2)) perform(Syscall::Recv, served, {}, replies + 2);
    call({context_of_crowd(client), Method::SchedContextUnbind, {}, {}});
    if (start_of_crowd(other_client, 0)) perform(Syscall::Call, served);
    if (runs(3)) perform(Syscall::Call, served);
    call({threads + client, Method::TCBSuspend, {}, {}});
    let_go();
    for (unsigned server : {2, 3}) {
        if (runs(server)) perform(Syscall::ReplyRecv, served, {}, replies + server);
    }
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// Some of a crowd send with one of two badges, and one of them cancels the sends with a badge, again and again: to its end, or preempted and then with the
// same badge or the other, or at another endpoint, when others have come to wait in between, in front of where it stopped or behind.
void Driver::make_swept() {
    constexpr unsigned sweeper = crowd_size - 1;
    constexpr unsigned other_sweeper = sweeper - 1;
    Word threads = crowd_ + 1;
    Word endpoint = nest_;
    Word badged = nest_ + 1;
    Word other = nest_ + 3;
    raise_crowd(cnode, 0);
    make(abi::ObjectType::Endpoint, 0, endpoint, crowd_);
    make(abi::ObjectType::Endpoint, 0, other, crowd_);
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
    Word swept = any_end();
    auto sweep = [&](unsigned member) {
        if (!runs(member)) return;
        if (choices_.one_in(2)) swept = any_end();
        perform(Syscall::Call, cnode, {static_cast<Word>(Method::CNodeCancelBadgedSends), {swept, World::full_depth}, {}});
    };
    // Whose send was cancelled would run before a sweeper does. Some others go away or change their places, perhaps the one to whom the sweep has come.
    auto thin_out = [&](unsigned senders) {
        for (unsigned i = 0; i < senders; ++i) {
            const Tcb& thread = world_.object<Tcb>(threads + i);
            bool is_next = world_.object<Tcb>(threads + sweeper).sweep.next == &thread;
            if (thread.state == ThreadState::Running || choices_.one_in(is_next ? 3 : 8)) call({threads + i, Method::TCBSuspend, {}, {}});
            else if (is_next && choices_.one_in(2)) give_priority(i, choices_.below(fuzz::thread_max_priority));
            else if (choices_.one_in(3)) give_priority(i, fuzz::thread_max_priority);
        }
    };
    bool sweeps = false;
    for (unsigned i = 0; i < other_sweeper; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Send, any_end());
        if (!take_over()) return;
        if (!choices_.one_in(3)) give_priority(i, fuzz::thread_max_priority - choices_.below(4));
        if (i < 2 || choices_.one_in(2)) continue;
        if (sweeps) {
            give_priority(sweeper, fuzz::thread_max_priority);
            let_go();
        } else {
            sweeps = start_of_crowd(sweeper, 0);
        }
        sweep(sweeper);
        if (choices_.one_in(3)) sweep(sweeper);
        if (!take_over()) return;
        give_priority(sweeper, 0);
        thin_out(i + 1);
        if (choices_.one_in(2)) continue;
        // What was begun here is over when somebody else begins.
        if (start_of_crowd(other_sweeper, 0)) sweep(other_sweeper);
        call({threads + other_sweeper, Method::TCBSuspend, {}, {}});
        thin_out(i + 1);
    }
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A sweep stops in between, and somebody comes to wait in front of where it stopped. It goes on there, unless its thread has left the system call, as
// whose registers are written has: then it begins anew.
void Driver::resume_sweep() {
    constexpr unsigned newcomer = 3;
    constexpr unsigned sweeper = 4;
    Word threads = crowd_ + 1;
    Word endpoint = nest_;
    Word badged = nest_ + 1;
    raise_crowd(cnode, 0, sweeper + 1);
    make(abi::ObjectType::Endpoint, 0, endpoint, crowd_);
    call({cnode, Method::CNodeMint, {badged, World::full_depth, endpoint, World::full_depth, all_rights, 1}, {cnode}});
    auto give_priority = [&](unsigned member, Word priority) {
        call({threads + member, Method::TCBSetPriority, {priority}, {static_cast<Word>(InitSlot::TCB)}});
    };
    auto sweep = [&](unsigned point) {
        if (!runs(sweeper)) return;
        world_.prepare(Syscall::Call, cnode, {static_cast<Word>(Method::CNodeCancelBadgedSends), {badged, World::full_depth}, {}});
        hardware.pending_at = manner_.preempts ? point : 0;
        lockstep_->system_call();
    };
    for (unsigned i = 0; i < newcomer; ++i) {
        if (start_of_crowd(i, 0)) perform(Syscall::Send, badged);
        give_priority(i, fuzz::thread_max_priority - 1 - choices_.below(2));
    }
    start_of_crowd(sweeper, 0);
    sweep(1);
    give_priority(sweeper, 0);
    for (unsigned i = 0; i < newcomer; ++i) give_priority(i, 0);
    if (start_of_crowd(newcomer, 0)) perform(Syscall::Send, badged);
    if (choices_.one_in(2)) call({threads + sweeper, Method::TCBWriteRegisters, {0, 1, 2 * fuzz::code_address}, {}});
    give_priority(sweeper, fuzz::thread_max_priority);
    let_go();
    sweep(0);
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// Some of a crowd wait for one notification: signals come, and some go away or get another priority. Then the notification goes.
void Driver::make_waiters() {
    constexpr unsigned waiters = 4;
    const Word changes = choices_.below(8);
    Word threads = crowd_ + 1;
    Word notification = nest_;
    raise_crowd(cnode, 0, waiters);
    make(abi::ObjectType::Notification, 0, notification, crowd_);
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
    // With whoever still waits it goes as what is in a CNode does, or as what an interrupt signals.
    Word node = nest_ + 1;
    if (choices_.one_in(2)) {
        make(abi::ObjectType::CNode, 1, node, crowd_);
        call({node, Method::CNodeMove, {choices_.below(2), 1, notification, World::full_depth}, {cnode}});
    } else {
        call({static_cast<Word>(InitSlot::IRQControl), Method::IRQControlGet, {free_line, 1, node, World::full_depth}, {cnode}});
        call({node, Method::IRQHandlerSetNotification, {}, {notification}});
        remove(notification);
        if (choices_.one_in(2)) call({node, Method::IRQHandlerClear, {}, {}});
    }
    remove(node);
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A notification lends its context to a thread without one, which waits there again, or at an endpoint if the notification is bound to it: the context
// is the notification's then. Or the thread gives its own context to a server and takes the notification in the same system call.
void Driver::make_lent() {
    constexpr unsigned waiter = 0;
    constexpr unsigned lent = 1;
    constexpr unsigned server = 2;
    constexpr Word budget_us = 5'000;
    Word notification = nest_;
    Word served = nest_ + 1;
    Word replies = nest_ + 2;
    bool is_bound = choices_.one_in(2);
    bool passes_on = choices_.one_in(2);
    raise_crowd(cnode, 0, server + 1);
    make(abi::ObjectType::Notification, 0, notification, crowd_);
    make(abi::ObjectType::Endpoint, 0, served, crowd_);
    make(abi::ObjectType::Reply, 0, replies, crowd_, 2);
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {budget_us, budget_us, 0, 0, 0}, {context_of_crowd(lent)}});
    call({context_of_crowd(lent), Method::SchedContextBind, {}, {notification}});
    if (is_bound) call({crowd_ + 1 + waiter, Method::TCBBindNotification, {}, {notification}});
    if (passes_on) {
        if (start_of_crowd(server, 0)) perform(Syscall::Recv, served, {}, replies + 1);
        call({context_of_crowd(server), Method::SchedContextUnbind, {}, {}});
        call_to_end(Syscall::Send, notification);
    }
    auto wait = [&](bool blocks) {
        if (is_bound) return perform(blocks ? Syscall::Recv : Syscall::NBRecv, served, {}, replies);
        perform(blocks ? Syscall::Wait : Syscall::NBWait, notification);
    };
    if (start_of_crowd(waiter, 0)) passes_on ? perform(Syscall::NBSendWait, notification, {}, 0, served) : wait(true);
    call({context_of_crowd(waiter), Method::SchedContextUnbind, {}, {}});
    for (unsigned i = 0; i < 2 && take_over(); ++i) {
        if (choices_.one_in(6)) remove(context_of_crowd(lent));
        call_to_end(Syscall::Send, notification);
        let_go();
        if (runs(waiter)) wait(!choices_.one_in(4));
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// A thread with less than all of the processor's time deletes a context: another one than its own, mostly.
void Driver::drop_context() {
    raise_crowd(cnode, 0, 2);
    start_of_crowd(0, 0);
    call({world_.sched_control(), Method::SchedControlConfigureFlags, {2'000, 10'000, choices_.below(3), 0, choices_.below(2)}, {context_of_crowd(0)}});
    let_go();
    for (unsigned turn = 0; turn < 2 && runs(0); ++turn) {
        pass(choices_.below(100));
        Word context = context_of_crowd(choices_.one_in(4) ? 0 : 1);
        if (runs(0)) perform(Syscall::Call, cnode, {static_cast<Word>(Method::CNodeDelete), {context, World::full_depth}, {}});
    }
    if (!take_over()) return;
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
}

// Threads use the floating-point unit and go, while it still holds what is theirs; others come to be in the same memory and use it.
void Driver::make_float() {
    constexpr unsigned size = 2;
    constexpr unsigned generations = 3;
    for (unsigned generation = 0; generation < generations; ++generation) {
        raise_crowd(cnode, 0, size);
        auto any = [&] { return static_cast<unsigned>(choices_.below(size)); };
        for (unsigned turn = 0; turn < 2 * size; ++turn) {
            if (start_of_crowd(any(), 0)) lockstep_->use_fpu();
            if (choices_.one_in(3)) call({crowd_ + 1 + any(), Method::TCBSetFlags, {0, choices_.below(8)}, {}});
            if (choices_.one_in(6)) remove(crowd_ + 1 + any());
            if (!take_over()) return;
        }
    }
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
    raise_crowd(cnode, 0, 2);
    make(abi::ObjectType::Endpoint, 0, served, crowd_);
    make(abi::ObjectType::CNode, outer_bits, outer, crowd_);
    make(abi::ObjectType::Reply, 0, reply, crowd_);
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
    remove(inner);
    call({cnode, Method::CNodeRevoke, {crowd_, World::full_depth}, {}});
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

}  // namespace caprock::lockstep
