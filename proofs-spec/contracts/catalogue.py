# SPDX-License-Identifier: BSD-2-Clause
"""All contracts, and what an image makes of them: each is proved, hello executed the function that it is about, and the model of the instructions on its ways
agrees with QEMU."""

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import capabilities, invocations, lookups, pages, queues, refills, slots, validation
from .execution import Code
from .instructions import FORMS, decode
from .places import Layouts
from .proving import Contract, Proof, prove

CONTRACTS: tuple[Contract, ...] = tuple(
    contract for module in (capabilities, slots, lookups, pages, invocations, refills, queues) for contract in module.CONTRACTS)
MEANINGS = ("capability pack and unpack", "capability derive", "capability removal", "rights", "lookup step", "page-table entry", "alignment",
            "queue insertion", "queue removal", "refill arithmetic")
"""What must be proved of the machine code: each by one contract at least."""
SEED = 1
_OF_EACH_INSTRUCTION, _OF_EACH_FORM = 2, 20


@dataclass
class Comparison:
    """The model of the instructions beside QEMU: how many were tried how often, and in what the two differ."""

    instructions: int
    forms: int
    trials: int
    findings: list[str]


def prove_all(image, jobs: int = 1, contracts: tuple[Contract, ...] = CONTRACTS) -> list[Proof]:
    """Proves contracts of an image, in their order."""
    layouts = Layouts(image)
    if jobs == 1:
        return [prove(contract, image, layouts) for contract in contracts]
    _inherited.update(image=image, layouts=layouts, contracts=contracts)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        return list(pool.map(_prove_number, range(len(contracts))))


_inherited: dict = {}
"""What the processes that prove have of the one that started them."""


def _prove_number(number: int) -> Proof:
    return prove(_inherited["contracts"][number], _inherited["image"], _inherited["layouts"])


def compare_model(image, proofs: list[Proof], seed: int = SEED) -> Comparison:
    """Executes the instructions on the ways of proofs, and others of their forms, by the model and by QEMU. A validation.ValidationError if that fails."""
    code = Code(image)
    words = sorted({code.instruction(address) for proof in proofs for address in proof.instructions})
    names = {decode(word).name for word in words}
    forms = [form for form in FORMS if form.name in names]
    trials = validation.make_trials(words, forms, seed, _OF_EACH_INSTRUCTION, _OF_EACH_FORM)
    tried = {decode(trial.word).name for trial in trials}
    with tempfile.TemporaryDirectory(prefix="caprock-contracts-") as folder:
        findings = validation.compare(trials, Path(folder))
    findings += [f"{form.name}: no instruction of this form could be tried" for form in forms if form.name not in tried]
    return Comparison(len(words), len(forms), len(trials), findings)


def missing_meanings(contracts: tuple[Contract, ...] = CONTRACTS) -> list[str]:
    """What no contract is about although it must be."""
    return [meaning for meaning in MEANINGS if all(contract.meaning != meaning for contract in contracts)]
