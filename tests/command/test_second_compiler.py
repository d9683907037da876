# SPDX-License-Identifier: BSD-2-Clause
"""A second opinion on the sources: clang 19 and lld 19 build everything, with the same warnings as errors."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("kernel/kernel.elf", "kernel/kernel-debug.elf", "platform/Image", "userland/uart.elf")


@pytest.mark.skipif(not shutil.which("clang++-19") or not shutil.which("ld.lld-19"), reason="clang 19 is missing (./caprock setup dev)")
def test_clang_builds_everything(tmp_path):
    folder = tmp_path / "build"
    for command in (["meson", "setup", folder, ROOT, "--cross-file", ROOT / "cross-aarch64-clang.ini"], ["ninja", "-C", folder]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for program in PROGRAMS:
        assert (folder / program).stat().st_size > 0
    assert b"clang 19." in (folder / "platform" / "Image").read_bytes()
