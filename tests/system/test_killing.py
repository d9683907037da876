# SPDX-License-Identifier: BSD-2-Clause
"""Components that are killed from outside while they work, and whose code is damaged: nothing that was acknowledged is lost, and the system is what it was."""

import random
import subprocess
from pathlib import Path

import killing
import pytest
from command import killing as verb

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = ROOT / "systems" / "restart.cdl"
SETTINGS = ["--set", "count=1000000000", "--set", "crash=0", "--set", "pause=100"]


def kill(*arguments):
    """`./caprock kill` of the system with restarted components: its last line."""
    done = subprocess.run([ROOT / "caprock", "kill", SYSTEM, *SETTINGS, "--no-install", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()[-1]


def test_nothing_acknowledged_is_lost_when_components_are_killed():
    """All four, at places that a seed chooses; afterwards the system consists of what it did at boot."""
    last = kill("--kills", "40", "--seed", "5")
    assert "PASS: 40 kills" in last and "40 restarts" in last
    assert all(name in last for name in ("console", "ledger", "timer", "uart")), last


def test_the_same_seed_kills_at_the_same_places(tmp_path):
    logs = []
    for number in range(2):
        kill("--kills", "10", "--seed", "6", "--keep", tmp_path / str(number))
        # How long it goes on behind the last kill is the host's affair.
        logs.append((tmp_path / str(number)).read_text(encoding="utf-8"))
    shorter = min(map(len, logs))
    assert logs[0][:shorter] == logs[1][:shorter]


def test_damaged_drivers_do_not_take_the_system_along():
    last = kill("--mutate", "--kills", "1000", "--victims", "uart,timer", "--seed", "2")
    assert "PASS: 1000 damages to the code" in last, last


@pytest.mark.parametrize(("log", "problem"), [
    ("[a] entry 1\n[a] entry 3\n", "[a] entry 3 comes behind 1"),
    ("[a] entry 1\n[a] entry 2\n[a] entry 1\n[a] entry 2\n", "[a] entry 1 comes behind 2"),
    ("[a] entry 11\n[a] en\n[a] entry 13\n", "[a] entry 13 comes behind 11"),
    ("[a] entry 1\nnonsense\n[a] entry 2\n", "a line that nobody has sent: 'nonsense'"),
])
def test_lines_that_are_missing_are_found(log, problem):
    assert verb.missing(log) == [problem]


@pytest.mark.parametrize("log", [
    "caprock: loaded x\n[a] entry 1\n[b] sum 7\n[a] entry 2\n[b] sum 8\n",
    "[a] entry 9\n[a] entry 1\n[a] entry 10\n",    # a part of a line before the whole
    "[a] entry 1\n[a] entry 1\n\n[\n[a] entry 2\n",
    "[a] entry 1\n[a] en\n\n[a] e\n\n[a] entry 2\n",   # cut off twice, with empty lines between
])
def test_lines_may_be_cut_off_and_come_again(log):
    assert verb.missing(log) == []


def test_damage_is_of_every_kind():
    chance = random.Random(1)
    add, branch = 0x8b020020, 0x54000040   # add x0, x1, x2; b.eq
    seen = {killing.damaged(word, chance) for word in (add, branch) for _ in range(400)}
    assert {0xd503201f, branch ^ 1} <= seen and len(seen) > 60
    assert all(0 <= word < 1 << 32 for word in seen)
