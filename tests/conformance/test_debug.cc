// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints, watchpoints, single steps, and the instruction brk: what a debugger uses.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/thread.hpp"
#include "tests/conformance/component/probes.hpp"

// Eight instructions with known addresses; the caller sees in x0 how many of the first four were executed.
extern "C" uint64_t debug_steps();
asm(".pushsection .text.debug_steps, \"ax\"\n"
    ".global debug_steps\n"
    "debug_steps:\n\tmov x0, #0\n\tadd x0, x0, #1\n\tadd x0, x0, #1\n\tadd x0, x0, #1\n\tnop\n\tnop\n\tnop\n\tret\n"
    ".popsection");

namespace caprock::conformance {

namespace {

using abi::BreakpointAccess;
using abi::BreakpointType;
using abi::Method;
namespace DebugException = abi::DebugException;

alignas(64) constinit volatile uint8_t watched[64] = {};

uint64_t address_of(const volatile void* pointer) { return reinterpret_cast<uint64_t>(pointer); }
uint64_t step_address(uint64_t number) { return reinterpret_cast<uint64_t>(&debug_steps) + 4 * number; }

Result<void> break_at(Cap<TCB> tcb, uint64_t number, uint64_t address) {
    return tcb.set_breakpoint(number, address, BreakpointType::Instruction, 0, BreakpointAccess::Read);
}

uint64_t last_number() { return own_tcb.unset_breakpoint(~uint64_t{0}).detail(1); }

// The number of the first watchpoint: the first that takes no instruction.
uint64_t first_watchpoint() {
    const Cap<TCB> tcb = create<TCB>();
    for (uint64_t number = 0; number <= last_number(); ++number)
        if (!break_at(tcb, number, step_address(0)).ok()) return number;
    fail(Text() << "the processor has no watchpoints");
}

Result<void> watch(Cap<TCB> tcb, uint64_t number, uint64_t address, uint64_t size, BreakpointAccess access) {
    return tcb.set_breakpoint(first_watchpoint() + number, address, BreakpointType::Data, size, access);
}

// Receives a DebugException and checks what it says.
void expect(const FaultHandler& handler, BreakpointType reason, uint64_t ip, uint64_t trigger, uint64_t number) {
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, abi::FaultLabel::DebugException);
    CHECK_EQUAL(report.length, DebugException::length);
    CHECK_EQUAL(report.words[DebugException::reason], reason);
    if (ip != 0) CHECK_EQUAL(report.words[DebugException::fault_ip], ip);
    CHECK_EQUAL(report.words[DebugException::trigger_address], trigger);
    CHECK_EQUAL(report.words[DebugException::breakpoint], number);
}

// A thread that calls debug_steps(), and its handler.
struct Stepped {
    FaultHandler handler;
    uint64_t result = 0;
    Thread* thread = nullptr;

    Stepped() { thread = &prepare(*this, {.fault_endpoint = handler.endpoint()}); }
    void operator()() { result = debug_steps(); }
};

// A thread that does one access of `bytes` bytes in the middle of two markers.
struct Accessor {
    FaultHandler handler;
    uint64_t address;
    uint64_t bytes;
    bool write;
    Thread* thread = nullptr;

    Accessor(uint64_t address, uint64_t bytes, bool write) : address(address), bytes(bytes), write(write) {
        thread = &prepare(*this, {.fault_endpoint = handler.endpoint()});
    }
    void operator()() const {
        switch (bytes) {
        case 1: access<uint8_t>(); break;
        case 2: access<uint16_t>(); break;
        case 4: access<uint32_t>(); break;
        default: access<uint64_t>(); break;
        }
    }

private:
    template <class T> void access() const {
        volatile T& place = *reinterpret_cast<volatile T*>(address);
        if (write) place = 1;
        else (void)T{place};
    }
};

// Whether the access triggers the watchpoint that the test has armed as the thread's first.
bool triggers(uint64_t watch_at, uint64_t watch_bytes, BreakpointAccess access, uint64_t address, uint64_t bytes, bool write) {
    Accessor accessor(address, bytes, write);
    CHECK_OK(watch(accessor.thread->tcb, 0, watch_at, watch_bytes, access));
    accessor.thread->resume();
    const bool triggered = !accessor.thread->done();
    if (triggered) {
        const FaultReport report = accessor.handler.receive();
        CHECK_EQUAL(report.label, abi::FaultLabel::DebugException);
        CHECK_EQUAL(report.words[DebugException::reason], BreakpointType::Data);
        CHECK_EQUAL(report.words[DebugException::breakpoint], first_watchpoint());
        CHECK_OK(accessor.thread->tcb.unset_breakpoint(first_watchpoint()));
        accessor.handler.reply();
        CHECK(accessor.thread->done());
    }
    delete_cap(accessor.thread->tcb);
    return triggered;
}

}  // namespace

TEST(order_set_breakpoint, "SetBreakpoint's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const uint64_t last = last_number();
    const uint64_t data = first_watchpoint();
    const auto attempt = [=](uint64_t number, uint64_t address, uint64_t type, uint64_t size, uint64_t access) {
        return tcb.set_breakpoint(number, address, BreakpointType{type}, size, BreakpointAccess{access});
    };
    Order order(Method::TCBSetBreakpoint);
    NEXT(order, attempt(last + 1, abi::user_top + 1, 2, 3, 3)).range(0, last);
    NEXT(order, attempt(0, abi::user_top + 1, 2, 3, 3)).number(1);
    AGAIN(order, attempt(0, 0xffff'ffff'8000'0000, 2, 3, 3)).number(1);
    NEXT(order, attempt(0, 0x1001, 2, 3, 3)).number(2);
    AGAIN(order, attempt(0, 0x1001, 1, 8, 3)).number(2);
    AGAIN(order, attempt(data, 0x1001, 0, 3, 3)).number(2);
    NEXT(order, attempt(0, 0x1001, 0, 4, 3)).number(3);
    AGAIN(order, attempt(data, 0x1001, 1, 0, 3)).number(3);
    AGAIN(order, attempt(data, 0x1001, 1, 3, 3)).number(3);
    AGAIN(order, attempt(data, 0x1001, 1, 16, 3)).number(3);
    NEXT(order, attempt(0, 0x1001, 0, 0, 1)).number(4);
    AGAIN(order, attempt(data, 0x1001, 1, 8, 3)).number(4);
    NEXT(order, attempt(0, 0x1002, 0, 0, 0));
    AGAIN(order, attempt(data, 0x1004, 1, 8, 0));
    CHECK_OK(attempt(0, 0x1004, 0, 0, 0));
    CHECK_OK(attempt(last, 0x1001, 1, 1, 2));
}

TEST(order_get_breakpoint, "GetBreakpoint's check") {
    Order order(Method::TCBGetBreakpoint);
    NEXT(order, own_tcb.get_breakpoint(last_number() + 1)).range(0, last_number());
    CHECK_EQUAL(CHECK_OK(own_tcb.get_breakpoint(last_number())).enabled, 0);
}

TEST(order_unset_breakpoint, "UnsetBreakpoint's check") {
    Order order(Method::TCBUnsetBreakpoint);
    NEXT(order, own_tcb.unset_breakpoint(last_number() + 1)).range(0, last_number());
    CHECK_OK(own_tcb.unset_breakpoint(last_number()));
}

TEST(get, "GetBreakpoint tells what SetBreakpoint armed, and that UnsetBreakpoint disarmed it") {
    const Cap<TCB> tcb = create<TCB>();
    const uint64_t data = first_watchpoint();
    CHECK_OK(break_at(tcb, 1, 0x40'0004));
    CHECK_OK(tcb.set_breakpoint(data + 1, 0x5002, BreakpointType::Data, 2, BreakpointAccess::Write));
    CHECK_OK(tcb.set_breakpoint(data, 0x6000, BreakpointType::Data, 8, BreakpointAccess::ReadWrite));
    auto read = CHECK_OK(tcb.get_breakpoint(1));
    CHECK(read.enabled == 1 && read.vaddr == 0x40'0004 && read.type == BreakpointType::Instruction && read.size == 0);
    read = CHECK_OK(tcb.get_breakpoint(data + 1));
    CHECK(read.enabled == 1 && read.vaddr == 0x5002 && read.type == BreakpointType::Data && read.size == 2);
    CHECK_EQUAL(read.access, BreakpointAccess::Write);
    read = CHECK_OK(tcb.get_breakpoint(data));
    CHECK(read.enabled == 1 && read.vaddr == 0x6000 && read.size == 8 && read.access == BreakpointAccess::ReadWrite);
    CHECK_EQUAL(CHECK_OK(tcb.get_breakpoint(0)).enabled, 0);
    CHECK_OK(tcb.unset_breakpoint(data));
    CHECK_EQUAL(CHECK_OK(tcb.get_breakpoint(data)).enabled, 0);
    CHECK_EQUAL(CHECK_OK(tcb.get_breakpoint(1)).enabled, 1);
    CHECK_EQUAL(CHECK_OK(own_tcb.get_breakpoint(1)).enabled, 0);
}

TEST(instruction, "a breakpoint stops its thread before the instruction, again while it is armed, and no more when it is not") {
    Stepped stepped;
    CHECK_OK(break_at(stepped.thread->tcb, 0, step_address(2)));
    stepped.thread->resume();
    for (unsigned i = 0; i < 2; ++i) {
        expect(stepped.handler, BreakpointType::Instruction, step_address(2), step_address(2), 0);
        abi::UserContext context{};
        CHECK_OK(stepped.thread->tcb.read_registers(0, 4, context));
        CHECK_EQUAL(context.x0_x8[0], 1);
        stepped.handler.reply();
    }
    expect(stepped.handler, BreakpointType::Instruction, step_address(2), step_address(2), 0);
    CHECK_OK(stepped.thread->tcb.unset_breakpoint(0));
    stepped.handler.reply();
    CHECK(stepped.thread->done());
    CHECK_EQUAL(stepped.result, 3);
}

TEST(reply_label, "a reply with a label to a DebugException leaves the thread inactive") {
    Stepped stepped;
    CHECK_OK(break_at(stepped.thread->tcb, 0, step_address(1)));
    stepped.thread->resume();
    expect(stepped.handler, BreakpointType::Instruction, step_address(1), step_address(1), 0);
    CHECK_OK(stepped.thread->tcb.unset_breakpoint(0));
    stepped.handler.reply(1);
    CHECK(!stepped.thread->done());
    stepped.thread->resume();
    CHECK(stepped.thread->done());
}

TEST(all_breakpoints, "every breakpoint works, and tells its number") {
    const uint64_t count = first_watchpoint();
    for (uint64_t number = 0; number < count; ++number) {
        Stepped stepped;
        CHECK_OK(break_at(stepped.thread->tcb, number, step_address(number % 7)));
        stepped.thread->resume();
        expect(stepped.handler, BreakpointType::Instruction, step_address(number % 7), step_address(number % 7), number);
        CHECK_OK(stepped.thread->tcb.suspend());
    }
}

TEST(several, "breakpoints of one thread trigger one after another") {
    Stepped stepped;
    CHECK_OK(break_at(stepped.thread->tcb, 1, step_address(1)));
    CHECK_OK(break_at(stepped.thread->tcb, 0, step_address(3)));
    stepped.thread->resume();
    expect(stepped.handler, BreakpointType::Instruction, step_address(1), step_address(1), 1);
    CHECK_OK(stepped.thread->tcb.unset_breakpoint(1));
    stepped.handler.reply();
    expect(stepped.handler, BreakpointType::Instruction, step_address(3), step_address(3), 0);
    CHECK_OK(stepped.thread->tcb.unset_breakpoint(0));
    stepped.handler.reply();
    CHECK(stepped.thread->done());
}

TEST(number_kept, "a DebugException names the breakpoint that triggered, whatever is set before its handler receives") {
    Stepped stepped;
    const Cap<TCB> tcb = stepped.thread->tcb;
    CHECK_OK(break_at(tcb, 1, step_address(2)));
    stepped.thread->resume();
    CHECK(!stepped.thread->done());
    CHECK_OK(break_at(tcb, 0, step_address(2)));
    CHECK_OK(tcb.unset_breakpoint(1));
    expect(stepped.handler, BreakpointType::Instruction, step_address(2), step_address(2), 1);
}

TEST(own_thread_only, "a thread's breakpoints stop no other thread, not in the same address space either") {
    Stepped stopped;
    Stepped free;
    CHECK_OK(break_at(stopped.thread->tcb, 0, step_address(2)));
    stopped.thread->resume();
    free.thread->resume();
    CHECK(free.thread->done());
    CHECK_EQUAL(debug_steps(), 3);
    expect(stopped.handler, BreakpointType::Instruction, step_address(2), step_address(2), 0);
    // A new thread that may have the memory of one that had breakpoints has none.
    delete_cap(stopped.thread->tcb);
    const Cap<Untyped> untyped = create<Untyped>(11);
    for (unsigned i = 0; i < 2; ++i) {
        const Cap<TCB> tcb = create_in<TCB>(untyped);
        CHECK_EQUAL(CHECK_OK(tcb.get_breakpoint(0)).enabled, 0);
        CHECK_OK(break_at(tcb, 0, step_address(2)));
        delete_cap(tcb);
    }
}

TEST(each_its_own, "two threads with breakpoints at different places each stop at their own, however often they take turns") {
    struct Turning {
        FaultHandler handler;
        uint64_t sum = 0;
        void operator()() {
            for (unsigned i = 0; i < 20; ++i) {
                sys::yield();
                sum += debug_steps();
            }
        }
    } bodies[2];
    const Thread* threads[2];
    for (unsigned i = 0; i < 2; ++i) {
        threads[i] = &prepare(bodies[i], {.priority = lower_priority, .fault_endpoint = bodies[i].handler.endpoint()});
        CHECK_OK(break_at(threads[i]->tcb, 0, step_address(1 + i)));
    }
    for (const Thread* thread : threads) thread->resume();
    for (unsigned i = 0; i < 2; ++i) expect(bodies[i].handler, BreakpointType::Instruction, step_address(1 + i), step_address(1 + i), 0);
    for (unsigned i = 0; i < 2; ++i) {
        CHECK_OK(threads[i]->tcb.unset_breakpoint(0));
        bodies[i].handler.reply();
    }
    for (unsigned i = 0; i < 2; ++i) {
        threads[i]->join();
        CHECK_EQUAL(bodies[i].sum, 60);
    }
}

TEST(watch_write, "a watchpoint for writes stops stores and no loads, before they happen") {
    const uint64_t address = address_of(watched);
    watched[8] = 0;
    Accessor storing(address + 8, 8, true);
    CHECK_OK(watch(storing.thread->tcb, 0, address + 8, 8, BreakpointAccess::Write));
    storing.thread->resume();
    expect(storing.handler, BreakpointType::Data, 0, address + 8, first_watchpoint());
    CHECK_EQUAL(watched[8], 0);
    CHECK_OK(storing.thread->tcb.unset_breakpoint(first_watchpoint()));
    storing.handler.reply();
    CHECK(storing.thread->done());
    CHECK_EQUAL(watched[8], 1);
    CHECK(!triggers(address + 8, 8, BreakpointAccess::Write, address + 8, 8, false));
}

TEST(watch_read, "a watchpoint for reads stops loads and no stores") {
    const uint64_t address = address_of(watched);
    CHECK(triggers(address + 16, 8, BreakpointAccess::Read, address + 16, 8, false));
    CHECK(!triggers(address + 16, 8, BreakpointAccess::Read, address + 16, 8, true));
}

TEST(watch_both, "a watchpoint for both stops loads and stores") {
    const uint64_t address = address_of(watched);
    CHECK(triggers(address + 16, 4, BreakpointAccess::ReadWrite, address + 16, 4, false));
    CHECK(triggers(address + 16, 4, BreakpointAccess::ReadWrite, address + 16, 4, true));
}

TEST(watch_sizes, "a watchpoint watches its bytes, and no others") {
    const uint64_t address = address_of(watched) + 32;
    const uint64_t sizes[] = {1, 2, 4, 8};
    for (const uint64_t size : sizes) {
        const uint64_t start = address + 8 - size;
        CHECK(triggers(start, size, BreakpointAccess::Write, start, 1, true));
        CHECK(triggers(start, size, BreakpointAccess::Write, start + size - 1, 1, true));
        CHECK(!triggers(start, size, BreakpointAccess::Write, start - 1, 1, true));
        CHECK(!triggers(start, size, BreakpointAccess::Write, start + size, 1, true));
    }
    // A wider access that touches the bytes.
    CHECK(triggers(address + 3, 1, BreakpointAccess::Write, address, 8, true));
}

TEST(watch_kernel, "a watchpoint does not stop the kernel when it uses the memory on the thread's behalf") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const FaultHandler handler;
    auto sending = [=] {
        const sys::Message message{abi::MessageInfo::make(40, 0, 0, 0), 0, {}};
        CHECK_EQUAL(sys::send(endpoint.address(), message), abi::Error::NoError);
    };
    const Thread& thread = prepare(sending, {.fault_endpoint = handler.endpoint()});
    CHECK_OK(watch(thread.tcb, 0, address_of(&thread.buffer().msg[20]), 8, BreakpointAccess::ReadWrite));
    thread.resume();
    sys::Message message;
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(message.info.length(), 40);
    CHECK(thread.done());
}

TEST(single_step, "a thread that is stepped faults after each instruction, with the next one's address") {
    Stepped stepped;
    CHECK_OK(break_at(stepped.thread->tcb, 0, step_address(0)));
    stepped.thread->resume();
    expect(stepped.handler, BreakpointType::Instruction, step_address(0), step_address(0), 0);
    CHECK_OK(stepped.thread->tcb.unset_breakpoint(0));
    CHECK_EQUAL(CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 1)), 0);
    stepped.handler.reply();
    const uint64_t one = 1;
    for (uint64_t i = 1; i < 5; ++i) {
        expect(stepped.handler, BreakpointType::SingleStep, step_address(i), 0, 0);
        stepped.handler.reply(0, &one, 1);
    }
    expect(stepped.handler, BreakpointType::SingleStep, step_address(5), 0, 0);
    stepped.handler.reply();
    CHECK(stepped.thread->done());
    CHECK_EQUAL(stepped.result, 3);
}

TEST(step_count, "the number of instructions between two faults is what ConfigureSingleStepping and the replies say") {
    Stepped stepped;
    CHECK_OK(break_at(stepped.thread->tcb, 0, step_address(0)));
    stepped.thread->resume();
    expect(stepped.handler, BreakpointType::Instruction, step_address(0), step_address(0), 0);
    CHECK_OK(stepped.thread->tcb.unset_breakpoint(0));
    CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 3));
    stepped.handler.reply();
    expect(stepped.handler, BreakpointType::SingleStep, step_address(3), 0, 0);
    const uint64_t two = 2;
    stepped.handler.reply(0, &two, 1);
    expect(stepped.handler, BreakpointType::SingleStep, step_address(5), 0, 0);
    const uint64_t none = 0;
    stepped.handler.reply(0, &none, 1);
    CHECK(stepped.thread->done());
}

TEST(step_preempted, "a stepped thread that is preempted between two steps is stepped on") {
    Stepped stepped;
    CHECK_OK(stepped.thread->tcb.set_priority(lower_priority, own_tcb));
    CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 1));
    stepped.thread->resume();
    uint64_t last = 0;
    const uint64_t one = 1;
    for (unsigned i = 0; i < 12; ++i) {
        // Another thread runs between any two steps.
        auto passing = [] {};
        const FaultReport report = stepped.handler.receive();
        CHECK_EQUAL(report.words[DebugException::reason], BreakpointType::SingleStep);
        CHECK(report.words[DebugException::fault_ip] != last);
        last = report.words[DebugException::fault_ip];
        if (i % 4 == 0) spawn(passing).join();
        stepped.handler.reply(0, &one, 1);
    }
    // It has a lower priority, and has not done the next step yet.
    CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 0));
    stepped.thread->join();
    CHECK_EQUAL(stepped.result, 3);
}

TEST(step_system_call, "a system call counts as one instruction, whatever it does") {
    const FaultHandler handler;
    const Cap<Notification> notification = create<Notification>();
    auto stepping = [&] {
        uint64_t registers[19] = {notification.address()};
        registers[7] = static_cast<uint64_t>(abi::Syscall::Wait);
        CHECK_OK(current_thread()->tcb.configure_single_stepping(0, 1));
        probe_system_call(registers);
    };
    const Thread& thread = spawn(stepping, {.fault_endpoint = handler.endpoint()});
    const uint64_t one = 1;
    // Step until the thread waits in its system call.
    unsigned steps = 0;
    while (CHECK_OK(inspect.read_tcb(thread.tcb)).state != 5) {
        CHECK(++steps < 2'000);
        CHECK_EQUAL(handler.receive().words[DebugException::reason], BreakpointType::SingleStep);
        handler.reply(0, &one, 1);
    }
    sys::signal(notification.address());
    expect(handler, BreakpointType::SingleStep, address_of(probe_system_call_svc + 1), 0, 0);
    handler.reply();
    CHECK(thread.done());
}

TEST(brk, "brk is a DebugException, and the reply says where the thread goes on") {
    const FaultHandler handler;
    unsigned passed = 0;
    auto breaking = [&] {
        asm volatile("brk #7");
        ++passed;
    };
    const Thread& thread = spawn(breaking, {.fault_endpoint = handler.endpoint()});
    FaultReport report = handler.receive();
    for (unsigned i = 0; i < 2; ++i) {
        CHECK_EQUAL(report.label, abi::FaultLabel::DebugException);
        CHECK_EQUAL(report.words[DebugException::reason], BreakpointType::SoftwareBreakRequest);
        CHECK(report.words[DebugException::trigger_address] == 0 && report.words[DebugException::breakpoint] == 0);
        if (i == 0) {
            handler.reply();
            report = handler.receive();
        }
    }
    const uint64_t next = report.words[DebugException::fault_ip] + 4;
    handler.reply(0, &next, 1);
    CHECK(thread.done());
    CHECK_EQUAL(passed, 1);
}

TEST(step_given_up, "a stepped thread that its handler leaves inactive is not stepped any more when it is resumed") {
    Stepped stepped;
    CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 1));
    stepped.thread->resume();
    CHECK_EQUAL(stepped.handler.receive().words[DebugException::reason], BreakpointType::SingleStep);
    stepped.handler.reply(1);
    CHECK(!stepped.thread->done());
    CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 0));
    stepped.thread->resume();
    CHECK(stepped.thread->done());
    CHECK_EQUAL(stepped.result, 3);
}

TEST(step_unanswered, "a stepped thread that is resumed instead of answered is not stepped any more") {
    Stepped stepped;
    CHECK_OK(stepped.thread->tcb.configure_single_stepping(0, 1));
    stepped.thread->resume();
    CHECK_EQUAL(stepped.handler.receive().words[DebugException::reason], BreakpointType::SingleStep);
    stepped.thread->resume();
    CHECK(stepped.thread->done());
    CHECK_EQUAL(stepped.result, 3);
}

}  // namespace caprock::conformance
