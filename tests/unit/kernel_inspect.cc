// SPDX-License-Identifier: BSD-2-Clause
// Cases of Inspect: what each method tells of each kind of capability and object, and that it tells nothing else.
#include "preemption.hpp"
#include "world.hpp"

#include "ipc/message.hpp"
#include "object/inspect.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <set>

using namespace caprock;
using namespace caprock::test;
using host::hardware;

namespace {

constexpr Word inspect = World::cap(InitSlot::Inspect);
constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word root_vspace = World::cap(InitSlot::VSpace);
constexpr Word root_tcb = World::cap(InitSlot::TCB);
constexpr Word depth = World::full_depth;

Word kind(CapType type) { return static_cast<Word>(type); }

struct Inspecting : World {
    // Names of what ReadCNode and ReadTCBSlot tell; of the latter there is no parent.
    struct Told {
        Word kind, rights, badge, size_bits, guard_size, identity, parent;
    };
    Told told(const Answer& answer) {
        REQUIRE(answer.label == 0);
        const std::vector<Word>& words = answer.words;
        REQUIRE((words.size() == 7 || words.size() == 6));
        return {words[0], words[1], words[2], words[3], words[4], words[5], words.size() == 7 ? words[6] : 0};
    }
    Answer read(Method method, Word object, std::vector<Word> words = {}) { return invoke(inspect, method, std::move(words), {object}); }
    Told read_slot(Word slot, Word cnode = root_cnode) { return told(read(Method::InspectReadCNode, cnode, {slot})); }
    std::vector<Word> must_read(Method method, Word object, std::vector<Word> words = {}) {
        return must(inspect, method, std::move(words), {object});
    }
};

}  // namespace

// -- Checks

TEST_CASE("checks of Inspect's methods, in order", "[inspect]") {
    Inspecting w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word node = w.make(ObjectType::CNode, 3);
    Word vspace = w.make(ObjectType::VSpace);
    const Answer wrong = failure(Error::InvalidCapability, {1});
    CHECK(w.read(Method::InspectReadCNode, endpoint, {8}) == wrong);
    CHECK(w.read(Method::InspectReadCNode, 0, {8}) == wrong);
    CHECK(w.read(Method::InspectReadCNode, node, {8}) == failure(Error::RangeError, {0, 7}));
    CHECK(w.read(Method::InspectReadCNode, node, {~Word{0}}) == failure(Error::RangeError, {0, 7}));
    CHECK(w.read(Method::InspectReadTCBSlot, endpoint, {5}) == wrong);
    CHECK(w.read(Method::InspectReadTCBSlot, root_tcb, {5}) == failure(Error::RangeError, {0, 4}));
    CHECK(w.read(Method::InspectReadVSpace, endpoint, {abi::user_top}) == wrong);
    CHECK(w.read(Method::InspectReadVSpace, vspace, {abi::user_top}) == wrong);
    CHECK(w.read(Method::InspectReadVSpace, root_vspace, {abi::user_top}) == failure(Error::InvalidArgument, {0}));
    for (Method method : {Method::InspectReadTCB, Method::InspectReadSchedContext, Method::InspectReadUntyped, Method::InspectReadReply,
                          Method::InspectReadIRQHandler}) {
        CHECK(w.read(method, endpoint) == wrong);
        CHECK(w.read(method, 0) == wrong);
        CHECK(w.invoke(inspect, method) == failure(Error::TruncatedMessage));
    }
    CHECK(w.read(Method::TCBSuspend, root_tcb) == failure(Error::IllegalOperation));
    // Without Inspect nothing can be read, with a copy of it everything.
    CHECK(w.invoke(root_tcb, Method::InspectReadTCB, {}, {root_tcb}) == failure(Error::IllegalOperation));
    Word copy = w.copy(inspect, CapRights{0});
    CHECK(w.invoke(copy, Method::InspectReadReply, {}, {w.make(ObjectType::Reply)}).label == 0);
}

// -- Identities

TEST_CASE("objects have identities, which are no addresses", "[inspect]") {
    Inspecting w;
    std::set<Word> identities;
    Word first = w.make(ObjectType::Endpoint, 0, 8);
    for (Word i = 0; i < 8; ++i) {
        Word identity = w.read_slot(first + i).identity;
        CHECK(identity != 0);
        CHECK(identity != w.slot(first + i).cap.object().raw);
        CHECK(identity != arch::to_physical(w.slot(first + i).cap.object()).raw);
        identities.insert(identity);
    }
    CHECK(identities.size() == 8);
    // Copies name the same object; so do other badges and rights of it.
    Word identity = w.read_slot(first).identity;
    CHECK(w.read_slot(w.copy(first, CapRights{1})).identity == identity);
    CHECK(w.read_slot(w.mint(first, 77)).identity == identity);
    // An object that begins where another one begins is another one: a child of an untyped, or of an untyped of the same start.
    Word outer = w.make(ObjectType::Untyped, 14);
    Word inner = w.make_in(outer, ObjectType::Untyped, 13);
    Word tcb = w.make_in(inner, ObjectType::TCB);
    REQUIRE(w.slot(outer).cap.object() == w.slot(tcb).cap.object());
    std::set<Word> nested{w.read_slot(outer).identity, w.read_slot(inner).identity, w.read_slot(tcb).identity};
    CHECK(nested.size() == 3);
    CHECK(w.read_slot(root_cnode).identity != 0);
    // Capabilities without an object have none.
    for (InitSlot control : {InitSlot::IRQControl, InitSlot::ASIDControl, InitSlot::Domain, InitSlot::Inspect})
        CHECK(w.read_slot(World::cap(control)).identity == 0);
}

TEST_CASE("identities differ from boot to boot", "[inspect]") {
    abi::BootInfo info = make_boot_info();
    auto identity_of_cnode = [&](Word entropy) {
        info.entropy[3] = entropy;
        boot(info);
        Slot* slots = arch::pointer<Slot>(hardware.core->current->cap(TcbSlot::CSpace).object());
        return identity(*hardware.core->kernel, CapType::CNode, slots[root_cnode].cap.object());
    };
    Word first = identity_of_cnode(1);
    CHECK(identity_of_cnode(1) == first);
    CHECK(identity_of_cnode(2) != first);
}

TEST_CASE("the permutation that makes identities is Speck64/128", "[inspect]") {
    // The designers' test vector.
    constexpr uint32_t key[4] = {0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918};
    CHECK(encrypt(key, 0x3b726574'7475432d) == 0x8c6fa548'454e028b);
}

// -- CNodes

TEST_CASE("what is told of each kind of capability in a CNode", "[inspect]") {
    Inspecting w;
    using Told = Inspecting::Told;
    Word slot = 0;
    auto told = [&] { return w.read_slot(slot); };
    SECTION("an empty slot") {
        slot = w.fresh();
        Told t = told();
        CHECK((t.kind == 0 && t.rights == 0 && t.badge == 0 && t.size_bits == 0 && t.guard_size == 0 && t.identity == 0 && t.parent == 0));
    }
    SECTION("untyped") {
        slot = w.make(ObjectType::Untyped, 14);
        CHECK((told().kind == kind(CapType::Untyped) && told().size_bits == 14 && told().rights == 0 && told().badge == 0));
    }
    SECTION("endpoint") {
        slot = w.mint(w.make(ObjectType::Endpoint), 99, CapRights{5});
        CHECK((told().kind == kind(CapType::Endpoint) && told().rights == 5 && told().badge == 99 && told().size_bits == 0));
    }
    SECTION("notification") {
        slot = w.mint(w.make(ObjectType::Notification), 98, CapRights{2});
        CHECK((told().kind == kind(CapType::Notification) && told().rights == 2 && told().badge == 98));
    }
    SECTION("reply") {
        slot = w.make(ObjectType::Reply);
        CHECK((told().kind == kind(CapType::Reply) && told().rights == 4));
        slot = w.copy(slot, CapRights{3});
        CHECK(told().rights == 0);
    }
    SECTION("CNode") {
        slot = w.mint(w.make(ObjectType::CNode, 5), abi::CNodeCapData::make(7, 3).raw);
        CHECK((told().kind == kind(CapType::CNode) && told().badge == 3 && told().size_bits == 5 && told().guard_size == 7));
    }
    SECTION("thread") {
        slot = w.make(ObjectType::TCB);
        CHECK((told().kind == kind(CapType::TCB) && told().rights == 0 && told().size_bits == 0 && told().badge == 0));
    }
    SECTION("scheduling context") {
        slot = w.make(ObjectType::SchedContext, 9);
        CHECK((told().kind == kind(CapType::SchedContext) && told().size_bits == 9));
    }
    SECTION("frame") {
        Word frame = w.make(ObjectType::SmallPage);
        slot = w.copy(frame, CapRights{2});
        CHECK((told().kind == kind(CapType::Frame) && told().rights == 2 && told().size_bits == 12 && told().badge == 0));
        REQUIRE_OK(w.invoke(slot, Method::FrameMap, {0x40a000, 2, 1}, {root_vspace}));
        CHECK(told().badge == 0x40a000);
        CHECK(w.read_slot(frame).badge == 0);
        CHECK(w.read_slot(frame).rights == 3);
    }
    SECTION("page table") {
        slot = w.make(ObjectType::PageTable);
        CHECK((told().kind == kind(CapType::PageTable) && told().badge == 0));
        REQUIRE_OK(w.invoke(slot, Method::PageTableMap, {0x123'4567'8000, 0}, {root_vspace}));
        CHECK(told().badge == (Word{0x123'4567'8000} & ~((Word{1} << 39) - 1)));
    }
    SECTION("VSpace") {
        slot = w.make(ObjectType::VSpace);
        CHECK((told().kind == kind(CapType::VSpace) && told().badge == 0));
        slot = root_vspace;
        CHECK(told().badge == 1);
    }
    SECTION("ASID pool") {
        slot = w.fresh();
        Word memory = w.make(ObjectType::Untyped, 12);
        w.must(World::cap(InitSlot::ASIDControl), Method::ASIDControlMakePool, {slot, depth}, {memory, root_cnode});
        CHECK((told().kind == kind(CapType::ASIDPool) && told().badge == 512));
    }
    SECTION("control of scheduling") {
        slot = w.sched_control();
        CHECK((told().kind == kind(CapType::SchedControl) && told().badge == 0 && told().identity == 0));
    }
    SECTION("interrupt handler, software-generated interrupt") {
        slot = w.fresh();
        w.must(World::cap(InitSlot::IRQControl), Method::IRQControlGet, {77, 0, slot, depth}, {root_cnode});
        CHECK((told().kind == kind(CapType::IRQHandler) && told().badge == 77 && told().identity == 0));
        slot = w.fresh();
        w.must(World::cap(InitSlot::IRQControl), Method::IRQControlIssueSGISignal, {9, 0, slot, depth}, {root_cnode});
        CHECK((told().kind == kind(CapType::SGISignal) && told().badge == 9 && told().identity == 0));
    }
    SECTION("controls without anything") {
        for (auto [which, type] : {std::pair{InitSlot::IRQControl, CapType::IRQControl},
                                   {InitSlot::ASIDControl, CapType::ASIDControl},
                                   {InitSlot::Domain, CapType::Domain},
                                   {InitSlot::Inspect, CapType::Inspect}}) {
            slot = World::cap(which);
            CHECK((told().kind == kind(type) && told().rights == 0 && told().badge == 0 && told().size_bits == 0));
        }
    }
    SECTION("zombie") {
        Word node = w.make(ObjectType::CNode, 3);
        slot = node;
        for (Word i = 0; i < 4; ++i)
            w.must(node, Method::CNodeMove, {i, 3, w.make(ObjectType::Endpoint), depth}, {root_cnode});
        w.take_over();
        hardware.pending_at = 2;
        w.prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {node, depth}, {}});
        w.execute();
        w.root()->context.pc += svc_bytes;
        REQUIRE(w.slot(node).cap.is(CapType::Zombie));
        CHECK((told().kind == kind(CapType::Zombie) && told().rights == 0 && told().badge == 0 && told().size_bits == 0));
    }
}

TEST_CASE("slots are counted in the table, without its guard", "[inspect]") {
    Inspecting w;
    Word node = w.make(ObjectType::CNode, 3);
    Word guarded = w.mint(node, abi::CNodeCapData::make(20, 5).raw);
    Word endpoint = w.make(ObjectType::Endpoint);
    w.must(node, Method::CNodeCopy, {7, 3, endpoint, depth, 15}, {root_cnode});
    CHECK(w.read_slot(7, guarded).kind == kind(CapType::Endpoint));
    CHECK(w.read_slot(6, guarded).kind == 0);
}

TEST_CASE("parents are told when they lie in the same CNode", "[inspect]") {
    Inspecting w;
    Word untyped = w.make(ObjectType::Untyped, 14);
    Word endpoint = w.make_in(untyped, ObjectType::Endpoint);
    Word badged = w.mint(endpoint, 1);
    Word copy = w.copy(endpoint);
    Word copy_of_badged = w.copy(badged);
    Word copy_of_copy = w.copy(copy);
    CHECK(w.read_slot(untyped).parent == w.memory() + 1);
    CHECK(w.read_slot(w.memory()).parent == 0);
    CHECK(w.read_slot(endpoint).parent == untyped + 1);
    CHECK(w.read_slot(badged).parent == endpoint + 1);
    CHECK(w.read_slot(copy).parent == endpoint + 1);
    CHECK(w.read_slot(copy_of_badged).parent == badged + 1);
    CHECK(w.read_slot(copy_of_copy).parent == endpoint + 1);
    SECTION("in another CNode: none is told") {
        Word node = w.make(ObjectType::CNode, 3);
        w.must(node, Method::CNodeMove, {3, 3, copy, depth}, {root_cnode});
        CHECK(w.read_slot(3, node).parent == 0);
        w.must(node, Method::CNodeMove, {4, 3, endpoint, depth}, {root_cnode});
        CHECK(w.read_slot(3, node).parent == 4 + 1);
        CHECK(w.read_slot(4, node).parent == 0);
        CHECK(w.read_slot(badged).parent == 0);
    }
    SECTION("children of what was deleted are no children of one with the same badge that came later") {
        Word another_copy = w.copy(badged);
        REQUIRE_OK(w.invoke(root_cnode, Method::CNodeDelete, {badged, depth}, {}));
        Word later = w.mint(endpoint, 1);
        CHECK(w.read_slot(later).parent == endpoint + 1);
        CHECK(w.read_slot(copy_of_badged).parent == endpoint + 1);
        CHECK(w.read_slot(another_copy).parent == endpoint + 1);
    }
    SECTION("children of what was deleted are told its parent") {
        REQUIRE_OK(w.remove(endpoint));
        CHECK(w.read_slot(badged).parent == untyped + 1);
    }
}

TEST_CASE("a parent that is too far away is not told", "[inspect]") {
    Inspecting w;
    w.set_deep(false);
    constexpr Word steps = abi::inspect_parent_steps;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word first = w.copy(endpoint);
    // Each further copy comes to stand right behind the original, before the others.
    for (Word i = 1; i < steps; ++i) w.copy(endpoint);
    CHECK(w.read_slot(first).parent == endpoint + 1);
    w.copy(endpoint);
    CHECK(w.read_slot(first).parent == 0);
}

// -- Objects

TEST_CASE("what is told of a thread's capabilities", "[inspect]") {
    Inspecting w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word handler = w.mint(endpoint, 3);
    Thread thread = w.make_thread(10);
    for (Word slot : {3u, 4u}) CHECK(w.told(w.read(Method::InspectReadTCBSlot, thread.tcb, {slot})).kind == 0);
    w.must(thread.tcb, Method::TCBSetSpace, {abi::CNodeCapData::make(52, 5).raw, 0}, {handler, root_cnode, root_vspace});
    w.must(thread.tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint});
    auto told = [&](Word slot) { return w.told(w.read(Method::InspectReadTCBSlot, thread.tcb, {slot})); };
    CHECK((told(0).kind == kind(CapType::CNode) && told(0).badge == 5 && told(0).guard_size == 52 && told(0).size_bits == 12));
    CHECK(told(0).identity == w.read_slot(root_cnode).identity);
    CHECK((told(1).kind == kind(CapType::VSpace) && told(1).badge == 1 && told(1).identity == w.read_slot(root_vspace).identity));
    CHECK((told(2).kind == kind(CapType::Frame) && told(2).size_bits == 12 && told(2).rights == 3));
    CHECK((told(3).kind == kind(CapType::Endpoint) && told(3).badge == 3));
    CHECK((told(4).kind == kind(CapType::Endpoint) && told(4).badge == 0 && told(4).rights == 15));
}

TEST_CASE("what is told of a thread", "[inspect]") {
    Inspecting w;
    Word notification = w.make(ObjectType::Notification);
    Word endpoint = w.make(ObjectType::Endpoint);
    Thread thread = w.make_thread(10, Budget{});
    auto read = [&] { return w.must_read(Method::InspectReadTCB, thread.tcb); };
    Word identity = w.read_slot(thread.tcb).identity;
    Word context = w.read_slot(thread.context).identity;
    CHECK(read() == std::vector<Word>{identity, 0, 10, 10, 0, 0, 0, context, 0, 0x1000'0000});
    w.must(thread.tcb, Method::TCBSetMCPriority, {20}, {root_tcb});
    w.must(thread.tcb, Method::TCBSetFlags, {0, 1}, {});
    w.must(w.sched_control(), Method::SchedControlSetThreadAccess, {0, 4}, {thread.tcb});
    w.must(thread.tcb, Method::TCBBindNotification, {}, {notification});
    w.must(World::cap(InitSlot::Domain), Method::DomainSet, {3}, {thread.tcb});
    w.must(thread.context, Method::SchedContextUnbind);
    w.kernel().core_count = 4;
    w.must(thread.tcb, Method::TCBSetAffinity, {2});
    w.must(thread.tcb, Method::TCBSetIPCBuffer, {0}, {0});
    CHECK(read() == std::vector<Word>{identity, 0, 10, 20, 3, 2, 5, 0, w.read_slot(notification).identity, 0});
    w.must(World::cap(InitSlot::Domain), Method::DomainSet, {0}, {thread.tcb});
    w.must(thread.tcb, Method::TCBUnbindNotification);
    w.must(thread.context, Method::SchedContextBind, {}, {thread.tcb});
    auto state = [&] { return read()[1]; };
    CHECK(state() == 0);
    w.resume(thread);
    CHECK(state() == 1);
    SECTION("receiving") {
        w.run(thread);
        w.syscall(Syscall::Wait, endpoint);
        CHECK(state() == 2);
    }
    SECTION("sending, then waiting for the reply") {
        w.run(thread);
        w.syscall(Syscall::Call, endpoint);
        CHECK(state() == 3);
        Thread server = w.start_thread(5);
        Word reply = w.make(ObjectType::Reply);
        w.run(server);
        w.syscall(Syscall::Recv, endpoint, {}, reply);
        CHECK(state() == 4);
        CHECK(w.must_read(Method::InspectReadReply, reply) == std::vector<Word>{w.read_slot(reply).identity, identity});
    }
    SECTION("waiting") {
        w.run(thread);
        w.syscall(Syscall::Wait, notification);
        CHECK(state() == 5);
    }
}

TEST_CASE("what is told of a reply object", "[inspect]") {
    Inspecting w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word reply = w.make(ObjectType::Reply);
    Word identity = w.read_slot(reply).identity;
    CHECK(w.must_read(Method::InspectReadReply, reply) == std::vector<Word>{identity, 0});
    Thread receiver = w.start_thread(5);
    w.run(receiver);
    w.syscall(Syscall::Recv, endpoint, {}, reply);
    // A receiver does not wait for the reply that it names.
    CHECK(w.must_read(Method::InspectReadReply, reply) == std::vector<Word>{identity, 0});
}

TEST_CASE("what is told of an address space", "[inspect]") {
    Inspecting w;
    constexpr Word base = 0x100'0000'0000;
    auto read = [&](Word address) { return w.must_read(Method::InspectReadVSpace, root_vspace, {address}); };
    CHECK(read(base) == std::vector<Word>{0, 39, 0, 0});
    CHECK(read(abi::user_top - 1) == std::vector<Word>{0, 39, 0, 0});
    Word tables = w.make(ObjectType::PageTable, 0, 3);
    for (Word i = 0; i < 3; ++i) {
        w.must(tables + i, Method::PageTableMap, {base, 0}, {root_vspace});
        CHECK(read(base) == std::vector<Word>{0, 30 - 9 * i, 0, 0});
    }
    Word frame = w.make(ObjectType::SmallPage);
    Word identity = w.read_slot(frame).identity;
    auto map = [&](Word rights, Word attributes) { w.must(frame, Method::FrameMap, {base, rights, attributes}, {root_vspace}); };
    map(3, 1);
    CHECK(read(base) == std::vector<Word>{identity, 12, 3, 1});
    CHECK(read(base + 4095) == std::vector<Word>{identity, 12, 3, 1});
    CHECK(read(base + 4096) == std::vector<Word>{0, 12, 0, 0});
    map(2, 5);
    CHECK(read(base) == std::vector<Word>{identity, 12, 2, 5});
    map(3, 0);
    CHECK(read(base) == std::vector<Word>{identity, 12, 3, 0});
    map(0, 4);
    CHECK(read(base) == std::vector<Word>{identity, 12, 0, 4});
    map(1, 0);
    CHECK(read(base)[2] == 0);
    Word large = w.make(ObjectType::LargePage);
    w.must(large, Method::FrameMap, {base + (1 << 21), 3, 1}, {root_vspace});
    CHECK(read(base + (1 << 21) + 0x12345) == std::vector<Word>{w.read_slot(large).identity, 21, 3, 1});
    Word device = w.make_in(w.root_info().untyped.end - 1, ObjectType::SmallPage);
    for (Word attributes : {4u, 5u}) {
        w.must(device, Method::FrameMap, {base + 4096, 3, attributes}, {root_vspace});
        CHECK(read(base + 4096) == std::vector<Word>{w.read_slot(device).identity, 12, 3, attributes});
    }
}

TEST_CASE("what is told of a scheduling context", "[inspect]") {
    Inspecting w;
    Word context = w.make(ObjectType::SchedContext, 9);
    Word identity = w.read_slot(context).identity;
    auto read = [&] { return w.must_read(Method::InspectReadSchedContext, context); };
    CHECK(read() == std::vector<Word>{identity, 0, 0, 0, 0, 0, 0, 0, 0});
    w.configure(context, {.budget_us = 1001, .period_us = 7003, .extra_refills = 5, .badge = 77, .sporadic = true});
    CHECK(read() == std::vector<Word>{identity, 1001, 7003, 5, 77, 1, 0, 0, 0});
    w.configure(context, {.budget_us = 1000, .period_us = 1000});
    CHECK(read() == std::vector<Word>{identity, 1000, 1000, 0, 0, 0, 0, 0, 0});
    Thread thread = w.make_thread(10);
    w.must(context, Method::SchedContextBind, {}, {thread.tcb});
    CHECK(read()[7] == w.read_slot(thread.tcb).identity);
    w.must(context, Method::SchedContextUnbind);
    Word notification = w.make(ObjectType::Notification);
    w.must(context, Method::SchedContextBind, {}, {notification});
    CHECK(read() == std::vector<Word>{identity, 1000, 1000, 0, 0, 0, 0, 0, w.read_slot(notification).identity});
}

TEST_CASE("budgets and periods are told as they were configured", "[inspect]") {
    for (Word frequency : {62'500'000u, 54'000'000u, 19'200'000u, 1'000'000'000u}) {
        Inspecting w;
        Word context = w.make(ObjectType::SchedContext, 9);
        hardware.frequency = frequency;
        for (Word period : {Word{11}, Word{13}, Word{10'007}, Word{abi::timeout_max_us}}) {
            for (Word budget : {Word{10}, period - 1, period}) {
                INFO("at " << frequency << " Hz, " << budget << " of " << period);
                w.configure(context, {.budget_us = budget, .period_us = period});
                std::vector<Word> told = w.must_read(Method::InspectReadSchedContext, context);
                CHECK(told[1] == budget);
                CHECK(told[2] == period);
            }
        }
    }
}

TEST_CASE("what is told of an untyped", "[inspect]") {
    Inspecting w;
    Word untyped = w.make(ObjectType::Untyped, 14);
    Word identity = w.read_slot(untyped).identity;
    auto read = [&] { return w.must_read(Method::InspectReadUntyped, untyped); };
    CHECK(read() == std::vector<Word>{identity, 14, 1 << 14, 0});
    Word tcb = w.make_in(untyped, ObjectType::TCB);
    CHECK(read() == std::vector<Word>{identity, 14, (1 << 14) - 2048, 0});
    w.make_in(untyped, ObjectType::SmallPage);
    CHECK(read()[2] == (1 << 14) - 8192);
    REQUIRE_OK(w.remove(tcb));
    CHECK(read()[2] == (1 << 14) - 8192);
    REQUIRE_OK(w.revoke(untyped));
    CHECK(read()[2] == 1 << 14);
    Word device = w.root_info().untyped.end - 1;
    CHECK(w.must_read(Method::InspectReadUntyped, device)[3] == 1);
}

TEST_CASE("what is told of an interrupt's handler", "[inspect]") {
    Inspecting w;
    Word handler = w.fresh();
    w.must(World::cap(InitSlot::IRQControl), Method::IRQControlGet, {abi::irq_serror, 0, handler, depth}, {root_cnode});
    auto read = [&] { return w.must_read(Method::InspectReadIRQHandler, handler); };
    CHECK(read() == std::vector<Word>{abi::irq_serror, 0, 0});
    Word notification = w.make(ObjectType::Notification);
    w.must(handler, Method::IRQHandlerSetNotification, {}, {w.mint(notification, 6)});
    CHECK(read() == std::vector<Word>{abi::irq_serror, w.read_slot(notification).identity, 6});
    w.must(handler, Method::IRQHandlerClear);
    CHECK(read() == std::vector<Word>{abi::irq_serror, 0, 0});
}

TEST_CASE("reading changes nothing", "[inspect]") {
    Inspecting w;
    w.take_over();
    Cap before = w.slot(w.memory()).cap;
    w.must_read(Method::InspectReadUntyped, w.memory());
    CHECK(w.slot(w.memory()).cap == before);
    Snapshot snapshot = take_snapshot(w);
    Word pc = w.root()->context.pc;
    for (Word slot = 0; slot < w.used_slots(); ++slot) {
        w.read_slot(slot);
        for (Method method : {Method::InspectReadTCB, Method::InspectReadSchedContext, Method::InspectReadUntyped, Method::InspectReadReply,
                              Method::InspectReadIRQHandler, Method::InspectReadVSpace, Method::InspectReadTCBSlot})
            w.read(method, slot, {0});
    }
    w.root()->context.pc = pc;
    CHECK(difference(snapshot, take_snapshot(w)) == "");
}
