# SPDX-License-Identifier: BSD-2-Clause
"""The board as its flattened device tree describes it: registers and interrupts of a node."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import libfdt

_QUIET = (libfdt.NOTFOUND,)
_SPI, _PPI = 0, 1
_FIRST_NUMBER = {_SPI: 32, _PPI: 16}
_EDGE_FLAGS = 0x3


class DeviceProblem(Exception):
    """The device tree does not give what the description wants; str() says why."""


@dataclass(frozen=True)
class Registers:
    """Physical address and bytes of a device's registers; compatible: its first compatible string."""

    address: int
    size: int
    compatible: str


# Path, property, offset in it, and bytes that stand there.
Fact = tuple[str, str, int, bytes]


class Board:
    """A device tree. All methods raise DeviceProblem."""

    def __init__(self, path: Path):
        """path: pathlib.Path of a flattened device tree blob."""
        self.path = path
        self.properties: dict[int, dict[str, bytes]] = {}   # node -> its properties by name
        try:
            self.tree = libfdt.FdtRo(path.read_bytes())
            self.tree.first_subnode(0, _QUIET)
        except OSError as error:
            raise DeviceProblem(f"the device tree {path} cannot be read: {error.strerror}") from error
        except (libfdt.FdtException, ValueError) as error:
            raise DeviceProblem(f"{path} is no device tree blob ({error})") from error

    def raw(self, node: int, name: str) -> bytes | None:
        """A property's bytes, or None. Found by enumeration: asking libfdt's binding for a missing property releases a reference to
        Python's None that it does not own, which ends the interpreter after some hundred times."""
        if node not in self.properties:
            found = self.properties[node] = {}
            offset = self.tree.first_property_offset(node, _QUIET)
            while offset >= 0:
                item = self.tree.get_property_by_offset(offset)
                found[item.name] = bytes(item)
                offset = self.tree.next_property_offset(offset, _QUIET)
        return self.properties[node].get(name)

    def text(self, node: int, name: str) -> str | None:
        """The first text of a property, or None."""
        value = self.raw(node, name)
        return None if value is None else value.split(b"\0")[0].decode("utf-8", "replace")

    def cells(self, node: int, name: str) -> list[int] | None:
        """A property as a list of 32-bit numbers, or None."""
        value = self.raw(node, name)
        return None if value is None else list(struct.unpack(f">{len(value) // 4}I", value[:len(value) // 4 * 4]))

    def cell(self, node: int, name: str, default: int) -> int:
        """A property's first 32-bit number."""
        values = self.cells(node, name)
        return values[0] if values else default

    def parent(self, node: int) -> int | None:
        """The parent of a node, or None for the root."""
        return None if node == 0 else self.tree.parent_offset(node)

    def path_of(self, name: str) -> str:
        """The path that `name` means: itself, an alias, or stdout."""
        if name == "stdout":
            chosen = self.tree.path_offset("/chosen", _QUIET)
            name = None if chosen < 0 else self.text(chosen, "stdout-path")
            if not name:
                raise DeviceProblem("the device tree names no stdout (/chosen has no stdout-path); give the device's path")
            name = name.split(":")[0]
        if name.startswith("/"):
            return name
        aliases = self.tree.path_offset("/aliases", _QUIET)
        path = None if aliases < 0 else self.text(aliases, name)
        if path is None:
            raise DeviceProblem(f"the device tree has no alias '{name}' (give a path such as \"/soc/...\")")
        return path

    def node(self, name: str) -> int:
        """The node that `name` means; it must not be disabled."""
        path = self.path_of(name)
        offset = self.tree.path_offset(path, _QUIET)
        if offset < 0:
            raise DeviceProblem(f"the device tree has no node '{path}'")
        if self.text(offset, "status") not in (None, "ok", "okay"):
            raise DeviceProblem(f"the device '{path}' is disabled in the device tree")
        return offset

    def devices(self, node: int = 0) -> Iterator[tuple[str, str]]:
        """(path, first compatible string) of all below a node that have registers or interrupts."""
        below = self.tree.first_subnode(node, _QUIET)
        while below >= 0:
            if self.text(below, "status") in (None, "ok", "okay"):
                if any(self.raw(below, name) is not None for name in ("reg", "interrupts", "interrupts-extended")):
                    yield self.full_path(below), self.text(below, "compatible") or ""
                yield from self.devices(below)
            below = self.tree.next_subnode(below, _QUIET)

    def full_path(self, node: int) -> str:
        """The path of a node with the names of all nodes on it."""
        names = []
        while node != 0:
            names.append(self.tree.get_name(node))
            node = self.parent(node)
        return "/" + "/".join(reversed(names))

    def register_facts(self, name: str) -> Iterator[Fact]:
        """(path, property, offset, bytes) of all that the address of the node's registers follows from."""
        node = self.node(name)
        bus = self.parent(node)
        cells = self.cell(bus, "#address-cells", 2) + self.cell(bus, "#size-cells", 1)
        yield self.full_path(node), "reg", 0, self.raw(node, "reg")[:4 * cells]
        while bus != 0:
            if self.raw(bus, "ranges"):
                yield self.full_path(bus), "ranges", 0, self.raw(bus, "ranges")
            bus = self.parent(bus)

    def interrupt_facts(self, name: str, index: int) -> Iterator[Fact]:
        """The same of interrupt `index` of the node. References to its controller are left out: their numbers may differ from boot to boot."""
        node = self.node(name)
        extended = self.raw(node, "interrupts-extended")
        if extended is None:
            before = sum(4 * len(cells) for _, cells in self.plain(node)[:index])
            yield self.full_path(node), "interrupts", before, struct.pack(">3I", *self.plain(node)[index][1][:3])
        else:
            before = sum(4 + 4 * len(cells) for _, cells in self.extended(node)[:index])
            yield self.full_path(node), "interrupts-extended", before + 4, struct.pack(">3I", *self.extended(node)[index][1][:3])

    def registers(self, name: str) -> Registers:
        """The first register range of the node, as physical addresses."""
        node = self.node(name)
        if self.text(node, "device_type") == "memory":
            raise DeviceProblem(f"'{self.path_of(name)}' is memory, not a device")
        bus = self.parent(node)
        address_cells = self.cell(bus, "#address-cells", 2) if bus is not None else 0
        size_cells = self.cell(bus, "#size-cells", 1) if bus is not None else 0
        reg = self.cells(node, "reg")
        if not address_cells or not size_cells or reg is None or len(reg) < address_cells + size_cells:
            raise DeviceProblem(f"the device '{self.path_of(name)}' has no registers ('reg')")
        address, size = join(reg[:address_cells]), join(reg[address_cells:address_cells + size_cells])
        if size == 0:
            raise DeviceProblem(f"the registers of '{self.path_of(name)}' have no size")
        return Registers(self.translate(bus, address, size, name), size, self.text(node, "compatible") or "")

    def translate(self, bus: int, address: int, size: int, name: str) -> int:
        """An address on `bus` as a physical one, through `ranges` up to the root."""
        while bus != 0:
            above = self.parent(bus)
            ranges = self.cells(bus, "ranges")
            if ranges is None:
                raise DeviceProblem(f"the registers of '{self.path_of(name)}' are not memory (its bus has no 'ranges')")
            if ranges:
                address = self.translate_once(bus, above, ranges, address, size, name)
            bus = above
        return address

    def translate_once(self, bus: int, above: int, ranges: list[int], address: int, size: int, name: str) -> int:
        """One step of translate."""
        child_cells, parent_cells = self.cell(bus, "#address-cells", 2), self.cell(above, "#address-cells", 2)
        size_cells = self.cell(bus, "#size-cells", 1)
        step = child_cells + parent_cells + size_cells
        for at in range(0, len(ranges) - step + 1, step):
            child = join(ranges[at:at + child_cells])
            length = join(ranges[at + child_cells + parent_cells:at + step])
            if child <= address and address + size <= child + length:
                return join(ranges[at + child_cells:at + child_cells + parent_cells]) + address - child
        raise DeviceProblem(f"the registers of '{self.path_of(name)}' are outside the 'ranges' of its bus")

    def interrupt(self, name: str, index: int) -> tuple[int, str]:
        """(number, "level" or "edge") of interrupt `index` of the node, numbered as the GIC does."""
        node = self.node(name)
        specifiers = self.specifiers(node)
        if index >= len(specifiers):
            raise DeviceProblem(f"the device '{self.path_of(name)}' has {len(specifiers)} interrupts (index 0 to {len(specifiers) - 1})"
                                if specifiers else f"the device '{self.path_of(name)}' has no interrupts")
        controller, cells = specifiers[index]
        if not self.is_gic(controller):
            raise DeviceProblem(f"interrupt {index} of '{self.path_of(name)}' does not go to the GIC but to another controller")
        if len(cells) < 3 or cells[0] not in _FIRST_NUMBER:
            raise DeviceProblem(f"interrupt {index} of '{self.path_of(name)}' is no SPI or PPI")
        return _FIRST_NUMBER[cells[0]] + cells[1], "edge" if cells[2] & _EDGE_FLAGS else "level"

    def specifiers(self, node: int) -> list[tuple[int, list[int]]]:
        """(controller, cells) per interrupt of a node."""
        return self.extended(node) if self.raw(node, "interrupts-extended") is not None else self.plain(node)

    def is_gic(self, node: int) -> bool:
        """True when the node is an Arm GIC."""
        names = (self.raw(node, "compatible") or b"").split(b"\0")
        return any(name.startswith((b"arm,gic", b"arm,cortex-a")) and name.endswith((b"gic", b"gic-400", b"gic-v3")) for name in names)

    def by_phandle(self, phandle: int) -> int:
        """The node with a phandle."""
        try:
            return self.tree.node_offset_by_phandle(phandle)
        except libfdt.FdtException as error:
            raise DeviceProblem(f"the device tree refers to a missing interrupt controller ({phandle:#x})") from error

    def plain(self, node: int) -> list[tuple[int, list[int]]]:
        """(controller, cells) per entry of `interrupts`."""
        values = self.cells(node, "interrupts") or []
        holder = node
        while holder is not None and self.raw(holder, "interrupt-parent") is None:
            holder = self.parent(holder)
        if not values or holder is None:
            return []
        controller = self.by_phandle(self.cell(holder, "interrupt-parent", 0))
        width = max(self.cell(controller, "#interrupt-cells", 1), 1)
        return [(controller, values[at:at + width]) for at in range(0, len(values) - width + 1, width)]

    def extended(self, node: int) -> list[tuple[int, list[int]]]:
        """(controller, cells) per entry of `interrupts-extended`."""
        values, result, at = self.cells(node, "interrupts-extended"), [], 0
        while at < len(values):
            controller = self.by_phandle(values[at])
            width = max(self.cell(controller, "#interrupt-cells", 1), 1)
            result.append((controller, values[at + 1:at + 1 + width]))
            at += 1 + width
        return result


def join(cells: Iterable[int]) -> int:
    """The number that big-endian 32-bit cells spell."""
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value
