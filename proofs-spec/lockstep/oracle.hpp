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
    /// Performs an event.
    Outcome perform(const std::string& event);
    /// The lines of the state, each with its line end.
    std::string state();

private:
    void write(const std::string& text);
    std::string line();

    std::FILE* to_ = nullptr;
    std::FILE* from_ = nullptr;
    int process_ = -1;
};

}  // namespace caprock::lockstep
