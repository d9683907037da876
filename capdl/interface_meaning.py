# SPDX-License-Identifier: BSD-2-Clause
"""What an interface means, as text that two builds compare: its version, and the order, names and types of everything that travels.

Programs carry the text (in a section that is not loaded) and its hash. When the hashes differ, `differences` says in which fields. Time that
methods take, comments and places have no part in it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping

from .syntax import Interface

HASH_BYTES = 8
_HEAD = re.compile(r"interface (\w+) @(\d+)")
_METHOD = re.compile(r"method (\d+) (\w+)\((.*)\) -> (\S+)( idempotent)?")
_STRUCT = re.compile(r"struct (\w+) \{ (.*) \}")


def meaning(interface: Interface) -> str:
    """The text of a syntax.Interface: one line for the head and each struct and method."""
    lines = [f"interface {interface.name} @{interface.version}"]
    for struct in interface.structs:
        lines.append(f"struct {struct.name} {{ {', '.join(f'{item.type} {item.name}' for item in struct.fields)} }}")
    for label, method in enumerate(interface.methods, 1):
        parameters = ", ".join(f"{item.direction} {item.type} {item.name}" for item in method.parameters)
        lines.append(f"method {label} {method.name}({parameters}) -> {method.returns or 'void'}" + (" idempotent" if method.idempotent else ""))
    return "\n".join(lines)


def meaning_hash(text: str) -> int:
    """The hash of a meaning, a number of 64 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:HASH_BYTES], "little")


def name_of(text: str) -> str | None:
    """The name of the interface that a meaning is of, or None for other text."""
    match = _HEAD.match(text)
    return match[1] if match else None


def differences(theirs: str, ours: str) -> list[str]:
    """Sentences that say where two meanings differ: `theirs` of a program, `ours` of the description."""
    found = []
    their_head, our_head = _HEAD.match(theirs), _HEAD.match(ours)
    if their_head[2] != our_head[2]:
        found.append(f"version @{their_head[2]} in the program, @{our_head[2]} here")
    found += compare(structs(theirs), structs(ours), "struct")
    found += compare(methods(theirs), methods(ours), "method")
    return found or ["structs or methods stand in another order"]


def structs(text: str) -> dict[str, dict[str, str]]:
    """name -> fields by name, of the structs in a meaning."""
    return {match[1]: fields(match[2]) for match in map(_STRUCT.fullmatch, text.split("\n")) if match}


def methods(text: str) -> dict[str, dict[str, str]]:
    """name -> label, parameters and promises, by what they are called, of the methods in a meaning."""
    result = {}
    for match in map(_METHOD.fullmatch, text.split("\n")):
        if match:
            result[match[2]] = {"number": match[1], **fields(match[3]), "result": match[4], "idempotent": "yes" if match[5] else "no"}
    return result


def fields(text: str) -> dict[str, str]:
    """`type name, ...` as name -> number and type, quoted as messages call them."""
    items = [item.rsplit(" ", 1) for item in text.split(", ") if item]
    return {f"'{name}'": f"{kind} (number {number})" for number, (kind, name) in enumerate(items, 1)}


def compare(theirs: Mapping[str, dict[str, str]], ours: Mapping[str, dict[str, str]], what: str) -> Iterator[str]:
    """Differences between equally named things."""
    for name in dict.fromkeys([*theirs, *ours]):
        if name not in ours:
            yield f"{what} '{name}' is only in the program"
        elif name not in theirs:
            yield f"{what} '{name}' is only here"
        else:
            yield from compare_parts(theirs[name], ours[name], f"{what} '{name}'")


def compare_parts(theirs: Mapping[str, str], ours: Mapping[str, str], where: str) -> Iterator[str]:
    """Differences between the parts of one struct or method."""
    for part in dict.fromkeys([*theirs, *ours]):
        if part not in ours:
            yield f"{where}: {part} is only in the program: {theirs[part]}"
        elif part not in theirs:
            yield f"{where}: {part} is only here: {ours[part]}"
        elif theirs[part] != ours[part]:
            yield f"{where}: {part} is {theirs[part]} in the program, {ours[part]} here"
