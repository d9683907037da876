# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of capabilities: how they are packed into two words and taken apart, what may be derived from them, and their rights."""

import z3

from . import representation as kernel
from . import specification as spec
from .proving import Case, Contract
from .variants import Value, choose

_RESULT_BYTES = 32  # Result<Cap>: the failure's head, its detail, and the capability


def _in_registers(case: Case) -> tuple[z3.BitVecRef, z3.BitVecRef]:
    """A capability in x0 and x1, as it may be anywhere in the kernel."""
    first, second = case.register(0, "word 0"), case.register(1, "word 1")
    case.assume(kernel.is_known(first))
    return first, second


def _result(case: Case) -> z3.BitVecRef:
    """Memory for a Result<Cap>, which the function fills."""
    result = case.object(case.register(8, "result"), _RESULT_BYTES)
    case.writes(*(result + offset for offset in range(0, _RESULT_BYTES, 8)))
    return result


def _gives(end, result: z3.BitVecRef, refusal: Value, expected: Value):
    """Claims about a Result<Cap>: the capability, unless there is an error."""
    head, detail, first, second = (end.memory.word(result + offset) for offset in range(0, _RESULT_BYTES, 8))
    allowed = refusal.is_a("Allowed")
    error = z3.If(allowed, spec.word(0), refusal["error"])
    yield "it fails exactly when it must, with the right error", z3.And(head == error, detail == 0)
    yield "the capability is the right one", z3.Implies(allowed, kernel.capability(first, second).equals(expected))


def _masked(case: Case):
    first, second = _in_registers(case)
    mask = case.register(2, "mask")

    def claims(end):
        expected = spec.mask_rights(spec.rights_of_word(mask), kernel.capability(first, second))
        yield "it has the rights that both have, and is the same otherwise", kernel.capability(end.registers[0], end.registers[1]).equals(expected)
        yield "it is no capability only if there was none", (end.registers[0] == 0) == (first == 0)
    return claims


def _with_data(case: Case):
    first, second = _in_registers(case)
    data, keep = case.register(2, "data"), case.register(3, "keep_badge")
    result = _result(case)
    case.assume(z3.ULE(keep & 0xFF, 1))

    def claims(end):
        old = kernel.capability(first, second)
        possible = z3.If(keep & 0xFF == 0, spec.badge_is_possible(data, old), spec.mutation_is_possible(data, old))
        refusal = choose(possible, spec.ALLOWED, spec.refused("IllegalOperation"))
        yield from _gives(end, result, refusal, spec.with_badge(data, old))
    return claims


def _derive(case: Case):
    slot = case.object(case.register(0, "slot"), kernel.SLOT_BYTES)
    first, second = (case.named(f"word {number}", case.word(slot + 8 * number)) for number in (0, 1))
    case.assume(kernel.is_known(first), first != 0)
    following = kernel.next_slot(case.word(slot + kernel.NEXT))
    case.named("next", following)
    case.object(following, kernel.SLOT_BYTES, when=following != 0)
    behind = [case.named(f"word {number} of next", case.word(following + 8 * number)) for number in (0, 1)]
    case.assume(kernel.is_known(behind[0]))
    result = _result(case)

    def claims(end):
        old = kernel.capability(first, second)
        has_children = z3.And(kernel.is_original(case.word(slot + kernel.NEXT)), following != 0, kernel.is_within(behind[0], first))
        yield from _gives(end, result, spec.derivation_error(old, has_children), spec.derived(old))
    return claims


CONTRACTS = (
    Contract("capability derive", "caprock::derive", "Capabilities.v: derivation_error, derived", _derive),
    Contract("rights", "caprock::masked_of_any", "Capabilities.v: mask_rights", _masked),
    Contract("capability pack and unpack", "caprock::with_data", "Capabilities.v: with_badge, with_guard, mutated", _with_data),
)
