// SPDX-License-Identifier: BSD-2-Clause
// What all system calls have in common: addresses that do not resolve, rights, invocations, unknown numbers, dead registers.
#include "tests/conformance/component/thread.hpp"
#include "tests/conformance/component/probes.hpp"

namespace caprock::conformance {

namespace {

using abi::FaultLabel;
using abi::LookupFailure;
namespace CapFault = abi::CapFault;
namespace Unknown = abi::UnknownSyscall;

// Receives a CapFault and checks what it says of the lookup.
FaultReport check_cap_fault(const FaultHandler& handler, uint64_t address, bool receiving, LookupFailure failure) {
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::CapFault);
    CHECK_EQUAL(report.length, CapFault::length);
    CHECK_EQUAL(report.words[CapFault::addr], address);
    CHECK_EQUAL(report.words[CapFault::in_recv_phase], receiving);
    CHECK_EQUAL(report.words[CapFault::lookup_failure_type], failure);
    return report;
}

// An invocation of `cap` with any label, words and capabilities: its error.
abi::Error invoke(CapRef cap, uint64_t label, uint64_t words, uint64_t caps) {
    sys::Message message{abi::MessageInfo::make(words, caps, 0, label), 0, {}};
    sys::call(cap.address(), message);
    return static_cast<abi::Error>(message.info.label());
}

constexpr uint64_t number(abi::Method method) { return static_cast<uint64_t>(method); }

// Makes a system call with these registers in a thread of its own. What it returns stays in `registers`.
struct RawCall {
    FaultHandler handler;
    uint64_t registers[19] = {};
    const Thread* thread = nullptr;

    void operator()() { probe_system_call(registers); }
    void start(abi::Syscall call, uint64_t cap, uint64_t reply = 0, uint64_t destination = 0) {
        for (uint64_t& value : registers) value = 0;
        registers[0] = cap;
        registers[1] = abi::MessageInfo::make(1, 0, 0, 77).raw;
        registers[6] = reply;
        registers[7] = static_cast<uint64_t>(call);
        registers[8] = destination;
        thread = &spawn(*this, {.fault_endpoint = handler.endpoint()});
    }
    // Ends a thread that has faulted, or waits.
    void stop() const { delete_cap(thread->tcb); }
};

// The documented checks of a system call that receives, in their order.
void check_receive(abi::Syscall call, bool with_reply) {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Notification> bound = create<Notification>();
    CHECK_OK(create<TCB>().bind_notification(bound));
    const Cap<Reply> reply = create<Reply>();
    const uint64_t empty = take_slots();
    const uint64_t no_reply = bound.address();
    RawCall raw;
    const auto faults = [&](uint64_t source, uint64_t reply_address, uint64_t named) {
        raw.start(call, source, reply_address);
        const FaultReport report = check_cap_fault(raw.handler, named, true, LookupFailure::MissingCapability);
        CHECK_EQUAL(report.words[CapFault::ip], reinterpret_cast<uint64_t>(probe_system_call_svc));
        raw.stop();
    };
    // The source comes first, whatever the reply object.
    const uint64_t sources[] = {empty, reply.address(), copy(endpoint, abi::CapRights::make(1, 0, 1, 1)).address(),
                                copy(create<Notification>(), write_only).address(), own_tcb.address()};
    for (const uint64_t source : sources) faults(source, no_reply, source);
    if (with_reply) {
        faults(endpoint.address(), empty, empty);
        faults(endpoint.address(), no_reply, no_reply);
        faults(endpoint.address(), 0, 0);
    }
    faults(bound.address(), reply.address(), bound.address());
    // A notification needs no reply object, and what the thread itself is bound to it may wait for.
    const Cap<Notification> free = mint(create<Notification>(), 6);
    sys::signal(free.address());
    raw.start(call, free.address(), no_reply);
    CHECK(raw.thread->done());
    CHECK(raw.registers[0] == 6 && raw.registers[1] == abi::notification_message_info);
}

}  // namespace

TEST(call_nothing, "Call of an empty slot is a CapFault, and executes again after the reply") {
    const FaultHandler handler;
    const uint64_t empty = take_slots();
    auto calling = [=] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(empty, message);
    };
    const Thread& thread = spawn(calling, {.fault_endpoint = handler.endpoint()});
    const FaultReport first = check_cap_fault(handler, empty, false, LookupFailure::MissingCapability);
    CHECK_EQUAL(first.words[CapFault::bits_left], 0);
    handler.reply();
    const FaultReport second = check_cap_fault(handler, empty, false, LookupFailure::MissingCapability);
    CHECK_EQUAL(second.words[CapFault::ip], first.words[CapFault::ip]);
    CHECK_OK(own_cnode.copy(empty, 64, create<Notification>().address(), 64, all_rights, own_cnode));
    handler.reply();
    CHECK(thread.done());
}

TEST(guard_mismatch, "an address beyond the CSpace is a guard mismatch") {
    const FaultHandler handler;
    constexpr uint64_t address = uint64_t{5} << 20;
    auto calling = [] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(address, message);
    };
    spawn(calling, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = check_cap_fault(handler, address, false, LookupFailure::GuardMismatch);
    CHECK_EQUAL(report.words[CapFault::bits_left], 64);
    CHECK_EQUAL(report.words[CapFault::detail1], 0);
    CHECK_EQUAL(report.words[CapFault::detail2], 52);
}

TEST(depth_mismatch, "a CNode that resolves more bits than are left is a depth mismatch") {
    const FaultHandler handler;
    const Cap<CNode> small = create<CNode>(4);
    CHECK_OK(mint(small, abi::CNodeCapData::make(60, 0).raw).copy(0, 64, own_cnode.address(), 64, all_rights, own_cnode));
    auto calling = [] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(3, message);
    };
    spawn(calling, {.fault_endpoint = handler.endpoint(), .cspace = small});
    const FaultReport report = check_cap_fault(handler, 3, false, LookupFailure::DepthMismatch);
    CHECK_EQUAL(report.words[CapFault::bits_left], 60);
    CHECK_EQUAL(report.words[CapFault::detail1], 64);
}

TEST(two_levels, "a CSpace of two levels resolves") {
    const FaultHandler handler;
    const Cap<CNode> upper = create<CNode>(4);
    const Cap<CNode> lower = create<CNode>(4);
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(mint(lower, abi::CNodeCapData::make(60, 0).raw).copy(6, 64, notification.address(), 64, all_rights, own_cnode));
    CHECK_OK(mint(upper, abi::CNodeCapData::make(60, 0).raw)
                 .mint(2, 64, lower.address(), 64, all_rights, abi::CNodeCapData::make(8, 0xc3).raw, own_cnode));
    // 4 bits of the upper node, guard and 4 bits of the lower one; what is left does not matter for what is no CNode.
    auto signalling = [] {
        sys::signal(uint64_t{0x2c36} << 48);
        sys::signal(0);
    };
    spawn(signalling, {.fault_endpoint = handler.endpoint(), .cspace = upper});
    check_cap_fault(handler, 0, false, LookupFailure::MissingCapability);
    sys::ShortMessage message;
    sys::nb_wait(notification.address(), message);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
}

TEST(missing_rights, "sending without the right write is an InvalidCapability, for all sends") {
    const Cap<Endpoint> endpoint = copy(create<Endpoint>(), read_only);
    const Cap<Notification> notification = copy(create<Notification>(), read_only);
    const uint64_t targets[] = {endpoint.address(), notification.address()};
    for (const uint64_t target : targets) {
        sys::Invocation message{abi::MessageInfo{0}, 0, {7, 7, 7, 7, 7}};
        sys::call(target, message);
        CHECK_EQUAL(message.info.label(), abi::Error::InvalidCapability);
        CHECK_EQUAL(message.info.length(), 1);
        CHECK_EQUAL(message.words[0], 0);
        CHECK_EQUAL(sys::send(target, sys::ShortMessage{}), abi::Error::InvalidCapability);
        CHECK_EQUAL(sys::nb_send(target, sys::ShortMessage{}), abi::Error::InvalidCapability);
    }
}

TEST(receive_faults, "receiving checks the source, the reply object and the binding, in this order") {
    const FaultHandler handler;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> sender = copy(endpoint, abi::CapRights::make(1, 0, 1, 1));
    const Cap<Reply> reply = create<Reply>();
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(create<TCB>().bind_notification(notification));
    const uint64_t sources[] = {take_slots(), sender.address(), reply.address(), endpoint.address(), endpoint.address(),
                                notification.address()};
    const uint64_t replies[] = {0, 0, 0, 0, notification.address(), 0};
    uint64_t which = 0;
    auto receiving = [&] {
        sys::ShortMessage message;
        sys::recv(sources[which], replies[which], message);
    };
    for (which = 0; which < 6; ++which) {
        spawn(receiving, {.fault_endpoint = handler.endpoint()});
        const bool reply_is_missing = which == 3 || which == 4;
        check_cap_fault(handler, reply_is_missing ? replies[which] : sources[which], true, LookupFailure::MissingCapability);
    }
}

TEST(nothing_there, "what does not block says that nothing was there") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    sys::ShortMessage message{abi::MessageInfo{~uint64_t{0}}, 9, {}};
    sys::nb_recv(endpoint.address(), reply.address(), message);
    CHECK(message.badge == 0 && message.info.raw == 0);
    message = {abi::MessageInfo{~uint64_t{0}}, 9, {}};
    sys::nb_wait(create<Notification>().address(), message);
    CHECK(message.badge == 0 && message.info.raw == 0);
    CHECK_EQUAL(sys::nb_send(endpoint.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK_EQUAL(sys::nb_send(take_slots(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK_EQUAL(sys::nb_send(~uint64_t{0}, sys::ShortMessage{}), abi::Error::NoError);
    CHECK_EQUAL(sys::send(reply.address(), sys::ShortMessage{}), abi::Error::NoError);
}

TEST(invocation_order, "an invocation's label is checked before its length, and both before the method's own checks") {
    const Cap<TCB> tcb = create<TCB>();
    CHECK_EQUAL(invoke(tcb, 0, 0, 0), abi::Error::IllegalOperation);
    CHECK_EQUAL(invoke(tcb, 9999, 0, 0), abi::Error::IllegalOperation);
    CHECK_EQUAL(invoke(tcb, number(abi::Method::UntypedRetype), 0, 0), abi::Error::IllegalOperation);
    CHECK_EQUAL(invoke(tcb, number(abi::Method::TCBSetPriority), 0, 1), abi::Error::TruncatedMessage);
    CHECK_EQUAL(invoke(tcb, number(abi::Method::TCBSetPriority), 1, 0), abi::Error::TruncatedMessage);
    caprock_ipc_buffer->caps_or_badges[0] = 0;
    CHECK_EQUAL(invoke(tcb, number(abi::Method::TCBSetPriority), 1, 1), abi::Error::InvalidCapability);
    CHECK_EQUAL(invoke(tcb, number(abi::Method::TCBUnbindNotification), 12, 3), abi::Error::IllegalOperation);
}

TEST(invocation_arguments, "a capability argument that does not resolve is a CapFault of Call, and nothing to NBSend") {
    const FaultHandler handler;
    constexpr uint64_t nowhere = uint64_t{1} << 40;
    const Cap<TCB> tcb = create<TCB>();
    unsigned step = 0;
    auto calling = [&] {
        caprock_ipc_buffer->caps_or_badges[0] = nowhere;
        const sys::ShortMessage message{abi::MessageInfo::make(1, 1, 0, number(abi::Method::TCBSetPriority)), 0, {1}};
        CHECK_EQUAL(sys::nb_send(tcb.address(), message), abi::Error::NoError);
        step = 1;
        sys::ShortMessage called = message;
        sys::call(tcb.address(), called);
    };
    spawn(calling, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(step, 1);
    check_cap_fault(handler, nowhere, false, LookupFailure::GuardMismatch);
}

TEST(invocation_by_send, "Send and NBSend invoke, with the same result") {
    const Cap<TCB> tcb = create<TCB>();
    const sys::Invocation unbind{abi::MessageInfo::make(0, 0, 0, number(abi::Method::TCBUnbindNotification)), 0, {}};
    CHECK_EQUAL(sys::send(tcb.address(), unbind), abi::Error::IllegalOperation);
    CHECK_EQUAL(sys::nb_send(tcb.address(), unbind), abi::Error::IllegalOperation);
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(tcb.bind_notification(notification));
    CHECK_EQUAL(sys::nb_send(tcb.address(), unbind), abi::Error::NoError);
    CHECK_ERROR(tcb.unbind_notification(), IllegalOperation);
}

TEST(unknown_numbers, "an unknown system call is a fault with all registers, and the reply sets them") {
    const FaultHandler handler;
    uint64_t registers[19];
    auto calling = [&] { probe_system_call(registers); };
    const uint64_t numbers[] = {0, 12, 127, 130, 255, 0x400};
    for (const uint64_t unknown : numbers) {
        for (uint64_t i = 0; i < 19; ++i) registers[i] = 1000 + i;
        registers[7] = unknown;
        const Thread& thread = spawn(calling, {.fault_endpoint = handler.endpoint()});
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, FaultLabel::UnknownSyscall);
        CHECK_EQUAL(report.length, Unknown::length);
        for (uint64_t i = 0; i < 8; ++i) CHECK_EQUAL(report.words[i], i == 7 ? unknown : 1000 + i);
        CHECK_EQUAL(report.words[Unknown::fault_ip], reinterpret_cast<uint64_t>(probe_system_call_svc));
        CHECK_EQUAL(report.words[Unknown::syscall], unknown);
        uint64_t answer[] = {1, 2, 3, 4, 5, 6, 7, 8, report.words[Unknown::fault_ip] + 4};
        handler.reply(0, answer, 9);
        CHECK(thread.done());
        for (uint64_t i = 0; i < 19; ++i) CHECK_EQUAL(registers[i], i < 8 ? i + 1 : 1000 + i);
    }
}

TEST(unknown_short_reply, "a reply without words has an unknown system call executed again") {
    const FaultHandler handler;
    uint64_t registers[19] = {};
    auto calling = [&] { probe_system_call(registers); };
    const Thread& thread = spawn(calling, {.fault_endpoint = handler.endpoint()});
    for (unsigned i = 0; i < 3; ++i) {
        CHECK_EQUAL(handler.receive().label, FaultLabel::UnknownSyscall);
        handler.reply();
    }
    CHECK_EQUAL(handler.receive().label, FaultLabel::UnknownSyscall);
    handler.reply(1);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 0);
}

TEST(debug_calls, "debug system calls exist in debug kernels only") {
    const FaultHandler handler;
    abi::CapType type = abi::CapType::Zombie;
    auto identifying = [&] { type = sys::debug_cap_identify(own_vspace.address()); };
    const Thread& thread = spawn(identifying, {.fault_endpoint = handler.endpoint()});
    if (platform().debug_build != 0) {
        CHECK(thread.done());
        CHECK_EQUAL(type, abi::CapType::VSpace);
    } else {
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, FaultLabel::UnknownSyscall);
        CHECK_EQUAL(report.words[Unknown::syscall], abi::Syscall::DebugCapIdentify);
    }
}

TEST(cleared_registers, "registers beyond a received message hold nothing") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    uint64_t words = 0;
    auto answering = [&] {
        sys::Message message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            message = {abi::MessageInfo::make(words, 0, 0, 0), 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    spawn(answering, {.vspace = other_vspace()});
    for (words = 0; words <= abi::ipc_register_words; ++words) {
        uint64_t registers[19];
        for (uint64_t& value : registers) value = 0xdead;
        registers[0] = endpoint.address();
        registers[1] = 0;
        registers[7] = static_cast<uint64_t>(abi::Syscall::Call);
        probe_system_call(registers);
        CHECK_EQUAL(registers[1], words);
        for (unsigned i = 0; i < abi::ipc_register_words; ++i)
            CHECK_EQUAL(registers[i < 4 ? 2 + i : 5 + i], i < words ? i + 1 : 0);
    }
}

TEST(order_recv, "Recv's checks come in the documented order") { check_receive(abi::Syscall::Recv, true); }
TEST(order_nb_recv, "NBRecv's checks come in the documented order") { check_receive(abi::Syscall::NBRecv, true); }
TEST(order_wait, "Wait's checks come in the documented order") { check_receive(abi::Syscall::Wait, false); }
TEST(order_nb_wait, "NBWait's checks come in the documented order") { check_receive(abi::Syscall::NBWait, false); }
TEST(order_reply_recv, "ReplyRecv's checks come in the documented order") { check_receive(abi::Syscall::ReplyRecv, true); }
TEST(order_nb_send_recv, "NBSendRecv's checks come in the documented order") { check_receive(abi::Syscall::NBSendRecv, true); }
TEST(order_nb_send_wait, "NBSendWait's checks come in the documented order") { check_receive(abi::Syscall::NBSendWait, false); }

TEST(order_sends, "Call, Send and NBSend check the address, then the right write, then the receiver's demand for a context") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Endpoint> weak = copy(endpoint, read_only);
    const Cap<Reply> reply = create<Reply>();
    const uint64_t empty = take_slots();
    auto receiving = [=] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message, abi::syscall_flag_require_donation);
    };
    const Thread& receiver = spawn(receiving);
    CHECK_OK(receiver.context.unbind());
    RawCall raw;
    const abi::Syscall calls[] = {abi::Syscall::Call, abi::Syscall::Send, abi::Syscall::NBSend};
    for (const abi::Syscall call : calls) {
        raw.start(call, empty);
        if (call == abi::Syscall::NBSend) {
            CHECK(raw.thread->done());
            CHECK_EQUAL(raw.registers[1], 0);
        } else {
            check_cap_fault(raw.handler, empty, false, LookupFailure::MissingCapability);
            raw.stop();
        }
        raw.start(call, weak.address());
        CHECK(raw.thread->done());
        CHECK_EQUAL(abi::MessageInfo{raw.registers[1]}.label(), abi::Error::InvalidCapability);
        CHECK_EQUAL(raw.registers[2], 0);
        if (call == abi::Syscall::Call) continue;   // its caller has a context to lend
        raw.start(call, endpoint.address());
        CHECK(raw.thread->done());
        CHECK_EQUAL(abi::MessageInfo{raw.registers[1]}.label(), abi::Error::NoDonation);
        CHECK(!receiver.done());
    }
}

TEST(reply_before_checks, "ReplyRecv answers before it checks what it receives from, and executes again as a Recv") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const uint64_t empty = take_slots();
    uint64_t answer = 0;
    auto calling = [&] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
        answer = message.words[0];
    };
    const Thread& caller = spawn(calling);
    const FaultHandler handler;
    uint64_t received = 0;
    auto serving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        message = {abi::MessageInfo::make(1, 0, 0, 0), 0, {41}};
        sys::reply_recv(empty, reply.address(), message);
        received = message.words[0];
    };
    const Thread& server = spawn(serving, {.fault_endpoint = handler.endpoint()});
    CHECK(caller.done());
    CHECK_EQUAL(answer, 41);
    check_cap_fault(handler, empty, true, LookupFailure::MissingCapability);
    // The same slot serves the receive that is executed again; the caller of this time gets no answer yet.
    CHECK_OK(copy_to(empty, endpoint));
    handler.reply();
    CHECK(!server.done());
    auto calling_again = [&] {
        sys::ShortMessage message{abi::MessageInfo::make(1, 0, 0, 0), 0, {17}};
        sys::call(endpoint.address(), message);
    };
    const Thread& second = spawn(calling_again);
    CHECK(server.done());
    CHECK_EQUAL(received, 17);
    CHECK(!second.done());
}

TEST(send_before_checks, "NBSendRecv and NBSendWait send before they check what they receive from, and never twice") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const uint64_t empty = take_slots();
    const abi::Syscall calls[] = {abi::Syscall::NBSendRecv, abi::Syscall::NBSendWait};
    unsigned received = 0;
    auto receiving = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(endpoint.address(), message);
            ++received;
        }
    };
    spawn(receiving);
    RawCall raw;
    for (unsigned i = 0; i < 2; ++i) {
        raw.start(calls[i], empty, reply.address(), endpoint.address());
        check_cap_fault(raw.handler, empty, true, LookupFailure::MissingCapability);
        CHECK_EQUAL(received, i + 1);
        raw.handler.reply();
        check_cap_fault(raw.handler, empty, true, LookupFailure::MissingCapability);
        CHECK_EQUAL(received, i + 1);
        raw.stop();
    }
}

TEST(flag_alone, "the flag that asks for a context changes nothing for a receiver that has one") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    sys::ShortMessage message;
    auto receiving = [&] { sys::recv(endpoint.address(), reply.address(), message, abi::syscall_flag_require_donation); };
    const Thread& receiver = spawn(receiving);
    CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 3), 0, {8}}), abi::Error::NoError);
    CHECK(receiver.done());
    CHECK(message.info.label() == 3 && message.words[0] == 8);
}

TEST(upper_flags, "flags in x7 that mean nothing are ignored") {
    uint64_t registers[19] = {};
    const Cap<Notification> notification = create<Notification>();
    registers[0] = notification.address();
    registers[7] = static_cast<uint64_t>(abi::Syscall::Send) | ~abi::syscall_number_mask;
    probe_system_call(registers);
    sys::ShortMessage message;
    sys::nb_wait(notification.address(), message);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
}

TEST(unknown_all_registers, "an unknown system call tells NZCV, and the reply sets sp, lr and NZCV too, and no other bit of spsr") {
    const FaultHandler handler;
    uint64_t stack_pointer = 0;
    uint64_t link = 0;
    uint64_t flags = 0;
    auto calling = [&] {
        asm volatile("mov x19, sp\n\tmov x7, #0x50000000\n\tmsr nzcv, x7\n\tmov x7, #0\n\tsvc #0\n\tmov %0, sp\n\tmov %1, x30\n\tmrs %2, nzcv\n\tmov sp, x19"
                     : "=&r"(stack_pointer), "=&r"(link), "=&r"(flags)
                     :
                     : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x19", "x30", "cc", "memory");
    };
    const Thread& thread = spawn(calling, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::UnknownSyscall);
    CHECK_EQUAL(report.words[Unknown::spsr] & 0xf000'0000, 0x5000'0000);
    uint64_t answer[Unknown::length];
    for (uint64_t i = 0; i < Unknown::length; ++i) answer[i] = report.words[i];
    answer[Unknown::fault_ip] += 4;
    answer[Unknown::sp] -= 64;
    answer[Unknown::lr] = 0x1234'5678;
    answer[Unknown::spsr] = 0x6000'03cf;
    handler.reply(0, answer, Unknown::length);
    CHECK(thread.done());
    CHECK_EQUAL(stack_pointer, report.words[Unknown::sp] - 64);
    CHECK_EQUAL(link, 0x1234'5678);
    CHECK_EQUAL(flags, 0x6000'0000);
}

TEST(debug_put_char, "DebugPutChar prints in debug kernels, and no debug call exists in others") {
    RawCall raw;
    if (is_debug_kernel()) {
        // A line of TAP that says nothing; the driver, which has the same console, waits meanwhile.
        for (const char* at = "# printed by the kernel\n"; *at != 0; ++at) sys::debug_put_char(*at);
        raw.start(abi::Syscall::DebugPutChar, '\r');
        CHECK(raw.thread->done());
        return;
    }
    const abi::Syscall calls[] = {abi::Syscall::DebugPutChar, abi::Syscall::DebugHalt, abi::Syscall::DebugCapIdentify};
    for (const abi::Syscall call : calls) {
        raw.start(call, 'x');
        const FaultReport report = raw.handler.receive();
        CHECK_EQUAL(report.label, FaultLabel::UnknownSyscall);
        CHECK_EQUAL(report.words[Unknown::syscall], call);
        raw.stop();
    }
}

TEST(guard_always, "an address beyond the guard names nothing, though its low bits do: not for Call, and no reply object for ReplyRecv") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    constexpr uint64_t beyond = uint64_t{1} << 30;
    unsigned received = 0;
    auto receiving = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        ++received;
        // Answers through an address that is no reply object's: the caller gets nothing, and the receive faults.
        message.info = abi::MessageInfo{0};
        sys::reply_recv(endpoint.address(), reply.address() | beyond, message);
    };
    const FaultHandler handler;
    spawn(receiving, {.fault_endpoint = handler.endpoint()});
    RawCall raw;
    raw.start(abi::Syscall::Call, endpoint.address() | beyond);
    check_cap_fault(raw.handler, endpoint.address() | beyond, false, LookupFailure::GuardMismatch);
    CHECK_EQUAL(received, 0);
    raw.stop();
    auto calling = [=] {
        sys::ShortMessage message{abi::MessageInfo{0}, 0, {}};
        sys::call(endpoint.address(), message);
    };
    const Thread& caller = spawn(calling);
    CHECK_EQUAL(received, 1);
    CHECK(!caller.done());
    check_cap_fault(handler, reply.address() | beyond, true, LookupFailure::GuardMismatch);
}

TEST(invocation_then_receive, "NBSendRecv and NBSendWait invoke too, and then receive from where they should") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const abi::Syscall calls[] = {abi::Syscall::NBSendRecv, abi::Syscall::NBSendWait};
    for (const abi::Syscall call : calls) {
        const Cap<TCB> tcb = create<TCB>();
        RawCall raw;
        auto start = [&] {
            raw.registers[1] = abi::MessageInfo::make(1, 0, 0, number(abi::Method::TCBSetTLSBase)).raw;
            raw.registers[2] = 0x4321;
            probe_system_call(raw.registers);
        };
        raw.registers[0] = endpoint.address();
        raw.registers[6] = reply.address();
        raw.registers[7] = static_cast<uint64_t>(call);
        raw.registers[8] = tcb.address();
        const Thread& thread = spawn(start);
        CHECK(!thread.done());
        abi::UserContext context{};
        CHECK_OK(tcb.read_registers(0, sizeof context / 8, context));
        CHECK_EQUAL(context.tpidr_el0, 0x4321);
        CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 5), 0, {66}}), abi::Error::NoError);
        CHECK(thread.done());
        CHECK(raw.registers[2] == 66 && abi::MessageInfo{raw.registers[1]}.label() == 5);
        // The invocation of a method that gives a result of its own.
        const Cap<SchedContext> context_of = create<SchedContext>(8);
        auto start_consumed = [&] {
            raw.registers[1] = abi::MessageInfo::make(0, 0, 0, number(abi::Method::SchedContextConsumed)).raw;
            probe_system_call(raw.registers);
        };
        raw.registers[0] = endpoint.address();
        raw.registers[6] = reply.address();
        raw.registers[7] = static_cast<uint64_t>(call);
        raw.registers[8] = context_of.address();
        const Thread& second = spawn(start_consumed);
        CHECK(!second.done());
        CHECK_EQUAL(sys::send(endpoint.address(), sys::ShortMessage{abi::MessageInfo::make(1, 0, 0, 5), 0, {67}}), abi::Error::NoError);
        CHECK(second.done());
        CHECK_EQUAL(raw.registers[2], 67);
    }
}

}  // namespace caprock::conformance
