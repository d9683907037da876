# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of capability slots: the list of all capabilities, in which the derivation tree stands in preorder. Insertion behind a slot, removal and
moving change the neighbours' links and nothing else; so the tree changes as insert_child, insert_sibling, remove_capability and move_capability say."""

import z3

from . import representation as kernel
from . import specification as spec
from .proving import Case, Contract

WORDS = range(0, kernel.SLOT_BYTES, 8)


def _slot(case: Case, register: int, name: str) -> z3.BitVecRef:
    return case.object(case.register(register, name), kernel.SLOT_BYTES, kernel.SLOT_BYTES)


def _neighbour(case: Case, link: z3.BitVecRef, name: str) -> z3.BitVecRef:
    """A slot that a link leads to, or null."""
    return case.object(case.named(name, link), kernel.SLOT_BYTES, kernel.SLOT_BYTES, when=link != 0)


def _written(case: Case, slot: z3.BitVecRef, *offsets: int) -> None:
    case.writes(*(slot + offset for offset in offsets))


def _content(end, slot: z3.BitVecRef) -> list[z3.BitVecRef]:
    return [end.memory.word(slot + offset) for offset in WORDS]


def _is_empty(end, slot: z3.BitVecRef) -> z3.BoolRef:
    return z3.And(*(value == 0 for value in _content(end, slot)))


def _marks(link: z3.BitVecRef) -> z3.BitVecRef:
    return link & (kernel.ORIGINAL | kernel.FIRST_BADGED)


def _with_neighbours(case: Case, slot: z3.BitVecRef) -> tuple[z3.BitVecRef, z3.BitVecRef, z3.BitVecRef]:
    """The slots before and behind one, and the word that links to the latter."""
    link = case.word(slot + kernel.NEXT)
    return _neighbour(case, case.word(slot + kernel.PREVIOUS), "previous"), _neighbour(case, kernel.next_slot(link), "next"), link


def _links_past(case: Case, end, previous, following, before, behind):
    """Claims that the neighbours are linked to others: the one in front of what is `before`, the one behind to what is `behind`."""
    link = case.word(previous + kernel.NEXT)
    yield "the one before leads on", z3.Implies(previous != 0, end.memory.word(previous + kernel.NEXT) == before | _marks(link))
    yield "the one behind leads back", z3.Implies(following != 0, end.memory.word(following + kernel.PREVIOUS) == behind)


def _unlink(case: Case):
    slot = _slot(case, 0, "slot")
    previous, following, link = _with_neighbours(case, slot)
    _written(case, slot, *WORDS)
    _written(case, previous, kernel.NEXT)
    _written(case, following, kernel.NEXT, kernel.PREVIOUS)

    def claims(end):
        yield "the slot is empty", _is_empty(end, slot)
        yield from _links_past(case, end, previous, following, following, previous)
        inherited = case.word(following + kernel.NEXT) | link & kernel.FIRST_BADGED
        yield "the one behind takes over being the first of its badge", z3.Implies(following != 0, end.memory.word(following + kernel.NEXT) == inherited)
    return claims


def _move(case: Case):
    first, second = case.register(0, "word 0"), case.register(1, "word 1")
    source, target = _slot(case, 2, "from"), _slot(case, 3, "to")
    previous, following, link = _with_neighbours(case, source)
    _written(case, source, *WORDS)
    _written(case, target, *WORDS)
    _written(case, previous, kernel.NEXT)
    _written(case, following, kernel.PREVIOUS)

    def claims(end):
        yield "the slot that it was in is empty", _is_empty(end, source)
        moved = z3.And(*(value == expected for value, expected in zip(_content(end, target), (first, second, link, previous))))
        yield "the capability is in the other slot, with its place in the list", moved
        yield from _links_past(case, end, previous, following, target, target)
    return claims


def _insert_derived(case: Case):
    first, second = case.register(0, "word 0"), case.register(1, "word 1")
    parent, slot = _slot(case, 2, "parent"), _slot(case, 3, "slot")
    source = [case.named(f"word {number} of parent", case.word(parent + 8 * number)) for number in (0, 1)]
    link = case.word(parent + kernel.NEXT)
    following = _neighbour(case, kernel.next_slot(link), "next")
    case.assume(kernel.is_known(first), kernel.is_known(source[0]), first != 0, source[0] != 0)
    # What is derived has the source's type, but for what IRQControl makes.
    of_interrupts = z3.And(kernel.is_type(source[0], "IRQControl"), z3.Or(kernel.is_type(first, "IRQHandler"), kernel.is_type(first, "SGISignal")))
    case.assume(z3.Or(kernel.type_of(first) == kernel.type_of(source[0]), of_interrupts))
    size = spec.bits_of(source[0], 48, 6)
    case.assume(z3.Implies(kernel.is_type(source[0], "Untyped"), z3.ULE(size, 39)))
    _written(case, slot, *WORDS)
    _written(case, parent, 8, kernel.NEXT)
    _written(case, following, kernel.PREVIOUS)

    def claims(end):
        old, new = kernel.capability(*source), kernel.capability(first, second)
        badge_changes = z3.And(z3.Or(new.is_a("EndpointCap"), new.is_a("NotificationCap")), second != source[1])
        handler = z3.And(new.is_a("IRQHandlerCap"), old.is_a("IRQControlCap"))
        original = z3.Or(badge_changes, handler, new.is_a("UntypedCap"))
        marks = z3.If(original, spec.word(kernel.ORIGINAL | kernel.FIRST_BADGED), spec.word(0))
        filled = z3.And(*(value == expected for value, expected in zip(_content(end, slot), (first, second, following | marks, parent))))
        yield "the capability stands behind its source, and is an original if it can have children of its own", filled
        yield "the source leads to it", end.memory.word(parent + kernel.NEXT) == slot | _marks(link)
        yield "the one behind leads back to it", z3.Implies(following != 0, end.memory.word(following + kernel.PREVIOUS) == slot)
        remaining = kernel.capability(source[0], end.memory.word(parent + 8))
        used_up = spec.Capability("UntypedCap", old["base"], old["untyped_bits"], old["is_device"], spec.word(1) << old["untyped_bits"])
        whole = z3.If(old["is_device"], z3.UGE(old["untyped_bits"], 12), z3.UGE(old["untyped_bits"], 4))
        yield "an untyped that is copied counts as used up", z3.Implies(z3.And(old.is_a("UntypedCap"), whole), remaining.equals(used_up))
        yield "any other source stays as it is", z3.Implies(z3.Not(old.is_a("UntypedCap")), end.memory.word(parent + 8) == source[1])
    return claims


CONTRACTS = (
    Contract("capability derive", "caprock::insert_derived", "Capabilities.v: insert_derived, insert_child, insert_sibling, carve", _insert_derived),
    Contract("capability removal", "caprock::unlink_slot", "Capabilities.v: remove_capability", _unlink),
    Contract("capability removal", "caprock::move_slot", "Capabilities.v: move_capability", _move),
)
