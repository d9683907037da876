// SPDX-License-Identifier: BSD-2-Clause
// Fault messages, as a supervisor sees them: who, why, where.
#pragma once

#include <caprock/info.hpp>
#include <caprock/rpc.hpp>

namespace caprock {

/// Why a component stopped.
enum class FaultCause : uint64_t {
    /// It accessed memory that it may not access so.
    Memory,
    /// A system call named a capability that it does not hold.
    Capability,
    /// An undefined instruction, a misaligned access or another exception.
    Exception,
    /// A breakpoint, watchpoint or single step.
    Debug,
    /// Its scheduling context's budget ran out.
    Timeout,
    /// It made a system call with a number that does not exist.
    UnknownSyscall,
    /// It ended by its own will: returned from main, or called end().
    Ended,
    /// It panicked.
    Panicked,
    /// A label that this library does not know.
    Unknown,
};

/// The word by which descriptions and messages name a cause.
constexpr Text cause_name(FaultCause cause)
{
    constexpr const char* names[] = {"memory", "capability", "exception", "debug", "timeout", "syscall", "ended", "panicked", "unknown"};
    return names[static_cast<uint64_t>(cause)];
}

/// A fault of a component.
struct Fault {
    /// The component: its name, and in `value` the slot of its TCB or 0. Null when the badge belongs to no component.
    const ComponentEntry* component = nullptr;
    FaultCause cause = FaultCause::Unknown;
    /// Memory, Capability: the address; Ended: the status; UnknownSyscall: the number; Exception: ESR_EL1; Timeout: microseconds
    /// consumed.
    uint64_t detail = 0;
    /// Address of the instruction; 0 for Timeout, Ended and Panicked.
    uint64_t ip = 0;
    /// Memory: ESR_EL1.
    uint64_t syndrome = 0;
    /// Memory: an instruction fetch.
    bool fetch = false;
    /// Panicked: the reason.
    Buffer<panic_text_bytes> reason {};

    /// Memory: a store.
    bool store() const { return !fetch && (syndrome >> 6 & 1) != 0; }
    /// Memory: something is mapped there, but not for this access (ESR_EL1's fault status 0b0011xx).
    bool permission() const { return (syndrome >> 2 & 0xf) == 3; }
    /// The component's name.
    Text name() const { return component != nullptr ? entry_name(*component) : Text {"unknown component"}; }
};

/// True when `packet` is a fault message by its badge.
constexpr bool is_fault(const Packet& packet) { return packet.badge >> component::badge_provide_shift == component::badge_fault_provide; }

/// Reads a fault message. \pre is_fault(packet)
Fault read_fault(const Packet& packet, const ComponentView& handler);

/// Writes a sentence such as: `reader: read of unmapped address 0x0 at 0x400120`.
void put_value(Writer& writer, const Fault& fault);

} // namespace caprock
