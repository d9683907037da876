# SPDX-License-Identifier: BSD-2-Clause
"""How much stack the kernel can need, from the instructions that move the stack pointer in the shipped image: along every way through every function,
and down every chain of calls. Where ways meet, the stack must be the same; at a return, nothing may be left on it."""

import re
from dataclasses import dataclass

from .calls import Graph, ways
from .code import Instruction
from .image import Function, Image

_IMMEDIATE = re.compile(r"^#(-?0x[0-9a-f]+|-?\d+)$")


@dataclass(frozen=True)
class Usage:
    """What a function does to the stack: bytes of its own at most, and those in use at each instruction that leads to another function.

    `resets`: addresses at which it takes a stack anew (assembly)."""

    own: int
    at: dict[int, int]
    resets: tuple[int, ...]


@dataclass(frozen=True)
class Bound:
    """The deepest chain of calls from a function on, and its bytes."""

    total: int
    chain: tuple[Function, ...]


def _number(text: str) -> int | None:
    found = _IMMEDIATE.match(text)
    return int(found[1], 0) if found else None


def _change(instruction: Instruction, constants: dict[str, int]) -> int | str | None:
    """By how many bytes an instruction makes the stack grow: 0 if it leaves it, "reset" if it takes another, None if it cannot be told."""
    operands = instruction.operands
    if not any("sp" == part or "[sp" in part for part in operands):
        return 0
    memory = next((place for place, part in enumerate(operands) if part.startswith("[sp")), None)
    if memory is not None:
        if operands[memory].endswith("!"):
            offset = _number(operands[memory].strip("[]!").split(", ")[-1])
            return None if offset is None else -offset
        if memory + 1 < len(operands):
            offset = _number(operands[memory + 1])
            return None if offset is None else -offset
        return 0
    if not operands or operands[0] != "sp":
        return 0
    if instruction.mnemonic in ("add", "sub") and operands[1] != "sp":
        return "reset"
    if instruction.mnemonic not in ("add", "sub"):
        return None
    amount = _number(operands[2]) if _number(operands[2]) is not None else constants.get(operands[2])
    if amount is None or len(operands) > 3 and operands[3] not in ("lsl #0", "uxtx"):
        shift = re.match(r"^lsl #(\d+)$", operands[3]) if len(operands) > 3 else None
        if amount is None or shift is None:
            return None
        amount <<= int(shift[1])
    return amount if instruction.mnemonic == "sub" else -amount


def _after(instruction: Instruction, constants: dict[str, int]) -> dict[str, int]:
    """The constants that registers hold behind an instruction: a large frame is `mov x16, #N` and `sub sp, sp, x16`."""
    if instruction.mnemonic == "movz" and len(instruction.operands) == 2:
        return {**constants, instruction.operands[0]: _number(instruction.operands[1])}
    return {name: value for name, value in constants.items() if not instruction.is_call and not instruction.writes(int(name[1:]))}


def measure(image: Image, graph: Graph, function: Function) -> tuple[Usage, list[str]]:
    """What a function does to the stack, and what is wrong with it."""
    depths: dict[int, int] = {}
    findings, resets, deepest = [], [], 0
    waiting: list[tuple[int, int, dict[str, int]]] = [(function.address, 0, {})]
    while waiting:
        address, depth, constants = waiting.pop()
        instruction = image.at(address)
        if address in depths and depths[address] != depth:
            findings.append(f"{function}: at {address:#x} {depths[address]} bytes are on the stack, or {depth}")
        if instruction is None:
            findings.append(f"{function}: execution comes to {address:#x}, where there is no instruction")
        if address in depths or instruction is None:
            continue
        depths[address] = depth
        change = _change(instruction, constants)
        if change is None:
            findings.append(f"{function}: at {address:#x} `{instruction}` moves the stack by what cannot be told")
            continue
        if change == "reset":
            resets.append(address)
        depth = 0 if change == "reset" else depth + change
        deepest = max(deepest, depth)
        if depth < 0 or instruction.mnemonic == "ret" and depth:
            findings.append(f"{function}: at {address:#x} `{instruction}` the stack is {depth} bytes from where it was at the start")
            continue
        constants = _after(instruction, constants)
        waiting += [(target, depth, constants) for target in ways(graph, instruction) if function.address <= target < function.end]
    at = {edge.address: depths[edge.address] for edge in graph.edges[function] if edge.address in depths}
    return Usage(deepest, at, tuple(sorted(resets))), findings


def measure_all(image: Image, graph: Graph) -> tuple[dict[Function, Usage], list[str]]:
    """What every function does to the stack."""
    usages, findings = {}, []
    for function in image.functions:
        usages[function], wrong = measure(image, graph, function)
        findings += wrong
    return usages, findings


def bound(graph: Graph, usages: dict[Function, Usage], root: Function) -> Bound:
    """The deepest chain of calls from `root` on. The graph must have no circle. A function that takes another stack ends a chain: it is a root itself."""
    known: dict[Function, Bound] = {}

    def deepest(function: Function) -> Bound:
        if function not in known:
            usage = usages[function]
            found = Bound(usage.own, (function,))
            for edge in graph.edges[function]:
                if edge.address not in usage.at or usages[edge.callee].resets and not edge.returns:
                    continue
                below = deepest(edge.callee)
                if usage.at[edge.address] + below.total > found.total:
                    found = Bound(usage.at[edge.address] + below.total, (function, *below.chain))
            known[function] = found
        return known[function]

    return deepest(root)
