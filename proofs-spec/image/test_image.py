# SPDX-License-Identifier: BSD-2-Clause
"""The shipped image, replayed by the oracle for a short while, and that the replay notices when the oracle hears something else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
BUILD = Path(os.environ["CAPROCK_BUILD"])
SCRIPT = ROOT / "proofs-spec" / "image" / "replaying.py"
MISSING = [name for name in ("coqc", "ocamlfind", "ocamlopt", "qemu-system-aarch64") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (./caprock setup proofs)")

# An oracle that hears, from one event on, of a register that has not changed.
DEAF = """#!/usr/bin/python3
import subprocess, sys
oracle = subprocess.Popen([{oracle!r}, *sys.argv[1:]], stdin=subprocess.PIPE, text=True, bufsize=1)
events = 0
for line in sys.stdin:
    events += line.startswith("svc ")
    if line.startswith("svc ") and events >= 100:
        kind, time, rest = line.split(" ", 2)
        line = " ".join([kind, time, "x19=0x123", rest])
    oracle.stdin.write(line)
    if line in ("flush\\n", "state\\n"):
        oracle.stdin.flush()
oracle.stdin.close()
sys.exit(oracle.wait())
"""


@pytest.fixture(scope="module")
def oracle():
    from command import lockstep
    return lockstep.build_oracle()


def replay(oracle, *arguments):
    return subprocess.run([SCRIPT, "--oracle", oracle, "--timeout", "300", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=600, check=False)


def events_of(done):
    """The numbers of the line of counts: events, preempted ones, those with an order of equals, those in which the counter moved."""
    return [int(word) for word in done.stdout.splitlines()[-1].split() if word.isdecimal()]


@pytest.mark.parametrize("machine", [("virt", "gic=2", "el=1", "cores=1"), ("virt", "gic=3", "el=2", "cores=4")])
def test_a_system_is_what_the_specification_says(oracle, machine):
    import machines
    from command import systems
    values = {name: int(value) for name, value in (word.split("=") for word in machine[1:])}
    with systems.built(ROOT / "systems" / "hello.cdl", machines.Setting(machine[0], **values)) as ready:
        done = replay(oracle, "--payload", str(ready.payload), *machine)
    assert done.returncode == 0, done.stdout + done.stderr
    events, _, _, moved = events_of(done)
    assert events > 1000
    assert moved < events // 50
    assert "irq Serves" in done.stdout and "memory Faults(VMFault)" in done.stdout and "timer Serves" in done.stdout


def test_conformance_tests_are_what_the_specification_says(oracle, tmp_path):
    trace = tmp_path / "trace"
    done = replay(oracle, "--trace", str(trace), "--tests", "cnode.order_copy,cnode.delete_preempted,inspect.stable", "virt", "gic=2", "el=1", "cores=1")
    assert done.returncode == 0, done.stdout + done.stderr
    events, preempted, _, moved = events_of(done)
    assert events > 500
    assert preempted > 0
    assert moved < events // 50
    # The trace alone leads the oracle through the same events, all of which are possible.
    again = subprocess.run([oracle, "--results", str(trace)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    results = [line.split()[0] for line in again.stdout.splitlines()]
    assert len(results) >= events - moved
    assert "Impossible" not in results


def test_a_difference_is_found(oracle, tmp_path):
    deaf = tmp_path / "deaf"
    deaf.write_text(DEAF.format(oracle=oracle), encoding="utf-8")
    deaf.chmod(0o755)
    done = replay(str(deaf), "--tests", "cnode.order_copy", "virt", "gic=2", "el=1", "cores=1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "svc: " in done.stdout and "specification: object" in done.stdout
    assert "x19:0x123" in done.stdout


def test_what_is_wrong_is_one_line(oracle):
    done = replay("/nowhere/oracle", "--tests", "cnode.order_copy", "virt")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "/nowhere/oracle" in done.stderr


def test_the_replayer_explains_its_usage():
    done = subprocess.run([BUILD / "proofs-spec/image/caprock-replay", "--oracle"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
