# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the capDL tool stand on: programs made byte by byte, and a board's device tree."""

import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"

BOARD_SOURCE = """
/dts-v1/;
/ {
    #address-cells = <2>; #size-cells = <2>; interrupt-parent = <&gic>;
    chosen { stdout-path = "/soc/serial@1000:115200n8"; };
    aliases { clock = "/soc/rtc@2000"; };
    memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x8000000>; };
    gic: gic@8000000 { compatible = "arm,gic-400"; #interrupt-cells = <3>; interrupt-controller; reg = <0 0x8000000 0 0x1000>; };
    timer { compatible = "arm,armv8-timer"; interrupts = <1 13 0xf08>, <1 14 0xf08>, <1 11 0xf08>, <1 10 0xf08>; };
    soc {
        #address-cells = <1>; #size-cells = <1>; ranges = <0x0 0x0 0x9000000 0x10000>;
        serial@1000 { compatible = "arm,pl011", "arm,primecell"; reg = <0x1000 0x1000>; interrupts = <0 1 4>, <0 2 1>; };
        rtc@2000 { compatible = "test,rtc"; reg = <0x2040 0x20>; interrupts-extended = <&gic 1 13 4>, <&other 3>; };
        twin@2080 { compatible = "test,twin"; reg = <0x2080 0x20>; };
        off@3000 { compatible = "test,off"; reg = <0x3000 0x1000>; status = "disabled"; };
        far@20000 { compatible = "test,far"; reg = <0x20000 0x1000>; };
        bare { compatible = "test,bare"; };
        other: other { #interrupt-cells = <1>; interrupt-controller; };
        bus { #address-cells = <1>; #size-cells = <0>; chip@5 { reg = <5>; }; };
        closed { #address-cells = <1>; #size-cells = <1>; part@10 { reg = <0x10 0x10>; }; };
    };
};
"""


def make_elf(segments, entry=0x401000, api_hash=None, machine=183, kind=2, note=True, meanings=()):
    """An ELF file. segments: (vaddr, content, memory size, flags). api_hash: 8 bytes of the Caprock note; note False: no note.
    meanings: of interfaces that the program was compiled with."""
    if api_hash is None:
        from capdl.component_info import layout
        api_hash = layout().api_hash().to_bytes(8, "little")
    note_bytes = struct.pack("<III8s", 8, 8, 1, b"Caprock\0") + api_hash if note else b""
    count = len(segments) + bool(note)
    headers, body, at = b"", b"", 0x1000
    if note:
        headers += struct.pack("<IIQQQQQQ", 4, 4, 0x800, 0x800, 0x800, len(note_bytes), len(note_bytes), 4)
    for vaddr, content, size, flags in segments:
        offset = at + vaddr % 0x1000
        headers += struct.pack("<IIQQQQQQ", 1, flags, offset, vaddr, vaddr, len(content), size, 0x1000)
        body = body.ljust(offset - 0x1000, b"\0") + content
        at = 0x1000 + (len(body) + 0xfff) // 0x1000 * 0x1000
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    sections = section_table(0x1000 + len(body), meanings) if meanings else b""
    table_at, numbers = (0x1000 + len(body), (64, 3, 2)) if meanings else (0, (64, 0, 0))
    head = ident + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, 64, table_at, 0, 64, 56, count, *numbers)
    return ((head + headers).ljust(0x800, b"\0") + note_bytes).ljust(0x1000, b"\0") + body + sections


def section_table(at, meanings):
    """A table of three sections at offset `at`, and behind it what they hold: nothing, the meanings, and the sections' names."""
    content = b"".join(text.encode() + b"\0" for text in meanings)
    names = b"\0.caprock.interfaces\0.shstrtab\0"
    header = lambda name, kind, offset, size: struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, 0, 0, 1, 0)
    start = at + 3 * 64
    return header(0, 0, 0, 0) + header(1, 1, start, len(content)) + header(21, 3, start + len(content), len(names)) + content + names


def default_elf(**options):
    """A program with code, constants, data and bss."""
    return make_elf([(0x400000, b"constants", 9, 4), (0x401000, b"\x1f\x20\x03\xd5" * 8, 32, 5), (0x402ff0, b"data", 0x20, 6)], **options)
