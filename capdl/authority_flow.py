# SPDX-License-Identifier: BSD-2-Clause
"""Flow: between which subjects information can get directly, given their authority; and the shortest ways it can take. docs/policy.md states the rules.

Timing, caches and scheduling are left out.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from .authority import IRQS, LOADER, TABLES, Closure, Holding, Item
from .diagnostics import Place
from .model import TCB_SLOTS

if TYPE_CHECKING:
    from .authority_devices import Device  # which needs libfdt

# The rules, and how a witness says them of a subject and the next one.
RULES = {
    "memory": "writes memory that {1} reads", "send": "sends to {1}", "reply": "answers {1}, which calls it", "same reply": "can answer for {1}",
    "signal": "signals {1}", "control": "holds what {1} consists of", "controlled": "consists of what {1} holds", "fault": "faults to {1}",
    "fault reply": "handles faults of {1}", "time": "runs on time that {1} holds", "registers": "uses registers of {1}",
    "device registers": "has its registers used by {1}", "interrupt": "interrupts {1}", "dma": "may access all memory, that of {1} too, by DMA",
    "memory of all": "has memory that {1} may access by DMA",
}


class Edge(NamedTuple):
    """Direct flow from one subject to another. cost: steps to show it, this one included. premises: the holdings that it stands on. rights: of each of
    them, the right that counts. place: of what the description says to it beside these, or None."""

    source: str
    target: str
    rule: str
    cost: int
    premises: tuple[Holding, ...] = ()
    rights: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True)
class Bounds:
    """What is assumed of devices that access memory. within: device -> subjects whose memory alone it accesses."""

    within: Mapping[str, Collection[str]]


class Flow:
    """Direct flow in a system. devices: its devices, or none where the board is not known. edges: source -> target -> the Edge of fewest steps."""

    def __init__(self, closure: Closure, devices: Iterable[Device] = (), bounds: Bounds = Bounds({})):
        self.closure, self.spec, self.bounds = closure, closure.spec, bounds
        self.devices = list(devices)
        self.names = [*closure.subjects, LOADER, *(device.name for device in self.devices)]
        self.edges: dict[str, dict[str, Edge]] = defaultdict(dict)
        self._numbers = {name: number for number, name in closure.spec.irqs.items()}
        self._holders: dict[str, list[Holding]] = defaultdict(list)      # object -> who holds a capability to it
        self._by_kind: dict[str, list[Holding]] = defaultdict(list)
        for subject, items in closure.held.items():
            for item in items:
                self._by_kind[item.kind].append(Holding(subject, item))
                if not item.made:
                    self._holders[item.target].append(Holding(subject, item))
        for edge in self._find():
            known = self.edges[edge.source].get(edge.target)
            if edge.source != edge.target and (known is None or edge.cost < known.cost):
                self.edges[edge.source][edge.target] = edge

    def _edge(self, source: str, target: str, rule: str, *premises: tuple[Holding, str], place: Place | None = None) -> Edge:
        """An edge; its costs are those of its premises and one more."""
        cost = 1 + sum(self.closure.reasons[holding].cost for holding, _ in premises)
        return Edge(source, target, rule, cost, tuple(holding for holding, _ in premises), tuple(right for _, right in premises), place)

    def _find(self) -> Iterator[Edge]:
        """All edges."""
        yield from self._memory()
        yield from self._messages()
        yield from self._replies()
        yield from self._control()
        yield from self._faults()
        yield from self._time()
        for device in self.devices:
            yield from self._device(device)

    # Rules ------------------------------------------------------------------------------------------------------------------------------

    def _memory(self) -> Iterator[Edge]:
        """Frames that one may write and another one read. Those at fixed addresses count by their addresses; what can be made of an untyped lies where all lies
        that it covers."""
        groups: dict[tuple[str, bool], list[Holding]] = defaultdict(list)
        for holding in self._by_kind["frame"]:
            groups[holding.item.target, holding.item.made].append(holding)
        covering = [[*members, *self._covered(groups, target)] for (target, made), members in list(groups.items()) if made]
        placed = [holding for holding in self._by_kind["frame"] if self.physical(holding.item)]
        for members in (*groups.values(), *covering, *self._overlapping(placed)):
            writers = [holding for holding in members if "W" in holding.item.rights]
            readers = [holding for holding in members if "R" in holding.item.rights]
            for writer in writers:
                for reader in readers:
                    yield self._edge(writer.subject, reader.subject, "memory", (writer, "W"), (reader, "R"))

    def _covered(self, groups: dict[tuple[str, bool], list[Holding]], untyped: str) -> Iterator[Holding]:
        """The frames of `groups` that an untyped covers."""
        waiting = list(self.spec.objects[untyped].children)
        for name in waiting:
            waiting += self.spec.objects[name].children
            yield from (*groups.get((name, False), ()), *groups.get((name, True), ()))

    def physical(self, item: Item) -> tuple[int, int] | None:
        """(start, end) of a frame or untyped at a fixed address."""
        found = self.spec.objects[item.target]
        bits = found.memory_bits()
        return None if found.paddr is None or bits is None else (found.paddr, found.paddr + (1 << bits))

    def _overlapping(self, placed: list[Holding]) -> Iterator[list[Holding]]:
        """Groups of placed frames of which each overlaps the first."""
        spans = sorted({(*(self.physical(item) or (0, 0)), item.target, item.made) for _, item in placed})
        by_target = defaultdict(list)
        for holding in placed:
            by_target[holding.item.target, holding.item.made].append(holding)
        for index, (start, end, target, made) in enumerate(spans):
            group = list(by_target[target, made])
            for first, _, other, other_made in spans[index + 1:]:
                if first >= end:
                    break
                group += by_target[other, other_made]
            yield group

    def _messages(self) -> Iterator[Edge]:
        """Endpoints and notifications, software interrupts too."""
        for kind in ("ep", "notification"):
            members: dict[tuple[str, bool], list[Holding]] = defaultdict(list)
            for holding in self._by_kind[kind]:
                members[holding.item.target, holding.item.made].append(holding)
            for holdings in members.values():
                receivers = [holding for holding in holdings if "R" in holding.item.rights]
                for sender in (holding for holding in holdings if "W" in holding.item.rights):
                    for receiver in receivers:
                        yield self._edge(sender.subject, receiver.subject, "send" if kind == "ep" else "signal", (sender, "W"), (receiver, "R"))
                        if kind == "ep" and ("P" in sender.item.rights or "G" in sender.item.rights):
                            right = "P" if "P" in sender.item.rights else "G"
                            yield self._edge(receiver.subject, sender.subject, "reply", (sender, right), (receiver, "R"))
        for sender in self._by_kind["arm_sgi_signal"]:
            number = self.spec.objects[sender.item.target].params.get("irq") if not sender.item.made else None
            for waiter in self._waiters(number):
                yield self._edge(sender.subject, waiter.subject, "signal", (sender, ""), (waiter, ""))

    def _replies(self) -> Iterator[Edge]:
        """Reply objects that several hold: each can answer whom another one received from with it."""
        for own in self._by_kind["rtreply"]:
            for other in self._holders[own.item.target] if not own.item.made else ():
                yield self._edge(other.subject, own.subject, "same reply", (own, ""), (other, ""))

    def _waiters(self, interrupt: int | None) -> Iterator[Holding]:
        """Who learns of an interrupt: those that hold it, may take it, or wait where it is signalled."""
        yield from self._by_kind["irq_control"]
        if interrupt in self.spec.irqs:
            handler = self.spec.irqs[interrupt]
            yield from self._holders[handler]
            for cap in self.spec.objects[handler].slots.values():
                yield from (holding for holding in self._holders[cap.object or ""] if "R" in holding.item.rights)

    def _control(self) -> Iterator[Edge]:
        """What others consist of, and the untypeds that it was made of."""
        owners: dict[str, list[str]] = defaultdict(list)
        for name, subject in self.closure.subjects.items():
            for item in self.parts(name):
                owners[item].append(name)
        parents = self.spec.parents()
        ancestors: dict[str, dict[str, None]] = defaultdict(dict)    # untyped -> owners of what it covers
        for holding in self._by_kind["ut"]:
            if not holding.item.made:
                owners[holding.item.target].append(holding.subject)
        for item, names in owners.items():
            untyped = parents.get(item)
            while untyped is not None:
                ancestors[untyped].update(dict.fromkeys(names))
                untyped = parents.get(untyped)
        for kind in ("tcb", "cnode", *TABLES, "ut"):
            for holding in self._by_kind[kind]:
                if holding.item.made:
                    continue
                reached = ancestors[holding.item.target] if kind == "ut" else owners[holding.item.target]
                for owner in reached:
                    yield self._edge(holding.subject, owner, "control", (holding, ""))
                    yield self._edge(owner, holding.subject, "controlled", (holding, ""))

    def parts(self, name: str) -> set[str]:
        """The objects that a subject consists of: its own, what was made for the component, and the memory that it has."""
        subject = self.closure.subjects[name]
        made = {item.name for item in self.spec.objects.values() if subject.component and item.component == name}
        return {*subject.own, *made, *(mapping.frame for mapping in subject.mappings)}

    def _faults(self) -> Iterator[Edge]:
        """Who handles whose faults and timeouts."""
        for name, subject in self.closure.subjects.items():
            for slot in ("fault_ep_slot", "temp_fault_ep_slot"):
                cap = subject.tcb.slots.get(TCB_SLOTS[slot])
                for handler in self._holders[cap.object] if cap is not None and cap.object is not None else ():
                    if "R" in handler.item.rights:
                        yield self._edge(name, handler.subject, "fault", (handler, "R"), place=cap.place)
                        yield self._edge(handler.subject, name, "fault reply", (handler, "R"), place=cap.place)

    def _time(self) -> Iterator[Edge]:
        """Scheduling contexts of others."""
        runners: dict[str | None, list[str]] = defaultdict(list)
        for name, subject in self.closure.subjects.items():
            runners[subject.held("sc_slot")].append(name)
        for holding in self._by_kind["sc"]:
            for runner in runners[holding.item.target] if not holding.item.made else ():
                yield self._edge(runner, holding.subject, "time", (holding, ""))

    def _device(self, device: Device) -> Iterator[Edge]:
        """Registers, interrupts and memory accesses of one device."""
        for holding in self.register_holders(device):
            yield self._edge(holding.subject, device.name, "registers", (holding, ""))
            yield self._edge(device.name, holding.subject, "device registers", (holding, ""))
        for number in device.interrupts:
            for holding in self._waiters(number):
                yield self._edge(device.name, holding.subject, "interrupt", (holding, ""))
        if device.dma:
            for name in self.bounds.within.get(device.name, self.names):
                yield Edge(device.name, name, "dma", 1)
                yield Edge(name, device.name, "memory of all", 1)

    def register_holders(self, device: Device) -> Iterator[Holding]:
        """Frames and device memory with registers of a device."""
        for kind in ("frame", "ut"):
            for holding in self._by_kind[kind]:
                span = self.physical(holding.item)
                if span and device.overlaps(*span):
                    yield holding

    def device_holders(self, device: Device) -> Iterator[Holding]:
        """All by which a device can be reached: its registers, its interrupts, and whatever takes any interrupt."""
        yield from self.register_holders(device)
        yield from self._by_kind["irq_control"]
        for kind in IRQS:
            yield from (holding for holding in self._by_kind[kind] if not holding.item.made and self._numbers.get(holding.item.target) in device.interrupts)

    # Ways -------------------------------------------------------------------------------------------------------------------------------

    def way(self, source: str, target: str, without: Collection[str] = ()) -> list[Edge] | None:
        """The way from one subject to another of fewest steps that passes through none of `without`, or None."""
        number = count()
        best: dict[str, int] = {}
        heap: list[tuple[int, int, str, tuple[Edge, ...]]] = [(0, next(number), source, ())]
        while heap:
            cost, _, name, way = heapq.heappop(heap)
            if name == target and way:
                return list(way)
            if name in best or name in without:
                continue
            best[name] = cost
            for other, edge in self.edges.get(name, {}).items():
                if other not in best and other not in without:
                    heapq.heappush(heap, (cost + edge.cost, next(number), other, (*way, edge)))
        return None
