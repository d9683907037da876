# SPDX-License-Identifier: BSD-2-Clause
"""The lockstep for a short while, and that it notices when one side is told something else than the other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))
BUILD = Path(os.environ["CAPROCK_BUILD"])
PROGRAM = BUILD / "proofs-spec" / "lockstep" / "caprock-lockstep"
EVENTS = 10_000
MISSING = [name for name in ("coqc", "ocamlfind", "ocamlopt") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (./caprock setup proofs)")

# An oracle that hears one register of one event wrongly.
DEAF = """#!/usr/bin/python3
import subprocess, sys
oracle = subprocess.Popen([{oracle!r}, *sys.argv[1:]], stdin=subprocess.PIPE, text=True, bufsize=1)
events = 0
for line in sys.stdin:
    events += line.startswith("svc ")
    if line.startswith("svc ") and events == {event}:
        line = line.replace("pc=0x", "pc=0x1", 1) if " pc=0x" in line else line.rstrip("\\n") + " x19=0x1\\n"
    oracle.stdin.write(line)
    if line == "flush\\n" or line == "state\\n":
        oracle.stdin.flush()
oracle.stdin.close()
sys.exit(oracle.wait())
"""


@pytest.fixture(scope="module")
def oracle():
    from command import lockstep
    return lockstep.build_oracle()


def run(oracle, *options):
    return subprocess.run([PROGRAM, "--oracle", oracle, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840, check=False)


def test_kernel_and_specification_agree(oracle):
    done = run(oracle, "--ops", str(EVENTS), "--table")
    assert done.returncode == 0, done.stdout + done.stderr
    events, preempted = (int(word) for word in done.stdout.splitlines()[-1].replace("lockstep: ", "").split() if word.isdecimal())
    assert events >= EVENTS
    assert preempted > 0
    assert "Untyped::Retype" in done.stdout


def test_a_difference_is_found_and_its_trace_kept(oracle, tmp_path):
    deaf = tmp_path / "deaf"
    deaf.write_text(DEAF.format(oracle=oracle, event=200), encoding="utf-8")
    deaf.chmod(0o755)
    trace = tmp_path / "trace"
    done = run(str(deaf), "--ops", "1000", "--trace", str(trace))
    assert done.returncode == 1
    assert "lockstep: failure: seed 1, event 200: they differ after" in done.stdout
    assert "  kernel:" in done.stdout
    assert trace.read_text(encoding="utf-8").startswith("begin\n")


def test_wrong_usage_is_explained():
    done = subprocess.run([PROGRAM, "--ops"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
