# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of the arithmetic of refills: how what was used of a scheduling context comes back, and what a thread that begins to run finds of it. What is
claimed of the list of refills is claimed of its length and of the refill in any place. Times are words here: that none runs over is exclusion E7 of the
audit."""

import z3

from . import representation as kernel
from . import specification as spec
from .proving import Case, Contract


_SIZE_BITS = 4


def _small(name: str) -> z3.BitVecRef:
    return z3.Concat(z3.BitVecVal(0, 16 - _SIZE_BITS), z3.BitVec(name, _SIZE_BITS))


class _Context:
    """A scheduling context that is configured, in x0: a ring of refills behind the first, with as many places as the context has room for; that is 15 at
    most, so that z3 has to do with small numbers. `has_two`: it has room for two, which is what user level gets that asks for no more."""

    def __init__(self, case: Case, has_two: bool = False):
        self.case, self.offset, self._has_two = case, case.layouts.offset, has_two
        self.address = case.set_register(0, kernel.pointer("context", 7), "context")
        self.sizes = [_small(name) for name in ("room", "head", "count")]
        if has_two:
            self.sizes[:2] = z3.BitVecVal(2, 16), z3.BitVecVal(0, 16)
        rest = z3.BitVec("other flags", 16)
        case.set_word(self._at("refill_max"), z3.Concat(rest, *reversed(self.sizes)))
        room, head, count = (z3.ZeroExt(48, size) for size in self.sizes)
        case.assume(z3.UGE(room, 2), count != 0, z3.ULE(count, room), z3.ULT(head, room - 1))
        for name, value in (("room", room), ("head", head), ("count", count), ("unreturned", case.word(self._at("unreturned")))):
            case.named(name, value)
        self.start = self.of(case.machine.memory)
        case.named("first", self.start.refill(spec.word(0))[0])
        case.named("its amount", self.start.refill(spec.word(0))[1])
        case.writes(self._at("refill_max"), self._at("unreturned"))
        case.writes_area(self._refills(), room << 4)

    def _at(self, member: str) -> z3.BitVecRef:
        return self.address + self.offset("SchedContext", member)

    def _refills(self) -> z3.BitVecRef:
        return self.address + self.case.layouts.size("SchedContext")

    def of(self, memory) -> spec.SchedContext:
        """What a memory says of it."""
        sizes = memory.word(self._at("refill_max"))
        room, head, count = (spec.bits_of(sizes, low, 16) for low in (0, 16, 32))

        def refill(i: z3.BitVecRef) -> spec.Refill:
            place = self._refills() + (kernel.place_of_refill(head, room, i) << 4)
            return memory.word(place), memory.word(place + 8)

        def one_of_two(i: z3.BitVecRef) -> spec.Refill:
            return spec.either(i == 0, refill(spec.word(0)), refill(spec.word(1)))

        return spec.SchedContext(count, one_of_two if self._has_two else refill, memory.word(self._at("unreturned")), room)

    def smallest(self) -> z3.BitVecRef:
        """Schedule.v smallest_budget."""
        return self.case.named("smallest budget", self.case.word(self.case.object(self.case.symbol("ten_microseconds_ticks"), 8)))

    def becomes(self, end, expected: spec.SchedContext):
        """Claims that it is another context at the end."""
        found, sizes = self.of(end.memory), self._at("refill_max")
        yield "it has the right number of refills", found.count == expected.count
        i = z3.ZeroExt(48, _small("i"))
        self.case.named("i", i)
        inside = z3.ULT(i, expected.count)
        for what, one, other in zip(("time", "amount"), found.refill(i), expected.refill(i)):
            yield f"each has the right {what}", z3.Implies(inside, one == other)
        yield "what was used in small pieces waits for the next one", found.unreturned == expected.unreturned
        yield "its ring is one", z3.And(found.room == expected.room, z3.ULT(spec.bits_of(end.memory.word(sizes), 16, 16), found.room - 1))
        yield "its other members are as they were", z3.LShR(end.memory.word(sizes), 48) == z3.LShR(self.case.word(sizes), 48)


def _give_back(case: Case):
    context = _Context(case)
    piece, smallest = (case.register(1, "time"), case.register(2, "amount")), context.smallest()
    return lambda end: context.becomes(end, spec.give_back(smallest, piece, context.start))


def _begin_use(case: Case):
    context = _Context(case, has_two=True)
    time = case.register(1, "now")
    is_endless = case.word(context.address + case.layouts.offset("SchedContext", "period")) == 0
    case.assume(z3.Not(is_endless))

    def claims(end):
        # On each way it is one of these at most, and what cannot be needs no claim.
        for condition, expected in filter(lambda entry: case.can_be(entry[0]), spec.begin_use(time, context.start)):
            for text, claim in context.becomes(end, expected):
                yield text, z3.Implies(condition, claim)
    return claims


CONTRACTS = (
    Contract("refill arithmetic", "caprock::(anonymous namespace)::schedule_return", "Schedule.v: give_back", _give_back),
    Contract("refill arithmetic", "caprock::refill_unblock", "Schedule.v: begin_use, join_touching", _begin_use, rounds=2),
)
