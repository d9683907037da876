# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of page tables: what the bits of an entry say of a page, and which entry a walk down the tables finds."""

import z3

from . import specification as spec
from .proving import STACK_BYTES, Case, Contract

_DIRECT_MAP = 0xFFFF_8000_0000_0000
"""The kernel address of physical memory at 0 (docs/architecture.md, memory map)."""
_IMAGE = 0xFFFF_FFFF_8000_0000
_MOST_MEMORY = 1 << 46
_TABLE_BYTES = 4096
_LAST_LEVEL = 3
_ADDRESS_BITS = 0x0000_FFFF_FFFF_F000
"""Of an entry: the next table or page (Arm manual, VMSAv8-64 descriptors with 4 KiB granules)."""


def _bit(value: z3.BitVecRef, place: int) -> z3.BitVecRef:
    return spec.bits_of(value, place, 1)


def _attributes(case: Case):
    entry = case.register(0, "entry")

    def claims(end):
        told = end.registers[0]
        # Of an entry: AttrIndx in bits 4 to 2 (2 is Normal write-back), EL0 access in bit 6, no execution at EL0 in bit 54, and two bits that the hardware
        # leaves to software, which say what was asked for.
        yield "readable: user level may access it", spec.bits_of(told, 0, 8) == _bit(entry, 6)
        yield "writable: as was asked for", spec.bits_of(told, 8, 8) == _bit(entry, 56)
        yield "executable: unless that is forbidden", spec.bits_of(told, 16, 8) == 1 - _bit(entry, 54)
        yield "cacheable: Normal write-back memory", (spec.bits_of(told, 24, 8) == 1) == (spec.bits_of(entry, 2, 3) == 2)
        yield "of a device: as was asked for", spec.bits_of(told, 32, 8) == _bit(entry, 55)
        yield "each is one or zero", spec.bits_of(told, 24, 8) & ~spec.word(1) == 0
    return claims


def _entry_of(case: Case, root: z3.BitVecRef, address: z3.BitVecRef, levels: int):
    """Spaces.v walk_tables through so many tables: whether there is a table of each level on the way, and the place of the entry in the last."""
    table, found = root, z3.BoolVal(True)
    for level in range(levels):
        entry = case.word(table + 8 * spec.entry_index(level, address))
        found = z3.And(found, entry & 3 == 3)
        table = (entry & _ADDRESS_BITS) + _DIRECT_MAP
    return found, table + 8 * spec.entry_index(levels, address)


def _find_entry(case: Case):
    root, address, level = case.register(0, "root"), case.register(1, "address"), case.register(2, "level")
    case.assume(root & (_TABLE_BYTES - 1) == 0, z3.ULE(level & 0xFFFF_FFFF, _LAST_LEVEL))
    level = level & 0xFFFF_FFFF
    # Tables are in the direct map, of less than 64 TiB; the stack is in the kernel's image, above it.
    case.assume(z3.UGE(case.machine.stack_pointer, _IMAGE + STACK_BYTES), z3.UGE(root, _DIRECT_MAP), z3.ULT(root, _DIRECT_MAP + _MOST_MEMORY))
    for number in range(1, _LAST_LEVEL + 1):
        _, place = _entry_of(case, root, address, number)
        case.assume(z3.ULT(place, _DIRECT_MAP + _MOST_MEMORY))

    def claims(end):
        for number in range(_LAST_LEVEL + 1):
            found, place = _entry_of(case, root, address, number)
            expected = z3.If(found, place, spec.word(0))
            yield f"it finds the entry of level {number}, if there are tables down to it", z3.Implies(level == number, end.registers[0] == expected)
    return claims


CONTRACTS = (
    Contract("page-table entry", "caprock::arch::entry_attributes", "Objects.v: PageEntry; Arm manual: VMSAv8-64 page descriptor", _attributes),
    Contract("page-table entry", "caprock::find_entry", "Spaces.v: entry_index, walk_tables, table_of_level", _find_entry, rounds=4),
)
