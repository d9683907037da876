#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mutants of the kernel's portable core in lockstep with the specification: as many changes as asked for, drawn from all sites (sites.py), each compiled into a
program of its own, which must find a difference. Assertions are not compiled in: what counts is state, effects and results. What does not compile or makes
the same code is drawn again, and so is what changes only how long something takes. `equivalent.toml` has these and the changes that nothing at all can
show, with reasons."""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import sites

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KERNEL = ROOT / "kernel"
EQUIVALENT = HERE / "equivalent.toml"
MOST_EQUIVALENT = 0.05
EVENTS = 150_000
MEMORY = 4 << 30
# Functions that seam.cc takes the place of (meson.build has them too).
WRAPPED = ("4arch12initial_spsrEv", "4arch13sanitise_spsrEm")


class MutantError(Exception):
    """The campaign cannot be held; the text says why and what to do."""


class LinkError(MutantError):
    """The objects do not make a program."""


@dataclass(frozen=True)
class Unit:
    """A source of the program: its command but for source and output, and the files of the core that it reads."""

    source: Path
    command: tuple[str, ...]
    object: Path

    @property
    def is_core(self) -> bool:
        return self.source.is_relative_to(KERNEL)


class Program:
    """The lockstep's program without assertions, and how to make one with a change."""

    def __init__(self, build: Path):
        self.build = build
        self.folder = build / "proofs-spec" / "lockstep-mutants"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.units = self._units()
        self.readers: dict[str, list[Unit]] = {}

    def _units(self) -> list[Unit]:
        commands = json.loads((self.build / "compile_commands.json").read_text(encoding="utf-8"))
        units = []
        for entry in commands:
            if "/caprock-lockstep.p/" not in entry["output"]:
                continue
            words = entry["command"].split()
            kept = [word for word in words[:words.index("-MD")] if word not in ("-g", "-O2", "-Werror")]
            kept = [word.replace("config/debug", "config/production") for word in kept]
            source = (self.build / entry["file"]).resolve()
            units.append(Unit(source, (*kept, "-O1", "-w"), self.folder / Path(entry["output"]).name))
        if not units:
            raise MutantError(f"{self.build}/compile_commands.json: it has no caprock-lockstep (run ./caprock build)")
        return units

    def compile(self, unit: Unit, source: Path, out: Path, overlay: Path | None = None, more: tuple[str, ...] = ()) -> bool:
        command = list(unit.command)
        if overlay is not None:
            command[1:1] = [f"-I{overlay}"]
        done = subprocess.run([*command, *more, "-c", str(source), "-o", str(out)], cwd=self.build, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        return done.returncode == 0

    def make(self, jobs: int) -> None:
        """Compiles everything without a change, and learns who reads which file of the core."""
        def one(unit: Unit) -> None:
            dependencies = unit.object.with_suffix(".d")
            if not self.compile(unit, unit.source, unit.object, more=("-MMD", "-MF", str(dependencies))):
                raise MutantError(f"{unit.source}: it does not compile (run ./caprock build)")
            for name in dependencies.read_text(encoding="utf-8").replace("\\\n", " ").split()[1:]:
                path = (self.build / name).resolve()
                if unit.is_core and path.is_relative_to(KERNEL):
                    self.readers.setdefault(path.relative_to(KERNEL).as_posix(), []).append(unit)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, self.units))
        for units in self.readers.values():
            units.sort(key=lambda unit: unit.source)

    def mutate(self, site: sites.Site, folder: Path) -> Path | None:
        """The program with a change, in an empty folder; None if it does not compile or the code is the same."""
        overlay = folder / "overlay"
        changed = overlay / site.file
        changed.parent.mkdir(parents=True)
        changed.write_text(site.apply((KERNEL / site.file).read_text(encoding="utf-8")), encoding="utf-8")
        objects = {}
        differs = False
        for unit in self.readers.get(site.file, []):
            out = folder / unit.object.name
            source = changed if unit.source == KERNEL / site.file else unit.source
            if not self.compile(unit, source, out, overlay):
                return None
            objects[unit.object] = out
            differs = differs or out.read_bytes() != unit.object.read_bytes()
        try:
            return self.link(objects, folder, site.file.endswith(".hpp")) if differs else None
        except LinkError:
            return None

    def link(self, objects: dict[Path, Path], folder: Path, alone: bool) -> Path:
        """The program with other objects in place of some. `alone`: the core shares no inline function with the lockstep."""
        core = [str(objects.get(unit.object, unit.object)) for unit in self.units if unit.is_core]
        others = [str(unit.object) for unit in self.units if not unit.is_core]
        if alone:
            core = [str(self._alone(core, folder))]
        program = folder / "caprock-lockstep"
        wrapped = [f"-Wl,--wrap=_ZN7caprock{name}" for name in WRAPPED]
        self._run([self.units[0].command[0], "-o", str(program), *core, *others, *wrapped])
        return program

    def _alone(self, core: list[str], folder: Path) -> Path:
        """The core in one object whose inline functions are its own: those of the lockstep stay as they are."""
        whole = folder / "core.o"
        self._run(["ld", "-r", "--force-group-allocation", "-o", str(whole), *core])
        names = self._run(["nm", "--defined-only", str(whole)])
        weak = [line.split()[2] for line in names.splitlines() if line.split()[1] in ("W", "V")]
        (folder / "weak").write_text("\n".join(weak), encoding="utf-8")
        self._run(["objcopy", f"--localize-symbols={folder / 'weak'}", str(whole)])
        return whole

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.build, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LinkError(f"{command[0]} failed: {done.stderr.strip()}")
        return done.stdout


Key = tuple[str, str, str, str]
"""A change by its file, its line, the changed line, and the line before it where the same line stands in several places."""


def equivalents() -> dict[Key, tuple[str, str]]:
    """Kinds and reasons by changes."""
    with EQUIVALENT.open("rb") as file:
        entries = tomllib.load(file).get("mutant", [])
    known = {}
    for entry in entries:
        for after in entry["after"] if isinstance(entry["after"], list) else [entry["after"]]:
            known[entry["file"], entry["before"], after, entry.get("behind", "")] = (entry["kind"], entry["because"])
    return known


def check_equivalents(known: dict[Key, tuple[str, str]], drawn: list[sites.Site]) -> None:
    """MutantError if an entry is of no site any more."""
    texts = {name: (KERNEL / name).read_text(encoding="utf-8") for name in {site.file for site in drawn}}
    named = set()
    for site in drawn:
        if any(key[0] == site.file for key in known):
            after = site.changed_line(texts[site.file])
            named |= {(site.file, site.before, after, ""), (site.file, site.before, after, site.behind)}
    for key, (kind, _) in known.items():
        if kind not in ("same", "speed", "machine"):
            raise MutantError(f"{EQUIVALENT.name}: {kind} is no kind of change: {key[1]} => {key[2]} (same, speed or machine)")
        if key not in named:
            raise MutantError(f"{EQUIVALENT.name}: {key[0]} has no such change any more: {key[1]} => {key[2]} (remove it, or make it what the source says)")


@dataclass(frozen=True)
class Outcome:
    """What became of a drawn change: "again", "equivalent", "caught" or "alive", and what was seen."""

    kind: str
    site: sites.Site
    after: str = ""
    seen: str = ""

    def text(self) -> str:
        return f"{self.kind:10} {self.site.file}:{self.site.line}: {self.site.before} => {self.after}: {self.seen}"


class Campaign:
    """Draws, compiles and runs."""

    def __init__(self, program: Program, oracle: str, events: int):
        self.program = program
        self.oracle = oracle
        self.events = events
        self.known = equivalents()

    def judge(self, number: int, site: sites.Site) -> Outcome:
        after = site.changed_line((KERNEL / site.file).read_text(encoding="utf-8"))
        anywhere, here = ((site.file, site.before, after, behind) for behind in ("", site.behind))
        kind, reason = self.known.get(here) or self.known.get(anywhere, (None, ""))
        if kind == "speed":
            return Outcome("again", site)
        if kind is not None:
            return Outcome("equivalent", site, after, reason)
        folder = self.program.folder / f"mutant-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            binary = self.program.mutate(site, folder)
            if binary is None:
                return Outcome("again", site)
            seen = self.run(binary)
            return Outcome("alive" if seen is None else "caught", site, after, seen or f"no difference in {self.events} events")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, binary: Path) -> str | None:
        """The first difference in random events, or else in an exhaustive search of a fifth as many transitions; None if there is none."""
        return self.run_with(binary, "--ops", str(self.events)) or self.run_with(binary, "--exhaustive", "all", "--ops", str(self.events // 5))

    def run_with(self, binary: Path, *options: str) -> str | None:
        command = [str(binary), "--oracle", self.oracle, *options]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)))
        if done.returncode == 0:
            return None
        lines = [line for line in done.stdout.splitlines() if line.startswith("lockstep: failure: ")]
        if done.returncode != 1 or not lines:
            raise MutantError(f"{binary} ended with status {done.returncode}: {done.stderr[-500:]}")
        return lines[0].removeprefix("lockstep: failure: ")

    def check_original(self) -> None:
        """MutantError unless the kernel without a change agrees with the specification: else everything would seem to be caught."""
        folder = self.program.folder / "original"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        seen = self.run(self.program.link({}, folder, alone=True))
        if seen is not None:
            raise MutantError(f"kernel and specification differ without a change: {seen} (run ./caprock lockstep)")

    def hold(self, count: int, seed: int, jobs: int, say) -> list[Outcome]:
        """The outcomes of the first `count` changes that a seed draws and that are other programs."""
        self.check_original()
        pool_of_sites = sites.all_sites(KERNEL)
        check_equivalents(self.known, pool_of_sites)
        order = random.Random(seed)
        outcomes: list[Outcome] = []
        drawn: set[int] = set()
        with ThreadPoolExecutor(jobs) as pool:
            while len(outcomes) < count and len(drawn) < len(pool_of_sites):
                batch = []
                while len(batch) < jobs and len(drawn) < len(pool_of_sites):
                    i = order.randrange(len(pool_of_sites))
                    if i not in drawn:
                        drawn.add(i)
                        batch.append(i)
                for outcome in pool.map(lambda i: self.judge(i, pool_of_sites[i]), batch):
                    if outcome.kind != "again" and len(outcomes) < count:
                        outcomes.append(outcome)
                        say(outcome.text())
        return outcomes


def summary(outcomes: list[Outcome], seed: int) -> tuple[int, str]:
    """Status and the last line."""
    counts = {kind: sum(outcome.kind == kind for outcome in outcomes) for kind in ("caught", "equivalent", "alive")}
    judged = counts["caught"] + counts["alive"]
    text = f"lockstep: {counts['caught']} of {judged} mutants caught, {counts['equivalent']} of {len(outcomes)} drawn are equivalent, seed {seed}"
    too_many = counts["equivalent"] > max(1.0, MOST_EQUIVALENT * len(outcomes))
    return (1 if counts["alive"] or too_many else 0), text + (": too many are equivalent" if too_many else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--oracle", required=True, help="the specification's oracle")
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=EVENTS, help="after so many without a difference a mutant counts as alive")
    parser.add_argument("-j", dest="jobs", type=int, default=2)
    options = parser.parse_args()
    try:
        program = Program(options.build.resolve())
        program.make(options.jobs)
        campaign = Campaign(program, options.oracle, options.events)
        outcomes = campaign.hold(options.mutants, options.seed, options.jobs, lambda text: print(text, flush=True))
    except MutantError as error:
        print(f"lockstep: error: {error}", file=sys.stderr)
        return 2
    status, text = summary(outcomes, options.seed)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
