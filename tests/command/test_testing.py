# SPDX-License-Identifier: BSD-2-Clause
"""The count that `./caprock test` ends with: cases, not files, and nothing that went wrong is lost."""

import json
import subprocess
from pathlib import Path

import pytest

from command import testing


def entry(result: str, stdout: str = "") -> str:
    """One line of Meson's log."""
    return json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n"


@pytest.mark.parametrize("log, counts", [
    (entry("OK"), (1, 0, 0)),
    (entry("FAIL"), (0, 1, 0)),
    (entry("SKIP"), (0, 0, 1)),
    (entry("TIMEOUT", "ok 1 - a\n"), (1, 1, 0)),
    (entry("OK", "TAP version 13\nok 1 - a\nok 2 - b # SKIP missing\n1..2\n"), (1, 0, 1)),
    (entry("FAIL", "ok 1\nnot ok 2 - b\n# ok 3 in a comment\n1..2\n"), (1, 1, 0)),
    (entry("ERROR", "ok 1 - a\n1..2\n"), (1, 1, 0)),
    (entry("SKIP", "1..0 # SKIP pytest is missing\n"), (0, 0, 1)),
    (entry("OK") + entry("ERROR") + entry("SKIP"), (1, 1, 1)),
])
def test_count(log, counts):
    assert testing.count(log) == counts


def test_the_last_line_is_plain(capsys):
    testing._print_counts((3, 0, 0))
    testing._print_counts((3, 1, 2))
    assert capsys.readouterr().out == "3 passed, 0 failed\n3 passed, 1 failed, 2 skipped\n"


def test_failures_are_shown_with_their_explanations():
    text = testing.failures(entry("OK", "ok 1 - fine\n") + entry("FAIL", "ok 1 - a\nnot ok 2 - b\n# because\n# of this\nok 3 - c\n1..3\n"))
    assert "t: FAIL\nnot ok 2 - b\n# because\n# of this\n" in text
    assert "ok 1" not in text and "ok 3" not in text


def test_a_failure_without_cases_shows_the_end_of_the_output():
    text = testing.failures(entry("TIMEOUT", "\n".join(f"line {number}" for number in range(100))))
    assert "t: TIMEOUT" in text and "line 99" in text and "line 10\n" not in text


def test_no_failure_no_report():
    assert testing.failures(entry("OK") + entry("SKIP")) == ""


def test_reasons_for_skipping_are_shown_once():
    cases = "ok 1 - a # SKIP Skipped: no tool\nok 2 - b # SKIP Skipped: no tool\nok 3 - c\nok 4 - d # SKIP\n1..4\n"
    assert testing.skips(entry("OK", cases)) == "t: skipped: no tool\n"
    assert testing.skips(entry("OK", "ok 1 - a\n") + entry("SKIP", "1..0 # SKIP pytest is missing\n")) == "t: skipped: pytest is missing\n"


def test_without_pytest_tests_are_skipped_and_not_passed():
    runner = Path(__file__).resolve().parents[1] / "run_pytest.py"
    # -S leaves out the folder of Debian's packages.
    done = subprocess.run(["/usr/bin/python3", "-S", runner, __file__], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout == "1..0 # SKIP pytest is missing (./caprock setup dev)\n"
    assert testing.count(entry("SKIP", done.stdout)) == (0, 0, 1)


def test_a_name_stands_for_all_tests_that_begin_with_it():
    known = ["conformance-debug-raspi4b", "conformance-production-raspi4b", "unit-kernel", "unit-shim", "arch-arch"]
    assert testing.expand(["conformance"], known) == known[:2]
    assert testing.expand(["unit-shim", "unit", "con"], known) == ["unit-shim", "unit-kernel", "con"]
    assert testing.expand([], known) == []
