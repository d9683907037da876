# SPDX-License-Identifier: BSD-2-Clause
"""Every shipped system is, when its loader is done and while it runs, within the authority that its description gives and within the invariants of every
state: the specification's `pol_check` and `well_formed` say so of the kernel's state. The policy has nothing that is not needed, and whatever goes beyond
it is named."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
MISSING = [name for name in ("coqc", "ocamlfind", "ocamlopt", "qemu-system-aarch64") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (./caprock setup proofs)")
SYSTEMS = sorted(path.stem for path in (ROOT / "systems").glob("*.cdl"))
TIMEOUT = 120


@pytest.fixture(name="oracle", scope="module")
def build_oracle():
    """The oracle, built if it is out of date."""
    from command import lockstep
    return lockstep.build_oracle()


def look(oracle, name, at=None, settings=()):
    """What a system was checked by."""
    import machines
    from command import confined, systems
    setting = machines.Setting("virt").checked()
    with systems.built(ROOT / "systems" / f"{name}.cdl", setting, settings=settings) as ready:
        return confined.check(oracle, setting, ready, timeout=TIMEOUT, offline=True, at=at)


# Who has threads of others is not bound by what these may hold: it could give them more.
CONTROLLERS = {"hello": {"supervisor"}, "passive": {"supervisor"}, "restart": {"restarter", "watcher"}, "timer": {"supervisor"}}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_shipped_system_is_within_its_authority(oracle, name):
    found = look(oracle, name)
    assert found.violations == ()
    assert found.policy.count("\nholds ") > 100 and found.state.count("\nslot ") > 50
    assert set(found.unbound) == CONTROLLERS.get(name, set()) and len(found.bound) > 3


def test_a_system_that_runs_is_within_its_authority(oracle):
    """One that never ends: when the host looks is the host's affair."""
    found = look(oracle, "restart", at="[writer]", settings=["count=1000000000", "crash=0"])
    assert found.violations == ()
    assert " state=receive(" in found.state and "holds loader " not in found.policy


@pytest.fixture(name="echo", scope="module")
def look_at_echo(oracle):
    return look(oracle, "echo")


def words_of(policy, *beginning):
    """The words of the first line that begins so."""
    return next(line.split(" ") for line in policy.splitlines() if line.split(" ")[:len(beginning)] == list(beginning))


def test_what_a_policy_has_is_needed(oracle, echo):
    """Without any line something breaks it; but for memory in which there is no capability."""
    lines = echo.policy.splitlines()
    slots = [int(line.split(" ")[1], 16) for line in echo.state.splitlines() if line.startswith("slot ")]

    def is_empty(line):
        word, _, start, size = (line.split(" ") + 4 * [""])[:4]
        return word == "memory" and not any(0 <= slot - int(start, 16) < int(size, 16) for slot in slots)
    given = "".join("policy\n" + "".join(f"{other}\n" for other in lines if other is not line) + "end\njudge\n" for line in lines)
    done = subprocess.run([oracle, "--results"], input=f"begin\n{echo.state}end\n{given}", capture_output=True, text=True, timeout=TIMEOUT, check=True)
    said = ["."] + done.stdout.splitlines()
    # An answer that is its last line alone says that nothing is broken.
    kept = [before == "." for before, line in zip(said, said[1:]) if line == "."]
    assert len(lines) > 200 and len(kept) == len(lines)
    assert [line for line, holds in zip(lines, kept) if holds and not is_empty(line)] == []


BEYOND = {
    "IRQControl": "exceeds: echo holds IRQControl in slot",
    "TCB({uart})": "exceeds: echo holds TCB({uart}) in slot",
    "Untyped(0x40000000,0x1e,0,0x0)": "exceeds: echo holds Untyped(",
}


@pytest.mark.parametrize("capability", BEYOND)
def test_a_capability_too_many_is_named(oracle, echo, capability):
    from command import confined
    _, _, start, size = words_of(echo.policy, "memory", "echo")
    thread = words_of(echo.policy, "memory", "thread:uart_tcb")[2]
    slot = int(start, 16) + int(size, 16) - 32
    assert f"slot {slot:#x} " not in echo.state
    state = f"{echo.state}slot {slot:#x} {capability.format(uart=thread)} parent=- original=1\n"
    found = confined.violations(oracle, echo.policy, state)
    assert len(found) == 1 and found[0].startswith(BEYOND[capability].format(uart=thread))


def test_a_right_too_many_and_a_slot_of_nobody_are_named(oracle, echo):
    from command import confined
    sends = next(line for line in echo.policy.splitlines() if line.startswith("holds echo Endpoint ") and line.endswith(" 0x9"))
    found = confined.violations(oracle, echo.policy.replace(f"{sends}\n", f"{sends[:-3]}0x8\n"), echo.state)
    assert found and all(line.startswith("exceeds: echo holds Endpoint(") for line in found)
    memory = " ".join(words_of(echo.policy, "memory", "thread:uart_tcb"))
    found = confined.violations(oracle, echo.policy.replace(f"{memory}\n", ""), echo.state)
    assert found and all(line.startswith("unowned: ") for line in found)


def test_a_state_that_contradicts_itself_is_named(oracle, echo):
    from command import confined
    endpoint = next(line for line in echo.state.splitlines() if line.startswith("object ") and " Endpoint " in f"{line} ")
    found = confined.violations(oracle, echo.policy, echo.state.replace(f"{endpoint}\n", ""))
    assert "ill-formed: the invariant NoDanglingCapability does not hold" in found


def test_nobody_is_bound_where_the_policy_is_broken(oracle, echo):
    from command import confined
    memory = " ".join(words_of(echo.policy, "memory", "thread:uart_tcb"))
    bound, unbound = confined.who_is_bound(oracle, echo.policy.replace(f"{memory}\n", ""), echo.state)
    assert bound == () and set(unbound) >= set(echo.bound)
