// SPDX-License-Identifier: BSD-2-Clause
// Cases of Untyped::Retype, of the methods of TCBs, and of the floating-point unit.
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstring>

using namespace caprock;
using namespace caprock::test;
using abi::LookupFailure;
using host::Effect;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word root_vspace = World::cap(InitSlot::VSpace);
constexpr Word root_tcb = World::cap(InitSlot::TCB);

bool is_zero(KernAddr start, Word bytes) {
    const Word* words = arch::pointer<Word>(start);
    for (Word i = 0; i < bytes / sizeof(Word); ++i) {
        if (words[i] != 0) return false;
    }
    return true;
}

void dirty(KernAddr start, Word bytes) { std::memset(arch::pointer<void>(start), 0xa5, bytes); }

struct Kind {
    ObjectType type;
    Word choice;
    CapType cap;
    unsigned bits;
};

constexpr Kind kinds[] = {
    {ObjectType::Untyped, 4, CapType::Untyped, 4},
    {ObjectType::Untyped, 14, CapType::Untyped, 14},
    {ObjectType::TCB, 0, CapType::TCB, 11},
    {ObjectType::Endpoint, 99, CapType::Endpoint, 4},
    {ObjectType::Notification, 0, CapType::Notification, 6},
    {ObjectType::CNode, 1, CapType::CNode, 6},
    {ObjectType::CNode, 7, CapType::CNode, 12},
    {ObjectType::SchedContext, 7, CapType::SchedContext, 7},
    {ObjectType::SchedContext, 12, CapType::SchedContext, 12},
    {ObjectType::Reply, 0, CapType::Reply, 5},
    {ObjectType::VSpace, 0, CapType::VSpace, 12},
    {ObjectType::SmallPage, 0, CapType::Frame, 12},
    {ObjectType::LargePage, 0, CapType::Frame, 21},
    {ObjectType::PageTable, 0, CapType::PageTable, 12},
};

}  // namespace

// -- Untyped

TEST_CASE("every type of object: place, size, rights, zeroes", "[untyped]") {
    for (const Kind& kind : kinds) {
        INFO("type " << static_cast<Word>(kind.type) << ", choice " << kind.choice);
        World w;
        Word untyped = w.make(ObjectType::Untyped, 23);
        KernAddr start = w.slot(untyped).cap.object();
        dirty(start, Word{1} << 23);
        w.make_in(untyped, ObjectType::Endpoint);
        hardware.effects.clear();
        Word first = w.make_in(untyped, kind.type, kind.choice, 2);
        Word size = Word{1} << kind.bits;
        Word offset = align_up(16, size);
        for (Word i = 0; i < 2; ++i) {
            const Cap& cap = w.slot(first + i).cap;
            CHECK(cap.is(kind.cap));
            CHECK(cap.object() == start + offset + i * size);
            if (kind.cap == CapType::Untyped) {
                CHECK(!is_zero(cap.object(), size));
                CHECK(as<UntypedCap>(cap).watermark() == 0);
            } else if (kind.cap != CapType::TCB) {
                CHECK(is_zero(cap.object(), size));
            }
        }
        CHECK(as<UntypedCap>(w.slot(untyped).cap).watermark() == offset + 2 * size);
        if (kind.cap == CapType::Frame) {
            CHECK(as<FrameCap>(w.slot(first).cap).size_bits().raw == kind.bits);
            Word cleaned = 0;
            for (const Effect& effect : hardware.effects) cleaned += effect.kind == Effect::Clean ? effect.b : 0;
            CHECK(cleaned >= 2 * size);
        }
        if (kind.cap == CapType::TCB) {
            CHECK(w.object<Tcb>(first).context.spsr == arch::initial_spsr());
            CHECK(w.object<Tcb>(first).state == ThreadState::Inactive);
        }
    }
}

TEST_CASE("checks of Retype, in order", "[untyped]") {
    World w;
    Word untyped = w.make(ObjectType::Untyped, 14);
    Word node = w.make(ObjectType::CNode, 3);
    Word endpoint = w.make(ObjectType::Endpoint);
    Word device = w.root_info().untyped.end - 1;
    REQUIRE(as<UntypedCap>(w.slot(device).cap).is_device());
    auto retype = [&](Word from, Word type, Word bits, Word index, Word depth, Word offset, Word count, Word root = root_cnode) {
        return w.invoke(from, Method::UntypedRetype, {type, bits, index, depth, offset, count}, {root});
    };
    constexpr Word cnode = static_cast<Word>(ObjectType::CNode);
    constexpr Word none = ~Word{0};
    CHECK(retype(untyped, 12, none, none, 65, none, 0, endpoint) == failure(Error::InvalidArgument, {0}));
    CHECK(retype(untyped, cnode, 0, none, 65, none, 0, endpoint) == failure(Error::RangeError, {1, 31}));
    CHECK(retype(untyped, cnode, 32, none, 65, none, 0, endpoint) == failure(Error::RangeError, {1, 31}));
    CHECK(retype(untyped, static_cast<Word>(ObjectType::Untyped), 3, none, 65, none, 0) == failure(Error::RangeError, {4, 47}));
    CHECK(retype(untyped, static_cast<Word>(ObjectType::SchedContext), 6, none, 65, none, 0) == failure(Error::RangeError, {7, 20}));
    CHECK(retype(untyped, cnode, 10, none, 65, none, 0, endpoint) == failure(Error::RangeError, {1, 64}));
    CHECK(retype(untyped, cnode, 10, none, 64, none, 0, endpoint) == failed_lookup(false, LookupFailure::InvalidRoot, 64));
    CHECK(retype(untyped, cnode, 10, none, 64, none, 0) == failed_lookup(false, LookupFailure::GuardMismatch, 64, 0, 52));
    CHECK(retype(untyped, cnode, 10, none, 0, none, 0, endpoint) == failed_lookup(false, LookupFailure::InvalidRoot, 0));
    CHECK(retype(untyped, cnode, 10, endpoint, 64, none, 0) == failed_lookup(false, LookupFailure::MissingCapability, 0));
    CHECK(retype(untyped, cnode, 10, node, 64, 8, 0) == failure(Error::RangeError, {0, 7}));
    CHECK(retype(untyped, cnode, 10, node, 64, 7, 0) == failure(Error::RangeError, {1, 256}));
    CHECK(retype(untyped, cnode, 10, node, 64, 7, 257) == failure(Error::RangeError, {1, 256}));
    CHECK(retype(untyped, cnode, 10, node, 64, 7, 2) == failure(Error::RangeError, {1, 1}));
    w.must(node, Method::CNodeCopy, {6, 3, endpoint, 64, 15}, {root_cnode});
    CHECK(retype(untyped, cnode, 10, node, 64, 5, 2) == failure(Error::DeleteFirst));
    CHECK(retype(device, cnode, 10, node, 64, 6, 1) == failure(Error::DeleteFirst));
    CHECK(retype(device, cnode, 10, node, 64, 7, 1) == failure(Error::InvalidArgument, {0}));
    CHECK(retype(device, static_cast<Word>(ObjectType::Untyped), 11, node, 64, 7, 1) == failure(Error::RangeError, {12, 47}));
    CHECK(retype(untyped, cnode, 10, node, 64, 7, 1) == failure(Error::NotEnoughMemory, {Word{1} << 14}));
    CHECK(retype(untyped, static_cast<Word>(ObjectType::HugePage), 0, node, 64, 7, 1) == failure(Error::NotEnoughMemory, {Word{1} << 14}));
    REQUIRE_OK(retype(untyped, cnode, 8, node, 64, 7, 1));
    CHECK(w.object<Slot[8]>(node)[7].cap.is(CapType::CNode));
}

TEST_CASE("memory is given out from the watermark, and from the start once no child is left", "[untyped]") {
    World w;
    Word untyped = w.make(ObjectType::Untyped, 12);
    KernAddr start = w.slot(untyped).cap.object();
    Word a = w.make_in(untyped, ObjectType::Endpoint);
    Word b = w.make_in(untyped, ObjectType::TCB);
    CHECK(w.slot(a).cap.object() == start);
    CHECK(w.slot(b).cap.object() == start + 2048);
    Word slot = w.fresh();
    CHECK(w.retype(untyped, ObjectType::Endpoint, 0, slot) == failure(Error::NotEnoughMemory, {0}));
    REQUIRE_OK(w.remove(a));
    CHECK(w.retype(untyped, ObjectType::Endpoint, 0, slot) == failure(Error::NotEnoughMemory, {0}));
    REQUIRE_OK(w.remove(b));
    REQUIRE_OK(w.retype(untyped, ObjectType::Endpoint, 0, slot));
    CHECK(w.slot(slot).cap.object() == start);
}

TEST_CASE("many small objects behind an unaligned watermark are all cleared", "[untyped]") {
    World w;
    Word untyped = w.make(ObjectType::Untyped, 16);
    KernAddr start = w.slot(untyped).cap.object();
    dirty(start, Word{1} << 16);
    w.make_in(untyped, ObjectType::Endpoint);
    bool preempted = GENERATE(false, true);
    w.take_over();
    hardware.always_pending = preempted;
    Word first = w.make_in(untyped, ObjectType::TCB, 0, 20);
    hardware.always_pending = false;
    CHECK((w.restarts() > 0) == preempted);
    for (Word i = 0; i < 20; ++i) {
        Tcb& thread = w.object<Tcb>(first + i);
        CHECK(thread.state == ThreadState::Inactive);
        CHECK(is_zero(arch::address_of(thread.slots), sizeof(thread.slots)));
        CHECK(is_zero(arch::address_of(&thread.fpu), sizeof(thread.fpu)));
    }
}

TEST_CASE("clearing that is preempted shows nothing old, whatever comes next", "[untyped]") {
    constexpr Word frames = 256;
    unsigned point = GENERATE(1u, 2u, 5u, 20u);
    World w;
    Word untyped = w.make(ObjectType::Untyped, 23);
    KernAddr start = w.slot(untyped).cap.object();
    dirty(start, Word{1} << 23);
    w.make_in(untyped, ObjectType::Endpoint);
    Word target = w.fresh(frames);
    auto prepare = [&](ObjectType type, Word bits, Word count) {
        w.take_over();
        w.prepare(Syscall::Call, untyped,
                  {static_cast<Word>(Method::UntypedRetype), {static_cast<Word>(type), bits, 0, 0, target, count}, {root_cnode}});
    };
    hardware.effects.clear();
    SECTION("the same again") { prepare(ObjectType::SmallPage, 0, frames); }
    SECTION("frames after CNodes: they are clean as well") { prepare(ObjectType::CNode, 7, frames); }
    hardware.pending_at = point;
    w.execute();
    CHECK(w.slot(target).empty());
    CHECK(as<UntypedCap>(w.slot(untyped).cap).cleared() == point * 4 * page_size);
    CHECK(as<UntypedCap>(w.slot(untyped).cap).watermark() == 16);
    w.root()->context.pc += svc_bytes;
    REQUIRE_OK(w.retype(untyped, ObjectType::SmallPage, 0, target, frames));
    CHECK(w.slot(target).cap.object() == start + page_size);
    CHECK(is_zero(start + page_size, frames * page_size));
    std::vector<bool> clean(frames);
    for (const Effect& effect : hardware.effects) {
        if (effect.kind != Effect::Clean) continue;
        Word first = (effect.a - arch::to_physical(start + page_size).raw) / page_size;
        for (Word i = first; i < first + effect.b / page_size; ++i) clean.at(i) = true;
    }
    CHECK(clean == std::vector<bool>(frames, true));
}

TEST_CASE("clearing that was preempted counts for nothing once the memory was used", "[untyped]") {
    World w;
    Word untyped = w.make(ObjectType::Untyped, 18);
    KernAddr start = w.slot(untyped).cap.object();
    dirty(start, Word{1} << 18);
    Word target = w.fresh();
    w.take_over();
    hardware.pending_at = 3;
    w.prepare(Syscall::Call, untyped,
              {static_cast<Word>(Method::UntypedRetype), {static_cast<Word>(ObjectType::CNode), 12, 0, 0, target, 1}, {root_cnode}});
    w.execute();
    REQUIRE(w.slot(target).empty());
    w.root()->context.pc += svc_bytes;
    bool copied = GENERATE(true, false);
    Word frame;
    if (copied) {
        Word copy = w.copy(untyped);
        frame = w.make_in(copy, ObjectType::SmallPage, 0, 8);
    } else {
        frame = w.make_in(untyped, ObjectType::SmallPage, 0, 8);
    }
    dirty(w.slot(frame).cap.object(), 8 * page_size);
    REQUIRE_OK(w.revoke(untyped));
    REQUIRE_OK(w.retype(untyped, ObjectType::CNode, 12, target));
    CHECK(is_zero(w.slot(target).cap.object(), Word{1} << 17));
}

TEST_CASE("device memory is given out untouched", "[untyped]") {
    World w;
    Word device = 0;
    for (Word each = w.root_info().untyped.start; each < w.root_info().untyped.end; ++each) {
        if (as<UntypedCap>(w.slot(each).cap).is_device() && as<UntypedCap>(w.slot(each).cap).size_bits().raw >= 31) device = each;
    }
    REQUIRE(device != 0);
    hardware.effects.clear();
    Word small = w.make_in(device, ObjectType::SmallPage);
    Word piece = w.make_in(device, ObjectType::Untyped, 12);
    Word huge = w.make_in(device, ObjectType::HugePage);
    CHECK(hardware.first(Effect::Clear) == -1);
    CHECK(hardware.first(Effect::Clean) == -1);
    CHECK(as<FrameCap>(w.slot(small).cap).is_device());
    CHECK(as<UntypedCap>(w.slot(piece).cap).is_device());
    CHECK(as<FrameCap>(w.slot(huge).cap).level() == 1);
    CHECK(w.slot(piece).cap.object() == w.slot(small).cap.object() + page_size);
    CHECK(as<UntypedCap>(w.slot(device).cap).watermark() == Word{2} << 30);
    CHECK(w.invoke(small, Method::FrameCleanData, {0, 64}) == failure(Error::IllegalOperation));
}

// -- TCB

TEST_CASE("registers are read and written in the manual's order", "[tcb]") {
    World w;
    Thread thread = w.make_thread(10);
    Word count = GENERATE(0u, 1u, 3u, 13u, 36u);
    std::vector<Word> words{0, count};
    for (Word i = 0; i < count; ++i) words.push_back(0xf000'0000 + i);
    Context before = thread->context;
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBWriteRegisters, words));
    const Context& context = thread->context;
    CHECK(context.pc == (count > 0 ? 0xf000'0000 : before.pc));
    CHECK(context.sp == (count > 1 ? 0xf000'0001 : before.sp));
    CHECK(context.spsr == (count > 2 ? 0xf000'0040 : before.spsr));
    CHECK(context.x[8] == (count > 11 ? 0xf000'000b : 0));
    CHECK(context.x[16] == (count > 12 ? 0xf000'000c : 0));
    CHECK(context.x[30] == (count > 16 ? 0xf000'0010 : 0));
    CHECK(context.x[9] == (count > 17 ? 0xf000'0011 : 0));
    CHECK(context.x[19] == (count > 24 ? 0xf000'0018 : 0));
    CHECK(context.x[28] == (count > 33 ? 0xf000'0021 : 0));
    CHECK(context.tpidr == (count > 34 ? 0xf000'0022 : 0));
    CHECK(context.tpidrro == (count > 35 ? 0xf000'0023 : 0));
    if (count == 0) return;
    Answer read = w.invoke(thread.tcb, Method::TCBReadRegisters, {0, count});
    REQUIRE(read.words.size() == count);
    for (Word i = 0; i < count; ++i) CHECK(read.words[i] == (i == 2 ? 0xf000'0040 : 0xf000'0000 + i));
}

TEST_CASE("checks of reading and writing registers", "[tcb]") {
    World w;
    Thread thread = w.make_thread(10);
    CHECK(w.invoke(root_tcb, Method::TCBReadRegisters, {0, 99}) == failure(Error::IllegalOperation));
    CHECK(w.invoke(thread.tcb, Method::TCBReadRegisters, {0, 0}) == failure(Error::RangeError, {1, 36}));
    CHECK(w.invoke(thread.tcb, Method::TCBReadRegisters, {0, 37}) == failure(Error::RangeError, {1, 36}));
    CHECK(w.invoke(root_tcb, Method::TCBWriteRegisters, {0, 2, 1}) == failure(Error::TruncatedMessage));
    CHECK(w.invoke(thread.tcb, Method::TCBWriteRegisters, {0, ~Word{0}, 1}) == failure(Error::TruncatedMessage));
    std::vector<Word> words(39);
    words[1] = 37;
    CHECK(w.invoke(root_tcb, Method::TCBWriteRegisters, words) == failure(Error::RangeError, {0, 36}));
    words[1] = 36;
    CHECK(w.invoke(root_tcb, Method::TCBWriteRegisters, words) == failure(Error::IllegalOperation));
}

TEST_CASE("dead registers of a thread in a system call read as 0", "[tcb]") {
    World w;
    Word endpoint = w.make(ObjectType::Endpoint);
    Thread thread = w.start_thread(10);
    w.run(thread);
    for (unsigned i = 0; i < 31; ++i) thread->context.x[i] = 0x100 + i;
    w.syscall(Syscall::Call, endpoint, {.words = {1, 2, 3}});
    Answer read = w.invoke(thread.tcb, Method::TCBReadRegisters, {0, 36});
    REQUIRE(read.words.size() == 36);
    for (Word i = 3; i < 34; ++i) {
        bool dead = (i <= 14) || (i >= 17 && i <= 23);
        CHECK((read.words[i] == 0) == dead);
    }
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBWriteRegisters, {0, 1, 0x1234}));
    CHECK(thread->state == ThreadState::Inactive);
    CHECK(thread->context.pc == 0x1234);
    CHECK(w.object<Endpoint>(endpoint).queue.empty());
}

TEST_CASE("ReadRegisters can suspend, WriteRegisters can resume", "[tcb]") {
    World w;
    Thread thread = w.start_thread(10);
    w.must(thread.tcb, Method::TCBReadRegisters, {1, 1});
    CHECK(thread->state == ThreadState::Inactive);
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBWriteRegisters, {1, 1, 0x1234}));
    CHECK(thread->state == ThreadState::Running);
    w.let_go();
    CHECK(w.current() == thread.object);
}

TEST_CASE("priorities are given by authority", "[tcb]") {
    World w;
    Thread thread = w.make_thread(10);
    Thread authority = w.make_thread(50);
    CHECK(w.invoke(thread.tcb, Method::TCBSetPriority, {51}, {authority.tcb}) == failure(Error::RangeError, {0, 50}));
    CHECK(w.invoke(thread.tcb, Method::TCBSetMCPriority, {51}, {authority.tcb}) == failure(Error::RangeError, {0, 50}));
    CHECK(w.invoke(thread.tcb, Method::TCBSetPriority, {51}, {root_cnode}) == failure(Error::InvalidCapability, {1}));
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBSetPriority, {50}, {authority.tcb}));
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBSetMCPriority, {49}, {authority.tcb}));
    CHECK(thread->priority == Prio(50));
    CHECK(thread->max_priority == Prio(49));
}

TEST_CASE("checks of Configure, SetSpace and SetIPCBuffer, in order", "[tcb]") {
    World w;
    Word tcb = w.make(ObjectType::TCB);
    Word endpoint = w.make(ObjectType::Endpoint);
    Word frame = w.make(ObjectType::SmallPage);
    Word vspace = w.make(ObjectType::VSpace);
    Word device = w.make_in(w.root_info().untyped.end - 1, ObjectType::SmallPage);
    Word bad_guard = abi::CNodeCapData::make(60, 0).raw;
    auto configure = [&](Word data, Word buffer, Word cspace, Word space, Word memory) {
        return w.invoke(tcb, Method::TCBConfigure, {data, 0, buffer}, {cspace, space, memory});
    };
    CHECK(configure(bad_guard, 1, endpoint, vspace, endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(configure(bad_guard, 1, root_cnode, vspace, endpoint) == failure(Error::IllegalOperation));
    CHECK(configure(0, 1, root_cnode, vspace, endpoint) == failure(Error::InvalidCapability, {2}));
    CHECK(configure(0, 1, root_cnode, root_vspace, endpoint) == failure(Error::InvalidCapability, {3}));
    CHECK(configure(0, 1, root_cnode, root_vspace, device) == failure(Error::InvalidCapability, {3}));
    CHECK(configure(0, 512, root_cnode, root_vspace, frame) == failure(Error::AlignmentError));
    CHECK(w.object<Tcb>(tcb).cap(TcbSlot::CSpace).is_null());
    REQUIRE_OK(configure(abi::CNodeCapData::make(52, 5).raw, 0, root_cnode, root_vspace, endpoint));
    CHECK(as<CNodeCap>(w.object<Tcb>(tcb).cap(TcbSlot::CSpace)).guard() == 5);
    CHECK(w.object<Tcb>(tcb).cap(TcbSlot::Buffer).is_null());
    CHECK(w.invoke(tcb, Method::TCBSetIPCBuffer, {1024}, {endpoint}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(tcb, Method::TCBSetIPCBuffer, {1000}, {frame}) == failure(Error::AlignmentError));
    REQUIRE_OK(w.invoke(tcb, Method::TCBSetIPCBuffer, {0x1000'0400}, {frame}));
    CHECK(arch::address_of(readable_buffer(w.object<Tcb>(tcb))) == w.slot(frame).cap.object() + 1024);
    REQUIRE_OK(w.remove(frame));
    REQUIRE_OK(w.invoke(tcb, Method::TCBSetIPCBuffer, {0}, {0}));
    CHECK(readable_buffer(w.object<Tcb>(tcb)) == nullptr);
    auto set_space = [&](Word data, Word fault, Word cspace, Word space) {
        return w.invoke(tcb, Method::TCBSetSpace, {data, 0}, {fault, cspace, space});
    };
    Word no_grant = w.copy(endpoint, CapRights::make(1, 1, 0, 0));
    Word no_send = w.copy(endpoint, CapRights::make(0, 1, 1, 1));
    CHECK(set_space(bad_guard, tcb, endpoint, endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(set_space(bad_guard, no_grant, endpoint, endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(set_space(bad_guard, no_send, endpoint, endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(set_space(bad_guard, endpoint, endpoint, endpoint) == failure(Error::InvalidCapability, {2}));
    CHECK(set_space(bad_guard, endpoint, root_cnode, endpoint) == failure(Error::IllegalOperation));
    CHECK(set_space(0, endpoint, root_cnode, endpoint) == failure(Error::InvalidCapability, {3}));
    REQUIRE_OK(set_space(0, endpoint, root_cnode, root_vspace));
    CHECK(w.invoke(tcb, Method::TCBSetTimeoutEndpoint, {}, {no_send}) == failure(Error::InvalidCapability, {1}));
    REQUIRE_OK(w.invoke(tcb, Method::TCBSetTimeoutEndpoint, {}, {endpoint}));
    REQUIRE_OK(w.invoke(tcb, Method::TCBSetTimeoutEndpoint, {}, {0}));
    CHECK(w.object<Tcb>(tcb).cap(TcbSlot::TimeoutHandler).is_null());
}

TEST_CASE("a CSpace that is replaced goes with what it held, preempted or not", "[tcb]") {
    World w;
    Thread thread = w.make_thread(10);
    Word node = w.make(ObjectType::CNode, 4);
    for (Word i = 0; i < 16; ++i) w.must(node, Method::CNodeMove, {i, 4, w.make(ObjectType::Endpoint), 64}, {root_cnode});
    w.must(thread.tcb, Method::TCBSetSpace, {0, 0}, {0, node, root_vspace});
    REQUIRE_OK(w.remove(node));
    hardware.always_pending = GENERATE(false, true);
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace}));
    CHECK((w.restarts() > 10) == hardware.always_pending);
    hardware.always_pending = false;
    CHECK(thread->cap(TcbSlot::CSpace).object() == w.slot(root_cnode).cap.object());
}

TEST_CASE("checks of SetSchedParams, in order", "[tcb]") {
    World w;
    Thread thread = w.make_thread(10);
    Thread authority = w.make_thread(50);
    Thread other = w.make_thread(10, Budget{});
    Word context = w.make_context({});
    Word lent = w.make_context({});
    w.must(lent, Method::SchedContextBind, {}, {w.make(ObjectType::Notification)});
    Word endpoint = w.make(ObjectType::Endpoint);
    auto set = [&](Word tcb, Word mcp, Word priority, Word by, Word sc, Word fault) {
        return w.invoke(tcb, Method::TCBSetSchedParams, {mcp, priority}, {by, sc, fault});
    };
    CHECK(set(thread.tcb, 51, 51, endpoint, endpoint, thread.tcb) == failure(Error::InvalidCapability, {1}));
    CHECK(set(thread.tcb, 51, 51, authority.tcb, endpoint, thread.tcb) == failure(Error::RangeError, {0, 50}));
    CHECK(set(thread.tcb, 50, 51, authority.tcb, endpoint, thread.tcb) == failure(Error::RangeError, {0, 50}));
    CHECK(set(thread.tcb, 50, 50, authority.tcb, endpoint, thread.tcb) == failure(Error::InvalidCapability, {2}));
    CHECK(set(thread.tcb, 50, 50, authority.tcb, other.context, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(set(thread.tcb, 50, 50, authority.tcb, lent, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(set(other.tcb, 50, 50, authority.tcb, context, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(set(root_tcb, 50, 50, root_tcb, 0, thread.tcb) == failure(Error::IllegalOperation));
    CHECK(set(thread.tcb, 50, 50, authority.tcb, context, thread.tcb) == failure(Error::InvalidCapability, {3}));
    CHECK(thread->priority == Prio(10));
    REQUIRE_OK(set(thread.tcb, 40, 30, authority.tcb, context, endpoint));
    CHECK(thread->priority == Prio(30));
    CHECK(thread->max_priority == Prio(40));
    CHECK(thread->sched_context == &w.object<SchedContext>(context));
    CHECK(thread->cap(TcbSlot::FaultHandler).is(CapType::Endpoint));
    REQUIRE_OK(set(thread.tcb, 40, 30, authority.tcb, context, 0));
    CHECK(thread->cap(TcbSlot::FaultHandler).is_null());
    REQUIRE_OK(set(thread.tcb, 40, 30, authority.tcb, 0, 0));
    CHECK(thread->sched_context == nullptr);
}

TEST_CASE("checks of binding notifications", "[tcb]") {
    World w;
    Word first = w.make(ObjectType::Notification);
    Word second = w.make(ObjectType::Notification);
    Thread thread = w.start_thread(10);
    Thread other = w.start_thread(11);
    CHECK(w.invoke(thread.tcb, Method::TCBUnbindNotification) == failure(Error::IllegalOperation));
    CHECK(w.invoke(thread.tcb, Method::TCBBindNotification, {}, {thread.tcb}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(thread.tcb, Method::TCBBindNotification, {}, {w.copy(first, CapRights::make(1, 0, 0, 0))}) ==
          failure(Error::InvalidCapability, {1}));
    w.run(other);
    w.syscall(Syscall::Wait, first);
    CHECK(w.invoke(thread.tcb, Method::TCBBindNotification, {}, {first}) == failure(Error::InvalidCapability, {1}));
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBBindNotification, {}, {second}));
    CHECK(w.invoke(other.tcb, Method::TCBBindNotification, {}, {second}) == failure(Error::InvalidCapability, {1}));
    CHECK(w.invoke(thread.tcb, Method::TCBBindNotification, {}, {first}) == failure(Error::IllegalOperation));
    SECTION("unbound") { REQUIRE_OK(w.invoke(thread.tcb, Method::TCBUnbindNotification)); }
    SECTION("the notification goes") { REQUIRE_OK(w.remove(second)); }
    CHECK(thread->bound_notification == nullptr);
}

TEST_CASE("a bound notification forgets a thread that goes", "[tcb]") {
    World w;
    Word notification = w.make(ObjectType::Notification);
    Thread thread = w.start_thread(10);
    w.must(thread.tcb, Method::TCBBindNotification, {}, {notification});
    REQUIRE_OK(w.remove(thread.tcb));
    CHECK(w.object<Notification>(notification).bound_tcb == nullptr);
}

TEST_CASE("a thread suspends itself, and is resumed behind the call", "[tcb]") {
    World w;
    Thread thread = w.start_thread(10);
    w.run(thread);
    Word pc = thread->context.pc;
    w.syscall(Syscall::Call, thread.tcb, {static_cast<Word>(Method::TCBSuspend)});
    CHECK(thread->state == ThreadState::Inactive);
    CHECK(thread->context.pc == pc + svc_bytes);
    w.resume(thread);
    w.let_go();
    CHECK(w.current() == thread.object);
    CHECK(w.answer(thread) == success());
}

TEST_CASE("thread pointers follow their threads", "[tcb]") {
    World w;
    Thread thread = w.start_thread(10);
    REQUIRE_OK(w.invoke(thread.tcb, Method::TCBSetTLSBase, {0x1111}));
    w.run(thread);
    CHECK(hardware.tpidr == 0x1111);
    hardware.tpidr = 0x2222;  // user level writes the register itself
    w.take_over();
    REQUIRE_OK(w.invoke(root_tcb, Method::TCBSetTLSBase, {0x3333}));
    CHECK(hardware.tpidr == 0x3333);
    CHECK(thread->context.tpidr == 0x2222);
}

TEST_CASE("floating-point registers follow their threads", "[tcb]") {
    World w;
    Thread a = w.start_thread(10);
    Thread b = w.start_thread(11);
    w.run(a);
    CHECK(!hardware.fpu_enabled);
    w.fpu_trap();
    CHECK(hardware.fpu_enabled);
    hardware.fpu_register = 0xaaaa;
    w.run(b);
    CHECK(!hardware.fpu_enabled);
    w.fpu_trap();
    CHECK(hardware.fpu_register == 0);
    CHECK(a->fpu.v[0] == 0xaaaa);
    hardware.fpu_register = 0xbbbb;
    // Without another user of the unit the registers stay, and no trap is needed.
    w.take_over();
    w.run(b);
    CHECK(hardware.fpu_enabled);
    CHECK(hardware.fpu_register == 0xbbbb);
    // A thread that used the unit gets it with its next turns, and after these by a trap again.
    for (unsigned turn = 0; turn < fpu_turns; ++turn) {
        w.run(a);
        CHECK(hardware.fpu_enabled);
        CHECK(hardware.fpu_register == 0xaaaa);
        w.run(b);
        CHECK(hardware.fpu_enabled == (turn + 1 < fpu_turns));
    }
    w.fpu_trap();
    CHECK(hardware.fpu_register == 0xbbbb);
    w.run(a);
    CHECK(!hardware.fpu_enabled);
    w.fpu_trap();
    CHECK(hardware.fpu_register == 0xaaaa);
    // Those of a dead thread go nowhere, also when its memory is a thread again.
    REQUIRE_OK(w.remove(a.tcb));
    CHECK(w.core().fpu_owner == nullptr);
    w.run(b);
    w.fpu_trap();
    CHECK(hardware.fpu_register == 0xbbbb);
}

TEST_CASE("a fresh TCB where another one was is a fresh TCB", "[tcb]") {
    World w;
    Word memory = w.make(ObjectType::Untyped, 11);
    Word tcb = w.make_in(memory, ObjectType::TCB);
    Tcb& thread = w.object<Tcb>(tcb);
    w.must(tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace});
    w.must(tcb, Method::TCBSetPriority, {10}, {root_tcb});
    Word context = w.make_context({});
    w.must(context, Method::SchedContextBind, {}, {tcb});
    w.must(tcb, Method::TCBResume);
    REQUIRE_OK(w.remove(tcb));
    CHECK(w.object<SchedContext>(context).tcb == nullptr);
    w.make_in(memory, ObjectType::TCB);
    CHECK(thread.state == ThreadState::Inactive);
    CHECK(thread.sched_context == nullptr);
    CHECK(thread.priority == Prio(0));
    CHECK(thread.cap(TcbSlot::CSpace).is_null());
}
