# SPDX-License-Identifier: BSD-2-Clause
"""The grammar for highlighting: it has every word of the language, and sees the project's descriptions as the lexer does."""

import json
import re

import pytest
from capdl_support import GOLDEN, ROOT

from capdl.component_parser import ITEMS, RESTART_CAUSES, RESTART_LIMITS
from capdl.editor import roles
from capdl.editor.context import CONNECTIONS, SECTIONS
from capdl.lexer import Tokens
from capdl.model import ACCESS_PARAMETERS, ARCHITECTURES, BUILT_IN_CAPS, OBJECT_TYPES, TCB_SLOTS
from capdl.parameters import OBJECT_PARAMETERS
from capdl.policy_parser import CLAUSES
from capdl.syntax import DIRECTIONS, SCALAR_TYPES

GRAMMAR = json.loads((ROOT / "capdl" / "editor" / "capdl.tmLanguage.json").read_text(encoding="utf-8"))
SYSTEMS = sorted([*(ROOT / "systems").glob("*.cdl"), *(ROOT / "userland" / "interfaces").glob("*.cdl"), *GOLDEN.glob("*.cdl")])
PARAMETERS = {name for allowed, _ in OBJECT_PARAMETERS.values() for name in allowed} - {"size", "pci"}
WORDS = {*SECTIONS, *ITEMS, *CONNECTIONS, *CLAUSES, *OBJECT_TYPES, *SCALAR_TYPES, *DIRECTIONS, *TCB_SLOTS, *ARCHITECTURES, *BUILT_IN_CAPS, *ACCESS_PARAMETERS,
         *roles.CAP_PARAMETERS, *roles.UNITS, *PARAMETERS, "bytes", "cap", "struct", "idempotent", "wcet", "component", "True", "False", "level", "edge",
         *RESTART_CAUSES, *RESTART_LIMITS, "on", "or", "per", "stdout", "child_of", "no_start",
         "flow", "via", "may", "reach", "except", "within", "dma", "load", "at", "to", "from", "schedule", "domain_set_start", "index_shift", "ticks"}


def rules_of(patterns):
    """The rules that includes lead to, in order."""
    for pattern in patterns:
        if "include" in pattern:
            yield from rules_of([GRAMMAR["repository"][pattern["include"].removeprefix("#")]])
        elif "match" in pattern or "begin" in pattern:
            yield pattern
        else:
            yield from rules_of(pattern["patterns"])


def scopes_of(text):
    """What an editor does: the scope of each character, line by line; the first rule of those that match earliest."""
    scopes = [""] * len(text)
    stack, start = [{"patterns": GRAMMAR["patterns"]}], 0
    for line in text.split("\n"):
        at = 0
        while True:
            rule = stack[-1]
            found = []
            if "end" in rule and (end := re.compile(rule["end"]).search(line, at)):
                found.append((end.start(), -1, None, end))
            for number, inner in enumerate(rules_of(rule["patterns"])):
                if match := re.compile(inner.get("match") or inner["begin"]).search(line, at):
                    found.append((match.start(), number, inner, match))
            stop = min(found, key=lambda item: item[:2])[0] if found else len(line)
            paint(scopes, start + at, start + stop, rule.get("name", ""))
            if not found:
                break
            _, _, inner, match = min(found, key=lambda item: item[:2])
            at = match.end()
            if inner is None:
                paint(scopes, start + match.start(), start + at, stack.pop()["name"])
            elif "begin" in inner:
                paint(scopes, start + match.start(), start + at, inner["name"])
                stack.append(inner)
            else:
                paint(scopes, start + match.start(), start + at, inner.get("name", ""))
                for group, capture in inner.get("captures", {}).items():
                    if match.group(int(group)) is not None:
                        paint(scopes, start + match.start(int(group)), start + match.end(int(group)), capture["name"])
        start += len(line) + 1
    return scopes


def paint(scopes, first, last, name):
    """Give characters a scope."""
    for place in range(first, last):
        scopes[place] = name


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_is_in_it(word):
    """As something else than a name."""
    scopes = set(scopes_of(f"( {word} )")[2:-2]) - {""}
    assert scopes and not any(scope.startswith("variable.other") for scope in scopes), scopes


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_descriptions_are_seen_as_the_lexer_sees_them(path):
    """Each token has the scope of its kind, and what is between tokens is a comment or nothing."""
    text = path.read_text(encoding="utf-8")
    tokens, scopes = Tokens(text), scopes_of(text)
    end = 0
    for kind, token, offset in zip(tokens.kinds, tokens.texts, tokens.offsets):
        between = {scope for scope, character in zip(scopes[end:offset], text[end:offset]) if not character.isspace()}
        assert all(scope.startswith("comment.") for scope in between), (path.name, text[end:offset], between)
        end = offset + len(token)
        found = set(scopes[offset:end])
        assert len(found) <= 1, (token, found)
        assert not any(scope.startswith("comment.") for scope in found), (token, found)
        if kind in ("string", "number"):
            assert found == {"string.quoted.double.capdl" if kind == "string" else "constant.numeric.capdl"}, (token, found)
        elif kind == "name":
            name = found.pop()
            assert name.startswith("variable.other") == (token not in WORDS and not re.fullmatch("[RWGXP]+|caprock|bits|maps", token)) \
                or name.startswith("entity."), (token, name)


def test_comments_nest():
    text = "a /* b /* c */ d */ e -- /* f\ng"
    assert [scopes_of(text)[text.index(letter)].partition(".")[0] for letter in "abcdefg"] == [
        "variable", "comment", "comment", "comment", "variable", "comment", "variable"]
