# SPDX-License-Identifier: BSD-2-Clause
"""Every function of libsel4's headers, called on the target: success, and an error where there is one. functions/ is one root task with all tests."""

import re
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).resolve().parent / "functions"
SOURCES = sorted(FUNCTIONS.glob("*.c"))
DEBUG_TESTS = {"seL4_DebugPutChar", "seL4_DebugCapIdentify", "seL4_DebugNameThread", "debug_configuration"}
PRODUCTION_TESTS = {"production_configuration"}
TEXT = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
TESTS = set(re.findall(r"^TEST\((\w+)\)", TEXT, re.MULTILINE))

# How the tests are compiled, and where they run.
BUILDS = {
    "production-virt": {"options": ("-O2", "-fno-toplevel-reorder")},
    "debug-virt-gic3": {"options": ("-O3",), "compiler": "clang", "debug": True},
    "production-raspi4b": {"options": ("-O0",)},
}
RUNS = {
    "production-virt": {"debug": False, "machine": "virt"},
    "debug-virt-gic3": {"debug": True, "machine": "virt", "gic": 3, "el": 1},
    "production-raspi4b": {"debug": False, "machine": "raspi4b"},
}
ARCHIVE_BYTES = 10000
# Functions that cannot be called: they stop the machine.
UNCALLED = {"seL4_DebugHalt"}


def cases():
    """Each test on each machine."""
    return [(run, name) for run, options in RUNS.items() for name in sorted(TESTS - (PRODUCTION_TESTS if options["debug"] else DEBUG_TESTS))]


@pytest.fixture(scope="module")
def outcomes(prefix, tmp_path_factory):
    """The run of each setting, made when it is asked for: what machines.run says."""
    folder = tmp_path_factory.mktemp("functions")
    archive = folder / "archive"
    archive.write_bytes(bytes(i * 7 & 255 for i in range(ARCHIVE_BYTES)))
    made = {}

    def outcome(run):
        if run not in made:
            program = prefix.compile(folder / f"{run}.elf", *SOURCES, **BUILDS[run])
            made[run] = prefix.boot(program, archive=archive, cnode_bits=13, **RUNS[run])
        return made[run]

    return outcome


@pytest.mark.parametrize("run, name", cases())
def test_function(outcomes, run, name):
    outcome = outcomes(run)
    report = outcome.log[:outcome.log.find(f" - {name}\n")]
    assert re.search(rf"^ok \d+ - {name}$", outcome.log, re.MULTILINE), f"{outcome.reason}\n" + "\n".join(report.splitlines()[-3:])


@pytest.mark.parametrize("run", RUNS)
def test_the_run_ends_with_success(outcomes, run):
    outcome = outcomes(run)
    assert outcome.status == 0, outcome.reason
    planned = int(re.search(r"^1\.\.(\d+)$", outcome.log, re.MULTILINE)[1])
    assert planned == len([case for case in cases() if case[0] == run])


def test_debug_calls_print(outcomes):
    log = outcomes("debug-virt-gic3").log
    assert re.search(r"^# put by the kernel$", log, re.MULTILINE)
    assert re.search(r"^threads of the root task:\n  1: runnable priority 100 domain 0\n(  .*\n)*  \d+ worker-of-this-test: inactive priority 33 domain 0$",
                     log, re.MULTILINE)
    assert re.search(r"^capabilities of the root task:\n(  .*\n)*  16: inspect\n(  .*\n)*  \d+: tcb child of \d+ worker-of-this-test$", log, re.MULTILINE)


def test_halting_stops_the_machine(prefix, tmp_path):
    source = tmp_path / "halt.c"
    source.write_text("#include <sel4/sel4.h>\nint main(void) { seL4_DebugHalt(); return 0; }\n", encoding="utf-8")
    outcome = prefix.boot(prefix.compile(tmp_path / "halt.elf", source, debug=True), debug=True)
    assert outcome.status == 1
    assert "halted by DebugHalt" in outcome.reason


def functions_of(prefix) -> set[str]:
    """The functions that the headers define or declare, but for libsel4's own helpers."""
    found = set()
    for header in [*(prefix.path / "include/sel4").rglob("*.h"), prefix.path / "include/interfaces/sel4_client.h"]:
        text = re.sub(r"#ifdef CONFIG_ENABLE_BENCHMARKS.*?#endif", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
        found |= set(re.findall(r"^(?:[\w ]+ \*?)(seL4_\w+)\(", text, re.MULTILINE))
    return found


def accessors() -> set[str]:
    """What the macros FIELD and FAULT_FIELD of the tests call."""
    fields = re.findall(r"^    FIELD\((\w+), (\w+),", TEXT, re.MULTILINE)
    fields += [(f"seL4_Fault_{fault}", field) for fault, field in re.findall(r"^    FAULT_FIELD\((\w+), (\w+)\);", TEXT, re.MULTILINE)]
    return {f"{name}{kind}_{field}" for name, field in fields for kind in ("_get", "_set", "_ptr_get", "_ptr_set")}


def test_every_function_is_called(prefix):
    functions = functions_of(prefix)
    assert len(functions) > 250
    called = set(re.findall(r"\b(seL4_\w+)\(", TEXT)) | accessors() | UNCALLED
    assert sorted(functions - called) == []


def test_every_method_succeeds_and_fails(prefix):
    methods = set(re.findall(r"^LIBSEL4_INLINE \w+ (seL4_\w+)\(", "".join(
        (prefix.path / name).read_text(encoding="utf-8") for name in ("include/interfaces/sel4_client.h", "include/sel4/virtual_client.h")), re.MULTILINE))
    assert len(methods) > 55
    succeeding = set(re.findall(r"SUCCEEDS\((seL4_\w+)\(", TEXT))
    failing = set(re.findall(r"FAILS(?:_WITH)?\(seL4_\w+,(?: \w+, [^,]+,)?\s+(seL4_\w+)\(", TEXT))
    assert sorted(methods - succeeding) == []
    assert sorted(methods - failing) == []
