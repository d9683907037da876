// SPDX-License-Identifier: BSD-2-Clause
// Making threads.
#include "tests/conformance/component/thread.hpp"

#include <stddef.h>

#include "tests/conformance/component/probes.hpp"

namespace caprock::conformance {

namespace {

constexpr unsigned most_threads = 24;
constexpr uint8_t highest_priority = 255;

static_assert(offsetof(ThreadMemory, buffer) == 0 && offsetof(ThreadMemory, thread_block) == sizeof(abi::IPCBuffer));
static_assert(sizeof(ThreadMemory) == 2 * page_bytes, "component.ld says where the first thread's stack begins");

constinit Thread threads[most_threads]{};
constinit unsigned thread_count = 0;
constinit thread_local Thread* current = nullptr;

}  // namespace

// The first thread's is the first one: component.ld and the driver know it by this name.
extern "C" {
extern ThreadMemory thread_memory[most_threads];
constinit ThreadMemory thread_memory[most_threads]{};
}


// The first function of every thread, on its own stack.
void thread_main(Thread* thread) {
    if (thread->has_buffer_) caprock_ipc_buffer = &thread->memory_->buffer;
    current = thread;
    thread->function_(thread->argument_);
    thread->done_ = true;
    sys::signal(thread->ended.address());
    stop_current_thread();
}

Thread* current_thread() { return current; }

void stop_current_thread() {
    for (;;) {
        // Fails only when the capability is gone, and then there is nobody to tell.
        if (!current->tcb.suspend().ok()) sys::yield();
    }
}

void set_budget(Cap<SchedContext> context, uint64_t budget, uint64_t period, uint64_t extra_refills, uint64_t badge) {
    CHECK_OK(sched_control.configure_flags(budget, period, extra_refills, badge, abi::SchedContextFlags::make(0), context));
}

void start_first_thread() {
    Thread& first = threads[thread_count++];
    first.tcb = own_tcb;
    first.context = Cap<SchedContext>{slot_of(abi::InitSlot::SchedContext)};
    first.memory_ = &thread_memory[0];
    caprock_ipc_buffer = &first.memory_->buffer;
    current = &first;
}

void Thread::make_objects(const ThreadOptions& options) {
    tcb = create<TCB>();
    ended = create<Notification>();
    const uint64_t buffer_address = options.buffer ? reinterpret_cast<uint64_t>(&memory_->buffer) : 0;
    const Cap<Frame> buffer_frame = data_frame(&memory_->buffer);
    CHECK_OK(tcb.configure(abi::CNodeCapData{0}, 0, buffer_address, options.cspace, options.vspace, buffer_frame));
    context = {};
    if (!options.passive) {
        context = create<SchedContext>(sched_context_bits);
        set_budget(context, options.budget, options.period);
    }
    const CapRef handler = options.fault_endpoint.is_null() ? CapRef{default_fault_endpoint} : options.fault_endpoint;
    CHECK_OK(tcb.set_sched_params(highest_priority, options.priority, own_tcb, context, handler));
}

void Thread::set_registers() const {
    abi::UserContext registers{};
    registers.pc = reinterpret_cast<uint64_t>(&thread_main);
    registers.sp = reinterpret_cast<uint64_t>(memory_->stack + sizeof memory_->stack);
    registers.x0_x8[0] = reinterpret_cast<uint64_t>(this);
    CHECK_OK(tcb.write_registers(0, sizeof registers / sizeof(uint64_t), registers));
    CHECK_OK(tcb.set_tls_base(reinterpret_cast<uint64_t>(memory_->thread_block)));
}

Thread& prepare_thread(void (*function)(void*), void* argument, const ThreadOptions& options) {
    if (thread_count == most_threads) fail(Text() << "a test has more than " << uint64_t{most_threads} << " threads");
    ThreadMemory& own = thread_memory[thread_count];
    Thread& thread = threads[thread_count++];
    __builtin_memset(&own, 0, sizeof own.buffer + sizeof own.thread_block);
    thread.function_ = function;
    thread.argument_ = argument;
    thread.memory_ = &own;
    thread.done_ = false;
    thread.has_buffer_ = options.buffer;
    thread.make_objects(options);
    thread.set_registers();
    return thread;
}

void Thread::join() const {
    sys::ShortMessage message;
    sys::wait(ended.address(), message);
    CHECK(done_);
}

void forget_threads(unsigned count) { thread_count -= count; }

// Waits for a thread that gives up its budget at once and goes on a period later. Nothing is left of it.
void sleep(uint64_t microseconds) {
    auto waiting = [] { sys::yield(); };
    const Thread& thread = spawn(waiting, {.budget = 20, .period = microseconds});
    thread.join();
    delete_cap(thread.tcb);
    delete_cap(thread.context);
    forget_threads(1);
}

Ticker::Ticker(uint64_t period) : thread_(&prepare(*this, {.budget = 20, .period = period})), period_(period) {
    start();
    thread_->resume();
}

void Ticker::start() {
    longest_ = 0;
    turns_ = 0;
    last_ = now();
}

void Ticker::operator()() {
    for (;;) {
        sys::yield();
        const uint64_t time = now();
        if (time - last_ > longest_) longest_ = time - last_;
        last_ = time;
        turns_ = turns_ + 1;
        if (at_turn != nullptr) at_turn();
    }
}

void Ticker::check_on_time(uint64_t least) const {
    constexpr uint64_t latency = 50;   // microseconds: of the interrupt, and of the kernel between two preemption points
    const uint64_t waited = now() - last_ > longest_ ? now() - last_ : longest_;
    if (turns_ < least || waited > ticks_of(period_ + latency))
        fail(Text() << "the ticker had " << uint64_t{turns_} << " turns, and once none for " << waited * 1'000'000 / platform().timer_frequency << " us");
}

Crowd::Crowd(unsigned count) : first_(take_slots(count)), left_(count), context_(create<SchedContext>(sched_context_bits)) {
    set_budget(context_, worker_budget, worker_budget);
    for (uint64_t made = 0; made < count; made += abi::retype_fan_out_limit) {
        const uint64_t more = count - made < abi::retype_fan_out_limit ? count - made : abi::retype_fan_out_limit;
        CHECK_OK(memory.retype(abi::ObjectType::TCB, 0, 0, 0, first_ + made, more, own_cnode));
    }
}

Cap<TCB> Crowd::add(abi::Syscall call, CapRef cap, uint8_t priority, uint64_t word) {
    CHECK(left_-- > 0);
    const Cap<TCB> tcb{first_++};
    CHECK_OK(tcb.configure(abi::CNodeCapData{0}, 0, 0, own_cnode, own_vspace, CapRef{}));
    CHECK_OK(tcb.set_sched_params(0, priority, own_tcb, context_, CapRef{}));
    abi::UserContext registers{};
    registers.pc = reinterpret_cast<uint64_t>(&probe_call_and_stop);
    registers.x0_x8[0] = cap.address();
    registers.x0_x8[1] = abi::MessageInfo::make(1, 0, 0, 0).raw;
    registers.x0_x8[2] = word;
    registers.x0_x8[7] = static_cast<uint64_t>(call);
    CHECK_OK(tcb.write_registers(resume_target, sizeof registers / sizeof(uint64_t), registers));
    CHECK_OK(context_.unbind());
    return tcb;
}

FaultReport report_of(const sys::Message& message) {
    FaultReport report{static_cast<abi::FaultLabel>(message.info.label()), message.badge, message.info.length(), {}};
    detail::store_tail(message, report.words, report.length);
    return report;
}

FaultReport FaultHandler::receive() const {
    sys::Message message;
    sys::recv(endpoint_.address(), reply_.address(), message);
    return report_of(message);
}

void FaultHandler::reply(uint64_t label, const uint64_t* words, uint64_t count) const {
    sys::Message message{abi::MessageInfo::make(count, 0, 0, label), 0, {}};
    detail::load_tail(message, 0, words, count);
    CHECK_EQUAL(sys::send(reply_.address(), message), abi::Error::NoError);
}

}  // namespace caprock::conformance
