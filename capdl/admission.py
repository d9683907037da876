# SPDX-License-Identifier: BSD-2-Clause
"""Admission: whether the time that a description promises is there, on three levels. docs/policy.md says what each one checks, and each result says what it
does not check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .model import Call, Spec
from .report_authority import Subject, find_subjects

# What the kernel costs, in instructions as docs/performance.md counts them: being preempted once, both ways (its row `irq cycle`), and the longest time for
# which nothing is preempted (the bound on the way from an interrupt to its handler). One instruction counts as a nanosecond.
SWITCH_INSTRUCTIONS = 1_000
LONGEST_INSTRUCTIONS = 8_000
INSTRUCTIONS_PER_MICROSECOND = 1_000
SWITCH = Fraction(SWITCH_INSTRUCTIONS, INSTRUCTIONS_PER_MICROSECOND)
LONGEST = Fraction(LONGEST_INSTRUCTIONS, INSTRUCTIONS_PER_MICROSECOND)

LEVELS = ("load", "supply", "chain")
NOT_CHECKED = {
    "load": ("whether anybody gets its budget in time, and whether budgets suffice for the work",),
    "supply": ("whether budgets suffice for the work", "caches, memory and other devices' accesses, which make instructions slower",
               "time spent waiting for servers that have time of their own"),
    "chain": ("how often a server is called per period, and that promised times are kept", "methods that promise no time"),
}


@dataclass
class Task:
    """A thread with time of its own. Times in microseconds; callees: of the calls that it makes."""

    name: str
    priority: int
    core: int
    budget: int
    period: int
    callees: list[Call] = field(default_factory=list)


@dataclass
class Row:
    """What a level says of one subject or core: value beside its limit, in words. ok: it holds."""

    name: str
    ok: bool
    text: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Level:
    """The result of one level. notes: what was taken for granted in this system."""

    name: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when all rows hold."""
        return all(row.ok for row in self.rows)


def admit(spec: Spec) -> list[Level]:
    """The levels' results, in order."""
    return Admission(spec).levels()


def as_dictionary(levels: list[Level]) -> dict[str, Any]:
    """Results for JSON."""
    return {level.name: {"ok": level.ok, "rows": [{"name": row.name, "ok": row.ok, **row.data} for row in level.rows], "notes": level.notes,
                         "not_checked": list(NOT_CHECKED[level.name])} for level in levels}


def as_lines(levels: list[Level]) -> list[str]:
    """Results for people."""
    lines = []
    for level in levels:
        lines.append(f"Admission, {level.name}: {'holds' if level.ok else 'does not hold'}")
        lines += [f"  {'' if row.ok else 'NOT '}{row.name}: {row.text}" for row in level.rows]
        lines += [f"  taken for granted: {note}" for note in level.notes]
        lines += [f"  not checked: {words}" for words in NOT_CHECKED[level.name]]
    return lines


def spell(microseconds: Fraction | int) -> str:
    """A time as people read it."""
    return f"{float(microseconds):,.1f} us".replace(".0 us", " us")


class Admission:
    """The computation for one system."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.subjects = {subject.name: subject for subject in find_subjects(spec)}
        self.tasks = {task.name: task for subject in self.subjects.values() for task in self._task(subject)}
        self.calls: dict[str, list[Call]] = defaultdict(list)
        for call in spec.calls:
            self.calls[call.client].append(call)

    def levels(self) -> list[Level]:
        """All of them."""
        return [self._load(), self._supply(), self._chain()]

    def is_passive(self, name: str) -> bool:
        """True for who works on lent time after its start."""
        return "first_receive" in self.subjects[name].tcb.params

    def _task(self, subject: Subject) -> Iterator[Task]:
        """The task of a subject that has time of its own."""
        context = self.spec.objects.get(subject.held("sc_slot") or "")
        if context is not None and "first_receive" not in subject.tcb.params and context.params.get("period"):
            params = subject.tcb.params
            yield Task(subject.name, params.get("prio", 0), params.get("affinity", 0), context.params["budget"], context.params["period"])

    # Levels -----------------------------------------------------------------------------------------------------------------------------

    def _load(self) -> Level:
        """The sum of budget by period of each core; whoever is neither passive nor has a budget is an error."""
        rows = []
        for core in sorted({task.core for task in self.tasks.values()}):
            shares = [Fraction(task.budget, task.period) for task in self.tasks.values() if task.core == core]
            total = sum(shares, Fraction(0))
            rows.append(Row(f"core {core}", total <= 1, f"{float(total):.2%} of its time is promised to {len(shares)}", {"share": float(total)}))
        for name in self.subjects:
            if name not in self.tasks and not self.is_passive(name):
                rows.append(Row(name, False, "has no budget, and is not passive", {"share": None}))
        return Level("load", rows)

    def _supply(self) -> Level:
        """R = C + B + what all of equal or higher priority take in R: it has to be within the period."""
        rows, notes = [], []
        for task in self.tasks.values():
            blocking, reason, assumed = self._blocking(task)
            response = self._response(task, blocking)
            words = f"{spell(response)} of {spell(task.period)}" if response is not None else f"never within {spell(task.period)}"
            by = f", blocked for {spell(blocking)} by {reason}" if reason else ""
            rows.append(Row(task.name, response is not None, f"its {spell(task.budget)} are there after {words}{by}" if response is not None
                            else f"its {spell(task.budget)} are {words}{by}",
                            {"response": None if response is None else float(response), "period": task.period, "blocking": float(blocking)}))
            notes += [note for note in assumed if note not in notes]
        notes.append(f"the kernel takes {spell(SWITCH)} for each preemption, and {spell(LONGEST)} at most before it notices (instructions of a nanosecond)")
        return Level("supply", rows, notes)

    def _blocking(self, task: Task) -> tuple[Fraction, str, list[str]]:
        """How long a less important caller in a passive server of at least this priority can hold the core: (time, by what, notes)."""
        longest, reason, notes = Fraction(0), "", []
        for other in self.tasks.values():
            if other.core == task.core and other.priority < task.priority:
                for call in self._passive_calls(other.name):
                    if self.subjects[call.server].tcb.params.get("prio", 0) < task.priority:
                        continue
                    for method, wcet in call.methods:
                        time = Fraction(other.budget if wcet is None else wcet)
                        if wcet is None:
                            notes.append(f"{call.server}.{method} promises no time: it takes at most the budget of its caller {other.name}")
                        if time > longest:
                            longest, reason = time, f"{other.name} in {call.server}.{method}"
        return longest, reason, notes

    def _passive_calls(self, name: str) -> Iterator[Call]:
        """Calls of passive servers that happen on the time of `name`, through others too."""
        seen, waiting = {name}, [name]
        for caller in waiting:
            for call in self.calls[caller]:
                if self.is_passive(call.server):
                    yield call
                    if call.server not in seen:
                        seen.add(call.server)
                        waiting.append(call.server)

    def _response(self, task: Task, blocking: Fraction) -> Fraction | None:
        """The longest time until a task has had its budget; None if that is not within its period."""
        others = [other for other in self.tasks.values() if other is not task and other.core == task.core and other.priority >= task.priority]
        base = task.budget + SWITCH + LONGEST + blocking
        response = base + sum(other.budget + SWITCH for other in others)
        while response <= task.period:
            longer = base + sum(-(-response // other.period) * (other.budget + SWITCH) for other in others)
            if longer == response:
                return response
            response = longer
        return None

    def _chain(self) -> Level:
        """Each one's budget covers the longest method that it promises itself, and what the passive servers take that it calls, in turn."""
        rows = []
        for task in self.tasks.values():
            needed, way = self._needed(task.name, ())
            if needed:
                rows.append(Row(task.name, needed <= task.budget, f"needs {spell(needed)} of its {spell(task.budget)}: {' + '.join(way)}",
                                {"needed": needed, "budget": task.budget}))
        unknown = sorted({f"{call.server}.{method}" for call in self.spec.calls for method, wcet in call.methods if wcet is None})
        return Level("chain", rows, [f"no time is promised by {', '.join(unknown)}"] if unknown else [])

    def _needed(self, name: str, callers: tuple[str, ...]) -> tuple[int, list[str]]:
        """(microseconds, of what) that the longest chain of promised methods takes which begins at `name`: its own method and its callees'."""
        own = [(wcet, f"{name}.{method}") for calls in self.calls.values() for call in calls if call.server == name for method, wcet in call.methods if wcet]
        time, way = max(own, default=(0, ""))
        below = [self._needed(call.server, (*callers, name)) for call in self.calls[name] if self.is_passive(call.server) and call.server not in callers]
        nothing: tuple[int, list[str]] = (0, [])
        longest, rest = max(below, default=nothing)
        return time + longest, [*([way] if way else []), *rest]
