// SPDX-License-Identifier: BSD-2-Clause
// Lets a server work `count` times, `rounds` long, and tells how long the shortest of these calls took. Ends with success if all sums were right.

#include <caprock/clock.hpp>
#include <caprock/print.hpp>
#include <interfaces/worker.hpp>

int main()
{
    const caprock::Printer console;
    const auto worker = caprock::self().uses<interfaces::Worker>("worker");
    const uint64_t rounds = caprock::self().argument("rounds");
    const uint64_t count = caprock::self().argument("count");
    uint64_t shortest = UINT64_MAX;
    for (uint64_t number = 1; number <= count; ++number) {
        const uint64_t start = caprock::now_us();
        const auto sum = worker.sum(rounds);
        const uint64_t duration = caprock::now_us() - start;
        if (!sum.ok() || sum.value() != rounds * (rounds - 1) / 2) {
            console.print("sum {} was wrong: error {}", number, static_cast<uint64_t>(sum.error()));
            return 1;
        }
        if (duration < shortest)
            shortest = duration;
    }
    console.print("{} sums, the shortest took {} us", count, shortest);
    return 0;
}
