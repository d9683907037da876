// SPDX-License-Identifier: BSD-2-Clause
// The methods of TCBs.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/probes.hpp"
#include "tests/conformance/component/space.hpp"

namespace caprock::conformance {

namespace {

using abi::Error;
using abi::Method;

constexpr uint64_t context_words = sizeof(abi::UserContext) / sizeof(uint64_t);
constexpr abi::CNodeCapData no_guard{0};
// 61 bits of guard do not fit beside a radix of 4.
constexpr abi::CNodeCapData long_guard = abi::CNodeCapData::make(61, 0);

// A sent message as the Result that a stub makes of it.
Result<void> invoke(CapRef cap, Method method, uint64_t words, uint64_t first, uint64_t second) {
    sys::Message message{abi::MessageInfo::make(words, 0, 0, static_cast<uint64_t>(method)), 0, {first, second}};
    sys::call(cap.address(), message);
    if (message.info.label() != 0) return detail::failure_of(message);
    return {};
}

}  // namespace

// -- The documented order of the checks

TEST(order_read_registers, "ReadRegisters's checks come in the documented order") {
    abi::UserContext context{};
    Order order(Method::TCBReadRegisters);
    NEXT(order, own_tcb.read_registers(0, 0, context));
    NEXT(order, create<TCB>().read_registers(0, 0, context)).range(1, context_words);
    AGAIN(order, create<TCB>().read_registers(0, context_words + 1, context)).range(1, context_words);
    CHECK_OK(create<TCB>().read_registers(0, context_words, context));
}

TEST(order_write_registers, "WriteRegisters's checks come in the documented order") {
    Order order(Method::TCBWriteRegisters);
    NEXT(order, invoke(own_tcb, Method::TCBWriteRegisters, 38, 0, 37));
    AGAIN(order, invoke(own_tcb, Method::TCBWriteRegisters, 4, 0, 3));
    NEXT(order, invoke(own_tcb, Method::TCBWriteRegisters, 39, 0, 37)).range(0, context_words);
    NEXT(order, invoke(own_tcb, Method::TCBWriteRegisters, 3, 0, 1));
    CHECK_OK(invoke(create<TCB>(), Method::TCBWriteRegisters, 38, 0, 36));
}

TEST(order_copy_registers, "CopyRegisters's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    Order order(Method::TCBCopyRegisters);
    NEXT(order, own_tcb.copy_registers(0, CapRef{memory.address()})).number(1);
    AGAIN(order, own_tcb.copy_registers(0, CapRef{})).number(1);
    NEXT(order, own_tcb.copy_registers(0, tcb));
    AGAIN(order, tcb.copy_registers(0, own_tcb));
    CHECK_OK(tcb.copy_registers(0, create<TCB>()));
}

TEST(order_configure, "Configure's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<CNode> node = create<CNode>(4);
    const Cap<VSpace> unassigned = create<VSpace>();
    const Cap<Frame> frame = create<Frame>();
    const CapRef wrong = memory;
    Order order(Method::TCBConfigure);
    NEXT(order, tcb.configure(long_guard, 0, 8, wrong, wrong, wrong)).number(1);
    AGAIN(order, tcb.configure(long_guard, 0, 8, CapRef{}, wrong, wrong)).number(1);
    NEXT(order, tcb.configure(long_guard, 0, 8, node, wrong, wrong));
    NEXT(order, tcb.configure(no_guard, 0, 8, node, wrong, wrong)).number(2);
    AGAIN(order, tcb.configure(no_guard, 0, 8, node, unassigned, wrong)).number(2);
    NEXT(order, tcb.configure(no_guard, 0, 8, node, own_vspace, wrong)).number(3);
    AGAIN(order, tcb.configure(no_guard, 0, 8, node, own_vspace, uart_frame)).number(3);
    NEXT(order, tcb.configure(no_guard, 0, 512, node, own_vspace, frame));
    CHECK_OK(tcb.configure(no_guard, 0, 1024, node, own_vspace, frame));
    CHECK_OK(tcb.configure(no_guard, 0, 0, node, own_vspace, wrong));
}

TEST(order_set_priority, "SetPriority's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> authority = create<TCB>();
    CHECK_OK(authority.set_mc_priority(50, own_tcb));
    Order order(Method::TCBSetPriority);
    NEXT(order, tcb.set_priority(256, CapRef{memory.address()})).number(1);
    AGAIN(order, tcb.set_priority(256, CapRef{})).number(1);
    NEXT(order, tcb.set_priority(51, authority)).range(0, 50);
    AGAIN(order, tcb.set_priority(256, own_tcb)).range(0, 255);
    CHECK_OK(tcb.set_priority(50, authority));
}

TEST(order_set_mc_priority, "SetMCPriority's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> authority = create<TCB>();
    CHECK_OK(authority.set_mc_priority(50, own_tcb));
    Order order(Method::TCBSetMCPriority);
    NEXT(order, tcb.set_mc_priority(256, CapRef{memory.address()})).number(1);
    AGAIN(order, tcb.set_mc_priority(256, CapRef{})).number(1);
    NEXT(order, tcb.set_mc_priority(51, authority)).range(0, 50);
    AGAIN(order, tcb.set_mc_priority(256, own_tcb)).range(0, 255);
    CHECK_OK(tcb.set_mc_priority(50, authority));
}

TEST(order_set_sched_params, "SetSchedParams's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> authority = create<TCB>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    const Cap<SchedContext> of_notification = create<SchedContext>(8);
    CHECK_OK(of_notification.bind(create<Notification>()));
    const Cap<Endpoint> weak = copy(create<Endpoint>(), read_write);
    const CapRef wrong = memory;
    Order order(Method::TCBSetSchedParams);
    NEXT(order, tcb.set_sched_params(1, 1, wrong, wrong, wrong)).number(1);
    NEXT(order, tcb.set_sched_params(1, 1, authority, wrong, wrong)).range(0, 0);
    NEXT(order, tcb.set_sched_params(0, 1, authority, wrong, wrong)).range(0, 0);
    NEXT(order, tcb.set_sched_params(0, 0, authority, wrong, wrong)).number(2);
    NEXT(order, tcb.set_sched_params(0, 0, authority, current_thread()->context, wrong));
    AGAIN(order, tcb.set_sched_params(0, 0, authority, of_notification, wrong));
    const Cap<TCB> has_one = create<TCB>();
    const Cap<SchedContext> its_own = create<SchedContext>(8);
    CHECK_OK(its_own.bind(has_one));
    AGAIN(order, has_one.set_sched_params(0, 0, authority, context, wrong));
    CHECK_OK(has_one.set_sched_params(0, 0, authority, its_own, CapRef{}));
    NEXT(order, own_tcb.set_sched_params(255, worker_priority, own_tcb, CapRef{}, wrong));
    NEXT(order, tcb.set_sched_params(0, 0, authority, context, wrong)).number(3);
    AGAIN(order, tcb.set_sched_params(0, 0, authority, context, weak)).number(3);
    CHECK_OK(tcb.set_sched_params(0, 0, authority, context, CapRef{}));
}

TEST(order_set_timeout_endpoint, "SetTimeoutEndpoint's check") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    Order order(Method::TCBSetTimeoutEndpoint);
    NEXT(order, tcb.set_timeout_endpoint(CapRef{memory.address()})).number(1);
    AGAIN(order, tcb.set_timeout_endpoint(copy(endpoint, read_write))).number(1);
    AGAIN(order, tcb.set_timeout_endpoint(copy(endpoint, abi::CapRights::make(0, 1, 1, 1)))).number(1);
    CHECK_OK(tcb.set_timeout_endpoint(copy(endpoint, abi::CapRights::make(1, 0, 0, 1))));
    CHECK_OK(tcb.set_timeout_endpoint(copy(endpoint, abi::CapRights::make(1, 0, 1, 0))));
    CHECK_OK(tcb.set_timeout_endpoint(CapRef{}));
}

TEST(order_set_ipc_buffer, "SetIPCBuffer's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    Order order(Method::TCBSetIPCBuffer);
    NEXT(order, tcb.set_ipc_buffer(1000, CapRef{})).number(1);
    AGAIN(order, tcb.set_ipc_buffer(1000, CapRef{memory.address()})).number(1);
    AGAIN(order, tcb.set_ipc_buffer(1000, uart_frame)).number(1);
    NEXT(order, tcb.set_ipc_buffer(1000, create<Frame>()));
    CHECK_OK(tcb.set_ipc_buffer(3 * 1024, create<Frame>()));
    CHECK_OK(tcb.set_ipc_buffer(0, CapRef{}));
}

TEST(order_set_space, "SetSpace's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<CNode> node = create<CNode>(4);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const CapRef wrong = memory;
    Order order(Method::TCBSetSpace);
    NEXT(order, tcb.set_space(long_guard, 0, wrong, wrong, wrong)).number(1);
    AGAIN(order, tcb.set_space(long_guard, 0, copy(endpoint, abi::CapRights::make(0, 1, 1, 1)), wrong, wrong)).number(1);
    AGAIN(order, tcb.set_space(long_guard, 0, copy(endpoint, read_write), wrong, wrong)).number(1);
    NEXT(order, tcb.set_space(long_guard, 0, endpoint, wrong, wrong)).number(2);
    NEXT(order, tcb.set_space(long_guard, 0, endpoint, node, wrong));
    NEXT(order, tcb.set_space(no_guard, 0, endpoint, node, wrong)).number(3);
    AGAIN(order, tcb.set_space(no_guard, 0, endpoint, node, create<VSpace>())).number(3);
    CHECK_OK(tcb.set_space(no_guard, 0, CapRef{}, node, own_vspace));
    CHECK_OK(tcb.set_space(abi::CNodeCapData::make(60, 0), 0, endpoint, node, own_vspace));
}

TEST(order_bind_notification, "BindNotification's checks come in the documented order") {
    const Cap<TCB> tcb = create<TCB>();
    const Cap<TCB> other = create<TCB>();
    const Cap<Notification> notification = create<Notification>();
    const Cap<Notification> waited = create<Notification>();
    const Cap<Notification> unbound = copy(create<Notification>(), write_only);
    CHECK_OK(other.bind_notification(notification));
    Order order(Method::TCBBindNotification);
    NEXT(order, other.bind_notification(CapRef{memory.address()})).number(1);
    AGAIN(order, tcb.bind_notification(CapRef{})).number(1);
    NEXT(order, other.bind_notification(copy(notification, write_only)));
    NEXT(order, tcb.bind_notification(unbound)).number(1);
    NEXT(order, tcb.bind_notification(notification)).number(1);
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(waited.address(), message);
    };
    spawn(waiting);
    AGAIN(order, tcb.bind_notification(waited)).number(1);
    CHECK_OK(other.unbind_notification());
    CHECK_OK(tcb.bind_notification(notification));
}

TEST(order_unbind_notification, "UnbindNotification's check") {
    const Cap<TCB> tcb = create<TCB>();
    Order order(Method::TCBUnbindNotification);
    NEXT(order, tcb.unbind_notification());
    CHECK_OK(tcb.bind_notification(create<Notification>()));
    CHECK_OK(tcb.unbind_notification());
    AGAIN(order, tcb.unbind_notification());
}

TEST(order_set_flags, "SetFlags's check") {
    const Cap<TCB> tcb = create<TCB>();
    constexpr abi::ThreadFlags none{0};
    Order order(Method::TCBSetFlags);
    NEXT(order, tcb.set_flags(none, abi::ThreadFlags::make(0, 1, 0)));
    AGAIN(order, tcb.set_flags(none, abi::ThreadFlags::make(1, 0, 1)));
    CHECK_EQUAL(CHECK_OK(tcb.set_flags(none, none)).raw, 0);
    CHECK_EQUAL(CHECK_OK(tcb.set_flags(none, abi::ThreadFlags::make(1, 0, 0))).raw, 1);
}

TEST(order_set_affinity, "SetAffinity's checks come in the documented order") {
    const uint64_t cores = platform().core_count;
    const Cap<TCB> tcb = create<TCB>();
    Order order(Method::TCBSetAffinity);
    NEXT(order, own_tcb.set_affinity(cores)).range(0, cores - 1);
    AGAIN(order, own_tcb.set_affinity(~uint64_t{0})).range(0, cores - 1);
    NEXT(order, own_tcb.set_affinity(0));
    CHECK_OK(tcb.set_affinity(cores - 1));
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(tcb)).core, cores - 1);
}

// -- Registers

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

TEST(registers_spsr, "of SPSR only NZCV can be written: no thread gets out of EL0") {
    // EL1h with everything masked, and every bit.
    const uint64_t values[] = {0xf000'03c5, 0xffff'ffff};
    for (const uint64_t written : values) {
        auto body = [] {};
        const Thread& thread = prepare(body);
        abi::UserContext context{};
        CHECK_OK(thread.tcb.read_registers(0, 3, context));
        const uint64_t initial = context.spsr;
        context.spsr = written;
        CHECK_OK(thread.tcb.write_registers(0, 3, context));
        CHECK_OK(thread.tcb.read_registers(0, 3, context));
        CHECK_EQUAL(context.spsr, initial | 0xf000'0000);
        thread.resume();
        CHECK(thread.done());
    }
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

TEST(registers_none, "a blocked thread of whose registers none is written goes on behind its system call") {
    const Cap<Notification> notification = create<Notification>();
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting);
    CHECK_OK(thread.tcb.write_registers(resume_target, 0, abi::UserContext{}));
    CHECK(thread.done());
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

TEST(copy_registers, "CopyRegisters copies the groups of registers that its flags name, and no others") {
    constexpr uint64_t frame_registers = 1u << 2, integer_registers = 1u << 3;
    const Cap<TCB> source = create<TCB>();
    abi::UserContext written;
    uint64_t* const words = reinterpret_cast<uint64_t*>(&written);
    for (uint64_t i = 0; i < context_words; ++i) words[i] = 0xabc000 + i;
    written.spsr = 0xa000'0000;
    CHECK_OK(source.write_registers(0, context_words, written));
    // The order of UserContext: 17 words of the first group, 17 of the second, then both thread pointers, which stay.
    for (uint64_t flags = 0; flags < 16; flags += 4) {
        const Cap<TCB> target = create<TCB>();
        CHECK_OK(target.copy_registers(flags, source));
        abi::UserContext read{};
        CHECK_OK(target.read_registers(0, context_words, read));
        for (uint64_t i = 0; i < context_words; ++i) {
            const bool copied = i < 17 ? (flags & frame_registers) != 0 : i < 34 && (flags & integer_registers) != 0;
            const uint64_t mask = i == 2 ? 0xf000'0000 : ~uint64_t{0};
            CHECK_EQUAL(reinterpret_cast<uint64_t*>(&read)[i] & mask, copied ? words[i] & mask : 0);
        }
    }
}

TEST(copy_registers_runs, "CopyRegisters suspends the source and resumes the target, if told so") {
    static volatile uint64_t count;
    count = 0;
    auto counting = [] {
        for (;;) {
            count = count + 1;
            sys::yield();
        }
    };
    auto nothing = [] {};
    const Thread& source = spawn(counting, {.priority = worker_priority});
    sys::yield();
    CHECK(count > 0);
    const Thread& target = prepare(nothing, {.priority = worker_priority});
    CHECK_OK(target.tcb.copy_registers(1 | 4 | 8, source.tcb));
    const uint64_t stopped = count;
    sys::yield();
    CHECK_EQUAL(count, stopped);
    // The target has the source's stack and registers, and goes on in its place.
    abi::UserContext context{};
    CHECK_OK(source.tcb.read_registers(0, context_words, context));
    CHECK_OK(target.tcb.set_tls_base(context.tpidr_el0));
    CHECK_OK(target.tcb.copy_registers(2 | 4 | 8, source.tcb));
    sys::yield();
    CHECK(count > stopped);
}

TEST(copy_registers_blocked, "a blocked thread that registers are copied to goes on at their pc") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    auto waiting = [=] {
        sys::ShortMessage message;
        sys::wait(endpoint.address(), message);
    };
    const Thread& thread = spawn(waiting);
    static volatile bool reached;
    reached = false;
    const Cap<TCB> source = create<TCB>();
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, 2, context));
    context.pc = reinterpret_cast<uint64_t>(+[] {
        reached = true;
        stop_current_thread();
    });
    CHECK_OK(source.write_registers(0, 2, context));
    CHECK_OK(thread.tcb.copy_registers(4 | 2, source));
    CHECK(reached);
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), Error::NoError);
}

TEST(copy_registers_dead, "dead registers of a source in a system call are copied as 0") {
    const Cap<Notification> notification = create<Notification>();
    auto waiting = [=] {
        sys::Message message{abi::MessageInfo{0}, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
        sys::wait(notification.address(), message);
    };
    const Thread& thread = spawn(waiting);
    const Cap<TCB> target = create<TCB>();
    CHECK_OK(target.copy_registers(4 | 8, thread.tcb));
    abi::UserContext context{};
    CHECK_OK(target.read_registers(0, context_words, context));
    for (const uint64_t word : context.x0_x8) CHECK_EQUAL(word, 0);
    for (const uint64_t word : context.x9_x15) CHECK_EQUAL(word, 0);
    CHECK(context.pc != 0 && context.sp != 0);
}

// -- Running and stopping

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
    CHECK_OK(authority.set_mc_priority(50, own_tcb));
    CHECK_OK(tcb.set_priority(50, authority));
    CHECK_RANGE(tcb.set_priority(51, authority), 0, 50);
    CHECK_RANGE(tcb.set_mc_priority(51, authority), 0, 50);
    CHECK_CAPABILITY(tcb.set_mc_priority(51, CapRef{memory.address()}), 1);
    CHECK_RANGE(tcb.set_priority(256, own_tcb), 0, 255);
}

TEST(priority_change, "a change of priority takes effect at once") {
    bool ran = false;
    auto running = [&] { ran = true; };
    const Thread& thread = spawn(running, {.priority = lower_priority});
    CHECK(!ran);
    CHECK_OK(thread.tcb.set_priority(higher_priority, own_tcb));
    CHECK(ran);
    bool second_ran = false;
    auto second = [&] { second_ran = true; };
    spawn(second, {.priority = lower_priority});
    CHECK_OK(current_thread()->tcb.set_priority(lower_priority - 1, own_tcb));
    CHECK(second_ran);
}

TEST(own_space, "a thread that changes its own address space goes on in it") {
    uint64_t seen = 0;
    auto moving = [&] {
        CHECK_OK(current_thread()->tcb.set_space(no_guard, 0, CapRef{}, own_cnode, other_vspace()));
        seen = 1;
        CHECK_OK(current_thread()->tcb.set_space(no_guard, 0, CapRef{}, own_cnode, own_vspace));
        seen = 2;
    };
    CHECK(spawn(moving).done());
    CHECK_EQUAL(seen, 2);
}

TEST(bind_own_notification, "a thread binds a notification to itself, and its receive ends with a signal") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    CHECK_OK(own_tcb.bind_notification(notification));
    sys::signal(mint(notification, 12).address());
    sys::ShortMessage message;
    sys::wait(endpoint.address(), message);
    CHECK_EQUAL(message.badge, 12);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
    CHECK_OK(own_tcb.unbind_notification());
}

TEST(resume_running, "a thread that is running already goes on when it is resumed") {
    CHECK_OK(own_tcb.resume());
    unsigned step = 0;
    auto running = [&] {
        step = 1;
        CHECK_OK(current_thread()->tcb.resume());
        step = 2;
    };
    const Thread& thread = spawn(running);
    CHECK(thread.done());
    CHECK_EQUAL(step, 2);
}

TEST(resume_without_context, "a thread without a scheduling context is resumed, and runs when it gets one") {
    bool ran = false;
    auto running = [&] { ran = true; };
    const Thread& thread = spawn(running, {.passive = true});
    CHECK(!ran);
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    CHECK_OK(context.bind(thread.tcb));
    CHECK(ran);
}

TEST(replaced_capabilities, "capabilities that a thread had are deleted when others take their place") {
    const Cap<Untyped> untyped = create<Untyped>(16);
    const Cap<TCB> tcb = create<TCB>();
    const Cap<CNode> node = create_in<CNode>(untyped, 4);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(untyped);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    CHECK_OK(tcb.configure(no_guard, 0, 1024, node, own_vspace, frame));
    CHECK_OK(tcb.set_space(no_guard, 0, endpoint, node, own_vspace));
    CHECK_OK(tcb.set_timeout_endpoint(endpoint));
    const CapRef made[] = {node, endpoint, frame};
    for (const CapRef cap : made) delete_cap(cap);
    // The thread's copies are the last ones.
    CHECK_ERROR(copy_to(take_slots(), untyped), RevokeFirst);
    CHECK_OK(tcb.set_space(no_guard, 0, CapRef{}, own_cnode, own_vspace));
    CHECK_OK(tcb.set_ipc_buffer(0, CapRef{}));
    CHECK_ERROR(copy_to(take_slots(), untyped), RevokeFirst);
    CHECK_OK(tcb.set_timeout_endpoint(CapRef{}));
    CHECK_OK(copy_to(take_slots(), untyped));
}

TEST(set_sched_params_all, "SetSchedParams sets priorities, context and fault endpoint in one call") {
    const FaultHandler handler;
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    auto faulting = [] { asm volatile("udf #0"); };
    const Thread& thread = spawn(faulting, {.priority = lower_priority, .passive = true});
    CHECK_OK(thread.tcb.set_sched_params(33, higher_priority, own_tcb, context, mint(handler.endpoint(), 9)));
    // It ran at once, and faulted.
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, abi::FaultLabel::UserException);
    CHECK_EQUAL(report.badge, 9);
    CHECK_RANGE(create<TCB>().set_priority(34, thread.tcb), 0, 33);
    CHECK_OK(thread.tcb.set_sched_params(33, higher_priority, own_tcb, CapRef{}, CapRef{}));
    CHECK_OK(context.bind(create<TCB>()));
}

TEST(mcp_below_priority, "a maximum controlled priority does not change the priority that a thread has") {
    bool ran = false;
    auto running = [&] { ran = true; };
    const Thread& thread = prepare(running);
    CHECK_OK(thread.tcb.set_mc_priority(1, own_tcb));
    thread.resume();
    CHECK(ran);
    CHECK_RANGE(create<TCB>().set_priority(2, thread.tcb), 0, 1);
}

TEST(set_flags_fpu, "fpu_disabled makes SIMD instructions a UserException, and the registers are kept meanwhile") {
    constexpr abi::ThreadFlags none{0};
    constexpr abi::ThreadFlags disabled = abi::ThreadFlags::make(1, 0, 0);
    const FaultHandler handler;
    uint64_t differences = 1;
    const Cap<Notification> go = create<Notification>();
    auto using_simd = [&] {
        probe_fill_simd(500);
        sys::ShortMessage message;
        sys::wait(go.address(), message);
        differences = probe_check_simd(500);
    };
    const Thread& thread = spawn(using_simd, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(CHECK_OK(thread.tcb.set_flags(none, disabled)).raw, disabled.raw);
    probe_fill_simd(900);
    sys::signal(go.address());
    CHECK(!thread.done());
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, abi::FaultLabel::UserException);
    CHECK_EQUAL(report.words[abi::UserException::number], 0x07);   // access to SIMD or floating point
    CHECK_EQUAL(CHECK_OK(thread.tcb.set_flags(disabled, none)).raw, 0);
    handler.reply();
    CHECK(thread.done());
    CHECK_EQUAL(differences, 0);
    CHECK_EQUAL(probe_check_simd(900), 0);
}

TEST(set_flags_own, "a thread that forbids itself SIMD instructions faults at the next one") {
    const FaultHandler handler;
    unsigned step = 0;
    auto stopping = [&] {
        probe_use_simd();
        step = 1;
        CHECK_OK(current_thread()->tcb.set_flags(abi::ThreadFlags{0}, abi::ThreadFlags::make(1, 0, 0)));
        step = 2;
        probe_use_simd();
        step = 3;
    };
    spawn(stopping, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::UserException);
    CHECK_EQUAL(step, 2);
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
    auto ending = [] { (void)own_cnode.delete_cap(current_thread()->tcb.address(), address_bits); };
    const Thread& thread = spawn(ending);
    CHECK(!thread.done());
    CHECK_LOOKUP(own_cnode.move(take_slots(), 64, thread.tcb.address(), 64, own_cnode), true, MissingCapability);
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

TEST(replace_preempted, "a CSpace whose last capability the thread holds is destroyed when another takes its place, with interrupts meanwhile") {
    const Cap<Untyped> untyped = create<Untyped>(18);
    const Cap<CNode> node = create_in<CNode>(untyped, 11);
    const Cap<CNode> root = as_root(node, 11);
    const Cap<Endpoint> endpoint = create<Endpoint>();
    for (uint64_t i = 0; i < 2'000; ++i) CHECK_OK(root.copy(i, 64, endpoint.address(), 64, all_rights, own_cnode));
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(tcb.set_space(no_guard, 0, CapRef{}, node, own_vspace));
    delete_cap(root);
    delete_cap(node);
    Ticker ticker(60);
    CHECK_OK(tcb.set_space(no_guard, 0, endpoint, own_cnode, own_vspace));
    ticker.check_on_time();
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb_slot(0, tcb)).identity, CHECK_OK(inspect.read_cnode(own_cnode.address(), own_cnode)).identity);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb_slot(3, tcb)).kind, abi::CapType::Endpoint);
    CHECK_OK(copy_to(take_slots(), untyped));
}

TEST(replaced_with_itself, "a thread whose new CSpace goes with its old one has none, and its system calls are CapFaults") {
    const Cap<Untyped> untyped = create<Untyped>(18);
    const Cap<CNode> inner = create_in<CNode>(untyped, 4);
    const Cap<CNode> node = create_in<CNode>(untyped, 4);
    const Cap<CNode> root = as_root(node, 4);
    const FaultHandler handler;
    auto replacing = [] { (void)Cap<TCB>{1}.set_space(no_guard, 0, CapRef{}, Cap<CNode>{2}, Cap<VSpace>{3}); };
    const Thread& thread = prepare(replacing, {.fault_endpoint = handler.endpoint(), .cspace = root});
    CHECK_OK(root.copy(1, 64, thread.tcb.address(), 64, all_rights, own_cnode));
    CHECK_OK(root.copy(3, 64, own_vspace.address(), 64, all_rights, own_cnode));
    CHECK_OK(root.move(2, 64, as_root(inner, 4).address(), 64, own_cnode));
    const CapRef mine[] = {root, node, inner};
    for (const CapRef cap : mine) delete_cap(cap);
    thread.resume();
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb_slot(0, thread.tcb)).kind, abi::CapType::Null);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb_slot(1, thread.tcb)).kind, abi::CapType::Null);
    CHECK_OK(copy_to(take_slots(), untyped));
}

TEST(delete_slots, "a thread that is deleted deletes all of its five capabilities") {
    const Cap<Untyped> untyped = create<Untyped>(18);
    const Cap<TCB> tcb = create<TCB>();
    const Cap<CNode> node = create_in<CNode>(untyped, 4);
    const Cap<Frame> frame = create_in<Frame>(untyped);
    const Cap<Endpoint> faults = create_in<Endpoint>(untyped);
    const Cap<Endpoint> timeouts = create_in<Endpoint>(untyped);
    const Cap<VSpace> vspace = create_in<VSpace>(untyped);
    CHECK_OK(own_asid_pool.assign(vspace));
    CHECK_OK(tcb.configure(no_guard, 0, 1024, node, vspace, frame));
    CHECK_OK(tcb.set_sched_params(0, 0, own_tcb, CapRef{}, faults));
    CHECK_OK(tcb.set_timeout_endpoint(timeouts));
    const CapRef made[] = {node, frame, faults, timeouts, vspace};
    for (const CapRef cap : made) delete_cap(cap);
    CHECK_ERROR(copy_to(take_slots(), untyped), RevokeFirst);
    delete_cap(tcb);
    CHECK_OK(copy_to(take_slots(), untyped));
}

TEST(read_count, "ReadRegisters gives as many words as asked for, and 12 to a caller without a buffer") {
    const Cap<TCB> tcb = create<TCB>();
    const uint64_t counts[] = {1, 4, 12, 13, 36};
    for (const uint64_t count : counts) {
        sys::Message message{abi::MessageInfo::make(2, 0, 0, static_cast<uint64_t>(Method::TCBReadRegisters)), 0, {0, count}};
        sys::call(tcb.address(), message);
        CHECK_EQUAL(message.info.raw, abi::MessageInfo::make(count, 0, 0, 0).raw);
    }
    uint64_t length = 0;
    auto reading = [&] {
        sys::Message message{abi::MessageInfo::make(2, 0, 0, static_cast<uint64_t>(Method::TCBReadRegisters)), 0, {0, 36}};
        sys::call(tcb.address(), message);
        length = message.info.length();
    };
    CHECK(spawn(reading, {.buffer = false}).done());
    CHECK_EQUAL(length, abi::ipc_register_words);
}

TEST(write_count, "WriteRegisters takes 10 registers from a caller without a buffer, whose message ends there") {
    const Cap<TCB> tcb = create<TCB>();
    abi::Error errors[2] = {};
    auto writing = [&] {
        errors[0] = invoke(tcb, Method::TCBWriteRegisters, 2 + 11, 0, 11).error();
        errors[1] = invoke(tcb, Method::TCBWriteRegisters, 2 + 10, 0, 10).error();
    };
    spawn(writing, {.buffer = false}).join();
    CHECK_EQUAL(errors[0], Error::TruncatedMessage);
    CHECK_EQUAL(errors[1], Error::NoError);
}

TEST(registers_arrive, "a thread starts with each register as WriteRegisters ordered it") {
    alignas(16) static uint64_t stored[32];
    const Cap<TCB> tcb = create<TCB>();
    const Cap<SchedContext> context = create<SchedContext>(8);
    set_budget(context, 1'000, 1'000);
    const FaultHandler handler;
    CHECK_OK(tcb.configure(no_guard, 0, 0, own_cnode, own_vspace, CapRef{}));
    CHECK_OK(tcb.set_sched_params(0, higher_priority, own_tcb, context, handler.endpoint()));
    abi::UserContext written{};
    uint64_t* const words = reinterpret_cast<uint64_t*>(&written);
    for (uint64_t i = 0; i < context_words; ++i) words[i] = 0x4000 + i;
    written.pc = reinterpret_cast<uint64_t>(&probe_store_registers);
    written.sp = reinterpret_cast<uint64_t>(stored);
    CHECK_OK(tcb.write_registers(resume_target, context_words, written));
    CHECK_EQUAL(handler.receive().label, abi::FaultLabel::UserException);
    for (unsigned i = 0; i < 9; ++i) CHECK_EQUAL(stored[i], written.x0_x8[i]);
    for (unsigned i = 0; i < 7; ++i) CHECK_EQUAL(stored[9 + i], written.x9_x15[i]);
    for (unsigned i = 0; i < 3; ++i) CHECK_EQUAL(stored[16 + i], written.x16_x18[i]);
    for (unsigned i = 0; i < 10; ++i) CHECK_EQUAL(stored[19 + i], written.x19_x28[i]);
    CHECK(stored[29] == written.x29 && stored[30] == written.x30);
}

TEST(resume_ready, "a thread that waits for its turn is resumed again and again, and has one turn") {
    unsigned ran[3] = {};
    struct {
        unsigned* ran;
        void operator()() const { ++*ran; }
    } bodies[3] = {{&ran[0]}, {&ran[1]}, {&ran[2]}};
    const Thread* threads[3];
    for (unsigned i = 0; i < 3; ++i) threads[i] = &spawn(bodies[i], {.priority = lower_priority});
    for (unsigned i = 0; i < 9; ++i) CHECK_OK(threads[i % 3]->tcb.resume());
    for (const Thread* thread : threads) thread->join();
    for (const unsigned count : ran) CHECK_EQUAL(count, 1);
}

TEST(resume_ready_refill, "Resume of a thread that waits for its turn leaves its budget alone: it comes back when it would have") {
    uint64_t first_turn_end = 0;
    uint64_t second_turn = 0;
    auto running = [&] {
        // Runs until there is a gap.
        do {
            first_turn_end = second_turn;
            second_turn = now();
        } while (first_turn_end == 0 || second_turn - first_turn_end < ticks_of(200));
    };
    const Thread& thread = prepare(running, {.priority = lower_priority, .passive = true});
    const Cap<SchedContext> context = create<SchedContext>(10);
    CHECK_OK(sched_control.configure_flags(500, 10'000, 8, 0, abi::SchedContextFlags::make(1), context));
    CHECK_OK(context.bind(thread.tcb));
    const uint64_t start = now();
    thread.resume();
    while (now() - start < ticks_of(4'000)) {}
    thread.resume();
    thread.join();
    CHECK(first_turn_end - start >= ticks_of(4'400));
    CHECK(second_turn - start <= ticks_of(10'500));
}

TEST(space_at_once, "a thread that changes its address space sees the new one's memory at its next instruction") {
    const Cap<VSpace> vspaces[] = {own_vspace, other_vspace()};
    make_tables(other_vspace(), small_window);
    const Cap<Frame> frames[] = {create<Frame>(), create<Frame>()};
    // The other space's first: a frame is filled where this thread can reach it.
    for (uint64_t i = 2; i-- > 0;) {
        CHECK_OK(frames[i].map(small_window, read_write, cached, own_vspace));
        word_at(small_window) = 70 + i;
        CHECK_OK(frames[i].unmap());
        CHECK_OK(frames[i].map(small_window, read_only, cached, vspaces[i]));
    }
    uint64_t seen[3] = {};
    auto moving = [&] {
        for (unsigned i = 0; i < 3; ++i) {
            CHECK_OK(current_thread()->tcb.set_space(no_guard, 0, CapRef{}, own_cnode, vspaces[i % 2]));
            seen[i] = word_at(small_window);
        }
    };
    CHECK(spawn(moving).done());
    for (unsigned i = 0; i < 3; ++i) CHECK_EQUAL(seen[i], 70 + i % 2);
}

TEST(priority_without_budget, "a thread that waits for its refill and whose priority changes runs when the refill comes") {
    volatile uint64_t count = 0;
    auto counting = [&] {
        for (;;) count = count + 1;
    };
    const Thread& thread = spawn(counting, {.priority = lower_priority, .budget = 100, .period = 3'000});
    sleep(1'000);
    const uint64_t seen = count;
    CHECK_OK(thread.tcb.set_priority(lower_priority + 2, own_tcb));
    sleep(1'000);
    CHECK_EQUAL(count, seen);
    sleep(3'000);
    CHECK(count > seen);
}

}  // namespace caprock::conformance
