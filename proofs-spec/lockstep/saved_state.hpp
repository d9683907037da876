// SPDX-License-Identifier: BSD-2-Clause
// What a thread's saved processor state (SPSR) must say beside the condition flags, of which the specification knows nothing: a new thread has the
// kernel's initial bits, and a thread is armed for a single step exactly when it has steps to make and goes on somewhere.
#pragma once

#include "abstraction.hpp"

#include <map>

namespace caprock::lockstep {

class SavedState {
public:
    /// As the threads were before an event.
    explicit SavedState(const Inventory& inventory);
    /// What is wrong after it; empty if nothing is.
    std::string difference(const Inventory& inventory) const;

private:
    struct Before {
        Word pc;
        Word steps;
        bool armed;
        bool faulted;
    };
    std::map<const Tcb*, Before> threads_;
};

}  // namespace caprock::lockstep
