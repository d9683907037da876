# SPDX-License-Identifier: BSD-2-Clause
"""Section 4: each operation from its number in the binary interface to the kernel's function, the specification's clause, the theorems that speak of it, what
the lockstep saw of it, and how much of the branches of both it took."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from .clauses import total
from .evidence import Counted, HostRun, missing_cells
from .proofs import Claim
from .report import Section, table

LEAST_LINES = 95.0
LEAST_BRANCHES = 90.0
LEAST_CELLS = 97.0
LEAST_CLAUSES = 90.0
"""Per cent that the lockstep must reach of the core's lines and branches, of the results that the manual promises, and of the specification's branches.
`./caprock lockstep --cells` with more events reaches all of these; the unit tests have limits of their own."""
_CASE = r"case {name}:((?:\s*case \w+::\w+:)*)\s*(?:return )?(?:\w+::)*(\w+)\s*[(<]"
# The files of the specification that say what a step does.
_STEP = ("Objects", "Capabilities", "Schedule", "Messages", "Spaces", "Deletion", "Invocation", "CapabilityMethods", "ThreadMethods", "TimeMethods",
         "SpaceMethods", "OtherMethods", "Step")
_DEFINITION = re.compile(r"^(?:Definition|Fixpoint) (\w+)\b", re.MULTILINE)


@dataclass(frozen=True)
class Operation:
    """An operation: its name as the lockstep has it, its number, the file and name of the kernel's function, the specification's clause, and the method
    that the claims name."""

    name: str
    number: int
    file: str
    function: str | None
    clause: str | None
    method: str | None = None


def function_of(text: str, case: str) -> str | None:
    """The function that a switch calls for a case: the last switch of the file that has it decides."""
    found = re.findall(_CASE.format(name=re.escape(case)), text)
    return found[-1][1] if found else None


def clauses(folder: Path) -> dict[str, str]:
    """Where the specification defines what: `spec/FILE.v:line` by name."""
    found = {}
    for path in sorted((folder / "spec").glob("*.v")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            definition = _DEFINITION.match(line)
            if definition and not path.stem.endswith(("Proofs", "Facts", "Witness")):
                found.setdefault(definition[1], f"spec/{path.name}:{number}")
    return found


def step_definitions(folder: Path) -> set[str]:
    """Names of the definitions that say what a step does."""
    return {name for name, place in clauses(folder).items() if Path(place.partition(":")[0]).stem in _STEP}


def operations(root: Path) -> list[Operation]:
    """All operations of the API: methods and system calls. The debug kernel's are no part of what ships."""
    sys.path.insert(0, str(root / "kernel" / "api"))
    from description import Description
    from rendering import snake

    description = Description(root / "kernel" / "api")
    defined = clauses(root / "proofs-spec")
    found = []
    numbers = {value["name"]: value["value"] for value in description.enum("Syscall")["values"]}
    calls = "kernel/syscall/syscall.cc"
    step = (root / "proofs-spec/spec/Step.v").read_text(encoding="utf-8")
    for name in description.syscalls:
        clause = re.search(rf"\| Syscall\.{name} => \(?(?:\w+, )?(\w+)", step)
        if not name.startswith("Debug"):
            function = function_of((root / calls).read_text(encoding="utf-8"), f"Syscall::{name}")
            found.append(Operation(name, numbers[name], calls, function, defined.get(clause[1]) and f"{clause[1]} {defined[clause[1]]}" if clause else None))
    for method in description.methods:
        text = (root / method["file"]).read_text(encoding="utf-8")
        function = function_of(text, f"Method::{method['full_name']}") or _only_function(text, snake(method["object"]["name"]))
        clause = snake(method["object"]["name"]) + "_" + snake(method["name"])
        found.append(Operation(f"{method['object']['name']}::{method['name']}", method["label"], method["file"], function,
                               f"{clause} {defined[clause]}" if clause in defined else None, method["full_name"]))
    return found


def _only_function(text: str, kind: str) -> str | None:
    """The function of an object that has one method, which needs no switch."""
    return f"invoke_{kind}" if re.search(rf"\binvoke_{kind}\(const Invocation", text) else None


def counted_of(host: HostRun, operation: Operation, root: Path) -> Counted | None:
    """The counters of an operation's function; of the same name in other files the operation's own comes first. A function that is always put into others has
    the counters of its lines there."""
    named = [(file, counted) for (file, _), counted in host.functions.items() if re.search(rf"\b{operation.function}(?:<.*>)?\(", counted.name)]
    own = [counted for file, counted in named if file == operation.file] or [counted for _, counted in named]
    found = max(own, key=lambda counted: counted.calls, default=None)
    if operation.function is None or found is not None and found.lines:
        return found
    return _counted_lines(host, operation, (root / operation.file).read_text(encoding="utf-8").splitlines())


def _counted_lines(host: HostRun, operation: Operation, text: list[str]) -> Counted | None:
    """The counters of the lines of a function's body, whichever function they are in."""
    start = next((number for number, line in enumerate(text, 1) if re.match(rf"\S.*\b{operation.function}\(.*\{{", line)), None)
    if start is None:
        return None
    end = next((number for number, line in enumerate(text[start:], start + 1) if line.startswith("}")), start)
    lines = {number: host.lines[operation.file, number] for number in range(start, end + 1) if (operation.file, number) in host.lines}
    branches: dict[tuple[int, int], int] = {}
    for (file, _), counted in host.functions.items():
        branches |= {place: count for place, count in counted.branches.items() if file == operation.file and place[0] in lines}
    return Counted(operation.function, max(lines.values(), default=0), branches, lines)


def problems(operation: Operation, theorems: list[str], results: dict[str, int], counted: Counted | None) -> list[str]:
    """What an operation lacks."""
    lines = []
    if operation.function is None or counted is None:
        lines.append(f"{operation.name}: no function of the kernel was found in {operation.file}")
    if operation.clause is None:
        lines.append(f"{operation.name}: the specification has no clause of it")
    if not theorems:
        lines.append(f"{operation.name}: no theorem speaks of it")
    if not sum(results.values()) or counted is not None and not counted.calls:
        lines.append(f"{operation.name}: the lockstep never came to it")
    return lines


def totals(host: HostRun) -> tuple[int, int, int, int]:
    """Lines reached and all, branches taken and all, of the core in the lockstep."""
    lines = [count for counted in host.functions.values() for count in counted.lines.values()]
    branches = [count for counted in host.functions.values() for count in counted.branches.values()]
    return sum(count > 0 for count in lines), len(lines), sum(count > 0 for count in branches), len(branches)


def coverage_problems(host: HostRun, least_lines: float = LEAST_LINES, least_branches: float = LEAST_BRANCHES) -> list[str]:
    """Whether the lockstep reaches less of the core and of the specification than it must."""
    reached, lines, taken, branches = totals(host)
    clauses_taken, clauses_all = total(host.clauses)
    missing, promised, wrong = missing_cells(host.table)
    found = [("core's lines", reached, lines, least_lines), ("core's branches", taken, branches, least_branches),
             ("promised results", promised - len(missing), promised, LEAST_CELLS),
             ("specification's branches", clauses_taken, clauses_all, LEAST_CLAUSES)]
    return wrong + [f"the lockstep reaches {100 * part / max(whole, 1):.1f} % of the {name}, and {least:.0f} % must be"
                    for name, part, whole, least in found if 100 * part < least * max(whole, 1)]


def _of_clause(host: HostRun, operation: Operation) -> str:
    """Branches taken and all of an operation's clause."""
    taken, whole = host.clauses.get((operation.clause or "").partition(" ")[0], (0, 0))
    return f"{taken}/{whole}" if whole else "-"


def section(root: Path, host: HostRun, claims: list[Claim]) -> Section:
    """The section."""
    result = Section(4, "operations")
    rows, shared = [], [claim for claim in claims if claim.theorem and not re.search(r"\bMethod\.", claim.statement) and claim.concerns(None)]
    result.lines.append(f"theorems about every event (T{len(shared)}): {', '.join(claim.theorem for claim in shared)}")
    for operation in operations(root):
        special = [claim.theorem for claim in claims if claim.theorem and claim not in shared and claim.concerns(operation.method)]
        results, counted = host.table.get(operation.name, {}), counted_of(host, operation, root)
        result.failures += problems(operation, [claim.theorem for claim in shared] + special, results, counted)
        rows.append((operation.name, operation.number, f"{operation.function} {operation.file}", operation.clause, " + ".join([f"T{len(shared)}", *special]),
                     sum(results.values()), len(results), f"{counted.taken}/{len(counted.branches)}" if counted else "-", _of_clause(host, operation)))
    result.lines += table(rows, ("operation", "number", "kernel", "clause", "theorems", "events", "results", "branches", "of the clause"))
    reached, lines, taken, branches = totals(host)
    missing, promised, _ = missing_cells(host.table)
    result.lines.append(f"lockstep: {host.events} events without a difference; of the core {reached}/{lines} lines and {taken}/{branches} branches "
                        f"({100 * reached / max(lines, 1):.1f} % and {100 * taken / max(branches, 1):.1f} %), {promised - len(missing)}/{promised} results "
                        f"(at least {LEAST_LINES:.0f} %, {LEAST_BRANCHES:.0f} % and {LEAST_CELLS:.0f} %)")
    taken, branches = total(host.clauses)
    result.lines.append(f"specification: {taken}/{branches} branches of {len(host.clauses)} definitions ({100 * taken / max(branches, 1):.1f} %, at least "
                        f"{LEAST_CLAUSES:.0f} %); not all of: " +
                        ", ".join(f"{name} {some}/{all_}" for name, (some, all_) in sorted(host.clauses.items()) if some < all_))
    result.lines += [f"not reached in these events: {line}" for line in missing]
    result.failures += coverage_problems(host)
    return result
