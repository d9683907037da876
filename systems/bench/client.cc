// SPDX-License-Identifier: BSD-2-Clause
// Measures, row by row, and prints all figures at the end, when nothing can be disturbed by it: `row NAME: MEDIAN MEAN`, in ticks.
#include <caprock/clock.hpp>
#include <caprock/print.hpp>
#include <interfaces/system.hpp>

#include "objects.hpp"

namespace bench {
namespace {

/// Lines of the instrument's check: two reads behind each other, and 20,000 instructions.
void print_instrument(const caprock::Printer& console)
{
    const uint64_t nothing = median_of([] { return bench_nothing().ticks(); });
    const uint64_t countdown = median_of([] { return bench_countdown(10'000).ticks(); });
    console.print("instrument {} {}", nothing, countdown);
    console.print("frequency {}", caprock::counter_frequency());
}

} // namespace
} // namespace bench

int main()
{
    bench::Table table;
    bench::Workshop shop;
    bench::measure_objects(table, shop);
    bench::measure_threads(table, shop);
    bench::measure_messages(table);
    bench::measure_signals(table);
    bench::measure_faults(table, shop);
    bench::measure_interrupts(table);
    bench::measure_simd(table);
    bench::announce<bench::Operation::None>();
    const caprock::Printer console;
    bench::print_instrument(console);
    for (const bench::Row& row : table.rows())
        console.print("row {}: {} {}.{}{}", row.name, row.figure.median, row.figure.hundredfold_mean / 100, row.figure.hundredfold_mean / 10 % 10,
                      row.figure.hundredfold_mean % 10);
    const auto ended = caprock::self().uses<interfaces::System>("system").exit(0);
    return ended.ok() ? 0 : 1;
}
