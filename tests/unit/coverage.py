#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Coverage of the portable kernel by the host's tests: lines and branches, and a reason for each line that no test reaches.

usage: coverage.py BUILD    BUILD is the build folder; its coverage programs must be built (`ninja -C BUILD coverage-programs`).

Runs the unit tests and a short run of the fuzzer with counters, asks gcovr, and prints what is covered, file by file. Fails when less is covered than
the limits below ask for, when a line is not covered that uncovered.toml does not list, and when one is covered that it lists.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTED = Path(__file__).resolve().parent / "uncovered.toml"
FOLDERS = ("core", "cap", "object", "ipc", "sched", "syscall", "boot")
LEAST_LINES = 95.0
LEAST_BRANCHES = 90.0
FUZZ_OPERATIONS = 60_000


@dataclass(frozen=True)
class Line:
    """A line of the kernel by its text, without the space around it: numbers change with every edit."""

    file: str
    text: str


@dataclass(frozen=True)
class Share:
    """How much of something is covered."""

    covered: int = 0
    total: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(self.covered + other.covered, self.total + other.total)

    @property
    def percent(self) -> float:
        """100 when there is nothing to cover."""
        return 100.0 * self.covered / self.total if self.total else 100.0


@dataclass
class Report:
    """What gcovr found."""

    lines: dict[str, Share]
    branches: dict[str, Share]
    uncovered: collections.Counter  # of Line

    def total(self, shares: dict[str, Share]) -> Share:
        """The share of all files together."""
        return sum(shares.values(), Share())


def run_programs(build: Path) -> None:
    """Runs the tests with counters that start at zero. Raises if one of them fails: its counters would mean nothing."""
    folder = build / "tests" / "unit"
    for counters in folder.rglob("*.gcda"):
        counters.unlink()
    for command in ([folder / "unit-kernel-coverage", "~[thorough]"], [folder / "fuzz-kernel-coverage", "--ops", str(FUZZ_OPERATIONS)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, errors="replace")
        if done.returncode != 0:
            raise RuntimeError(f"{command[0].name} failed with status {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def ask_gcovr(build: Path) -> dict:
    """gcovr's report on the kernel's portable folders. Branches of exceptions and of code that only the compiler made do not count."""
    output = build / "coverage.json"
    folders = "|".join(FOLDERS)
    subprocess.run(["gcovr", "--root", str(ROOT), "--filter", f"{re.escape(str(ROOT))}/kernel/({folders})/", "--exclude-throw-branches",
                    "--exclude-unreachable-branches", "--json", str(output), str(build / "tests" / "unit")], check=True, cwd=build,
                   stdin=subprocess.DEVNULL)
    return json.loads(output.read_text(encoding="utf-8"))


def read_report(found: dict, root: Path = ROOT) -> Report:
    """What a report of gcovr's says, by files."""
    report = Report({}, {}, collections.Counter())
    for entry in found["files"]:
        file = entry["file"]
        text = (root / file).read_text(encoding="utf-8").splitlines()
        code = [line for line in entry["lines"] if not line.get("gcovr/noncode")]
        branches = [branch for line in code for branch in line["branches"]]
        report.lines[file] = Share(sum(line["count"] > 0 for line in code), len(code))
        report.branches[file] = Share(sum(branch["count"] > 0 for branch in branches), len(branches))
        report.uncovered.update(Line(file, text[line["line_number"] - 1].strip()) for line in code if line["count"] == 0)
    return report


def read_listed(path: Path = LISTED) -> collections.Counter:
    """The lines that need not be covered, each with a reason, and how often each is there."""
    listed = collections.Counter()
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8")).get("line", []), 1):
        if set(entry) - {"count"} != {"file", "text", "reason"} or not entry["reason"].strip():
            raise ValueError(f"{path.name}: entry {number}: it needs file, text and reason (and may have a count)")
        listed[Line(entry["file"], entry["text"])] += entry.get("count", 1)
    return listed


def problems(report: Report, listed: collections.Counter) -> list[str]:
    """What is wrong, one line each; empty when nothing is."""
    found = []
    for name, shares, least in (("lines", report.lines, LEAST_LINES), ("branches", report.branches, LEAST_BRANCHES)):
        percent = report.total(shares).percent
        if percent < least:
            found.append(f"{percent:.1f} % of the {name} are covered, and {least:.0f} % must be")
    found += [f"{line.file}: no test reaches `{line.text}` ({count} times): write one, or list it in {LISTED.name} with the reason"
              for line, count in sorted((report.uncovered - listed).items(), key=str)]
    found += [f"{line.file}: `{line.text}` is covered, or is not there ({count} times): take it out of {LISTED.name}"
              for line, count in sorted((listed - report.uncovered).items(), key=str)]
    return found


def table(report: Report) -> str:
    """The report as text."""
    rows = [f"{'file':40} {'lines':>14} {'branches':>16}"]
    for file in sorted(report.lines):
        rows.append(_row(file, report.lines[file], report.branches[file]))
    return "\n".join([*rows, _row("all", report.total(report.lines), report.total(report.branches))])


def _row(name: str, lines: Share, branches: Share) -> str:
    return f"{name:40} {lines.covered:5}/{lines.total:<5}{lines.percent:5.1f}% {branches.covered:5}/{branches.total:<5}{branches.percent:5.1f}%"


def measure(build: Path) -> Report:
    """Runs everything and reads the result."""
    run_programs(build)
    return read_report(ask_gcovr(build))


def main() -> int:
    """Prints the table and what is wrong."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "build.ninja").exists():
        print("usage: coverage.py BUILD (a build folder, see `./caprock build`)", file=sys.stderr)
        return 2
    if shutil.which("gcovr") is None:
        print("coverage.py: gcovr is missing (./caprock setup dev)", file=sys.stderr)
        return 1
    report = measure(Path(os.path.abspath(sys.argv[1])))
    found = problems(report, read_listed())
    print(table(report))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
