// SPDX-License-Identifier: BSD-2-Clause
// Thousands of threads that wait for one endpoint or notification, in all priorities, and long chains of calls.
#include "tests/worst_case/herd.hpp"
#include "tests/worst_case/operations.hpp"

namespace caprock::worst_case {

namespace {

Registers wait_for(CapRef notification) { return Registers::call(notification, empty_message, abi::Syscall::Wait); }

// Members of every priority wait for an object of type T, which the operation destroys.
template <class T>
void sweep_deletion(Sweep& sweep, Registers (*registers)(CapRef), unsigned members, bool long_one) {
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<T> object{system.take_slots()};
    const auto prepare = [=] {
        revoke(memory);
        retype(memory, object_type_of<T>, 0, object.address(), 1);
        herd.start_all(registers(object), members);
    };
    const auto operation = [=] { delete_cap(object); };
    long_one ? sweep.throughout(prepare, operation) : sweep.each(prepare, operation);
}

void measure_endpoint_deletion(Sweep& sweep) {
    sweep_deletion<Endpoint>(sweep, send_to, Herd::size, true);
    sweep_deletion<Endpoint>(sweep, send_to, 3, false);
}

void measure_notification_deletion(Sweep& sweep) {
    sweep_deletion<Notification>(sweep, wait_for, Herd::size, true);
    sweep_deletion<Notification>(sweep, wait_for, 3, false);
}

// Each badge is one of many, and its senders stand everywhere in the queue.
void sweep_badges(Sweep& sweep, unsigned members, bool long_one) {
    constexpr unsigned badges = 16;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const uint64_t badged = system.take_slots(badges);
    for (unsigned i = 0; i < badges; ++i)
        must(root_cnode.mint(badged + i, address_bits, endpoint.address(), address_bits, all_rights, i + 1, root_cnode));
    const auto prepare = [=] {
        for (unsigned i = 0; i < members; ++i) herd.start(i, send_to(CapRef{badged + i * 7 % badges}));
    };
    const auto operation = [=] {
        for (unsigned i = 0; i < badges; ++i) must(root_cnode.cancel_badged_sends(badged + i, address_bits));
    };
    long_one ? sweep.throughout(prepare, operation) : sweep.each(prepare, operation);
}

void measure_badges(Sweep& sweep) {
    sweep_badges(sweep, Herd::size, true);
    sweep_badges(sweep, 20, false);
}

// -- A queue with a group for every priority

// All members wait to send to `endpoint`, in every priority that there is.
void fill_queue(Cap<Endpoint> endpoint) {
    herd.start_all(send_to(endpoint));
    for (unsigned i = 0; i < Herd::size; ++i) must(herd.member(i).set_priority(i % 256, root_tcb));
}

void measure_priority_change(Sweep& sweep) {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    fill_queue(endpoint);
    // Member 255 leads the queue's first group, 256 its last.
    const Cap<TCB> first = herd.member(255);
    const Cap<TCB> last = herd.member(256);
    const auto reset = [=] {
        must(first.set_priority(255, root_tcb));
        must(last.set_priority(0, root_tcb));
    };
    sweep.each(reset, [=] { must(first.set_priority(0, root_tcb)); });
    sweep.each(reset, [=] { must(last.set_priority(1, root_tcb)); });
    sweep.each(reset, [=] { must(last.set_sched_params(0, 1, root_tcb, herd.context(256), Cap<Endpoint>{})); });
}

void measure_block_in_queue(Sweep& sweep) {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    fill_queue(endpoint);
    // It runs while the worker waits for the deadline, comes to stand behind all groups, and is taken out again.
    Puppet last{};
    last.start({.priority = 0});
    wake_by_deadline(true);
    sweep.each_until(600, [&] {
        last.registers = send_to(endpoint);
        last.tell();
        wait_for_wake();
        must(last.thread().suspend());
        must(last.thread().resume());
    });
    wake_by_deadline(false);
    const Cap<TCB> lowest = herd.member(256);
    const auto block_again = [=] {
        herd.start(256, send_to(endpoint));
        must(lowest.set_priority(0, root_tcb));
    };
    sweep.each(block_again, [=] { must(lowest.suspend()); });
}

// -- Senders that a server without a scheduling context refuses

void measure_refusals(Sweep& sweep) {
    const Cap<Endpoint> front = create<Endpoint>();
    const Cap<Endpoint> back = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const Cap<SchedContext> context = make_round_robin();
    const Cap<TCB> server = make_thread({.passive = true});
    const auto prepare = [=](unsigned members) {
        must(server.suspend());
        herd.start_all(send_to(back), members);
        must(context.bind(server));
        const uint64_t number = static_cast<uint64_t>(abi::Syscall::ReplyRecv) | abi::syscall_flag_require_donation;
        start_at(server, server_entry, Registers{}, {{front.address(), reply.address(), back.address(), number}});
        must(context.unbind());
    };
    const auto operation = [=] {
        sys::ShortMessage message{empty_message, 0, {}};
        sys::call(front.address(), message);
    };
    sweep.throughout([=] { prepare(Herd::size); }, operation);
    must(state_of(server) == ThreadState::BlockedOnReceive && state_of(herd.member(0)) == ThreadState::Runnable, "the senders are refused");
    sweep.each([=] { prepare(3); }, operation);
}

// The server's scheduling context is destroyed by the first half of the system call whose second half finds the senders. Where it is preempted, it stays.
void measure_refusals_behind(Sweep& sweep) {
    constexpr unsigned members = 100;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const Cap<Untyped> memory = create<Untyped>(abi::min_sched_context_bits);
    const Cap<SchedContext> context{system.take_slots()};
    Puppet server{};
    server.start({.passive = true});
    const auto prepare = [&] {
        must(server.thread().suspend());
        herd.start_all(send_to(endpoint), members);
        revoke(memory);
        retype(memory, abi::ObjectType::SchedContext, abi::min_sched_context_bits, context.address(), 1);
        must(system.sched_control().configure_flags(1'000, 1'000, 0, 0, abi::SchedContextFlags{0}, context));
        must(context.bind(server.thread()));
        server.restart();
        const abi::MessageInfo deletion = abi::MessageInfo::make(2, 0, 0, static_cast<uint64_t>(abi::Method::CNodeDelete));
        server.registers = Registers::call(endpoint, deletion, abi::Syscall::NBSendRecv);
        server.registers.x[2] = context.address();
        server.registers.x[3] = address_bits;
        server.registers.x[6] = reply.address();
        server.registers.x[7] |= abi::syscall_flag_require_donation;
        server.registers.x[8] = root_cnode.address();
    };
    sweep.each(prepare, [&] { server.tell(); });
    must(state_of(herd.member(members - 1)) == ThreadState::Runnable, "senders of the highest priority are refused");
}

// -- A call that was handed on a thousand times

// Each link is a thread that called the next one; all of them are on the context of the puppet that called the first. The last one waits to send.
class CallChain {
public:
    static constexpr unsigned length = 1'000;

    CallChain() { caller_.start({.passive = true}); }
    void build();
    CapRef link(unsigned i) const { return CapRef{links_ + i}; }
    CapRef reply(unsigned i) const { return CapRef{replies_ + i}; }
    /// The endpoint that link `i` serves, and the last one nobody.
    CapRef endpoint(unsigned i) const { return CapRef{endpoints_ + i}; }
    Cap<Untyped> memory() const { return memory_; }

private:
    Cap<Untyped> memory_ = create<Untyped>(22);
    uint64_t links_ = system.take_slots(length);
    uint64_t replies_ = system.take_slots(length);
    uint64_t endpoints_ = system.take_slots(length + 1);
    Cap<SchedContext> link_context_ = make_round_robin();
    Cap<SchedContext> caller_context_ = make_round_robin();
    Puppet caller_{};
};

void CallChain::build() {
    revoke(memory_);
    retype(memory_, abi::ObjectType::TCB, 0, links_, length);
    retype(memory_, abi::ObjectType::Reply, 0, replies_, length);
    retype(memory_, abi::ObjectType::Endpoint, 0, endpoints_, length + 1);
    for (unsigned i = 0; i < length; ++i) {
        const Cap<TCB> thread{link(i).address()};
        must(thread.configure(abi::CNodeCapData{0}, 0, 0, root_cnode, root_vspace, Cap<Frame>{}));
        must(thread.set_sched_params(0, eager_priority, root_tcb, link_context_, Cap<Endpoint>{}));
        start_at(thread, link_entry, Registers{}, {{endpoint(i).address(), reply(i).address(), endpoint(i + 1).address()}});
        must(link_context_.unbind());
    }
    // Whoever was destroyed last time may have had it.
    must(caller_context_.unbind());
    must(caller_context_.bind(caller_.thread()));
    caller_.registers = Registers::call(endpoint(0), empty_message, abi::Syscall::Call);
    caller_.tell();
    must(state_of(link(0)) == ThreadState::BlockedOnReply && state_of(link(length - 1)) == ThreadState::BlockedOnSend, "the chain is whole");
}

void measure_call_chain(Sweep& sweep) {
    CallChain chain;
    const auto prepare = [&] { chain.build(); };
    sweep.throughout(prepare, [&] { revoke(chain.memory()); });
    sweep.throughout(prepare, [&] {
        for (unsigned i = 0; i < CallChain::length; ++i) delete_cap(chain.reply(i));
    });
    sweep.each(prepare, [&] { delete_cap(chain.link(CallChain::length - 1)); });
    sweep.each(prepare, [&] { delete_cap(chain.reply(CallChain::length / 2)); });
}

}  // namespace

const Operation queue_operations[] = {
    {"an endpoint with 4,096 senders deleted", measure_endpoint_deletion},
    {"a notification with 4,096 waiters deleted", measure_notification_deletion},
    {"4,096 senders of 16 badges cancelled", measure_badges},
    {"priority change in a queue of 4,096", measure_priority_change},
    {"blocking and suspension in a queue of 4,096", measure_block_in_queue},
    {"4,096 senders refused", measure_refusals},
    {"senders refused by a server that has just lost its time", measure_refusals_behind},
    {"a chain of 1,000 calls destroyed", measure_call_chain},
    {nullptr, nullptr},
};

}  // namespace caprock::worst_case
