// SPDX-License-Identifier: BSD-2-Clause
// Cases of address spaces: frames, page tables, ASIDs and their pools, stale capabilities, caches.
#include "world.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace caprock;
using namespace caprock::test;
using abi::LookupFailure;
using host::Effect;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word read_write = 3;
constexpr Word cacheable = 1;
constexpr Word base = 0x10'0000'0000;  // nothing of the root task is near

struct Space : World {
    Word vspace = make(ObjectType::VSpace);
    Space() { must(cap(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {vspace}); }

    Answer map(Word frame, Word address, Word rights = read_write, Word attributes = cacheable, Word space = 0) {
        return invoke(frame, Method::FrameMap, {address, rights, attributes}, {space == 0 ? vspace : space});
    }
    Answer map_table(Word table, Word address, Word space = 0) {
        return invoke(table, Method::PageTableMap, {address, 0}, {space == 0 ? vspace : space});
    }
    // Tables for `address` down to the last level.
    Word make_tables(Word address, Word space = 0) {
        Word first = make(ObjectType::PageTable, 0, 3);
        for (Word i = 0; i < 3; ++i) REQUIRE_OK(map_table(first + i, address, space));
        return first;
    }
    Asid asid(Word space) { return Asid(static_cast<uint16_t>(as<VSpaceCap>(slot(space).cap).number())); }
    arch::Pte entry(Word address, unsigned level = last_level, Word space = 0) {
        Walk found = walk(slot(space == 0 ? vspace : space).cap.object(), UserVirtAddr(address), level);
        return found.level == level ? *found.entry : 0;
    }
    Word physical(Word frame) { return arch::to_physical(slot(frame).cap.object()).raw; }
};

}  // namespace

TEST_CASE("tables are mapped level by level", "[vspace]") {
    Space w;
    Word frame = w.make(ObjectType::SmallPage);
    Word large = w.make(ObjectType::LargePage);
    Word table = w.make(ObjectType::PageTable, 0, 4);
    CHECK(w.map(frame, base) == failed_lookup(false, LookupFailure::MissingCapability, 39));
    REQUIRE_OK(w.map_table(table, base + 0x12345));
    CHECK(w.map(frame, base) == failed_lookup(false, LookupFailure::MissingCapability, 30));
    CHECK(w.map(large, base) == failed_lookup(false, LookupFailure::MissingCapability, 30));
    REQUIRE_OK(w.map_table(table + 1, base));
    CHECK(w.map(frame, base) == failed_lookup(false, LookupFailure::MissingCapability, 21));
    REQUIRE_OK(w.map_table(table + 2, base));
    CHECK(w.map_table(table + 3, base) == failure(Error::DeleteFirst));
    REQUIRE_OK(w.map(frame, base));
    CHECK(w.map(large, base) == failure(Error::DeleteFirst));
    REQUIRE_OK(w.map(large, base + (1 << 21)));
    CHECK(w.map_table(table + 3, base + (1 << 21)) == failure(Error::DeleteFirst));
    CHECK(arch::entry_address(w.entry(base)).raw == w.physical(frame));
    CHECK(arch::entry_address(w.entry(base + (1 << 21), 2)).raw == w.physical(large));
    for (Word i = 0; i < 3; ++i) CHECK(as<PageTableCap>(w.slot(table + i).cap).level() == i + 1);
}

TEST_CASE("checks of PageTable::Map and Unmap, in order", "[vspace]") {
    Space w;
    Word table = w.make(ObjectType::PageTable, 0, 2);
    Word bare = w.make(ObjectType::VSpace);
    REQUIRE_OK(w.map_table(table, base));
    CHECK(w.map_table(table, abi::user_top, bare) == failure(Error::InvalidCapability, {0}));
    CHECK(w.map_table(table + 1, abi::user_top, bare) == failure(Error::InvalidCapability, {1}));
    CHECK(w.map_table(table + 1, abi::user_top, table) == failure(Error::InvalidCapability, {1}));
    CHECK(w.map_table(table + 1, abi::user_top) == failure(Error::InvalidArgument, {0}));
    Word copy = w.copy(table);
    CHECK(w.invoke(table, Method::PageTableUnmap) == failure(Error::RevokeFirst));
    REQUIRE_OK(w.remove(copy));
    REQUIRE_OK(w.invoke(table, Method::PageTableUnmap));
    REQUIRE_OK(w.invoke(table, Method::PageTableUnmap));
    CHECK(w.entry(base, 0) == 0);
    REQUIRE_OK(w.map_table(table, abi::user_top - 1));
}

TEST_CASE("a table that is unmapped takes what is below out of the TLB, and comes back empty", "[vspace]") {
    Space w;
    Word tables = w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    REQUIRE_OK(w.map(frame, base));
    hardware.effects.clear();
    Word which = GENERATE(0u, 1u, 2u);
    bool deleted = GENERATE(false, true);
    if (deleted) {
        REQUIRE_OK(w.remove(tables + which));
    } else {
        REQUIRE_OK(w.invoke(tables + which, Method::PageTableUnmap));
        for (Word i = 0; i < 512; ++i) REQUIRE(arch::pointer<Word>(w.slot(tables + which).cap.object())[i] == 0);
    }
    // The entry first, then the TLB.
    CHECK(hardware.first(Effect::WriteEntry) >= 0);
    CHECK(hardware.first(Effect::InvalidateAsid) > hardware.first(Effect::WriteEntry));
    CHECK(hardware.saw({Effect::InvalidateAsid, w.asid(w.vspace).raw, 0}));
    CHECK(w.entry(base) == 0);
    // The frame still says that it is mapped; unmapping and mapping again are harmless.
    CHECK(as<FrameCap>(w.slot(frame).cap).is_mapped());
    REQUIRE_OK(w.invoke(frame, Method::FrameUnmap));
    CHECK(!as<FrameCap>(w.slot(frame).cap).is_mapped());
}

TEST_CASE("checks of Frame::Map, in order", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    Word large = w.make(ObjectType::LargePage);
    Word bare = w.make(ObjectType::VSpace);
    CHECK(w.map(large, abi::user_top - page_size, read_write, 0, bare) == failure(Error::InvalidCapability, {1}));
    CHECK(w.map(large, abi::user_top - page_size) == failure(Error::InvalidArgument, {0}));
    CHECK(w.map(large, abi::user_top) == failure(Error::InvalidArgument, {0}));
    CHECK(w.map(large, ~Word{0}) == failure(Error::InvalidArgument, {0}));
    CHECK(w.map(large, base + page_size) == failure(Error::AlignmentError));
    CHECK(w.map(frame, base + 8) == failure(Error::AlignmentError));
    REQUIRE_OK(w.map(frame, base));
    CHECK(w.map(frame, base + page_size, read_write, cacheable, World::cap(InitSlot::VSpace)) == failure(Error::InvalidCapability, {1}));
    CHECK(w.map(frame, base + page_size) == failure(Error::InvalidArgument, {0}));
    Word copy = w.copy(frame);
    CHECK(!as<FrameCap>(w.slot(copy).cap).is_mapped());
    CHECK(w.map(copy, base) == failure(Error::DeleteFirst));
    REQUIRE_OK(w.map(copy, base + page_size));
    Word minted = w.mint(frame, 0);
    CHECK(!as<FrameCap>(w.slot(minted).cap).is_mapped());
}

TEST_CASE("rights and attributes of mappings", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    constexpr Word user = 1 << 6, read_only = 1 << 7, never = Word{1} << 54;
    Word capability = GENERATE(0u, 1u, 2u, 3u);
    Word mask = GENERATE(0u, 1u, 2u, 3u, ~0u);
    Word copy = w.copy(frame, CapRights{capability});
    REQUIRE_OK(w.map(copy, base, mask, cacheable));
    Word rights = capability & mask;
    CHECK(((w.entry(base) & user) != 0) == ((rights & 2) != 0));
    CHECK(((w.entry(base) & read_only) == 0) == (rights == 3));
    CHECK((w.entry(base) & never) == 0);
    REQUIRE_OK(w.map(copy, base, mask, 4));
    CHECK((w.entry(base) & never) != 0);
    CHECK((w.entry(base) >> 2 & 3) == 1);
}

TEST_CASE("device frames are never executable", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make_in(w.root_info().untyped.end - 1, ObjectType::SmallPage);
    Word attributes = GENERATE(0u, 1u);
    REQUIRE_OK(w.map(frame, base, read_write, attributes));
    CHECK((w.entry(base) & Word{1} << 54) != 0);
    CHECK((w.entry(base) >> 2 & 3) == (attributes == 0 ? 0 : 2));
    REQUIRE_OK(w.remove(frame));
    CHECK(w.entry(base) == 0);
}

TEST_CASE("an entry is broken before it is made anew", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    hardware.effects.clear();
    REQUIRE_OK(w.map(frame, base));
    CHECK(hardware.first(Effect::InvalidatePage) == -1);
    hardware.effects.clear();
    REQUIRE_OK(w.map(frame, base, 2));
    REQUIRE(hardware.effects.size() == 3);
    CHECK(hardware.effects[0].kind == Effect::WriteEntry);
    CHECK(hardware.effects[0].b == 0);
    CHECK(hardware.effects[1] == Effect{Effect::InvalidatePage, w.asid(w.vspace).raw, base});
    CHECK(hardware.effects[2].kind == Effect::WriteEntry);
}

TEST_CASE("every frame capability undoes its own mapping", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    Word copy = w.copy(frame);
    REQUIRE_OK(w.map(frame, base));
    REQUIRE_OK(w.map(copy, base + page_size));
    hardware.effects.clear();
    SECTION("unmapped") { REQUIRE_OK(w.invoke(copy, Method::FrameUnmap)); }
    SECTION("deleted, not the last") { REQUIRE_OK(w.remove(copy)); }
    CHECK(w.entry(base + page_size) == 0);
    CHECK(w.entry(base) != 0);
    CHECK(hardware.saw({Effect::InvalidatePage, w.asid(w.vspace).raw, base + page_size}));
    REQUIRE_OK(w.remove(frame));
    CHECK(w.entry(base) == 0);
}

TEST_CASE("a moved frame takes its mapping along", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    REQUIRE_OK(w.map(frame, base));
    Word moved = w.fresh();
    w.must(root_cnode, Method::CNodeMove, {moved, 64, frame, 64}, {root_cnode});
    REQUIRE_OK(w.remove(moved));
    CHECK(w.entry(base) == 0);
}

TEST_CASE("a buffer's frame in a TCB is not the mapping", "[vspace]") {
    Space w;
    w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    REQUIRE_OK(w.map(frame, base));
    Word tcb = w.make(ObjectType::TCB);
    REQUIRE_OK(w.invoke(tcb, Method::TCBSetIPCBuffer, {base}, {frame}));
    REQUIRE_OK(w.invoke(tcb, Method::TCBSetIPCBuffer, {0}, {0}));
    CHECK(w.entry(base) != 0);
    // The same is true of the root task's own, which boot made.
    CHECK(!as<FrameCap>(w.root()->cap(TcbSlot::Buffer)).is_mapped());
}

// -- Stale capabilities

TEST_CASE("capabilities that outlive their address space change nothing in the next", "[vspace]") {
    Space w;
    Word tables = w.make_tables(base);
    Word frame = w.make(ObjectType::SmallPage);
    Word other = w.make(ObjectType::SmallPage);
    REQUIRE_OK(w.map(frame, base));
    Asid asid = w.asid(w.vspace);
    hardware.effects.clear();
    REQUIRE_OK(w.remove(w.vspace));
    CHECK(hardware.saw({Effect::InvalidateAsid, asid.raw, 0}));
    CHECK(vspace_of(w.kernel(), asid) == KernAddr(0));
    // The ASID passes to another VSpace with something else at the same address.
    Word second = w.make(ObjectType::VSpace);
    w.must(World::cap(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {second});
    REQUIRE(w.asid(second) == asid);
    w.make_tables(base, second);
    REQUIRE_OK(w.map(other, base, read_write, cacheable, second));
    Word expected = w.entry(base, last_level, second);
    SECTION("unmapping the frame") { REQUIRE_OK(w.invoke(frame, Method::FrameUnmap)); }
    SECTION("deleting the frame") { REQUIRE_OK(w.remove(frame)); }
    SECTION("mapping the frame over it") { CHECK(w.map(frame, base, read_write, cacheable, second) == failure(Error::DeleteFirst)); }
    SECTION("unmapping the tables") {
        for (Word i = 0; i < 3; ++i) REQUIRE_OK(w.invoke(tables + i, Method::PageTableUnmap));
    }
    SECTION("deleting the tables") {
        for (Word i = 0; i < 3; ++i) REQUIRE_OK(w.remove(tables + i));
    }
    CHECK(w.entry(base, last_level, second) == expected);
}

TEST_CASE("cache maintenance works on the frame, mapped or stale", "[vspace]") {
    Space w;
    Word frame = w.make(ObjectType::SmallPage);
    struct {
        Method method;
        Effect::Kind kind;
    } methods[] = {{Method::FrameCleanData, Effect::Clean},
                   {Method::FrameInvalidateData, Effect::CleanInvalidate},
                   {Method::FrameCleanInvalidateData, Effect::CleanInvalidate},
                   {Method::FrameUnifyInstruction, Effect::Unify}};
    for (auto [method, kind] : methods) {
        hardware.effects.clear();
        CHECK(w.invoke(frame, method, {64, 64}) == failure(Error::RangeError, {0, 4096}));
        CHECK(w.invoke(frame, method, {64, 4097}) == failure(Error::RangeError, {0, 4096}));
        CHECK(hardware.effects.empty());
        REQUIRE_OK(w.invoke(frame, method, {70, 130}));
        CHECK(hardware.saw({kind, w.physical(frame) + 64, 128}));
    }
    CHECK(w.invoke(frame, Method::FrameGetAddress) == success({w.physical(frame)}));
}

// -- ASIDs

TEST_CASE("ASIDs are given once, and come back", "[vspace]") {
    Space w;
    constexpr Word pool = World::cap(InitSlot::ASIDPool);
    CHECK(w.invoke(pool, Method::ASIDPoolAssign, {}, {root_cnode}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(pool, Method::ASIDPoolAssign, {}, {w.vspace}) == failure(Error::InvalidCapability, {1}));
    Word copy = w.copy(w.vspace);
    CHECK(w.asid(copy) == w.asid(w.vspace));
    REQUIRE_OK(w.remove(w.vspace));
    CHECK(vspace_of(w.kernel(), w.asid(copy)) == w.slot(copy).cap.object());
    Asid asid = w.asid(copy);
    REQUIRE_OK(w.remove(copy));
    CHECK(vspace_of(w.kernel(), asid) == KernAddr(0));
    REQUIRE_OK(w.remove(w.make(ObjectType::VSpace)));
}

TEST_CASE("a pool that is full says so; ASID 0 is never given", "[vspace]") {
    unsigned bits = GENERATE(8u, 16u);
    World w;
    w.set_deep(false);
    hardware.asid_bits = bits;
    AsidPool& pool = *w.kernel().asid_pools[0];
    Word most = bits == 8 ? 256 : 512;
    // Every entry but one is taken, by the root task's VSpace for the test's purpose.
    for (Word i = 2; i < most - 1; ++i) pool.vspace[i] = pool.vspace[1];
    Word vspace = w.make(ObjectType::VSpace, 0, 2);
    REQUIRE_OK(w.invoke(World::cap(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {vspace}));
    CHECK(as<VSpaceCap>(w.slot(vspace).cap).number() == most - 1);
    CHECK(w.invoke(World::cap(InitSlot::ASIDPool), Method::ASIDPoolAssign, {}, {vspace + 1}) == failure(Error::DeleteFirst));
    CHECK(pool.vspace[0] == KernAddr(0));
}

TEST_CASE("checks of ASIDControl::MakePool, in order", "[vspace]") {
    World w;
    constexpr Word control = World::cap(InitSlot::ASIDControl);
    Word untyped = w.make(ObjectType::Untyped, 12);
    Word larger = w.make(ObjectType::Untyped, 13);
    Word endpoint = w.make(ObjectType::Endpoint);
    Word slot = w.fresh();
    auto make_pool = [&](Word index, Word depth, Word from) {
        return w.invoke(control, Method::ASIDControlMakePool, {index, depth}, {from, root_cnode});
    };
    CHECK(make_pool(endpoint, 0, endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(make_pool(endpoint, 0, larger) == failure(Error::InvalidCapability, {1}));
    Word child = w.make_in(untyped, ObjectType::Endpoint);
    CHECK(make_pool(endpoint, 0, untyped) == failure(Error::RevokeFirst));
    REQUIRE_OK(w.remove(child));
    CHECK(make_pool(endpoint, 0, untyped) == failure(Error::RangeError, {1, 64}));
    CHECK(make_pool(endpoint, 64, untyped) == failure(Error::DeleteFirst));
    REQUIRE_OK(make_pool(slot, 64, untyped));
    CHECK(as<AsidPoolCap>(w.slot(slot).cap).number() == 512);
    CHECK(w.retype(untyped, ObjectType::Endpoint, 0, w.fresh()) == failure(Error::NotEnoughMemory, {0}));
    hardware.asid_bits = 8;
    CHECK(make_pool(slot, 64, endpoint) == failure(Error::DeleteFirst));
}

TEST_CASE("a pool that goes takes its ASIDs from their VSpaces", "[vspace]") {
    World w;
    Word untyped = w.make(ObjectType::Untyped, 12);
    Word pool = w.fresh();
    w.must(World::cap(InitSlot::ASIDControl), Method::ASIDControlMakePool, {pool, 64}, {untyped, root_cnode});
    Word vspace = w.make(ObjectType::VSpace);
    w.must(pool, Method::ASIDPoolAssign, {}, {vspace});
    Thread thread = w.start_thread(10);
    w.must(thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, vspace});
    w.run(thread);
    CHECK(hardware.asid == Asid(512));
    hardware.effects.clear();
    SECTION("deleted while another thread runs") { REQUIRE_OK(w.remove(pool)); }
    SECTION("deleted by the thread itself") {
        w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {pool, 64}, {}});
        CHECK(hardware.first(Effect::InvalidateAsid) > hardware.first(Effect::NoAddressSpace));
    }
    CHECK(hardware.saw({Effect::InvalidateAsid, 512, 0}));
    CHECK(w.kernel().asid_pools[1] == nullptr);
    w.run(thread);
    CHECK(hardware.root == PhysAddr(0));
    Word table = w.make(ObjectType::PageTable);
    CHECK(w.invoke(table, Method::PageTableMap, {base, 0}, {vspace}) == failure(Error::InvalidCapability, {1}));
    // The next pool's first ASID is another VSpace's; the old one does not come alive with it.
    Word second = w.fresh();
    w.must(World::cap(InitSlot::ASIDControl), Method::ASIDControlMakePool, {second, 64}, {untyped, root_cnode});
    Word other = w.make(ObjectType::VSpace);
    w.must(second, Method::ASIDPoolAssign, {}, {other});
    CHECK(as<VSpaceCap>(w.slot(other).cap).number() == 512);
    w.run(thread);
    CHECK(hardware.root == PhysAddr(0));
    CHECK(w.invoke(table, Method::PageTableMap, {base, 0}, {vspace}) == failure(Error::InvalidCapability, {1}));
    REQUIRE_OK(w.remove(other));
    REQUIRE_OK(w.remove(vspace));
}

TEST_CASE("a thread whose VSpace capability it revokes itself runs nowhere from then on", "[vspace]") {
    Space w;
    Thread thread = w.start_thread(10);
    w.must(thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, w.vspace});
    w.run(thread);
    REQUIRE(hardware.root == arch::to_physical(w.slot(w.vspace).cap.object()));
    w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeRevoke), {w.vspace, 64}, {}});
    REQUIRE(w.current() == thread.object);
    CHECK(thread->cap(TcbSlot::VSpace).is(CapType::Null));
    CHECK(hardware.root == PhysAddr(0));
}

TEST_CASE("a running thread changes to the VSpace that it is given", "[vspace]") {
    Space w;
    Thread thread = w.start_thread(10);
    w.run(thread);
    w.syscall(Syscall::Call, thread.tcb, {static_cast<Word>(Method::TCBSetSpace), {0, 0}, {0, root_cnode, w.vspace}});
    CHECK(hardware.root == arch::to_physical(w.slot(w.vspace).cap.object()));
    CHECK(hardware.asid == w.asid(w.vspace));
    // Its VSpace is deleted under it.
    w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {w.vspace, 64}, {}});
    CHECK(hardware.root != PhysAddr(0));
    w.syscall(Syscall::Call, thread.tcb, {static_cast<Word>(Method::TCBSetSpace), {0, 0}, {0, root_cnode, World::cap(InitSlot::VSpace)}});
    CHECK(hardware.asid == w.asid(World::cap(InitSlot::VSpace)));
}
