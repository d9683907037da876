// SPDX-License-Identifier: BSD-2-Clause
// Cases of operations that can be preempted: the state afterwards is that of an undisturbed run, wherever the interrupts came. What others do
// between two parts of an operation breaks nothing.
#include "preemption.hpp"
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstring>
#include <functional>

using namespace caprock;
using namespace caprock::test;
using host::Effect;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word root_vspace = World::cap(InitSlot::VSpace);
constexpr Word depth = World::full_depth;

// A world that is made without checks, as it is made many times.
struct Quick : World {
    Quick() {
        set_deep(false);
        set_checking(false);
    }
};

// Eight threads of mixed priorities that wait, with badges 5 and 6 in turn.
struct Crowd : Quick {
    static constexpr unsigned size = 8;
    static constexpr unsigned priorities[size] = {10, 20, 20, 20, 30, 10, 30, 40};
    static constexpr Word badges[size] = {5, 6, 5, 5, 6, 6, 5, 5};
    Word memory = make(ObjectType::Untyped, 16);
    Word endpoint = make_in(memory, ObjectType::Endpoint);
    Word notification = make_in(memory, ObjectType::Notification);
    Word badged[7] = {};
    Thread threads[size];

    Crowd() {
        for (Word badge : {5u, 6u}) badged[badge] = mint(endpoint, badge);
        for (unsigned i = 0; i < size; ++i) threads[i] = start_thread(priorities[i]);
        set_checking(true);
    }
    // Everybody executes a system call and waits.
    void each(const std::function<void(unsigned)>& call) {
        set_checking(false);
        for (unsigned i = 0; i < size; ++i) {
            run(threads[i]);
            call(i);
        }
        // The last one's priority goes back to what it was.
        Thread idler = start_thread(1);
        run(idler);
        take_over();
        set_checking(true);
    }
    void send_all(Syscall number = Syscall::Call) {
        each([&](unsigned i) { syscall(number, badged[badges[i]], {.label = i, .words = {i}}); });
    }
    void receive_all() {
        each([&](unsigned) { syscall(Syscall::Wait, endpoint); });
    }
    void wait_all() {
        each([&](unsigned) { syscall(Syscall::Wait, notification); });
    }
    Answer cancel(Word slot) { return invoke(root_cnode, Method::CNodeCancelBadgedSends, {slot, depth}); }
    // Who waits at the endpoint, in the order in which they would be served.
    std::vector<unsigned> waiting() {
        std::vector<unsigned> order;
        const Endpoint& object = this->object<Endpoint>(endpoint);
        for (Tcb* thread = object.queue.head; thread != nullptr; thread = object.queue.after(*thread)) {
            for (unsigned i = 0; i < size; ++i) {
                if (threads[i].object == thread) order.push_back(i);
            }
        }
        return order;
    }
};

}  // namespace

// -- Endpoints and notifications that go

TEST_CASE("an endpoint's or notification's deletion, preempted anywhere", "[preempt]") {
    void (*how)(Crowd&) = GENERATE(+[](Crowd& w) { w.send_all(); }, +[](Crowd& w) { w.send_all(Syscall::Send); },
                                   +[](Crowd& w) { w.receive_all(); }, +[](Crowd& w) { w.wait_all(); });
    Preempted done = preempt_everywhere<Crowd>(
        how,
        [](Crowd& w) {
            REQUIRE_OK(w.revoke(w.memory));
            for (const Thread& thread : w.threads) REQUIRE(thread->state == ThreadState::Running);
        },
        Pairing::Pairs);
    CHECK(done.problem == "");
    CHECK(done.points >= Crowd::size - 1);
}

// -- CancelBadgedSends

TEST_CASE("checks of CancelBadgedSends, in order", "[preempt]") {
    Crowd w;
    auto cancel = [&](Word cnode, Word index, Word bits) { return w.invoke(cnode, Method::CNodeCancelBadgedSends, {index, bits}); };
    for (Word none : {Word{0}, Word{65}, ~Word{0}}) CHECK(cancel(root_cnode, ~Word{0}, none) == failure(Error::RangeError, {1, 64}));
    CHECK(cancel(root_cnode, ~Word{0}, depth) == failed_lookup(false, abi::LookupFailure::GuardMismatch, 64, 0, 52));
    for (Word wrong : {w.fresh(), w.notification, w.threads[0].tcb, Word{0}})
        CHECK(cancel(root_cnode, wrong, depth) == failure(Error::IllegalOperation));
    w.send_all();
    for (Word rights = 0; rights < 15; ++rights) {
        Word less = w.mint(w.endpoint, 5, CapRights{rights});
        CHECK(cancel(root_cnode, less, depth) == failure(Error::IllegalOperation));
    }
    CHECK(w.waiting().size() == Crowd::size);
    // Badge 0 is no badge.
    REQUIRE_OK(cancel(root_cnode, w.endpoint, depth));
    CHECK(w.waiting().size() == Crowd::size);
    CHECK(w.invoke(root_cnode, Method::CNodeCancelBadgedSends, {w.badged[5]}) == failure(Error::TruncatedMessage));
}

TEST_CASE("CancelBadgedSends restarts the senders with the badge, and leaves the others in their order", "[preempt]") {
    Crowd w;
    Syscall number = GENERATE(Syscall::Call, Syscall::Send);
    w.send_all(number);
    std::vector<unsigned> before = w.waiting();
    REQUIRE(before == std::vector<unsigned>{7, 4, 6, 1, 2, 3, 0, 5});
    Word badge = GENERATE(5u, 6u);
    std::vector<Word> pcs;
    for (const Thread& thread : w.threads) pcs.push_back(thread->context.pc);
    REQUIRE_OK(w.cancel(w.badged[badge]));
    CHECK(w.waiting() == (badge == 5 ? std::vector<unsigned>{4, 1, 5} : std::vector<unsigned>{7, 6, 2, 3, 0}));
    for (unsigned i = 0; i < Crowd::size; ++i) {
        bool cancelled = Crowd::badges[i] == badge;
        CHECK(w.threads[i]->state == (cancelled ? ThreadState::Running : ThreadState::BlockedOnSend));
        CHECK(w.threads[i]->context.pc == (cancelled ? pcs[i] - svc_bytes : pcs[i]));
        CHECK(w.threads[i]->context.x[reg::word(0)] == i);
    }
    CHECK(w.object<Endpoint>(w.endpoint).sweeper() == nullptr);
    // The senders try again with the arguments that they had.
    w.run(w.threads[badge == 5 ? 0 : 1]);
    w.execute();
    CHECK(w.waiting().size() == (badge == 5 ? 4 : 6));
    // Again nothing happens to who has another badge.
    REQUIRE_OK(w.cancel(w.badged[badge]));
    CHECK(w.waiting().size() == (badge == 5 ? 3 : 5));
}

TEST_CASE("CancelBadgedSends of all senders leaves the endpoint idle", "[preempt]") {
    Crowd w;
    w.send_all();
    REQUIRE_OK(w.cancel(w.badged[5]));
    REQUIRE_OK(w.cancel(w.badged[6]));
    CHECK(w.object<Endpoint>(w.endpoint).idle());
    REQUIRE_OK(w.cancel(w.badged[6]));
}

TEST_CASE("CancelBadgedSends spares receivers", "[preempt]") {
    Crowd w;
    w.receive_all();
    REQUIRE_OK(w.cancel(w.badged[5]));
    CHECK(w.waiting().size() == Crowd::size);
}

TEST_CASE("CancelBadgedSends makes faulters inactive", "[preempt]") {
    Crowd w;
    w.must(w.threads[0].tcb, Method::TCBSetSpace, {0, 0}, {w.badged[5], root_cnode, root_vspace});
    w.must(w.threads[1].tcb, Method::TCBSetSpace, {0, 0}, {w.badged[6], root_cnode, root_vspace});
    w.each([&](unsigned) { w.vm_fault(1, 2, false); });
    REQUIRE(w.threads[0]->state == ThreadState::BlockedOnSend);
    Word pc = w.threads[0]->context.pc;
    REQUIRE_OK(w.cancel(w.badged[5]));
    CHECK(w.threads[0]->state == ThreadState::Inactive);
    CHECK(!w.threads[0]->faulted());
    CHECK(w.threads[0]->context.pc == pc);
    CHECK(w.threads[1]->state == ThreadState::BlockedOnSend);
    CHECK(w.threads[1]->faulted());
}

TEST_CASE("CancelBadgedSends, preempted anywhere", "[preempt]") {
    Word badge = GENERATE(5u, 6u);
    Preempted done = preempt_everywhere<Crowd>(
        [](Crowd& w) { w.send_all(); },
        [&](Crowd& w) {
            REQUIRE_OK(w.cancel(w.badged[badge]));
            REQUIRE(w.object<Endpoint>(w.endpoint).sweeper() == nullptr);
            REQUIRE(w.root()->sweep.endpoint == nullptr);
        },
        Pairing::Pairs);
    CHECK(done.problem == "");
    CHECK(done.points == Crowd::size - 1);
}

// A sweep by a thread of its own, stopped at a point, so that others can act.
struct Swept : Crowd {
    Thread sweeper = start_thread(100);
    Thread second = start_thread(101);
    void begin(const Thread& thread, Word slot, unsigned point) {
        run(thread);
        prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeCancelBadgedSends), {slot, depth}, {}});
        hardware.pending_at = point;
        execute();
        hardware.pending_at = 0;
    }
    // Lets a thread end the system call that it is in.
    void finish(const Thread& thread) {
        run(thread);
        Word pc = thread->context.pc;
        while (current() == thread.object && thread->context.pc == pc) execute();
    }
    bool waits(unsigned i) { return threads[i]->state == ThreadState::BlockedOnSend; }
    // Nobody who waited with the badge when the sweep began still waits since then.
    void require_cancelled(Word badge) {
        for (unsigned i = 0; i < size; ++i) {
            INFO("thread " << i);
            if (badges[i] == badge) CHECK(!waits(i));
        }
    }
};

TEST_CASE("a sweep goes on whatever happens to the senders meanwhile", "[preempt]") {
    for (unsigned point = 1; point < Crowd::size; ++point) {
        for (unsigned victim = 0; victim < Crowd::size; ++victim) {
            enum class Act { Suspend, Delete, Raise, Lower, Same, Receive };
            for (Act act : {Act::Suspend, Act::Delete, Act::Raise, Act::Lower, Act::Same, Act::Receive}) {
                INFO("point " << point << ", thread " << victim << ", act " << static_cast<int>(act));
                Swept w;
                w.send_all();
                w.begin(w.sweeper, w.badged[5], point);
                REQUIRE(w.sweeper->sweep.endpoint != nullptr);
                Word tcb = w.threads[victim].tcb;
                auto set_priority = [&](Word priority) { w.must(tcb, Method::TCBSetPriority, {priority}, {World::cap(InitSlot::TCB)}); };
                switch (act) {
                    case Act::Suspend: w.must(tcb, Method::TCBSuspend); break;
                    case Act::Delete: REQUIRE_OK(w.remove(tcb)); break;
                    case Act::Raise: set_priority(200); break;
                    case Act::Lower: set_priority(2); break;
                    case Act::Same: set_priority(Crowd::priorities[victim]); break;
                    case Act::Receive:
                        w.take_over();
                        w.syscall(Syscall::NBRecv, w.endpoint, {}, w.make(ObjectType::Reply));
                        break;
                }
                w.finish(w.sweeper);
                CHECK(w.answer(w.sweeper) == success());
                CHECK(w.object<Endpoint>(w.endpoint).sweeper() == nullptr);
                for (unsigned i = 0; i < Crowd::size; ++i) {
                    if (act == Act::Delete && i == victim) continue;
                    if (Crowd::badges[i] == 5) CHECK(!w.waits(i));
                    bool touched = i == victim || act == Act::Receive;
                    if (Crowd::badges[i] == 6 && !touched) CHECK(w.waits(i));
                }
            }
        }
    }
}

TEST_CASE("two sweeps of one endpoint both end", "[preempt]") {
    for (unsigned first = 1; first < Crowd::size; ++first) {
        for (unsigned second = 1; second < 4; ++second) {
            Word badge = GENERATE(5u, 6u);
            INFO("points " << first << " and " << second << ", badge " << badge);
            Swept w;
            w.send_all();
            w.begin(w.sweeper, w.badged[5], first);
            w.begin(w.second, w.badged[badge], second);
            w.finish(w.sweeper);
            w.finish(w.second);
            CHECK(w.answer(w.sweeper) == success());
            CHECK(w.answer(w.second) == success());
            w.require_cancelled(5);
            w.require_cancelled(badge);
            CHECK(w.object<Endpoint>(w.endpoint).sweeper() == nullptr);
        }
    }
}

TEST_CASE("a sweep ends when its thread or its endpoint does something else", "[preempt]") {
    Swept w;
    w.send_all();
    w.begin(w.sweeper, w.badged[5], 2);
    REQUIRE(w.object<Endpoint>(w.endpoint).sweeper() == w.sweeper.object);
    SECTION("the thread is deleted") { REQUIRE_OK(w.remove(w.sweeper.tcb)); }
    SECTION("its registers are written") {
        w.must(w.sweeper.tcb, Method::TCBWriteRegisters, {0, 1, 0x1234});
        CHECK(w.sweeper->sweep.endpoint == nullptr);
    }
    SECTION("the endpoint is deleted") {
        REQUIRE_OK(w.revoke(w.memory));
        CHECK(w.sweeper->sweep.endpoint == nullptr);
        w.finish(w.sweeper);
        // The slot is empty by now.
        CHECK(w.answer(w.sweeper) == failure(Error::IllegalOperation));
        return;
    }
    SECTION("all senders are gone, and receivers come") {
        for (const Thread& thread : w.threads) w.must(thread.tcb, Method::TCBSuspend);
        CHECK(w.sweeper->sweep.endpoint == nullptr);
        w.resume(w.threads[0]);
        w.run(w.threads[0]);
        w.execute();
    }
    SECTION("the thread begins another sweep") {
        Word other = w.make(ObjectType::Endpoint);
        Word badged = w.mint(other, 9);
        w.must(w.sweeper.tcb, Method::TCBWriteRegisters, {0, 1, 0x500000});
        w.run(w.sweeper);
        w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeCancelBadgedSends), {badged, depth}, {}});
        CHECK(w.answer(w.sweeper) == success());
    }
    SECTION("the thread is suspended, and goes on later") {
        w.must(w.sweeper.tcb, Method::TCBSuspend);
        w.resume(w.sweeper);
        w.finish(w.sweeper);
        w.require_cancelled(5);
    }
    if (w.slot(w.sweeper.tcb).cap.is(CapType::TCB)) w.must(w.sweeper.tcb, Method::TCBSuspend), w.remove(w.sweeper.tcb);
    CHECK(w.object<Endpoint>(w.endpoint).sweeper() == nullptr);
    REQUIRE_OK(w.revoke(w.memory));
}

TEST_CASE("a sweep whose senders send again ends when they are through", "[preempt]") {
    Swept w;
    w.send_all();
    unsigned sent_again = 0;
    w.run(w.sweeper);
    w.prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeCancelBadgedSends), {w.badged[5], depth}, {}});
    Word pc = w.sweeper->context.pc;
    unsigned rounds = 0;
    while (w.sweeper->context.pc == pc) {
        REQUIRE(++rounds < 40);
        w.run(w.sweeper);
        hardware.pending_at = 1;
        w.execute();
        hardware.pending_at = 0;
        // Whoever was cancelled sends again at once.
        for (const Thread& thread : w.threads) {
            if (thread->state != ThreadState::Running || ++sent_again > 3 * Crowd::size) continue;
            w.run(thread);
            w.execute();
        }
    }
    CHECK(w.answer(w.sweeper) == success());
}

// -- Retype

namespace {

struct Making : Quick {
    ObjectType type = ObjectType::Endpoint;
    Word bits = 0;
    Word count = 1;
    Word untyped = 0;
    Word first = 0;
    KernAddr memory{};
    static constexpr Word untyped_bits = 23;

    void build(ObjectType of, Word size_bits, Word how_many) {
        type = of;
        bits = size_bits;
        count = how_many;
        untyped = make(ObjectType::Untyped, untyped_bits);
        memory = slot(untyped).cap.object();
        std::memset(arch::pointer<void>(memory), 0xa5, Word{1} << untyped_bits);
        make_in(untyped, ObjectType::Endpoint);
        first = fresh(count);
        hardware.effects.clear();
    }
};

Word lowest(KernAddr memory, Word bytes) {
    const Word* words = arch::pointer<Word>(memory);
    for (Word i = 0; i < bytes / sizeof(Word); ++i) {
        if (words[i] != 0) return i * sizeof(Word);
    }
    return bytes;
}

}  // namespace

TEST_CASE("Retype of many objects, preempted anywhere", "[preempt]") {
    struct Case {
        ObjectType type;
        Word bits;
        Word count;
    };
    Case what = GENERATE(Case{ObjectType::TCB, 0, 40}, Case{ObjectType::Endpoint, 0, 60}, Case{ObjectType::CNode, 7, 20},
                         Case{ObjectType::CNode, 12, 3}, Case{ObjectType::SmallPage, 0, 40}, Case{ObjectType::LargePage, 0, 2},
                         Case{ObjectType::Untyped, 5, 50}, Case{ObjectType::SchedContext, 10, 20}, Case{ObjectType::PageTable, 0, 20});
    INFO("type " << static_cast<Word>(what.type) << ", bits " << what.bits << ", count " << what.count);
    unsigned runs = 0;
    Preempted done = preempt_everywhere<Making>(
        [&](Making& w) { w.build(what.type, what.bits, what.count); },
        [&](Making& w) {
            REQUIRE_OK(w.retype(w.untyped, w.type, w.bits, w.first, w.count));
            CHECK((w.restarts() > 0) == (runs++ > 0));
            // All of them are there, and what user level can see of them is clear and, of frames, clean.
            for (Word i = 0; i < w.count; ++i) {
                const Cap& cap = w.slot(w.first + i).cap;
                REQUIRE(!cap.is_null());
                if (i > 0) REQUIRE(cap.object() > w.slot(w.first + i - 1).cap.object());
                if (!cap.is(CapType::Frame)) continue;
                Word size = as<FrameCap>(cap).size_bits().bytes();
                REQUIRE(lowest(cap.object(), size) == size);
                Word start = arch::to_physical(cap.object()).raw;
                Word clean = 0;
                for (const Effect& effect : hardware.effects) {
                    if (effect.kind != Effect::Clean || effect.a + effect.b <= start || effect.a >= start + size) continue;
                    clean += std::min(effect.a + effect.b, start + size) - std::max(effect.a, start);
                }
                REQUIRE(clean >= size);
            }
        });
    CHECK(done.problem == "");
    CHECK(done.points >= what.count - 1);
}

TEST_CASE("Retype leaves what is left to do in its arguments", "[preempt]") {
    Making w;
    w.set_checking(true);
    w.build(ObjectType::Endpoint, 0, 10);
    w.take_over();
    w.prepare(Syscall::Call, w.untyped,
              {static_cast<Word>(Method::UntypedRetype), {static_cast<Word>(ObjectType::Endpoint), 0, 0, 0, w.first, 10}, {root_cnode}});
    hardware.pending_at = 4;
    w.execute();
    CHECK(w.root()->context.x[reg::word(4)] == w.first + 4);
    CHECK(w.root()->context.x[reg::word(5)] == 6);
    CHECK(!w.slot(w.first + 3).empty());
    CHECK(w.slot(w.first + 4).empty());
    CHECK(as<UntypedCap>(w.slot(w.untyped).cap).watermark() == 16 + 4 * 16);
    SECTION("it goes on with the rest") {
        w.execute();
        CHECK(w.answer(w.root()) == success());
        for (Word i = 0; i < 10; ++i) CHECK(!w.slot(w.first + i).empty());
        CHECK(w.slot(w.first + 10).empty());
    }
    SECTION("what was made can be used and deleted meanwhile, and memory too") {
        Context context = w.root()->context;
        REQUIRE_OK(w.remove(w.first));
        Word other = w.make_in(w.untyped, ObjectType::Notification);
        w.root()->context = context;
        w.execute();
        CHECK(w.answer(w.root()) == success());
        CHECK(w.slot(w.first).empty());
        CHECK(w.slot(w.first + 4).cap.object() > w.slot(other).cap.object());
    }
    SECTION("all of it may go meanwhile, and the rest comes to its place") {
        Context context = w.root()->context;
        REQUIRE_OK(w.revoke(w.untyped));
        w.root()->context = context;
        w.execute();
        CHECK(w.answer(w.root()) == success());
        CHECK(w.slot(w.first + 4).cap.object() == w.memory);
    }
    SECTION("a slot that is filled meanwhile is an error of the rest") {
        Context context = w.root()->context;
        w.must(root_cnode, Method::CNodeCopy, {w.first + 9, depth, w.first, depth, 15}, {root_cnode});
        w.root()->context = context;
        w.execute();
        CHECK(w.answer(w.root()) == failure(Error::DeleteFirst));
        CHECK(w.slot(w.first + 4).empty());
        CHECK(!w.slot(w.first + 3).empty());
    }
}

TEST_CASE("Retype by a message in NBSendRecv goes on with the rest too", "[preempt]") {
    Making w;
    Word notification = w.make(ObjectType::Notification);
    Thread thread = w.start_thread(50);
    w.build(ObjectType::Endpoint, 0, 10);
    w.set_checking(true);
    w.run(thread);
    hardware.always_pending = true;
    w.prepare(Syscall::NBSendWait, notification,
              {static_cast<Word>(Method::UntypedRetype), {static_cast<Word>(ObjectType::Endpoint), 0, 0, 0, w.first, 10}, {root_cnode}}, 0,
              w.untyped);
    for (unsigned i = 0; thread->state == ThreadState::Running && i < 30; ++i) w.execute();
    hardware.always_pending = false;
    CHECK(thread->state == ThreadState::BlockedOnNotification);
    for (Word i = 0; i < 10; ++i) CHECK(!w.slot(w.first + i).empty());
}

// -- Caches

namespace {

constexpr Method frame_methods[] = {Method::FrameCleanData, Method::FrameInvalidateData, Method::FrameCleanInvalidateData,
                                    Method::FrameUnifyInstruction};
constexpr Method vspace_methods[] = {Method::VSpaceCleanData, Method::VSpaceInvalidateData, Method::VSpaceCleanInvalidateData,
                                     Method::VSpaceUnifyInstruction};
constexpr Effect::Kind kinds[] = {Effect::Clean, Effect::CleanInvalidate, Effect::CleanInvalidate, Effect::Unify};

// The bytes that were maintained, by kind of maintenance: ascending physical ranges, neighbours joined.
std::vector<std::pair<Word, Word>> maintained(Effect::Kind kind) {
    std::vector<std::pair<Word, Word>> ranges;
    for (const Effect& effect : hardware.effects) {
        bool cache = effect.kind == Effect::Clean || effect.kind == Effect::CleanInvalidate || effect.kind == Effect::Unify;
        if (cache && effect.kind != kind) throw Broken("maintenance of another kind");
        if (effect.kind == kind) ranges.push_back({effect.a, effect.a + effect.b});
    }
    std::sort(ranges.begin(), ranges.end());
    std::vector<std::pair<Word, Word>> joined;
    for (auto [start, end] : ranges) {
        if (!joined.empty() && start <= joined.back().second)
            joined.back().second = std::max(joined.back().second, end);
        else
            joined.push_back({start, end});
    }
    return joined;
}

struct Caches : Quick {
    static constexpr Word base = 0x100'0000'0000;
    Word large = make(ObjectType::LargePage);
    Word vspace = make(ObjectType::VSpace);
    Word pages = 0;
    Word device = 0;

    // At base: pages 0, 1, a hole, page 3 of a device as a device, page 4 of a device as memory, page 5, a hole; 2 MiB on: a large page.
    void map_all() {
        must(cap(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {vspace});
        Word tables = make(ObjectType::PageTable, 0, 3);
        for (Word i = 0; i < 3; ++i) must(tables + i, Method::PageTableMap, {base, 0}, {vspace});
        pages = make(ObjectType::SmallPage, 0, 3);
        device = make_in(root_info().untyped.end - 1, ObjectType::SmallPage, 0, 2);
        map(pages, 0, 3, 1);
        map(pages + 1, 1, 2, 5);
        map(device, 3, 3, 0);
        map(device + 1, 4, 3, 1);
        map(pages + 2, 5, 0, 0);
        map(large, 512, 3, 1);
        hardware.effects.clear();
    }
    void map(Word frame, Word page, Word rights, Word attributes) {
        must(frame, Method::FrameMap, {base + page * page_size, rights, attributes}, {vspace});
    }
    Word physical(Word frame) { return arch::to_physical(slot(frame).cap.object()).raw; }
};

}  // namespace

TEST_CASE("maintenance of a frame's range, preempted anywhere", "[preempt]") {
    for (unsigned i = 0; i < 4; ++i) {
        Preempted done = preempt_everywhere<Caches>([](Caches&) { hardware.effects.clear(); },
                                                    [&](Caches& w) {
                                                        REQUIRE_OK(w.invoke(w.large, frame_methods[i], {4096 + 70, 200'001}));
                                                        Word start = w.physical(w.large);
                                                        REQUIRE(maintained(kinds[i]) == std::vector<std::pair<Word, Word>>{
                                                                                            {start + 4096 + 64, start + 200'064 - 200'064 % 64}});
                                                    });
        CHECK(done.problem == "");
        CHECK(done.points == 12);
    }
}

TEST_CASE("maintenance of a frame leaves in its arguments what is left", "[preempt]") {
    Caches w;
    w.set_checking(true);
    w.take_over();
    hardware.effects.clear();
    w.prepare(Syscall::Call, w.large, {static_cast<Word>(Method::FrameCleanData), {100, 50'000}, {}});
    hardware.pending_at = 2;
    w.execute();
    CHECK(w.root()->context.x[reg::word(0)] == 32'768);
    CHECK(w.root()->context.x[reg::word(1)] == 50'000);
    w.execute();
    CHECK(w.answer(w.root()) == success());
    CHECK(maintained(Effect::Clean) == std::vector<std::pair<Word, Word>>{{w.physical(w.large) + 64, w.physical(w.large) + 50'048}});
}

TEST_CASE("checks of a VSpace's maintenance, in order", "[preempt]") {
    Caches w;
    w.set_checking(true);
    for (Method method : vspace_methods) {
        auto maintain = [&](Word start, Word end) { return w.invoke(w.vspace, method, {start, end}); };
        CHECK(maintain(abi::user_top + 2, abi::user_top + 1) == failure(Error::InvalidCapability, {0}));
    }
    w.map_all();
    for (Method method : vspace_methods) {
        auto maintain = [&](Word start, Word end) { return w.invoke(w.vspace, method, {start, end}); };
        CHECK(maintain(abi::user_top + 2, abi::user_top + 1) == failure(Error::InvalidArgument, {1}));
        CHECK(maintain(5, 5) == failure(Error::InvalidArgument, {1}));
        CHECK(maintain(~Word{0}, 0) == failure(Error::InvalidArgument, {1}));
        CHECK(maintain(5, abi::user_top + 1) == failure(Error::IllegalOperation));
        CHECK(maintain(5, ~Word{0}) == failure(Error::IllegalOperation));
        CHECK(w.invoke(w.vspace, method, {5}) == failure(Error::TruncatedMessage));
        CHECK(hardware.effects.empty());
        REQUIRE_OK(maintain(abi::user_top - 1, abi::user_top));
        CHECK(hardware.effects.empty());
    }
    // An ASID that was taken away is none.
    Word pool = w.fresh();
    Word memory = w.make(ObjectType::Untyped, 12);
    w.must(World::cap(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, depth}, {memory, root_cnode});
    Word space = w.make(ObjectType::VSpace);
    w.must(pool, Method::ASIDPoolAssign, {}, {space});
    REQUIRE_OK(w.invoke(space, Method::VSpaceCleanData, {0, 1}));
    REQUIRE_OK(w.remove(pool));
    CHECK(w.invoke(space, Method::VSpaceCleanData, {0, 1}) == failure(Error::InvalidCapability, {0}));
}

TEST_CASE("maintenance of an address space passes over holes and devices, preempted anywhere", "[preempt]") {
    for (unsigned i = 0; i < 4; ++i) {
        Preempted done = preempt_everywhere<Caches>(
            [](Caches& w) { w.map_all(); },
            [&](Caches& w) {
                REQUIRE_OK(w.invoke(w.vspace, vspace_methods[i], {Caches::base - 5, Caches::base + 20 * page_size}));
                REQUIRE_OK(w.invoke(w.vspace, vspace_methods[i], {Caches::base + (1 << 21) - 5, Caches::base + (1 << 21) + 70'000}));
                std::vector<std::pair<Word, Word>> expected;
                for (Word page : {w.pages, w.pages + 1, w.pages + 2}) expected.push_back({w.physical(page), w.physical(page) + page_size});
                // The frames lie side by side.
                expected = {{expected.front().first, expected.back().second}, {w.physical(w.large), w.physical(w.large) + 70'016}};
                std::sort(expected.begin(), expected.end());
                REQUIRE(maintained(kinds[i]) == expected);
            });
        CHECK(done.problem == "");
        CHECK(done.points > 20);
    }
}

TEST_CASE("parts of lines and pages are widened to lines, not to pages", "[preempt]") {
    Caches w;
    w.set_checking(true);
    w.map_all();
    REQUIRE_OK(w.invoke(w.vspace, Method::VSpaceUnifyInstruction, {Caches::base + 100, Caches::base + 101}));
    CHECK(maintained(Effect::Unify) == std::vector<std::pair<Word, Word>>{{w.physical(w.pages) + 64, w.physical(w.pages) + 128}});
    hardware.effects.clear();
    REQUIRE_OK(w.invoke(w.vspace, Method::VSpaceCleanData, {Caches::base + 4095, Caches::base + 4097}));
    CHECK(maintained(Effect::Clean) == std::vector<std::pair<Word, Word>>{{w.physical(w.pages) + 4032, w.physical(w.pages) + 4160}});
}

// -- What else goes in steps

TEST_CASE("the deletion of an ASID pool, preempted anywhere", "[preempt]") {
    struct Pools : Quick {
        Word memory = make(ObjectType::Untyped, 12);
        Word pool = fresh();
        Word spaces = 0;
        void fill() {
            must(cap(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, depth}, {memory, root_cnode});
            spaces = make(ObjectType::VSpace, 0, 6);
            for (Word i = 0; i < 6; ++i) must(pool, Method::ASIDPoolAssign, {}, {spaces + i});
            REQUIRE_OK(remove(spaces + 2));
            hardware.effects.clear();
        }
    };
    bool by_memory = GENERATE(false, true);
    Preempted done = preempt_everywhere<Pools>(
        [](Pools& w) { w.fill(); },
        [&](Pools& w) {
            REQUIRE_OK(by_memory ? w.revoke(w.memory) : w.remove(w.pool));
            CHECK(w.kernel().asid_pools[1] == nullptr);
            for (Word asid : {512u, 513u, 515u, 516u, 517u}) CHECK(hardware.saw({Effect::InvalidateAsid, asid, 0}));
        },
        Pairing::Pairs);
    CHECK(done.problem == "");
    CHECK(done.points >= 5);
}

TEST_CASE("an ASID pool whose deletion was preempted gives out no ASID twice", "[preempt]") {
    World w;
    Word memory = w.make(ObjectType::Untyped, 12);
    Word pool = w.fresh();
    w.must(World::cap(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, depth}, {memory, root_cnode});
    Word spaces = w.make(ObjectType::VSpace, 0, 4);
    for (Word i = 0; i < 3; ++i) w.must(pool, Method::ASIDPoolAssign, {}, {spaces + i});
    w.take_over();
    w.prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {pool, depth}, {}});
    hardware.pending_at = 1;
    w.execute();
    w.root()->context.pc += svc_bytes;
    REQUIRE(w.slot(pool).cap.is(CapType::ASIDPool));
    // Its first ASID is free again, for whoever asks.
    REQUIRE_OK(w.invoke(pool, Method::ASIDPoolAssign, {}, {spaces + 3}));
    CHECK(as<VSpaceCap>(w.slot(spaces + 3).cap).number() == 512);
    CHECK(vspace_of(w.kernel(), Asid(512)) == w.slot(spaces + 3).cap.object());
    // Who had it has it no more.
    Word table = w.make(ObjectType::PageTable);
    CHECK(w.invoke(table, Method::PageTableMap, {0, 0}, {spaces}) == failure(Error::InvalidCapability, {1}));
    REQUIRE_OK(w.remove(spaces));
    CHECK(vspace_of(w.kernel(), Asid(512)) == w.slot(spaces + 3).cap.object());
    REQUIRE_OK(w.remove(pool));
    CHECK(w.kernel().asid_pools[1] == nullptr);
}

TEST_CASE("the deletion of a thread that has the floating-point unit, preempted anywhere", "[preempt]") {
    struct Owned : Quick {
        Thread owner = start_thread(20);
        Owned() {
            run(owner);
            fpu_trap();
            run(start_thread(10));
            set_checking(true);
        }
    };
    // Its own slots hold last capabilities: it is a zombie at some points.
    Preempted done = preempt_everywhere<Owned>([](Owned&) {}, [](Owned& w) { REQUIRE_OK(w.remove(w.owner.tcb)); });
    CHECK(done.problem == "");
    CHECK(done.points > 0);
}

TEST_CASE("a fault endpoint that goes with its last capability, preempted anywhere", "[preempt]") {
    // The old endpoint's waiters are woken one by one before the new one takes its place.
    struct Handled : Crowd {
        Thread target = make_thread(50, Budget{});
        Word fresh_endpoint = make(ObjectType::Endpoint);
        Word context = make_context({});
        void build(bool timeout) {
            receive_all();
            if (timeout)
                must(target.tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint});
            else
                must(target.tcb, Method::TCBSetSpace, {0, 0}, {endpoint, root_cnode, root_vspace});
            for (Word cap : {badged[5], badged[6], endpoint}) REQUIRE_OK(remove(cap));
        }
    };
    unsigned which = GENERATE(0u, 1u, 2u);
    Preempted done = preempt_everywhere<Handled>(
        [&](Handled& w) { w.build(which == 2); },
        [&](Handled& w) {
            constexpr Word root_tcb = World::cap(InitSlot::TCB);
            Word tcb = w.target.tcb;
            Word endpoint = w.fresh_endpoint;
            switch (which) {
                case 0: REQUIRE_OK(w.invoke(tcb, Method::TCBSetSpace, {0, 0}, {endpoint, root_cnode, root_vspace})); break;
                case 1: REQUIRE_OK(w.invoke(tcb, Method::TCBSetSchedParams, {50, 40}, {root_tcb, w.target.context, endpoint})); break;
                default: REQUIRE_OK(w.invoke(tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint})); break;
            }
            TcbSlot slot = which == 2 ? TcbSlot::TimeoutHandler : TcbSlot::FaultHandler;
            CHECK(w.target->cap(slot).object() == w.slot(endpoint).cap.object());
            for (const Thread& thread : w.threads) CHECK(thread->state == ThreadState::Running);
            if (which == 1) CHECK(w.target->priority == Prio(40));
        },
        Pairing::Pairs);
    CHECK(done.problem == "");
    CHECK(done.points == Crowd::size - 1);
}

TEST_CASE("capabilities of threads and interrupts that are replaced, preempted anywhere", "[preempt]") {
    struct Replacing : Crowd {
        Word full = 0;
        Word handler = fresh();
        Word other = make(ObjectType::Notification);
        void build() {
            wait_all();
            must(cap(InitSlot::IRQControl), Method::IRQControlGet, {60, 0, handler, depth}, {root_cnode});
            must(handler, Method::IRQHandlerSetNotification, {}, {notification});
            full = make(ObjectType::CNode, 4);
            for (Word i = 0; i < 15; ++i) must(full, Method::CNodeMove, {i, 4, make(ObjectType::Endpoint), depth}, {root_cnode});
            must(full, Method::CNodeMove, {15, 4, notification, depth}, {root_cnode});
            must(threads[0].tcb, Method::TCBSetSpace, {0, 0}, {badged[5], full, root_vspace});
            REQUIRE_OK(remove(full));
        }
    };
    void (*operate)(Replacing&) = GENERATE(
        +[](Replacing& w) { REQUIRE_OK(w.invoke(w.threads[0].tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace})); },
        +[](Replacing& w) {
            REQUIRE_OK(w.invoke(w.threads[0].tcb, Method::TCBConfigure, {0, 0, 0x1000'0000}, {root_cnode, root_vspace, w.threads[1].buffer}));
        },
        +[](Replacing& w) {
            // The last capability to the notification is the interrupt's.
            REQUIRE_OK(w.invoke(w.threads[0].tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace}));
            REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerSetNotification, {}, {w.other}));
        },
        +[](Replacing& w) {
            REQUIRE_OK(w.invoke(w.threads[0].tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace}));
            REQUIRE_OK(w.invoke(w.handler, Method::IRQHandlerClear));
        },
        +[](Replacing& w) {
            REQUIRE_OK(w.remove(w.threads[0].tcb));
            REQUIRE_OK(w.remove(w.handler));
        });
    Preempted done = preempt_everywhere<Replacing>([](Replacing& w) { w.build(); }, operate);
    CHECK(done.problem == "");
    CHECK(done.points >= 15);
}
