// SPDX-License-Identifier: BSD-2-Clause
// A server for test_restart.py that fails as it is told, and counts its calls: state that a restart has to take away.

#include <caprock/server.hpp>
#include <interfaces/fragile.hpp>

namespace {

// Memory of each kind that a restart has to restore.
constexpr uint64_t initial = 0x1234'5678'9abc'def0;
volatile uint64_t in_data = initial;
volatile uint64_t in_bss = 0;

enum How : uint64_t { read_nothing, panic, loop, undefined, scribble, end_well };

class Fragile : public interfaces::Fragile::Service<Fragile> {
public:
    caprock::RpcResult<uint64_t> count(caprock::Caller)
    {
        if (in_data != initial || in_bss != 0)
            return caprock::RpcError::First;
        return ++count_;
    }

    caprock::RpcResult<uint64_t> again(caprock::Caller caller) { return count(caller); }

    caprock::RpcResult<void> fail(caprock::Caller, uint64_t how)
    {
        switch (how) {
        case panic:
            caprock::panic("as it was told");
        case loop:
            for (;;)
                __asm__ volatile("");
        case undefined:
            __asm__ volatile("udf #0");
            break;
        case scribble:
            in_data = 0;
            in_bss = 1;
            break;
        case end_well:
            caprock::end(0);
        default:
            break;
        }
        static_cast<void>(*reinterpret_cast<volatile const uint64_t*>(how));
        return {};
    }

    caprock::RpcResult<void> bell(caprock::Caller, uint64_t& signal)
    {
        signal = caprock::self().get(caprock::ComponentEntryKind::Emits, "bell").value;
        return {};
    }

private:
    uint64_t count_ = 0;
};

} // namespace

int main()
{
    Fragile fragile;
    caprock::Server server;
    server.provide("fragile", fragile);
    server.run();
}
