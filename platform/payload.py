#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the payload (system.bin): a header and the root task's ELF, which the boot loader places in memory beside the Image.

The header's layout is read from kernel/api/boot.toml, so that there is one description of it."""

import argparse
import hashlib
import struct
import sys
import tomllib
import zlib
from pathlib import Path

BOOT_TOML = Path(__file__).resolve().parent.parent / "kernel" / "api" / "boot.toml"
FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}
NOTE_OWNER = b"Caprock\0"
NOTE_API_HASH = 1


class PayloadError(Exception):
    """The payload cannot be made; the text is one line that says what, why and what to do."""


def _description() -> dict:
    try:
        return tomllib.loads(BOOT_TOML.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PayloadError(f"{BOOT_TOML}: {error} (the payload's layout is read from there)") from error


class HeaderLayout:
    """PayloadHeader as boot.toml describes it: packs a dictionary of fields, and unpacks one."""

    def __init__(self):
        description = _description()
        self.constants = {entry["name"]: entry["value"] for entry in description["constant"]}
        layout = next((entry for entry in description["struct"] if entry["name"] == "PayloadHeader"), None)
        if layout is None:
            raise PayloadError(f"{BOOT_TOML}: it has no struct PayloadHeader")
        self.fields = layout["fields"]
        self.size = layout["size"]
        packed = struct.calcsize("<" + "".join(self._format(field) for field in self.fields))
        if packed != self.size:
            raise PayloadError(f"{BOOT_TOML}: the fields of PayloadHeader take {packed} bytes, its size is {self.size}")

    @staticmethod
    def _format(field: dict) -> str:
        count = field.get("count", 1)
        return f"{count}s" if field["type"] == "u8" and count > 1 else f"{count}{FORMATS[field['type']]}"

    def pack(self, values: dict) -> bytes:
        """Returns the header's bytes; a field that is not given is zero, an array of words is a tuple. PayloadError if a value
        does not fit or has no field."""
        unknown = set(values) - {field["name"] for field in self.fields}
        if unknown:
            raise PayloadError(f"{BOOT_TOML}: PayloadHeader has no field {sorted(unknown)[0]}")
        packed = b""
        for field in self.fields:
            value = values.get(field["name"], b"" if self._format(field).endswith("s") else 0)
            arguments = [value] * field.get("count", 1) if value == 0 else list(value) if isinstance(value, tuple) else [value]
            try:
                packed += struct.pack("<" + self._format(field), *arguments)
            except struct.error as error:
                raise PayloadError(f"payload header: {field['name']} = {value!r}: {error}") from error
        return packed

    def unpack(self, data: bytes) -> dict:
        """Returns the fields of a header; arrays of words as tuples. PayloadError if the data is too short."""
        if len(data) < self.size:
            raise PayloadError(f"payload: {len(data)} bytes are less than its header's {self.size}")
        values, offset = {}, 0
        for field in self.fields:
            words = struct.unpack_from("<" + self._format(field), data, offset)
            values[field["name"]] = words[0] if len(words) == 1 else words
            offset += struct.calcsize("<" + self._format(field))
        return values


def elf_api_hash(elf: bytes) -> int | None:
    """Returns the API hash in the ELF's note (owner "Caprock", type 1, eight bytes), or None if it has none."""
    if elf[:6] != b"\x7fELF\x02\x01" or len(elf) < 64:
        return None
    table, = struct.unpack_from("<Q", elf, 32)
    entry_size, count = struct.unpack_from("<HH", elf, 54)
    for i in range(count):
        if table + i * entry_size + 56 > len(elf):
            return None
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", elf, table + i * entry_size)
        if kind == 4:
            found = _note_api_hash(elf[offset:offset + size])
            if found is not None:
                return found
    return None


def _note_api_hash(notes: bytes) -> int | None:
    offset = 0
    while offset + 12 <= len(notes):
        name_size, content_size, kind = struct.unpack_from("<III", notes, offset)
        name = offset + 12
        content = name + (name_size + 3) // 4 * 4
        if kind == NOTE_API_HASH and notes[name:name + name_size] == NOTE_OWNER and content_size == 8 and content + 8 <= len(notes):
            return struct.unpack_from("<Q", notes, content)[0]
        offset = content + (content_size + 3) // 4 * 4
    return None


def make_payload(root_elf: bytes, name: str, system_hash: bytes, api_hash: int, root_cnode_bits: int = 0) -> bytes:
    """Returns system.bin.

    `root_elf`: the root task's ELF. `name`: the system's name, at most 63 bytes of UTF-8. `system_hash`: 32 bytes, SHA-256 over the
    canonical system description and every component's ELF. `api_hash`: the hash of the API description that the root task was built with; a
    note in the ELF must not name another. `root_cnode_bits`: radix of the root task's CNode, 12 to 20, or 0 for 12. PayloadError on any
    other value."""
    layout = HeaderLayout()
    encoded = name.encode("utf-8")
    name_field = next(field for field in layout.fields if field["name"] == "name")
    if not encoded or b"\0" in encoded or len(encoded) >= name_field["count"]:
        raise PayloadError(f"system name {name!r}: it must have 1 to {name_field['count'] - 1} bytes and no NUL")
    if len(system_hash) != 32:
        raise PayloadError(f"system hash of {len(system_hash)} bytes: a SHA-256 has 32")
    if root_elf[:4] != b"\x7fELF":
        raise PayloadError("root task: not an ELF file (give the linked executable)")
    if root_cnode_bits != 0 and not 12 <= root_cnode_bits <= 20:
        raise PayloadError(f"root CNode radix {root_cnode_bits}: it must be 12 to 20, or 0 for 12")
    noted = elf_api_hash(root_elf)
    if noted is not None and noted != api_hash:
        raise PayloadError(f"root task: built for API {noted:#018x}, not {api_hash:#018x} (build it again)")
    offset = (layout.size + 7) // 8 * 8
    content = b"\0" * (offset - layout.size) + root_elf
    values = {
        "magic": layout.constants["payload_magic"], "version": layout.constants["boot_version"], "crc32": 0,
        "total_size": layout.size + len(content), "api_hash": api_hash, "root_offset": offset, "root_size": len(root_elf),
        "system_hash": system_hash, "name": encoded, "root_cnode_bits": root_cnode_bits,
    }
    values["crc32"] = zlib.crc32(layout.pack(values) + content)
    return layout.pack(values) + content


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a payload (system.bin) from the root task's ELF.")
    parser.add_argument("root", type=Path, help="the root task's ELF")
    parser.add_argument("output", type=Path)
    parser.add_argument("--name", required=True, help="the system's name")
    parser.add_argument("--system-hash", help="64 hexadecimal digits (default: the SHA-256 of the root task's ELF)")
    parser.add_argument("--api-hash", type=lambda text: int(text, 0), help="API hash (default: the one in the ELF's note)")
    parser.add_argument("--root-cnode-bits", type=int, default=0)
    arguments = parser.parse_args()
    try:
        root = arguments.root.read_bytes()
        system_hash = bytes.fromhex(arguments.system_hash) if arguments.system_hash else hashlib.sha256(root).digest()
        api_hash = arguments.api_hash if arguments.api_hash is not None else elf_api_hash(root)
        if api_hash is None:
            raise PayloadError(f"{arguments.root}: it has no note with the API hash (give --api-hash)")
        arguments.output.write_bytes(make_payload(root, arguments.name, system_hash, api_hash, arguments.root_cnode_bits))
    except (PayloadError, OSError, ValueError) as error:
        print(f"payload.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
