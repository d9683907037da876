# SPDX-License-Identifier: BSD-2-Clause
"""Where a token stands, told by the tokens in front of it alone, so that a file may be as broken as files are while they are written."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from ..component_parser import ITEMS
from ..lexer import Tokens
from ..policy_parser import CLAUSES

SECTIONS = ("arch", "include", "const", "parameter", "interface", "components", "connect", "memory", "policy", "objects", "caps", "irq maps", "cdt", "domains")
CONNECTIONS = ("call", "notify", "shared")
PAIRS = {"(": ")", "[": "]", "<": ">"}
# Words that begin a statement, by the block that they stand in.
_BEGINNINGS = {"": frozenset(SECTIONS) | {"irq"}, "component": frozenset(ITEMS), "connect": frozenset(CONNECTIONS), "policy": frozenset(CLAUSES)}
# Behind these comes a name, whatever it is called.
_BEFORE_NAMES = frozenset((*ITEMS, *CONNECTIONS, *SECTIONS, "=", ":", "->", ",", "<", "(", "to", "flow", "via", "in", "except", "struct", "/", "may", "reach"))


@dataclass(frozen=True)
class Context:
    """block: "" outside of braces, a section, component, args, struct, container (of capabilities), braces (of names in a policy) or fill. owner: the name
    in front of the braces of a component, interface or container. words: of the statement, in front of the token. brackets: those that are open in it."""

    block: str
    owner: str | None
    words: tuple[str, ...]
    brackets: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The word that the statement begins with."""
        return self.words[0] if self.words else ""

    @property
    def last(self) -> str:
        """The word in front of the token."""
        return self.words[-1] if self.words else ""


class _Walk:
    """From the beginning of the tokens to one of them."""

    def __init__(self, text: str, tokens: Tokens):
        self.text, self.tokens = text, tokens
        self.blocks: list[tuple[str, str | None]] = [("", None)]
        self.words: list[str] = []
        self.brackets: list[str] = []
        self.end = 0   # of the token before

    def step(self, index: int) -> None:
        """Take a token."""
        word = self.tokens.texts[index]
        self.settle(index, word)
        self.end = self.tokens.offsets[index] + len(word)
        if word == "{":
            self.blocks.append(self.opened())
            self.clear()
        elif word == "}":
            if len(self.blocks) > 1:
                self.blocks.pop()
            self.clear()
        elif word == ";" and not self.brackets:
            self.clear()
        else:
            self.words.append(word)
            if word in PAIRS and not (word == "<" and self.blocks[-1][0] == "policy"):
                self.brackets.append(word)
            elif self.brackets and word == PAIRS[self.brackets[-1]]:
                self.brackets.pop()

    def settle(self, index: int, word: str) -> None:
        """Begin a statement if this token does."""
        if not self.words:
            return
        block, last = self.blocks[-1][0], self.words[-1]
        begins = word in _BEGINNINGS.get(block, ()) and (last not in _BEFORE_NAMES or last == "passive" or block == "" and last in ("policy", ")"))
        new_line = "\n" in self.text[self.end:self.tokens.offsets[index]]
        kind = self.tokens.kinds[index]
        if begins and not self.brackets:
            self.clear()
        elif new_line and kind in ("name", "number", "end", "<", "(") and not self.brackets and (last not in _BEFORE_NAMES or last == "passive"):
            self.clear()
        elif new_line and self.brackets and word in _BEGINNINGS.get(block, ()) and last not in (",", ":", "("):
            self.clear()   # a bracket that was never closed

    def clear(self) -> None:
        """The next token begins a statement."""
        self.words, self.brackets = [], []

    def opened(self) -> tuple[str, str | None]:
        """What a brace begins."""
        block, owner = self.blocks[-1]
        words = self.words
        if self.brackets:
            return "fill", owner
        if block == "":
            if "interface" in words[:-1]:
                return "interface", words[words.index("interface") + 1].partition("@")[0]
            return ("irq maps" if words[-2:] == ["irq", "maps"] else words[-1] if words else ""), None
        if block == "components":
            return "component", words[0] if words else None
        if block == "component":
            return ("args" if words[:1] == ["args"] else "braces"), owner
        if block == "interface" and words[:1] == ["struct"]:
            return "struct", owner
        if block == "caps":
            return "container", words[0] if words else None
        return ("braces" if block == "policy" else block), owner


def context_at(text: str, tokens: Tokens, index: int) -> Context:
    """Of token `index`."""
    walk = _Walk(text, tokens)
    for number in range(index):
        walk.step(number)
    walk.settle(index, tokens.texts[index])
    return Context(*walk.blocks[-1], tuple(walk.words), tuple(walk.brackets))


def token_at(tokens: Tokens, offset: int) -> int | None:
    """The word that an offset is in or at the end of, or the mark behind it; None between tokens."""
    last = min(bisect_right(tokens.offsets, offset) - 1, len(tokens.offsets) - 3)   # the last two are the end
    here = [index for index in (last, last - 1) if 0 <= index and tokens.offsets[index] <= offset <= tokens.offsets[index] + len(tokens.texts[index])]
    words = [index for index in here if tokens.kinds[index] in ("name", "number", "string")]
    return (words or here or [None])[0]


def in_comment(text: str, tokens: Tokens, offset: int) -> bool:
    """Whether an offset is in a comment."""
    index = bisect_left(tokens.offsets, offset) - 1
    end = tokens.offsets[index] + len(tokens.texts[index]) if index >= 0 else 0
    gap = text[min(end, offset):offset]
    if tokens.unclosed_comment is not None and offset > tokens.unclosed_comment:
        return True
    position = 0
    while position < len(gap):
        if gap.startswith("--", position):
            stop = gap.find("\n", position)
            if stop < 0:
                return True
            position = stop
        elif gap.startswith("/*", position):
            depth, position = 1, position + 2
            while depth and position < len(gap):
                if gap.startswith("/*", position) or gap.startswith("*/", position):
                    depth += 1 if gap[position] == "/" else -1
                    position += 2
                else:
                    position += 1
            if depth:
                return True
        position += 1
    return False
