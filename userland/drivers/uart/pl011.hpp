// SPDX-License-Identifier: BSD-2-Clause
// Arm PrimeCell UART (PL011). Line settings are the boot firmware's; the FIFOs are switched on.
#pragma once

#include <caprock/bytes.hpp>
#include <caprock/mmio.hpp>

namespace uart {

class Pl011 {
    using Mmio = caprock::Mmio;
    using UARTDR = caprock::Register<0x00>;
    using UARTFR = caprock::Register<0x18>;
    using UARTLCR_H = caprock::Register<0x2c>;
    using UARTCR = caprock::Register<0x30>;
    using UARTIFLS = caprock::Register<0x34>;
    using UARTIMSC = caprock::Register<0x38>;
    using UARTRIS = caprock::Register<0x3c>;
    using UARTICR = caprock::Register<0x44>;

    struct DR { using DATA = caprock::Bitfield<UARTDR, 7, 0>; };
    struct FR {
        using BUSY = caprock::Bitfield<UARTFR, 3>;
        using RXFE = caprock::Bitfield<UARTFR, 4>;
        using TXFF = caprock::Bitfield<UARTFR, 5>;
    };
    struct LCR_H { using FEN = caprock::Bitfield<UARTLCR_H, 4>; };
    struct CR {
        using UARTEN = caprock::Bitfield<UARTCR, 0>;
        using TXE = caprock::Bitfield<UARTCR, 8>;
        using RXE = caprock::Bitfield<UARTCR, 9>;
    };
    struct IFLS {
        using TXIFLSEL = caprock::Bitfield<UARTIFLS, 2, 0>;
        using RXIFLSEL = caprock::Bitfield<UARTIFLS, 5, 3>;
    };
    struct IMSC {
        using RXIM = caprock::Bitfield<UARTIMSC, 4>;
        using TXIM = caprock::Bitfield<UARTIMSC, 5>;
        using RTIM = caprock::Bitfield<UARTIMSC, 6>;
    };
    struct RIS { using TXRIS = caprock::Bitfield<UARTRIS, 5>; };
    struct ICR { using ALL = caprock::Bitfield<UARTICR, 10, 0>; };

public:
    /// True for the first compatible string of a node that this class drives.
    static bool drives(caprock::Text compatible) { return compatible == "arm,pl011" || compatible == "brcm,bcm2835-pl011"; }

    /// `address`: the first register.
    explicit Pl011(uint64_t address) : registers_ {address}
    {
        registers_.write(IMSC::RXIM::of(0));
        registers_.write(ICR::ALL::all());
        // Interrupt when the FIFO is down to an eighth; and when an eighth has come or, by RTIM, when the line is idle.
        registers_.write(IFLS::TXIFLSEL::of(0) | IFLS::RXIFLSEL::of(0));
        // Line settings may change only while the device is off; what the boot chain has sent leaves first.
        while (FR::BUSY::test(registers_.read<UARTFR>()))
            ;
        registers_.write(CR::UARTEN::of(0));
        registers_.write(LCR_H::FEN::with(registers_.read<UARTLCR_H>(), 1));
        registers_.write(CR::UARTEN::all() | CR::TXE::all() | CR::RXE::all());
        set_transmit_interrupt(false);
    }

    bool can_receive() const { return !FR::RXFE::test(registers_.read<UARTFR>()); }
    uint8_t receive() const { return static_cast<uint8_t>(DR::DATA::get(registers_.read<UARTDR>())); }

    /// True when `send` may be called after `sent` bytes since the last interrupt. The transmit interrupt comes when the FIFO
    /// *passes* its level downwards, so filling may only stop where that still lies ahead: with a full FIFO, or with the
    /// interrupt pending after a FIFO's worth of bytes (models of the device transmit at once and are never full).
    bool can_send(unsigned sent) const
    {
        if (FR::TXFF::test(registers_.read<UARTFR>()))
            return false;
        return sent < fifo_bytes || !RIS::TXRIS::test(registers_.read<UARTRIS>());
    }
    void send(uint8_t byte) const { registers_.write(DR::DATA::of(byte)); }

    /// Whether an interrupt comes when the FIFO has drained. Received bytes always interrupt.
    void set_transmit_interrupt(bool on) const { registers_.write(IMSC::RXIM::all() | IMSC::RTIM::all() | IMSC::TXIM::of(on ? 1 : 0)); }
    /// Takes back what the device asserts; before the bytes are looked at, so that later ones interrupt again.
    void acknowledge() const { registers_.write(ICR::ALL::all()); }

private:
    /// Smallest FIFO of all revisions.
    static constexpr unsigned fifo_bytes = 16;

    Mmio registers_;
};

} // namespace uart
