// SPDX-License-Identifier: BSD-2-Clause
// Inspect: reading what other capabilities hold.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

using abi::CapType;
using abi::Method;

auto read_slot(CapRef cap) { return CHECK_OK(inspect.read_cnode(cap.address(), own_cnode)); }
uint64_t identity_of(CapRef cap) { return read_slot(cap).identity; }

// States that ReadTCB tells.
constexpr uint64_t inactive = 0, runnable = 1, receiving = 2, sending = 3, awaiting_reply = 4, waiting = 5;

}  // namespace

TEST(order_read_cnode, "ReadCNode's checks come in the documented order") {
    const Cap<CNode> node = create<CNode>(3);
    Order order(Method::InspectReadCNode);
    NEXT(order, inspect.read_cnode(8, CapRef{memory.address()})).number(1);
    AGAIN(order, inspect.read_cnode(8, CapRef{})).number(1);
    NEXT(order, inspect.read_cnode(8, node)).range(0, 7);
    AGAIN(order, inspect.read_cnode(~uint64_t{0}, node)).range(0, 7);
    CHECK_OK(inspect.read_cnode(7, node));
}

TEST(order_read_tcb_slot, "ReadTCBSlot's checks come in the documented order") {
    Order order(Method::InspectReadTCBSlot);
    NEXT(order, inspect.read_tcb_slot(5, CapRef{memory.address()})).number(1);
    NEXT(order, inspect.read_tcb_slot(5, own_tcb)).range(0, 4);
    CHECK_OK(inspect.read_tcb_slot(4, own_tcb));
}

TEST(order_read_tcb, "ReadTCB's check") {
    Order order(Method::InspectReadTCB);
    NEXT(order, inspect.read_tcb(CapRef{memory.address()})).number(1);
    AGAIN(order, inspect.read_tcb(CapRef{})).number(1);
    CHECK_OK(inspect.read_tcb(own_tcb));
}

TEST(order_read_vspace, "ReadVSpace's checks come in the documented order") {
    Order order(Method::InspectReadVSpace);
    NEXT(order, inspect.read_vspace(abi::user_top, CapRef{memory.address()})).number(1);
    AGAIN(order, inspect.read_vspace(abi::user_top, create<VSpace>())).number(1);
    NEXT(order, inspect.read_vspace(abi::user_top, own_vspace)).number(0);
    AGAIN(order, inspect.read_vspace(~uint64_t{0}, own_vspace)).number(0);
    CHECK_OK(inspect.read_vspace(abi::user_top - 1, own_vspace));
}

TEST(order_read_sched_context, "ReadSchedContext's check") {
    Order order(Method::InspectReadSchedContext);
    NEXT(order, inspect.read_sched_context(CapRef{memory.address()})).number(1);
    AGAIN(order, inspect.read_sched_context(CapRef{})).number(1);
    CHECK_OK(inspect.read_sched_context(create<SchedContext>(8)));
}

TEST(order_read_untyped, "ReadUntyped's check") {
    Order order(Method::InspectReadUntyped);
    NEXT(order, inspect.read_untyped(CapRef{own_tcb.address()})).number(1);
    AGAIN(order, inspect.read_untyped(CapRef{})).number(1);
    CHECK_OK(inspect.read_untyped(memory));
}

TEST(order_read_reply, "ReadReply's check") {
    Order order(Method::InspectReadReply);
    NEXT(order, inspect.read_reply(CapRef{own_tcb.address()})).number(1);
    AGAIN(order, inspect.read_reply(CapRef{})).number(1);
    CHECK_OK(inspect.read_reply(create<Reply>()));
}

TEST(order_read_irq_handler, "ReadIRQHandler's check") {
    Order order(Method::InspectReadIRQHandler);
    NEXT(order, inspect.read_irq_handler(CapRef{own_tcb.address()})).number(1);
    AGAIN(order, inspect.read_irq_handler(CapRef{irq_control.address()})).number(1);
    const uint64_t slot = take_slots();
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Level, slot, 64, own_cnode));
    CHECK_OK(inspect.read_irq_handler(CapRef{slot}));
}

TEST(kinds, "ReadCNode tells the kind of every capability") {
    const Cap<IRQHandler> handler{take_slots()};
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Level, handler.address(), 64, own_cnode));
    const CapRef sgi{take_slots()};
    CHECK_OK(irq_control.issue_sgisignal(11, 0, sgi.address(), 64, own_cnode));
    const struct {
        CapRef cap;
        CapType kind;
    } rows[] = {{CapRef{take_slots()}, CapType::Null},
                {memory, CapType::Untyped},
                {create<Endpoint>(), CapType::Endpoint},
                {create<Notification>(), CapType::Notification},
                {create<Reply>(), CapType::Reply},
                {own_cnode, CapType::CNode},
                {own_tcb, CapType::TCB},
                {create<SchedContext>(8), CapType::SchedContext},
                {sched_control, CapType::SchedControl},
                {own_vspace, CapType::VSpace},
                {create<PageTable>(), CapType::PageTable},
                {create<Frame>(), CapType::Frame},
                {asid_control, CapType::ASIDControl},
                {own_asid_pool, CapType::ASIDPool},
                {irq_control, CapType::IRQControl},
                {handler, CapType::IRQHandler},
                {domain_control, CapType::Domain},
                {inspect, CapType::Inspect},
                {sgi, CapType::SGISignal}};
    for (const auto& row : rows) CHECK_EQUAL(read_slot(row.cap).kind, row.kind);
    CHECK_EQUAL(read_slot(handler).badge, 100);
    CHECK_EQUAL(read_slot(sgi).badge, 11);
}

TEST(slot_details, "ReadCNode tells rights, badge, guard, size and mapping") {
    const Cap<Endpoint> endpoint = mint(create<Endpoint>(), 0x1234, abi::CapRights::make(1, 0, 0, 1));
    CHECK_EQUAL(read_slot(endpoint).badge, 0x1234);
    CHECK_EQUAL(read_slot(endpoint).rights.raw, abi::CapRights::make(1, 0, 0, 1).raw);
    const Cap<Notification> notification = copy(create<Notification>(), read_only);
    CHECK_EQUAL(read_slot(notification).rights.raw, read_only.raw);
    const Cap<CNode> node = mint(create<CNode>(5), abi::CNodeCapData::make(9, 0x155).raw);
    CHECK_EQUAL(read_slot(node).badge, 0x155);
    CHECK_EQUAL(read_slot(node).guard_size, 9);
    CHECK_EQUAL(read_slot(node).size_bits, 5);
    const Cap<Frame> frame = copy(create_large(), read_only);
    CHECK_EQUAL(read_slot(frame).badge, 0);
    CHECK_OK(frame.map(large_window, read_only, cached, own_vspace));
    CHECK_EQUAL(read_slot(frame).badge, large_window);
    CHECK_EQUAL(read_slot(frame).size_bits, 21);
    CHECK_EQUAL(read_slot(frame).rights.raw, read_only.raw);
    CHECK_EQUAL(read_slot(create<Reply>()).rights.raw, abi::CapRights::make(0, 0, 1, 0).raw);
    CHECK_EQUAL(read_slot(copy(create<Reply>(), read_write)).rights.raw, 0);
    CHECK_EQUAL(read_slot(create<Untyped>(14)).size_bits, 14);
    CHECK_EQUAL(read_slot(create<SchedContext>(9)).size_bits, 9);
    CHECK_EQUAL(read_slot(sched_control).badge, 0);
}

TEST(identities, "objects have identities, which copies share, others do not, and no address shows") {
    const Cap<Endpoint> first = create<Endpoint>();
    const Cap<Endpoint> second = create<Endpoint>();
    const uint64_t identity = identity_of(first);
    CHECK(identity != 0);
    CHECK(identity != identity_of(second));
    CHECK_EQUAL(identity_of(copy(first)), identity);
    CHECK_EQUAL(identity_of(mint(first, 7)), identity);
    CHECK_EQUAL(identity_of(asid_control), 0);
    // Two endpoints lie 16 bytes apart; that does not show.
    CHECK(identity_of(second) - identity != 16);
    CHECK(identity >> 47 != ~uint64_t{0} >> 47);
    const Cap<Frame> frame = create<Frame>();
    CHECK(identity_of(frame) != CHECK_OK(frame.get_address()));
}

TEST(parents, "ReadCNode tells the parent that lies in the same CNode") {
    const Cap<Untyped> untyped = create<Untyped>(14);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(untyped);
    const Cap<Endpoint> badged = mint(endpoint, 1);
    CHECK_EQUAL(read_slot(untyped).parent, memory.address() + 1);
    CHECK_EQUAL(read_slot(endpoint).parent, untyped.address() + 1);
    CHECK_EQUAL(read_slot(badged).parent, endpoint.address() + 1);
    // What Retype made is the parent of its copies, of which further copies are siblings.
    const Cap<Endpoint> copied = copy(endpoint);
    CHECK_EQUAL(read_slot(copied).parent, endpoint.address() + 1);
    CHECK_EQUAL(read_slot(copy(copied)).parent, endpoint.address() + 1);
    // The parent of the component's memory is the driver's.
    CHECK_EQUAL(read_slot(memory).parent, 0);
    const Cap<CNode> node = create<CNode>(3);
    CHECK_OK(node.mint(2, 3, endpoint.address(), 64, all_rights, 2, own_cnode));
    CHECK_EQUAL(CHECK_OK(inspect.read_cnode(2, node)).parent, 0);
}

TEST(tcb_slots, "ReadTCBSlot tells the five capabilities with which a thread runs") {
    const Cap<TCB> tcb = create<TCB>();
    for (uint64_t slot = 0; slot < 5; ++slot) CHECK_EQUAL(CHECK_OK(inspect.read_tcb_slot(slot, tcb)).kind, CapType::Null);
    const Cap<CNode> node = create<CNode>(4);
    const Cap<Frame> frame = create<Frame>();
    const Cap<Endpoint> endpoint = mint(create<Endpoint>(), 12);
    CHECK_OK(tcb.configure(abi::CNodeCapData::make(60, 3), 0, 1024, node, own_vspace, frame));
    CHECK_OK(tcb.set_sched_params(0, 0, own_tcb, CapRef{}, endpoint));
    CHECK_OK(tcb.set_timeout_endpoint(default_fault_endpoint));
    const auto cspace = CHECK_OK(inspect.read_tcb_slot(0, tcb));
    CHECK(cspace.kind == CapType::CNode && cspace.badge == 3 && cspace.guard_size == 60 && cspace.size_bits == 4);
    CHECK_EQUAL(cspace.identity, identity_of(node));
    const auto vspace = CHECK_OK(inspect.read_tcb_slot(1, tcb));
    CHECK(vspace.kind == CapType::VSpace && vspace.identity == identity_of(own_vspace));
    const auto buffer = CHECK_OK(inspect.read_tcb_slot(2, tcb));
    CHECK(buffer.kind == CapType::Frame && buffer.identity == identity_of(frame) && buffer.size_bits == 12);
    const auto fault = CHECK_OK(inspect.read_tcb_slot(3, tcb));
    CHECK(fault.kind == CapType::Endpoint && fault.badge == 12 && fault.identity == identity_of(endpoint));
    const auto timeout = CHECK_OK(inspect.read_tcb_slot(4, tcb));
    CHECK(timeout.kind == CapType::Endpoint && timeout.identity == identity_of(default_fault_endpoint));
}

TEST(tcb_parameters, "ReadTCB tells a thread's parameters") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<Notification> notification = create<Notification>();
    auto read = CHECK_OK(inspect.read_tcb(tcb));
    CHECK_EQUAL(read.identity, identity_of(tcb));
    CHECK(read.state == inactive && read.priority == 0 && read.mcp == 0 && read.domain == 0 && read.core == 0 && read.flags.raw == 0);
    CHECK(read.sched_context == 0 && read.notification == 0 && read.buffer == 0);
    CHECK_OK(tcb.set_sched_params(77, 66, own_tcb, context, CapRef{}));
    CHECK_OK(tcb.bind_notification(notification));
    CHECK_OK(tcb.set_ipc_buffer(5 * 1024, create<Frame>()));
    CHECK_OK(tcb.set_flags(abi::ThreadFlags{0}, abi::ThreadFlags::make(1, 0, 0)));
    CHECK_OK(domain_control.set(4, tcb));
    read = CHECK_OK(inspect.read_tcb(tcb));
    CHECK(read.priority == 66 && read.mcp == 77 && read.domain == 4 && read.flags.raw == 1 && read.buffer == 5 * 1024);
    CHECK_EQUAL(read.sched_context, identity_of(context));
    CHECK_EQUAL(read.notification, identity_of(notification));
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(own_tcb)).state, runnable);
}

TEST(tcb_states, "ReadTCB tells what a thread is blocked on") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Notification> notification = create<Notification>();
    const Cap<Reply> reply = create<Reply>();
    const auto state = [](const Thread& thread) { return CHECK_OK(inspect.read_tcb(thread.tcb)).state; };
    auto waiting_body = [=] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    const Thread& waiter = spawn(waiting_body);
    CHECK_EQUAL(state(waiter), waiting);
    auto calling = [=] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
    };
    const Thread& caller = prepare(calling);
    CHECK_EQUAL(state(caller), inactive);
    caller.resume();
    CHECK_EQUAL(state(caller), sending);
    sys::ShortMessage message;
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(state(caller), awaiting_reply);
    CHECK_OK(caller.tcb.suspend());
    CHECK_EQUAL(state(caller), inactive);
    const Thread& receiver = spawn(waiting_body, {.priority = lower_priority});
    CHECK_EQUAL(state(receiver), runnable);
    auto receiving_body = [=] {
        sys::ShortMessage received;
        sys::wait(endpoint.address(), received);
    };
    CHECK_EQUAL(state(spawn(receiving_body)), receiving);
}

TEST(vspace_entries, "ReadVSpace tells what is mapped at an address, and how large a hole is") {
    const Cap<VSpace> vspace = create_space();
    const auto at = [=](uint64_t address) { return CHECK_OK(inspect.read_vspace(address, vspace)); };
    const uint64_t holes[] = {39, 30, 21, 12};
    for (const uint64_t bits : holes) {
        CHECK_EQUAL(at(large_window + 0x1234).identity, 0);
        CHECK_EQUAL(at(large_window + 0x1234).size_bits, bits);
        if (bits != 12) CHECK_OK(create<PageTable>().map(large_window, cached, vspace));
    }
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> large = create_large();
    CHECK_OK(frame.map(large_window + page_bytes, read_only, uncached, vspace));
    CHECK_OK(large.map(large_window + large_bytes, read_write, cached_executable, vspace));
    CHECK_EQUAL(at(large_window).identity, 0);
    const auto small = at(large_window + page_bytes + 8);
    CHECK(small.identity == identity_of(frame) && small.size_bits == 12 && small.rights.raw == read_only.raw);
    CHECK_EQUAL(small.attributes.raw, uncached.raw);
    const auto big = at(large_window + 2 * large_bytes - 1);
    CHECK(big.identity == identity_of(large) && big.size_bits == 21 && big.rights.raw == read_write.raw);
    CHECK_EQUAL(big.attributes.raw, cached_executable.raw);
}

TEST(sched_context_parameters, "ReadSchedContext tells a context's parameters") {
    const Cap<SchedContext> context = create<SchedContext>(9);
    auto read = CHECK_OK(inspect.read_sched_context(context));
    CHECK_EQUAL(read.identity, identity_of(context));
    CHECK(read.budget == 0 && read.thread == 0 && read.notification == 0);
    CHECK_OK(sched_control.configure_flags(2'000, 30'000, 3, 99, abi::SchedContextFlags::make(1), context));
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(context.bind(tcb));
    read = CHECK_OK(inspect.read_sched_context(context));
    CHECK(read.budget == 2'000 && read.period == 30'000 && read.extra_refills == 3 && read.badge == 99 && read.flags.raw == 1 && read.core == 0);
    CHECK_EQUAL(read.thread, identity_of(tcb));
    CHECK_OK(context.unbind());
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(context.bind(notification));
    read = CHECK_OK(inspect.read_sched_context(context));
    CHECK_EQUAL(read.thread, 0);
    CHECK_EQUAL(read.notification, identity_of(notification));
    set_budget(context, 5'000, 5'000);
    read = CHECK_OK(inspect.read_sched_context(context));
    CHECK(read.budget == 5'000 && read.period == 5'000 && read.extra_refills == 0);
}

TEST(untyped_state, "ReadUntyped tells size, free memory and kind of an untyped") {
    const Cap<Untyped> untyped = create<Untyped>(13);
    auto read = CHECK_OK(inspect.read_untyped(untyped));
    CHECK(read.size_bits == 13 && read.free_bytes == 8192 && read.is_device == 0);
    CHECK_EQUAL(read.identity, identity_of(untyped));
    create_in<Endpoint>(untyped);
    CHECK_EQUAL(CHECK_OK(inspect.read_untyped(untyped)).free_bytes, 8192 - 16);
    revoke(untyped);
    CHECK_EQUAL(CHECK_OK(inspect.read_untyped(untyped)).free_bytes, 8192);
    read = CHECK_OK(inspect.read_untyped(device_untyped));
    CHECK(read.is_device == 1 && read.size_bits == device_bits && read.free_bytes == uint64_t{1} << device_bits);
}

TEST(reply_state, "ReadReply tells who waits for a reply") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    CHECK_EQUAL(CHECK_OK(inspect.read_reply(reply)).caller, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_reply(reply)).identity, identity_of(reply));
    auto calling = [=] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
    };
    // Who receives with the object does not wait for a reply.
    const Cap<Endpoint> quiet = create<Endpoint>();
    auto receiving_body = [=] {
        sys::ShortMessage message;
        sys::recv(quiet.address(), reply.address(), message);
    };
    spawn(receiving_body);
    CHECK_EQUAL(CHECK_OK(inspect.read_reply(reply)).caller, 0);
    const Thread& caller = spawn(calling);
    sys::ShortMessage message;
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(CHECK_OK(inspect.read_reply(reply)).caller, identity_of(caller.tcb));
    CHECK_EQUAL(sys::send(reply.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK_EQUAL(CHECK_OK(inspect.read_reply(reply)).caller, 0);
}

TEST(irq_handler_state, "ReadIRQHandler tells interrupt, notification and badge of a handler") {
    const Cap<IRQHandler> handler{take_slots()};
    CHECK_OK(irq_control.get(101, abi::IRQTrigger::Level, handler.address(), 64, own_cnode));
    auto read = CHECK_OK(inspect.read_irq_handler(handler));
    CHECK(read.irq == 101 && read.notification == 0 && read.badge == 0);
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(handler.set_notification(mint(notification, 6)));
    read = CHECK_OK(inspect.read_irq_handler(handler));
    CHECK_EQUAL(read.notification, identity_of(notification));
    CHECK_EQUAL(read.badge, 6);
}

TEST(stable, "an identity stays while the object lives, whatever is done to its capabilities") {
    const Cap<TCB> tcb = create<TCB>();
    const uint64_t identity = CHECK_OK(inspect.read_tcb(tcb)).identity;
    const Cap<TCB> second = copy(tcb);
    delete_cap(tcb);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(second)).identity, identity);
    CHECK_OK(second.set_priority(9, own_tcb));
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(second)).identity, identity);
}

}  // namespace caprock::conformance
