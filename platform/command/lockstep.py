# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock lockstep`: the kernel's portable core and the specification's oracle perform the same random events, and are compared after each
(proofs-spec/lockstep)."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from . import BUILD, ROOT, systems
from .building import python_environment
from .errors import Finding, say

_TARGET = "proofs-spec/lockstep/caprock-lockstep"
_SPECIFICATION = ROOT / "proofs-spec" / "build.py"
_TRACE = BUILD / "lockstep.trace"


def lockstep(options) -> int:
    """Does what the options say; 0 if kernel and specification agree, 1 after lines that say where they do not and how to see it again."""
    systems.prepare(not options.no_install, tier="proofs", more=(_TARGET,))
    oracle = build_oracle()
    jobs = min(options.jobs, options.ops)
    share = -(-options.ops // jobs)
    pieces = [(options.seed + i * _seeds(share), min(share, options.ops - i * share)) for i in range(jobs) if i * share < options.ops]
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda piece: _piece(oracle, piece, options, len(pieces) > 1), pieces))
    for status, text in outcomes:
        sys.stdout.write(text)
    sys.stdout.flush()
    return max(status for status, _ in outcomes)


def build_oracle() -> str:
    """Builds the oracle if it is not up to date: its path. A Finding, after what went wrong, if it cannot be built."""
    command = ["/usr/bin/python3", "-B", str(_SPECIFICATION), "--oracle-only", "--out", str(BUILD / "proofs-spec")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=python_environment(), check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise Finding("the specification's oracle was not built (the lines above say why)")
    return done.stdout.splitlines()[-1]


def _seeds(events: int) -> int:
    """More seeds than so many events use: components can end early."""
    return events // 100 + 1


def _piece(oracle: str, piece: tuple[int, int], options, several: bool) -> tuple[int, str]:
    """Runs a part of the events: status and output."""
    seed, events = piece
    trace = _TRACE.with_suffix(f".{seed}.trace") if several else _TRACE
    command = [str(BUILD / _TARGET), "--oracle", oracle, "--seed", str(seed), "--ops", str(events), "--trace", str(trace)]
    command += [f"--{name.replace('_', '-')}" for name in ("table", "still", "whole", "go_on") if getattr(options, name)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise Finding(f"{_TARGET} ended with status {done.returncode}")
    if done.returncode == 1 and trace.exists():
        say(f"the oracle sees the last difference by: {oracle} --states {trace}")
    return done.returncode, done.stdout
