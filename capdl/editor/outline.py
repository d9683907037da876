# SPDX-License-Identifier: BSD-2-Clause
"""The named things of a file, in each other as they stand there."""

from __future__ import annotations

from dataclasses import dataclass

from ..lexer import Tokens
from .analysis import Analysis, Definition, definitions_of

_INSIDE = frozenset(("component", "interface"))
_CLOSED_BY = {"{": "}", "(": ")", "[": "]"}


@dataclass(frozen=True)
class Symbol:
    """A named thing. start, end: of all of it; name_start, name_end: of its name."""

    kind: str
    name: str
    start: int
    end: int
    name_start: int
    name_end: int
    children: tuple[Symbol, ...] = ()


def outline(analysis: Analysis) -> list[Symbol]:
    """All symbols of the file in the order in which they stand there."""
    module = analysis.modules[-1] if analysis.modules else None
    own = [] if module is None else [item for item in definitions_of(module) if item.place.source.path == analysis.path]
    own += [item for item in analysis.definitions if item.kind == "constant" and item.place.source.path == analysis.path]
    index = {offset: number for number, offset in enumerate(analysis.tokens.offsets)}
    outer = [item for item in own if item.owner is None]
    owned = [item for item in own if item.owner is not None]
    return sorted((_symbol(item, owned if item.kind in _INSIDE else [], analysis.tokens, index) for item in outer), key=lambda symbol: symbol.start)


def _symbol(item: Definition, owned: list[Definition], tokens: Tokens, index: dict[int, int]) -> Symbol:
    """A definition, with those that belong to it."""
    start = item.place.offset
    token = index.get(start, 0)
    inside = [other for other in owned if other.owner == item.name and _belongs(item, other)]
    children = tuple(sorted((_symbol(other, [], tokens, index) for other in inside), key=lambda symbol: symbol.start))
    end = max([_end(tokens, token), *(child.end for child in children)])
    name_end = start + (len(tokens.texts[token]) if tokens.kinds[token] == "name" else 0)
    return Symbol(item.kind, item.name, start, end, start, name_end, children)


def _belongs(outer: Definition, inner: Definition) -> bool:
    """Whether the owner is of the right kind: a component and an interface may have one name."""
    return (outer.kind == "interface") == (inner.kind in ("method", "struct")) and inner.place.offset > outer.place.offset


def _end(tokens: Tokens, token: int) -> int:
    """Where an entry ends that begins with a token: behind its braces, or in front of the next line."""
    depth: list[str] = []
    while tokens.kinds[token] != "end":
        mark = tokens.kinds[token]
        end = tokens.offsets[token] + len(tokens.texts[token])
        if mark in _CLOSED_BY:
            depth.append(_CLOSED_BY[mark])
        elif depth and mark == depth[-1]:
            depth.pop()
            if not depth and mark == "}":
                return end
        following = tokens.kinds[token + 1]
        if not depth and following not in ("=", "(", "[", "{", ":", "->", "@") and mark not in ("=", ":", "->", "@"):
            return end
        token += 1
    return tokens.offsets[token]
