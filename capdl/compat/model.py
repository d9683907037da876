# SPDX-License-Identifier: BSD-2-Clause
"""The model that the reference tool makes of a syntax tree, as far as its verdict depends on it, with its peculiarities.

Among them: what names of capabilities mean is looked at only when a copy or a derivation needs one; unnumbered interrupts count from the last
entry to the first; a repeated declaration of an untyped is read for what it covers alone; a repeated parameter of a thread counts once.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..diagnostics import Diagnostics, Place
from ..model import BUILT_IN_CAPS, TCB_SLOT_NAMES
from ..syntax import CapDeclaration, CapEntry, CapName, Module, NameReference, ObjectDeclaration, SlotReference
from .parameters import cap_problem, object_problem
from .scanner import WORD_BITS

WORD = 1 << WORD_BITS
# The reference tool makes a list of all elements that a text means; it does not return from lists much longer than this.
MAX_ELEMENTS = 1 << 20

Name = tuple[str, int | None]
CONTAINERS = frozenset(("tcb", "cnode", "irq", "asid_pool", "pt", "pd", "pdpt", "pml4", "pud", "pgd", "arm_io_device", "arm_irq", "io_device",
                        "io_pt", "ioapic_irq", "msi_irq"))


@dataclass(slots=True, frozen=True)
class Capability:
    """What a slot holds. kind: the object's type, "reply" or "master_reply", a built-in's name, or "null" (a copy of nothing).
    target: the object, None for built-in ones. mapping: of a frame: (table, slot)."""

    kind: str
    target: Name | None
    place: Place
    mapping: tuple[Name, int] | None = None


@dataclass(slots=True)
class KernelObject:
    """An object. kind: its type; a CNode of 0 bits is an interrupt, and the other way round."""

    kind: str
    place: Place
    slots: dict[int, Capability] = field(default_factory=dict)


def spell(name: Name) -> str:
    """A name as text spells it."""
    return name[0] if name[1] is None else f"{name[0]}[{name[1]}]"


class Unknown(Exception):
    """Something without which the rest of a step means nothing; it has been reported."""


class Model:
    """objects: by name. covers: untyped -> what it covers. interrupts: number -> object. cdt: slot -> its parent's.

    build() fills it, and reports what the reference tool rejects on the way."""

    def __init__(self, module: Module, diagnostics: Diagnostics):
        self.module = module
        self.arch = module.arch or ""
        self.diagnostics = diagnostics
        self.objects: dict[Name, KernelObject] = {}
        self.counts: Counter[str] = Counter()
        self.covers: dict[Name, list[tuple[Name, Place]]] = {}
        self.interrupts: dict[int, tuple[Name, Place]] = {}
        self.cdt: dict[tuple[Name, int], tuple[Name, int]] = {}
        self.named: dict[Name, tuple[Name, int] | None] = {}
        self.named_counts: Counter[str] = Counter()
        self.copied: dict[tuple[Name, int], NameReference] = {}
        self.elements = 0

    def build(self) -> None:
        """All steps, in the reference tool's order; those behind the first that leaves something out are left out too."""
        for step in (self.declare_objects, self.declare_untypeds, self.read_covers, self.map_interrupts, self.read_domains, self.fill_slots,
                     self.fill_copies, self.derive):
            step()
            if not self.diagnostics.ok:
                return

    def error(self, place: Place, message: str, check: str) -> None:
        """Report a reason for rejection."""
        self.diagnostics.error(place, message, check)

    # Names ------------------------------------------------------------------------------------------------------------------------------

    def one(self, reference: NameReference) -> Name:
        """The name that a reference without a range means."""
        if reference.ranges is None:
            return reference.name, None
        if len(reference.ranges) == 1 and reference.ranges[0].single:
            return reference.name, reference.ranges[0].first
        self.error(reference.place, f"'{reference}' means several things where one is needed", "not-unique")
        raise Unknown

    def many(self, reference: NameReference, counts: Counter[str], first_known: bool, what: str = "array of objects") -> list[Name]:
        """The names that a reference means. counts: how many names begin so; first_known: whether [0] is among them, as open ranges need."""
        if reference.ranges is None:
            return [(reference.name, None)]
        result: list[Name] = []
        for item in reference.ranges or (None,):
            start = 0 if item is None or item.first is None else item.first
            if item is None or item.last is None:
                if not first_known:
                    self.error(reference.place, f"unknown {what} '{reference.name}'", "unknown-name")
                    raise Unknown
                indices = range(start, counts[reference.name])
            else:
                indices = range(start, item.last + 1) if start <= item.last else range(start, item.last - 1, -1)
            self.count_elements(reference, len(indices))
            result.extend((reference.name, index) for index in indices)
        return result

    def objects_of(self, reference: NameReference) -> list[Name]:
        """The objects that a reference means; those without brackets or with plain indices may not exist."""
        return self.many(reference, self.counts, (reference.name, 0) in self.objects)

    def count_elements(self, reference: NameReference, count: int) -> None:
        """Refuse what the reference tool does not return from."""
        self.elements += count
        if count > MAX_ELEMENTS or self.elements > 4 * MAX_ELEMENTS:
            self.error(reference.place, f"the ranges of this text have more than {MAX_ELEMENTS} elements", "too-large")
            raise Unknown

    # Objects ----------------------------------------------------------------------------------------------------------------------------

    def declare_objects(self) -> None:
        """Create the objects that are declared, the enclosing before the enclosed."""
        pending = self.module.objects[::-1]
        while pending:
            declaration = pending.pop()
            try:
                if self.declare(declaration):
                    pending += [item for item in declaration.body or () if isinstance(item, ObjectDeclaration)][::-1]
            except Unknown:
                continue

    def declare(self, declaration: ObjectDeclaration) -> bool:
        """Create an object or array; False for an untyped that exists, whose body is then no declaration."""
        name, count = self.one(declaration.name)
        if (name, None) in self.objects or (name, 0) in self.objects:
            if declaration.type != "ut":
                self.error(declaration.place, f"'{name}' is declared twice (rename one)", "duplicate-name")
            return False
        problem = object_problem(declaration)
        if problem:
            self.error(declaration.place, f"'{declaration.name}': {problem}", "object-parameters")
        if count == 0:
            self.error(declaration.place, f"the array '{name}' is empty (the reference tool never returns from it)", "empty-array")
            return False
        if count is not None:
            self.count_elements(declaration.name, count)
        kind = declaration.type
        if kind == "cnode" and any(item.name == "bits" and item.value == 0 for item in declaration.parameters):
            kind = "irq"
        for index in (None,) if count is None else range(count):
            self.add((name, index), KernelObject(kind, declaration.place))
        return True

    def add(self, name: Name, item: KernelObject) -> None:
        """Enter an object."""
        self.objects[name] = item
        self.counts[name[0]] += 1

    def tree(self) -> Iterator[tuple[ObjectDeclaration, NameReference | None]]:
        """All declarations, the enclosing before the enclosed, each with the name of the one that encloses it."""
        pending: list[tuple[ObjectDeclaration, NameReference | None]] = [(item, None) for item in reversed(self.module.objects)]
        while pending:
            declaration, outer = pending.pop()
            yield declaration, outer
            pending += [(item, declaration.name) for item in reversed(declaration.body or ()) if isinstance(item, ObjectDeclaration)]

    def declare_untypeds(self) -> None:
        """What stands before a '/' is an untyped; it exists by that."""
        for declaration, _ in self.tree():
            for reference in declaration.covers:
                try:
                    name = self.one(reference)
                except Unknown:
                    continue
                if name not in self.objects:
                    self.add(name, KernelObject("ut", reference.place))
                elif self.objects[name].kind != "ut":
                    self.error(reference.place, f"'{reference}' covers objects but is of type {self.objects[name].kind}", "cover")

    # Covers -----------------------------------------------------------------------------------------------------------------------------

    def read_covers(self) -> None:
        """What untypeds cover: all of it must exist, and be covered once."""
        for declaration, outer in self.tree():
            try:
                self.cover(declaration, outer)
            except Unknown:
                continue
        owner: dict[Name, Name] = {}
        for untyped, covered in self.covers.items():
            if untyped not in self.objects or self.objects[untyped].kind != "ut":
                self.error(covered[0][1], f"'{spell(untyped)}' covers objects but is no untyped", "cover")
            for name, place in covered:
                if name not in self.objects:
                    self.error(place, f"'{spell(untyped)}' covers '{spell(name)}', which does not exist", "cover")
                elif owner.setdefault(name, untyped) != untyped:
                    self.error(place, f"'{spell(name)}' is covered by '{spell(owner[name])}' and by '{spell(untyped)}'", "cover")

    def cover(self, declaration: ObjectDeclaration, outer: NameReference | None) -> None:
        """What one declaration says of covers."""
        path = [*([outer] if outer else []), *declaration.covers]
        if not declaration.body:
            if not path:
                return
            name, count = self.one(declaration.name)
            if count is not None:
                self.count_elements(declaration.name, count)
            inner: list[Name] = [(name, None)] if count is None else [(name, index) for index in range(count)]
        else:
            inner = [self.one(declaration.name)]
        place = declaration.place
        for reference in reversed(path):
            untyped = self.one(reference)
            self.covers.setdefault(untyped, []).extend((name, place) for name in inner)
            inner = [untyped]
        if declaration.body:
            covered = self.covers.setdefault(self.one(declaration.name), [])
            for item in declaration.body:
                if isinstance(item, NameReference):
                    covered += [(name, item.place) for name in self.objects_of(item)]
            if not covered:
                del self.covers[self.one(declaration.name)]

    # Interrupts and domains -------------------------------------------------------------------------------------------------------------

    def map_interrupts(self) -> None:
        """The interrupt numbers. Unnumbered entries take the number behind that of the entry that follows them in the text."""
        for place, entries in self.module.irq_maps:
            if self.interrupts:
                self.error(place, "a second 'irq maps' section (merge them)", "irq-maps-twice")
            last = WORD - 1
            for entry in reversed(entries):
                number = (last + 1) % WORD if entry.number is None else entry.number
                try:
                    names = self.objects_of(entry.object)
                except Unknown:
                    continue
                last = (number + len(names) - 1) % WORD
                # Numbers that would wrap are none at all.
                for offset, name in enumerate(names if last >= number else ()):
                    self.map_interrupt(number + offset, name, entry.place)

    def map_interrupt(self, number: int, name: Name, place: Place) -> None:
        """Interrupt `number` is the object `name`."""
        if number in self.interrupts:
            self.error(place, f"interrupt {number} is mapped twice (unnumbered entries count from the last one on)", "irq-twice")
        self.interrupts[number] = name, place

    def read_domains(self) -> None:
        """The domain schedule. Without one, the other items mean nothing."""
        items = self.module.domains
        schedules = [item for item in items if item.name == "schedule"]
        if not schedules:
            return
        for name in ("schedule", "domain_set_start", "index_shift"):
            given = [item for item in items if item.name == name]
            if len(given) > 1:
                self.error(given[1].place, f"'{name}' is given twice (remove one)", "domains")
        place, entries = schedules[0].place, schedules[0].value
        assert isinstance(entries, list)
        for domain, duration, unit in entries:
            if domain > 255:
                self.error(place, f"domain {domain} is out of range (0 to 255)", "domains")
            if duration == 0 and domain != 0:
                self.error(place, f"domain {domain} has no duration (an end marker is (0, 0))", "domains")
            if unit != "us" and duration >= 1 << 56:
                self.error(place, f"the duration {duration} is too long (below 2^56 ticks)", "domains")
        start = next((item.value for item in items if item.name == "domain_set_start"), 0)
        if isinstance(start, int):
            if start >= len(entries):
                self.error(place, f"domain_set_start {start} is past the schedule of {len(entries)} entries", "domains")
            elif entries[start][:2] == (0, 0):
                self.error(place, f"domain_set_start {start} is an end marker", "domains")

    # Capabilities -----------------------------------------------------------------------------------------------------------------------

    def containers(self) -> Iterator[CapDeclaration]:
        """The declarations of capabilities."""
        return (entry for entry in self.module.caps if isinstance(entry, CapDeclaration))

    def fill_slots(self) -> None:
        """Put all capabilities but copies into their slots."""
        for declaration in self.containers():
            copies = any(entry.is_copy for entry in declaration.entries)
            try:
                names = self.objects_of(declaration.container)
            except Unknown:
                continue
            for name in names:
                if name not in self.objects:
                    self.error(declaration.place, f"unknown object '{spell(name)}'", "unknown-name")
                    break
                if copies and any(entry.slot is None for entry in declaration.entries):
                    self.error(declaration.place, f"'{spell(name)}' has copies and entries without a slot (number all of them)", "copy-unnumbered")
                    break
                self.fill_container(name, declaration)

    def fill_container(self, name: Name, declaration: CapDeclaration) -> None:
        """Put capabilities into the slots of one container."""
        container = self.objects[name]
        last = WORD - 1
        for entry in declaration.entries:
            slot = (last + 1) % WORD if entry.slot is None else entry.slot
            try:
                capabilities = self.capabilities(entry)
            except Unknown:
                return
            last = (slot + len(capabilities) - 1) % WORD
            # Slots that would wrap are none at all.
            for offset, capability in enumerate(capabilities if last >= slot else ()):
                if container.kind not in CONTAINERS:
                    self.error(declaration.place, f"'{spell(name)}' is of type {container.kind}, which holds no capabilities", "no-slots")
                    return
                if slot + offset in container.slots:
                    self.error(entry.place, f"slot {spell_slot(container, slot + offset)} of '{spell(name)}' is filled twice", "slot-twice")
                container.slots[slot + offset] = capability

    def capabilities(self, entry: CapEntry) -> list[Capability]:
        """The capabilities that an entry means; a copy keeps its place free."""
        if entry.is_copy:
            return [Capability("null", None, entry.place)]
        kind = entry.target.name
        if kind in BUILT_IN_CAPS and entry.target.ranges is None:
            names = [parameter.name for parameter in entry.parameters]
            if names != (["core"] if kind == "sched_control" else []):
                self.error(entry.place, f"{kind} takes {'the parameter core' if kind == 'sched_control' else 'no parameter'}", "cap-parameters")
            return [Capability(kind, None, entry.place)]
        return [self.capability(name, entry) for name in self.objects_of(entry.target)]

    def capability(self, name: Name, entry: CapEntry) -> Capability:
        """A capability to the object `name`."""
        item = self.objects.get(name)
        if item is None:
            self.error(entry.target.place, f"unknown object '{spell(name)}'", "unknown-name")
            raise Unknown
        given = [parameter.name for parameter in entry.parameters]
        problem = cap_problem(item.kind, given)
        if problem:
            self.error(entry.place, f"a capability to '{spell(name)}' ({item.kind}) {problem}", "cap-parameters")
        mapping = next((parameter.value for parameter in entry.parameters if parameter.name == "mapping"), None)
        table = (self.one(mapping.object), mapping.slot or 0) if isinstance(mapping, SlotReference) else None
        return Capability(next((word for word in given if word in ("reply", "master_reply")), item.kind), name, entry.place, table)

    # Names of capabilities, copies ------------------------------------------------------------------------------------------------------

    def read_cap_names(self) -> None:
        """What the names of capabilities mean; those of unnumbered ones mean nothing. Raises Unknown."""
        if self.named:
            return
        for entry in self.module.caps:
            if isinstance(entry, CapName):
                reference = entry.slot.object
                single = reference.ranges is None or len(reference.ranges) == 1 and reference.ranges[0].single
                self.name_cap((entry.name, None), (self.one(reference), entry.slot.slot or 0) if single else None)
                continue
            for item in entry.entries:
                if item.slot is not None and item.name is not None:
                    self.name_entry(entry.container, item.slot, item.name, item.target)

    def name_cap(self, name: Name, slot: tuple[Name, int] | None) -> None:
        """The capability `name` is in `slot`."""
        if name not in self.named:
            self.named_counts[name[0]] += 1
        self.named[name] = slot

    def name_entry(self, container: NameReference, slot: int, name: NameReference, target: NameReference) -> None:
        """Name the capabilities of one entry. How many there are is asked of the objects, even for a copy."""
        count = len(self.objects_of(target))
        if name.ranges is None:
            if count != 1:
                self.error(name.place, f"one name for {count} capabilities (write {name.name}[])", "cap-name")
                raise Unknown
            names: list[Name] = [(name.name, None)]
        elif name.ranges:
            self.error(name.place, f"the name of an array of capabilities is written {name.name}[]", "cap-name")
            raise Unknown
        else:
            names = [(name.name, index) for index in range(count)]
        if count == 0 and slot == 0:
            self.error(name.place, f"'{name}' names no capability (the reference tool never returns from it)", "cap-name")
            raise Unknown
        holders = self.objects_of(container)
        if (slot + count - 1) % WORD >= slot:
            for offset, one in enumerate(names):
                self.name_cap(one, (holders[0], slot + offset) if holders else None)

    def named_slot(self, name: Name, place: Place) -> tuple[Name, int]:
        """The slot of a named capability."""
        slot = self.named.get(name)
        if slot is None:
            self.error(place, f"unknown capability '{spell(name)}'", "unknown-name")
            raise Unknown
        return slot

    def fill_copies(self) -> None:
        """Put copies into their slots, in the order of the text."""
        copies = [(declaration, entry) for declaration in self.containers() for entry in declaration.entries if entry.is_copy]
        places = [(name, entry) for declaration, entry in copies for name in self.objects_of(declaration.container)]
        if not places:
            return
        try:
            self.read_cap_names()
        except Unknown:
            return
        self.copied = {(name, entry.slot or 0): entry.target for name, entry in places}
        for name, entry in places:
            try:
                self.fill_copy(name, entry)
            except Unknown:
                continue

    def fill_copy(self, container: Name, entry: CapEntry) -> None:
        """One copy, or an array of them."""
        sources = self.many(entry.target, self.named_counts, (entry.target.name, 0) in self.named, "array of capabilities")
        capabilities = []
        for source in sources:
            holder, slot = self.root(self.named_slot(source, entry.target.place), entry)
            item = self.objects.get(holder)
            if item is None or slot not in item.slots:
                self.error(entry.target.place, f"'{spell(source)}' names slot {slot} of '{spell(holder)}', which is empty", "copy-of-nothing")
                raise Unknown
            capabilities.append(item.slots[slot])
        slots = self.objects[container].slots
        first = entry.slot or 0
        for offset, capability in enumerate(capabilities if first + len(capabilities) < WORD else ()):
            if slots.get(first + offset, capability).kind != "null" and first + offset in slots:
                self.error(entry.place, f"slot {first + offset} of '{spell(container)}' is filled twice", "slot-twice")
                raise Unknown
            slots[first + offset] = Capability(capability.kind, capability.target, entry.place, capability.mapping)

    def root(self, where: tuple[Name, int], entry: CapEntry) -> tuple[Name, int]:
        """The slot that a chain of copies begins at."""
        seen = set()
        while where in self.copied:
            if where in seen:
                self.error(entry.place, "the copies of capabilities form a cycle (one must name an object)", "copy-cycle")
                raise Unknown
            seen.add(where)
            source = self.one(self.copied[where])
            if source not in self.named:
                break
            where = self.named_slot(source, entry.target.place)
        return where

    # Derivations ------------------------------------------------------------------------------------------------------------------------

    def derive(self) -> None:
        """The derivations, of which slots need not exist."""
        try:
            for node in self.module.cdt:
                for child in node.children:
                    self.set_parent(self.slot_of(child.slot), self.slot_of(node.slot), child.place)
            for declaration in self.containers():
                if any(entry.parent for entry in declaration.entries):
                    for name in self.objects_of(declaration.container):
                        self.derive_entries(name, declaration)
        except Unknown:
            return

    def slot_of(self, reference: SlotReference) -> tuple[Name, int]:
        """The slot that a reference means."""
        if reference.slot is not None:
            return self.one(reference.object), reference.slot
        self.read_cap_names()
        return self.named_slot(self.one(reference.object), reference.place)

    def derive_entries(self, name: Name, declaration: CapDeclaration) -> None:
        """What `- child_of` says. Of unnumbered entries only those with a parent are counted."""
        last = WORD - 1
        for entry in declaration.entries:
            if entry.parent is not None:
                last = (last + 1) % WORD if entry.slot is None else entry.slot
                self.set_parent((name, last), self.slot_of(entry.parent), entry.place)

    def set_parent(self, child: tuple[Name, int], parent: tuple[Name, int], place: Place) -> None:
        """Record one derivation."""
        if child in self.cdt:
            self.error(place, f"slot {child[1]} of '{spell(child[0])}' has two parents (remove one)", "two-parents")
        self.cdt[child] = parent


def spell_slot(container: KernelObject, slot: int) -> str:
    """A slot as messages call it."""
    return TCB_SLOT_NAMES.get(slot, str(slot)) if container.kind == "tcb" else str(slot)
