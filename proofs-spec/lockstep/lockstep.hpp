// SPDX-License-Identifier: BSD-2-Clause
// The kernel's portable core and the specification's oracle, step by step: each event happens to both, and afterwards the abstract state,
// the user memory that the kernel wrote and the effects on the machine must be the same.
#pragma once

#include "abstraction.hpp"
#include "canonical.hpp"
#include "effects.hpp"
#include "oracle.hpp"
#include "processor.hpp"
#include "world.hpp"

#include <functional>
#include <optional>
#include <set>

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
    /// The controller tells of one, and has none when it is asked.
    void spurious_interrupt();
    void timer();
    void memory_fault(Word syndrome, Word address, bool fetch);
    void exception(Word syndrome);
    void use_fpu();
    void system_error();
    /// A breakpoint, a watchpoint, a step or a breakpoint instruction of the current thread. `address` is a watchpoint's.
    void debug(abi::BreakpointType reason, Word address);

    // -- For those who go back to earlier states: what the lockstep keeps beside the kernel's memory and the oracle's state.

    struct Aside {
        Controller ours;
        Controller theirs;
        Processor processor;
        Ranges ready_memory;
        Ranges clean_memory;
        std::map<Word, std::vector<Word>> swept;
    };
    Aside aside() const { return {ours_, theirs_, processor_, ready_memory_, clean_memory_, swept_}; }
    /// The kernel's memory is what it was then; the oracle goes back to the state that it saved under a name.
    void go_back(const Aside& aside, const std::string& name, const Inventory& inventory);
    Inventory take_inventory() const { return Inventory(world_.core(), &world_.slot(0), limit_); }
    /// Has the oracle save its state.
    void save(const std::string& name) { oracle_.save(name); }
    /// The kernel's state after the last event.
    const std::vector<Line>& state() const { return our_lines_; }

    /// What the current thread is about to do: the method that it invokes, or the system call.
    std::string operation() const;
    const std::string& last_operation() const { return operation_; }
    /// Whether the last event was preempted.
    bool preempted() const { return preempted_; }
    /// The state before the last event and the event, as a trace that the oracle replays by itself. It ends the lockstep.
    std::string last_trace();

private:
    // An IPC buffer as it was before the event.
    struct Buffer {
        Word address;
        Word words[sizeof(abi::IPCBuffer) / sizeof(Word)];
    };

    // Of the current thread, since its context was booked on last.
    struct Turn {
        const Tcb* thread = nullptr;
        Ticks start{};
        Ticks left{};
        std::vector<const Tcb*> equals;   // ready, with its priority
    };

    struct Placed {
        const Tcb* thread;
        Prio priority;
        DomainId domain;
    };

    Turn own_turn() const;
    std::vector<Placed> placed_threads() const;
    void note_overtaking(const std::vector<Placed>& placed, const Turn& own);
    bool is_over(const Turn& turn) const;
    bool goes_behind(const Turn& turn) const;
    bool stands_ahead_of_any(const Tcb& thread, const std::vector<const Tcb*>& others) const;
    void happen(std::string_view kind, std::string_view arguments, const std::function<void()>& entry);
    void write_changed_registers();
    void write_readable_words();
    void remember_buffers();
    void agree(const std::string& event);
    bool agree_on_order(const std::string& event);
    void agree_on_preemption(const std::string& event, unsigned most_units);
    static std::string after_units(const std::string& event, unsigned units);
    std::string compare(const std::string& event);
    std::string compare_memory(const Effects& theirs) const;
    std::string compare_controllers() const;
    Renaming identities() const;
    void fail(const std::string& what);
    void take_over_state();
    void look();
    std::map<Word, Context> contexts_of_sweepers() const;
    void forget_sweeps(const std::map<Word, Context>& before);
    std::vector<Word> overtaken();
    std::string wrong_context() const;
    std::string forgotten_in_use() const;
    void write_all_registers();

    test::World& world_;
    Oracle& oracle_;
    Tally& tally_;
    Word limit_;
    bool goes_on_;               // after a difference, from the kernel's state
    std::optional<Inventory> inventory_;
    std::string text_;           // the kernel's state
    Lines lines_;                // the specification's, as it was printed
    std::string event_;
    std::string operation_;
    std::vector<Buffer> buffers_;
    std::map<Word, std::vector<Word>> swept_;   // by callers of preempted CancelBadgedSends: who waited there then, from its place on
    Controller ours_;
    Controller theirs_;
    Controller theirs_before_;
    Effects our_effects_;
    Processor processor_;
    Ranges ready_memory_;        // cleared, and not yet part of an object
    Ranges clean_memory_;
    std::vector<Line> our_lines_;   // of `text_`
    std::string went_behind_;    // the thread whose turn the event ended, if it stands ahead of others nevertheless
    std::set<std::string> overtaking_;
    bool preempted_ = false;
    bool goes_back_ = false;     // `lines_` are not those of the state before the event
};

}  // namespace caprock::lockstep
