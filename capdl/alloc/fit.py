# SPDX-License-Identifier: BSD-2-Clause
"""Whether a system fits a board, or the memory that its description declares, found by running the loader's planner on the untypeds that the
kernel would give there.

The untypeds are nominal: what the kernel, the boot shim and the device tree take is a bound and not the exact place, and firmware may
take more. The loader decides with the real ones.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import libfdt

from ..devicetree import Board, DeviceProblem, join
from ..diagnostics import CapdlError, Diagnostics
from ..lower import LoaderTables
from ..model import Spec

PAGE_BYTES = 4096
# Kernel image, boot information, device tree and page tables: taken from the start of memory.
BOOT_BYTES = 8 << 20
# The root task without what it brings along.
LOADER_BYTES = 512 << 10
# Devices are below this address on the boards that there are.
DEVICE_TOP = 1 << 40
LARGEST_BITS = 47
# Memory of boards whose device tree leaves it to the firmware to fill in.
NOMINAL_MEMORY = {"raspi4b": [(0, 960 << 20)]}


def memory_ranges(board: Board) -> list[tuple[int, int]]:
    """(start, end) of each range of memory that a devicetree.Board has, ascending."""
    ranges = []
    node = board.tree.first_subnode(0, (libfdt.NOTFOUND,))
    address_cells, size_cells = board.cell(0, "#address-cells", 2), board.cell(0, "#size-cells", 1)
    while node >= 0:
        if board.text(node, "device_type") == "memory":
            reg = board.cells(node, "reg") or []
            step = address_cells + size_cells
            for at in range(0, len(reg) - step + 1, step):
                start, size = join(reg[at:at + address_cells]), join(reg[at + address_cells:at + step])
                if size:
                    ranges.append((start, start + size))
        node = board.tree.next_subnode(node, (libfdt.NOTFOUND,))
    return sorted(ranges)


def blocks(start: int, end: int) -> Iterator[tuple[int, int]]:
    """A range of addresses as blocks that are aligned to their size: (address, log2 of bytes)."""
    start, end = -(-start // PAGE_BYTES) * PAGE_BYTES, end // PAGE_BYTES * PAGE_BYTES
    while start < end:
        bits = min((end - start).bit_length() - 1, LARGEST_BITS)
        if start:
            bits = min(bits, (start & -start).bit_length() - 1)
        yield start, bits
        start += 1 << bits


def nominal_untypeds(memory: list[tuple[int, int]], taken: int) -> list[str]:
    """Lines of input for capdl-plan. memory: ranges of the board. taken: bytes that are in use when the loader starts."""
    lines = []
    for start, end in memory:
        used = min(taken, end - start)
        taken -= used
        lines += [f"untyped {address:#x} {bits} memory" for address, bits in blocks(start + used, end)]
    below = 0
    for start, end in [*memory, (DEVICE_TOP, DEVICE_TOP)]:
        lines += [f"untyped {address:#x} {bits} device" for address, bits in blocks(below, start)]
        below = end
    return lines


def object_lines(tables: LoaderTables) -> Iterator[str]:
    """Lines of input for capdl-plan: the objects that are placed in the kernel's untypeds."""
    group = tables.groups[0]
    for item in tables.objects[group.first:group.first + group.count]:
        yield f"object {item.type} {item.bits} {'-' if item.paddr is None else f'{item.paddr:#x}'} {item.name.replace(' ', '_')}"


def check_fit(tables: LoaderTables, machine: str, dtb: Path | None, root_elf: Path, build_dir: Path) -> None:
    """Raise CapdlError, which names an object, when the objects of lower.LoaderTables do not fit a board.

    machine: the board's name, for messages. dtb: its device tree; None checks nothing. root_elf: the root task, whose image takes memory.
    build_dir: the build folder with the planner.
    """
    if dtb is None:
        return
    try:
        memory = memory_ranges(Board(Path(dtb)))
    except DeviceProblem as error:
        raise CapdlError(f"capdl: error: {error}\n") from error
    memory = memory or NOMINAL_MEMORY.get(machine)
    if not memory:
        raise CapdlError(f"capdl: error: {dtb}: the device tree has no memory (give the machine's own)\n")
    problem = misfit(tables, memory, BOOT_BYTES + Path(root_elf).stat().st_size, build_dir)
    if problem:
        raise CapdlError(f"capdl: error: {tables.name} on {machine}: {problem}\n")


def misfit(tables: LoaderTables, memory: list[tuple[int, int]], taken: int, build_dir: Path) -> str | None:
    """What the planner has against the objects of lower.LoaderTables in this memory, beginning with an object's name; None: they fit.

    memory: (start, end) of each range. taken: bytes that are in use when the loader starts. build_dir: the build folder with the planner."""
    lines = nominal_untypeds(memory, taken) + list(object_lines(tables))
    planner = build_dir / "capdl" / "capdl-plan"
    try:
        done = subprocess.run([str(planner)], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    except OSError as error:
        raise CapdlError(f"capdl: error: {planner}: {error.strerror} (build the project first)\n") from error
    return done.stderr.removeprefix("capdl-plan: ").rstrip("\n") if done.returncode != 0 else None


def image_bytes(tables: LoaderTables) -> int:
    """A bound of the root task's size: the loader, pages that become frames, and what is copied."""
    return LOADER_BYTES + len(tables.pages) * PAGE_BYTES + sum(fill.length for fill in tables.fills if fill.source == "Embedded")


def check_declared_map(spec: Spec, diagnostics: Diagnostics) -> list[tuple[int, int]]:
    """Report a declared memory map that cannot be; gives its ranges, ascending, as (start, end)."""
    ranges = sorted(spec.memory, key=lambda item: item.start)
    for item in ranges:
        if item.size == 0 or item.start % PAGE_BYTES or item.size % PAGE_BYTES or item.start + item.size > DEVICE_TOP:
            diagnostics.error(item.place, f"{item.size} bytes at {item.start:#x} are no memory (whole pages, below {DEVICE_TOP:#x})", "memory-map")
    for first, second in zip(ranges, ranges[1:]):
        if first.start + first.size > second.start:
            diagnostics.error(second.place, f"the memory at {second.start:#x} overlaps that at {first.start:#x} (correct one)", "memory-map")
    return [(item.start, item.start + item.size) for item in ranges]


def check_system(spec: Spec, tables: LoaderTables, diagnostics: Diagnostics, build_dir: Path, machine: str, dtb: Path | None) -> None:
    """Report what does not fit: the memory that the description declares, if it does, and the board, if there is a device tree.

    spec, tables: the system, and what lower.py made of it. machine: the board's name."""
    places = [(f"the declared memory ({len(spec.memory)} range{'s' if len(spec.memory) > 1 else ''})", check_declared_map(spec, diagnostics))]
    if dtb is not None:
        try:
            places.append((machine, memory_ranges(Board(Path(dtb))) or NOMINAL_MEMORY.get(machine)))
        except DeviceProblem as error:
            diagnostics.error(None, str(error), "device-tree")
    if not diagnostics.ok:
        return
    taken = BOOT_BYTES + image_bytes(tables)
    for label, memory in places:
        problem = misfit(tables, memory, taken, Path(build_dir)) if memory else None
        if problem:
            item = spec.objects.get(problem.split(" ", 1)[0])
            diagnostics.error(None if item is None else item.place, f"on {label}: {problem}", "memory-fit")
