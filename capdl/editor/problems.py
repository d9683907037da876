# SPDX-License-Identifier: BSD-2-Clause
"""Findings as editors show them: with the range of the word that is meant, and the other places that they name."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import Place
from ..lexer import Tokens
from .analysis import Analysis
from .text import Lines

_PLACE = re.compile(r"(\S+?):(\d+):(\d+)")


@dataclass(frozen=True)
class Problem:
    """path, start, end: where (offsets; of the whole description the first character of its file). related: (place, what) of other places."""

    path: Path
    lines: Lines
    start: int
    end: int
    severity: str
    code: str
    message: str
    suggestion: str | None
    related: tuple[tuple[Place, str], ...]


def problems(analysis: Analysis) -> list[Problem]:
    """All findings of the file and of what it includes."""
    sources = {item.place.source.name: item.place.source for item in analysis.definitions}
    sources |= {item.place.source.name: item.place.source for item in analysis.findings if item.place is not None}
    tokens: dict[str, Tokens] = {}
    found = []
    for finding in analysis.findings:
        path, lines, start, end = analysis.path, Lines(analysis.source.text), 0, 0
        if finding.place is not None and finding.place.source.path is not None:
            source = finding.place.source
            path, lines, start = source.path.resolve(), Lines(source.text), finding.place.offset
            end = _word_end(tokens.setdefault(source.name, Tokens(source.text)), start)
        explanation = finding.explanation
        suggestion = explanation.remedy if finding.remedy is None and explanation is not None else None
        related = tuple((Place(sources[name], _offset(sources[name].text, int(line), int(column))), text)
                        for text in (finding.message, *finding.notes) for name, line, column in _PLACE.findall(text) if name in sources)
        found.append(Problem(path, lines, start, end, finding.severity, finding.check, finding.message, suggestion, related))
    return found


def _word_end(tokens: Tokens, start: int) -> int:
    """The end of the token at an offset; of nothing, that offset."""
    index = bisect_left(tokens.offsets, start)
    return start + len(tokens.texts[index]) if index < len(tokens.offsets) and tokens.offsets[index] == start else start


def _offset(text: str, line: int, column: int) -> int:
    """The offset of a place that a message names."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return min(starts[min(line, len(starts)) - 1] + column - 1, len(text))
