# SPDX-License-Identifier: BSD-2-Clause
"""What syntax errors took away: the checks of what is left must not blame it for what stands in the damaged text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .diagnostics import Finding, Source

# Findings that the damaged text may be the reason for, if it has a name that they name: something is missing, or is counted from what went before.
EXPLAINED = frozenset((
    "unknown-name", "slot-of-nothing", "copy-of-nothing", "cdt-empty", "cdt-rights", "irq-unmapped", "irq-twice", "irq-slot", "loadable-vspace",
    "slot-twice", "cnode-slot", "table-index", "loadable-tcb", "guard", "object-parameters", "cap-parameters", "mapping", "domains",
    "unknown-interface", "component-settings", "component-passive", "priority-order", "unused-interface", "fault-handler", "connection-end",
    "connection-type", "connection-parameters", "unconnected", "region", "wcet", "constant", "parameter", "policy-name", "emit"))
# Findings that depend on the architecture, which may be what is damaged.
ARCHITECTURAL = frozenset(("architecture", "frame-size", "table-child", "loadable-architecture", "loadable-object", "loadable-size", "loadable-cap"))
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_@-]*")


def words(text: str) -> set[str]:
    """The names in a text; those of the two sides of a dot, too."""
    return set(_WORD.findall(text))


@dataclass
class Damage:
    """Parts of sources that were not understood. names: that stand in them, or in front of the braces around them. regions: (source, start, end). whole:
    that even a file is missing. architecture: that no file says which one."""

    names: set[str] = field(default_factory=set)
    regions: list[tuple[Source, int, int]] = field(default_factory=list)
    whole: bool = False
    architecture: bool = False

    def add(self, source: Source, start: int, end: int) -> None:
        """A part of a source."""
        self.regions.append((source, start, end))
        self.names |= words(source.text[start:end])

    def join(self, other: Damage) -> None:
        """Also that of another file."""
        self.names |= other.names
        self.regions += other.regions
        self.whole |= other.whole

    def unexplained(self, findings: list[Finding]) -> list[Finding]:
        """Those that are not due to what is damaged; nor to what those name that are."""
        while True:
            due = [finding for finding in findings if self._explains(finding)]
            if not due:
                return findings
            findings = [finding for finding in findings if finding not in due]
            for finding in due:
                self.names |= words(finding.place.source.line_text(finding.place.line)) if finding.place else set()

    def _explains(self, finding: Finding) -> bool:
        place = finding.place
        if place is not None and any(source is place.source and start <= place.offset < end for source, start, end in self.regions):
            return True
        if self.architecture and finding.check in ARCHITECTURAL:
            return True
        if finding.check not in EXPLAINED:
            return False
        named = {word for match in _QUOTED.findall(finding.message) for text in match for word in words(text)}
        if place is not None:
            at = _WORD.match(place.source.text, place.offset)
            named |= {at[0]} if at else set()
        return self.whole or bool(named & self.names)
