# SPDX-License-Identifier: BSD-2-Clause
"""Where things are in an image: functions by their names, and the members of structures by the debugging information. Nothing here knows an address."""

import re
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

from .execution import Stuck

_STRUCTURES = ("DW_TAG_structure_type", "DW_TAG_class_type")
_CLONE = re.compile(r"\.(isra|constprop|part|cold)\b")


@dataclass(frozen=True)
class Place:
    """A function of the image: where it starts, the addresses of its instructions, and whether it was compiled."""

    name: str
    start: int
    addresses: tuple[int, ...]
    is_compiled: bool = True


def find(image, name: str) -> Place:
    """The function of a name. It must be called as its source says: a copy that the compiler made with other parameters does not serve."""
    found = [function for function in image.functions if function.name == name]
    if len(found) != 1:
        raise Stuck(f"{name}: the image has {len(found) or 'no'} functions of this name (the contract must name the one that means this)")
    if found[0].others and all(_CLONE.search(other) for other in found[0].others):
        raise Stuck(f"{name}: the compiler made a copy with other parameters ({found[0].others[0]}), so where they are is not known")
    return Place(name, found[0].address, tuple(instruction.address for instruction in image.code(found[0])), not found[0].is_assembly)


def starts(image, name: str) -> set[int]:
    """Where all functions of a name start, whatever their parameters are."""
    found = {function.address for function in image.functions if function.name == name}
    if not found:
        raise Stuck(f"{name}: the image has no functions of this name")
    return found


class Layouts:
    """Structures of the kernel: at how many bytes a member is, as `offset("Tcb", "wait.ring.next")`, and how large they are."""

    def __init__(self, image):
        self._sizes: dict[str, int] = {}
        self._members: dict[tuple[str, str], tuple[str, int]] = {}
        with image.path.open("rb") as handle:
            for unit in ELFFile(handle).get_dwarf_info().iter_CUs():
                for entry in unit.iter_DIEs():
                    if entry.tag in _STRUCTURES and "DW_AT_byte_size" in entry.attributes and entry.has_children:
                        self._add(entry)

    def offset(self, structure: str, member: str) -> int:
        total = 0
        for name in member.split("."):
            if (structure, name) not in self._members:
                raise Stuck(f"the debugging information has no {structure}::{name}")
            structure, place = self._members[structure, name]
            total += place
        return total

    def size(self, structure: str) -> int:
        if structure not in self._sizes:
            raise Stuck(f"the debugging information has no structure {structure}")
        return self._sizes[structure]

    def _add(self, entry) -> None:
        name = _name(entry)
        if not name or name in self._sizes:
            return
        self._sizes[name] = entry.attributes["DW_AT_byte_size"].value
        for child in entry.iter_children():
            if child.tag == "DW_TAG_member" and "DW_AT_data_member_location" in child.attributes:
                self._members[name, _name(child)] = _type(child), child.attributes["DW_AT_data_member_location"].value


def _type(entry) -> str:
    """The structure that a member is; nothing if it is none."""
    while "DW_AT_type" in entry.attributes and entry.tag != "DW_TAG_pointer_type":
        entry = entry.get_DIE_from_attribute("DW_AT_type")
        if entry.tag in _STRUCTURES:
            return _name(entry)
    return ""


def _name(entry) -> str:
    return entry.attributes["DW_AT_name"].value.decode() if "DW_AT_name" in entry.attributes else ""
