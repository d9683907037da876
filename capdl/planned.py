# SPDX-License-Identifier: BSD-2-Clause
"""Where the loader planned the objects of its system, read from its memory while it stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from elftools.elf.elffile import ELFFile

from .diagnostics import CapdlError
from .lower import PAGE_BITS, LoaderTables

WORD = 8
# Symbols of the root task: the plan's result, the first page for frames, the image's first byte, and where threads start.
ADDRESSES, PAGES, IMAGE = "_ZN7caprock6loader12_GLOBAL__N_19addressesE", "image_pages", "image_start"
READY = "_ZN7caprock6loader14resume_threadsERNS0_6LoaderE"


class Memory(Protocol):
    """The machine's memory."""

    def read(self, physical: int, count: int) -> bytes:
        """Bytes at a physical address."""

    def walk(self, root: int, address: int) -> int:
        """The physical address of a virtual one."""


def symbols(root_elf: Path) -> dict[str, int]:
    """The root task's symbols that are needed here. Raises CapdlError."""
    with open(root_elf, "rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        found = {} if table is None else {name: places[0]["st_value"] for name in (ADDRESSES, PAGES, IMAGE, READY)
                                          if (places := table.get_symbol_by_name(name))}
    missing = {ADDRESSES, PAGES, IMAGE, READY} - found.keys()
    if missing:
        raise CapdlError(f"capdl: error: {root_elf}: it has no symbol {min(missing)} (planned.py must name those of the loader)\n")
    return found


def places(tables: LoaderTables, known: dict[str, int], space: int, memory: Memory) -> dict[str, int]:
    """Names of objects with memory -> physical address. known: of `symbols`. space: physical address of the loader's address space."""
    found = {}
    # The kernel lays the image out in one piece. Pages that became frames are mapped no more.
    pages = memory.walk(space, known[IMAGE]) + known[PAGES] - known[IMAGE]
    of_pages = {frame.frame: frame.page for frame in tables.page_frames}
    for index, item in enumerate(tables.objects):
        word = memory.read(memory.walk(space, known[ADDRESSES] + WORD * index), WORD)
        found[item.name] = pages + (of_pages[index] << PAGE_BITS) if index in of_pages else int.from_bytes(word, "little")
    return found
