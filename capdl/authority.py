# SPDX-License-Identifier: BSD-2-Clause
"""Authority: all capabilities that a subject can ever come to hold, and how. docs/policy.md states the rules.

The computation is a search for cheapest derivations: a *fact* is that a subject holds an item, or that what one subject holds another one can get (a
link). Each rule makes a fact from others and costs one step more than they do together. The cheapest open fact is final, so that every fact is told by a
derivation of the fewest steps.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .diagnostics import Place
from .model import FIXED_SIZE_BITS, PAGE_TABLE_SHIFT, SLOT_BITS, TCB_SLOTS, Cap, Spec
from .policy_clauses import Pass
from .report_authority import Subject, find_subjects, reachable_cnodes, walk_tables

TABLES = tuple(PAGE_TABLE_SHIFT)
IRQS = ("irq", "arm_irq")
LOADER = "loader"
# What can be made of something: kinds that an untyped can become, with the bits of memory that the smallest one takes, and what others are for.
CREATABLE = {**{kind: bits for kind, bits in FIXED_SIZE_BITS.items() if kind != "asid_pool"}, "ut": 4, "cnode": SLOT_BITS + 1, "sc": 7, "frame": 12}
_ISSUED = {"irq_control": ("irq", "arm_irq", "arm_sgi_signal"), "asid_control": ("asid_pool",)}
# Slots of a thread that count as held (the roots stand for what is in them), with the rights that the kernel uses for it, or None for the capability's own.
# With a fault no capability goes along or comes back.
_HELD_SLOTS = {"ipc_buffer_slot": "RW", "sc_slot": None, "bound_notification": "R", "fault_ep_slot": "W", "temp_fault_ep_slot": "W"}


class Item(NamedTuple):
    """A capability as authority counts it. kind: the object's type, or the name of a built-in one. target: the object; of what can be made of an untyped,
    or issued by a built-in one, that one's name. rights: letters of model.RIGHTS. made: it would have to be made first."""

    kind: str
    target: str
    rights: str = ""
    made: bool = False

    def __str__(self) -> str:
        name = f"a new {self.kind} of {self.target}" if self.made else self.target
        return f"{name} ({self.rights})" if self.rights and not self.made else name


class Home(NamedTuple):
    """Where a description puts a capability: slot of a container, and the place in the text."""

    container: str
    slot: str
    place: Place | None

    def __str__(self) -> str:
        return f"{self.container} slot {self.slot}"


class Holding(NamedTuple):
    """The fact that a subject holds an item."""

    subject: str
    item: Item


class Link(NamedTuple):
    """The fact that `taker` can get what `giver` holds; kinds: capabilities of these kinds alone, or None for all."""

    giver: str
    taker: str
    kinds: tuple[str, ...] | None = None


Fact = Holding | Link


@dataclass(frozen=True)
class Reason:
    """Why a fact holds. cost: steps of its derivation. rule: its name. premises: the facts that it follows from. home: of a holding, the slot in which the
    description puts the capability, or None for a new one. place: of what the description says to the rule itself, or None."""

    cost: int
    rule: str
    premises: tuple[Fact, ...] = ()
    home: Home | None = None
    place: Place | None = None


@dataclass
class Endpoint:
    """Who holds a capability with which rights to one endpoint."""

    granting: list[Holding] = field(default_factory=list)   # W and G
    calling: list[Holding] = field(default_factory=list)    # W and P or G
    receiving: list[Holding] = field(default_factory=list)  # R
    answering: list[Holding] = field(default_factory=list)  # R and G


class Closure:
    """The authority of every subject. trusted: names of subjects that do only what their interfaces declare, which `passes` lists. gifts: also what others
    could put into a subject because they control it, which is theirs otherwise.

    subjects: report_authority.Subject by name. held: name -> item -> Reason. suppressed: (one, other) of which at least one is trusted, and whose authority
    would be linked if none were."""

    def __init__(self, spec: Spec, trusted: Iterable[str] = (), passes: Iterable[Pass] = (), gifts: bool = False):
        self.spec = spec
        self.gifts = gifts
        self.trusted = frozenset(trusted)
        self.subjects: dict[str, Subject] = {subject.name: subject for subject in find_subjects(spec)}
        self.held: dict[str, dict[Item, Reason]] = {name: {} for name in self.subjects}
        self.reasons: dict[Fact, Reason] = {}
        self.suppressed: set[tuple[str, str]] = set()
        self._links: dict[str, list[Link]] = defaultdict(list)
        self._endpoints: dict[str, Endpoint] = defaultdict(Endpoint)
        self._cnodes: dict[str, list[Holding]] = defaultdict(list)
        self._replies: dict[str, list[Holding]] = defaultdict(list)                    # reply object -> who holds it
        self._answered: dict[str, list[tuple[Holding, Holding]]] = defaultdict(list)   # subject -> whom it may answer with capabilities
        self._threads: dict[str, str] = {subject.tcb.name: subject.name for subject in self.subjects.values()}
        self._parts: dict[str, list[str]] = defaultdict(list)   # thread, CNode or page table -> subjects that consist of it
        for subject in self.subjects.values():
            for part in sorted(subject.own):
                self._parts[part].append(subject.name)
        self._open: list[tuple[int, int, Fact, Reason]] = []
        self._counter = 0
        self._begin(passes)
        self._close()

    # The search -------------------------------------------------------------------------------------------------------------------------

    def _propose(self, fact: Fact, rule: str, premises: tuple[Fact, ...] = (), home: Home | None = None, place: Place | None = None, step: int = 1) -> None:
        """A derivation of a fact, if it has none yet."""
        if fact not in self.reasons:
            cost = step + sum(self.reasons[premise].cost for premise in premises)
            self._counter += 1
            heapq.heappush(self._open, (cost, self._counter, fact, Reason(cost, rule, premises, home, place)))

    def _close(self) -> None:
        """Take the cheapest open fact until there is none."""
        while self._open:
            _, _, fact, reason = heapq.heappop(self._open)
            if fact in self.reasons:
                continue
            self.reasons[fact] = reason
            if isinstance(fact, Link):
                self._links[fact.giver].append(fact)
                for item in list(self.held[fact.giver]):
                    self._follow(fact, item)
            else:
                self.held[fact.subject][fact.item] = reason
                for link in self._links[fact.subject]:
                    self._follow(link, fact.item)
                self._apply(fact)

    def _follow(self, link: Link, item: Item) -> None:
        """The taker of a link gets an item of the giver."""
        if link.kinds is None or item.kind in link.kinds:
            source = Holding(link.giver, item)
            self._propose(Holding(link.taker, item), self.reasons[link].rule, (link, source), self.reasons[source].home, step=0)

    # Beginnings -------------------------------------------------------------------------------------------------------------------------

    def _begin(self, passes: Iterable[Pass]) -> None:
        """What everyone starts with, and what needs nobody to hold anything."""
        roots = {subject.held("cspace") for subject in self.subjects.values()}
        spaces: dict[str, list[str]] = defaultdict(list)
        for subject in self.subjects.values():
            cnodes = reachable_cnodes(self.spec, subject.held("cspace"), roots)
            for name in (*cnodes, *walk_tables(self.spec, subject.held("vspace"))[0]):
                self._contents(subject.name, name, "holds", (), 0)
            for slot, rights in _HELD_SLOTS.items():
                cap = subject.tcb.slots.get(TCB_SLOTS[slot])
                if cap is not None:
                    self._propose(Holding(subject.name, self._item(cap, rights)), "holds", home=Home(subject.tcb.name, slot, cap.place), step=0)
            for name in cnodes:
                for other in spaces[name]:
                    for giver, taker in ((other, subject.name), (subject.name, other)):
                        self._propose(Link(giver, taker), "same CSpace", place=subject.tcb.place)
                spaces[name].append(subject.name)
        for item in passes:
            if self.trusted & {item.giver, item.taker}:
                self._propose(Link(item.giver, item.taker, item.kinds), "interface", place=item.place)

    def _item(self, cap: Cap, rights: str | None = None) -> Item:
        """A capability as an Item."""
        if cap.object is None:
            return Item(cap.built_in or "", cap.built_in or "")
        return Item(self.spec.objects[cap.object].type, cap.object, cap.rights if rights is None else rights)

    def _contents(self, subject: str, container: str, rule: str, premises: tuple[Fact, ...], step: int) -> None:
        """All that is in a CNode or page table."""
        item = self.spec.objects[container]
        for slot, cap in sorted(item.slots.items()):
            self._propose(Holding(subject, self._item(cap)), rule, premises, Home(container, str(slot), cap.place), step=step)

    # Rules ------------------------------------------------------------------------------------------------------------------------------

    def _apply(self, fact: Holding) -> None:
        """What follows from a holding."""
        subject, item = fact
        if item.made:
            if item.kind == "ep":
                self._meet(f"new:{item.target}", fact)
            return
        if self.gifts and item.kind in ("tcb", "cnode", *TABLES):
            for owner in self._parts[item.target]:
                if owner != subject:
                    self._propose(Link(subject, owner, ("frame", *TABLES) if item.kind in TABLES else None), "gift", (fact,))
        for kind in _ISSUED.get(item.kind, ()):
            self._propose(Holding(subject, Item(kind, item.target, made=True)), "create", (fact,))
        if item.kind == "cnode":
            self._contents(subject, item.target, "take", (fact,), 1)
            for other in self._cnodes[item.target]:
                self._link(subject, other.subject, "same CNode", (fact, other))
                self._link(other.subject, subject, "same CNode", (fact, other))
            self._cnodes[item.target].append(fact)
        elif item.kind in TABLES:
            self._contents(subject, item.target, "table", (fact,), 1)
        elif item.kind == "tcb" and item.target in self._threads and self._threads[item.target] != subject:
            self._propose(Link(self._threads[item.target], subject), "control", (fact,))
        elif item.kind == "ut":
            self._create(fact)
        elif item.kind == "ep":
            self._meet(item.target, fact)
        elif item.kind == "rtreply":
            self._share(fact)

    def _create(self, fact: Holding) -> None:
        """What can be made of an untyped: any object of its size. What it covers can be made anew when its holder has revoked the old one."""
        untyped = self.spec.objects[fact.item.target]
        for kind, bits in CREATABLE.items():
            if (untyped.size_bits or 0) >= bits:
                rights = {"ep": "RWGP", "notification": "RW", "frame": "RWG"}.get(kind, "")
                self._propose(Holding(fact.subject, Item(kind, untyped.name, rights, made=True)), "create", (fact,))

    def _meet(self, name: str, fact: Holding) -> None:
        """Grant and reply-grant: what two subjects can pass each other through an endpoint."""
        endpoint, rights = self._endpoints[name], fact.item.rights
        if "R" in rights:
            for other in endpoint.granting:
                self._grant(other, fact)
            endpoint.receiving.append(fact)
            if "G" in rights:
                for other in endpoint.calling:
                    self._reply_grant(other, fact)
                endpoint.answering.append(fact)
        if "W" in rights:
            if "G" in rights:
                for other in endpoint.receiving:
                    self._grant(fact, other)
                endpoint.granting.append(fact)
            if "G" in rights or "P" in rights:
                for other in endpoint.answering:
                    self._reply_grant(fact, other)
                endpoint.calling.append(fact)

    def _grant(self, sender: Holding, receiver: Holding) -> None:
        """Both have the same authority."""
        self._link(sender.subject, receiver.subject, "grant", (sender, receiver))
        self._link(receiver.subject, sender.subject, "grant", (sender, receiver))

    def _reply_grant(self, caller: Holding, receiver: Holding) -> None:
        """The caller gets what the receiver has, and what those have that can answer with the receiver's reply object."""
        self._link(receiver.subject, caller.subject, "reply-grant", (caller, receiver))
        self._answered[receiver.subject].append((caller, receiver))
        for holdings in self._replies.values():
            for own in (holding for holding in holdings if holding.subject == receiver.subject):
                for other in holdings:
                    self._link(other.subject, caller.subject, "reply-grant", (caller, receiver, own, other))

    def _share(self, fact: Holding) -> None:
        """Whoever holds a reply object answers for all that receive with it."""
        self._replies[fact.item.target].append(fact)
        for other in self._replies[fact.item.target]:
            for own, answerer in ((other, fact), (fact, other)):
                for caller, receiver in self._answered[own.subject]:
                    self._link(answerer.subject, caller.subject, "reply-grant", (caller, receiver, own, answerer))

    def _link(self, giver: str, taker: str, rule: str, premises: tuple[Fact, ...]) -> None:
        """A link through an endpoint or a CNode, which nobody trusted takes part in."""
        if giver == taker:
            return
        if self.trusted & {giver, taker}:
            self.suppressed.add((min(giver, taker), max(giver, taker)))
        else:
            self._propose(Link(giver, taker), rule, premises)

    # Questions --------------------------------------------------------------------------------------------------------------------------

    def derivation(self, fact: Fact) -> Iterator[tuple[Fact, Reason]]:
        """The steps of a fact's derivation, premises first, each once; what is held from the beginning counts as one."""
        seen: set[Fact] = set()
        waiting: list[tuple[Fact, bool]] = [(fact, False)]
        while waiting:
            item, ready = waiting.pop()
            if ready:
                yield item, self.reasons[item]
            elif item not in seen:
                seen.add(item)
                waiting.append((item, True))
                waiting += [(premise, False) for premise in reversed(self.reasons[item].premises)]
