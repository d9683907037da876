# SPDX-License-Identifier: BSD-2-Clause
"""The reference tool's grammar, rule by rule, into the package's syntax tree.

Where it differs from the language of parser.py: a mere capability named as a TCB slot (`cspace`) is taken for that slot, derivations do not
nest, no parentheses or schedules are empty, frames have no unit G, and nothing is recovered after an error.
"""

from ..diagnostics import Source
from ..model import ARCHITECTURES, OBJECT_TYPES, TCB_SLOTS
from ..syntax import (CapDeclaration, CapEntry, CapName, CdtNode, DomainItem, IrqMapping, Module, NameReference, ObjectDeclaration, Parameter,
                      Range, SlotReference)
from .scanner import WORD_BITS, GrammarError, Scanner

__all__ = ["Grammar", "GrammarError"]

_ARCHITECTURES = {name: name for name in ARCHITECTURES}
_OBJECT_TYPES = {name: name for name in OBJECT_TYPES}
_UNITS = {"k": 1 << 10, "M": 1 << 20}
_BOOLEANS = {"True": True, "False": False}
_TRIGGERS = {"level": "level", "edge": "edge"}
_RIGHTS = "RWGXP"
_NUMBER_PARAMETERS = frozenset((
    "level", "addr", "ip", "sp", "prio", "max_prio", "affinity", "dom", "fault_ep", "paddr", "domainID", "iospace", "period", "budget", "data",
    "ioapic_num", "ioapic_pin", "ioapic_level", "ioapic_polarity", "msi_handle", "msi_pci_bus", "msi_pci_dev", "msi_pci_fun", "target",
    "asid_high", "bank", "irq"))


class Grammar(Scanner):
    """Reads one text."""

    def __init__(self, source: Source):
        super().__init__(source)
        self.result = Module()

    def module(self) -> Module:
        """arch NAME section+"""
        self.architecture()
        self.section()
        while self.position < len(self.text):
            self.section()
        return self.result

    def architecture(self) -> None:
        """arch NAME"""
        place = self.place()
        if not self.accept_keyword("arch"):
            raise self.wrong("'arch'")
        self.result.arch, self.result.arch_place = self.choose(_ARCHITECTURES, "an architecture"), place

    def section(self) -> None:
        """One section."""
        place = self.place()
        if self.accept_keyword("objects"):
            self.expect("{")
            while not self.accept("}"):
                self.object_tree()
        elif self.accept_keyword("caps"):
            self.expect("{")
            while not self.accept("}"):
                self.caps_entry()
        elif self.accept_keyword("irq maps"):
            self.result.irq_maps.append((place, self.irq_mappings()))
        elif self.accept_keyword("cdt"):
            self.cdt()
        elif self.accept_keyword("domains"):
            self.domains()
        else:
            raise self.wrong("a section (objects, caps, irq maps, cdt or domains)")

    # Names ------------------------------------------------------------------------------------------------------------------------------

    def reference(self, what: str) -> NameReference:
        """name, or name[ranges]"""
        place = self.place()
        name = self.identifier(what)
        if not self.accept("["):
            return NameReference(name, None, place)
        if self.accept("]"):
            return NameReference(name, (), place)
        ranges = [self.range()]
        while self.accept(","):
            ranges.append(self.range())
        self.expect("]")
        return NameReference(name, tuple(ranges), place)

    def range(self) -> Range:
        """n, a..b, ..b or a.."""
        if self.accept(".."):
            return Range(None, self.number())
        first = self.number()
        if not self.accept(".."):
            return Range(first, first, single=True)
        return Range(first, self.number() if self.next_is_number() else None)

    def slot(self) -> int:
        """A number, or the name of a TCB slot."""
        return self.number() if self.next_is_number() else self.choose(TCB_SLOTS, "a slot: a number or one of")

    def slot_label(self) -> int | None:
        """slot: -- a word that names a TCB slot is one, whatever else it names."""
        if not self.next_is_number() and self.peek_word() not in TCB_SLOTS:
            return None
        slot = self.slot()
        self.expect(":")
        return slot

    def slot_reference(self) -> SlotReference:
        """(object, slot), or the name of a capability"""
        place = self.place()
        if not self.accept("("):
            return SlotReference(self.reference("'(' or the name of a capability"), None, place)
        target = self.reference("an object")
        self.expect(",")
        slot = self.slot()
        self.expect(")")
        return SlotReference(target, slot, place)

    # objects ----------------------------------------------------------------------------------------------------------------------------

    def object_tree(self) -> None:
        """One declaration and all that stands in its braces, however deep."""
        opened: list[list[ObjectDeclaration | NameReference]] = [self.result.objects]  # type: ignore[list-item]  # it has declarations alone
        while opened:
            if len(opened) > 1 and self.accept("}"):
                opened.pop()
                self.accept_comma(opened)
                continue
            path = [self.reference("an object's name")]
            while self.accept("/"):
                path.append(self.reference("an object's name"))
            if self.accept("="):
                declaration = self.object(path)
                opened[-1].append(declaration)
                if declaration.body is not None:
                    opened.append(declaration.body)
                    continue
            elif len(path) > 1 or len(opened) == 1:
                raise self.wrong("'='")
            else:
                opened[-1].append(path[0])
            self.accept_comma(opened)

    def accept_comma(self, opened: list[list[ObjectDeclaration | NameReference]]) -> None:
        """A comma after an entry, which only braces have; with the last brace closed the tree is complete."""
        if len(opened) > 1:
            self.accept(",")
        else:
            opened.clear()

    def object(self, path: list[NameReference]) -> ObjectDeclaration:
        """type (parameters) and, if there is one, the opening brace."""
        kind = self.choose(_OBJECT_TYPES, "an object type")
        parameters = []
        if self.accept("(") and not self.accept(")"):
            parameters.append(self.object_parameter())
            while self.accept(","):
                parameters.append(self.object_parameter())
            self.expect(")")
        body: list[ObjectDeclaration | NameReference] | None = [] if self.accept("{") else None
        return ObjectDeclaration(path[:-1], path[-1], kind, parameters, body, path[0].place)

    def object_parameter(self) -> Parameter:
        """One parameter of an object."""
        place = self.place()
        if self.next_is_number():
            return self.numeric_parameter()
        name = self.peek_word()
        readers = {"resume": self.boolean, "fpu_disabled": self.boolean, "trigger": self.trigger, "init": self.arguments, "fill": self.fills,
                   "ports": self.ports}
        if name not in _NUMBER_PARAMETERS and name not in readers:
            raise self.wrong("a parameter")
        self.take(len(name))
        self.expect(":")
        return Parameter(name, readers.get(name, self.number)(), place)

    def numeric_parameter(self) -> Parameter:
        """n bits, 4k, 2M, or bus:device.function"""
        place = self.place()
        value = self.number()
        if self.accept_keyword("bits"):
            return Parameter("bits", value, place)
        if self.peek_word() in _UNITS:
            return Parameter("size", value * self.choose(_UNITS, "a unit") % (1 << WORD_BITS), place)
        if not self.accept(":"):
            raise self.wrong("'bits', 'k', 'M' or ':'")
        device = self.number()
        self.expect(".")
        return Parameter("pci", (value, device, self.number()), place)

    def boolean(self) -> bool:
        """True or False"""
        return self.choose(_BOOLEANS, "one of")

    def trigger(self) -> str:
        """level or edge"""
        return self.choose(_TRIGGERS, "one of")

    def arguments(self) -> tuple[int, ...]:
        """[n, ...]"""
        values: list[int] = []
        self.expect("[")
        if not self.accept("]"):
            values.append(self.number())
            while self.accept(","):
                values.append(self.number())
            self.expect("]")
        return tuple(values)

    def ports(self) -> tuple[int, int]:
        """[a..b]"""
        self.expect("[")
        first = self.number()
        self.expect("..")
        last = self.number()
        self.expect("]")
        return first, last

    def fills(self) -> list[list[str]]:
        """[{words}, ...]"""
        result: list[list[str]] = []
        self.expect("[")
        if self.accept("]"):
            return result
        result.append(self.fill())
        while self.accept(","):
            result.append(self.fill())
        self.expect("]")
        return result

    def fill(self) -> list[str]:
        """{words}: words are what stands between white space; none may stand before the closing brace."""
        words = []
        self.expect("{")
        while True:
            start = self.position
            while not self.next_is("}") and self.position < len(self.text) and not self.at_blank():
                self.position += 1
            if start == self.position:
                raise self.wrong("a word of the fill (no blank may stand before the '}')")
            words.append(self.text[start:self.position])
            if self.accept("}"):
                return words
            self.skip_blanks()

    def at_blank(self) -> bool:
        """True at a blank character."""
        character = self.text[self.position]
        return character in " \t\n\r\f\v\u00a0\u1680\u202f\u205f\u3000" or "\u2000" <= character <= "\u200a"

    # caps -------------------------------------------------------------------------------------------------------------------------------

    def caps_entry(self) -> None:
        """name = (object, slot), or container { capabilities }"""
        place = self.place()
        container = self.reference("an object, or a capability's name")
        if container.ranges is None and self.accept("="):
            if not self.next_is("("):
                raise self.wrong("'('")
            self.result.caps.append(CapName(container.name, self.slot_reference(), place))
            return
        self.expect("{")
        entries = []
        while not self.accept("}"):
            entries.append(self.cap_entry())
            self.accept(";")
        self.result.caps.append(CapDeclaration(container, entries, place))

    def cap_entry(self) -> CapEntry:
        """slot: name = target (parameters) - child_of parent"""
        place = self.place()
        slot, name = self.slot_label(), None
        target = None if self.next_is("<") else self.reference("an object, or a capability's name")
        if target is not None and self.accept("="):
            name, target = target, None
        is_copy = target is None and self.accept("<")
        if target is None:
            target = self.reference("a capability's name" if is_copy else "an object")
        if is_copy:
            self.expect(">")
        parameters = self.cap_parameters()
        parent = self.slot_reference() if self.accept_keyword("- child_of") else None
        return CapEntry(slot, name, target, is_copy, parameters, parent, place)

    def cap_parameters(self) -> list[Parameter]:
        """(parameter, ...)"""
        parameters = []
        if self.accept("("):
            parameters.append(self.cap_parameter())
            while self.accept(","):
                parameters.append(self.cap_parameter())
            self.expect(")")
        return parameters

    def cap_parameter(self) -> Parameter:
        """One parameter of a capability."""
        place, word = self.place(), self.peek_word()
        if self.next_is(_RIGHTS):
            return Parameter("rights", self.rights(), place)
        if word not in ("masked", "guard", "guard_size", "badge", "core", "reply", "master_reply", "asid", "cached", "uncached", "mapping"):
            raise self.wrong("a parameter of a capability")
        self.take(len(word))
        if word in ("reply", "master_reply"):
            return Parameter(word, True, place)
        if word in ("cached", "uncached"):
            return Parameter("cached", word == "cached", place)
        self.expect(":")
        if word == "masked":
            return Parameter(word, self.rights(), place)
        if word == "asid":
            return Parameter(word, self.asid(), place)
        if word == "mapping":
            if not self.next_is("("):
                raise self.wrong("'('")
            return Parameter(word, self.slot_reference(), place)
        return Parameter(word, self.number(), place)

    def rights(self) -> str:
        """Letters of R W G X P, together or apart."""
        letters = ""
        while self.next_is(_RIGHTS):
            letters += self.text[self.position]
            self.take(1)
        if not letters:
            raise self.wrong(f"rights (letters of {' '.join(_RIGHTS)})")
        return letters

    def asid(self) -> tuple[int, int]:
        """(high, low)"""
        self.expect("(")
        high = self.number()
        self.expect(",")
        low = self.number()
        self.expect(")")
        return high, low

    # irq maps, cdt, domains -------------------------------------------------------------------------------------------------------------

    def irq_mappings(self) -> list[IrqMapping]:
        """{ number: object ... }"""
        entries = []
        self.expect("{")
        while not self.accept("}"):
            place = self.place()
            number = self.slot_label()
            entries.append(IrqMapping(number, self.reference("an interrupt object"), place))
            self.accept(";")
        return entries

    def cdt(self) -> None:
        """{ parent { child ... } ... }"""
        self.expect("{")
        while not self.accept("}"):
            place = self.place()
            node = CdtNode(self.slot_reference(), [], place)
            self.expect("{")
            while not self.accept("}"):
                place = self.place()
                node.children.append(CdtNode(self.slot_reference(), [], place))
                self.accept(";")
            self.result.cdt.append(node)

    def domains(self) -> None:
        """{ item ... }"""
        self.expect("{")
        while True:
            place, name = self.place(), self.peek_word()
            if name not in ("schedule", "domain_set_start", "index_shift"):
                raise self.wrong("schedule, domain_set_start or index_shift")
            self.take(len(name))
            self.expect(":")
            value: object = None
            if name == "schedule":
                value = self.schedule()
            elif name == "index_shift" or not self.accept_keyword("no_start"):
                value = self.number()
            self.result.domains.append(DomainItem(name, value, place))
            if self.accept("}"):
                return

    def schedule(self) -> list[tuple[int, int, str | None]]:
        """[(domain, duration unit), ...], with a comma after the last one or not"""
        entries: list[tuple[int, int, str | None]] = []
        self.expect("[")
        while not entries or not self.next_is("]"):
            self.expect("(")
            domain = self.number()
            self.expect(",")
            duration = self.number()
            unit = next((word for word in ("ticks", "us") if self.accept_keyword(word)), None)
            self.expect(")")
            entries.append((domain, duration, unit))
            if not self.accept(","):
                break
        self.expect("]")
        return entries
