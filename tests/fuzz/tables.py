#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes fuzz_tables.hpp: what the fuzzer has to know of every method to make calls that pass the first checks, taken from the API
description. A method that is added there is called from then on; a range that only prose describes counts as "any small number".

usage: tables.py API_FOLDER HEADER"""

import re
import sys
from pathlib import Path

# What stands for a limit that the description gives in prose only, such as "the authority's maximum controlled priority".
PROSE_RANGE = 46
UNIT_KINDS = {"address": "Address", "us": "Micros", "log2": "SizeBits"}

HEAD = """// SPDX-License-Identifier: BSD-2-Clause
// What the fuzzer knows of every method. Generated from kernel/api/*.toml by tests/fuzz/tables.py: do not edit.
#pragma once

#include <caprock/abi.hpp>

namespace caprock::fuzz {

/// How to draw a word of a method's message.
enum class WordKind : uint8_t {
    Any,       // nothing is known of it
    Range,     // low to high
    Mask,      // any bits of high
    Guard,     // a CNodeCapData
    Index,     // address of any slot under the capability `root` (0: the invoked one, i: argument i)
    Source,    // the same of a slot that must be occupied
    Target,    // the same of a slot that must be empty
    Depth,     // bits of that address
    Address,   // a user address
    Bytes,     // an offset in a frame
    Micros,    // a time
    SizeBits,  // log2 of an object's size
    Power,     // 0, or a power of two up to high
    After,     // a little more than the word before it
    Count,     // length of the tail, 0 to high
};
struct WordTable {
    WordKind kind;
    uint8_t root;
    uint64_t low, high;
};
/// A capability argument: bit t of `kinds` says that CapType t is taken; `optional`: or none.
struct CapTable {
    uint32_t kinds;
    bool optional;
};
/// words and caps are positions in the tables below.
struct MethodTable {
    const char* name;
    abi::CapType object;
    uint8_t word_count, cap_count;
    uint16_t words, caps;
};
"""


def constants(description) -> dict[str, int]:
    """The constants that ranges are written with."""
    return {entry["name"]: entry["value"] for entry in description.constants}


def value(text: str, names: dict[str, int]) -> int | None:
    """The number that a limit such as "domains - 1" is; None when it is prose."""
    text = text.strip().replace("_", "") if re.fullmatch(r"[\d_]+", text.strip()) else text.strip()
    found = re.fullmatch(r"(\w+)(?: - (\d+))?", text)
    if not found:
        return None
    base = int(found[1]) if found[1].isdecimal() else names.get(found[1])
    return None if base is None else base - int(found[2] or 0)


def limits(text: str, names: dict[str, int]) -> tuple[int, int] | None:
    """Smallest and largest value of a range "A to B", of which B may be prose; None for any other text."""
    found = re.match(r"([^,;]+?) to ([^,;]+)", text)
    low = value(found[1], names) if found else None
    if low is None:
        return None
    high = value(found[2], names)
    return low, low + PROSE_RANGE if high is None else high


def root_of(word: dict, method: dict) -> int:
    """Position of the capability under which a slot's address is resolved: 0 for the invoked one, else that of the argument plus 1."""
    prefix = word["name"].rpartition("_")[0]
    names = [cap["name"] for cap in method["caps"]]
    for name in (f"{prefix}_root", "root"):
        if name in names and (prefix not in ("dest",) or name != "root"):
            return names.index(name) + 1
    return 0


def slot_kind(word: dict, method: dict) -> str:
    """What the slot that an address names should be like."""
    if word["name"].startswith("dest") or (word["name"] == "index" and method["object"]["name"] != "CNode"):
        return "Target"
    return "Source" if word["name"].startswith(("src", "pivot")) else "Index"


def follows(word: dict, before: dict | None) -> bool:
    """Whether a word's range begins at the word before it."""
    return before is not None and bool(re.match(rf"(above )?`{before['name']}`", word["range"]))


def word_entry(description, method: dict, position: int, names: dict[str, int]) -> tuple[str, int, int, int]:
    """Kind, root, low and high of a word of a method."""
    word = method["words"][position]
    kind = description.kind_of(word["type"])
    if word["type"] == "CNodeCapData":
        return "Guard", 0, 0, 0
    if kind == "enum":
        values = [entry["value"] for entry in description.enum(word["type"])["values"]]
        return "Range", 0, 0, max(values)
    if kind == "bitfield":
        fields = next(entry for entry in description.bitfields if entry["name"] == word["type"])["fields"]
        return "Mask", 0, 0, sum(((1 << field["hi"] - field["lo"] + 1) - 1) << field["lo"] for field in fields)
    if word["type"] == "cptr":
        return slot_kind(word, method), root_of(word, method), 0, 0
    if word["name"].endswith("depth"):
        return "Depth", root_of(word, method), 0, 64
    if follows(word, method["words"][position - 1] if position else None):
        return "After", 0, 0, 0
    if "tail" in method and word["name"] == "count":
        return "Count", 0, 0, description.struct(method["tail"])["size"] // 8
    if word.get("unit") in UNIT_KINDS:
        return UNIT_KINDS[word["unit"]], 0, 0, 0
    powers = re.search(r"1, 2, 4(?:, 8)* or (\d+)", word["range"])
    if powers:
        return "Power", 0, 0, int(powers[1])
    found = limits(word["range"], names)
    if found and word.get("unit") == "bytes" and "size" in word["range"]:
        return "Bytes", 0, 0, 0
    return ("Range", 0, *found) if found else ("Any", 0, 0, 0)


def cap_entry(cap: dict, types: dict[str, int]) -> tuple[int, bool]:
    """Mask of the types that a capability argument takes, and whether it may be left out."""
    kinds = cap["kind"].split(" or ")
    return sum(1 << types[kind] for kind in kinds if kind != "null"), "null" in kinds


def render(description) -> str:
    """The header's text."""
    names = constants(description)
    types = {value["name"]: value["value"] for value in description.enum("CapType")["values"]}
    objects = {entry["name"]: types[entry["cap_type"]] for entry in description.objects}
    words, caps, methods = [], [], ['    {"no method", abi::CapType::Null, 0, 0, 0, 0},']
    for method in description.methods:
        first_word, first_cap = len(words), len(caps)
        for position, word in enumerate(method["words"]):
            kind, root, low, high = word_entry(description, method, position, names)
            words.append(f"    {{WordKind::{kind}, {root}, {low}u, {high}u}},  // {method['full_name']} {word['name']}")
        for cap in method["caps"]:
            mask, optional = cap_entry(cap, objects | types)
            caps.append(f"    {{{mask:#x}, {str(optional).lower()}}},  // {method['full_name']} {cap['name']}")
        name = f"{method['object']['name']}::{method['name']}"
        methods.append(f"    {{\"{name}\", abi::CapType::{method['object']['cap_type']}, {len(method['words'])}, {len(method['caps'])}, "
                       f"{first_word}, {first_cap}}},")
    return "\n".join((
        HEAD, "inline constexpr WordTable word_tables[] = {", *words, "};", "inline constexpr CapTable cap_tables[] = {", *caps, "};", "/// By label.",
        "inline constexpr MethodTable method_tables[] = {", *methods, "};",
        f"inline constexpr unsigned method_count = {len(methods)};", f"inline constexpr unsigned cap_types = {max(types.values()) + 1};",
        "", "}  // namespace caprock::fuzz", ""))


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    api, header = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path.insert(0, str(api))
    from description import Description, DescriptionError
    try:
        header.write_text(render(Description(api)), encoding="utf-8")
    except DescriptionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
