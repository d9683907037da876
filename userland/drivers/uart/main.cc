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
        if (caprock::self().incarnation() != 0)
            resume();
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

    /// Goes on where an earlier life of this component was: the line that it may not have sent to its end comes again, on a line of its own. Whoever
    /// waits for news gets some.
    void resume()
    {
        hardware_.send('\n');
        transmit();
        event_();
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

    /// Fills the device's FIFO from the channel, and asks for an interrupt if more is left. Lines leave the channel as a whole, so that none is lost
    /// when this component is restarted.
    void transmit()
    {
        unsigned sent = 0;
        uint8_t byte = 0;
        while (hardware_.can_send(sent) && channel_.input.take({&byte, 1}) == 1) {
            hardware_.send(byte);
            ++sent;
            if (byte == '\n' || ++held_ == most_held) {
                channel_.input.commit();
                held_ = 0;
            }
        }
        const bool more = channel_.input.available() > 0;
        if (!more)
            channel_.input.commit();
        hardware_.set_transmit_interrupt(more);
        if (sent > 0 && !more)
            event_();
    }

    Hardware hardware_;
    /// Most bytes of an unfinished line that stay in the channel.
    static constexpr unsigned most_held = 512;

    unsigned held_ = 0;
    caprock::Channel channel_ {caprock::self().region("own"), caprock::self().region("peer"), caprock::self().incarnation()};
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
