# SPDX-License-Identifier: BSD-2-Clause
r"""Texts as editors see them: lines end with \n, \r\n or \r, and columns count UTF-16 units."""

from __future__ import annotations

import re
from bisect import bisect_right

_LINE_END = re.compile(r"\r\n|\n|\r")


class Lines:
    """Positions of a text: (line, column), both from 0."""

    def __init__(self, text: str):
        self.text = text
        self._starts = [0]
        self._ends: list[int] = []   # of the lines' contents
        for match in _LINE_END.finditer(text):
            self._ends.append(match.start())
            self._starts.append(match.end())
        self._ends.append(len(text))

    def position(self, offset: int) -> tuple[int, int]:
        """Of a character, or of the end of the text."""
        line = bisect_right(self._starts, offset) - 1
        return line, units(self.text[self._starts[line]:min(offset, self._ends[line])])

    def offset(self, line: int, column: int) -> int:
        """Of the character at a position; what is behind the end of a line or of the text is that end."""
        if line >= len(self._starts):
            return len(self.text)
        at, end = self._starts[line], self._ends[line]
        while at < end and column > 0:
            column -= units(self.text[at])
            at += 1
        return at

    def replace(self, start: tuple[int, int], end: tuple[int, int], new: str) -> str:
        """The text with another one between two positions."""
        first, last = sorted((self.offset(*start), self.offset(*end)))
        return self.text[:first] + new + self.text[last:]


def units(text: str) -> int:
    """Its length in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)
