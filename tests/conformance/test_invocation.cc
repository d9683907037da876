// SPDX-License-Identifier: BSD-2-Clause
// What every invocation checks before the method's own checks: the label, the number of words, the number of capabilities and their
// addresses; for every method of the API description, on a capability of its object.
#include "tests/conformance/component/thread.hpp"
#include "tests/conformance/documented.hpp"

namespace caprock::conformance {

namespace {

using abi::CapType;
using abi::Error;

constexpr uint64_t method_labels = sizeof documented_methods / sizeof documented_methods[0];

Result<void> invoke(CapRef cap, uint64_t label, uint64_t words, uint64_t caps) {
    for (uint64_t& address : caprock_ipc_buffer->caps_or_badges) address = 0;
    sys::Message message{abi::MessageInfo::make(words, caps, 0, label), 0, {}};
    sys::call(cap.address(), message);
    if (message.info.label() != 0) return detail::failure_of(message);
    CHECK_EQUAL(message.badge, 0);
    return {};
}

// Ends the test unless an invocation of the method has this error.
void expect(const DocumentedMethod& method, const Result<void>& result, Error expected, const char* what) {
    if (result.error() == expected) return;
    fail(Text() << method.name << " " << what << " is error " << static_cast<uint64_t>(result.error()) << ", not " << static_cast<uint64_t>(expected));
}

// Everything that an object's methods have in common. `cap` survives: none of these calls gets as far as to do anything.
void check_object(CapType object, CapRef cap) {
    unsigned methods = 0;
    for (uint64_t label = 0; label < method_labels + 3; ++label) {
        const bool known = label < method_labels;
        const DocumentedMethod& method = documented_methods[known ? label : 0];
        if (!known || method.object != object) {
            // A foreign label comes before everything else that may be wrong.
            expect(method, invoke(cap, label, 0, 0), Error::IllegalOperation, "of another object");
            expect(method, invoke(cap, label, 12, 3), Error::IllegalOperation, "of another object");
            continue;
        }
        ++methods;
        if (method.words > 0) expect(method, invoke(cap, label, method.words - 1u, method.caps), Error::TruncatedMessage, "with a word too few");
        if (method.caps > 0) expect(method, invoke(cap, label, method.words, method.caps - 1u), Error::TruncatedMessage, "with a capability too few");
        if (method.words + method.caps > 0) expect(method, invoke(cap, label, 0, 0), Error::TruncatedMessage, "with nothing");
    }
    CHECK(methods > 0);
}

}  // namespace

TEST(untyped, "labels and lengths, on an untyped") { check_object(CapType::Untyped, create<Untyped>(12)); }
TEST(cnode, "labels and lengths, on a CNode") { check_object(CapType::CNode, create<CNode>(4)); }
TEST(tcb, "labels and lengths, on a thread") {
    const Cap<TCB> tcb = create<TCB>();
    check_object(CapType::TCB, tcb);
}
TEST(sched_context, "labels and lengths, on a scheduling context") { check_object(CapType::SchedContext, create<SchedContext>(8)); }
TEST(sched_control, "labels and lengths, on SchedControl") { check_object(CapType::SchedControl, sched_control); }
TEST(vspace, "labels and lengths, on a VSpace") { check_object(CapType::VSpace, own_vspace); }
TEST(page_table, "labels and lengths, on a page table") { check_object(CapType::PageTable, create<PageTable>()); }
TEST(frame, "labels and lengths, on a frame") { check_object(CapType::Frame, create<Frame>()); }
TEST(asid_control, "labels and lengths, on ASIDControl") { check_object(CapType::ASIDControl, asid_control); }
TEST(asid_pool, "labels and lengths, on an ASID pool") { check_object(CapType::ASIDPool, own_asid_pool); }
TEST(irq_control, "labels and lengths, on IRQControl") { check_object(CapType::IRQControl, irq_control); }
TEST(irq_handler, "labels and lengths, on an interrupt handler") {
    const CapRef handler{take_slots()};
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Level, handler.address(), address_bits, own_cnode));
    check_object(CapType::IRQHandler, handler);
}
TEST(domain, "labels and lengths, on Domain") { check_object(CapType::Domain, domain_control); }
TEST(inspect, "labels and lengths, on Inspect") { check_object(CapType::Inspect, inspect); }

TEST(arguments_resolve, "every capability argument of every method must resolve: before label and length, and to an empty slot at least") {
    const FaultHandler handler;
    constexpr uint64_t nowhere = uint64_t{1} << 40;
    const Cap<TCB> tcb = create<TCB>();
    for (uint64_t position = 0; position < abi::ipc_extra_caps; ++position) {
        // The label is unknown and words are missing: neither is looked at.
        auto calling = [=] {
            for (uint64_t i = 0; i < abi::ipc_extra_caps; ++i) caprock_ipc_buffer->caps_or_badges[i] = i == position ? nowhere + i : 0;
            sys::ShortMessage message{abi::MessageInfo::make(0, 3, 0, 9'999), 0, {}};
            sys::call(tcb.address(), message);
        };
        spawn(calling, {.fault_endpoint = handler.endpoint()});
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, abi::FaultLabel::CapFault);
        CHECK_EQUAL(report.words[abi::CapFault::addr], nowhere + position);
        CHECK_EQUAL(report.words[abi::CapFault::in_recv_phase], 0);
        CHECK_EQUAL(report.words[abi::CapFault::lookup_failure_type], abi::LookupFailure::GuardMismatch);
    }
    CHECK_ERROR(invoke(tcb, 9'999, 0, 3), IllegalOperation);
}

TEST(wrong_kinds, "a capability argument of any wrong kind is refused by every method that takes a thread") {
    const CapRef wrong[] = {CapRef{},         create<Endpoint>(), create<Notification>(), create<Reply>(), own_cnode,    memory,        own_vspace,
                            create<Frame>(), asid_control,       irq_control,            domain_control,  sched_control, own_asid_pool, inspect};
    for (const CapRef cap : wrong) {
        CHECK_CAPABILITY(own_tcb.set_priority(1, cap), 1);
        CHECK_CAPABILITY(own_tcb.set_mc_priority(1, cap), 1);
        CHECK_CAPABILITY(own_tcb.set_sched_params(1, 1, cap, CapRef{}, CapRef{}), 1);
        CHECK_CAPABILITY(own_tcb.copy_registers(0, cap), 1);
        CHECK_CAPABILITY(domain_control.set(0, cap), 1);
        CHECK_CAPABILITY(inspect.read_tcb(cap), 1);
        CHECK_CAPABILITY(sched_control.set_thread_access(abi::ThreadFlags{0}, abi::ThreadFlags{0}, cap), 1);
    }
}

TEST(too_much, "words and capabilities beyond those of a method are ignored") {
    const Cap<TCB> tcb = create<TCB>();
    CHECK_OK(invoke(tcb, static_cast<uint64_t>(abi::Method::TCBSuspend), 120, 3));
    CHECK_OK(invoke(tcb, static_cast<uint64_t>(abi::Method::TCBSetTLSBase), 12, 2));
}

TEST(no_methods, "a message to an object without methods is no invocation") {
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(invoke(notification, static_cast<uint64_t>(abi::Method::TCBSuspend), 0, 0));
    CHECK_OK(invoke(create<Reply>(), static_cast<uint64_t>(abi::Method::TCBSuspend), 0, 0));
    sys::ShortMessage message;
    sys::nb_wait(notification.address(), message);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
}

TEST(invoked_first, "of the invoked capability and its arguments the invoked one is looked up first") {
    const FaultHandler handler;
    const uint64_t empty = take_slots();
    auto calling = [=] {
        for (uint64_t& address : caprock_ipc_buffer->caps_or_badges) address = uint64_t{1} << 40;
        sys::ShortMessage message{abi::MessageInfo::make(0, 3, 0, 9'999), 0, {}};
        sys::call(empty, message);
    };
    spawn(calling, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, abi::FaultLabel::CapFault);
    CHECK_EQUAL(report.words[abi::CapFault::addr], empty);
    CHECK_EQUAL(report.words[abi::CapFault::lookup_failure_type], abi::LookupFailure::MissingCapability);
}

TEST(no_buffer, "a thread without an IPC buffer names no capabilities: a method that takes some finds its message too short") {
    uint64_t errors[2] = {};
    const Cap<TCB> tcb = create<TCB>();
    auto invoking = [&] {
        sys::ShortMessage message{abi::MessageInfo::make(1, 1, 0, static_cast<uint64_t>(abi::Method::TCBSetPriority)), 0, {1}};
        sys::call(tcb.address(), message);
        errors[0] = message.info.label();
        message = {abi::MessageInfo::make(1, 0, 0, static_cast<uint64_t>(abi::Method::TCBSetTLSBase)), 0, {1}};
        sys::call(tcb.address(), message);
        errors[1] = message.info.label();
    };
    CHECK(spawn(invoking, {.buffer = false}).done());
    CHECK_EQUAL(errors[0], Error::TruncatedMessage);
    CHECK_EQUAL(errors[1], Error::NoError);
}

}  // namespace caprock::conformance
