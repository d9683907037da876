# SPDX-License-Identifier: BSD-2-Clause
"""Section 5: contracts of the shipped machine code, proved again by z3; that hello executes what they are about; and the model of the instructions beside
QEMU."""

import importlib.util

from .code import AuditError
from .report import Section, table

Z3 = "z3 is not installed (package python3-z3: `./caprock setup proofs`)"


def require_z3() -> None:
    """An AuditError if there is no z3."""
    if importlib.util.find_spec("z3") is None:
        raise AuditError(Z3)


def prove(image, jobs: int) -> list:
    """Proves all contracts (contracts.proving.Proof)."""
    require_z3()
    from contracts import catalogue
    return catalogue.prove_all(image, jobs)


def proved_functions(image, proofs: list) -> set:
    """The functions of the image of which every instruction is proved against a contract."""
    whole = {proof.place.start for proof in proofs if proof.is_whole}
    return {function for function in image.functions if function.address in whole}


def section(image, proofs: list, executed: set[int]) -> Section:
    """The section. `executed`: the addresses of the instructions that hello executed."""
    require_z3()
    from contracts import catalogue, validation

    result = Section(5, "binary proofs")
    rows = [(proof.contract.meaning, "no" if proof.failures else "yes", _share(proof, proof.instructions), _share(proof, executed), proof.paths,
             f"{proof.seconds:.1f}", proof.contract.clause, proof.contract) for proof in proofs]
    result.lines += table(rows, ("meaning", "proved", "instructions", "by hello", "paths", "seconds", "specification", "function"))
    result.failures += [failure for proof in proofs for failure in proof.failures]
    result.failures += [f"{proof.contract}: hello does not execute it, so the proof is of nothing that runs" for proof in proofs
                        if proof.place is not None and proof.place.start not in executed]
    result.failures += [f"{meaning}: no contract is about it" for meaning in catalogue.missing_meanings(tuple(proof.contract for proof in proofs))]
    try:
        compared = catalogue.compare_model(image, proofs)
    except validation.ValidationError as error:
        result.failures.append(f"the model of the instructions: {error}")
        return result
    result.failures += [f"the model of the instructions: {line}" for line in compared.findings]
    result.lines.append(f"contracts: {len(proofs)}, proved: {sum(not proof.failures for proof in proofs)}, functions proved whole: "
                        f"{sum(proof.is_whole for proof in proofs)}; ways: {sum(proof.paths for proof in proofs)}, questions to z3: "
                        f"{sum(proof.questions for proof in proofs)}")
    result.lines.append(f"model of the instructions: {compared.instructions} instructions of {compared.forms} forms, {compared.trials} trials with random "
                        f"operands; QEMU differs in {len(compared.findings)}")
    return result


def _share(proof, addresses: set[int]) -> str:
    """How many of a function's instructions are among some."""
    if proof.place is None:
        return "-"
    return f"{len(addresses & set(proof.place.addresses))}/{len(proof.place.addresses)}"
