#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the conformance tests on each seeded mutant of the kernel, and says which tests it makes fail: a test that fails for none tests nothing.

usage: campaign.py [--mutant NAME]... [--suite NAME]... [--jobs N] [--all] [--repeat] [--record]
First each mutant gets a run of the suites that its file concerns (concerns.toml; with --all, of all suites), then those that none of these notices
get the other suites, and the tests that failed for none are tried on the other mutants. Of the mutants with which a test failed its *killer* is the
one that makes the fewest fail and with which the test, run by itself, fails too, as it does not without the mutant. A mutant with which much fails
is *coarse*, and a killer only if there is no better. Results are kept in the build folder by what they depend on: only what changed runs again.

--record writes the killers to kills.toml, which ./caprock test repeats. --repeat begins with what is written there, and looks for killers only of
tests for which it does not hold. The status is 1 if a test has no killer, a mutant is not noticed (or is, though its entry says that it cannot be),
or an entry has no place, and 2 for wrong usage."""

import argparse
import hashlib
import json
import os
import signal
import sys
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "platform"), str(HERE.parent / "conformance")]

import machines  # noqa: E402
from catalogue import KERNEL, CatalogueError, Mutant, check_places, load  # noqa: E402
from kernels import Kernels  # noqa: E402
from results import Survey, record, recorded, report_mutants, report_tests, summary  # noqa: E402
from run import make_payload, read_setting  # noqa: E402
from running import MACHINE_ENDED, Stopped, Verdicts, run, run_all, stop  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", HERE.parents[1] / "build"))
CONCERNS = HERE / "concerns.toml"
SETTING = {"gic": "2", "el": "1", "cores": "1"}
RESTARTS = 2              # starts behind tests with which a mutant's kernel ended
CANDIDATES = 8            # mutants that a test's killer is looked for among


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
        if not tests:
            return Survey(0, {}, [], "")
        survey = Survey(**self._remember(mutant, ["survey", RESTARTS, *tests], lambda: self._survey(mutant, tests)))
        if RESTARTS < survey.ran == sum(reason.startswith(MACHINE_ENDED) for reason in survey.failed.values()):
            # It is not the tests that fail, but the driver between them.
            survey.broken = "it ends with every one"
        return survey

    def _survey(self, mutant: Mutant, tests: list[str]) -> dict:
        verdicts = self.run(mutant, tests, RESTARTS, mutant.on)
        return asdict(Survey(len(verdicts.order), verdicts.failed, verdicts.not_run, verdicts.broken))

    def kills(self, mutant: Mutant, test: str) -> bool:
        """Whether a test fails on a mutant when no other test runs, and passes then without it, or remembers it."""
        def fails(chosen: Mutant | None) -> bool:
            return self._remember(chosen, ["alone", test, mutant.on], lambda: test in self.run(chosen, [test], 0, mutant.on).failed)
        return fails(mutant) and not fails(None)

    def failing(self, mutant: Mutant, tests: list[str]) -> set[str]:
        """Those of `tests` that fail on a mutant when they run in one start, or as many as it takes."""
        return set(self.run(mutant, tests, len(tests), mutant.on).failed)

    def run(self, mutant: Mutant | None, tests: list[str], restarts: int, on: tuple[str, ...]) -> Verdicts:
        """Runs `tests` on a setting and a mutant, or the kernel with none chosen."""
        return run(_setting(on), self._kernels.image(mutant), self._payload, tests, restarts)

    def _remember(self, mutant: Mutant | None, what: list, find_out):
        """The result of `find_out`, which is asked once for all of what `what` and everything else it depends on are."""
        entry = [mutant.file, mutant.old, mutant.new, mutant.after, mutant.separate, mutant.on] if mutant else []
        key = hashlib.sha256(json.dumps([self._basis, entry, what]).encode()).hexdigest()[:32]
        kept = self._results / f"{key}.json"
        if not kept.is_file():
            fresh = kept.with_suffix(f".{threading.get_ident()}")
            fresh.write_text(json.dumps(find_out()), encoding="utf-8")
            fresh.rename(kept)   # whole or not at all
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


def survey_all(campaign: Campaign, mutants: list[Mutant], tests: list[str], every_suite: bool) -> dict[str, Survey]:
    """Surveys the mutants, and prints a line for each."""
    def near(mutant: Mutant) -> list[str]:
        able = set(campaign.passing(mutant.on))
        return [test for test in (tests if every_suite else campaign.concerned(mutant, tests)) if test in able]

    surveys = {}
    with ThreadPoolExecutor(campaign.jobs) as pool:
        for mutant, survey in zip(mutants, pool.map(lambda mutant: campaign.survey(mutant, near(mutant)), mutants)):
            surveys[mutant.name] = survey
            print(f"{mutant.name}: {summary(survey)}", flush=True)
    return surveys


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
                print(f"{mutant.name}, other suites: {summary(survey)}", flush=True)


def find_killers(campaign: Campaign, mutants: list[Mutant], surveys: dict[str, Survey], tests: list[str]) -> dict[str, Mutant | None]:
    """For each test the most specific mutant that makes it fail by itself."""
    order = sorted((mutant for mutant in mutants if not surveys[mutant.name].broken),
                   key=lambda mutant: (surveys[mutant.name].coarse, len(surveys[mutant.name].failed) + len(surveys[mutant.name].not_run)))

    def killer(test: str) -> Mutant | None:
        found = [mutant for mutant in order if test in surveys[mutant.name].failed]
        # Those first with which the test said itself that it failed, and the kernel went on.
        found.sort(key=lambda mutant: (surveys[mutant.name].coarse, surveys[mutant.name].failed[test].startswith(MACHINE_ENDED)))
        return next((mutant for mutant in found[:CANDIDATES] if campaign.kills(mutant, test)), None)

    with ThreadPoolExecutor(campaign.jobs) as pool:
        return dict(zip(tests, pool.map(killer, tests)))


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


def repeat(campaign: Campaign, mutants: list[Mutant], tests: list[str]) -> dict[str, Mutant | None]:
    """The recorded killers of `tests` that still make them fail. A mutant is started once for all of its tests."""
    kills = recorded()
    groups = [(mutant, [test for test in tests if kills.get(test) == mutant.name]) for mutant in mutants]
    groups = [(mutant, names) for mutant, names in groups if names]
    with ThreadPoolExecutor(campaign.jobs) as pool:
        failed = pool.map(lambda group: campaign.failing(*group), groups)
        killers = {test: mutant for (mutant, _), names in zip(groups, failed) for test in names}
    print(f"{len(killers)} of {len(tests)} tests fail for the mutants that are recorded for them", flush=True)
    return killers


def search(campaign: Campaign, mutants: list[Mutant], tests: list[str], options) -> tuple[dict[str, Survey], dict[str, Mutant | None]]:
    """What the mutants do to `tests`, and the tests' killers among them."""
    surveys = survey_all(campaign, mutants, tests, options.all)
    if not options.all and not options.repeat:
        unnoticed = [mutant for mutant in mutants if not surveys[mutant.name].failed]
        print(f"\n{len(unnoticed)} mutants are noticed by no suite that they concern: trying the others", flush=True)
        search_wider(campaign, unnoticed, surveys, tests)
    wanted = [test for test in tests if not options.suite or test.split(".")[0] in options.suite]
    killers = find_killers(campaign, mutants, surveys, wanted)
    idle = [test for test, killer in killers.items() if killer is None or surveys[killer.name].coarse]
    if idle and not options.all and not options.mutant:
        print(f"\n{len(idle)} tests fail for none, or a coarse one, of the mutants that concern them: trying the others", flush=True)
        search_wider(campaign, mutants, surveys, idle)
        killers |= find_killers(campaign, mutants, surveys, idle)
    return surveys, killers


def run_campaign(options) -> int:
    """Does what the options say; returns the exit status."""
    catalogue = load()
    wanted = {mutant.name for mutant in choose(catalogue, options.mutant)}
    usable = placed(catalogue)
    mutants = [mutant for mutant in usable if mutant.name in wanted]
    campaign = Campaign(usable, options.jobs)
    tests = campaign.passing()
    killers = repeat(campaign, mutants, tests) if options.repeat else {}
    left = [test for test in tests if test not in killers]
    surveys, found = search(campaign, mutants, left, options) if left else ({}, {})
    killers |= found
    report_tests(surveys, {test: killers[test] for test in tests if test in killers})
    noticed = options.repeat or report_mutants(mutants, surveys)
    if options.record:
        record(killers)
    complete = (all(killers.values()) and noticed) or bool(options.mutant)
    return 0 if complete and len(usable) == len(catalogue) else 1


def interrupt(number: int, _frame) -> None:
    """Ends the campaign and its machines at once."""
    stop()
    raise Stopped(f"{signal.Signals(number).name}: the campaign is interrupted (what ran is kept; the same command goes on from there)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutant", action="append", default=[], metavar="NAME")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run_campaign(options)
    except (CatalogueError, Stopped, machines.MachineError, OSError) as error:
        print(f"caprock: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
