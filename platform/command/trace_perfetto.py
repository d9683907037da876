# SPDX-License-Identifier: BSD-2-Clause
"""A traced run in the Trace Event Format (JSON), which Perfetto and Chromium's tracing page open: a process for each component, with a track for when it runs,
its calls, its budget; the kernel's stays on a track of their own; arrows from a caller to whoever has the call, and back with the answer."""

import json
from pathlib import Path

from .trace_figures import threads
from .trace_names import LOADER
from .trace_timeline import Call, Timeline

_KERNEL, _KERNEL_NAME = 1, "(kernel)"
_TRACK = 1
_HANDLED_BY_NOBODY = "nobody"


def write(timeline: Timeline, path: Path) -> None:
    """Writes the file."""
    path.write_text(json.dumps({"displayTimeUnit": "ns", "traceEvents": events(timeline)}, indent=None, separators=(",\n", ":")) + "\n", encoding="utf-8")


def events(timeline: Timeline) -> list[dict]:
    """All events, in the order of their times behind those that name tracks."""
    return _Writer(timeline).events()


def _micros(time: int) -> float:
    return round(time / 1000, 3)


class _Writer:
    """Collects events with their times in nanoseconds."""

    def __init__(self, timeline: Timeline):
        self.timeline = timeline
        self.processes = {name: number for number, name in enumerate([LOADER, *threads(timeline)], _KERNEL + 1)}
        self.found: list[tuple[int, int, dict]] = []   # time, what comes first at one time, event

    def events(self) -> list[dict]:
        """See `events` above."""
        self.slices()
        for number, call in enumerate(self.timeline.calls):
            self.call(number, call)
        self.instants()
        self.counters()
        self.found.sort(key=lambda item: item[:2])
        return self.names() + [event for _, _, event in self.found]

    def names(self) -> list[dict]:
        """Names of processes and tracks, in order."""
        named = {_KERNEL_NAME: _KERNEL, **self.processes}
        found = []
        for name, process in named.items():
            for what, args in (("process_name", {"name": name}), ("process_sort_index", {"sort_index": process})):
                found.append({"ph": "M", "name": what, "pid": process, "tid": _TRACK, "args": args})
            track = "in the kernel" if name == _KERNEL_NAME else "runs"
            found.append({"ph": "M", "name": "thread_name", "pid": process, "tid": _TRACK, "args": {"name": track}})
        return found

    def add(self, phase: str, time: int, name: str, process: int, order: int = 1, **more) -> None:
        """An event on a track."""
        self.found.append((time, order, {"ph": phase, "ts": _micros(time), "pid": process, "tid": _TRACK, "name": name, **more}))

    def slices(self) -> None:
        """Who runs, and what the kernel does."""
        self.add("X", 0, "boot", _KERNEL, 0, dur=_micros(self.timeline.boot), cat="kernel")
        for run in self.timeline.runs:
            name = run.thread if run.context in (run.thread, LOADER) else f"{run.thread} on the time of {run.context}"
            self.add("X", run.start, name, self.processes[run.thread], 0, dur=_micros(run.end - run.start), cat="run", args={"budget of": run.context})
        for stay in self.timeline.kernel:
            self.add("X", stay.start, stay.what, _KERNEL, 0, dur=_micros(stay.end - stay.start), cat=stay.kind, args={"from": stay.thread or "idle"})
        for start, end in self.timeline.idle:
            self.add("X", start, "idle", _KERNEL, 0, dur=_micros(end - start), cat="idle")

    def call(self, number: int, call: Call) -> None:
        """A call on a track of its client's, and its arrows."""
        client, name = self.processes[call.client], f"{call.server}.{call.method}"
        more = {"cat": "call", "id": f"{number:#x}"}
        self.add("b", call.start, name, client, **more, args={"by": call.via})
        end = self.timeline.length if call.end is None else call.end
        self.add("e", end, name, client, **more, args={"answered": call.end is not None, "error": call.error})
        if call.arrived is not None and call.by in self.processes:
            self.arrow(f"{number:#x}.call", name, (call.start - 1, client), (call.arrived, self.processes[call.by]))
        if call.answered is not None and call.end is not None and call.answerer in self.processes:
            self.arrow(f"{number:#x}.answer", name, (call.answered - 1, self.processes[call.answerer]), (call.end, client))

    def arrow(self, identity: str, name: str, begin: tuple[int, int], end: tuple[int, int]) -> None:
        """From the last instruction of a slice to the first one of another."""
        self.add("s", begin[0], name, begin[1], cat="flow", id=identity)
        self.add("f", end[0], name, end[1], cat="flow", id=identity, bp="e")

    def instants(self) -> None:
        """Interrupts, signals, faults and ends of budgets."""
        for item in self.timeline.interrupts:
            args = {"handler": item.handler or _HANDLED_BY_NOBODY, "arrived": _micros(item.arrival)}
            self.add("i", item.taken, f"interrupt {item.number} ({item.device})", self.processes.get(item.handler, _KERNEL), s="p", cat="interrupt", args=args)
        for signal in self.timeline.signals:
            self.add("i", signal.time, f"signal {signal.target}", self.processes[signal.sender], s="t", cat="signal", args={"from": signal.source})
        for fault in self.timeline.faults:
            args = {"address": f"{fault.address:#x}", "instruction": f"{fault.at:#x}", "told to": fault.handler or _HANDLED_BY_NOBODY}
            self.add("i", fault.time, fault.kind, self.processes[fault.thread], s="p", cat="fault", args=args)
        for budget in self.timeline.budgets:
            self.add("i", budget.time, f"budget of {budget.context}: {budget.what}", self.processes[budget.thread], s="p", cat="budget")

    def counters(self) -> None:
        """What is left of each budget."""
        for time, context, left in self.timeline.samples:
            if context in self.processes and context != LOADER:
                self.add("C", time, "budget left (us)", self.processes[context], args={"us": _micros(left)})
