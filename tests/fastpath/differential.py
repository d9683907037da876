#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the kernel's fast paths in assembly with its general path: the same random operations, on the same random states, run on a kernel image as it
is and on one in which no system call and no fault goes to a fast path. After each operation all registers of all threads, their IPC buffers, and what
Inspect tells of threads, scheduling contexts and reply objects go into a digest, which each component prints.

usage: differential.py [--seed S] [--components N] [--ops M] [--image IMAGE] [--kernel ELF] [--count]
--count says how often each way of the fast path was taken to its end, by a plugin of QEMU's.
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
PLUGIN = BUILD / "tests" / "fastpath" / "caprock-counting.so"
INSTRUCTION = 4
BRANCH = 0x14 << 24
BRANCH_DISTANCE = (1 << 26) - 1
# Where it is decided whether a fast path does, and where it goes on if none does.
DECISIONS = {"fast_path_decision": "system_call", "fast_fault_decision": "synchronous", "fast_irq_decision": "interrupt"}


# A way of the fast path by an instruction of it that is executed only when all was looked at: the label before it, and the instruction as a number (None:
# the first one).
WAYS = {
    "Call of a passive server": ("push", None),
    "answer of a passive server": ("pop", None),
    "Call of an active server": ("call_on_own_context", 0x910003f2),       # mov x18, sp
    "answer to a caller with its own context": ("answer_other", 0x910003f2),
    "page fault with a handler": ("fast_fault", 0x390803e4),                 # strb w4, [sp, #TCB_FAULT_FLAG]
    "words in buffers": ("take_long_message", 0xa8825331),                 # stp x17, x20, [x25], #32
    "signal or interrupt that wakes": ("woken", 0xa9007e7f),              # stp xzr, xzr, [x19]
    "message that wakes": ("received", None),
    "interrupt that wakes": ("drop_priority", None),
    "acknowledgement of an interrupt": ("call_object", 0xb9100254),        # str w20, [x18, #GICC_DIR]
    "Yield to an equal": ("fast_yield", 0x910003f2),
    "Wait": ("waiting", None),
}


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
        self.symbols, self.code = symbols, code
        try:
            self.first, self.end = (symbols[name] for name in ("fast_path_start", "fast_path_end"))
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

    def way(self, label: str, instruction: int | None) -> int:
        """The address of an instruction (the first one if None) behind a label."""
        address = self.symbols.get(label)
        if address is None:
            raise DifferentialError(f"the fast path has no label {label} (adapt WAYS)")
        while instruction is not None and struct.unpack_from("<I", self.code, address - self.start)[0] != instruction:
            address += INSTRUCTION
            if address >= self.end:
                raise DifferentialError(f"the fast path has no instruction {instruction:#x} behind {label} (adapt WAYS)")
        return address

    def changed(self, change: Change) -> bytes:
        """The Image with all instructions of the fast path that are the change's `old` replaced."""
        begin, end = self.place, self.at(self.end)
        words = [word for word, in struct.iter_unpack("<I", self.image[begin:end])]
        if change.old not in words:
            raise DifferentialError(f"the fast path has no instruction {change.old:#x} ({change.breaks}: adapt the change)")
        code = b"".join(struct.pack("<I", change.new if word == change.old else word) for word in words)
        return self.image[:begin] + code + self.image[end:]


def digests(image: bytes, seed: int, components: int, operations: int, timeout: float = 600, extra: tuple[str, ...] = ()) -> list[str]:
    """What the components of a run print, or why the run ended. `extra`: further arguments for QEMU."""
    setting = machines.Setting("virt", gic=2, el=1, cores=1)
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        path = Path(folder) / "Image"
        path.write_bytes(image)
        outcome = run_target.run(setting, seed, components * operations, image=path, program=PROGRAM, timeout=timeout, steady=operations, extra=extra)
    lines = re.findall(r"fuzz target: seed .* digest .*", outcome.log)
    last = run_target.result(outcome)
    return lines if outcome.status == 0 and lines else [*lines, last if "failure" in last else f"{last} ({outcome.reason})"]


def taken(path: Fastpath, seed: int, components: int, operations: int) -> dict[str, int]:
    """How often a run takes each of WAYS to its end."""
    if not PLUGIN.is_file():
        raise DifferentialError(f"{PLUGIN}: not built (`ninja -C {BUILD} meson-test-prereq` makes it)")
    addresses = [path.way(*way) for way in WAYS.values()]
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        out = Path(folder) / "counts"
        places = "".join(f",place={address:#x}" for address in addresses)
        digests(path.image, seed, components, operations, extra=("-plugin", f"file={PLUGIN},out={out}{places}"))
        return dict(zip(WAYS, struct.unpack(f"<{len(WAYS)}Q", out.read_bytes())))


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
    parser.add_argument("--count", action="store_true", help="say how often each way was taken")
    options = parser.parse_args()
    try:
        path = Fastpath(options.kernel, options.image)
        runs = [digests(image, options.seed, options.components, options.ops) for image in (path.image, path.without())]
        for way, times in (taken(path, options.seed, options.components, options.ops) if options.count else {}).items():
            print(f"{times:8} {way}")
    except (DifferentialError, machines.MachineError, OSError) as error:
        print(f"differential.py: {error}", file=sys.stderr)
        return 2
    found = difference(*runs)
    print(found or f"fast paths and general path agree: {len(runs[0])} components of {options.ops} operations, {runs[0][-1]}")
    return int(found is not None or "failure" in runs[0][-1])


if __name__ == "__main__":
    sys.exit(main())
