# SPDX-License-Identifier: BSD-2-Clause
"""Witnesses: why a clause of a policy does not hold, step by step. Each step names subject, capability, right, rule and place in the description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .authority import Closure, Fact, Holding, Link, Reason
from .authority_flow import RULES, Edge
from .diagnostics import Place

# What the rules of authority say of a subject that gets a capability, or of two of which one gets what the other has.
_MEANING = {
    "take": "takes it from a CNode", "table": "finds it mapped in a page table", "create": "makes it of an untyped", "control": "controls its thread",
    "grant": "capabilities can be passed through the endpoint", "reply-grant": "answers can bring capabilities", "same CSpace": "both run in one CSpace",
    "same CNode": "both hold a CNode", "gift": "it controls it", "interface": "the interface declares that capabilities are passed",
}


@dataclass(frozen=True)
class Step:
    """One step. capabilities: of whom, where, to what, and the rights that count: (subject, slot, object, right, place), the most important first. other: whom
    the step leads to, or None."""

    subject: str
    rule: str
    other: str | None
    capabilities: tuple[tuple[str, str, str, str, Place | None], ...]
    place: Place | None
    text: str

    def __str__(self) -> str:
        return self.text

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        capabilities = [{"holder": holder, "slot": slot, "object": target, "right": right, "place": None if place is None else str(place)}
                        for holder, slot, target, right, place in self.capabilities]
        return {"subject": self.subject, "rule": self.rule, "other": self.other, "capabilities": capabilities,
                "place": None if self.place is None else str(self.place), "text": self.text}


class Witness:
    """Makes steps of facts and edges. closure: that they are of."""

    def __init__(self, closure: Closure):
        self._closure = closure

    def of_way(self, way: Iterable[Edge]) -> tuple[Step, ...]:
        """The steps of a way of flow."""
        steps: dict[Step, None] = {}
        for edge in way:
            for holding in edge.premises:
                steps.update(dict.fromkeys(self._derived(holding)))
            steps[self._edge(edge)] = None
        return tuple(steps)

    def of_holding(self, holding: Holding, right: str = "") -> tuple[Step, ...]:
        """The steps by which a subject comes to a capability."""
        steps = tuple(dict.fromkeys(self._derived(holding)))
        if steps:
            return steps
        capability = self._capability(holding, right)
        return (Step(holding.subject, "holds", None, (capability,), capability[4], f"{holding.subject} holds {spell_capability(capability)}"),)

    def _derived(self, holding: Holding) -> Iterator[Step]:
        """The steps of a derivation, without those that say what is held from the beginning."""
        for fact, reason in self._closure.derivation(holding):
            if reason.rule != "holds":
                yield self._step(fact, reason)

    def _capability(self, holding: Holding, right: str = "") -> tuple[str, str, str, str, Place | None]:
        """A capability as a Step names it."""
        reason = self._closure.reasons[holding]
        return holding.subject, "" if reason.home is None else str(reason.home), str(holding.item), right, reason.home.place if reason.home else None

    def _step(self, fact: Fact, reason: Reason) -> Step:
        """A derived fact as a step."""
        used = tuple(self._capability(premise) for premise in reason.premises if isinstance(premise, Holding))
        by = "; ".join(f"{holder} has {spell_capability((holder, slot, target, right, place))}" for holder, slot, target, right, place in used)
        place = reason.place or next((item[4] for item in used if item[4] is not None), None)
        if isinstance(fact, Link):
            what = "all that" if fact.kinds is None else f"capabilities ({', '.join(fact.kinds)}) that"
            text = f"{fact.taker} can get {what} {fact.giver} has, as {_MEANING[reason.rule]} ({reason.rule}{'' if by else at(place)})"
            return Step(fact.taker, reason.rule, fact.giver, used, place, f"{text}: {by}" if by else text)
        own = self._capability(fact)
        text = f"{fact.subject} gets {spell_capability(own)} ({reason.rule}: {_MEANING[reason.rule]}): {by}"
        return Step(fact.subject, reason.rule, None, (own, *used), own[4] or place, text)

    def _edge(self, edge: Edge) -> Step:
        """Direct flow as a step."""
        used = tuple(self._capability(holding, right) for holding, right in zip(edge.premises, edge.rights))
        verb = RULES[edge.rule].format(edge.source, edge.target)
        by = "; ".join(f"{item[0]} has {spell_capability(item)}" for item in used)
        place = edge.place or next((item[4] for item in used if item[4] is not None), None)
        text = f"{edge.source} {verb} ({edge.rule})" + (f": {by}" if by else at(place))
        return Step(edge.source, edge.rule, edge.target, used, place, text)


def at(place: Place | None) -> str:
    """A place, as a step ends with it."""
    return "" if place is None else f", {place}"


def spell_capability(capability: tuple[str, str, str, str, Place | None]) -> str:
    """A capability of a Step in words."""
    _, slot, target, right, place = capability
    words = f"{target} in {slot}" if slot else target
    return (f"right {right} of {words}" if right else words) + at(place)
