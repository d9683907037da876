// SPDX-License-Identifier: BSD-2-Clause
// The kernel's portable core and the specification's oracle, step by step: each event happens to both, and afterwards the abstract state,
// the user memory that the kernel wrote and the effects on the machine must be the same.
#pragma once

#include "abstraction.hpp"
#include "canonical.hpp"
#include "effects.hpp"
#include "oracle.hpp"
#include "world.hpp"

#include <functional>

namespace caprock::lockstep {

/// Kernel and specification differ; the text says in what, and after which event.
struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What happened so far: how often each operation came to each result.
struct Tally {
    uint64_t events = 0;
    uint64_t preemptions = 0;
    uint64_t orders = 0;         // events after which the order of equals was the kernel's to choose
    std::map<std::string, std::map<std::string, uint64_t>> results;
    std::map<std::string, std::vector<std::string>> differences;   // of those that did not end the run
};

class Lockstep {
public:
    /// From the present state of the world on; `limit`: its slots from 0 that may be used. `goes_on`: a difference is noted in the tally, and
    /// the specification goes on from the kernel's state.
    Lockstep(test::World& world, Oracle& oracle, Tally& tally, Word limit, bool goes_on);

    // -- Events, as World has them.

    void system_call();
    void interrupt(Word irq);
    void timer();
    void memory_fault(Word syndrome, Word address, bool fetch);
    void exception(Word syndrome);
    void use_fpu();
    void system_error();
    /// A breakpoint, a watchpoint, a step or a breakpoint instruction of the current thread. `address` is a watchpoint's.
    void debug(abi::BreakpointType reason, Word address);

    /// What the current thread is about to do: the method that it invokes, or the system call.
    std::string operation() const;
    const std::string& last_operation() const { return operation_; }
    /// Whether the last event was preempted.
    bool preempted() const { return preempted_; }
    /// The state before the last event and the event, as a trace that the oracle replays by itself.
    std::string last_trace() const { return "begin\n" + before_ + "end\n" + event_ + "\n"; }

private:
    using Words = std::map<Word, Word>;

    void happen(const std::string& kind, const std::string& arguments, const std::function<void()>& entry);
    std::string changed_registers() const;
    std::string readable_memory() const;
    Words buffer_words() const;
    void agree(const std::string& event);
    bool agree_on_order(const std::string& event);
    void agree_on_preemption(const std::string& event);
    std::string compare(const std::string& event);
    std::string compare_memory(const Effects& theirs) const;
    std::string compare_controllers() const;
    Lines with_addresses(Lines lines) const;
    void fail(const std::string& what);
    void take_over_state();
    Inventory inventory() const;

    test::World& world_;
    Oracle& oracle_;
    Tally& tally_;
    Word limit_;
    bool goes_on_;               // after a difference, from the kernel's state
    std::string before_;         // the specification's state before the event
    std::string after_;          // and after it
    Lines lines_;                // of `after_`, as it was printed
    std::string event_;
    std::string operation_;
    Words memory_before_;
    Controller ours_;
    Controller theirs_;
    Controller theirs_before_;
    Effects our_effects_;
    Ranges ready_memory_;        // cleared, and not yet part of an object
    Ranges clean_memory_;
    Lines our_lines_;
    bool preempted_ = false;
};

}  // namespace caprock::lockstep
