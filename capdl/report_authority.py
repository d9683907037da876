# SPDX-License-Identifier: BSD-2-Clause
"""Who may do what to whom, directly, in an elaborated system: the relations that `report` prints and `diff` compares.

A subject is a component, or a thread that belongs to none. Only what a subject itself holds counts: capabilities in its CSpace, its
mappings, and the slots of its thread. What others could pass on to it does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .model import ACCESS_PARAMETERS, PAGE_TABLE_SHIFT, RIGHTS, TCB_SLOTS, Cap, Object, Spec

# What a subject may do to another, in the order of reports; how reports say it; and the letter that a matrix has for it.
VERBS = {"read": "r", "write": "w", "signal": "s", "call": "c", "handle": "f", "control": "x"}
VERB_MEANING = {"read": "reads memory that the other one has", "write": "writes memory that the other one has", "signal": "signals",
                "call": "sends to an endpoint on which the other one receives", "handle": "receives the other one's faults",
                "control": "holds a capability to the other one's thread, CSpace, address space, time or memory"}
_TABLES = tuple(PAGE_TABLE_SHIFT)
_IRQS = ("irq", "arm_irq")
# Upper bits of a badge number what a component provides (userland/caprock/api/component.toml).
PROVIDE_SHIFT = 48


class Mapping(NamedTuple):
    """A frame in an address space. rights: letters of RIGHTS, G for executable."""

    address: int
    frame: str
    rights: str
    cached: bool


class Relation(NamedTuple):
    """`subject` may do `verb` (of VERBS) to the subject or device `target` by means of the object `by`."""

    subject: str
    verb: str
    target: str
    by: str


class Fact(NamedTuple):
    """One item of a subject's authority as `diff` compares it: what it may do (`what`), with which letters or numbers (`extent`)."""

    what: str
    extent: tuple[Any, ...]


@dataclass
class Subject:
    """A thread with what it holds. caps: of all CNodes of its CSpace. own: names of the objects that it consists of."""

    name: str
    tcb: Object
    component: bool
    caps: list[Cap] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    own: set[str] = field(default_factory=set)

    def held(self, slot: str) -> str | None:
        """The object in a slot of its TCB, or None."""
        cap = self.tcb.slots.get(TCB_SLOTS[slot])
        return None if cap is None else cap.object


def find_subjects(spec: Spec) -> list[Subject]:
    """The subjects of a system: its components, then other threads, in order of declaration."""
    by_thread = {component.tcb: component.name for component in spec.components.values()}
    found = [Subject(by_thread.get(item.name, item.name), item, item.name in by_thread)
             for item in spec.objects.values() if item.type == "tcb"]
    roots = {subject.held("cspace") for subject in found}
    for subject in found:
        cnodes = reachable_cnodes(spec, subject.held("cspace"), roots)
        tables, subject.mappings = walk_tables(spec, subject.held("vspace"))
        subject.caps = [cap for name in cnodes for _, cap in sorted(spec.objects[name].slots.items())]
        subject.own = {subject.tcb.name, *cnodes, *tables}
        subject.own.update(filter(None, (subject.held("sc_slot"), subject.held("bound_notification"))))
    return sorted(found, key=lambda subject: not subject.component)


def reachable_cnodes(spec: Spec, root: str | None, roots: Collection[str | None]) -> list[str]:
    """The CNodes of a CSpace, without those that are the root of another one."""
    if root is None:
        return []
    names = [root]
    for name in names:
        for _, cap in sorted(spec.objects[name].slots.items()):
            if cap.object is not None and spec.objects[cap.object].type == "cnode" and cap.object not in names and cap.object not in roots:
                names.append(cap.object)
    return names


def walk_tables(spec: Spec, root: str | None) -> tuple[list[str], list[Mapping]]:
    """(names of the page tables, Mappings by address) of an address space."""
    tables, mappings = [], []
    waiting = [(root, 0)] if root is not None else []
    for name, base in waiting:
        table = spec.objects[name]
        tables.append(name)
        for slot, cap in table.slots.items():
            address = base + (slot << PAGE_TABLE_SHIFT.get(table.type, 12))
            if cap.object is not None and spec.objects[cap.object].type == "frame":
                mappings.append(Mapping(address, cap.object, cap.rights, cap.cached))
            elif cap.object is not None:
                waiting.append((cap.object, address))
    return tables, sorted(mappings)


class Authority:
    """The relations of a system. subjects: as find_subjects gives them. devices: frame at a fixed address -> its label."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.subjects = find_subjects(spec)
        self.devices = device_labels(spec)
        self.relations: list[Relation] = []
        self._find()

    def _find(self) -> None:
        """Fill `relations`, each once, by subject, verb and target."""
        rank = {subject.name: number for number, subject in enumerate(self.subjects)}
        verbs = list(VERBS)
        found = set()
        for relation in (*self._memory(), *self._messages(), *self._faults(), *self._control()):
            if relation.subject != relation.target:
                found.add(relation)
        self.relations = sorted(found, key=lambda item: (rank[item.subject], rank.get(item.target, len(rank)), item.target,
                                                         verbs.index(item.verb), item.by))

    def kind(self, cap: Cap) -> str | None:
        """The type of a capability's object, or None for a built-in one."""
        return None if cap.object is None else self.spec.objects[cap.object].type

    def _memory(self) -> Iterator[Relation]:
        """Frames that two subjects have, and devices."""
        access: dict[str, dict[str, str]] = defaultdict(dict)
        for subject in self.subjects:
            held = [(item.frame, item.rights) for item in subject.mappings]
            held += [(cap.object, cap.rights) for cap in subject.caps if self.kind(cap) == "frame"]
            for frame, rights in held:
                access[frame][subject.name] = access[frame].get(subject.name, "") + rights
        for frame, holders in access.items():
            others = [*holders, *([self.devices[frame]] if frame in self.devices else [])]
            for name, rights in holders.items():
                for other in others:
                    for letter, verb in (("R", "read"), ("W", "write")):
                        if letter in rights:
                            yield Relation(name, verb, other, frame)

    def _messages(self) -> Iterator[Relation]:
        """Calls and signals."""
        receivers = self.receivers()
        for subject in self.subjects:
            for cap in subject.caps:
                kind = self.kind(cap)
                if kind in ("ep", "notification") and "W" in cap.rights:
                    port = self.port(cap)
                    for name in receivers[cap.object]:
                        yield Relation(subject.name, "call" if kind == "ep" else "signal", name, f"{cap.object}: {port}" if port else cap.object)
                elif kind in _IRQS:
                    yield Relation(subject.name, "handle", self.interrupt_label(cap.object), cap.object)

    def port(self, cap: Cap) -> str:
        """The name of what a component provides behind a capability to its endpoint, which the badge tells; empty for all others."""
        for component in self.spec.components.values():
            if component.endpoint == cap.object:
                index = (cap.badge >> PROVIDE_SHIFT) - 1
                return list(component.provides)[index] if 0 <= index < len(component.provides) else ""
        return ""

    def receivers(self) -> dict[str, dict[str, None]]:
        """Endpoint or notification -> subjects that receive from it, in order."""
        result: dict[str, dict[str, None]] = defaultdict(dict)
        for subject in self.subjects:
            for cap in subject.caps:
                if self.kind(cap) in ("ep", "notification") and "R" in cap.rights:
                    result[cap.object][subject.name] = None
            if subject.held("bound_notification"):
                result[subject.held("bound_notification")][subject.name] = None
        return result

    def _faults(self) -> Iterator[Relation]:
        """Who handles whose faults and timeouts."""
        receivers = self.receivers()
        for subject in self.subjects:
            for slot in ("fault_ep_slot", "temp_fault_ep_slot"):
                endpoint = subject.held(slot)
                for handler in receivers.get(endpoint, ()):
                    yield Relation(handler, "handle", subject.name, endpoint)

    def _control(self) -> Iterator[Relation]:
        """Capabilities to what others consist of, and untypeds that it was made of."""
        owners = defaultdict(list)
        for subject in self.subjects:
            for name in sorted(subject.own):
                owners[name].append(subject.name)
        for subject in self.subjects:
            for cap in subject.caps:
                kind = self.kind(cap)
                reached = self.covered(cap.object) if kind == "ut" else [cap.object] if kind in ("tcb", "cnode", "sc", *_TABLES) else []
                for name in reached:
                    for owner in owners[name]:
                        yield Relation(subject.name, "control", owner, cap.object)

    def covered(self, untyped: str) -> list[str]:
        """Everything that an untyped covers, directly or through others."""
        names = list(self.spec.objects[untyped].children)
        for name in names:
            names += self.spec.objects[name].children
        return names

    def interrupt_label(self, handler: str) -> str:
        """An interrupt as reports call it."""
        number = next((number for number, name in self.spec.irqs.items() if name == handler), None)
        return f"interrupt {handler if number is None else number}"

    # What diff compares -----------------------------------------------------------------------------------------------------------------

    def facts(self, subject: Subject) -> dict[str, Fact]:
        """The authority of one subject: by what it may do, its extent. Larger extents hold more letters, or larger numbers."""
        result: dict[str, Fact] = {}

        def add(what: str, extent: tuple[Any, ...]) -> None:
            before = result.get(what)
            result[what] = Fact(what, extent if before is None else tuple(sorted({*before.extent, *extent})))
        for relation in self.relations:
            if relation.subject == subject.name:
                add(spell_relation(relation), ())
        for cap in subject.caps:
            what, extent = self.holding(subject, cap)
            if what:
                add(what, extent)
        for number, name in (("priority", "prio"), ("highest priority that it may give", "max_prio")):
            add(number, (subject.tcb.params.get(name, 0),))
        for name in ACCESS_PARAMETERS:
            if subject.tcb.params.get(name):
                add(f"access to {name}", ())
        context = self.spec.objects.get(subject.held("sc_slot"))
        if context is not None and context.params.get("period") and "first_receive" not in subject.tcb.params:
            add("share of a core (per million)", (context.params["budget"] * 1_000_000 // context.params["period"],))
        return result

    def holding(self, subject: Subject, cap: Cap) -> tuple[str | None, tuple[Any, ...]]:
        """(what, extent) of a capability, or (None, ()) when a relation says it already, or it is to an object of its own."""
        kind = self.kind(cap)
        if kind is None:
            return f"holds {cap.built_in}" + ("" if cap.core is None else f" of core {cap.core}"), ()
        if kind in _IRQS or cap.object in subject.own and kind != "cnode":
            return None, ()
        if kind == "ut":
            return f"holds untyped {cap.object} of 2^{self.spec.objects[cap.object].size_bits} bytes", ()
        port = self.port(cap)
        if kind == "ep" and cap.object not in subject.own and "R" not in cap.rights:
            what = f"calls {cap.object}: {port}" if port else f"sends to {cap.object} with badge {cap.badge:#x}"
            return what, tuple(sorted(cap.rights, key=RIGHTS.index))
        return f"holds {kind} {cap.object}", tuple(sorted(cap.rights, key=RIGHTS.index))


def spell_relation(relation: Relation) -> str:
    """A relation in words."""
    verbs = {"read": "reads memory of", "write": "writes memory of", "signal": "signals", "call": "calls", "handle": "handles faults of",
             "control": "controls"}
    words = verbs[relation.verb]
    if relation.target.startswith("interrupt "):
        words = "handles"
    elif relation.target.startswith("physical "):
        words = words.replace("memory of", "").strip()
    return f"{words} {relation.target}"


def device_labels(spec: Spec) -> dict[str, str]:
    """Frames at fixed addresses, adjacent ones of a component together: name -> `physical ADDRESS`."""
    frames = sorted((item.paddr, item.name) for item in spec.objects.values()
                    if item.type == "frame" and item.paddr is not None and item.size_bits is not None)
    labels, before, label = {}, None, ""
    for address, name in frames:
        following = (address, spec.objects[name].component)
        if following != before:
            label = f"physical {address:#x}"
        labels[name] = label
        before = (address + (1 << spec.objects[name].size_bits), following[1])
    return labels
