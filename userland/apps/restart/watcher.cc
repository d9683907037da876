// SPDX-License-Identifier: BSD-2-Clause
// Waits for the end of the component `writer`, prints what was restarted and why, and ends the system with the writer's status.

#include <caprock/print.hpp>
#include <caprock/server.hpp>
#include <interfaces/restarts.hpp>
#include <interfaces/system.hpp>

namespace {

/// What the restarter calls a component that did not show that it was alive.
constexpr uint64_t hang_cause = 9;

caprock::Text cause_name(uint64_t cause)
{
    return cause == hang_cause ? caprock::Text {"hang"} : caprock::cause_name(static_cast<caprock::FaultCause>(cause));
}

void print_restarts(const caprock::Printer& console)
{
    const auto restarts = caprock::self().uses<interfaces::Restarts>("restarts");
    for (uint64_t index = 0;; ++index) {
        caprock::Buffer<31> name;
        uint64_t count = 0, cause = 0, address = 0, detail = 0, time = 0;
        if (!restarts.last(index, name, count, cause, address, detail, time).ok())
            return;
        if (time == 0)
            console.print("{} was never restarted", name.text());
        else
            console.print("{} was restarted {} times, the last time for {} at {}", name.text(), count, cause_name(cause), caprock::hex(address));
    }
}

} // namespace

int main()
{
    const caprock::Printer console;
    auto on_fault = [&](const caprock::Fault& fault) {
        if (fault.cause == caprock::FaultCause::Timeout)
            return caprock::FaultAnswer::Resume;
        console.print("{}", fault);
        print_restarts(console);
        const bool ended = fault.cause == caprock::FaultCause::Ended;
        static_cast<void>(caprock::self().uses<interfaces::System>("system").exit(ended ? fault.detail : 1));
        return caprock::FaultAnswer::Leave;
    };
    caprock::Server server;
    server.on_fault(on_fault);
    server.run();
}
