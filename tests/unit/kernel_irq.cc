// SPDX-License-Identifier: BSD-2-Clause
// Cases of interrupts: handlers and their notifications, software-generated interrupts, SError.
#include "world.hpp"

#include "caprock/decode.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace caprock;
using namespace caprock::test;
using abi::LookupFailure;
using host::Effect;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);

}  // namespace

TEST_CASE("checks of IRQControl::Get, in order", "[irq]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word slot = w.fresh();
    constexpr Word control = World::cap(InitSlot::IRQControl);
    auto get = [&](Word irq, Word trigger, Word index, Word depth) {
        return w.invoke(control, Method::IRQControlGet, {irq, trigger, index, depth}, {root_cnode});
    };
    for (Word none : {Word{0}, Word{1}, Word{288}, Word{1019}, Word{1021}, Word{1023}, Word{1} << 32 | 50, ~Word{0}})
        CHECK(get(none, 2, endpoint, 0) == failure(Error::RangeError, {2, 287}));
    CHECK(get(World::control_irq, 2, endpoint, 0) == failure(Error::RangeError, {0, 1}));
    CHECK(get(World::control_irq, 0, endpoint, 0) == failure(Error::RevokeFirst));
    CHECK(get(27, 0, endpoint, 0) == failure(Error::RevokeFirst));
    CHECK(get(50, 0, endpoint, 0) == failure(Error::RangeError, {1, 64}));
    CHECK(get(50, 0, endpoint, 64) == failure(Error::DeleteFirst));
    CHECK(get(50, 0, ~Word{0}, 64) == failed_lookup(false, LookupFailure::GuardMismatch, 64, 0, 52));
    REQUIRE_OK(get(50, 1, slot, 64));
    CHECK(hardware.saw({Effect::Configure, 50, 1}));
    CHECK(w.slot(slot).cap.is(CapType::IRQHandler));
    hardware.interrupts = abi::irq_serror;
    CHECK(get(1021, 0, w.fresh(), 64) == failure(Error::RangeError, {2, 1019}));
    REQUIRE_OK(get(1019, 0, w.fresh(), 64));
}

namespace {

struct Interrupting : World {
    Word notification = make(ObjectType::Notification);
    Word badged = mint(notification, 9);
    Word handler = fresh();
    Thread driver = start_thread(10);
    Interrupting() { must(World::cap(InitSlot::IRQControl), Method::IRQControlGet, {60, 0, handler, 64}, {root_cnode}); }
};

}  // namespace

TEST_CASE("an interrupt signals its notification, and waits for the acknowledgement", "[irq]") {
    Interrupting w;
    REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.badged}));
    CHECK(hardware.masked.at(60) == false);
    w.run(w.driver);
    w.syscall(Syscall::Wait, w.notification);
    hardware.effects.clear();
    w.interrupt(60);
    CHECK(w.current() == w.driver.object);
    CHECK(w.answer(w.driver).badge == 9);
    CHECK(hardware.saw({Effect::PriorityDrop, 60, 0}));
    CHECK(!hardware.saw({Effect::Deactivate, 60, 0}));
    REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerAck));
    CHECK(hardware.saw({Effect::Deactivate, 60, 0}));
}

TEST_CASE("an interrupt without a notification is masked", "[irq]") {
    Interrupting w;
    REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.badged}));
    SECTION("cleared") { REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerClear)); }
    SECTION("the notification was revoked") {
        REQUIRE_OK(w.revoke(w.notification));
        CHECK(w.kernel().irq_notifications[60].empty());
    }
    SECTION("the handler was deleted") {
        REQUIRE_OK(w.remove(w.handler));
        CHECK(!w.kernel().irq_issued[60]);
        CHECK(hardware.saw({Effect::Deactivate, 60, 0}));
    }
    hardware.masked[60] = false;
    hardware.effects.clear();
    w.interrupt(60);
    CHECK(hardware.masked.at(60));
    CHECK(hardware.saw({Effect::Deactivate, 60, 0}));
}

TEST_CASE("handlers are copies of one another, and children of IRQControl", "[irq]") {
    Interrupting w;
    Word copy = w.copy(w.handler);
    REQUIRE_OK(w.remove(w.handler));
    CHECK(w.kernel().irq_issued[60]);
    REQUIRE_OK(w.invoke(copy, Method::IRQHandlerSetNotification, {}, {w.badged}));
    Word moved = w.fresh();
    w.must(root_cnode, Method::CNodeMove, {moved, 64, World::cap(InitSlot::IRQControl), 64}, {root_cnode});
    // That takes the handler of this test's own control interrupt too: nothing after it needs the root task to come back.
    REQUIRE_OK(w.revoke(moved));
    CHECK(!w.kernel().irq_issued[60]);
    CHECK(!w.kernel().irq_issued[World::control_irq]);
    CHECK(w.kernel().irq_notifications[60].empty());
}

TEST_CASE("an interrupt's notification that is replaced wakes its waiters when it was the last", "[irq]") {
    Interrupting w;
    REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.notification}));
    Thread second = w.start_thread(11);
    for (const Thread* thread : {&w.driver, &second}) {
        w.run(*thread);
        w.syscall(Syscall::Wait, w.notification);
    }
    REQUIRE_OK(w.remove(w.badged));
    REQUIRE_OK(w.remove(w.notification));
    CHECK(w.driver->state == ThreadState::BlockedOnNotification);
    Word other = w.make(ObjectType::Notification);
    CHECK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.driver.tcb}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.copy(other, CapRights::make(0, 1, 0, 0))}) ==
          failure(Error::InvalidCapability, {1}));
    hardware.pending_at = 1;
    REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {other}));
    CHECK(w.restarts() == 1);
    CHECK(w.driver->state == ThreadState::Running);
    CHECK(second->state == ThreadState::Running);
    CHECK(w.kernel().irq_notifications[60].cap.object() == w.slot(other).cap.object());
}

TEST_CASE("an interrupt keeps coming while the deletion of its handler is not over", "[irq]") {
    Interrupting w;
    REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.badged}));
    Thread second = w.start_thread(11);
    Thread third = w.start_thread(12);
    for (const Thread* thread : {&w.driver, &second, &third}) {
        w.run(*thread);
        w.syscall(Syscall::Wait, w.notification);
    }
    REQUIRE_OK(w.remove(w.badged));
    REQUIRE_OK(w.remove(w.notification));
    w.take_over();
    hardware.pending_at = 1;
    w.prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {w.handler, World::full_depth}, {}});
    w.execute();
    // Whoever was to delete it may never go on.
    CHECK(third->state == ThreadState::Running);
    CHECK(second->state == ThreadState::BlockedOnNotification);
    CHECK(hardware.masked.at(60) == false);
    w.root()->context.pc += svc_bytes;
    w.interrupt(60);
    CHECK(w.answer(second).badge == 9);
    REQUIRE_OK(w.remove(w.handler));
    CHECK(hardware.masked.at(60));
    CHECK(w.driver->state == ThreadState::Running);
}

TEST_CASE("spurious interrupts do nothing", "[irq]") {
    Interrupting w;
    hardware.effects.clear();
    w.interrupt(arch::no_irq);
    w.interrupt(5000);
    CHECK(hardware.effects.empty());
}

// -- Software-generated interrupts

namespace {

struct Software : World {
    static constexpr Word control = cap(InitSlot::IRQControl);
    Word notification = make(ObjectType::Notification);
    Thread waiter = start_thread(10);
    Answer get(Word irq, Word trigger, Word slot) { return invoke(control, Method::IRQControlGet, {irq, trigger, slot, 64}, {root_cnode}); }
    Answer issue(Word irq, Word target, Word index, Word depth = 64) {
        return invoke(control, Method::IRQControlIssueSGISignal, {irq, target, index, depth}, {root_cnode});
    }
    bool touched_controller() const {
        for (const Effect& effect : hardware.effects) {
            bool line = effect.kind == Effect::Mask || effect.kind == Effect::Unmask || effect.kind == Effect::Deactivate;
            if (line && effect.a < 16) return true;
        }
        return false;
    }
};

}  // namespace

TEST_CASE("checks of IRQControl::IssueSGISignal, in order", "[irq]") {
    Software w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word slot = w.fresh();
    w.kernel().core_count = 4;
    for (Word none : {Word{0}, Word{1}, Word{16}, Word{1} << 32 | 3, ~Word{0}})
        CHECK(w.issue(none, 4, endpoint, 0) == failure(Error::RangeError, {2, 15}));
    for (Word none : {Word{4}, Word{256}, ~Word{0}}) CHECK(w.issue(2, none, endpoint, 0) == failure(Error::RangeError, {0, 3}));
    CHECK(w.issue(2, 3, endpoint, 0) == failure(Error::RangeError, {1, 64}));
    CHECK(w.issue(2, 3, endpoint, 65) == failure(Error::RangeError, {1, 64}));
    CHECK(w.issue(2, 3, ~Word{0}, 64) == failed_lookup(false, LookupFailure::GuardMismatch, 64, 0, 52));
    CHECK(w.issue(2, 3, endpoint, 64) == failure(Error::DeleteFirst));
    REQUIRE_OK(w.issue(2, 3, slot, 64));
    CHECK(w.slot(slot).cap.is(CapType::SGISignal));
    CHECK(is_parent(w.slot(Software::control), w.slot(slot)));
    REQUIRE_OK(w.issue(15, 0, w.fresh(), 64));
    CHECK(w.invoke(w.control, static_cast<Method>(abi::method_count), {1, 1, 1, 1}, {root_cnode}) == failure(Error::IllegalOperation));
}

TEST_CASE("a capability to a software-generated interrupt sends it, whatever the message", "[irq]") {
    Software w;
    w.kernel().core_count = 4;
    Word slot = w.fresh();
    REQUIRE_OK(w.issue(7, 2, slot));
    Word copy = w.copy(slot, CapRights{0});
    Syscall number = GENERATE(Syscall::Send, Syscall::NBSend, Syscall::Call);
    for (Word cap : {slot, copy}) {
        hardware.effects.clear();
        w.take_over();
        w.syscall(number, cap, {.label = 99, .words = {1, 2, 3}, .caps = {~Word{0}}});
        CHECK(w.answer(w.root()) == success());
        CHECK(hardware.saw({Effect::SendSgi, 7, 2}));
    }
    hardware.effects.clear();
    w.run(w.waiter);
    w.syscall(Syscall::NBSendWait, w.notification, {.label = 3}, 0, copy);
    CHECK(hardware.saw({Effect::SendSgi, 7, 2}));
    CHECK(w.waiter->state == ThreadState::BlockedOnNotification);
}

TEST_CASE("capabilities of a software-generated interrupt are siblings, and IRQControl's children", "[irq]") {
    Software w;
    Word slot = w.fresh();
    Word twin = w.fresh();
    REQUIRE_OK(w.issue(7, 0, slot));
    REQUIRE_OK(w.issue(7, 0, twin));
    Word copy = w.copy(slot);
    Word minted = w.mint(slot, 5);
    CHECK(w.slot(copy).cap == w.slot(slot).cap);
    CHECK(w.slot(minted).cap == w.slot(slot).cap);
    for (Word each : {copy, slot, twin}) {
        REQUIRE_OK(w.revoke(each));
        for (Word other : {copy, slot, twin, minted}) CHECK(!w.slot(other).empty());
    }
    hardware.effects.clear();
    REQUIRE_OK(w.remove(slot));
    CHECK(!w.touched_controller());
    Word moved = w.fresh();
    w.must(root_cnode, Method::CNodeMove, {moved, 64, Software::control, 64}, {root_cnode});
    REQUIRE_OK(w.revoke(moved));
    for (Word each : {copy, twin, minted}) CHECK(w.slot(each).empty());
}

TEST_CASE("a software-generated interrupt signals its handler's notification, and needs no Ack", "[irq]") {
    Software w;
    Word handler = w.fresh();
    Word irq = GENERATE(2u, 15u);
    hardware.effects.clear();
    // The trigger is ignored, as far as it is one.
    CHECK(w.get(irq, 2, handler) == failure(Error::RangeError, {0, 1}));
    REQUIRE_OK(w.get(irq, GENERATE(0u, 1u), handler));
    CHECK(w.get(irq, 0, w.fresh()) == failure(Error::RevokeFirst));
    Word badged = w.mint(w.notification, 4);
    REQUIRE_OK(w.invoke(handler, Method::IRQHandlerSetNotification, {}, {badged}));
    w.run(w.waiter);
    w.syscall(Syscall::Wait, w.notification);
    for (unsigned i = 0; i < 2; ++i) {
        w.interrupt(irq);
        CHECK(w.current() == w.waiter.object);
        CHECK(w.answer(w.waiter).badge == 4);
        CHECK(hardware.saw({Effect::PriorityDrop, irq, 0}));
        w.syscall(Syscall::Wait, w.notification);
    }
    REQUIRE_OK(w.invoke(handler, Method::IRQHandlerAck));
    w.interrupt(irq);
    CHECK(w.answer(w.waiter).badge == 4);
    REQUIRE_OK(w.invoke(handler, Method::IRQHandlerClear));
    w.interrupt(irq);
    REQUIRE_OK(w.remove(handler));
    CHECK(!w.kernel().irq_issued[irq]);
    REQUIRE_OK(w.get(irq, 0, handler));
}

// -- SError

TEST_CASE("SError without a handler is dropped", "[irq]") {
    World w;
    Tcb* before = w.current();
    hardware.effects.clear();
    w.serror();
    CHECK(w.current() == before);
    CHECK(hardware.effects.empty());
    w.let_go();
    REQUIRE(w.current() == nullptr);
    w.serror();
    CHECK(w.current() == nullptr);
}

TEST_CASE("SError signals the notification of its handler, whoever runs", "[irq]") {
    Software w;
    Word handler = w.fresh();
    Word badged = w.mint(w.notification, 6);
    hardware.effects.clear();
    REQUIRE_OK(w.get(abi::irq_serror, 0, handler));
    CHECK(w.get(abi::irq_serror, 0, w.fresh()) == failure(Error::RevokeFirst));
    CHECK(as<IrqHandlerCap>(w.slot(handler).cap).number() == abi::irq_serror);
    REQUIRE_OK(w.invoke(handler, Method::IRQHandlerSetNotification, {}, {badged}));
    w.run(w.waiter);
    w.syscall(Syscall::Wait, w.notification);
    bool idle = GENERATE(true, false);
    Thread other = w.start_thread(5);
    if (idle) w.must(other.tcb, Method::TCBSuspend);
    w.let_go();
    REQUIRE(w.current() == (idle ? nullptr : other.object));
    Word pc = other->context.pc;
    for (unsigned i = 0; i < 2; ++i) {
        w.serror();
        CHECK(w.current() == w.waiter.object);
        CHECK(w.answer(w.waiter) == Answer{.badge = 6, .unwrapped = 7});
        w.syscall(Syscall::Wait, w.notification);
    }
    CHECK(other->context.pc == pc);
    CHECK(!other->faulted());
    // The interrupt controller has no such interrupt.
    REQUIRE_OK(w.invoke(handler, Method::IRQHandlerAck));
    SECTION("cleared") { REQUIRE_OK(w.invoke(handler, Method::IRQHandlerClear)); }
    SECTION("the handler is deleted") {
        REQUIRE_OK(w.remove(handler));
        CHECK(!w.kernel().irq_issued[abi::irq_serror]);
    }
    SECTION("the notification is revoked") { REQUIRE_OK(w.revoke(w.notification)); }
    w.serror();
    CHECK(w.waiter->state == ThreadState::BlockedOnNotification);
    for (const Effect& effect : hardware.effects) {
        bool controller = effect.kind == Effect::Mask || effect.kind == Effect::Unmask || effect.kind == Effect::Deactivate ||
                          effect.kind == Effect::Configure;
        CHECK(!(controller && effect.a == abi::irq_serror));
    }
}
