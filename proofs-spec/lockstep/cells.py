#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The cells of the table operation × result that the API description promises: each was reached, or is in `unreachable.toml` with a reason."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNREACHABLE = HERE / "unreachable.toml"
sys.path.insert(0, str(ROOT / "kernel" / "api"))

from description import Description  # noqa: E402

# What each system call can come to besides what it says of its checks: its second phase faults, too.
FAULTS = {"Call", "Send", "Recv", "NBRecv", "Wait", "NBWait", "ReplyRecv", "NBSendRecv", "NBSendWait"}
OTHERS = {
    "another number": ("Faults(UnknownSyscall)",), "no method": ("Fails(IllegalOperation)",), "timer": ("Serves",), "interrupt": ("Serves",),
    "system error": ("Serves",), "memory fault": ("Faults(VMFault)",), "exception": ("Faults(UserException)",),
    "debug exception": ("Faults(DebugException)", "Serves"),
}

Cells = dict[str, set[str]]


def expected() -> Cells:
    """The results of each operation that the description knows."""
    description = Description(ROOT / "kernel" / "api")
    cells = {name: set(results) for name, results in OTHERS.items()}
    for method in description.methods:
        results = {"Succeeds", *(f"Fails({check['error']})" for check in method["checks"])}
        if method["words"] or method["caps"]:
            results.add("Fails(TruncatedMessage)")
        if not method["preemption"].startswith("Not preemptible"):
            results.add("IsPreempted")
        cells[f"{method['object']['name']}::{method['name']}"] = results
    for call in description.syscalls.values():
        errors = {check["error"] for check in call.get("checks", [])}
        results = {"Succeeds", *(f"Fails({error})" for error in errors if error in description_errors(description))}
        if call["name"] in FAULTS:
            results.add("Faults(CapFault)")
        cells[call["name"]] = results
    return cells


def description_errors(description: Description) -> set[str]:
    """Names of all errors."""
    return {value["name"] for value in description.enum("Error")["values"]}


def read_table(text: str) -> dict[str, dict[str, int]]:
    """The table that the program prints: how often each operation came to each result."""
    table: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        name, results = line[:32].strip(), line[32:].split()
        if name and results and all(result.rpartition("=")[2].isdecimal() for result in results):
            for result in results:
                kind, _, count = result.rpartition("=")
                row = table.setdefault(name, {})
                row[kind] = row.get(kind, 0) + int(count)
    return table


def unreachable() -> dict[tuple[str, str], str]:
    """Reasons by operation and result."""
    with UNREACHABLE.open("rb") as file:
        entries = tomllib.load(file).get("cell", [])
    return {(operation, entry["result"]): entry["because"] for entry in entries for operation in entry["operations"]}


def findings(table: dict[str, dict[str, int]], complete: bool) -> list[str]:
    """What is wrong with a table: cells that were reached although they are listed, and, if it is to be complete, others that were not."""
    known = unreachable()
    wanted = expected()
    lines = []
    for operation, result in known:
        if result not in wanted.get(operation, set()):
            lines.append(f"{UNREACHABLE.name}: {operation} has no result {result} by the description (remove the entry)")
        elif table.get(operation, {}).get(result):
            lines.append(f"{UNREACHABLE.name}: {operation} came to {result} (remove the entry)")
    for operation, results in sorted(wanted.items()) if complete else ():
        for result in sorted(results):
            if not table.get(operation, {}).get(result) and (operation, result) not in known:
                lines.append(f"{operation} never came to {result} (run more events, make the director reach it, or say in {UNREACHABLE.name} why it cannot be)")
    return lines
