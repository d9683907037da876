// SPDX-License-Identifier: BSD-2-Clause
// Console server: lines of text of many clients over one serial line, and the end of the system.
//
// Description: provides console: Console, provides system: System; region own (this side writes) and region peer, shared with the
// driver; emits kick (bytes to send are in the channel); consumes event (the driver has sent all, or has received bytes).

#include <caprock/ring.hpp>
#include <caprock/server.hpp>
#include <interfaces/console.hpp>
#include <interfaces/system.hpp>

#include "line_buffer.hpp"

namespace console {

/// The serial line, through the driver.
class Line {
public:
    Line()
    {
        if (channel_.output.capacity() < max_printed)
            caprock::panic("region `own` is too small for a line");
    }

    /// Sends all of `text`; waits while the channel is full.
    void send(caprock::Text text)
    {
        while (!channel_.output.write_whole(text.bytes())) {
            // A channel that the driver broke has room again when that was restarted, which it tells by the same signal.
            caprock::self().wait_for(event_);
        }
        kick_();
    }

    /// Waits until the driver has handed everything to the device.
    void drain()
    {
        while (!channel_.output.drained() && !channel_.output.broken())
            caprock::self().wait_for(event_);
    }

    /// Takes what has been typed; empty when nothing has.
    template <size_t capacity>
    void receive(caprock::Buffer<capacity>& text)
    {
        text.resize(capacity);
        text.resize(channel_.input.read({text.data(), capacity}));
    }

private:
    caprock::Channel channel_ {caprock::self().region("own"), caprock::self().region("peer"), caprock::self().incarnation()};
    caprock::Signal kick_ = caprock::self().emits("kick");
    uint64_t event_ = caprock::self().consumes("event");
};

class Console : public interfaces::Console::Service<Console> {
public:
    explicit Console(Line& line) : line_ {line} {}

    caprock::RpcResult<void> write(caprock::Caller caller, const caprock::Buffer<256>& text)
    {
        Client* client = find(caller.badge);
        if (client == nullptr)
            return caprock::RpcError::Refused;
        client->buffer.add(client->name, text.text(), [this](caprock::Text line) { line_.send(line); });
        return {};
    }

    caprock::RpcResult<void> read(caprock::Caller, caprock::Buffer<64>& text)
    {
        line_.receive(text);
        return {};
    }

    /// Prints the unfinished lines of all clients.
    void flush()
    {
        for (size_t i = 0; i < count_; ++i)
            clients_[i].buffer.flush(clients_[i].name, [this](caprock::Text line) { line_.send(line); });
    }

private:
    static constexpr size_t max_clients = 64;

    struct Client {
        uint64_t badge = 0;
        caprock::Text name;
        LineBuffer buffer;
    };

    /// The client of that badge, made at its first call; null when there are too many, or the description does not have it.
    Client* find(uint64_t badge)
    {
        for (size_t i = 0; i < count_; ++i) {
            if (clients_[i].badge == badge)
                return &clients_[i];
        }
        const auto* entry = caprock::self().find_badge(caprock::ComponentEntryKind::Client, badge);
        if (entry == nullptr || count_ == max_clients)
            return nullptr;
        clients_[count_].badge = badge;
        clients_[count_].name = caprock::entry_name(*entry);
        return &clients_[count_++];
    }

    Line& line_;
    Client clients_[max_clients];
    size_t count_ = 0;
};

class System : public interfaces::System::Service<System> {
public:
    System(Line& line, Console& console) : line_ {line}, console_ {console} {}

    caprock::RpcResult<void> exit(caprock::Caller, uint64_t status)
    {
        console_.flush();
        char field[64];
        caprock::Writer writer {field, sizeof field};
        caprock::format(writer, "caprock: exit {}\n", status);
        line_.send(writer.text());
        line_.drain();
        // Nobody is served any more: the system has ended.
        for (;;)
            caprock::self().wait_for(~uint64_t {0});
    }

    /// Ends the system when a component faults that is trusted to hold it together: whose faults come here.
    caprock::FaultAnswer on_fault(const caprock::Fault& fault)
    {
        if (fault.cause == caprock::FaultCause::Timeout)
            return caprock::FaultAnswer::Resume;
        console_.flush();
        char field[max_printed];
        caprock::Writer writer {field, sizeof field};
        caprock::format(writer, "caprock: halt: {}\n", fault);
        line_.send(writer.text());
        line_.drain();
        return caprock::FaultAnswer::Leave;
    }

private:
    Line& line_;
    Console& console_;
};

} // namespace console

int main()
{
    // Static, as the clients' lines are too large for a stack of the usual size.
    static console::Line line;
    static console::Console console {line};
    static console::System system {line, console};
    caprock::Server server;
    server.provide("console", console);
    server.provide("system", system);
    auto on_fault = [](const caprock::Fault& fault) { return system.on_fault(fault); };
    server.on_fault(on_fault);
    server.run();
}
