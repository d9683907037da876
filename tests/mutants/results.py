# SPDX-License-Identifier: BSD-2-Clause
"""What mutants did to tests: kept for one mutant, printed for all of them, and recorded as a killer for each test (kills.toml)."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from catalogue import Mutant

KILLS = Path(__file__).resolve().parent / "kills.toml"
_COARSE_SHARE = 0.3   # of the tests that ran
_COARSE_TESTS = 10    # that ran at least, for a share to say something
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
        return self.ran >= _COARSE_TESTS and len(self.failed) > _COARSE_SHARE * self.ran

    def add(self, other: "Survey") -> None:
        """Adds what it did to other tests."""
        self.ran += other.ran
        self.failed.update(other.failed)
        self.not_run += other.not_run


def summary(survey: Survey) -> str:
    """A mutant's survey in one line."""
    if survey.broken:
        return f"no test can run ({survey.broken}): it counts for nothing"
    names = sorted(survey.failed)
    text = f"{len(names)} fail: {' '.join(names[:6])}{' ...' if len(names) > 6 else ''}" if names else "none fails"
    return text + (f"; {len(survey.not_run)} did not run" if survey.not_run else "")


def report_tests(surveys: dict[str, Survey], killers: dict[str, Mutant | None]) -> None:
    """Prints which mutants make each test fail, and the tests without a killer."""
    print("\nTests, and the mutants that make them fail (the first by itself):")
    for test, killer in killers.items():
        names = sorted(name for name, survey in surveys.items() if test in survey.failed and (killer is None or name != killer.name))
        print(f"  {test}: {' '.join(([killer.name] if killer else ['-']) + names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}")
    _print_all("Tests that fail for coarse mutants only", [test for test, killer in killers.items() if _only_coarse(surveys, killer)])
    idle = [test for test, killer in killers.items() if killer is None]
    _print_all("Tests that fail for no mutant", idle)
    print(f"\n{len(killers) - len(idle)} of {len(killers)} tests fail for a mutant")


def _only_coarse(surveys: dict[str, Survey], killer: Mutant | None) -> bool:
    return killer is not None and killer.name in surveys and surveys[killer.name].coarse


def report_mutants(mutants: list[Mutant], surveys: dict[str, Survey]) -> bool:
    """Prints the mutants that no test notices; whether these are those of which their entries say so."""
    broken = [mutant for mutant in mutants if surveys[mutant.name].broken]
    survivors = [mutant for mutant in mutants if not surveys[mutant.name].failed and not surveys[mutant.name].broken]
    missed = [mutant for mutant in survivors if not mutant.unseen]
    seen = [mutant for mutant in mutants if mutant.unseen and surveys[mutant.name].failed]
    _print_all("Mutants with which no test can run (remove them)", [f"{mutant.name} ({mutant.file})" for mutant in broken])
    _print_all("Mutants that no test can notice", [f"{mutant.name} ({mutant.file}): {mutant.unseen}" for mutant in survivors if mutant.unseen])
    _print_all("Mutants that are noticed though their entries say that they cannot be (remove `unseen`)", [mutant.name for mutant in seen])
    _print_all("Mutants that no test notices (write one)", [f"{mutant.name} ({mutant.file}): {mutant.breaks}" for mutant in missed])
    print(f"\n{len(mutants) - len(survivors) - len(broken)} of {len(mutants)} mutants are noticed")
    return not (broken or missed or seen)


def _print_all(what: str, lines: list[str]) -> None:
    print(f"\n{what}: {len(lines)}")
    print("".join(f"  {line}\n" for line in lines), end="")


def record(killers: dict[str, Mutant | None]) -> None:
    """Writes the killers."""
    lines = [f'"{test}" = "{killer.name}"\n' for test, killer in sorted(killers.items()) if killer]
    KILLS.write_text(_HEAD + "".join(lines), encoding="utf-8")


def recorded() -> dict[str, str]:
    """The recorded killer of each test, by name; none before the first record."""
    return tomllib.loads(KILLS.read_text(encoding="utf-8")) if KILLS.is_file() else {}
