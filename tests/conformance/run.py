#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boots the conformance test system on a machine that QEMU models and passes its TAP on: one case per test, "ok 12 - suite.identifier: text".

usage: run.py [--program ELF] [--image IMAGE] [--only NAME[,NAME...]] [--stop] [--timeout S] MACHINE [NAME=VALUE...]
MACHINE is virt or raspi4b; NAME=VALUE is gic, el, cores or memory, as platform/machines.py has them.

--only runs the named tests without building anything anew: `suite.identifier`, or `suite.` for all of a suite. The names go to the program in
the device tree (/chosen bootargs: tests=NAME,NAME), and --stop adds the word `stop`, which ends the run at the first test that fails. Virtual
time goes by instructions: two runs of the same programs are the same. Tests that did not report have failed. The status is 0 when all passed,
1 when one failed, 2 for wrong usage."""

import argparse
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
CASE = re.compile(r"(not )?ok \d+ - ([a-z0-9_]+\.[a-z0-9_]+): ")
PLAN = re.compile(r"1\.\.(\d+)$")
TIMEOUT = 240  # seconds; a run takes about ten on an idle machine


def make_payload(program: Path, target: Path) -> Path:
    """Makes a payload of a root task of the build."""
    elf = program.read_bytes()
    api_hash = payloads.elf_api_hash(elf)
    if api_hash is None:
        raise payloads.PayloadError(f"{program.name}: it has no note with its API hash (link capdl/loader/note.cc)")
    target.write_bytes(payloads.make_payload(elf, program.name, hashlib.sha256(elf).digest(), api_hash))
    return target


def boot(setting: machines.Setting, image: Path, payload: Path, names: list[str], stop: bool = False,
         timeout: float = TIMEOUT) -> machines.Outcome:
    """Runs the tests with these names, all when there are none, and returns how the machine ended and what it printed."""
    words = ([f"tests={','.join(names)}"] if names else []) + (["stop"] if stop else [])
    return machines.run(setting, timeout=timeout, image=image, payload=payload, deterministic=True, output=None,
                        extra=("-append", " ".join(words)) if words else ())


def read_setting(machine: str, options: list[str]) -> machines.Setting:
    """Returns the setting that the command line describes."""
    values = dict(option.split("=", 1) for option in options)
    return machines.Setting(machine, **{name: value if name == "memory" else int(value) for name, value in values.items()})


def report(outcome: machines.Outcome, stopped: bool) -> bool:
    """Prints the run's TAP, completed by a failed case for each that is missing; true if every test passed and it says all there is to say.

    With `stopped` tests may be missing after one that failed."""
    lines = [line for line in outcome.log.splitlines() if CASE.match(line) or PLAN.match(line) or line.startswith(("#", "Bail out!"))]
    plan = next((int(found[1]) for line in lines if (found := PLAN.match(line))), 0)
    cases = [found for line in lines if (found := CASE.match(line))]
    failed = any(found[1] for found in cases)
    print("\n".join(line for line in lines if not PLAN.match(line)))
    missing = range(0) if stopped and failed else range(len(cases) + 1, max(plan, 1) + 1)
    for number in missing:
        print(f"not ok {number} - not reported\n# {outcome.reason}")
    print(f"1..{len(cases) + len(missing)}")
    return not missing and not failed and outcome.status == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=BUILD / "tests" / "conformance" / "conformance.elf")
    parser.add_argument("--image", type=Path, default=BUILD / "platform" / "Image")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="NAME[,NAME...]")
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    parser.add_argument("machine", choices=("virt", "raspi4b"))
    parser.add_argument("options", nargs="*", metavar="NAME=VALUE")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
            payload = make_payload(arguments.program, Path(folder) / "system.bin")
            outcome = boot(read_setting(arguments.machine, arguments.options), arguments.image, payload, arguments.only, arguments.stop,
                           arguments.timeout)
    except machines.MachineError as error:
        print(f"1..0 # SKIP {error}")
        return 0
    except (OSError, payloads.PayloadError, TypeError, ValueError) as error:
        print(f"Bail out! {error}")
        return 1
    return 0 if report(outcome, arguments.stop) else 1


if __name__ == "__main__":
    sys.exit(main())
