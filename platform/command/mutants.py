# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock mutants`: the conformance tests on kernels with seeded mistakes, each of which some test must notice (tests/mutants)."""

import os
import sys
import tomllib
from typing import NoReturn

from . import BUILD, ROOT, systems
from .building import python_environment
from .errors import Usage

_FOLDER = ROOT / "tests" / "mutants"


def run(options) -> NoReturn:
    """Does what the options say, in this process's place: its status is 0 if every test fails for a mutant, 1 if not."""
    _check(options)
    systems.prepare(not options.no_install, tests=True)
    command = ["/usr/bin/python3", "-B", str(_FOLDER / "campaign.py"), f"--jobs={options.jobs}"]
    command += [f"--mutant={name}" for name in options.mutant] + [f"--suite={name}" for name in options.suite]
    command += [f"--{name}" for name in ("all", "repeat", "record") if getattr(options, name)]
    sys.stdout.flush()
    # In the command's place: whoever ends the command ends the campaign, which takes its machines along.
    os.execve(command[0], command, {**python_environment(), "CAPROCK_BUILD": str(BUILD)})


def _check(options) -> None:
    """Usage if the options name what there is not, or would record a part for the whole."""
    known = {name for path in (_FOLDER / "entries").glob("*.toml") for name in tomllib.loads(path.read_text(encoding="utf-8"))}
    for name in options.mutant:
        if name not in known:
            raise Usage(f"no mutant is named {name} (the tables in tests/mutants/entries name them)")
    for name in options.suite:
        if not (ROOT / "tests" / "conformance" / f"test_{name}.cc").is_file():
            raise Usage(f"no conformance suite is named {name} (tests/conformance/test_SUITE.cc)")
    if options.record and (options.mutant or options.suite):
        raise Usage("--record needs the whole campaign: give neither --mutant nor --suite with it")
