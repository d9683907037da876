# SPDX-License-Identifier: BSD-2-Clause
"""Section 2: every function of the shipped kernel and what stands for it, and the audit of the binary.

A function of the image is made of functions of the sources: its own and those that the compiler put into it. Each of these must have a class; that of
the image's function is the weakest of them, unless its machine code is proved as a whole."""

import hashlib
import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from . import calls, pages, places, stack
from .code import BYTES, AuditError
from .evidence import HostRun, ImageRun
from .image import Function, Image, Source
from .report import Section, table

REVIEWED = Path(__file__).resolve().parent / "reviewed.toml"
CLASSES = ("binary-proved", "lockstep-covered", "boot-only", "assembly-reviewed", "reviewed")
"""From the strongest to the weakest. `reviewed` is C++ that no lockstep reaches and a person has read."""
_HARDWARE_ROOTS = ("exception_vectors", "el2_vectors")
_BOOT_ROOT = "_start"
_FLOATING_FUNCTIONS = ("fpu_save_at", "fpu_restore_at")
_STACKS = {"kernel_stacks": ("start_core", "handle_syscall", "handle_found", "handle_synchronous", "handle_interrupt", "handle_acknowledged", "handle_serror"),
           "emergency_stack": ("fatal_exception",)}
"""Functions that are entered on an empty stack, by the stack."""
_LAST_FUNCTION = 40
"""Lines that the last function of a file is taken to have."""
_NUMBER = re.compile(r"^#define (\w+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Reviewed:
    """What a person has read: files of assembly as a whole (`functions` empty), or functions of a file; the text that was read, by its hash; and what was
    looked for."""

    file: str
    sha256: str
    functions: tuple[str, ...]
    reason: str


@dataclass
class Inventory:
    """The classes of the sources' functions in the image; those without one, with the functions that they are in."""

    classes: dict[Source, str]
    unclassified: dict[Source, list[Function]]


def read_reviewed(path: Path = REVIEWED) -> list[Reviewed]:
    """What was reviewed."""
    entries = []
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8")).get("review", []), 1):
        if set(entry) - {"functions"} != {"file", "sha256", "reason"} or not entry["reason"].strip():
            raise AuditError(f"{path.name}: entry {number}: it needs file, sha256 and reason (and may have functions)")
        entries.append(Reviewed(entry["file"], entry["sha256"], tuple(entry.get("functions", ())), entry["reason"]))
    return entries


def changed_reviews(reviewed: list[Reviewed], root: Path) -> list[str]:
    """Reviews whose text is not the one that was read."""
    lines = []
    for entry in reviewed:
        path = root / entry.file
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != entry.sha256:
            lines.append(f"{entry.file}: its text is not the one that was reviewed (read it, and write sha256 = \"{found}\" into {REVIEWED.name})")
    return lines


def phases(image: Image, graph: calls.Graph) -> tuple[set[Function], set[Function]]:
    """The functions that can run after the boot, and those that only the boot can reach."""
    running = graph.reachable([function for name in _HARDWARE_ROOTS if (function := image.named(name))])
    start = image.named(_BOOT_ROOT)
    return running, graph.reachable([start] if start else []) - running


def classify(image: Image, graph: calls.Graph, host: HostRun, run: ImageRun, reviewed: list[Reviewed], proved: set[Function] = frozenset()) -> Inventory:
    """Gives each function of the sources that is in the image its class. `proved`: functions of the image whose machine code is proved."""
    running, _ = phases(image, graph)
    holders: dict[Source, list[Function]] = {}
    for function in image.functions:
        for source in function.parts or (function.source,):
            holders.setdefault(source, []).append(function)
    executed = {(source.file, source.line) for address in run.executed for source in image.origin(address)}
    listed = {(entry.file, name) for entry in reviewed for name in entry.functions}
    borders = _borders(holders, host)
    inventory = Inventory({}, {})
    for source, functions in holders.items():
        runs = any(function in running for function in functions)
        if all(function in proved for function in functions):
            found = "binary-proved"
        elif all(function.is_assembly for function in functions):
            found = "assembly-reviewed" if any(entry.file == source.file and not entry.functions for entry in reviewed) else None
        elif runs and (source.file, source.line) in executed or host.reached(source.file, source.line, borders[source.file, source.line]):
            found = "lockstep-covered"
        elif not runs:
            found = "boot-only"
        else:
            found = "reviewed" if (source.file, re.sub(r"<.*>", "", source.name)) in listed else None
        if found:
            inventory.classes[source] = found
        else:
            inventory.unclassified[source] = functions
    return inventory


def _borders(sources, host: HostRun) -> dict[tuple[str, int], int]:
    """For each function the line at which the next one of its file begins."""
    starts: dict[str, set[int]] = {}
    for file, line in [*((source.file, source.line) for source in sources), *host.functions]:
        starts.setdefault(file, set()).add(line)
    following = {}
    for file, lines in starts.items():
        ordered = sorted(lines)
        following |= {(file, line): after for line, after in zip(ordered, [*ordered[1:], ordered[-1] + _LAST_FUNCTION])}
    return following


def section(image: Image, root: Path, host: HostRun, run: ImageRun, proved: set[Function]) -> Section:
    """The section. `proved`: functions of the image whose machine code is proved."""
    result = Section(2, "inventory of the trusted computing base")
    graph = calls.build(image, places.read_indirect())
    reviewed = read_reviewed()
    inventory = classify(image, graph, host, run, reviewed, proved)
    _list_functions(result, image, inventory, run, proved)
    result.failures += [f"{source}: in no class (in {', '.join(map(str, functions[:3]))}): make the lockstep or a trace reach it, or review it and list it in "
                        f"{REVIEWED.name}" for source, functions in sorted(inventory.unclassified.items(), key=lambda entry: str(entry[0]))]
    result.failures += changed_reviews(reviewed, root)
    result.failures += _superfluous(inventory, reviewed)
    result.failures += [f"{instruction.address:#x}: `{instruction}` lies in no function" for instruction in image.stray()]
    binary(result, image, root, graph)
    return result


def _list_functions(result: Section, image: Image, inventory: Inventory, run: ImageRun, proved: set[Function]) -> None:
    """The table of functions, and totals."""
    rows, totals, sizes = [], Counter(), Counter()
    privileged, _ = places.used(image)
    for function in image.functions:
        parts = function.parts or (function.source,)
        kinds = ["binary-proved"] if function in proved else [inventory.classes.get(part, "unclassified") for part in parts]
        worst = max(kinds, key=lambda kind: CLASSES.index(kind) if kind in CLASSES else len(CLASSES))
        code = image.code(function)
        done = sum(instruction.address in run.executed for instruction in code)
        place = f"{function.source.file}:{function.source.line}"
        rows.append((f"{function.address:#x}", function.size, worst, f"{done}/{len(code)}", len(parts) - 1, place, function.name))
        totals[worst] += 1
        sizes[worst] += function.size
    result.lines += table(rows, ("address", "bytes", "class", "traced", "inlined", "source", "function"))
    result.lines += [f"{kind}: {totals[kind]} functions, {sizes[kind]} bytes" for kind in (*CLASSES, "unclassified") if totals[kind]]
    by_source = Counter(inventory.classes.values())
    counts = ", ".join(f"{by_source[kind]} {kind}" for kind in CLASSES if by_source[kind])
    result.lines.append(f"functions of the sources in the image, inlined ones too: {counts}; {len(inventory.unclassified)} in no class")
    code = [instruction for instruction in image.instructions if image.function_at(instruction.address)]
    done = sum(instruction.address in run.executed for instruction in code)
    result.lines.append(f"in all: {len(image.functions)} functions, {len(code)} instructions, {len(code) * BYTES} bytes; {done} instructions executed while "
                        "the oracle compared")
    result.lines.append(f"privileged and system instructions: {sum(privileged.values())}, at {len(privileged)} places, all listed in {places.LISTED.name}")


def _superfluous(inventory: Inventory, reviewed: list[Reviewed]) -> list[str]:
    """Functions that are listed as reviewed and need not be, or are not there: the list is what it has to be and no more."""
    needed = {(source.file, re.sub(r"<.*>", "", source.name)) for source, kind in inventory.classes.items() if kind == "reviewed"}
    return [f"{entry.file}: {name}: listed in {REVIEWED.name}, and it is covered or not there (remove it)"
            for entry in reviewed for name in entry.functions if (entry.file, name) not in needed]


def binary(result: Section, image: Image, root: Path, graph: calls.Graph) -> None:
    """The audit of the binary: places of instructions, pages, calls and stack."""
    result.failures += places.findings(image, places.read_listed(), _FLOATING_FUNCTIONS)
    result.failures += pages.of_segments(image)
    result.failures += graph.findings
    usages, wrong = stack.measure_all(image, graph)
    result.failures += wrong
    calls_made = sum(edge.returns for edges in graph.edges.values() for edge in edges)
    result.lines.append(f"calls: {calls_made}, no recursion; {len(graph.jumps)} indirect branches, each through a checked table, to a constant or listed; "
                        f"floating-point registers only in {' and '.join(_FLOATING_FUNCTIONS)}")
    result.lines.append(f"segments: {', '.join(f'{segment.start:#x} {_rights(segment)}' for segment in image.segments)}")
    if not any(finding.startswith("recursion") for finding in graph.findings):
        _bound_stacks(result, image, root, graph, usages)


def _rights(segment) -> str:
    return f"r{'w' if segment.write else '-'}{'x' if segment.execute else '-'}"


def stack_sizes(image: Image, root: Path) -> dict[str, int]:
    """The bytes of each stack, from the header that lays them out, which must be as the image has them."""
    numbers = {name: int(value) for name, value in _NUMBER.findall((root / "kernel/arch/aarch64/layout.h").read_text(encoding="utf-8"))}
    stride = numbers["GUARD_BYTES"] + numbers["STACK_BYTES"]
    if image.symbol("emergency_stack") - image.symbol("kernel_stacks") != numbers["MAX_CORES"] * stride or \
            image.symbol("emergency_stack_top") - image.symbol("emergency_stack") != stride:
        raise AuditError(f"{image.path}: its stacks are not laid out as kernel/arch/aarch64/layout.h says (build again)")
    return {"kernel_stacks": numbers["STACK_BYTES"] - numbers["TRAP_WORDS_BYTES"], "emergency_stack": numbers["STACK_BYTES"]}


def _bound_stacks(result: Section, image: Image, root: Path, graph: calls.Graph, usages: dict[Function, stack.Usage]) -> None:
    sizes = stack_sizes(image, root)
    for name, entries in _STACKS.items():
        for entry in entries:
            function = image.named(entry)
            if function is None:
                result.failures.append(f"{entry}: the image has no such function (the audit must know each that is entered on an empty stack)")
                continue
            found = stack.bound(graph, usages, function)
            chain = " > ".join(str(part).replace("caprock::", "").replace("(anonymous namespace)::", "") for part in found.chain)
            line = f"stack from {entry}: at most {found.total} of {sizes[name]} bytes: {chain}"
            result.lines.append(line)
            if found.total > sizes[name]:
                result.failures.append(line)
    taking = sorted({function.source.file for function, usage in usages.items() if usage.resets and not function.is_assembly})
    result.failures += [f"{file}: C++ that takes another stack" for file in taking]
