# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the capDL tool's tests, and the project on Python's path."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from capdl_support import BOARD_SOURCE, default_elf  # noqa: E402 (the path comes first)


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A directory with programs called a.elf, b.elf and c.elf."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("a.elf", "b.elf", "c.elf"):
        (folder / name).write_bytes(default_elf())
    return folder


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """The blob of BOARD_SOURCE."""
    if shutil.which("dtc") is None:
        pytest.skip("the device-tree compiler (package device-tree-compiler) is not installed")
    folder = tmp_path_factory.mktemp("board")
    (folder / "board.dts").write_text(BOARD_SOURCE)
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", str(folder / "board.dtb"), str(folder / "board.dts")], check=True)
    return folder / "board.dtb"
