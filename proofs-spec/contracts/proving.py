# SPDX-License-Identifier: BSD-2-Clause
"""A contract, and what it takes to prove it: every way through a function is followed, and at the end of each z3 must find no input for which something does
not hold. The last is shown as a counterexample if there is one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import z3

from .execution import Code, Judge, Run, Stuck, new_machine
from .machine import INITIAL, STACK_ALIGNMENT, Machine, bounds
from .places import Layouts, Place, find, starts
from .representation import image_pointer

RETURN = 0xFFFF_FFFF_FFFF_FFF0
"""Where a function returns to: an address outside of the image. What the caller is makes no difference to a function that only returns there."""
STACK_BYTES = 1024
"""What a function and those that it calls may need of the stack; it belongs to them, and what it held is lost."""
PRESERVED = range(19, 30)
"""Registers that a function must give back as they were (procedure call standard)."""
_SHOWN = 12

Claims = Iterator[tuple[str, z3.BoolRef]]


@dataclass(frozen=True)
class Contract:
    """What is to be proved of a function of the image: what it means, the definitions of the specification that the proof compares with, and `state`, which
    makes assumptions about the beginning and gives what claims about an end. `rounds`: how often at most an instruction is executed on one way.
    `ends`: functions and labels at which a way ends, too; a piece of assembly has only them, a function returns."""

    meaning: str
    function: str
    clause: str
    state: Callable[["Case"], Callable[[Machine], Claims]]
    rounds: int = 1
    ends: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.function


class Case:
    """The beginning of a proof: registers and memory about which a contract makes its assumptions."""

    def __init__(self, machine: Machine, judge: Judge, layouts: Layouts, image):
        self.machine, self.layouts, self._image = machine, layouts, image
        self._judge = judge
        self._regions: list[tuple[z3.BoolRef, z3.BitVecRef, int]] = []
        self._writable: list[z3.BitVecRef] = []
        self._areas: list[tuple[z3.BitVecRef, z3.BitVecRef]] = []
        self.inputs: dict[str, z3.ExprRef] = {}
        self.object(machine.stack_pointer - STACK_BYTES, STACK_BYTES, STACK_ALIGNMENT)

    def register(self, number: int, name: str) -> z3.BitVecRef:
        """A register at the beginning. Its name is for counterexamples."""
        return self.named(name, self.machine.registers[number])

    def named(self, name: str, value):
        self.inputs[name] = value
        return value

    def word(self, address: z3.BitVecRef) -> z3.BitVecRef:
        """A word of the memory at the beginning."""
        return self.machine.memory.initial(address)

    def set_register(self, number: int, value: z3.BitVecRef, name: str) -> z3.BitVecRef:
        """Says what a register is at the beginning. Parts of the value that are constants save questions to z3."""
        self.machine.registers[number] = z3.simplify(value)
        return self.named(name, self.machine.registers[number])

    def set_word(self, address: z3.BitVecRef, value: z3.BitVecRef) -> z3.BitVecRef:
        """The same of a word of the memory."""
        value = z3.simplify(value)
        self.assume(INITIAL(address) == value)
        self.machine.memory.give(address, value)
        return value

    def is_at(self, end: Machine, name: str) -> bool:
        """Whether a way ended where a function begins, or one of those of that name."""
        return end.pc in starts(self._image, name)

    def symbol(self, name: str) -> z3.BitVecRef:
        """The address of a variable of the kernel."""
        return z3.BitVecVal(self._image.symbol(name), 64)

    def assume(self, *facts: z3.BoolRef) -> None:
        self._judge.add(*facts)

    def can_be(self, condition: z3.BoolRef) -> bool:
        """Whether a condition can hold, on the way that was taken if there is one."""
        return self._judge.can_be(condition)

    def object(self, address: z3.BitVecRef, size: int, alignment: int = 8, when: z3.BoolRef | None = None) -> z3.BitVecRef:
        """Something of a size is at an address, apart from all others and from the stack; `when`: if that holds (a pointer that may be null)."""
        when = z3.BoolVal(True) if when is None else when
        self.assume(z3.Implies(when, z3.And(address & (alignment - 1) == 0, z3.ULE(address, address + (size - 1)))))
        least, most = bounds(z3.simplify(address))
        for condition, start, other_size in self._regions:
            other_least, other_most = bounds(z3.simplify(start))
            if most + size <= other_least or other_most + other_size <= least:
                continue
            apart = z3.Or(z3.ULT(address + (size - 1), start), z3.ULT(start + (other_size - 1), address))
            self.assume(z3.Implies(z3.And(when, condition), apart))
        self._regions.append((when, address, size))
        self._judge.add_region(when, address, size)
        return address

    def writes(self, *addresses: z3.BitVecRef) -> None:
        """Words that may be others at the end."""
        self._writable += addresses

    def writes_area(self, start: z3.BitVecRef, size: z3.BitVecRef) -> None:
        """The same of all words of a piece of memory."""
        self._areas.append((start, size))

    def keeps_all(self, machine: Machine) -> z3.BoolRef:
        """No word is another than at the beginning."""
        return self.keeps_the_rest(machine, [])

    def keeps_the_rest(self, machine: Machine, allowed: list[z3.BitVecRef] | None = None) -> z3.BoolRef:
        """No word but those that may be written is another than at the beginning; what is below SP belongs to the function."""
        stack = self.machine.stack_pointer
        writable, areas = (self._writable, self._areas) if allowed is None else (allowed, [])
        facts = []
        for address, value in machine.memory.writes:
            in_stack = z3.ULT(address - (stack - STACK_BYTES), STACK_BYTES)
            facts.append(z3.Or(in_stack, value == self.word(address), *(address == place for place in writable),
                               *(z3.ULT(address - start, size) for start, size in areas)))
        return z3.And(*facts)


@dataclass
class Proof:
    """What came of a contract. `failures` are empty if it is proved."""

    contract: Contract
    place: Place | None = None
    instructions: set[int] = field(default_factory=set)
    paths: int = 0
    questions: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether every instruction of the function was on a way, so that all of it is proved."""
        return self.place is not None and not self.failures and not self.contract.ends and set(self.place.addresses) <= self.instructions


def prove(contract: Contract, image, layouts: Layouts, changed: dict[int, int] | None = None) -> Proof:
    """Proves a contract of an image. `changed`: instructions that are other ones, by their addresses; of those the first failure is looked for."""
    start = time.monotonic()
    proof = Proof(contract)
    try:
        proof.place = find(image, contract.function)
        _explore(contract, image, Code(image, changed), layouts, proof, changed is not None)
    except Stuck as error:
        proof.failures.append(f"{contract}: {error}")
    proof.seconds = time.monotonic() - start
    return proof


def _explore(contract: Contract, image, code: Code, layouts: Layouts, proof: Proof, is_first_enough: bool) -> None:
    judge = Judge(code)
    begun = new_machine(judge, proof.place.start)
    begun.registers[30] = z3.BitVecVal(RETURN, 64)
    if proof.place.is_compiled:
        begun.stack_pointer = image_pointer("sp", STACK_ALIGNMENT.bit_length() - 1)
    case = Case(begun, judge, layouts, image)
    claims = contract.state(case)
    if judge.model_of(z3.BoolVal(True)) is None:
        raise Stuck("what is assumed cannot be, so nothing would be proved")

    def at_end(end: Machine) -> None:
        for text, claim in (*(_convention(begun, end) if end.pc == RETURN else ()), *claims(end), ("no other memory is written", case.keeps_the_rest(end))):
            model = judge.model_of(z3.Not(claim))
            if model is not None:
                proof.failures.append(f"{contract}: not proved: {text}; counterexample: {_show(case, model)}")
                if is_first_enough:
                    raise Stuck("the rest is not looked at")
                return

    ends = {RETURN}.union(*(starts(image, name) for name in contract.ends))
    run = Run(code, judge, lambda pc: pc in ends, at_end, contract.rounds)
    try:
        run.follow(begun.copy())
    finally:
        proof.instructions, proof.paths, proof.questions = run.executed, run.paths, judge.questions


def _convention(begun: Machine, end: Machine) -> Claims:
    yield "the stack pointer is what it was", end.stack_pointer == begun.stack_pointer
    yield "registers x19 to x29 are what they were", z3.And(*(end.registers[number] == begun.registers[number] for number in PRESERVED))


def _show(case: Case, model: z3.ModelRef) -> str:
    values = []
    for name, term in list(case.inputs.items())[:_SHOWN]:
        value = model.eval(term, model_completion=True)
        values.append(f"{name} = {value.as_long():#x}" if z3.is_bv_value(value) else f"{name} = {value}")
    return ", ".join(values)
