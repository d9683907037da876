// SPDX-License-Identifier: BSD-2-Clause
// The specification's oracle as a program that is talked to through two pipes: events go in as lines of a trace, results and states come
// back. The forms of all lines are in proofs-spec/trace.md.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace caprock::lockstep {

/// The oracle ended, or said something that no oracle says.
struct OracleFailure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What an event came to, by the specification: a result, and effects in their order.
struct Outcome {
    std::string result;
    std::vector<std::string> effects;
    bool preempted() const { return result == "IsPreempted"; }
};

class Oracle {
public:
    /// Starts the program at `path`.
    explicit Oracle(const std::string& path);
    ~Oracle();
    Oracle(const Oracle&) = delete;
    Oracle& operator=(const Oracle&) = delete;

    /// Makes the lines of a state the state.
    void begin(const std::string& lines);
    /// Keeps the state under a name, and goes back to it.
    void save(std::string_view name);
    void restore(std::string_view name);
    /// Goes back, too, before the next event; the lines that change so are the first of that event's. If there is none, another state may be named.
    void restore_and_tell(std::string_view name) { next_state_ = name; }
    /// Performs an event: what it came to, and the lines of the state that are others than they were when they were read last.
    Outcome perform(const std::string& event, std::string& changes);
    /// All lines of the state, each with its line end.
    std::string state();

private:
    void write(std::string_view text);
    void send();
    void settle();
    std::string_view line();
    std::string lines();

    std::string next_state_;             // to be restored before the next event
    unsigned owed_ = 0;                  // lists of changed lines that were not read
    std::FILE* to_ = nullptr;
    int from_ = -1;
    int process_ = -1;
    std::string read_;                   // and not consumed: from `next_` on
    std::size_t next_ = 0;
};

}  // namespace caprock::lockstep
