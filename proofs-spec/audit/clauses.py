# SPDX-License-Identifier: BSD-2-Clause
"""Which branches of the specification the lockstep took: the oracle once more, with OCaml's counters in the extracted definitions, and what they say of each
definition."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .code import AuditError

_FOLDER = "audit/oracle"
CORE = "oracle_core.ml"
"""What Coq extracted."""
_COUNTERS = "OCAMLPROF_DUMP"
"""The variable that names the file in which a program with counters leaves them."""
_STARTS = re.compile(r"^(?:let(?: rec)?|and) (\w+)", re.MULTILINE)
_COUNT = re.compile(r"\(\* (\d+) \*\)")

Branches = dict[str, tuple[int, int]]
"""Branches taken and all, by definition of the specification; to be evaluated at all counts as one."""


def compile_counted(out: Path) -> Path:
    """Compiles the oracle with counters from the sources in its build folder. The path of the program."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import build

    if shutil.which("ocamloptp") is None or shutil.which("ocamlprof") is None:
        raise AuditError("ocamloptp or ocamlprof is not installed (package ocaml: `./caprock setup proofs`)")
    folder = out / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in build.ORACLE:
        shutil.copy(out / name, folder)
    _run(["ocamloptp", "-P", "a", "-I", "+zarith", build.ZARITH, "-w", "-a", "-o", "oracle", *build.ORACLE], folder)
    return folder / "oracle"


def counters(program: Path, number: int) -> dict[str, str]:
    """The environment in which the run of that number leaves its counters beside the oracle `program`."""
    return {**os.environ, _COUNTERS: str(program.parent / f"counters.{number}")}


def read(program: Path, names: set[str]) -> Branches:
    """The branches of the definitions with these names, as all runs of `program` took them."""
    runs = [_counts(_run(["ocamlprof", "-f", file.name, CORE], program.parent), names) for file in sorted(program.parent.glob("counters.*"))]
    found: Branches = {}
    for name in runs[0] if runs else ():
        counts = [sum(column) for column in zip(*(run[name] for run in runs))]
        found[name] = sum(count > 0 for count in counts), len(counts)
    if not found:
        raise AuditError(f"{program}: no definition of the specification was counted (did the lockstep run with it?)")
    return found


def _counts(text: str, names: set[str]) -> dict[str, list[int]]:
    """What stands at each branch of a definition, in order. Extraction may add digits to a name."""
    found: dict[str, list[int]] = {}
    starts = list(_STARTS.finditer(text))
    for start, end in zip(starts, [*(item.start() for item in starts[1:]), len(text)]):
        name = next((name for name in (start[1], start[1].rstrip("0123456789")) if name in names), None)
        counts = [int(count) for count in _COUNT.findall(text[start.start():end])]
        if name is not None and counts:
            found.setdefault(name, []).extend(counts)
    return found


def total(branches: Branches) -> tuple[int, int]:
    """Branches taken and all, of all definitions."""
    return sum(taken for taken, _ in branches.values()), sum(whole for _, whole in branches.values())


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AuditError(f"{command[0]} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return done.stdout
