# SPDX-License-Identifier: BSD-2-Clause
"""The state of a kernel: its canonical text (proofs-spec/trace.md) as objects and capabilities by physical address."""

from __future__ import annotations

from dataclasses import dataclass, field

SLOT_BYTES = 32
MEMORY = ("Untyped", "Frame")
IRQ_SLOTS = 1 << 56
"""Where the text has the slots of interrupts."""


def items(text: str) -> list[str]:
    """The items of a list: commas inside parentheses do not end one."""
    found, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append(text[start:position])
            start = position + 1
    return [] if text == "-" else [*found, text[start:]]


def call(text: str) -> tuple[str, tuple[int | None, ...]]:
    """A name and its arguments; None for -."""
    name, _, rest = text.partition("(")
    return name, tuple(None if word == "-" else int(word, 16) for word in items(rest.removesuffix(")") or "-"))


@dataclass(frozen=True)
class Held:
    """A capability. kind and arguments: as the text spells them. parent: address of the slot that it is derived from, or 0."""

    kind: str
    arguments: tuple[int | None, ...]
    parent: int

    @property
    def address(self) -> int:
        """Of the object."""
        return (self.arguments[0] or 0) if self.arguments else 0


@dataclass(frozen=True)
class Thing:
    """An object. kind: as the text spells it. fields: words by name."""

    kind: str
    fields: dict[str, str]

    def number(self, name: str) -> int:
        """A field that is a number; 0 for none."""
        return 0 if self.fields[name] == "-" else int(self.fields[name], 16)


@dataclass
class State:
    """All that a kernel has: objects and slots by address, whether each interrupt that has a handler is masked, turns of the domain schedule as
    (domain, ticks) by entry, address spaces by ASID. text: what tells of it."""

    text: str = ""
    core: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    objects: dict[int, Thing] = field(default_factory=dict)
    slots: dict[int, Held] = field(default_factory=dict)
    interrupts: list[int] = field(default_factory=list)
    turns: dict[int, tuple[int, int]] = field(default_factory=dict)
    spaces: dict[int, int] = field(default_factory=dict)

    @property
    def current(self) -> int:
        """The thread that runs."""
        return int(self.core["current"], 16)

    def things(self) -> set[tuple[str, int]]:
        """Kind and address of all that there is; what is no object of the kernel's, but memory, has a capability."""
        return {(thing.kind, address) for address, thing in self.objects.items()} | \
               {(cap.kind, cap.address) for cap in self.slots.values() if cap.kind in MEMORY}

    def slots_of(self, container: int, count: int) -> dict[int, Held]:
        """Occupied slots by index."""
        places = ((index, container + SLOT_BYTES * index) for index in range(count))
        return {index: self.slots[place] for index, place in places if place in self.slots}

    def entries(self, table: int) -> dict[int, tuple[str, tuple[int | None, ...]]]:
        """Entries of a page table or address space: index -> table(address), or page(address, size in bits, device, rights, attributes)."""
        pairs = (item.split(":", 1) for item in items(self.objects[table].fields["entries"]))
        return {int(index, 16): call(what) for index, what in pairs}


def fields_of(words: list[str]) -> dict[str, str]:
    """NAME=VALUE words."""
    return dict(word.split("=", 1) for word in words)


def parse(text: str) -> State:
    """The state that a text tells of."""
    state = State(text)
    pools: list[tuple[int, int]] = []
    for line in text.splitlines():
        word, *rest = line.split(" ")
        if word == "machine":
            state.machine = fields_of(rest)
        elif word == "core":
            state.core = fields_of(rest)
        elif word == "object":
            state.objects[int(rest[0], 16)] = Thing(rest[1], fields_of(rest[2:]))
        elif word == "slot":
            kind, arguments = call(rest[1])
            parent = fields_of(rest[2:])["parent"]
            state.slots[int(rest[0], 16)] = Held(kind, arguments, 0 if parent == "-" else int(parent, 16))
        elif word == "interrupt":
            state.interrupts.append(int(rest[0], 16))
        elif word == "turn":
            turn = fields_of(rest[1:])
            state.turns[int(rest[0], 16)] = (int(turn["domain"], 16), int(turn["length"], 16))
        elif word == "pool":
            pools.append((int(rest[0], 16), int(fields_of(rest[1:])["object"], 16)))
    for number, pool in pools:
        for item in items(state.objects[pool].fields["assigned"]) if pool in state.objects else ():
            index, space = (int(part, 16) for part in item.split(":"))
            state.spaces[number * 512 + index] = space
    return state
