# SPDX-License-Identifier: BSD-2-Clause
"""Tokens of the description language, found by one regular expression.

Tokens lie in three parallel lists (kind, text, offset): a large system has some hundred thousand of them, and objects of their own
would cost more time than the parser. Kinds: "name", "number", "string", "end", "bad" (a character that begins no token; the parser
reports it where it stands) and each punctuation mark for itself. Block comments nest.
"""

import re

_TOKEN = re.compile(r"""
    (?P<space>[ \t\r\n\f\v]+|--[^\n]*)
  | (?P<name>[^\W\d_][\w\-@.]*)
  | (?P<number>0[xX][0-9a-fA-F]+|0[oO][0-7]+|[0-9]+)
  | (?P<comment>/\*)
  | (?P<string>"[^"\n]*")
  | (?P<mark>\.\.|->|[{}()\[\]<>=:;,/.@\-*%])
  | (?P<bad>.)
""", re.VERBOSE | re.DOTALL)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Tokens:
    """The tokens of a text. kinds, texts, offsets: parallel lists; the last two tokens are of kind "end"."""

    __slots__ = ("kinds", "texts", "offsets", "unclosed_comment")

    def __init__(self, text: str) -> None:
        """Split `text`. unclosed_comment: offset of a block comment without end, or None."""
        self.kinds: list[str] = []
        self.texts: list[str] = []
        self.offsets: list[int] = []
        self.unclosed_comment: int | None = None
        position: int | None = 0
        while position is not None:
            position = self._scan(text, position)
        # Two of them: whoever has seen that the next token is none of his may look at the one behind.
        self.kinds += ["end", "end"]
        self.texts += ["", ""]
        self.offsets += [len(text), len(text)]

    def _scan(self, text: str, position: int) -> int | None:
        """Take tokens from `position` up to a block comment; gives the offset after that comment, or None at the end."""
        add_kind, add_text, add_offset = self.kinds.append, self.texts.append, self.offsets.append
        for match in _TOKEN.finditer(text, position):
            kind = match.lastgroup or ""
            if kind == "space":
                continue
            if kind == "comment":
                return self._skip_comment(text, match.start())
            value = match.group()
            add_kind(value if kind == "mark" else kind)
            add_text(value)
            add_offset(match.start())
        return None

    def _skip_comment(self, text: str, start: int) -> int | None:
        """The offset after the (nested) comment that begins at `start`; None when it does not end."""
        depth = 0
        for edge in _COMMENT_EDGE.finditer(text, start):
            depth += 1 if edge.group() == "/*" else -1
            if depth == 0:
                return edge.end()
        self.unclosed_comment = start
        return None


def number_value(text: str) -> int:
    """The value of a number token: 0x... hexadecimal, 0o... octal, else decimal (a leading zero means nothing).

    Python refuses to convert decimal texts of many thousand digits; no such number is legal here, so they count as 2^64.
    """
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if text[:2] in ("0o", "0O"):
        return int(text[2:], 8)
    return int(text) if len(text) < 100 else 1 << 64
