# SPDX-License-Identifier: BSD-2-Clause
"""What may be written at a place: words of the language, and names of the right kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..component_checks import END_KINDS
from ..driver import INTERFACE_DIR
from ..lexer import Tokens
from .analysis import GENERATED, Analysis
from .context import Context, context_at, in_comment, token_at
from .roles import Expected, expected
from .words import meaning


@dataclass(frozen=True)
class Item:
    """A proposal. kind: keyword, parameter, or that of a definition. detail: a line on it."""

    label: str
    kind: str
    detail: str = ""
    insert: str | None = None


def complete(analysis: Analysis, offset: int) -> list[Item]:
    """All that may stand at an offset; the word that is being written there does not count."""
    text, tokens = analysis.source.text, analysis.tokens
    if in_comment(text, tokens, offset):
        return []
    context, typed = _before(text, tokens, offset)
    if typed.startswith('"') and "node" not in expected(context).roles and "file" not in expected(context).roles:
        return []
    found = {item.label: item for item in _proposals(analysis, context, expected(context), typed)}
    return list(found.values())


def _before(text: str, tokens: Tokens, offset: int) -> tuple[Context, str]:
    """Where an offset stands, and what of a word is there in front of it."""
    index = token_at(tokens, offset)
    if index is not None and tokens.kinds[index] in ("name", "number", "string", "bad") and tokens.offsets[index] < offset:
        return context_at(text, tokens, index), text[tokens.offsets[index]:offset]
    following = next((number for number, start in enumerate(tokens.offsets) if start >= offset), len(tokens.offsets) - 1)
    # The next token may stand on another line; what is written here does not.
    cut = Tokens(text[:offset] + "x")
    return context_at(text[:offset] + "x", cut, min(following, cut.kinds.index("end") - 1)), ""


def _proposals(analysis: Analysis, context: Context, wanted: Expected, typed: str) -> Iterator[Item]:
    for word in wanted.words:
        yield Item(word, "keyword", meaning(context.block, word) or "")
    for word in wanted.parameters:
        yield Item(word, "parameter", meaning(context.block, word) or "", f"{word}: ")
    for role in wanted.roles:
        if role in ("component", "interface", "object", "capability"):
            yield from (Item(item.name, item.kind) for item in analysis.definitions if item.kind == role)
        elif role == "constant":
            yield from (Item(name, "constant", str(value)) for name, value in analysis.constants.items())
        elif role == "struct":
            yield from (Item(item.name, "struct") for item in analysis.definitions if item.kind == "struct" and item.owner == context.owner)
        elif role == "generated":
            yield from (Item(f"{component.name}_{suffix}", "object", f"of {component.name}") for component in analysis.system.components.values()
                        for suffix in GENERATED)
        elif role == "node":
            yield from _nodes(analysis)
        elif role == "file":
            yield from _files(analysis)
        elif role[-2:] in ("-0", "-1"):
            yield from _ends(analysis, context, END_KINDS[role[:-2]][int(role[-1])])


def _ends(analysis: Analysis, context: Context, kind: str) -> Iterator[Item]:
    """Ports of a kind that fit the other end: calls between equal interfaces, and no port to itself. Sources that are not connected yet come first."""
    source = context.words[1] if len(context.words) > 2 else ""
    component, _, port = source.partition(".")
    other = analysis.port(component, port, END_KINDS[context.first]) if source else None
    taken = {(item.source.component, item.source.port) for item in analysis.system.connections if item.kind == context.first}
    fitting = [item for item in analysis.definitions if item.kind == kind and f"{item.owner}.{item.name}" != source
               and (other is None or context.first != "call" or item.node.type == other.node.type)]
    for item in sorted(fitting, key=lambda item: not source and (item.owner, item.name) in taken):
        yield Item(f"{item.owner}.{item.name}", kind, item.node.type or "")


def _nodes(analysis: Analysis) -> Iterator[Item]:
    """Devices of the board: aliases, and paths of what has registers or interrupts."""
    if analysis.board is not None:
        for path, detail in analysis.board.devices():
            yield Item(f'"{path}"', "node", detail)


def _files(analysis: Analysis) -> Iterator[Item]:
    """Descriptions beside this one, and the project's interfaces."""
    for folder in (INTERFACE_DIR, analysis.path.parent):
        for path in sorted(folder.glob("*.cdl")) if folder.is_dir() else ():
            if path != analysis.path:
                yield Item(f'"{path.name}"', "file", str(folder.name))
