# SPDX-License-Identifier: BSD-2-Clause
"""Section 6: what is taken for granted, what is left out and what is absent, by number. docs/audit.md has the text, once, for reader and command."""

import re
from dataclasses import dataclass
from pathlib import Path

from .code import AuditError
from .report import Section

KINDS = {"A": "assumption", "E": "exclusion", "N": "absent"}
_ITEM = re.compile(r"^\* \*\*([A-Z])(\d+)\*\* (.*(?:\n  .*)*)$", re.MULTILINE)


@dataclass(frozen=True)
class Item:
    """One numbered item: `A3`."""

    kind: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.kind}{self.number} {self.text}"


def read(path: Path) -> list[Item]:
    """The items of the document. Each kind must be numbered from 1 on without a gap, and be there."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror} (the audit prints assumptions and exclusions from it)") from error
    items = [Item(kind, int(number), " ".join(words.split())) for kind, number, words in _ITEM.findall(text)]
    for kind in KINDS:
        numbers = [item.number for item in items if item.kind == kind]
        if numbers != list(range(1, len(numbers) + 1)) or not numbers:
            raise AuditError(f"{path.name}: the {KINDS[kind]} items are numbered {numbers} (they must be {kind}1, {kind}2 and so on)")
    unknown = sorted({item.kind for item in items} - set(KINDS))
    if unknown:
        raise AuditError(f"{path.name}: items of kind {', '.join(unknown)} (it must be one of {', '.join(KINDS)})")
    return items


def section(path: Path) -> Section:
    """The section."""
    found = Section(6, "assumptions and exclusions")
    items = read(path)
    found.lines += [f"{KINDS[item.kind]} {item}" for item in items if item.kind != "N"]
    found.absent += [str(item) for item in items if item.kind == "N"]
    return found
