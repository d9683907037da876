// SPDX-License-Identifier: BSD-2-Clause
// Making threads.
#include "tests/worst_case/thread.hpp"

#include "tests/worst_case/labels.h"

namespace caprock::worst_case {

static_assert(SYSCALL_CALL == static_cast<int>(abi::Syscall::Call) && SYSCALL_WAIT == static_cast<int>(abi::Syscall::Wait));
static_assert(SYSCALL_SEND == static_cast<int>(abi::Syscall::Send) && SYSCALL_RECV == static_cast<int>(abi::Syscall::Recv));
static_assert(SYSCALL_YIELD == static_cast<int>(abi::Syscall::Yield));
static_assert(LABEL_TCB_SUSPEND == static_cast<int>(abi::Method::TCBSuspend));

namespace {

constexpr uint8_t highest_priority = 255;
constexpr uint64_t resume_target = 1;
constexpr uint64_t turn = 10'000;   // microseconds
constexpr uint64_t context_words = sizeof(abi::UserContext) / sizeof(uint64_t);

constinit Cap<Endpoint> faults{};
constinit Cap<Reply> fault_reply{};
constinit ThreadStack monitor_stack{};

[[noreturn]] void monitor(void*) {
    sys::Message message;
    sys::recv(faults.address(), fault_reply.address(), message);
    Text text;
    text << "Bail out! a thread faulted: label " << message.info.label();
    for (unsigned i = 0; i < message.info.length() && i < abi::ipc_register_words; ++i) text << " " << loader::Hex{message.words[i]};
    fail(text);
}

}  // namespace

ThreadState state_of(CapRef thread) {
    const auto read = inspect.read_tcb(thread);
    must(read);
    return static_cast<ThreadState>(read.value().state);
}

Cap<SchedContext> make_round_robin() {
    const Cap<SchedContext> context = create<SchedContext>(abi::min_sched_context_bits);
    must(system.sched_control().configure_flags(turn, turn, 0, 0, abi::SchedContextFlags{0}, context));
    return context;
}

Cap<TCB> make_thread(const ThreadOptions& options) {
    const Cap<TCB> thread = create<TCB>();
    const Cap<Frame> frame = options.buffer == nullptr ? Cap<Frame>{} : system.image_frame(options.buffer);
    must(thread.configure(abi::CNodeCapData{0}, 0, reinterpret_cast<uint64_t>(options.buffer), options.cspace, options.vspace, frame));
    const Cap<SchedContext> context = options.passive ? Cap<SchedContext>{} : make_round_robin();
    const CapRef handler = options.fault_endpoint.is_null() ? faults : options.fault_endpoint;
    must(thread.set_sched_params(highest_priority, options.priority, root_tcb, context, handler));
    return thread;
}

void start_function(Cap<TCB> thread, void (*function)(void*), void* argument, ThreadStack& stack) {
    abi::UserContext context{};
    context.pc = reinterpret_cast<uint64_t>(function);
    context.sp = reinterpret_cast<uint64_t>(&stack + 1);
    context.x0_x8[0] = reinterpret_cast<uint64_t>(argument);
    must(thread.write_registers(resume_target, context_words, context));
}

void start_monitor() {
    faults = create<Endpoint>();
    fault_reply = create<Reply>();
    start_function(make_thread({.priority = monitor_priority}), monitor, nullptr, monitor_stack);
}

void start_at(Cap<TCB> thread, void (*entry)(), const Registers& registers, const SavedRegisters& saved) {
    abi::UserContext context{};
    context.pc = reinterpret_cast<uint64_t>(entry);
    for (unsigned i = 0; i < 9; ++i) context.x0_x8[i] = registers.x[i];
    for (unsigned i = 9; i < 16; ++i) context.x9_x15[i - 9] = registers.x[i];
    context.x16_x18[0] = registers.x[16];
    for (unsigned i = 0; i < 4; ++i) context.x19_x28[i] = saved.x19_x22[i];
    must(thread.write_registers(resume_target, context_words, context));
}

void Puppet::start(const ThreadOptions& options, Cap<Notification> go, uint64_t wait_address) {
    go_ = go;
    wait_address_ = wait_address;
    thread_ = make_thread(options);
    restart();
}

void Puppet::restart() { start_at(thread_, puppet_entry, Registers{}, {{0, wait_address_, reinterpret_cast<uint64_t>(&registers)}}); }

void Puppet::start(const ThreadOptions& options) {
    const Cap<Notification> go = create<Notification>();
    start(options, go, go.address());
}

}  // namespace caprock::worst_case
