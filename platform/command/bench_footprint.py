# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock bench --footprint`: what operations execute and touch, as a plugin of QEMU's sees it (platform/bench/footprint.cc)."""

from dataclasses import dataclass

from . import ROOT
from .bench_machine import Bench
from .errors import Finding

TARGET = "platform/bench/caprock-footprint.so"
_SYSTEM = ROOT / "systems" / "bench" / "bench.cdl"
# Name, number (Operation in systems/bench/bench.hpp), and window: 0 there, 1 the way back.
_OPERATIONS = (
    ("round trip 0 words", 2, 0),
    ("call one way", 1, 0),
    ("replyrecv one way", 1, 1),
    ("nbsend null", 8, 0),
    ("signal idle", 3, 0),
    ("signal low", 4, 0),
    ("signal high", 5, 0),
    ("wait blocking", 5, 1),
    ("wait active", 9, 0),
    ("fault passive", 10, 0),
    ("fault active", 7, 0),
    ("irq to user", 6, 0),
    ("irq: mask, ack, wait, back", 6, 1),
    ("cnode copy", 11, 0),
    ("cnode delete", 12, 0),
    ("retype frame reused", 13, 0),
    ("page map", 14, 0),
    ("tcb configure", 15, 0),
    ("tcb resume", 16, 0),
)
CLASSES = {"load": "load", "store": "store", "alu": "alu", "branch": "branch", "mrs": "mrs", "msr": "msr", "isb": "isb", "dsb": "dsb", "dmb": "dmb",
           "tlbi": "tlbi", "cache": "cache", "svc": "svc", "eret": "eret", "simd": "simd", "hint": "hint"}
TOUCHED = {"accesses": "mem", "code_lines": "I-lines", "data_lines": "D-lines", "code_pages": "I-pages", "data_pages": "D-pages"}
ROUND_TRIP = "round trip 0 words"
PEER = {"accesses": 130, "code_lines": 35, "data_lines": 28, "code_pages": 3, "data_pages": 6}
"""seL4's best round trip of 0 words."""
GOAL = {"accesses": 80, "code_lines": 26, "data_lines": 18, "code_pages": 3, "data_pages": 5}


@dataclass(frozen=True)
class Footprint:
    """What an operation executes, by class, and touches: memory accesses, and distinct lines of 64 bytes and pages of 4 KiB."""

    operation: str
    counts: dict[str, int]

    @property
    def instructions(self) -> int:
        """Instructions of all classes."""
        return sum(self.counts[name] for name in CLASSES)


def measure(bench: Bench) -> list[Footprint]:
    """The footprints of the operations, in the table's order."""
    _, text = bench.run(_SYSTEM, "caprock-footprint.so")
    return read(text)


def read(text: str) -> list[Footprint]:
    """What the plugin wrote; a Finding if it lacks an operation."""
    found = {}
    for line in text.splitlines():
        operation, window, *fields = line.split()
        found[int(operation), int(window)] = {name: int(count) for name, count in (field.split("=") for field in fields)}
    missing = [name for name, *key in _OPERATIONS if tuple(key) not in found]
    if missing:
        raise Finding(f"the benchmark did not announce `{missing[0]}` (Operation in systems/bench/bench.hpp and platform/command/bench_footprint.py differ)")
    return [Footprint(name, found[number, window]) for name, number, window in _OPERATIONS]


def table(footprints: list[Footprint]) -> str:
    """The footprints as text, and how the round trip compares with its goals."""
    width = max(len(item.operation) for item in footprints)
    names = CLASSES | TOUCHED
    lines = [f"{'operation':{width}} {'all':>6} {'kernel':>6}" + "".join(f" {name:>{_width(name)}}" for name in names.values())]
    for item in footprints:
        counts = "".join(f" {item.counts[name]:>{_width(text)}}" for name, text in names.items())
        lines.append(f"{item.operation:{width}} {item.instructions:>6} {item.counts['kernel']:>6}{counts}")
    trip = next(item for item in footprints if item.operation == ROUND_TRIP)
    lines += ["", f"{ROUND_TRIP:{width}} {'Caprock':>8} {'goal':>6}   {'seL4':>6}"]
    for name, text in TOUCHED.items():
        missed = "!" if trip.counts[name] > GOAL[name] else " "
        lines.append(f"{text:{width}} {trip.counts[name]:>8} {GOAL[name]:>6} {missed} {PEER[name]:>6}")
    return "\n".join(lines) + "\n"


def as_objects(footprints: list[Footprint]) -> list[dict]:
    """The footprints for --json."""
    return [{"operation": item.operation, "instructions": item.instructions, **item.counts} for item in footprints]


def _width(name: str) -> int:
    return max(len(name), 4)
