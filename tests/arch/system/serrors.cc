// SPDX-License-Identifier: BSD-2-Clause
// A root task on the real kernel, under the test's hypervisor (shim/hypervisor.cc), which raises SErrors when it is asked to: each must
// come to the notification that the handler of irq_serror names, whoever runs, and harm nobody.
#include "../protocol.hpp"
#include "caprock/objects.hpp"

extern "C" {
constinit thread_local caprock::abi::IPCBuffer* caprock_ipc_buffer = nullptr;
[[noreturn]] void root_main(const caprock::abi::RootBootInfo& info);
}

namespace caprock::arch_test {
namespace {

constexpr uint64_t slot_bits = 64, badge = 5;
constexpr uint8_t root_priority = 100, waiter_priority = 200, highest_priority = 255;
constexpr Cap<CNode> cnode{static_cast<uint64_t>(abi::InitSlot::CNode)};
constexpr Cap<TCB> root{static_cast<uint64_t>(abi::InitSlot::TCB)};
constexpr Cap<VSpace> vspace{static_cast<uint64_t>(abi::InitSlot::VSpace)};
constexpr Cap<IRQControl> irq_control{static_cast<uint64_t>(abi::InitSlot::IRQControl)};

uint64_t next_slot;
Cap<Untyped> memory;
unsigned cases = 0, failures = 0;

void print(const char* text) {
    for (; *text != '\0'; text++) {
        register uint64_t character asm("x24") = static_cast<uint8_t>(*text);
        asm volatile("mrs x23, ctr_el0" : : "r"(character) : "x23", "memory");
    }
}

void print_number(unsigned number) {
    if (number >= 10) print_number(number / 10);
    const char text[] = {static_cast<char>('0' + number % 10), '\0'};
    print(text);
}

void check(const char* name, bool passed) {
    cases++;
    if (!passed) failures++;
    print(passed ? "ok " : "not ok ");
    print_number(cases);
    print(" - ");
    print(name);
    print("\n");
}

[[noreturn]] void finish() {
    print("1..");
    print_number(cases);
    print(failures == 0 ? "\ncaprock: exit 0\n" : "\ncaprock: exit 1\n");
    for (;;) sys::yield();
}

void raise_here() { asm volatile("mrs x20, ctr_el0" : : : "x20", "memory"); }
void arm_kernel() { asm volatile("mrs x21, ctr_el0" : : : "x21", "memory"); }
void arm_idle() { asm volatile("mrs x22, ctr_el0" : : : "x22", "memory"); }
static_assert(static_cast<unsigned>(Service::RaiseHere) == 20 && static_cast<unsigned>(Service::RaiseInKernel) == 21);
static_assert(static_cast<unsigned>(Service::RaiseInIdle) == 22 && static_cast<unsigned>(Service::Print) == 23 && print_register == 24);

// What the rest cannot do without.
void need(const char* what, const ResultBase& result) {
    if (result.ok()) return;
    check(what, false);
    finish();
}

uint64_t create(abi::ObjectType type, uint64_t bits = 0) {
    const uint64_t slot = next_slot++;
    need("creating an object", memory.retype(type, bits, 0, 0, slot, 1, cnode));
    return slot;
}

// The badge that a notification was signalled with since it was asked last, or 0.
uint64_t poll(Cap<Notification> notification) {
    sys::ShortMessage message;
    sys::nb_wait(notification.address(), message);
    return message.badge;
}

// -- The cases, in an order in which each needs what the one before made
void drop_without_handler() {
    raise_here();
    check("serror: without a handler it is dropped", true);
}

Cap<IRQHandler> bind(Cap<Notification> notification) {
    const Cap<IRQHandler> handler{next_slot++};
    need("making the handler", irq_control.get(abi::irq_serror, abi::IRQTrigger::Level, handler.address(), slot_bits, cnode));
    raise_here();
    check("serror: a handler without a notification drops it", poll(notification) == 0);
    const uint64_t badged = next_slot++;
    need("minting", cnode.mint(badged, slot_bits, notification.address(), slot_bits, abi::CapRights::make(1, 1, 1, 1), badge, cnode));
    need("binding", handler.set_notification(Cap<Notification>{badged}));
    return handler;
}

void signal_from_everywhere(Cap<Notification> notification) {
    raise_here();
    check("serror: at user level it signals", poll(notification) == badge);
    check("serror: once", poll(notification) == 0);
    raise_here();
    check("serror: the next one needs no acknowledgement", poll(notification) == badge);
    arm_kernel();
    create(abi::ObjectType::SmallPage);
    check("serror: in the kernel it signals, and the system call succeeds", poll(notification) == badge);
    arm_idle();
    sys::ShortMessage message;
    sys::wait(notification.address(), message);
    check("serror: it wakes the idle core", message.badge == badge);
}

// A thread of higher priority that waits for the notification.
struct Waiter {
    Cap<Notification> notification;
    volatile unsigned woken = 0;
};
Waiter waiter;
alignas(16) uint8_t waiter_stack[4096];

void wait_for_serrors() {
    for (;;) {
        sys::ShortMessage message;
        sys::wait(waiter.notification.address(), message);
        waiter.woken = waiter.woken + 1;
    }
}

void start_waiter(const abi::RootBootInfo& info, Cap<Notification> notification) {
    waiter.notification = notification;
    const Cap<TCB> tcb{create(abi::ObjectType::TCB)};
    const Cap<SchedContext> context{create(abi::ObjectType::SchedContext, 8)};
    need("configuring the waiter", tcb.configure(abi::CNodeCapData{0}, 0, 0, cnode, vspace, CapRef{}));
    const Cap<SchedControl> control{info.sched_control.start};
    need("its budget", control.configure_flags(10'000, 10'000, 0, 0, abi::SchedContextFlags::make(0), context));
    need("its priority", tcb.set_sched_params(highest_priority, waiter_priority, root, context, CapRef{}));
    need("the root task's priority", root.set_priority(root_priority, root));
    abi::UserContext registers{};
    registers.pc = reinterpret_cast<uint64_t>(wait_for_serrors);
    registers.sp = reinterpret_cast<uint64_t>(waiter_stack + sizeof(waiter_stack));
    need("starting the waiter", tcb.write_registers(1, sizeof(registers) / sizeof(uint64_t), registers));
}

void preempt() {
    raise_here();
    check("serror: a waiter of higher priority runs before the interrupted thread's next instruction", waiter.woken == 1);
    arm_kernel();
    create(abi::ObjectType::SmallPage);
    check("serror: and before the return from a system call", waiter.woken == 2);
}

void end(Cap<IRQHandler> handler) {
    need("clearing", handler.clear());
    raise_here();
    check("serror: a cleared handler drops it", waiter.woken == 2);
    need("deleting", cnode.delete_cap(handler.address(), slot_bits));
    raise_here();
    check("serror: a deleted one too", waiter.woken == 2);
    need("another handler", irq_control.get(abi::irq_serror, abi::IRQTrigger::Level, handler.address(), slot_bits, cnode));
    need("binding again", handler.set_notification(waiter.notification));
    raise_here();
    check("serror: and another handler can be made", waiter.woken == 3);
}

Cap<Untyped> largest_untyped(const abi::RootBootInfo& info) {
    uint64_t largest = 0;
    for (uint64_t i = 0; i < info.untyped.end - info.untyped.start; i++) {
        const abi::UntypedDesc& found = info.untyped_list[i];
        if (found.is_device == 0 && found.size_bits > info.untyped_list[largest].size_bits) largest = i;
    }
    return Cap<Untyped>{info.untyped.start + largest};
}

}  // namespace
}  // namespace caprock::arch_test

using namespace caprock::arch_test;

void root_main(const caprock::abi::RootBootInfo& info) {
    caprock_ipc_buffer = reinterpret_cast<caprock::abi::IPCBuffer*>(info.ipc_buffer);
    next_slot = info.empty.start;
    memory = largest_untyped(info);
    const caprock::Cap<caprock::Notification> notification{create(caprock::abi::ObjectType::Notification)};
    drop_without_handler();
    const caprock::Cap<caprock::IRQHandler> handler = bind(notification);
    signal_from_everywhere(notification);
    start_waiter(info, notification);
    preempt();
    end(handler);
    finish();
}
