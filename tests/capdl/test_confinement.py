# SPDX-License-Identifier: BSD-2-Clause
"""What the policies' checker says that subjects can come to hold agrees with the specification's `pol_check`: of random systems it finds that authority
closed, and the system within it; without one of the checker's rules it does not. And policies as text: what is wrong is said."""

import shutil
import subprocess
import sys

import policy_oracle
import pytest
from capdl_support import ROOT
from test_policy_oracle import ALL, MISSING_RULES, READ_GRANT, WRITE_REPLY

from capdl.authority import Closure
from capdl.confinement import Confinement
from capdl.kernel_state import parse

sys.path.append(str(ROOT / "platform"))
MISSING = [name for name in ("coqc", "ocamlfind", "ocamlopt") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (./caprock setup proofs)")
BOOT = "boot " + " ".join(f"{key}={value}" for key, value in policy_oracle.BOOT.items())


@pytest.fixture(name="oracle", scope="module")
def build_oracle():
    """The oracle, built if it is out of date."""
    from command import lockstep
    return lockstep.build_oracle()


def violations(oracle, seed, plan=None):
    """What the specification finds in a system of policy_oracle, given what the checker says of it."""
    from command import confined
    system = policy_oracle.System(oracle, seed, plan)
    try:
        system.oracle.write("state")
        lines = []
        while (line := system.oracle.answer()) != ".":
            lines.append(f"{line}\n")
    finally:
        system.oracle.close()
    spec = policy_oracle.read_spec(system.start)
    places = {name: int(name.split(":")[1], 16) for name in spec.objects if ":" in name}
    text = "".join(lines)
    return confined.violations(oracle, Confinement(spec, places).text(parse(text)), text)


def test_authority_of_random_systems_is_closed_and_not_exceeded(oracle):
    assert [(seed, violations(oracle, seed)) for seed in range(1, 41) if violations(oracle, seed)] == []


AUTHORITY_RULES = {"authority: grant": "open: by grant ", "authority: reply-grant": "open: by reply-grant ",
                   "authority: take, same CNode": "open: by take "}


@pytest.mark.parametrize("rule", AUTHORITY_RULES)
def test_authority_without_a_rule_is_not_closed(oracle, monkeypatch, rule):
    assert violations(oracle, 1, MISSING_RULES[rule]) == []
    propose, missing = Closure._propose, rule.partition(": ")[2].split(", ")
    monkeypatch.setattr(Closure, "_propose", lambda self, fact, given, *more, **options:
                        None if given in missing else propose(self, fact, given, *more, **options))
    found = violations(oracle, 1, MISSING_RULES[rule])
    assert found and all(line.startswith("open: ") for line in found) and any(line.startswith(AUTHORITY_RULES[rule]) for line in found)


# The second thread receives with a reply object that the third one has, too.
SHARED_REPLY = [("Endpoint", 0, {0: WRITE_REPLY, 1: READ_GRANT}, None), ("Reply", 0, {1: ALL, 2: ALL}, None), ("SmallPage", 0, {2: 3}, None)]


def test_whoever_has_the_receivers_reply_object_may_answer(oracle, monkeypatch):
    assert violations(oracle, 1, SHARED_REPLY) == []
    monkeypatch.setattr(Closure, "_share", lambda self, fact: None)
    found = violations(oracle, 1, SHARED_REPLY)
    assert found and all(line.startswith("open: by reply-grant ") for line in found)


def run(oracle, text, *arguments):
    return subprocess.run([oracle, "--results", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("line, cause", [
    ("memory a 0x0", "begins no line of a policy"), ("owns a b", "begins no line of a policy"), ("holds a Chair 0x0 0x1 0x0", "CapType has no value 'Chair'"),
    ("holds a TCB zero 0x1 0x0", "'zero' is no number"), ("memory a -1 0x10", "is negative"),
])
def test_a_line_that_is_no_policys_is_refused(oracle, line, cause, tmp_path):
    done = run(oracle, f"policy\nsilent loader\n{line}\nend\n")
    assert done.returncode == 2 and done.stderr.startswith("standard input:3: ") and cause in done.stderr
    path = tmp_path / "policy"
    path.write_text(f"# nothing\n{line}\n", encoding="utf-8")
    done = run(oracle, "", "--policy", str(path))
    assert done.returncode == 2 and done.stderr.startswith(f"{path}:2: ") and cause in done.stderr


def test_what_is_missing_is_said(oracle, tmp_path):
    assert run(oracle, "judge\n").stderr == "standard input:1: there is no policy: give one between policy and end\n"
    assert "usage: oracle" in run(oracle, "", "--policy").stderr
    done = run(oracle, "", "--policy", str(tmp_path / "none"))
    assert done.returncode == 2 and "name a policy that can be read" in done.stderr


def test_who_is_bound_is_said(oracle):
    """Two that may hold the same are bound; one that has a thread whose subject may hold less is not."""
    policy = ("policy\nmemory a-thread 0x10000 0x800\nmemory b-thread 0x11000 0x800\nacts a-thread a\nacts b-thread b\nacts c-thread c\n"
              "holds a Endpoint 0x20000 0x10 0xf\nholds b Endpoint 0x20000 0x10 0xf\nholds c TCB 0x10000 0x800 0x0\nend\n")
    assert run(oracle, f"{policy}{BOOT}\nbound\n").stdout == "bound: a b\nunbound: c\nkept: yes\n"
    unequal = policy.replace("holds b Endpoint", "holds b Notification 0x30000 0x20 0x3\nholds b Endpoint")
    assert run(oracle, f"{unequal}{BOOT}\nbound\n").stdout == "bound: a\nunbound: b c\nkept: yes\n"


def test_a_replay_stops_where_a_policy_is_broken(oracle, tmp_path):
    """The root task is silent; what it gives another container is not."""
    path = tmp_path / "policy"
    path.write_text("memory root 0x0 0x200000000000000\nsilent root\n", encoding="utf-8")
    events = f"{BOOT}\nsvc 5 x7={policy_oracle.enum('Syscall', 'Yield')}\n"
    done = run(oracle, events, "--policy", str(path))
    assert done.returncode == 0 and done.stdout.startswith("Succeeds ")
    path.write_text("memory root 0x0 0x200000000000000\n", encoding="utf-8")
    done = run(oracle, events, "--policy", str(path))
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("standard input:1: the state breaks the policy: exceeds: root holds ")
    assert " more)" in done.stderr
