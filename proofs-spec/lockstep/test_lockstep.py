# SPDX-License-Identifier: BSD-2-Clause
"""The lockstep for a short while: random events, an exhaustive search of a few thousand transitions, mistakes in the kernel, and an oracle that is told
something else than the kernel. The long runs are `./caprock lockstep`'s."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "platform"), str(HERE)]
BUILD = Path(os.environ["CAPROCK_BUILD"])
PROGRAM = BUILD / "proofs-spec" / "lockstep" / "caprock-lockstep"
EVENTS = 20_000
TRANSITIONS = 6_000
MISSING = [name for name in ("coqc", "ocamlfind", "ocamlopt") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (./caprock setup proofs)")

# An oracle that hears one register of each system call wrongly, from one event on.
DEAF = """#!/usr/bin/python3
import subprocess, sys
oracle = subprocess.Popen([{oracle!r}, *sys.argv[1:]], stdin=subprocess.PIPE, text=True, bufsize=1)
events = 0
for line in sys.stdin:
    events += line.startswith("svc ")
    if line.startswith("svc ") and events >= {event}:
        line = line.replace("pc=0x", "pc=0x1", 1) if " pc=0x" in line else line.rstrip("\\n") + " x19=0x1\\n"
    oracle.stdin.write(line)
    if line == "flush\\n" or line == "state\\n":
        oracle.stdin.flush()
oracle.stdin.close()
sys.exit(oracle.wait())
"""
# Mistakes that must be found at once: a file, a text of it, and what takes its place.
MISTAKES = (
    ("cap/lookup.cc", "depth > word_bits", "depth >= word_bits"),
    ("ipc/ipc.cc", "info.extra_caps() != 0 && grant", "info.extra_caps() == 0 && grant"),
)


@pytest.fixture(scope="module")
def oracle():
    from command import lockstep
    return lockstep.build_oracle()


def run(oracle, *options):
    return subprocess.run([PROGRAM, "--oracle", oracle, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840, check=False)


def test_kernel_and_specification_agree(oracle):
    import cells
    done = run(oracle, "--ops", str(EVENTS), "--table")
    assert done.returncode == 0, done.stdout + done.stderr
    events, preempted = [int(word) for word in done.stdout.splitlines()[-1].split() if word.isdecimal()][:2]
    assert events >= EVENTS
    assert preempted > 0
    table = cells.read_table(done.stdout)
    assert sum(sum(row.values()) for row in table.values()) == events
    assert cells.findings(table, complete=False) == []


def test_missing_and_wrongly_listed_cells_are_named():
    import cells
    full = {operation: dict.fromkeys(results, 1) for operation, results in cells.expected().items()}
    for operation, result in cells.unreachable():
        del full[operation][result]
    assert cells.findings(full, complete=True) == []
    del full["Yield"]["Succeeds"]
    full["DebugHalt"]["Succeeds"] = 1
    assert [line.split(" (")[0] for line in cells.findings(full, complete=True)] == [
        "unreachable.toml: DebugHalt came to Succeeds", "Yield never came to Succeeds"]


def test_every_move_from_every_start_state(oracle):
    done = run(oracle, "--exhaustive", "all", "--ops", str(TRANSITIONS))
    assert done.returncode == 0, done.stdout + done.stderr
    *scenes, last = done.stdout.splitlines()
    assert len(scenes) >= 5
    assert int(last.split()[1]) >= TRANSITIONS
    assert all(int(line.split()[1]) >= TRANSITIONS // len(scenes) for line in scenes)


def test_a_difference_is_found_and_its_trace_kept(oracle, tmp_path):
    deaf = tmp_path / "deaf"
    deaf.write_text(DEAF.format(oracle=oracle, event=200), encoding="utf-8")
    deaf.chmod(0o755)
    trace = tmp_path / "trace"
    done = run(str(deaf), "--ops", "1000", "--trace", str(trace))
    assert done.returncode == 1
    assert "lockstep: failure: seed 1, event " in done.stdout
    assert "  kernel:" in done.stdout
    assert trace.read_text(encoding="utf-8").startswith("begin\n")


def test_mistakes_in_the_kernel_are_found(oracle, tmp_path):
    import mutants
    import sites
    program = mutants.Program(BUILD)
    program.make(2)
    campaign = mutants.Campaign(program, oracle, EVENTS)
    campaign.check_original()
    for number, (file, old, new) in enumerate(MISTAKES):
        text = (mutants.KERNEL / file).read_text(encoding="utf-8")
        start = text.index(old)
        site = sites.Site(file, "test", start, start + len(old), new, text.count("\n", 0, start) + 1, old)
        folder = tmp_path / str(number)
        folder.mkdir()
        binary = program.mutate(site, folder)
        assert binary is not None, f"{file}: {old} => {new} does not compile"
        assert campaign.run(binary) is not None, f"{file}: {old} => {new} was not found"


def test_sites_are_drawn_from_the_whole_core():
    import mutants
    import sites
    every = sites.all_sites(mutants.KERNEL)
    assert len(set(every)) == len(every)
    assert {site.file.split("/")[0] for site in every} <= set(sites.FOLDERS)
    assert {site.operator for site in every} == {"operator", "condition", "statement", "arguments", "constant", "boolean", "negation", "step"}
    mutants.check_equivalents(mutants.equivalents(), every)


def test_wrong_usage_is_explained():
    done = subprocess.run([PROGRAM, "--ops"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
