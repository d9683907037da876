// SPDX-License-Identifier: BSD-2-Clause
// The mini-UART of BCM2835 and its successors. Line settings and the clock are the boot firmware's.
#pragma once

#include <caprock/bytes.hpp>
#include <caprock/mmio.hpp>

namespace uart {

class MiniUart {
    using Mmio = caprock::Mmio;
    using AUX_MU_IO = caprock::Register<0x00>;
    using AUX_MU_IER = caprock::Register<0x04>;
    using AUX_MU_IIR = caprock::Register<0x08>;
    using AUX_MU_LSR = caprock::Register<0x14>;
    using AUX_MU_CNTL = caprock::Register<0x20>;

    struct IO { using DATA = caprock::Bitfield<AUX_MU_IO, 7, 0>; };
    struct IER {
        // The data sheet exchanges the two; its errata and the device have receive at bit 0.
        using RECEIVE = caprock::Bitfield<AUX_MU_IER, 0>;
        using TRANSMIT = caprock::Bitfield<AUX_MU_IER, 1>;
        // Without these the device raises no interrupts (errata of the data sheet).
        using ENABLE = caprock::Bitfield<AUX_MU_IER, 3, 2>;
    };
    struct IIR { using CLEAR_FIFOS = caprock::Bitfield<AUX_MU_IIR, 2, 1>; };
    struct LSR {
        using DATA_READY = caprock::Bitfield<AUX_MU_LSR, 0>;
        using TRANSMITTER_EMPTY = caprock::Bitfield<AUX_MU_LSR, 5>;
    };
    struct CNTL {
        using RECEIVER = caprock::Bitfield<AUX_MU_CNTL, 0>;
        using TRANSMITTER = caprock::Bitfield<AUX_MU_CNTL, 1>;
    };

public:
    /// True for the first compatible string of a node that this class drives.
    static bool drives(caprock::Text compatible) { return compatible == "brcm,bcm2835-aux-uart"; }

    /// `address`: the first register.
    explicit MiniUart(uint64_t address) : registers_ {address}
    {
        registers_.write(IER::ENABLE::of(0));
        // Output of the boot chain may still be under way: only what was received is dropped.
        registers_.write(IIR::CLEAR_FIFOS::of(1));
        registers_.write(CNTL::RECEIVER::all() | CNTL::TRANSMITTER::all());
        set_transmit_interrupt(false);
    }

    bool can_receive() const { return LSR::DATA_READY::test(registers_.read<AUX_MU_LSR>()); }
    uint8_t receive() const { return static_cast<uint8_t>(IO::DATA::get(registers_.read<AUX_MU_IO>())); }

    /// True when `send` may be called after `sent` bytes since the last interrupt. The interrupt is asserted as long as the FIFO
    /// is empty, so filling may stop anywhere; models transmit at once and are never full.
    bool can_send(unsigned sent) const { return sent < fifo_bytes && LSR::TRANSMITTER_EMPTY::test(registers_.read<AUX_MU_LSR>()); }
    void send(uint8_t byte) const { registers_.write(IO::DATA::of(byte)); }

    /// Whether an interrupt comes when the FIFO has drained. Received bytes always interrupt.
    void set_transmit_interrupt(bool on) const
    {
        registers_.write(IER::ENABLE::all() | IER::RECEIVE::all() | IER::TRANSMIT::of(on ? 1 : 0));
    }
    /// Nothing to do: the interrupts follow the FIFOs.
    void acknowledge() const {}

private:
    static constexpr unsigned fifo_bytes = 8;

    Mmio registers_;
};

} // namespace uart
