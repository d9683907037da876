# SPDX-License-Identifier: BSD-2-Clause
"""The devices of a board as subjects of a policy: registers, interrupts, and whether they may access memory by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libfdt

from .devicetree import Board, DeviceProblem, join

# Devices that do not access memory by themselves, by their first compatible string. All others may.
_NO_DMA = frozenset(("arm,pl011", "arm,pl031", "arm,pl061", "arm,sp804", "arm,sp805", "arm,armv7-timer", "arm,armv8-timer", "arm,cortex-a15-gic", "arm,gic-400",
                     "arm,gic-v2m-frame", "arm,armv8-pmuv3", "cfi-flash", "ns16550a", "brcm,bcm2835-aux-uart", "brcm,bcm2711-gpio", "brcm,bcm2835-gpio"))
# Nodes that are no devices: their first names.
_NO_DEVICES = frozenset(("cpus", "chosen", "aliases", "memory", "reserved-memory", "psci"))


@dataclass(frozen=True)
class Device:
    """A node of the device tree with registers or interrupts. name: its path. ranges: (address, end) of its registers. interrupts: as the GIC counts.
    dma: it may access memory by itself, and no SMMU that the kernel drives limits it."""

    name: str
    ranges: tuple[tuple[int, int], ...]
    interrupts: tuple[int, ...]
    dma: bool

    def overlaps(self, start: int, end: int) -> bool:
        """True when a range of addresses has some of its registers."""
        return any(start < last and first < end for first, last in self.ranges)


class Devices:
    """The devices of a device tree. Raises DeviceProblem when it cannot be read. all: by path, in the order of the tree."""

    def __init__(self, blob: Path):
        self._board = Board(blob)
        self.all = {device.name: device for device in self._find(0)}

    def find(self, name: str) -> Device | None:
        """The device of a path, an alias or `stdout`; None if it is none."""
        try:
            return self.all.get(self._board.full_path(self._board.node(name)))
        except DeviceProblem:
            return None

    def _find(self, parent: int) -> Iterator[Device]:
        """The devices below a node."""
        tree = self._board.tree
        node = tree.first_subnode(parent, (libfdt.NOTFOUND,))
        while node >= 0:
            if tree.get_name(node).partition("@")[0] not in _NO_DEVICES:
                if self._board.text(node, "status") in (None, "ok", "okay"):
                    device = self._device(node)
                    if device.ranges or device.interrupts:
                        yield device
                yield from self._find(node)
            node = tree.next_subnode(node, (libfdt.NOTFOUND,))

    def _device(self, node: int) -> Device:
        """A node as a Device."""
        path = self._board.full_path(node)
        compatible = self._board.text(node, "compatible")
        return Device(path, tuple(self._ranges(node, path)), tuple(self._interrupts(path)), compatible not in _NO_DMA)

    def _ranges(self, node: int, path: str) -> Iterator[tuple[int, int]]:
        """The registers of a node that are physical memory."""
        board, bus = self._board, self._board.parent(node)
        cells, registers = (board.cell(bus, "#address-cells", 2), board.cell(bus, "#size-cells", 1)), board.cells(node, "reg") or []
        for at in range(0, len(registers) - sum(cells) + 1, max(sum(cells), 1)):
            address, size = join(registers[at:at + cells[0]]), join(registers[at + cells[0]:at + sum(cells)])
            try:
                start = board.translate(bus, address, size, path)
            except DeviceProblem:
                continue
            if size:
                yield start, start + size

    def _interrupts(self, path: str) -> Iterator[int]:
        """The interrupts of a node that go to the GIC."""
        node = self._board.node(path)
        count = len(self._board.extended(node) if self._board.raw(node, "interrupts-extended") is not None else self._board.plain(node))
        for index in range(count):
            try:
                yield self._board.interrupt(path, index)[0]
            except DeviceProblem:
                continue
