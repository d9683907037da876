#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Builds the executable specification: generates what comes from the API description, checks every definition and proof with Coq, and
compiles the extracted oracle. What is up to date is not built again."""

import argparse
import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import coq_text
import generate

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
# The files of the specification in the order in which they need each other.
SPECIFICATION = ("Prelude", "Api", "Objects", "Capabilities", "Schedule", "Messages", "Spaces", "Deletion", "Invocation",
                 "CapabilityMethods", "ThreadMethods", "TimeMethods", "SpaceMethods", "OtherMethods", "Methods", "Dispatch", "Step", "Boot",
                 "WellFormed")
GENERATED = ("Api", "Dispatch")
# What policies are, which defines nothing of a step.
POLICIES = ("Policy", "Bounds")
EXTRACTION = "Extract"
PROOFS = ("Claims", "LoopProofs", "TableFacts", "TreeProofs", "StepProofs", "QueueProofs", "RefillProofs", "ErrorProofs", "OriginProofs",
          "LiveProofs", "MemoryProofs", "UnitProofs", "InterruptProofs", "SignalProofs", "ContainerProofs", "MappingProofs", "SpaceProofs",
          "PlaceProofs", "FlushProofs", "LinkProofs", "WaitProofs", "MeetProofs", "StandProofs", "BondProofs", "LendProofs", "OrderProofs",
          "ReturnProofs", "YieldProofs", "DangleProofs", "StuckProofs", "FirmProofs", "BufferProofs", "InsideProofs", "NeverProofs",
          "PieceProofs", "HouseProofs", "WindowProofs", "AwaitProofs", "FitProofs", "WellProofs", "ResumeProofs", "CountProofs", "AgainProofs",
          "RefusalProofs", "Witness", "PolicyClaims", "PolicyProofs", "WithinProofs", "ConfinementProofs", "TransferProofs", "HeldProofs", "StayProofs",
          "BoundProofs", "PolicyWitness", "BoundClaims", "AmongProofs", "BoundWitness", "IntegrityClaims", "IntegrityProofs", "FieldProofs", "UnnamedProofs",
          "FreshProofs", "RoomProofs", "IntegrityWitness", "FlowClaims", "MessageProofs", "EdgeProofs", "FlowProofs", "FlowWitness")
# Where claims are stated, and the copy of each that changes only on purpose.
CLAIMS = {"Claims": "claims.golden", "PolicyClaims": "policy_claims.golden", "BoundClaims": "bound_claims.golden",
          "IntegrityClaims": "integrity_claims.golden", "FlowClaims": "flow_claims.golden"}
ORACLE = ("number.ml", "oracle_core.mli", "oracle_core.ml", "names.ml", "text.ml", "policies.ml", "differences.ml", "digest.ml",
          "oracle.ml")
TOOLS = {"coqc": "coq", "ocamlopt": "ocaml"}
ZARITH = "zarith.cmxa"
REMEDY = "./caprock setup proofs"


class BuildError(Exception):
    """A step failed; str() names it, the cause and the remedy."""


def check_tools():
    """BuildError if a program that the build needs is not installed."""
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is not installed (package {package}): {REMEDY}")
    libraries = subprocess.run(["ocamlopt", "-where"], capture_output=True, text=True, check=True).stdout.strip()
    if not Path(libraries, "zarith", ZARITH).exists():
        raise BuildError(f"OCaml's zarith is not installed (package libzarith-ocaml-dev): {REMEDY}")


@contextlib.contextmanager
def locked(out):
    """One build at a time in a folder: others wait."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command, folder, what):
    """Runs a command in the build folder; BuildError with what it said if it fails."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        raise BuildError(f"{what}: failed\n{result.stdout}{result.stderr}".rstrip())
    return result.stdout + result.stderr


def check_holes(name, text):
    """BuildError if a file of the specification leaves something unproved or works around the checker."""
    for number, word in coq_text.holes(text):
        raise BuildError(f"proofs-spec/spec/{name}.v:{number}: '{word}' is not allowed: prove or define it")


def fingerprint(paths, previous=""):
    """A hash of files and of what they depend on."""
    digest = hashlib.sha256(previous.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(stamp, value):
    return stamp.exists() and stamp.read_text() == value


def compile_coq(out, names, say):
    """Compiles the files one after the other, each if it or one before it changed. The fingerprint of all."""
    value = ""
    for name in names:
        if name not in GENERATED:
            text = (FOLDER / "spec" / f"{name}.v").read_text()
            check_holes(name, text)
            generate.write(out / f"{name}.v", text)
        value = fingerprint([out / f"{name}.v"], value)
        stamp = out / f"{name}.stamp"
        if not is_current(stamp, value) or not (out / f"{name}.vo").exists():
            say(f"coqc {name}.v")
            run(["coqc", "-q", "-Q", ".", "Spec", f"{name}.v"], out, f"proofs-spec/spec/{name}.v")
            stamp.write_text(value)
    return value


def compile_oracle(out, say):
    """Compiles the oracle from what was extracted. The path of the program."""
    for source in sorted((FOLDER / "oracle").glob("*.ml")):
        generate.write(out / source.name, source.read_text())
    value = fingerprint([out / name for name in ORACLE])
    stamp, program = out / "oracle.stamp", out / "oracle"
    if not is_current(stamp, value) or not program.exists():
        say("ocamlopt oracle")
        run(["ocamlopt", "-I", "+zarith", ZARITH, "-inline", "100", "-w", "-a", "-o", "oracle", *ORACLE], out, "proofs-spec/oracle")
        stamp.write_text(value)
    return program


def build(out, proofs=True, say=lambda text: None):
    """Builds everything in the folder `out`; without `proofs` only what the oracle needs. The path of the oracle."""
    check_tools()
    with locked(out):
        generate.generate(out)
        compile_coq(out, SPECIFICATION + POLICIES + (EXTRACTION,), say)
        program = compile_oracle(out, say)
        if proofs:
            compile_coq(out, SPECIFICATION + POLICIES + PROOFS, say)
    return program


def audit(out):
    """What Coq's independent checker says of all claims, after it has checked them again. BuildError if they rest on anything else."""
    text = run(["coqchk", "-silent", "-o", "-Q", ".", "Spec", f"Spec.{PROOFS[-1]}"], out, "coqchk")
    if "* Axioms: <none>" not in text or text.count("<none>") != 4:
        raise BuildError(f"coqchk: the claims rest on more than their proofs:\n{text}")
    return text.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build/proofs-spec", metavar="DIR", help="the build folder")
    parser.add_argument("--oracle-only", action="store_true", help="leave the proofs out")
    parser.add_argument("--audit", action="store_true", help="have coqchk check everything again (some minutes)")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    try:
        program = build(out, arguments.audit or not arguments.oracle_only, lambda text: print(f"proofs-spec: {text}", flush=True))
        if arguments.audit:
            print(audit(out))
    except (BuildError, generate.GenerationError, generate.DescriptionError) as error:
        print(f"proofs-spec: error: {error}", file=sys.stderr)
        return 1
    print(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
