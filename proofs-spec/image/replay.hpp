// SPDX-License-Identifier: BSD-2-Clause
// The replay: what the plugin saw of each kernel entry becomes an event of the specification's trace, the oracle performs it, and its state is
// compared with the kernel's, read from the machine's memory.
#pragma once

#include "gic.hpp"
#include "memory.hpp"
#include "seeds.hpp"

#include "../lockstep/abstraction.hpp"
#include "../lockstep/canonical.hpp"
#include "../lockstep/effects.hpp"
#include "../lockstep/oracle.hpp"

#include <cstdio>
#include <map>
#include <optional>

namespace caprock::image {

/// What happened so far.
struct Tally {
    uint64_t events = 0;
    uint64_t compared = 0;
    uint64_t preemptions = 0;
    uint64_t orders = 0;       // events after which the order of equals was the kernel's to choose
    uint64_t moments = 0;      // differences of events in which the counter moved between two looks at it
    std::map<std::string, uint64_t> results;
    std::map<std::string, std::vector<std::string>> differences;   // by the kind of event
};

class Replay {
public:
    /// `trace`: gets the trace of what was replayed, unless null. `every`: how many events pass between two comparisons.
    Replay(Memory& memory, lockstep::Oracle& oracle, Tally& tally, const GicPlace& gic, Word frequency, Word every, std::FILE* trace);

    void take(const Record& record);

private:
    // Words of an IPC buffer as they were before the event.
    struct Buffer {
        Word address;
        std::vector<Word> words;
    };

    void start(const Record& record);
    void enter(const Record& record);
    void leave(const Record& record);
    std::string kind_of_event() const;
    Word saved_register(Word context, unsigned i) const;
    void write_changed_registers();
    void write_readable_words();
    void remember_buffers();
    Word count_slots() const;
    void look();
    void take_live_registers(Context& context) const;
    void restore_words();
    void agree();
    bool agree_on_order(const std::string& event);
    std::string agree_on_preemption(const std::string& event);
    std::string compare(const std::string& event);
    std::string compare_memory(const lockstep::Effects& theirs) const;
    std::string compare_controllers() const;
    lockstep::Renaming identities() const;
    void take_over_state();
    void note(const std::string& event);
    Core& core() const { return *core_; }

    Memory& memory_;
    lockstep::Oracle& oracle_;
    Tally& tally_;
    Gic gic_;
    Word every_;
    std::FILE* trace_;

    Core* core_ = nullptr;
    Seeds seeds_;
    std::optional<lockstep::Inventory> inventory_;
    std::string text_;                      // the kernel's state
    std::vector<lockstep::Line> our_lines_; // of `text_`
    bool restored_ = false;                 // Memory::restore was applied to it
    lockstep::Lines lines_;                 // the specification's
    lockstep::Controller ours_;
    lockstep::Controller theirs_;
    lockstep::Controller theirs_before_;

    // Of the event that is under way.
    bool inside_ = false;
    Record entry_{};
    std::string parts_;                     // of its line: registers and words
    std::vector<Buffer> buffers_;
    Ticks charged_;
    std::pair<unsigned, Ticks> turn_;       // of the domain schedule
    Word registers_[34] = {};               // that a fast path leaves in the processor
    bool left_fast_ = false;
    const Tcb* before_ = nullptr;           // the current thread at the entry
    std::vector<Word> times_;
    std::optional<Word> irq_;
    bool preempted_ = false;
    Word slots_before_ = 0;                 // that were occupied
};

}  // namespace caprock::image
