# SPDX-License-Identifier: BSD-2-Clause
"""The description tool's stages that are typed stay so: the checker of types has nothing against them."""

import shutil
import subprocess

import pytest

from capdl_support import ROOT

TYPED = ["compat", "checks.py", "diagnostics.py", "explanations.py", "formatting.py", "lexer.py", "model.py", "parameters.py", "parser.py", "printing.py",
         "resolve.py", "syntax.py"]


@pytest.mark.skipif(shutil.which("mypy") is None, reason="mypy is not installed (./caprock setup dev)")
def test_types(tmp_path):
    """Strictly: every function says what it takes and gives."""
    done = subprocess.run(["mypy", "--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path), *(f"capdl/{name}" for name in TYPED)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout
