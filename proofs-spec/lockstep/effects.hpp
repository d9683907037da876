// SPDX-License-Identifier: BSD-2-Clause
// Effects of an event on the machine, of both sides in one form: how much memory was cleared and maintained whatever the pieces, what the
// TLBs and the interrupt controller were told, what was printed.
#pragma once

#include "controller.hpp"
#include "host_seam.hpp"

#include <string>
#include <vector>

namespace caprock::lockstep {

/// Disjoint ranges by their starts; neighbours are one.
class Ranges {
public:
    void add(Word start, Word end);
    bool contains(const Ranges& other) const;
    bool overlaps(Word start, Word end) const;
    Ranges without(const Ranges& other) const;
    bool empty() const { return ranges_.empty(); }
    Word bytes() const;
    std::string text() const;
    bool operator==(const Ranges&) const = default;
    auto begin() const { return ranges_.begin(); }
    auto end() const { return ranges_.end(); }

private:
    std::map<Word, Word> ranges_;
};

struct Effects {
    Ranges cleared;
    Ranges clean;                         // to the point of coherency
    Ranges ready;                         // free memory that was cleared now or before (the kernel's)
    Ranges ready_clean;                   // the same of what was cleaned
    Ranges flushed;                       // cleaned and invalidated
    Ranges unified;
    std::vector<std::string> tlb;         // in order
    std::vector<std::string> sent;        // software-generated interrupts
    std::map<Word, Word> written;         // words of user memory, the last value of each
    std::string printed;
    unsigned acknowledged = 0;            // interrupts (the kernel's)
    unsigned dropped = 0;                 // those whose priority it dropped
    /// A rule that the order of the effects breaks; empty if none.
    std::string disorder;
};

/// What the seam recorded. The controller is told what the kernel told it.
Effects effects_of(const std::vector<host::Effect>& record, Controller& controller);
/// What the specification said.
Effects effects_of(const std::vector<std::string>& said, Controller& controller);

/// What the kernel did otherwise than the specification says; empty when nothing. The kernel may clear memory that is free, and clean and
/// invalidate more than it has to.
std::string difference(const Effects& kernel, const Effects& specification);

}  // namespace caprock::lockstep
