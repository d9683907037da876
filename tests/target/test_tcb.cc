// SPDX-License-Identifier: BSD-2-Clause
// The methods of TCBs.
#include "tests/target/thread.hpp"

namespace caprock::target {

namespace {

using abi::Error;

constexpr uint64_t context_words = sizeof(abi::UserContext) / sizeof(uint64_t);
constexpr abi::CNodeCapData no_guard{0};
// 61 bits of guard do not fit beside a radix of 4.
constexpr abi::CNodeCapData long_guard = abi::CNodeCapData::make(61, 0);

[[noreturn]] void loop() {
    for (;;) asm volatile("");
}

}  // namespace

TEST(registers, "WriteRegisters and ReadRegisters have the same registers in the same order") {
    const Cap<TCB> tcb = create<TCB>();
    abi::UserContext written;
    uint64_t* const words = reinterpret_cast<uint64_t*>(&written);
    for (uint64_t i = 0; i < context_words; ++i) words[i] = 0xabc000 + i;
    written.spsr = 0xf000'0000;
    CHECK_OK(tcb.write_registers(0, context_words, written));
    abi::UserContext read{};
    CHECK_OK(tcb.read_registers(0, context_words, read));
    for (uint64_t i = 0; i < context_words; ++i)
        if (i != 2) CHECK_EQUAL(reinterpret_cast<uint64_t*>(&read)[i], words[i]);
    CHECK_EQUAL(read.spsr & 0xf000'0000, 0xf000'0000);
}

TEST(registers_prefix, "a count selects a prefix of the registers") {
    const Cap<TCB> tcb = create<TCB>();
    abi::UserContext context{};
    context.pc = 1;
    context.sp = 2;
    context.x0_x8[0] = 3;
    CHECK_OK(tcb.write_registers(0, context_words, context));
    context.pc = 10;
    context.sp = 20;
    context.x0_x8[0] = 30;
    CHECK_OK(tcb.write_registers(0, 1, context));
    CHECK_OK(tcb.read_registers(0, 4, context));
    CHECK(context.pc == 10 && context.sp == 2 && context.x0_x8[0] == 3);
}

TEST(registers_errors, "the errors of ReadRegisters and WriteRegisters come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> self = current_thread()->tcb;
    abi::UserContext context{};
    CHECK_ERROR(self.read_registers(0, 0, context), IllegalOperation);
    CHECK_RANGE(tcb.read_registers(0, 0, context), 1, context_words);
    CHECK_RANGE(tcb.read_registers(0, context_words + 1, context), 1, context_words);
    sys::Message message{abi::MessageInfo::make(4, 0, 0, static_cast<uint64_t>(abi::Method::TCBWriteRegisters)), 0, {0, 3}};
    sys::call(tcb.address(), message);
    CHECK_EQUAL(message.info.label(), Error::TruncatedMessage);
    message = {abi::MessageInfo::make(40, 0, 0, static_cast<uint64_t>(abi::Method::TCBWriteRegisters)), 0, {0, 37}};
    sys::call(self.address(), message);
    CHECK_EQUAL(message.info.label(), Error::RangeError);
    CHECK_EQUAL(message.words[1], context_words);
    CHECK_ERROR(self.write_registers(0, 1, context), IllegalOperation);
}

TEST(registers_spsr, "of SPSR only NZCV can be written: no thread gets out of EL0") {
    const FaultHandler handler;
    auto body = [] { loop(); };
    const Thread& thread = prepare(body, {.priority = lower_priority, .fault_endpoint = handler.endpoint()});
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, 3, context));
    const uint64_t initial = context.spsr;
    context.spsr = 0xf000'03c5;   // EL1h, everything masked
    CHECK_OK(thread.tcb.write_registers(0, 3, context));
    CHECK_OK(thread.tcb.read_registers(0, 3, context));
    CHECK_EQUAL(context.spsr, initial | 0xf000'0000);
}

TEST(registers_dead, "the dead registers of a thread in a system call read as 0") {
    const Cap<Notification> notification = create<Notification>();
    auto waiting = [=] {
        sys::Message message{abi::MessageInfo{0}, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
        sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting);
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, context_words, context));
    for (const uint64_t word : context.x0_x8) CHECK_EQUAL(word, 0);
    for (const uint64_t word : context.x9_x15) CHECK_EQUAL(word, 0);
    CHECK(context.pc != 0 && context.sp != 0);
    sys::signal(notification.address());
    CHECK(thread.done());
}

TEST(registers_blocked, "a blocked thread whose registers are written goes on at its new pc") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(endpoint.address(), message);
    };
    const Thread& thread = spawn(waiting);
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, 2, context));
    static volatile bool reached;
    reached = false;
    context.pc = reinterpret_cast<uint64_t>(+[] {
        reached = true;
        stop_current_thread();
    });
    CHECK_OK(thread.tcb.write_registers(resume_target, 2, context));
    CHECK(reached);
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), Error::NoError);
}

TEST(read_suspends, "ReadRegisters suspends the thread first if told so") {
    volatile uint64_t count = 0;
    auto counting = [&] {
        for (;;) count = count + 1;
    };
    const Thread& thread = spawn(counting, {.priority = worker_priority});
    sys::yield();
    CHECK(count > 0);
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(suspend_source, 1, context));
    const uint64_t seen = count;
    sys::yield();
    CHECK_EQUAL(count, seen);
}

TEST(suspend_self, "a thread that suspends itself stops until it is resumed") {
    unsigned step = 0;
    auto stopping = [&] {
        step = 1;
        CHECK_OK(current_thread()->tcb.suspend());
        step = 2;
    };
    const Thread& thread = spawn(stopping);
    CHECK_EQUAL(step, 1);
    thread.resume();
    CHECK_EQUAL(step, 2);
}

TEST(priorities, "priorities decide who runs, and are bounded by the authority's maximum") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> authority = create<TCB>();
    CHECK_CAPABILITY(tcb.set_priority(1, CapRef{}), 1);
    CHECK_RANGE(tcb.set_priority(1, authority), 0, 0);
    CHECK_OK(tcb.set_priority(0, authority));
    CHECK_OK(authority.set_mc_priority(50, root_tcb));
    CHECK_OK(tcb.set_priority(50, authority));
    CHECK_RANGE(tcb.set_priority(51, authority), 0, 50);
    CHECK_RANGE(tcb.set_mc_priority(51, authority), 0, 50);
    CHECK_CAPABILITY(tcb.set_mc_priority(51, CapRef{environment.memory().address()}), 1);
    CHECK_RANGE(tcb.set_priority(256, root_tcb), 0, 255);
}

TEST(priority_change, "a change of priority takes effect at once") {
    bool ran = false;
    auto running = [&] { ran = true; };
    const Thread& thread = spawn(running, {.priority = lower_priority});
    CHECK(!ran);
    CHECK_OK(thread.tcb.set_priority(higher_priority, root_tcb));
    CHECK(ran);
    bool second_ran = false;
    auto second = [&] { second_ran = true; };
    spawn(second, {.priority = lower_priority});
    CHECK_OK(current_thread()->tcb.set_priority(lower_priority - 1, root_tcb));
    CHECK(second_ran);
}

TEST(sched_params_errors, "SetSchedParams's errors come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> authority = create<TCB>();
    const Cap<TCB> self = current_thread()->tcb;
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<SchedContext> second = create<SchedContext>(8);
    const Cap<Endpoint> weak = copy(create<Endpoint>(), abi::CapRights::make(1, 1, 0, 0));
    const CapRef wrong = environment.memory();
    CHECK_CAPABILITY(tcb.set_sched_params(1, 1, wrong, wrong, wrong), 1);
    CHECK_RANGE(tcb.set_sched_params(1, 1, authority, wrong, wrong), 0, 0);
    CHECK_RANGE(tcb.set_sched_params(0, 1, authority, wrong, wrong), 0, 0);
    CHECK_CAPABILITY(tcb.set_sched_params(0, 0, authority, wrong, wrong), 2);
    CHECK_ERROR(tcb.set_sched_params(0, 0, authority, current_thread()->context, wrong), IllegalOperation);
    CHECK_ERROR(self.set_sched_params(255, worker_priority, root_tcb, CapRef{}, wrong), IllegalOperation);
    CHECK_CAPABILITY(tcb.set_sched_params(0, 0, authority, context, wrong), 3);
    CHECK_CAPABILITY(tcb.set_sched_params(0, 0, authority, context, weak), 3);
    CHECK_OK(tcb.set_sched_params(0, 0, authority, context, CapRef{}));
    CHECK_OK(tcb.set_sched_params(0, 0, authority, context, CapRef{}));
    CHECK_ERROR(tcb.set_sched_params(0, 0, authority, second, CapRef{}), IllegalOperation);
    CHECK_ERROR(context.bind(tcb), IllegalOperation);
    CHECK_OK(tcb.set_sched_params(0, 0, authority, CapRef{}, CapRef{}));
    CHECK_OK(context.bind(tcb));
}

TEST(configure_errors, "Configure's errors come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<CNode> node = create<CNode>(4);
    const Cap<VSpace> unassigned = create<VSpace>();
    const Cap<Frame> frame = create<Frame>();
    const Cap<Frame> device = copy(environment.device_frame(environment.boot().platform->console_paddr));
    CHECK_CAPABILITY(tcb.configure(long_guard, 0, 8, CapRef{frame.address()}, CapRef{}, CapRef{}), 1);
    CHECK_ERROR(tcb.configure(long_guard, 0, 8, node, CapRef{}, CapRef{}), IllegalOperation);
    CHECK_CAPABILITY(tcb.configure(no_guard, 0, 8, node, CapRef{frame.address()}, CapRef{node.address()}), 2);
    CHECK_CAPABILITY(tcb.configure(no_guard, 0, 8, node, unassigned, CapRef{node.address()}), 2);
    CHECK_CAPABILITY(tcb.configure(no_guard, 0, 8, node, root_vspace, CapRef{node.address()}), 3);
    CHECK_CAPABILITY(tcb.configure(no_guard, 0, 8, node, root_vspace, device), 3);
    CHECK_ERROR(tcb.configure(no_guard, 0, 512, node, root_vspace, frame), AlignmentError);
    CHECK_OK(tcb.configure(no_guard, 0, 1024, node, root_vspace, frame));
    CHECK_OK(tcb.configure(no_guard, 0, 0, node, root_vspace, CapRef{}));
}

TEST(set_space_errors, "SetSpace's errors come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<CNode> node = create<CNode>(4);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const CapRef wrong = environment.memory();
    CHECK_CAPABILITY(tcb.set_space(long_guard, 0, wrong, wrong, wrong), 1);
    CHECK_CAPABILITY(tcb.set_space(long_guard, 0, copy(endpoint, abi::CapRights::make(0, 1, 1, 1)), wrong, wrong), 1);
    CHECK_CAPABILITY(tcb.set_space(long_guard, 0, endpoint, wrong, wrong), 2);
    CHECK_ERROR(tcb.set_space(long_guard, 0, endpoint, node, wrong), IllegalOperation);
    CHECK_CAPABILITY(tcb.set_space(no_guard, 0, endpoint, node, wrong), 3);
    CHECK_OK(tcb.set_space(no_guard, 0, CapRef{}, node, root_vspace));
    CHECK_OK(tcb.set_space(abi::CNodeCapData::make(60, 0), 0, endpoint, node, root_vspace));
}

TEST(set_buffer_errors, "SetIPCBuffer's and SetTimeoutEndpoint's errors") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<Frame> frame = create<Frame>();
    CHECK_CAPABILITY(tcb.set_ipc_buffer(1024, CapRef{}), 1);
    CHECK_ERROR(tcb.set_ipc_buffer(1000, frame), AlignmentError);
    CHECK_OK(tcb.set_ipc_buffer(3 * 1024, frame));
    CHECK_OK(tcb.set_ipc_buffer(0, CapRef{}));
    CHECK_CAPABILITY(tcb.set_timeout_endpoint(CapRef{frame.address()}), 1);
    CHECK_CAPABILITY(tcb.set_timeout_endpoint(copy(create<Endpoint>(), abi::CapRights::make(1, 1, 0, 0))), 1);
    CHECK_OK(tcb.set_timeout_endpoint(CapRef{}));
    CHECK_OK(tcb.set_timeout_endpoint(create<Endpoint>()));
}

TEST(own_space, "a thread that changes its own address space goes on in it") {
    uint64_t seen = 0;
    auto moving = [&] {
        CHECK_OK(current_thread()->tcb.set_space(no_guard, 0, CapRef{}, root_cnode, environment.other_vspace()));
        seen = 1;
        CHECK_OK(current_thread()->tcb.set_space(no_guard, 0, CapRef{}, root_cnode, root_vspace));
        seen = 2;
    };
    CHECK(spawn(moving).done());
    CHECK_EQUAL(seen, 2);
}

TEST(tls_base, "SetTLSBase sets the thread pointer, of others and of the caller") {
    uint64_t own = 0;
    auto setting = [&] {
        const uint64_t block = reinterpret_cast<uint64_t>(current_thread()->memory().thread_block);
        const Cap<TCB> self = current_thread()->tcb;
        sys::Invocation message{abi::MessageInfo::make(1, 0, 0, static_cast<uint64_t>(abi::Method::TCBSetTLSBase)), 0, {0x1234'5678}};
        sys::call(self.address(), message);
        asm volatile("mrs %0, tpidr_el0\n\tmsr tpidr_el0, %1" : "=&r"(own) : "r"(block) : "memory");
    };
    CHECK(spawn(setting).done());
    CHECK_EQUAL(own, 0x1234'5678);
    const Cap<TCB> other = create<TCB>();
    CHECK_OK(other.set_tls_base(0x77));
    abi::UserContext context{};
    CHECK_OK(other.read_registers(0, context_words, context));
    CHECK_EQUAL(context.tpidr_el0, 0x77);
}

TEST(delete_self, "a thread that deletes its own TCB is gone, and the system goes on") {
    auto ending = [] { (void)root_cnode.delete_cap(current_thread()->tcb.address(), address_bits); };
    const Thread& thread = spawn(ending);
    CHECK(!thread.done());
    CHECK_LOOKUP(root_cnode.move(environment.take_slots(), 64, thread.tcb.address(), 64, root_cnode), true, MissingCapability);
}

TEST(delete_blocked, "a deleted thread leaves the queues in which it waited") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    auto sending = [=] { (void)sys::send(endpoint.address(), sys::ShortMessage{}); };
    const Thread& thread = spawn(sending);
    delete_cap(thread.tcb);
    sys::ShortMessage message;
    sys::nb_wait(endpoint.address(), message);
    CHECK_EQUAL(message.info.raw, 0);
    // The context is free again.
    auto other = [] {};
    const Thread& second = prepare(other, {.passive = true});
    CHECK_OK(thread.context.bind(second.tcb));
    second.resume();
    CHECK(second.done());
}

}  // namespace caprock::target
