// SPDX-License-Identifier: BSD-2-Clause
// Interrupts: of a device (the PL011 of QEMU's virt, the mini-UART of the Raspberry Pi 4), of the core's own timer, software-generated, and
// SError.
#include "tests/conformance/component/order.hpp"
#include "tests/conformance/component/thread.hpp"

namespace caprock::conformance {

namespace {

constexpr uint64_t virt_uart = 0x900'0000;
constexpr uint64_t physical_timer_irq = 30;
constexpr uint64_t virtual_timer_irq = 27;   // the kernel's

// A UART's transmit interrupt: its line is up as long as it is enabled, since there is nothing to transmit.
class Source {
public:
    Source() : virt_(shared_page().uart_address == virt_uart) {
        CHECK_OK(copy(uart_frame).map(small_window, read_write, uncached, own_vspace));
        lower();
    }
    uint64_t irq() const { return virt_ ? 33 : 125; }
    void raise() const { enable() = virt_ ? pl011_transmit : mini_uart_transmit; }
    void lower() const { enable() = 0; }

private:
    // UARTIMSC (Arm DDI 0183). The interrupt is pending as soon as a character was sent.
    static constexpr uint64_t pl011_enable = 0x38;
    static constexpr uint32_t pl011_transmit = 1u << 5;
    // AUX_MU_IER_REG (BCM2711 ARM Peripherals, 2.2).
    static constexpr uint64_t mini_uart_enable = 0x44;
    static constexpr uint32_t mini_uart_transmit = 1u << 1;

    volatile uint32_t& enable() const {
        return *reinterpret_cast<volatile uint32_t*>(small_window + (virt_ ? pl011_enable : mini_uart_enable));
    }

    bool virt_;
};

Cap<IRQHandler> get_handler(uint64_t irq, abi::IRQTrigger trigger) {
    const uint64_t slot = take_slots();
    CHECK_OK(irq_control.get(irq, trigger, slot, address_bits, own_cnode));
    return Cap<IRQHandler>{slot};
}

// A few instructions are enough for an interrupt to come.
void wait_a_little() {
    for (unsigned i = 0; i < 1'000; ++i) asm volatile("");
}

// Whether the notification is signalled.
bool signalled(Cap<Notification> notification, uint64_t badge) {
    wait_a_little();
    sys::ShortMessage message;
    sys::nb_wait(notification.address(), message);
    if (message.info.raw == 0) return false;
    CHECK_EQUAL(message.badge, badge);
    return true;
}

// Authority to send a software-generated interrupt to the core on which the tests run.
CapRef issue_sgi(uint64_t irq) {
    const CapRef signal{take_slots()};
    CHECK_OK(irq_control.issue_sgisignal(irq, 0, signal.address(), address_bits, own_cnode));
    return signal;
}

}  // namespace

// -- The documented order of the checks

TEST(order_get, "Get's checks come in the documented order") {
    const uint64_t empty = take_slots();
    const CapRef wrong{create<Endpoint>().address()};
    const uint64_t far = uint64_t{1} << 20;
    Order order(abi::Method::IRQControlGet);
    const Result<void> low = irq_control.get(1, abi::IRQTrigger{2}, far, 0, wrong);
    NEXT(order, low).detail(0, 2);
    const uint64_t last = low.detail(1);
    CHECK(last >= 63 && last < 1020);
    AGAIN(order, irq_control.get(0, abi::IRQTrigger{2}, far, 0, wrong)).range(2, last);
    AGAIN(order, irq_control.get(last + 1, abi::IRQTrigger{2}, far, 0, wrong)).range(2, last);
    AGAIN(order, irq_control.get(abi::irq_serror + 1, abi::IRQTrigger{2}, far, 0, wrong)).range(2, last);
    NEXT(order, irq_control.get(virtual_timer_irq, abi::IRQTrigger{2}, far, 0, wrong)).range(0, 1);
    NEXT(order, irq_control.get(virtual_timer_irq, abi::IRQTrigger::Level, far, 0, wrong));
    NEXT(order, irq_control.get(100, abi::IRQTrigger::Level, far, 0, wrong)).range(1, 64);
    AGAIN(order, irq_control.get(100, abi::IRQTrigger::Level, far, 65, wrong)).range(1, 64);
    NEXT(order, irq_control.get(100, abi::IRQTrigger::Level, far, 64, wrong)).lookup(false, abi::LookupFailure::InvalidRoot);
    AGAIN(order, irq_control.get(100, abi::IRQTrigger::Level, far, 64, own_cnode)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, irq_control.get(100, abi::IRQTrigger::Level, wrong.address(), 64, own_cnode));
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Level, empty, 64, own_cnode));
    CHECK_ERROR(irq_control.get(100, abi::IRQTrigger::Level, take_slots(), 64, own_cnode), RevokeFirst);
    delete_cap(CapRef{empty});
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Edge, empty, 64, own_cnode));
}

TEST(order_issue_sgi_signal, "IssueSGISignal's checks come in the documented order") {
    const uint64_t cores = platform().core_count;
    const uint64_t empty = take_slots();
    const CapRef wrong{create<Endpoint>().address()};
    const uint64_t far = uint64_t{1} << 20;
    Order order(abi::Method::IRQControlIssueSGISignal);
    NEXT(order, irq_control.issue_sgisignal(1, cores, far, 0, wrong)).range(2, 15);
    AGAIN(order, irq_control.issue_sgisignal(16, cores, far, 0, wrong)).range(2, 15);
    NEXT(order, irq_control.issue_sgisignal(2, cores, far, 0, wrong)).range(0, cores - 1);
    NEXT(order, irq_control.issue_sgisignal(2, cores - 1, far, 0, wrong)).range(1, 64);
    NEXT(order, irq_control.issue_sgisignal(2, cores - 1, far, 64, wrong)).lookup(false, abi::LookupFailure::InvalidRoot);
    AGAIN(order, irq_control.issue_sgisignal(2, cores - 1, far, 64, own_cnode)).lookup(false, abi::LookupFailure::GuardMismatch);
    NEXT(order, irq_control.issue_sgisignal(2, cores - 1, wrong.address(), 64, own_cnode));
    CHECK_OK(irq_control.issue_sgisignal(2, cores - 1, empty, 64, own_cnode));
    // Unlike a handler there may be any number of them.
    CHECK_OK(irq_control.issue_sgisignal(2, cores - 1, take_slots(), 64, own_cnode));
}

TEST(order_set_notification, "SetNotification's check") {
    const Cap<IRQHandler> handler = get_handler(100, abi::IRQTrigger::Level);
    Order order(abi::Method::IRQHandlerSetNotification);
    NEXT(order, handler.set_notification(CapRef{create<Endpoint>().address()})).number(1);
    AGAIN(order, handler.set_notification(CapRef{})).number(1);
    AGAIN(order, handler.set_notification(copy(create<Notification>(), read_only))).number(1);
    CHECK_OK(handler.set_notification(copy(create<Notification>(), write_only)));
    CHECK_OK(handler.ack());
    CHECK_OK(handler.clear());
    CHECK_OK(handler.clear());
}

// -- A device's line

TEST(level, "a level interrupt comes again after each Ack, as long as its line is up") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(mint(notification, 6)));
    CHECK(!signalled(notification, 6));
    source.raise();
    CHECK(signalled(notification, 6));
    CHECK(!signalled(notification, 6));
    CHECK_OK(handler.ack());
    CHECK(signalled(notification, 6));
    source.lower();
    CHECK_OK(handler.ack());
    CHECK(!signalled(notification, 6));
    source.raise();
    CHECK(signalled(notification, 6));
    source.lower();
    CHECK_OK(handler.ack());
}

TEST(edge, "an edge interrupt comes once for each edge") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Edge);
    CHECK_OK(handler.set_notification(notification));
    source.raise();
    CHECK(signalled(notification, 0));
    CHECK_OK(handler.ack());
    CHECK(!signalled(notification, 0));
    source.lower();
    source.raise();
    CHECK(signalled(notification, 0));
    // The next edge is remembered until the Ack.
    source.lower();
    source.raise();
    CHECK(!signalled(notification, 0));
    CHECK_OK(handler.ack());
    CHECK(signalled(notification, 0));
    source.lower();
    CHECK_OK(handler.ack());
}

TEST(wakes, "an interrupt wakes a waiter of higher priority at once") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(notification));
    unsigned served = 0;
    auto driver = [&] {
        for (;;) {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
            source.lower();
            ++served;
            CHECK_OK(handler.ack());
        }
    };
    spawn(driver);
    for (unsigned i = 1; i < 20; ++i) {
        source.raise();
        wait_a_little();
        CHECK_EQUAL(served, i);
    }
}

TEST(cleared, "Clear takes the notification away, and SetNotification brings interrupts back") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<Notification> other = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(notification));
    CHECK_OK(handler.clear());
    source.raise();
    CHECK(!signalled(notification, 0));
    CHECK_OK(handler.set_notification(other));
    CHECK(signalled(other, 0));
    CHECK(!signalled(notification, 0));
    source.lower();
    CHECK_OK(handler.ack());
}

TEST(deleted_handler, "a handler that is deleted while its interrupt is active leaves it usable for the next") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    for (unsigned i = 0; i < 3; ++i) {
        const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
        CHECK_OK(handler.set_notification(notification));
        source.raise();
        CHECK(signalled(notification, 0));
        delete_cap(handler);
        CHECK(!signalled(notification, 0));
    }
    source.lower();
}

TEST(deleted_notification, "an interrupt whose notification was deleted does no harm") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(notification));
    revoke(notification);
    delete_cap(notification);
    source.raise();
    wait_a_little();
    const Cap<Notification> second = create<Notification>();
    CHECK_OK(handler.set_notification(second));
    CHECK(signalled(second, 0));
    source.lower();
    CHECK_OK(handler.ack());
}

TEST(many_acks, "Ack more than once, or when nothing was taken, changes nothing") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(notification));
    for (unsigned i = 0; i < 3; ++i) CHECK_OK(handler.ack());
    for (unsigned round = 0; round < 3; ++round) {
        source.raise();
        CHECK(signalled(notification, 0));
        CHECK(!signalled(notification, 0));
        source.lower();
        for (unsigned i = 0; i < 3; ++i) CHECK_OK(handler.ack());
        CHECK(!signalled(notification, 0));
    }
}

TEST(copied_handler, "copies of a handler are the same interrupt, which ends with the last of them") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    const Cap<IRQHandler> second = copy(handler);
    CHECK_OK(handler.set_notification(mint(notification, 3)));
    delete_cap(handler);
    source.raise();
    CHECK(signalled(notification, 3));
    source.lower();
    CHECK_OK(second.ack());
    CHECK_ERROR(irq_control.get(source.irq(), abi::IRQTrigger::Level, take_slots(), 64, own_cnode), RevokeFirst);
    delete_cap(second);
    source.raise();
    CHECK(!signalled(notification, 3));
    source.lower();
    get_handler(source.irq(), abi::IRQTrigger::Level);
}

TEST(revoked_control, "Revoke of IRQControl takes all handlers back, and the interrupts are masked") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    const CapRef sgi = issue_sgi(9);
    CHECK_OK(handler.set_notification(notification));
    revoke(irq_control);
    CHECK(is_empty(handler) && is_empty(sgi));
    source.raise();
    CHECK(!signalled(notification, 0));
    source.lower();
    get_handler(source.irq(), abi::IRQTrigger::Level);
}

TEST(replaced_notification, "another SetNotification takes the former notification's place, with its badge") {
    const Source source;
    const Cap<Notification> first = create<Notification>();
    const Cap<Notification> second = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(mint(first, 1)));
    CHECK_OK(handler.set_notification(mint(second, 2)));
    source.raise();
    CHECK(signalled(second, 2));
    CHECK(!signalled(first, 1));
    source.lower();
    CHECK_OK(handler.ack());
}

TEST(wakes_bound, "an interrupt ends a receive of the thread to which its notification is bound") {
    const Source source;
    const Cap<Notification> notification = create<Notification>();
    const Cap<Endpoint> endpoint = create<Endpoint>();
    const Cap<Reply> reply = create<Reply>();
    const Cap<IRQHandler> handler = get_handler(source.irq(), abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(mint(notification, 5)));
    sys::ShortMessage message;
    auto receiving = [&] { sys::recv(endpoint.address(), reply.address(), message); };
    const Thread& thread = prepare(receiving);
    CHECK_OK(thread.tcb.bind_notification(notification));
    thread.resume();
    source.raise();
    wait_a_little();
    CHECK(thread.done());
    CHECK_EQUAL(message.badge, 5);
    CHECK_EQUAL(message.info.raw, abi::notification_message_info);
    source.lower();
    CHECK_OK(handler.ack());
}

// -- The core's own interrupts

TEST(private_timer, "the physical timer's interrupt is the core's own, and comes when its time is there") {
    CHECK_OK(sched_control.set_thread_access(abi::ThreadFlags{0}, abi::ThreadFlags::make(0, 0, 1), own_tcb));
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(physical_timer_irq, abi::IRQTrigger::Level);
    CHECK_OK(handler.set_notification(mint(notification, 30)));
    for (unsigned round = 0; round < 3; ++round) {
        const uint64_t delay = ticks_of(300);
        const uint64_t start = now();
        asm volatile("msr cntp_tval_el0, %0\n\tmsr cntp_ctl_el0, %1\n\tisb" : : "r"(delay), "r"(uint64_t{1}));
        sys::ShortMessage message;
        sys::wait(notification.address(), message);
        CHECK_EQUAL(message.badge, 30);
        CHECK(now() - start >= delay && now() - start < delay + ticks_of(200));
        asm volatile("msr cntp_ctl_el0, xzr\n\tisb");
        CHECK_OK(handler.ack());
    }
    CHECK(!signalled(notification, 30));
}

TEST(sgi, "a software-generated interrupt is sent by Send, NBSend and Call, with an empty result") {
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(2, abi::IRQTrigger::Level);
    const CapRef signal = issue_sgi(2);
    CHECK_OK(handler.set_notification(mint(notification, 4)));
    CHECK_EQUAL(sys::send(signal.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK(signalled(notification, 4));
    CHECK_EQUAL(sys::nb_send(signal.address(), sys::ShortMessage{}), abi::Error::NoError);
    CHECK(signalled(notification, 4));
    sys::Message message{abi::MessageInfo::make(12, 0, 0, 3), 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    sys::call(signal.address(), message);
    CHECK(message.badge == 0 && message.info.raw == 0);
    CHECK(signalled(notification, 4));
    CHECK(!signalled(notification, 4));
}

TEST(sgi_each, "each software-generated interrupt has its own handler") {
    const Cap<Notification> notification = create<Notification>();
    CapRef signals[16];
    for (uint64_t irq = 2; irq < 16; ++irq) {
        CHECK_OK(get_handler(irq, abi::IRQTrigger::Edge).set_notification(mint(notification, uint64_t{1} << irq)));
        signals[irq] = issue_sgi(irq);
    }
    for (uint64_t irq = 2; irq < 16; ++irq) {
        sys::signal(signals[irq].address());
        CHECK(signalled(notification, uint64_t{1} << irq));
    }
    // No Ack was needed.
    sys::signal(signals[7].address());
    CHECK(signalled(notification, 1u << 7));
}

TEST(sgi_no_handler, "a software-generated interrupt without a handler, or whose handler has no notification, does no harm") {
    const CapRef signal = issue_sgi(5);
    sys::signal(signal.address());
    wait_a_little();
    const Cap<Notification> notification = create<Notification>();
    const Cap<IRQHandler> handler = get_handler(5, abi::IRQTrigger::Edge);
    sys::signal(signal.address());
    wait_a_little();
    CHECK_OK(handler.set_notification(notification));
    sys::signal(signal.address());
    CHECK(signalled(notification, 0));
    CHECK_OK(handler.clear());
    sys::signal(signal.address());
    CHECK(!signalled(notification, 0));
    const CapRef second = copy(Cap<Endpoint>{signal.address()});
    delete_cap(signal);
    CHECK_OK(handler.set_notification(notification));
    sys::signal(second.address());
    CHECK(signalled(notification, 0));
}

// -- SError

TEST(serror_handler, "SError has one handler, which is bound to a notification as an interrupt's is") {
    const Cap<IRQHandler> handler = get_handler(abi::irq_serror, abi::IRQTrigger::Level);
    CHECK_ERROR(irq_control.get(abi::irq_serror, abi::IRQTrigger::Level, take_slots(), 64, own_cnode), RevokeFirst);
    const Cap<Notification> notification = create<Notification>();
    CHECK_OK(handler.set_notification(mint(notification, 1)));
    CHECK_OK(handler.ack());
    CHECK(!signalled(notification, 1));
    const auto read = CHECK_OK(inspect.read_irq_handler(handler));
    CHECK_EQUAL(read.irq, abi::irq_serror);
    CHECK_EQUAL(read.badge, 1);
    CHECK_OK(handler.clear());
    delete_cap(handler);
    get_handler(abi::irq_serror, abi::IRQTrigger::Edge);
}

TEST(revoked_handler, "Revoke of a handler that IRQControl made deletes its copies, and it stays") {
    const Cap<IRQHandler> handler = get_handler(100, abi::IRQTrigger::Level);
    const Cap<IRQHandler> copied = copy(handler);
    const Cap<IRQHandler> other = get_handler(101, abi::IRQTrigger::Level);
    revoke(handler);
    CHECK(is_empty(copied));
    CHECK(!is_empty(handler) && !is_empty(other));
    CHECK_OK(handler.ack());
}

TEST(revoked_sgi, "capabilities to send one interrupt are siblings: Revoke of the one leaves the others") {
    const CapRef first = issue_sgi(9);
    const CapRef second = issue_sgi(9);
    const CapRef copied = copy(Cap<Endpoint>{second.address()});
    revoke(second);
    revoke(first);
    CHECK(!is_empty(first) && !is_empty(second) && !is_empty(copied));
}

TEST(last_notification, "a notification that an interrupt alone still names ends with that, and its waiters with it") {
    for (unsigned cleared = 0; cleared < 2; ++cleared) {
        const Cap<Untyped> untyped = create<Untyped>(12);
        const Cap<Notification> notification = create_in<Notification>(untyped);
        const Cap<IRQHandler> handler = get_handler(100, abi::IRQTrigger::Level);
        CHECK_OK(handler.set_notification(notification));
        auto waiting = [&] {
            sys::ShortMessage message;
            sys::wait(notification.address(), message);
        };
        const FaultHandler faults;
        const Thread& thread = spawn(waiting, {.fault_endpoint = faults.endpoint()});
        delete_cap(notification);
        CHECK_EQUAL(CHECK_OK(inspect.read_tcb(thread.tcb)).state, 5);
        CHECK_ERROR(copy_to(take_slots(), untyped), RevokeFirst);
        if (cleared != 0) CHECK_OK(handler.clear());
        delete_cap(handler);
        CHECK(CHECK_OK(inspect.read_tcb(thread.tcb)).state != 5);
        CHECK_EQUAL(faults.receive().label, abi::FaultLabel::CapFault);
        CHECK_OK(copy_to(take_slots(), untyped));
    }
}

}  // namespace caprock::conformance
