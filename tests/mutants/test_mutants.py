# SPDX-License-Identifier: BSD-2-Clause
"""The seeded mutants: their places in the kernel, what was recorded of them, repeated, how the tool treats entries, and how it ends its machines.

The whole is `./caprock mutants`; `--record` writes what is repeated here."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import campaign as campaigns  # noqa: E402
import catalogue  # noqa: E402
import machines  # noqa: E402
import results  # noqa: E402
import running  # noqa: E402

ENTRY = {"file": "a.cc", "breaks": "something", "old": "one(1)", "new": "two(2)"}
SECONDS = 30   # that anything may take; nothing depends on how long it does


# -- The kernel's mutants

def test_every_entry_has_its_place_in_the_kernel():
    assert catalogue.check_places(catalogue.load()) == []


def test_files_that_concern_suites_are_the_kernels():
    for file, suites in campaigns.tomllib.loads(campaigns.CONCERNS.read_text(encoding="utf-8")).items():
        assert (catalogue.KERNEL / file).is_file()
        assert all((HERE.parent / "conformance" / f"test_{suite}.cc").is_file() for suite in suites)


def test_recorded_mutants_are_in_the_catalogue():
    assert set(results.recorded().values()) <= {mutant.name for mutant in catalogue.load()}


def test_no_test_is_recorded_for_a_mutant_that_cannot_be_noticed():
    assert set(results.recorded().values()) & {mutant.name for mutant in catalogue.load() if mutant.unseen} == set()


@pytest.fixture(scope="module", name="campaign")
def _campaign():
    if shutil.which(machines.QEMU) is None:
        pytest.skip(f"{machines.QEMU} is not installed")
    wanted = set(results.recorded().values())
    # What no test is recorded for needs no kernel of its own.
    return campaigns.Campaign([mutant for mutant in catalogue.load() if not mutant.separate or mutant.name in wanted], 2)


def test_each_test_that_passes_has_a_recorded_mutant(campaign):
    tests = set(campaign.passing())
    assert len(tests) >= 220
    assert tests - set(results.recorded()) == set(), "these tests have no mutant (./caprock mutants --repeat --record)"
    assert set(results.recorded()) - tests == set(), "these tests are no more, or fail (./caprock mutants --repeat --record)"


@pytest.mark.parametrize("name", sorted(set(results.recorded().values())))
def test_a_mutant_makes_its_tests_fail(campaign, name):
    mutant = next(mutant for mutant in catalogue.load() if mutant.name == name)
    tests = [test for test, killer in results.recorded().items() if killer == name]
    assert set(tests) - campaign.failing(mutant, tests) == set(), "these pass (./caprock mutants --repeat --record)"


# -- Machines

LOG = "1..3\nok 1 - some.first: it holds\n"


def test_a_test_with_which_the_kernel_dies_has_failed():
    verdicts, left = running.Verdicts(), ["some.first", "some.second", "some.third"]
    assert not running.note(verdicts, left, LOG, "halt: a defect")
    assert verdicts.failed == {"some.second": running.MACHINE_ENDED + "halt: a defect"} and left == ["some.third"]


def test_a_driver_that_gives_up_says_nothing_of_a_test():
    verdicts, left = running.Verdicts(), ["some.first", "some.second", "some.third"]
    assert running.note(verdicts, left, LOG + "Bail out! no memory\n", "exit 1")
    assert verdicts.order == ["some.first"] and not verdicts.failed and left == ["some.second", "some.third"]


PROGRAM = """import sys
sys.path[:0] = {path}
import campaign, machines, running
from pathlib import Path
machines.command = lambda *arguments, **options: ["sleep", "1000"]
for number in (campaign.signal.SIGINT, campaign.signal.SIGTERM):
    campaign.signal.signal(number, campaign.interrupt)
try:
    running.run(None, b"", Path("payload"), ["a"], 0)
except running.Stopped as error:
    print(error)
"""


def children_of(process: int) -> list[int]:
    """The processes that a process started."""
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()]


def until(condition):
    """Waits for a condition; returns what it says."""
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("number, words", [
    (signal.SIGINT, "SIGINT: the campaign is interrupted"),
    (signal.SIGTERM, "SIGTERM: the campaign is interrupted"),
    (signal.SIGKILL, ""),
])
def test_machines_end_with_the_campaign(number, words):
    program = PROGRAM.format(path=sys.path)
    with subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        machine = until(lambda: [child for child in children_of(process.pid) if Path(f"/proc/{child}/comm").read_text(encoding="utf-8") == "sleep\n"])[0]
        os.kill(process.pid, number)
        assert process.communicate(timeout=SECONDS)[0].startswith(words)
    until(lambda: not Path(f"/proc/{machine}").exists())


# -- Entries

def written(folder: Path, text: str) -> list[catalogue.Mutant]:
    """The mutants of a catalogue of one file."""
    (folder / "some.toml").write_text(text, encoding="utf-8")
    return catalogue.load(folder)


@pytest.mark.parametrize("text, words", [
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\n", "some.toml [a]: `new` is missing"),
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = 1\n", "some.toml [a]: `new` is missing or no str"),
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = ''\nwhy = ''\n", "some.toml [a]: `why` is unknown"),
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = ''\nunseen = true\n", "some.toml [a]: `unseen` is unknown or no str"),
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = 'o'\n", "some.toml [a]: `old` is empty, or what `new` is"),
    ("[a]\nfile = 'a.S'\nbreaks = 'b'\nold = 'o'\nnew = ''\n", "some.toml [a]: assembly needs `separate = true`"),
    ("a = 1\n", "some.toml [a]: it is no table"),
    ("[a\n", "some.toml: "),
])
def test_malformed_entries_are_named(tmp_path, text, words):
    with pytest.raises(catalogue.CatalogueError, match=f"^{catalogue.re.escape(words)}"):
        written(tmp_path, text)


def test_a_name_is_given_once(tmp_path):
    (tmp_path / "other.toml").write_text("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = ''\n", encoding="utf-8")
    with pytest.raises(catalogue.CatalogueError, match="has the same name"):
        written(tmp_path, "[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = ''\n")


def schema(folder: Path, text: str, *entries: dict) -> str:
    """A file with this text, with a choice for each entry; mutants are numbered from 1."""
    (folder / "a.cc").write_text(text, encoding="utf-8")
    mutants = [catalogue.Mutant(f"m{number}", number, f"some.toml [m{number}]", **{**ENTRY, **entry}) for number, entry in enumerate(entries, 1)]
    return catalogue.sources(mutants, folder)["a.cc"]


def test_an_expression_becomes_a_choice(tmp_path):
    assert schema(tmp_path, "f(one(1));", {}) == "f((CAPROCK_MUTANT(1 /* m1 */) ? (two(2)) : (one(1))));"


def test_a_statement_becomes_a_choice(tmp_path):
    text = schema(tmp_path, "if (a)\n    b();\nc();", {"old": "if (a) b();", "new": ""})
    assert text == "if (CAPROCK_MUTANT(1 /* m1 */)) {  } else { if (a)\n    b(); }\nc();"


def test_mutants_of_one_place_and_of_places_inside_it(tmp_path):
    text = schema(tmp_path, "f(one(1));", {"new": "x"}, {"new": "y"}, {"old": "1", "new": "2"})
    assert text == ("f((CAPROCK_MUTANT(1 /* m1 */) ? (x) : ((CAPROCK_MUTANT(2 /* m2 */) ? (y) : "
                    "(one((CAPROCK_MUTANT(3 /* m3 */) ? (2) : (1))))))));")


def test_the_first_place_behind_a_context_is_meant(tmp_path):
    assert schema(tmp_path, "one(1); g(); one(1); one(1);", {"after": "g();"}).startswith("one(1); g(); (CAPROCK")


def test_a_separate_mutant_is_left_out_of_the_common_kernel(tmp_path):
    assert schema(tmp_path, "one(1)", {"separate": True}) == "one(1)"
    mutant = catalogue.Mutant("m", 1, "some.toml [m]", **ENTRY, separate=True)
    assert catalogue.separate_source(mutant, "x = one(1);") == "x = two(2);"


@pytest.mark.parametrize("text, entries, words", [
    ("one(2)", [{}], r"some.toml \[m1\]: `old` occurs 0 times in kernel/a.cc \(the kernel has changed"),
    ("one(1) one(1)", [{}], r"some.toml \[m1\]: `old` occurs 2 times in kernel/a.cc"),
    ("one(1)", [{"after": "g()"}], r"some.toml \[m1\]: `after` occurs 0 times in kernel/a.cc"),
    ("one(1) + 3", [{}, {"old": "(1) + 3"}], r"some.toml \[m2\]: `old` begins inside that of some.toml \[m1\]"),
])
def test_a_place_that_is_not_as_expected_is_named(tmp_path, text, entries, words):
    with pytest.raises(catalogue.CatalogueError, match=words):
        schema(tmp_path, text, *entries)
