// SPDX-License-Identifier: BSD-2-Clause
// Messages: words, badges, capabilities, replies, lent scheduling contexts, cancellation.
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

using abi::Error;
using abi::MessageInfo;

constexpr uint64_t label = 0x123;

uint64_t pattern(uint64_t seed, uint64_t i) { return seed * 0x1000 + i + 1; }

// A message with `count` words made of `seed`, those beyond the registers in the running thread's buffer.
sys::Message make_message(uint64_t seed, uint64_t count, uint64_t caps = 0) {
    sys::Message message{MessageInfo::make(count, caps, 0, label), 0, {}};
    for (uint64_t i = 0; i < count; ++i)
        (i < abi::ipc_register_words ? message.words[i] : caprock_ipc_buffer->msg[i]) = pattern(seed, i);
    return message;
}

void check_message(const sys::Message& message, uint64_t seed, uint64_t count) {
    CHECK_EQUAL(message.info.label(), label);
    CHECK_EQUAL(message.info.length(), count);
    for (uint64_t i = 0; i < count; ++i)
        CHECK_EQUAL((i < abi::ipc_register_words ? message.words[i] : caprock_ipc_buffer->msg[i]), pattern(seed, i));
}

struct Channel {
    Cap<Endpoint> endpoint = create<Endpoint>();
    Cap<Reply> reply = create<Reply>();
};

void receive(const Channel& channel, sys::Message& message, uint64_t flags = 0) {
    sys::recv(channel.endpoint.address(), channel.reply.address(), message, flags);
}

void receive_short(const Channel& channel, sys::ShortMessage& message) {
    sys::recv(channel.endpoint.address(), channel.reply.address(), message);
}

void send_plain(Cap<Endpoint> endpoint, uint64_t word) {
    CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{MessageInfo::make(1, 0, 0, 0), 0, {word}}), Error::NoError);
}

// Calls with `words` to a server in the other address space, and gets as many back.
void exchange(uint64_t words, bool passive) {
    const Channel channel;
    auto serving = [&] {
        sys::Message message;
        receive(channel, message);
        for (uint64_t round = 0;; ++round) {
            check_message(message, round, words);
            message = make_message(round + 100, words);
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
        }
    };
    const Thread& server = spawn(serving, {.vspace = other_vspace()});
    if (passive) CHECK_OK(server.context.unbind());
    for (uint64_t round = 0; round < 3; ++round) {
        sys::Message message = make_message(round, words);
        sys::call(channel.endpoint.address(), message);
        check_message(message, round + 100, words);
        CHECK_EQUAL(message.badge, 0);
    }
}

// The slot where the running thread receives a capability.
Cap<Endpoint> name_receive_slot() {
    const uint64_t slot = take_slots();
    caprock_ipc_buffer->receive_cnode = own_cnode.address();
    caprock_ipc_buffer->receive_index = slot;
    caprock_ipc_buffer->receive_depth = address_bits;
    return Cap<Endpoint>{slot};
}

}  // namespace

TEST(words_0, "call and reply of 0 words between address spaces") { exchange(0, false); }
TEST(words_1, "call and reply of 1 word between address spaces") { exchange(1, false); }
TEST(words_4, "call and reply of 4 words between address spaces") { exchange(4, false); }
TEST(words_5, "call and reply of 5 words between address spaces") { exchange(5, false); }
TEST(words_12, "call and reply of 12 words between address spaces") { exchange(12, false); }
TEST(words_13, "call and reply of 13 words between address spaces") { exchange(13, false); }
TEST(words_64, "call and reply of 64 words between address spaces") { exchange(64, false); }
TEST(words_120, "call and reply of 120 words between address spaces") { exchange(120, false); }
TEST(passive_4, "call and reply of 4 words with a passive server") { exchange(4, true); }
TEST(passive_64, "call and reply of 64 words with a passive server") { exchange(64, true); }

TEST(too_long, "a longer length counts as 120 words") {
    const Channel channel;
    auto sending = [&] {
        sys::Message message = make_message(5, 120);
        message.info = MessageInfo::make(127, 0, 0, label);
        CHECK_EQUAL(sys::send(channel.endpoint.address(), message), Error::NoError);
    };
    spawn(sending, {.vspace = other_vspace()});
    sys::Message message;
    receive(channel, message);
    check_message(message, 5, 120);
}

TEST(no_buffer, "a thread without an IPC buffer sends and receives 12 words, and no capabilities") {
    const Channel channel;
    sys::Message answer;
    auto calling = [&] {
        answer = {MessageInfo::make(64, 1, 0, label), 0, {}};
        for (uint64_t i = 0; i < abi::ipc_register_words; ++i) answer.words[i] = pattern(1, i);
        sys::call(channel.endpoint.address(), answer);
    };
    const Thread& thread = spawn(calling, {.buffer = false});
    sys::Message message;
    receive(channel, message);
    check_message(message, 1, abi::ipc_register_words);
    CHECK_EQUAL(message.info.extra_caps(), 0);
    caprock_ipc_buffer->caps_or_badges[0] = channel.endpoint.address();
    CHECK_EQUAL(sys::send(channel.reply.address(), make_message(2, 64, 1)), Error::NoError);
    CHECK(thread.done());
    CHECK_EQUAL(answer.info.length(), abi::ipc_register_words);
    CHECK_EQUAL(answer.info.extra_caps(), 0);
    for (uint64_t i = 0; i < abi::ipc_register_words; ++i) CHECK_EQUAL(answer.words[i], pattern(2, i));
}

TEST(badges, "the receiver gets the badge of the sender's capability") {
    const Channel channel;
    const Cap<Endpoint> badged[] = {mint(channel.endpoint, 1), mint(channel.endpoint, ~uint64_t{0}), channel.endpoint};
    for (const Cap<Endpoint> sender : badged) {
        auto sending = [=] { send_plain(sender, 0); };
        spawn(sending);
    }
    const uint64_t expected[] = {1, ~uint64_t{0}, 0};
    for (const uint64_t badge : expected) {
        sys::Message message;
        receive(channel, message);
        CHECK_EQUAL(message.badge, badge);
    }
}

TEST(sender_order, "blocked senders are received by priority, equals in the order in which they came") {
    const Channel channel;
    const uint8_t priorities[] = {110, 120, 110, 130, 120};
    struct {
        Cap<Endpoint> endpoint;
        uint64_t number;
        void operator()() const { send_plain(endpoint, number); }
    } senders[5];
    for (unsigned i = 0; i < 5; ++i) {
        senders[i] = {channel.endpoint, i};
        spawn(senders[i], {.priority = priorities[i]});
    }
    const uint64_t order[] = {3, 1, 4, 0, 2};
    for (const uint64_t expected : order) {
        sys::Message message;
        receive(channel, message);
        CHECK_EQUAL(message.words[0], expected);
    }
}

TEST(receiver_order, "blocked receivers get messages by priority, and set_priority moves them") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    uint64_t got[3] = {};
    struct {
        Cap<Endpoint> endpoint;
        uint64_t* got;
        void operator()() const {
            sys::ShortMessage message;
            sys::wait(endpoint.address(), message);
            *got = message.words[0];
        }
    } receivers[3];
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        receivers[i] = {endpoint, &got[i]};
        threads[i] = &spawn(receivers[i], {.priority = static_cast<uint8_t>(110 + i)});
    }
    CHECK_OK(threads[0]->tcb.set_priority(120, own_tcb));
    for (uint64_t i = 1; i <= 3; ++i) send_plain(endpoint, i);
    CHECK(got[0] == 1 && got[2] == 2 && got[1] == 3);
}

TEST(capability, "a capability goes into the receive slot, if the sender may grant") {
    const Channel channel;
    const Cap<Endpoint> ungranted = copy(channel.endpoint, abi::CapRights::make(1, 0, 0, 1));
    const Cap<Notification> gift = create<Notification>();
    const Cap<Endpoint> ways[] = {channel.endpoint, ungranted};
    for (const Cap<Endpoint> way : ways) {
        auto sending = [&] {
            caprock_ipc_buffer->caps_or_badges[0] = gift.address();
            CHECK_EQUAL(sys::send(way.address(), make_message(0, 2, 1)), Error::NoError);
        };
        const bool granted = way == channel.endpoint;
        spawn(sending, {.vspace = other_vspace()});
        const CapRef received = name_receive_slot();
        sys::Message message;
        receive(channel, message);
        check_message(message, 0, 2);
        CHECK_EQUAL(message.info.extra_caps(), granted);
        CHECK_EQUAL(message.info.caps_unwrapped(), 0);
        if (!granted) {
            CHECK(is_empty(received));
            continue;
        }
        sys::signal(received.address());
        sys::ShortMessage signalled;
        sys::nb_wait(gift.address(), signalled);
        CHECK_EQUAL(signalled.info.raw, abi::notification_message_info);
        // What was received is a child: revoking the original takes it back.
        revoke(gift);
        CHECK(is_empty(received));
    }
}

TEST(capability_back, "a reply brings a capability, if the caller's or the server's right says so") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    // The caller has grant_reply only; the reply capability as made has all rights.
    const Cap<Endpoint> way = copy(channel.endpoint, abi::CapRights::make(1, 0, 0, 1));
    const Cap<Reply> poor_reply = copy(channel.reply, abi::CapRights::make(1, 1, 0, 0));
    uint64_t arrived = 0;
    auto calling = [&] {
        name_receive_slot();
        sys::Message message = make_message(0, 0);
        sys::call(way.address(), message);
        arrived = message.info.extra_caps();
    };
    const Cap<Reply> replies[] = {channel.reply, poor_reply};
    for (const Cap<Reply> through : replies) {
        const Thread& thread = spawn(calling);
        sys::Message message;
        receive(channel, message);
        caprock_ipc_buffer->caps_or_badges[0] = gift.address();
        CHECK_EQUAL(sys::send(through.address(), make_message(0, 0, 1)), Error::NoError);
        CHECK(thread.done());
        CHECK_EQUAL(arrived, through == channel.reply);
    }
}

TEST(receiver_grant, "an answer brings a capability only if its server received through a capability with grant, whoever came first") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    for (unsigned i = 0; i < 4; ++i) {
        const bool grant = (i & 1) != 0, server_first = (i & 2) != 0;
        const Cap<Endpoint> way = copy(channel.endpoint, abi::CapRights::make(0, 1, grant, 1));
        auto serving = [&] {
            sys::ShortMessage message;
            sys::recv(way.address(), channel.reply.address(), message);
            caprock_ipc_buffer->caps_or_badges[0] = gift.address();
            CHECK_EQUAL(sys::send(channel.reply.address(), make_message(0, 0, 1)), Error::NoError);
        };
        uint64_t arrived = 9;
        auto calling = [&] {
            name_receive_slot();
            sys::Message message = make_message(0, 0);
            sys::call(channel.endpoint.address(), message);
            arrived = message.info.extra_caps();
        };
        if (server_first) spawn(serving);
        spawn(calling);
        if (!server_first) spawn(serving);
        CHECK_EQUAL(arrived, grant);
    }
}

TEST(unwrapping, "capabilities of the endpoint itself come as badges, one other in the slot, and the transfer ends at the next") {
    const Channel channel;
    const Cap<Endpoint> badged = mint(channel.endpoint, 77);
    const Cap<Notification> gift = create<Notification>();
    const uint64_t orders[3][3] = {{badged.address(), gift.address(), badged.address()},
                                   {gift.address(), gift.address(), badged.address()},
                                   {badged.address(), take_slots(), badged.address()}};
    const uint64_t counts[] = {3, 1, 1};
    const uint64_t unwrapped[] = {0b101, 0, 0b001};
    for (unsigned i = 0; i < 3; ++i) {
        auto sending = [&] {
            for (unsigned j = 0; j < 3; ++j) caprock_ipc_buffer->caps_or_badges[j] = orders[i][j];
            CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(0, 0, 3)), Error::NoError);
        };
        spawn(sending);
        name_receive_slot();
        sys::Message message;
        receive(channel, message);
        CHECK_EQUAL(message.info.extra_caps(), counts[i]);
        CHECK_EQUAL(message.info.caps_unwrapped(), unwrapped[i]);
        for (unsigned j = 0; j < 3; ++j)
            if ((unwrapped[i] >> j & 1) != 0) CHECK_EQUAL(caprock_ipc_buffer->caps_or_badges[j], 77);
    }
}

TEST(occupied_slot, "a capability whose receive slot is occupied does not come, and the message does") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    auto sending = [&] {
        caprock_ipc_buffer->caps_or_badges[0] = gift.address();
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(4, 5, 1)), Error::NoError);
    };
    spawn(sending);
    const CapRef slot = name_receive_slot();
    CHECK_OK(own_cnode.copy(slot.address(), 64, gift.address(), 64, all_rights, own_cnode));
    sys::Message message;
    receive(channel, message);
    check_message(message, 4, 5);
    CHECK_EQUAL(message.info.extra_caps(), 0);
}

TEST(reply_by_call, "Call and NBSend of a reply object answer too") {
    const Channel channel;
    uint64_t answer = 0;
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
        answer = message.words[0];
    };
    for (uint64_t i = 1; i <= 2; ++i) {
        const Thread& thread = spawn(calling);
        sys::Message message;
        receive(channel, message);
        sys::ShortMessage reply{MessageInfo::make(1, 0, 0, 0), 0, {i}};
        if (i == 1) {
            sys::call(channel.reply.address(), reply);
            CHECK_EQUAL(reply.info.raw, 0);
        } else {
            CHECK_EQUAL(sys::nb_send(channel.reply.address(), reply), Error::NoError);
        }
        CHECK(thread.done());
        CHECK_EQUAL(answer, i);
    }
}

TEST(reply_chain, "a scheduling context goes down a chain of passive servers and comes back") {
    const Channel channels[3];
    struct Link {
        const Channel* own;
        const Channel* next;
        void operator()() const {
            sys::ShortMessage message;
            sys::recv(own->endpoint.address(), own->reply.address(), message);
            for (;;) {
                message.words[0] += 1;
                if (next != nullptr) sys::call(next->endpoint.address(), message);
                message.words[0] *= 2;
                sys::reply_recv(own->endpoint.address(), own->reply.address(), message);
            }
        }
    } links[3];
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        links[i] = {&channels[i], i < 2 ? &channels[i + 1] : nullptr};
        threads[i] = &spawn(links[i], {.vspace = i == 1 ? own_vspace : other_vspace()});
        CHECK_OK(threads[i]->context.unbind());
    }
    const uint64_t answers[] = {((5 + 3) * 2) * 2 * 2, ((6 + 3) * 2) * 2 * 2};
    for (uint64_t i = 0; i < 2; ++i) {
        sys::ShortMessage message{MessageInfo::make(1, 0, 0, 0), 0, {5 + i}};
        sys::call(channels[0].endpoint.address(), message);
        CHECK_EQUAL(message.words[0], answers[i]);
    }
    // All are passive again: none of them has a context to unbind.
    for (const Thread* thread : threads) CHECK_OK(thread->context.bind(thread->tcb));
}

TEST(reply_out_of_order, "a passive server that replies late leaves no context behind") {
    // Server 1 gets a call and passes the caller's reply object on: the answer comes from another thread, without the context.
    const Channel front;
    const Cap<Notification> go = create<Notification>();
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(front.endpoint.address(), front.reply.address(), message);
        sys::wait(go.address(), message);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(front.endpoint.address(), message);
    };
    const Thread& caller = spawn(calling);
    CHECK(!caller.done());
    CHECK_EQUAL(sys::send(front.reply.address(), sys::ShortMessage{}), Error::NoError);
    CHECK(caller.done());
    // The context went back with the reply, so the server does not run when it is signalled.
    sys::signal(go.address());
    CHECK(!server.done());
    CHECK_OK(server.context.bind(server.tcb));
    CHECK(server.done());
}

TEST(passive_send, "a plain message leaves a passive receiver without time, unless it asked for a context") {
    const Channel channel;
    uint64_t received = 0;
    uint64_t flags = 0;
    auto serving = [&] {
        for (;;) {
            sys::Message message;
            receive(channel, message, flags);
            ++received;
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_EQUAL(sys::send(channel.endpoint.address(), sys::ShortMessage{}), Error::NoError);
    CHECK_EQUAL(received, 0);
    flags = abi::syscall_flag_require_donation;
    CHECK_OK(server.context.bind(server.tcb));
    CHECK_EQUAL(received, 1);
    CHECK_OK(server.context.unbind());
    CHECK_EQUAL(sys::send(channel.endpoint.address(), sys::ShortMessage{}), Error::NoDonation);
    CHECK_EQUAL(sys::nb_send(channel.endpoint.address(), sys::ShortMessage{}), Error::NoDonation);
    CHECK_EQUAL(received, 1);
    CHECK_OK(server.context.bind(server.tcb));
    CHECK_EQUAL(sys::send(channel.endpoint.address(), sys::ShortMessage{}), Error::NoError);
    CHECK_EQUAL(received, 2);
}

TEST(refused_in_queue, "senders that were there first are refused too, and the next that brings a context is served") {
    const Channel channel;
    Error results[3] = {Error::IllegalOperation, Error::IllegalOperation, Error::IllegalOperation};
    auto sending = [&] { results[0] = sys::send(channel.endpoint.address(), sys::ShortMessage{}); };
    struct {
        Cap<Endpoint> endpoint;
        Error* result;
        void operator()() const {
            sys::ShortMessage message{MessageInfo{0}, 0, {}};
            sys::call(endpoint.address(), message);
            *result = static_cast<Error>(message.info.label());
        }
    } callers[2] = {{channel.endpoint, &results[1]}, {channel.endpoint, &results[2]}};
    const Thread* const threads[3] = {&prepare(sending, {.priority = 120}), &prepare(callers[0], {.priority = 120}),
                                      &prepare(callers[1], {.priority = 120})};
    unsigned served = 0;
    auto serving = [&] {
        sys::Message message;
        receive(channel, message, abi::syscall_flag_require_donation);
        for (;;) {
            if (++served == 1) {
                for (const Thread* thread : threads) thread->resume();
                CHECK_OK(threads[1]->context.unbind());
            }
            message.info = MessageInfo{0};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    sys::ShortMessage message{MessageInfo{0}, 0, {}};
    sys::call(channel.endpoint.address(), message);
    CHECK_EQUAL(message.info.label(), Error::NoError);
    CHECK(threads[0]->done());
    CHECK_EQUAL(results[0], Error::NoDonation);
    CHECK(threads[2]->done());
    CHECK_EQUAL(results[2], Error::NoError);
    CHECK_EQUAL(served, 2);
    CHECK_OK(threads[1]->context.bind(threads[1]->tcb));
    CHECK(threads[1]->done());
    CHECK_EQUAL(results[1], Error::NoDonation);
}

// A passive server is called, and while it serves 20 threads send to it. `go_on` lets it receive again, so that its context goes back: what the call returned.
template <class GoOn>
sys::ShortMessage besiege(GoOn go_on) {
    constexpr unsigned count = 20;
    const Channel channel;
    Crowd crowd(count);
    Cap<TCB> senders[count];
    auto serving = [&] {
        sys::Message message;
        receive(channel, message, abi::syscall_flag_require_donation);
        for (Cap<TCB>& sender : senders) sender = crowd.add(abi::Syscall::Send, channel.endpoint, 120);
        for (const Cap<TCB> sender : senders) CHECK_EQUAL(CHECK_OK(inspect.read_tcb(sender)).state, 3);
        message.info = MessageInfo{0};
        go_on(channel, message);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    sys::ShortMessage message{MessageInfo{0}, 0, {}};
    sys::call(channel.endpoint.address(), message);
    for (const Cap<TCB> sender : senders) CHECK_EQUAL(CHECK_OK(inspect.read_tcb(sender)).state, 1);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(server.tcb)).state, 2);
    return message;
}

TEST(refused_many, "however many senders were there first, all of them are refused before the context goes back") {
    const sys::ShortMessage answer = besiege([](const Channel& channel, sys::Message& message) {
        sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
    });
    CHECK_EQUAL(answer.info.label(), 0);
}

TEST(refused_dropped, "senders are refused as well when the context goes back because the server receives again without an answer") {
    const sys::ShortMessage answer =
        besiege([](const Channel& channel, sys::Message& message) { receive(channel, message, abi::syscall_flag_require_donation); });
    CHECK_EQUAL(answer.info.label(), Error::CallCancelled);
}

TEST(refused_late, "senders to an endpoint that comes with the server's own reply into the slot where it receives are refused too") {
    const Channel channel;
    const Cap<Endpoint> later = create<Endpoint>();
    const Cap<Endpoint> slot = name_receive_slot();
    auto serving = [&] {
        sys::Message message;
        receive(channel, message, abi::syscall_flag_require_donation);
        caprock_ipc_buffer->caps_or_badges[0] = later.address();
        message.info = MessageInfo::make(0, 1, 0, 0);
        sys::reply_recv(slot.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    Error result = Error::IllegalOperation;
    auto sending = [&] { result = sys::send(later.address(), sys::ShortMessage{}); };
    spawn(sending);
    sys::Message message = make_message(0, 0);
    sys::call(channel.endpoint.address(), message);
    CHECK_EQUAL(message.info.extra_caps(), 1);
    CHECK_EQUAL(result, Error::NoDonation);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(server.tcb)).state, 2);
}

TEST(cancelled_by_delete, "a caller whose reply object is deleted returns with CallCancelled") {
    const Channel channel;
    sys::Invocation result{};
    auto calling = [&] {
        result = {MessageInfo::make(2, 0, 0, 5), 9, {1, 2, 3, 4, 5}};
        sys::call(channel.endpoint.address(), result);
    };
    const Thread& caller = spawn(calling);
    sys::Message message;
    receive(channel, message);
    CHECK(!caller.done());
    delete_cap(channel.reply);
    CHECK(caller.done());
    CHECK_EQUAL(result.info.raw, MessageInfo::make(0, 0, 0, static_cast<uint64_t>(Error::CallCancelled)).raw);
    CHECK_EQUAL(result.badge, 0);
    for (const uint64_t word : result.words) CHECK_EQUAL(word, 0);
}

TEST(cancelled_by_reuse, "a receive with a reply object that stands for a call cancels the call") {
    const Channel channel;
    sys::ShortMessage result{};
    auto calling = [&] { sys::call(channel.endpoint.address(), result); };
    const Thread& caller = spawn(calling);
    sys::Message message;
    receive(channel, message);
    sys::nb_recv(channel.endpoint.address(), channel.reply.address(), message);
    CHECK(caller.done());
    CHECK_EQUAL(result.info.label(), Error::CallCancelled);
}

TEST(cancelled_by_suspend, "a caller that is suspended and resumed returns with CallCancelled") {
    const Channel channel;
    sys::ShortMessage result{};
    auto calling = [&] { sys::call(channel.endpoint.address(), result); };
    const Thread& caller = spawn(calling);
    sys::Message message;
    receive(channel, message);
    CHECK_OK(caller.tcb.suspend());
    CHECK(!caller.done());
    // The answer comes too late and goes nowhere.
    CHECK_EQUAL(sys::send(channel.reply.address(), make_message(1, 1)), Error::NoError);
    caller.resume();
    CHECK(caller.done());
    CHECK_EQUAL(result.info.label(), Error::CallCancelled);
}

TEST(cancelled_lent, "a passive server goes on with the context of a caller that is suspended, which cannot stop it that way") {
    const Channel channel;
    volatile uint64_t count = 0;
    auto serving = [&] {
        sys::Message message;
        receive(channel, message);
        for (;;) {
            count = count + 1;
            sys::yield();
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(server.tcb.set_priority(worker_priority, own_tcb));
    sys::ShortMessage result{};
    auto calling = [&] { sys::call(channel.endpoint.address(), result); };
    const Thread& caller = spawn(calling);
    CHECK_OK(caller.tcb.suspend());
    const uint64_t before = count;
    sys::yield();
    sys::yield();
    CHECK(count > before);
    caller.resume();
    CHECK(!caller.done());
    CHECK_OK(caller.context.unbind_object(server.tcb));
    CHECK_OK(caller.context.bind(caller.tcb));
    CHECK(caller.done());
    CHECK_EQUAL(result.info.label(), Error::CallCancelled);
}

TEST(cancelled_forgotten, "the reply object of a caller that is suspended has nothing more to do with the context that the server goes on with") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Endpoint> front = create<Endpoint>();
    const Cap<Reply> reply = create_in<Reply>(untyped);
    const Channel back;
    const Cap<Notification> go = create<Notification>();
    auto answering = [&] {
        sys::ShortMessage message;
        receive_short(back, message);
        sys::reply_recv(back.endpoint.address(), back.reply.address(), message);
    };
    bool answered = false;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(front.address(), reply.address(), message);
        sys::wait(go.address(), message);
        sys::call(back.endpoint.address(), message);
        answered = true;
    };
    CHECK_OK(spawn(answering).context.unbind());
    CHECK_OK(spawn(serving).context.unbind());
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(front.address(), message);
    };
    CHECK_OK(spawn(calling).tcb.suspend());
    revoke(untyped);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    CHECK_OK(frame.map(small_window, read_only, cached, own_vspace));
    sys::signal(go.address());
    CHECK(answered);
    for (uint64_t offset = 0; offset < page_bytes; offset += 8)
        CHECK_EQUAL(*reinterpret_cast<volatile uint64_t*>(small_window + offset), 0);
}

TEST(restart_send, "a blocked sender that is suspended and resumed sends its message then") {
    const Channel channel;
    auto sending = [&] { CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(3, 30)), Error::NoError); };
    const Thread& sender = spawn(sending, {.vspace = other_vspace()});
    CHECK_OK(sender.tcb.suspend());
    sys::Message message;
    sys::nb_recv(channel.endpoint.address(), channel.reply.address(), message);
    CHECK_EQUAL(message.info.raw, 0);
    sender.resume();
    receive(channel, message);
    check_message(message, 3, 30);
    CHECK(sender.done());
}

TEST(restart_receive, "a blocked receiver that is resumed waits again") {
    const Channel channel;
    uint64_t word = 0;
    auto receiving = [&] {
        sys::Message message;
        receive(channel, message);
        word = message.words[0];
    };
    const Thread& receiver = spawn(receiving);
    CHECK_OK(receiver.tcb.suspend());
    CHECK_EQUAL(sys::nb_send(channel.endpoint.address(), sys::ShortMessage{MessageInfo::make(1, 0, 0, 0), 0, {1}}), Error::NoError);
    receiver.resume();
    CHECK_EQUAL(word, 0);
    receiver.resume();
    send_plain(channel.endpoint, 2);
    CHECK_EQUAL(word, 2);
}

TEST(restart_reply_recv, "of a ReplyRecv only the receive is executed again") {
    const Channel channel;
    uint64_t word = 0;
    auto serving = [&] {
        sys::Message message;
        receive(channel, message);
        message = make_message(6, 1);
        sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
        word = message.words[0];
    };
    const Thread& server = spawn(serving);
    sys::Message message = make_message(0, 0);
    sys::call(channel.endpoint.address(), message);
    check_message(message, 6, 1);
    CHECK_OK(server.tcb.suspend());
    server.resume();
    send_plain(channel.endpoint, 42);
    CHECK_EQUAL(word, 42);
}

TEST(endpoint_deleted, "threads that wait on a deleted endpoint meet an empty slot") {
    const FaultHandler handler;
    const Channel channel;
    auto sending = [&] { (void)sys::send(channel.endpoint.address(), sys::ShortMessage{}); };
    spawn(sending, {.fault_endpoint = handler.endpoint()});
    spawn(sending, {.fault_endpoint = handler.endpoint()});
    delete_cap(channel.endpoint);
    for (unsigned i = 0; i < 2; ++i) {
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, abi::FaultLabel::CapFault);
        CHECK_EQUAL(report.words[abi::CapFault::addr], channel.endpoint.address());
    }
}

TEST(no_reply_possible, "a call that cannot be answered returns with CallCancelled") {
    const Channel channel;
    const Cap<Endpoint> send_only = copy(channel.endpoint, abi::CapRights::make(1, 0, 0, 0));
    sys::ShortMessage result{};
    auto calling = [&] { sys::call(send_only.address(), result); };
    const Thread& caller = spawn(calling);
    sys::Message message;
    receive(channel, message);
    CHECK(caller.done());
    CHECK_EQUAL(result.info.label(), static_cast<uint64_t>(Error::CallCancelled));
    CHECK_EQUAL(sys::send(channel.reply.address(), sys::ShortMessage{}), Error::NoError);
    result = {};
    auto calling_well = [&] { sys::call(channel.endpoint.address(), result); };
    const Thread& second = spawn(calling_well);
    sys::wait(channel.endpoint.address(), message);
    CHECK(second.done());
    CHECK_EQUAL(result.info.label(), static_cast<uint64_t>(Error::CallCancelled));
}

TEST(no_reply_no_context, "a call that cannot be answered lends nothing: a passive receiver has no time for it, and one that asks refuses it") {
    const Channel channel;
    const Cap<Endpoint> send_only = copy(channel.endpoint, write_only);
    unsigned received = 0;
    uint64_t flags = 0;
    auto serving = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::recv(channel.endpoint.address(), channel.reply.address(), message, flags);
            ++received;
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    sys::ShortMessage result{};
    auto calling = [&] {
        result = {MessageInfo{0}, 0, {}};
        sys::call(send_only.address(), result);
    };
    const Thread& caller = spawn(calling);
    CHECK_EQUAL(received, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_sched_context(caller.context)).thread, CHECK_OK(inspect.read_tcb(caller.tcb)).identity);
    flags = abi::syscall_flag_require_donation;
    CHECK_OK(server.context.bind(server.tcb));
    CHECK_EQUAL(received, 1);
    CHECK_OK(server.context.unbind());
    const Thread& second = spawn(calling);
    CHECK(second.done());
    CHECK_EQUAL(result.info.label(), Error::NoDonation);
    CHECK_EQUAL(received, 1);
}

TEST(nb_send_recv, "NBSendRecv sends, lends its context, and receives") {
    const Channel there;
    const Channel back;
    uint64_t got = 0;
    auto serving = [&] {
        sys::Message message;
        receive(there, message);
        got = message.words[0];
        message = make_message(9, 3);
        sys::nb_send_recv(back.endpoint.address(), there.endpoint.address(), there.reply.address(), message);
        got = message.words[0];
        sys::nb_send_wait(back.endpoint.address(), there.endpoint.address(), message);
    };
    const Thread& server = spawn(serving, {.vspace = other_vspace()});
    CHECK_OK(server.context.unbind());
    sys::Message message = make_message(8, 1);
    sys::nb_send_recv(there.endpoint.address(), back.endpoint.address(), back.reply.address(), message);
    check_message(message, 9, 3);
    CHECK_EQUAL(got, pattern(8, 0));
    message = make_message(7, 1);
    sys::nb_send_wait(there.endpoint.address(), back.endpoint.address(), message);
    CHECK_EQUAL(got, pattern(7, 0));
    check_message(message, 7, 1);
}

TEST(less_important_server, "a passive server of low priority does not run before a more important thread that is ready") {
    const Channel channel;
    unsigned order = 0;
    unsigned first = 0;
    unsigned second = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        receive_short(channel, message);
        second = ++order;
        message.info = MessageInfo{0};
        sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(server.tcb.set_priority(lower_priority - 5, own_tcb));
    auto running = [&] { first = ++order; };
    spawn(running, {.priority = lower_priority});
    sys::ShortMessage message{MessageInfo{0}, 0, {}};
    sys::call(channel.endpoint.address(), message);
    CHECK(first == 1 && second == 2);
}

TEST(many_clients, "eight clients in both address spaces call one passive server") {
    const Channel channel;
    auto serving = [&] {
        sys::Message message;
        receive(channel, message);
        for (;;) {
            message = {MessageInfo::make(1, 0, 0, 0), 0, {message.badge}};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    struct {
        Cap<Endpoint> endpoint;
        uint64_t badge;
        uint64_t right;
        void operator()() {
            for (unsigned i = 0; i < 500; ++i) {
                sys::ShortMessage message{MessageInfo{0}, 0, {}};
                sys::call(endpoint.address(), message);
                right += message.words[0] == badge;
            }
        }
    } clients[8];
    const Thread* threads[8];
    for (unsigned i = 0; i < 8; ++i) {
        clients[i] = {mint(channel.endpoint, i + 1), i + 1, 0};
        threads[i] = &spawn(clients[i], {.priority = lower_priority, .vspace = i % 2 == 0 ? own_vspace : other_vspace(),
                                         .budget = 50, .period = 50});
    }
    for (unsigned i = 0; i < 8; ++i) {
        threads[i]->join();
        CHECK_EQUAL(clients[i].right, 500);
    }
}

TEST(restart_call, "a caller that is suspended before its message was received sends it when it is resumed") {
    const Channel channel;
    sys::ShortMessage result{};
    auto calling = [&] {
        result = {MessageInfo::make(2, 0, 0, 7), 0, {5, 6}};
        sys::call(channel.endpoint.address(), result);
    };
    const Thread& caller = spawn(calling);
    CHECK_OK(caller.tcb.suspend());
    sys::Message message;
    sys::nb_recv(channel.endpoint.address(), channel.reply.address(), message);
    CHECK_EQUAL(message.info.raw, 0);
    caller.resume();
    receive(channel, message);
    CHECK(message.info.label() == 7 && message.info.length() == 2 && message.words[0] == 5 && message.words[1] == 6);
    send_plain(Cap<Endpoint>{channel.reply.address()}, 8);
    CHECK(caller.done());
    CHECK_EQUAL(result.words[0], 8);
}

TEST(restart_wait, "a waiter that is suspended and resumed waits again, and takes a signal of the meantime") {
    const Cap<Notification> notification = mint(create<Notification>(), 4);
    sys::ShortMessage message{};
    auto waiting = [&] { sys::wait(notification.address(), message); };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.tcb.suspend());
    sys::signal(notification.address());
    CHECK(!thread.done());
    thread.resume();
    CHECK(thread.done());
    CHECK_EQUAL(message.badge, 4);
}

TEST(restart_nb_send_recv, "of NBSendRecv and NBSendWait only the receive is executed again") {
    const Channel channel;
    const Cap<Endpoint> there = create<Endpoint>();
    unsigned received = 0;
    auto counting = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(there.address(), message);
            ++received;
        }
    };
    spawn(counting);
    for (unsigned i = 1; i <= 2; ++i) {
        sys::ShortMessage message{};
        auto sending = [&] {
            message = {MessageInfo{0}, 0, {}};
            if (i == 1) sys::nb_send_recv(there.address(), channel.endpoint.address(), channel.reply.address(), message);
            else sys::nb_send_wait(there.address(), channel.endpoint.address(), message);
        };
        const Thread& thread = spawn(sending);
        CHECK_EQUAL(received, i);
        CHECK_OK(thread.tcb.suspend());
        thread.resume();
        CHECK_EQUAL(received, i);
        send_plain(channel.endpoint, 30 + i);
        CHECK(thread.done());
        CHECK_EQUAL(message.words[0], 30 + i);
    }
}

TEST(restart_arguments, "a system call that is executed again has its original arguments, also those beyond the registers' message") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    auto sending = [&] {
        caprock_ipc_buffer->caps_or_badges[0] = gift.address();
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(9, 120, 1)), Error::NoError);
    };
    const Thread& sender = spawn(sending, {.vspace = other_vspace()});
    for (unsigned i = 0; i < 3; ++i) {
        CHECK_OK(sender.tcb.suspend());
        sender.resume();
    }
    const CapRef slot = name_receive_slot();
    sys::Message message;
    receive(channel, message);
    check_message(message, 9, 120);
    CHECK_EQUAL(message.info.extra_caps(), 1);
    CHECK(!is_empty(slot));
}

TEST(slot_at_delivery, "the receive slot is the one that the buffer names when the message is delivered") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    const uint64_t first = take_slots();
    const uint64_t second = take_slots();
    auto receiving = [&] {
        caprock_ipc_buffer->receive_cnode = own_cnode.address();
        caprock_ipc_buffer->receive_index = first;
        caprock_ipc_buffer->receive_depth = address_bits;
        sys::Message message;
        receive(channel, message);
        CHECK_EQUAL(message.info.extra_caps(), 1);
    };
    const Thread& receiver = spawn(receiving);
    receiver.buffer().receive_index = second;
    caprock_ipc_buffer->caps_or_badges[0] = gift.address();
    CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(0, 0, 1)), Error::NoError);
    CHECK(receiver.done());
    CHECK(is_empty(CapRef{first}));
    CHECK(!is_empty(CapRef{second}));
}

TEST(slot_in_node, "a receive slot may lie in any CNode, at any depth, and one that is not there takes nothing") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    const Cap<CNode> node = mint(create<CNode>(4), abi::CNodeCapData::make(3, 0b101).raw);
    const struct {
        uint64_t cnode, index, depth;
        bool taken;
    } rows[] = {{node.address(), 0b101'0110, 7, true},      {node.address(), 0b101'0110, 7, false},   // occupied by now
                {node.address(), 0b100'0111, 7, false},     {node.address(), 0b101'0111, 6, false},
                {gift.address(), 0, 7, false},              {take_slots(), 0b101'0111, 7, false},
                {uint64_t{1} << 30, 0b101'0111, 7, false},  {node.address(), 0b101'0111, 0, false},
                {node.address(), 0b101'0111, 65, false},    {node.address(), ~uint64_t{0} << 7 | 0b101'0111, 7, true}};
    for (const auto& row : rows) {
        auto sending = [&] {
            caprock_ipc_buffer->caps_or_badges[0] = gift.address();
            CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(1, 3, 1)), Error::NoError);
        };
        const Thread& sender = spawn(sending);
        caprock_ipc_buffer->receive_cnode = row.cnode;
        caprock_ipc_buffer->receive_index = row.index;
        caprock_ipc_buffer->receive_depth = row.depth;
        sys::Message message;
        receive(channel, message);
        check_message(message, 1, 3);
        CHECK_EQUAL(message.info.extra_caps(), row.taken);
        CHECK(sender.done());
        delete_cap(sender.tcb);
    }
    CHECK_OK(own_cnode.move(take_slots(), 64, 0b101'0111, 7, node));
}

TEST(given_rights, "a capability that travels keeps its badge and its rights, and is taken from the address when the message goes") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    const Cap<Notification> weak = mint(gift, 0x55, write_only);
    auto sending = [&] {
        caprock_ipc_buffer->caps_or_badges[0] = weak.address();
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(0, 0, 1)), Error::NoError);
    };
    spawn(sending);
    const CapRef received = name_receive_slot();
    sys::Message message;
    receive(channel, message);
    CHECK_EQUAL(message.info.extra_caps(), 1);
    const auto read = CHECK_OK(inspect.read_cnode(received.address(), own_cnode));
    CHECK(read.kind == abi::CapType::Notification && read.badge == 0x55 && read.rights.raw == write_only.raw);
    CHECK(!is_empty(weak));
}

TEST(underivable, "a capability that cannot be derived does not travel, and those behind it neither") {
    const Channel channel;
    const Cap<Endpoint> badged = mint(channel.endpoint, 3);
    auto sending = [&] {
        caprock_ipc_buffer->caps_or_badges[0] = badged.address();
        caprock_ipc_buffer->caps_or_badges[1] = irq_control.address();
        caprock_ipc_buffer->caps_or_badges[2] = badged.address();
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(2, 1, 3)), Error::NoError);
    };
    spawn(sending);
    const CapRef slot = name_receive_slot();
    sys::Message message;
    receive(channel, message);
    check_message(message, 2, 1);
    CHECK_EQUAL(message.info.extra_caps(), 1);
    CHECK_EQUAL(message.info.caps_unwrapped(), 1);
    CHECK(is_empty(slot));
}

TEST(nb_recv_message, "NBRecv and NBWait take a message that is there") {
    const Channel channel;
    for (uint64_t i = 1; i <= 2; ++i) {
        auto sending = [&] { send_plain(channel.endpoint, i); };
        const Thread& sender = spawn(sending);
        sys::ShortMessage message;
        if (i == 1) sys::nb_recv(channel.endpoint.address(), channel.reply.address(), message);
        else sys::nb_wait(channel.endpoint.address(), message);
        CHECK(message.info.length() == 1 && message.words[0] == i);
        CHECK(sender.done());
    }
}

TEST(sender_moved, "a blocked sender whose priority changes moves in the queue") {
    const Channel channel;
    struct {
        Cap<Endpoint> endpoint;
        uint64_t number;
        void operator()() const { send_plain(endpoint, number); }
    } senders[3];
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        senders[i] = {channel.endpoint, i};
        threads[i] = &spawn(senders[i], {.priority = static_cast<uint8_t>(110 + i)});
    }
    CHECK_OK(threads[0]->tcb.set_priority(130, own_tcb));
    CHECK_OK(threads[2]->tcb.set_priority(105, own_tcb));
    const uint64_t order[] = {0, 1, 2};
    for (const uint64_t expected : order) {
        sys::Message message;
        receive(channel, message);
        CHECK_EQUAL(message.words[0], expected);
    }
}

TEST(second_reply, "a reply object answers once, and a copy of it not again") {
    const Channel channel;
    const Cap<Reply> second = copy(channel.reply);
    uint64_t answer = 0;
    auto calling = [&] {
        for (unsigned i = 0; i < 2; ++i) {
            sys::ShortMessage message{MessageInfo{0}, 0, {}};
            sys::call(channel.endpoint.address(), message);
            answer = answer * 10 + message.words[0];
        }
    };
    const Thread& caller = spawn(calling);
    sys::Message message;
    receive(channel, message);
    send_plain(Cap<Endpoint>{second.address()}, 1);
    send_plain(Cap<Endpoint>{channel.reply.address()}, 2);
    CHECK_EQUAL(answer, 1);
    // The second call waits for a receiver: the second message answered nobody.
    receive(channel, message);
    send_plain(Cap<Endpoint>{channel.reply.address()}, 3);
    CHECK(caller.done());
    CHECK_EQUAL(answer, 13);
}

TEST(replies_crosswise, "three calls at once are answered in any order, each by its own reply object") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> replies[3] = {create<Reply>(), create<Reply>(), create<Reply>()};
    uint64_t answers[3] = {};
    struct {
        Cap<Endpoint> endpoint;
        uint64_t* answer;
        void operator()() const {
            sys::ShortMessage message{MessageInfo{0}, 0, {}};
            sys::call(endpoint.address(), message);
            *answer = message.words[0];
        }
    } callers[3];
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) {
        callers[i] = {endpoint, &answers[i]};
        threads[i] = &spawn(callers[i]);
        sys::ShortMessage message;
        sys::recv(endpoint.address(), replies[i].address(), message);
    }
    const unsigned order[] = {1, 2, 0};
    for (const unsigned i : order) {
        CHECK(!threads[i]->done());
        send_plain(Cap<Endpoint>{replies[i].address()}, 100 + i);
        CHECK(threads[i]->done());
        CHECK_EQUAL(answers[i], 100 + i);
    }
}

TEST(reply_in_the_middle, "a reply out of order in a chain leaves the context with the thread that runs on it") {
    const Channel front;
    const Channel back;
    auto middle = [&] {
        sys::ShortMessage message;
        sys::recv(front.endpoint.address(), front.reply.address(), message);
        sys::call(back.endpoint.address(), message);
    };
    volatile uint64_t count = 0;
    auto last = [&] {
        sys::ShortMessage message;
        sys::recv(back.endpoint.address(), back.reply.address(), message);
        for (;;) {
            count = count + 1;
            sys::yield();
        }
    };
    const Thread& middle_thread = spawn(middle);
    const Thread& last_thread = spawn(last);
    CHECK_OK(middle_thread.context.unbind());
    CHECK_OK(last_thread.context.unbind());
    CHECK_OK(last_thread.tcb.set_priority(worker_priority, own_tcb));
    sys::ShortMessage result{};
    auto calling = [&] {
        result = {MessageInfo{0}, 0, {}};
        sys::call(front.endpoint.address(), result);
    };
    const Thread& caller = spawn(calling);
    sys::yield();
    CHECK(count > 0);
    // The first caller is answered, over the middle's head: it has no context, as the last one runs on it.
    send_plain(Cap<Endpoint>{front.reply.address()}, 6);
    CHECK(!caller.done());
    const uint64_t seen = count;
    sys::yield();
    CHECK(count > seen);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(last_thread.tcb)).sched_context,
                CHECK_OK(inspect.read_sched_context(caller.context)).identity);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(caller.tcb)).sched_context, 0);
    CHECK_OK(caller.context.unbind_object(last_thread.tcb));
    CHECK_OK(caller.context.bind(caller.tcb));
    CHECK(caller.done());
    CHECK_EQUAL(result.words[0], 6);
}

TEST(deep_chain, "a context goes down and up a chain of ten passive servers") {
    constexpr unsigned depth = 10;
    const Channel channels[depth];
    struct Link {
        const Channel* own;
        const Channel* next;
        void operator()() const {
            sys::ShortMessage message;
            sys::recv(own->endpoint.address(), own->reply.address(), message);
            for (;;) {
                message.words[0] += 1;
                if (next != nullptr) sys::call(next->endpoint.address(), message);
                sys::reply_recv(own->endpoint.address(), own->reply.address(), message);
            }
        }
    } links[depth];
    for (unsigned i = 0; i < depth; ++i) {
        links[i] = {&channels[i], i + 1 < depth ? &channels[i + 1] : nullptr};
        CHECK_OK(spawn(links[i]).context.unbind());
    }
    for (uint64_t round = 0; round < 3; ++round) {
        sys::ShortMessage message{MessageInfo::make(1, 0, 0, 0), 0, {round}};
        sys::call(channels[0].endpoint.address(), message);
        CHECK_EQUAL(message.words[0], round + depth);
    }
}

TEST(grant_to_waiter, "a send to a receiver that waits already passes a capability only with grant") {
    const Channel channel;
    const Cap<Endpoint> ungranted = copy(channel.endpoint, abi::CapRights::make(1, 0, 0, 1));
    const Cap<Notification> gift = create<Notification>();
    const Cap<Endpoint> ways[] = {ungranted, channel.endpoint};
    for (const Cap<Endpoint> way : ways) {
        uint64_t came = 9;
        auto receiving = [&] {
            name_receive_slot();
            sys::Message message;
            receive(channel, message);
            came = message.info.extra_caps();
        };
        spawn(receiving);
        caprock_ipc_buffer->caps_or_badges[0] = gift.address();
        CHECK_EQUAL(sys::send(way.address(), make_message(0, 0, 1)), Error::NoError);
        CHECK_EQUAL(came, way == channel.endpoint);
    }
}

TEST(other_endpoint, "a capability to another endpoint travels, and is not unwrapped") {
    const Channel channel;
    const Cap<Endpoint> other = mint(create<Endpoint>(), 12);
    auto sending = [&] {
        caprock_ipc_buffer->caps_or_badges[0] = other.address();
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(0, 0, 1)), Error::NoError);
    };
    spawn(sending);
    const CapRef slot = name_receive_slot();
    sys::Message message;
    receive(channel, message);
    CHECK(message.info.extra_caps() == 1 && message.info.caps_unwrapped() == 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_cnode(slot.address(), own_cnode)).badge, 12);
}

TEST(reply_recv_capability, "ReplyRecv answers with a capability, as Send to the reply object does") {
    const Channel channel;
    const Cap<Notification> gift = create<Notification>();
    auto serving = [&] {
        sys::Message message;
        receive(channel, message);
        caprock_ipc_buffer->caps_or_badges[0] = gift.address();
        message.info = MessageInfo::make(0, 1, 0, 0);
        sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
    };
    spawn(serving);
    const CapRef slot = name_receive_slot();
    sys::Message message = make_message(0, 0);
    sys::call(channel.endpoint.address(), message);
    CHECK_EQUAL(message.info.extra_caps(), 1);
    CHECK(!is_empty(slot));
}

TEST(buffer_in_frame, "an IPC buffer may lie anywhere in its frame") {
    const Channel channel;
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    for (uint64_t offset = 0; offset < page_bytes; offset += 1024) {
        auto sending = [&] {
            caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(small_window + offset);
            CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(offset / 1024 + 1, 60)), Error::NoError);
        };
        const Thread& thread = prepare(sending);
        CHECK_OK(thread.tcb.set_ipc_buffer(small_window + offset, frame));
        thread.resume();
        sys::Message message;
        receive(channel, message);
        check_message(message, offset / 1024 + 1, 60);
    }
}

TEST(buffer_write_only, "an IPC buffer whose frame may not be read is not sent from") {
    const Channel channel;
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    auto sending = [&] {
        caprock_ipc_buffer = reinterpret_cast<abi::IPCBuffer*>(small_window);
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(1, 60)), Error::NoError);
    };
    const Thread& thread = prepare(sending);
    CHECK_OK(thread.tcb.set_ipc_buffer(small_window, copy(frame, write_only)));
    thread.resume();
    sys::Message message;
    receive(channel, message);
    check_message(message, 1, abi::ipc_register_words);
}

TEST(buffer_read_only, "an IPC buffer whose frame may not be written is sent from, and not received into") {
    const Channel channel;
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    abi::IPCBuffer& buffer = *reinterpret_cast<abi::IPCBuffer*>(small_window);
    const Cap<Frame> weak = copy(frame, read_only);
    uint64_t length = 0;
    auto exchanging = [&] {
        caprock_ipc_buffer = &buffer;
        CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(3, 40)), Error::NoError);
        for (uint64_t i = 12; i < 40; ++i) buffer.msg[i] = 0x77;
        sys::Message message;
        receive(channel, message);
        length = message.info.length();
    };
    const Thread& thread = prepare(exchanging);
    CHECK_OK(thread.tcb.set_ipc_buffer(small_window, weak));
    thread.resume();
    sys::Message message;
    receive(channel, message);
    check_message(message, 3, 40);
    CHECK_EQUAL(sys::send(channel.endpoint.address(), make_message(4, 40)), Error::NoError);
    CHECK(thread.done());
    CHECK_EQUAL(length, abi::ipc_register_words);
    for (uint64_t i = 12; i < 40; ++i) CHECK_EQUAL(buffer.msg[i], 0x77);
}

TEST(context_meanwhile, "a caller that was given a context while it waited keeps it when its answer brings the one that it lent") {
    const Channel channel;
    const Cap<Notification> go = create<Notification>();
    auto serving = [&] {
        sys::ShortMessage message;
        receive_short(channel, message);
        sys::wait(go.address(), message);
        message.info = MessageInfo{0};
        sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
    };
    const Thread& caller = spawn(calling);
    const Cap<SchedContext> meanwhile = create<SchedContext>(8);
    set_budget(meanwhile, 1'000, 1'000);
    CHECK_OK(meanwhile.bind(caller.tcb));
    sys::signal(go.address());
    CHECK(caller.done());
    const uint64_t identity = CHECK_OK(inspect.read_tcb(caller.tcb)).identity;
    CHECK_EQUAL(CHECK_OK(inspect.read_sched_context(meanwhile)).thread, identity);
    CHECK(CHECK_OK(inspect.read_sched_context(caller.context)).thread != identity);
}

TEST(answered_long_ago, "a caller that was answered has nothing more to do with the reply object") {
    const Channel channel;
    const Cap<Endpoint> other = create<Endpoint>();
    uint64_t result = 9;
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
        result = static_cast<uint64_t>(sys::send(other.address(), sys::ShortMessage{MessageInfo::make(1, 0, 0, 0), 0, {7}}));
    };
    const Thread& caller = spawn(calling);
    sys::ShortMessage message;
    sys::recv(channel.endpoint.address(), channel.reply.address(), message);
    CHECK_EQUAL(sys::send(channel.reply.address(), sys::ShortMessage{}), Error::NoError);
    // Another call is tied to the object, and both go their ways.
    sys::ShortMessage second_result{};
    auto calling_too = [&] {
        second_result = {MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), second_result);
    };
    const Thread& second = spawn(calling_too);
    sys::recv(channel.endpoint.address(), channel.reply.address(), message);
    CHECK_OK(caller.tcb.suspend());
    CHECK_EQUAL(CHECK_OK(inspect.read_reply(channel.reply)).caller, CHECK_OK(inspect.read_tcb(second.tcb)).identity);
    caller.resume();
    delete_cap(channel.reply);
    CHECK(second.done());
    CHECK_EQUAL(second_result.info.label(), Error::CallCancelled);
    CHECK(!caller.done());
    sys::wait(other.address(), message);
    CHECK_EQUAL(message.words[0], 7);
    CHECK_EQUAL(result, 0);
}

TEST(reply_object_passed_on, "a reply object is free for others when its receive ended without a call, or was cancelled") {
    const Channel channel;
    const Cap<Endpoint> quiet = create<Endpoint>();
    const Cap<Notification> notification = create<Notification>();
    // First a receive that a bound notification ends, then one that is suspended; each named the same reply object.
    auto receiving = [&] {
        sys::ShortMessage message;
        sys::recv(quiet.address(), channel.reply.address(), message);
        CHECK_EQUAL(message.info.raw, abi::notification_message_info);
        sys::recv(quiet.address(), channel.reply.address(), message);
    };
    const Thread& first = prepare(receiving);
    CHECK_OK(first.tcb.bind_notification(notification));
    first.resume();
    sys::signal(notification.address());
    for (unsigned round = 0; round < 2; ++round) {
        if (round == 1) CHECK_OK(first.tcb.suspend());
        uint64_t answer = 0;
        auto calling = [&] {
            sys::ShortMessage message{MessageInfo{0}, 0, {}};
            sys::call(channel.endpoint.address(), message);
            answer = message.words[0];
        };
        const Thread& caller = spawn(calling);
        sys::ShortMessage message;
        sys::recv(channel.endpoint.address(), channel.reply.address(), message);
        // Deleting the thread that used the object before does not touch the call.
        if (round == 1) delete_cap(first.tcb);
        CHECK_EQUAL(CHECK_OK(inspect.read_reply(channel.reply)).caller, CHECK_OK(inspect.read_tcb(caller.tcb)).identity);
        send_plain(Cap<Endpoint>{channel.reply.address()}, 40 + round);
        CHECK(caller.done());
        CHECK_EQUAL(answer, 40 + round);
    }
}

TEST(reply_object_gone, "a thread that waits with a reply object whose memory is reused takes a call without one") {
    const Cap<Untyped> untyped = create<Untyped>(12);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create_in<Reply>(untyped);
    uint64_t word = 0;
    auto receiving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        word = message.words[0];
    };
    spawn(receiving);
    revoke(untyped);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    CHECK_OK(frame.map(small_window, read_write, cached, own_vspace));
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo::make(1, 0, 0, 0), 0, {3}};
        sys::call(endpoint.address(), message);
    };
    const Thread& caller = spawn(calling);
    CHECK_EQUAL(word, 3);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(caller.tcb)).state, 0);
    for (uint64_t offset = 0; offset < page_bytes; offset += 8)
        CHECK_EQUAL(*reinterpret_cast<volatile uint64_t*>(small_window + offset), 0);
}

TEST(chain_without, "a chain of three calls whose reply objects are deleted, one or two in any order, comes to its end without them") {
    // Bits: which of the three reply objects goes. The memory of those that went is another's at once.
    for (unsigned gone = 1; gone < 7; ++gone) {
        const Cap<Untyped> untypeds[3] = {create<Untyped>(12), create<Untyped>(12), create<Untyped>(12)};
        const Cap<Endpoint> endpoints[3] = {create<Endpoint>(), create<Endpoint>(), create<Endpoint>()};
        const Cap<Endpoint> faults = create<Endpoint>();
        const Cap<Notification> go = create<Notification>();
        const Channel echo;
        auto echoing = [&] {
            sys::ShortMessage message;
            receive_short(echo, message);
            for (;;) {
                message.info = MessageInfo{0};
                sys::reply_recv(echo.endpoint.address(), echo.reply.address(), message);
            }
        };
        const Thread& echo_thread = spawn(echoing);
        CHECK_OK(echo_thread.context.unbind());
        struct Link {
            Cap<Endpoint> own;
            Cap<Reply> reply;
            CapRef next;
            Cap<Notification> go;
            Cap<Endpoint> echo;
            uint64_t label = 99;
            void operator()() {
                sys::ShortMessage message;
                sys::recv(own.address(), reply.address(), message);
                if (next.is_null()) {
                    sys::wait(go.address(), message);
                    // Another call on the context whose stack of calls has holes by now.
                    sys::call(echo.address(), message);
                } else {
                    message = {MessageInfo{0}, 0, {}};
                    sys::call(next.address(), message);
                    label = message.info.label();
                }
                message.info = MessageInfo{0};
                sys::reply_recv(own.address(), reply.address(), message);
            }
        } links[3];
        const Thread* threads[3];
        for (unsigned i = 0; i < 3; ++i) {
            links[i] = {endpoints[i], create_in<Reply>(untypeds[i]), i < 2 ? CapRef{endpoints[i + 1]} : CapRef{}, go, echo.endpoint};
            threads[i] = &spawn(links[i], {.fault_endpoint = faults});
            CHECK_OK(threads[i]->context.unbind());
        }
        uint64_t label = 99;
        auto calling = [&] {
            sys::ShortMessage message{MessageInfo{0}, 0, {}};
            sys::call(endpoints[0].address(), message);
            label = message.info.label();
        };
        const Thread& caller = spawn(calling);
        for (unsigned i = 0; i < 3; ++i) {
            if ((gone >> i & 1) == 0) continue;
            revoke(untypeds[i]);
            const Cap<Frame> frame = create_in<Frame>(untypeds[i]);
            CHECK_OK(frame.map(small_window + i * page_bytes, read_write, cached, own_vspace));
            for (uint64_t offset = 0; offset < page_bytes; offset += 8)
                *reinterpret_cast<volatile uint64_t*>(small_window + i * page_bytes + offset) = 0x5555;
        }
        // Everyone has time of its own from here on, as far as they have none.
        const auto give_time = [](const Thread& thread) {
            if (CHECK_OK(inspect.read_tcb(thread.tcb)).sched_context != 0) return;
            const Cap<SchedContext> context = create<SchedContext>(8);
            set_budget(context, 1'000, 1'000);
            CHECK_OK(context.bind(thread.tcb));
        };
        for (const Thread* thread : threads) give_time(*thread);
        give_time(caller);
        sys::signal(go.address());
        for (const Thread* thread : threads) give_time(*thread);
        CHECK(caller.done());
        CHECK_EQUAL(label, (gone & 1) != 0 ? Error::CallCancelled : Error::NoError);
        CHECK_EQUAL(links[0].label, (gone & 2) != 0 ? Error::CallCancelled : Error::NoError);
        CHECK_EQUAL(links[1].label, (gone & 4) != 0 ? Error::CallCancelled : Error::NoError);
        for (unsigned i = 0; i < 3; ++i) {
            if ((gone >> i & 1) == 0) continue;
            for (uint64_t offset = 0; offset < page_bytes; offset += 8)
                CHECK_EQUAL(*reinterpret_cast<volatile uint64_t*>(small_window + i * page_bytes + offset), 0x5555);
            revoke(untypeds[i]);
        }
        for (const Thread* thread : threads) delete_cap(thread->tcb);
        delete_cap(caller.tcb);
        delete_cap(echo_thread.tcb);
        forget_threads(5);
    }
}

TEST(refuse_bound, "a passive server that asks for a context takes its bound notification first, and refuses nobody for that") {
    const Channel channel;
    const Cap<Notification> notification = create<Notification>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(notification));
    unsigned signals = 0;
    bool prepared = false;
    Error result = Error::IllegalOperation;
    auto sending = [&] { result = sys::send(channel.endpoint.address(), sys::ShortMessage{}); };
    const Thread& thread = prepare(sending, {.priority = 120});
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(channel.endpoint.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
        for (;;) {
            signals += message.info.raw == abi::notification_message_info;
            if (!prepared) {
                // While it serves a call: a plain sender waits, and the notification is signalled.
                prepared = true;
                thread.resume();
                sys::signal(notification.address());
            }
            message.info = MessageInfo{0};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message, abi::syscall_flag_require_donation);
        }
    };
    const Thread& server = prepare(serving);
    CHECK_OK(server.tcb.bind_notification(notification));
    server.resume();
    CHECK_OK(server.context.unbind());
    sys::ShortMessage message{MessageInfo{0}, 0, {}};
    sys::call(channel.endpoint.address(), message);
    CHECK_EQUAL(signals, 1);
    // On the notification's context it has taken the message of the sender that was there too, and waits again without one.
    CHECK(thread.done());
    CHECK_EQUAL(result, Error::NoError);
    CHECK_EQUAL(CHECK_OK(inspect.read_sched_context(context)).thread, 0);
}

TEST(reply_object_left, "a receive that is over, by a notification or suspended, leaves its reply object: who uses that next disturbs nobody") {
    static Cap<Endpoint> served;
    served = create<Endpoint>();
    const Cap<Reply> own_reply = create<Reply>();
    const Channel channel;
    const Cap<Endpoint> quiet = create<Endpoint>();
    for (unsigned round = 0; round < 2; ++round) {
        static volatile uint64_t label;
        label = 99;
        const Cap<Notification> notification = create<Notification>();
        static constexpr auto call_out = [] {
            sys::ShortMessage message{MessageInfo{0}, 0, {}};
            sys::call(served.address(), message);
            label = message.info.label();
            stop_current_thread();
        };
        auto receiving = [&] {
            sys::ShortMessage message;
            sys::recv(quiet.address(), channel.reply.address(), message);
            call_out();
        };
        const Thread& thread = prepare(receiving);
        CHECK_OK(thread.tcb.bind_notification(notification));
        thread.resume();
        if (round == 0) {
            sys::signal(notification.address());
        } else {
            CHECK_OK(thread.tcb.suspend());
            abi::UserContext context{};
            CHECK_OK(thread.tcb.read_registers(0, 2, context));
            context.pc = reinterpret_cast<uint64_t>(+call_out);
            CHECK_OK(thread.tcb.write_registers(1, 2, context));
        }
        // The thread waits for a reply through another object; the one that it named before is used by this thread.
        sys::ShortMessage message;
        sys::recv(served.address(), own_reply.address(), message);
        sys::nb_recv(channel.endpoint.address(), channel.reply.address(), message);
        CHECK_EQUAL(label, 99);
        CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 4);
        CHECK_EQUAL(sys::send(own_reply.address(), sys::ShortMessage{MessageInfo::make(0, 0, 0, 7), 0, {}}), Error::NoError);
        CHECK_EQUAL(label, 7);
    }
}

TEST(lent_out, "a caller has no context while its call lasts, the server has it, and the reply brings it back") {
    const Channel channel;
    const Cap<Notification> go = create<Notification>();
    auto serving = [&] {
        sys::ShortMessage message;
        receive_short(channel, message);
        for (;;) {
            sys::wait(go.address(), message);
            message.info = MessageInfo{0};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
        }
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
    };
    const Thread& caller = spawn(calling);
    const auto context_of = [](const Thread& thread) { return CHECK_OK(inspect.read_tcb(thread.tcb)).sched_context; };
    const auto read = CHECK_OK(inspect.read_sched_context(caller.context));
    CHECK_EQUAL(context_of(caller), 0);
    CHECK_EQUAL(context_of(server), read.identity);
    CHECK_EQUAL(read.thread, CHECK_OK(inspect.read_tcb(server.tcb)).identity);
    sys::signal(go.address());
    CHECK(caller.done());
    CHECK_EQUAL(context_of(caller), read.identity);
    CHECK_EQUAL(context_of(server), 0);
}

TEST(lent_without_budget, "a server that takes the call of a caller without budget waits for that caller's refill") {
    const Channel channel;
    uint64_t served[2] = {};
    auto serving = [&] {
        sys::ShortMessage message;
        receive_short(channel, message);
        for (uint64_t& time : served) {
            time = now();
            // The first call lasts until the second one waits.
            if (&time == served) sleep(2'000);
            message.info = MessageInfo{0};
            sys::reply_recv(channel.endpoint.address(), channel.reply.address(), message);
        }
    };
    const Thread& server = spawn(serving, {.priority = lower_priority});
    auto calling = [&] {
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
    };
    uint64_t started = 0;
    auto spending = [&] {
        started = now();
        while (now() - started < ticks_of(290)) {}
        sys::ShortMessage message{MessageInfo{0}, 0, {}};
        sys::call(channel.endpoint.address(), message);
    };
    sleep(100);
    CHECK_OK(server.context.unbind());
    const Thread& first = spawn(calling, {.priority = lower_priority});
    const Thread& second = spawn(spending, {.priority = lower_priority, .budget = 300, .period = 20'000});
    first.join();
    second.join();
    CHECK(served[1] - started >= ticks_of(19'900));
}

TEST(deleted_preempted, "an endpoint and a notification with many waiters are deleted with interrupts meanwhile, and all of them stop waiting") {
    constexpr unsigned count = 1'500;
    for (unsigned round = 0; round < 2; ++round) {
        const CapRef object = round == 0 ? CapRef{create<Endpoint>()} : CapRef{create<Notification>()};
        Crowd crowd(count);
        uint64_t first = 0;
        uint64_t last = 0;
        for (unsigned i = 0; i < count; ++i) {
            last = crowd.add(abi::Syscall::Wait, object, static_cast<uint8_t>(110 + i % 7)).address();
            if (i == 0) first = last;
        }
        CHECK(CHECK_OK(inspect.read_tcb(CapRef{last})).state >= 2);
        Ticker ticker(40);
        delete_cap(object);
        ticker.check_on_time();
        for (uint64_t slot = first; slot <= last; slot += 7) CHECK_EQUAL(CHECK_OK(inspect.read_tcb(CapRef{slot})).state, 1);
        for (uint64_t slot = first; slot <= last; ++slot) delete_cap(CapRef{slot});
    }
}

}  // namespace caprock::conformance
