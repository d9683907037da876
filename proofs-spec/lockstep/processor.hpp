// SPDX-License-Identifier: BSD-2-Clause
// What the processor must be set up for in a state of the specification: address space, timer, floating-point unit, performance monitor, breakpoints.
#pragma once

#include "canonical.hpp"
#include "host_seam.hpp"

#include <map>
#include <set>
#include <string>

namespace caprock::lockstep {

class Processor {
public:
    /// What the processor is set up for otherwise than the state says; empty if nothing is. `at_timer`: the state is that behind an event of the timer.
    std::string difference(const Lines& state, bool at_timer);

    /// The thread that runs, by its address, uses the floating-point unit, which is open to it: what is wrong with what it finds there.
    std::string use_fpu(const std::string& thread);

private:
    std::string fpu(const Lines& state, std::string_view thread);
    std::string timer(const Lines& state, bool at_timer);

    Word earlier_deadline_ = 0;
    Word last_release_ = 0;                                      // when the timer last woke a thread that slept until its refill
    std::set<std::string, std::less<>> sleeping_;
    Word fresh_ = 0;                                             // what a thread leaves in the unit next
    std::map<std::string, Word, std::less<>> fpu_registers_;     // what each thread has there
};

}  // namespace caprock::lockstep
