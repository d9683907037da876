// SPDX-License-Identifier: BSD-2-Clause
// Operations that the kernel may interrupt: executed once as a whole, and in further worlds preempted at each point in turn, at every pair
// of points, and at all of them. Afterwards the kernel's state must be the same, byte for byte.
#pragma once

#include "world.hpp"

#include <map>
#include <string>
#include <vector>

namespace caprock::test {

/// The kernel's state: objects and slots by address, and what the core and the kernel hold themselves.
struct Snapshot {
    struct Piece {
        const char* kind;
        std::vector<unsigned char> bytes;
        bool operator==(const Piece& other) const { return bytes == other.bytes; }
    };
    std::map<Word, Piece> pieces;
};

/// The result of the root task's last system call is not part of it.
Snapshot take_snapshot(const World& world);

/// What differs first; empty when nothing does.
std::string difference(const Snapshot& expected, const Snapshot& found);

/// How an operation is preempted: at the `first` point, at the `second` one after that (0: not), or at all points.
struct Preemption {
    unsigned first = 0;
    unsigned second = 0;
    bool always = false;
    std::string name() const;
};

/// Builds a world of type W with `build(world)`, then lets `operate(world)` run preempted as described.
/// The result says what differs from the state after an undisturbed run, or is empty.
struct Preempted {
    std::string problem;
    unsigned points = 0;  // of the undisturbed run
    unsigned runs = 0;
};

enum class Pairing { Points, Pairs };

template <class W, class Build, class Operate>
Preempted preempt_everywhere(Build build, Operate operate, Pairing pairing = Pairing::Points) {
    Preempted result;
    Snapshot expected;
    // False when the last point that was asked for lies behind the end of the operation, or something differs.
    auto run = [&](const Preemption& preemption) {
        W world;
        world.set_deep(false);
        world.set_checking(result.runs == 0);
        build(world);
        world.take_over();
        world.set_checking(true);
        world.limit_slots(world.used_slots());
        unsigned before = host::hardware.preemption_points;
        host::hardware.pending_at = preemption.first;
        host::hardware.pending_again = preemption.second;
        host::hardware.always_pending = preemption.always;
        operate(world);
        host::hardware.always_pending = false;
        bool reached = host::hardware.pending_at == 0 && host::hardware.pending_again == 0;
        host::hardware.pending_at = host::hardware.pending_again = 0;
        ++result.runs;
        world.check(result.runs == 1);
        if (preemption.first == 0 && !preemption.always) {
            result.points = host::hardware.preemption_points - before;
            expected = take_snapshot(world);
        } else if (reached) {
            std::string problem = difference(expected, take_snapshot(world));
            if (!problem.empty()) result.problem = preemption.name() + ": " + problem;
        }
        return reached && result.problem.empty();
    };
    run({});
    run({.always = true});
    for (unsigned first = 1; first <= result.points && result.problem.empty(); ++first) {
        if (!run({.first = first})) break;
        if (pairing == Pairing::Points) continue;
        for (unsigned second = 1; run({.first = first, .second = second}); ++second) {
        }
    }
    return result;
}

}  // namespace caprock::test
