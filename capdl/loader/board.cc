// SPDX-License-Identifier: BSD-2-Clause
// Compares what the description took from the device tree at build time with what the board says now.
#include "capdl/loader/device_tree.hpp"
#include "capdl/loader/report.hpp"

namespace caprock::loader {
namespace {

using Bytes = Slice<const uint8_t>;

/// True when the property's bytes from the fact's offset on are those of the build.
bool holds(const BoardFact& fact, Bytes value) {
    if (value.size < fact.offset || value.size - fact.offset < fact.bytes.size) return false;
    for (size_t i = 0; i < fact.bytes.size; ++i)
        if (value[fact.offset + i] != fact.bytes[i]) return false;
    return true;
}

void check_fact(const Loader& loader, const BoardFact& fact) {
    Bytes value;
    const Found found = find_property(loader.boot.device_tree, fact.path, fact.property, value);
    if (found == Found::Property && holds(fact, value)) return;
    Text text;
    text << "the board is not the one that " << system.name << " was built for: ";
    if (found == Found::Property)
        text << "`" << fact.property << "` of " << fact.path << " is another one";
    else if (found == Found::Node)
        text << fact.path << " has no `" << fact.property << "`";
    else
        text << fact.path << (found == Found::Disabled ? " is disabled" : " does not exist");
    halt(text << ", which " << fact.user << " needs (build the system with this board's device tree)");
}

}  // namespace

void check_board(const Loader& loader) {
    for (const BoardFact& fact : system.board_facts) check_fact(loader, fact);
}

}  // namespace caprock::loader
