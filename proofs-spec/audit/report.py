# SPDX-License-Identifier: BSD-2-Clause
"""What a section of the audit says: its lines, what is absent, and what is wrong, which makes the audit fail."""

from dataclasses import dataclass, field


@dataclass
class Section:
    """One of the audit's sections. `absent`: what the plan of the specification asks for and is not there yet; `failures`: what must not be."""

    number: int
    title: str
    lines: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The section as the command prints it."""
        rows = [f"== {self.number} {self.title}", *self.lines]
        rows += [f"absent: {line}" for line in self.absent]
        rows += [f"FAIL: {line}" for line in self.failures]
        return "\n".join(rows) + "\n"


def table(rows: list[tuple], head: tuple[str, ...]) -> list[str]:
    """Rows as text in columns as wide as their contents; the last is not padded."""
    cells = [tuple(str(cell) for cell in row) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) if place < len(head) - 1 else cell for place, (cell, width) in enumerate(zip(row, widths))) for row in cells]


def result(sections: list[Section], complete: bool) -> str:
    """The last line. Only an audit of all sections can pass."""
    failures = sum(len(section.failures) for section in sections)
    if failures:
        return f"RESULT FAIL ({failures} {'failure' if failures == 1 else 'failures'} in sections " + \
            f"{', '.join(str(section.number) for section in sections if section.failures)})"
    return "RESULT PASS" if complete else "RESULT FAIL (not every section was looked at)"
