// SPDX-License-Identifier: BSD-2-Clause
// Handles the processor's timer: sets it when it is told to, masks and acknowledges its interrupt.
#include "bench.hpp"

namespace bench {
namespace {

// Counter ticks from setting the timer to its interrupt: longer than the way back to the client.
constexpr uint64_t distance = 5'000;

[[noreturn]] void handle_interrupts()
{
    const auto& irq = self().get(caprock::ComponentEntryKind::Irq, "timer");
    // The loop tells its two signals apart by these bits.
    if (self().consumes("set") != 1 || irq.badge != 2)
        caprock::panic("the description orders its signals otherwise");
    self().irq("timer").ack();
    bench_serve_interrupts({.notification = self().info().notification,
                            .handler = irq.value,
                            .acknowledgement = abi::MessageInfo::make(0, 0, 0, static_cast<uint64_t>(abi::Method::IRQHandlerAck)).raw,
                            .stamps = &stamps("times"),
                            .distance = distance});
}

} // namespace
} // namespace bench

int main() { bench::handle_interrupts(); }
