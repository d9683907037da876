# SPDX-License-Identifier: BSD-2-Clause
"""Where the indirect branches of a function lead: through jump tables whose index is checked, read from the image, or to a constant that is loaded just
before. What is neither stays unresolved, and is a finding of the call graph."""

from dataclasses import dataclass, field

from .code import BYTES, Instruction
from .image import Function, Image

_LOOK_BACK = 16
"""Instructions before an indirect branch among which its address must be made, but for the address of its table, which may come from afar."""
_WIDTHS = {"ldrb": (1, "sxtb #2"), "ldrh": (2, "sxth #2")}


@dataclass
class Jumps:
    """The indirect branches of a function: by address the targets of those that are understood, and those that are not."""

    targets: dict[int, list[int]] = field(default_factory=dict)
    unresolved: list[Instruction] = field(default_factory=list)


def resolve(image: Image, function: Function, clobbers: dict[int, set[int]]) -> Jumps:
    """The indirect branches of a function. `clobbers`: general registers that a call may change, by the address of the call."""
    found = Jumps()
    code = image.code(function)
    far = []
    for place, branch in enumerate(code):
        if not branch.mnemonic.startswith(("br", "blr")):
            continue
        window = code[max(0, place - _LOOK_BACK):place]
        shape = _shape(image, window, branch, code) if branch.mnemonic == "br" else None
        if shape is None:
            _constant(image, found, window, branch)
        elif (table := _page_address(window, shape.table, shape.load_at)) is not None:
            _read_table(image, function, found, branch, shape, table)
            found.unresolved += [] if branch.address in found.targets else [branch]
        else:
            far.append((branch, shape, window[shape.load_at]))
    _from_afar(image, function, found, far, clobbers)
    return found


@dataclass(frozen=True)
class _Shape:
    """A jump through a table: the register of its address and the place in the window where it is read, entries and their width, what they are added to."""

    table: str
    load_at: int
    entries: int
    width: int
    base: int


def _shape(image: Image, window: list[Instruction], branch: Instruction, code: list[Instruction]) -> _Shape | None:
    """Takes `cmp index; b.hi; ...; ldrb or ldrh; adr; add; br` apart. Nothing may jump in between the check and the branch, nor the index change."""
    add_at = _last_writer(window, branch.operands[0], len(window))
    if add_at is None or window[add_at].mnemonic != "add" or len(window[add_at].operands) != 4:
        return None
    _, base, entry, extension = window[add_at].operands
    base_at, load_at = _last_writer(window, base, add_at), _last_writer(window, entry, add_at)
    if base_at is None or load_at is None or window[base_at].mnemonic != "adr" or window[load_at].mnemonic not in _WIDTHS:
        return None
    width, expected = _WIDTHS[window[load_at].mnemonic]
    parts = window[load_at].operands[1].strip("[]").split(", ")
    check_at = _check(window, parts[1], load_at) if extension == expected and len(parts) == 3 and parts[2].startswith("uxtw") else None
    entered = {instruction.target for instruction in code if instruction.is_jump}
    if check_at is None or any(found.address in entered for found in [*window[check_at + 1:], branch]):
        return None
    return _Shape(parts[0], load_at, int(window[check_at].operands[2].lstrip("#"), 0) + 1, width, int(window[base_at].operands[1], 16))


def _read_table(image: Image, function: Function, found: Jumps, branch: Instruction, shape: _Shape, table: int) -> None:
    """Adds the targets of a table, if all of them are instructions of the function."""
    content = image.read(table, shape.entries * shape.width)
    entries = [int.from_bytes(content[at:at + shape.width], "little", signed=True) for at in range(0, len(content), shape.width)]
    targets = sorted({shape.base + BYTES * entry for entry in entries})
    if targets and all(function.address <= target < function.end and image.at(target) for target in targets):
        found.targets[branch.address] = targets


def _constant(image: Image, found: Jumps, window: list[Instruction], branch: Instruction) -> None:
    """Adds the constant that the instruction before a branch loads from behind the code."""
    load = window[-1] if window else None
    if branch.mnemonic == "br" and load and load.mnemonic == "ldr" and load.operands[0] == branch.operands[0] and not load.operands[1].startswith("["):
        target = int.from_bytes(image.read(int(load.operands[1], 16), 8), "little")
        if image.function_at(target) and image.function_at(target).address == target:
            found.targets[branch.address] = [target]
            return
    found.unresolved.append(branch)


def _from_afar(image: Image, function: Function, found: Jumps, far: list[tuple[Instruction, _Shape, Instruction]], clobbers: dict[int, set[int]]) -> None:
    """Adds tables whose addresses were made elsewhere in the function: on every way to the branch one must be the same. The targets of the branches are ways
    themselves, so each is looked at again when all are known."""
    for branch, shape, load in far:
        tables = _reaching(image, function, found, load, shape.table, clobbers)
        if len(tables) == 1 and None not in tables:
            _read_table(image, function, found, branch, shape, tables.pop())
    for branch, shape, load in far:
        if branch.address not in found.targets or len(_reaching(image, function, found, load, shape.table, clobbers)) != 1:
            found.targets.pop(branch.address, None)
            found.unresolved.append(branch)


def _reaching(image: Image, function: Function, found: Jumps, use: Instruction, register: str, clobbers: dict[int, set[int]]) -> set[int | None]:
    """The addresses that `register` can hold at an instruction; None among them if one is not known. What nothing leads to is left out."""
    before = _predecessors(image, function, found)
    values, seen, waiting = set(), set(), list(before.get(use.address, []))
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        instruction = image.at(address) if address is not None else None
        if instruction is None:
            values.add(None)
        elif instruction.writes(_number(register)) or _number(register) in clobbers.get(address, set()):
            values.add(_made_by(image, function, instruction))
        else:
            waiting += before.get(address, [])
    return values


def _predecessors(image: Image, function: Function, found: Jumps) -> dict[int, list[int | None]]:
    """For each instruction of a function those that may come before it; None stands for whatever calls the function."""
    before: dict[int, list[int | None]] = {function.address: [None]}
    for instruction in image.code(function):
        targets = list(found.targets.get(instruction.address, []))
        targets += [instruction.target] if instruction.is_jump else []
        targets += [instruction.address + BYTES] if instruction.goes_on else []
        for target in targets:
            before.setdefault(target, []).append(instruction.address)
    return before


def _made_by(image: Image, function: Function, instruction: Instruction) -> int | None:
    """The address that `adrp` and this `add` make."""
    code = [found for found in image.code(function) if found.address <= instruction.address]
    return _page_address(code[-_LOOK_BACK:], instruction.operands[0], min(len(code), _LOOK_BACK)) if instruction.mnemonic == "add" else None


def _number(register: str) -> int:
    return 31 if register[1:] == "zr" or register == "sp" else int(register[1:])


def _last_writer(window: list[Instruction], register: str, before: int) -> int | None:
    """The place of the last instruction before a place that writes a register; none behind a call, which may write it, too."""
    for place in range(before - 1, -1, -1):
        if window[place].writes(_number(register)):
            return place
        if window[place].is_call:
            return None
    return None


def _page_address(window: list[Instruction], register: str, before: int) -> int | None:
    """What `adrp` and `add` have put into a register."""
    low_at = _last_writer(window, register, before)
    if low_at is None or window[low_at].mnemonic != "add" or not window[low_at].operands[2].startswith("#"):
        return None
    page_at = _last_writer(window, window[low_at].operands[1], low_at)
    if page_at is None or window[page_at].mnemonic != "adrp":
        return None
    return int(window[page_at].operands[1], 16) + int(window[low_at].operands[2][1:], 0)


def _check(window: list[Instruction], index: str, before: int) -> int | None:
    """The place of the comparison that lets only a small enough index through."""
    for place in range(before - 2, -1, -1):
        compare, branch = window[place], window[place + 1]
        if compare.mnemonic == "subs" and compare.operands[0] == "wzr" and compare.operands[1] == index and compare.operands[2].startswith("#"):
            unchanged = not any(found.writes(_number(index)) or found.is_call for found in window[place + 1:before])
            return place if branch.mnemonic == "b.hi" and unchanged else None
    return None
