# SPDX-License-Identifier: BSD-2-Clause
"""Section 3: what is proved. Every file of the specification and its proofs is compiled again and checked again by Coq's independent checker; each claim must
have a theorem of exactly that claim about `step`, and a step with a mistake in it of which the same claim is refuted."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from coq_text import holes, without_comments

from .code import AuditError
from .report import Section

_CLAIM = re.compile(r"^Definition (\w+) : Prop :=(.*?)\.[ \t]*$", re.MULTILINE | re.DOTALL)
_THEOREM = re.compile(r"^(?:Theorem|Lemma|Corollary|Example) (\w+)[^:]*:\s*(~?)\s*(\w+)(?:\s+(\w+|\(.*?\)))?\s*\.\s*$", re.MULTILINE)
_SYSTEM_CALLS_EXCLUDED = "cause e <> SystemCall"
_TRIVIAL = {"step_is_a_function": "true of every function, so nothing refutes it"}
"""Claims that no mistake can break, with the reason."""


@dataclass(frozen=True)
class Claim:
    """A claim: its name, its statement, the theorem that proves it and the examples that refute it of a wrong step. Some are of no step, but of the functions
    that it is made of."""

    name: str
    statement: str
    theorem: str | None = None
    refuted: tuple[str, ...] = ()
    is_of_step: bool = True

    def concerns(self, method: str | None) -> bool:
        """Whether the claim says something of system calls that invoke a method (None: of other system calls)."""
        named = set(re.findall(r"\bMethod\.(\w+)", self.statement))
        return _SYSTEM_CALLS_EXCLUDED not in self.statement and (not named or method in named)


def read_claims(claims: str, proofs: dict[str, str]) -> list[Claim]:
    """The claims of Claims.v that are about the whole of a step, each with its theorem and refutations out of the proofs' files."""
    found = {name: " ".join(body.split()) for name, body in _CLAIM.findall(without_comments(claims))}
    proved: dict[str, tuple[str, bool]] = {}
    refuted: dict[str, list[str]] = {}
    for text in proofs.values():
        for name, negation, claim, argument in _THEOREM.findall(without_comments(text)):
            if claim in found and negation and argument not in ("", "step"):
                refuted.setdefault(claim, []).append(name)
            elif claim in found and not negation and argument in ("", "step"):
                proved[claim] = (name, argument == "step")
    used = {other for name, body in found.items() for other in found if other != name and re.search(rf"\b{other}\b", body)}
    return [Claim(name, body, *proved.get(name, (None, True))[:1], tuple(refuted.get(name, ())), proved.get(name, (None, True))[1])
            for name, body in found.items() if name not in used]


def gaps(claims: list[Claim]) -> list[str]:
    """Claims without a theorem, or that nothing refutes."""
    lines = [f"{claim.name}: claimed and not proved (a theorem must say `{claim.name} step`)" for claim in claims if claim.theorem is None]
    lines += [f"{claim.name}: no wrong step refutes it, so it may say nothing (an example must say `~ {claim.name} (...)`)"
              for claim in claims if claim.is_of_step and not claim.refuted and claim.name not in _TRIVIAL]
    return lines


def check_text(claims: list[Claim], modules: tuple[str, ...]) -> str:
    """A file for Coq that only compiles if each theorem proves its claim of `step` itself, and each example refutes it."""
    lines = [f"From Spec Require Import {' '.join(modules)}."]
    lines += [f"Check ({claim.theorem} : {claim.name}{' step' if claim.is_of_step else ''})." for claim in claims if claim.theorem]
    lines += [f"Goal exists wrong, ~ {claim.name} wrong. Proof. eexists. exact {name}. Qed." for claim in claims for name in claim.refuted]
    return "\n".join(lines) + "\n"


def differences(golden: str, claims: str, name: str = "Claims.v", copy: str = "claims.golden") -> list[str]:
    """Whether the claims are still those of the golden copy, and where not. name, copy: of the two files."""
    if golden == claims:
        return []
    first = next((number for number, (old, new) in enumerate(zip(golden.splitlines(), claims.splitlines()), 1) if old != new), None)
    place = f"line {first}" if first else "the end"
    return [f"{name}: a claim or a definition is not that of {copy}, from {place} on (read it; `cp` makes it the golden one)"]


def section(folder: Path, out: Path) -> tuple[Section, list[Claim]]:
    """The section, and the claims. `folder` is proofs-spec, `out` its build folder; everything is checked again, which takes some minutes."""
    sys.path.insert(0, str(folder))
    import build

    result = Section(3, "proof base")
    claims_text = ""
    for name, copy in build.CLAIMS.items():
        text = (folder / "spec" / f"{name}.v").read_text(encoding="utf-8")
        result.failures += differences((folder / copy).read_text(encoding="utf-8"), text, f"{name}.v", copy)
        claims_text += text
    texts = {name: (folder / "spec" / f"{name}.v").read_text(encoding="utf-8") for name in build.PROOFS if name not in build.CLAIMS}
    claims = read_claims(claims_text, texts)
    result.failures += gaps(claims)
    try:
        build.build(out)
        axioms = build.audit(out)
        searched = [out / f"{name}.v" for name in (*build.SPECIFICATION, *build.POLICIES, *build.PROOFS)]
        found = [f"{path.name}:{number}: {word}" for path in searched for number, word in holes(path.read_text(encoding="utf-8"))]
        result.failures += found
        result.lines += [f"places in {len(searched)} files that leave something unproved or work around Coq: {len(found)}", *_checker_lines(axioms)]
        _check_theorems(out, claims, build.PROOFS)
        result.lines.append(f"claims: {len(claims)}, proved: {sum(claim.theorem is not None for claim in claims)}, of these of `step` itself: "
                            f"{sum(claim.theorem is not None and claim.is_of_step for claim in claims)}; "
                            f"refuted of a step with a mistake: {sum(bool(claim.refuted) for claim in claims)}")
    except build.BuildError as error:
        result.failures += [line for line in str(error).splitlines() if line][:8]
    defined = [folder / "spec" / f"{name}.v" for name in build.SPECIFICATION if name not in build.GENERATED]
    policies = [folder / "spec" / f"{name}.v" for name in build.POLICIES]
    result.lines.append(f"lines: definitions {sum(map(_lines, defined))}, of policies {sum(map(_lines, policies))}, claims {len(claims_text.splitlines())}, "
                        f"proofs {sum(len(text.splitlines()) for text in texts.values())}")
    result.lines += [f"claim {claim.name}\n    {claim.statement}\n    theorem {claim.theorem or 'none'}; "
                     f"{'refuted by ' + ', '.join(claim.refuted) if claim.refuted else _TRIVIAL.get(claim.name, 'of no step')}" for claim in claims]
    return result, claims


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _checker_lines(text: str) -> list[str]:
    """What the checker says, without its empty lines."""
    return [f"coqchk: {line.strip()}" for line in text.splitlines() if line.strip()]


def _check_theorems(out: Path, claims: list[Claim], modules: tuple[str, ...]) -> None:
    """Has Coq confirm that theorems and examples say what their names are taken for."""
    path = out / "AuditedClaims.v"
    path.write_text(check_text(claims, modules), encoding="utf-8")
    done = subprocess.run(["coqc", "-q", "-Q", ".", "Spec", path.name], cwd=out, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    for made in out.glob("AuditedClaims.*"):
        made.unlink()
    if done.returncode != 0:
        raise AuditError(f"a theorem does not prove its claim: {' '.join((done.stdout + done.stderr).split())[-400:]}")
