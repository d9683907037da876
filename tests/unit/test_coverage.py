# SPDX-License-Identifier: BSD-2-Clause
"""The host's tests reach the portable kernel as far as they must, and each line that they do not reach has a reason (see coverage.py)."""

import collections
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import coverage  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", coverage.ROOT / "build"))


@pytest.fixture(scope="module")
def report():
    """The result of a run of all programs; skipped where they, or gcovr, are missing."""
    if shutil.which("gcovr") is None:
        pytest.skip("gcovr is missing (./caprock setup dev)")
    if not (BUILD / "tests" / "unit" / "unit-kernel-coverage").exists():
        pytest.skip("Catch2 is missing (./caprock setup dev)")
    found = coverage.measure(BUILD)
    (BUILD / "coverage.txt").write_text(coverage.table(found) + "\n", encoding="utf-8")
    return found


def test_all_folders_are_looked_at(report):
    assert {Path(file).parts[1] for file in report.lines} == set(coverage.FOLDERS)
    sources = {str(path.relative_to(coverage.ROOT)) for folder in coverage.FOLDERS for path in (coverage.ROOT / "kernel" / folder).glob("*.cc")}
    assert sources - set(report.lines) == set()


def test_enough_is_covered_and_every_other_line_has_a_reason(report):
    found = coverage.problems(report, coverage.read_listed())
    assert not found, "\n".join(found)


def lines_of(entries):
    """Lines as gcovr tells them: number, count, counts of branches."""
    return [{"line_number": number, "count": count, "branches": [{"count": branch} for branch in branches]} for number, count, branches in entries]


@pytest.fixture
def small(tmp_path):
    """A report on a file of four lines, of which the third is not covered."""
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/a.cc").write_text("one\n  two\n  three\n  two\n", encoding="utf-8")
    entries = lines_of([(1, 5, [3, 0]), (2, 1, []), (3, 0, []), (4, 1, [1, 1])])
    return coverage.read_report({"files": [{"file": "kernel/a.cc", "lines": entries}]}, tmp_path)


def test_a_report_is_read_by_lines_and_branches(small):
    assert small.lines == {"kernel/a.cc": coverage.Share(3, 4)}
    assert small.branches == {"kernel/a.cc": coverage.Share(3, 4)}
    assert small.uncovered == collections.Counter([coverage.Line("kernel/a.cc", "three")])


def test_shares_below_the_limits_are_problems(small):
    found = coverage.problems(small, small.uncovered)
    assert found == ["75.0 % of the lines are covered, and 95 % must be", "75.0 % of the branches are covered, and 90 % must be"]


def test_uncovered_lines_must_be_listed_and_listed_ones_uncovered(small):
    line = coverage.Line("kernel/a.cc", "three")
    other = coverage.Line("kernel/a.cc", "two")
    assert any("no test reaches `three`" in problem for problem in coverage.problems(small, collections.Counter()))
    assert any("`two` is covered" in problem for problem in coverage.problems(small, collections.Counter([line, other])))
    assert any("`three` is covered, or is not there (1 times)" in problem for problem in coverage.problems(small, collections.Counter([line, line])))


def test_a_listed_line_needs_a_reason(tmp_path):
    path = tmp_path / "uncovered.toml"
    path.write_text('[[line]]\nfile = "a"\ntext = "b"\nreason = " "\n', encoding="utf-8")
    with pytest.raises(ValueError, match="entry 1: it needs"):
        coverage.read_listed(path)
