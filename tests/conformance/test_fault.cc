// SPDX-License-Identifier: BSD-2-Clause
// Faults: what their messages say and what replies do.
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

using abi::FaultLabel;
namespace VMFault = abi::VMFault;
namespace UserException = abi::UserException;

constexpr uint64_t page = small_window;
// ESR_EL1: exception classes, and in ISS the write bit and the kind of fault.
constexpr uint64_t class_unknown = 0x00, class_wfx = 0x01, class_svc = 0x15, class_system = 0x18, class_pc_alignment = 0x22,
                   class_data_abort = 0x24, class_fetch_abort = 0x20;
constexpr uint64_t iss_write = 1u << 6;
constexpr uint64_t fault_kind = 0x3c, kind_translation = 0x04, kind_permission = 0x0c;

uint64_t class_of(uint64_t esr) { return esr >> 26; }

uint64_t load(uint64_t address) { return *reinterpret_cast<volatile uint64_t*>(address); }
void store(uint64_t address, uint64_t value) { *reinterpret_cast<volatile uint64_t*>(address) = value; }

FaultReport check_vm_fault(const FaultHandler& handler, uint64_t address, bool fetch, uint64_t esr_class, uint64_t kind) {
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.length, VMFault::length);
    CHECK_EQUAL(report.words[VMFault::addr], address);
    CHECK_EQUAL(report.words[VMFault::prefetch_fault], fetch);
    CHECK_EQUAL(class_of(report.words[VMFault::fsr]), esr_class);
    CHECK_EQUAL(report.words[VMFault::fsr] & fault_kind, kind);
    return report;
}

// Runs `body` in a thread, which must end in a UserException of this class; the reply skips the instruction, and the body must end.
template <class Body>
void expect_exception(Body body, uint64_t expected_class) {
    const FaultHandler handler;
    const Thread& thread = spawn(body, {.fault_endpoint = handler.endpoint()});
    CHECK(!thread.done());
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::UserException);
    CHECK_EQUAL(report.length, UserException::length);
    CHECK_EQUAL(report.words[UserException::number], expected_class);
    CHECK_EQUAL(class_of(report.words[UserException::code]), expected_class);
    // The processor says of svc that it was executed: the address is the next instruction's.
    const uint64_t next = report.words[UserException::fault_ip] + (expected_class == class_svc ? 0 : 4);
    handler.reply(0, &next, 1);
    CHECK(thread.done());
}

}  // namespace

TEST(read_fault, "a read of unmapped memory, which goes on when the handler has mapped it") {
    const FaultHandler handler;
    uint64_t value = 1;
    auto reading = [&] { value = load(page + 8); };
    const Thread& thread = spawn(reading, {.fault_endpoint = mint(handler.endpoint(), 31)});
    const FaultReport report = check_vm_fault(handler, page + 8, false, class_data_abort, kind_translation);
    CHECK_EQUAL(report.words[VMFault::fsr] & iss_write, 0);
    CHECK_EQUAL(report.badge, 31);
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(page, read_write, cached, own_vspace));
    store(page + 8, 1234);
    handler.reply();
    CHECK(thread.done());
    CHECK_EQUAL(value, 1234);
}

TEST(write_fault, "a write to read-only memory, which goes on when the handler has permitted it") {
    const FaultHandler handler;
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(page, read_only, cached, own_vspace));
    auto writing = [] { store(page, 5); };
    const Thread& thread = spawn(writing, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = check_vm_fault(handler, page, false, class_data_abort, kind_permission);
    CHECK_EQUAL(report.words[VMFault::fsr] & iss_write, iss_write);
    CHECK_OK(frame.map(page, read_write, cached, own_vspace));
    handler.reply();
    CHECK(thread.done());
    CHECK_EQUAL(load(page), 5);
}

TEST(execute_fault, "a fetch from memory that is not executable, and then is") {
    const FaultHandler handler;
    const Cap<Frame> frame = create<Frame>();
    CHECK_OK(frame.map(page, read_write, cached, own_vspace));
    *reinterpret_cast<volatile uint32_t*>(page) = 0xd65f03c0;   // ret
    CHECK_OK(frame.unify_instruction(0, 64));
    auto fetching = [] { reinterpret_cast<void (*)()>(page)(); };
    const Thread& thread = spawn(fetching, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = check_vm_fault(handler, page, true, class_fetch_abort, kind_permission);
    CHECK_EQUAL(report.words[VMFault::ip], page);
    CHECK_OK(frame.map(page, read_only, cached_executable, own_vspace));
    handler.reply();
    CHECK(thread.done());
}

TEST(fetch_fault, "a jump to where nothing is mapped") {
    const FaultHandler handler;
    auto jumping = [] { reinterpret_cast<void (*)()>(empty_terabyte)(); };
    spawn(jumping, {.fault_endpoint = handler.endpoint()});
    check_vm_fault(handler, empty_terabyte, true, class_fetch_abort, kind_translation);
}

TEST(kernel_memory, "kernel addresses are out of reach, as data and as code") {
    constexpr uint64_t kernel_address = 0xffff'ffff'8000'0000;
    const FaultHandler handler;
    auto reading = [] { (void)load(kernel_address); };
    spawn(reading, {.fault_endpoint = handler.endpoint()});
    FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.words[VMFault::addr], kernel_address);
    auto writing = [] { store(kernel_address, 0); };
    spawn(writing, {.fault_endpoint = handler.endpoint()});
    CHECK_EQUAL(handler.receive().label, FaultLabel::VMFault);
    auto jumping = [] { reinterpret_cast<void (*)()>(kernel_address)(); };
    spawn(jumping, {.fault_endpoint = handler.endpoint()});
    report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.words[VMFault::prefetch_fault], 1);
}

TEST(undefined, "an undefined instruction") {
    expect_exception([] { asm volatile("udf #0"); }, class_unknown);
}
TEST(other_svc, "an svc with an immediate") {
    expect_exception([] { asm volatile("svc #1" : : : "memory"); }, class_svc);
}
TEST(hypervisor_call, "hvc and smc are undefined") {
    expect_exception([] { asm volatile("hvc #0"); }, class_unknown);
    expect_exception([] { asm volatile("smc #0"); }, class_unknown);
}
TEST(debug_channel, "the debug communication channel is closed") {
    expect_exception([] { asm volatile("mrs x9, mdccsr_el0" : : : "x9"); }, class_system);
}
TEST(exclusive, "an exclusive load that is not aligned") {
    expect_exception(
        [] {
            alignas(8) uint8_t bytes[16] = {};
            uint64_t value;
            asm volatile("ldxr %0, [%1]" : "=r"(value) : "r"(bytes + 1) : "memory");
        },
        class_data_abort);
}
TEST(pc_alignment, "a misaligned program counter") {
    const FaultHandler handler;
    auto jumping = [] { asm volatile("adr x9, 1f\n\tadd x9, x9, #2\n\tbr x9\n1:" : : : "x9"); };
    const Thread& thread = spawn(jumping, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::UserException);
    CHECK_EQUAL(report.words[UserException::number], class_pc_alignment);
    const uint64_t next = report.words[UserException::fault_ip] - 2;
    handler.reply(0, &next, 1);
    CHECK(thread.done());
}

TEST(exception_reply, "a UserException tells pc, sp and NZCV, and a reply sets them") {
    const FaultHandler handler;
    uint64_t flags = 0x6000'0000;
    uint64_t stack_pointer = 0;
    auto faulting = [&] {
        asm volatile("msr nzcv, %0\n\tmov x19, sp\n\tudf #0\n\tmrs %0, nzcv\n\tmov %1, sp\n\tmov sp, x19"
                     : "+r"(flags), "=&r"(stack_pointer) : : "x19", "cc", "memory");
    };
    const Thread& thread = spawn(faulting, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, 3, context));
    CHECK_EQUAL(report.words[UserException::fault_ip], context.pc);
    CHECK_EQUAL(report.words[UserException::sp], context.sp);
    CHECK_EQUAL(report.words[UserException::spsr], context.spsr);
    CHECK_EQUAL(context.spsr & 0xf000'0000, 0x6000'0000);
    const uint64_t words[] = {report.words[UserException::fault_ip] + 4, report.words[UserException::sp] - 64, 0xa000'03c5};
    handler.reply(0, words, 3);
    CHECK(thread.done());
    CHECK_EQUAL(flags, 0xa000'0000);
    CHECK_EQUAL(stack_pointer, report.words[UserException::sp] - 64);
}

TEST(reply_label, "a reply with a label leaves the thread inactive until it is resumed") {
    const FaultHandler handler;
    bool passed = false;
    auto faulting = [&] {
        asm volatile("udf #0");
        passed = true;
    };
    const Thread& thread = spawn(faulting, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    const uint64_t next = report.words[UserException::fault_ip] + 4;
    handler.reply(1, &next, 1);
    CHECK(!passed);
    thread.resume();
    CHECK(passed);
}

TEST(no_handler, "a fault without a handler stops the thread") {
    auto faulting = [] { (void)load(empty_terabyte); };
    const Thread& thread = prepare(faulting);
    CHECK_OK(thread.tcb.set_sched_params(255, higher_priority, own_tcb, thread.context, CapRef{}));
    thread.resume();
    CHECK(!thread.done());
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, 2, context));
    CHECK(context.pc != 0);
}

TEST(faulter_suspended, "a thread that waits for its handler and is suspended is not restarted by a late reply") {
    const FaultHandler handler;
    auto faulting = [] { (void)load(empty_terabyte); };
    const Thread& thread = spawn(faulting, {.fault_endpoint = handler.endpoint()});
    handler.receive();
    CHECK_OK(thread.tcb.suspend());
    handler.reply();
    CHECK(!thread.done());
    thread.resume();
    check_vm_fault(handler, empty_terabyte, false, class_data_abort, kind_translation);
}

TEST(faulter_queued, "a fault waits for a handler that comes later, and for one that was deleted never") {
    const Cap<Untyped> memory = create<Untyped>(12);
    const Cap<Endpoint> endpoint = create_in<Endpoint>(memory);
    auto faulting = [] { (void)load(empty_terabyte); };
    const Thread& thread = spawn(faulting, {.fault_endpoint = endpoint});
    const Cap<Reply> reply = create<Reply>();
    sys::Message message;
    sys::recv(endpoint.address(), reply.address(), message);
    CHECK_EQUAL(message.info.label(), FaultLabel::VMFault);
    auto faulting_too = [] { (void)load(page); };
    const Thread& queued = spawn(faulting_too, {.fault_endpoint = endpoint});
    // It would go on now, if it were restarted.
    CHECK_OK(create<Frame>().map(page, read_write, cached, own_vspace));
    revoke(memory);
    delete_cap(endpoint);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(queued.tcb)).state, 0);
    delete_cap(reply);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 0);
    CHECK(!thread.done() && !queued.done());
}

TEST(passive_handler, "a passive fault handler runs on the faulter's context") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    uint64_t faults = 0;
    auto handling = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) {
            ++faults;
            const uint64_t next = message.words[UserException::fault_ip] + 4;
            message = {abi::MessageInfo::make(1, 0, 0, 0), 0, {next}};
            sys::reply_recv(endpoint.address(), reply.address(), message);
        }
    };
    const Thread& handler = spawn(handling, {.vspace = other_vspace()});
    CHECK_OK(handler.context.unbind());
    auto faulting = [] { asm volatile("udf #0\n\tudf #1\n\tudf #2"); };
    const Thread& thread = spawn(faulting, {.fault_endpoint = endpoint});
    CHECK(thread.done());
    CHECK_EQUAL(faults, 3);
}

TEST(timeout_fault, "a budget that ends is a Timeout fault with the context's badge and the time consumed") {
    const FaultHandler handler;
    auto spinning = [] {
        for (;;) asm volatile("");
    };
    const Thread& thread = prepare(spinning, {.priority = lower_priority});
    set_budget(thread.context, 500, 100'000, 0, 4711);
    CHECK_OK(thread.tcb.set_timeout_endpoint(handler.endpoint()));
    thread.resume();
    for (unsigned i = 0; i < 3; ++i) {
        const FaultReport report = handler.receive();
        CHECK_EQUAL(report.label, FaultLabel::Timeout);
        CHECK_EQUAL(report.length, abi::Timeout::length);
        CHECK_EQUAL(report.words[abi::Timeout::data], 4711);
        CHECK(report.words[abi::Timeout::consumed] >= 499 && report.words[abi::Timeout::consumed] < 600);
        // A new budget, at once.
        set_budget(thread.context, 500, 100'000 + i, 0, 4711);
        handler.reply();
    }
}

TEST(timeout_stop, "a reply with a label to a Timeout stops the thread") {
    const FaultHandler handler;
    volatile uint64_t count = 0;
    auto spinning = [&] {
        for (;;) count = count + 1;
    };
    const Thread& thread = prepare(spinning, {.priority = lower_priority, .budget = 500, .period = 1'000});
    CHECK_OK(thread.tcb.set_timeout_endpoint(handler.endpoint()));
    thread.resume();
    CHECK_EQUAL(handler.receive().label, FaultLabel::Timeout);
    const uint64_t seen = count;
    CHECK(seen > 0);
    handler.reply(1);
    auto waiting = [] { sys::yield(); };
    spawn(waiting, {.budget = 100, .period = 5'000}).join();
    CHECK_EQUAL(count, seen);
}

TEST(timeout_reply_registers, "the words of a reply to a Timeout become the thread's registers, its thread pointers excepted") {
    constexpr unsigned words = sizeof(abi::UserContext) / sizeof(uint64_t);
    const FaultHandler handler;
    uint64_t seen = 0;
    uint64_t flags = 0;
    uint64_t pointer = 0;
    auto waiting = [&] {
        asm volatile("mov x28, #0\n1:\tcbz x28, 1b\n\tmrs %1, nzcv\n\tmrs %2, tpidr_el0\n\tmov %0, x28"
                     : "=&r"(seen), "=&r"(flags), "=&r"(pointer) : : "x28");
    };
    const Thread& thread = prepare(waiting, {.priority = lower_priority, .budget = 500, .period = 100'000});
    CHECK_OK(thread.tcb.set_timeout_endpoint(handler.endpoint()));
    thread.resume();
    CHECK_EQUAL(handler.receive().label, FaultLabel::Timeout);
    abi::UserContext context{};
    CHECK_OK(thread.tcb.read_registers(0, words, context));
    const uint64_t before = context.tpidr_el0;
    context.spsr = 0xa000'03c5;
    context.x19_x28[9] = 4711;
    context.tpidr_el0 = 1;
    set_budget(thread.context, 500, 100'001);
    handler.reply(0, reinterpret_cast<const uint64_t*>(&context), words);
    thread.join();
    CHECK_EQUAL(seen, 4711);
    CHECK_EQUAL(flags, 0xa000'0000);
    CHECK_EQUAL(pointer, before);
}

TEST(timeout_in_server, "a caller's budget that ends in a passive server is the server's Timeout fault") {
    const FaultHandler handler;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    auto serving = [=] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        for (;;) asm volatile("");
    };
    const Thread& server = spawn(serving);
    CHECK_OK(server.context.unbind());
    CHECK_OK(server.tcb.set_priority(lower_priority, own_tcb));
    CHECK_OK(server.tcb.set_timeout_endpoint(handler.endpoint()));
    sys::ShortMessage result{};
    auto calling = [&] { sys::call(endpoint.address(), result); };
    const Thread& caller = prepare(calling, {.priority = lower_priority});
    set_budget(caller.context, 300, 100'000, 0, 99);
    caller.resume();
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::Timeout);
    CHECK_EQUAL(report.words[abi::Timeout::data], 99);
    // The handler ends the call: the caller goes on.
    set_budget(caller.context, 300, 300);
    delete_cap(reply);
    caller.join();
    CHECK_EQUAL(result.info.label(), abi::Error::CallCancelled);
}

TEST(wfi, "wfi traps") {
    expect_exception([] { asm volatile("wfi"); }, class_wfx);
}
TEST(interrupt_mask, "the interrupt mask traps") {
    expect_exception([] { asm volatile("msr daifset, #2"); }, class_system);
}

TEST(handler_faults, "a handler that faults itself has its own handler, and both are restarted") {
    const FaultHandler outer;
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    auto handling = [=] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message);
        (void)load(page + 512);
        message.info = abi::MessageInfo{0};
        sys::reply_recv(endpoint.address(), reply.address(), message);
    };
    spawn(handling, {.fault_endpoint = outer.endpoint()});
    uint64_t value = 1;
    auto faulting = [&] { value = load(page + 8); };
    const Thread& thread = spawn(faulting, {.fault_endpoint = endpoint});
    check_vm_fault(outer, page + 512, false, class_data_abort, kind_translation);
    CHECK(!thread.done());
    CHECK_OK(create<Frame>().map(page, read_write, cached, own_vspace));
    store(page + 8, 88);
    outer.reply();
    CHECK(thread.done());
    CHECK_EQUAL(value, 88);
}

TEST(timeout_not_lent, "a Timeout lends nothing: a passive handler that asks for a context gets none, and the thread becomes inactive") {
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    unsigned handled = 0;
    auto handling = [&] {
        sys::ShortMessage message;
        sys::recv(endpoint.address(), reply.address(), message, abi::syscall_flag_require_donation);
        ++handled;
    };
    const Thread& handler = spawn(handling);
    CHECK_OK(handler.context.unbind());
    volatile uint64_t count = 0;
    auto spinning = [&] {
        for (;;) count = count + 1;
    };
    const Thread& thread = prepare(spinning, {.priority = lower_priority, .budget = 200, .period = 1'000});
    CHECK_OK(thread.tcb.set_timeout_endpoint(endpoint));
    thread.resume();
    sleep(5'000);
    CHECK(count > 0);
    CHECK_EQUAL(handled, 0);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 0);
    const uint64_t seen = count;
    thread.resume();
    sleep(100);
    CHECK(count > seen);
}

TEST(timeout_handler_changed, "a thread whose timeout endpoint is taken away waits for its refill instead") {
    const FaultHandler handler;
    volatile uint64_t count = 0;
    auto spinning = [&] {
        for (;;) count = count + 1;
    };
    const Thread& thread = prepare(spinning, {.priority = lower_priority, .budget = 200, .period = 1'000});
    CHECK_OK(thread.tcb.set_timeout_endpoint(handler.endpoint()));
    thread.resume();
    CHECK_EQUAL(handler.receive().label, FaultLabel::Timeout);
    CHECK_OK(thread.tcb.set_timeout_endpoint(CapRef{}));
    handler.reply();
    const uint64_t seen = count;
    sleep(3'000);
    CHECK(count > seen);
    CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 1);
}

TEST(fault_badge, "a fault's badge is that of the thread's endpoint capability, whichever call set it") {
    const FaultHandler handler;
    auto faulting = [] { (void)load(empty_terabyte); };
    const Thread& first = prepare(faulting);
    CHECK_OK(first.tcb.set_space(abi::CNodeCapData{0}, 0, mint(handler.endpoint(), 51), own_cnode, own_vspace));
    first.resume();
    CHECK_EQUAL(handler.receive().badge, 51);
    const Thread& second = prepare(faulting);
    CHECK_OK(second.tcb.set_sched_params(0, higher_priority, own_tcb, second.context, mint(handler.endpoint(), 52)));
    second.resume();
    CHECK_EQUAL(handler.receive().badge, 52);
}

TEST(fault_queue, "faults wait for their handler by priority") {
    const FaultHandler handler;
    struct {
        uint64_t address;
        void operator()() const { (void)load(address); }
    } faulting[3];
    for (unsigned i = 0; i < 3; ++i) {
        faulting[i].address = empty_terabyte + i * 4096;
        spawn(faulting[i], {.priority = static_cast<uint8_t>(i == 1 ? 130 : 120), .fault_endpoint = handler.endpoint()});
    }
    const uint64_t order[] = {1, 0, 2};
    for (const uint64_t i : order) CHECK_EQUAL(handler.receive().words[VMFault::addr], empty_terabyte + i * 4096);
}

TEST(resume_faulted, "a thread whose fault waits for a handler and that is resumed executes the instruction again") {
    const FaultHandler handler;
    uint64_t value = 1;
    auto faulting = [&] { value = load(page + 16); };
    const Thread& thread = spawn(faulting, {.fault_endpoint = handler.endpoint()});
    CHECK_OK(create<Frame>().map(page, read_write, cached, own_vspace));
    store(page + 16, 23);
    thread.resume();
    CHECK(thread.done());
    CHECK_EQUAL(value, 23);
    // Its message is gone.
    sys::ShortMessage message;
    sys::nb_wait(handler.endpoint().address(), message);
    CHECK_EQUAL(message.info.raw, 0);
}

TEST(write_only_page, "memory that may not be read may not be written, and the kernel's answer is a permission fault or none mapped") {
    const FaultHandler handler;
    CHECK_OK(create<Frame>().map(page, write_only, cached, own_vspace));
    auto writing = [] { store(page, 1); };
    const Thread& thread = spawn(writing, {.fault_endpoint = handler.endpoint()});
    const FaultReport report = handler.receive();
    CHECK_EQUAL(report.label, FaultLabel::VMFault);
    CHECK_EQUAL(report.words[VMFault::addr], page);
    CHECK(!thread.done());
}

TEST(faulted_once, "a thread whose fault is over is like any other: what it waits for later is restarted, however the fault ended") {
    enum : unsigned { NoHandler, Refused, HandlerDeleted, ReplyDeleted, SuspendedInQueue, cases };
    for (unsigned which = 0; which < cases; ++which) {
        const Cap<Endpoint> endpoint = create<Endpoint>();
        const FaultHandler late;
        const Cap<Untyped> untyped = create<Untyped>(12);
        const Cap<Endpoint> faults = create_in<Endpoint>(untyped);
        const Cap<Untyped> reply_memory = create<Untyped>(12);
        const Cap<Reply> reply = create_in<Reply>(reply_memory);
        auto faulting = [=] {
            (void)load(page);
            sys::ShortMessage message;
            sys::wait(endpoint.address(), message);
        };
        const Thread& thread = prepare(faulting, {.fault_endpoint = faults});
        if (which == NoHandler) CHECK_OK(thread.tcb.set_space(abi::CNodeCapData{0}, 0, CapRef{}, own_cnode, own_vspace));
        thread.resume();
        sys::ShortMessage message;
        switch (which) {
        case Refused:
            sys::recv(faults.address(), reply.address(), message);
            CHECK_EQUAL(sys::send(reply.address(), sys::ShortMessage{abi::MessageInfo::make(0, 0, 0, 1), 0, {}}), abi::Error::NoError);
            break;
        case HandlerDeleted: revoke(untyped); delete_cap(faults); break;
        case ReplyDeleted:
            sys::recv(faults.address(), reply.address(), message);
            revoke(reply_memory);
            break;
        case SuspendedInQueue: CHECK_OK(thread.tcb.suspend()); break;
        default: break;
        }
        CHECK_OK(thread.tcb.suspend());
        // The load goes well, and the thread waits on an endpoint that is deleted under it: it meets an empty slot.
        const Cap<Frame> frame = create<Frame>();
        CHECK_OK(frame.map(page, read_write, cached, own_vspace));
        CHECK_OK(thread.tcb.set_space(abi::CNodeCapData{0}, 0, late.endpoint(), own_cnode, own_vspace));
        thread.resume();
        CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 2);
        delete_cap(endpoint);
        const FaultReport report = late.receive();
        CHECK_EQUAL(report.label, FaultLabel::CapFault);
        CHECK_EQUAL(report.words[abi::CapFault::addr], endpoint.address());
        delete_cap(frame);
        delete_cap(thread.tcb);
    }
}

}  // namespace caprock::conformance
