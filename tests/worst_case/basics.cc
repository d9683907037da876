// SPDX-License-Identifier: BSD-2-Clause
// What is always there: user level, an idle machine, short system calls, switches with all that a thread can have in hardware, faults.
#include "tests/worst_case/operations.hpp"
#include "tests/worst_case/thread.hpp"

namespace caprock::worst_case {

namespace {

void measure_idle(Sweep& sweep) {
    wake_by_deadline(true);
    // The deadline itself ends the operation: at some offset the machine has been idle for long.
    sweep.each_until(300, [] { wait_for_wake(); });
    wake_by_deadline(false);
}

void measure_user_level(Sweep& sweep) {
    sweep.each([] {
        for (const uint64_t end = physical_count() + 100; physical_count() < end;) {}
    });
}

void measure_short_calls(Sweep& sweep) {
    const Cap<Notification> notification = create<Notification>();
    sweep.each([=] { sys::signal(notification.address()); });
    sweep.each([] { sys::yield(); });
    sweep.each([] { must(sys::nb_send(0, sys::ShortMessage{}) == abi::Error::NoError, "a send to nothing is dropped"); });
}

// -- Switches

// A thread that takes turns with the worker by yields, in the other address space.
Cap<TCB> start_equal(void (*entry)()) {
    const Cap<TCB> equal = make_thread({.priority = worker_priority, .vspace = system.other_vspace()});
    start_at(equal, entry, Registers{}, {});
    return equal;
}

void measure_yields(Sweep& sweep) {
    start_equal(spinner_entry);
    sweep.each([] { sys::yield(); });
}

void measure_fpu(Sweep& sweep) {
    start_equal(fpu_spinner_entry);
    const auto operation = [] {
        use_fpu();
        sys::yield();
        use_fpu();
    };
    operation();   // the first time each thread traps
    sweep.each(operation);
}

// Arms all that there is: execution and access of places where nothing is.
void arm_breakpoints(Cap<TCB> thread) {
    Result<void> armed{};
    unsigned number = 0;
    for (; armed.ok(); ++number) armed = thread.set_breakpoint(number, empty_terabyte, abi::BreakpointType::Instruction, 0, abi::BreakpointAccess::Read);
    must(armed.error() == abi::Error::InvalidArgument, "watchpoints come behind the breakpoints");
    armed = {};
    for (--number; armed.ok(); ++number) armed = thread.set_breakpoint(number, empty_terabyte, abi::BreakpointType::Data, 8, abi::BreakpointAccess::ReadWrite);
    must(armed.error() == abi::Error::RangeError, "the processor has so many watchpoints");
}

void disarm_breakpoints(Cap<TCB> thread) {
    Result<void> disarmed{};
    for (unsigned number = 0; disarmed.ok(); ++number) disarmed = thread.unset_breakpoint(number);
}

void measure_breakpoints(Sweep& sweep) {
    arm_breakpoints(root_tcb);
    arm_breakpoints(handler_thread());
    arm_breakpoints(start_equal(spinner_entry));
    sweep.each([] { sys::yield(); });
    disarm_breakpoints(root_tcb);
    disarm_breakpoints(handler_thread());
}

// -- Registers and interrupts

void measure_registers(Sweep& sweep) {
    constexpr uint64_t words = sizeof(abi::UserContext) / sizeof(uint64_t);
    constexpr uint64_t copy_all = 3 << 2;
    const Cap<TCB> source = create<TCB>();
    const Cap<TCB> destination = create<TCB>();
    abi::UserContext context{};
    sweep.each([&] { must(source.read_registers(0, words, context)); });
    sweep.each([&] { must(source.write_registers(0, words, context)); });
    sweep.each([=] { must(destination.copy_registers(copy_all, source)); });
}

void measure_software_interrupt(Sweep& sweep) {
    constexpr uint64_t irq = 5;
    const CapRef trigger{system.take_slots()};
    const Cap<IRQHandler> handler{system.take_slots()};
    const Cap<Notification> notification = mint(create<Notification>(), 1);
    must(irq_control.issue_sgisignal(irq, 0, trigger.address(), address_bits, root_cnode));
    must(irq_control.get(irq, abi::IRQTrigger::Edge, handler.address(), address_bits, root_cnode));
    must(handler.set_notification(notification));
    const auto send = [=] { must(sys::nb_send(trigger.address(), sys::ShortMessage{}) == abi::Error::NoError, "the interrupt is sent"); };
    sweep.each([=] {
        send();
        sys::ShortMessage message;
        sys::nb_wait(notification.address(), message);
        must(message.badge == 1, "the interrupt came");
    });
    const Cap<TCB> waiter = make_thread({.vspace = system.other_vspace()});
    start_at(waiter, waiter_entry, Registers{}, {{0, notification.address()}});
    sweep.each(send);
    const auto again = [=] { must(handler.set_notification(notification)); };
    sweep.each(again, [=] { must(handler.clear()); });
    sweep.each(again);
}

// -- Faults

// A thread that faults, and its handler in the other address space, which waits for the fault.
void sweep_fault(Sweep& sweep, void (*entry)(), const Registers& registers) {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const Cap<TCB> faulter = make_thread({.fault_endpoint = endpoint});
    Puppet handler{};
    handler.start({.vspace = system.other_vspace()});
    const auto prepare = [&] {
        handler.restart();
        handler.registers = Registers::call(endpoint, empty_message, abi::Syscall::Recv);
        handler.registers.x[6] = reply.address();
        handler.tell();
    };
    sweep.each(prepare, [&] { start_at(faulter, entry, registers, {}); });
    must(handler.result().label() != 0, "the fault arrives");
}

void measure_faults(Sweep& sweep) {
    sweep_fault(sweep, reinterpret_cast<void (*)()>(empty_terabyte), Registers{});
    // System call 0 is none.
    sweep_fault(sweep, member_entry, Registers{});
    sweep_fault(sweep, member_entry, send_to(CapRef{0}));
}

// -- Inspection

// What is read has as many predecessors in the derivation tree as are looked at, and the parent is none of them.
void sweep_inspection(Sweep& sweep, abi::ObjectType type, uint64_t bits) {
    constexpr uint64_t count = abi::inspect_parent_steps + 10;
    const uint64_t slots = create_many(type, bits, count);
    sweep.each([=] { must(inspect.read_cnode(slots, root_cnode)); });
    sweep.each([=] { must(inspect.read_cnode(slots + count - 1, root_cnode)); });
}

void measure_inspection(Sweep& sweep) {
    sweep_inspection(sweep, abi::ObjectType::Untyped, 4);
    sweep_inspection(sweep, abi::ObjectType::Endpoint, 0);
    sweep_inspection(sweep, abi::ObjectType::SmallPage, 0);
    sweep_inspection(sweep, abi::ObjectType::CNode, 1);
    sweep.each([] { must(inspect.read_tcb(root_tcb)); });
    sweep.each([] { must(inspect.read_sched_context(root_sched_context)); });
}

}  // namespace

const Operation basic_operations[] = {
    {"an idle machine", measure_idle},
    {"user level", measure_user_level},
    {"short system calls", measure_short_calls},
    {"yields between equals", measure_yields},
    {"yields between users of the floating-point unit", measure_fpu},
    {"switches between threads with all breakpoints", measure_breakpoints},
    {"registers read, written, copied", measure_registers},
    {"software-generated interrupts", measure_software_interrupt},
    {"faults", measure_faults},
    {"inspection", measure_inspection},
    {nullptr, nullptr},
};

}  // namespace caprock::worst_case
