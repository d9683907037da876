#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the worst-case test on a machine that QEMU models, and passes its TAP on.

usage: run_worst_case.py IMAGE MACHINE [NAME=VALUE...]
    NAME is gic, el, cores or memory for the machine; budget: instructions that a sweep may take, in millions: what takes longer with a deadline
    at every tick of the timer has fewer deadlines; only: operations whose names begin so; seconds: when to give the run up.
Virtual time goes by instructions: two runs of the same programs are the same."""

import hashlib
import io
import os
import re
import struct
import sys
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

import machines  # noqa: E402
import payload as payloads  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
PROGRAM = "worst-case.elf"
OPTIONS = "worst_case_options"
OPTIONS_LAYOUT = "<Q120s"
ROOT_CNODE_BITS = 16
CASE = re.compile(r"(?:not )?ok \d+ ")
PLAN = re.compile(r"1\.\.(\d+)$")
OWN_OPTIONS = {"budget": "3000", "only": "", "seconds": "1500"}


class UsageError(Exception):
    """The command line is wrong; the text is one line that says what and what to do."""


def with_options(elf: bytes, budget: int, only: str) -> bytes:
    """Returns the program with its options filled in."""
    file = ELFFile(io.BytesIO(elf))
    symbol = file.get_section_by_name(".symtab").get_symbol_by_name(OPTIONS)[0]
    address = symbol["st_value"]
    segment = next(segment for segment in file.iter_segments("PT_LOAD") if 0 <= address - segment["p_vaddr"] < segment["p_filesz"])
    packed = struct.pack(OPTIONS_LAYOUT, budget * 1_000_000, only.encode("ascii"))
    if symbol["st_size"] != len(packed):
        raise payloads.PayloadError(f"{PROGRAM}: {OPTIONS} has {symbol['st_size']} bytes, not {len(packed)} (OPTIONS_LAYOUT differs from sweep.hpp)")
    offset = segment["p_offset"] + address - segment["p_vaddr"]
    return elf[:offset] + packed + elf[offset + len(packed):]


def make_payload(budget: int, only: str, folder: Path) -> Path:
    """Makes the payload of the program with its options."""
    elf = with_options((BUILD / "tests" / "worst_case" / PROGRAM).read_bytes(), budget, only)
    api_hash = payloads.elf_api_hash(elf)
    if api_hash is None:
        raise payloads.PayloadError(f"{PROGRAM}: it has no note with its API hash (link capdl/loader/note.cc)")
    target = folder / "system.bin"
    target.write_bytes(payloads.make_payload(elf, PROGRAM, hashlib.sha256(elf).digest(), api_hash, ROOT_CNODE_BITS))
    return target


def read_command_line(arguments: list[str]) -> tuple[machines.Setting, dict[str, str]]:
    """Returns the machine's setting and the test's own options."""
    own = dict(OWN_OPTIONS)
    values = {}
    for option in arguments[1:]:
        name, separator, value = option.partition("=")
        if not separator:
            raise UsageError(f"{option}: options are NAME=VALUE (run without arguments for the names)")
        (own if name in own else values)[name] = value
    try:
        return machines.Setting(arguments[0], **{name: value if name == "memory" else int(value) for name, value in values.items()}), own
    except (TypeError, ValueError) as error:
        raise UsageError(f"{' '.join(arguments)}: {error} (run without arguments for the names)") from error


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
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        setting, own = read_command_line(sys.argv[2:])
        with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
            outcome = machines.run(setting, timeout=float(own["seconds"]), image=BUILD / "platform" / sys.argv[1],
                                   payload=make_payload(int(own["budget"]), own["only"], Path(folder)), deterministic=True, output=None)
    except machines.MachineError as error:
        print(f"1..0 # SKIP {error}")
        return 0
    except (OSError, UsageError, payloads.PayloadError, ValueError) as error:
        print(f"Bail out! {error}")
        return 1
    return 0 if report(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
