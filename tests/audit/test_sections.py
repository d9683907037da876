# SPDX-License-Identifier: BSD-2-Clause
"""The audit's sections: each thing that must make it fail does, and what is right does not. The kernel, the proofs and the lockstep are small ones made here;
`./caprock audit` itself takes the real ones."""

import dataclasses
import importlib.util
import io
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from audit import assumptions, authority, binary_proofs, calls, clauses, evidence, identity, inventory, operations, places, proofs, sections
from audit.code import AuditError
from audit.evidence import Counted, HostRun, ImageRun
from audit.image import Image, Source
from audit.report import Section, result, table

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
SPECIFICATION = ROOT / "proofs-spec"
sys.path[:0] = [str(SPECIFICATION)]
import build as specification  # noqa: E402

NOTHING = HostRun(0, {}, {}, {})
needs_coq = pytest.mark.skipif(shutil.which("coqc") is None or shutil.which("coqchk") is None, reason="coq is missing (./caprock setup proofs)")


# ---- 1 identity --------------------------------------------------------------------------------------------------------------------------
def made(folder: Path, tools: str, content: bytes = b"code") -> Path:
    """A build folder with outputs that name their tools."""
    for name in identity.OUTPUTS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content + f"caprock-toolchain: {tools}\0".encode())
    return folder


def test_two_builds_of_the_same_bytes_are_right(tmp_path):
    assert identity.compare(made(tmp_path / "a", "gcc 12"), made(tmp_path / "b", "gcc 12")) == []


def test_an_image_that_is_not_rebuilt_bit_for_bit_is_found(tmp_path):
    found = identity.compare(made(tmp_path / "a", "gcc 12", b"one"), made(tmp_path / "b", "gcc 12", b"two"))
    assert len(found) == len(identity.OUTPUTS)
    assert found[0].startswith("kernel/kernel.elf: not the same when it is built again") and "by the same tools" in found[0]


def test_a_difference_of_the_tools_is_said(tmp_path):
    found = identity.compare(made(tmp_path / "a", "gcc 12"), made(tmp_path / "b", "gcc 13"))
    assert "but the tools differ: gcc 12 made it, gcc 13 is here" in found[0]


def test_an_image_that_was_not_built_is_said(tmp_path):
    with pytest.raises(AuditError, match="not built"):
        identity.hashes(tmp_path)


def test_the_sources_hash_sees_each_byte_and_nothing_that_is_made(tmp_path):
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "a.cc").write_text("1", encoding="utf-8")
    first = identity.sources_hash(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "made").write_text("2", encoding="utf-8")
    assert identity.sources_hash(tmp_path) == first
    (tmp_path / "kernel" / "a.cc").write_text("2", encoding="utf-8")
    assert identity.sources_hash(tmp_path) != first


# ---- 2 inventory -------------------------------------------------------------------------------------------------------------------------
SMALL = """
_start:
    bl boot
    b idle
exception_vectors:
    bl serve
    b idle
idle:
    wfi
    b idle
    function boot
    ret
    finish boot
    function serve
    ret
    finish serve
"""


def classes(image: Image, host=NOTHING, run=None, reviewed=(), proved=frozenset()):
    """The classes of a small kernel's functions by name, and the names of those that have none."""
    found = inventory.classify(image, calls.build(image), host, run or ImageRun(), list(reviewed), proved)
    return {source.name: kind for source, kind in found.classes.items()}, sorted(source.name for source in found.unclassified)


READ = inventory.Reviewed("kernel/fixture.S", "", (), "read")


def test_a_function_in_no_class_is_found(assemble):
    found, missing = classes(assemble(SMALL), reviewed=[READ])
    assert missing == ["serve"]
    assert found == {"_start": "assembly-reviewed", "exception_vectors": "assembly-reviewed", "idle": "assembly-reviewed", "boot": "boot-only"}


def test_assembly_that_nobody_read_is_in_no_class(assemble):
    assert classes(assemble(SMALL))[1] == ["_start", "exception_vectors", "idle", "serve"]


def test_a_function_that_was_traced_is_covered(assemble):
    image = assemble(SMALL)
    serve, boot = image.named("serve"), image.named("boot")
    found, missing = classes(image, run=ImageRun({serve.address, boot.address}), reviewed=[READ])
    # What only the boot reaches ran before anything was compared.
    assert (found["serve"], found["boot"], missing) == ("lockstep-covered", "boot-only", [])


def test_a_function_whose_machine_code_is_proved_needs_nothing_else(assemble):
    image = assemble(SMALL)
    proved = {image.named("serve")}
    assert classes(image, reviewed=[READ], proved=proved)[0]["serve"] == "binary-proved"
    found = Section(2, "")
    inventory._list_functions(found, image, inventory.classify(image, calls.build(image), NOTHING, ImageRun(), [READ], proved), ImageRun(), proved)
    assert "binary-proved: 1 functions, 4 bytes" in found.lines


def test_a_function_that_the_lockstep_called_is_covered(assemble):
    image = assemble(SMALL)
    place = (image.named("serve").source.file, image.named("serve").source.line)
    called, not_called = HostRun(1, {}, {place: Counted("serve", 3)}, {}), HostRun(1, {}, {place: Counted("serve", 0)}, {})
    assert classes(image, called, reviewed=[READ])[0]["serve"] == "lockstep-covered"
    assert classes(image, not_called, reviewed=[READ])[1] == ["serve"]


def test_a_function_that_is_always_inlined_is_covered_by_its_lines():
    host = HostRun(1, {}, {}, {("a.cc", 12): 5})
    assert host.reached("a.cc", 10, 20) and not host.reached("a.cc", 13, 20) and not host.reached("b.cc", 10, 20)


def test_a_changed_text_of_what_was_reviewed_is_found(tmp_path):
    (tmp_path / "a.S").write_text("nop\n", encoding="utf-8")
    found = inventory.changed_reviews([inventory.Reviewed("a.S", "0" * 64, (), "read")], tmp_path)
    assert len(found) == 1 and "its text is not the one that was reviewed" in found[0]
    good = found[0].split('"')[1]
    assert inventory.changed_reviews([inventory.Reviewed("a.S", good, (), "read")], tmp_path) == []
    assert "no file" in inventory.changed_reviews([inventory.Reviewed("b.S", good, (), "read")], tmp_path)[0]


def test_a_review_that_is_not_needed_is_found():
    source = Source("f", "a.cc", 1)
    listed = [inventory.Reviewed("a.cc", "", ("f",), "read")]
    assert inventory._superfluous(inventory.Inventory({source: "reviewed"}, {}), listed) == []
    assert "remove it" in inventory._superfluous(inventory.Inventory({source: "lockstep-covered"}, {}), listed)[0]


def test_a_violation_of_the_binary_is_a_failure_of_the_section(assemble, tmp_path):
    image = assemble("    function thief\n    eret\n    finish thief\n")
    found = Section(2, "")
    with pytest.raises((AuditError, OSError)):
        inventory.binary(found, image, tmp_path, calls.build(image))  # it has no stacks
    assert any("thief: eret: this place is not listed" in line for line in found.failures)


def test_too_little_stack_is_found(assemble, monkeypatch):
    image = assemble("    function fatal_exception\n    sub sp, sp, #64\n    add sp, sp, #64\n    ret\n    finish fatal_exception\n")
    monkeypatch.setattr(inventory, "_STACKS", {"emergency_stack": ("fatal_exception", "handle_nothing")})
    monkeypatch.setattr(inventory, "stack_sizes", lambda image, root: {"emergency_stack": 48})
    monkeypatch.setattr(places, "read_listed", lambda: {})
    found = Section(2, "")
    inventory.binary(found, image, ROOT, calls.build(image))
    assert found.failures == ["stack from fatal_exception: at most 64 of 48 bytes: fatal_exception",
                              "handle_nothing: the image has no such function (the audit must know each that is entered on an empty stack)"]


def test_counters_are_read():
    functions, lines = defaultdict(Counted), defaultdict(int)
    entry = {"file": "../kernel/cap/slot.cc", "functions": [{"name": "f", "demangled_name": "f()", "start_line": 3, "execution_count": 2}], "lines": [
        {"line_number": 3, "function_name": "f", "count": 2, "branches": []},
        {"line_number": 4, "function_name": "f", "count": 2, "branches": [
            {"count": 2, "throw": False}, {"count": 0, "throw": False}, {"count": 0, "throw": True}]}]}
    evidence.read_file(entry, functions, lines)
    evidence.read_file(entry, functions, lines)
    evidence.read_file({**entry, "file": "/usr/include/vector"}, functions, lines)
    counted = functions["kernel/cap/slot.cc", 3]
    assert list(functions) == [("kernel/cap/slot.cc", 3)]
    assert (counted.calls, counted.taken, len(counted.branches), lines["kernel/cap/slot.cc", 4]) == (4, 1, 2, 4)


@pytest.mark.skipif(shutil.which("ocamloptp") is None, reason="ocaml is missing (./caprock setup proofs)")
def test_the_specifications_branches_are_counted(tmp_path, monkeypatch):
    (tmp_path / "core.ml").write_text("let sign x = if x > 0 then 1 else if x < 0 then -1 else 0\nlet twice0 x = if x then 2 else 0\n"
                                      "let other x = if x then 1 else 0\n")
    (tmp_path / "main.ml").write_text("let () = ignore (Core.sign (int_of_string Sys.argv.(1)) + Core.twice0 true)\n")
    monkeypatch.setattr(specification, "ORACLE", ("core.ml", "main.ml"))
    monkeypatch.setattr(clauses, "CORE", "core.ml")
    program = clauses.compile_counted(tmp_path)
    for number, argument in enumerate(("5", "0", "7")):
        subprocess.run([program, argument], env=clauses.counters(program, number), check=True)
    found = clauses.read(program, {"sign", "twice"})
    assert found == {"sign": (4, 5), "twice": (2, 3)} and clauses.total(found) == (6, 8)


@pytest.mark.skipif(shutil.which("ocamloptp") is None, reason="ocaml is missing (./caprock setup proofs)")
def test_a_specification_without_counters_is_found(tmp_path, monkeypatch):
    (tmp_path / "core.ml").write_text("let sign x = if x > 0 then 1 else 0\n")
    monkeypatch.setattr(specification, "ORACLE", ("core.ml",))
    with pytest.raises(AuditError, match="no definition of the specification was counted"):
        clauses.read(clauses.compile_counted(tmp_path), {"sign"})


def test_the_plugins_notes_are_read(tmp_path):
    (tmp_path / "executed").write_bytes(b"\0\1\0\1")
    assert evidence.read_executed(tmp_path / "executed", 0x1000) == {0x1004, 0x100C}
    assert evidence.read_executed(tmp_path / "nothing", 0x1000) == set()


def test_a_trace_that_differs_or_notes_nothing_is_found(assemble, tmp_path):
    image = assemble(SMALL.replace("idle", "return_to_thread"))

    def replay(status):
        def run(more):
            out = next(word for word in more[1].split(",") if word.startswith("out=")).removeprefix("out=")
            Path(out).write_bytes(b"\1")
            return 0, status, "replay: 7 events, 0 of them preempted"
        return run

    found = evidence.run_image(image, Path("plugin.so"), [("fine", replay(0)), ("hello", replay(1))], tmp_path)
    assert found.entries == 14 and found.executed == {image.segments[0].start}
    assert found.findings == ["hello: kernel and specification differ (`./caprock trace --compare` shows how)"]
    with pytest.raises(AuditError, match="noted no instruction"):
        evidence.run_image(image, Path("plugin.so"), [("silent", lambda more: (0, 0, ""))], tmp_path)


# ---- 3 proof base ------------------------------------------------------------------------------------------------------------------------
CLAIMS = """
Section Claims.
Variable one_step : nat -> nat.
Definition grows : Prop := forall n, n <= one_step n. (* Definition hidden : Prop := True. *)
Definition is_positive : Prop := 0 < one_step 0.
End Claims.
Definition zero_is_zero : Prop := 0 = 0.
"""
WITNESS = """
From Spec Require Import Claims.
Definition step (n : nat) := S n.
Theorem grows_proved : grows step.
Proof. intros n. apply le_S, le_n. Qed.
Theorem is_positive_proved : is_positive step.
Proof. apply le_n. Qed.
Theorem zero_is_zero_proved : zero_is_zero.
Proof. reflexivity. Qed.
Example idle_is_refuted : ~ is_positive (fun n => n).
Proof. intros claim. inversion claim. Qed.
Example shrinking_is_refuted : ~ grows (fun n => 0).
Proof. intros claim. specialize (claim 1). inversion claim. Qed.
"""


def small_proofs(tmp_path, claims=CLAIMS, witness=WITNESS):
    """A specification of nothing with a claim or two, compiled; its claims as the audit reads them."""
    for name, text in (("Claims", claims), ("Witness", witness)):
        (tmp_path / f"{name}.v").write_text(text, encoding="utf-8")
        subprocess.run(["coqc", "-q", "-Q", ".", "Spec", f"{name}.v"], cwd=tmp_path, check=True, capture_output=True)
    return proofs.read_claims(claims, {"Witness": witness})


def test_claims_theorems_and_refutations_are_read():
    found = proofs.read_claims(CLAIMS, {"Witness": WITNESS})
    assert [(claim.name, claim.theorem, claim.refuted, claim.is_of_step) for claim in found] == [
        ("grows", "grows_proved", ("shrinking_is_refuted",), True), ("is_positive", "is_positive_proved", ("idle_is_refuted",), True),
        ("zero_is_zero", "zero_is_zero_proved", (), False)]
    assert proofs.gaps(found) == []


def test_a_claim_that_is_not_proved_or_not_refuted_is_found():
    found = proofs.gaps(proofs.read_claims(CLAIMS, {"Witness": WITNESS.replace("Theorem grows_proved : grows step", "Theorem other : True")
                                                    .replace("~ is_positive (fun", "~ False (fun")}))
    assert len(found) == 2 and found[0].startswith("grows: claimed and not proved") and found[1].startswith("is_positive: no wrong step refutes it")


def test_a_refutation_of_the_step_itself_proves_nothing():
    text = WITNESS.replace("Theorem grows_proved : grows step", "Theorem grows_proved : grows other")
    assert proofs.read_claims(CLAIMS, {"Witness": text})[0].theorem is None


@needs_coq
def test_theorems_are_held_against_their_claims_by_the_prover(tmp_path):
    claims = small_proofs(tmp_path)
    proofs._check_theorems(tmp_path, claims, ("Claims", "Witness"))
    wrong = [proofs.Claim("is_positive", "", "grows_proved")]
    with pytest.raises(AuditError, match="does not prove its claim"):
        proofs._check_theorems(tmp_path, wrong, ("Claims", "Witness"))
    assert not list(tmp_path.glob("AuditedClaims*"))


@needs_coq
def test_an_axiom_is_found_by_the_checker(tmp_path, monkeypatch):
    monkeypatch.setattr(specification, "PROOFS", ("Claims", "Witness"))
    small_proofs(tmp_path)
    assert "* Axioms: <none>" in specification.audit(tmp_path)
    small_proofs(tmp_path, witness=WITNESS.replace("From Spec", "Axiom wish : forall P : Prop, P.\nFrom Spec").replace("apply le_S, le_n", "apply wish"))
    with pytest.raises(specification.BuildError, match="rest on more than their proofs"):
        specification.audit(tmp_path)


@pytest.mark.parametrize("word", ["Admitted.", "admit.", "Axiom wish : False.", "Parameter p : nat.", "Unset Guard Checking.", "Conjecture c : False."])
def test_a_hole_is_found(word):
    with pytest.raises(specification.BuildError, match="is not allowed"):
        specification.check_holes("Some", f"Theorem t : True.\n{word}\n")


def test_a_changed_claim_or_definition_is_found():
    assert proofs.differences("a\nb\n", "a\nb\n") == []
    assert "from line 2 on" in proofs.differences("a\nb\n", "a\nc\n")[0]
    assert "from the end on" in proofs.differences("a\nb\n", "a\n")[0]


def test_the_claims_are_those_of_the_golden_copy():
    for name, golden in specification.CLAIMS.items():
        claims = SPECIFICATION / "spec" / f"{name}.v"
        assert proofs.differences((SPECIFICATION / golden).read_text(encoding="utf-8"), claims.read_text(encoding="utf-8")) == []


def test_each_claim_of_the_specification_has_a_theorem_and_a_refutation():
    texts = {name: (SPECIFICATION / "spec" / f"{name}.v").read_text(encoding="utf-8") for name in specification.PROOFS}
    claims = proofs.read_claims("".join(texts.pop(name) for name in specification.CLAIMS), texts)
    assert len(claims) > 10
    assert proofs.gaps(claims) == []


# ---- 4 operations ------------------------------------------------------------------------------------------------------------------------
def test_every_operation_has_a_function_and_a_clause():
    found = operations.operations(ROOT)
    assert len(found) > 70 and len({operation.name for operation in found}) == len(found)
    assert [operation.name for operation in found if operation.function is None or operation.clause is None] == []
    mint = next(operation for operation in found if operation.name == "CNode::Mint")
    assert (mint.function, mint.file, mint.method) == ("place", "kernel/cap/cnode.cc", "CNodeMint") and mint.clause.startswith("cnode_mint spec/")


MINT = operations.Operation("CNode::Mint", 27, "kernel/cap/cnode.cc", "mint", "cnode_mint spec/X.v:1", "CNodeMint")


def test_an_operation_that_has_everything_is_right():
    assert operations.problems(MINT, ["a_theorem"], {"Succeeds": 1}, Counted("mint(", 1)) == []


@pytest.mark.parametrize("change, theorems, results, counted, finding", [
    ({"clause": None}, ["t"], {"Succeeds": 1}, Counted("mint", 1), "the specification has no clause"),
    ({"function": None}, ["t"], {"Succeeds": 1}, None, "no function of the kernel"),
    ({}, [], {"Succeeds": 1}, Counted("mint", 1), "no theorem speaks of it"),
    ({}, ["t"], {}, Counted("mint", 1), "the lockstep never came to it"),
    ({}, ["t"], {"Succeeds": 1}, Counted("mint", 0), "the lockstep never came to it"),
])
def test_an_operation_that_lacks_something_is_found(change, theorems, results, counted, finding):
    found = operations.problems(dataclasses.replace(MINT, **change), theorems, results, counted)
    assert len(found) == 1 and finding in found[0]


def full_table():
    """A table in which each promised result was seen."""
    cells = evidence._cells()
    known = cells.unreachable()
    return {operation: {name: 1 for name in results if (operation, name) not in known} for operation, results in cells.expected().items()}


def covered(taken, branches):
    return {("kernel/cap/slot.cc", 1): Counted("f()", 1, {(1, number): int(number < taken) for number in range(branches)}, {1: 1})}


def test_coverage_below_its_limit_is_found():
    assert operations.coverage_problems(HostRun(1, full_table(), covered(9, 10), {}, {"signal": (9, 10)})) == []
    found = operations.coverage_problems(HostRun(1, full_table(), covered(8, 10), {}, {"signal": (9, 10)}))
    assert found == ["the lockstep reaches 80.0 % of the core's branches, and 90 % must be"]
    found = operations.coverage_problems(HostRun(1, full_table(), covered(9, 10), {}, {"signal": (9, 10), "send": (7, 10)}))
    assert found == ["the lockstep reaches 80.0 % of the specification's branches, and 90 % must be"]


def test_results_that_were_not_reached_are_found():
    table_of_one = {"CNode::Mint": full_table()["CNode::Mint"]}
    found = operations.coverage_problems(HostRun(1, table_of_one, covered(10, 10), {}, {"signal": (1, 1)}))
    assert len(found) == 1 and "of the promised results" in found[0]


def test_a_result_that_cannot_be_is_found():
    reached = full_table()
    (operation, name), *_ = evidence._cells().unreachable()
    reached[operation][name] = 1
    assert any("remove the entry" in line for line in operations.coverage_problems(HostRun(1, reached, covered(10, 10), {})))


def test_claims_about_other_events_do_not_speak_of_system_calls():
    other = proofs.Claim("c", "forall e, cause e <> SystemCall -> True", "t")
    of_revoke = proofs.Claim("c", "invokes Method.CNodeRevoke", "t")
    assert not other.concerns(None) and not other.concerns("CNodeMint")
    assert of_revoke.concerns("CNodeRevoke") and not of_revoke.concerns("CNodeMint") and not of_revoke.concerns(None)


# ---- 5 binary proofs ---------------------------------------------------------------------------------------------------------------------
needs_z3 = pytest.mark.skipif(importlib.util.find_spec("z3") is None, reason="z3 is missing (./caprock setup proofs)")


@pytest.fixture(name="proof_of")
def fixture_proof_of(assemble, monkeypatch):
    """The section on a function `serve` of a few instructions, of which is claimed that it adds one to x0."""
    from contracts import catalogue, proving

    def of(code: str, is_executed: bool = True, findings: tuple[str, ...] = (), meanings: tuple[str, ...] = ("adding",)) -> Section:
        image = assemble(f"    function serve\n{code}\n    finish serve\n")
        contract = proving.Contract("adding", "serve", "Some.v: add", lambda case: (
            lambda end: [("one more", end.registers[0] == case.register(0, "x0") + 1)]))
        monkeypatch.setattr(catalogue, "MEANINGS", meanings)
        monkeypatch.setattr(catalogue, "compare_model", lambda *_: catalogue.Comparison(2, 2, 9, list(findings)))
        proofs_made = catalogue.prove_all(image, 1, (contract,))
        return binary_proofs.section(image, proofs_made, {image.named("serve").address} if is_executed else set())

    return of


RIGHT = "    add x0, x0, #1\n    ret"


@needs_z3
def test_a_contract_that_is_proved_and_executed_is_right(proof_of):
    found = proof_of(RIGHT)
    assert found.failures == []
    assert found.lines[1].split() == ["adding", "yes", "2/2", "1/2", "1", found.lines[1].split()[5], "Some.v:", "add", "serve"]
    assert found.lines[2].startswith("contracts: 1, proved: 1, functions proved whole: 1; ways: 1, ")
    assert found.lines[3] == "model of the instructions: 2 instructions of 2 forms, 9 trials with random operands; QEMU differs in 0"


@needs_z3
@pytest.mark.parametrize("arguments, message", [
    ({"code": RIGHT.replace("#1", "#2")}, "serve: not proved: one more; counterexample: x0 = 0x0"),
    ({"code": RIGHT, "is_executed": False}, "serve: hello does not execute it, so the proof is of nothing that runs"),
    ({"code": "    dc zva, x0\n    ret"}, "serve: 0xffffffff80000000: instruction 0xd50b7420"),
    ({"code": RIGHT, "findings": ("add: x0",)}, "the model of the instructions: add: x0"),
    ({"code": RIGHT, "meanings": ("adding", "rights")}, "rights: no contract is about it"),
])
def test_what_is_wrong_with_a_contract_is_a_failure(proof_of, arguments, message):
    assert proof_of(**arguments).failures == [message]


@needs_z3
def test_a_contract_of_what_is_not_there_is_a_failure(assemble):
    from contracts import catalogue
    found = catalogue.prove_all(assemble("    function other\n    ret\n    finish other\n"), 1, catalogue.CONTRACTS[:1])
    assert "the image has no functions of this name" in found[0].failures[0] and not found[0].is_whole
    assert binary_proofs.proved_functions(assemble(SMALL), found) == set()


def test_a_missing_z3_is_a_failure(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AuditError, match="z3 is not installed"):
        binary_proofs.prove(None, 1)
    assert "z3 is not installed (package python3-z3: `./caprock setup proofs`)" in sections.missing_tools()
    job = sections.Job(*[None] * 12)
    monkeypatch.setattr(sections.Job, "image", None)
    assert sections.work_out(job, 5)[0].failures == ["z3 is not installed (package python3-z3: `./caprock setup proofs`)"]


# ---- 6 assumptions -----------------------------------------------------------------------------------------------------------------------
LISTS = "* **A1** One\n  goes on.\n* **E1** Two.\n* **N1** Three.\n* **N2** Four.\n"


def test_the_documents_lists_are_read(tmp_path):
    (tmp_path / "audit.md").write_text(LISTS, encoding="utf-8")
    found = assumptions.section(tmp_path / "audit.md")
    assert found.lines == ["assumption A1 One goes on.", "exclusion E1 Two."] and found.absent == ["N1 Three.", "N2 Four."]


@pytest.mark.parametrize("old, new, message", [("A1", "A2", "numbered"), ("E1", "X1", "numbered"), ("N2", "N3", "numbered")])
def test_a_gap_in_the_numbers_is_refused(tmp_path, old, new, message):
    (tmp_path / "audit.md").write_text(LISTS.replace(old, new), encoding="utf-8")
    with pytest.raises(AuditError, match=message):
        assumptions.read(tmp_path / "audit.md")


def test_a_missing_document_is_said(tmp_path):
    with pytest.raises(AuditError, match="prints assumptions and exclusions from it"):
        assumptions.read(tmp_path / "audit.md")


def test_the_projects_own_lists_are_whole():
    items = assumptions.read(ROOT / "docs" / "audit.md")
    assert sum(item.kind == "A" for item in items) >= 8 and sum(item.kind == "E" for item in items) >= 6


# ---- 7 authority -------------------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", name="tree")
def fixture_tree(tmp_path_factory):
    import machines
    if shutil.which("qemu-system-aarch64") is None:
        pytest.skip("qemu-system-aarch64 is missing (./caprock setup)")
    return machines.device_tree(machines.Setting("virt"), tmp_path_factory.mktemp("tree") / "board.dtb")


@pytest.fixture(name="authority_of")
def fixture_authority_of(tree, tmp_path):
    """The section on a system of the project, with another policy."""
    def of(policy):
        text = (ROOT / "systems" / "echo.cdl").read_text(encoding="utf-8")
        for interface in (ROOT / "userland" / "interfaces").glob("*.cdl"):
            shutil.copy(interface, tmp_path)
        path = tmp_path / "some.cdl"
        path.write_text(text[:text.index("policy {")] + policy, encoding="utf-8")
        return authority.section(path, [BUILD / "userland"], tree, [])
    return of


def test_a_shipped_system_is_within_its_policy(tree):
    found = authority.section(ROOT / "systems" / "hello.cdl", [BUILD / "userland"], tree, [])
    assert found.failures == []
    assert sum(line.startswith("policy: ") and ": holds" in line for line in found.lines) > 5
    assert any(line.startswith("client -> ") for line in found.lines)


def test_a_system_that_violates_its_policy_is_found(authority_of):
    assert authority_of("policy { deny caps (ut) in echo }").failures == []
    found = authority_of("policy { deny flow echo -> console }")
    assert len(found.failures) == 1 and "some.cdl" in found.failures[0] and ": violated: " in found.failures[0]


def test_a_state_beyond_the_authority_is_found():
    section = Section(7, "authority")
    state = "slot 0x0 TCB(0x0) parent=- original=1\nobject 0x1000 VSpace entries=-\n"
    authority.add_confinement(section, "some.cdl", "memory a 0x0 0x10\nholds a TCB 0x0 0x1 0x0\n", state, ())
    assert section.failures == []
    assert section.lines == ["pol_check: 1 capabilities of the started system and 1 tables are within 1 that the description allows, and these are closed",
                             "well_formed: all invariants of proofs-spec/spec/WellFormed.v hold in this state"]
    authority.add_confinement(section, "some.cdl", "", "", (), ("a", "b"), ("c",))
    assert section.lines[-1] == ("bound_check: 2 of 3 components stay within this, whatever they do with each other (claim runs_are_confined): a, b; "
                                 "not bound: c")
    authority.add_confinement(section, "some.cdl", "", "", ("exceeds: a holds TCB(0x0) in slot 0x0", *["maps: more"] * authority.MOST))
    assert section.failures[0] == "some.cdl: exceeds: a holds TCB(0x0) in slot 0x0"
    assert len(section.failures) == authority.MOST + 1 and section.failures[-1] == "some.cdl: and 1 more"


def test_a_system_without_a_policy_is_found(authority_of):
    assert authority_of("").failures == ["some.cdl: it has no policy, so nothing says that this authority is meant (give it a `policy` section)"]


def test_a_description_that_is_wrong_is_found(authority_of):
    assert any("error" in line for line in authority_of("policy { deny nonsense }").failures)


# ---- 8 result ----------------------------------------------------------------------------------------------------------------------------
def test_only_all_sections_without_a_failure_pass():
    good, bad = Section(1, "a"), Section(2, "b", failures=["x"])
    assert result([good], True) == "RESULT PASS"
    assert result([good], False) == "RESULT FAIL (not every section was looked at)"
    assert result([good, bad], True) == "RESULT FAIL (1 failure in sections 2)"


def test_a_section_shows_its_failures():
    assert Section(3, "proofs", ["line"], ["N1 no"], ["hole"]).text() == "== 3 proofs\nline\nabsent: N1 no\nFAIL: hole\n"


def test_a_table_is_padded():
    assert table([("a", 1)], ("name", "n")) == ["name  n", "a     1"]


def test_a_missing_tool_fails_the_audit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    output = io.StringIO()
    assert sections.audit(None, output=output) == 1
    text = output.getvalue()
    assert all(f"FAIL: {program} is not installed (package " in text for program in sections.TOOLS)
    assert text.splitlines()[-1].startswith("RESULT FAIL")


def test_what_cannot_be_worked_out_is_a_failure_and_the_status_follows(monkeypatch):
    monkeypatch.setattr(sections, "missing_tools", lambda: [])
    monkeypatch.setitem(sections._MAKERS, 1, lambda job: (_ for _ in ()).throw(AuditError("no kernel")))
    output = io.StringIO()
    assert sections.audit(None, (1,), output) == 1
    assert "== 1 identity\nFAIL: no kernel\n" in output.getvalue()
    for number in sections.ALL:
        monkeypatch.setitem(sections._MAKERS, number, lambda job, number=number: [Section(number, "fine")])
    output = io.StringIO()
    assert sections.audit(None, output=output) == 0
    assert output.getvalue().endswith("== 8 result\nRESULT PASS\n")
