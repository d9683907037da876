# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock trace`: figures of the example systems add up, agree with what the components say and with the benchmark, and are the same twice; the file for
Perfetto keeps to its format's rules."""

import copy
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from capdl.admission import LONGEST, SWITCH

ROOT = Path(__file__).resolve().parents[2]
CAPROCK = ROOT / "caprock"
SYSTEMS = ROOT / "systems"
# Words for what takes time and is no component.
BOOT, LOADER, INTERRUPTS, IDLE = "(boot)", "(loader)", "(interrupts)", "(idle)"

pytestmark = pytest.mark.skipif("CAPROCK_BUILD" not in os.environ or shutil.which("qemu-system-aarch64") is None,
                                reason="needs a build folder and QEMU (./caprock setup run)")


def caprock(*arguments):
    """Runs the command; never installs anything."""
    return subprocess.run([CAPROCK, arguments[0], "--no-install", *map(str, arguments[1:])], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300, check=False)


class Traced:
    """A system's figures, and the events of the file for Perfetto."""

    def __init__(self, folder, system, *options):
        self.file = folder / "trace.json"
        self.done = caprock("trace", system, "--json", "--perfetto", self.file, *options)
        assert self.done.returncode == 0, self.done.stderr
        self.figures = json.loads(self.done.stdout)
        self.events = json.loads(self.file.read_text(encoding="utf-8"))["traceEvents"]

    def row(self, table, **values):
        """The one row of a table with these values."""
        found = [row for row in self.figures[table] if all(row[key] == value for key, value in values.items())]
        assert len(found) == 1, (table, values, self.figures[table])
        return found[0]


@pytest.fixture(name="traced", scope="module")
def tracer(tmp_path_factory):
    """A function that traces a system of the project, each once."""
    known = {}

    def trace(name, *options):
        if name not in known:
            known[name] = Traced(tmp_path_factory.mktemp(name), SYSTEMS / f"{name}.cdl", *options)
        return known[name]
    return trace


EXAMPLES = [("hello",), ("passive",), ("timer",), ("restart",), ("echo", "--for", "100ms")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_every_nanosecond_belongs_to_somebody(traced, example):
    figures = traced(*example).figures
    assert sum(row["user"] + row["kernel"] for row in figures["time"]) == figures["length"]
    assert abs(sum(row["share"] for row in figures["time"]) - 1) < 1e-9
    names = [row["name"] for row in figures["time"]]
    assert len(names) == len(set(names)) and {BOOT, LOADER, INTERRUPTS, IDLE} < set(names)
    assert all(row["user"] >= 0 and row["kernel"] >= 0 for row in figures["time"])
    # Interrupts and what is above them is in the kernel at some time, and boot is most of what a short system does.
    assert all(row["time"] >= row["worst"] >= row["mean"] >= row["best"] > 0 for row in figures["kernel"])


def test_hello_did_what_it_says(traced):
    hello = traced("hello")
    assert hello.figures["end"] == "caprock: exit 0"
    # Three greetings, and each side's line about each; the client prints one more, the supervisor four and one at the end.
    greet = hello.row("calls", client="client", method="greet")
    assert (greet["server"], greet["count"], greet["answered"]) == ("greeter.greeter", 3, 3)
    lines = {row["client"]: row["count"] for row in hello.figures["calls"] if row["server"] == "console.console" and row["method"] == "write"}
    assert lines == {"client": 4, "greeter": 3, "supervisor": 5}
    # A greeting contains the greeter's call of the console.
    assert greet["best"] > hello.row("calls", client="greeter", method="write")["best"] > 0
    assert hello.row("calls", method="exit")["answered"] == 0
    # What broke rules, and who heard of it.
    faults = {row["thread"]: (row["kind"], row["address"]) for row in hello.figures["faults"]}
    assert faults["null_reader"] == ("read of memory", 0)
    assert faults["constant_writer"][0] == "write of memory"
    assert faults["spinner"][0] == "budget used up"
    assert faults["client"][0] == "end with status 0"
    assert {row["handler"] for row in hello.figures["faults"]} == {"supervisor"}
    assert all(row["worst"] > 0 for row in hello.figures["faults"])


def test_a_budget_that_ends(traced):
    hello, passive = traced("hello"), traced("passive")
    budget = hello.row("budgets", of="spinner")
    assert (budget["what"], budget["count"], budget["thread"]) == ("ended", 1, "spinner")
    spinner = hello.row("time", name="spinner")
    assert spinner["budget"] <= spinner["used"] <= spinner["budget"] + 8000
    # The passive server runs out of what its callers lend it, and has nothing of its own behind its start.
    poor = passive.row("budgets", of="poor")
    assert (poor["what"], poor["thread"]) == ("ended", "worker") and poor["count"] >= 4
    lent = {row["of"]: row["time"] for row in passive.figures["lent"]}
    assert set(lent) == {"rich", "poor"}
    # 500,000 rounds of two instructions for each call, 5 and 2 of them.
    assert 5 * 2_000_000 < lent["rich"] < 5 * 2_000_000 + 20_000 and 2 * 2_000_000 < lent["poor"] < 2 * 2_000_000 + 20_000


def test_interrupts_reach_their_handler(traced):
    timer = traced("timer")
    alarm = timer.row("interrupts", device="/timer")
    signals = {row["target"]: row["count"] for row in timer.figures["signals"]}
    # Two clients sleep three times each; the deadlines of the two coincide never.
    assert signals["early.alarm"] == signals["late.alarm"] == 3
    assert (alarm["handler"], alarm["count"], alarm["busy"], alarm["inexact"]) == ("timer", 6, 0, 0)
    assert 100 < alarm["best"] <= alarm["worst"] < 8000
    assert timer.figures["worst"]["interrupt"]["time"] == alarm["worst"]
    uart = next(row for row in timer.figures["interrupts"] if row["handler"] == "uart")
    assert uart["device"].startswith("/pl011@") and uart["count"] > 0


def test_arms_are_as_many_as_naps(traced):
    for client in ("early", "late"):
        assert traced("timer").row("calls", client=client, method="arm")["count"] == 3


def test_what_does_not_end_is_cut(traced):
    echo = traced("echo", "--for", "100ms")
    assert echo.figures["end"] == "for" and 100_000_000 <= echo.figures["length"] < 110_000_000
    # It looks for input every five milliseconds.
    assert 15 <= echo.row("calls", client="echo", method="read")["count"] <= 25
    assert next(row for row in echo.figures["time"] if row["name"] == IDLE)["user"] > 90_000_000


def test_a_restart_is_seen_from_its_clients(traced):
    """Each fault of the server goes to who restarts it; its client hears of it by an error of the call that was lost, and of the next one."""
    restart = traced("restart")
    faults = [row for row in restart.figures["faults"] if row["thread"] == "ledger"]
    restarts = sum(row["count"] for row in faults)
    assert restarts > 0 and {row["handler"] for row in faults} == {"restarter"} and all(row["worst"] > 0 for row in faults)
    errors = {row["method"]: row["errors"] for row in restart.figures["calls"] if row["server"] == "ledger.ledger"}
    assert set(errors) == {"open", "put"} and sum(errors.values()) == 2 * restarts, errors


def test_two_runs_are_equal(traced, tmp_path):
    again = Traced(tmp_path, SYSTEMS / "hello.cdl")
    assert again.done.stdout == traced("hello").done.stdout
    assert again.file.read_bytes() == traced("hello").file.read_bytes()
    text = [caprock("trace", SYSTEMS / "hello.cdl").stdout for _ in range(2)]
    assert text[0] == text[1] and text[0].startswith("trace of hello: ")


def too_long(figures):
    """Who was ready for longer than admission promises at its level supply, or ran for longer in a period than its budget and what the kernel takes."""
    kernel = (LONGEST + SWITCH) * 1000
    late = [row["name"] for row in figures["admission"] if None not in (row["promised"], row["seen"]) and row["seen"] > row["promised"]]
    return late + [row["name"] for row in figures["time"] if row.get("most", 0) > row.get("budget", 0) + kernel]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_nobody_takes_longer_than_promised(traced, example):
    """What admission says of a description, beside a run of it. The comparison can fail."""
    figures = traced(*example).figures
    assert too_long(figures) == []
    compared = [row for row in figures["admission"] if None not in (row["promised"], row["seen"])]
    assert compared and all(row["seen"] > 0 for row in compared)
    later = copy.deepcopy(figures)
    row = next(row for row in later["admission"] if row["promised"] is not None)
    row["seen"] = row["promised"] + 1
    busy = next(row for row in later["time"] if "budget" in row)
    busy["most"] = busy["budget"] + 10_000
    assert too_long(later) == [row["name"], busy["name"]]


# A client and a passive server without a compiler's use of SIMD between their system calls, as in the benchmark.
TRAP = """// SPDX-License-Identifier: BSD-2-Clause
#include <cstdint>
inline void trap(uint64_t cap, uint64_t info, uint64_t reply, uint64_t number)
{
    register uint64_t x0 asm("x0") = cap;
    register uint64_t x1 asm("x1") = info;
    register uint64_t x6 asm("x6") = reply;
    register uint64_t x7 asm("x7") = number;
    asm volatile("svc #0" : "+r"(x0), "+r"(x1), "+r"(x6), "+r"(x7)
                 :: "x2", "x3", "x4", "x5", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "memory", "cc");
}
"""
SERVER = TRAP + "int main() { trap(1, 0, 2, 5); for (;;) trap(1, 0, 2, 2); }\n"
CLIENT = TRAP + """#include <caprock/print.hpp>
#include <interfaces/system.hpp>
int main()
{
    for (unsigned i = 0; i < 40; ++i) trap(4, 1 << 12, 0, 1);
    return caprock::self().uses<interfaces::System>("system").exit(0).ok() ? 0 : 1;
}
"""
QUICK = """caprock 1
arch aarch64
include "serial.cdl"
interface Work { work() }
components {
  server = component { elf "server.elf"; prio 120; passive; provides work: Work }
  client = component { elf "client.elf"; prio 100; budget 5ms/20ms; uses work: Work; uses system: System }
}
connect { call client.work -> server.work; call client.system -> console.system }
"""


def test_a_call_takes_what_the_benchmark_counts(tmp_path):
    """The fast paths of a call and of its answer: of the benchmark's figures two instructions are not in the kernel."""
    recorded = json.loads((ROOT / "tests" / "bench" / "expected.json").read_text(encoding="utf-8"))["instructions"]
    for name, text in (("server.cc", SERVER), ("client.cc", CLIENT), ("quick.cdl", QUICK)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    quick = Traced(tmp_path, tmp_path / "quick.cdl")
    call = quick.row("calls", client="client", server="server.work", method="work")
    assert (call["count"], call["answered"]) == (40, 40)
    there, back = (quick.row("kernel", what=what)["best"] for what in ("Call server.work.work", "ReplyRecv"))
    # As much as the benchmark itself may differ from what is recorded.
    assert there == pytest.approx(recorded["call one way"] - 2, rel=0.01) and back == pytest.approx(recorded["replyrecv one way"] - 2, rel=0.01)
    # Between the two the server has a few instructions of its own.
    assert there + back < call["best"] < there + back + 10


# -- The Trace Event Format.

def problems(events):
    """What is against the rules of the format."""
    found, last, slices, open_spans, flows = [], {}, defaultdict(list), {}, defaultdict(list)
    for event in events:
        if not {"ph", "pid", "tid", "name"} <= event.keys() or (event["ph"] != "M" and "ts" not in event):
            found.append(f"a key is missing: {event}")
            continue
        phase, track = event["ph"], (event["pid"], event["tid"])
        if phase == "M":
            if last or "args" not in event:
                found.append(f"a name behind what it names, or of nothing: {event}")
            continue
        if event["ts"] < max(0, last.get(track, 0)):
            found.append(f"time goes back: {event}")
        last[track] = event["ts"]
        identity = event.get("cat"), event.get("id"), event["name"]
        if phase == "X":
            if event["dur"] < 0:
                found.append(f"a negative duration: {event}")
            slices[track].append((event["ts"], round(event["ts"] + event["dur"], 3)))
        elif phase == "b":
            if identity in open_spans:
                found.append(f"begun twice: {event}")
            open_spans[identity] = event["ts"]
        elif phase == "e":
            if open_spans.pop(identity, event["ts"] + 1) > event["ts"]:
                found.append(f"ended without a beginning: {event}")
        elif phase in "sf":
            flows[event["cat"], event["id"]].append((phase, event["ts"], track))
        elif phase == "i":
            if event.get("s") not in ("g", "p", "t"):
                found.append(f"a mark without a scope: {event}")
        elif phase == "C":
            if not event["args"] or not all(isinstance(value, int | float) and value >= 0 for value in event["args"].values()):
                found.append(f"a counter without numbers: {event}")
        else:
            found.append(f"an unknown phase: {event}")
    found += [f"never ended: {identity}" for identity in open_spans]
    for track, parts in slices.items():
        found += [f"slices overlap on {track}: {first} {second}" for first, second in zip(sorted(parts), sorted(parts)[1:]) if second[0] < first[1]]
    for identity, ends in flows.items():
        if [phase for phase, _, _ in ends] != ["s", "f"]:
            found.append(f"an arrow without one beginning and one end: {identity} {ends}")
        for _, time, track in ends:
            if not any(start <= time < end or start == time for start, end in slices[track]):
                found.append(f"an arrow from or to nothing: {identity} {time} {track}")
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_the_file_for_perfetto_keeps_to_the_format(traced, example):
    traced_system = traced(*example)
    events = traced_system.events
    assert problems(events) == []
    kinds = defaultdict(int)
    for event in events:
        kinds[event["ph"]] += 1
    answered = sum(row["answered"] for row in traced_system.figures["calls"])
    assert kinds["b"] == kinds["e"] == sum(row["count"] for row in traced_system.figures["calls"]) > 0
    assert kinds["s"] == kinds["f"] >= 2 * answered
    # Each component is a process, and each has its budget as a counter.
    processes = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    budgets = {processes[event["pid"]] for event in events if event["ph"] == "C"}
    assert budgets == {row["name"] for row in traced_system.figures["time"] if "budget" in row}
    # What ran is what the figures say.
    ran = defaultdict(float)
    for event in events:
        if event["ph"] == "X" and event["cat"] == "run":
            ran[processes[event["pid"]]] += event["dur"]
    assert {name: round(time * 1000) for name, time in ran.items()} == {row["name"]: row["user"] for row in traced_system.figures["time"]
                                                                       if row["user"] and row["name"] != IDLE}


def spoil(events, phase, change):
    """The events with the first one of a phase changed; None removes it."""
    index = next(index for index, event in enumerate(events) if event["ph"] == phase)
    changed = change(dict(events[index]))
    return events[:index] + ([] if changed is None else [changed]) + events[index + 1:]


@pytest.mark.parametrize("phase, change, words", [
    ("e", lambda event: None, "never ended"),
    ("b", lambda event: None, "ended without a beginning"),
    ("f", lambda event: None, "an arrow without"),
    ("f", lambda event: event | {"ts": event["ts"] + 0.001, "tid": 99}, "an arrow from or to nothing"),
    ("X", lambda event: event | {"dur": 1e9}, "slices overlap"),
    ("X", lambda event: event | {"ts": 1e9}, "time goes back"),
    ("i", lambda event: event | {"s": "x"}, "a mark without a scope"),
    ("C", lambda event: event | {"args": {"us": "much"}}, "a counter without numbers"),
    ("X", lambda event: {"ph": "X"}, "a key is missing"),
])
def test_the_rules_find_what_is_wrong(traced, phase, change, words):
    found = problems(spoil(traced("hello").events, phase, change))
    assert any(words in problem for problem in found), found


# -- Wrong use.

def test_a_guest_that_does_not_end_is_one_clear_finding():
    done = caprock("trace", SYSTEMS / "echo.cdl", "--timeout", "3")
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"^caprock: error: echo came to no end: timeout: no result after 3 s .*--for TIME$", done.stderr, re.MULTILINE)


def test_a_system_that_fails_gives_its_status(tmp_path):
    """Its supervisor expects the client to fault, and it does not."""
    text = (SYSTEMS / "hello.cdl").read_text(encoding="utf-8")
    (tmp_path / "wrong.cdl").write_text(text.replace('client: "ended"', 'client: "memory"'), encoding="utf-8")
    done = caprock("trace", tmp_path / "wrong.cdl")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("trace of wrong: ") and "caprock: exit 1" in done.stdout
    assert "[supervisor]" in done.stderr and done.stderr.endswith("caprock: caprock: exit 1\n")
