// SPDX-License-Identifier: BSD-2-Clause
// The canonical text of an abstract state (proofs-spec/trace.md), as lines by what they are of, and what two states differ in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace caprock::lockstep {

/// A number as the canonical text has it.
std::string hex(uint64_t number);

/// The lines of a state by their first words ("core", "object 0x…", "slot 0x…", …); a value is the rest of the line.
using Lines = std::map<std::string, std::string>;

/// Splits the text of a state. The order of children is left out: each side keeps it in its own way.
Lines split_state(std::string_view text);
/// The value of a field of a line, empty if the line lacks it.
std::string_view field(std::string_view line, std::string_view name);
/// The parts of a list; none of "-".
std::vector<std::string_view> parts(std::string_view list);
uint64_t number(std::string_view text);

/// Makes alike what is the same state: both sides are free in how they keep
///   - the order of ready threads of different domains, and of threads that wait for the same instant;
///   - how much of an untyped without children is used; entries of the domain schedule that have no time;
///   - how many refills a round-robin context could have had; registers that the manual calls dead (x17, x18, NZCV aside the rest of SPSR).
void normalise(Lines& lines);

/// Replaces the values of a thread's registers that have another name.
void rename_registers(std::string& line, const std::map<std::string, std::string, std::less<>>& names);

/// The lines that differ, at most `most`, as text; empty when nothing does.
std::string difference(const Lines& kernel, const Lines& specification, unsigned most = 12);

}  // namespace caprock::lockstep
