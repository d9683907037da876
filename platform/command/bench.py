# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock bench`: what the kernel's operations cost, measured by a benchmark system (systems/bench), beside seL4's figures and the goals."""

import json
import re
import sys
from dataclasses import dataclass

from . import ROOT, bench_boot, bench_chart, bench_footprint, bench_record, systems
from .bench_machine import Bench
from .bench_rows import ROWS, Row
from .errors import Finding, Usage, say

SYSTEM = ROOT / "systems" / "bench" / "bench.cdl"
_ROW = re.compile(r"^\[client\] row (.+): (\d+) (\d+\.\d\d)$", re.MULTILINE)
_INSTRUMENT = re.compile(r"^\[client\] instrument (\d+) (\d+)$", re.MULTILINE)
_FREQUENCY = re.compile(r"^\[client\] frequency (\d+)$", re.MULTILINE)
_INSTRUMENT_READS = ("1", "20001")
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Measured:
    """A row's figures: the median of single shots, and the mean of many where there is one."""

    row: Row
    median: int
    mean: float | None


def bench(options) -> int:
    """Does what the options of `./caprock bench` say; 0, since a figure above its goal is for the reader to judge."""
    if options.footprint and (options.wall or options.plot):
        raise Usage("--footprint counts instructions: give neither --wall nor --plot with it")
    if options.console and not options.wall:
        raise Usage("--console holds a board's real time: give --wall with it")
    if options.wall and options.plot:
        raise Usage("--plot compares instructions: give no --wall with it")
    if options.record and (options.wall or options.footprint or options.machine != "virt"):
        raise Usage("--record is for the figures of virt: give neither --wall nor --footprint nor --machine with it")
    if options.plot and not options.plot.resolve().parent.is_dir():
        raise Usage(f"{options.plot.resolve().parent}: no such folder (make it first)")
    if options.console:
        measured = from_console(options.console.read_text(encoding="utf-8", errors="replace"))
        _print(options, [as_object(item) for item in measured], wall_table(measured))
        return 0
    systems.prepare(not options.no_install, more=(bench_boot.TARGET, bench_footprint.TARGET))
    machine = Bench(setting(options.machine), options.timeout, options.no_install or None, options.wall)
    if options.footprint:
        footprints = bench_footprint.measure(machine)
        _print(options, bench_footprint.as_objects(footprints), bench_footprint.table(footprints))
        return 0
    measured = measure(machine)
    _print(options, [as_object(item) for item in measured], wall_table(measured) if options.wall else table(measured))
    if options.record:
        bench_record.record({item.row.operation: item.median for item in measured}, bench_footprint.measure(machine))
        say(f"wrote {bench_record.EXPECTED} and {bench_record.DOCUMENT}")
    if options.plot:
        options.plot.write_text(chart(measured), encoding="utf-8")
    return 0


def setting(machine: str):
    """The table's machine: one core, EL1, GICv2; or the Raspberry Pi 4, which has no choice."""
    import machines

    return machines.Setting(machine, **({} if machine == "raspi4b" else {"gic": 2, "el": 1, "cores": 1})).checked()


def measure(machine: Bench) -> list[Measured]:
    """All figures, in the table's order; a Finding if one is missing, or if the instrument does not count instructions."""
    log, _ = machine.run(SYSTEM)
    if machine.wall:
        return from_console(log)
    check_instrument(log)
    return figures(log, bench_boot.figures(machine))


def check_instrument(log: str) -> None:
    """A Finding unless two reads of the counter behind each other differ by 1, and 20,000 instructions between two reads show."""
    found = _INSTRUMENT.search(log)
    if found is None or found.groups() != _INSTRUMENT_READS:
        raise Finding(f"the counter does not count instructions: two reads differ by {found[1] if found else 'nothing'}, and around 20,000 "
                      f"instructions by {found[2] if found else 'nothing'} (QEMU 10 with -icount is needed)")


def figures(log: str, boot: dict[str, int]) -> list[Measured]:
    """The table's rows with what the benchmark printed and what booting took; a Finding for a row that only one of table and benchmark has."""
    found = {name: (int(median), float(mean)) for name, median, mean in _ROW.findall(log)} | {name: (count, None) for name, count in boot.items()}
    known = [row.operation for row in ROWS if boot or not row.boot]
    for name in found.keys() ^ set(known):
        raise Finding(f"`{name}` is {'measured, but is no row of' if name in found else 'not measured, but a row of'} platform/command/bench_rows.py")
    return [Measured(row, *found[row.operation]) for row in ROWS if row.operation in found]


def from_console(log: str) -> list[Measured]:
    """The figures of a machine in real time, in nanoseconds; a Finding for a row that is missing."""
    measured = figures(log, {})
    tick = _NANOSECONDS / int(_FREQUENCY.search(log)[1])
    return [Measured(item.row, round(item.median * tick), item.mean * tick) for item in measured]


def as_object(item: Measured) -> dict:
    """A row for --json."""
    row = item.row
    return {"operation": row.operation, "caprock": item.median, "peer": row.peer, "goal": row.goal, "mean": item.mean, "sel4_best": row.best,
            "sel4_mcs_best": row.mcs}


def table(measured: list[Measured]) -> str:
    """The rows as text: median and mean of Caprock's, the goal, seL4's figures, and Caprock's in relation to the smaller of these."""
    width = max(len(item.row.operation) for item in measured)
    lines = [f"{'operation':{width}} {'Caprock':>8} {'mean':>11} {'goal':>8}   {'seL4':>8} {'seL4 MCS':>8} {'ratio':>6}"]
    for item in measured:
        row = item.row
        ratio = f"{item.median / row.peer:.2f}" if row.peer else "-"
        missed = "!" if row.goal is not None and item.median > row.goal else " "
        lines.append(f"{row.operation:{width}} {item.median:>8} {_mean(item):>11} {_text(row.goal):>8} {missed} {_text(row.best):>8} "
                     f"{_text(row.mcs):>8} {ratio:>6}")
    return "\n".join(lines) + "\n"


def wall_table(measured: list[Measured]) -> str:
    """The rows as text, in nanoseconds."""
    width = max(len(item.row.operation) for item in measured)
    lines = [f"{'operation':{width}} {'median ns':>10} {'mean ns':>13}"]
    lines += [f"{item.row.operation:{width}} {item.median:>10} {_mean(item):>13}" for item in measured]
    return "\n".join(lines) + "\n"


def chart(measured: list[Measured]) -> str:
    """The chart of rows that seL4 has a figure for."""
    return bench_chart.chart([(item.row.operation, item.median / item.row.peer, item.row.goal / item.row.peer if item.row.goal else None)
                              for item in measured if item.row.peer])


def _print(options, objects: list[dict], text: str) -> None:
    sys.stdout.write(json.dumps(objects, indent=2) + "\n" if options.json else text)


def _mean(item: Measured) -> str:
    return "-" if item.mean is None else f"{item.mean:.2f}"


def _text(figure: int | None) -> str:
    return "-" if figure is None else str(figure)
