# SPDX-License-Identifier: BSD-2-Clause
"""That nothing of the kernel is both writable and executable: its segments, and its translation tables as they are in the memory of a machine on which it runs,
which the processor obeys."""

from dataclasses import dataclass

from .code import AuditError
from .image import Image

IMAGE_ALIGNMENT = 2 << 20
PAGE = 4096
_ENTRIES = 512
_ADDRESS = 0x0000_FFFF_FFFF_F000
_READ_ONLY, _USER, _PXN, _UXN = 1 << 7, 1 << 6, 1 << 53, 1 << 54
_TABLE_ATTRIBUTES = 0b11111 << 59


@dataclass(frozen=True)
class Mapping:
    """A block or page of the kernel's address space."""

    address: int
    size: int
    physical: int
    write: bool
    execute: bool
    user: bool

    def __str__(self) -> str:
        rights = f"{'w' if self.write else '-'}{'x' if self.execute else '-'}{'u' if self.user else '-'}"
        return f"{self.address:#x} to {self.address + self.size:#x} (physical {self.physical:#x}, {rights})"


def of_segments(image: Image) -> list[str]:
    """Segments and sections that are both writable and executable, and entry code that is writable."""
    parts = [("segment", segment) for segment in image.segments] + [(f"section {name}", section) for name, section in image.sections.items()]
    lines = [f"{name} at {part.start:#x}: both writable and executable" for name, part in parts if part.write and part.execute]
    for first in image.segments:
        lines += [f"segments at {first.start:#x} and {second.start:#x} share a page, and one is writable, the other executable" for second in image.segments
                  if first.execute and second.write and first.start // PAGE <= (second.start + second.size - 1) // PAGE
                  and second.start // PAGE <= (first.start + first.size - 1) // PAGE]
    return lines


def find_image(memory: bytes, image: Image) -> int:
    """Where in memory the kernel lies, as an offset: it begins at a multiple of 2 MiB."""
    first = image.segments[0].start
    head = image.read(first, 64)
    for offset in range(0, len(memory), IMAGE_ALIGNMENT):
        if head and memory[offset:offset + len(head)] == head and memory[offset + PAGE:offset + 2 * PAGE] == image.read(first + PAGE, PAGE):
            return offset
    raise AuditError("the machine's memory: the kernel is not in it (the machine must run until the system is there)")


def walk(memory: bytes, start: int, root: int) -> list[Mapping]:
    """All mappings of the translation tables whose root lies at physical address `root`; memory begins at `start`. The upper half of the addresses."""
    found = []

    def table(physical: int, level: int, address: int) -> None:
        offset = physical - start
        if not 0 <= offset <= len(memory) - PAGE:
            raise AuditError(f"the kernel's tables: a table of level {level} lies at {physical:#x}, where no memory is")
        for index in range(_ENTRIES):
            entry = int.from_bytes(memory[offset + 8 * index:offset + 8 * index + 8], "little")
            place = address | index << (39 - 9 * level)
            if not entry & 1:
                continue
            if level < 3 and entry & 2:
                if entry & _TABLE_ATTRIBUTES:
                    raise AuditError(f"the kernel's tables: the table at {place:#x} has attributes of its own, which the audit does not know")
                table(entry & _ADDRESS, level + 1, place)
            else:
                size = 1 << (39 - 9 * level)
                found.append(Mapping(place, size, entry & _ADDRESS & -size, not entry & _READ_ONLY, not entry & _PXN, bool(entry & _USER)))

    table(root, 0, 0xFFFF << 48)
    return found


def of_tables(mappings: list[Mapping], image: Image) -> list[str]:
    """What the tables allow and must not."""
    if not any(mapping.execute for mapping in mappings):
        return ["the kernel's tables: nothing in them can be executed, so they are not those that are in use"]
    lines = [f"{mapping}: both writable and executable" for mapping in mappings if mapping.write and mapping.execute]
    lines += [f"{mapping}: user level may reach it" for mapping in mappings if mapping.user]
    code = [segment for segment in image.segments if segment.execute]
    lines += [f"{mapping}: executable, and not in the image's code" for mapping in mappings if mapping.execute and not any(
        segment.start <= mapping.address and mapping.address + mapping.size <= segment.start + -(-segment.size // PAGE) * PAGE for segment in code)]
    writable = sorted((mapping.physical, mapping.physical + mapping.size) for mapping in mappings if mapping.write)
    lines += [f"{mapping}: executable, and the same memory is writable elsewhere" for mapping in mappings if mapping.execute and any(
        low < mapping.physical + mapping.size and mapping.physical < high for low, high in writable)]
    return lines
