// SPDX-License-Identifier: BSD-2-Clause
// Cases of debugging threads: breakpoints and watchpoints, single steps, the messages of DebugException and what their replies do; and of
// the flags that open hardware to a thread.
#include "world.hpp"

#include "ipc/message.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace caprock;
using namespace caprock::test;
using abi::BreakpointAccess;
using abi::BreakpointType;
using abi::FaultLabel;
using host::hardware;

namespace {

constexpr Word root_cnode = World::cap(InitSlot::CNode);
constexpr Word root_vspace = World::cap(InitSlot::VSpace);
constexpr Word root_tcb = World::cap(InitSlot::TCB);
constexpr Word instruction = static_cast<Word>(BreakpointType::Instruction);
constexpr Word data = static_cast<Word>(BreakpointType::Data);
constexpr Word reading = static_cast<Word>(BreakpointAccess::Read);
constexpr Word writing = static_cast<Word>(BreakpointAccess::Write);
constexpr Word both = static_cast<Word>(BreakpointAccess::ReadWrite);
constexpr Word first_watchpoint = 6;  // the host's machine has six breakpoints and four watchpoints
constexpr Word last_point = 9;
constexpr Word fpu_disabled = 1;  // flags of a thread
constexpr Word pmu = 2;
constexpr Word timer = 4;

// A thread with a fault endpoint, badge 3, and a handler below it that waits there.
struct Debugged : World {
    Word endpoint = make(ObjectType::Endpoint);
    Word reply = make(ObjectType::Reply);
    Word badged = mint(endpoint, 3);
    Thread thread = start_thread(20);
    Thread handler = start_thread(10);

    Debugged() {
        must(thread.tcb, Method::TCBSetSpace, {0, 0}, {badged, root_cnode, root_vspace});
        run(handler);
        test::World::syscall(Syscall::Recv, endpoint, {}, reply);
    }
    Answer set(Word number, Word address, Word type, Word size, Word access) {
        return invoke(thread.tcb, Method::TCBSetBreakpoint, {number, address, type, size, access});
    }
    Answer get(Word number) { return invoke(thread.tcb, Method::TCBGetBreakpoint, {number}); }
    Answer unset(Word number) { return invoke(thread.tcb, Method::TCBUnsetBreakpoint, {number}); }
    Answer step(Word instructions) { return invoke(thread.tcb, Method::TCBConfigureSingleStepping, {0, instructions}); }
    bool armed() const { return (thread->context.spsr & host::single_step) != 0; }
    Answer told(BreakpointType reason, Word address = 0, Word number = 0) const {
        return {.badge = 3,
                .label = static_cast<Word>(FaultLabel::DebugException),
                .words = {thread->context.pc, static_cast<Word>(reason), address, number}};
    }
    void respond(Message message) {
        run(handler);
        test::World::syscall(Syscall::Send, reply, message);
    }
    // The thread executes one instruction, not a system call; when it is armed the processor traps behind it.
    void instruction_of_thread() {
        trap_behind_call();
        bool traps = armed();
        thread->context.pc += 4;
        if (traps) debug_exception(BreakpointType::SingleStep);
    }
    // A stepped thread that is not armed traps at once when it goes on.
    void trap_behind_call() {
        if (current() == thread.object && hardware.debug && hardware.debug->steps != 0 && !armed()) debug_exception(BreakpointType::SingleStep);
    }
};

}  // namespace

// -- Breakpoints

TEST_CASE("checks of SetBreakpoint, in order", "[debug]") {
    Debugged w;
    constexpr Word high = abi::user_top;
    CHECK(w.set(last_point + 1, high + 1, 2, 3, 3) == failure(Error::RangeError, {0, last_point}));
    CHECK(w.set(~Word{0}, high + 1, 2, 3, 3) == failure(Error::RangeError, {0, last_point}));
    for (Word number : {Word{0}, first_watchpoint - 1}) {
        CHECK(w.set(number, high, 2, 3, 3) == failure(Error::InvalidArgument, {1}));
        CHECK(w.set(number, high - 1, data, 4, both) == failure(Error::InvalidArgument, {2}));
        CHECK(w.set(number, high - 1, 2, 4, both) == failure(Error::InvalidArgument, {2}));
        CHECK(w.set(number, high - 1, ~Word{0}, 4, both) == failure(Error::InvalidArgument, {2}));
        CHECK(w.set(number, high - 1, instruction, 4, both) == failure(Error::InvalidArgument, {3}));
        for (Word access : {writing, both, Word{3}, ~Word{0}})
            CHECK(w.set(number, high - 1, instruction, 0, access) == failure(Error::InvalidArgument, {4}));
        CHECK(w.set(number, high - 1, instruction, 0, reading) == failure(Error::AlignmentError));
        CHECK(w.set(number, high - 2, instruction, 0, reading) == failure(Error::AlignmentError));
        REQUIRE_OK(w.set(number, high - 4, instruction, 0, reading));
    }
    for (Word number : {first_watchpoint, last_point}) {
        CHECK(w.set(number, high, 2, 3, 3) == failure(Error::InvalidArgument, {1}));
        CHECK(w.set(number, high - 1, instruction, 3, 3) == failure(Error::InvalidArgument, {2}));
        for (Word size : {0u, 3u, 5u, 6u, 7u, 9u, 16u, 256u, 0x108u})
            CHECK(w.set(number, high - 1, data, size, 3) == failure(Error::InvalidArgument, {3}));
        CHECK(w.set(number, high - 1, data, 8, 3) == failure(Error::InvalidArgument, {4}));
        CHECK(w.set(number, high - 1, data, 8, 0x102) == failure(Error::InvalidArgument, {4}));
        for (Word size : {2u, 4u, 8u}) CHECK(w.set(number, high - 1, data, size, both) == failure(Error::AlignmentError));
        CHECK(w.set(number, 4, data, 8, both) == failure(Error::AlignmentError));
        for (Word size : {1u, 2u, 4u, 8u}) REQUIRE_OK(w.set(number, high - size, data, size, both));
    }
    CHECK(w.get(last_point + 1) == failure(Error::RangeError, {0, last_point}));
    CHECK(w.unset(last_point + 1) == failure(Error::RangeError, {0, last_point}));
}

TEST_CASE("a failed SetBreakpoint changes nothing", "[debug]") {
    Debugged w;
    REQUIRE_OK(w.set(1, 0x1000, instruction, 0, reading));
    CHECK(w.set(1, 0x2002, instruction, 0, reading) == failure(Error::AlignmentError));
    CHECK(w.get(1) == success({0x1000, instruction, 0, reading, 1}));
    CHECK(w.set(2, 0x2002, instruction, 0, reading) == failure(Error::AlignmentError));
    CHECK(w.get(2) == success({0, instruction, 0, reading, 0}));
}

TEST_CASE("GetBreakpoint tells what SetBreakpoint armed, UnsetBreakpoint disarms it", "[debug]") {
    Debugged w;
    for (Word number = 0; number <= last_point; ++number) {
        Word type = number < first_watchpoint ? instruction : data;
        CHECK(w.get(number) == success({0, type, 0, 0, 0}));
    }
    REQUIRE_OK(w.set(2, 0x500000, instruction, 0, reading));
    REQUIRE_OK(w.set(first_watchpoint, 0x7004, data, 4, writing));
    REQUIRE_OK(w.set(last_point, 0x8000, data, 8, both));
    CHECK(w.get(2) == success({0x500000, instruction, 0, reading, 1}));
    CHECK(w.get(first_watchpoint) == success({0x7004, data, 4, writing, 1}));
    CHECK(w.get(last_point) == success({0x8000, data, 8, both, 1}));
    CHECK(w.get(first_watchpoint + 1) == success({0, data, 0, 0, 0}));
    REQUIRE_OK(w.unset(first_watchpoint));
    CHECK(w.get(first_watchpoint).words.back() == 0);
    CHECK(w.get(2) == success({0x500000, instruction, 0, reading, 1}));
    REQUIRE_OK(w.unset(2));
    REQUIRE_OK(w.unset(last_point));
    REQUIRE_OK(w.unset(last_point));
    CHECK(!is_debugged(*w.thread.object));
}

TEST_CASE("breakpoints are armed while their thread runs, and only then", "[debug]") {
    Debugged w;
    REQUIRE_OK(w.set(3, 0x500004, instruction, 0, reading));
    REQUIRE_OK(w.set(first_watchpoint + 1, 0x7000, data, 2, reading));
    CHECK(!hardware.debug);
    w.run(w.thread);
    REQUIRE(hardware.debug);
    CHECK(hardware.debug->breakpoints[3].enabled);
    CHECK(hardware.debug->breakpoints[3].address == 0x500004);
    CHECK(!hardware.debug->breakpoints[2].enabled);
    CHECK(hardware.debug->watchpoints[1].enabled);
    CHECK(hardware.debug->watchpoints[1].size == 2);
    CHECK(hardware.debug->watchpoints[1].access == reading);
    w.take_over();
    CHECK(!hardware.debug);
    Thread other = w.start_thread(30);
    w.run(other);
    CHECK(!hardware.debug);
    SECTION("disarmed while it does not run") {
        REQUIRE_OK(w.unset(3));
        REQUIRE_OK(w.unset(first_watchpoint + 1));
    }
    SECTION("disarmed by the thread itself, which runs on") {
        w.run(w.thread);
        for (Word number : {Word{3}, first_watchpoint + 1}) {
            REQUIRE(hardware.debug);
            w.syscall(Syscall::Call, w.thread.tcb, {static_cast<Word>(Method::TCBUnsetBreakpoint), {number}, {}});
            CHECK(w.answer(w.thread) == success());
        }
        CHECK(!hardware.debug);
    }
    SECTION("its thread is deleted") {
        REQUIRE_OK(w.remove(w.thread.tcb));
        w.let_go();
        CHECK(!hardware.debug);
        return;
    }
    w.run(w.thread);
    CHECK(!hardware.debug);
}

TEST_CASE("a breakpoint that a thread sets for itself is armed at once", "[debug]") {
    Debugged w;
    w.run(w.thread);
    w.syscall(Syscall::Call, w.thread.tcb, {static_cast<Word>(Method::TCBSetBreakpoint), {0, 0x9000, instruction, 0, reading}, {}});
    CHECK(w.current() == w.thread.object);
    REQUIRE(hardware.debug);
    CHECK(hardware.debug->breakpoints[0].address == 0x9000);
    SECTION("the core idles between") {
        w.take_over();
        w.must(w.thread.tcb, Method::TCBSuspend);
        w.let_go();
        w.take_over();
        w.resume(w.thread);
        w.run(w.thread);
        CHECK(hardware.debug);
    }
}

TEST_CASE("what a handler is told of a breakpoint", "[debug]") {
    Debugged w;
    REQUIRE_OK(w.set(1, 0x4000, instruction, 0, reading));
    REQUIRE_OK(w.set(4, 0x500000, instruction, 0, reading));
    REQUIRE_OK(w.set(first_watchpoint + 2, 0x7000, data, 8, both));
    REQUIRE_OK(w.set(first_watchpoint + 3, 0x7010, data, 1, writing));
    w.run(w.thread);
    Word pc = w.thread->context.pc;
    REQUIRE(pc == 0x500000);
    SECTION("an instruction") {
        w.debug_exception(BreakpointType::Instruction);
        CHECK(w.answer(w.handler) == w.told(BreakpointType::Instruction, pc, 4));
    }
    SECTION("the first byte of an access") {
        w.debug_exception(BreakpointType::Data, 0x7000);
        CHECK(w.answer(w.handler) == w.told(BreakpointType::Data, 0x7000, first_watchpoint + 2));
    }
    SECTION("the last byte") {
        w.debug_exception(BreakpointType::Data, 0x7007);
        CHECK(w.answer(w.handler) == w.told(BreakpointType::Data, 0x7007, first_watchpoint + 2));
    }
    SECTION("another watchpoint") {
        w.debug_exception(BreakpointType::Data, 0x7010);
        CHECK(w.answer(w.handler) == w.told(BreakpointType::Data, 0x7010, first_watchpoint + 3));
    }
    SECTION("the instruction brk") {
        w.debug_exception(BreakpointType::SoftwareBreakRequest);
        CHECK(w.answer(w.handler) == w.told(BreakpointType::SoftwareBreakRequest));
    }
    CHECK(w.thread->state == ThreadState::BlockedOnReply);
    CHECK(w.thread->context.pc == pc);
}

TEST_CASE("a wide access that begins before what is watched is told with a number all the same", "[debug]") {
    Debugged w;
    REQUIRE_OK(w.set(first_watchpoint + 2, 0x7004, data, 4, both));
    w.run(w.thread);
    w.debug_exception(BreakpointType::Data, 0x7000);
    Answer told = w.answer(w.handler);
    REQUIRE(told.words.size() == 4);
    CHECK(told.words[2] == 0x7000);
    CHECK(told.words[3] >= first_watchpoint);
    CHECK(told.words[3] <= last_point);
}

TEST_CASE("the reply to a breakpoint", "[debug]") {
    Debugged w;
    BreakpointType reason = GENERATE(BreakpointType::Instruction, BreakpointType::Data);
    REQUIRE_OK(w.set(0, 0x500000, instruction, 0, reading));
    w.run(w.thread);
    Context before = w.thread->context;
    w.debug_exception(reason, 0x10);
    SECTION("label 0 goes on with the instruction, which triggers again") {
        w.respond({.words = {7, 8, 9}});
        CHECK(w.thread->state == ThreadState::Running);
        CHECK(w.thread->context.pc == before.pc);
        CHECK(!w.armed());
        w.run(w.thread);
        CHECK(hardware.debug);
        for (unsigned i = 0; i < 31; ++i) CHECK(w.thread->context.x[i] == before.x[i]);
    }
    SECTION("another leaves the thread inactive") {
        w.respond({.label = 1});
        CHECK(w.thread->state == ThreadState::Inactive);
        CHECK(!w.thread->faulted());
    }
}

TEST_CASE("the reply to brk names the address to go on at", "[debug]") {
    Debugged w;
    w.run(w.thread);
    Word pc = w.thread->context.pc;
    w.debug_exception(BreakpointType::SoftwareBreakRequest);
    SECTION("a word") {
        w.respond({.words = {pc + 4}});
        CHECK(w.thread->context.pc == pc + 4);
        CHECK(w.thread->state == ThreadState::Running);
    }
    SECTION("none") {
        w.respond({});
        CHECK(w.thread->context.pc == pc);
        CHECK(w.thread->state == ThreadState::Running);
    }
    SECTION("a label leaves the thread inactive") {
        w.respond({.label = 4, .words = {pc + 4}});
        CHECK(w.thread->state == ThreadState::Inactive);
    }
    CHECK(w.thread->debug.steps == 0);
}

// -- Single steps

TEST_CASE("a thread is stepped", "[debug]") {
    Debugged w;
    Word steps = GENERATE(1u, 2u, 5u);
    CHECK(w.step(steps) == success({0}));
    w.run(w.thread);
    CHECK(w.armed());
    for (Word i = 1; i < steps; ++i) {
        w.instruction_of_thread();
        REQUIRE(w.current() == w.thread.object);
        REQUIRE(w.armed());
    }
    w.instruction_of_thread();
    CHECK(w.thread->state == ThreadState::BlockedOnReply);
    CHECK(w.answer(w.handler) == w.told(BreakpointType::SingleStep));
    SECTION("the reply asks for more steps") {
        w.respond({.words = {3, 99}});
        w.run(w.thread);
        for (unsigned i = 0; i < 2; ++i) w.instruction_of_thread();
        CHECK(w.current() == w.thread.object);
        CHECK(w.armed());
    }
    SECTION("the reply ends it, by 0") {
        w.respond({.words = {0}});
        w.run(w.thread);
        CHECK(!w.armed());
    }
    SECTION("the reply ends it, by no word") {
        w.respond({});
        w.run(w.thread);
        CHECK(!w.armed());
        CHECK(!is_debugged(*w.thread.object));
    }
    SECTION("a label leaves the thread inactive") {
        w.respond({.label = 1, .words = {3}});
        CHECK(w.thread->state == ThreadState::Inactive);
    }
    SECTION("the handler is gone") {
        REQUIRE_OK(w.remove(w.reply));
        CHECK(w.thread->state == ThreadState::Inactive);
    }
}

TEST_CASE("a system call counts as one instruction of a stepped thread", "[debug]") {
    Debugged w;
    w.must(w.thread.tcb, Method::TCBConfigureSingleStepping, {0, 2});
    w.run(w.thread);
    Word pc = w.thread->context.pc;
    w.syscall(Syscall::Yield, 0);
    w.trap_behind_call();
    CHECK(w.thread->debug.steps == 1);
    CHECK(w.armed());
    CHECK(w.thread->context.pc == pc + 4);
    w.instruction_of_thread();
    CHECK(w.thread->state == ThreadState::BlockedOnReply);
}

TEST_CASE("stepping ends by ConfigureSingleStepping with 0, by another thread or the thread itself", "[debug]") {
    Debugged w;
    w.must(w.thread.tcb, Method::TCBConfigureSingleStepping, {7, 1000});
    w.run(w.thread);
    REQUIRE(w.armed());
    SECTION("by another") { CHECK(w.step(0) == success({0})); }
    SECTION("by itself") {
        w.syscall(Syscall::Call, w.thread.tcb, {static_cast<Word>(Method::TCBConfigureSingleStepping), {0, 0}, {}});
        CHECK(w.answer(w.thread) == success({0}));
    }
    CHECK(!w.armed());
    w.run(w.thread);
    w.instruction_of_thread();
    CHECK(w.current() == w.thread.object);
}

TEST_CASE("writing registers and replying to faults keep a stepped thread armed", "[debug]") {
    Debugged w;
    w.must(w.thread.tcb, Method::TCBConfigureSingleStepping, {0, 4});
    SECTION("WriteRegisters") { w.must(w.thread.tcb, Method::TCBWriteRegisters, {0, 3, 0x500000, 0x600000, 0xf000'0000}); }
    SECTION("CopyRegisters") {
        Thread source = w.make_thread(5);
        w.must(w.thread.tcb, Method::TCBCopyRegisters, {4}, {source.tcb});
    }
    SECTION("the reply to another fault") {
        w.run(w.thread);
        w.user_exception(1);
        w.respond({.words = {0x9000, 0xa000, 0xf000'0000}});
    }
    CHECK(w.armed());
    SECTION("and do not arm one that is not stepped") {
        w.must(w.thread.tcb, Method::TCBConfigureSingleStepping, {0, 0});
        w.must(w.thread.tcb, Method::TCBWriteRegisters, {0, 3, 0x500000, 0x600000, ~Word{0}});
        CHECK(!w.armed());
    }
}

TEST_CASE("registers of a stepped thread are copied without its step", "[debug]") {
    Debugged w;
    Thread target = w.make_thread(5);
    w.must(w.thread.tcb, Method::TCBConfigureSingleStepping, {0, 4});
    w.must(target.tcb, Method::TCBCopyRegisters, {4}, {w.thread.tcb});
    CHECK((target->context.spsr & host::single_step) == 0);
    CHECK(w.armed());
    Answer read = w.invoke(w.thread.tcb, Method::TCBReadRegisters, {0, 3});
    REQUIRE(read.words.size() == 3);
    CHECK((read.words[2] & host::single_step) == 0);
}

TEST_CASE("a stepped thread that leaves no handler stops", "[debug]") {
    Debugged w;
    w.must(w.thread.tcb, Method::TCBSetSpace, {0, 0}, {0, root_cnode, root_vspace});
    w.must(w.thread.tcb, Method::TCBConfigureSingleStepping, {0, 1});
    w.run(w.thread);
    w.instruction_of_thread();
    CHECK(w.thread->state == ThreadState::Inactive);
    CHECK(!w.thread->faulted());
}

// -- Flags

TEST_CASE("SetFlags clears, then sets, and cannot open hardware", "[flags]") {
    Debugged w;
    auto set = [&](Word clear, Word flags) { return w.invoke(w.thread.tcb, Method::TCBSetFlags, {clear, flags}); };
    CHECK(set(0, 0) == success({0}));
    for (Word wrong : {pmu, timer, pmu | timer, pmu | fpu_disabled, ~Word{0}})
        CHECK(set(0, wrong) == failure(Error::IllegalOperation));
    CHECK(set(0, fpu_disabled) == success({fpu_disabled}));
    CHECK(set(~Word{0}, 0xfff8) == success({0}));
    CHECK(set(fpu_disabled, fpu_disabled) == success({fpu_disabled}));
    CHECK(set(~Word{0}, 0) == success({0}));
    // What a control capability gave anyone can take away.
    CHECK(w.invoke(w.sched_control(), Method::SchedControlSetThreadAccess, {0, pmu | timer}, {w.thread.tcb}) == success({pmu | timer}));
    CHECK(set(pmu, fpu_disabled) == success({timer | fpu_disabled}));
    CHECK(set(timer, 0) == success({fpu_disabled}));
}

TEST_CASE("SetThreadAccess opens the physical timer and the performance monitor to one thread", "[flags]") {
    Debugged w;
    auto access = [&](Word clear, Word set, Word tcb) {
        return w.invoke(w.sched_control(), Method::SchedControlSetThreadAccess, {clear, set}, {tcb});
    };
    CHECK(access(0, 0, w.endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(access(0, 0, 0) == failure(Error::InvalidCapability, {1}));
    Word flags = GENERATE(pmu, timer, pmu | timer);
    CHECK(access(0, flags | 0xff00, w.thread.tcb) == success({flags}));
    CHECK(!hardware.pmu);
    CHECK(!hardware.physical_timer);
    w.run(w.thread);
    CHECK(hardware.pmu == ((flags & pmu) != 0));
    CHECK(hardware.physical_timer == ((flags & timer) != 0));
    w.take_over();
    CHECK(!hardware.pmu);
    CHECK(!hardware.physical_timer);
    SECTION("taken away") {
        CHECK(access(flags, 0, w.thread.tcb) == success({0}));
        w.run(w.thread);
        CHECK(!hardware.pmu);
        CHECK(!hardware.physical_timer);
    }
    SECTION("given to and taken from the thread that runs, by itself") {
        w.run(w.thread);
        w.syscall(Syscall::Call, w.thread.tcb, {static_cast<Word>(Method::TCBSetFlags), {flags, 0}, {}});
        CHECK(!hardware.pmu);
        CHECK(!hardware.physical_timer);
        w.syscall(Syscall::Call, w.sched_control(),
                  {static_cast<Word>(Method::SchedControlSetThreadAccess), {0, flags}, {w.thread.tcb}});
        CHECK(w.answer(w.thread) == success({flags}));
        CHECK(hardware.pmu == ((flags & pmu) != 0));
    }
    SECTION("a call to another thread does not take it along") {
        Word endpoint = w.make(ObjectType::Endpoint);
        Word reply = w.make(ObjectType::Reply);
        Word starter = w.make_context({});
        Thread server = w.make_thread(15);
        w.resume(server);
        w.must(starter, Method::SchedContextBind, {}, {server.tcb});
        w.run(server);
        w.syscall(Syscall::Recv, endpoint, {}, reply);
        w.must(starter, Method::SchedContextUnbind);
        w.run(w.thread);
        w.syscall(Syscall::Call, endpoint);
        REQUIRE(w.current() == server.object);
        CHECK(!hardware.pmu);
        CHECK(!hardware.physical_timer);
        w.syscall(Syscall::ReplyRecv, endpoint, {}, reply);
        REQUIRE(w.current() == w.thread.object);
        CHECK(hardware.pmu == ((flags & pmu) != 0));
        CHECK(hardware.physical_timer == ((flags & timer) != 0));
    }
    SECTION("the thread dies as the current one") {
        w.run(w.thread);
        w.syscall(Syscall::Call, root_cnode, {static_cast<Word>(Method::CNodeDelete), {w.thread.tcb, 64}, {}});
        w.take_over();
        CHECK(!hardware.pmu);
        CHECK(!hardware.physical_timer);
    }
}

TEST_CASE("a thread without the floating-point unit faults on it, and keeps its registers", "[flags]") {
    Debugged w;
    Thread other = w.start_thread(9);
    w.run(w.thread);
    w.fpu_trap();
    REQUIRE(hardware.fpu_enabled);
    hardware.fpu_register = 0xaaaa;
    bool by_itself = GENERATE(false, true);
    if (by_itself) {
        w.syscall(Syscall::Call, w.thread.tcb, {static_cast<Word>(Method::TCBSetFlags), {0, 1}, {}});
        CHECK(w.answer(w.thread) == success({1}));
    } else {
        CHECK(w.invoke(w.thread.tcb, Method::TCBSetFlags, {0, 1}) == success({1}));
        w.run(w.thread);
    }
    CHECK(!hardware.fpu_enabled);
    SECTION("it traps") {
        Word pc = w.thread->context.pc;
        w.fpu_trap();
        CHECK(!hardware.fpu_enabled);
        Answer told = w.answer(w.handler);
        CHECK(told.badge == 3);
        CHECK(told.label == static_cast<Word>(FaultLabel::UserException));
        REQUIRE(told.words.size() == 5);
        CHECK(told.words[0] == pc);
    }
    SECTION("another thread uses the unit meanwhile") {
        w.run(other);
        w.fpu_trap();
        hardware.fpu_register = 0xbbbb;
        CHECK(w.invoke(w.thread.tcb, Method::TCBSetFlags, {1, 0}) == success({0}));
        w.run(w.thread);
        w.fpu_trap();
        CHECK(hardware.fpu_register == 0xaaaa);
        CHECK(other->fpu.v[0] == 0xbbbb);
    }
    SECTION("it may again") {
        hardware.fpu_register = 0;
        CHECK(w.invoke(w.thread.tcb, Method::TCBSetFlags, {1, 0}) == success({0}));
        w.run(w.thread);
        w.fpu_trap();
        CHECK(hardware.fpu_register == 0xaaaa);
    }
}

// -- CopyRegisters and SetAffinity

TEST_CASE("checks of CopyRegisters, in order", "[tcb]") {
    Debugged w;
    Thread target = w.make_thread(5);
    auto copy = [&](Word to, Word from, Word flags = 15) { return w.invoke(to, Method::TCBCopyRegisters, {flags}, {from}); };
    CHECK(copy(root_tcb, w.endpoint) == failure(Error::InvalidCapability, {1}));
    CHECK(copy(root_tcb, 0) == failure(Error::InvalidCapability, {1}));
    CHECK(copy(root_tcb, target.tcb) == failure(Error::IllegalOperation));
    CHECK(copy(target.tcb, root_tcb) == failure(Error::IllegalOperation));
    CHECK(target->state == ThreadState::Inactive);
    REQUIRE_OK(copy(target.tcb, w.thread.tcb, 0));
    REQUIRE_OK(copy(target.tcb, target.tcb, 12));
}

TEST_CASE("CopyRegisters copies the groups that it names", "[tcb]") {
    Debugged w;
    Thread target = w.make_thread(5);
    Context& from = w.thread->context;
    for (unsigned i = 0; i < 31; ++i) from.x[i] = 100 + i;
    from.pc = 0xabc0;
    from.sp = 0xdef0;
    from.spsr = 0x6000'0040;
    from.tpidr = 0x77;
    Context before = target->context;
    Word flags = GENERATE(0u, 4u, 8u, 12u, 0xf0u, 13u, 14u);
    REQUIRE_OK(w.invoke(target.tcb, Method::TCBCopyRegisters, {flags}, {w.thread.tcb}));
    const Context& to = target->context;
    bool frame = (flags & 4) != 0;
    bool rest = (flags & 8) != 0;
    CHECK(to.pc == (frame ? 0xabc0 : before.pc));
    CHECK(to.sp == (frame ? 0xdef0 : before.sp));
    CHECK(to.spsr == (frame ? 0x6000'0040 : before.spsr));
    for (unsigned i = 0; i < 31; ++i) {
        bool in_frame = i <= 8 || (i >= 16 && i <= 18) || i >= 29;
        CHECK(to.x[i] == ((in_frame ? frame : rest) ? 100 + i : before.x[i]));
    }
    CHECK(to.tpidr == before.tpidr);
    CHECK(w.thread->state == ((flags & 1) != 0 ? ThreadState::Inactive : ThreadState::Running));
    CHECK(target->state == ((flags & 2) != 0 ? ThreadState::Running : ThreadState::Inactive));
}

TEST_CASE("CopyRegisters of a thread in a system call copies dead registers as 0", "[tcb]") {
    Debugged w;
    Word other = w.make(ObjectType::Endpoint);
    Thread target = w.make_thread(5);
    for (unsigned i = 0; i < 31; ++i) target->context.x[i] = 0x55;
    w.run(w.thread);
    for (unsigned i = 0; i < 31; ++i) w.thread->context.x[i] = 100 + i;
    w.syscall(Syscall::Send, other, {.words = {1, 2}});
    REQUIRE(w.thread->state == ThreadState::BlockedOnSend);
    Word pc = w.thread->context.pc;
    bool suspend = GENERATE(false, true);
    REQUIRE_OK(w.invoke(target.tcb, Method::TCBCopyRegisters, {suspend ? 13u : 12u}, {w.thread.tcb}));
    // Suspended, the source is before its system call again, whose arguments are its own.
    CHECK(target->context.pc == (suspend ? pc - 4 : pc));
    for (unsigned i = 0; i < 19; ++i) {
        if (!suspend) CHECK(target->context.x[i] == 0);
    }
    if (suspend) CHECK(target->context.x[reg::cap] == other);
    for (unsigned i = 19; i < 31; ++i) CHECK(target->context.x[i] == 100 + i);
}

TEST_CASE("CopyRegisters takes its target out of what it waits for", "[tcb]") {
    Debugged w;
    Word other = w.make(ObjectType::Endpoint);
    w.run(w.thread);
    w.syscall(Syscall::Wait, other);
    Thread source = w.make_thread(5);
    source->context.pc = 0x7770;
    Word flags = GENERATE(4u, 6u, 8u, 2u);
    Word pc = w.thread->context.pc;
    REQUIRE_OK(w.invoke(w.thread.tcb, Method::TCBCopyRegisters, {flags}, {source.tcb}));
    CHECK(w.object<Endpoint>(other).queue.empty());
    CHECK(w.thread->state == ((flags & 2) != 0 ? ThreadState::Running : ThreadState::Inactive));
    CHECK(w.thread->context.pc == ((flags & 4) != 0 ? 0x7770 : pc));
}

TEST_CASE("checks of SetAffinity, in order; the core is stored", "[tcb]") {
    Debugged w;
    Thread passive = w.make_thread(5);
    Word cores = w.kernel().core_count;
    REQUIRE(cores >= 1);
    auto set = [&](const Thread& thread, Word core) { return w.invoke(thread.tcb, Method::TCBSetAffinity, {core}); };
    CHECK(set(w.thread, cores) == failure(Error::RangeError, {0, cores - 1}));
    CHECK(set(w.thread, ~Word{0}) == failure(Error::RangeError, {0, cores - 1}));
    CHECK(set(w.thread, 0) == failure(Error::IllegalOperation));
    REQUIRE_OK(set(passive, 0));
    w.kernel().core_count = 4;
    REQUIRE_OK(set(passive, 3));
    CHECK(passive->core == CoreId(3));
    CHECK(set(passive, 256) == failure(Error::RangeError, {0, 3}));
    CHECK(passive->core == CoreId(3));
    w.kernel().core_count = static_cast<unsigned>(cores);
}
