# SPDX-License-Identifier: BSD-2-Clause
"""The count that `./caprock test` ends with: cases, not files, and nothing that went wrong is lost."""

import json

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
