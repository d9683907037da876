// SPDX-License-Identifier: BSD-2-Clause
// What the kernel has derived from a capability ends with it: objects of live threads are deleted beneath them.
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

using abi::FaultLabel;

// A space of its own memory, which can be revoked, with the image.
struct OwnSpace {
    Cap<Untyped> memory = create<Untyped>(12);
    Cap<VSpace> vspace = create_in<VSpace>(memory);

    explicit OwnSpace(Cap<ASIDPool> pool) {
        CHECK_OK(pool.assign(vspace));
        map_image(vspace);
    }
};

void check_fetch_fault(const FaultHandler& handler) {
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.words[abi::VMFault::prefetch_fault], 1);
}

}  // namespace

TEST(space_deleted, "a thread whose VSpace is gone faults at its next instruction") {
    const FaultHandler handler;
    const OwnSpace space(own_asid_pool);
    volatile uint64_t count = 0;
    auto counting = [&] {
        for (;;) count = count + 1;
    };
    spawn(counting, {.priority = lower_priority, .vspace = space.vspace, .fault_endpoint = handler.endpoint()});
    sleep(5'000);
    CHECK(count > 0);
    revoke(space.memory);
    const uint64_t seen = count;
    check_fetch_fault(handler);
    CHECK_EQUAL(count, seen);
}

TEST(own_space_deleted, "a thread that deletes the VSpace in which it runs faults") {
    const FaultHandler handler;
    const OwnSpace space(own_asid_pool);
    bool survived = false;
    auto ending = [&] {
        revoke(space.memory);
        survived = true;
    };
    spawn(ending, {.vspace = space.vspace, .fault_endpoint = handler.endpoint()});
    check_fetch_fault(handler);
    CHECK(!survived);
}

TEST(own_space_revoked, "a thread that takes its own address space away faults at its next instruction, though the VSpace is still there") {
    const FaultHandler handler;
    const OwnSpace space(own_asid_pool);
    bool survived = false;
    auto ending = [&] {
        revoke(space.vspace);
        survived = true;
    };
    spawn(ending, {.vspace = space.vspace, .fault_endpoint = handler.endpoint()});
    check_fetch_fault(handler);
    CHECK(!survived);
    CHECK(!is_empty(space.vspace));
}

TEST(pool_deleted, "a thread whose ASID pool is gone faults, and its VSpace cannot be used again") {
    const FaultHandler handler;
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<ASIDPool> pool{take_slots()};
    const Result<void> made = asid_control.make_pool(pool.address(), 64, memory, own_cnode);
    if (made.error() == abi::Error::DeleteFirst) skip("the processor has ASIDs for one pool only");
    CHECK_OK(made);
    const OwnSpace space(pool);
    volatile uint64_t count = 0;
    auto counting = [&] {
        for (;;) count = count + 1;
    };
    spawn(counting, {.priority = lower_priority, .vspace = space.vspace, .fault_endpoint = handler.endpoint()});
    sleep(5'000);
    CHECK(count > 0);
    revoke(memory);
    check_fetch_fault(handler);
    const Cap<Frame> frame = create<Frame>();
    CHECK_CAPABILITY(frame.map(small_window, read_write, cached, space.vspace), 1);
    CHECK_CAPABILITY(own_asid_pool.assign(space.vspace), 1);
    revoke(space.memory);
}

TEST(own_pool_deleted, "a thread that deletes the ASID pool of its VSpace faults") {
    const FaultHandler handler;
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<ASIDPool> pool{take_slots()};
    const Result<void> made = asid_control.make_pool(pool.address(), 64, memory, own_cnode);
    if (made.error() == abi::Error::DeleteFirst) skip("the processor has ASIDs for one pool only");
    const OwnSpace space(pool);
    auto ending = [&] { revoke(memory); };
    const Thread& thread = spawn(ending, {.vspace = space.vspace, .fault_endpoint = handler.endpoint()});
    check_fetch_fault(handler);
    CHECK(!thread.done());
}

TEST(buffer_deleted, "a thread whose IPC buffer is gone has 12 words and no capabilities") {
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<Frame> frame = create_in<Frame>(memory);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    auto sending = [&] {
        for (;;) {
            const sys::Message message{abi::MessageInfo::make(40, 1, 0, 0), 0, {}};
            (void)sys::send(endpoint.address(), message);
        }
    };
    const Thread& thread = prepare(sending);
    CHECK_OK(thread.tcb.set_ipc_buffer(small_window, frame));
    thread.resume();
    sys::Message message;
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(message.info.length(), 40);
    revoke(memory);
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(message.info.length(), abi::ipc_register_words);
    CHECK_EQUAL(message.info.extra_caps(), 0);
}

TEST(handler_deleted, "a thread whose fault endpoint is gone stops at its fault") {
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(memory);
    const Cap<Notification> go = create<Notification>();
    auto faulting = [=] {
        sys::ShortMessage message;
        sys::wait(go.address(), message);
        asm volatile("udf #0");
    };
    const Thread& thread = spawn(faulting, {.fault_endpoint = endpoint});
    revoke(memory);
    delete_cap(endpoint);
    sys::signal(go.address());
    CHECK(!thread.done());
}

TEST(cspace_deleted, "a thread whose CSpace is gone has no capabilities") {
    const FaultHandler handler;
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<CNode> node = create_in<CNode>(memory, 4);
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(mint(node, abi::CNodeCapData::make(60, 0).raw).copy(3, 64, notification.address(), 64, all_rights, own_cnode));
    unsigned sent = 0;
    auto signalling = [&] {
        for (;;) {
            sys::signal(uint64_t{3} << 60);
            ++sent;
            sys::yield();
        }
    };
    spawn(signalling, {.priority = worker_priority, .fault_endpoint = handler.endpoint(), .cspace = node});
    sys::yield();
    CHECK(sent > 0);
    revoke(memory);
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::CapFault);
    CHECK_EQUAL(report.words[abi::CapFault::lookup_failure_type], abi::LookupFailure::InvalidRoot);
}

TEST(frame_deleted, "a mapping ends with its capability, for the thread that uses it") {
    const FaultHandler handler;
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<Frame> frame = create_in<Frame>(memory);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    volatile uint64_t& word = *reinterpret_cast<volatile uint64_t*>(small_window);
    auto counting = [&] {
        for (;;) word = word + 1;
    };
    spawn(counting, {.priority = lower_priority, .fault_endpoint = handler.endpoint()});
    sleep(5'000);
    CHECK(word > 0);
    revoke(memory);
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.words[abi::VMFault::addr], small_window);
}

TEST(copied_frame_deleted, "a mapping does not end with another copy of its capability") {
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> mapped = copy(frame);
    CHECK_OK(mapped.map(small_window, read_write, cached, own_vspace));
    delete_cap(frame);
    *reinterpret_cast<volatile uint64_t*>(small_window) = 5;
    CHECK_EQUAL(*reinterpret_cast<volatile uint64_t*>(small_window), 5);
}

TEST(context_deleted, "the context on which a thread runs can be deleted by that thread") {
    bool survived = false;
    auto ending = [&] {
        delete_cap(current_thread()->context);
        survived = true;
    };
    const Thread& thread = spawn(ending);
    CHECK(!survived);
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(thread.tcb));
    CHECK(survived);
}

TEST(lent_context_deleted, "a context that is lent can be deleted: caller and server wait for another") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    volatile uint64_t count = 0;
    volatile bool finish = false;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        while (!finish) count = count + 1;
        sys::reply_recv(endpoint.address(), reply.address(), message);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(server.tcb.set_priority(lower_priority, own_tcb));
    auto calling = [=] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
    };
    const Thread& caller = spawn(calling);
    sleep(5'000);
    CHECK(count > 0);
    delete_cap(caller.context);
    const uint64_t seen = count;
    sleep(5'000);
    CHECK_EQUAL(count, seen);
    finish = true;
    CHECK_OK(server.context.bind(server.tcb));
    sleep(5'000);
    // The reply has come, and the caller has no time of its own.
    CHECK(!caller.done());
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(caller.tcb));
    CHECK(caller.done());
}

TEST(server_deleted, "a passive server that is deleted while it serves: its caller has its context back") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<Reply> reply = create_in<Reply>(memory);
    auto serving = [=] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) asm volatile("");
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(server.tcb.set_priority(lower_priority, own_tcb));
    sys::ShortMessage result{};
    auto calling = [&] { sys::call(endpoint.address(), result); };
    const Thread& caller = spawn(calling);
    delete_cap(server.tcb);
    CHECK(!caller.done());
    revoke(memory);
    CHECK(caller.done());
    CHECK_EQUAL(result.info.label(), abi::Error::CallCancelled);
}

}  // namespace caprock::conformance
