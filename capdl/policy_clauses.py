# SPDX-License-Identifier: BSD-2-Clause
"""The clauses of a policy, as the parser makes them of the text."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .diagnostics import Place

EVERY = "*"


@dataclass(slots=True, frozen=True)
class Name:
    """A subject: a component, a thread of none, `loader`, or a device by its path or alias. EVERY stands for all of what the clause allows."""

    text: str
    place: Place

    def __str__(self) -> str:
        return f'"{self.text}"' if self.text.startswith("/") else self.text


Names = tuple[Name, ...]


def spell(names: Names) -> str:
    """Names with commas between them."""
    return ", ".join(map(str, names))


@dataclass(slots=True, frozen=True)
class Trusted:
    """trusted SUBJECT "reason": it does only what its interfaces declare."""

    subject: Name
    reason: str
    place: Place

    def __str__(self) -> str:
        return f'trusted {self.subject} "{self.reason}"'


@dataclass(slots=True, frozen=True)
class DenyFlow:
    """deny flow SOURCE -> TARGET"""

    source: Name
    target: Name
    place: Place

    def __str__(self) -> str:
        return f"deny flow {self.source} -> {self.target}"


@dataclass(slots=True, frozen=True)
class AllowFlow:
    """allow flow SOURCE -> TARGET via SUBJECTS: an exception of the DenyFlow with the same ends."""

    source: Name
    target: Name
    via: Names
    place: Place

    def __str__(self) -> str:
        return f"allow flow {self.source} -> {self.target} via {spell(self.via)}"


@dataclass(slots=True, frozen=True)
class Isolated:
    """isolated {MEMBERS} via SUBJECTS"""

    members: Names
    via: Names
    place: Place

    def __str__(self) -> str:
        return f"isolated {{{spell(self.members)}}}" + (f" via {spell(self.via)}" if self.via else "")


@dataclass(slots=True, frozen=True)
class OnlyReach:
    """only SUBJECT may reach DEVICE"""

    subject: Name
    device: Name
    place: Place

    def __str__(self) -> str:
        return f"only {self.subject} may reach {self.device}"


@dataclass(slots=True, frozen=True)
class DenyCaps:
    """deny caps (KINDS) in SUBJECT; EVERY component, but for the exceptions"""

    kinds: tuple[str, ...]
    subject: Name
    exceptions: Names
    place: Place

    def __str__(self) -> str:
        return f"deny caps ({', '.join(self.kinds)}) in {self.subject}" + (f" except {spell(self.exceptions)}" if self.exceptions else "")


@dataclass(slots=True, frozen=True)
class AssumeDma:
    """assume dma(DEVICE) within {SUBJECTS}; EVERY device of which no other clause says something"""

    device: Name
    within: Names
    place: Place

    def __str__(self) -> str:
        return f"assume dma({self.device}) within {{{spell(self.within)}}}"


@dataclass(slots=True, frozen=True)
class CpuLoad:
    """cpu CORE load <= PERCENT%"""

    core: int
    percent: int
    place: Place

    def __str__(self) -> str:
        return f"cpu {self.core} load <= {self.percent}%"


Clause = Trusted | DenyFlow | AllowFlow | Isolated | OnlyReach | DenyCaps | AssumeDma | CpuLoad


@dataclass(frozen=True)
class Pass:
    """What an interface declares that it passes: capabilities of `kinds` (None: of any) that `giver` holds, to `taker`, when one of them is trusted."""

    giver: str
    taker: str
    kinds: tuple[str, ...] | None
    place: Place


@dataclass
class Policy:
    """What a description says to its own authority. passes: what its interfaces declare. blob: the board's device tree, or None if it is not known."""

    clauses: list[Clause] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    blob: Path | None = None

    def of(self, kind: type) -> list[Any]:
        """The clauses of one kind."""
        return [clause for clause in self.clauses if isinstance(clause, kind)]
