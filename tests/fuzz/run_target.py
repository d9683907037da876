#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the fuzzer's root task on a machine that QEMU models. Prints its line of counts, or what is wrong; the status says which.

usage: run_target.py [--seed S] [--ops N] [--image IMAGE] [--program ELF] [--timeout SECONDS] [MACHINE [NAME=VALUE...]]
MACHINE is virt (default) or raspi4b; NAME is gic, el, cores or memory. Virtual time goes by instructions: two runs are the same."""

import argparse
import hashlib
import os
import re
import struct
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

import machines  # noqa: E402
import payload as payloads  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
PARAMETERS = b"fuzz parameters\0"
UNIVERSE_OPERATIONS = 10_000


def with_parameters(elf: bytes, seed: int, operations: int, steady: int = 0) -> bytes:
    """The program with its parameters (target/main.cc) written into it. `steady`: 0, or the operations of each component of a run that does not depend
    on time."""
    place = elf.find(PARAMETERS)
    if place < 0 or elf.find(PARAMETERS, place + 1) >= 0:
        raise payloads.PayloadError("the fuzzer's program does not hold its parameters once (build it anew)")
    words = struct.pack("<4Q", seed, operations, steady or UNIVERSE_OPERATIONS, steady != 0)
    place += len(PARAMETERS)
    return elf[:place] + words + elf[place + len(words):]


def make_payload(program: Path, seed: int, operations: int, target: Path, steady: int = 0) -> Path:
    """Writes the payload of one run."""
    elf = with_parameters(program.read_bytes(), seed, operations, steady)
    api_hash = payloads.elf_api_hash(elf)
    if api_hash is None:
        raise payloads.PayloadError(f"{program.name}: it has no note with its API hash (link capdl/loader/note.cc)")
    target.write_bytes(payloads.make_payload(elf, program.name, hashlib.sha256(elf).digest(), api_hash))
    return target


def run(setting: machines.Setting, seed: int, operations: int, *, image: Path, program: Path, timeout: float,
        steady: int = 0, extra: tuple[str, ...] = ()) -> machines.Outcome:
    """Runs `operations` operations from `seed`. `extra`: further arguments for QEMU."""
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        payload = make_payload(program, seed, operations, Path(folder) / "system.bin", steady)
        return machines.run(setting, timeout=timeout, image=image, payload=payload, deterministic=True, extra=extra, output=None)


def result(outcome: machines.Outcome) -> str:
    """What the run has to say: its own last line, or why there is none."""
    # A debug kernel prints what the component asks it to, in the middle of a line.
    lines = re.findall(r"fuzz target: .*", outcome.log)
    return lines[-1] if lines else f"fuzz target: failure: {outcome.reason}"


def read_setting(machine: str, options: list[str]) -> machines.Setting:
    """The setting that the command line describes."""
    values = dict(option.split("=", 1) for option in options)
    return machines.Setting(machine, **{name: value if name == "memory" else int(value) for name, value in values.items()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ops", type=int, default=20_000)
    parser.add_argument("--image", type=Path, default=BUILD / "platform" / "Image-debug")
    parser.add_argument("--program", type=Path, default=BUILD / "tests" / "fuzz" / "fuzz-target.elf")
    parser.add_argument("--timeout", type=float, default=240)
    parser.add_argument("machine", nargs="?", default="virt")
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE")
    options = parser.parse_args()
    try:
        outcome = run(read_setting(options.machine, options.settings), options.seed, options.ops, image=options.image, program=options.program,
                      timeout=options.timeout)
    except (machines.MachineError, payloads.PayloadError, OSError, TypeError, ValueError) as error:
        print(f"run_target.py: {error}", file=sys.stderr)
        return 2
    print(result(outcome))
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
