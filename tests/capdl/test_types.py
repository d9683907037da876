# SPDX-License-Identifier: BSD-2-Clause
"""The description tool is typed: every function says what it takes and gives, and the checker of types has nothing against it."""

import shutil
import subprocess

import pytest
from capdl_support import ROOT

# Those that know what may be None, too; in the others what is missing is caught by the checks before.
STRICT = {"compat", "checks.py", "diagnostics.py", "explanations.py", "formatting.py", "lexer.py", "live.py", "model.py", "parameters.py", "parser.py",
          "policy_clauses.py", "policy_parser.py", "policy_witness.py", "printing.py", "resolve.py", "syntax.py"}
ALL = {path.name for path in (ROOT / "capdl").glob("*.py")} | {"alloc/fit.py", "compat", "editor"}
LENIENT = ["--no-strict-optional", "--ignore-missing-imports", "--no-warn-return-any", "--allow-untyped-calls"]


@pytest.mark.skipif(shutil.which("mypy") is None, reason="mypy is not installed (./caprock setup dev)")
@pytest.mark.parametrize(("names", "options"), [(STRICT, []), (ALL - STRICT, LENIENT)], ids=["strict", "others"])
def test_types(tmp_path, names, options):
    """Other modules are looked at when their turn comes."""
    done = subprocess.run(["mypy", "--strict", *options, "--follow-imports=silent", "--cache-dir", str(tmp_path), *(f"capdl/{name}" for name in sorted(names))],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout
