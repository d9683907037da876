// SPDX-License-Identifier: BSD-2-Clause
// Notifications: flags, waiters, bound threads, a context of their own.
#include "tests/conformance/component/probes.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

using abi::Error;

void check_notified(const sys::Message& message, uint64_t badge) {
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
    CHECK_EQUAL(message.badge, badge);
    for (const uint64_t word : message.words) CHECK_EQUAL(word, 0);
}

}  // namespace

TEST(flags, "signals gather badges until they are taken") {
    const Cap<Notification> notification = create<Notification>();
    sys::signal(mint(notification, 0b0101).address());
    sys::signal(mint(notification, 0b0110).address());
    sys::Message message;
    sys::wait(notification.address(), message);
    check_notified(message, 0b0111);
    sys::nb_wait(notification.address(), message);
    CHECK(message.badge == 0 && message.info.raw == 0);
    sys::signal(mint(notification, 0b1000).address());
    sys::wait(notification.address(), message);
    check_notified(message, 0b1000);
}

TEST(badge_0, "a signal without a badge is one") {
    const Cap<Notification> notification = create<Notification>();
    sys::signal(notification.address());
    sys::Message message{abi::MessageInfo{0}, 1, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
    sys::nb_recv(notification.address(), 0, message);
    check_notified(message, 0);
}

TEST(signal_by_call, "Call and NBSend signal, with an empty result") {
    const Cap<Notification> notification = mint(create<Notification>(), 4);
    sys::Message message{abi::MessageInfo::make(12, 0, 0, 3), 0, {}};
    sys::call(notification.address(), message);
    CHECK(message.badge == 0 && message.info.raw == 0);
    sys::nb_wait(notification.address(), message);
    check_notified(message, 4);
    CHECK_EQUAL(sys::nb_send(notification.address(), sys::ShortMessage{}), Error::NoError);
    sys::nb_wait(notification.address(), message);
    check_notified(message, 4);
}

TEST(waiters, "each signal wakes one waiter, by priority and then by time") {
    const Cap<Notification> notification = create<Notification>();
    unsigned order[4] = {};
    unsigned next = 0;
    struct {
        Cap<Notification> notification;
        unsigned* next;
        unsigned* order;
        void operator()() const {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            *order = ++*next;
        }
    } waiters[4];
    const uint8_t priorities[] = {110, 120, 110, 115};
    for (unsigned i = 0; i < 4; ++i) {
        waiters[i] = {notification, &next, &order[i]};
        spawn(waiters[i], {.priority = priorities[i]});
    }
    for (unsigned i = 1; i <= 4; ++i) {
        sys::signal(notification.address());
        CHECK_EQUAL(next, i);
    }
    CHECK(order[1] == 1 && order[3] == 2 && order[0] == 3 && order[2] == 4);
}

TEST(bound, "a bound notification ends a receive on an endpoint, and comes first") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    sys::Message message;
    auto receiving = [&] { sys::recv(endpoint.address(), reply.address(), message); };
    const Thread& waiting = prepare(receiving);
    CHECK_OK(waiting.tcb.bind_notification(notification));
    waiting.resume();
    CHECK(!waiting.done());
    sys::signal(mint(notification, 9).address());
    CHECK(waiting.done());
    check_notified(message, 9);
    // The endpoint is not left with a receiver.
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), Error::NoError);
    CHECK_OK(waiting.tcb.unbind_notification());

    auto sending = [&] { (void)sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 5), 0, {1}}); };
    spawn(sending);
    auto receiving_twice = [&] {
        sys::Message first;
        sys::recv(endpoint.address(), reply.address(), first);
        check_notified(first, 0);
        sys::recv(endpoint.address(), reply.address(), message);
    };
    const Thread& second = prepare(receiving_twice);
    CHECK_OK(second.tcb.bind_notification(notification));
    sys::signal(notification.address());
    second.resume();
    CHECK(second.done());
    CHECK_EQUAL(message.info.label(), 5);
}

TEST(bound_active, "a signal to a notification that is active ends no receive: the bound thread takes the whole word with its next one") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    sys::Message first;
    sys::Message second;
    auto receiving_twice = [&] {
        sys::recv(endpoint.address(), reply.address(), first);
        sys::recv(endpoint.address(), reply.address(), second);
    };
    const Thread& thread = spawn(receiving_twice);
    sys::signal(mint(notification, 1).address());
    CHECK_OK(thread.tcb.bind_notification(notification));
    sys::signal(mint(notification, 2).address());
    CHECK(!thread.done());
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(0, 0, 0, 5), 0, {}}), Error::NoError);
    CHECK(thread.done());
    CHECK_EQUAL(first.info.label(), 5);
    check_notified(second, 3);
}

TEST(bound_nb, "a receive that does not block takes a bound signal too") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    sys::Message message;
    auto receiving = [&] { sys::nb_recv(endpoint.address(), reply.address(), message); };
    const Thread& thread = prepare(receiving);
    CHECK_OK(thread.tcb.bind_notification(notification));
    sys::signal(mint(notification, 2).address());
    thread.resume();
    CHECK(thread.done());
    check_notified(message, 2);
}

TEST(deleted, "a waiter of a deleted notification meets an empty slot; a bound thread goes on without it") {
    const FaultHandler handler;
    const Cap<Notification> notification = create<Notification>();
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    spawn(waiting, {.fault_endpoint = handler.endpoint()});
    delete_cap(notification);
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::CapFault);

    const Cap<Notification> bound = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    uint64_t word = 0;
    auto receiving = [&] {
        sys::ShortMessage message;
        sys::wait(endpoint.address(), message);
        word = message.words[0];
    };
    const Thread& thread = prepare(receiving);
    CHECK_OK(thread.tcb.bind_notification(bound));
    thread.resume();
    delete_cap(bound);
    CHECK_ERROR(thread.tcb.unbind_notification(), IllegalOperation);
    CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 0), 0, {3}}), Error::NoError);
    CHECK_EQUAL(word, 3);
}

TEST(lends_context, "a notification lends its context to a passive waiter, and has it back when that waits again") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    unsigned woken = 0;
    auto waiting = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            ++woken;
        }
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.context.unbind());
    sys::signal(notification.address());
    CHECK_EQUAL(woken, 0);
    CHECK_OK(context.bind(notification));
    // The wake-up happened without a context; the next one finds a waiter that has to come back first.
    CHECK_OK(thread.context.bind(thread.tcb));
    CHECK_EQUAL(woken, 1);
    CHECK_OK(thread.context.unbind());
    for (unsigned i = 2; i < 5; ++i) {
        sys::signal(notification.address());
        CHECK_EQUAL(woken, i);
    }
    CHECK_ERROR(context.bind(thread.tcb), IllegalOperation);
    CHECK_OK(context.unbind_object(notification));
    CHECK_OK(context.bind(thread.tcb));
}

TEST(bound_passive, "a bound notification with a context wakes a passive server out of its receive") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    unsigned signals = 0;
    unsigned calls = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            ++(message.info.raw == abi::notification_message_info ? signals : calls);
            message.info = abi::MessageInfo{0};
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    const Thread& server = prepare(serving);
    CHECK_OK(server.tcb.bind_notification(notification));
    server.resume();
    CHECK_OK(server.context.unbind());
    for (unsigned i = 1; i < 4; ++i) {
        sys::signal(notification.address());
        CHECK_EQUAL(signals, i);
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
        CHECK_EQUAL(calls, i);
        // It is passive again, and the notification has its context back.
        CHECK_EQUAL(CHECK_OK(inspect.read_sched_context(context)).thread, 0);
    }
}

TEST(all_flags, "all 64 flags are carried") {
    const Cap<Notification> notification = create<Notification>();
    for (unsigned bit = 0; bit < 64; ++bit) sys::signal(mint(notification, uint64_t{1} << bit).address());
    sys::Message message;
    sys::wait(notification.address(), message);
    check_notified(message, ~uint64_t{0});
}

TEST(unbind_waiting, "a receive goes on, on the endpoint alone, when the thread's notification is unbound") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    sys::ShortMessage message{};
    auto receiving = [&] { sys::wait(endpoint.address(), message); };
    const Thread& thread = prepare(receiving);
    CHECK_OK(thread.tcb.bind_notification(notification));
    thread.resume();
    CHECK_OK(thread.tcb.unbind_notification());
    sys::signal(notification.address());
    CHECK(!thread.done());
    CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 0), 0, {4}}), Error::NoError);
    CHECK(thread.done());
    CHECK_EQUAL(message.words[0], 4);
    // The signal of the meantime is still there.
    sys::nb_wait(notification.address(), message);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
}

TEST(bound_waits_itself, "the bound thread waits on its notification like any other, and no other does") {
    const Cap<Notification> notification = create<Notification>();
    sys::Message message;
    auto waiting = [&] { sys::wait(notification.address(), message); };
    const Thread& thread = prepare(waiting);
    CHECK_OK(thread.tcb.bind_notification(notification));
    thread.resume();
    sys::signal(mint(notification, 3).address());
    CHECK(thread.done());
    check_notified(message, 3);
    const FaultHandler handler;
    const Thread& other = spawn(waiting, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::CapFault);
    CHECK(!other.done());
}

TEST(waiter_moved, "a waiter whose priority changes moves in the queue, and one that is suspended leaves it") {
    const Cap<Notification> notification = create<Notification>();
    unsigned order[3] = {};
    unsigned next = 0;
    struct {
        Cap<Notification> notification;
        unsigned* next;
        unsigned* order;
        void operator()() const {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            *order = ++*next;
        }
    } waiters[3];
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        waiters[i] = {notification, &next, &order[i]};
        threads[i] = &spawn(waiters[i], {.priority = static_cast<uint8_t>(110 + i)});
    }
    CHECK_OK(threads[0]->tcb.set_priority(120, own_tcb));
    CHECK_OK(threads[2]->tcb.suspend());
    for (unsigned i = 0; i < 3; ++i) sys::signal(notification.address());
    CHECK(order[0] == 1 && order[1] == 2 && order[2] == 0);
    threads[2]->resume();
    CHECK_EQUAL(order[2], 3);
}

TEST(bound_deleted_thread, "a notification is free again when the thread is deleted to which it was bound") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(tcb.bind_notification(notification));
    delete_cap(tcb);
    CHECK_OK(create<TCB>().bind_notification(notification));
}

TEST(many_waiters_deleted, "a notification with many waiters is deleted, and all of them meet an empty slot") {
    const FaultHandler handler;
    const Cap<Notification> notification = create<Notification>();
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    for (unsigned i = 0; i < 16; ++i) spawn(waiting, {.priority = static_cast<uint8_t>(110 + i % 5), .fault_endpoint = handler.endpoint()});
    delete_cap(notification);
    for (unsigned i = 0; i < 16; ++i) {
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, abi::FaultLabel::CapFault);
        CHECK_EQUAL(report.words[abi::CapFault::addr], notification.address());
    }
}

TEST(context_of_deleted, "a notification that is deleted lets go of its context, also while that is lent") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Notification> notification = create_in<Notification>(untyped);
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    volatile uint64_t turns = 0;
    auto waiting = [&] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
        for (;;) {
            turns = turns + 1;
            sys::yield();
        }
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.context.unbind());
    CHECK_OK(thread.tcb.set_priority(worker_priority, own_tcb));
    sys::signal(notification.address());
    sys::yield();
    CHECK(turns > 0);
    revoke(untyped);
    const uint64_t seen = turns;
    sys::yield();
    sys::yield();
    // The thread keeps what was lent to it.
    CHECK(turns > seen);
    CHECK_EQUAL(CHECK_OK(inspect.read_sched_context(context)).notification, 0);
    CHECK_OK(context.unbind());
    CHECK_OK(context.bind(create<Notification>()));
}

TEST(waiter_registers, "a waiter that is woken has the badge and empty words, whatever its registers held, and the badge does not come again") {
    const Cap<Notification> notification = create<Notification>();
    uint64_t registers[19];
    auto waiting = [&] {
        for (uint64_t& value : registers) value = 0xdead'beef;
        registers[0] = notification.address();
        registers[7] = static_cast<uint64_t>(abi::Syscall::Wait);
        probe_system_call(registers);
    };
    const Thread& thread = spawn(waiting);
    sys::signal(mint(notification, 6).address());
    CHECK(thread.done());
    CHECK(registers[0] == 6 && registers[1] == abi::notification_message_info);
    for (unsigned i = 0; i < abi::ipc_register_words; ++i) CHECK_EQUAL(registers[i < 4 ? 2 + i : 5 + i], 0);
    sys::Message message;
    sys::nb_wait(notification.address(), message);
    CHECK_EQUAL(message.info.raw, 0);
    sys::signal(mint(notification, 1).address());
    sys::nb_wait(notification.address(), message);
    check_notified(message, 1);
}

TEST(bound_blocked_elsewhere, "a signal does not end what a bound thread waits for but a receive: not a send, a call, a reply or another wait") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Notification> other = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    unsigned step = 0;
    auto blocking = [&] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        CHECK_EQUAL(sys::send(endpoint.address(), message), Error::NoError);
        step = 1;
        sys::call(endpoint.address(), message);
        CHECK_EQUAL(message.info.label(), 0);
        step = 2;
        sys::wait(other.address(), message);
        step = 3;
    };
    const Thread& thread = prepare(blocking);
    CHECK_OK(thread.tcb.bind_notification(notification));
    thread.resume();
    const auto signal_for_nothing = [&](unsigned expected) {
        sys::signal(notification.address());
        CHECK_EQUAL(step, expected);
        sys::Message taken;
        sys::nb_recv(endpoint.address(), reply.address(), taken);
    };
    sys::signal(notification.address());
    CHECK_EQUAL(step, 0);
    sys::ShortMessage message;
    sys::wait(endpoint.address(), message);
    CHECK_EQUAL(step, 1);
    sys::recv(endpoint.address(), reply.address(), message);
    sys::signal(notification.address());
    CHECK_EQUAL(step, 1);
    CHECK_EQUAL(sys::send(reply.address(), sys::ShortMessage{}), Error::NoError);
    CHECK_EQUAL(step, 2);
    signal_for_nothing(2);
    sys::signal(other.address());
    CHECK(thread.done());
}

TEST(lent_without_budget, "a passive waiter that is woken with a spent context waits for its refill") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 200, 20'000);
    CHECK_OK(context.bind(notification));
    uint64_t woken[3] = {};
    unsigned count = 0;
    auto waiting = [&] {
        for (uint64_t& time : woken) {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            time = now();
            ++count;
            while (now() - time < ticks_of(190)) {}
        }
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.context.unbind());
    sys::signal(notification.address());
    CHECK_EQUAL(count, 1);
    // Spent, and at once signalled again.
    sleep(500);
    sys::signal(notification.address());
    CHECK_EQUAL(count, 1);
    sleep(30'000);
    CHECK_EQUAL(count, 2);
    CHECK(woken[1] - woken[0] >= ticks_of(19'700));
}

TEST(lent_once, "a notification's context is lent to one waiter at a time, and to none that has its own") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    const auto holder = [=] { return CHECK_OK(inspect.read_sched_context(context)).thread; };
    struct {
        Cap<Notification> notification;
        bool finish = false;
        unsigned woken = 0;
        void operator()() {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            ++woken;
            while (!finish) sys::yield();
        }
    } waiters[3] = {{notification}, {notification}, {notification}};
    // The first two are passive; the last has a context.
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        threads[i] = &spawn(waiters[i], {.priority = static_cast<uint8_t>(112 - i)});
        if (i < 2) CHECK_OK(threads[i]->context.unbind());
    }
    for (const Thread* thread : threads) CHECK_OK(thread->tcb.set_priority(worker_priority, own_tcb));
    sys::signal(notification.address());
    sys::yield();
    CHECK_EQUAL(waiters[0].woken, 1);
    CHECK_EQUAL(holder(), CHECK_OK(inspect.read_tcb(threads[0]->tcb)).identity);
    // The second is woken without time, and the third runs on its own.
    sys::signal(notification.address());
    sys::signal(notification.address());
    sys::yield();
    CHECK_EQUAL(waiters[1].woken, 0);
    CHECK_EQUAL(waiters[2].woken, 1);
    CHECK_EQUAL(holder(), CHECK_OK(inspect.read_tcb(threads[0]->tcb)).identity);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(threads[1]->tcb)).sched_context, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(threads[2]->tcb)).sched_context,
                CHECK_OK(inspect.read_sched_context(threads[2]->context)).identity);
}

TEST(lent_not_given, "SetSchedParams does not give a thread the context that a notification lends it") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    auto waiting = [&] {
        sys::ShortMessage message;
        for (;;) sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.context.unbind());
    CHECK_OK(thread.tcb.set_priority(lower_priority, own_tcb));
    sys::signal(notification.address());
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).sched_context, CHECK_OK(inspect.read_sched_context(context)).identity);
    CHECK_ERROR(thread.tcb.set_sched_params(1, 1, own_tcb, context, CapRef{}), IllegalOperation);
    CHECK_OK(context.unbind());
}

TEST(wait_order, "who waits leaves the core to the most important of those that are ready") {
    constexpr uint64_t waiters = 4;
    constexpr uint8_t priorities[waiters] = {lower_priority, lower_priority - 1, lower_priority - 1, 2};
    Cap<Notification> own[waiters];
    for (Cap<Notification>& notification : own) notification = create<Notification>();
    const Cap<Notification> done = create<Notification>();
    volatile uint64_t order = 0;
    volatile uint64_t next = 0;
    // All run once until they wait, and then again, each from where it was.
    auto waiting = [&] {
        const uint64_t number = next;
        next = number + 1;
        sys::ShortMessage message;
        for (;;) {
            if (number == waiters - 1) sys::signal(done.address());
            sys::wait(own[number].address(), message);
            order = order * 10 + number + 1;
        }
    };
    for (uint8_t priority : priorities) spawn(waiting, {.priority = priority});
    sys::ShortMessage message;
    sys::wait(done.address(), message);
    for (const Cap<Notification>& notification : own) sys::signal(notification.address());
    sys::wait(done.address(), message);
    CHECK_EQUAL(order, 1234);
}
TEST(own_context, "a waiter that has a context is not given the notification's") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    auto waiting = [&] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting);
    sys::signal(notification.address());
    CHECK(thread.done());
    CHECK_EQUAL(CHECK_OK(inspect.read_sched_context(context)).thread, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).sched_context, CHECK_OK(inspect.read_sched_context(thread.context)).identity);
}

TEST(context_gone, "a notification whose context is deleted lends nothing, and takes another context") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create_in<SchedContext>(untyped, 8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    auto waiting = [&] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.context.unbind());
    delete_cap(context);
    sys::signal(notification.address());
    CHECK(!thread.done());
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).sched_context, 0);
    CHECK_OK(thread.context.bind(notification));
}

TEST(woken_and_unbound, "a waiter that a deletion wakes, and whose context goes with it, does not run") {
    const Cap<Untyped> untyped = create<Untyped>(13);
    const FaultHandler handler;
    const Cap<SchedContext> context = create_in<SchedContext>(untyped, 8);
    set_budget(context, 1'000, 1'000);
    // The newest is deleted first.
    const Cap<Notification> notification = create_in<Notification>(untyped);
    auto waiting = [&] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting, {.fault_endpoint = handler.endpoint()});
    CHECK_OK(thread.context.unbind());
    CHECK_OK(context.bind(thread.tcb));
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 5);
    revoke(untyped);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 1);
    CHECK_OK(thread.context.bind(thread.tcb));
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::CapFault);
}

}  // namespace caprock::conformance
