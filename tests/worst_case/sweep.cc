// SPDX-License-Identifier: BSD-2-Clause
// The handler's thread, and the deadlines that worker and handler set by turns.
#include "tests/worst_case/sweep.hpp"

#include "tests/worst_case/thread.hpp"

extern "C" uint64_t wait_for_deadline(uint64_t notification);   // threads.S

namespace caprock::worst_case {

namespace {

constexpr uint64_t physical_timer_irq = 30;
constexpr uint64_t nanoseconds_in_second = 1'000'000'000;
constexpr uint64_t microseconds_in_second = 1'000'000;

// What the two threads share: they never run at once, but the handler may run between any two instructions of the worker.
struct Shared {
    volatile bool wakes;
    volatile uint64_t compare;            // the deadline, as the timer has it
    volatile uint64_t offset;             // ticks from its setting to the deadline
    volatile uint64_t stride;             // added to the offset for the next one; 0: there is none
    volatile uint64_t longest_offset;
    volatile uint64_t passes;             // how often the offset began again
    volatile uint64_t interrupts;
    volatile uint64_t armed_interrupts;   // of these, before the first deadline was set
    volatile uint64_t worst;              // ticks
    volatile uint64_t worst_offset;
};
constinit Shared shared{};

constinit Cap<TCB> handler{};
constinit Cap<Notification> interrupt{};
constinit Cap<IRQHandler> irq{};
constinit Cap<Notification> wake{};

void set_timer(bool enabled) { asm volatile("msr cntp_ctl_el0, %0\n\tisb" : : "r"(uint64_t{enabled}) : "memory"); }

void set_deadline(uint64_t offset) {
    shared.offset = offset;
    const uint64_t compare = physical_count() + offset;
    shared.compare = compare;
    asm volatile("msr cntp_cval_el0, %0" : : "r"(compare) : "memory");
    set_timer(true);
}

void record(uint64_t count) {
    const uint64_t latency = count - shared.compare;
    shared.interrupts = shared.interrupts + 1;
    if (latency < shared.worst) return;
    shared.worst = latency;
    shared.worst_offset = shared.offset;
}

// Passes begin one tick later each, so that together they leave out no offset.
uint64_t following_offset() {
    const uint64_t next = shared.offset + shared.stride;
    if (next <= shared.longest_offset) return next;
    shared.passes = shared.passes + 1;
    return 1 + shared.passes % shared.stride;
}

[[noreturn]] void handle(void*) {
    for (;;) {
        record(wait_for_deadline(interrupt.address()));
        set_timer(false);
        if (!irq.ack().ok()) __builtin_trap();
        if (shared.wakes) sys::signal(wake.address());
        if (shared.stride != 0) set_deadline(following_offset());
    }
}

constinit ThreadStack handler_stack{};

}  // namespace

// Not zero, so that it has a place in the ELF file; volatile, as its content is written there after the compiler has done its work.
constinit volatile Options worst_case_options{1, {}};

void start_handler() {
    interrupt = create<Notification>();
    wake = create<Notification>();
    irq = Cap<IRQHandler>{system.take_slots()};
    must(irq_control.get(physical_timer_irq, abi::IRQTrigger::Level, irq.address(), address_bits, root_cnode));
    must(irq.set_notification(interrupt));
    handler = make_thread({.priority = handler_priority, .vspace = system.other_vspace()});
    const abi::ThreadFlags access = abi::ThreadFlags::make(0, 0, 1);
    must(system.sched_control().set_thread_access(abi::ThreadFlags{0}, access, handler));
    must(system.sched_control().set_thread_access(abi::ThreadFlags{0}, access, root_tcb));
    start_function(handler, handle, nullptr, handler_stack);
}

Cap<TCB> handler_thread() { return handler; }

uint64_t physical_count() {
    uint64_t count;
    asm volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(count) : : "memory");
    return count;
}

uint64_t instructions(uint64_t ticks) { return ticks * (nanoseconds_in_second / system.platform().timer_frequency); }

uint64_t ticks_of(uint64_t microseconds) { return microseconds * system.platform().timer_frequency / microseconds_in_second; }

Sweep::Sweep(const char* name) : name_(name) {
    shared.interrupts = 0;
    shared.worst = 0;
    shared.worst_offset = 0;
}

void Sweep::set_stride(uint64_t repetitions, uint64_t ticks) {
    stride_ = 1 + instructions(repetitions * ticks) / worst_case_options.budget;
    if (stride_ > longest_offset) stride_ = longest_offset;
}

void Sweep::arm(uint64_t offset, uint64_t stride) {
    shared.stride = stride;
    shared.armed_interrupts = shared.interrupts;
    set_deadline(offset);
}

uint64_t Sweep::disarm() {
    set_timer(false);
    return shared.interrupts - shared.armed_interrupts;
}

void Sweep::start_pass() {
    shared.longest_offset = longest_offset;
    shared.passes = 0;
}

bool Sweep::pass_ended() { return shared.passes != 0; }

uint64_t Sweep::armed_offset() { return shared.offset; }

bool Sweep::report() {
    const uint64_t worst = instructions(shared.worst + 1);
    system.print(Text() << "# " << name_ << ": at most " << worst << " instructions to the handler (" << uint64_t{shared.interrupts}
                        << " interrupts; the worst was set " << instructions(shared.worst_offset) << " ahead)\n");
    return worst <= latency_limit || system.platform().debug_build != 0;
}

// Its deadline counts as a measurement of the idle machine.
void sleep_for(uint64_t ticks) {
    wake_by_deadline(true);
    Sweep::arm(ticks, 0);
    wait_for_wake();
    wake_by_deadline(false);
}

void wake_by_deadline(bool enabled) { shared.wakes = enabled; }

void wait_for_wake() {
    sys::ShortMessage message;
    sys::wait(wake.address(), message);
}

}  // namespace caprock::worst_case
