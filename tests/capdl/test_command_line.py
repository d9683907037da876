# SPDX-License-Identifier: BSD-2-Clause
"""`python3 -m capdl`: verbs, output and exit status."""

import os
import subprocess
import sys

import pytest
from capdl_support import GOLDEN, ROOT

GOOD = "arch aarch64\nobjects {\ne = ep\n}\n"


def capdl(*words, folder=None):
    """Run the command line: (status, output, errors)."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run([sys.executable, "-m", "capdl", *map(str, words)], cwd=folder or ROOT, capture_output=True, text=True,
                            timeout=120, env={**os.environ, "PYTHONPATH": path})
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def good(tmp_path):
    """A file without findings."""
    (tmp_path / "good.cdl").write_text(GOOD)
    return tmp_path / "good.cdl"


def test_check(good):
    """Silence and 0, or findings and 1."""
    assert capdl("check", good) == (0, "", "")
    good.write_text("arch aarch64 objects { e = epp }")
    status, output, errors = capdl("check", "good.cdl", folder=good.parent)
    assert (status, output) == (1, "")
    assert errors.startswith("good.cdl:1:28: error: unknown object type 'epp'")


def test_check_for_a_machine(good):
    """With a machine the system must also be loadable."""
    good.write_text("arch arm11 objects { e = ep }")
    assert capdl("check", good)[0] == 0
    status, _, errors = capdl("check", good, "--machine", "virt")
    assert status == 1 and "cannot be built" in errors


def test_elaborate(good, tmp_path):
    """To standard output, or to a file; the output elaborates to itself."""
    status, output, errors = capdl("elaborate", good)
    assert (status, errors) == (0, "") and "e = ep\n" in output
    assert capdl("elaborate", good, "-o", tmp_path / "out.cdl") == (0, "", "")
    assert (tmp_path / "out.cdl").read_text() == output
    assert capdl("elaborate", tmp_path / "out.cdl")[1] == output


def test_elaborate_components(programs, board, tmp_path):
    """A component system needs its programs and board; its text with the generated pages beside it is complete."""
    out = tmp_path / "out.cdl"
    status, _, errors = capdl("elaborate", GOLDEN / "components.cdl", "-o", out)
    assert status == 1 and "build it: ./caprock build" in errors and "--dtb" in errors
    assert capdl("elaborate", GOLDEN / "components.cdl", "--elf-dir", programs, "--dtb", board, "-o", out) == (0, "", "")
    assert (tmp_path / "uart.info").stat().st_size % 128 == 0
    assert capdl("elaborate", out, "--elf-dir", programs, "--machine", "virt")[:2] == (0, out.read_text())


def test_fmt(good):
    """To standard output, or in place; never of a file with syntax errors."""
    good.write_text("arch aarch64\nobjects {\n      e = ep\n}\n\n")
    assert capdl("fmt", good)[:2] == (0, "arch aarch64\nobjects {\n  e = ep\n}\n")
    assert capdl("fmt", good, "--in-place") == (0, "", "")
    assert good.read_text() == "arch aarch64\nobjects {\n  e = ep\n}\n"
    good.write_text("arch aarch64 objects { e = }")
    assert capdl("fmt", good, "-i")[0] == 1
    assert good.read_text() == "arch aarch64 objects { e = }"


@pytest.mark.parametrize("words", [(), ("bogus",), ("check",), ("check", "nowhere.cdl"), ("check", "--colour", "x.cdl"),
                                   ("elaborate", GOLDEN / "arm11.cdl", "-o", "/nowhere/out.cdl")])
def test_wrong_usage(words):
    """One line and status 2."""
    status, output, errors = capdl(*words)
    assert (status, output) == (2, "")
    assert errors.startswith("capdl: ") and errors.count("\n") == 1


def test_missing_device_tree():
    """A board that cannot be read is told once."""
    status, _, errors = capdl("check", GOLDEN / "components.cdl", "--dtb", "/nowhere.dtb")
    assert status == 1 and errors == "capdl: error: the device tree /nowhere.dtb cannot be read: No such file or directory\n"
    status, _, errors = capdl("check", GOLDEN / "components.cdl", "--dtb", GOLDEN / "components.cdl")
    assert status == 1 and "is no device tree blob" in errors
