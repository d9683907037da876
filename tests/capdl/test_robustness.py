# SPDX-License-Identifier: BSD-2-Clause
"""No input crashes or hangs the description tool: a short run of the fuzzer (`./caprock fuzz capdl` makes long ones), and every failure it found."""

import re
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest
from robustness import Hang, examine, no_hang

import capdl
from capdl_support import ROOT

KEPT = sorted((ROOT / "tests" / "capdl" / "kept").glob("*.input"))


def run(*arguments):
    """The fuzzer: (status, output)."""
    done = subprocess.run([sys.executable, "-B", ROOT / "tests" / "capdl" / "fuzz.py", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    return done.returncode, done.stdout


def test_short_run(tmp_path):
    """Nothing is found; a generator whose inputs were all refused at once would not find anything either."""
    status, output = run("--inputs", 1500, "--keep", tmp_path)
    assert status == 0, output
    inputs, systems = map(int, re.fullmatch(r"(\d+) inputs, (\d+) systems without errors\n", output).groups())
    assert inputs == 1500 and systems > 60


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_failure(path):
    """An input that once failed."""
    examine(path.read_bytes())


def test_a_seed_repeats():
    """An input is made of its seed alone."""
    texts = fuzz.corpus()
    assert [fuzz.make_input(number, texts) for number in range(50)] == [fuzz.make_input(number, texts) for number in range(50)]


def test_a_failure_is_kept(tmp_path, monkeypatch, capsys):
    """What fails is written to a file, and the last line says how to repeat it."""
    def broken(*_arguments, **_options):
        raise ZeroDivisionError
    monkeypatch.setattr(capdl, "load", broken)
    assert fuzz.changed(1, 5, tmp_path, fuzz.Counter()) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"failure: ZeroDivisionError (again: ./caprock fuzz capdl --replay {tmp_path}/failure.cdl)"
    assert (tmp_path / "failure.cdl").read_bytes() == fuzz.make_input(1, fuzz.corpus())
    assert fuzz.drawn(1, 5, tmp_path / "drawn", fuzz.Counter()) == 1


def test_a_hang_is_a_failure(monkeypatch):
    """The limit ends what does not end."""
    monkeypatch.setattr("robustness.HANG_SECONDS", 1)
    with pytest.raises(Hang), no_hang():
        while True:
            pass
