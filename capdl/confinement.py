# SPDX-License-Identifier: BSD-2-Clause
"""What a description allows everybody to hold, as the policy that the specification checks states of a kernel against (`pol_check` of
proofs-spec/spec/Policy.v; the text is that of proofs-spec/trace.md). docs/policy.md says how the two agree.

What a thread runs with is kept apart from what it can invoke: a thread's memory and that of its page tables are subjects of their own, which act for
the one whose they are. So are containers that belong to nobody, or to several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain

from .authority import IRQS, TABLES, Closure, Item
from .kernel_state import IRQ_SLOTS, SLOT_BYTES, State
from .model import TCB_SLOTS, Cap, Object, Spec
from .policy_clauses import Trusted
from .report_authority import Subject

# What the specification calls the types of capabilities.
TYPES = {"ut": "Untyped", "ep": "Endpoint", "notification": "Notification", "rtreply": "Reply", "cnode": "CNode", "tcb": "TCB", "sc": "SchedContext",
         "frame": "Frame", "asid_pool": "ASIDPool", "pgd": "VSpace", **dict.fromkeys(TABLES[1:], "PageTable"), **dict.fromkeys(IRQS, "IRQHandler"),
         "arm_sgi_signal": "SGISignal", "sched_control": "SchedControl", "asid_control": "ASIDControl", "irq_control": "IRQControl", "domain": "Domain"}
# Numbers of rights; of types without rights all are the same.
_BITS = {"W": 1, "R": 2, "G": 4, "P": 8}
_WITH_RIGHTS = {"ep": "RWGP", "notification": "RW", "frame": "RW"}
# Slots of a thread that the kernel has, with the rights that it keeps, or None for the capability's own.
_RUNS_WITH = {"cspace": None, "vspace": None, "ipc_buffer_slot": "RW", "fault_ep_slot": None, "temp_fault_ep_slot": None}
_CONTAINERS = {"CNode": 5, "TCB": 11, "VSpace": 12, "PageTable": 12}
LOADER = "loader"
ANY_CORE = 1 << 16
"""A capability to configure scheduling contexts counts as one for each core."""


class Confinement:
    """The policy of a system: who may hold what, by physical address. places: name of each object with memory -> its address."""

    def __init__(self, spec: Spec, places: Mapping[str, int]):
        self.spec, self.places = spec, places
        self.trusted = frozenset(clause.subject.text for clause in spec.policy.of(Trusted))
        self.closure = Closure(spec, self.trusted, spec.policy.passes)
        self._owners = self._find_owners()
        self._numbers = {name: number for number, name in spec.irqs.items()}

    def text(self, state: State, *, all_signals: bool = False) -> str:
        """All lines. state: of the kernel; what is in containers that are not the description's is the loader's, which may hold anything. all_signals: with
        whatever the holders of interrupts could have them signal."""
        trusted = (f"trusted {name}" for name in sorted(self.trusted & self.closure.subjects.keys()))
        lines = [*self._memory(), *self._acts(), *self._holds(all_signals), *trusted, f"silent {LOADER}", *self._loaders(state)]
        return "".join(f"{line}\n" for line in lines)

    # Whose memory is ------------------------------------------------------------------------------------------------------------------------

    def _find_owners(self) -> dict[str, str]:
        """Container -> subject."""
        users: dict[str, list[Subject]] = defaultdict(list)
        for subject in self.closure.subjects.values():
            for name in subject.own:
                users[name].append(subject)
        owners = {}
        for name, item in self.spec.objects.items():
            mine = users[name]
            if item.type == "tcb":
                owners[name] = f"thread:{name}"
            elif item.type in ("cnode", *TABLES):
                part = "" if item.type == "cnode" else "space:"
                owners[name] = part + mine[0].name if len(mine) == 1 else f"{item.type}:{name}"
        return owners

    def _memory(self) -> Iterator[str]:
        for name, owner in self._owners.items():
            yield f"memory {owner} {self.places[name]:#x} {1 << size_bits(self.spec.objects[name]):#x}"
        for number in self.spec.irqs:
            yield f"memory irq:{number} {IRQ_SLOTS + SLOT_BYTES * number:#x} {SLOT_BYTES:#x}"

    def _loaders(self, state: State) -> Iterator[str]:
        """Containers that the description does not have."""
        known = {self.places[name] for name in self._owners}
        for address, thing in state.objects.items():
            if thing.kind in _CONTAINERS and address not in known:
                bits = _CONTAINERS[thing.kind] + (thing.number("radix") if thing.kind == "CNode" else 0)
                yield f"memory {LOADER} {address:#x} {1 << bits:#x}"

    def _acts(self) -> Iterator[str]:
        for subject in self.closure.subjects.values():
            yield f"acts thread:{subject.tcb.name} {subject.name}"

    # Who may hold what ----------------------------------------------------------------------------------------------------------------------

    def _holds(self, all_signals: bool) -> Iterator[str]:
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for owner, item in chain(self._authority(), self._running(), self._contents(), self._signals(), self._possible_signals() if all_signals else ()):
            line = self._range(item)
            if line is not None:
                found[owner][line] = None
        for owner, lines in found.items():
            yield from (f"holds {owner} {line}" for line in lines)

    def _authority(self) -> Iterator[tuple[str, Item]]:
        """What subjects can come to hold. What they could make is in what it is made of; what is in threads' slots alone nobody can invoke."""
        threads = {subject.tcb.name for subject in self.closure.subjects.values()}
        for name, items in self.closure.held.items():
            yield from ((name, item) for item, reason in items.items() if not item.made and (reason.home is None or reason.home.container not in threads))

    def _running(self) -> Iterator[tuple[str, Item]]:
        """What threads run with."""
        for item in self.spec.objects.values():
            for slot, rights in _RUNS_WITH.items() if item.type == "tcb" else ():
                cap = item.slots.get(TCB_SLOTS[slot])
                if cap is not None:
                    yield self._owners[item.name], self._item(cap, rights)

    def _contents(self) -> Iterator[tuple[str, Item]]:
        """What is in containers that are no subject's CSpace."""
        for name, owner in self._owners.items():
            if owner not in self.closure.subjects and self.spec.objects[name].type != "tcb":
                yield from ((owner, self._item(cap)) for cap in self.spec.objects[name].slots.values())

    def _signals(self) -> Iterator[tuple[str, Item]]:
        """What interrupts signal."""
        for number, name in self.spec.irqs.items():
            yield from ((f"irq:{number}", self._item(cap, "RW")) for cap in self.spec.objects[name].slots.values())

    def _possible_signals(self) -> Iterator[tuple[str, Item]]:
        """What those who hold interrupts could have them signal."""
        for items in self.closure.held.values():
            numbers = [self._numbers[item.target] for item in items if item.kind in IRQS]
            yield from ((f"irq:{number}", item) for number in numbers for item in items if item.kind == "notification" and not item.made)

    def _item(self, cap: Cap, rights: str | None = None) -> Item:
        if cap.object is None:
            return Item(cap.built_in or "", cap.built_in or "")
        return Item(self.spec.objects[cap.object].type, cap.object, cap.rights if rights is None else rights)

    def _range(self, item: Item) -> str | None:
        """Type, start, size and rights; None for a capability that no kernel has."""
        kind = TYPES.get(item.kind)
        if kind is None:
            return None
        start, size = self._span(item)
        rights = sum(_BITS[letter] for letter in item.rights if letter in _WITH_RIGHTS[item.kind]) if item.kind in _WITH_RIGHTS else 0
        return f"{kind} {start:#x} {size:#x} {rights:#x}"

    def _span(self, item: Item) -> tuple[int, int]:
        """Where a capability's object lies, or the numbers that stand for it."""
        found = self.spec.objects.get(item.target)
        if found is None:
            return 0, ANY_CORE if item.kind == "sched_control" else 1
        if found.type in IRQS:
            return self._numbers[found.name], 1
        if found.type == "arm_sgi_signal":
            return found.params["irq"] + 16 * found.params["target"], 1
        return self.places[found.name], 1 << size_bits(found)


def size_bits(item: Object) -> int:
    """log2 of the memory that an object takes."""
    bits = item.memory_bits()
    assert bits is not None, f"{item.name} has no size"
    return bits
