# SPDX-License-Identifier: BSD-2-Clause
"""Bytes of the structures that TOML files describe, for the tools that write what kernel and components read.

For programs outside of this folder: from kernel.api.layout import load_structs, with the project's root on Python's path."""

from functools import cache
from pathlib import Path

from .description import SCALARS, Contract, Description

FOLDER = Path(__file__).resolve().parent


class LayoutError(ValueError):
    """A structure, field, constant or enumeration does not exist, or a value does not fit; the text names place, cause and remedy."""


@cache
def _api_hash():
    return Description(FOLDER).api_hash()


class Layout:
    """The structures, constants and enumerations of checked TOML files. Made by load_structs."""

    def __init__(self, contract):
        self._structs = {entry["name"]: entry for entry in contract.structs}
        self._constants = {entry["name"]: entry["value"] for entry in contract.constants}
        self._enums = {entry["name"]: {value["name"]: value["value"] for value in entry["values"]} for entry in contract.enums}

    def constant(self, name):
        """The value of the constant `name`. LayoutError if there is none."""
        return self._find("constant", self._constants, name)

    def enum(self, name):
        """The numbers of the values of the enumeration `name`, by the values' names. LayoutError if there is none."""
        return dict(self._find("enum", self._enums, name))

    def size(self, name):
        """The size of the structure `name` in bytes. LayoutError if there is none."""
        return self._find("struct", self._structs, name)["size"]

    def pack(self, struct_name, values):
        """The bytes of the structure `struct_name`, little-endian.

        values: a dictionary of fields; a field that it lacks is zero. The value of a scalar is a number that fits, of a structure such a
        dictionary, of a field with a count a list of at most so many of them; fields of u8 with a count take bytes too. What a list
        or bytes leave of the field is zero. LayoutError names the structure and the field whose value does not fit, or that do not exist.
        """
        return self._pack_struct(struct_name, struct_name, values)

    @staticmethod
    def api_hash():
        """Hash of the API description in kernel/api, as in abi.hpp. DescriptionError if the description is wrong."""
        return _api_hash()

    @staticmethod
    def _find(kind, entries, name):
        if name not in entries:
            raise LayoutError(f"there is no {kind} '{name}' (use one of: {', '.join(entries) or 'none was read'})")
        return entries[name]

    def _pack_struct(self, place, name, values):
        fields = {field["name"]: field for field in self._find("struct", self._structs, name)["fields"]}
        if not isinstance(values, dict):
            raise LayoutError(f"{place}: {values!r} is no dictionary of the fields of {name}")
        unknown = [key for key in values if key not in fields]
        if unknown:
            raise LayoutError(f"{place}: {name} has no field '{unknown[0]}' (use one of: {', '.join(fields)})")
        content = bytearray(self.size(name))
        for key, value in values.items():
            packed = self._pack_field(f"{place}.{key}", fields[key], value)
            offset = fields[key]["offset"]
            content[offset:offset + len(packed)] = packed
        return bytes(content)

    def _pack_field(self, place, field, value):
        if "count" not in field:
            return self._pack_value(place, field["type"], value)
        if not isinstance(value, list | tuple) and not (isinstance(value, bytes) and field["type"] == "u8"):
            raise LayoutError(f"{place}: {value!r} is no list{' and no bytes' if field['type'] == 'u8' else ''}")
        if len(value) > field["count"]:
            raise LayoutError(f"{place}: {len(value)} values are more than its {field['count']}: shorten {value!r}")
        return b"".join(self._pack_value(f"{place}[{index}]", field["type"], element) for index, element in enumerate(value))

    def _pack_value(self, place, type_name, value):
        if type_name not in SCALARS:
            return self._pack_struct(place, type_name, value)
        size = SCALARS[type_name]
        if not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
            raise LayoutError(f"{place}: {value!r} is no {type_name}: give a number from 0 to 2^{8 * size} - 1")
        return value.to_bytes(size, "little")


def load_structs(*toml_paths):
    """Reads TOML files of constants, enumerations and structures, later ones of which may use types of earlier ones: a Layout.

    DescriptionError if one cannot be read or contains mistakes; it names all of them, by file and entry."""
    return Layout(Contract(toml_paths))
