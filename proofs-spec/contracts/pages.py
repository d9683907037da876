# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of page tables: what the bits of an entry say of a page, and which entry a walk down the tables finds."""

import z3

from . import representation as kernel
from . import specification as spec
from .proving import Case, Contract


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


def entry_of(case: Case, root: z3.BitVecRef, address: z3.BitVecRef, levels: int):
    """Spaces.v walk_tables through so many tables: whether there is a table of each level on the way, and the place of the entry in the last."""
    table, found = root, z3.BoolVal(True)
    for level in range(levels):
        entry = case.word(table + (spec.entry_index(level, address) << 3))
        found = z3.And(found, kernel.leads_to_table(entry))
        table = kernel.object_of_entry(entry)
    return found, z3.simplify(table + (spec.entry_index(levels, address) << 3))


def assume_tables(case: Case, root: z3.BitVecRef, address: z3.BitVecRef) -> None:
    """Tables are in the direct map, of less than 64 TiB, so an entry says nothing of larger addresses."""
    for level in range(kernel.LAST_LEVEL):
        _, place = entry_of(case, root, address, level)
        case.set_word(place, z3.Concat(z3.BitVec(f"upper {level}", 16), z3.BitVecVal(0, 2), z3.BitVec(f"address {level}", 34), z3.BitVec(f"lower {level}", 12)))


def _find_entry(case: Case):
    root, address, level = case.set_register(0, kernel.pointer("root", 12), "root"), case.register(1, "address"), case.register(2, "level")
    level = level & 0xFFFF_FFFF
    case.assume(z3.ULE(level, kernel.LAST_LEVEL))
    assume_tables(case, root, address)

    def claims(end):
        for number in range(kernel.LAST_LEVEL + 1):
            found, place = entry_of(case, root, address, number)
            expected = z3.If(found, place, spec.word(0))
            yield f"it finds the entry of level {number}, if there are tables down to it", z3.Implies(level == number, end.registers[0] == expected)
    return claims


CONTRACTS = (
    Contract("page-table entry", "caprock::arch::entry_attributes", "Objects.v: PageEntry; Arm manual: VMSAv8-64 page descriptor", _attributes),
    Contract("page-table entry", "caprock::find_entry", "Spaces.v: entry_index, walk_tables, table_of_level", _find_entry, rounds=4),
)
