# SPDX-License-Identifier: BSD-2-Clause
"""The second dialect: a snapshot that a running kernel printed. Its first line is `-- Dump`, its names are TYPE@0xADDRESS[@BITS].

What plain capDL states, a dump leaves to the addresses: neighbours of one type are an array, an untyped covers what lies in it, and an
object called irqhandler@0xN is interrupt N. A name without an address that is needed makes the reference tool fail, at that point only.
"""

import re
from typing import NamedTuple

from ..diagnostics import Diagnostics, Place, Source
from ..syntax import CapDeclaration, CapEntry, IrqMapping, Module, NameReference, ObjectDeclaration, Range
from .grammar import Grammar, GrammarError
from .scanner import WORD_BITS

_WORD = 1 << WORD_BITS
_HEXADECIMAL = re.compile("[0-9a-fA-F]+")
_INTEGER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|[0-9]+)")
_FIXED_SIZES = {"irq": 1, "ep": 16, "notification": 16, "asid_pool": 4096, "io_pt": 4096, "io_device": 1, "arm_io_device": 1}
_SIZES = {"ia32": {"tcb": 1024, "pd": 4096, "pt": 4096}, "arm11": {"tcb": 512, "pd": 16384, "pt": 1024}}
_HANDLER = "irqhandler"


class Element(NamedTuple):
    """A dumped object as a declared one: an element of an array, or all there is of it."""

    name: str
    number: int | None

    def reference(self, dumped: ObjectDeclaration) -> NameReference:
        """How plain capDL refers to it; dumped: what gives the place."""
        return NameReference(self.name, None if self.number is None else (Range(self.number, self.number, single=True),), dumped.place)


def is_dump(text: str) -> bool:
    """True for a text in this dialect."""
    return text.split("\n", 1)[0].strip(" \t\r") == "-- Dump"


class DumpGrammar(Grammar):
    """Reads a dump into the tree that plain capDL would give."""

    def __init__(self, source: Source):
        super().__init__(source)
        self.elements: dict[str, Element] = {}
        self.untypeds: dict[Element, tuple[ObjectDeclaration, int]] = {}     # its end: the last address that does not count as in it
        self.covers: dict[Element, list[Element]] = {}
        self.declared: dict[Element, ObjectDeclaration] = {}
        self.interrupts: dict[int, ObjectDeclaration] = {}

    def module(self) -> Module:
        """arch NAME objects {...} caps {...} cdt {...}"""
        self.architecture()
        self.dumped_objects()
        for untyped in sorted(self.covers, key=lambda element: (element.name, -1 if element.number is None else element.number)):
            dumped = self.declared[untyped]
            body: list[ObjectDeclaration | NameReference] = [element.reference(self.declared[element]) for element in self.covers[untyped]]
            self.result.objects.append(ObjectDeclaration([], untyped.reference(dumped), "ut", [], body, dumped.place))
        self.word("caps")
        self.expect("{")
        while not self.accept("}"):
            self.dumped_container()
        self.word("cdt")
        self.cdt()
        if self.position < len(self.text):
            raise self.wrong("the end of the file")
        entries = [IrqMapping(number, self.elements[dumped.name.name].reference(dumped), dumped.place)
                   for number, dumped in sorted(self.interrupts.items())]
        self.result.irq_maps.append((self.place(), entries))
        return self.result

    def word(self, keyword: str) -> None:
        """Take the word that begins a section."""
        if not self.accept_keyword(keyword):
            raise self.wrong(f"'{keyword}'")

    def dumped_objects(self) -> None:
        """objects { NAME = TYPE (parameters) ... }"""
        self.word("objects")
        self.expect("{")
        objects = []
        while not self.accept("}"):
            place = self.place()
            name = NameReference(self.identifier("an object's name"), None, place)
            self.expect("=")
            dumped = self.object([name])
            if dumped.body is not None:
                raise GrammarError(place.offset, "an object of a dump has no braces")
            objects.append(dumped)
        start = 0
        while start < len(objects):
            end = start + 1
            while end < len(objects) and self.neighbours(objects[start], objects[end], end - start):
                end += 1
            self.declare(objects[start:end])
            start = end

    def neighbours(self, first: ObjectDeclaration, later: ObjectDeclaration, distance: int) -> bool:
        """True when `later` is the object `distance` places behind `first`."""
        if "@" not in first.name.name or "@" not in later.name.name:
            return False
        if first.type != later.type or [(item.name, item.value) for item in first.parameters] != [(item.name, item.value) for item in later.parameters]:
            return False
        return (address(first) + distance * self.size(first)) % _WORD == address(later)

    def size(self, dumped: ObjectDeclaration) -> int:
        """Bytes that the reference tool takes a dumped object to have."""
        if len(dumped.parameters) == 1:
            parameter = dumped.parameters[0]
            if dumped.type == "frame" and parameter.name == "size" and isinstance(parameter.value, int):
                return parameter.value
            if dumped.type in ("ut", "cnode") and parameter.name == "bits" and isinstance(parameter.value, int):
                return (16 if dumped.type == "cnode" else 1) << min(parameter.value, WORD_BITS)
        return {**_FIXED_SIZES, **_SIZES.get(self.result.arch or "", {})}.get(dumped.type, 0)

    def declare(self, run: list[ObjectDeclaration]) -> None:
        """Declare neighbours: as an array, if there are several. The reference tool takes the first one last."""
        first = run[0]
        count = len(run)
        name = first.name if count == 1 else NameReference(first.name.name, (Range(count, count, single=True),), first.place)
        self.result.objects.append(ObjectDeclaration([], name, first.type, first.parameters, None, first.place))
        for index, dumped in [*enumerate(run)][1:] + [(0, first)]:
            element = Element(first.name.name, None if count == 1 else index)
            own = dumped.name.name
            if own.split("@", 1)[0] == _HANDLER and "@" in own:
                self.interrupts[address(dumped)] = dumped
            self.elements[own] = element
            self.declared[element] = dumped
            if "@" in own:
                self.consider_untypeds(element, dumped)

    def consider_untypeds(self, element: Element, dumped: ObjectDeclaration) -> None:
        """Note which untyped, of those before, the object lies in: the smallest."""
        around = []
        if self.untypeds:
            own = address(dumped)
            around = [untyped for untyped, (outer, size) in sorted(self.untypeds.items(), key=lambda item: (item[0].name, item[0].number or 0))
                      if address(outer) <= own < (address(outer) + size - 1) % _WORD]
        if around:
            smallest = around[0] if len(around) == 1 else min(around, key=lambda untyped: size_in_name(untyped.name, self.declared[untyped]))
            self.covers.setdefault(smallest, []).append(element)
        if dumped.type == "ut":
            self.untypeds[element] = dumped, self.size(dumped)

    def dumped_container(self) -> None:
        """NAME { slot: NAME (parameters) - child_of parent ... }"""
        place = self.place()
        container = self.dumped_reference()
        self.expect("{")
        entries = []
        while not self.accept("}"):
            entry_place = self.place()
            slot = self.slot_label()
            target = self.dumped_reference()
            parameters = self.cap_parameters()
            parent = self.slot_reference() if self.accept_keyword("- child_of") else None
            entries.append(CapEntry(slot, None, target, False, parameters, parent, entry_place))
            self.accept(";")
        self.result.caps.append(CapDeclaration(container, entries, place))

    def dumped_reference(self) -> NameReference:
        """A dumped object's name, as the reference that plain capDL makes to it."""
        place = self.place()
        name = self.identifier("an object's name")
        element = self.elements.get(name, Element(name, None))
        return NameReference(element.name, None if element.number is None else (Range(element.number, element.number, single=True),), place)


def parse_dump(source: Source, diagnostics: Diagnostics) -> Module:
    """The syntax tree of a dump; empty after an error."""
    try:
        return DumpGrammar(source).module()
    except GrammarError as error:
        diagnostics.error(Place(source, error.offset), str(error), "syntax")
        return Module()


def address(dumped: ObjectDeclaration) -> int:
    """The address in a name."""
    parts = dumped.name.name.split("@0x")
    match = _HEXADECIMAL.match(parts[1]) if len(parts) > 1 else None
    if match is None:
        raise GrammarError(dumped.place.offset, f"the name '{dumped.name.name}' has no address (write TYPE@0xADDRESS)")
    return int(match.group()[-16:], 16)


def size_in_name(name: str, dumped: ObjectDeclaration) -> int:
    """The size of an untyped by its name, which decides between those that overlap."""
    parts = name.split("@")
    match = _INTEGER.fullmatch(parts[2]) if len(parts) > 2 else None
    if match is None:
        raise GrammarError(dumped.place.offset, f"the name '{name}' has no size (write untyped@0xADDRESS@BITS)")
    return int(match.group(), 0) if not match.group(1).isdecimal() else int(match.group())
