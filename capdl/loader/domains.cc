// SPDX-License-Identifier: BSD-2-Clause
// The domain schedule: its entries, and its beginning.
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

constexpr Cap<Domain> domain_control{init_slot(abi::InitSlot::Domain)};
constexpr uint64_t us_per_second = 1'000'000;

/// Ticks of the counter as microseconds, rounded up.
uint64_t ticks_to_us(uint64_t ticks) {
    uint64_t frequency;
    asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return ticks / frequency * us_per_second + (ticks % frequency * us_per_second + frequency - 1) / frequency;
}

}  // namespace

void configure_domains() {
    for (const DomainTurn& turn : system.domain_turns) {
        const uint64_t duration = turn.in_ticks ? ticks_to_us(turn.duration) : turn.duration;
        check(domain_control.schedule_configure(turn.entry, turn.domain, duration), [&](Text& text) {
            text << "giving domain " << uint64_t{turn.domain} << " entry " << uint64_t{turn.entry} << " of the schedule, for " << duration
                 << " us";
        });
    }
}

void begin_domains() {
    if (system.domain_start == none) return;
    check(domain_control.schedule_set_start(system.domain_start),
          [](Text& text) { text << "beginning the domain schedule with entry " << uint64_t{system.domain_start}; });
}

}  // namespace caprock::loader
