// SPDX-License-Identifier: BSD-2-Clause
// Sleeps `count` times for `us` microseconds and ends with success if no sleep was too short, or longer than `us` + `slack`.

#include <caprock/alarm.hpp>
#include <caprock/print.hpp>

int main()
{
    const caprock::Printer console;
    const caprock::Alarm alarm;
    const uint64_t us = caprock::self().argument("us");
    const uint64_t slack = caprock::self().argument("slack");
    for (uint64_t number = 1; number <= caprock::self().argument("count"); ++number) {
        const uint64_t start = caprock::now_us();
        const auto slept = alarm.sleep(us);
        const uint64_t duration = caprock::now_us() - start;
        if (!slept.ok() || duration < us || duration > us + slack) {
            console.print("sleep {} of {} us took {} us: error {}", number, us, duration, static_cast<uint64_t>(slept.error()));
            return 1;
        }
        console.print("sleep {} of {} us done", number, us);
    }
    return 0;
}
