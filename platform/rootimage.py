#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the payload (system.bin) of a program with seL4's boot contract, which runs as the root task in place of Caprock's own loader.

Such programs take their image for one range of pages: frame i of userImageFrames is page i from the image's base. The linker's segments are made
so: gaps become zero pages, and segments that share a page become one. An archive that comes along follows as one more segment; the last 16 bytes of
its last page are its size and a magic number, so that the program finds it (caprock_root_archive in <caprock/root.h>)."""

import argparse
import hashlib
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import payload

PAGE = 4096
ARCHIVE_MAGIC = b"CARCHIVE"
# More zero pages than this between two segments are no gap that a linker leaves.
LARGEST_GAP = 16 << 20
LARGEST_ARCHIVE = 256 << 20
MOST_SEGMENTS = 8
EXECUTABLE, AARCH64, LOAD, NOTE = 2, 183, 1, 4
EXECUTE, WRITE, READ = 1, 2, 4
REMEDY = "link it with -static -Wl,-z,max-page-size=4096"


class RootImageError(Exception):
    """The program cannot be a root task; the text is one line that says what, why and what to do."""


@dataclass
class Segment:
    """Pages of the image: their address, content (up to the first page that is zero to the end), number of bytes, and ELF flags."""

    vaddr: int
    content: bytes
    size: int
    flags: int

    @property
    def end(self) -> int:
        """First address after it."""
        return self.vaddr + self.size


def _down(value: int) -> int:
    return value // PAGE * PAGE


def _up(value: int) -> int:
    return _down(value + PAGE - 1)


def _headers(elf: bytes, name: str) -> tuple[int, list[tuple]]:
    """The entry and the program headers (type, flags, offset, vaddr, file size, memory size)."""
    if elf[:6] != b"\x7fELF\x02\x01" or len(elf) < 64:
        raise RootImageError(f"{name}: no 64-bit little-endian ELF file (give the linked program)")
    kind, machine = struct.unpack_from("<HH", elf, 16)
    if machine != AARCH64:
        raise RootImageError(f"{name}: for machine {machine}, not AArch64 (compile it with aarch64-linux-gnu-gcc)")
    if kind != EXECUTABLE:
        raise RootImageError(f"{name}: no executable at fixed addresses, but ELF type {kind} ({REMEDY})")
    entry, table = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    headers = []
    for i in range(count):
        if size != 56 or table + (i + 1) * size > len(elf):
            raise RootImageError(f"{name}: its program headers are cut off (link it again)")
        kind, flags, offset, vaddr, _, file_size, memory_size, _ = struct.unpack_from("<IIQQQQQQ", elf, table + i * size)
        if kind in (LOAD, NOTE) and (offset + file_size > len(elf) or kind == LOAD and file_size > memory_size):
            raise RootImageError(f"{name}: the segment at {vaddr:#x} is cut off (link it again)")
        headers.append((kind, flags, offset, vaddr, file_size, memory_size))
    return entry, headers


def _paged(content: bytes, vaddr: int, size: int, flags: int) -> Segment:
    """A segment of whole pages that holds the bytes."""
    start = _down(vaddr)
    return Segment(start, bytes(vaddr - start) + content, _up(vaddr + size) - start, flags)


def _merged(first: Segment, second: Segment, name: str) -> Segment:
    """Two segments that share a page, as one."""
    flags = first.flags | second.flags
    if flags & WRITE and flags & EXECUTE:
        raise RootImageError(f"{name}: the page at {second.vaddr:#x} would be writable and executable ({REMEDY})")
    offset = second.vaddr - first.vaddr
    # Where both have bytes, at least one of them has only the zeroes that fill its page.
    shared = bytes(a | b for a, b in zip(first.content[offset:], second.content))
    content = first.content[:offset].ljust(offset, b"\0") + shared + (first.content[offset + len(shared):] or second.content[len(shared):])
    return Segment(first.vaddr, content, max(first.size, second.end - first.vaddr), flags)


def _one_range(segments: list[Segment], name: str) -> list[Segment]:
    """The segments without gaps and overlaps."""
    result: list[Segment] = []
    for segment in sorted(segments, key=lambda item: item.vaddr):
        if not result:
            result.append(segment)
        elif segment.vaddr < result[-1].end:
            result[-1] = _merged(result[-1], segment, name)
        else:
            gap = segment.vaddr - result[-1].end
            if gap > LARGEST_GAP:
                raise RootImageError(f"{name}: nothing lies in the {gap} bytes before {segment.vaddr:#x} (place the segments side by side)")
            result[-1].size += gap
            result.append(segment)
    return result


def _archive_segment(archive: bytes, start: int) -> Segment:
    """The archive's pages, with its trailer in the last 16 bytes."""
    size = _up(len(archive) + 16)
    return Segment(start, archive.ljust(size - 16, b"\0") + struct.pack("<Q", len(archive)) + ARCHIVE_MAGIC, size, READ)


def _write_elf(entry: int, segments: list[Segment], api_hash: int) -> bytes:
    """An ELF executable of these segments, with the API hash as its note."""
    note = struct.pack("<III8sQ", 8, 8, payload.NOTE_API_HASH, payload.NOTE_OWNER, api_hash)
    note_at = 64 + 56 * (len(segments) + 1)
    offset = _up(note_at + len(note))
    headers = [struct.pack("<IIQQQQQQ", NOTE, READ, note_at, 0, 0, len(note), len(note), 4)]
    body = b""
    for segment in segments:
        headers.append(struct.pack("<IIQQQQQQ", LOAD, segment.flags, offset + len(body), segment.vaddr, segment.vaddr, len(segment.content),
                                   segment.size, PAGE))
        body += segment.content.ljust(_up(len(segment.content)), b"\0")
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", EXECUTABLE, AARCH64, 1, entry, 64, 0, 0, 64, 56, len(headers), 64, 0, 0)
    return (header + b"".join(headers) + note).ljust(offset, b"\0") + body


def prepare(elf: bytes, name: str, archive: bytes | None = None) -> tuple[bytes, int]:
    """The program as the boot shim takes root tasks, and its API hash. `archive`: what follows it. RootImageError if it cannot be one."""
    entry, headers = _headers(elf, name)
    segments = [_paged(elf[offset:offset + file_size], vaddr, memory_size, flags & 7)
                for kind, flags, offset, vaddr, file_size, memory_size in headers if kind == LOAD and memory_size]
    if not segments:
        raise RootImageError(f"{name}: it has no loadable segment (give the linked program)")
    for segment in segments:
        if segment.flags & WRITE and segment.flags & EXECUTE:
            raise RootImageError(f"{name}: the segment at {segment.vaddr:#x} is writable and executable ({REMEDY})")
    api_hash = payload.elf_api_hash(elf)
    if api_hash is None:
        raise RootImageError(f"{name}: it has no note with its API hash (link libsel4.a, and keep the section .note.caprock)")
    segments = _one_range(segments, name)
    if archive is not None:
        if not 0 < len(archive) <= LARGEST_ARCHIVE:
            raise RootImageError(f"an archive of {len(archive)} bytes: it must have 1 to {LARGEST_ARCHIVE}")
        segments.append(_archive_segment(archive, segments[-1].end))
    if len(segments) > MOST_SEGMENTS:
        raise RootImageError(f"{name}: {len(segments)} segments, the boot shim takes {MOST_SEGMENTS} (link with fewer)")
    return _write_elf(entry, segments, api_hash), api_hash


def make(program: Path, archive: Path | None = None, cnode_bits: int = 0) -> bytes:
    """The payload of a program, by its file. `archive`: the file to go with it. `cnode_bits`: radix of the root CNode, 12 to 20, or 0 for 12.
    RootImageError if it cannot be made."""
    try:
        image, api_hash = prepare(program.read_bytes(), program.name, archive.read_bytes() if archive else None)
        return payload.make_payload(image, program.stem[:63], hashlib.sha256(image).digest(), api_hash, cnode_bits)
    except OSError as error:
        raise RootImageError(f"{error.filename}: {error.strerror} (give a file that can be read)") from error
    except payload.PayloadError as error:
        raise RootImageError(str(error)) from error


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a payload (system.bin) of a program with seL4's boot contract.")
    parser.add_argument("program", type=Path, help="the linked program")
    parser.add_argument("output", type=Path)
    parser.add_argument("--with", dest="archive", type=Path, metavar="ARCHIVE", help="a file that the program finds behind its image")
    parser.add_argument("--cnode-bits", type=int, default=0, metavar="N", help="radix of the root CNode, 12 to 20 (default: 12)")
    arguments = parser.parse_args()
    try:
        arguments.output.write_bytes(make(arguments.program, arguments.archive, arguments.cnode_bits))
    except (RootImageError, OSError) as error:
        print(f"rootimage.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
