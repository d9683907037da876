// SPDX-License-Identifier: BSD-2-Clause
// The kernel's timer is the virtual one (CNTV, Arm ARM D11.2): the physical one stays for user level. CNTVOFF_EL2 is zero when the EL2
// stub set it; under a hypervisor it is the hypervisor's business.
#include "timer.hpp"

#include "arch/seam.hpp"
#include "core/panic.hpp"

namespace caprock::arch {
namespace {
Word frequency = 0;
}

Ticks ten_microseconds_ticks asm("ten_microseconds_ticks");   // the fast path reads it

void timer_initialise(const abi::BootInfo& info) {
    if (info.timer_frequency == 0)
        panic("the counter's frequency is unknown (give clock-frequency in the device tree's timer node)");
    frequency = info.timer_frequency;
    ten_microseconds_ticks = Ticks(frequency / 100'000);
    irq_unmask(timer_irq());
}

Word timer_frequency() { return frequency; }

Ticks ten_microseconds() { return ten_microseconds_ticks; }
}  // namespace caprock::arch
