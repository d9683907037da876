// SPDX-License-Identifier: BSD-2-Clause
// Ends the system with a failure when one of the others cannot go on, after a line that says who and why.
#include <caprock/print.hpp>
#include <caprock/server.hpp>
#include <interfaces/system.hpp>

int main()
{
    auto on_fault = [](const caprock::Fault& fault) {
        caprock::Printer {}.print("{}", fault);
        const auto ended = caprock::self().uses<interfaces::System>("system").exit(1);
        return ended.ok() ? caprock::FaultAnswer::Leave : caprock::FaultAnswer::Resume;
    };
    caprock::Server server;
    server.on_fault(on_fault);
    server.run();
}
