// SPDX-License-Identifier: BSD-2-Clause
// Serial line driver: moves bytes between a PL011 or mini-UART and a channel shared with the console server, by interrupts both ways.
//
// Description: device regs, irq line; region own (this side writes) and region peer; consumes kick (bytes to send are in the
// channel); emits event (bytes have come, or all have been sent).

#include <caprock/ring.hpp>
#include <caprock/server.hpp>

#include "mini_uart.hpp"
#include "pl011.hpp"

namespace uart {

template <class Hardware>
class Driver {
public:
    explicit Driver(uint64_t address) : hardware_ {address} {}

    [[noreturn]] void run()
    {
        auto on_kick = [this](uint64_t) { transmit(); };
        auto on_interrupt = [this](uint64_t) { serve_interrupt(); };
        caprock::Server server;
        server.on_signal(caprock::self().consumes("kick"), on_kick);
        server.on_signal(irq_.signal(), on_interrupt);
        irq_.ack();
        server.run();
    }

private:
    void serve_interrupt()
    {
        hardware_.acknowledge();
        receive();
        transmit();
        irq_.ack();
    }

    /// Takes what the device has received. What the channel has no room for is lost, as on any line without flow control.
    void receive()
    {
        bool received = false;
        while (hardware_.can_receive()) {
            const uint8_t byte = hardware_.receive();
            received |= channel_.output.write({&byte, 1}) == 1;
        }
        if (received)
            event_();
    }

    /// Fills the device's FIFO from the channel, and asks for an interrupt if more is left.
    void transmit()
    {
        unsigned sent = 0;
        uint8_t byte = 0;
        while (hardware_.can_send(sent) && channel_.input.read({&byte, 1}) == 1) {
            hardware_.send(byte);
            ++sent;
        }
        const bool more = channel_.input.available() > 0;
        hardware_.set_transmit_interrupt(more);
        if (sent > 0 && !more)
            event_();
    }

    Hardware hardware_;
    caprock::Channel channel_ {caprock::self().region("own"), caprock::self().region("peer")};
    caprock::Irq irq_ = caprock::self().irq("line");
    caprock::Signal event_ = caprock::self().emits("event");
};

} // namespace uart

int main()
{
    const caprock::Device device = caprock::self().device("regs");
    if (uart::Pl011::drives(device.compatible))
        uart::Driver<uart::Pl011> {device.address}.run();
    if (uart::MiniUart::drives(device.compatible))
        uart::Driver<uart::MiniUart> {device.address}.run();
    caprock::panic("no driver for `{}`", device.compatible);
}
