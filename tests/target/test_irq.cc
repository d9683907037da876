// SPDX-License-Identifier: BSD-2-Clause
// Interrupts of a device: the PL011 of QEMU's virt, the mini-UART of the Raspberry Pi 4.
#include "tests/target/thread.hpp"

namespace caprock::target {

namespace {

constexpr uint64_t virt_uart = 0x900'0000;

// A UART's transmit interrupt: its line is up as long as it is enabled, since there is nothing to transmit.
class Source {
public:
    Source() : virt_(environment.boot().platform->console_paddr == virt_uart) {
        const Cap<Frame> frame = copy(environment.device_frame(virt_ ? virt_uart : mini_uart));
        CHECK_OK(frame.map(small_window, read_write, uncached, root_vspace));
        lower();
    }
    uint64_t irq() const { return virt_ ? 33 : 125; }
    void raise() const { enable() = virt_ ? pl011_transmit : mini_uart_transmit; }
    void lower() const { enable() = 0; }

private:
    static constexpr uint64_t mini_uart = 0xfe21'5000;
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
    const uint64_t slot = environment.take_slots();
    CHECK_OK(irq_control.get(irq, trigger, slot, address_bits, root_cnode));
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

}  // namespace

TEST(get_order, "the errors of IRQControl::Get come in the documented order") {
    const uint64_t empty = environment.take_slots();
    const CapRef wrong{create<Endpoint>().address()};
    const Result<void> low = irq_control.get(15, abi::IRQTrigger{2}, empty, 0, wrong);
    CHECK_ERROR(low, RangeError);
    CHECK_EQUAL(low.detail(0), 16);
    const uint64_t last = low.detail(1);
    CHECK_RANGE(irq_control.get(last + 1, abi::IRQTrigger{2}, empty, 0, wrong), 16, last);
    CHECK_RANGE(irq_control.get(100, abi::IRQTrigger{2}, empty, 0, wrong), 0, 1);
    CHECK_ERROR(irq_control.get(27, abi::IRQTrigger::Level, empty, 0, wrong), RevokeFirst);
    CHECK_RANGE(irq_control.get(100, abi::IRQTrigger::Level, empty, 0, wrong), 1, 64);
    CHECK_LOOKUP(irq_control.get(100, abi::IRQTrigger::Level, empty, 64, wrong), false, InvalidRoot);
    CHECK_ERROR(irq_control.get(100, abi::IRQTrigger::Level, wrong.address(), 64, root_cnode), DeleteFirst);
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Level, empty, 64, root_cnode));
    CHECK_ERROR(irq_control.get(100, abi::IRQTrigger::Level, environment.take_slots(), 64, root_cnode), RevokeFirst);
    delete_cap(CapRef{empty});
    CHECK_OK(irq_control.get(100, abi::IRQTrigger::Edge, empty, 64, root_cnode));
}

TEST(handler_errors, "SetNotification takes a notification that can be signalled") {
    const Cap<IRQHandler> handler = get_handler(100, abi::IRQTrigger::Level);
    CHECK_CAPABILITY(handler.set_notification(CapRef{create<Endpoint>().address()}), 1);
    CHECK_CAPABILITY(handler.set_notification(CapRef{}), 1);
    CHECK_CAPABILITY(handler.set_notification(copy(create<Notification>(), read_only)), 1);
    CHECK_OK(handler.ack());
    CHECK_OK(handler.clear());
    CHECK_OK(handler.clear());
}

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

}  // namespace caprock::target
