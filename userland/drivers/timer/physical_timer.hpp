// SPDX-License-Identifier: BSD-2-Clause
// The physical timer of the processor (CNTP, Arm ARM D11.2), which a thread can use that was given access to it: one comparator, whose
// interrupt line is up while it is on and the physical counter has reached its value.
#pragma once

#include <caprock/clock.hpp>

namespace timer {

/// The timer of the core that the component runs on. Deadlines are in ticks of the virtual counter, as the clock's times are.
class PhysicalTimer {
public:
    /// Takes the timer over in whatever state it is: nothing is pending afterwards.
    PhysicalTimer() : offset_ {counter_offset()} { stop(); }

    /// Raises the interrupt once the virtual counter has reached `deadline`, at once if it has already.
    void arm(uint64_t deadline) const
    {
        const uint64_t value = deadline < UINT64_MAX - offset_ ? deadline + offset_ : UINT64_MAX;
        __asm__ volatile("msr cntp_cval_el0, %0\n\tmsr cntp_ctl_el0, %1" : : "r"(value), "r"(enabled) : "memory");
    }

    /// Raises no interrupt, and takes one back that was raised.
    void stop() const { __asm__ volatile("msr cntp_ctl_el0, %0" : : "r"(disabled) : "memory"); }

private:
    // CNTP_CTL_EL0: ENABLE, with IMASK clear. No isb behind the writes: the next system call comes first and is one.
    static constexpr uint64_t enabled = 1;
    static constexpr uint64_t disabled = 0;

    /// How far the physical counter is ahead of the virtual one, in ticks; a hypervisor can have set them apart. Without one they are
    /// equal, and the result is exact; else it may be too large by the time between two reads, so that no deadline comes early.
    static uint64_t counter_offset()
    {
        const uint64_t before = caprock::counter_ticks();
        uint64_t physical;
        __asm__ volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(physical) : : "memory");
        const uint64_t after = caprock::counter_ticks();
        return before <= physical && physical <= after ? 0 : physical - before;
    }

    uint64_t offset_;
};

} // namespace timer
