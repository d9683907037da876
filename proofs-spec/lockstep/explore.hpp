// SPDX-License-Identifier: BSD-2-Clause
// Exhaustive search, breadth first: from a scene's start state every move in every state, each once; a state is known again whatever its objects' addresses
// are and whatever the time is.
#pragma once

#include "scenes.hpp"

#include <cstdint>
#include <string>

namespace caprock::lockstep {

struct Found {
    uint64_t transitions = 0;   // distinct ones: a state and a move
    uint64_t states = 0;        // distinct ones that were seen
    uint64_t expanded = 0;      // of which all moves were made
    unsigned depth = 0;         // of the last that was expanded; all nearer ones are
    std::string difference;     // with the moves that lead to it, empty if there is none
};

/// Searches from a scene until so many transitions were made, or nothing is left.
Found explore(const std::string& scene, Oracle& oracle, Tally& tally, uint64_t transitions);

/// A number for a state up to the names of its objects and relative to its time. The registers of threads that can run do not count: each move sets its own.
struct Key {
    uint64_t high;
    uint64_t low;
    bool operator==(const Key&) const = default;
};
Key key_of(const std::vector<Line>& state);

}  // namespace caprock::lockstep
