// SPDX-License-Identifier: BSD-2-Clause
// The canonical text of an abstract state (proofs-spec/trace.md), as lines by what they are of, and what two states differ in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace caprock::lockstep {

/// A number as the canonical text has it.
std::string hex(uint64_t number);
uint64_t number(std::string_view text);

/// The value of a field of a line, empty if the line lacks it.
std::string_view field(std::string_view line, std::string_view name);
/// The parts of a list; none of "-".
std::vector<std::string_view> parts(std::string_view list);

/// A line by its first words ("core", "object 0x…", "slot 0x…", …); the value is the rest of it.
struct Line {
    std::string_view key;
    std::string_view value;
};
/// The lines of a state. The order of children is left out: each side keeps it in its own way.
std::vector<Line> split_state(std::string_view text);

struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;
};
/// A state's lines by their keys.
using Lines = std::unordered_map<std::string, std::string, TextHash, std::equal_to<>>;
/// Takes over what has changed; a line without a value is gone.
void apply_changes(Lines& lines, std::string_view changes);

/// Values of registers that stand for others.
using Renaming = std::map<std::string, std::string, std::less<>>;

/// The lines that differ, at most `most`, as text; empty when none do. Both sides are free in how they keep
///   - the order of ready threads of different domains, and of threads that wait for the same instant;
///   - how much of an untyped without children is used; entries of the domain schedule that have no time;
///   - how many refills a round-robin context could have had; registers that the manual calls dead (x17, x18, NZCV aside the rest of SPSR);
///   - whether SError is masked;
///   - the numbers by which Inspect tells objects apart: `renaming` gives what the specification has for them.
std::string difference(const std::vector<Line>& kernel, const Lines& specification, const std::function<Renaming()>& renaming, unsigned most = 12);

}  // namespace caprock::lockstep
