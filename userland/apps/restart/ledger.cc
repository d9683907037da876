// SPDX-License-Identifier: BSD-2-Clause
// Keeps entries by printing them, and knows of each client which one is next: state that is gone when the server is restarted. `args { crash: n }`: with
// the n-th entry of each life it reads where nothing is, after the entry is written and before the client knows; 0 for never.

#include <caprock/print.hpp>
#include <caprock/server.hpp>
#include <interfaces/ledger.hpp>

namespace {

class Ledger : public interfaces::Ledger::Service<Ledger> {
public:
    caprock::RpcResult<void> open(caprock::Caller caller, uint64_t first)
    {
        Client* client = find(caller.badge);
        if (client == nullptr)
            return caprock::RpcError::Refused;
        client->next = first;
        client->count = 0;
        return {};
    }

    caprock::RpcResult<uint64_t> put(caprock::Caller caller, uint64_t number)
    {
        Client* client = find(caller.badge);
        if (client == nullptr || client->next != number)
            return caprock::RpcError::Refused;
        console_.print("entry {}", number);
        if (++entries_ == crash_)
            static_cast<void>(*reinterpret_cast<volatile const uint64_t*>(number));
        ++client->next;
        return ++client->count;
    }

private:
    static constexpr size_t max_clients = 16;

    struct Client {
        uint64_t badge = 0;
        uint64_t next = UINT64_MAX;
        uint64_t count = 0;
    };

    /// The client of that badge, made at its first call; null when there are too many.
    Client* find(uint64_t badge)
    {
        for (Client& client : clients_) {
            if (client.badge == 0)
                client.badge = badge;
            if (client.badge == badge)
                return &client;
        }
        return nullptr;
    }

    const caprock::Printer console_;
    const uint64_t crash_ = caprock::self().argument("crash");
    uint64_t entries_ = 0;
    Client clients_[max_clients];
};

} // namespace

int main()
{
    Ledger ledger;
    caprock::Server server;
    server.provide("ledger", ledger);
    server.run();
}
