// SPDX-License-Identifier: BSD-2-Clause
// Writes entries 1 to `count` into the ledger, prints a line for each one that was acknowledged, and sleeps now and then. Whatever is restarted
// meanwhile, it goes on: at an entry of which it does not know whether it was written, it opens the ledger again there.

#include <caprock/alarm.hpp>
#include <caprock/print.hpp>
#include <interfaces/ledger.hpp>

namespace {

using Ledger = interfaces::Ledger::Client<caprock::IpcTransport>;

void check(caprock::RpcError error, const char* what, uint64_t number)
{
    if (error != caprock::RpcError::None)
        caprock::panic("{} at entry {}: error {}", what, number, static_cast<uint64_t>(error));
}

/// Writes one entry; gives how often the ledger was restarted meanwhile.
uint64_t put(const Ledger& ledger, uint64_t number)
{
    uint64_t restarts = 0;
    for (auto done = ledger.put(number); !done.ok(); done = ledger.put(number)) {
        if (!caprock::was_restarted(done.error()))
            check(done.error(), "put", number);
        ++restarts;
        check(ledger.open(number).error(), "open", number);
    }
    return restarts;
}

} // namespace

int main()
{
    const caprock::Printer console;
    const caprock::Alarm alarm;
    const Ledger ledger = caprock::self().uses<interfaces::Ledger>("ledger");
    const uint64_t count = caprock::self().argument("count");
    const uint64_t pause = caprock::self().argument("pause");
    check(ledger.open(1).error(), "open", 1);
    uint64_t restarts = 0;
    for (uint64_t number = 1; number <= count; ++number) {
        restarts += put(ledger, number);
        console.print("acknowledged {}", number);
        // A timer that cannot do it now is no reason to write less.
        if (pause != 0)
            static_cast<void>(alarm.sleep(pause));
    }
    console.print("done: {} entries, {} lost calls", count, restarts);
    return 0;
}
