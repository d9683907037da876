# SPDX-License-Identifier: BSD-2-Clause
"""Section 7: who in the given system may do what to whom, and whether that is within the system's policy."""

from pathlib import Path

from .report import Section

MOST = 20
"""Of what breaks a policy so many lines are shown at most."""
_UNJUDGED = "its authority was not judged against a policy: capdl has no judge yet"


def section(system: Path, elf_folders: list[Path], tree: Path, settings: list[str]) -> Section:
    """The section. `tree` is the board's device tree, `elf_folders` where the components' programs are."""
    from capdl import driver

    result = Section(7, f"authority in {system.name}")
    try:
        from capdl.policy import judge
    except ImportError:
        result.absent.append("policies")
        result.failures.append(f"{system.name}: {_UNJUDGED}")
        return result
    spec, diagnostics = driver.load(system, elf_dirs=elf_folders, dtb=tree, settings=settings, judged=False)
    if not diagnostics.ok:
        result.failures += [f"{system.name}: {line}" for line in diagnostics.render().splitlines() if "error" in line]
        return result
    result.lines += graph(spec)
    _judge(result, system.name, judge(spec))
    return result


def add_confinement(result: Section, name: str, policy: str, state: str, violations: tuple[str, ...], bound: tuple[str, ...] = (),
                    unbound: tuple[str, ...] = ()) -> None:
    """Adds what the specification says of the kernel's state when the system was started: `pol_check`, given what the description lets everybody hold,
    `well_formed`, and `bound_check`: who stays within that, whatever he does."""
    if not violations:
        slots, tables = (sum(word in f"\n{line}" for line in state.splitlines()) for word in ("\nslot ", " entries="))
        allowed = sum(line.startswith("holds ") for line in policy.splitlines())
        result.lines.append(f"pol_check: {slots} capabilities of the started system and {tables} tables are within {allowed} that the description allows, "
                            "and these are closed")
        result.lines.append("well_formed: all invariants of proofs-spec/spec/WellFormed.v hold in this state")
        if bound or unbound:
            result.lines.append(f"bound_check: {len(bound)} of {len(bound) + len(unbound)} components stay within this, whatever they do with each other "
                                f"(claim runs_are_confined): {', '.join(bound) or 'none'}; not bound: {', '.join(unbound) or 'none'}")
    result.failures += [f"{name}: {line}" for line in violations[:MOST]]
    if len(violations) > MOST:
        result.failures.append(f"{name}: and {len(violations) - MOST} more")


def graph(spec) -> list[str]:
    """The relations between subjects, a line for each pair and what it may do."""
    from capdl.report_authority import VERBS, Authority

    by_pair: dict[tuple[str, str], set[str]] = {}
    relations = Authority(spec).relations
    for relation in relations:
        by_pair.setdefault((relation.subject, relation.target), set()).add(relation.verb)
    return [f"{subject} -> {target}: {', '.join(verb for verb in VERBS if verb in verbs)}" for (subject, target), verbs in sorted(by_pair.items())]


def _judge(result: Section, name: str, judgement) -> None:
    """Adds the verdicts."""
    if not judgement.verdicts and not judgement.problems:
        result.failures.append(f"{name}: it has no policy, so nothing says that this authority is meant (give it a `policy` section)")
    found = judgement.as_dictionary()
    for trusted in found["trusted"]:
        result.lines.append(f"trusted: {trusted['subject']}, because {trusted['reason']}")
    for verdict in found["verdicts"]:
        relies = f", relying on {', '.join(verdict['relies'])}" if verdict["relies"] else ""
        assuming = f", assuming {', '.join(verdict['assumptions'])}" if verdict["assumptions"] else ""
        result.lines.append(f"policy: {verdict['clause']}: {verdict['state']}{relies}{assuming}")
        if verdict["state"] != "holds":
            result.failures.append(f"{verdict['place']}: {verdict['clause']}: {verdict['state']}: {verdict['message'] or 'the board is not known'}")
    result.failures += [f"{place}: {message}" for place, message, _ in judgement.problems]
    result.lines += [f"not judged: {exclusion}" for exclusion in found["exclusions"]]
