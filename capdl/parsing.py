# SPDX-License-Identifier: BSD-2-Clause
"""From texts to syntax: descriptions in either language, dumps, and values that are given on the command line."""

from collections.abc import Iterable

from . import syntax
from .compat.dump import is_dump, parse_dump
from .component_parser import ComponentParser
from .constants import Scope, Value
from .diagnostics import Diagnostics, Source
from .parser import Parser


def parse(source: Source, diagnostics: Diagnostics, strict: bool = True, scope: Scope | None = None) -> syntax.Module:
    """Parse a diagnostics.Source into a syntax.Module; findings go to `diagnostics`. strict: see Parser. scope: constants.Scope of a description that
    includes are read for."""
    if is_dump(source.text):
        module = parse_dump(source, diagnostics)
        module.damage.whole = not diagnostics.ok
        return module
    parser = Parser(source, diagnostics, strict)
    if parser.at_word("caprock"):
        parser = ComponentParser(source, diagnostics, strict, scope)
    return parser.parse()


def parse_text(text: str, diagnostics: Diagnostics, name: str = "<text>", strict: bool = True) -> syntax.Module:
    """Parse a text in memory; name: what messages call it."""
    return parse(Source(name, text), diagnostics, strict)


def read_settings(words: Iterable[str], diagnostics: Diagnostics) -> dict[str, Value]:
    """Values of `--set NAME=VALUE` by name; what cannot be understood is reported."""
    result: dict[str, Value] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            diagnostics.error(None, f"--set {word}: expected NAME=VALUE", "parameter")
            continue
        findings = Diagnostics()
        value = ComponentParser(Source("--set", text), findings).whole_value()
        if value is None:
            diagnostics.error(None, f"--set {word}: the value is none (a number, 4k, 10ms, or a text in double quotes)", "parameter")
        else:
            result[name] = value
    return result
