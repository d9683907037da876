# SPDX-License-Identifier: BSD-2-Clause
"""docs/invariants.md lists the invariants that the host's checker looks at and the kernel asserts, under the specification's headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/invariants.md").read_text(encoding="utf-8")
CHECKER = (ROOT / "tests/unit/host_seam/invariants.cc").read_text(encoding="utf-8")
SPECIFICATION = ROOT / "proofs-spec/spec/WellFormed.v"
DEEP = "// -- Deep checks"


@dataclass(frozen=True)
class Row:
    """One invariant of the document."""

    name: str
    statement: str
    checked: str
    asserted_in: frozenset[str]


def rows() -> list[Row]:
    """The rows of all tables."""
    found = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|(.*)\|$", DOCUMENT, re.MULTILINE)
    return [Row(name, statement, checked, frozenset(re.findall(r"`([^`]+)`", files))) for name, statement, checked, files in found]


def checked_names(text: str) -> set[str]:
    """Names that the checker gives as the reason of an exception."""
    return set(re.findall(r"\brequire\([^;]*?\"([a-z_]+)\"", text))


def asserted() -> dict[str, set[str]]:
    """Files of the kernel by the names that their assertions give."""
    files: dict[str, set[str]] = {}
    for path in sorted((ROOT / "kernel").rglob("*.[ch][cp]*")):
        for name in re.findall(r"\bassert_that\([^;]*\"([^\"]*)\"\);", path.read_text(encoding="utf-8")):
            files.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return files


def test_every_invariant_is_listed_once_and_says_something():
    names = [row.name for row in rows()]
    assert len(names) > 40
    assert len(names) == len(set(names))
    assert all(row.statement.endswith(".") for row in rows())
    # No row was missed because it is written in another way.
    assert len(re.findall(r"^\| `", DOCUMENT, re.MULTILINE)) == len(names)


def test_the_checker_looks_at_what_the_document_says():
    early, deep = CHECKER.split(DEEP)
    listed = {row.name: row.checked for row in rows()}
    assert {name for name, checked in listed.items() if checked != "by effect"} == checked_names(CHECKER)
    assert {name for name, checked in listed.items() if checked == "deep"} == checked_names(deep) - checked_names(early)


def test_the_kernel_asserts_where_the_document_says():
    assert {row.name: set(row.asserted_in) for row in rows() if row.asserted_in} == asserted()


def test_the_specification_has_the_names_in_the_headings():
    constructors = set(re.findall(r"^\| (\w+)", SPECIFICATION.read_text(encoding="utf-8").split("Inductive Invariant :=")[1].split("Definition")[0],
                                  re.MULTILINE))
    headings = re.findall(r"^## .*\((.*)\)$", DOCUMENT, re.MULTILINE)
    assert {name for heading in headings for name in heading.split(", ")} == constructors
