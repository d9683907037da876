# SPDX-License-Identifier: BSD-2-Clause
"""What platform/rootimage.py makes of a program: one range of pages, an archive behind it, and one line for each thing that cannot be."""

import struct
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "platform"))

import payload  # noqa: E402
import rootimage  # noqa: E402

API_HASH = 0x0123456789ABCDEF
READ, READ_EXECUTE, READ_WRITE = 4, 5, 6


def elf(segments, note=True, kind=2, machine=183) -> bytes:
    """An executable; segments are (vaddr, content, memory size, flags)."""
    headers, body = [], b""
    base = 64 + 56 * (len(segments) + note)
    if note:
        body = struct.pack("<III8sQ", 8, 8, 1, b"Caprock\0", API_HASH)
        headers.append(struct.pack("<IIQQQQQQ", 4, 4, base, 0, 0, len(body), len(body), 4))
    for vaddr, content, size, flags in segments:
        headers.append(struct.pack("<IIQQQQQQ", 1, flags, base + len(body), vaddr, vaddr, len(content), size, 4096))
        body += content
    entry = segments[0][0] if segments else 0
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", kind, machine, 1, entry, 64, 0, 0, 64, 56, len(headers), 64, 0, 0)
    return head + b"".join(headers) + body


def image(program: bytes) -> dict[int, tuple[bytes, int]]:
    """The segments of a prepared program: address to (content with its zeroes, flags)."""
    _, headers = rootimage._headers(program, "image")
    return {vaddr: (program[offset:offset + file_size].ljust(size, b"\0"), flags) for kind, flags, offset, vaddr, file_size, size in headers if kind == 1}


def test_gaps_become_zero_pages():
    made, api_hash = rootimage.prepare(elf([(0x400100, b"code", 4, READ_EXECUTE), (0x410ff0, b"data", 0x20, READ_WRITE)]), "p")
    segments = image(made)
    assert api_hash == API_HASH == payload.elf_api_hash(made)
    assert list(segments) == [0x400000, 0x410000]
    code, flags = segments[0x400000]
    assert (len(code), flags) == (0x10000, READ_EXECUTE)
    assert code[0x100:0x104] == b"code" and not code[:0x100].strip(b"\0") and not code[0x104:].strip(b"\0")
    data, flags = segments[0x410000]
    assert (len(data), flags) == (0x2000, READ_WRITE)
    assert data[0xff0:0xff4] == b"data" and not data[0xff4:].strip(b"\0")


def test_segments_on_one_page_become_one():
    made, _ = rootimage.prepare(elf([(0x400000, b"a" * 0x1800, 0x1800, READ), (0x401900, b"code" + b"c" * 0x1000, 0x1004, READ_EXECUTE)]), "p")
    segments = image(made)
    content, flags = segments[0x400000]
    assert list(segments) == [0x400000] and flags == READ_EXECUTE and len(content) == 0x3000
    assert content[:0x1800] == b"a" * 0x1800 and content[0x1900:0x2904] == b"code" + b"c" * 0x1000
    assert content[0x1800:0x1900] == bytes(0x100)


@pytest.mark.parametrize("size", [1, 4079, 4080, 4081, 10000])
def test_the_archive_follows(size):
    archive = bytes(i & 255 for i in range(size))
    made, _ = rootimage.prepare(elf([(0x400000, b"code", 0x1001, READ_EXECUTE)]), "p", archive)
    content, flags = image(made)[0x402000]
    assert flags == READ and len(content) == (size + 16 + 4095) // 4096 * 4096
    assert content[:size] == archive
    assert struct.unpack("<Q8s", content[-16:]) == (size, b"CARCHIVE")


PROBLEMS = {
    "no ELF": (b"#!/bin/sh\n", "no 64-bit little-endian ELF file"),
    "cut off": (elf([(0x400000, b"code" * 100, 400, READ_EXECUTE)])[:-100], "the segment at 0x400000 is cut off"),
    "headers cut off": (elf([(0x400000, b"code", 4, READ_EXECUTE)])[:100], "program headers are cut off"),
    "another machine": (elf([(0x400000, b"code", 4, READ_EXECUTE)], machine=62), "for machine 62, not AArch64"),
    "position-independent": (elf([(0, b"code", 4, READ_EXECUTE)], kind=3), "ELF type 3"),
    "no segments": (elf([]), "no loadable segment"),
    "no note": (elf([(0x400000, b"code", 4, READ_EXECUTE)], note=False), "no note with its API hash"),
    "writable code": (elf([(0x400000, b"code", 4, 7)]), "the segment at 0x400000 is writable and executable"),
    "writable page of code": (elf([(0x400000, b"code", 4, READ_EXECUTE), (0x400800, b"data", 4, READ_WRITE)]),
                              "the page at 0x400000 would be writable and executable"),
    "hole": (elf([(0x400000, b"code", 4, READ_EXECUTE), (0x40000000, b"data", 4, READ_WRITE)]), "nothing lies in the"),
    "too many": (elf([(0x400000 + i * 4096, b"x", 1, READ) for i in range(9)]), "9 segments, the boot shim takes 8"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_problems_are_named(problem):
    program, words = PROBLEMS[problem]
    with pytest.raises(rootimage.RootImageError) as raised:
        rootimage.prepare(program, "p")
    assert str(raised.value).startswith("p: ") and words in str(raised.value) and str(raised.value).endswith(")")


def test_an_archive_has_bytes():
    with pytest.raises(rootimage.RootImageError, match="it must have 1 to"):
        rootimage.prepare(elf([(0x400000, b"code", 4, READ_EXECUTE)]), "p", b"")
