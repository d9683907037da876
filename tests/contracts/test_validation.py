# SPDX-License-Identifier: BSD-2-Clause
"""The model of the instructions beside QEMU: they agree on thousands of instructions with random operands, and a mistake in the model is found."""

import random
import shutil

import pytest
import z3

from contracts import instructions, validation
from contracts.instructions import FORMS, decode

SEED = 20
OF_EACH_FORM = 60
FEWER = {"NOP, YIELD, CSDB": 10}
"""Forms most of whose encodings are not modelled."""
needs_machine = pytest.mark.skipif(shutil.which("qemu-system-aarch64") is None or shutil.which("aarch64-linux-gnu-gcc") is None,
                                   reason="QEMU or the cross compiler is missing (./caprock setup)")


@needs_machine
def test_model_and_machine_agree(tmp_path):
    trials = validation.make_trials([], FORMS, SEED, 0, OF_EACH_FORM)
    for form in FORMS:
        assert sum(decode(trial.word) is form for trial in trials) >= FEWER.get(form.name, OF_EACH_FORM), form.name
    assert validation.compare(trials, tmp_path) == []


def some(name: str, count: int = 40) -> list[validation.Trial]:
    """Trials of one form."""
    return validation.make_trials([], [form for form in FORMS if form.name == name], SEED, 0, count)


@needs_machine
@pytest.mark.parametrize("name, function, wrong", [
    ("ADD, SUB (shifted register)", "_sum", lambda machine, x, y, subtract, flags: x + y),
    ("CSEL, CSINC, CSINV, CSNEG", "condition", lambda machine, code: z3.BoolVal(True)),
    ("CLZ", "leading_zeros", lambda value: value),
    ("AND, ORR, EOR, ANDS (immediate)", "bit_mask", lambda n, ones, rotation, bits: 1),
    ("LDP, STP", "_signed", lambda value, bits: 0),
])
def test_a_mistake_in_the_model_is_found(tmp_path, monkeypatch, name, function, wrong):
    trials = some(name)
    monkeypatch.setattr(instructions, function, wrong)
    monkeypatch.setattr(validation, "by_model", _or_nothing(validation.by_model))
    found = validation.compare(trials, tmp_path)
    assert found and all(f"({name})" in line for line in found)


def _or_nothing(by_model):
    """The model; where a wrong one leads out of the window, what it began with."""
    def tolerant(trial):
        try:
            return by_model(trial)
        except validation.Fault:
            return validation.Outcome(trial.registers, trial.stack_pointer, trial.flags, 0, trial.system, trial.data)
    return tolerant


@needs_machine
@pytest.mark.parametrize("change, what", [
    (lambda outcome: outcome.registers.__setitem__(7, outcome.registers[7] ^ 1), "registers: x7"),
    (lambda outcome: setattr(outcome, "flags", outcome.flags ^ 1 << 29), "flags"),
    (lambda outcome: setattr(outcome, "pc", outcome.pc + 4), "pc"),
    (lambda outcome: setattr(outcome, "data", bytes(len(outcome.data))), "data"),
    (lambda outcome: setattr(outcome, "stack_pointer", outcome.stack_pointer + 1), "stack_pointer"),
    (lambda outcome: setattr(outcome, "system", outcome.system + 1), "system"),
])
def test_whatever_differs_is_said(tmp_path, monkeypatch, change, what):
    right = validation.by_model

    def wrong(trial):
        outcome = right(trial)
        change(outcome)
        return outcome

    monkeypatch.setattr(validation, "by_model", wrong)
    found = validation.compare(some("LDR, STR (unsigned offset)", 3), tmp_path)
    assert len(found) == 3 and all(f": {what}: the model has" in line for line in found)


@needs_machine
def test_an_instruction_that_traps_is_said(tmp_path):
    trial = some("CLZ", 1)[0]
    trial.code[len(trial.code) // 2] = 0
    assert validation.compare([trial], tmp_path) == [f"{trial.word:#010x} (CLZ): QEMU raised an exception of class 0x0"]


def test_the_same_seed_makes_the_same_trials():
    assert [trial.word for trial in some("EXTR")] == [trial.word for trial in some("EXTR")]
    assert validation.make_trial(0xD503_207F, validation.START, random.Random(1)) is None  # wfi waits, so it is not modelled


def test_a_missing_machine_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(validation.ValidationError, match="qemu-system-aarch64 is not installed"):
        validation.by_qemu([], tmp_path)
