# SPDX-License-Identifier: BSD-2-Clause
"""The seeded mutants: their places in the kernel, what was recorded of them, a sample of it repeated, and how the tool treats entries.

The whole is `./caprock mutants`; `--record` writes what is looked up here."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import campaign as campaigns  # noqa: E402
import catalogue  # noqa: E402
from machines import MachineError  # noqa: E402

SAMPLE = 6
ENTRY = {"file": "a.cc", "breaks": "something", "old": "one(1)", "new": "two(2)"}


# -- The kernel's mutants

def test_every_entry_has_its_place_in_the_kernel():
    assert catalogue.check_places(catalogue.load()) == []


def test_files_that_concern_suites_are_the_kernels():
    for file, suites in campaigns.tomllib.loads(campaigns.CONCERNS.read_text(encoding="utf-8")).items():
        assert (catalogue.KERNEL / file).is_file()
        assert all((HERE.parent / "conformance" / f"test_{suite}.cc").is_file() for suite in suites)


def test_recorded_mutants_are_in_the_catalogue():
    assert set(campaigns.recorded().values()) <= {mutant.name for mutant in catalogue.load()}


@pytest.fixture(scope="module", name="campaign")
def _campaign():
    mutants = catalogue.load()
    wanted = set(sample().values())
    try:
        # What is not in the sample needs no kernel of its own.
        return campaigns.Campaign([mutant for mutant in mutants if not mutant.separate or mutant.name in wanted], 2)
    except MachineError as error:
        pytest.skip(str(error))


def sample() -> dict[str, str]:
    """Some tests from all over, with their recorded mutants."""
    kills = sorted(campaigns.recorded().items())
    return dict(kills[::len(kills) // SAMPLE][:SAMPLE])


def test_each_test_that_passes_has_a_recorded_mutant(campaign):
    tests = set(campaign.passing())
    assert len(tests) >= 220
    assert tests - set(campaigns.recorded()) == set(), "these tests have no mutant (./caprock mutants --record)"
    assert set(campaigns.recorded()) - tests == set(), "these tests are no more, or fail (./caprock mutants --record)"


@pytest.mark.parametrize("number", range(SAMPLE))
def test_a_mutant_makes_its_test_fail(campaign, number):
    test, name = list(sample().items())[number]
    mutant = next(mutant for mutant in catalogue.load() if mutant.name == name)
    assert test not in campaign.run(None, [test], 0).failed
    assert test in campaign.run(mutant, [test], 0).failed


# -- Entries

def written(folder: Path, text: str) -> list[catalogue.Mutant]:
    """The mutants of a catalogue of one file."""
    (folder / "some.toml").write_text(text, encoding="utf-8")
    return catalogue.load(folder)


@pytest.mark.parametrize("text, words", [
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\n", "some.toml [a]: `new` is missing"),
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = 1\n", "some.toml [a]: `new` is missing or no str"),
    ("[a]\nfile = 'a.cc'\nbreaks = 'b'\nold = 'o'\nnew = ''\nwhy = ''\n", "some.toml [a]: `why` is unknown"),
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
