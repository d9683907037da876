// SPDX-License-Identifier: BSD-2-Clause
// Cases of kernel/ipc and kernel/syscall: messages in every combination of who waits for whom, capabilities in messages, scheduling
// contexts that travel with calls, cancellation and restart.
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace caprock;
using namespace caprock::test;
using host::hardware;

namespace {

constexpr CapRights send_only = CapRights::make(1, 0, 0, 0);
constexpr CapRights receive_only = CapRights::make(0, 1, 0, 0);
constexpr CapRights send_and_grant = CapRights::make(1, 0, 1, 0);
constexpr CapRights send_and_grant_reply = CapRights::make(1, 0, 0, 1);
constexpr Word require_donation = abi::syscall_flag_require_donation;
const Answer notified_with(Word badge) { return {.badge = badge, .unwrapped = 7}; }

std::vector<Word> count_up(Word length) {
    std::vector<Word> words;
    for (Word i = 0; i < length; ++i) words.push_back(1000 + i);
    return words;
}

// An endpoint, a reply object, a client above a server.
struct Pair : World {
    Word endpoint = make(ObjectType::Endpoint);
    Word reply = make(ObjectType::Reply);
    Thread client = start_thread(20);
    Thread server = start_thread(10);
};

// The same with a server that has no scheduling context, and waits.
struct Passive : World {
    Word endpoint = make(ObjectType::Endpoint);
    Word reply = make(ObjectType::Reply);
    Thread client = start_thread(20);
    Thread server = make_thread(10);
    Word starter = make_context({});

    // Lets the server execute a receive on a context that is then taken from it.
    void serve(Word flags = 0, Syscall number = Syscall::Recv) {
        resume(server);
        must(starter, Method::SchedContextBind, {}, {server.tcb});
        run(server);
        syscall(number, endpoint, {}, reply, 0, flags);
        must(starter, Method::SchedContextUnbind);
    }
};

}  // namespace

TEST_CASE("a message arrives whole, whoever comes first", "[ipc]") {
    Pair w;
    Word length = GENERATE(0u, 1u, 4u, 11u, 12u, 13u, 119u, 120u);
    bool receiver_first = GENERATE(true, false);
    Word badged = w.mint(w.endpoint, 77);
    Message message{.label = 0xabcde, .words = count_up(length)};
    if (receiver_first) {
        w.run(w.server);
        for (unsigned i = 0; i < register_words; ++i) w.server->context.x[reg::word(i)] = 0xdead;
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        for (unsigned i = 0; i < register_words; ++i) w.client->context.x[reg::word(i)] = 0xbeef;
        w.syscall(Syscall::Send, badged, message);
    } else {
        w.run(w.client);
        for (unsigned i = 0; i < register_words; ++i) w.client->context.x[reg::word(i)] = 0xbeef;
        w.syscall(Syscall::Send, badged, message);
        CHECK(w.client->state == ThreadState::BlockedOnSend);
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    }
    CHECK(w.answer(w.server) == Answer{.badge = 77, .label = 0xabcde, .words = message.words});
    CHECK(w.client->state == ThreadState::Running);
    CHECK(w.answer(w.client) == success());
    // Nothing of what was in the registers before, and nothing of the sender's, is left beyond the length.
    for (Word i = length; i < register_words; ++i) CHECK(w.server->context.x[reg::word(static_cast<unsigned>(i))] == 0);
}

TEST_CASE("the kernel does not touch the first words of a buffer", "[ipc]") {
    Pair w;
    for (Word& word : w.server.ipc().msg) word = 0x5555;
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 1, .words = count_up(20)});
    for (unsigned i = 0; i < 12; ++i) CHECK(w.server.ipc().msg[i] == 0x5555);
    for (unsigned i = 12; i < 20; ++i) CHECK(w.server.ipc().msg[i] == 1000 + i);
    CHECK(w.server.ipc().msg[20] == 0x5555);
}

TEST_CASE("a thread without a buffer sends and receives twelve words", "[ipc]") {
    Pair w;
    bool sender = GENERATE(true, false);
    w.must((sender ? w.client : w.server).tcb, Method::TCBSetIPCBuffer, {0}, {0});
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 1, .words = count_up(50), .caps = {w.endpoint}});
    CHECK(w.answer(w.server) == Answer{.label = 1, .words = count_up(12)});
}

TEST_CASE("a length beyond the longest message counts as the longest", "[ipc]") {
    Pair w;
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.prepare(Syscall::Send, w.endpoint, {.label = 1, .words = count_up(120)});
    w.client->context.x[reg::info] |= 0x7f;
    w.execute();
    CHECK(w.answer(w.server).words == count_up(120));
}

TEST_CASE("a buffer that cannot be written receives twelve words", "[ipc]") {
    Pair w;
    Word read_only = w.copy(w.server.buffer, receive_only);
    w.must(w.server.tcb, Method::TCBSetIPCBuffer, {0x1000'0000}, {read_only});
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 1, .words = count_up(50)});
    CHECK(w.answer(w.server).words == count_up(12));
}

TEST_CASE("receivers and senders are served by priority, then in order", "[ipc]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Thread low = w.start_thread(10);
    Thread first = w.start_thread(20);
    Thread second = w.start_thread(20);
    Thread high = w.start_thread(30);
    Word number = 0;
    for (const Thread* sender : {&low, &first, &second, &high}) {
        w.run(*sender);
        w.syscall(Syscall::Send, endpoint, {.label = ++number});
    }
    // `run` raises priorities; back at their own ones the order is high, first, second, low.
    Thread receiver = w.start_thread(5);
    w.run(receiver);
    for (Word expected : {4u, 2u, 3u, 1u}) {
        w.run(receiver);
        w.syscall(Syscall::Wait, endpoint);
        CHECK(w.answer(receiver).label == expected);
    }
}

TEST_CASE("what does not block says so", "[ipc]") {
    Pair w;
    w.run(w.client);
    w.syscall(Syscall::NBSend, w.endpoint, {.label = 5, .words = {1, 2}});
    CHECK(w.answer(w.client) == success());
    CHECK(w.object<Endpoint>(w.endpoint).queue.empty());
    for (Syscall number : {Syscall::NBRecv, Syscall::NBWait}) {
        w.client->context.x[reg::info] = 0x123;
        w.syscall(number, w.endpoint, {}, w.reply);
        CHECK(w.answer(w.client) == success());
    }
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::NBSend, w.endpoint, {.label = 5, .words = {1, 2}});
    CHECK(w.answer(w.server) == Answer{.label = 5, .words = {1, 2}});
    w.run(w.server);
    w.syscall(Syscall::NBRecv, w.endpoint, {}, w.reply);
    CHECK(w.answer(w.server) == success());
}

TEST_CASE("a call is answered through the reply object", "[ipc]") {
    Pair w;
    bool receiver_first = GENERATE(true, false);
    if (receiver_first) {
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 3, .words = {7}});
    } else {
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 3, .words = {7}});
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    }
    CHECK(w.client->state == ThreadState::BlockedOnReply);
    CHECK(w.answer(w.server) == Answer{.label = 3, .words = {7}});
    // An active server keeps its own context, and so does the client.
    CHECK(w.server->sched_context == &w.object<SchedContext>(w.server.context));
    CHECK(w.client->sched_context == &w.object<SchedContext>(w.client.context));
    w.run(w.server);
    w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 9, .words = count_up(30)}, w.reply);
    CHECK(w.answer(w.client) == Answer{.label = 9, .words = count_up(30)});
    CHECK(w.client->state == ThreadState::Running);
    CHECK(w.server->state == ThreadState::BlockedOnReceive);
}

TEST_CASE("sending to a reply object answers once", "[ipc]") {
    Pair w;
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {});
    w.run(w.server);
    Syscall number = GENERATE(Syscall::Send, Syscall::NBSend, Syscall::Call);
    w.syscall(number, w.reply, {.label = 4, .words = {1}});
    CHECK(w.answer(w.server) == success());
    CHECK(w.answer(w.client) == Answer{.label = 4, .words = {1}});
    w.run(w.client);
    w.client->context.x[0] = 99;
    w.run(w.server);
    w.syscall(number, w.reply, {.label = 5});
    CHECK(w.answer(w.server) == success());
    CHECK(w.client->context.x[0] == 99);
}

TEST_CASE("a call that nobody can answer is over when it is received", "[ipc]") {
    Pair w;
    SECTION("the receiver has no reply object") {
        w.run(w.server);
        w.syscall(Syscall::Wait, w.endpoint);
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 3});
    }
    SECTION("the capability may neither grant nor let answer") {
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        Word plain = w.copy(w.endpoint, send_only);
        w.run(w.client);
        w.syscall(Syscall::Call, plain, {.label = 3});
    }
    SECTION("the caller waits before the receiver comes") {
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 3});
        w.run(w.server);
        w.syscall(Syscall::Wait, w.endpoint);
    }
    CHECK(w.answer(w.server).label == 3);
    CHECK(w.answer(w.client) == failure(Error::CallCancelled));
    CHECK(w.client->state == ThreadState::Running);
    CHECK(w.object<Reply>(w.reply).tcb == nullptr);
}

TEST_CASE("rights of endpoints", "[ipc]") {
    Pair w;
    Word no_send = w.copy(w.endpoint, receive_only);
    Word no_receive = w.copy(w.endpoint, send_and_grant);
    w.run(w.client);
    for (Syscall number : {Syscall::Call, Syscall::Send, Syscall::NBSend}) {
        w.syscall(number, no_send, {.label = 5, .words = {1, 2, 3}});
        CHECK(w.answer(w.client) == failure(Error::InvalidCapability, {0}));
    }
    Word pc = w.client->context.pc;
    w.syscall(Syscall::Recv, no_receive, {}, w.reply);
    CHECK(w.client->state == ThreadState::Inactive);  // a fault without a handler
    CHECK(w.client->context.pc == pc);
}

// -- Capabilities in messages

TEST_CASE("a capability travels with the grant right", "[ipc]") {
    Pair w;
    Word gift = w.make(ObjectType::Notification);
    Word target = w.fresh();
    w.server.ipc().receive_cnode = World::cap(InitSlot::CNode);
    w.server.ipc().receive_index = target;
    w.server.ipc().receive_depth = 64;
    SECTION("granted") {
        Word badged = w.mint(gift, 5, send_only);
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        w.syscall(Syscall::Send, w.endpoint, {.label = 1, .caps = {badged}});
        CHECK(w.answer(w.server) == Answer{.label = 1, .caps = 1});
        REQUIRE(w.slot(target).cap.is(CapType::Notification));
        CHECK(as<NotificationCap>(w.slot(target).cap).badge() == Badge(5));
        CHECK(as<NotificationCap>(w.slot(target).cap).rights().raw == send_only.raw);
        REQUIRE_OK(w.revoke(gift));
        CHECK(w.slot(target).empty());
    }
    SECTION("not granted") {
        Word plain = w.copy(w.endpoint, send_and_grant_reply);
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        w.syscall(Syscall::Send, plain, {.label = 1, .caps = {gift}});
        CHECK(w.answer(w.server) == Answer{.label = 1});
        CHECK(w.slot(target).empty());
    }
    SECTION("a sender that waits keeps its grant right") {
        w.run(w.client);
        w.syscall(Syscall::Send, w.endpoint, {.label = 1, .caps = {gift}});
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        CHECK(w.answer(w.server).caps == 1);
        CHECK(!w.slot(target).empty());
    }
    SECTION("an answer, through a reply object with grant, of a server with grant") {
        w.client.ipc().receive_cnode = World::cap(InitSlot::CNode);
        w.client.ipc().receive_index = target;
        w.client.ipc().receive_depth = 64;
        bool may_answer = GENERATE(true, false);
        bool may_grant = GENERATE(true, false);
        bool granting = may_answer && may_grant;
        Word answers = w.copy(w.reply, CapRights::make(0, 0, may_answer, 0));
        Word receives = w.copy(w.endpoint, CapRights::make(0, 1, may_grant, 1));
        w.run(w.server);
        w.syscall(Syscall::Recv, receives, {}, answers);
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {});
        w.run(w.server);
        w.syscall(Syscall::Send, answers, {.label = 2, .caps = {gift}});
        CHECK(w.answer(w.client) == Answer{.label = 2, .caps = granting});
        CHECK(w.slot(target).empty() == !granting);
    }
}

TEST_CASE("a capability of the endpoint itself is unwrapped", "[ipc]") {
    Pair w;
    Word gift = w.make(ObjectType::Notification);
    Word another = w.make(ObjectType::Notification);
    Word target = w.fresh();
    Word seven = w.mint(w.endpoint, 7);
    Word nine = w.mint(w.endpoint, 9);
    w.server.ipc().receive_cnode = World::cap(InitSlot::CNode);
    w.server.ipc().receive_index = target;
    w.server.ipc().receive_depth = 64;
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    SECTION("unwrapped, moved, unwrapped") {
        w.syscall(Syscall::Send, w.endpoint, {.caps = {seven, gift, nine}});
        CHECK(w.answer(w.server) == Answer{.caps = 3, .unwrapped = 5});
        CHECK(w.server.ipc().caps_or_badges[0] == 7);
        CHECK(w.server.ipc().caps_or_badges[2] == 9);
        CHECK(w.slot(target).cap.is(CapType::Notification));
    }
    SECTION("a second one finds no slot, and ends the transfer") {
        w.syscall(Syscall::Send, w.endpoint, {.caps = {gift, another, nine}});
        CHECK(w.answer(w.server) == Answer{.caps = 1});
    }
    SECTION("an address that does not resolve ends the transfer") {
        w.syscall(Syscall::Send, w.endpoint, {.caps = {seven, w.fresh(), nine}});
        CHECK(w.answer(w.server) == Answer{.caps = 1, .unwrapped = 1});
    }
    SECTION("what cannot be derived ends the transfer") {
        w.syscall(Syscall::Send, w.endpoint, {.caps = {World::cap(InitSlot::IRQControl), seven}});
        CHECK(w.answer(w.server) == Answer{});
        CHECK(w.slot(target).empty());
    }
}

TEST_CASE("a receive slot that is not there takes nothing", "[ipc]") {
    Pair w;
    Word gift = w.make(ObjectType::Notification);
    abi::IPCBuffer& buffer = w.server.ipc();
    buffer.receive_cnode = World::cap(InitSlot::CNode);
    buffer.receive_index = w.fresh();
    buffer.receive_depth = 64;
    SECTION("no CNode") { buffer.receive_cnode = w.endpoint; }
    SECTION("an address that does not resolve") { buffer.receive_cnode = ~Word{0}; }
    SECTION("occupied") { buffer.receive_index = w.endpoint; }
    SECTION("no depth") { buffer.receive_depth = 0; }
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 1, .caps = {gift}});
    CHECK(w.answer(w.server) == Answer{.label = 1});
}

// -- Scheduling contexts that travel

TEST_CASE("a passive server runs on its caller's context", "[ipc]") {
    Passive w;
    w.serve();
    w.run(w.client);
    SchedContext* context = w.client->sched_context;
    w.syscall(Syscall::Call, w.endpoint, {.label = 1});
    CHECK(w.current() == w.server.object);
    CHECK(w.server->sched_context == context);
    CHECK(w.client->sched_context == nullptr);
    w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 2}, w.reply);
    CHECK(w.current() == w.client.object);
    CHECK(w.client->sched_context == context);
    CHECK(w.server->sched_context == nullptr);
    CHECK(w.answer(w.client).label == 2);
}

TEST_CASE("calls nest, and contexts come back in order", "[ipc]") {
    Passive w;
    w.serve();
    Word inner = w.make(ObjectType::Endpoint);
    Word inner_reply = w.make(ObjectType::Reply);
    Thread second = w.make_thread(10);
    w.resume(second);
    w.must(w.starter, Method::SchedContextBind, {}, {second.tcb});
    w.run(second);
    w.syscall(Syscall::Recv, inner, {}, inner_reply);
    w.must(w.starter, Method::SchedContextUnbind);
    w.run(w.client);
    SchedContext* context = w.client->sched_context;
    w.syscall(Syscall::Call, w.endpoint, {});
    w.syscall(Syscall::Call, inner, {});
    REQUIRE(w.current() == second.object);
    CHECK(context->reply == &w.object<Reply>(inner_reply));
    SECTION("in order") {
        w.syscall(Syscall::ReplyRecv, inner, {}, inner_reply);
        CHECK(w.current() == w.server.object);
        CHECK(context->reply == &w.object<Reply>(w.reply));
        w.syscall(Syscall::ReplyRecv, w.endpoint, {}, w.reply);
        CHECK(w.current() == w.client.object);
        CHECK(context->reply == nullptr);
    }
    SECTION("the outer caller is answered first: it runs without a context, which stays in the chain") {
        w.syscall(Syscall::Send, w.reply, {});
        CHECK(w.current() == second.object);
        CHECK(w.client->state == ThreadState::Running);
        CHECK(w.client->sched_context == nullptr);
        w.syscall(Syscall::ReplyRecv, inner, {}, inner_reply);
        CHECK(w.server->sched_context == context);
        CHECK(context->reply == nullptr);
    }
    SECTION("the reply object in the middle is deleted") {
        REQUIRE_OK(w.remove(w.reply));
        CHECK(w.answer(w.client) == failure(Error::CallCancelled));
        CHECK(w.client->sched_context == nullptr);
        CHECK(second->sched_context == context);
    }
    SECTION("the reply object on top is deleted") {
        REQUIRE_OK(w.remove(inner_reply));
        CHECK(w.answer(w.server) == failure(Error::CallCancelled));
        CHECK(w.server->sched_context == context);
        CHECK(second->sched_context == nullptr);
    }
    SECTION("the context is deleted") {
        REQUIRE_OK(w.remove(w.client.context));
        for (const Thread* thread : {&w.client, &w.server, &second}) CHECK((*thread)->sched_context == nullptr);
        CHECK(w.object<Reply>(inner_reply).context == nullptr);
    }
    SECTION("the server in the middle is suspended, and then resumed") {
        w.must(w.server.tcb, Method::TCBSuspend);
        CHECK(second->sched_context == context);
        CHECK(w.object<Reply>(inner_reply).tcb == nullptr);
        w.resume(w.server);
        CHECK(w.answer(w.server) == failure(Error::CallCancelled));
    }
    SECTION("all of them are deleted, the innermost first") {
        for (Word tcb : {second.tcb, w.server.tcb, w.client.tcb}) REQUIRE_OK(w.remove(tcb));
        CHECK(context->tcb == nullptr);
        CHECK(context->reply == nullptr);
    }
}

TEST_CASE("NBSendRecv and NBSendWait hand the context on", "[ipc]") {
    Passive w;
    w.serve();
    Word done = w.make(ObjectType::Endpoint);
    Word done_reply = w.make(ObjectType::Reply);
    w.run(w.client);
    SchedContext* context = w.client->sched_context;
    Syscall number = GENERATE(Syscall::NBSendRecv, Syscall::NBSendWait);
    w.syscall(number, done, {.label = 6, .words = {1}}, done_reply, w.endpoint);
    CHECK(w.answer(w.server) == Answer{.label = 6, .words = {1}});
    CHECK(w.server->sched_context == context);
    CHECK(w.client->sched_context == nullptr);
    CHECK(w.client->state == ThreadState::BlockedOnReceive);
    // Cancelled, only the receive executes again.
    w.must(w.client.tcb, Method::TCBSuspend);
    Syscall alone = number == Syscall::NBSendRecv ? Syscall::Recv : Syscall::Wait;
    CHECK(w.client->context.x[reg::number] == static_cast<Word>(alone));
}

TEST_CASE("a receiver that asks for a context is not left without one", "[ipc]") {
    Passive w;
    w.serve(require_donation);
    SECTION("Send, NBSend and NBSendRecv of a thread without context") {
        w.run(w.client);
        Syscall number = GENERATE(Syscall::Send, Syscall::NBSend);
        w.syscall(number, w.endpoint, {.label = 1});
        CHECK(w.answer(w.client) == failure(Error::NoDonation));
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
    }
    SECTION("a call brings one") {
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 1});
        CHECK(w.current() == w.server.object);
    }
    SECTION("a call that cannot be answered brings none") {
        Word plain = w.copy(w.endpoint, send_only);
        w.run(w.client);
        w.syscall(Syscall::Call, plain, {.label = 1});
        CHECK(w.answer(w.client) == failure(Error::NoDonation));
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
    }
}

TEST_CASE("a receiver without a reply object gets no context from a call", "[ipc]") {
    Passive w;
    w.serve(require_donation, Syscall::Wait);
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {.label = 1});
    CHECK(w.answer(w.client) == failure(Error::NoDonation));
    CHECK(w.server->state == ThreadState::BlockedOnReceive);
}

TEST_CASE("senders that waited cannot take a passive server's time", "[ipc]") {
    Passive w;
    Thread others[] = {w.start_thread(5), w.start_thread(5), w.start_thread(5)};
    w.serve(require_donation);
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {.label = 1});
    REQUIRE(w.current() == w.server.object);
    for (const Thread& other : others) {
        w.run(other);
        w.syscall(Syscall::Send, w.endpoint, {.label = 2});
        CHECK(other->state == ThreadState::BlockedOnSend);
    }
    w.run(w.server);
    SECTION("its reply gives the context back") {
        w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 3}, w.reply, 0, require_donation);
        CHECK(w.answer(w.client).label == 3);
    }
    SECTION("it reuses the reply object") {
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply, 0, require_donation);
        CHECK(w.answer(w.client) == failure(Error::CallCancelled));
    }
    for (const Thread& other : others) CHECK(w.answer(other) == failure(Error::NoDonation));
    // The server waits, and serves the next caller.
    CHECK(w.server->state == ThreadState::BlockedOnReceive);
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {.label = 4});
    CHECK(w.current() == w.server.object);
    CHECK(w.answer(w.server).label == 4);
}

namespace {

// A passive server that serves a call while a crowd waits with plain messages, which would leave it without a scheduling context.
struct Besieged : Passive {
    static constexpr unsigned size = 20;
    std::vector<Thread> others;
    Word quiet = make(ObjectType::Endpoint);   // where nobody sends
    void besiege() {
        for (unsigned i = 0; i < size; ++i) others.push_back(start_thread(5 + i % 3));
        serve(require_donation);
        run(client);
        syscall(Syscall::Call, endpoint, {.label = 1});
        REQUIRE(current() == server.object);
        for (const Thread& other : others) {
            run(other);
            syscall(Syscall::Send, endpoint, {.label = 2});
        }
        run(server);
    }
    // Everybody was refused, and the server waits for the next caller.
    void check_refused(unsigned count = size) {
        unsigned refused = 0;
        for (const Thread& other : others) {
            if (other->state == ThreadState::Running) refused += answer(other) == failure(Error::NoDonation);
        }
        CHECK(refused == count);
    }
};

}  // namespace

TEST_CASE("a passive server refuses however many plain senders before it gives its context away", "[ipc]") {
    for (bool preempted : {false, true}) {
        Besieged w;
        w.set_deep(false);
        w.besiege();
        hardware.always_pending = preempted;
        w.prepare(Syscall::ReplyRecv, w.endpoint, {.label = 3, .words = {7}}, w.reply, 0, require_donation);
        unsigned before = hardware.preemption_points;
        Word pc = w.server->context.pc;
        for (unsigned i = 0; w.current() == w.server.object && w.server->context.pc == pc && i < 30; ++i) {
            // Before all are refused the reply is not sent.
            CHECK(w.client->state == ThreadState::BlockedOnReply);
            w.execute();
        }
        hardware.always_pending = false;
        CHECK(hardware.preemption_points - before == Besieged::size - 1);
        w.check_refused();
        CHECK(w.answer(w.client) == Answer{.label = 3, .words = {7}});
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 4});
        CHECK(w.current() == w.server.object);
    }
}

TEST_CASE("an answer to one and a receive from another refuse in time too", "[ipc]") {
    Besieged w;
    w.set_deep(false);
    w.besiege();
    Thread second = w.make_thread(9);
    Word second_reply = w.make(ObjectType::Reply);
    bool with_reply = GENERATE(true, false);
    // A second server that waits on the quiet endpoint gets the context.
    w.resume(second);
    w.must(w.starter, Method::SchedContextBind, {}, {second.tcb});
    w.run(second);
    w.syscall(Syscall::Wait, w.quiet);
    w.must(w.starter, Method::SchedContextUnbind);
    w.run(w.server);
    hardware.always_pending = true;
    w.prepare(with_reply ? Syscall::NBSendRecv : Syscall::NBSendWait, w.endpoint, {.label = 5}, second_reply, w.quiet, require_donation);
    for (unsigned i = 0; w.server->state == ThreadState::Running && i < 30; ++i) {
        CHECK(second->state == ThreadState::BlockedOnReceive);
        w.execute();
    }
    hardware.always_pending = false;
    w.check_refused();
    CHECK(w.server->state == ThreadState::BlockedOnReceive);
    CHECK(w.current() == second.object);
    CHECK(w.answer(second).label == 5);
}

TEST_CASE("senders are refused only by a receive that would leave its thread without a context", "[ipc]") {
    Besieged w;
    w.set_deep(false);
    w.besiege();
    Word wrong = w.make(ObjectType::Reply);
    w.run(w.server);
    SECTION("the message goes to nobody") {
        w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = 5}, wrong, w.quiet, require_donation);
    }
    SECTION("the message goes to a thread that has a context") {
        Thread active = w.start_thread(9);
        w.run(active);
        w.syscall(Syscall::Wait, w.quiet);
        w.run(w.server);
        w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = 5}, wrong, w.quiet, require_donation);
        CHECK(w.answer(active).label == 5);
    }
    SECTION("the message goes to no endpoint") {
        w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = 5}, wrong, w.client.tcb, require_donation);
    }
    SECTION("the message may not be sent") {
        Word silent = w.copy(w.quiet, receive_only);
        w.run(w.server);
        w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = 5}, wrong, silent, require_donation);
    }
    SECTION("the reply object stands for another call, or none") {
        w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 5}, wrong, 0, require_donation);
    }
    SECTION("without the flag") { w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = 5}, wrong, w.quiet); }
    // The server still has the client's context, and takes the first message.
    CHECK(w.server->state == ThreadState::Running);
    CHECK(w.answer(w.server).label == 2);
    w.check_refused(0);
    CHECK(w.client->state == ThreadState::BlockedOnReply);
}

TEST_CASE("a signal that waits comes before senders are refused", "[ipc]") {
    Besieged w;
    w.set_deep(false);
    w.besiege();
    Word notification = w.make(ObjectType::Notification);
    w.must(w.server.tcb, Method::TCBBindNotification, {}, {notification});
    bool active = GENERATE(true, false);
    if (active) {
        Word badged = w.mint(notification, 4);
        w.syscall(Syscall::Send, badged);
    }
    w.run(w.server);
    w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 3}, w.reply, 0, require_donation);
    CHECK(w.answer(w.client).label == 3);
    w.check_refused(active ? 0 : Besieged::size);
    if (active) CHECK(w.answer(w.server) == notified_with(4));
}

TEST_CASE("what the reply itself makes the server receive from is refused too, as far as no interrupt comes", "[ipc]") {
    Besieged w;
    w.set_deep(false);
    w.besiege();
    // The slot that the server will receive from is empty until the reply's capability arrives there, in the client's receive slot.
    Word slot = w.fresh();
    w.client.ipc().receive_cnode = World::cap(InitSlot::CNode);
    w.client.ipc().receive_index = slot;
    w.client.ipc().receive_depth = World::full_depth;
    w.run(w.server);
    constexpr unsigned point = 3;
    bool preempted = GENERATE(false, true);
    if (preempted) hardware.pending_at = point;
    w.prepare(Syscall::ReplyRecv, slot, {.label = 3, .caps = {w.endpoint}}, w.reply, 0, require_donation);
    w.execute();
    CHECK(w.slot(slot).cap.is(CapType::Endpoint));
    CHECK(w.answer(w.client).label == 3);
    w.check_refused(preempted ? point : Besieged::size);
    CHECK(w.server->sched_context == nullptr);
    CHECK(w.server->state == (preempted ? ThreadState::Running : ThreadState::BlockedOnReceive));
    if (!preempted) return;
    // The rest waits until the server has a context.
    w.must(w.starter, Method::SchedContextBind, {}, {w.server.tcb});
    w.run(w.server);
    w.execute();
    CHECK(w.answer(w.server).label == 2);
}

TEST_CASE("a passive server that drops a call refuses however many plain senders before it frees the reply object", "[ipc]") {
    Besieged w;
    w.set_deep(false);
    w.besiege();
    Word wrong = w.make(ObjectType::Reply);
    w.run(w.server);
    hardware.always_pending = GENERATE(false, true);
    switch (GENERATE(0, 1, 2, 3)) {
        case 0: w.prepare(Syscall::Recv, w.endpoint, {}, w.reply, 0, require_donation); break;
        case 1: w.prepare(Syscall::NBRecv, w.endpoint, {}, w.reply, 0, require_donation); break;
        case 2: w.prepare(Syscall::NBSendRecv, w.endpoint, {}, w.reply, w.quiet, require_donation); break;
        default: w.prepare(Syscall::NBSendRecv, w.endpoint, {}, wrong, w.reply, require_donation);
    }
    unsigned before = hardware.preemption_points;
    for (unsigned i = 0; i < Besieged::size && w.client->state == ThreadState::BlockedOnReply; ++i) {
        CHECK(w.current() == w.server.object);
        w.execute();
    }
    hardware.always_pending = false;
    CHECK(hardware.preemption_points - before == Besieged::size - 1);
    w.check_refused();
    CHECK(w.client->state == ThreadState::Running);
    CHECK(w.server->sched_context == nullptr);
}

TEST_CASE("an answer brings the CNode through which its thread receives next", "[ipc]") {
    Pair w;
    constexpr Word outer_bits = 1;
    constexpr Word way = Word{1} << (World::full_depth - outer_bits);
    Word outer = w.make(ObjectType::CNode, outer_bits);
    Word inner = w.mint(World::cap(InitSlot::CNode), abi::CNodeCapData::make(World::full_depth - outer_bits - World::cnode_bits, 0).raw);
    w.must(outer, Method::CNodeCopy, {1, outer_bits, inner, World::full_depth, 15}, {World::cap(InitSlot::CNode)});
    w.must(w.server.tcb, Method::TCBSetSpace, {0, 0}, {0, outer, World::cap(InitSlot::VSpace)});
    w.run(w.server);
    w.syscall(Syscall::Recv, way | w.endpoint, {}, way | w.reply);
    w.client.ipc().receive_cnode = outer;
    w.client.ipc().receive_index = 0;
    w.client.ipc().receive_depth = outer_bits;
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {.label = 1});
    w.run(w.server);
    w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 2, .caps = {way | inner}}, way | w.reply);
    CHECK(w.answer(w.client).label == 2);
    CHECK(w.server->state == ThreadState::BlockedOnReceive);
}

TEST_CASE("faults that a passive handler refuses end their threads", "[ipc]") {
    Passive w;
    Thread faulter = w.make_thread(30, Budget{.budget_us = 1000, .period_us = 10'000});
    w.must(faulter.tcb, Method::TCBSetTimeoutEndpoint, {}, {w.endpoint});
    w.resume(faulter);
    SECTION("a timeout brings no context to the handler that waits") {
        w.serve(require_donation);
        w.run(faulter);
        hardware.time += 62'500;
        w.timer();
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
    }
    SECTION("a timeout that waited is refused with the other senders") {
        w.run(w.client);
        w.must(w.server.tcb, Method::TCBSuspend);
        w.run(faulter);
        hardware.time += 62'500;
        w.timer();
        REQUIRE(faulter->state == ThreadState::BlockedOnSend);
        w.serve(require_donation);
        // It came to a server that still had the context that started it.
        CHECK(w.server->state == ThreadState::Running);
        CHECK(faulter->state == ThreadState::BlockedOnReply);
        return;
    }
    SECTION("a timeout that waits when the context goes back") {
        w.serve(require_donation);
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint, {.label = 1});
        w.run(faulter);
        hardware.time += 62'500;
        w.timer();
        REQUIRE(faulter->state == ThreadState::BlockedOnSend);
        w.run(w.server);
        w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 3}, w.reply, 0, require_donation);
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
    }
    CHECK(faulter->state == ThreadState::Inactive);
    CHECK(!faulter->faulted());
}

TEST_CASE("without the flag a passive server takes what comes", "[ipc]") {
    Passive w;
    w.serve();
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 8});
    CHECK(w.server->state == ThreadState::Running);
    CHECK(w.server->sched_context == nullptr);
    CHECK(w.answer(w.server).label == 8);
    w.must(w.starter, Method::SchedContextBind, {}, {w.server.tcb});
    w.run(w.server);
}

TEST_CASE("a context whose budget is used up does not run the server early", "[ipc]") {
    Passive w;
    Budget small{.budget_us = 1000, .period_us = 100'000};
    Thread poor = w.make_thread(30, small);
    w.resume(poor);
    // The server is in the middle of another call; the poor client uses up its budget and calls.
    w.serve();
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {});
    w.run(poor);
    host::hardware.time += 62'500;
    w.syscall(Syscall::Call, w.endpoint, {.label = 9});
    REQUIRE(poor->state == ThreadState::BlockedOnSend);
    w.run(w.server);
    w.syscall(Syscall::ReplyRecv, w.endpoint, {}, w.reply);
    // It has the message, and waits for its caller's next refill.
    CHECK(w.answer(w.server).label == 9);
    CHECK(w.server->sched_context == &w.object<SchedContext>(poor.context));
    CHECK(w.server->release.linked());
    CHECK(w.current() != w.server.object);
}

// -- Cancellation and restart

TEST_CASE("a blocked thread that is resumed executes its system call again", "[ipc]") {
    Pair w;
    SECTION("a sender, with its arguments") {
        w.run(w.client);
        w.prepare(Syscall::Call, w.endpoint, {.label = 5, .words = count_up(12)});
        Context before = w.client->context;
        w.execute();
        w.must(w.client.tcb, Method::TCBSuspend);
        CHECK(w.client->state == ThreadState::Inactive);
        CHECK(w.client->context.pc == before.pc);
        for (unsigned i = 0; i < 31; ++i) CHECK(w.client->context.x[i] == before.x[i]);
        w.resume(w.client);
        w.run(w.client);
        w.execute();
        CHECK(w.client->state == ThreadState::BlockedOnSend);
    }
    SECTION("a receiver, as a Recv after ReplyRecv") {
        w.run(w.server);
        Word pc = w.server->context.pc;
        w.syscall(Syscall::ReplyRecv, w.endpoint, {}, w.reply);
        w.resume(w.server);
        CHECK(w.server->state == ThreadState::Running);
        CHECK(w.server->context.pc == pc);
        CHECK(w.server->context.x[reg::number] == static_cast<Word>(Syscall::Recv));
        CHECK(w.object<Reply>(w.reply).tcb == nullptr);
    }
    SECTION("a waiter") {
        Word notification = w.make(ObjectType::Notification);
        w.run(w.client);
        Word pc = w.client->context.pc;
        w.syscall(Syscall::Wait, notification);
        CHECK(w.client->state == ThreadState::BlockedOnNotification);
        w.resume(w.client);
        CHECK(w.client->context.pc == pc);
        CHECK(w.object<Notification>(notification).state == Notification::State::Idle);
    }
    SECTION("a caller that waits for its reply returns from the call") {
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        w.prepare(Syscall::Call, w.endpoint, {.label = 5, .words = count_up(12)});
        Word after = w.client->context.pc + svc_bytes;
        w.execute();
        w.must(w.client.tcb, Method::TCBSuspend);
        CHECK(w.client->state == ThreadState::Inactive);
        CHECK(w.object<Reply>(w.reply).tcb == nullptr);
        w.resume(w.client);
        CHECK(w.client->context.pc == after);
        CHECK(w.answer(w.client) == failure(Error::CallCancelled));
        // The late answer goes nowhere.
        w.run(w.server);
        w.syscall(Syscall::Send, w.reply, {.label = 6});
        CHECK(w.answer(w.client) == failure(Error::CallCancelled));
    }
}

TEST_CASE("the deletion of an endpoint or notification wakes everyone", "[ipc]") {
    World w;
    std::vector<Thread> threads;
    for (unsigned i = 0; i < 5; ++i) threads.push_back(w.start_thread(10 + i));
    Word endpoint = w.make(ObjectType::Endpoint);
    Word notification = w.make(ObjectType::Notification);
    Word reply = w.make(ObjectType::Reply);
    Syscall number = GENERATE(Syscall::Send, Syscall::Call, Syscall::Recv, Syscall::Wait);
    bool preempted = GENERATE(false, true);
    Word object = number == Syscall::Wait ? notification : endpoint;
    std::vector<Word> pcs;
    for (const Thread& thread : threads) {
        w.run(thread);
        pcs.push_back(thread->context.pc);
        w.syscall(number, object, {}, number == Syscall::Recv ? reply : 0);
    }
    w.take_over();
    host::hardware.always_pending = preempted;
    REQUIRE_OK(w.remove(object));
    host::hardware.always_pending = false;
    CHECK(w.restarts() == (preempted ? 4 : 0));
    for (unsigned i = 0; i < threads.size(); ++i) {
        CHECK(threads[i]->state == ThreadState::Running);
        CHECK(threads[i]->context.pc == pcs[i]);
    }
    CHECK(w.slot(object).empty());
}

TEST_CASE("a reply object that is used again lets its caller go", "[ipc]") {
    Pair w;
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    w.run(w.client);
    w.syscall(Syscall::Call, w.endpoint, {});
    w.run(w.server);
    w.syscall(Syscall::NBRecv, w.endpoint, {}, w.reply);
    CHECK(w.answer(w.client) == failure(Error::CallCancelled));
    CHECK(w.client->state == ThreadState::Running);
    CHECK(w.object<Reply>(w.reply).tcb == nullptr);
}

TEST_CASE("a reply object that another receiver uses leaves the first without", "[ipc]") {
    Pair w;
    w.run(w.server);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    Thread second = w.start_thread(10);
    w.run(second);
    w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
    CHECK(w.server->state == ThreadState::BlockedOnReceive);
    CHECK(w.server->reply == nullptr);
    CHECK(second->reply == &w.object<Reply>(w.reply));
    REQUIRE_OK(w.remove(w.reply));
    CHECK(second->reply == nullptr);
    CHECK(second->state == ThreadState::BlockedOnReceive);
}

// -- Notifications

TEST_CASE("signals are or-ed, and taken together", "[ipc]") {
    Pair w;
    Word notification = w.make(ObjectType::Notification);
    Word one = w.mint(notification, 1, send_only);
    Word six = w.mint(notification, 6, send_only);
    w.run(w.client);
    w.syscall(Syscall::NBWait, notification);
    CHECK(w.answer(w.client) == success());
    for (Word cap : {one, six}) {
        w.syscall(Syscall::Send, cap, {.label = 1, .words = {3}});
        CHECK(w.answer(w.client) == success());
    }
    for (unsigned i = 0; i < register_words; ++i) w.client->context.x[reg::word(i)] = 0xdead;
    w.syscall(Syscall::Wait, notification);
    CHECK(w.answer(w.client) == notified_with(7));
    CHECK(w.client->context.x[reg::info] == abi::notification_message_info);
    for (unsigned i = 0; i < register_words; ++i) CHECK(w.client->context.x[reg::word(i)] == 0);
    w.syscall(Syscall::Wait, notification);
    CHECK(w.client->state == ThreadState::BlockedOnNotification);
    w.run(w.server);
    w.syscall(Syscall::Call, six);
    CHECK(w.answer(w.client) == notified_with(6));
    w.syscall(Syscall::NBSendWait, notification, {}, 0, one);
    CHECK(w.answer(w.server) == notified_with(1));
}

TEST_CASE("rights of notifications", "[ipc]") {
    Pair w;
    Word notification = w.make(ObjectType::Notification);
    Word no_send = w.copy(notification, receive_only);
    Word no_wait = w.copy(notification, send_only);
    w.run(w.client);
    w.syscall(Syscall::Send, no_send);
    CHECK(w.answer(w.client) == failure(Error::InvalidCapability, {0}));
    w.syscall(Syscall::Wait, no_wait);
    CHECK(w.client->state == ThreadState::Inactive);
}

TEST_CASE("a bound notification ends a receive", "[ipc]") {
    Pair w;
    Word notification = w.make(ObjectType::Notification);
    Word badged = w.mint(notification, 5);
    w.must(w.server.tcb, Method::TCBBindNotification, {}, {notification});
    SECTION("while the thread receives") {
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        w.syscall(Syscall::Send, badged);
        CHECK(w.server->state == ThreadState::Running);
        CHECK(w.answer(w.server) == notified_with(5));
        CHECK(w.object<Reply>(w.reply).tcb == nullptr);
        CHECK(w.object<Endpoint>(w.endpoint).queue.empty());
    }
    SECTION("before it receives, and before a sender that waits") {
        w.run(w.client);
        w.syscall(Syscall::Send, badged);
        w.syscall(Syscall::Send, w.endpoint, {.label = 1});
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        CHECK(w.answer(w.server) == notified_with(5));
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        CHECK(w.answer(w.server).label == 1);
    }
    SECTION("nobody else can wait on it") {
        w.run(w.client);
        w.syscall(Syscall::Wait, notification);
        CHECK(w.client->state == ThreadState::Inactive);
        w.run(w.server);
        w.syscall(Syscall::Wait, notification);
        CHECK(w.server->state == ThreadState::BlockedOnNotification);
    }
    SECTION("but not if it was active before it was bound") {
        w.must(w.server.tcb, Method::TCBUnbindNotification);
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.run(w.client);
        w.syscall(Syscall::Send, w.mint(notification, 2));
        w.must(w.server.tcb, Method::TCBBindNotification, {}, {notification});
        w.syscall(Syscall::Send, badged);
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
        CHECK(w.object<Notification>(notification).word == 7);
    }
    SECTION("unbound, it does not") {
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        w.must(w.server.tcb, Method::TCBUnbindNotification);
        w.run(w.client);
        w.syscall(Syscall::Send, badged);
        CHECK(w.server->state == ThreadState::BlockedOnReceive);
    }
}

TEST_CASE("a notification lends its context", "[ipc]") {
    Passive w;
    Word notification = w.make(ObjectType::Notification);
    Word lent = w.make_context({});
    SchedContext* context = &w.object<SchedContext>(lent);
    w.must(lent, Method::SchedContextBind, {}, {notification});
    SECTION("to a thread that waits on it, and takes it back") {
        w.resume(w.server);
        w.must(w.starter, Method::SchedContextBind, {}, {w.server.tcb});
        w.run(w.server);
        w.syscall(Syscall::Wait, notification);
        w.must(w.starter, Method::SchedContextUnbind);
        w.run(w.client);
        w.syscall(Syscall::Send, notification);
        CHECK(w.server->sched_context == context);
        w.run(w.server);
        w.syscall(Syscall::Wait, notification);
        CHECK(w.server->sched_context == nullptr);
        CHECK(context->tcb == nullptr);
    }
    SECTION("to a passive server that it is bound to") {
        w.must(w.server.tcb, Method::TCBBindNotification, {}, {notification});
        w.serve();
        w.run(w.client);
        w.syscall(Syscall::Send, notification);
        CHECK(w.server->sched_context == context);
        w.run(w.server);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        CHECK(w.server->sched_context == nullptr);
    }
    SECTION("at once, when a reply takes the server's context away and a signal is there") {
        w.must(w.server.tcb, Method::TCBBindNotification, {}, {notification});
        w.serve();
        Word handled = w.make(ObjectType::Endpoint);
        w.must(w.client.tcb, Method::TCBSetSpace, {0, 0}, {handled, World::cap(InitSlot::CNode), World::cap(InitSlot::VSpace)});
        w.run(w.client);
        w.syscall(Syscall::Call, w.endpoint);
        REQUIRE(w.current() == w.server.object);
        w.syscall(Syscall::Send, notification);
        w.syscall(Syscall::ReplyRecv, w.endpoint, {}, w.reply);
        CHECK(w.server->sched_context == context);
        CHECK(w.answer(w.server).unwrapped == 7);
    }
}

TEST_CASE("a fault handler's refusal and a signal change the context that is charged", "[ipc]") {
    Passive w;
    Word notification = w.make(ObjectType::Notification);
    Word lent = w.make_context({});
    w.must(lent, Method::SchedContextBind, {}, {notification});
    w.must(w.server.tcb, Method::TCBBindNotification, {}, {notification});
    w.must(w.client.tcb, Method::TCBSetSpace, {0, 0}, {w.endpoint, World::cap(InitSlot::CNode), World::cap(InitSlot::VSpace)});
    w.serve();
    w.run(w.client);
    w.user_exception(0);
    REQUIRE(w.current() == w.server.object);
    w.syscall(Syscall::Send, notification);
    w.syscall(Syscall::ReplyRecv, w.endpoint, {.label = 1}, w.reply);
    CHECK(w.client->state == ThreadState::Inactive);
    CHECK(w.current() == w.server.object);
    CHECK(w.core().current_sched_context == &w.object<SchedContext>(lent));
}

// -- Phases

TEST_CASE("NBSendRecv survives an invocation that is preempted", "[ipc]") {
    Pair w;
    Word target = w.fresh();
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 4, .words = {44}});
    w.run(w.server);
    host::hardware.pending_at = 1;
    // Sixteen pages take several steps; the first is preempted.
    w.syscall(Syscall::NBSendRecv, w.endpoint,
              {.label = static_cast<Word>(Method::UntypedRetype),
               .words = {static_cast<Word>(ObjectType::CNode), 11, 0, 0, target, 1},
               .caps = {World::cap(InitSlot::CNode)}},
              w.reply, w.memory());
    CHECK(w.restarts() == 1);
    CHECK(w.slot(target).cap.is(CapType::CNode));
    CHECK(w.answer(w.server) == Answer{.label = 4, .words = {44}});
}

TEST_CASE("a thread that suspends itself in a send phase goes on with the receive", "[ipc]") {
    Pair w;
    w.run(w.client);
    Word pc = w.client->context.pc;
    w.syscall(Syscall::NBSendRecv, w.endpoint, {static_cast<Word>(Method::TCBSuspend)}, w.reply, w.client.tcb);
    CHECK(w.client->state == ThreadState::Inactive);
    CHECK(w.client->context.pc == pc);
    w.resume(w.client);
    w.run(w.client);
    w.execute();
    CHECK(w.client->state == ThreadState::BlockedOnReceive);
}

TEST_CASE("what a send phase would report is lost, and disturbs nothing", "[ipc]") {
    Pair w;
    Word empty = w.fresh();
    Word no_send = w.copy(w.endpoint, receive_only);
    w.run(w.client);
    w.syscall(Syscall::Send, w.endpoint, {.label = 4, .words = {44}});
    w.run(w.server);
    SECTION("an invocation with a result") {
        w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = static_cast<Word>(Method::FrameGetAddress)}, w.reply, w.server.buffer);
    }
    SECTION("an invocation that fails") { w.syscall(Syscall::NBSendRecv, w.endpoint, {.label = 12345}, w.reply, w.server.buffer); }
    SECTION("an address that does not resolve") { w.syscall(Syscall::NBSendRecv, w.endpoint, {}, w.reply, empty); }
    SECTION("a missing right") { w.syscall(Syscall::NBSendRecv, w.endpoint, {}, w.reply, no_send); }
    CHECK(w.answer(w.server) == Answer{.label = 4, .words = {44}});
}

TEST_CASE("NBSend of an invocation tells its result, or nothing", "[ipc]") {
    Pair w;
    w.run(w.client);
    w.syscall(Syscall::NBSend, w.client.buffer, {.label = static_cast<Word>(Method::FrameUnmap)});
    CHECK(w.answer(w.client) == success());
    w.syscall(Syscall::NBSend, w.client.buffer, {.label = 12345});
    CHECK(w.answer(w.client) == failure(Error::IllegalOperation));
    w.syscall(Syscall::NBSend, 4000, {.label = 12345});
    CHECK(w.answer(w.client) == success());
    w.syscall(Syscall::NBSend, w.client.buffer, {.label = static_cast<Word>(Method::FrameMap), .words = {0, 0, 0}, .caps = {~Word{0}}});
    CHECK(w.answer(w.client) == success());
}

TEST_CASE("a debug build knows the debug system calls", "[ipc]") {
    World w;
    w.prepare(Syscall::DebugPutChar, 'x');
    w.execute();
    CHECK(host::hardware.console == "x");
    w.prepare(Syscall::DebugCapIdentify, World::cap(InitSlot::Domain));
    w.execute();
    CHECK(w.current()->context.x[0] == static_cast<Word>(CapType::Domain));
    w.prepare(Syscall::DebugCapIdentify, ~Word{0});
    w.execute();
    CHECK(w.current()->context.x[0] == 0);
    w.prepare(Syscall::DebugHalt, 0);
    CHECK_THROWS_AS(w.execute(), host::Halt);
}
