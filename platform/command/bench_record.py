# SPDX-License-Identifier: BSD-2-Clause
"""The figures that the tests expect (tests/bench/expected.json), and the tables in docs/performance.md, which are made of them:
`./caprock bench --record` writes both. Figures are a compiler's too: it stands with them."""

import json
from pathlib import Path

from . import BUILD, ROOT
from .bench_footprint import CLASSES, GOAL, PEER, TOUCHED, Footprint
from .bench_rows import ROWS, Row
from .errors import Finding

EXPECTED = ROOT / "tests" / "bench" / "expected.json"
DOCUMENT = ROOT / "docs" / "performance.md"
TOLERANCE_PERCENT = 1
_BEGIN, _END = "<!-- {}: written by ./caprock bench --record -->", "<!-- end -->"


def record(figures: dict[str, int], footprints: list[Footprint]) -> None:
    """Writes expected figures and tables."""
    expected = {"compiler": compiler(), "instructions": figures, "footprint": {item.operation: item.counts for item in footprints}}
    EXPECTED.write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables(expected).items():
        text = replaced(text, name, table)
    DOCUMENT.write_text(text, encoding="utf-8")


def compiler() -> str:
    """Name and version of what compiled kernel and components."""
    known = json.loads((BUILD / "meson-info" / "intro-compilers.json").read_text(encoding="utf-8"))["host"]["cpp"]
    return f"{known['id']} {known['version']}"


def expected_figures() -> dict:
    """What is recorded: `compiler`, `instructions` by operation, and `footprint`, counts by operation."""
    try:
        return json.loads(EXPECTED.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Finding(f"{EXPECTED}: {error} (`./caprock bench --record` writes it)") from error


def exceeded(measured: dict[str, int], expected: dict[str, int]) -> list[str]:
    """A line for each figure that is more than a hundredth above what is expected, and for each that only one of both has."""
    lines = [f"{name}: {figure}, recorded {expected[name]}" for name, figure in measured.items()
             if name in expected and figure * 100 > expected[name] * (100 + TOLERANCE_PERCENT)]
    return lines + [f"{name}: {'not recorded' if name in measured else 'recorded, but not measured'}" for name in measured.keys() ^ expected.keys()]


def beaten(measured: dict[str, int], expected: dict[str, int]) -> list[str]:
    """A line for each figure that is below what is expected."""
    return [f"{name}: {figure}, recorded {expected[name]}" for name, figure in measured.items() if figure < expected.get(name, figure)]


def tables(expected: dict) -> dict[str, str]:
    """The document's tables by name, as Markdown."""
    return {"operations": _operations(expected["instructions"]), "footprints": _footprints(expected["footprint"]),
            "working set": _working_set(expected["footprint"])}


def replaced(text: str, name: str, table: str) -> str:
    """The document with another table of that name; a Finding if it has no place for it."""
    begin = _BEGIN.format(name)
    before, found, rest = text.partition(begin + "\n")
    _, ended, after = rest.partition(_END)
    if not found or not ended:
        raise Finding(f"{_short(DOCUMENT)}: there is no place for the table (write `{begin}` and `{_END}` where it shall stand)")
    return f"{before}{begin}\n{table}{_END}{after}"


def _operations(figures: dict[str, int]) -> str:
    lines = ["| operation | Caprock | goal | seL4 | seL4 MCS | ratio |", "|---|---|---|---|---|---|"]
    lines += [_operation(row, figures[row.operation]) for row in ROWS if row.operation in figures]
    return "\n".join(lines) + "\n"


def _operation(row: Row, figure: int) -> str:
    ratio = f"{figure / row.peer:.2f}" if row.peer else "–"
    cells = (_number(figure), _number(row.goal), _number(row.best), _number(row.mcs), ratio)
    return f"| {row.operation} | {' | '.join(cells)} |"


def _footprints(footprints: dict[str, dict[str, int]]) -> str:
    used = [name for name in CLASSES if any(counts[name] for counts in footprints.values())]
    names = {**{name: CLASSES[name] for name in used}, **TOUCHED}
    lines = [f"| operation | {' | '.join(names.values())} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {operation} | {' | '.join(str(counts[name]) for name in names)} |" for operation, counts in footprints.items()]
    return "\n".join(lines) + "\n"


def _working_set(footprints: dict[str, dict[str, int]]) -> str:
    counts = footprints["round trip 0 words"]
    lines = ["| round trip of 0 words | Caprock | goal | seL4 |", "|---|---|---|---|"]
    lines += [f"| {text} | {counts[name]} | {GOAL[name]} | {PEER[name]} |" for name, text in TOUCHED.items()]
    return "\n".join(lines) + "\n"


def _number(figure: int | None) -> str:
    return "–" if figure is None else f"{figure:,}"


def _short(path: Path) -> Path:
    return path.relative_to(ROOT)
