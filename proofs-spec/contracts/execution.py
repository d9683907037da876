# SPDX-License-Identifier: BSD-2-Clause
"""All ways through a piece of the image: from an address, with registers and memory about which only assumptions are made, to where it ends."""

from collections.abc import Callable
from dataclasses import dataclass, field

import z3

from .instructions import Unmodelled, execute
from .machine import WORD_BYTES, Fault, Machine, Memory, known, split

MOST_VALUES = 64
"""Addresses that a computed branch or an index into a table may have on one way; the kernel's tables are not larger."""
_EFFORT = 200_000_000
"""What z3 may spend on one question, in its own units, which do not depend on the machine."""
_FIRST_EFFORT = 500_000
"""The same without a look at the whole question first, which most do not need."""


class Stuck(Exception):
    """A way that cannot be followed: place and cause."""


class Code:
    """The instructions and constants of an image, some of which may be others than it has (a seeded mistake)."""

    def __init__(self, image, changed: dict[int, int] | None = None):
        self._image, self._changed = image, changed or {}
        self._executable = [part for part in image.segments if part.execute]
        self._constant = [part for part in image.segments if not part.write]

    def instruction(self, address: int) -> int | None:
        """The instruction at an address."""
        inside = any(part.start <= address < part.start + part.size for part in self._executable) and address % 4 == 0
        content = self._image.read(address, 4) if inside and address not in self._image.data else b""
        return self._changed.get(address, int.from_bytes(content, "little")) if content else None

    def constant(self, address: int) -> int | None:
        """A word that nothing can write."""
        if not any(part.start <= address and address + 8 <= part.start + part.size for part in self._constant):
            return None
        content = self._image.read(address, 8)
        return int.from_bytes(content, "little") if content else None


class Judge:
    """A solver with what is assumed and what the way taken says."""

    def __init__(self, code: Code):
        self._code = code
        self._facts: list[z3.BoolRef] = []
        self._levels: list[tuple[int, set[int], int]] = []
        self._made = 0
        self._decided: dict[int, tuple[z3.BoolRef, bool]] = {}
        self._open: dict[int, tuple[z3.BoolRef, int]] = {}
        self._stamps: list[int] = [0]
        self._regions: list[tuple[z3.BoolRef, z3.BitVecRef, int, int]] = []
        self.questions = 0

    def add(self, *facts: z3.BoolRef) -> None:
        self._facts += map(z3.simplify, facts)
        self._made += 1
        self._stamps.append(self._made)

    def add_region(self, when: z3.BoolRef, address: z3.BitVecRef, size: int) -> None:
        """Memory that overlaps no other region that was added, if both are there. The assumptions must say the same."""
        base, offset = split(z3.simplify(address))
        self._regions.append((when, base, offset, size))

    def are_apart(self, one: z3.BitVecRef, other: z3.BitVecRef) -> bool:
        """Whether two words are in different regions, as far as a look at their addresses tells."""
        first, second = self._region(one), self._region(other)
        return first is not None and second is not None and first is not second and all(self.decide(region[0]) for region in (first, second))

    def _region(self, address: z3.BitVecRef):
        base, offset = split(address)
        inside = lambda start, size: (offset - start) % (1 << 64) <= size - WORD_BYTES  # noqa: E731
        return next((region for region in self._regions if region[1].eq(base) and inside(region[2], region[3])), None)

    def push(self) -> None:
        self._levels.append((len(self._facts), set(self._decided), len(self._stamps)))

    def pop(self) -> None:
        count, decided, stamps = self._levels.pop()
        del self._facts[count:], self._stamps[stamps:]
        self._decided = {key: entry for key, entry in self._decided.items() if key in decided}

    def model_of(self, condition: z3.BoolRef) -> z3.ModelRef | None:
        """An example of a condition, or None if it cannot be. Each question gets a solver of its own: z3 is much slower with one that is asked more."""
        self.questions += 1
        condition = z3.simplify(condition)
        for make, effort in ((z3.SimpleSolver, _FIRST_EFFORT), (lambda: z3.SolverFor("QF_UFBV"), _EFFORT)):
            solver = make()
            solver.set("rlimit", effort)
            solver.add(*self._facts, condition)
            answer = solver.check()
            if answer != z3.unknown:
                return solver.model() if answer == z3.sat else None
        raise Stuck(f"z3 gives up: {solver.reason_unknown()}")

    def can_be(self, condition: z3.BoolRef) -> bool:
        condition = z3.simplify(condition)
        if z3.is_true(condition) or z3.is_false(condition):
            return z3.is_true(condition)
        return self.model_of(condition) is not None

    def decide(self, condition: z3.BoolRef) -> bool | None:
        """Whether a condition follows (True), its opposite does (False), or neither."""
        condition = z3.simplify(condition)
        if z3.is_true(condition) or z3.is_false(condition):
            return z3.is_true(condition)
        key = condition.get_id()
        if key in self._open and self._open[key][1] == self._stamps[-1]:
            return None
        if key not in self._decided:
            found = self._ask(condition)
            if found is None:
                self._open[key] = condition, self._stamps[-1]  # it is as open as long as nothing more is known
                return None
            self._decided[key] = condition, found  # what follows from some facts follows from more
        return self._decided[key][1]

    def _ask(self, condition: z3.BoolRef) -> bool | None:
        if self.model_of(z3.Not(condition)) is None:
            return True
        return False if self.model_of(condition) is None else None

    def values_of(self, term: z3.BitVecRef, condition: z3.BoolRef = z3.BoolVal(True)) -> list[int]:
        """All values that a term may have where a condition holds. A Fault if there are too many."""
        values: list[int] = []
        while (model := self.model_of(z3.And(condition, *(term != value for value in values)))) is not None:
            values.append(model.eval(term, model_completion=True).as_long())
            if len(values) > MOST_VALUES:
                raise Fault(f"{z3.simplify(term)} may have more than {MOST_VALUES} values")
        return values

    def constant_word(self, address: int) -> int | None:
        return self._code.constant(address)


@dataclass
class Run:
    """One exploration: the ways that were followed to an end, and the instructions on them."""

    code: Code
    judge: Judge
    ends: Callable[[int], bool]
    at_end: Callable[[Machine], None]
    rounds: int
    paths: int = 0
    executed: set[int] = field(default_factory=set)

    def follow(self, machine: Machine, visits: dict[int, int] | None = None) -> None:
        """Follows all ways on from a state; `at_end` is called at the end of each, while the judge knows what led there."""
        visits = dict(visits or {})
        while not (self.executed and self.ends(machine.pc)):
            ways = self._step(machine, visits)
            if len(ways) != 1:
                for condition, target in ways:
                    self.judge.push()
                    self.judge.add(condition)
                    other = machine.copy()
                    other.pc = target
                    self.follow(other, visits)
                    self.judge.pop()
                return
            machine.pc = ways[0][1]
        self.paths += 1
        self.at_end(machine)

    def _step(self, machine: Machine, visits: dict[int, int]) -> list[tuple[z3.BoolRef, int]]:
        """Executes an instruction. Where it can go on, and when."""
        address = machine.pc
        word = self.code.instruction(address)
        if word is None:
            raise Stuck(f"{address:#x}: no instruction of the image")
        visits[address] = visits.get(address, 0) + 1
        if visits[address] > self.rounds:
            raise Stuck(f"{address:#x}: a loop that may go round more than {self.rounds} times")
        self.executed.add(address)
        try:
            jumps = execute(machine, word)
        except (Unmodelled, Fault) as error:
            raise Stuck(f"{address:#x}: {error}") from error
        behind = z3.BitVecVal(address + 4, 64)
        ways = [(z3.simplify(condition), target) for condition, target in jumps if condition is not None]
        otherwise = next((target for condition, target in jumps if condition is None), behind)
        ways.append((z3.simplify(z3.Not(z3.Or(*(condition for condition, _ in ways)))) if ways else z3.BoolVal(True), otherwise))
        possible = [way for way in ways[:-1] if self.judge.can_be(way[0])]
        # This way can be followed so far; if no branch is taken, it goes on behind.
        possible += [way for way in ways[-1:] if not possible or self.judge.can_be(way[0])]
        return [way for condition, target in possible for way in self._targets(address, condition, target)]

    def _targets(self, address: int, condition: z3.BoolRef, target: z3.BitVecRef) -> list[tuple[z3.BoolRef, int]]:
        """The addresses that a branch may lead to; more than one if it is computed."""
        target = z3.simplify(target)
        if known(target) is not None:
            return [(condition, known(target))]
        try:
            return [(z3.And(condition, target == value), value) for value in self.judge.values_of(target, condition)]
        except Fault as error:
            raise Stuck(f"{address:#x}: a computed branch that may lead anywhere") from error


def new_machine(judge: Judge, pc: int) -> Machine:
    """A state about which nothing is known but the place."""
    machine = Machine(Memory(judge))
    machine.pc = pc
    return machine
