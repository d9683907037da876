# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock fuzz capdl`: random inputs for the description tool, in pieces that have seeds of their own.

A piece is a run of tests/capdl/fuzz.py. It prints one line of counts, which are added up, or ends with one that says what is wrong."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import BUILD, ROOT, building, systems
from .counts import add_up
from .errors import Usage, say

_PROGRAM = ROOT / "tests" / "capdl" / "fuzz.py"
_KEEP = BUILD / "fuzz" / "capdl"
_PIECE = 5_000
DEFAULT_INPUTS = 20_000


def fuzz(options) -> int:
    """Does what the options say; 0 if nothing is wrong, 1 after lines that say what is and how to see it again."""
    replay = _check(options)
    systems.set_up("run" if options.no_install else "dev", not options.no_install)
    if replay is not None:
        return _show(_run("--replay", str(replay)))
    inputs = options.inputs or DEFAULT_INPUTS
    pieces = [(options.seed + done, min(_PIECE, inputs - done)) for done in range(0, inputs, _PIECE)]
    lines = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in pool.map(lambda piece: _run("--seed", str(piece[0]), "--inputs", str(piece[1]), "--keep", str(_KEEP / str(piece[0]))), pieces):
            if done.returncode != 0:
                pool.shutdown(cancel_futures=True)
                return _show(done)
            lines.append(done.stdout)
    say(f"capdl: {add_up(lines)}")
    return 0


def _check(options) -> Path | None:
    """The file to repeat, or None; Usage if the options do not go together."""
    for name in ("host", "target", "ops", "guided", "kernel"):
        if getattr(options, name):
            raise Usage(f"--{name} is for the kernel (fuzz capdl takes --inputs, --seed, --replay and -j)")
    if options.replay is None:
        return None
    if options.inputs is not None:
        raise Usage("--replay repeats one input: give no --inputs with it")
    path = Path(options.replay)
    if not path.is_file():
        raise Usage(f"{path}: no such file (give one that a run kept)")
    return path.resolve()


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["/usr/bin/python3", "-B", str(_PROGRAM), *arguments], env=building.python_environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, errors="replace")


def _show(done: subprocess.CompletedProcess) -> int:
    """Prints what a run printed; its status."""
    print(done.stdout, end="")
    return min(done.returncode, 1) if done.returncode >= 0 else 1
