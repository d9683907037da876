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
    if (self_.incarnation() != 0 && !is_current(packet))
        return true;
    const uint64_t index = (packet.badge >> component::badge_provide_shift) - 1;
    if (index < max_provides && services_[index].dispatch != nullptr)
        services_[index].dispatch(services_[index].object, packet);
    else
        reply_error(packet, RpcError::NotProvided);
    return true;
}

/// Whether the caller knows the incarnation that it calls; if it does not, `packet` becomes the reply that tells it. The label is the method's then.
bool Server::is_current(Packet& packet) const
{
    const abi::MessageInfo info = packet.info;
    if (info.label() >> method_bits == self_.incarnation()) {
        constexpr uint64_t method = (uint64_t {1} << method_bits) - 1;
        packet.info = abi::MessageInfo::make(info.length(), info.extra_caps(), info.caps_unwrapped(), info.label() & method);
        return true;
    }
    packet.set_word(0, self_.incarnation());
    packet.info = abi::MessageInfo::make(1, 0, 0, static_cast<uint64_t>(RpcError::StaleIncarnation));
    return false;
}

bool Server::serve(bool wait)
{
    const ComponentInfo& info = self_.info();
    deliver_signals();
    if (info.endpoint == 0) {
        self_.keep(self_.wait_for(~uint64_t {0}));
        return true;
    }
    if (packet_.memory == nullptr)
        packet_ = ipc_packet();
    if (!wait && answer_)
        ipc_exchange(abi::Syscall::Send, info.reply, packet_, 0);
    const abi::Syscall waiting = answer_ ? abi::Syscall::ReplyRecv : abi::Syscall::Recv;
    // A passive server takes no message that brings no time: without it, it would never answer again.
    ipc_exchange(wait ? waiting : abi::Syscall::NBRecv, info.endpoint, packet_, info.reply, abi::syscall_flag_require_donation);
    // A message without a badge is the loader's, which wants to know that this component is ready.
    const bool came = wait || packet_.badge != 0;
    answer_ = came && handle(packet_);
    drop_cap(packet_);
    return came;
}

void Server::run()
{
    for (;;)
        serve(true);
}

} // namespace caprock
