# SPDX-License-Identifier: BSD-2-Clause
"""From object-level syntax to the model: expands arrays, resolves names, fills slots, follows copies and derivations."""

from collections.abc import Collection
from dataclasses import replace
from difflib import get_close_matches

from . import syntax
from .diagnostics import Diagnostics, Place
from .model import BUILT_IN_CAPS, PAGE_TABLE_SHIFT, RIGHTS, TCB_SLOT_NAMES, Cap, DomainSchedule, Object, Spec
from .parameters import ParameterReader
from .syntax import CapDeclaration, CapEntry, NameReference, ObjectDeclaration

Slot = tuple[str, int]
CapKey = tuple[str, int | None]

# Arrays multiply; beyond these numbers a description is a mistake (or an attack on this tool).
MAX_OBJECTS = 1 << 20
MAX_REFERENCES = 1 << 22

TABLE_TYPES = ("pt", "pd", "pml4", "pdpt", "pud", "pgd")
SLOT_CONTAINERS = frozenset(("tcb", "cnode", "asid_pool", "irq", "ioapic_irq", "msi_irq", "arm_irq", "io_device", "arm_io_device", "io_pt",
                             *TABLE_TYPES))
IRQ_TYPES = frozenset(("irq", "ioapic_irq", "msi_irq", "arm_irq"))

CAP_PARAMETERS = {
    "ep": ("rights", "badge"),
    "notification": ("rights", "badge"),
    "tcb": ("reply", "master_reply"),
    "cnode": ("guard", "guard_size"),
    "frame": ("rights", "asid", "cached", "mapping"),
    **{table: ("asid",) for table in (*TABLE_TYPES, "asid_pool")},
}


def canonical_rights(letters: str) -> str:
    """Letters of R W G X P in any order and number, as RIGHTS orders them; X is G."""
    present = {"G" if letter == "X" else letter for letter in letters}
    return "".join(letter for letter in RIGHTS if letter in present)


class Resolver(ParameterReader):
    """Adds the object level of parsed modules to a Spec."""

    def __init__(self, spec: Spec, diagnostics: Diagnostics, strict: bool = True):
        """spec: the model.Spec to fill. strict: what only this tool rejects is an error; else a warning."""
        self.spec = spec
        self.diagnostics = diagnostics
        self.strict = strict
        self.references = 0
        self.cap_names: dict[CapKey, tuple[Slot, Place]] = {}
        self.cap_arrays: dict[str, int] = {}        # name -> number of elements
        # Slots that hold copies: of what, with which rights only (None: all), and as which entry says.
        self.copies: dict[Slot, tuple[CapKey, str | None, CapEntry]] = {}
        self.covered: dict[str, set[str]] = {}      # by untyped
        self.implicit: list[NameReference] = []     # untypeds that are named before a '/'
        self.unknown_reported: set[tuple[str, int]] = set()

    # Findings ---------------------------------------------------------------------------------------------------------------------------

    def unknown(self, place: Place, name: str, what: str, known: Collection[str]) -> None:
        """A name that means nothing, with the nearest that does."""
        if (name, place.offset) in self.unknown_reported:
            return
        self.unknown_reported.add((name, place.offset))
        near = get_close_matches(name, known, 1) if len(self.unknown_reported) <= 20 and len(known) <= 5000 else []
        self.error(place, f"unknown {what} '{name}'" + (f" (did you mean '{near[0]}'?)" if near else ""), "unknown-name")

    # Names ------------------------------------------------------------------------------------------------------------------------------

    def indices(self, reference: NameReference, count: int) -> list[int] | None:
        """The indices that the ranges of `reference` pick from an array of `count` elements; None after an error."""
        if not reference.ranges:
            ranges = [(0, count - 1)]
        else:
            ranges = [(0 if item.first is None else item.first, count - 1 if item.last is None else item.last)
                      for item in reference.ranges]
        result: list[int] = []
        for first, last in ranges:
            if first >= count or last >= count:
                self.error(reference.place, f"'{reference}' reaches past the array, which has {count} elements (0 to {count - 1})",
                           "array-bounds")
                return None
            result.extend(range(first, last + 1) if first <= last else range(first, last - 1, -1))
            if len(result) > MAX_REFERENCES:
                break
        self.references += len(result)
        if self.references > MAX_REFERENCES:
            self.error(reference.place, f"the arrays of this description multiply to more than {MAX_REFERENCES} references", "too-large")
            return None
        return result

    def names(self, reference: NameReference) -> list[str]:
        """The names of the objects that a reference means; empty after an error."""
        name = reference.name
        if reference.ranges is None:
            if name in self.spec.objects:
                return [name]
            if name in self.spec.arrays:
                self.error(reference.place, f"'{name}' is an array (write {name}[] for all of it, {name}[0] for one)", "unknown-name")
            else:
                self.unknown(reference.place, name, "object", self.spec.objects)
            return []
        count = self.spec.arrays.get(name)
        if count is None:
            if name in self.spec.objects:
                self.error(reference.place, f"'{name}' is no array (remove the brackets)", "unknown-name")
            else:
                self.unknown(reference.place, name, "array of objects", self.spec.arrays)
            return []
        indices = self.indices(reference, count)
        return [] if indices is None else [f"{name}[{index}]" for index in indices]

    def single(self, reference: NameReference) -> str | None:
        """The one object that a reference means, or None after an error."""
        names = self.names(reference)
        if len(names) > 1:
            self.error(reference.place, f"'{reference}' means {len(names)} objects where one is needed", "not-unique")
            return None
        return names[0] if names else None

    # Objects ----------------------------------------------------------------------------------------------------------------------------

    def resolve(self, modules: list[syntax.Module]) -> None:
        """Add everything that the modules declare."""
        declarations = [declaration for module in modules for declaration in module.objects]
        for declaration in declarations:
            self.declare(declaration)
        for reference in self.implicit:
            self.implicit_untyped(reference)
        for declaration in declarations:
            self.cover_declaration(declaration, None)
        containers = [entry for module in modules for entry in module.caps if isinstance(entry, syntax.CapDeclaration)]
        for container in containers:
            self.fill_container(container)
        for module in modules:
            for entry in module.caps:
                if isinstance(entry, syntax.CapName):
                    self.name_slot(entry)
        for where in list(self.copies):
            self.fill_copy(where)
        for container in containers:
            self.derive_entries(container)
        for module in modules:
            for node in module.cdt:
                self.derive(node)
            self.domains(module.domains)
        self.irq_maps([irq_map for module in modules for irq_map in module.irq_maps])

    def declare(self, declaration: ObjectDeclaration) -> None:
        """Create the objects of a declaration and of its body."""
        self.declare_one(declaration)
        self.implicit.extend(declaration.covers)
        for item in declaration.body or ():
            if isinstance(item, syntax.ObjectDeclaration):
                self.declare(item)

    def declare_one(self, declaration: ObjectDeclaration) -> None:
        """Create one object or array."""
        reference, kind = declaration.name, declaration.type
        name, spec = reference.name, self.spec
        known = name in spec.objects or name in spec.arrays
        if known:
            self.declare_again(declaration)
            return
        size_bits, paddr, fills, params = self.object_parameters(declaration)
        if reference.ranges is None:
            spec.objects[name] = Object(name, kind, declaration.place, name, None, size_bits, paddr, fills, params)
            return
        if len(reference.ranges) != 1 or not reference.ranges[0].single:
            self.error(reference.place, f"'{reference}' declares nothing (write {name}[n] for an array of n elements)", "not-unique")
            return
        count = reference.ranges[0].first or 0
        if count == 0:
            self.error(reference.place, f"the array '{name}' is empty (remove it, or give it at least one element)", "empty-array")
            return
        if len(spec.objects) + count > MAX_OBJECTS:
            self.error(reference.place, f"the array '{name}' of {count} elements exceeds the limit of {MAX_OBJECTS} objects", "too-large")
            return
        if declaration.body:
            self.error(declaration.place, f"an array of untypeds cannot cover objects (declare {name}[{count}] first, then "
                       f"{name}[i] = ut {{...}})", "cover")
        spec.arrays[name] = count
        for index in range(count):
            element = f"{name}[{index}]"
            spec.objects[element] = Object(element, kind, declaration.place, name, index, size_bits, paddr, fills, params)

    def declare_again(self, declaration: ObjectDeclaration) -> None:
        """A second declaration: legal for untypeds only, to say what they cover."""
        reference = declaration.name
        if declaration.type != "ut":
            self.error(reference.place, f"'{reference.name}' is declared twice (rename one)", "duplicate-name")
            return
        targets = self.names(reference)
        if not targets:
            return
        target = self.spec.objects[targets[0]]
        if target.type != "ut":
            self.error(reference.place, f"'{reference.name}' is declared twice, as {target.type} and as ut (rename one)",
                       "duplicate-name")
            return
        size_bits, paddr, _, _ = self.object_parameters(declaration)
        if target.size_bits is None and target.index is None:
            target.size_bits = size_bits
        elif size_bits is not None and size_bits != target.size_bits:
            self.strict_error(reference.place, f"the untyped '{target.name}' is declared with {spell_bits(target.size_bits)} at "
                              f"{target.place} and with {size_bits} bits here (remove one)", "untyped-two-sizes")
        if target.paddr is None and target.index is None:
            target.paddr = paddr
        elif paddr is not None and paddr != target.paddr:
            self.strict_error(reference.place, f"the untyped '{target.name}' has another address at {target.place} than {paddr:#x} here "
                              "(remove one)", "untyped-two-sizes")

    # Covers -----------------------------------------------------------------------------------------------------------------------------

    def cover_declaration(self, declaration: ObjectDeclaration, enclosing: str | None) -> None:
        """Record which untyped covers what: an untyped named before a '/', and one whose body it stands in."""
        covers = [self.single(reference) for reference in declaration.covers]
        chain = [name for name in (enclosing, *covers) if name]
        if None in covers:
            return
        for outer, inner in zip(chain, chain[1:]):
            self.cover(outer, inner, declaration.place)
        if not declaration.body:
            names = self.declared_names(declaration)
        else:
            target = declaration.name.name if declaration.name.ranges is None else self.single(declaration.name)
            names = [target] if target and target in self.spec.objects else []
        if chain:
            for name in names:
                self.cover(chain[-1], name, declaration.place)
        if not names or self.spec.objects[names[0]].type != "ut":
            return
        for item in declaration.body or ():
            if isinstance(item, syntax.ObjectDeclaration):
                self.cover_declaration(item, names[0])
            else:
                for name in self.names(item):
                    self.cover(names[0], name, item.place)

    def declared_names(self, declaration: ObjectDeclaration) -> list[str]:
        """The names of the objects that a declaration creates."""
        name = declaration.name.name
        if declaration.name.ranges is None:
            return [name] if name in self.spec.objects else []
        count = self.spec.arrays.get(name, 0)
        ranges = declaration.name.ranges
        if len(ranges) == 1 and ranges[0].single and ranges[0].first == count:
            return [f"{name}[{index}]" for index in range(count)]
        return []

    def implicit_untyped(self, reference: NameReference) -> None:
        """An untyped that is only named before a '/' exists by that."""
        name = reference.name
        if reference.ranges is None and name not in self.spec.objects and name not in self.spec.arrays:
            self.spec.objects[name] = Object(name, "ut", reference.place, name)

    def cover(self, untyped: str, name: str, place: Place) -> None:
        """`untyped` covers `name`."""
        target = self.spec.objects[untyped]
        if target.type != "ut":
            self.error(place, f"'{untyped}' covers objects but is of type {target.type} (only an untyped covers)", "cover")
            return
        covered = self.covered.setdefault(untyped, set())
        if name not in covered:
            covered.add(name)
            target.children.append(name)

    # Capabilities -----------------------------------------------------------------------------------------------------------------------

    def fill_container(self, declaration: CapDeclaration) -> None:
        """Put the capabilities of a declaration into their slots."""
        if any(entry.is_copy for entry in declaration.entries):
            for entry in declaration.entries:
                if entry.slot is None:
                    self.error(entry.place, "copies of capabilities and entries without a slot do not mix (number all of them)",
                               "copy-unnumbered")
                    return
        containers = self.names(declaration.container)
        for position, name in enumerate(containers):
            container = self.spec.objects[name]
            if container.type not in SLOT_CONTAINERS:
                self.error(declaration.place, f"'{name}' is of type {container.type}, which holds no capabilities", "no-slots")
                return
            slot = -1
            for entry in declaration.entries:
                slot = self.fill_entry(container, entry, slot, first=position == 0)

    def fill_entry(self, container: Object, entry: CapEntry, last_slot: int, first: bool) -> int:
        """Put one entry into its slots; gives the last slot. first: this container is the one that names refer to."""
        slot = last_slot + 1 if entry.slot is None else entry.slot
        if entry.is_copy:
            sources = self.copy_sources(entry)
            for offset, source in enumerate(sources):
                self.place_copy(container, slot + offset, entry, source)
            count = len(sources)
        elif entry.target.name in BUILT_IN_CAPS and entry.target.ranges is None:
            self.place_cap(container, slot, self.built_in_cap(entry), entry)
            count = 1
        else:
            targets = self.names(entry.target)
            for offset, target in enumerate(targets):
                self.place_cap(container, slot + offset, self.object_cap(target, entry), entry)
            count = len(targets)
        if first and entry.name is not None:
            self.name_caps(container.name, slot, count, entry.name)
        return slot + max(count, 1) - 1

    def place_cap(self, container: Object, slot: int, cap: Cap | None, entry: CapEntry) -> None:
        """Put a capability into a slot that must be empty."""
        if slot in container.slots or (container.name, slot) in self.copies:
            self.error(entry.place, f"slot {spell_slot(container, slot)} of '{container.name}' is filled twice (choose another slot)",
                       "slot-twice")
        elif cap is not None:
            container.slots[slot] = cap

    def built_in_cap(self, entry: CapEntry | syntax.Grant) -> Cap | None:
        """A capability to what the kernel has built in."""
        name, core = entry.target.name, None
        for parameter in entry.parameters:
            if name == "sched_control" and parameter.name == "core" and core is None:
                core = parameter.value
            else:
                self.error(parameter.place, f"the parameter '{parameter.name}' has no meaning for {name}", "cap-parameters")
                return None
        if name == "sched_control" and core is None:
            self.error(entry.place, "sched_control needs the parameter 'core' (sched_control (core: 0))", "cap-parameters")
            return None
        return Cap(None, name, core=core, place=entry.place)

    def object_cap(self, target: str, entry: CapEntry | syntax.Grant) -> Cap | None:
        """A capability to the object `target`; None after an error."""
        cap = Cap(target, place=entry.place)
        kind = self.spec.objects[target].type
        if entry.parameters:
            allowed = CAP_PARAMETERS.get(kind, ())
            seen: set[str] = set()
            for parameter in entry.parameters:
                name = parameter.name
                if name not in allowed:
                    text = f"(it takes: {', '.join(allowed)})" if allowed else "(it takes none)"
                    self.error(parameter.place, f"the parameter '{name}' has no meaning for a capability to '{target}' ({kind}) {text}",
                               "cap-parameters")
                    return None
                if name in seen and name != "rights" or len(seen & {"reply", "master_reply"}) == 1 and name in ("reply", "master_reply"):
                    self.error(parameter.place, f"the parameter '{name}' is given twice (remove one)", "cap-parameters")
                    return None
                seen.add(name)
                self.set_cap_parameter(cap, parameter)
        return cap

    def set_cap_parameter(self, cap: Cap, parameter: syntax.Parameter) -> None:
        """Store one parameter in a capability."""
        name, value = parameter.name, parameter.value
        if name == "rights":
            cap.rights = canonical_rights(cap.rights + value)
        elif name in ("reply", "master_reply"):
            cap.reply = name
        elif name == "mapping":
            container = self.single(value.object)
            if container is not None:
                cap.mapping = (container, value.slot)
        else:
            setattr(cap, name, value)

    # Names of capabilities, and copies --------------------------------------------------------------------------------------------------

    def add_cap_name(self, key: CapKey, where: Slot, place: Place) -> None:
        """The capability called `key` is in slot `where`."""
        earlier = self.cap_names.get(key)
        if earlier is not None and earlier[0] != where:
            self.strict_error(place, f"the capability name '{key[0]}' is given twice, first at {earlier[1]} (rename one)",
                              "duplicate-cap-name")
        self.cap_names[key] = (where, place)

    def name_slot(self, entry: syntax.CapName) -> None:
        """name = (object, slot)"""
        reference = entry.slot.object
        known = reference.name in self.spec.objects or reference.name in self.spec.arrays
        if not known:
            self.strict_error(reference.place, f"'{entry.name}' names a slot of '{reference}', which does not exist", "slot-of-nothing")
            return
        container = self.single(reference)
        if container is not None:
            self.add_cap_name((entry.name, None), (container, entry.slot.slot or 0), entry.place)

    def name_caps(self, container: str, slot: int, count: int, reference: NameReference) -> None:
        """Name the `count` capabilities that an entry puts into slots from `slot` on."""
        if reference.ranges is None:
            if count > 1:
                self.error(reference.place, f"one name for {count} capabilities (write {reference.name}[])", "cap-name")
                return
            self.add_cap_name((reference.name, None), (container, slot), reference.place)
        elif reference.ranges:
            self.error(reference.place, f"the name of an array of capabilities is written {reference.name}[]", "cap-name")
        else:
            for index in range(count):
                self.add_cap_name((reference.name, index), (container, slot + index), reference.place)
            self.cap_arrays[reference.name] = count

    def copy_sources(self, entry: CapEntry) -> list[CapKey]:
        """The (name, index) of the capabilities that a copy means. Names may be given later in the text, so only arrays whose name is
        known by then can be taken whole."""
        reference = entry.target
        if reference.ranges is None:
            return [(reference.name, None)]
        if reference.ranges and all(item.single for item in reference.ranges):
            return [(reference.name, item.first) for item in reference.ranges]
        count = self.cap_arrays.get(reference.name)
        if count is None:
            self.unknown(reference.place, reference.name, "array of capabilities", self.cap_arrays)
            return []
        indices = self.indices(reference, count)
        return [] if indices is None else [(reference.name, index) for index in indices]

    def place_copy(self, container: Object, slot: int, entry: CapEntry, source: CapKey) -> None:
        """Remember a copy; its capability is known when all slots are filled."""
        masked: str | None = None
        for parameter in entry.parameters:
            if parameter.name == "masked":
                rights = canonical_rights(parameter.value)
                masked = rights if masked is None else "".join(letter for letter in masked if letter in rights)
            else:
                self.strict_error(parameter.place, f"a copy takes no parameter '{parameter.name}' (only masked:)", "copy-parameters")
        if slot in container.slots or (container.name, slot) in self.copies:
            self.place_cap(container, slot, None, entry)
            return
        self.copies[container.name, slot] = (source, masked, entry)

    def fill_copy(self, where: Slot) -> None:
        """Put the copied capability into slot `where`, after those that it is a copy of."""
        chain = []
        while where in self.copies:
            chain.append((where, *self.copies.pop(where)))
            source, entry = chain[-1][1], chain[-1][3]
            if source not in self.cap_names:
                spelled = source[0] if source[1] is None else f"{source[0]}[{source[1]}]"
                self.unknown(entry.target.place, spelled, "capability", [name for name, _ in self.cap_names])
                return
            where = self.cap_names[source][0]
            if any(where == link[0] for link in chain):
                self.error(entry.place, "the copies of capabilities form a cycle (one must name an object)", "copy-cycle")
                return
        cap = self.spec.objects[where[0]].slots.get(where[1])
        for (container, slot), _, masked, entry in reversed(chain):
            if cap is None:
                self.error(entry.target.place, f"'{entry.target}' names slot {where[1]} of '{where[0]}', which is empty", "copy-of-nothing")
                return
            rights = cap.rights if masked is None else "".join(letter for letter in cap.rights if letter in masked)
            cap = replace(cap, rights=rights, mapping=None, place=entry.place)
            self.spec.objects[container].slots[slot] = cap

    # Derivations ------------------------------------------------------------------------------------------------------------------------

    def slot_of(self, reference: syntax.SlotReference) -> Slot | None:
        """(container, slot) of a SlotReference, or None after an error."""
        if reference.slot is not None:
            container = self.single(reference.object)
            return None if container is None else (container, reference.slot)
        name = reference.object
        index = name.ranges[0].first if name.ranges and len(name.ranges) == 1 and name.ranges[0].single else None
        found = self.cap_names.get((name.name, index))
        if found is None:
            self.unknown(reference.place, str(name), "capability", [known for known, _ in self.cap_names])
            return None
        return found[0]

    def set_parent(self, child: Slot | None, parent: Slot | None, place: Place) -> None:
        """Record one derivation."""
        if child is None or parent is None:
            return
        if child in self.spec.cdt:
            self.error(place, f"slot {child[1]} of '{child[0]}' has two parents (remove one)", "two-parents")
            return
        self.spec.cdt[child] = parent
        self.spec.cdt_places[child] = place

    def derive(self, node: syntax.CdtNode) -> None:
        """The derivations of a node of `cdt`."""
        pending = [node]
        while pending:
            node = pending.pop()
            parent = self.slot_of(node.slot)
            for child in node.children:
                self.set_parent(self.slot_of(child.slot), parent, child.place)
                if child.children:
                    pending.append(child)

    def derive_entries(self, declaration: CapDeclaration) -> None:
        """The derivations that `- child_of` states."""
        if not any(entry.parent for entry in declaration.entries):
            return
        for name in self.names(declaration.container):
            slot = -1
            for entry in declaration.entries:
                slot = slot + 1 if entry.slot is None else entry.slot
                if entry.parent is not None:
                    self.set_parent((name, slot), self.slot_of(entry.parent), entry.place)
                if not entry.is_copy and entry.target.ranges is not None:
                    slot += max(len(self.names(entry.target)), 1) - 1

    # Interrupts and domains -------------------------------------------------------------------------------------------------------------

    def irq_maps(self, sections: list[tuple[Place, list[syntax.IrqMapping]]]) -> None:
        """The interrupt numbers."""
        filled = [section for section in sections if section[1]]
        for place, _ in filled[1:]:
            self.error(place, "a second 'irq maps' section (merge them)", "irq-maps-twice")
        for _, entries in filled[:1]:
            number = -1
            for entry in entries:
                number = number + 1 if entry.number is None else entry.number
                names = self.names(entry.object)
                for offset, name in enumerate(names):
                    self.map_irq(number + offset, name, entry.place)
                number += max(len(names), 1) - 1

    def map_irq(self, number: int, name: str, place: Place) -> None:
        """Interrupt `number` is the object `name`."""
        if number in self.spec.irqs:
            self.error(place, f"interrupt {number} is mapped twice, first to '{self.spec.irqs[number]}' (remove one)", "irq-twice")
        elif self.spec.objects[name].type not in IRQ_TYPES:
            self.error(place, f"'{name}' is of type {self.spec.objects[name].type}, not an interrupt", "irq-kind")
        else:
            self.spec.irqs[number] = name
            self.spec.irq_places[number] = place

    def domains(self, items: list[syntax.DomainItem]) -> None:
        """The domain schedule."""
        if not items:
            return
        schedule = self.spec.domains or DomainSchedule(place=items[0].place)
        self.spec.domains = schedule
        seen = set()
        for item in items:
            if item.name in seen:
                self.error(item.place, f"'{item.name}' is given twice (remove one)", "domains")
            seen.add(item.name)
            if item.name == "schedule":
                schedule.schedule = item.value
                for domain, _, _ in item.value:
                    if domain > 255:
                        self.error(item.place, f"domain {domain} is out of range (0 to 255)", "domains")
            elif item.name == "index_shift":
                schedule.index_shift = item.value
            else:
                schedule.start, schedule.has_start = item.value, True
        if schedule.start is not None and schedule.start >= max(len(schedule.schedule), 1):
            self.error(items[0].place, f"domain_set_start {schedule.start} is past the schedule of {len(schedule.schedule)} entries",
                       "domains")


def spell_bits(bits: int | None) -> str:
    """A size as messages call it."""
    return "no size" if bits is None else f"{bits} bits"


def spell_slot(container: Object, slot: int) -> str:
    """A slot as messages call it: by name in a TCB and in page tables by number."""
    if container.type == "tcb" and slot in TCB_SLOT_NAMES:
        return TCB_SLOT_NAMES[slot]
    return f"{slot:#x}" if container.type in PAGE_TABLE_SHIFT else str(slot)
