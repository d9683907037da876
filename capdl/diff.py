# SPDX-License-Identifier: BSD-2-Clause
"""What authority each subject of a system gained or lost between two versions of its description."""

from dataclasses import dataclass

from .model import Spec
from .report_authority import Authority, Fact


@dataclass
class Change:
    """Of one subject. gained, lost: sentences such as `calls console` or `holds ep server_ep: + G`."""

    subject: str
    gained: list[str]
    lost: list[str]


def compare(old: Spec, new: Spec) -> list[Change]:
    """The changes, subject by subject: those of the old system, then new ones. Subjects without a change are left out."""
    before, after = facts_by_subject(old), facts_by_subject(new)
    changes = []
    for name in dict.fromkeys([*before, *after]):
        gained, lost = compare_facts(before.get(name, {}), after.get(name, {}))
        if gained or lost:
            changes.append(Change(name, gained, lost))
    return changes


def facts_by_subject(spec: Spec) -> dict[str, dict[str, Fact]]:
    """The facts of every subject."""
    authority = Authority(spec)
    return {subject.name: authority.facts(subject) for subject in authority.subjects}


def compare_facts(before: dict[str, Fact], after: dict[str, Fact]) -> tuple[list[str], list[str]]:
    """(gained, lost) of one subject."""
    gained, lost = [], []
    for what in dict.fromkeys([*before, *after]):
        old, new = before.get(what), after.get(what)
        if old is None:
            gained.append(spell(what, new.extent))
        elif new is None:
            lost.append(spell(what, old.extent))
        elif old.extent and isinstance(old.extent[0], int) and new.extent:
            if old.extent != new.extent:
                (gained if new.extent > old.extent else lost).append(f"{what}: {old.extent[0]} -> {new.extent[0]}")
        else:
            more, less = sorted(set(new.extent) - set(old.extent)), sorted(set(old.extent) - set(new.extent))
            if more:
                gained.append(f"{what}: + {''.join(more)}")
            if less:
                lost.append(f"{what}: - {''.join(less)}")
    return gained, lost


def spell(what: str, extent: tuple[object, ...]) -> str:
    """A fact in words."""
    return f"{what} ({''.join(map(str, extent))})" if extent else what


def as_text(changes: list[Change]) -> str:
    """All changes; what was gained stands behind `+`, what was lost behind `-`."""
    lines = []
    for change in changes:
        lines.append(change.subject)
        lines += [f"  + {item}" for item in change.gained] + [f"  - {item}" for item in change.lost]
    return "".join(line + "\n" for line in lines) or "no authority changed\n"
