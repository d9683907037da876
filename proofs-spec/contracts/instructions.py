# SPDX-License-Identifier: BSD-2-Clause
"""What AArch64 instructions do, form by form: a pattern of the instruction's 32 bits, and what it changes in a machine (`machine.Machine`).

In a pattern 0 and 1 are bits as they must be, a letter is a field. What no pattern fits, or a form does not allow, is `Unmodelled`: nothing is guessed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace

import z3

WORD = 64
LINK = 30
STACK_POINTER = 31
"""The register number that is SP in addresses and some arithmetic, and zero elsewhere."""

Jump = tuple[z3.BoolRef | None, z3.BitVecRef]
"""Under which condition (None: always) the next instruction is at an address."""


class Unmodelled(Exception):
    """An instruction that the model does not know. The text names it."""


@dataclass(frozen=True)
class Form:
    """One encoding: its name, the bits that it is known by, its fields (positions of their bits, the highest first) and what it does."""

    name: str
    mask: int
    value: int
    fields: tuple[tuple[str, tuple[int, ...]], ...]
    act: Callable

    def operands(self, word: int) -> SimpleNamespace:
        """The fields of an instruction of this form."""
        return SimpleNamespace(**{name: sum((word >> bit & 1) << place for place, bit in enumerate(reversed(bits))) for name, bits in self.fields})


FORMS: list[Form] = []


def form(name: str, pattern: str):
    """Registers what the decorated function does as the meaning of a pattern."""
    def register(act):
        assert len(pattern) == 32, name
        fields: dict[str, list[int]] = {}
        for place, letter in enumerate(pattern):
            if letter not in "01":
                fields.setdefault(letter, []).append(31 - place)
        mask = int("".join("1" if letter in "01" else "0" for letter in pattern), 2)
        value = int("".join(letter if letter in "01" else "0" for letter in pattern), 2)
        FORMS.append(Form(name, mask, value, tuple((letter, tuple(bits)) for letter, bits in fields.items()), act))
        return act
    return register


@lru_cache(maxsize=None)
def decode(word: int) -> Form:
    """The form of an instruction."""
    found = [entry for entry in FORMS if word & entry.mask == entry.value]
    if len(found) != 1:
        raise Unmodelled(f"instruction {word:#010x}")
    return found[0]


def execute(machine, word: int) -> list[Jump]:
    """Executes one instruction. Where it goes on; behind itself if the list is empty."""
    entry = decode(word)
    try:
        return entry.act(machine, entry.operands(word)) or []
    except Unmodelled as error:
        raise Unmodelled(f"instruction {word:#010x} ({entry.name}): {error}") from error


# ---- helpers -----------------------------------------------------------------------------------------------------------------------------
def constant(value: int, bits: int = WORD) -> z3.BitVecRef:
    return z3.BitVecVal(value, bits)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def _width(f: int) -> int:
    return WORD if f else WORD // 2


def _demand(condition: bool, what: str) -> None:
    if not condition:
        raise Unmodelled(what)


def _negative(value: z3.BitVecRef) -> z3.BoolRef:
    return z3.Extract(value.size() - 1, value.size() - 1, value) == 1


def _sum(machine, x: z3.BitVecRef, y: z3.BitVecRef, subtract: int, sets_flags: int) -> z3.BitVecRef:
    """x + y or x - y, and the flags if they are asked for."""
    result = x - y if subtract else x + y
    if sets_flags:
        overflow = _negative((x ^ y) & (x ^ result)) if subtract else _negative(~(x ^ y) & (x ^ result))
        zero, carry = (x == y, z3.UGE(x, y)) if subtract else (result == 0, z3.ULT(result, x))
        machine.set_flags(_negative(result), zero, carry, overflow)
    return result


def _shifted(value: z3.BitVecRef, kind: int, amount: int) -> z3.BitVecRef:
    _demand(amount < value.size(), "a shift by more than the register has")
    return (value << amount, z3.LShR(value, amount), value >> amount, z3.RotateRight(value, amount))[kind]


def _extended(machine, register: int, kind: int) -> z3.BitVecRef:
    """A register whose lowest bytes are extended to 64 bits: kinds 0 to 3 with zeroes, 4 to 7 with the sign."""
    value = machine.read(register, 8 << (kind & 3))
    more = WORD - value.size()
    return value if more == 0 else z3.SignExt(more, value) if kind & 4 else z3.ZeroExt(more, value)


def condition(machine, code: int) -> z3.BoolRef:
    """Whether the flags are as a condition's code says."""
    n, z, c, v = machine.flags
    holds = (z, c, n, v, z3.And(c, z3.Not(z)), n == v, z3.And(n == v, z3.Not(z)), z3.BoolVal(True))[code >> 1]
    return z3.Not(holds) if code & 1 and code != 15 else holds


def bit_mask(n: int, size_and_ones: int, rotation: int, bits: int) -> int:
    """The constant of a logical instruction (DecodeBitMasks of the Arm manual)."""
    length = (n << 6 | (~size_and_ones & 0x3F)).bit_length() - 1
    _demand(length >= 1 and (bits == WORD or n == 0), "a reserved constant")
    size = 1 << length
    ones, turned = size_and_ones & (size - 1), rotation & (size - 1)
    _demand(ones != size - 1, "a reserved constant")
    element = (1 << (ones + 1)) - 1
    element = (element >> turned | element << (size - turned)) & ((1 << size) - 1)
    return sum(element << place for place in range(0, bits, size))


# ---- data processing, immediate ----------------------------------------------------------------------------------------------------------
@form("ADD, SUB (immediate)", "fog100010hiiiiiiiiiiiinnnnnddddd")
def _(machine, a):
    result = _sum(machine, machine.read_sp(a.n, _width(a.f)), constant(a.i << 12 * a.h, _width(a.f)), a.o, a.g)
    (machine.write if a.g else machine.write_sp)(a.d, result)


@form("AND, ORR, EOR, ANDS (immediate)", "foo100100Nrrrrrrssssssnnnnnddddd")
def _(machine, a):
    x, y = machine.read(a.n, _width(a.f)), constant(bit_mask(a.N, a.s, a.r, _width(a.f)), _width(a.f))
    _logical(machine, a.o, x, y, lambda result: (machine.write if a.o == 3 else machine.write_sp)(a.d, result))


def _logical(machine, operation: int, x: z3.BitVecRef, y: z3.BitVecRef, write) -> None:
    result = (x & y, x | y, x ^ y, x & y)[operation]
    if operation == 3:
        machine.set_flags(_negative(result), result == 0, z3.BoolVal(False), z3.BoolVal(False))
    write(result)


@form("MOVN, MOVZ, MOVK", "foo100101hhiiiiiiiiiiiiiiiiddddd")
def _(machine, a):
    _demand(a.o != 1 and (a.f or a.h < 2), "a reserved move")
    shift, bits = 16 * a.h, _width(a.f)
    if a.o == 3:
        kept = machine.read(a.d, bits) & constant(~(0xFFFF << shift), bits)
        machine.write(a.d, kept | constant(a.i << shift, bits))
    else:
        machine.write(a.d, constant(a.i << shift if a.o else ~(a.i << shift), bits))


@form("SBFM, BFM, UBFM", "foo100110Nrrrrrrssssssnnnnnddddd")
def _(machine, a):
    bits = _width(a.f)
    _demand(a.o != 3 and a.N == a.f and a.r < bits and a.s < bits, "a reserved bit field")
    source, old = machine.read(a.n, bits), machine.read(a.d, bits)
    field, place = (z3.Extract(a.s, a.r, source), 0) if a.s >= a.r else (z3.Extract(a.s, 0, source), bits - a.r)
    above = bits - place - field.size()
    parts = [field] if a.o != 0 else [z3.SignExt(above, field)]
    if above and a.o != 0:
        parts.insert(0, z3.Extract(bits - 1, bits - above, old) if a.o == 1 else constant(0, above))
    if place:
        parts.append(z3.Extract(place - 1, 0, old) if a.o == 1 else constant(0, place))
    machine.write(a.d, z3.Concat(*parts) if len(parts) > 1 else parts[0])


@form("EXTR", "f00100111N0mmmmmssssssnnnnnddddd")
def _(machine, a):
    bits = _width(a.f)
    _demand(a.N == a.f and a.s < bits, "a reserved extract")
    machine.write(a.d, z3.Extract(a.s + bits - 1, a.s, z3.Concat(machine.read(a.n, bits), machine.read(a.m, bits))))


@form("ADR", "0ii10000jjjjjjjjjjjjjjjjjjjddddd")
def _(machine, a):
    machine.write(a.d, constant(machine.pc + _signed(a.j << 2 | a.i, 21)))


@form("ADRP", "1ii10000jjjjjjjjjjjjjjjjjjjddddd")
def _(machine, a):
    machine.write(a.d, constant((machine.pc & ~0xFFF) + (_signed(a.j << 2 | a.i, 21) << 12)))


# ---- data processing, register -----------------------------------------------------------------------------------------------------------
@form("AND, ORR, EOR, ANDS, BIC, ORN, EON, BICS (register)", "foo01010ttNmmmmmssssssnnnnnddddd")
def _(machine, a):
    bits = _width(a.f)
    y = _shifted(machine.read(a.m, bits), a.t, a.s)
    _logical(machine, a.o, machine.read(a.n, bits), ~y if a.N else y, lambda result: machine.write(a.d, result))


@form("ADD, SUB (shifted register)", "fog01011tt0mmmmmssssssnnnnnddddd")
def _(machine, a):
    _demand(a.t != 3, "a reserved shift")
    bits = _width(a.f)
    machine.write(a.d, _sum(machine, machine.read(a.n, bits), _shifted(machine.read(a.m, bits), a.t, a.s), a.o, a.g))


@form("ADD, SUB (extended register)", "fog01011001mmmmmeeekkknnnnnddddd")
def _(machine, a):
    _demand(a.k <= 4, "a reserved shift")
    bits = _width(a.f)
    y = z3.Extract(bits - 1, 0, _extended(machine, a.m, a.e) << a.k)
    (machine.write if a.g else machine.write_sp)(a.d, _sum(machine, machine.read_sp(a.n, bits), y, a.o, a.g))


@form("CCMN, CCMP", "fo111010010mmmmmccccq0nnnnn0vvvv")
def _(machine, a):
    bits = _width(a.f)
    y = constant(a.m, bits) if a.q else machine.read(a.m, bits)
    holds, otherwise = condition(machine, a.c), [z3.BoolVal(bool(a.v >> place & 1)) for place in (3, 2, 1, 0)]
    _sum(machine, machine.read(a.n, bits), y, a.o, 1)
    machine.set_flags(*(z3.If(holds, flag, other) for flag, other in zip(machine.flags, otherwise)))


@form("CSEL, CSINC, CSINV, CSNEG", "fo011010100mmmmmcccc0pnnnnnddddd")
def _(machine, a):
    x, y = machine.read(a.n, _width(a.f)), machine.read(a.m, _width(a.f))
    y = ((y, y + 1), (~y, -y))[a.o][a.p]
    machine.write(a.d, z3.If(condition(machine, a.c), x, y))


@form("UDIV, SDIV", "f0011010110mmmmm00001onnnnnddddd")
def _(machine, a):
    x, y = machine.read(a.n, _width(a.f)), machine.read(a.m, _width(a.f))
    machine.write(a.d, z3.If(y == 0, constant(0, x.size()), x / y if a.o else z3.UDiv(x, y)))


@form("LSLV, LSRV, ASRV, RORV", "f0011010110mmmmm0010oonnnnnddddd")
def _(machine, a):
    value, amount = machine.read(a.n, _width(a.f)), machine.read(a.m, _width(a.f)) & (_width(a.f) - 1)
    machine.write(a.d, (value << amount, z3.LShR(value, amount), value >> amount, z3.RotateRight(value, amount))[a.o])


@form("RBIT", "f101101011000000000000nnnnnddddd")
def _(machine, a):
    value = machine.read(a.n, _width(a.f))
    machine.write(a.d, z3.Concat(*(z3.Extract(place, place, value) for place in range(value.size()))))


@form("CLZ", "f101101011000000000100nnnnnddddd")
def _(machine, a):
    value = machine.read(a.n, _width(a.f))
    machine.write(a.d, leading_zeros(value))


def leading_zeros(value: z3.BitVecRef) -> z3.BitVecRef:
    """How many of the highest bits are 0."""
    bits = value.size()
    count = constant(bits, bits)
    for place in range(bits):
        count = z3.If(z3.Extract(place, place, value) == 1, constant(bits - 1 - place, bits), count)
    return count


@form("MADD, MSUB", "f0011011000mmmmmpaaaaannnnnddddd")
def _(machine, a):
    bits = _width(a.f)
    product, value = machine.read(a.n, bits) * machine.read(a.m, bits), machine.read(a.a, bits)
    machine.write(a.d, value - product if a.p else value + product)


@form("SMADDL, SMSUBL, UMADDL, UMSUBL", "10011011u01mmmmmpaaaaannnnnddddd")
def _(machine, a):
    extend = z3.ZeroExt if a.u else z3.SignExt
    product, value = extend(32, machine.read(a.n, 32)) * extend(32, machine.read(a.m, 32)), machine.read(a.a, WORD)
    machine.write(a.d, value - product if a.p else value + product)


@form("SMULH, UMULH", "10011011u10mmmmm011111nnnnnddddd")
def _(machine, a):
    extend = z3.ZeroExt if a.u else z3.SignExt
    machine.write(a.d, z3.Extract(127, 64, extend(WORD, machine.read(a.n, WORD)) * extend(WORD, machine.read(a.m, WORD))))


# ---- loads and stores --------------------------------------------------------------------------------------------------------------------
def _access(machine, size: int, operation: int, register: int, address: z3.BitVecRef) -> None:
    """Stores (operation 0), loads (1), or loads with the sign into 64 (2) or 32 bits (3)."""
    count = 1 << size
    if operation == 0:
        machine.store(address, machine.read(register, 8 * count))
        return
    _demand(operation == 1 or size + operation < 5, "a reserved load")
    value = machine.load(address, count)
    if operation > 1:
        value = z3.SignExt((WORD if operation == 2 else 32) - value.size(), value)
    machine.write(register, value)


@form("LDR, STR (unsigned offset)", "zz111001ooiiiiiiiiiiiinnnnnttttt")
def _(machine, a):
    _access(machine, a.z, a.o, a.t, machine.base(a.n) + (a.i << a.z))


@form("LDR, STR (unscaled, post- and pre-indexed)", "zz111000oo0iiiiiiiiimmnnnnnttttt")
def _(machine, a):
    _demand(a.m != 2, "unprivileged access")
    _demand(a.m == 0 or a.n != a.t or a.n == STACK_POINTER, "a base register that is loaded, too")
    base = machine.base(a.n)
    moved = base + _signed(a.i, 9)
    _access(machine, a.z, a.o, a.t, base if a.m == 1 else moved)
    if a.m:
        machine.write_sp(a.n, moved)


@form("LDR, STR (register offset)", "zz111000oo1mmmmmeeeS10nnnnnttttt")
def _(machine, a):
    _demand(a.e & 2 != 0, "a reserved offset")
    _access(machine, a.z, a.o, a.t, machine.base(a.n) + (_extended(machine, a.m, a.e) << (a.z if a.S else 0)))


@form("LDP, STP", "zz10100ppLiiiiiiiuuuuunnnnnttttt")
def _(machine, a):
    _demand(a.z in (0, 2) and a.p != 0, "a pair of another kind")
    moves = a.p != 2
    _demand(not moves or a.n == STACK_POINTER or a.n not in (a.t, a.u), "a base register that is loaded, too")
    _demand(not a.L or a.t != a.u, "a pair of one register")
    size = 2 + a.z // 2
    base = machine.base(a.n)
    moved = base + (_signed(a.i, 7) << size)
    start = base if a.p == 1 else moved
    if a.L:
        first, second = machine.load(start, 1 << size), machine.load(start + (1 << size), 1 << size)
        machine.write(a.t, first)
        machine.write(a.u, second)
    else:
        machine.store(start, machine.read(a.t, 8 << size))
        machine.store(start + (1 << size), machine.read(a.u, 8 << size))
    if moves:
        machine.write_sp(a.n, moved)


@form("LDR (literal)", "0z011000iiiiiiiiiiiiiiiiiiittttt")
def _(machine, a):
    machine.write(a.t, machine.load(constant(machine.pc + (_signed(a.i, 19) << 2)), 8 if a.z else 4))


# ---- branches ----------------------------------------------------------------------------------------------------------------------------
def _beside(machine, offset: int, bits: int) -> z3.BitVecRef:
    return constant(machine.pc + (_signed(offset, bits) << 2))


@form("B", "000101iiiiiiiiiiiiiiiiiiiiiiiiii")
def _(machine, a):
    return [(None, _beside(machine, a.i, 26))]


@form("BL", "100101iiiiiiiiiiiiiiiiiiiiiiiiii")
def _(machine, a):
    machine.write(LINK, constant(machine.pc + 4))
    return [(None, _beside(machine, a.i, 26))]


@form("B.cond", "01010100iiiiiiiiiiiiiiiiiii0cccc")
def _(machine, a):
    return [(condition(machine, a.c), _beside(machine, a.i, 19))]


@form("CBZ, CBNZ", "f011010oiiiiiiiiiiiiiiiiiiittttt")
def _(machine, a):
    value = machine.read(a.t, _width(a.f))
    return [(value != 0 if a.o else value == 0, _beside(machine, a.i, 19))]


@form("TBZ, TBNZ", "b011011okkkkkiiiiiiiiiiiiiittttt")
def _(machine, a):
    place = a.b << 5 | a.k
    return [(z3.Extract(place, place, machine.read(a.t, WORD)) == a.o, _beside(machine, a.i, 14))]


@form("BR, RET", "110101100r011111000000nnnnn00000")
def _(machine, a):
    return [(None, machine.read(a.n, WORD))]


@form("BLR", "1101011000111111000000nnnnn00000")
def _(machine, a):
    target = machine.read(a.n, WORD)
    machine.write(LINK, constant(machine.pc + 4))
    return [(None, target)]


# ---- system ------------------------------------------------------------------------------------------------------------------------------
@form("MRS", "110101010011sssssssssssssssttttt")
def _(machine, a):
    machine.write(a.t, machine.system(a.s))


@form("MSR (register)", "110101010001sssssssssssssssttttt")
def _(machine, a):
    machine.set_system(a.s, machine.read(a.t, WORD))


@form("NOP, YIELD, CSDB", "11010101000000110010iiiiiii11111")
def _(machine, a):
    _demand(a.i in (0, 1, 0x14), "a hint that waits or has an effect")


@form("DSB, DMB, ISB", "11010101000000110011iiiiooo11111")
def _(machine, a):
    _demand(a.o in (4, 5, 6), "another barrier")  # what is in memory, seen by the one core that there is, does not depend on it


@form("TLBI (of all cores)", "110101010000100010000011ooottttt")
def _(machine, a):
    _demand(a.o in (1, 2, 3, 5, 7), "another invalidation")
    machine.invalidate(a.o, machine.read(a.t, WORD))
