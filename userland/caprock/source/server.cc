// SPDX-License-Identifier: BSD-2-Clause
// The server loop.

#include <caprock/server.hpp>

namespace caprock {

void Server::check_interface(Text provide, Text interface, uint64_t meaning) const
{
    const ComponentEntry& entry = self_.get(ComponentEntryKind::Provides, provide);
    if (!(entry_text(entry) == interface))
        panic("`provides {}` is {}, not {}", provide, entry_text(entry), interface);
    if (entry.size != meaning)
        panic("`provides {}`: the program has another {}", provide, interface);
}

void Server::add_service(uint64_t index, ServiceEntry entry)
{
    if (index >= max_provides)
        panic("provides more than {} interfaces", max_provides);
    services_[index] = entry;
}

void Server::add_signal(SignalEntry entry)
{
    if (signal_count_ == max_signals)
        panic("handles more than {} signals", max_signals);
    signals_[signal_count_++] = entry;
}

void Server::deliver_signals()
{
    uint64_t handled = 0;
    for (bool delivered = true; delivered;) {
        delivered = false;
        for (size_t i = 0; i < signal_count_; ++i) {
            handled |= signals_[i].mask;
            const uint64_t signals = self_.take_kept(signals_[i].mask);
            if (signals == 0)
                continue;
            signals_[i].deliver(signals_[i].object, signals);
            delivered = true;
        }
    }
    // Signals that nobody handles must not stay: they would keep a server without an endpoint from waiting.
    self_.take_kept(~handled);
}

bool Server::handle_fault(Packet& packet)
{
    const Fault fault = read_fault(packet, self_);
    if (fault_handler_.handle == nullptr || fault_handler_.handle(fault_handler_.object, fault) == FaultAnswer::Leave)
        return false;
    reply_error(packet, RpcError::None);
    return true;
}

bool Server::handle(Packet& packet)
{
    if (packet.info.raw == abi::notification_message_info) {
        self_.keep(packet.badge);
        return false;
    }
    if (is_fault(packet))
        return handle_fault(packet);
    const uint64_t index = (packet.badge >> component::badge_provide_shift) - 1;
    if (index < max_provides && services_[index].dispatch != nullptr)
        services_[index].dispatch(services_[index].object, packet);
    else
        reply_error(packet, RpcError::NotProvided);
    return true;
}

void Server::run()
{
    const ComponentInfo& info = self_.info();
    bool answer = false;
    Packet packet = ipc_packet();
    for (;;) {
        deliver_signals();
        if (info.endpoint == 0) {
            self_.keep(self_.wait_for(~uint64_t {0}));
            continue;
        }
        // A passive server takes no message that brings no time: without it, it would never answer again.
        ipc_exchange(answer ? abi::Syscall::ReplyRecv : abi::Syscall::Recv, info.endpoint, packet, info.reply,
                     abi::syscall_flag_require_donation);
        answer = handle(packet);
        drop_cap(packet);
    }
}

} // namespace caprock
