# SPDX-License-Identifier: BSD-2-Clause
"""The checker of policies agrees with the specification: what its oracle executes never exceeds authority and flow; and a checker without one of its rules
is found out."""

import shutil
import sys
from collections import Counter

import policy_oracle
import pytest
from capdl_support import ROOT

from capdl.authority import Closure
from capdl.authority_flow import Flow

sys.path.append(str(ROOT / "platform"))
MISSING = [name for name in ("coqc", "ocamlfind", "ocamlopt") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)} (./caprock setup proofs)")
STATES = 150


@pytest.fixture(name="oracle", scope="module")
def build_oracle():
    """The oracle, built if it is out of date."""
    from command import lockstep
    return lockstep.build_oracle()


def test_executions_stay_within_authority_and_flow(oracle):
    counts = sum((policy_oracle.explore(oracle, seed, STATES) for seed in range(1, 16)), Counter())
    assert counts["systems"] == 15 and counts["states"] > 1000
    assert counts["flows"] > 10 and counts["holdings"] > 10_000


# Rules of authority and of flow, and a system of two threads in which it shows that one is missing: see policy_oracle.System.
WRITE, READ, WRITE_GRANT, READ_GRANT, WRITE_REPLY, ALL = 1, 2, 5, 6, 9, 15
SPARE = ("SmallPage", 0, {1: 3}, None)
MISSING_RULES = {
    "authority: grant": [("Endpoint", 0, {1: WRITE_GRANT, 0: READ}, None), SPARE],
    "authority: reply-grant": [("Endpoint", 0, {0: WRITE_REPLY, 1: READ_GRANT}, None), SPARE],
    "authority: create": [("Untyped", 11, {0: ALL}, None)],
    "authority: take, same CNode": [("CSpace", 1, {0: ALL}, None), SPARE],
    "flow: send": [("Endpoint", 0, {0: WRITE, 1: READ}, None)],
    "flow: reply": [("Endpoint", 0, {0: WRITE_REPLY, 1: READ}, None)],
    "flow: signal": [("Notification", 0, {0: WRITE, 1: READ}, None)],
}


@pytest.mark.parametrize("rule", MISSING_RULES)
def test_a_checker_without_a_rule_is_found_out(oracle, monkeypatch, rule):
    plan = MISSING_RULES[rule]
    assert policy_oracle.explore(oracle, 1, 3 * STATES, plan)["systems"] == 1
    kind, _, name = rule.partition(": ")
    if kind == "authority":
        propose = Closure._propose
        monkeypatch.setattr(Closure, "_propose", lambda self, fact, given, *more, **options:
                            None if given in name.split(", ") else propose(self, fact, given, *more, **options))
    else:
        find = Flow._find
        monkeypatch.setattr(Flow, "_find", lambda self: (edge for edge in find(self) if edge.rule != name))
    with pytest.raises(policy_oracle.Failure, match="beyond its authority|could have given it|no way of flow leads there"):
        policy_oracle.explore(oracle, 1, 3 * STATES, plan)
