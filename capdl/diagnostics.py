# SPDX-License-Identifier: BSD-2-Clause
"""Places in description files, and the findings that name them.

A finding prints as `FILE:LINE:COLUMN: error: what (remedy)`, then the source line and a caret below the place. Lines and columns
count from 1; columns count characters.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

# One file with thousands of equal mistakes is told to the reader in part.
MAX_FINDINGS_PRINTED = 50


class Source:
    """The text of one description file and the name that messages give it."""

    __slots__ = ("name", "text", "path", "_line_starts")

    def __init__(self, name, text, path=None):
        """name: as messages spell it. text: the whole file. path: where it was read from (pathlib.Path), None for text in memory."""
        self.name = name
        self.text = text
        self.path = path
        self._line_starts = None

    def position(self, offset):
        """(line, column), both from 1, of the character at `offset` (0 to the length of the text)."""
        if self._line_starts is None:
            self._line_starts = [0]
            for index, character in enumerate(self.text):
                if character == "\n":
                    self._line_starts.append(index + 1)
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line_text(self, line):
        """The text of line `line` (from 1) without its end; empty past the last line."""
        lines = self.text.split("\n")
        return lines[line - 1].rstrip("\r") if line <= len(lines) else ""


class Place(NamedTuple):
    """A place in a description: compares and hashes by value, and prints as FILE:LINE:COLUMN."""

    source: Source
    offset: int

    @property
    def line(self):
        """Line, from 1."""
        return self.source.position(self.offset)[0]

    @property
    def column(self):
        """Column, from 1."""
        return self.source.position(self.offset)[1]

    def __str__(self):
        line, column = self.source.position(self.offset)
        return f"{self.source.name}:{line}:{column}"

    def __repr__(self):
        return f"<{self}>"


@dataclass(frozen=True)
class Finding:
    """One message. severity: "error" or "warning". check: name of the check or phase that made it."""

    place: Place | None
    message: str
    severity: str = "error"
    check: str = ""

    def __str__(self):
        if self.place is None:
            return f"capdl: {self.severity}: {self.message}"
        line, column = self.place.source.position(self.place.offset)
        text = self.place.source.line_text(line)
        indent = "".join("\t" if character == "\t" else " " for character in text[:column - 1])
        return f"{self.place.source.name}:{line}:{column}: {self.severity}: {self.message}\n  {text}\n  {indent}^"


@dataclass
class Diagnostics:
    """The findings of one run, in order of discovery. False in a condition when there is an error among them: `if not ok: ...`"""

    findings: list[Finding] = field(default_factory=list)

    def error(self, place, message, check=""):
        """Record an error. place: Place or None (no place: the command line, a missing file)."""
        self.findings.append(Finding(place, message, "error", check))

    def warning(self, place, message, check=""):
        """Record a warning, which lets the run go on."""
        self.findings.append(Finding(place, message, "warning", check))

    @property
    def errors(self):
        """The findings that are errors."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def ok(self):
        """True when there is no error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def render(self):
        """All findings as text, by file and place, without repetitions; ends with a newline unless empty."""
        def order(finding):
            return (finding.place.source.name, finding.place.offset) if finding.place else ("", 0)
        unique = sorted(dict.fromkeys(self.findings), key=order)
        lines = [str(finding) for finding in unique[:MAX_FINDINGS_PRINTED]]
        if len(unique) > MAX_FINDINGS_PRINTED:
            lines.append(f"capdl: {len(unique) - MAX_FINDINGS_PRINTED} further findings are not shown")
        return "".join(line + "\n" for line in lines)


class CapdlError(Exception):
    """Raised by library users that cannot go on; str() is the rendered findings."""
