# SPDX-License-Identifier: BSD-2-Clause
"""Whether a system that was started is within the authority that its description gives: the kernel's state, read from the host, is checked by the
specification (`pol_check` of proofs-spec/spec/Policy.v) against what capdl/confinement.py says; and for what every state must be
(proofs-spec/spec/WellFormed.v)."""

import subprocess
from dataclasses import dataclass

from . import from_host
from .errors import Finding


@dataclass(frozen=True)
class Found:
    """What was checked: the policy and the state as text (proofs-spec/trace.md), and what breaks the policy or an invariant, a line for each; and which
    subjects are bound by the policy, so that whatever they do leaves the state within it, and which are not."""

    policy: str
    state: str
    violations: tuple[str, ...]
    bound: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()


def check(oracle: str, setting, ready, *, timeout: float, offline: bool | None, at: str | None = None) -> Found:
    """Starts a system (systems.Built), and checks it when it is complete, before any component runs, or, with `at`, when its console has said that. A
    Finding if it never is."""
    from capdl.confinement import Confinement

    seen = []

    def take(observation):
        seen.append(observation)
        return 0, "read"

    outcome = from_host.run(setting, ready, take, timeout=timeout, output=None, offline=offline, at=at)
    if not seen:
        raise Finding(f"{ready.spec.name}: {outcome.reason} (it has to be complete before it can be checked)")
    allowed, state = Confinement(ready.spec, seen[0].places), seen[0].state
    policy = allowed.text(state)
    broken = violations(oracle, policy, state.text)
    return Found(policy, state.text, tuple(broken), *(((), ()) if broken else who_is_bound(oracle, allowed.text(state, all_signals=True), state.text)))


def violations(oracle: str, policy: str, state: str) -> list[str]:
    """What the specification finds in a state that breaks a policy, and which invariants of every state it breaks."""
    given = f"policy\n{policy}end\nbegin\n{state}end\njudge\ncheck\n"
    done = subprocess.run([oracle, "--results"], input=given, capture_output=True, text=True, check=False)
    beyond, judged, broken = done.stdout.rpartition(".\nbroken:")
    if done.returncode != 0 or not judged:
        raise Finding(f"the oracle cannot read what it is to judge: {done.stderr.strip() or done.returncode} (is the build current? ./caprock lockstep)")
    return beyond.splitlines() + [f"ill-formed: the invariant {name} does not hold" for name in broken.split()]


def who_is_bound(oracle: str, policy: str, state: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The subjects that are bound by a policy (`bound_check` of proofs-spec/spec/Bounds.v), and those that are not: all of them when the state is not kept
    to the policy as that demands."""
    given = f"policy\n{policy}end\nbegin\n{state}end\njudge\nbound\n"
    done = subprocess.run([oracle, "--results"], input=given, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) < 4:
        raise Finding(f"the oracle cannot say who is bound: {done.stderr.strip() or done.returncode} (is the build current? ./caprock lockstep)")
    *judged, bound, others, kept = lines
    subjects, rest = (tuple(line.split()[1:]) for line in (bound, others))
    return (subjects, rest) if (judged, kept) == (["."], "kept: yes") else ((), subjects + rest)
