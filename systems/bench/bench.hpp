// SPDX-License-Identifier: BSD-2-Clause
// What the benchmark's components share: the measured system calls, and what one tells another of its times.
#pragma once

#include <caprock/self.hpp>

namespace bench {

using caprock::self;
namespace abi = caprock::abi;

/// x0 to x16 before a system call, and behind it.
struct Registers {
    uint64_t x[18];   // the last one is not used: two words are loaded at once
};

/// Two reads of the counter.
struct Shot {
    uint64_t start;
    uint64_t end;
    uint64_t ticks() const { return end - start; }
};

/// What a peer tells of its last system call, in memory shared with the client.
struct Stamps {
    volatile uint64_t start;
    volatile uint64_t end;
    volatile uint64_t stop;
};

/// What the interrupt loop holds.
struct InterruptLoop {
    uint64_t notification;
    uint64_t handler;
    uint64_t acknowledgement;
    Stamps* stamps;
    uint64_t distance;
};

/// measure.S says what each does.
extern "C" {
Shot bench_nothing();
Shot bench_countdown(uint64_t rounds);
Shot bench_trap(Registers& registers);
Shot bench_simd_trap(Registers& registers);
Shot bench_simd();
Shot bench_loop_nothing(Registers& registers, uint64_t rounds);
Shot bench_loop_trap(Registers& registers, uint64_t rounds);
Shot bench_loop_simd_trap(Registers& registers, uint64_t rounds);
[[noreturn]] void bench_serve(const Registers& registers, uint64_t number);
[[noreturn]] void bench_serve_simd(const Registers& registers, uint64_t number);
[[noreturn]] void bench_serve_interrupts(const InterruptLoop& loop);
uint64_t bench_watch();
}

/// Registers that hold word `index` of a message.
constexpr unsigned word_register(uint64_t index) { return static_cast<unsigned>(index < 4 ? index + 2 : index + 5); }

constexpr uint64_t message_info(uint64_t words) { return abi::MessageInfo::make(words, 0, 0, 0).raw; }

/// Sets what says which system call it is; message words stay.
constexpr void set_call(Registers& registers, abi::Syscall number, uint64_t destination, uint64_t info = 0, uint64_t reply = 0)
{
    registers.x[0] = destination;
    registers.x[1] = info;
    registers.x[6] = reply;
    registers.x[7] = static_cast<uint64_t>(number);
}

/// A system call and its times.
inline Shot trap(Registers& registers, abi::Syscall number, uint64_t destination, uint64_t info = 0, uint64_t reply = 0)
{
    set_call(registers, number, destination, info, reply);
    return bench_trap(registers);
}

/// What `./caprock bench --footprint` looks at closely; the numbers are known to platform/command/bench_footprint.py. measure.S announces the
/// interrupt itself.
enum class Operation : uint64_t {
    None = 0,
    OneWay = 1,
    RoundTrip = 2,
    SignalIdle = 3,
    SignalLow = 4,
    SignalHigh = 5,
    Interrupt = 6,
    FaultActive = 7,
    NullSend = 8,
    WaitActive = 9,
    FaultPassive = 10,
    CnodeCopy = 11,
    CnodeDelete = 12,
    RetypeFrame = 13,
    PageMap = 14,
    TcbConfigure = 15,
    TcbResume = 16,
};

/// Tells a plugin of QEMU's which operation comes next, by an instruction without effect.
template <Operation operation>
[[gnu::always_inline]] inline void announce()
{
    __asm__ volatile("movz xzr, %0" : : "i"(static_cast<uint64_t>(operation)));
}

/// What components tell each other in `region`.
inline Stamps& stamps(caprock::Text region) { return *reinterpret_cast<Stamps*>(self().region(region).data()); }

} // namespace bench
