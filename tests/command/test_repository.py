# SPDX-License-Identifier: BSD-2-Clause
"""What holds for every file of the project: its licence line, its line lengths, and that no test is forgotten."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LICENCE_LINE = "SPDX-License-Identifier: BSD-2-Clause"
COMMENTED = {".py", ".cc", ".cpp", ".hpp", ".h", ".S", ".ld", ".j2", ".toml", ".build", ".ini", ".cdl", ".in", ".cmd", ".c", ".v", ".ml"}
COMMENTED_NAMES = {"caprock", "run", "Containerfile", ".gitignore", ".containerignore", ".clang-format", ".clang-tidy", "config.txt"}
CODE = {".py", ".cc", ".cpp", ".hpp", ".h", ".S"}
LONGEST_LINE = 160


def project_files() -> list[Path]:
    """Every file of the project that is not made by a build or a tool."""
    skipped = re.compile(r"^(build[^/]*|\.git)/|(^|/)(__pycache__|\.hypothesis|\.pytest_cache)/")
    names = (str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
    return [ROOT / name for name in sorted(names) if not skipped.search(name)]


def needs_licence_line(path: Path) -> bool:
    """Files with comments carry the line; documents, golden texts and test data do not."""
    if {"golden", "data"} & set(path.parts):
        return False
    return not path.name.endswith(".json.in") and path.suffix in COMMENTED or path.name in COMMENTED_NAMES


def test_every_source_says_its_licence_first():
    lacking = []
    for path in project_files():
        if needs_licence_line(path):
            head = path.read_text(encoding="utf-8").splitlines()[:2]
            first = head[1:] if head and head[0].startswith("#!") else head[:1]
            # Templates may need a line of their own language before it.
            if path.suffix == ".j2":
                first = head
            if not any(LICENCE_LINE in line for line in first):
                lacking.append(str(path.relative_to(ROOT)))
    assert not lacking


def test_the_licence_check_looks_at_the_files():
    checked = [path for path in project_files() if needs_licence_line(path)]
    assert ROOT / "caprock" in checked and ROOT / "meson.build" in checked and Path(__file__) in checked


def test_no_line_is_too_long_to_read():
    long = [f"{path.relative_to(ROOT)}:{number}" for path in project_files() if path.suffix in CODE
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > LONGEST_LINE]
    assert not long


@pytest.mark.parametrize("pattern, registry", [
    ("**/test_*.py", "tests/meson.build"),
    ("unit/**/test_*.cc", "tests/unit/meson.build"),
    ("conformance/**/test_*.cc", "tests/conformance/meson.build"),
])
def test_every_test_is_registered(pattern, registry):
    text = (ROOT / registry).read_text(encoding="utf-8")
    tests = sorted((ROOT / "tests").glob(pattern))
    assert tests
    assert [str(path) for path in tests if f"'{path.relative_to((ROOT / registry).parent)}'" not in text] == []


def test_every_api_file_is_an_input_of_the_build():
    text = (ROOT / "kernel" / "api" / "caprock" / "meson.build").read_text(encoding="utf-8")
    folder = ROOT / "kernel" / "api"
    inputs = [*folder.glob("*.toml"), *folder.glob("templates/*.h.j2"), *folder.glob("templates/*.hpp.j2")]
    assert inputs
    assert [path.name for path in inputs if f"'../{path.relative_to(folder)}'" not in text] == []


def test_ci_calls_the_tests_and_nothing_else():
    lines = [line for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert lines == ['cd "$(dirname -- "$0")/.." && exec ./caprock test']
