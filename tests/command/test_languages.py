# SPDX-License-Identifier: BSD-2-Clause
"""Components outside the tree in C and C++, each the client of a server in the other language."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = Path(__file__).resolve().parent / "data" / "languages"


def run(folder):
    """Runs the system in a copy of its folder: (status, lines by component, errors)."""
    done = subprocess.run([ROOT / "caprock", "run", folder / "languages.cdl", "--no-install"], capture_output=True, text=True, timeout=250,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, re.findall(r"^\[(\w+)\] (.*)$", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_c_and_cpp_serve_each_other(tmp_path):
    """Structs, arrays, bytes, errors, and capabilities with requests and replies, which are deleted when they are not kept."""
    folder = shutil.copytree(SYSTEM, tmp_path / "languages")
    status, lines, output = run(folder)
    assert (status, lines) == (0, [
        ("cpp_client", "move 0: 11 22 -90 65533, hello, C++"),
        ("cpp_client", "rang twice; without a bell 263"),
        ("cpp_client", "rung 2, refused 1031"),
        ("c_client", "moved"),
        ("c_client", "rang"),
    ]), output


def test_a_mistake_in_c_is_the_compilers_to_tell(tmp_path):
    folder = shutil.copytree(SYSTEM, tmp_path / "languages")
    path = folder / "c_client.c"
    path.write_text(path.read_text(encoding="utf-8").replace("test_rung(test, &count)", "test_rung(test, count)"), encoding="utf-8")
    status, _, output = run(folder)
    assert status == 1 and "c_client.c does not compile" in output and "count" in output
