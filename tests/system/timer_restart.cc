// SPDX-License-Identifier: BSD-2-Clause
// The program of test_the_timer_can_be_restarted: stops the timer's thread in the middle of its work, starts it at its entry again, and sleeps.
// `args { entry: N }` is that entry; the registers that a component starts with are those of capdl/components.py.

#include <caprock/alarm.hpp>
#include <caprock/print.hpp>
#include <interfaces/system.hpp>

namespace {

constexpr uint64_t info_address = 0x1000'0000;
constexpr uint64_t stack_top = 0x2000'0000;
constexpr uint64_t resume = 1;

using caprock::self;

/// Lets `us` microseconds go by without the timer's help.
void spin(uint64_t us)
{
    for (const uint64_t end = caprock::now_us() + us; caprock::now_us() < end;) {
    }
}

bool restart_timer(caprock::Cap<caprock::TCB> thread)
{
    caprock::abi::UserContext context {};
    context.pc = self().argument("entry");
    context.sp = stack_top;
    context.x0_x8[0] = info_address;
    return thread.write_registers(resume, sizeof context / sizeof(uint64_t), context).ok();
}

} // namespace

int main()
{
    const caprock::Printer console;
    const caprock::Alarm alarm;
    const caprock::Cap<caprock::TCB> thread {self().get(caprock::ComponentEntryKind::Faults, "timer").value};
    // One deadline is served, and the next one comes while nobody serves it.
    uint64_t status = alarm.sleep(1'000).ok() && alarm.set(1'000).ok() && thread.suspend().ok() ? 0 : 1;
    spin(5'000);
    if (!restart_timer(thread))
        status = 1;
    for (uint64_t number = 1; number <= 3; ++number) {
        const uint64_t start = caprock::now_us();
        if (!alarm.sleep(2'000).ok())
            status = 1;
        console.print("sleep {} took {} us", number, caprock::now_us() - start);
    }
    // Nothing is set now, so nothing should come.
    spin(20'000);
    static_cast<void>(self().uses<interfaces::System>("system").exit(status));
    return 1;
}
