# SPDX-License-Identifier: BSD-2-Clause
"""What only some places of the kernel may do: privileged and system instructions, and floating-point registers. Each instruction is looked up by the function
of the sources that it comes from, wherever the compiler put it; `places.toml` lists those functions with their reasons."""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .code import AuditError, Instruction
from .image import Image, Source

LISTED = Path(__file__).resolve().parent / "places.toml"
_PLAIN_HINTS = ("#0x0", "#0x1", "#0x14")  # no-operation, yield, barrier against speculation
_FLOATING = re.compile(r"\b(?:[vq]\d+|[dshb]\d+|fpcr|fpsr)\b")
_LAMBDA = "operator()"
_BREAKPOINT = re.compile(r"(?<=^dbg[bw][cv]r)\d+")
_WRAPPERS = "kernel/arch/aarch64/sysreg.hpp"
"""Where a system register's read and write are written down once: the place that counts is who uses them."""


@dataclass(frozen=True)
class Place:
    """A function of the sources and an instruction that it may execute, as `kind` names it."""

    file: str
    function: str
    instruction: str

    def __str__(self) -> str:
        return f"{self.file}: {self.function}: {self.instruction}"


def kind(instruction: Instruction) -> str | None:
    """An instruction as `places.toml` names it if only listed places may execute it: `msr ttbr0_el1`, `sys #0, C8, C7, #0`, `eret`; N is the
    number of a breakpoint. Barriers and what any
    program may execute are None."""
    name, operands = instruction.mnemonic, instruction.operands
    if name == "msr":
        return f"msr {_BREAKPOINT.sub('N', operands[0])}"
    if name == "mrs":
        return f"mrs {operands[1]}"
    if name in ("sys", "sysl"):
        return f"{name} {', '.join(part for part in operands if not re.fullmatch(r'x[0-9]+|xzr', part))}"
    if name == "hint":
        return None if operands[0] in _PLAIN_HINTS else f"hint {operands[0]}"
    if name in ("hvc", "smc", "svc", "eret", "brk", "hlt", "drps", "unknown"):
        return name
    return None


def floating(instruction: Instruction) -> str | None:
    """The floating-point register that an instruction names."""
    found = _FLOATING.search(" ".join(instruction.operands))
    return found[0] if found and not instruction.is_jump and not instruction.is_call else None


def read_listed(path: Path = LISTED) -> dict[Place, str]:
    """The places that are allowed, with their reasons."""
    listed = {}
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8")).get("place", []), 1):
        if set(entry) != {"file", "function", "instructions", "reason"} or not entry["reason"].strip():
            raise AuditError(f"{path.name}: entry {number}: it needs file, function, instructions and reason")
        listed |= {Place(entry["file"], entry["function"], instruction): entry["reason"] for instruction in entry["instructions"]}
    return listed


def read_indirect(path: Path = LISTED) -> dict[str, int]:
    """Functions of assembly with a computed branch that is no jump table: to how many of the instructions behind it the branch can lead."""
    listed = {}
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8")).get("indirect", []), 1):
        if set(entry) != {"function", "behind", "reason"} or not entry["reason"].strip():
            raise AuditError(f"{path.name}: indirect {number}: it needs function, behind and reason")
        listed[entry["function"]] = entry["behind"]
    return listed


def used(image: Image) -> tuple[Counter, list[tuple[Instruction, Source]]]:
    """How often each place executes which of these instructions, and where floating-point registers are used."""
    places, floats = Counter(), []
    for instruction in image.instructions:
        what, register = kind(instruction), floating(instruction)
        if what is None and register is None:
            continue
        source = _user(image.origin(instruction.address)) or Source("(no function)", "(unknown)", 0)
        if what is not None:
            places[Place(source.file, re.sub(r"<.*>", "", source.name), what)] += 1
        if register is not None:
            floats.append((instruction, source))
    return places, floats


def _user(chain: list[Source]) -> Source | None:
    """The innermost function that is not a register's own read or write. A lambda expression has no name: it belongs to the function in which it is
    written."""
    inner = next((source for source in chain if source.file != _WRAPPERS), chain[0] if chain else None)
    if inner is None or inner.name != _LAMBDA:
        return inner
    around = [source for source in chain if source.file == inner.file and source.line <= inner.line and source.name != _LAMBDA]
    return max(around, key=lambda source: source.line, default=inner)


def findings(image: Image, listed: dict[Place, str], floating_functions: tuple[str, ...]) -> list[str]:
    """What is executed where it is not listed, and what is listed and not there."""
    places, floats = used(image)
    lines = [f"{place}: this place is not listed ({count} times): take it out of the kernel, or list it in {LISTED.name} with the reason"
             for place, count in sorted(places.items(), key=str) if place not in listed]
    lines += [f"{place}: listed in {LISTED.name}, and the image has it not (remove it)" for place in sorted(listed, key=str) if place not in places]
    lines += [f"{instruction.address:#x} in {source}: `{instruction}` uses a floating-point register outside of {', '.join(floating_functions)}"
              for instruction, source in floats if source.name not in floating_functions]
    return lines
