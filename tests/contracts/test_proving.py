# SPDX-License-Identifier: BSD-2-Clause
"""The proofs of machine code: what is right is proved for all inputs, what is wrong is refuted with an example, and what the executor does not know or cannot
bound is a failure that says where."""

import pytest
import z3

from contracts import places, representation
from contracts.execution import Stuck
from contracts.instructions import Unmodelled, bit_mask, decode
from contracts.machine import bounds
from contracts.proving import Contract, prove


def proved(image, claims, before=None, rounds=1):
    """What is wrong with a function `subject` of which is claimed what `claims(case, end)` gives; `before(case)` makes assumptions."""
    def state(case):
        for number in range(4):
            case.register(number, f"x{number}")
        if before:
            before(case)
        return lambda end: [("the claim", claims(case, end))]

    return prove(Contract("test", "subject", "none", state, rounds), image, None)


def x(case, number):
    return case.machine.registers[number]


def result(value):
    """The claim that x0 is a value at the end."""
    return lambda case, end: end.registers[0] == value(case)


ADD_ONE = "add x0, x0, #1\nret"


def test_a_right_function_is_proved(assemble):
    proof = proved(assemble(ADD_ONE), result(lambda case: x(case, 0) + 1))
    assert proof.failures == [] and proof.paths == 1 and len(proof.instructions) == 2 and proof.is_whole


def test_a_wrong_function_is_refuted_by_an_example(assemble):
    proof = proved(assemble("cmp x0, #77\ncinc x0, x0, ne\nret"), result(lambda case: x(case, 0) + 1))
    assert len(proof.failures) == 1 and "not proved: the claim; counterexample: x0 = 0x4d, " in proof.failures[0] and not proof.is_whole


def test_every_way_is_followed(assemble):
    minimum = result(lambda case: z3.If(z3.ULT(x(case, 0), x(case, 1)), x(case, 0), x(case, 1)))
    assert proved(assemble("cmp x0, x1\nb.ls 1f\nmov x0, x1\n1: ret"), minimum).failures == []
    assert proved(assemble("cmp x0, x1\nb.ls 1f\nmov x0, x1\n1: ret"), minimum).paths == 2
    assert "counterexample" in proved(assemble("cmp x0, x1\nb.le 1f\nmov x0, x1\n1: ret"), minimum).failures[0]


def test_code_that_no_way_reaches_is_not_proved(assemble):
    proof = proved(assemble("b 1f\nmov x0, #3\n1: ret"), result(lambda case: x(case, 0)))
    assert proof.failures == [] and not proof.is_whole


TABLE = """
    cmp     x0, #2
    b.hi    9f
    adr     x2, 8f
    ldrb    w1, [x2, x0]
    adr     x2, 1f
    add     x2, x2, w1, sxtb #2
    br      x2
1:  mov     x0, #10
    ret
2:  mov     x0, #20
    ret
9:  mov     x0, #90
    ret
    .align 3
8:  .byte 0, (2b - 1b) / 4, (9b - 1b) / 4
    .align 3
"""


def test_a_jump_table_is_followed_to_each_of_its_targets(assemble):
    image = assemble(TABLE)
    image.data.update(address for address in range(image.symbol("subject"), image.symbol("subject") + 64, 4) if image.at(address) is None)
    expected = result(lambda case: z3.If(x(case, 0) == 0, z3.BitVecVal(10, 64), z3.If(x(case, 0) == 1, z3.BitVecVal(20, 64), z3.BitVecVal(90, 64))))
    proof = proved(image, expected)
    assert proof.failures == [] and proof.paths == 4


LOOP = "mov x2, #0\n1: cbz x0, 2f\nadd x2, x2, x1\nsub x0, x0, #1\nb 1b\n2: mov x0, x2\nret"


def test_a_loop_is_unrolled_to_its_bound(assemble):
    product = result(lambda case: x(case, 0) * x(case, 1))

    def at_most(number):
        return lambda case: case.assume(z3.ULE(x(case, 0), number))

    assert proved(assemble(LOOP), product, at_most(3), rounds=4).failures == []
    assert "a loop that may go round more than 4 times" in proved(assemble(LOOP), product, at_most(4), rounds=4).failures[0]


def test_an_instruction_that_is_not_modelled_is_named(assemble):
    proof = proved(assemble("dc zva, x0\nret"), result(lambda case: x(case, 0)))
    assert len(proof.failures) == 1 and "0xffffffff80000000: instruction 0xd50b7420" in proof.failures[0]
    assert "instruction 0x1e602820" in proved(assemble("fadd d0, d1, d0\nret"), result(lambda case: x(case, 0))).failures[0]
    with pytest.raises(Unmodelled, match="0xffffffff"):
        decode(0xFFFF_FFFF)


def test_reserved_constants_are_not_guessed():
    assert bit_mask(1, 0, 0, 64) == 1 and bit_mask(0, 0b111100, 0, 32) == 0x5555_5555 and bit_mask(1, 3, 63, 64) == 0b11110
    for reserved in ((0, 0b111111, 0, 32), (1, 0b111111, 0, 64), (1, 3, 0, 32)):
        with pytest.raises(Unmodelled):
            bit_mask(*reserved)


def test_memory_is_what_was_written_last(assemble):
    swap = "ldp x2, x3, [x0]\nstp x3, x2, [x0]\nret"

    def before(case):
        case.object(x(case, 0), 16)
        case.writes(x(case, 0), x(case, 0) + 8)

    def swapped(case, end):
        first, second = x(case, 0), x(case, 0) + 8
        return z3.And(end.memory.word(first) == case.word(second), end.memory.word(second) == case.word(first))

    assert proved(assemble(swap), swapped, before).failures == []
    assert "counterexample" in proved(assemble(swap.replace("x3, x2", "x2, x3")), swapped, before).failures[0]


def test_two_pointers_may_be_the_same_unless_that_is_excluded(assemble):
    copy = "ldr x2, [x0]\nstr x2, [x1]\nldr x3, [x0]\nadd x0, x2, x3\nret"
    increment = "mov x2, #5\nstr x2, [x1]\nldr x0, [x0]\nret"

    def aligned(case):
        case.assume(x(case, 0) & 7 == 0, x(case, 1) & 7 == 0)
        case.writes(x(case, 1))

    def apart(case):
        case.object(x(case, 0), 8)
        case.object(x(case, 1), 8)
        case.writes(x(case, 1))

    assert proved(assemble(copy), result(lambda case: 2 * case.word(x(case, 0))), aligned).failures == []
    unchanged = result(lambda case: case.word(x(case, 0)))
    assert "counterexample" in proved(assemble(increment), unchanged, aligned).failures[0]
    assert proved(assemble(increment), unchanged, apart).failures == []


def test_a_byte_is_a_part_of_its_word(assemble):
    def before(case):
        case.object(x(case, 0) - 8, 16)
        case.writes(x(case, 0))

    def changed(case, end):
        return end.memory.word(x(case, 0)) == case.word(x(case, 0)) & ~z3.BitVecVal(0xFF00, 64) | (x(case, 1) & 0xFF) << 8

    assert proved(assemble("strb w1, [x0, #1]\nret"), changed, before).failures == []
    assert "counterexample" in proved(assemble("strb w1, [x0, #2]\nret"), changed, before).failures[0]


@pytest.mark.parametrize("code, message", [
    ("str x1, [x0]\nret", "not known to be a multiple of 8"),
    ("add x0, sp, #8\nsub sp, sp, #8\nstr x1, [sp]\nadd sp, sp, #8\nret", "not known to be a multiple of 16"),
    ("adr x0, subject\nstr x1, [x0]\nret", "which cannot be written"),
    ("mov x30, x1\nret", "a computed branch that may lead anywhere"),
    ("mov x0, #64\nbr x0", "no instruction of the image"),
    ("sub sp, sp, #16\nret", "not proved: the stack pointer is what it was"),
    ("mov x20, #1\nret", "not proved: registers x19 to x29 are what they were"),
    ("and x1, x1, #~7\nstr x0, [x1]\nret", "not proved: no other memory is written"),
    ("str x0, [sp, #-16]!\nstr x0, [sp, #16]\nadd sp, sp, #16\nret", "not proved: no other memory is written"),
])
def test_what_no_function_may_do_is_found(assemble, code, message):
    assert message in proved(assemble(code), lambda case, end: z3.BoolVal(True)).failures[0]


def test_what_is_saved_on_the_stack_comes_back(assemble):
    code = ("stp x19, x30, [sp, #-32]!", "str x20, [sp, #16]", "mov x19, x0", "mov x20, #2", "bl 1f", "add x0, x19, x0", "ldr x20, [sp, #16]",
            "ldp x19, x30, [sp], #32", "ret", "1: mul x0, x0, x20", "ret")
    assert proved(assemble("\n".join(code)), result(lambda case: 3 * x(case, 0)), rounds=2).failures == []


def test_what_is_said_of_registers_and_words_is_so(assemble):
    def before(case):
        case.object(case.set_register(0, representation.pointer("place", 4), "place"), 16)
        case.set_word(x(case, 0) + 8, z3.BitVecVal(5, 64))

    load = "ldr x0, [x0, x1]\nret"
    assert proved(assemble(load), result(lambda case: z3.BitVecVal(5, 64)), lambda case: (before(case), case.assume(x(case, 1) == 8))).failures == []
    aligned = lambda case: (before(case), case.assume(z3.Or(x(case, 1) == 0, x(case, 1) == 8)))  # noqa: E731
    assert "counterexample" in proved(assemble(load), result(lambda case: z3.BitVecVal(5, 64)), aligned).failures[0]


def test_a_way_may_end_where_a_function_begins(assemble):
    image = assemble("cbz x0, other\nret\n.global other\n.type other, %function\nother: dc zva, x0\n.size other, 4")

    def state(case):
        def claims(end):
            if case.is_at(end, "other"):
                yield "it goes on there with nothing", end.registers[0] == 0
            else:
                yield "it returns with something", end.registers[0] != 0
        return claims

    proof = prove(Contract("test", "subject", "none", state, ends=("other",)), image, None)
    assert proof.failures == [] and proof.paths == 2
    assert "the image has no functions of this name" in prove(Contract("test", "subject", "none", state, ends=("absent",)), image, None).failures[0]


def test_what_the_tlbs_forget_is_known_with_the_memory_then(assemble):
    def before(case):
        case.object(x(case, 0), 8)
        case.writes(x(case, 0))

    def forgotten(case, end):
        assert [told.operation for told in end.invalidations] == [representation.INVALIDATE_LAST_LEVEL]
        return z3.And(end.invalidations[0].operand == x(case, 1), end.invalidations[0].memory.word(x(case, 0)) == 0)

    code = ("str xzr, [x0]", "tlbi vale1is, x1", "str x2, [x0]", "ret")
    assert proved(assemble("\n".join(code)), forgotten, before).failures == []
    assert "counterexample" in proved(assemble("\n".join((code[1], code[0], *code[2:]))), forgotten, before).failures[0]


@pytest.mark.parametrize("term, expected", [
    (z3.BitVecVal(7, 64), (7, 7)),
    (representation.pointer("p", 12), (0xFFFF_8000_0000_0000, 0xFFFF_BFFF_FFFF_F000)),
    (representation.pointer("p", 12) + 0xF80, (0xFFFF_8000_0000_0F80, 0xFFFF_BFFF_FFFF_FF80)),
    (z3.Concat(z3.BitVecVal(0, 60), z3.BitVec("n", 4)) + (1 << 64) - 4, (0, (1 << 64) - 1)),
    (z3.If(z3.Bool("b"), z3.BitVecVal(3, 64), z3.BitVecVal(9, 64)), (3, 9)),
    (z3.BitVec("x", 8), (0, 255)),
])
def test_bounds_hold_whatever_is_unknown(term, expected):
    assert bounds(z3.simplify(term)) == expected


def test_assumptions_that_contradict_each_other_prove_nothing(assemble):
    proof = proved(assemble(ADD_ONE), result(lambda case: x(case, 0)), lambda case: case.assume(x(case, 0) == 1, x(case, 0) == 2))
    assert proof.failures == ["subject: what is assumed cannot be, so nothing would be proved"]


def test_a_function_that_is_not_there_is_said(assemble):
    with pytest.raises(Stuck, match="the image has no functions of this name"):
        places.find(assemble(ADD_ONE), "absent")


def test_a_copy_with_other_parameters_is_refused(assemble):
    image = assemble(ADD_ONE + "\n.global subject.isra.0\n.type subject.isra.0, %function\nsubject.isra.0: nop\nret\n.size subject.isra.0, 8")
    image.functions = [function for function in image.functions if function.others != ("subject",)]
    with pytest.raises(Stuck, match=r"a copy with other parameters \(subject.isra.0\)"):
        places.find(image, "subject")


def test_structures_are_known_by_their_members(kernel):
    _, layouts = kernel
    assert layouts.offset("Tcb", "ready.prev") == layouts.offset("Tcb", "ready.next") + 8
    assert layouts.offset("Slot", "cap.w1") == 8 and layouts.size("Slot") == 32
    with pytest.raises(Stuck, match="no Tcb::nothing"):
        layouts.offset("Tcb", "nothing")
    with pytest.raises(Stuck, match="no structure Nothing"):
        layouts.size("Nothing")
