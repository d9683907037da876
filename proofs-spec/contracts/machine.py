# SPDX-License-Identifier: BSD-2-Clause
"""A processor's state in the middle of an execution: registers and flags as terms of z3, and memory as what it held at first and what was written since.

Which addresses are the same is asked of a `Judge`, which knows what is assumed and which way was taken."""

from dataclasses import dataclass, field
from typing import Protocol

import z3

from .instructions import STACK_POINTER, WORD

WORD_BYTES = 8
STACK_ALIGNMENT = 16
INITIAL = z3.Function("memory", z3.BitVecSort(WORD), z3.BitVecSort(WORD))
"""Memory as it is at the beginning: by the address of a word, the word."""


class Fault(Exception):
    """An access that could go wrong: at an address that may be unaligned, or to what may not be written."""


class Judge(Protocol):
    """Decides conditions: True or False if that follows, else None."""

    def decide(self, condition: z3.BoolRef) -> bool | None: ...

    def are_apart(self, one: z3.BitVecRef, other: z3.BitVecRef) -> bool:
        """Whether two words are in regions of memory that do not overlap; False says nothing."""

    def values_of(self, term: z3.BitVecRef) -> list[int]:
        """All values that a term may have."""

    def constant_word(self, address: int) -> int | None:
        """A word of the image that nothing can change, by its address."""


def known(term: z3.BitVecRef) -> int | None:
    """The value of a term that is a number."""
    return term.as_long() if z3.is_bv_value(term) else None


def split(address: z3.BitVecRef) -> tuple[z3.BitVecRef, int]:
    """A simplified address as something unknown (0: nothing) and a constant that is added to it."""
    if z3.is_bv_value(address):
        return z3.BitVecVal(0, WORD), address.as_long()
    if address.decl().kind() == z3.Z3_OP_BADD and z3.is_bv_value(address.arg(0)):
        return z3.simplify(address - address.arg(0)), address.arg(0).as_long()
    if address.decl().kind() == z3.Z3_OP_CONCAT and z3.is_bv_value(address.arg(address.num_args() - 1)):
        low = address.arg(address.num_args() - 1)
        return z3.Concat(*address.children()[:-1], z3.BitVecVal(0, low.size())), low.as_long()
    return address, 0


def bounds(term: z3.BitVecRef) -> tuple[int, int]:
    """Numbers between which a term is whatever its variables are, as far as a look at it tells."""
    size, kind = term.size(), term.decl().kind()
    if z3.is_bv_value(term):
        return term.as_long(), term.as_long()
    if kind == z3.Z3_OP_CONCAT:
        low = high = 0
        for part in term.children():
            least, most = bounds(part)
            low, high = low << part.size() | least, high << part.size() | most
        return low, high
    if kind == z3.Z3_OP_ITE:
        (least, most), (other_least, other_most) = bounds(term.arg(1)), bounds(term.arg(2))
        return min(least, other_least), max(most, other_most)
    if kind == z3.Z3_OP_BADD:
        parts = [bounds(part) for part in term.children()]
        low, high = sum(least for least, _ in parts), sum(most for _, most in parts)
        if low >> size == high >> size:
            return low % (1 << size), high % (1 << size)
    return 0, (1 << size) - 1


class Memory:
    """Words by their addresses: the changes, in order, over what was there at first."""

    def __init__(self, judge: Judge):
        self.judge = judge
        self.writes: list[tuple[z3.BitVecRef, z3.BitVecRef]] = []
        self.given: dict[str, z3.BitVecRef] = {}

    def copy(self) -> "Memory":
        other = Memory(self.judge)
        other.writes, other.given = list(self.writes), self.given
        return other

    def initial(self, address: z3.BitVecRef) -> z3.BitVecRef:
        """What a word was at the beginning: the value that it was given there, if its address is written like that."""
        address = z3.simplify(address)
        return self.given.get(address.sexpr(), INITIAL(address))

    def give(self, address: z3.BitVecRef, value: z3.BitVecRef) -> None:
        """Says what a word is at the beginning. The assumptions must say the same."""
        self.given[z3.simplify(address).sexpr()] = value

    def word(self, address: z3.BitVecRef) -> z3.BitVecRef:
        """The word at an address, which is a multiple of 8."""
        address = z3.simplify(address)
        number = self.judge.constant_word(known(address)) if known(address) is not None else None
        if number is not None:
            return z3.BitVecVal(number, WORD)
        perhaps = []
        for place in range(len(self.writes) - 1, -1, -1):
            same = self._same(address, self.writes[place][0])
            if same is True:
                return self._choose(perhaps, self.writes[place][1])
            if same is None:
                perhaps.append((address == self.writes[place][0], self.writes[place][1]))
        return self._choose(perhaps, self.initial(address))

    def set_word(self, address: z3.BitVecRef, value: z3.BitVecRef) -> None:
        """Writes a word. A word that was written before is replaced if none of those written since can be it."""
        address, value = z3.simplify(address), z3.simplify(value)
        if known(address) is not None and self.judge.constant_word(known(address)) is not None:
            raise Fault(f"a store to {known(address):#x}, which cannot be written")
        for place in range(len(self.writes) - 1, -1, -1):
            same = self._same(address, self.writes[place][0])
            if same is True:
                self.writes[place] = (self.writes[place][0], value)
                return
            if same is None:
                break
        self.writes.append((address, value))

    def load(self, address: z3.BitVecRef, size: int) -> z3.BitVecRef:
        """`size` bytes from an address, which must be a multiple of it. Of a table that cannot change each entry is looked at that may be meant."""
        address = z3.simplify(address)
        if known(address) is None and self._is_in_table(address):
            entries = [(address == value, self.load(z3.BitVecVal(value, WORD), size)) for value in self.judge.values_of(address)]
            return self._choose(entries[1:], entries[0][1])
        start, shift = self._place(address, size)
        return z3.simplify(z3.Extract(8 * size - 1, 0, z3.LShR(self.word(start), shift)))

    def _is_in_table(self, address: z3.BitVecRef) -> bool:
        """Whether an address looks like that of an entry of a table that cannot change: it is such a place and an index, or lies between two."""
        return any(all(self.judge.constant_word(place & -WORD_BYTES) is not None for place in places) for places in ((split(address)[1],), bounds(address)))

    def store(self, address: z3.BitVecRef, value: z3.BitVecRef) -> None:
        """Bytes to an address, which must be a multiple of their number."""
        start, shift = self._place(address, value.size() // 8)
        if value.size() == WORD:
            self.set_word(start, value)
            return
        mask = z3.BitVecVal((1 << value.size()) - 1, WORD) << shift
        self.set_word(start, self.word(start) & ~mask | z3.ZeroExt(WORD - value.size(), value) << shift)

    def _place(self, address: z3.BitVecRef, size: int) -> tuple[z3.BitVecRef, z3.BitVecRef]:
        """The word that an access is in, and the number of its lowest bit there."""
        address = z3.simplify(address)
        self.demand_aligned(address, size)
        if size == WORD_BYTES:
            return address, z3.BitVecVal(0, WORD)
        low = z3.simplify(z3.Extract(2, 0, address))
        if known(low) is None:
            base, offset = split(address)
            if self.judge.decide(z3.simplify(z3.Extract(2, 0, base) == 0)) is True:
                low = z3.BitVecVal(offset, 3)
        inside = z3.ZeroExt(WORD - 3, low)
        return z3.simplify(address - inside), z3.simplify(inside << 3)

    def demand_aligned(self, address: z3.BitVecRef, size: int) -> None:
        """A Fault unless an address is a multiple of a power of two."""
        bits = size.bit_length() - 1
        if bits and self.judge.decide(z3.simplify(z3.Extract(bits - 1, 0, address) == 0)) is not True:
            raise Fault(f"{z3.simplify(address)} is not known to be a multiple of {size}")

    def _same(self, one: z3.BitVecRef, other: z3.BitVecRef) -> bool | None:
        (base, offset), (other_base, other_offset) = split(one), split(other)
        if base.eq(other_base):
            return offset == other_offset
        (least, most), (other_least, other_most) = bounds(one), bounds(other)
        if most < other_least or other_most < least or self.judge.are_apart(one, other):
            return False
        return self.judge.decide(one == other)

    @staticmethod
    def _choose(perhaps: list[tuple[z3.BoolRef, z3.BitVecRef]], otherwise: z3.BitVecRef) -> z3.BitVecRef:
        for same, value in reversed(perhaps):
            otherwise = z3.If(same, value, otherwise)
        return otherwise


@dataclass
class Machine:
    """The state before the instruction at `pc`. Flags are N, Z, C and V; `systems` are system registers by their encodings, `invalidations` what the TLBs
    were told to forget so far, in order."""

    memory: Memory
    registers: list[z3.BitVecRef] = field(default_factory=lambda: [z3.BitVec(f"x{number}", WORD) for number in range(31)])
    stack_pointer: z3.BitVecRef = field(default_factory=lambda: z3.BitVec("sp", WORD))
    flags: tuple[z3.BoolRef, ...] = field(default_factory=lambda: tuple(z3.Bool(f"flag_{name}") for name in "nzcv"))
    systems: dict[int, z3.BitVecRef] = field(default_factory=dict)
    pc: int = 0
    invalidations: list["Invalidation"] = field(default_factory=list)

    def copy(self) -> "Machine":
        return Machine(self.memory.copy(), list(self.registers), self.stack_pointer, self.flags, dict(self.systems), self.pc, list(self.invalidations))

    def read(self, number: int, bits: int) -> z3.BitVecRef:
        """The lowest bits of a register; number 31 is zero."""
        if number == STACK_POINTER:
            return z3.BitVecVal(0, bits)
        return self.registers[number] if bits == WORD else z3.simplify(z3.Extract(bits - 1, 0, self.registers[number]))

    def read_sp(self, number: int, bits: int) -> z3.BitVecRef:
        """The same, with SP as number 31."""
        if number != STACK_POINTER:
            return self.read(number, bits)
        return self.stack_pointer if bits == WORD else z3.simplify(z3.Extract(bits - 1, 0, self.stack_pointer))

    def write(self, number: int, value: z3.BitVecRef) -> None:
        """Writes a register; what is shorter is extended with zeroes. What is written to number 31 is lost."""
        if number != STACK_POINTER:
            self.registers[number] = self._whole(value)

    def write_sp(self, number: int, value: z3.BitVecRef) -> None:
        """The same, with SP as number 31."""
        if number == STACK_POINTER:
            self.stack_pointer = self._whole(value)
        else:
            self.write(number, value)

    def base(self, number: int) -> z3.BitVecRef:
        """The register that an address is made of. SP must be aligned then."""
        if number == STACK_POINTER:
            self.memory.demand_aligned(self.stack_pointer, STACK_ALIGNMENT)
        return self.read_sp(number, WORD)

    def set_flags(self, *flags: z3.BoolRef) -> None:
        self.flags = tuple(z3.simplify(flag) for flag in flags)

    def load(self, address: z3.BitVecRef, size: int) -> z3.BitVecRef:
        return self.memory.load(address, size)

    def store(self, address: z3.BitVecRef, value: z3.BitVecRef) -> None:
        self.memory.store(address, value)

    def system(self, encoding: int) -> z3.BitVecRef:
        """A system register: what was written to it last, or what it held at first."""
        return self.systems.setdefault(encoding, z3.BitVec(f"system_{encoding:#x}", WORD))

    def set_system(self, encoding: int, value: z3.BitVecRef) -> None:
        self.systems[encoding] = value

    def invalidate(self, operation: int, operand: z3.BitVecRef) -> None:
        self.invalidations.append(Invalidation(operation, operand, self.memory.copy()))

    @staticmethod
    def _whole(value: z3.BitVecRef) -> z3.BitVecRef:
        return z3.simplify(z3.ZeroExt(WORD - value.size(), value) if value.size() < WORD else value)


@dataclass(frozen=True)
class Invalidation:
    """A TLBI for all cores: which of them (op2 of its encoding), what it names, and the memory when it came."""

    operation: int
    operand: z3.BitVecRef
    memory: Memory
