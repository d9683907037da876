# SPDX-License-Identifier: BSD-2-Clause
"""What the documents name exists: files and symbols of the walks through the code, targets of links, folders of the architecture."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACES = ("docs/trace-call.md", "docs/trace-retype.md", "docs/spec.md")
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def steps(text: str) -> list[tuple[str, str]]:
    """The (file, symbol) pairs that a walk names: first two cells of a table's row, `symbol` in `file` in a cell, or (`file`, `symbol`) in a sentence."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", text, re.MULTILINE)
    rows += [(file, symbol) for symbol, file in re.findall(r"`(\w+)` in `([\w./-]+)`", text)]
    return rows + re.findall(r"\(`([\w./-]+/[\w.-]+)`, `(\w+)`\)", text)


@pytest.mark.parametrize("trace", TRACES)
def test_files_and_symbols_of_a_walk_exist(trace):
    pairs = steps((ROOT / trace).read_text(encoding="utf-8"))
    assert len(pairs) >= 10
    missing = [f"{file}: {symbol}" for file, symbol in pairs
               if not (ROOT / file).is_file() or not re.search(rf"\b{re.escape(symbol)}\b", (ROOT / file).read_text(encoding="utf-8"))]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document):
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if target and not ((ROOT / document).parent / target).exists()] == []


def test_paths_in_the_architecture_exist():
    """A path in backquotes is one of the project, or of a folder of the kernel or of user level."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`([a-z][\w-]*/[\w./-]*)`", text))
    places = (ROOT, ROOT / "kernel", ROOT / "userland")
    assert len(paths) > 20
    assert sorted(path for path in paths if not any((place / path).exists() for place in places)) == []
