# SPDX-License-Identifier: BSD-2-Clause
"""What the tool needs to know of a component's ELF file: entry, loadable segments, and the hash of the API it was built with."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .interface_meaning import name_of

INTERFACE_SECTION = ".caprock.interfaces"
NOTE_NAME = b"Caprock\0"
NOTE_API_HASH = 1
PF_X, PF_W = 1, 2


class ElfProblem(Exception):
    """The file is no component; str() says why."""


@dataclass(frozen=True)
class Segment:
    """A loadable segment. vaddr, size: memory; offset, file_size: its content in the file, zero beyond."""

    vaddr: int
    size: int
    offset: int
    file_size: int
    writable: bool
    executable: bool


@dataclass(frozen=True)
class Image:
    """A component's program. api_hash: 8 bytes of its note. meanings: of the interfaces that it was compiled with, by name."""

    entry: int
    segments: tuple[Segment, ...]
    api_hash: bytes
    meanings: dict[str, str]


def note_hash(data: bytes) -> bytes | None:
    """The API hash in a PT_NOTE segment's bytes, or None."""
    position = 0
    while position + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<III", data, position)
        name_at = position + 12
        content_at = name_at + (name_size + 3) // 4 * 4
        if data[name_at:name_at + name_size] == NOTE_NAME and kind == NOTE_API_HASH and size == 8 and content_at + 8 <= len(data):
            return data[content_at:content_at + 8]
        position = content_at + (size + 3) // 4 * 4
    return None


def read(path: Path) -> Image:
    """The Image in the file `path`; ElfProblem when it is none."""
    try:
        content = path.read_bytes()
        elf = ELFFile(BytesIO(content))
        return image(elf)
    except OSError as error:
        raise ElfProblem(f"cannot be read: {error.strerror}") from error
    except (ELFError, struct.error, ValueError, AssertionError) as error:
        raise ElfProblem(f"is no valid ELF file ({error or type(error).__name__})") from error


def image(elf: ELFFile) -> Image:
    """The Image of an opened ELF file."""
    if elf["e_machine"] != "EM_AARCH64" or elf.elfclass != 64 or not elf.little_endian:
        raise ElfProblem("is not for 64-bit little-endian AArch64 (build it with the cross compiler)")
    if elf["e_type"] != "ET_EXEC":
        raise ElfProblem("is not linked at a fixed address (link it statically, without -pie)")
    segments, api_hash = [], None
    for header in elf.iter_segments():
        if header["p_type"] == "PT_LOAD" and header["p_memsz"]:
            flags = header["p_flags"]
            segments.append(Segment(header["p_vaddr"], header["p_memsz"], header["p_offset"], header["p_filesz"], bool(flags & PF_W),
                                    bool(flags & PF_X)))
        elif header["p_type"] == "PT_NOTE":
            api_hash = api_hash or note_hash(header.data())
        elif header["p_type"] == "PT_INTERP":
            raise ElfProblem("is linked dynamically (link it statically)")
    if api_hash is None:
        raise ElfProblem("has no Caprock note (link it with the SDK's start-up code and linker script)")
    return Image(elf["e_entry"], tuple(sorted(segments, key=lambda segment: segment.vaddr)), api_hash, read_meanings(elf))


def read_meanings(elf: ELFFile) -> dict[str, str]:
    """What the program was told its interfaces mean, by name."""
    section = elf.get_section_by_name(INTERFACE_SECTION)
    texts = section.data().decode("utf-8", "replace").split("\0") if section is not None else ()
    result: dict[str, str] = {}
    for text in texts:
        name = name_of(text)
        if name is not None and result.setdefault(name, text) != text:
            raise ElfProblem(f"was compiled with two different interfaces {name} (build all of it again)")
    return result
