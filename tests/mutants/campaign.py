#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the conformance tests on each seeded mutant of the kernel, and says which tests it makes fail: a test that fails for none tests nothing.

usage: campaign.py [--mutant NAME]... [--suite NAME]... [--jobs N] [--all] [--record]
First each mutant gets a run of the suites that its file concerns (concerns.toml; with --all, of all suites), then those that none of these notices
get the other suites, and the tests that failed for none are tried on the other mutants. Of the mutants with which a test failed its *killer* is the one that
makes the fewest fail and with which the test,
run by itself, fails too, as it does not without a mutant. A mutant with which much fails is *coarse*, and a killer only if there is no better. Results are
kept in the build folder by what they depend on: only what changed runs again. --record writes the killers
to kills.toml, a sample of which ./caprock test repeats. The status is 1 if a test has no killer or an entry no place, and 2 for wrong usage."""

import argparse
import hashlib
import json
import os
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "platform"), str(HERE.parent / "conformance")]

import machines  # noqa: E402
from catalogue import KERNEL, CatalogueError, Mutant, check_places, load  # noqa: E402
from kernels import Kernels  # noqa: E402
from run import make_payload, read_setting  # noqa: E402
from running import MACHINE_ENDED, Verdicts, run, run_all  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", HERE.parents[1] / "build"))
KILLS = HERE / "kills.toml"
CONCERNS = HERE / "concerns.toml"
SETTING = {"gic": "2", "el": "1", "cores": "1"}
RESTARTS = 2              # starts behind tests with which a mutant's kernel ended
CANDIDATES = 8            # mutants that a test's killer is looked for among
COARSE_SHARE = 0.3        # of the tests that ran
COARSE_TESTS = 10         # that ran at least, for a share to say something

_HEAD = """# SPDX-License-Identifier: BSD-2-Clause
# For each conformance test a mutant with which it fails when it runs by itself. Written by `./caprock mutants --record`: do not edit.
"""


@dataclass
class Survey:
    """What a mutant did to the tests that ran on it."""

    ran: int
    failed: dict[str, str]   # and why
    not_run: list[str]       # the kernel ended too often before them
    broken: str              # why no test could run; empty if one could

    @property
    def coarse(self) -> bool:
        """Whether the mutant says little of a test that fails."""
        return self.ran >= COARSE_TESTS and len(self.failed) > COARSE_SHARE * self.ran

    def add(self, other: "Survey") -> None:
        """Adds what it did to other tests."""
        self.ran += other.ran
        self.failed.update(other.failed)
        self.not_run += other.not_run


class Campaign:
    """The mutants' kernels, the tests, and what is known of both."""

    def __init__(self, mutants: list[Mutant], jobs: int):
        self.jobs = jobs
        self._kernels = Kernels(BUILD, mutants)
        self._kernels.make(jobs)
        program = BUILD / "tests" / "conformance" / "conformance.elf"
        self._payload = make_payload(program, BUILD / "mutants" / "system.bin")
        self._results = BUILD / "mutants" / "results"
        self._results.mkdir(exist_ok=True)
        self._basis = _hash_basis(program)
        self._passing: dict[tuple[str, ...], list[str]] = {}
        self._concerns = tomllib.loads(CONCERNS.read_text(encoding="utf-8"))

    def passing(self, on: tuple[str, ...] = ()) -> list[str]:
        """The tests that pass without a mutant on a setting, in their order."""
        if on not in self._passing:
            verdicts = run_all(_setting(on), self._kernels.image(None), self._payload)
            for name, reason in verdicts.failed.items():
                print(f"{name} fails without a mutant{_where(on)}, and does not count: {reason}")
            self._passing[on] = [name for name in verdicts.order if name not in verdicts.failed]
            if verdicts.skipped:
                print(f"skipped{_where(on)}, and do not count: {' '.join(verdicts.skipped)}")
        return self._passing[on]

    def concerned(self, mutant: Mutant, tests: list[str]) -> list[str]:
        """Those of `tests` whose suite the mutant's file concerns."""
        suites = self._concerns.get(mutant.file)
        return [test for test in tests if suites is None or test.split(".")[0] in suites]

    def survey(self, mutant: Mutant, tests: list[str]) -> Survey:
        """Runs `tests` on a mutant, or remembers how they went."""
        survey = Survey(**self._remember(mutant, ["survey", RESTARTS, *tests], lambda: self._survey(mutant, tests)))
        if RESTARTS < survey.ran == sum(reason.startswith(MACHINE_ENDED) for reason in survey.failed.values()):
            # It is not the tests that fail, but the driver between them.
            survey.broken = "it ends with every one"
        return survey

    def _survey(self, mutant: Mutant, tests: list[str]) -> dict:
        verdicts = self.run(mutant, tests, RESTARTS)
        return asdict(Survey(len(verdicts.order), verdicts.failed, verdicts.not_run, verdicts.broken))

    def fails_alone(self, mutant: Mutant | None, test: str) -> bool:
        """Whether a test fails on a mutant, or without one, when no other test runs, or remembers it."""
        return self._remember(mutant, ["alone", test], lambda: test in self.run(mutant, [test], 0).failed)

    def run(self, mutant: Mutant | None, tests: list[str], restarts: int) -> Verdicts:
        """Runs `tests` on a mutant, or on the kernel with none chosen."""
        return run(_setting(mutant.on if mutant else ()), self._kernels.image(mutant), self._payload, tests, restarts)

    def _remember(self, mutant: Mutant | None, what: list, find_out):
        """The result of `find_out`, which is asked once for all of what `what` and everything else it depends on are."""
        entry = [mutant.file, mutant.old, mutant.new, mutant.after, mutant.separate, mutant.on] if mutant else []
        key = hashlib.sha256(json.dumps([self._basis, entry, what]).encode()).hexdigest()[:32]
        kept = self._results / f"{key}.json"
        if not kept.is_file():
            kept.write_text(json.dumps(find_out()), encoding="utf-8")
        return json.loads(kept.read_text(encoding="utf-8"))


def _hash_basis(program: Path) -> str:
    """A hash of what every result depends on: the kernel's sources, its API, the tests, and what counts as failing."""
    digest = hashlib.sha256(program.read_bytes())
    for path in sorted(KERNEL.rglob("*")):
        if path.suffix in (".cc", ".hpp", ".h", ".S", ".ld", ".toml"):
            digest.update(f"{path.relative_to(KERNEL)} {path.stat().st_size}\n".encode() + path.read_bytes())
    digest.update((HERE / "running.py").read_bytes())
    return digest.hexdigest()


def _setting(on: tuple[str, ...]) -> machines.Setting:
    values = SETTING | dict(option.split("=", 1) for option in on)
    return read_setting("virt", [f"{name}={value}" for name, value in values.items()])


def _where(on: tuple[str, ...]) -> str:
    return f" with {' '.join(on)}" if on else ""


def survey_all(campaign: Campaign, mutants: list[Mutant], every_suite: bool) -> dict[str, Survey]:
    """Surveys the mutants, and prints a line for each."""
    tests = {mutant.name: campaign.passing(mutant.on) for mutant in mutants}
    if not every_suite:
        tests = {mutant.name: campaign.concerned(mutant, tests[mutant.name]) for mutant in mutants}
    surveys = {}
    with ThreadPoolExecutor(campaign.jobs) as pool:
        for mutant, survey in zip(mutants, pool.map(lambda mutant: campaign.survey(mutant, tests[mutant.name]), mutants)):
            surveys[mutant.name] = survey
            print(f"{mutant.name}: {_summary(survey)}", flush=True)
    return surveys


def _summary(survey: Survey) -> str:
    if survey.broken:
        return f"no test can run ({survey.broken}): it counts for nothing"
    names = sorted(survey.failed)
    text = f"{len(names)} fail: {' '.join(names[:6])}{' ...' if len(names) > 6 else ''}" if names else "none fails"
    return text + (f"; {len(survey.not_run)} did not run" if survey.not_run else "")


def search_wider(campaign: Campaign, mutants: list[Mutant], surveys: dict[str, Survey], tests: list[str]) -> None:
    """Runs those of `tests` that the mutants did not get yet, and adds what failed to the surveys."""
    def others(mutant: Mutant) -> list[str]:
        near = set(campaign.concerned(mutant, tests))
        return [test for test in tests if test not in near and test in campaign.passing(mutant.on)]

    wanted = [mutant for mutant in mutants if not surveys[mutant.name].broken and others(mutant)]
    with ThreadPoolExecutor(campaign.jobs) as pool:
        for mutant, survey in zip(wanted, pool.map(lambda mutant: campaign.survey(mutant, others(mutant)), wanted)):
            surveys[mutant.name].add(survey)
            if survey.failed:
                print(f"{mutant.name}, other suites: {_summary(survey)}", flush=True)


def find_killers(campaign: Campaign, mutants: list[Mutant], surveys: dict[str, Survey], tests: list[str]) -> dict[str, Mutant | None]:
    """For each test the most specific mutant that makes it fail by itself."""
    order = sorted((mutant for mutant in mutants if not surveys[mutant.name].broken),
                   key=lambda mutant: (surveys[mutant.name].coarse, len(surveys[mutant.name].failed) + len(surveys[mutant.name].not_run)))

    def killer(test: str) -> Mutant | None:
        found = [mutant for mutant in order if test in surveys[mutant.name].failed]
        # Those first with which the test said itself that it failed, and the kernel went on.
        found.sort(key=lambda mutant: (surveys[mutant.name].coarse, surveys[mutant.name].failed[test].startswith(MACHINE_ENDED)))
        if campaign.fails_alone(None, test):
            print(f"{test} fails by itself without a mutant: it depends on the tests before it")
            return None
        return next((mutant for mutant in found[:CANDIDATES] if campaign.fails_alone(mutant, test)), None)

    with ThreadPoolExecutor(campaign.jobs) as pool:
        return dict(zip(tests, pool.map(killer, tests)))


def report(mutants: list[Mutant], surveys: dict[str, Survey], killers: dict[str, Mutant | None]) -> None:
    """Prints which mutants make each test fail, the mutants that no test notices, and the tests without a killer."""
    print("\nTests, and the mutants that make them fail (the first by itself):")
    for test, killer in killers.items():
        names = sorted(name for name, survey in surveys.items() if test in survey.failed and (killer is None or name != killer.name))
        print(f"  {test}: {' '.join(([killer.name] if killer else ['-']) + names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}")
    broken = [mutant for mutant in mutants if surveys[mutant.name].broken]
    print(f"\nMutants with which no test can run, which count for nothing: {' '.join(mutant.name for mutant in broken) or 'none'}")
    survivors = [mutant for mutant in mutants if not surveys[mutant.name].failed and not surveys[mutant.name].broken]
    print(f"\nMutants that no test notices: {len(survivors)}")
    for mutant in survivors:
        print(f"  {mutant.name} ({mutant.file}): {mutant.breaks}")
    coarse = [test for test, killer in killers.items() if killer and surveys[killer.name].coarse]
    print(f"\nTests that fail for coarse mutants only: {len(coarse)}")
    for test in coarse:
        print(f"  {test}")
    idle = [test for test, killer in killers.items() if killer is None]
    print(f"\nTests that fail for no mutant: {len(idle)}")
    for test in idle:
        print(f"  {test}")
    print(f"\n{len(killers) - len(idle)} of {len(killers)} tests fail for a mutant; "
          f"{len(mutants) - len(survivors) - len(broken)} of {len(mutants)} mutants are noticed")


def record(killers: dict[str, Mutant | None]) -> None:
    """Writes the killers."""
    lines = [f'"{test}" = "{killer.name}"\n' for test, killer in sorted(killers.items()) if killer]
    KILLS.write_text(_HEAD + "".join(lines), encoding="utf-8")


def recorded() -> dict[str, str]:
    """The recorded killer of each test, by name."""
    return tomllib.loads(KILLS.read_text(encoding="utf-8"))


def choose(mutants: list[Mutant], names: list[str]) -> list[Mutant]:
    """The mutants of these names, all if there are none. CatalogueError for a name that there is not."""
    known = {mutant.name: mutant for mutant in mutants}
    for name in names:
        if name not in known:
            raise CatalogueError(f"no mutant is named {name} (tests/mutants/entries names them)")
    return [known[name] for name in names] or mutants


def placed(mutants: list[Mutant]) -> list[Mutant]:
    """The mutants whose place is in the kernel; prints what is wrong with the others."""
    problems = {mutant.name: check_places([mutant]) for mutant in mutants}
    for lines in problems.values():
        print("".join(f"caprock: error: {line}\n" for line in lines), end="", file=sys.stderr)
    return [mutant for mutant in mutants if not problems[mutant.name]]


def run_campaign(options) -> int:
    """Does what the options say; returns the exit status."""
    catalogue = load()
    wanted = {mutant.name for mutant in choose(catalogue, options.mutant)}
    usable = placed(catalogue)
    mutants = [mutant for mutant in usable if mutant.name in wanted]
    campaign = Campaign(usable, options.jobs)
    surveys = survey_all(campaign, mutants, options.all)
    if not options.all:
        unnoticed = [mutant for mutant in mutants if not surveys[mutant.name].failed]
        print(f"\n{len(unnoticed)} mutants are noticed by no suite that they concern: trying the others", flush=True)
        search_wider(campaign, unnoticed, surveys, campaign.passing())
    tests = [test for test in campaign.passing() if not options.suite or test.split(".")[0] in options.suite]
    killers = find_killers(campaign, mutants, surveys, tests)
    idle = [test for test, killer in killers.items() if killer is None or surveys[killer.name].coarse]
    if idle and not options.all and not options.mutant:
        print(f"\n{len(idle)} tests fail for none, or a coarse one, of the mutants that concern them: trying the others", flush=True)
        search_wider(campaign, mutants, surveys, idle)
        killers |= find_killers(campaign, mutants, surveys, idle)
    report(mutants, surveys, killers)
    if options.record:
        record(killers)
    complete = all(killers.values()) or bool(options.mutant)
    return 0 if complete and len(usable) == len(catalogue) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutant", action="append", default=[], metavar="NAME")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--record", action="store_true")
    try:
        return run_campaign(parser.parse_args())
    except (CatalogueError, machines.MachineError, OSError) as error:
        print(f"caprock: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
