// SPDX-License-Identifier: BSD-2-Clause
// Cases of kernel/cap: resolution of addresses, the derivation tree, every method of a CNode with its errors in the manual's order,
// deletion and revocation with preemption at every point.
#include "preemption.hpp"
#include "world.hpp"

#include "cap/derive.hpp"
#include "cap/lookup.hpp"
#include "caprock/decode.hpp"
#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <utility>

using namespace caprock;
using namespace caprock::test;
using abi::LookupFailure;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word depth = World::full_depth;
constexpr CapRights all_rights{15};

abi::CNodeCapData guard(Word size, Word value) { return abi::CNodeCapData::make(size, value); }

// A CNode of 8 slots in the root CNode, with methods that name slots by index and depth.
struct Nodes : World {
    static constexpr unsigned radix = 3;
    Word node = make(ObjectType::CNode, radix);
    Slot& inner(Word index) { return object<Slot[8]>(node)[index]; }
    Answer copy_to(Word dest_root, Word dest, Word dest_depth, Word source, Word source_depth = depth, Word source_root = root_cnode) {
        return invoke(dest_root, Method::CNodeCopy, {dest, dest_depth, source, source_depth, 15}, {source_root});
    }
    Answer move_to(Word dest, Word source) { return invoke(root_cnode, Method::CNodeMove, {dest, depth, source, depth}, {root_cnode}); }
    // Moves from the root CNode into slot `index` of a CNode.
    Answer put(Word cnode, Word index, Word source) {
        return invoke(cnode, Method::CNodeMove, {index, radix, source, depth}, {root_cnode});
    }
    Word count_slots() {
        Word count = 0;
        for (Word i = 0; i < Word{1} << cnode_bits; ++i) count += !slot(i).empty();
        return count;
    }
};

}  // namespace

// -- Resolution

TEST_CASE("resolution walks guards and indices", "[cap]") {
    Nodes w;
    Cap root = CNodeCap::make(w.slot(w.node).cap.object(), 3, 5, 0b10110);
    Slot* slots = arch::pointer<Slot>(root.object());
    SECTION("all bits used") {
        Lookup found = resolve(root, CPtr(0b10110'011), 8);
        REQUIRE(found.ok());
        CHECK(found.value().slot == slots + 3);
        CHECK(found.value().bits_left == 0);
    }
    SECTION("a slot that is no CNode ends the walk with bits left") {
        Lookup found = resolve(root, CPtr(0b10110'011'11), 10);
        REQUIRE(found.ok());
        CHECK(found.value().slot == slots + 3);
        CHECK(found.value().bits_left == 2);
    }
    SECTION("only the lowest bits count") { CHECK(resolve(root, CPtr(0xffff'ff00 | 0b10110'011), 8).ok()); }
    SECTION("the root is no CNode") {
        Lookup found = resolve(EndpointCap::make(root.object(), CapRights{15}), CPtr(1), 8);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::InvalidRoot);
    }
    SECTION("another guard") {
        Lookup found = resolve(root, CPtr(0b10111'011), 8);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::GuardMismatch);
        CHECK(found.failure().bits_left() == 8);
        CHECK(found.failure().detail == 0b10110);
        CHECK(found.failure().guard_size() == 5);
    }
    SECTION("fewer bits than the guard has") {
        Lookup found = resolve(root, CPtr(0b1011), 4);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::GuardMismatch);
        CHECK(found.failure().bits_left() == 4);
    }
    SECTION("fewer bits than guard and index have") {
        Lookup found = resolve(root, CPtr(0b10110'01), 7);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::DepthMismatch);
        CHECK(found.failure().bits_left() == 7);
        CHECK(found.failure().detail == 8);
    }
    SECTION("down through a second CNode") {
        slots[6].cap = CNodeCap::make(root.object(), 3, 2, 0b01);
        Lookup found = resolve(root, CPtr(0b10110'110'01'101), 13);
        REQUIRE(found.ok());
        CHECK(found.value().slot == slots + 5);
        CHECK(found.value().bits_left == 0);
        found = resolve(root, CPtr(0b10110'110'11'101), 13);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::GuardMismatch);
        CHECK(found.failure().bits_left() == 5);
        slots[6].cap = Cap{};
    }
    SECTION("a guard of 63 bits, and 64 bits in all") {
        Cap deep = CNodeCap::make(root.object(), 1, 63, 0x7fff'ffff'ffff'ffff);
        Lookup found = resolve(deep, CPtr(~Word{0}), 64);
        REQUIRE(found.ok());
        CHECK(found.value().slot == slots + 1);
        CHECK(!resolve(deep, CPtr(~Word{0} >> 1), 64).ok());
    }
}

TEST_CASE("an address leads through sixteen CNodes at most", "[cap]") {
    Nodes w;
    constexpr unsigned levels = abi::cspace_levels;
    // Each level takes one bit; slot 0 leads on, slot 1 ends.
    Word first = w.make(ObjectType::CNode, 1, levels + 1);
    Word endpoint = w.make(ObjectType::Endpoint);
    for (unsigned i = levels; i > 0; --i) REQUIRE_OK(w.copy_to(first + i - 1, 0, 1, first + i));
    Cap root = w.slot(first).cap;
    SECTION("by depth") {
        Lookup found = resolve(root, CPtr(1), levels);
        REQUIRE(found.ok());
        CHECK(found.value().slot == &w.object<Slot[2]>(first + levels - 1)[1]);
        CHECK(found.value().bits_left == 0);
        // The slot found at the last level may itself hold a CNode, as long as no bits are left.
        CHECK(resolve(root, CPtr(0), levels).ok());
        found = resolve(root, CPtr(0), levels + 1);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::TooManyLevels);
        CHECK(found.failure().bits_left() == 1);
        found = resolve(root, CPtr(0), 64);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::TooManyLevels);
        CHECK(found.failure().bits_left() == 64 - levels);
    }
    SECTION("by what is found: an occupied slot ends the walk with bits left") {
        REQUIRE_OK(w.copy_to(first + levels - 1, 1, 1, endpoint));
        Lookup found = resolve(root, CPtr(Word{1} << (64 - levels)), 64);
        REQUIRE(found.ok());
        CHECK(found.value().slot->cap == w.slot(endpoint).cap);
        CHECK(found.value().bits_left == 64 - levels);
    }
    SECTION("methods say so") {
        CHECK(w.invoke(first, Method::CNodeDelete, {0, 64}) == failed_lookup(false, LookupFailure::TooManyLevels, 64 - levels));
        CHECK(w.copy_to(root_cnode, w.fresh(), depth, 0, levels + 3, first) == failed_lookup(true, LookupFailure::TooManyLevels, 3));
        REQUIRE_OK(w.invoke(first, Method::CNodeDelete, {1, levels}));
    }
    SECTION("a CNode that contains itself ends a walk too") {
        Word loop = w.make(ObjectType::CNode, 1);
        REQUIRE_OK(w.copy_to(loop, 0, 1, loop));
        Lookup found = resolve(w.slot(loop).cap, CPtr(0), 64);
        REQUIRE(!found.ok());
        CHECK(found.failure().type() == LookupFailure::TooManyLevels);
    }
    SECTION("a thread faults on such an address") {
        Thread thread = w.start_thread(10);
        w.must(thread.tcb, Method::TCBSetSpace, {0, 0}, {0, first, World::cap(InitSlot::VSpace)});
        CHECK(find_slot(*thread.object, CPtr(0)) == nullptr);
        LookupFault fault = lookup_fault(*thread.object, CPtr(0));
        CHECK(fault.type() == LookupFailure::TooManyLevels);
        CHECK(fault.bits_left() == 64 - levels);
    }
}

TEST_CASE("addresses of a thread's CSpace", "[cap]") {
    World w;
    Word node = w.make(ObjectType::CNode, 3);
    Tcb& root = *w.root().object;
    CHECK(find_slot(root, CPtr(5)) == &w.slot(5));
    CHECK(find_slot(root, CPtr(Word{1} << 12)) == nullptr);
    LookupFault fault = lookup_fault(root, CPtr(Word{1} << 12));
    CHECK(fault.type() == LookupFailure::GuardMismatch);
    CHECK(fault.guard_size() == 52);
    fault = lookup_fault(root, CPtr(4000));
    CHECK(fault.type() == LookupFailure::MissingCapability);
    CHECK(fault.bits_left() == 0);
    Thread thread = w.make_thread(10);
    w.must(thread.tcb, Method::TCBSetSpace, {guard(3, 5).raw, 0}, {0, node, World::cap(InitSlot::VSpace)});
    fault = lookup_fault(*thread.object, CPtr(Word{5} << 61 | Word{3} << 58));
    CHECK(fault.type() == LookupFailure::MissingCapability);
    CHECK(fault.bits_left() == 58);
    REQUIRE_OK(w.remove(thread.tcb));
    Word tcb = w.make(ObjectType::TCB);
    CHECK(lookup_fault(w.object<Tcb>(tcb), CPtr(0)).type() == LookupFailure::InvalidRoot);
}

// -- Copy, Mint, Move, Mutate

TEST_CASE("checks of the methods that take two slots, in order", "[cap]") {
    Nodes w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word empty = w.fresh();
    Word target = w.fresh();
    Method method = GENERATE(Method::CNodeCopy, Method::CNodeMint, Method::CNodeMove, Method::CNodeMutate);
    Word slots = w.count_slots();
    auto call = [&](Word dest_cnode, Word dest, Word dest_depth, Word source, Word source_depth, Word source_root = root_cnode) {
        std::vector<Word> words{dest, dest_depth, source, source_depth, 15, 0};
        if (method == Method::CNodeMove) words.resize(4);
        if (method == Method::CNodeMutate) words = {dest, dest_depth, source, source_depth, 0};
        return w.invoke(dest_cnode, method, words, {source_root});
    };
    // Everything is wrong at once; each check passes in turn.
    CHECK(call(root_cnode, ~Word{0}, 0, empty, 0, endpoint) == failure(Error::RangeError, {1, 64}));
    CHECK(call(root_cnode, ~Word{0}, 65, empty, 0, endpoint) == failure(Error::RangeError, {1, 64}));
    CHECK(call(root_cnode, ~Word{0}, 64, empty, 0, endpoint) == failed_lookup(false, LookupFailure::GuardMismatch, 64, 0, 52));
    CHECK(call(w.node, 0, 2, empty, 0, endpoint) == failed_lookup(false, LookupFailure::DepthMismatch, 2, 3));
    CHECK(call(w.node, 0, 5, empty, 0, endpoint) == failed_lookup(false, LookupFailure::DepthMismatch, 2));
    CHECK(call(root_cnode, endpoint, 64, empty, 0, endpoint) == failure(Error::DeleteFirst));
    CHECK(call(root_cnode, target, 64, empty, 0, endpoint) == failure(Error::RangeError, {1, 64}));
    CHECK(call(root_cnode, target, 64, empty, 65, endpoint) == failure(Error::RangeError, {1, 64}));
    CHECK(call(root_cnode, target, 64, empty, 64, endpoint) == failed_lookup(true, LookupFailure::InvalidRoot, 64));
    CHECK(call(root_cnode, target, 64, empty, 3, w.node) == failed_lookup(true, LookupFailure::MissingCapability, 0));
    CHECK(call(root_cnode, target, 64, empty, 64) == failed_lookup(true, LookupFailure::MissingCapability, 0));
    CHECK(w.count_slots() == slots);
}

TEST_CASE("copies have the rights that are masked", "[cap]") {
    World w;
    Word rights = GENERATE(0u, 1u, 2u, 5u, 10u, 15u);
    auto copied = [&](Word source) { return w.slot(w.copy(source, CapRights{rights})).cap; };
    CHECK(as<EndpointCap>(copied(w.make(ObjectType::Endpoint))).rights().raw == rights);
    CHECK(as<NotificationCap>(copied(w.make(ObjectType::Notification))).rights().raw == (rights & 3));
    CHECK(as<ReplyCap>(copied(w.make(ObjectType::Reply))).can_grant() == ((rights & 4) != 0));
    Cap frame = copied(w.make(ObjectType::SmallPage));
    CHECK(as<FrameCap>(frame).can_write() == ((rights & 1) != 0));
    CHECK(as<FrameCap>(frame).can_read() == ((rights & 2) != 0));
    Word tcb = w.make(ObjectType::TCB);
    CHECK(copied(tcb) == w.slot(tcb).cap);
    // A copy of a copy has no more.
    Word endpoint = w.make(ObjectType::Endpoint);
    Word less = w.copy(endpoint, CapRights{rights});
    CHECK(as<EndpointCap>(w.slot(w.copy(less)).cap).rights().raw == rights);
}

TEST_CASE("badges are given once, and decide who is whose child", "[cap]") {
    Nodes w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word seven = w.mint(endpoint, 7);
    Word again = w.copy(seven);
    Word nine = w.mint(endpoint, 9);
    Word plain = w.copy(endpoint);
    CHECK(as<EndpointCap>(w.slot(again).cap).badge() == Badge(7));
    CHECK(w.invoke(root_cnode, Method::CNodeMint, {w.fresh(), depth, seven, depth, 15, 8}, {root_cnode}) ==
          failure(Error::IllegalOperation));
    SECTION("revoking a badged one takes its copies") {
        REQUIRE_OK(w.revoke(seven));
        CHECK(w.slot(again).empty());
        CHECK(!w.slot(nine).empty());
        CHECK(!w.slot(plain).empty());
    }
    SECTION("a second one of the same badge is not its child") {
        Word twin = w.mint(endpoint, 7);
        REQUIRE_OK(w.revoke(seven));
        CHECK(!w.slot(twin).empty());
        REQUIRE_OK(w.revoke(twin));
        CHECK(!w.slot(seven).empty());
    }
    SECTION("revoking the unbadged one takes all") {
        REQUIRE_OK(w.revoke(endpoint));
        for (Word child : {seven, again, nine, plain}) CHECK(w.slot(child).empty());
        CHECK(!w.slot(endpoint).empty());
    }
    SECTION("an unbadged copy is a sibling, and revokes nothing") {
        REQUIRE_OK(w.revoke(plain));
        for (Word other : {endpoint, seven, again, nine}) CHECK(!w.slot(other).empty());
    }
    SECTION("deleting the original leaves the others, which keep being separate") {
        REQUIRE_OK(w.remove(endpoint));
        REQUIRE_OK(w.remove(nine));
        REQUIRE_OK(w.revoke(seven));
        CHECK(w.slot(again).empty());
        CHECK(!w.slot(plain).empty());
    }
    SECTION("a copy that lost its original is a first of its badge") {
        for (Word other : {seven, nine, plain}) REQUIRE_OK(w.remove(other));
        Word twin = w.mint(endpoint, 7);
        REQUIRE_OK(w.revoke(twin));
        CHECK(!w.slot(again).empty());
    }
    SECTION("a moved one keeps its place") {
        Word there = w.fresh();
        REQUIRE_OK(w.move_to(there, seven));
        CHECK(w.slot(seven).empty());
        REQUIRE_OK(w.revoke(there));
        CHECK(w.slot(again).empty());
        REQUIRE_OK(w.revoke(endpoint));
        CHECK(w.slot(there).empty());
    }
}

TEST_CASE("guards are given by Mint and Mutate", "[cap]") {
    Nodes w;
    Word minted = w.mint(w.node, guard(5, 0b10110).raw);
    CHECK(as<CNodeCap>(w.slot(minted).cap).guard_size() == 5);
    CHECK(as<CNodeCap>(w.slot(minted).cap).guard() == 0b10110);
    Word target = w.fresh();
    CHECK(w.invoke(root_cnode, Method::CNodeMint, {target, depth, w.node, depth, 15, guard(62, 0).raw}, {root_cnode}) ==
          failure(Error::IllegalOperation));
    REQUIRE_OK(w.invoke(root_cnode, Method::CNodeMint, {target, depth, w.node, depth, 15, guard(61, ~Word{0}).raw}, {root_cnode}));
    Word moved = w.fresh();
    CHECK(w.invoke(root_cnode, Method::CNodeMutate, {moved, depth, target, depth, guard(62, 1).raw}, {root_cnode}) ==
          failure(Error::IllegalOperation));
    REQUIRE_OK(w.invoke(root_cnode, Method::CNodeMutate, {moved, depth, target, depth, guard(2, 3).raw}, {root_cnode}));
    CHECK(w.slot(target).empty());
    CHECK(as<CNodeCap>(w.slot(moved).cap).guard_size() == 2);
    Word endpoint = w.make(ObjectType::Endpoint);
    CHECK(w.invoke(root_cnode, Method::CNodeMutate, {target, depth, endpoint, depth, 5}, {root_cnode}) == failure(Error::IllegalOperation));
    Word tcb = w.make(ObjectType::TCB);
    Cap before = w.slot(tcb).cap;
    REQUIRE_OK(w.invoke(root_cnode, Method::CNodeMutate, {target, depth, tcb, depth, 5}, {root_cnode}));
    CHECK(w.slot(target).cap == before);
}

// -- Rotate

namespace {

struct Rotating : Nodes {
    Word tcb = make(ObjectType::TCB);
    Word page = make(ObjectType::SmallPage);
    Word dest = fresh();
    struct Place {
        Word index;
        Word depth = World::full_depth;
        Word badge = 0;
        Word root = root_cnode;
    };
    Answer rotate(Place to, Place pivot, Place from) {
        return invoke(to.root, Method::CNodeRotate, {to.index, to.depth, to.badge, pivot.index, pivot.depth, pivot.badge, from.index, from.depth},
                      {pivot.root, from.root});
    }
};

}  // namespace

TEST_CASE("checks of Rotate, in order", "[cap]") {
    Rotating w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word empty = w.fresh();
    Word pair = w.fresh();
    Word slots = w.count_slots();
    // Everything is wrong at once; each check passes in turn.
    CHECK(w.rotate({~Word{0}, 0}, {~Word{0}, 0, 0, endpoint}, {~Word{0}, 65, 0, endpoint}) == failure(Error::RangeError, {1, 64}));
    CHECK(w.rotate({~Word{0}, 65}, {~Word{0}, 0, 0, endpoint}, {~Word{0}, 65, 0, endpoint}) == failure(Error::RangeError, {1, 64}));
    CHECK(w.rotate({~Word{0}}, {~Word{0}, 0, 0, endpoint}, {~Word{0}, 65, 0, endpoint}) ==
          failed_lookup(false, LookupFailure::GuardMismatch, 64, 0, 52));
    CHECK(w.rotate({endpoint}, {~Word{0}, 0, 0, endpoint}, {~Word{0}, 65, 0, endpoint}) == failure(Error::RangeError, {1, 64}));
    CHECK(w.rotate({endpoint}, {~Word{0}, 0, 0, endpoint}, {~Word{0}, 64, 0, endpoint}) ==
          failed_lookup(true, LookupFailure::InvalidRoot, 64));
    CHECK(w.rotate({endpoint}, {~Word{0}, 0, 0, endpoint}, {empty}) == failure(Error::RangeError, {1, 64}));
    CHECK(w.rotate({endpoint}, {~Word{0}, 64, 0, endpoint}, {empty}) == failed_lookup(true, LookupFailure::InvalidRoot, 64));
    CHECK(w.rotate({endpoint}, {empty}, {empty}) == failure(Error::IllegalOperation));
    CHECK(w.rotate({endpoint}, {endpoint}, {empty}) == failure(Error::IllegalOperation));
    CHECK(w.rotate({endpoint}, {pair}, {empty}) == failure(Error::DeleteFirst));
    CHECK(w.rotate({w.dest}, {pair}, {empty}) == failed_lookup(true, LookupFailure::MissingCapability, 0));
    CHECK(w.rotate({empty}, {pair}, {empty}) == failed_lookup(true, LookupFailure::MissingCapability, 0));
    CHECK(w.rotate({w.dest}, {pair}, {endpoint}) == failed_lookup(true, LookupFailure::MissingCapability, 0));
    CHECK(w.rotate({w.dest}, {w.tcb}, {endpoint}) == failure(Error::IllegalOperation));
    CHECK(w.rotate({w.dest}, {endpoint}, {w.tcb}) == failure(Error::IllegalOperation));
    CHECK(w.rotate({w.tcb}, {endpoint}, {w.tcb}) == failure(Error::IllegalOperation));
    Word bad_guard = guard(62, 0).raw;
    CHECK(w.rotate({w.dest, 64, bad_guard}, {w.node}, {w.tcb}) == failure(Error::IllegalOperation));
    CHECK(w.rotate({w.dest}, {w.tcb, 64, bad_guard}, {w.node}) == failure(Error::IllegalOperation));
    CHECK(w.count_slots() == slots);
    CHECK(w.invoke(root_cnode, Method::CNodeRotate, {1, 2, 3, 4, 5, 6, 7}, {root_cnode, root_cnode}) == failure(Error::TruncatedMessage));
    CHECK(w.invoke(root_cnode, Method::CNodeRotate, {1, 2, 3, 4, 5, 6, 7, 8}, {root_cnode}) == failure(Error::TruncatedMessage));
}

TEST_CASE("Rotate moves the pivot to the destination and the source to the pivot", "[cap]") {
    Rotating w;
    Cap tcb = w.slot(w.tcb).cap;
    Cap page = w.slot(w.page).cap;
    Cap node = w.slot(w.node).cap;
    SECTION("three slots") {
        REQUIRE_OK(w.rotate({w.dest}, {w.tcb}, {w.page}));
        CHECK(w.slot(w.dest).cap == tcb);
        CHECK(w.slot(w.tcb).cap == page);
        CHECK(w.slot(w.page).empty());
    }
    SECTION("the data is ignored where it means nothing") {
        REQUIRE_OK(w.rotate({w.dest, 64, 99}, {w.tcb, 64, 98}, {w.page}));
        CHECK(w.slot(w.dest).cap == tcb);
        CHECK(w.slot(w.tcb).cap == page);
    }
    SECTION("two slots are exchanged when the destination is the source") {
        REQUIRE_OK(w.rotate({w.page}, {w.tcb}, {w.page}));
        CHECK(w.slot(w.page).cap == tcb);
        CHECK(w.slot(w.tcb).cap == page);
        REQUIRE_OK(w.rotate({w.page}, {w.tcb}, {w.page}));
        CHECK(w.slot(w.page).cap == page);
    }
    SECTION("CNodes get their guards, which are counted from the destination") {
        REQUIRE_OK(w.rotate({w.dest, 64, guard(5, 9).raw}, {w.node, 64, guard(6, 7).raw}, {w.tcb}));
        CHECK(as<CNodeCap>(w.slot(w.dest).cap).guard_size() == 5);
        CHECK(as<CNodeCap>(w.slot(w.dest).cap).guard() == 9);
        CHECK(w.slot(w.node).cap == tcb);
        REQUIRE_OK(w.rotate({w.tcb, 64, guard(1, 1).raw}, {w.node, 64, guard(2, 3).raw}, {w.dest}));
        CHECK(w.slot(w.tcb).cap == tcb);
        CHECK(as<CNodeCap>(w.slot(w.node).cap).guard_size() == 2);
        CHECK(as<CNodeCap>(w.slot(w.node).cap).guard() == 3);
    }
    SECTION("two CNodes are exchanged, each with its guard") {
        Word other = w.make(ObjectType::CNode, 4);
        Cap other_cap = w.slot(other).cap;
        REQUIRE_OK(w.rotate({w.node, 64, guard(4, 4).raw}, {other, 64, guard(3, 3).raw}, {w.node}));
        CHECK(w.slot(w.node).cap.object() == other_cap.object());
        CHECK(as<CNodeCap>(w.slot(w.node).cap).guard_size() == 4);
        CHECK(w.slot(other).cap.object() == node.object());
        CHECK(as<CNodeCap>(w.slot(other).cap).guard_size() == 3);
    }
    SECTION("slots of different CNodes") {
        REQUIRE_OK(w.put(w.node, 2, w.page));
        REQUIRE_OK(w.rotate({4, 3, 0, w.node}, {w.tcb}, {2, 3, 0, w.node}));
        CHECK(w.inner(4).cap == tcb);
        CHECK(w.slot(w.tcb).cap == page);
        CHECK(w.inner(2).empty());
    }
}

TEST_CASE("what Rotate moves keeps its place in the derivation tree", "[cap]") {
    Rotating w;
    Word untyped = w.make(ObjectType::Untyped, 14);
    Word child = w.make_in(untyped, ObjectType::Untyped, 12);
    Word grandchild = w.make_in(child, ObjectType::TCB);
    bool exchanged = GENERATE(false, true);
    Word to = exchanged ? grandchild : w.dest;
    // The child comes to `to`; the grandchild to the child's slot.
    REQUIRE_OK(w.rotate({to}, {child}, {grandchild}));
    CHECK(w.slot(to).cap.is(CapType::Untyped));
    CHECK(w.slot(child).cap.is(CapType::TCB));
    REQUIRE_OK(w.revoke(to));
    CHECK(w.slot(child).empty());
    CHECK(!w.slot(to).empty());
    REQUIRE_OK(w.revoke(untyped));
    CHECK(w.slot(to).empty());
}

TEST_CASE("what cannot be derived", "[cap]") {
    Nodes w;
    Word target = w.fresh();
    auto copied = [&](Word source) { return w.copy_to(root_cnode, target, depth, source); };
    CHECK(copied(World::cap(InitSlot::IRQControl)) == failure(Error::IllegalOperation));
    CHECK(copied(w.make(ObjectType::PageTable)) == failure(Error::IllegalOperation));
    CHECK(copied(w.make(ObjectType::VSpace)) == failure(Error::IllegalOperation));
    Word untyped = w.make(ObjectType::Untyped, 12);
    w.make_in(untyped, ObjectType::Endpoint);
    CHECK(copied(untyped) == failure(Error::RevokeFirst));
    // For Mint the badge is looked at before the children.
    Word endpoint = w.mint(w.make(ObjectType::Endpoint), 1);
    CHECK(w.invoke(root_cnode, Method::CNodeMint, {target, depth, endpoint, depth, 15, 2}, {root_cnode}) ==
          failure(Error::IllegalOperation));
    CHECK(w.invoke(root_cnode, Method::CNodeMint, {target, depth, untyped, depth, 15, 2}, {root_cnode}) == failure(Error::RevokeFirst));
    // They can be moved all the same.
    Word moved = w.fresh();
    REQUIRE_OK(w.move_to(moved, untyped));
    REQUIRE_OK(w.revoke(moved));
    for (InitSlot each :
         {InitSlot::ASIDControl, InitSlot::ASIDPool, InitSlot::Domain, InitSlot::Inspect, InitSlot::SchedContext, InitSlot::VSpace}) {
        REQUIRE_OK(copied(World::cap(each)));
        REQUIRE_OK(w.remove(target));
    }
}

TEST_CASE("unknown labels and short messages", "[cap]") {
    Nodes w;
    for (Method method : {Method::TCBSuspend, Method::None, static_cast<Method>(abi::method_count), static_cast<Method>(9999)}) {
        CHECK(w.invoke(root_cnode, method, {1, 2, 3, 4, 5, 6, 7, 8}, {root_cnode, root_cnode}) == failure(Error::IllegalOperation));
    }
    CHECK(w.invoke(root_cnode, Method::CNodeDelete, {1}) == failure(Error::TruncatedMessage));
    CHECK(w.invoke(root_cnode, Method::CNodeCopy, {1, 2, 3, 4}, {root_cnode}) == failure(Error::TruncatedMessage));
    CHECK(w.invoke(root_cnode, Method::CNodeCopy, {1, 2, 3, 4, 5}) == failure(Error::TruncatedMessage));
    CHECK(w.invoke(root_cnode, Method::CNodeRevoke, {0, 0}) == failure(Error::RangeError, {1, 64}));
    CHECK(w.invoke(root_cnode, Method::CNodeDelete, {0, 65}) == failure(Error::RangeError, {1, 64}));
    CHECK(w.invoke(root_cnode, Method::CNodeDelete, {~Word{0}, 64}) == failed_lookup(false, LookupFailure::GuardMismatch, 64, 0, 52));
    Word empty = w.fresh();
    REQUIRE_OK(w.remove(empty));
    REQUIRE_OK(w.revoke(empty));
}

// -- Slots, without a kernel around them

TEST_CASE("slots are exchanged with their places in the list", "[cap]") {
    Nodes w;
    Slot parent, a, b, behind;
    Cap cap = EndpointCap::make(w.slot(w.node).cap.object(), all_rights);
    insert_root(cap, parent);
    auto derived = [&](Word badge, Slot& slot) {
        EndpointCap copy = as<EndpointCap>(cap);
        copy.set_badge(Badge(badge));
        insert_derived(copy, parent, slot);
    };
    derived(3, behind);
    derived(2, b);
    derived(1, a);
    auto order = [&] {
        std::vector<Word> badges;
        for (Slot* slot = parent.next(); slot != nullptr; slot = slot->next()) badges.push_back(as<EndpointCap>(slot->cap).badge().raw);
        return badges;
    };
    std::vector<Word> expected{1, 2, 3};
    SECTION("neighbours") {
        swap_slots(a, b);
        CHECK(as<EndpointCap>(a.cap).badge() == Badge(2));
        CHECK(a.prev() == &b);
        swap_slots(a, b);
        CHECK(a.next() == &b);
    }
    SECTION("not neighbours") {
        swap_slots(a, behind);
        CHECK(as<EndpointCap>(a.cap).badge() == Badge(3));
        CHECK(parent.next() == &behind);
        CHECK(a.next() == nullptr);
    }
    SECTION("with an empty one") {
        Slot empty;
        swap_slots(a, empty);
        CHECK(a.empty());
        CHECK(parent.next() == &empty);
        swap_slots(empty, a);
        CHECK(empty.empty());
        CHECK(parent.next() == &a);
    }
    SECTION("the one behind an original that goes stays a first of its badge") {
        unlink_slot(parent);
        CHECK(a.prev() == nullptr);
        CHECK(a.first_badged());
        unlink_slot(b);
        CHECK(a.next() == &behind);
        CHECK(behind.prev() == &a);
        return;
    }
    CHECK(order() == expected);
}

// -- Deletion and revocation

TEST_CASE("a CNode's slots are emptied with it", "[cap]") {
    Nodes w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Word copy = w.copy(endpoint);
    Thread waiter = w.start_thread(10);
    w.run(waiter);
    w.syscall(Syscall::Wait, endpoint);
    w.take_over();
    REQUIRE_OK(w.put(w.node, 0, endpoint));
    REQUIRE_OK(w.put(w.node, 7, copy));
    SECTION("the last capability") {
        REQUIRE_OK(w.remove(w.node));
        CHECK(w.slot(w.node).empty());
        CHECK(waiter->state == ThreadState::Running);
    }
    SECTION("not the last one") {
        w.copy(w.node);
        REQUIRE_OK(w.remove(w.node));
        CHECK(waiter->state == ThreadState::BlockedOnReceive);
    }
}

// Makes a structure below the untyped in `memory`, all of whose roots are in `anchors`, that is to be destroyed.
struct Structure {
    const char* name;
    void (*build)(Nodes&, Word memory, Word anchor);
};

namespace {

void chain(Nodes& w, Word memory, Word anchor) {
    constexpr Word length = 12;
    Word first = w.make_in(memory, ObjectType::CNode, Nodes::radix, length);
    for (Word i = length - 1; i > 0; --i) REQUIRE_OK(w.put(first + i - 1, i % 8, first + i));
    REQUIRE_OK(w.move_to(anchor, first));
}

void nested_full(Nodes& w, Word memory, Word anchor) {
    Word outer = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    for (Word i = 0; i < 8; ++i) {
        Word inner = w.make_in(memory, ObjectType::CNode, Nodes::radix);
        Word endpoint = w.make_in(memory, ObjectType::Endpoint);
        REQUIRE_OK(w.put(inner, i, endpoint));
        REQUIRE_OK(w.put(inner, 7 - i == i ? 0 : 7 - i, w.make_in(memory, ObjectType::Reply)));
        REQUIRE_OK(w.put(outer, i, inner));
    }
    REQUIRE_OK(w.move_to(anchor, outer));
}

void self_containing(Nodes& w, Word memory, Word anchor) {
    Word node = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    for (Word i : {0u, 3u, 7u}) REQUIRE_OK(w.copy_to(node, i, Nodes::radix, node));
    REQUIRE_OK(w.put(node, 5, w.make_in(memory, ObjectType::Endpoint)));
    REQUIRE_OK(w.move_to(anchor, node));
}

void ring_of_two(Nodes& w, Word memory, Word anchor) {
    Word a = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word b = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word endpoint = w.make_in(memory, ObjectType::Endpoint);
    REQUIRE_OK(w.put(b, 1, endpoint));
    REQUIRE_OK(w.copy_to(b, 6, Nodes::radix, a));
    REQUIRE_OK(w.copy_to(b, 0, Nodes::radix, a));
    REQUIRE_OK(w.put(a, 4, b));
    REQUIRE_OK(w.move_to(anchor, a));
}

void closed_ring(Nodes& w, Word memory, Word anchor) {
    // The last capabilities of a and b lie in each other: no way in but memory.
    Word a = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word b = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word way_in = w.copy(a);
    REQUIRE_OK(w.put(a, 3, b));
    REQUIRE_OK(w.invoke(way_in, Method::CNodeMove, {2, Nodes::radix, a, depth}, {root_cnode}));
    Word inner = w.copy(way_in);
    REQUIRE_OK(w.remove(inner));
    REQUIRE_OK(w.move_to(anchor, way_in));
}

void threads(Nodes& w, Word memory, Word anchor) {
    // A thread whose CSpace holds another thread, whose CSpace holds the first.
    Word a = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word b = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word first = w.make_in(memory, ObjectType::TCB);
    Word second = w.make_in(memory, ObjectType::TCB);
    Word endpoint = w.make_in(memory, ObjectType::Endpoint);
    w.must(first, Method::TCBSetSpace, {0, 0}, {endpoint, a, World::cap(InitSlot::VSpace)});
    w.must(second, Method::TCBSetSpace, {0, 0}, {endpoint, b, World::cap(InitSlot::VSpace)});
    REQUIRE_OK(w.copy_to(b, 5, Nodes::radix, first));
    REQUIRE_OK(w.put(a, 2, second));
    REQUIRE_OK(w.remove(a));
    REQUIRE_OK(w.remove(b));
    REQUIRE_OK(w.remove(endpoint));
    REQUIRE_OK(w.move_to(anchor, first));
}

const Structure structures[] = {
    {"chain", chain},
    {"nested and full", nested_full},
    {"self-containing", self_containing},
    {"ring of two", ring_of_two},
    {"closed ring", closed_ring},
    {"threads", threads},
};

}  // namespace

namespace {

// A structure, the memory that it is made of, and the slot that it is destroyed through.
struct Doomed : Nodes {
    Word memory = 0;
    Word anchor = 0;
    void build(const Structure& structure) {
        memory = make(ObjectType::Untyped, 16);
        anchor = fresh();
        structure.build(*this, memory, anchor);
    }
};

}  // namespace

TEST_CASE("deletion of everything, preempted at every pair of points", "[cap][thorough]") {
    for (const Structure& structure : structures) {
        for (bool by_memory : {false, true}) {
            INFO(structure.name << (by_memory ? ", memory revoked" : ", anchor deleted, then memory revoked"));
            auto build = [&](Doomed& w) { w.build(structure); };
            auto destroy = [&](Doomed& w) {
                if (!by_memory) {
                    REQUIRE_OK(w.remove(w.anchor));
                    CHECK(w.slot(w.anchor).empty());
                }
                REQUIRE_OK(w.revoke(w.memory));
                // All of the memory can be used again.
                CHECK(!has_children(w.slot(w.memory)));
                unsigned left = std::exchange(hardware.pending_at, 0);
                w.make_in(w.memory, ObjectType::Untyped, 15, 2);
                hardware.pending_at = left;
            };
            Preempted done = preempt_everywhere<Doomed>(build, destroy, Pairing::Pairs);
            CHECK(done.problem == "");
            CHECK(done.points > 1);
        }
    }
}

TEST_CASE("a thread that becomes free to act between two parts of a deletion may undo nothing of it", "[cap]") {
    // The handler of the interrupt that preempts the deletion starts the same and other deletions, or moves what is left.
    enum class Act { Revoke, Delete, Move };
    Act act = GENERATE(Act::Revoke, Act::Delete, Act::Move);
    for (const Structure& structure : structures) {
        for (unsigned point = 1; point < 40; point += 3) {
            INFO(structure.name << ", point " << point);
            Doomed w;
            w.set_deep(false);
            Thread deleter = w.start_thread(10);
            w.build(structure);
            w.run(deleter);
            w.prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {w.anchor, depth}, {}});
            hardware.pending_at = point;
            w.execute();
            hardware.pending_at = 0;
            w.check();
            switch (act) {
                case Act::Revoke: REQUIRE_OK(w.revoke(w.memory)); break;
                case Act::Delete: REQUIRE_OK(w.remove(w.anchor)); break;
                case Act::Move: {
                    bool zombie = w.slot(w.anchor).cap.is(CapType::Zombie);
                    Answer moved = w.move_to(w.fresh(), w.anchor);
                    if (zombie) CHECK(moved == failure(Error::IllegalOperation));
                    break;
                }
            }
            w.run(deleter);
            for (unsigned i = 0; i < 3; ++i) w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {w.anchor, depth}, {}});
            CHECK(w.slot(w.anchor).empty());
            REQUIRE_OK(w.revoke(w.memory));
            w.check();
            CHECK(!has_children(w.slot(w.memory)));
        }
    }
}

TEST_CASE("a zombie can only be deleted", "[cap]") {
    Nodes w;
    Word memory = w.make(ObjectType::Untyped, 16);
    Word anchor = w.fresh();
    chain(w, memory, anchor);
    w.take_over();
    hardware.pending_at = 3;
    w.prepare(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {anchor, depth}, {}});
    w.execute();
    REQUIRE(w.slot(anchor).cap.is(CapType::Zombie));
    // The root task's registers hold the interrupted call; it does something else.
    w.root()->context.pc += svc_bytes;
    Word target = w.fresh();
    CHECK(w.copy_to(root_cnode, target, depth, anchor) == failure(Error::IllegalOperation));
    CHECK(w.move_to(target, anchor) == failure(Error::IllegalOperation));
    CHECK(w.invoke(root_cnode, Method::CNodeMint, {target, depth, anchor, depth, 15, 0}, {root_cnode}) == failure(Error::IllegalOperation));
    CHECK(w.invoke(root_cnode, Method::CNodeMutate, {target, depth, anchor, depth, 0}, {root_cnode}) == failure(Error::IllegalOperation));
    Word other = w.make(ObjectType::TCB);
    auto rotate = [&](Word to, Word pivot, Word from) {
        return w.invoke(root_cnode, Method::CNodeRotate, {to, depth, 0, pivot, depth, 0, from, depth}, {root_cnode, root_cnode});
    };
    CHECK(rotate(target, anchor, other) == failure(Error::IllegalOperation));
    CHECK(rotate(target, other, anchor) == failure(Error::IllegalOperation));
    CHECK(w.invoke(root_cnode, Method::CNodeCancelBadgedSends, {anchor, depth}) == failure(Error::IllegalOperation));
    CHECK(w.invoke(anchor, Method::CNodeDelete, {0, 3}) == failure(Error::IllegalOperation));
    CHECK(w.copy_to(anchor, 0, 3, root_cnode) == failure(Error::IllegalOperation));
    CHECK(w.copy_to(root_cnode, target, depth, 0, 3, anchor) == failed_lookup(true, LookupFailure::InvalidRoot, 3));
    REQUIRE_OK(w.remove(anchor));
    CHECK(w.slot(anchor).empty());
}

TEST_CASE("a zombie without slots, left by a preempted deletion, goes with the CNode that it lies in", "[cap]") {
    for (unsigned point = 1; point < 12; ++point) {
        Nodes w;
        Word outer = w.make(ObjectType::CNode, Nodes::radix);
        Word inner = w.make(ObjectType::CNode, 1);
        Word way_in = w.copy(outer);
        REQUIRE_OK(w.invoke(inner, Method::CNodeMove, {0, 1, w.make(ObjectType::Endpoint), depth}, {root_cnode}));
        REQUIRE_OK(w.put(outer, 5, inner));
        Thread deleter = w.start_thread(10);
        w.run(deleter);
        w.prepare(Syscall::Call, way_in, {static_cast<Word>(Method::CNodeDelete), {5, Nodes::radix}, {}});
        hardware.pending_at = point;
        w.execute();
        bool reached = hardware.pending_at == 0;
        hardware.pending_at = 0;
        REQUIRE_OK(w.remove(way_in));
        REQUIRE_OK(w.remove(outer));
        w.check();
        if (!reached) break;
    }
}

TEST_CASE("questions about capabilities that no tree asks", "[cap]") {
    Nodes w;
    Cap endpoint = w.slot(w.make(ObjectType::Endpoint)).cap;
    CHECK(!same_region(Cap{}, Cap{}));
    CHECK(!same_region(Cap{}, endpoint));
    CHECK(!same_object(Cap{}, Cap{}));
    Cap untyped = w.slot(w.memory()).cap;
    CHECK(!same_region(untyped, Cap{}));
    CHECK(same_region(untyped, untyped));
    CHECK(!same_object(untyped, untyped));
    CHECK(same_region(untyped, endpoint));
    Cap control = w.slot(World::cap(InitSlot::IRQControl)).cap;
    CHECK(same_region(control, control));
    CHECK(same_object(control, control));
    CHECK(!same_region(control, endpoint));
    CHECK(!same_object(control, IrqHandlerCap::make(KernAddr(0), 5)));
    CHECK(same_region(control, IrqHandlerCap::make(KernAddr(0), 5)));
    CHECK(same_region(control, SgiSignalCap::make(Irq(5), CoreId(0))));
    CHECK(!same_region(IrqHandlerCap::make(KernAddr(0), 5), SgiSignalCap::make(Irq(5), CoreId(0))));
    CHECK(!same_region(SgiSignalCap::make(Irq(5), CoreId(1)), SgiSignalCap::make(Irq(5), CoreId(0))));
}

TEST_CASE("revocation spares the capability and what is beside it", "[cap]") {
    Nodes w;
    Word parent = w.make(ObjectType::Untyped, 14);
    Word child = w.make_in(parent, ObjectType::Untyped, 12);
    Word grandchild = w.make_in(child, ObjectType::Endpoint);
    Word sibling = w.make_in(parent, ObjectType::Untyped, 12);
    Word other = w.make(ObjectType::Endpoint);
    REQUIRE_OK(w.revoke(child));
    CHECK(w.slot(grandchild).empty());
    for (Word kept : {parent, child, sibling, other}) CHECK(!w.slot(kept).empty());
    REQUIRE_OK(w.revoke(parent));
    CHECK(w.slot(child).empty());
    CHECK(w.slot(sibling).empty());
    CHECK(!w.slot(other).empty());
}

TEST_CASE("children of a deleted untyped belong to its parent", "[cap]") {
    Nodes w;
    Word parent = w.make(ObjectType::Untyped, 14);
    Word child = w.make_in(parent, ObjectType::Untyped, 12);
    Word endpoint = w.make_in(child, ObjectType::Endpoint);
    REQUIRE_OK(w.remove(child));
    CHECK(!w.slot(endpoint).empty());
    REQUIRE_OK(w.revoke(parent));
    CHECK(w.slot(endpoint).empty());
}

TEST_CASE("a copied untyped makes the original full until it is gone", "[cap]") {
    Nodes w;
    Word untyped = w.make(ObjectType::Untyped, 12);
    Word copy = w.copy(untyped);
    CHECK(w.retype(untyped, ObjectType::Endpoint, 0, w.fresh()) == failure(Error::NotEnoughMemory, {0}));
    Word endpoint = w.make_in(copy, ObjectType::Endpoint);
    REQUIRE_OK(w.revoke(untyped));
    CHECK(w.slot(copy).empty());
    CHECK(w.slot(endpoint).empty());
    w.make_in(untyped, ObjectType::Endpoint);
}

TEST_CASE("a revoked slot that lies in what it revokes goes too", "[cap]") {
    Nodes w;
    Word memory = w.make(ObjectType::Untyped, 16);
    Word node = w.make_in(memory, ObjectType::CNode, Nodes::radix);
    Word place = GENERATE(0u, 3u, 7u);
    REQUIRE_OK(w.put(node, place, memory));
    REQUIRE_OK(w.invoke(node, Method::CNodeRevoke, {place, Nodes::radix}));
    CHECK(w.slot(node).empty());
}

TEST_CASE("a thread may delete itself and what it stands on", "[cap]") {
    Nodes w;
    Word memory = w.make(ObjectType::Untyped, 18);
    Word node = w.make_in(memory, ObjectType::CNode, 6);
    Word tcb = w.make_in(memory, ObjectType::TCB);
    Word context = w.make_context({});
    Tcb* thread = &w.object<Tcb>(tcb);
    Word buffer = w.make_in(memory, ObjectType::SmallPage);
    w.must(tcb, Method::TCBConfigure, {guard(58, 0).raw, 0, 0x1000'0000}, {node, World::cap(InitSlot::VSpace), buffer});
    w.must(tcb, Method::TCBSetPriority, {50}, {World::cap(InitSlot::TCB)});
    w.must(context, Method::SchedContextBind, {}, {tcb});
    auto put = [&](Word index, Word source) { w.must(node, Method::CNodeMove, {index, 6, source, depth}, {root_cnode}); };
    constexpr Word own_node = 1, own_tcb = 2, own_context = 3, vspace = 4, own_buffer = 5;
    w.must(tcb, Method::TCBResume);
    Word vspace_copy = w.copy(World::cap(InitSlot::VSpace));
    put(own_context, context);
    put(vspace, vspace_copy);
    put(own_buffer, buffer);
    put(own_tcb, tcb);
    abi::IPCBuffer& ipc = *readable_buffer(*thread);
    SECTION("its TCB") {
        w.must(node, Method::CNodeMove, {own_node, 6, node, depth}, {root_cnode});
        w.let_go();
        REQUIRE(w.current() == thread);
        w.syscall(Syscall::Call, own_node, {static_cast<Word>(Method::CNodeDelete), {own_tcb, 6}, {}});
        CHECK(w.current() == nullptr);
    }
    SECTION("its scheduling context") {
        w.must(node, Method::CNodeMove, {own_node, 6, node, depth}, {root_cnode});
        w.let_go();
        w.syscall(Syscall::Call, own_node, {static_cast<Word>(Method::CNodeDelete), {own_context, 6}, {}});
        CHECK(w.current() == nullptr);
        CHECK(thread->state == ThreadState::Running);
    }
    SECTION("all of it, by taking another CSpace when its own is the last capability to the CNode that holds its TCB") {
        bool with_buffer = GENERATE(true, false);
        Word other = w.make(ObjectType::CNode, 3);
        put(own_node, other);
        REQUIRE_OK(w.remove(node));
        w.let_go();
        REQUIRE(w.current() == thread);
        ipc.caps_or_badges[0] = own_node;
        ipc.caps_or_badges[1] = vspace;
        ipc.caps_or_badges[2] = own_buffer;
        Method method = with_buffer ? Method::TCBConfigure : Method::TCBSetSpace;
        if (!with_buffer) ipc.caps_or_badges[0] = 0, ipc.caps_or_badges[1] = own_node, ipc.caps_or_badges[2] = vspace;
        Message message{
            static_cast<Word>(method), {0, 0, 0x1000'0000}, {ipc.caps_or_badges[0], ipc.caps_or_badges[1], ipc.caps_or_badges[2]}};
        w.syscall(Syscall::Call, own_tcb, message);
        CHECK(w.current() == nullptr);
    }
    REQUIRE_OK(w.revoke(memory));
    CHECK(!has_children(w.slot(memory)));
    w.make_in(memory, ObjectType::Untyped, 17, 2);
}

TEST_CASE("a thread that deletes its own VSpace leaves no walker behind", "[cap]") {
    Nodes w;
    Word vspace = w.make(ObjectType::VSpace);
    w.must(World::cap(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {vspace});
    Thread thread = w.start_thread(50);
    w.must(thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, vspace});
    REQUIRE_OK(w.remove(vspace));
    w.run(thread);
    hardware.effects.clear();
    w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {thread.tcb, depth}, {}});
    // TTBR0 first, then the TLB: else a walk in between could fill the TLB again.
    CHECK(hardware.first(host::Effect::NoAddressSpace) >= 0);
    CHECK(hardware.first(host::Effect::InvalidateAsid) > hardware.first(host::Effect::NoAddressSpace));
}
