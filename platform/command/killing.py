# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock kill`: kills components of a running system that are restarted, or damages their code, at places that a seed chooses; looks afterwards whether
anything that was acknowledged is missing, and whether the system consists of what it did at boot."""

import re
import tempfile
from pathlib import Path

from . import from_host, systems
from .errors import Finding, Usage, in_one_line, say

# What goes on counting on the console: `[NAME] WORDS N`.
_COUNTED = re.compile(r"\[([\w-]+)\] (\D*?) ?(\d+)")
_CLOCK = "_ZN9restarter20wait_for_next_periodEv"
_WAITS = ("_ZN7caprock6Server5serveEb", "_ZN7caprock4Self8wait_forEm")
_RESTARTER = "restarter"
_PAGE = 4096
_CALM_LINES = 6
"""Lines that have to appear after the last kill."""


def kill(options) -> int:
    """Does what the options say: 0 if the system went on as if nothing had happened, else 1 after lines that say why."""
    setting = systems.chosen_setting(options)
    if (setting.machine, setting.via, setting.cores) != ("virt", "kernel", 1) or options.debug:
        raise Usage("kill watches the production kernel on one core of QEMU's virt (leave out --machine, --via, --cores and --debug)")
    systems.prepare(not options.no_install, more=(from_host.TARGET,))
    with systems.built(options.system, setting, offline=options.no_install or None, settings=options.settings) as ready:
        findings, summary = campaign(options, setting, ready)
    for line in findings:
        print(f"caprock: {line}", flush=True)
    say(summary)
    return 1 if findings else 0


def campaign(options, setting, ready) -> tuple[list[str], str]:
    """Runs the system: what is wrong, and what was done."""
    import guest
    import killing
    import machines
    from capdl import planned

    victims = choose(ready.spec, options.victims)
    console = from_host.Listener(None)
    observations = []
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        size = guest.memory_bytes(setting.memory)
        path = Path(scratch) / "memory"
        with open(path, "wb") as file:
            file.truncate(size)
        memory = guest.Memory(path, guest.MEMORY_STARTS[setting.machine])
        eye = from_host.Eye(ready, memory, lambda memory, places: None)
        mark: list[int] = []

        def begin(stop):
            eye.remember(stop)
            return [code_of(ready.spec, name, eye.places, memory) for name in victims]

        def is_calm():
            if not stop.settled:
                return False
            mark.append(console.said.count("\n"))
            return mark[-1] - mark[0] >= _CALM_LINES

        def look(stop):
            observations.append(eye.look(stop, running=True))
            return 0, "done"

        arguments = (Path(scratch), planned.symbols(ready.root)[planned.READY], begin, guest.Later(is_calm, look), options.seed)
        if options.mutate:
            program = ready.spec.files[ready.spec.components[_RESTARTER].elf]
            if not (clocks := symbols(program, (_CLOCK,))):
                raise Finding(f"{program.name} has no symbol {_CLOCK} (is it the project's restarter?)")
            stop = killing.Mutations(*arguments, mutations=options.kills, clock=clocks[0][0], clock_space=lambda: eye.places[f"{_RESTARTER}_vspace"])
        else:
            stop = killing.Kills(*arguments, kills=options.kills)
        extra = (*stop.arguments, "-object", f"memory-backend-file,id=shared,size={size},mem-path={path},share=on", "-machine", "memory-backend=shared")
        try:
            outcome = in_one_line(machines.run, setting, timeout=options.timeout, image=ready.image, payload=ready.payload,
                                  offline=options.no_install or None, output=console, extra=extra, beside=stop.poll, deterministic=True)
        except guest.GuestError as error:
            raise Finding(str(error)) from error
    if options.keep:
        Path(options.keep).write_text(outcome.log, encoding="utf-8")
    findings = [] if outcome.status == 0 and observations else [f"the system ended: {outcome.reason}"]
    findings += [f"deviation: {line}" for observation in observations for line in observation.deviations(ready.spec)]
    if not options.mutate:
        findings += missing(outcome.log)
    return findings, spell(stop.tally, options, bool(findings))


def choose(spec, wanted: str | None) -> list[str]:
    """Names of the components to kill: those that are restarted, or of these the wanted ones."""
    from capdl.restarts import restarted

    known = restarted(spec)
    names = wanted.split(",") if wanted else known
    for name in names:
        if name not in known:
            raise Usage(f"'{name}' is not restarted (give some of: {', '.join(known) or 'the system restarts nothing'})")
    if not names:
        raise Usage("the system restarts nothing (add `restart on fault` to a component: docs/restart.md)")
    return names


def code_of(spec, name: str, places: dict[str, int], memory):
    """Where a component's code is, and how it is."""
    import killing
    from capdl import elf

    component = spec.components[name]
    image = elf.read(spec.files[component.elf])
    pages = []
    for segment in (item for item in image.segments if item.executable):
        for vaddr in range(segment.vaddr, segment.vaddr + segment.file_size, _PAGE):
            physical = places[f"{name}_frame_{vaddr:x}"]
            size = min(_PAGE, segment.vaddr + segment.file_size - vaddr) // 4 * 4
            pages.append((vaddr, physical, memory.read(physical, size)))
    hangs = f"{name}_ntfn" in spec.objects and any(cap.object == f"{_RESTARTER}_ntfn" for cap in spec.objects[component.cnode].slots.values())
    waits = tuple((start, start + size) for start, size in symbols(spec.files[component.elf], _WAITS))
    return killing.Code(name, places[component.vspace], component.entry, waits, hangs, tuple(pages))


def symbols(path: Path, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Address and size of those symbols that a program has."""
    from elftools.elf.elffile import ELFFile

    with open(path, "rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        found = [table.get_symbol_by_name(name) for name in names] if table is not None else []
    return [(item[0]["st_value"], item[0]["st_size"]) for item in found if item]


def missing(log: str) -> list[str]:
    """What of the lines that count is not there, or goes back. A line may come twice, and a part of it may stand before the whole."""
    problems = []
    following = ""
    lines = []
    # The machine stood still in the middle of the last one.
    for line in reversed(log.rpartition("\n")[0].splitlines()):
        if line and following.startswith(line):
            continue   # what was printed of it before a restart
        lines.append(line)
        following = line or following
    numbers: dict[tuple[str, str], int] = {}
    for line in reversed(lines):
        found = _COUNTED.fullmatch(line)
        if found is None:
            if line and not line.startswith("caprock: "):
                problems.append(f"a line that nobody has sent: {line!r}")
            continue
        key, number = (found[1], found[2]), int(found[3])
        last = numbers.setdefault(key, number - 1)
        if number not in (last, last + 1):
            problems.append(f"[{key[0]}] {key[1]} {number} comes behind {last}")
        numbers[key] = number
    return problems


def spell(tally, options, failed: bool) -> str:
    """What was done, in one line."""
    what = "damages to the code" if options.mutate else "kills"
    each = ", ".join(f"{name} {count}" for name, count in sorted(tally.kills.items()))
    loops = "" if options.mutate else f", {tally.loops} of them loops"
    return (f"{'FAILED' if failed else 'PASS'}: {tally.kills.total()} {what} ({each}{loops}) at {len(tally.places)} places, {tally.restarts.total()} restarts, "
            f"seed {options.seed}")
