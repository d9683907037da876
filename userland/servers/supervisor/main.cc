// SPDX-License-Identifier: BSD-2-Clause
// Watches the other components and ends the system: with success once each has come to the end that the description expects of it
// (`args { COMPONENT: "cause" }`, causes as caprock/fault.hpp names them), with failure when one comes to another end, or when
// something is missing after `seconds`.

#include <caprock/alarm.hpp>
#include <caprock/print.hpp>
#include <caprock/server.hpp>
#include <interfaces/system.hpp>

namespace {

using caprock::ComponentEntry;
using caprock::ComponentEntryKind;
using caprock::Fault;
using caprock::FaultAnswer;
using caprock::FaultCause;
using caprock::Text;
using caprock::self;

class Supervisor {
public:
    Supervisor()
    {
        if (!alarm_.set(self().argument("seconds") * 1'000'000).ok())
            caprock::panic("the timer refused the alarm");
    }

    /// The signal of the time limit.
    uint64_t late_signal() const { return alarm_.signal(); }

    FaultAnswer on_fault(const Fault& fault)
    {
        if (fault.component == nullptr)
            fail("a fault without a component came");
        const Text expected = expected_end(*fault.component);
        // Whoever shares the processor with others can be held up; that alone is no reason to stop it.
        if (fault.cause == FaultCause::Timeout && !(expected == caprock::cause_name(FaultCause::Timeout)))
            return FaultAnswer::Resume;
        console_.print("{}", fault);
        stop(*fault.component);
        if (!(expected == caprock::cause_name(fault.cause)) || (fault.cause == FaultCause::Ended && fault.detail != 0))
            fail("that was not expected");
        ended_ |= bit(*fault.component);
        finish_if_complete();
        return FaultAnswer::Leave;
    }

    [[noreturn]] void on_late()
    {
        for (const ComponentEntry& entry : self().entries()) {
            if (is_awaited(entry))
                console_.print("missing: the end of {} ({})", caprock::entry_name(entry), expected_end(entry));
        }
        fail("the time is up");
    }

private:
    static Text expected_end(const ComponentEntry& component)
    {
        const Text name = caprock::entry_name(component);
        return self().has_argument(name) ? self().argument_text(name) : Text {};
    }

    /// One bit per entry of ComponentInfo.
    static uint64_t bit(const ComponentEntry& entry) { return uint64_t {1} << (&entry - self().entries().begin()) % 64; }

    bool is_awaited(const ComponentEntry& entry) const
    {
        const bool supervised = entry.kind == static_cast<uint64_t>(ComponentEntryKind::Faults);
        return supervised && !expected_end(entry).empty() && (ended_ & bit(entry)) == 0;
    }

    void finish_if_complete() const
    {
        for (const ComponentEntry& entry : self().entries()) {
            if (is_awaited(entry))
                return;
        }
        console_.print("all came to the expected end");
        exit(0);
    }

    void stop(const ComponentEntry& component) const
    {
        if (component.value != 0 && !caprock::Cap<caprock::TCB> {component.value}.suspend().ok())
            fail("a component could not be stopped");
    }

    [[noreturn]] void fail(Text reason) const
    {
        console_.print("failed: {}", reason);
        exit(1);
    }

    [[noreturn]] void exit(uint64_t status) const
    {
        const auto result = system_.exit(status);
        caprock::panic("the system did not end: error {}", static_cast<uint64_t>(result.error()));
    }

    caprock::Printer console_;
    caprock::Alarm alarm_;
    interfaces::System::Client<caprock::IpcTransport> system_ = self().uses<interfaces::System>("system");
    uint64_t ended_ = 0;
};

} // namespace

int main()
{
    if (self().entries().size() > 64)
        caprock::panic("supervises more than its 64 entries");
    Supervisor supervisor;
    auto on_fault = [&](const Fault& fault) { return supervisor.on_fault(fault); };
    auto on_late = [&](uint64_t) { supervisor.on_late(); };
    caprock::Server server;
    server.on_fault(on_fault);
    server.on_signal(supervisor.late_signal(), on_late);
    server.run();
}
