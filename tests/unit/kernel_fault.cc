// SPDX-License-Identifier: BSD-2-Clause
// Cases of faults: the message of each, what a reply does, threads without a handler, timeouts.
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace caprock;
using namespace caprock::test;
using abi::FaultLabel;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word root_vspace = World::cap(InitSlot::VSpace);

// A thread with a fault endpoint, badge 3, and a handler below it that waits there.
struct Faulting : World {
    Word endpoint = make(ObjectType::Endpoint);
    Word reply = make(ObjectType::Reply);
    Word badged = mint(endpoint, 3);
    Thread thread = start_thread(20);
    Thread handler = start_thread(10);

    Faulting() {
        must(thread.tcb, Method::TCBSetSpace, {0, 0}, {badged, root_cnode, root_vspace});
        run(handler);
        test::World::syscall(Syscall::Recv, endpoint, {}, reply);
        run(thread);
        for (unsigned i = 0; i < 31; ++i) thread->context.x[i] = 100 + i;
        thread->context.spsr = 0x6000'0040;
    }
    Answer received(FaultLabel label, std::vector<Word> words) {
        return {.badge = 3, .label = static_cast<Word>(label), .words = std::move(words)};
    }
    void respond(Message message) {
        run(handler);
        test::World::syscall(Syscall::Send, reply, message);
    }
};

}  // namespace

TEST_CASE("a fault on a capability", "[fault]") {
    Faulting w;
    Word pc = w.thread->context.pc;
    Word address = 0;
    bool receiving = GENERATE(false, true);
    Syscall number = receiving ? Syscall::Recv : Syscall::Send;
    SECTION("an empty slot") {
        address = 4000;
        w.syscall(number, address, {}, w.reply);
        CHECK(w.answer(w.handler) == w.received(FaultLabel::CapFault, {pc, address, receiving, 2, 0, 0, 0}));
    }
    SECTION("a guard that differs") {
        address = Word{1} << 60;
        w.syscall(number, address, {}, w.reply);
        CHECK(w.answer(w.handler) == w.received(FaultLabel::CapFault, {pc, address, receiving, 4, 64, 0, 52}));
    }
    CHECK(w.thread->state == ThreadState::BlockedOnReply);
    // The reply's label and words do not count: the system call executes again.
    w.respond({.label = 5, .words = {1, 2, 3}});
    CHECK(w.thread->state == ThreadState::Running);
    CHECK(w.thread->context.pc == pc);
    CHECK(w.thread->context.x[0] == address);
    CHECK(!w.thread->faulted());
}

TEST_CASE("a fault on a capability argument, on a reply object, on a missing right", "[fault]") {
    Faulting w;
    Word pc = w.thread->context.pc;
    SECTION("an argument") {
        w.syscall(Syscall::Call, w.thread.buffer, {static_cast<Word>(Method::FrameMap), {0, 0, 0}, {~Word{0}}});
        CHECK(w.answer(w.handler) == w.received(FaultLabel::CapFault, {pc, ~Word{0}, 0, 4, 64, 0, 52}));
    }
    SECTION("no reply object") {
        w.syscall(Syscall::Recv, w.endpoint, {}, w.endpoint);
        CHECK(w.answer(w.handler) == w.received(FaultLabel::CapFault, {pc, w.endpoint, 1, 2, 0, 0, 0}));
    }
    SECTION("what cannot be received from") {
        w.syscall(Syscall::Wait, w.thread.tcb);
        CHECK(w.answer(w.handler) == w.received(FaultLabel::CapFault, {pc, w.thread.tcb, 1, 2, 0, 0, 0}));
    }
    SECTION("the receive phase of ReplyRecv, which is all that is left") {
        w.syscall(Syscall::ReplyRecv, 4000, {}, w.reply);
        CHECK(w.thread->context.x[reg::number] == static_cast<Word>(Syscall::Recv));
        CHECK(w.thread->context.pc == pc);
    }
}

TEST_CASE("a system call that does not exist", "[fault]") {
    Faulting w;
    Word number = GENERATE(0u, 12u, 130u, 255u);
    Word pc = w.thread->context.pc;
    w.thread->context.x[7] = number;
    Context before = w.thread->context;
    w.execute();
    std::vector<Word> words(before.x, before.x + 8);
    words.insert(words.end(), {pc, before.sp, before.x[30], before.spsr, number});
    CHECK(w.answer(w.handler) == w.received(FaultLabel::UnknownSyscall, words));
    for (unsigned i = 0; i < 31; ++i) CHECK(w.thread->context.x[i] == before.x[i]);
    SECTION("the reply sets registers in order, as many as it has") {
        w.respond({.words = {1, 2, 3, 4, 5, 6, 7, 8, pc + 4, 0x7000, 0x8000, 0xffff'ffff}});
        for (unsigned i = 0; i < 8; ++i) CHECK(w.thread->context.x[i] == 1 + i);
        CHECK(w.thread->context.pc == pc + 4);
        CHECK(w.thread->context.sp == 0x7000);
        CHECK(w.thread->context.x[30] == 0x8000);
        CHECK(w.thread->context.spsr == 0xf000'0040);
        CHECK(w.thread->context.x[9] == before.x[9]);
        CHECK(w.thread->state == ThreadState::Running);
    }
    SECTION("a short reply leaves the rest") {
        w.respond({.words = {1, 2}});
        CHECK(w.thread->context.x[1] == 2);
        CHECK(w.thread->context.x[2] == before.x[2]);
        CHECK(w.thread->context.pc == pc);
    }
    SECTION("a label leaves the thread inactive") {
        w.respond({.label = 1, .words = {1}});
        CHECK(w.thread->state == ThreadState::Inactive);
        CHECK(!w.thread->faulted());
    }
}

TEST_CASE("an exception of user level", "[fault]") {
    Faulting w;
    Context before = w.thread->context;
    w.user_exception(0x1234'5678);
    CHECK(w.answer(w.handler) ==
          w.received(FaultLabel::UserException, {before.pc, before.sp, before.spsr, 0x1234'5678 >> 26, 0x1234'5678}));
    SECTION("label 0 goes on") {
        w.respond({.words = {0x9000, 0xa000, 0xffff'ffff}});
        CHECK(w.thread->context.pc == 0x9000);
        CHECK(w.thread->context.sp == 0xa000);
        CHECK(w.thread->context.spsr == 0xf000'0040);
        CHECK(w.thread->state == ThreadState::Running);
    }
    SECTION("another does not") {
        w.respond({.label = 2});
        CHECK(w.thread->state == ThreadState::Inactive);
        CHECK(w.thread->context.pc == before.pc);
    }
}

TEST_CASE("a fault on memory", "[fault]") {
    Faulting w;
    Context before = w.thread->context;
    bool fetch = GENERATE(false, true);
    w.vm_fault(0x92000007, 0xdead'0000, fetch);
    CHECK(w.answer(w.handler) == w.received(FaultLabel::VMFault, {before.pc, 0xdead'0000, fetch, 0x92000007}));
    w.respond({.label = 7, .words = {1, 2, 3}});
    CHECK(w.thread->state == ThreadState::Running);
    CHECK(w.thread->context.pc == before.pc);
}

TEST_CASE("a thread without a usable fault endpoint stops", "[fault]") {
    Faulting w;
    SECTION("none") { w.must(w.thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace}); }
    SECTION("it was deleted") {
        REQUIRE_OK(w.revoke(w.endpoint));
        REQUIRE_OK(w.remove(w.endpoint));
    }
    w.run(w.thread);
    w.vm_fault(1, 2, false);
    CHECK(w.thread->state == ThreadState::Inactive);
    CHECK(!w.thread->faulted());
}

TEST_CASE("a fault that waits for its handler", "[fault]") {
    Faulting w;
    w.must(w.handler.tcb, Method::TCBSuspend);
    w.run(w.thread);
    w.vm_fault(1, 2, false);
    REQUIRE(w.thread->state == ThreadState::BlockedOnSend);
    SECTION("is resumed: the fault is over, the instruction executes again") {
        Word pc = w.thread->context.pc;
        w.resume(w.thread);
        CHECK(w.thread->context.pc == pc);
        CHECK(!w.thread->faulted());
    }
    SECTION("its endpoint goes: it becomes inactive") {
        REQUIRE_OK(w.revoke(w.endpoint));
        REQUIRE_OK(w.remove(w.endpoint));
        CHECK(w.thread->state == ThreadState::Inactive);
        CHECK(!w.thread->faulted());
    }
    SECTION("comes when the handler receives") {
        w.resume(w.handler);
        w.run(w.handler);
        w.syscall(Syscall::Recv, w.endpoint, {}, w.reply);
        CHECK(w.answer(w.handler).label == static_cast<Word>(FaultLabel::VMFault));
    }
    SECTION("comes to a handler that cannot answer: the fault is over, and what the thread sends later is its own") {
        w.resume(w.handler);
        w.run(w.handler);
        w.syscall(Syscall::Wait, w.endpoint);
        CHECK(w.thread->state == ThreadState::Inactive);
        CHECK(!w.thread->faulted());
        w.resume(w.thread);
        w.run(w.handler);
        w.syscall(Syscall::Wait, w.endpoint);
        w.run(w.thread);
        w.syscall(Syscall::Send, w.endpoint, {.label = 9, .words = {1}});
        CHECK(w.answer(w.handler) == Answer{.label = 9, .words = {1}});
    }
}

TEST_CASE("a faulter whose reply object goes stays where it is", "[fault]") {
    Faulting w;
    Word pc = w.thread->context.pc;
    w.vm_fault(1, 2, false);
    REQUIRE_OK(w.remove(w.reply));
    CHECK(w.thread->state == ThreadState::Inactive);
    CHECK(w.thread->context.pc == pc);
    CHECK(w.thread->context.x[0] == 100);
}

TEST_CASE("a passive fault handler runs on the faulter's context", "[fault]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Word starter = w.make_context({});
    Thread thread = w.start_thread(20);
    Thread handler = w.make_thread(10);
    w.must(thread.tcb, Method::TCBSetSpace, {0, 0}, {endpoint, root_cnode, root_vspace});
    w.resume(handler);
    w.must(starter, Method::SchedContextBind, {}, {handler.tcb});
    w.run(handler);
    bool flag = GENERATE(false, true);
    w.syscall(Syscall::Recv, endpoint, {}, reply, 0, flag ? abi::syscall_flag_require_donation : 0);
    w.must(starter, Method::SchedContextUnbind);
    w.run(thread);
    w.vm_fault(1, 2, false);
    CHECK(w.current() == handler.object);
    w.syscall(Syscall::ReplyRecv, endpoint, {}, reply);
    CHECK(w.current() == thread.object);
}

TEST_CASE("the end of a budget", "[fault]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Thread handler = w.start_thread(30);
    Thread thread = w.make_thread(20, Budget{.budget_us = 1000, .period_us = 10'000, .badge = 55});
    w.resume(thread);
    bool with_handler = GENERATE(true, false);
    if (with_handler) w.must(thread.tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint});
    w.run(handler);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    w.run(thread);
    Word start = hardware.time;
    CHECK(hardware.deadline == start + 62'500);
    hardware.time += 62'500;
    w.timer();
    if (with_handler) {
        CHECK(w.answer(handler) == Answer{.label = static_cast<Word>(FaultLabel::Timeout), .words = {55, 1000}});
        CHECK(w.object<SchedContext>(thread.context).consumed == Ticks(0));
        CHECK(thread->state == ThreadState::BlockedOnReply);
        Word label = GENERATE(0u, 1u);
        w.run(handler);
        w.syscall(Syscall::Send, reply, {.label = label, .words = {1, 2, 3}});
        CHECK(thread->state == (label == 0 ? ThreadState::Running : ThreadState::Inactive));
        CHECK(thread->release.linked() == (label == 0));
    } else {
        CHECK(thread->release.linked());
        CHECK(w.current() == nullptr);
        CHECK(hardware.deadline == start + 625'000);
        hardware.time = start + 625'000;
        w.timer();
        CHECK(w.current() == thread.object);
    }
}

TEST_CASE("the words of a reply to a timeout become registers, a prefix without the thread pointers", "[fault]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Thread handler = w.start_thread(30);
    Thread thread = w.make_thread(20, Budget{.budget_us = 1000, .period_us = 10'000});
    w.resume(thread);
    w.must(thread.tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint});
    w.run(handler);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    w.run(thread);
    hardware.time += 62'500;
    w.timer();
    REQUIRE(thread->fault.label == FaultLabel::Timeout);
    Context before = thread->context;
    unsigned count = GENERATE(0u, 1u, 3u, 12u);
    std::vector<Word> words;
    for (unsigned i = 0; i < count; ++i) words.push_back(0x1000 + i);
    w.run(handler);
    w.syscall(Syscall::Send, reply, {.words = words});
    CHECK(thread->context.pc == (count > 0 ? 0x1000 : before.pc));
    CHECK(thread->context.sp == (count > 1 ? 0x1001 : before.sp));
    CHECK(thread->context.spsr == (count > 2 ? arch::sanitise_spsr(0x1002) : before.spsr));
    for (unsigned i = 0; i < 9; ++i) CHECK(thread->context.x[i] == (i + 3 < count ? 0x1003 + i : before.x[i]));
    CHECK(thread->context.x[9] == before.x[9]);
}

TEST_CASE("a server whose caller's budget ends raises the timeout itself", "[fault]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Word timeouts = w.make(ObjectType::Endpoint);
    Word timeout_reply = w.make(ObjectType::Reply);
    Word starter = w.make_context({});
    Thread client = w.make_thread(20, Budget{.budget_us = 1000, .period_us = 10'000, .badge = 7});
    Thread server = w.make_thread(25);
    Thread handler = w.start_thread(30);
    w.resume(client);
    w.resume(server);
    w.must(server.tcb, Method::TCBSetTimeoutEndpoint, {}, {timeouts});
    w.must(starter, Method::SchedContextBind, {}, {server.tcb});
    w.run(server);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    w.must(starter, Method::SchedContextUnbind);
    w.run(handler);
    w.syscall(Syscall::Recv, timeouts, {}, timeout_reply);
    w.run(client);
    w.syscall(Syscall::Call, endpoint);
    REQUIRE(w.current() == server.object);
    hardware.time += 70'000;
    w.timer();
    CHECK(w.current() == handler.object);
    CHECK(w.answer(handler) == Answer{.label = static_cast<Word>(FaultLabel::Timeout), .words = {7, 1120}});
    CHECK(server->state == ThreadState::BlockedOnReply);
    CHECK(client->state == ThreadState::BlockedOnReply);
}

TEST_CASE("a handler without a buffer receives the first words of a long fault message", "[fault]") {
    Faulting w;
    w.must(w.handler.tcb, Method::TCBSetIPCBuffer, {0}, {0});
    w.run(w.thread);
    w.thread->context.x[7] = 200;
    w.execute();
    MessageInfo info{w.handler->context.x[reg::info]};
    CHECK(info.label() == static_cast<Word>(FaultLabel::UnknownSyscall));
    CHECK(info.length() == register_words);
    for (unsigned i = 0; i < 8; ++i) CHECK(w.handler->context.x[reg::word(i)] == w.thread->context.x[i]);
}

TEST_CASE("a handler whose endpoint gives only the right to answer with capabilities serves as well", "[fault]") {
    Faulting w;
    CapRights rights = GENERATE(CapRights::make(1, 0, 1, 0), CapRights::make(1, 0, 0, 1));
    Word other = w.copy(w.endpoint, rights);
    w.must(w.thread.tcb, Method::TCBSetSpace, {0, 0}, {other, root_cnode, root_vspace});
    w.run(w.thread);
    w.vm_fault(1, 2, false);
    CHECK(w.answer(w.handler).label == static_cast<Word>(FaultLabel::VMFault));
    CHECK(w.thread->state == ThreadState::BlockedOnReply);
}
