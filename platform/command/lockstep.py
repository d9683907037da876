# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock lockstep`: the kernel's portable core and the specification's oracle perform the same events, random ones or all that there are, and are
compared after each; and the same with mistakes made in the kernel, which must be found (proofs-spec/lockstep)."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from . import BUILD, ROOT, systems
from .building import python_environment
from .errors import Finding, say

_TARGET = "proofs-spec/lockstep/caprock-lockstep"
_FOLDER = ROOT / "proofs-spec" / "lockstep"
_SPECIFICATION = ROOT / "proofs-spec" / "build.py"
_TRACE = BUILD / "lockstep.trace"
_EVENTS = 100_000
_TRANSITIONS = 10_000_000
_MUTANT_EVENTS = 150_000


def lockstep(options) -> int:
    """Does what the options say; 0 if kernel and specification agree, or each mutant is found, 1 after lines that say where not."""
    systems.prepare(not options.no_install, tier="proofs", more=(_TARGET,))
    oracle = build_oracle()
    if options.mutants:
        return _mutants(oracle, options)
    if options.exhaustive:
        command = [str(BUILD / _TARGET), "--oracle", oracle, "--exhaustive", "all", "--ops", str(options.ops or _TRANSITIONS)]
        return _status(subprocess.run(command + ["--table"] * options.table, stdin=subprocess.DEVNULL, check=False))
    return _random(oracle, options)


def build_oracle() -> str:
    """Builds the oracle if it is not up to date: its path. A Finding, after what went wrong, if it cannot be built."""
    command = ["/usr/bin/python3", "-B", str(_SPECIFICATION), "--oracle-only", "--out", str(BUILD / "proofs-spec")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=python_environment(), check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise Finding("the specification's oracle was not built (the lines above say why)")
    return done.stdout.splitlines()[-1]


def _status(done: subprocess.CompletedProcess) -> int:
    if done.returncode not in (0, 1):
        raise Finding(f"{_TARGET} ended with status {done.returncode}")
    return done.returncode


def _mutants(oracle: str, options) -> int:
    command = ["/usr/bin/python3", "-B", str(_FOLDER / "mutants.py"), "--build", str(BUILD), "--oracle", oracle, "--mutants", str(options.mutants),
               "--seed", str(options.seed), "--events", str(options.ops or _MUTANT_EVENTS), "-j", str(options.jobs)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, env=python_environment(), check=False).returncode


def _random(oracle: str, options) -> int:
    events = options.ops or _EVENTS
    jobs = min(options.jobs, events)
    share = -(-events // jobs)
    pieces = [(options.seed + i * _seeds(share), min(share, events - i * share)) for i in range(jobs) if i * share < events]
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda piece: _piece(oracle, piece, options, len(pieces) > 1), pieces))
    for _, text in outcomes:
        sys.stdout.write(text)
    sys.stdout.flush()
    missing = _check_cells("".join(text for _, text in outcomes)) if options.cells else False
    return max(int(missing), *(status for status, _ in outcomes))


def _check_cells(text: str) -> bool:
    """Prints the cells of the table that should have been reached, or are listed although they were; whether there are any."""
    sys.path.insert(0, str(_FOLDER))
    import cells
    lines = cells.findings(cells.read_table(text), complete=True)
    for line in lines:
        print(f"lockstep: {line}")
    return bool(lines)


def _seeds(events: int) -> int:
    """More seeds than so many events use: components can end early."""
    return events // 100 + 1


def _piece(oracle: str, piece: tuple[int, int], options, several: bool) -> tuple[int, str]:
    """Runs a part of the events: status and output."""
    seed, events = piece
    trace = _TRACE.with_suffix(f".{seed}.trace") if several else _TRACE
    command = [str(BUILD / _TARGET), "--oracle", oracle, "--seed", str(seed), "--ops", str(events), "--trace", str(trace)]
    command += [f"--{name.replace('_', '-')}" for name in ("still", "whole", "go_on") if getattr(options, name)]
    command += ["--table"] * (options.table or options.cells)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if _status(done) == 1 and trace.exists():
        say(f"the oracle sees the last difference by: {oracle} --states {trace}")
    return done.returncode, done.stdout
