# SPDX-License-Identifier: BSD-2-Clause
"""What the name at a place means, and where that is declared."""

from __future__ import annotations

from dataclasses import dataclass

from ..component_checks import END_KINDS
from ..diagnostics import Place, Source
from ..driver import INTERFACE_DIR
from .analysis import GENERATED, Analysis, Definition
from .context import CONNECTIONS, Context, context_at, in_comment, token_at
from .roles import expected

PORTS = ("uses", "provides", "emits", "consumes", "region", "device", "irq", "grant")


@dataclass(frozen=True)
class Word:
    """A token, or the part of one that is meant, where it stands."""

    text: str
    kind: str
    start: int
    end: int
    context: Context


def word_at(analysis: Analysis, offset: int) -> Word | None:
    """What stands at an offset: of COMPONENT.PORT the one that is there. None in comments and between words."""
    tokens, text = analysis.tokens, analysis.source.text
    index = token_at(tokens, offset)
    if index is None or in_comment(text, tokens, offset):
        return None
    context = context_at(text, tokens, index)
    word, start = tokens.texts[index], tokens.offsets[index]
    end = start + len(word)
    if context.block == "connect" and context.first in CONNECTIONS and "." in word and tokens.kinds[index] == "name":
        dot = start + word.index(".")
        start, end = (start, dot) if offset <= dot else (dot + 1, end)
    return Word(text[start:end], tokens.kinds[index], start, end, context)


def find(analysis: Analysis, word: Word) -> Definition | None:
    """What a word means, or None."""
    if word.kind == "string":
        return _find_file(analysis, word)
    if word.kind != "name":
        return None
    context = word.context
    wanted = expected(context)
    if word.text in wanted.words or word.text in wanted.parameters:
        return None
    if context.block == "connect" and context.words:
        return _find_end(analysis, word)
    if context.block == "component" and len(context.words) == 1 and context.first in PORTS:
        return analysis.port(context.owner or "", word.text, (context.first,))
    if context.block in ("interface", "struct"):
        return _find_type(analysis, word)
    return _find_by_role(analysis, word.text, wanted.roles)


def _find_file(analysis: Analysis, word: Word) -> Definition | None:
    """The file of an include."""
    if "include" not in word.context.words[-1:]:
        return None
    for module in analysis.modules:
        for include in module.includes:
            if include.place.source.path == analysis.path and include.place.offset == word.start:
                return _first_place(analysis, include.path)
    return None


def _first_place(analysis: Analysis, path: str) -> Definition | None:
    """The beginning of an included file."""
    folders = ([INTERFACE_DIR] if "/" not in path else []) + [analysis.path.parent]
    for folder in folders:
        file = (folder / path).resolve()
        if file in analysis.texts or file.is_file():
            return Definition("file", path, Place(Source(str(file), "", file), 0))
    return None


def _find_end(analysis: Analysis, word: Word) -> Definition | None:
    """The component or the port of an end of a connection."""
    context, text, source = word.context, analysis.source.text, analysis.source
    if text[word.end:word.end + 1] == "." or context.first not in END_KINDS or context.brackets:
        return analysis.find("component", word.text) or _find_by_role(analysis, word.text, ("constant",))
    if text[word.start - 1:word.start] != ".":
        return analysis.find("component", word.text)
    first = max((offset for offset in analysis.tokens.offsets if offset < word.start), default=0)
    component = source.text[first:word.start - 1]
    return analysis.port(component, word.text, (END_KINDS[context.first]["->" in context.words],))


def _find_type(analysis: Analysis, word: Word) -> Definition | None:
    """A struct or method of the interface around, or a constant."""
    owner = word.context.owner
    return analysis.find("struct", word.text, owner) or (analysis.find("method", word.text, owner) if not word.context.words else None) \
        or (analysis.find("constant", word.text) if "constant" in expected(word.context).roles else None)


def _find_by_role(analysis: Analysis, name: str, roles: tuple[str, ...]) -> Definition | None:
    """A thing of one of the roles, else any of that name. What is generated for a component is declared where that is."""
    order = [role for role in roles if role in ("component", "interface", "object", "capability", "constant")]
    for kind in (*order, "component", "interface", "object", "capability", "constant"):
        found = analysis.find(kind, name.partition("@")[0] if kind == "interface" else name)
        if found is not None:
            return found
    component, _, suffix = name.rpartition("_")
    if suffix == "sc" and component.endswith("_start"):
        component, suffix = component.removesuffix("_start"), "start_sc"
    return analysis.find("component", component) if suffix in GENERATED else None


def definition(analysis: Analysis, offset: int) -> tuple[Word, Definition] | None:
    """The word at an offset and what it means."""
    word = word_at(analysis, offset)
    found = None if word is None else find(analysis, word)
    return None if word is None or found is None else (word, found)
