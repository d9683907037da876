# SPDX-License-Identifier: BSD-2-Clause
"""What of the kernel was executed while the specification's oracle compared: on this machine the portable core, function by function and branch by branch
(the lockstep's program once more, with counters); and the shipped image on QEMU, instruction by instruction."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import clauses
from .clauses import Branches
from .code import BYTES, AuditError
from .image import Image

_PROGRAM = "proofs-spec/lockstep/caprock-lockstep"
_COUNTED = "proofs-spec/audit/lockstep"
_KERNEL = re.compile(r"(?:^|/)(kernel/(?:api/caprock|arch|boot|cap|core|fastpath|ipc|object|sched|syscall)/[\w.]+)$")
_FIRST_RETURN = "return_to_thread"
"""Where the boot is over."""

Table = dict[str, dict[str, int]]


@dataclass
class Counted:
    """A function of the core in the lockstep: how often it was called, and which of its branches were taken, out of how many."""

    name: str = ""
    calls: int = 0
    branches: dict[tuple[int, int], int] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)

    @property
    def taken(self) -> int:
        return sum(count > 0 for count in self.branches.values())


@dataclass
class HostRun:
    """What the lockstep did: events, the table operation × result, by file and line the functions of the core, how often each line was executed, and the
    branches of the specification's definitions."""

    events: int
    table: Table
    functions: dict[tuple[str, int], Counted]
    lines: dict[tuple[str, int], int]
    clauses: Branches = field(default_factory=dict)

    def reached(self, file: str, line: int, following: int) -> bool:
        """Whether the function at a line was called. One that is always put into others has no counter of its own: then its lines up to the next function
        tell."""
        counted = self.functions.get((file, line))
        if counted is not None:
            return counted.calls > 0
        return any(self.lines.get((file, number)) for number in range(line, following))


@dataclass
class ImageRun:
    """What the shipped image did on QEMU: which of its instructions were executed, in how many compared kernel entries of which runs."""

    executed: set[int] = field(default_factory=set)
    entries: int = 0
    runs: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, other: "ImageRun") -> None:
        """Takes another run in."""
        self.executed |= other.executed
        self.entries += other.entries
        self.runs += other.runs
        self.findings += other.findings


# ---- the portable core -----------------------------------------------------------------------------------------------------------------
def compile_counted(build: Path, jobs: int) -> Path:
    """Compiles the lockstep's program with counters, by the commands that the build has for it. The path of the program."""
    done = subprocess.run(["ninja", "-C", str(build), "-t", "commands", _PROGRAM], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stdout.splitlines() if f"{_PROGRAM}.p/" in line]
    if done.returncode != 0 or not lines:
        raise AuditError(f"{build}: the build knows no {_PROGRAM} (`./caprock build`)")
    folder = build / f"{_COUNTED}.p"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    moved = [line.replace(f"{_PROGRAM}.p/", f"{_COUNTED}.p/").replace(f"-o {_PROGRAM} ", f"-o {_COUNTED} ") for line in lines]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda line: _run_tool([*shlex.split(line), "--coverage", "-w", *(("-O0",) if "/kernel/" in line else ("-O1",))], build), moved[:-1]))
    _run_tool([*shlex.split(moved[-1]), "--coverage"], build)
    return build / _COUNTED


def _run_tool(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AuditError(f"{command[0]} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return done.stdout


def run_host(build: Path, names: set[str], events: int, seed: int, jobs: int) -> HostRun:
    """Runs the lockstep with counters on both sides; `names` are the definitions that count. An AuditError if kernel and specification differ."""
    program = compile_counted(build, jobs)
    oracle = clauses.compile_counted(build / "proofs-spec")
    share = -(-events // jobs)
    commands = [[str(program), "--oracle", str(oracle), "--seed", str(seed + number * share), "--ops", str(share), "--table",
                 "--trace", str(build / f"{_COUNTED}.{number}.trace")] for number in range(jobs)]
    with ThreadPoolExecutor(jobs) as pool:
        outputs = list(pool.map(_run_lockstep, commands, [clauses.counters(oracle, number) for number in range(jobs)]))
    cells = _cells()
    table: Table = defaultdict(lambda: defaultdict(int))
    for text in outputs:
        for operation, results in cells.read_table(text).items():
            for result, count in results.items():
                table[operation][result] += count
    counts = [int(found) for text in outputs for found in re.findall(r"^lockstep: (\d+) events", text, re.MULTILINE)]
    return HostRun(sum(counts), {name: dict(results) for name, results in table.items()}, *read_counters(build),
                   clauses.read(oracle, names))


def _run_lockstep(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode == 1:
        raise AuditError(f"lockstep: kernel and specification differ: {done.stdout.strip().splitlines()[0]} (`./caprock lockstep` shows where)")
    if done.returncode != 0:
        raise AuditError(f"lockstep: the program ended with status {done.returncode}: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return done.stdout


def _cells():
    """The lockstep's own table of what each operation can come to."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lockstep"))
    import cells
    return cells


def missing_cells(table: Table) -> tuple[list[str], int, list[str]]:
    """The cells operation × result that were promised and not reached, out of how many; and those that were reached although listed as unreachable."""
    cells = _cells()
    known = cells.unreachable()
    promised = [(operation, result) for operation, results in cells.expected().items() for result in results if (operation, result) not in known]
    missing = [f"{operation} {result}" for operation, result in sorted(promised) if not table.get(operation, {}).get(result)]
    return missing, len(promised), cells.findings(table, complete=False)


def read_counters(build: Path) -> tuple[dict[tuple[str, int], Counted], dict[tuple[str, int], int]]:
    """The counters of the last run, of functions by file and line, and of lines; copies of an inline function in several objects count together."""
    gcov = shutil.which("gcov")
    if gcov is None:
        raise AuditError("gcov is not installed (package g++: `./caprock setup`)")
    counters = sorted((build / f"{_COUNTED}.p").glob("*.gcda"))
    functions: dict[tuple[str, int], Counted] = defaultdict(Counted)
    lines: dict[tuple[str, int], int] = defaultdict(int)
    for number in range(0, len(counters), 8):
        text = _run_tool([gcov, "--json-format", "--stdout", "--branch-probabilities", *map(str, counters[number:number + 8])], build)
        for line in text.splitlines():
            for entry in json.loads(line)["files"]:
                read_file(entry, functions, lines)
    return dict(functions), dict(lines)


def read_file(entry: dict, functions: dict[tuple[str, int], Counted], lines: dict[tuple[str, int], int]) -> None:
    """Adds what gcov says of one file of the core."""
    file = _KERNEL.search(entry["file"])
    if file is None:
        return
    starts = {function["name"]: function["start_line"] for function in entry["functions"]}
    for function in entry["functions"]:
        counted = functions[file[1], function["start_line"]]
        counted.name = counted.name or function["demangled_name"]
        counted.calls += function["execution_count"]
    for line in entry["lines"]:
        lines[file[1], line["line_number"]] += line["count"]
        start = starts.get(line.get("function_name"))
        if start is None:
            continue
        counted = functions[file[1], start]
        counted.lines[line["line_number"]] = counted.lines.get(line["line_number"], 0) + line["count"]
        for place, branch in enumerate(branch for branch in line["branches"] if not branch["throw"]):
            counted.branches[line["line_number"], place] = counted.branches.get((line["line_number"], place), 0) + branch["count"]


# ---- the shipped image -----------------------------------------------------------------------------------------------------------------
def read_executed(path: Path, start: int) -> set[int]:
    """The addresses that the plugin noted in its file, a byte for each instruction from `start` on."""
    content = path.read_bytes() if path.exists() else b""
    return {start + BYTES * place for place, seen in enumerate(content) if seen}


def run_image(image: Image, plugin: Path, replays, scratch: Path) -> ImageRun:
    """Runs the shipped image with the oracle beside it, as often as `replays` says: pairs of a name and a function that is given further arguments for QEMU
    and gives (status of the machine, status of the comparison, its report). What is executed before the first thread runs does not count."""
    result = ImageRun()
    code = next(segment for segment in image.segments if segment.execute)
    for name, replay in replays:
        out = scratch / "executed"
        words = f"file={plugin},out={out},start={code.start:#x},bytes={code.size:#x},from={image.symbol(_FIRST_RETURN):#x}"
        machine, comparison, report = replay(("-plugin", words))
        if comparison != 0 or machine != 0:
            what = "kernel and specification differ" if comparison else "the system itself failed"
            result.findings.append(f"{name}: {what} (`./caprock trace --compare` shows how)")
        executed = read_executed(out, code.start)
        if not executed:
            raise AuditError(f"{name}: QEMU noted no instruction of the kernel (did it load {plugin.name}?)")
        result.executed |= executed
        entries = re.search(r"replay: (\d+) events", report)
        count = int(entries[1]) if entries else 0
        result.entries += count
        result.runs.append(f"{name}: {count} kernel entries compared, {len(executed)} instructions executed")
        out.unlink(missing_ok=True)
    return result
