#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the kernel's fast paths in assembly with its general path: the same random operations, on the same random states, run on a kernel image as it
is and on one in which no system call and no fault goes to a fast path. After each operation all registers of all threads, their IPC buffers, and what
Inspect tells of threads, scheduling contexts and reply objects go into a digest, which each component prints.

usage: differential.py [--seed S] [--components N] [--ops M] [--image IMAGE] [--kernel ELF]
The status is 0 when both runs say the same."""

import argparse
import os
import re
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests" / "fuzz")]

import machines  # noqa: E402
import run_target  # noqa: E402
from elftools.elf.elffile import ELFFile  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
PROGRAM = BUILD / "tests" / "fuzz" / "fuzz-target.elf"
INSTRUCTION = 4
BRANCH = 0x14 << 24
BRANCH_DISTANCE = (1 << 26) - 1
# Where it is decided whether a fast path does, and where it goes on if none does.
DECISIONS = {"fast_path_decision": "system_call", "fast_fault_decision": "synchronous"}


class DifferentialError(Exception):
    """The images cannot be compared."""


@dataclass(frozen=True)
class Change:
    """An instruction of the fast path becomes another one, wherever it occurs: what that breaks, and both as numbers."""

    breaks: str
    old: int
    new: int = 0xd503201f   # nop


class Fastpath:
    """The code of the fast path in an Image."""

    def __init__(self, kernel: Path, image: Path):
        self.image = image.read_bytes()
        with kernel.open("rb") as file:
            elf = ELFFile(file)
            symbols = {symbol.name: symbol["st_value"] for symbol in elf.get_section_by_name(".symtab").iter_symbols()}
            text = elf.get_section_by_name(".text")
            self.start, code = text["sh_addr"], text.data()
        try:
            self.first, self.end = (symbols[name] for name in ("fast_call", "fast_path_end"))
            self.decisions = {symbols[decision]: symbols[general] for decision, general in DECISIONS.items()}
        except KeyError as error:
            raise DifferentialError(f"{kernel}: it has no symbol {error} (build it anew)") from error
        begin, end = self.first - self.start, self.end - self.start
        self.place = self.image.find(code[begin:end])
        if self.place < 0 or self.image.find(code[begin:end], self.place + 1) >= 0:
            raise DifferentialError(f"{image}: it does not hold the fast path of {kernel} once (build both anew)")

    def at(self, address: int) -> int:
        """Where an address of the kernel is in the Image."""
        return self.place + address - self.first

    def without(self) -> bytes:
        """The Image in which the decisions are always against the fast path."""
        image = bytearray(self.image)
        for decision, general in self.decisions.items():
            distance = (general - decision) // INSTRUCTION & BRANCH_DISTANCE
            struct.pack_into("<I", image, self.at(decision), BRANCH | distance)
        return bytes(image)

    def changed(self, change: Change) -> bytes:
        """The Image with all instructions of the fast path that are the change's `old` replaced."""
        begin, end = self.place, self.at(self.end)
        words = [word for word, in struct.iter_unpack("<I", self.image[begin:end])]
        if change.old not in words:
            raise DifferentialError(f"the fast path has no instruction {change.old:#x} ({change.breaks}: adapt the change)")
        code = b"".join(struct.pack("<I", change.new if word == change.old else word) for word in words)
        return self.image[:begin] + code + self.image[end:]


def digests(image: bytes, seed: int, components: int, operations: int, timeout: float = 600) -> list[str]:
    """What the components of a run print, or why the run ended."""
    setting = machines.Setting("virt", gic=2, el=1, cores=1)
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        path = Path(folder) / "Image"
        path.write_bytes(image)
        outcome = run_target.run(setting, seed, components * operations, image=path, program=PROGRAM, timeout=timeout, steady=operations)
    lines = re.findall(r"fuzz target: seed .* digest .*", outcome.log)
    last = run_target.result(outcome)
    return lines if outcome.status == 0 and lines else [*lines, last if "failure" in last else f"{last} ({outcome.reason})"]


def difference(one: list[str], other: list[str]) -> str | None:
    """The first lines that are not the same."""
    for mine, theirs in zip(one, other):
        if mine != theirs:
            return f"with the fast path {mine!r}, without {theirs!r}"
    return None if len(one) == len(other) else f"{len(one)} components with the fast path, {len(other)} without"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--components", type=int, default=100)
    parser.add_argument("--ops", type=int, default=200, help="operations of each component")
    parser.add_argument("--image", type=Path, default=BUILD / "platform" / "Image")
    parser.add_argument("--kernel", type=Path, default=BUILD / "kernel" / "kernel.elf")
    options = parser.parse_args()
    try:
        path = Fastpath(options.kernel, options.image)
        runs = [digests(image, options.seed, options.components, options.ops) for image in (path.image, path.without())]
    except (DifferentialError, machines.MachineError, OSError) as error:
        print(f"differential.py: {error}", file=sys.stderr)
        return 2
    found = difference(*runs)
    print(found or f"fast paths and general path agree: {len(runs[0])} components of {options.ops} operations, {runs[0][-1]}")
    return int(found is not None or "failure" in runs[0][-1])


if __name__ == "__main__":
    sys.exit(main())
