// SPDX-License-Identifier: BSD-2-Clause
// Answers faults without doing anything about them, so that the next one comes at once: from an answer to the next fault it is one fault's
// whole way. Tells its client the figure, and leaves the faulting component where it is.
#include "bench.hpp"
#include "samples.hpp"

namespace bench {
namespace {

[[noreturn]] void handle_faults()
{
    const uint64_t endpoint = self().info().endpoint;
    const uint64_t reply = self().info().reply;
    const bool passive = self().argument_text("role") == "passive";
    Registers registers {};
    trap(registers, abi::Syscall::Recv, endpoint, 0, reply);
    const auto shot = [&] {
        if (passive)
            announce<Operation::FaultPassive>();
        else
            announce<Operation::FaultActive>();
        const uint64_t ticks = trap(registers, abi::Syscall::ReplyRecv, endpoint, 0, reply).ticks();
        if (abi::MessageInfo {registers.x[1]}.label() != static_cast<uint64_t>(abi::FaultLabel::VMFault))
            caprock::panic("a message that is no page fault");
        return ticks;
    };
    const Figure figure = figure_of(shot);
    Stamps& result = stamps("result");
    result.start = figure.median;
    result.end = figure.hundredfold_mean;
    self().emits("done")();
    for (;;)
        trap(registers, abi::Syscall::Recv, endpoint, 0, reply);
}

} // namespace
} // namespace bench

int main() { bench::handle_faults(); }
