# SPDX-License-Identifier: BSD-2-Clause
"""Places in description files, and the findings that name them.

A finding prints as `FILE:LINE:COLUMN: error: what (remedy) [code]`, then the source line, a caret below the place, and, when the message has no
remedy of its own, that of its code. Lines and columns count from 1; columns count characters. What a code means, `explanations.py` says.
"""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .explanations import EXPLANATIONS, Explanation

# One file with thousands of equal mistakes is told to the reader in part.
MAX_FINDINGS_PRINTED = 50
# What a message proposes stands at its end, in parentheses.
_REMEDY = re.compile(r"^(?P<what>.*\S) \((?P<remedy>.*)\)$", re.DOTALL)


class Source:
    """The text of one description file and the name that messages give it."""

    __slots__ = ("name", "text", "path", "_line_starts")

    def __init__(self, name: str, text: str, path: Path | None = None):
        """name: as messages spell it. text: the whole file. path: where it was read from, None for text in memory."""
        self.name = name
        self.text = text
        self.path = path
        self._line_starts: list[int] | None = None

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column), both from 1, of the character at `offset` (0 to the length of the text)."""
        if self._line_starts is None:
            self._line_starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of line `line` (from 1) without its end; empty past the last line."""
        self.position(0)
        starts = self._line_starts or [0]
        if line > len(starts):
            return ""
        end = starts[line] - 1 if line < len(starts) else len(self.text)
        return self.text[starts[line - 1]:end].rstrip("\r")


class Place(NamedTuple):
    """A place in a description: compares and hashes by value, and prints as FILE:LINE:COLUMN."""

    source: Source
    offset: int

    @property
    def line(self) -> int:
        """Line, from 1."""
        return self.source.position(self.offset)[0]

    @property
    def column(self) -> int:
        """Column, from 1."""
        return self.source.position(self.offset)[1]

    def __str__(self) -> str:
        line, column = self.source.position(self.offset)
        return f"{self.source.name}:{line}:{column}"

    def __repr__(self) -> str:
        return f"<{self}>"


@dataclass(frozen=True)
class Finding:
    """One message. severity: "error" or "warning". check: its code, the name of the check or phase that made it. notes: lines that go with it."""

    place: Place | None
    message: str
    severity: str = "error"
    check: str = ""
    notes: tuple[str, ...] = ()

    @property
    def remedy(self) -> str | None:
        """What the message proposes, if it does."""
        match = _REMEDY.match(self.message)
        return match["remedy"] if match else None

    @property
    def explanation(self) -> Explanation | None:
        """What its code means."""
        return EXPLANATIONS.get(self.check)

    def __str__(self) -> str:
        message = f"{self.severity}: {self.message}{f' [{self.check}]' if self.check else ''}"
        if self.place is None:
            return "\n".join([f"capdl: {message}", *(f"  {note}" for note in self.notes)])
        line, column = self.place.source.position(self.place.offset)
        text = self.place.source.line_text(line)
        indent = "".join("\t" if character == "\t" else " " for character in text[:column - 1])
        suggestion = f"\n  {self.explanation.remedy}" if self.remedy is None and self.explanation else ""
        return f"{self.place.source.name}:{line}:{column}: {message}\n  {text}\n  {indent}^{suggestion}" + "".join(f"\n    {note}" for note in self.notes)

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON; file, line, column and text are null for a finding without a place."""
        where: dict[str, Any] = {"file": None, "line": None, "column": None, "text": None}
        if self.place is not None:
            line, column = self.place.source.position(self.place.offset)
            where = {"file": self.place.source.name, "line": line, "column": column, "text": self.place.source.line_text(line)}
        cause, remedy = self.explanation or (None, None)
        return {"code": self.check, "severity": self.severity, "message": self.message, "cause": cause, "suggestion": self.remedy or remedy,
                "notes": list(self.notes), **where}


@dataclass
class Diagnostics:
    """The findings of one run, in order of discovery. `if not diagnostics.ok: ...` when there is an error among them."""

    findings: list[Finding] = field(default_factory=list)

    def error(self, place: Place | None, message: str, check: str = "", notes: tuple[str, ...] = ()) -> None:
        """Record an error. place: Place or None (no place: the command line, a missing file). notes: lines that go with it."""
        self.findings.append(Finding(place, message, "error", check, notes))

    def warning(self, place: Place | None, message: str, check: str = "", notes: tuple[str, ...] = ()) -> None:
        """Record a warning, which lets the run go on."""
        self.findings.append(Finding(place, message, "warning", check, notes))

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def ok(self) -> bool:
        """True when there is no error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def ordered(self) -> list[Finding]:
        """All findings by file and place, without repetitions."""
        def order(finding: Finding) -> tuple[str, int]:
            return (finding.place.source.name, finding.place.offset) if finding.place else ("", 0)
        return sorted(dict.fromkeys(self.findings), key=order)

    def render(self) -> str:
        """All findings as text, or many of them, errors rather than warnings; ends with a newline unless empty."""
        unique = self.ordered()
        chosen = set(sorted(unique, key=lambda finding: finding.severity != "error")[:MAX_FINDINGS_PRINTED])
        lines = [str(finding) for finding in unique if finding in chosen]
        if len(unique) > MAX_FINDINGS_PRINTED:
            lines.append(f"capdl: {len(unique) - MAX_FINDINGS_PRINTED} further findings are not shown")
        return "".join(line + "\n" for line in lines)

    def as_json(self) -> str:
        """All findings as JSON; ends with a newline."""
        findings = [finding.as_dictionary() for finding in self.ordered()]
        return json.dumps({"ok": self.ok, "findings": findings}, indent=2, ensure_ascii=False) + "\n"


class CapdlError(Exception):
    """Raised by library users that cannot go on; str() is the rendered findings."""
