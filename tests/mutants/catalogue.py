# SPDX-License-Identifier: BSD-2-Clause
"""The seeded mutants: small mistakes in the kernel, as entries/*.toml describe them, and sources that hold all of them at once.

An entry is a table whose name is the mutant's:
    [copy_ignores_mask]
    file = "cap/cnode.cc"        # below kernel/
    breaks = "a copy has all rights of its source"
    old = "masked(cap, mask)"    # a text that occurs once in the file; how it is spaced does not matter
    new = "cap"                  # what takes its place; empty: nothing does
    after = "Invoked copy("      # optional: a text that occurs once; the first `old` behind it is meant
    separate = true              # optional: in a kernel of its own, for what a number in memory cannot choose (assembly, constants)
    on = ["gic=3"]               # optional: the machine's setting, if that matters
    unseen = "why"               # optional: the reason why no conformance test can notice it, which then none may
An `old` that ends with ; or is a whole if or loop is a statement or several, any other an expression. Mutants may share an `old`, or have one inside
another's."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNEL = HERE.parents[1] / "kernel"

_STATEMENT = re.compile(r".*;|(?:if|for|while|switch)\b.*\}", re.DOTALL)
_REQUIRED = {"file": str, "breaks": str, "old": str, "new": str}
_OPTIONAL = {"after": str, "separate": bool, "on": list, "unseen": str}


class CatalogueError(Exception):
    """An entry is not as it must be, or the kernel is no longer what it was written for; the text names both and the remedy."""


@dataclass(frozen=True)
class Mutant:
    """One mutant. `number` is what selects it: from 1, in the order of the files and entries."""

    name: str
    number: int
    place: str                # file and entry, for messages
    file: str
    breaks: str
    old: str
    new: str
    after: str = ""
    separate: bool = False
    on: tuple[str, ...] = ()
    unseen: str = ""


@dataclass
class _Site:
    """A stretch of a source file, and what may stand there instead: mutants of the whole stretch, and sites within it."""

    start: int
    end: int
    mutants: list[Mutant] = field(default_factory=list)
    inner: list["_Site"] = field(default_factory=list)


def load(folder: Path = HERE / "entries") -> list[Mutant]:
    """Reads all entries. CatalogueError if one is malformed or two have the same name."""
    mutants: dict[str, Mutant] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CatalogueError(f"{path.name}: {error}") from error
        for name, entry in entries.items():
            place = f"{path.name} [{name}]"
            _check(place, entry)
            if name in mutants:
                raise CatalogueError(f"{place}: {mutants[name].place} has the same name (rename one)")
            mutants[name] = Mutant(name, len(mutants) + 1, place, **{**entry, "on": tuple(entry.get("on", ()))})
    return list(mutants.values())


def _check(place: str, entry: object) -> None:
    """CatalogueError unless the entry has the keys that it must have, and no others."""
    if not isinstance(entry, dict):
        raise CatalogueError(f"{place}: it is no table (write [{place.split('[')[1]})")
    for key, kind in _REQUIRED.items():
        if not isinstance(entry.get(key), kind):
            raise CatalogueError(f"{place}: `{key}` is missing or no {kind.__name__}")
    for key, value in entry.items():
        if key not in _REQUIRED and not isinstance(value, _OPTIONAL.get(key, ())):
            raise CatalogueError(f"{place}: `{key}` is unknown or no {_OPTIONAL.get(key, str).__name__}")
    if not entry["old"].strip() or entry["old"] == entry["new"]:
        raise CatalogueError(f"{place}: `old` is empty, or what `new` is")
    if entry["file"].endswith(".S") and not entry.get("separate"):
        raise CatalogueError(f"{place}: assembly needs `separate = true`")


def sources(mutants: list[Mutant], kernel: Path = KERNEL) -> dict[str, str]:
    """The text of each file that has mutants, with a choice in place of each mutant's `old`; separate mutants are left out."""
    files: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        files.setdefault(mutant.file, []).append(mutant)
    return {name: _schema(_read(kernel, of_file[0]), [mutant for mutant in of_file if not mutant.separate]) for name, of_file in files.items()}


def separate_source(mutant: Mutant, text: str) -> str:
    """A file's `text` with a separate mutant's replacement."""
    start, end = _find(text, mutant)
    return text[:start] + mutant.new + text[end:]


def check_places(mutants: list[Mutant], kernel: Path = KERNEL) -> list[str]:
    """What is wrong with the entries' places in the kernel's sources; empty if each is found."""
    problems = []
    for mutant in mutants:
        try:
            _find(_read(kernel, mutant), mutant)
        except CatalogueError as error:
            problems.append(str(error))
    return problems


def _read(kernel: Path, mutant: Mutant) -> str:
    try:
        return (kernel / mutant.file).read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogueError(f"{mutant.place}: kernel/{mutant.file}: {error.strerror} (name a file below kernel/)") from error


def _pattern(text: str) -> re.Pattern:
    """Matches a text whatever its spacing."""
    return re.compile(r"\s+".join(re.escape(word) for word in text.split()))


def _find(text: str, mutant: Mutant) -> tuple[int, int]:
    """Start and end of what the mutant replaces."""
    begin = 0
    if mutant.after:
        contexts = list(_pattern(mutant.after).finditer(text))
        if len(contexts) != 1:
            raise CatalogueError(f"{mutant.place}: `after` occurs {len(contexts)} times in kernel/{mutant.file} (give a text that occurs once)")
        begin = contexts[0].end()
    found = list(_pattern(mutant.old).finditer(text, begin))
    if not found or (len(found) > 1 and not mutant.after):
        raise CatalogueError(f"{mutant.place}: `old` occurs {len(found)} times in kernel/{mutant.file}{' behind `after`' if mutant.after else ''} "
                             "(the kernel has changed: adapt the entry)")
    return found[0].span()


def _schema(text: str, mutants: list[Mutant]) -> str:
    """The text with a choice in each mutant's place."""
    sites: dict[tuple[int, int], _Site] = {}
    for mutant in mutants:
        span = _find(text, mutant)
        sites.setdefault(span, _Site(*span)).mutants.append(mutant)
    outermost = _Site(0, len(text))
    for site in sorted(sites.values(), key=lambda site: (site.start, -site.end)):
        _nest(outermost, site)
    return _render_inside(text, outermost)


def _nest(outer: _Site, site: _Site) -> None:
    """Puts a site where it belongs; sites come by their start, and the longer first."""
    if outer.inner and site.start < outer.inner[-1].end:
        if site.end > outer.inner[-1].end:
            raise CatalogueError(f"{site.mutants[0].place}: `old` begins inside that of {outer.inner[-1].mutants[0].place} and ends behind it "
                                 "(choose another `old`)")
        _nest(outer.inner[-1], site)
    else:
        outer.inner.append(site)


def _render_inside(text: str, outer: _Site) -> str:
    """A site's own text with the choices inside it."""
    pieces, at = [], outer.start
    for site in outer.inner:
        pieces += [text[at:site.start], _render(text, site)]
        at = site.end
    return "".join((*pieces, text[at:outer.end]))


def _render(text: str, site: _Site) -> str:
    """A site's choice, on one line more than its text at most by the text of its mutants."""
    result = _render_inside(text, site)
    statement = _STATEMENT.fullmatch(text, site.start, site.end)
    for mutant in reversed(site.mutants):
        chosen = f"CAPROCK_MUTANT({mutant.number} /* {mutant.name} */)"
        if statement:
            result = f"if ({chosen}) {{ {mutant.new} }} else {{ {result} }}"
        else:
            result = f"({chosen} ? ({mutant.new}) : ({result}))"
    return result
