# SPDX-License-Identifier: BSD-2-Clause
"""Characters of a text, read as the reference tool reads them: it has no tokens, each rule takes characters and the white space behind.

White space is blank characters and comments, block comments nest. A name that ends in `--` takes these marks in; a number does not.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from ..diagnostics import Place, Source

WORD_BITS = 64
RESERVED = frozenset(("objects", "caps"))
# Blank characters of the reference tool: not all that Python knows.
BLANKS = " \t\n\r\f\v\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_BLANK_RUN = re.compile(f"(?:[{BLANKS}]+|--[^\n]*)*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[^\W\d_][\w\-@.]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|0[oO][0-7]*|[0-9]+")
Value = TypeVar("Value")


class GrammarError(Exception):
    """A text that the grammar does not have. offset: of the character where it departs."""

    def __init__(self, offset: int, message: str):
        super().__init__(message)
        self.offset = offset


class Scanner:
    """A text and a place in it."""

    def __init__(self, source: Source):
        self.source = source
        self.text = source.text
        self.position = 0
        self.skip_blanks()

    def skip_blanks(self) -> None:
        """Go past white space."""
        text = self.text
        while True:
            match = _BLANK_RUN.match(text, self.position)
            self.position = match.end() if match else self.position
            if not text.startswith("/*", self.position):
                return
            self.position = self.comment_end(self.position)

    def comment_end(self, start: int) -> int:
        """The offset behind the block comment at `start`."""
        depth = 0
        for edge in _COMMENT_EDGE.finditer(self.text, start):
            depth += 1 if edge.group() == "/*" else -1
            if depth == 0:
                return edge.end()
        raise GrammarError(start, "the comment is never closed (add a '*/')")

    def place(self) -> Place:
        """Where the next characters are."""
        return Place(self.source, self.position)

    def found(self) -> str:
        """The next characters, as messages call them."""
        if self.position == len(self.text):
            return "the end of the file"
        match = _WORD.match(self.text, self.position) or _NUMBER.match(self.text, self.position)
        return f"'{(match.group() if match else self.text[self.position])[:40]}'"

    def wrong(self, wanted: str) -> GrammarError:
        """The error that something else was wanted here, for the caller to raise."""
        return GrammarError(self.position, f"expected {wanted}, found {self.found()}")

    def accept(self, mark: str) -> bool:
        """Take a mark if it is next."""
        if not self.text.startswith(mark, self.position):
            return False
        self.position += len(mark)
        self.skip_blanks()
        return True

    def expect(self, mark: str) -> None:
        """Take a mark."""
        if not self.accept(mark):
            raise self.wrong(f"'{mark}'")

    def next_is(self, marks: str) -> bool:
        """True when the next character is one of `marks`."""
        return self.text[self.position:self.position + 1] in marks if self.position < len(self.text) else False

    def peek_word(self) -> str:
        """The longest word that begins here, or ""."""
        match = _WORD.match(self.text, self.position)
        word = match.group() if match else ""
        return word if word[:1].isalpha() else ""

    def take(self, length: int) -> None:
        """Go past so many characters and the white space behind."""
        self.position += length
        self.skip_blanks()

    def accept_keyword(self, keyword: str) -> bool:
        """Take a keyword if it is next: its very characters, blanks included, with no further letter behind."""
        text, end = self.text, self.position + len(keyword)
        if not text.startswith(keyword, self.position) or end < len(text) and (text[end].isalnum() or text[end] in "-_@."):
            return False
        self.take(len(keyword))
        return True

    def choose(self, choices: Mapping[str, Value], what: str) -> Value:
        """Take one of the keywords; gives what it stands for."""
        word = self.peek_word()
        if word not in choices:
            raise self.wrong(f"{what} ({_list(choices)})")
        self.take(len(word))
        return choices[word]

    def identifier(self, what: str) -> str:
        """Take a name."""
        word = self.peek_word()
        if not word or word in RESERVED:
            raise self.wrong(what)
        self.take(len(word))
        return word

    def next_is_number(self) -> bool:
        """True when a number is next."""
        return self.next_is("0123456789")

    def number(self) -> int:
        """Take a number; what does not fit a word wraps."""
        match = _NUMBER.match(self.text, self.position)
        if match is None:
            raise self.wrong("a number")
        digits = match.group()
        if digits[-1] in "xXoO":
            raise GrammarError(match.end(), f"expected digits after '{digits}'")
        self.take(len(digits))
        return number_value(digits)


def number_value(digits: str) -> int:
    """The value of a number, modulo 2^64. The last 64 decimal digits decide, as 10^64 is a multiple of 2^64."""
    if digits[:2] in ("0x", "0X"):
        return int(digits[2:][-16:], 16)
    if digits[:2] in ("0o", "0O"):
        return int(digits[2:][-22:], 8) % (1 << WORD_BITS)
    return int(digits[-64:]) % (1 << WORD_BITS)


def _list(words: Iterable[str]) -> str:
    return " ".join(words)
