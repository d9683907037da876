# SPDX-License-Identifier: BSD-2-Clause
"""The contracts of the kernel that was built: each is proved, and each is refuted of a kernel with a seeded mistake in one of its instructions."""

import random

import pytest

from contracts import catalogue
from contracts.execution import Code
from contracts.instructions import decode
from contracts.proving import prove

NOTHING = 0xD503_201F
_INVERTED = {"B.cond": 0, "CBZ, CBNZ": 24, "TBZ, TBNZ": 24, "CSEL, CSINC, CSINV, CSNEG": 12, "CCMN, CCMP": 12, "ADD, SUB (immediate)": 30,
             "ADD, SUB (shifted register)": 30, "SBFM, BFM, UBFM": 10, "LDP, STP": 15, "LDR, STR (unsigned offset)": 10}
"""Forms, and a bit whose change makes another instruction of the same form: the other condition, operation, width or place."""
_KEPT = ("B", "BL", "BR, RET", "BLR")
_SEED = 8
_MOST_MISTAKES = 12

each_contract = pytest.mark.parametrize("contract", catalogue.CONTRACTS, ids=[f"{contract.meaning}-{contract}" for contract in catalogue.CONTRACTS])


@each_contract
def test_the_kernel_keeps_its_contract(kernel, contract):
    proof = prove(contract, *kernel)
    assert proof.failures == []
    assert proof.paths > 0 and len(proof.instructions) > 1


def mistaken(word: int) -> int | None:
    """An instruction with a mistake in it; None for those that only lead on."""
    name = decode(word).name
    if name in _KEPT:
        return None
    return word ^ 1 << _INVERTED[name] if name in _INVERTED else NOTHING


@each_contract
def test_a_seeded_mistake_is_refuted_by_an_example(kernel, contract):
    image, layouts = kernel
    code = Code(image)
    ways = sorted(prove(contract, image, layouts).instructions)
    mistakes = {address: changed for address in ways if (changed := mistaken(code.instruction(address))) is not None}
    tried = random.Random(_SEED).sample(sorted(mistakes), min(len(mistakes), _MOST_MISTAKES))
    for address in tried:
        # Not every change is a mistake, and some only lead where the executor does not follow.
        failures = prove(contract, image, layouts, {address: mistakes[address]}).failures
        if failures and "counterexample: " in failures[0]:
            return
    pytest.fail(f"none of {len(tried)} changed instructions is refuted")


def test_each_meaning_has_a_contract():
    assert catalogue.missing_meanings() == []
    assert catalogue.missing_meanings(catalogue.CONTRACTS[:1]) == [meaning for meaning in catalogue.MEANINGS if meaning != catalogue.CONTRACTS[0].meaning]


def test_contracts_are_proved_side_by_side_as_one_after_the_other(kernel):
    image, _ = kernel
    shortest = catalogue.CONTRACTS[1:3]
    one, two = catalogue.prove_all(image, 1, shortest), catalogue.prove_all(image, 2, shortest)
    one, two = ([(proof.contract.function, proof.paths, proof.failures) for proof in proofs] for proofs in (one, two))
    assert one == two
