// SPDX-License-Identifier: BSD-2-Clause
// The other end of signals: waits and notes times, answers with a signal where the description connects one, or yields with its equal.
#include "bench.hpp"
#include "samples.hpp"

namespace bench {
namespace {

Shot wait(Registers& registers) { return trap(registers, abi::Syscall::Wait, self().info().notification); }

[[noreturn]] void wait_noting_times()
{
    Stamps& times = stamps("times");
    const auto* answer = self().find(caprock::ComponentEntryKind::Emits, "back");
    Registers registers {};
    for (;;) {
        const Shot shot = wait(registers);
        times.start = shot.start;
        times.end = shot.end;
        if (answer != nullptr)
            caprock::sys::signal(answer->value);
    }
}

/// Yields until it is told to stop, noting when it runs again; or, told so before, as often as the client's loop does.
[[noreturn]] void yield()
{
    Stamps& times = stamps("times");
    Registers registers {};
    for (;;) {
        wait(registers);
        set_call(registers, abi::Syscall::Yield, 0);
        if (times.stop != 0)
            bench_loop_trap(registers, rounds);
        while (times.stop == 0)
            times.end = trap(registers, abi::Syscall::Yield, 0).end;
    }
}

} // namespace
} // namespace bench

int main()
{
    if (caprock::self().argument_text("role") == "yield")
        bench::yield();
    bench::wait_noting_times();
}
