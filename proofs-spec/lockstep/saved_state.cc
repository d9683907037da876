// SPDX-License-Identifier: BSD-2-Clause
#include "saved_state.hpp"

#include "canonical.hpp"

namespace caprock::lockstep {

namespace {

bool is_armed(const Tcb& thread) { return (thread.context.spsr & host::single_step) != 0; }

std::string said(const Tcb& thread, const char* what) { return "  kernel: thread " + hex(physical(&thread)) + " " + what + "\n"; }

}  // namespace

SavedState::SavedState(const Inventory& inventory) {
    for (const Tcb* thread : inventory.threads()) threads_[thread] = {thread->context.pc, thread->debug.steps, is_armed(*thread), thread->faulted()};
}

std::string SavedState::difference(const Inventory& inventory) const {
    std::string text;
    for (const Tcb* thread : inventory.threads()) {
        auto found = threads_.find(thread);
        if (found == threads_.end()) {
            if (thread->context.spsr != arch::initial_spsr()) text += said(*thread, "is new, and does not have the initial SPSR");
            continue;
        }
        const Before& before = found->second;
        bool armed = is_armed(*thread);
        // Who answers a fault may say where the thread goes on; whether its instruction counts as a step the processor knows.
        bool goes_on = (thread->context.pc != before.pc && !before.faulted) || thread->debug.steps > before.steps;
        if (thread->debug.steps == 0) {
            if (armed) text += said(*thread, "is armed for a step that it is not to make");
        } else if (!armed && (before.armed || goes_on)) {
            text += said(*thread, "is not armed for the step that it is to make");
        }
    }
    return text;
}

}  // namespace caprock::lockstep
