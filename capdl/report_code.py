# SPDX-License-Identifier: BSD-2-Clause
"""How much code a program is: bytes that are loaded, and lines of the source files that its debugging information says it was made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .diagnostics import CapdlError


@dataclass(frozen=True)
class CodeSize:
    """bytes: that are loaded from the file. files: (name, lines) of the sources that have code in it, comments and empty lines included.
    missing: names of sources that are nowhere, such as those of the compiler's own headers."""

    bytes: int
    files: tuple[tuple[str, int], ...]
    missing: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        """Lines of all files."""
        return sum(lines for _, lines in self.files)

    @staticmethod
    def total(sizes: Iterable[CodeSize]) -> CodeSize:
        """Several programs together: bytes add up, and a source file counts once."""
        files = dict(item for size in sizes for item in size.files)
        missing = {name for size in sizes for name in size.missing}
        return CodeSize(sum(size.bytes for size in sizes), tuple(sorted(files.items())), tuple(sorted(missing)))


@cache
def code_size(elf: Path, source_roots: tuple[Path, ...]) -> CodeSize:
    """The CodeSize of an ELF file. source_roots: folders that its sources are looked for in. Raises CapdlError when it is no ELF file, or has no
    debugging information."""
    try:
        with open(elf, "rb") as stream:
            image = ELFFile(stream)
            loaded = sum(segment["p_filesz"] for segment in image.iter_segments() if segment["p_type"] == "PT_LOAD")
            if image.get_section_by_name(".debug_info") is None:
                raise CapdlError(f"capdl: error: {elf}: has no debugging information to count source lines by (compile it with -g)\n")
            names = source_names(image.get_dwarf_info())
    except OSError as error:
        raise CapdlError(f"capdl: error: {elf}: cannot be read: {error.strerror}\n") from error
    except ELFError as error:
        raise CapdlError(f"capdl: error: {elf}: is no ELF file ({error})\n") from error
    files, missing = [], []
    for name in sorted(names):
        path = next((root / name for root in source_roots if (root / name).is_file()), None)
        if path is None:
            missing.append(name)
        else:
            files.append((name, len(path.read_text(encoding="utf-8", errors="replace").splitlines())))
    return CodeSize(loaded, tuple(files), tuple(missing))


def source_names(dwarf: Any) -> set[str]:
    """Names of the files that have code in a program, as its debugging information spells them."""
    names = set()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is not None:
            names |= used_files(program)
    return names


def used_files(program: Any) -> set[str]:
    """The files of one unit to which its line table maps an address."""
    first = 0 if program.header.version >= 5 else 1
    files = program.header.file_entry
    folders = program.header.include_directory
    names = set()
    for number in {entry.state.file for entry in program.get_entries() if entry.state is not None and not entry.state.end_sequence}:
        if 0 <= number - first < len(files):
            entry = files[number - first]
            inside = entry.dir_index - first
            folder = folders[inside].decode() if 0 <= inside < len(folders) else ""
            names.add(str(Path(folder) / entry.name.decode()))
    return names
