# SPDX-License-Identifier: BSD-2-Clause
"""Recursive descent from tokens to the syntax tree of the object level, with recovery, so that one run reports many errors.

The component level is parsed by the subclass in component_parser.py; parsing.py picks the right one.
"""

from collections.abc import Callable
from typing import TypeVar

from . import syntax
from .diagnostics import Diagnostics, Place, Source
from .lexer import Tokens, number_value
from .model import ARCHITECTURES, OBJECT_TYPES, TCB_SLOTS

Entry = TypeVar("Entry")

MAX_SYNTAX_ERRORS = 20
MAX_NESTING = 64
MAX_NUMBER = (1 << 64) - 1
SIZE_UNITS = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
RIGHT_LETTERS = frozenset("RWGXP")
RESERVED = ("objects", "caps")

# Parameters `name: number` and `name: True` of objects.
_NUMBER_PARAMETERS = frozenset(("paddr", "level", "addr", "ip", "sp", "prio", "max_prio", "affinity", "dom", "fault_ep", "domainID",
                                "iospace", "period", "budget", "data", "ioapic_num", "ioapic_pin", "ioapic_level", "ioapic_polarity",
                                "msi_handle", "msi_pci_bus", "msi_pci_dev", "msi_pci_fun", "target", "irq", "bank", "asid_high"))
_BOOLEAN_PARAMETERS = frozenset(("resume", "fpu_disabled"))
_OBJECT_TYPES = frozenset(OBJECT_TYPES)


class SyntaxProblem(Exception):
    """A syntax error at `offset`; caught where the parser can resume."""

    def __init__(self, offset: int, message: str):
        super().__init__(message)
        self.offset = offset


class TooManyErrors(Exception):
    """So many syntax errors that further ones help nobody."""


class Parser:
    """Parses one source into a syntax.Module; findings go to `diagnostics`."""

    number_parameters = _NUMBER_PARAMETERS
    boolean_parameters = _BOOLEAN_PARAMETERS

    def __init__(self, source: Source, diagnostics: Diagnostics, strict: bool = True):
        """source: diagnostics.Source. strict: numbers above 64 bits are errors; they wrap otherwise."""
        self.source = source
        self.diagnostics = diagnostics
        self.strict = strict
        tokens = Tokens(source.text)
        self.kinds, self.texts, self.offsets = tokens.kinds, tokens.texts, tokens.offsets
        self.unclosed_comment = tokens.unclosed_comment
        self.index = 0
        self.nesting = 0
        self.error_count = 0
        self.entries: list[int] = []   # first tokens of the section, and of the entries of blocks, that are being read
        self.module = syntax.Module()

    # Tokens -----------------------------------------------------------------------------------------------------------------------------

    def place(self, index: int | None = None) -> Place:
        """The place of token `index`, by default the next one."""
        return Place(self.source, self.offsets[self.index if index is None else index])

    def problem(self, message: str, index: int | None = None) -> SyntaxProblem:
        """A SyntaxProblem at token `index`, by default the next one, for the caller to raise."""
        return SyntaxProblem(self.offsets[self.index if index is None else index], message)

    def found(self) -> str:
        """The next token as messages call it."""
        kind, text = self.kinds[self.index], self.texts[self.index]
        if kind == "end":
            return "the end of the file"
        return f"'{text if len(text) <= 40 else text[:37] + '...'}'"

    def accept(self, kind: str) -> bool:
        """Take the next token if it is the punctuation mark `kind`."""
        if self.kinds[self.index] == kind:
            self.index += 1
            return True
        return False

    def expect(self, kind: str, what: str | None = None) -> None:
        """Take the punctuation mark `kind`; what: what it would begin or end, for the message."""
        if self.kinds[self.index] != kind:
            raise self.problem(f"expected '{kind}'{f' {what}' if what else ''}, found {self.found()}")
        self.index += 1

    def at_word(self, *words: str) -> bool:
        """True when the next token is one of the names `words`."""
        return self.kinds[self.index] == "name" and self.texts[self.index] in words

    def accept_word(self, word: str) -> bool:
        """Take the name `word` if it is next."""
        if self.kinds[self.index] == "name" and self.texts[self.index] == word:
            self.index += 1
            return True
        return False

    def expect_word(self, word: str) -> None:
        """Take the name `word`."""
        if not self.accept_word(word):
            raise self.problem(f"expected '{word}', found {self.found()}")

    def name(self, what: str = "a name") -> str:
        """Take a name; what: what it names."""
        index = self.index
        if self.kinds[index] != "name":
            raise self.problem(f"expected {what}, found {self.found()}")
        text = self.texts[index]
        if text in RESERVED:
            raise self.problem(f"expected {what}, found the reserved word '{text}' (choose another name)")
        self.index = index + 1
        return text

    def number(self, what: str = "a number") -> int:
        """Take a number."""
        index = self.index
        if self.kinds[index] != "number":
            raise self.problem(f"expected {what}, found {self.found()}")
        self.index = index + 1
        value = number_value(self.texts[index])
        if value > MAX_NUMBER:
            if self.strict:
                self.report(SyntaxProblem(self.offsets[index], "the number does not fit 64 bits (the largest is 0xffffffffffffffff)"),
                            "number-range")
            value &= MAX_NUMBER
        return value

    def string(self, what: str = "a text in double quotes") -> str:
        """Take a string; gives its text without the quotes."""
        if self.kinds[self.index] != "string":
            raise self.problem(f"expected {what}, found {self.found()}")
        self.index += 1
        return self.texts[self.index - 1][1:-1]

    def adjacent(self, first: str, second: str) -> bool:
        """True when the next tokens are `first` and `second` with exactly one space between."""
        index = self.index
        return (self.texts[index] == first and self.texts[index + 1:index + 2] == [second]
                and self.offsets[index + 1] == self.offsets[index] + len(first) + 1
                and self.source.text[self.offsets[index + 1] - 1] == " ")

    # Recovery ---------------------------------------------------------------------------------------------------------------------------

    def report(self, problem: SyntaxProblem, check: str = "syntax") -> None:
        """Record a SyntaxProblem; raises TooManyErrors when there are many."""
        self.module.damage.add(self.source, self.offsets[self.entries[-1]] if self.entries else problem.offset, problem.offset + 1)
        for entry in self.entries[:-1]:
            self.module.damage.names |= self.words_before_braces(entry)
        self.diagnostics.error(Place(self.source, problem.offset), str(problem), check)
        self.error_count += 1
        if self.error_count >= MAX_SYNTAX_ERRORS:
            raise TooManyErrors

    def words_before_braces(self, entry: int) -> set[str]:
        """The words of an entry in front of its braces."""
        end = entry
        while end < self.index and self.kinds[end] != "{":
            end += 1
        return set(self.texts[entry:end])

    def damage(self, start: int, previous: int | None = None) -> None:
        """The tokens from `start` to the next one were not understood, nor was the line before them. previous: the entry ahead of them, which may have
        ended too early. What begins without a name may have been anything's declaration."""
        damage = self.module.damage
        if previous is not None:
            damage.names |= self.words_before_braces(previous)
        damage.add(self.source, self.source.text.rfind("\n", 0, self.offsets[start]) + 1, self.offsets[self.index])
        named = self.kinds[start] in ("name", "(", "<") or self.kinds[start + 1:start + 3] == [":", "name"]
        damage.whole |= not named or "include" in self.texts[start:self.index]

    def starts_line(self, index: int) -> bool:
        """True when token `index` is the first on its line."""
        begin = self.offsets[index - 1] + len(self.texts[index - 1]) if index else 0
        return "\n" in self.source.text[begin:self.offsets[index]]

    def recover(self, start: int) -> None:
        """After an error in the entry that began at token `start`: go to the next entry of the same block, or to its `}`."""
        depth, index = 0, start
        while True:
            kind = self.kinds[index]
            if kind == "end":
                break
            if kind == "}":
                if depth == 0:
                    break
                depth -= 1
            elif kind == "{":
                depth += 1
            elif index > start and index >= self.index and depth == 0 and kind in ("name", "number", "(", "<") and self.starts_line(index):
                break
            index += 1
        self.index = max(index, start + 1) if self.kinds[start] not in ("}", "end") else start

    def closed(self) -> bool:
        """Take an empty body, which every object may have: {}"""
        if self.kinds[self.index] == "{" and self.kinds[self.index + 1] == "}":
            self.index += 2
            return True
        return False

    def block(self, parse_entry: Callable[[], None], what: str) -> None:
        """`{ entries }`: calls parse_entry until the brace closes; `;` and `,` between entries are skipped by the entries."""
        self.expect("{", f"before {what}")
        opened = self.index - 1
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self.nesting -= 1
            raise self.problem(f"braces nest deeper than {MAX_NESTING} levels", opened)
        previous = None
        while self.kinds[self.index] != "}":
            if self.kinds[self.index] == "end":
                self.nesting -= 1
                raise self.problem(f"the '{{' before {what} is never closed (add a '}}')", opened)
            start, nesting = self.index, self.nesting
            self.entries.append(start)
            depth = len(self.entries)
            try:
                parse_entry()
            except SyntaxProblem as problem:
                self.nesting = nesting
                del self.entries[depth:]
                self.report(problem)
                self.recover(start)
                self.damage(start, previous)
            self.entries.pop()
            previous = start
        self.nesting -= 1
        self.index += 1

    # Names ------------------------------------------------------------------------------------------------------------------------------

    def reference(self, what: str = "a name") -> syntax.NameReference:
        """name, name[n], name[], name[a..b], name[3,5,7..9]"""
        index = self.index
        name = self.name(what)
        ranges = None
        if self.kinds[self.index] == "[":
            self.index += 1
            ranges = self.ranges()
        return syntax.NameReference(name, ranges, Place(self.source, self.offsets[index]))

    def ranges(self) -> tuple[syntax.Range, ...]:
        """What stands in the brackets of a reference, and the closing one."""
        if self.accept("]"):
            return ()
        ranges = [self.range()]
        while self.accept(","):
            ranges.append(self.range())
        self.expect("]", "after the indices")
        return tuple(ranges)

    def range(self) -> syntax.Range:
        """n, a..b, a.. or ..b"""
        if self.accept(".."):
            return syntax.Range(None, self.number("an index after '..'"))
        first = self.number("an index")
        if not self.accept(".."):
            return syntax.Range(first, first, single=True)
        return syntax.Range(first, self.number() if self.kinds[self.index] == "number" else None)

    def slot(self) -> int:
        """A slot: a number or one of the names of a TCB's slots."""
        if self.kinds[self.index] == "name" and self.texts[self.index] in TCB_SLOTS:
            self.index += 1
            return TCB_SLOTS[self.texts[self.index - 1]]
        return self.number("a slot (a number, or a TCB slot such as cspace)")

    def slot_reference(self) -> syntax.SlotReference:
        """(object, slot), or the name of a capability"""
        place = self.place()
        if self.accept("("):
            target = self.reference("an object")
            self.expect(",", "between object and slot")
            slot = self.slot()
            self.expect(")", "after the slot")
            return syntax.SlotReference(target, slot, place)
        return syntax.SlotReference(self.reference("a capability's name or '('"), None, place)

    # objects ----------------------------------------------------------------------------------------------------------------------------

    def object_entry(self) -> None:
        """An entry of `objects`."""
        self.module.objects.append(self.object_declaration())

    def object_declaration(self) -> syntax.ObjectDeclaration:
        """a/b/name = type (parameters) { body }"""
        place = self.place()
        path = [self.reference("an object's name")]
        while self.accept("/"):
            path.append(self.reference("an object's name after '/'"))
        self.expect("=", "after the object's name")
        type_index = self.index
        kind = self.name("an object type")
        if kind not in _OBJECT_TYPES:
            raise self.problem(f"unknown object type '{kind}' (known: {' '.join(OBJECT_TYPES)})", type_index)
        parameters = self.parameters(self.object_parameter) if self.kinds[self.index] == "(" else []
        body: list[syntax.ObjectDeclaration | syntax.NameReference] | None = None
        if kind != "ut" and self.closed():
            body = []
        elif self.kinds[self.index] == "{":
            if kind != "ut":
                raise self.problem(f"only an untyped (ut) covers objects, not type {kind} (remove the braces)")
            entries: list[syntax.ObjectDeclaration | syntax.NameReference] = []
            self.block(lambda: entries.append(self.body_entry()), "the objects of an untyped")
            body = entries
        return syntax.ObjectDeclaration(path[:-1], path[-1], kind, parameters, body, place)

    def body_entry(self) -> syntax.ObjectDeclaration | syntax.NameReference:
        """A declaration or a reference in the body of an untyped."""
        start = self.index
        self.reference("an object's name")
        is_declaration = self.kinds[self.index] in ("=", "/")
        self.index = start
        entry: syntax.ObjectDeclaration | syntax.NameReference = self.object_declaration() if is_declaration else self.reference()
        self.accept(",")
        return entry

    def parameters(self, parse_parameter: Callable[[], Entry]) -> list[Entry]:
        """( parameter, ... )"""
        self.index += 1
        result: list[Entry] = []
        if self.accept(")"):
            return result
        while True:
            result.append(parse_parameter())
            if self.kinds[self.index] != ",":
                break
            self.index += 1
        self.expect(")", "or ',' after a parameter")
        return result

    def object_parameter(self) -> syntax.Parameter:
        """One parameter of an object."""
        place = self.place()
        if self.kinds[self.index] == "number":
            return self.numeric_parameter(place)
        name = self.name("a parameter")
        start = self.index - 1
        self.expect(":", f"after '{name}'")
        if name in self.number_parameters:
            return syntax.Parameter(name, self.number(), place)
        if name in self.boolean_parameters:
            return syntax.Parameter(name, self.boolean(), place)
        if name == "trigger":
            return syntax.Parameter(name, self.trigger(), place)
        if name == "init":
            return syntax.Parameter(name, self.number_list(), place)
        if name == "fill":
            return syntax.Parameter(name, self.fills(), place)
        if name == "ports":
            return syntax.Parameter(name, self.port_range(), place)
        raise self.problem(f"unknown parameter '{name}'", start)

    def numeric_parameter(self, place: Place) -> syntax.Parameter:
        """n bits, 4k, 2M, or a PCI device bus:device.function"""
        value = self.number()
        if self.accept(":"):
            device = self.number("a PCI device")
            self.expect(".", "before the PCI function")
            return syntax.Parameter("pci", (value, device, self.number("a PCI function")), place)
        if self.accept_word("bits"):
            return syntax.Parameter("bits", value, place)
        if self.at_word(*SIZE_UNITS):
            self.index += 1
            return syntax.Parameter("size", value * SIZE_UNITS[self.texts[self.index - 1]], place)
        raise self.problem(f"expected 'bits', 'k' or 'M' after the number, found {self.found()}")

    def boolean(self) -> bool:
        """True or False"""
        if self.at_word("True", "False"):
            self.index += 1
            return self.texts[self.index - 1] == "True"
        raise self.problem(f"expected True or False, found {self.found()}")

    def trigger(self) -> str:
        """level, edge, or their numbers 0 and 1"""
        if self.at_word("level", "edge"):
            self.index += 1
            return self.texts[self.index - 1]
        if self.kinds[self.index] == "number" and self.texts[self.index] in ("0", "1"):
            return ("level", "edge")[self.number()]
        raise self.problem(f"expected level or edge, found {self.found()}")

    def number_list(self) -> tuple[int, ...]:
        """[n, ...]"""
        self.expect("[", "before the arguments")
        values = []
        if not self.accept("]"):
            values.append(self.number())
            while self.accept(","):
                values.append(self.number())
            self.expect("]", "after the arguments")
        return tuple(values)

    def port_range(self) -> tuple[int, int]:
        """[a..b]"""
        self.expect("[", "before the ports")
        first = self.number()
        self.expect("..", "between the ports")
        last = self.number()
        self.expect("]", "after the ports")
        return first, last

    def fills(self) -> list[tuple[list[str], Place]]:
        """[{words}, ...] or {words}: a list of (words, Place)"""
        if self.kinds[self.index] == "{":
            return [self.fill()]
        self.expect("[", "before the fills")
        result: list[tuple[list[str], Place]] = []
        if self.accept("]"):
            return result
        result.append(self.fill())
        while self.accept(","):
            result.append(self.fill())
        self.expect("]", "after the fills")
        return result

    def fill(self) -> tuple[list[str], Place]:
        """{words}: split at white space only, whatever characters the words have"""
        place = self.place()
        self.expect("{", "before a fill")
        text = self.source.text
        end = text.find("}", place.offset)
        if end < 0:
            raise SyntaxProblem(place.offset, "the '{' of the fill is never closed (add a '}')")
        while self.offsets[self.index] < end:
            self.index += 1
        self.expect("}", "after the fill")
        return text[place.offset + 1:end].split(), place

    # caps -------------------------------------------------------------------------------------------------------------------------------

    def caps_entry(self) -> None:
        """container { capabilities }, or name = (object, slot)"""
        place = self.place()
        container = self.reference("an object, or a capability's name")
        if self.kinds[self.index] == "=":
            if container.ranges is not None:
                raise self.problem("a capability that is named by its slot has no index")
            self.index += 1
            if self.kinds[self.index] != "(":
                raise self.problem(f"expected '(' before object and slot, found {self.found()}")
            self.module.caps.append(syntax.CapName(container.name, self.slot_reference(), place))
            return
        entries = []
        self.block(lambda: entries.append(self.cap_entry()), "the capabilities of an object")
        self.module.caps.append(syntax.CapDeclaration(container, entries, place))

    def cap_entry(self) -> syntax.CapEntry:
        """slot: name = target (parameters) - child_of parent ;"""
        kinds, texts = self.kinds, self.texts
        index = self.index
        place = Place(self.source, self.offsets[index])
        slot = name = None
        if kinds[index] == "number" or kinds[index + 1] == ":":
            slot = self.slot()
            self.expect(":", "after the slot")
        if kinds[self.index] == "<":
            return self.cap_tail(slot, name, place)
        start = self.index
        if kinds[start] == "name" and texts[start] not in RESERVED and kinds[start + 1] not in ("[", "="):
            return self.cap_tail(slot, None, place)
        reference = self.reference("an object, or a capability's name")
        if kinds[self.index] == "=":
            self.index += 1
            name = reference
        else:
            self.index = start
        return self.cap_tail(slot, name, place)

    def cap_tail(self, slot: int | None, name: syntax.NameReference | None, place: Place) -> syntax.CapEntry:
        """The part of a capability from its target on."""
        is_copy = self.accept("<")
        target = self.reference("a capability's name" if is_copy else "an object")
        if is_copy:
            self.expect(">", "after the capability's name")
        parameters = self.parameters(self.cap_parameter) if self.kinds[self.index] == "(" else []
        parent = None
        if self.kinds[self.index] == "-":
            if not self.adjacent("-", "child_of"):
                raise self.problem("expected '- child_of' (with one space)")
            self.index += 2
            parent = self.slot_reference()
        if self.kinds[self.index] == ";":
            self.index += 1
        return syntax.CapEntry(slot, name, target, is_copy, parameters, parent, place)

    def rights(self) -> str:
        """Letters of R W G X P, together or apart."""
        letters = []
        while self.kinds[self.index] == "name" and RIGHT_LETTERS.issuperset(self.texts[self.index]):
            letters.append(self.texts[self.index])
            self.index += 1
        if not letters:
            raise self.problem(f"expected rights (letters of R W G X P), found {self.found()}")
        return "".join(letters)

    def cap_parameter(self) -> syntax.Parameter:
        """One parameter of a capability."""
        index = self.index
        place = Place(self.source, self.offsets[index])
        if self.kinds[index] != "name":
            raise self.problem(f"expected a parameter of a capability, found {self.found()}")
        name = self.texts[index]
        if RIGHT_LETTERS.issuperset(name):
            return syntax.Parameter("rights", self.rights(), place)
        self.index = index + 1
        if name in ("reply", "master_reply"):
            return syntax.Parameter(name, True, place)
        if name in ("cached", "uncached"):
            return syntax.Parameter("cached", name == "cached", place)
        if name not in ("masked", "badge", "guard", "guard_size", "core", "asid", "mapping"):
            raise self.problem(f"unknown parameter '{name}' of a capability", index)
        self.expect(":", f"after '{name}'")
        if name == "masked":
            return syntax.Parameter(name, self.rights(), place)
        if name == "asid":
            return syntax.Parameter(name, self.asid(), place)
        if name == "mapping":
            if self.kinds[self.index] != "(":
                raise self.problem(f"expected '(' before container and slot, found {self.found()}")
            return syntax.Parameter(name, self.slot_reference(), place)
        return syntax.Parameter(name, self.number(), place)

    def asid(self) -> tuple[int, int]:
        """(high, low)"""
        self.expect("(", "before the ASID")
        high = self.number()
        self.expect(",", "between the parts of the ASID")
        low = self.number()
        self.expect(")", "after the ASID")
        return high, low

    # irq maps, cdt, domains -------------------------------------------------------------------------------------------------------------

    def irq_maps(self) -> None:
        """irq maps { number: object }"""
        place, entries = self.place(), []

        def entry() -> None:
            start = self.place()
            number = None
            if self.kinds[self.index] == "number":
                number = self.number()
                self.expect(":", "after the interrupt's number")
            entries.append(syntax.IrqMapping(number, self.reference("an interrupt object"), start))
            self.accept(";")
        self.index += 2
        self.block(entry, "the interrupts")
        self.module.irq_maps.append((place, entries))

    def cdt_entry(self) -> None:
        """slotref { children }"""
        self.module.cdt.append(self.cdt_node())

    def cdt_node(self, needs_children: bool = True) -> syntax.CdtNode:
        """A capability and, in braces, those derived from it."""
        place = self.place()
        slot = self.slot_reference()
        children = []
        if needs_children or self.kinds[self.index] == "{":
            self.block(lambda: children.append(self.cdt_node(needs_children=False)), "derived capabilities")
        self.accept(";")
        return syntax.CdtNode(slot, children, place)

    def domain_item(self) -> None:
        """schedule, domain_set_start or index_shift"""
        place = self.place()
        name = self.name("schedule, domain_set_start or index_shift")
        start = self.index - 1
        if name not in ("schedule", "domain_set_start", "index_shift"):
            raise self.problem(f"unknown item '{name}' (known: schedule, domain_set_start, index_shift)", start)
        self.expect(":", f"after '{name}'")
        value: object
        if name == "schedule":
            value = self.schedule()
        elif name == "domain_set_start" and self.accept_word("no_start"):
            value = None
        else:
            value = self.number()
        self.module.domains.append(syntax.DomainItem(name, value, place))

    def schedule(self) -> list[tuple[int, int, str | None]]:
        """[(domain, duration), ...]; a duration may have a unit (ticks or us)"""
        self.expect("[", "before the schedule")
        entries = []
        while not self.accept("]"):
            self.expect("(", "before a domain")
            domain = self.number("a domain")
            self.expect(",", "between domain and duration")
            duration = self.number("a duration")
            unit = None
            if self.at_word("ticks", "us"):
                unit = self.texts[self.index]
                self.index += 1
            self.expect(")", "after the duration")
            entries.append((domain, duration, unit))
            if not self.accept(",") and self.kinds[self.index] != "]":
                raise self.problem(f"expected ',' or ']' after an entry of the schedule, found {self.found()}")
        return entries

    # Module -----------------------------------------------------------------------------------------------------------------------------

    def arch(self) -> None:
        """arch NAME"""
        place = self.place()
        self.index += 1
        index = self.index
        name = self.name("an architecture")
        if name not in ARCHITECTURES:
            raise self.problem(f"unknown architecture '{name}' (known: {' '.join(ARCHITECTURES)})", index)
        if self.module.arch is not None:
            raise self.problem("the architecture is given twice (remove one)", index - 1)
        self.module.arch, self.module.arch_place = name, place

    def section(self) -> bool:
        """One section; False when no section begins here."""
        if self.accept_word("objects"):
            self.block(self.object_entry, "the objects")
        elif self.accept_word("caps"):
            self.block(self.caps_entry, "the capabilities")
        elif self.adjacent("irq", "maps"):
            self.irq_maps()
        elif self.at_word("irq"):
            raise self.problem("expected 'irq maps' (with one space)")
        elif self.accept_word("cdt"):
            self.block(self.cdt_entry, "the derivations")
        elif self.accept_word("domains"):
            self.block(self.domain_item, "the domains")
        else:
            return False
        return True

    section_words = "objects, caps, irq maps, cdt or domains"

    def parse(self) -> syntax.Module:
        """The module. With errors among the findings it holds what could be understood."""
        if self.unclosed_comment is not None:
            self.diagnostics.error(Place(self.source, self.unclosed_comment), "the comment is never closed (add a '*/')", "syntax")
            self.module.damage.add(self.source, self.unclosed_comment, len(self.source.text) + 1)
        try:
            self.header()
            while self.kinds[self.index] != "end":
                self.recovering_section()
        except TooManyErrors:
            self.diagnostics.error(self.place(), "too many syntax errors; the rest of the file was not read", "syntax")
            self.module.damage.add(self.source, self.offsets[self.entries[0]] if self.entries else 0, len(self.source.text) + 1)
            self.module.damage.whole = True
        return self.module

    def recovering_section(self) -> None:
        """A section; after an error in its frame, the next one."""
        start = self.index
        self.entries = [start]
        try:
            if not self.section():
                raise self.problem(f"expected a section ({self.section_words}), found {self.found()}")
        except SyntaxProblem as problem:
            self.nesting = 0
            self.report(problem)
            self.index = max(self.index, start + 1)
            self.skip_to_section()
            self.damage(start)

    def skip_to_section(self) -> None:
        """Go to the next word that begins a section outside braces and at the start of a line or after a brace."""
        depth = 0
        while self.kinds[self.index] != "end":
            kind = self.kinds[self.index]
            if kind == "{":
                depth += 1
            elif kind == "}":
                depth = max(depth - 1, 0)
            elif depth == 0 and kind == "name" and self.begins_section():
                return
            self.index += 1

    def begins_section(self) -> bool:
        """True when the next name begins a section."""
        return self.texts[self.index] in ("objects", "caps", "cdt", "domains") or self.adjacent("irq", "maps")

    def header(self) -> None:
        """arch NAME, and at least one section"""
        try:
            if not self.at_word("arch"):
                raise self.problem(f"expected 'arch NAME' ({', '.join(ARCHITECTURES)}) or 'caprock 1', found {self.found()}")
            self.arch()
        except SyntaxProblem as problem:
            self.report(problem)
            self.skip_to_section()
            self.damage(0)
            return
        if self.kinds[self.index] == "end":
            self.report(self.problem(f"the file has no section (add one of {self.section_words})"))
