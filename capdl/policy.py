# SPDX-License-Identifier: BSD-2-Clause
"""Policies: whether a system keeps what its description promises. `judge` gives the verdicts; docs/policy.md says what each clause means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .authority import IRQS, LOADER, Closure, Holding
from .authority_flow import Bounds, Flow
from .diagnostics import Diagnostics, Place
from .policy_clauses import EVERY, AllowFlow, AssumeDma, Clause, CpuLoad, DenyCaps, DenyFlow, Isolated, Name, Names, OnlyReach, Pass, Policy, Trusted
from .policy_witness import Step, Witness

if TYPE_CHECKING:
    from .authority_devices import Device
    from .component_checks import System
    from .model import Spec

HOLDS, VIOLATED, UNKNOWN = "holds", "violated", "unknown"
# Of findings: what a clause names, what it says, and each kind of violation.
CODES = NAME, FORM, FLOW, ISOLATION, DEVICE, CAPS, LOAD = ("policy-name", "policy-form", "policy-flow", "policy-isolation", "policy-device", "policy-caps",
                                                           "policy-load")
EXCLUSIONS = ("timing, caches and scheduling are excluded", "the kernel, the hardware and, until it has deleted itself, the loader are trusted")


class Violation(NamedTuple):
    """Why a clause does not hold: what is wrong, what to do, and the code of its finding."""

    message: str
    remedy: str
    code: str
    witness: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """On one clause. state: HOLDS, VIOLATED, or UNKNOWN as it takes the board to know. relies: the trusted subjects without whose trust it would not hold.
    assumptions: clauses that it stands on."""

    clause: Clause
    state: str
    violation: Violation | None = None
    relies: tuple[str, ...] = ()
    assumptions: tuple[Clause, ...] = ()

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return {"clause": str(self.clause), "place": str(self.clause.place), "state": self.state, "code": self.violation.code if self.violation else None,
                "message": self.violation.message if self.violation else None, "relies": list(self.relies),
                "assumptions": [str(clause) for clause in self.assumptions],
                "witness": [step.as_dictionary() for step in self.violation.witness] if self.violation else []}


@dataclass
class Judgement:
    """On a whole policy. problems: (place, message, code) of clauses that mean nothing; then there are no verdicts. trusted: the clauses that say whom the
    verdicts may rely on."""

    verdicts: list[Verdict] = field(default_factory=list)
    problems: list[tuple[Place, str, str]] = field(default_factory=list)
    trusted: list[Trusted] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when nothing is violated or wrong."""
        return not self.problems and all(verdict.state != VIOLATED for verdict in self.verdicts)

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return {"ok": self.ok, "verdicts": [verdict.as_dictionary() for verdict in self.verdicts], "exclusions": list(EXCLUSIONS),
                "trusted": [{"subject": clause.subject.text, "reason": clause.reason} for clause in self.trusted]}

    def report(self, diagnostics: Diagnostics) -> None:
        """Make findings of what is wrong."""
        for place, message, code in self.problems:
            diagnostics.error(place, message, code)
        for verdict in self.verdicts:
            if verdict.violation is not None:
                message, remedy, code, witness = verdict.violation
                diagnostics.error(verdict.clause.place, f"{message} ({remedy})", code,
                                  tuple(f"{number}. {step}" for number, step in enumerate(witness, 1)))


def make_policy(clauses: list[Clause], system: System, blob: Path | None) -> Policy:
    """The Policy of a description whose components are `system`."""
    return Policy(clauses, list(declared_passes(system)), blob)


def declared_passes(system: System) -> Iterator[Pass]:
    """What the interfaces of a component_checks.System declare that they pass, call by call."""
    for connection, client, server in system.calls():
        port = system.port(connection.source, "uses")
        interface = None if port is None else system.interfaces.get(port.type or "")
        for method in interface.methods if interface else ():
            for item in method.parameters:
                if item.type.is_cap:
                    ends = (client.name, server.name) if item.direction == "in" else (server.name, client.name)
                    yield Pass(*ends, item.type.kinds or None, connection.place)


def judge(spec: Spec) -> Judgement:
    """The verdicts on the policy of a system (model.Spec). Raises devicetree.DeviceProblem when its device tree cannot be read."""
    return Judge(spec).judgement() if spec.policy.clauses else Judgement()


class Judge:
    """Judges the policy of one system."""

    def __init__(self, spec: Spec):
        self.spec, self.policy = spec, spec.policy
        self.trusts: list[Trusted] = self.policy.of(Trusted)
        self._flows: dict[frozenset[str], Flow] = {}
        self._devices: dict[str, Device] = {}
        self._find_device: Callable[[str], Device | None] = lambda name: None
        if self.policy.blob is not None:
            from .authority_devices import Devices  # which needs libfdt
            devices = Devices(self.policy.blob)
            self._devices, self._find_device = devices.all, devices.find
        self._subjects = Closure(spec).subjects

    @property
    def has_board(self) -> bool:
        """True when the devices are known."""
        return self.policy.blob is not None

    def judgement(self) -> Judgement:
        """Everything."""
        problems = [*self._wrong_names(), *self._wrong_forms()]
        if problems:
            return Judgement([], problems, self.trusts)
        judged = (DenyFlow, Isolated, OnlyReach, DenyCaps, CpuLoad)
        return Judgement([self._verdict(clause) for clause in self.policy.clauses if isinstance(clause, judged)], [], self.trusts)

    # Names ------------------------------------------------------------------------------------------------------------------------------

    def subject(self, name: Name) -> str | None:
        """The subject that a name means, or None."""
        if name.text in self._subjects or name.text == LOADER:
            return name.text
        device = self._find_device(name.text)
        return None if device is None else device.name

    def _wrong_names(self) -> Iterator[tuple[Place, str, str]]:
        """Names of nothing. Without a board what may be a device's name is taken for one."""
        for clause in self.policy.clauses:
            components, either, devices = names_of(clause)
            for name in components:
                if name.text not in self._subjects and name.text not in (EVERY, LOADER):
                    yield name.place, f"unknown component {name} (known: {', '.join(self._subjects)})", NAME
            for name in either:
                if self.has_board and self.subject(name) is None:
                    yield name.place, (f"unknown subject {name} (components: {', '.join(self._subjects)}; a device is named by its path in the device "
                                       "tree, or an alias)"), NAME
            for name in devices:
                if self.has_board and name.text != EVERY and self._find_device(name.text) is None:
                    yield name.place, f"the board has no device {name} with registers or interrupts (name its path in the device tree, or an alias)", NAME

    def _wrong_forms(self) -> Iterator[tuple[Place, str, str]]:
        """Clauses that contradict themselves or each other."""
        denied = {self._ends(clause) for clause in self.policy.of(DenyFlow)}
        for clause in self.policy.of(AllowFlow):
            if self._ends(clause) not in denied:
                yield clause.place, (f"this allows what nothing denies; every flow is allowed that is not denied (add: deny flow {clause.source} -> "
                                     f"{clause.target})"), FORM
            for name in clause.via:
                if self._key(name) in self._ends(clause):
                    yield name.place, f"{name} is an end of this flow, and no way station (name those in between)", FORM
        for clause in (*self.policy.of(DenyFlow), *self.policy.of(AllowFlow)):
            if self._key(clause.source) == self._key(clause.target):
                yield clause.place, f"{clause.source} is both ends of this flow (name two subjects)", FORM
        for clause in self.policy.of(Isolated):
            names = [name.text for name in clause.members]
            if len(set(names)) < 2 or len(set(names)) < len(names):
                yield clause.place, "isolation is between two or more different components (name each once)", FORM
            for name in clause.via:
                if name.text in names:
                    yield name.place, f"{name} is one of those that are isolated (name those in between)", FORM
        for kind, attribute in ((Trusted, "subject"), (AssumeDma, "device")):
            seen: dict[str, Place] = {}
            for clause in self.policy.of(kind):
                first = seen.setdefault(self._key(getattr(clause, attribute)), clause.place)
                if first != clause.place:
                    yield clause.place, f"the same was said of {getattr(clause, attribute)} at {first} (remove one)", FORM

    def _key(self, name: Name) -> str:
        """What a name means, or itself where that is not known."""
        return self.subject(name) or name.text

    def _ends(self, clause: DenyFlow | AllowFlow) -> tuple[str, str]:
        """Both ends of a flow."""
        return self._key(clause.source), self._key(clause.target)

    # Verdicts ---------------------------------------------------------------------------------------------------------------------------

    def flow(self, trusted: frozenset[str]) -> Flow:
        """The Flow of the system when exactly these are trusted."""
        if trusted not in self._flows:
            self._flows[trusted] = Flow(Closure(self.spec, trusted, self.policy.passes), self._devices.values(), self._bounds())
        return self._flows[trusted]

    def _bounds(self) -> Bounds:
        """What is assumed of devices that access memory."""
        within: dict[str, Collection[str]] = {}
        for clause in sorted(self.policy.of(AssumeDma), key=lambda clause: clause.device.text != EVERY):
            for name in self._devices if clause.device.text == EVERY else [self._key(clause.device)]:
                within[name] = {self._key(subject) for subject in clause.within}
        return Bounds(within)

    def _verdict(self, clause: Clause) -> Verdict:
        """On one clause."""
        trusted = frozenset(item.subject.text for item in self.trusts)
        violation = self.violation(clause, trusted)
        if violation is not None:
            return Verdict(clause, VIOLATED, violation)
        board_matters = isinstance(clause, (DenyFlow, Isolated, OnlyReach))
        if board_matters and not self.has_board:
            return Verdict(clause, UNKNOWN)
        assumptions = tuple(self.policy.of(AssumeDma)) if isinstance(clause, (DenyFlow, Isolated)) else ()
        return Verdict(clause, HOLDS, None, self._relies(clause, trusted), assumptions)

    def _relies(self, clause: Clause, trusted: frozenset[str]) -> tuple[str, ...]:
        """The trusted subjects that a clause which holds relies on: each that it needs, or all when any one of them could be missed."""
        if isinstance(clause, CpuLoad) or not trusted or self.violation(clause, frozenset()) is None:
            return ()
        needed = [name for name in sorted(trusted) if self.violation(clause, trusted - {name}) is not None]
        return tuple(needed or sorted(trusted))

    def violation(self, clause: Clause, trusted: frozenset[str]) -> Violation | None:
        """Why a clause does not hold when these are trusted, or None."""
        if isinstance(clause, DenyFlow):
            return self._denied_flow(clause, self.flow(trusted))
        if isinstance(clause, Isolated):
            return self._isolation(clause, self.flow(trusted))
        if isinstance(clause, OnlyReach):
            return self._reach(clause, self.flow(trusted), trusted)
        if isinstance(clause, DenyCaps):
            return self._caps(clause, self.flow(trusted).closure)
        if isinstance(clause, CpuLoad):
            return self._load(clause)
        return None

    def _denied_flow(self, clause: DenyFlow, flow: Flow) -> Violation | None:
        """A way that is denied."""
        allowed = [self._key(name) for other in self.policy.of(AllowFlow) if self._ends(other) == self._ends(clause) for name in other.via]
        source, target = self._ends(clause)
        way = flow.way(source, target, allowed)
        if way is None:
            return None
        passed = [edge.target for edge in way[:-1]]
        message = f"information can flow from {clause.source} to {clause.target}" + (f" via {', '.join(passed)}" if passed else " directly")
        remedy = f"remove what the steps name, or allow it: allow flow {clause.source} -> {clause.target} via {', '.join(passed)}"
        if any(edge.rule in ("dma", "memory of all") for edge in way):
            remedy = "assume dma(DEVICE) within {...} for a device that nobody tells to access memory, or that is known to keep to that of a few"
        return Violation(message, remedy if passed else "remove what the step names", FLOW, Witness(flow.closure).of_way(way))

    def _isolation(self, clause: Isolated, flow: Flow) -> Violation | None:
        """Flow between members, or something that two of them have."""
        via = {self._key(name) for name in clause.via}
        names = [name.text for name in clause.members]
        ways = [way for pair in combinations(names, 2) for ends in (pair, pair[::-1]) for way in [flow.way(*ends, via)] if way is not None]
        if ways:
            way = min(ways, key=lambda way: sum(edge.cost for edge in way))
            passed = [edge.target for edge in way[:-1]]
            remedy = f"add 'via {', '.join(passed)}' if that is meant" if passed else "remove what the step names"
            return Violation(f"{way[0].source} and {way[-1].target} are not isolated: information can flow", remedy, ISOLATION,
                             Witness(flow.closure).of_way(way))
        return self._shared(names, via, flow)

    def _shared(self, names: list[str], via: set[str], flow: Flow) -> Violation | None:
        """An object in the authority of two members which is none of those that they are connected by."""
        held = flow.closure.held
        exempt = {target for name in via if name in held for target in (*flow.parts(name), *(item.target for item in held[name]))}
        for one, other in combinations(names, 2):
            theirs = {item.target: item for item in held.get(other, ()) if item.target in self.spec.objects}
            for item in held.get(one, ()):
                if item.target in theirs and item.target not in exempt:
                    witness = Witness(flow.closure)
                    steps = (*witness.of_holding(Holding(one, item)), *witness.of_holding(Holding(other, theirs[item.target])))
                    return Violation(f"{one} and {other} are not isolated: both can have {item.target}", "let one of them have it", ISOLATION,
                                     tuple(dict.fromkeys(steps)))
        return None

    def _reach(self, clause: OnlyReach, flow: Flow, trusted: Collection[str]) -> Violation | None:
        """Somebody else who reaches a device."""
        device = self._find_device(clause.device.text)
        may = {clause.subject.text, *trusted}
        others = [holding for holding in flow.device_holders(device) if holding.subject not in may] if device else []
        if not others:
            return None
        first = min(others, key=lambda holding: (flow.closure.reasons[holding].cost, holding))
        return Violation(f"{first.subject} can reach {clause.device} too", f"take the capability from it, or say why it may: trusted {first.subject} \"...\"",
                         DEVICE, Witness(flow.closure).of_holding(first))

    def _caps(self, clause: DenyCaps, closure: Closure) -> Violation | None:
        """A capability that somebody must not have."""
        exceptions = {name.text for name in clause.exceptions}
        subjects = [name for name in closure.subjects if name not in exceptions] if clause.subject.text == EVERY else [clause.subject.text]
        kinds = {same for kind in clause.kinds for same in (IRQS if kind in IRQS else (kind,))}
        found = [Holding(name, item) for name in subjects for item in closure.held.get(name, ()) if item.kind in kinds]
        if not found:
            return None
        first = min(found, key=lambda holding: (closure.reasons[holding].cost, holding))
        return Violation(f"{first.subject} can have a capability to {first.item} ({first.item.kind})", "remove what the steps name, or except it",
                         CAPS, Witness(closure).of_holding(first))

    def _load(self, clause: CpuLoad) -> Violation | None:
        """A core whose time is promised beyond a bound."""
        shares = dict(core_shares(self.spec, self._subjects.values(), clause.core))
        total = sum(shares.values(), Fraction(0))
        if total * 100 <= clause.percent:
            return None
        largest = ", ".join(f"{name} {float(share):.2%}" for name, share in sorted(shares.items(), key=lambda item: -item[1])[:4])
        return Violation(f"the budgets on core {clause.core} are {float(total):.2%} of its time, above {clause.percent}%: {largest}",
                         "lower a budget, or move a component to another core", LOAD)


def names_of(clause: Clause) -> tuple[Names, Names, Names]:
    """The names in a clause: those of components, those of any subject, those of devices."""
    if isinstance(clause, Trusted):
        return (clause.subject,), (), ()
    if isinstance(clause, DenyFlow):
        return (), (clause.source, clause.target), ()
    if isinstance(clause, AllowFlow):
        return (), (clause.source, clause.target, *clause.via), ()
    if isinstance(clause, Isolated):
        return clause.members, clause.via, ()
    if isinstance(clause, OnlyReach):
        return (clause.subject,), (), (clause.device,)
    if isinstance(clause, DenyCaps):
        return (clause.subject, *clause.exceptions), (), ()
    return ((), clause.within, (clause.device,)) if isinstance(clause, AssumeDma) else ((), (), ())


def core_shares(spec: Spec, subjects: Iterable[Any], core: int) -> Iterator[tuple[str, Fraction]]:
    """(name, budget / period) of the threads that have time of their own on a core."""
    for subject in subjects:
        context = spec.objects.get(subject.held("sc_slot") or "")
        if context is not None and "first_receive" not in subject.tcb.params and subject.tcb.params.get("affinity", 0) == core:
            if context.params.get("period") and context.params.get("budget"):
                yield subject.name, Fraction(context.params["budget"], context.params["period"])
