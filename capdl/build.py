# SPDX-License-Identifier: BSD-2-Clause
"""From a description to the payload that boots: checks and elaborates it, makes the root task, checks that it fits the board.

    system = build_system(path, machine="virt", dtb=..., elf_dirs=[...], build_dir=..., out_dir=...)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import payload
from elftools.elf.elffile import ELFFile

from .alloc.fit import check_fit, check_system
from .diagnostics import CapdlError
from .driver import load
from .emit import emit
from .lower import ROOT_MAX_UNTYPEDS, LoaderTables
from .model import Spec

PAGE_BYTES = 4096
# Slots that the kernel fills beside image, page tables and untypeds: fixed ones and scheduling control, and a device tree of 2 MiB.
KERNEL_SLOTS = 32 + 2 * 1024 * 1024 // PAGE_BYTES + 1
SMALLEST_RADIX = 12
LARGEST_RADIX = 20


@dataclass(frozen=True)
class BuiltSystem:
    """A built system. payload: system.bin. root_elf: the root task with symbols. elfs: the components' ELF files in order of
    declaration, each once. spec: the elaborated system. warnings: text of what was noticed beside, or "". system_hash: 32 bytes."""

    payload: Path
    root_elf: Path
    elfs: tuple[Path, ...]
    spec: Spec
    warnings: str
    system_hash: bytes


def image_pages(elf: Path) -> int:
    """Pages of the loadable segments of an ELF file."""
    with open(elf, "rb") as stream:
        segments = [segment for segment in ELFFile(stream).iter_segments() if segment["p_type"] == "PT_LOAD"]
    return sum(-(-segment["p_memsz"] // PAGE_BYTES) for segment in segments)


def root_cnode_bits(tables: LoaderTables, pages: int) -> int:
    """Radix of the root CNode for what the kernel and the loader put into it. pages: of the loader's image. Raises CapdlError."""
    page_tables = pages // 512 + 6
    slots = KERNEL_SLOTS + ROOT_MAX_UNTYPEDS + pages + page_tables + tables.slots_needed()
    radix = max(SMALLEST_RADIX, (slots - 1).bit_length())
    if radix > LARGEST_RADIX:
        raise CapdlError(f"capdl: error: {tables.name} needs {slots} slots at boot, and the root CNode has at most {1 << LARGEST_RADIX} "
                         "(make the system smaller)\n")
    return radix


def build_system(cdl_path: Path, *, machine: str, dtb: Path | None, elf_dirs: Sequence[Path], build_dir: Path, out_dir: Path, settings: Iterable[str] = (),
                 says: str = "Nothing") -> BuiltSystem:
    """Build the payload of a system.

    cdl_path: the description. machine: name of the board, for messages. dtb: its flattened device tree. elf_dirs: where the components'
    ELF files are looked for. build_dir: the project's build folder. out_dir: where all that is made goes; made when missing. settings:
    `NAME=VALUE` for parameters. says: as of emit. Returns a BuiltSystem. Raises CapdlError, whose text holds all findings.
    """
    out_dir = Path(out_dir).resolve()
    spec, diagnostics = load(cdl_path, elf_dirs=elf_dirs, dtb=dtb, out_dir=out_dir, settings=settings)
    if not diagnostics.ok:
        raise CapdlError(diagnostics.render())
    root = emit(spec, build_dir=build_dir, out_dir=out_dir, says=says)
    check_fit(root.tables, machine, dtb, root.boot_elf, Path(build_dir))
    check_system(spec, root.tables, diagnostics, build_dir, machine, None)
    if not diagnostics.ok:
        raise CapdlError(diagnostics.render())
    root_elf = root.boot_elf.read_bytes()
    try:
        content = payload.make_payload(root_elf, spec.name, root.system_hash, payload.elf_api_hash(root_elf),
                                       root_cnode_bits(root.tables, image_pages(root.boot_elf)))
    except payload.PayloadError as error:
        raise CapdlError(f"capdl: error: {error}\n") from error
    system_bin = out_dir / "system.bin"
    system_bin.write_bytes(content)
    elfs = tuple(dict.fromkeys(spec.files[component.elf] for component in spec.components.values()))
    return BuiltSystem(system_bin, root.elf, elfs, spec, diagnostics.render(), root.system_hash)
