// SPDX-License-Identifier: BSD-2-Clause
// How packets travel: through the kernel, by the calling thread's IPC buffer.
#pragma once

#include <caprock/rpc.hpp>
#include <caprock/syscall.hpp>

namespace caprock {

/// An empty packet over the calling thread's IPC buffer.
inline Packet ipc_packet()
{
    Packet packet;
    packet.memory = caprock_ipc_buffer->msg;
    packet.caps = caprock_ipc_buffer->caps_or_badges;
    return packet;
}

/// Notes the capability that came with `packet`, and makes the next free slot the one for the next capability.
void note_received_cap(Packet& packet);

/// One system call with all message registers; the result replaces the packet.
/// @param flags  0, or abi::syscall_flag_require_donation
inline void ipc_exchange(abi::Syscall number, uint64_t destination, Packet& packet, uint64_t reply, uint64_t flags = 0)
{
    uint64_t badge = destination;
    caprock_trap(static_cast<uint64_t>(number) | flags, &badge, &packet.info.raw, packet.registers, reply, 0);
    packet.badge = badge;
    if (packet.info.extra_caps() != 0)
        note_received_cap(packet);
}

/// The transport of generated clients: calls on an endpoint.
class IpcTransport {
public:
    /// `endpoint`: slot of an endpoint capability with the right to send and grant-reply. `incarnation`: the server's, as far as the client knows.
    explicit IpcTransport(uint64_t endpoint, uint64_t incarnation = 0) : endpoint_ {endpoint}, incarnation_ {incarnation} {}

    Packet packet() const { return ipc_packet(); }
    /// Sends the packet, waits for the reply, which replaces it. A server that was restarted says so once.
    void call(Packet& packet) const
    {
        packet.info.raw |= abi::MessageInfo::make(0, 0, 0, incarnation_ << method_bits).raw;
        ipc_exchange(abi::Syscall::Call, endpoint_, packet, 0);
        if (packet.info.label() == static_cast<uint64_t>(RpcError::StaleIncarnation)) [[unlikely]]
            incarnation_ = packet.word(0);
    }
    /// The server's incarnation that the next call names.
    uint64_t incarnation() const { return incarnation_; }

private:
    uint64_t endpoint_;
    mutable uint64_t incarnation_;
};

} // namespace caprock
