# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock test`: every test that Meson knows, host and target, and one line that counts their cases."""

import json
import re
import subprocess
import sys

from . import BUILD, systems
from .building import python_environment
from .errors import Finding

_CASE = re.compile(r"^(not )?ok\b([^#\n]*)(#\s*(?:SKIP|skip)\b)?", re.MULTILINE)
_SKIPPED_CASE = re.compile(r"^(?:ok\b[^#\n]*|1\.\.0 *)#\s*SKIP (?:Skipped: )?(.+)$", re.MULTILINE)
_FAILED_CASE = re.compile(r"^not ok\b.*(?:\n#.*)*", re.MULTILINE)
_PASSED_RESULTS = ("OK", "EXPECTEDFAIL")
_GOOD_RESULTS = (*_PASSED_RESULTS, "SKIP")
_LINES_SHOWN = 60


def test(quick: bool, names: list[str], may_install: bool) -> int:
    """Builds and runs the tests: all, those with `names` (see `expand`), or with `quick` those outside the suite `slow`. Prints `N passed, N failed` last.

    Returns 0 if at least one case ran and none failed. Cases whose tools are missing count as skipped.
    """
    try:
        systems.prepare(may_install, tier="all" if may_install else "run", tests=True)
        counts = _run_meson(quick, names)
    except Finding:
        _print_counts((0, 1, 0))
        raise
    _print_counts(counts)
    passed, failed, _ = counts
    return 0 if passed and not failed else 1


def _run_meson(quick: bool, names: list[str]) -> tuple[int, int, int]:
    """Runs `meson test`, which prints each test and what failed, and counts the cases in its log."""
    log = BUILD / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    known = [entry["name"] for entry in json.loads((BUILD / "meson-info" / "intro-tests.json").read_text(encoding="utf-8"))]
    command = ["meson", "test", "-C", str(BUILD), "--no-rebuild", *(["--no-suite", "slow"] if quick else []), *expand(names, known)]
    # Meson's own status only says that something failed, which the log says case by case.
    subprocess.run(command, stdin=subprocess.DEVNULL, env=python_environment(), check=False)
    if not log.exists() or not log.read_text(encoding="utf-8").strip():
        raise Finding("no test ran (`meson test -C build --list` names them)")
    text = log.read_text(encoding="utf-8")
    sys.stdout.write(failures(text) + skips(text))
    return count(text)


def expand(names: list[str], known: list[str]) -> list[str]:
    """What `names` stand for: each for the test of that name and for all whose names go on with a dash. One that is no test's stays, for Meson to
    refuse."""
    found = [[test for test in known if test == name or test.startswith(f"{name}-")] or [name] for name in names]
    return list(dict.fromkeys(test for tests in found for test in tests))


def failures(log: str) -> str:
    """What each failed test in Meson's log said: its failed cases with their explanations, or without such the end of its output."""
    report = ""
    for line in log.splitlines():
        entry = json.loads(line)
        if entry["result"] in _GOOD_RESULTS:
            continue
        output = entry.get("stdout") or ""
        cases = ["\n".join(found.group(0).splitlines()[:_LINES_SHOWN]) for found in _FAILED_CASE.finditer(output)]
        ends = [text for text in (*([] if cases else [_end(output)]), _end(entry.get("stderr") or "")) if text]
        report += "\n".join([f"\n{entry['name']}: {entry['result']}", *cases, *ends]) + "\n"
    return report + "\n" if report else ""


def skips(log: str) -> str:
    """A line for each reason that a test gives for skipping cases."""
    entries = [json.loads(line) for line in log.splitlines()]
    lines = [f"{entry['name']}: skipped: {reason}\n" for entry in entries for reason in _SKIPPED_CASE.findall(entry.get("stdout") or "")]
    return "".join(dict.fromkeys(lines))


def _end(output: str) -> str:
    """The last lines of a test's output."""
    return "\n".join(output.rstrip().splitlines()[-_LINES_SHOWN:])


def count(log: str) -> tuple[int, int, int]:
    """Counts cases that passed, failed and were skipped in Meson's log (one JSON object per line and test).

    A test that prints TAP counts by its cases, another one as one case. A test that failed beyond its cases (crash, time-out, wrong number of
    cases) adds a failed one.
    """
    totals = [0, 0, 0]
    for line in log.splitlines():
        entry = json.loads(line)
        cases = [0, 0, 0]
        for negation, _, skip in _CASE.findall(entry.get("stdout") or ""):
            cases[1 if negation else 2 if skip else 0] += 1
        if entry["result"] == "SKIP":
            cases = [0, 0, max(sum(cases), 1)]
        elif entry["result"] in _PASSED_RESULTS:
            cases[0] += not any(cases)
        else:
            cases[1] += not cases[1]
        totals = [total + case for total, case in zip(totals, cases)]
    return totals[0], totals[1], totals[2]


def _print_counts(counts: tuple[int, int, int]) -> None:
    passed, failed, skipped = counts
    print(f"{passed} passed, {failed} failed{f', {skipped} skipped' if skipped else ''}", flush=True)
