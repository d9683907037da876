// SPDX-License-Identifier: BSD-2-Clause
// Reading and describing fault messages.

#include <caprock/fault.hpp>

namespace caprock {

namespace {

void read_unknown_syscall(const Packet& packet, Fault& fault)
{
    const uint64_t number = packet.word(abi::UnknownSyscall::syscall);
    if (number == component::syscall_end) {
        fault.cause = FaultCause::Ended;
        fault.detail = packet.word(abi::UnknownSyscall::x0);
    } else if (number == component::syscall_panic) {
        fault.cause = FaultCause::Panicked;
        for (size_t i = 0; i < panic_text_bytes; ++i) {
            const auto character = static_cast<uint8_t>(packet.word(abi::UnknownSyscall::x0 + i / 8) >> i % 8 * 8);
            if (character == 0)
                break;
            fault.reason.append(character);
        }
    } else {
        fault.cause = FaultCause::UnknownSyscall;
        fault.detail = number;
        fault.ip = packet.word(abi::UnknownSyscall::fault_ip);
    }
}

void put_memory(Writer& writer, const Fault& fault)
{
    const Text access = fault.fetch ? "execution" : fault.store() ? "write" : "read";
    const Text state = fault.permission() ? "forbidden" : "unmapped";
    format(writer, "{} of {} address {} at {}", access, state, hex(fault.detail), hex(fault.ip));
}

} // namespace

Fault read_fault(const Packet& packet, const ComponentView& handler)
{
    Fault fault;
    fault.component = handler.find_badge(ComponentEntryKind::Faults, packet.badge);
    switch (static_cast<abi::FaultLabel>(packet.info.label())) {
    case abi::FaultLabel::VMFault:
        fault.cause = FaultCause::Memory;
        fault.ip = packet.word(abi::VMFault::ip);
        fault.detail = packet.word(abi::VMFault::addr);
        fault.fetch = packet.word(abi::VMFault::prefetch_fault) != 0;
        fault.syndrome = packet.word(abi::VMFault::fsr);
        break;
    case abi::FaultLabel::CapFault:
        fault.cause = FaultCause::Capability;
        fault.ip = packet.word(abi::CapFault::ip);
        fault.detail = packet.word(abi::CapFault::addr);
        break;
    case abi::FaultLabel::UserException:
        fault.cause = FaultCause::Exception;
        fault.ip = packet.word(abi::UserException::fault_ip);
        fault.detail = packet.word(abi::UserException::code);
        break;
    case abi::FaultLabel::Timeout:
        fault.cause = FaultCause::Timeout;
        fault.detail = packet.word(abi::Timeout::consumed);
        break;
    case abi::FaultLabel::UnknownSyscall:
        read_unknown_syscall(packet, fault);
        break;
    case abi::FaultLabel::DebugException:
        fault.cause = FaultCause::Debug;
        fault.ip = packet.word(0);
        break;
    case abi::FaultLabel::NullFault:
        break;
    }
    return fault;
}

void put_value(Writer& writer, const Fault& fault)
{
    format(writer, "{}: ", fault.name());
    switch (fault.cause) {
    case FaultCause::Memory:
        put_memory(writer, fault);
        return;
    case FaultCause::Capability:
        format(writer, "system call with the missing capability {} at {}", hex(fault.detail), hex(fault.ip));
        return;
    case FaultCause::Exception:
        format(writer, "exception with syndrome {} at {}", hex(fault.detail), hex(fault.ip));
        return;
    case FaultCause::Debug:
        format(writer, "debug exception at {}", hex(fault.ip));
        return;
    case FaultCause::Timeout:
        format(writer, "ran past its budget");
        return;
    case FaultCause::UnknownSyscall:
        format(writer, "unknown system call {} at {}", hex(fault.detail), hex(fault.ip));
        return;
    case FaultCause::Ended:
        format(writer, "ended with status {}", fault.detail);
        return;
    case FaultCause::Panicked:
        format(writer, "panicked: {}", fault.reason.text());
        return;
    case FaultCause::Unknown:
        format(writer, "unknown fault");
        return;
    }
}

} // namespace caprock
