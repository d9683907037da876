#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a test root task of the build on a machine that QEMU models and passes its TAP on, so that each case on the target counts as one.

usage: run_target.py PROGRAM IMAGE MACHINE [NAME=VALUE...]    NAME is gic, el, cores or memory. Cases that did not report have failed.
Virtual time goes by instructions: two runs of the same programs are the same."""

import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

import machines  # noqa: E402
import payload as payloads  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
CASE = re.compile(r"(?:not )?ok \d+ ")
PLAN = re.compile(r"1\.\.(\d+)$")
TIMEOUT = 240  # seconds; a run takes about ten on an idle machine


def make_payload(program: str, folder: Path) -> Path:
    """Makes a payload of a root task of the build."""
    elf = (BUILD / "tests" / "target" / program).read_bytes()
    api_hash = payloads.elf_api_hash(elf)
    if api_hash is None:
        raise payloads.PayloadError(f"{program}: it has no note with its API hash (link capdl/loader/note.cc)")
    target = folder / "system.bin"
    target.write_bytes(payloads.make_payload(elf, program, hashlib.sha256(elf).digest(), api_hash))
    return target


def read_setting(machine: str, options: list[str]) -> machines.Setting:
    """Returns the setting that the command line describes."""
    values = dict(option.split("=", 1) for option in options)
    return machines.Setting(machine, **{name: value if name == "memory" else int(value) for name, value in values.items()})


def report(outcome: machines.Outcome) -> bool:
    """Prints the run's TAP, completed by a failed case for each that is missing; true if it says all there is to say."""
    lines = [line for line in outcome.log.splitlines() if CASE.match(line) or PLAN.match(line) or line.startswith(("#", "Bail out!"))]
    plan = next((int(found[1]) for line in lines if (found := PLAN.match(line))), 0)
    count = sum(1 for line in lines if CASE.match(line))
    print("\n".join(line for line in lines if not PLAN.match(line)))
    for number in range(count + 1, max(plan, 1) + 1):
        print(f"not ok {number} - not reported\n# {outcome.reason}")
    print(f"1..{max(plan, count, 1)}")
    told = any(line.startswith("not ok") for line in lines)
    return plan == count > 0 and (outcome.status == 0 or told)


def main() -> int:
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    program, image, machine, *options = sys.argv[1:]
    try:
        with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
            outcome = machines.run(read_setting(machine, options), timeout=TIMEOUT, image=BUILD / "platform" / image,
                                   payload=make_payload(program, Path(folder)), deterministic=True, output=None)
    except machines.MachineError as error:
        print(f"1..0 # SKIP {error}")
        return 0
    except (OSError, payloads.PayloadError, TypeError, ValueError) as error:
        print(f"Bail out! {error}")
        return 1
    return 0 if report(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
