# SPDX-License-Identifier: BSD-2-Clause
"""The figures of a traced run, as data: time by component, calls, signals, interrupts, budgets, faults, and the worst of each kind of waiting. Times are
nanoseconds; docs/trace.md says what each one means."""

from collections import defaultdict
from fractions import Fraction

from .trace_names import LOADER
from .trace_timeline import START, Timeline, Use

BOOT, INTERRUPTS, IDLE = "(boot)", "(interrupts)", "(idle)"
"""Names of rows that no component can have."""


def figures(timeline: Timeline) -> dict:
    """All of them, ready for JSON."""
    return {
        "length": timeline.length, "end": timeline.reason, "entries": timeline.entries, "switches": timeline.switches,
        "time": _time(timeline), "lent": _lent(timeline), "calls": _calls(timeline), "signals": _signals(timeline), "interrupts": _interrupts(timeline),
        "budgets": _budgets(timeline), "faults": _faults(timeline), "kernel": _kernel(timeline), "worst": _worst(timeline), "admission": _admission(timeline),
    }


def threads(timeline: Timeline) -> list[str]:
    """Components and other threads of the description in its order, then threads that ran and are not in it; without the loader."""
    known = [item.name for item in timeline.names.spec.components.values()]
    ran = dict.fromkeys([*(run.thread for run in timeline.runs), *(span.thread for span in timeline.ready)])
    return known + [name for name in ran if name not in known and name != LOADER]


def _time(timeline: Timeline) -> list[dict]:
    """For each row what it took of the run; the sum is the run's length."""
    user, kernel, activations = defaultdict(int), defaultdict(int), defaultdict(int)
    for run in timeline.runs:
        user[run.thread] += run.end - run.start
    for stay in timeline.kernel:
        kernel[INTERRUPTS if stay.kind == "interrupt" or stay.thread is None else stay.thread] += stay.end - stay.start
    for span in timeline.ready:
        activations[span.thread] += span.runs is not None
    idle = sum(end - start for start, end in timeline.idle)
    rows = [(BOOT, 0, timeline.boot), (LOADER, user[LOADER], kernel[LOADER]), *((name, user[name], kernel[name]) for name in threads(timeline)),
            (INTERRUPTS, 0, kernel[INTERRUPTS]), (IDLE, idle, 0)]
    uses = by(timeline.uses, "context")
    return [{"name": name, "user": mine, "kernel": its, "share": (mine + its) / timeline.length, "activations": activations[name],
             **_budget(timeline, name, uses.get(name, []))} for name, mine, its in rows]


def _budget(timeline: Timeline, name: str, uses: list[Use]) -> dict:
    """What became of a budget, if there is one by this name."""
    budget, period = timeline.contexts.get(name, (0, 0))
    if not period or name == LOADER:
        return {}
    return {"budget": budget, "period": period, "used": sum(use.end - use.start for use in uses), "most": most_in(uses, period)}


def most_in(uses: list[Use], period: int) -> int:
    """The most time in use in any period that begins with a use. uses: in order, one behind the other."""
    most, behind, whole = 0, 0, 0
    for index, use in enumerate(uses):
        while behind < len(uses) and uses[behind].start < use.start + period:
            whole += uses[behind].end - uses[behind].start
            behind += 1
        most = max(most, whole - max(0, uses[behind - 1].end - (use.start + period)))
        whole -= uses[index].end - uses[index].start
    return most


def by(items: list, field: str) -> dict:
    """Items in lists by the value of a field."""
    found = defaultdict(list)
    for item in items:
        found[getattr(item, field)].append(item)
    return found


def _lent(timeline: Timeline) -> list[dict]:
    """Whose time others worked on."""
    times = defaultdict(int)
    for use in timeline.uses:
        if use.thread != use.context and LOADER not in (use.thread, use.context):
            times[use.context, use.thread] += use.end - use.start
    return [{"of": context, "to": thread, "time": time} for (context, thread), time in times.items()]


def _spread(times: list[tuple[int, int]]) -> dict:
    """Best, mean and worst of (time, when it began)."""
    if not times:
        return {"best": None, "mean": None, "worst": None, "at": None}
    worst = max(times, key=lambda item: (item[0], -item[1]))
    return {"best": min(times)[0], "mean": sum(time for time, _ in times) / len(times), "worst": worst[0], "at": worst[1]}


def _calls(timeline: Timeline) -> list[dict]:
    """Calls by client, server and method."""
    groups = defaultdict(list)
    for call in timeline.calls:
        groups[call.client, call.server, call.method].append(call)
    return [{"client": client, "server": server, "method": method, "count": len(calls), "answered": sum(call.end is not None for call in calls),
             "errors": sum(call.error != 0 for call in calls),
             **_spread([(call.end - call.start, call.start) for call in calls if call.end is not None]),
             "waited": max((call.taken - call.start for call in calls if call.taken is not None), default=None)}
            for (client, server, method), calls in groups.items()]


def _signals(timeline: Timeline) -> list[dict]:
    """Signals by sender and receiver."""
    counts = defaultdict(int)
    for signal in timeline.signals:
        if signal.sender != LOADER:
            counts[signal.source, signal.target] += 1
    return [{"source": source, "target": target, "count": count} for (source, target), count in counts.items()]


def _interrupts(timeline: Timeline) -> list[dict]:
    """Interrupts by number. The latency is of those whose handler waited for them; busy counts the others."""
    rows = []
    for number, group in sorted(by(timeline.interrupts, "number").items()):
        waited = [(item.handled - item.arrival, item.arrival) for item in group if item.handled is not None and not item.busy]
        rows.append({"number": number, "device": group[0].device, "handler": group[0].handler, "count": len(group),
                     "busy": sum(item.busy for item in group),
                     "busy_worst": max((item.handled - item.arrival for item in group if item.busy and item.handled is not None), default=None),
                     "inexact": sum(not item.exact for item in group), **_spread(waited)})
    late = [(item.taken - item.arrival, item.arrival) for item in timeline.timer_interrupts]
    if late:
        rows.append({"number": timeline.timer_interrupts[0].number, "device": timeline.timer_interrupts[0].device, "handler": None, "count": len(late),
                     "busy": 0, "busy_worst": None, "inexact": 0, **_spread(late)})
    return rows


def _budgets(timeline: Timeline) -> list[dict]:
    """What happened to budgets, by whose and what."""
    groups = defaultdict(list)
    for item in timeline.budgets:
        if item.thread != LOADER:
            groups[item.context, item.thread, item.what].append(item.time)
    return [{"of": context, "thread": thread, "what": what, "count": len(times), "first": times[0]} for (context, thread, what), times in groups.items()]


def _faults(timeline: Timeline) -> list[dict]:
    """Faults and ends, by whose, what and where."""
    groups = defaultdict(list)
    for item in timeline.faults:
        groups[item.thread, item.kind, item.address, item.at, item.handler].append(item)
    return [{"thread": thread, "kind": kind, "address": address, "instruction": at, "handler": handler, "count": len(group), "first": group[0].time,
             **_spread([(item.told - item.time, item.time) for item in group if item.told is not None])}
            for (thread, kind, address, at, handler), group in groups.items()]


def _kernel(timeline: Timeline) -> list[dict]:
    """Stays in the kernel by what they were for, the loader's left out, those that took most first."""
    groups = defaultdict(list)
    for stay in timeline.kernel:
        if stay.thread != LOADER:
            groups[stay.what].append((stay.end - stay.start, stay.start))
    rows = [{"what": what, "count": len(times), "time": sum(time for time, _ in times), **_spread(times)} for what, times in groups.items()]
    return sorted(rows, key=lambda row: (-row["time"], row["what"]))


def _worst(timeline: Timeline) -> dict:
    """The longest of each kind of waiting: how long, when it began, and of whom."""
    def longest(items, describe):
        found = [(end - start, start, describe(item)) for item, start, end in items if end is not None]
        time, at, who = max(found, key=lambda item: (item[0], -item[1]), default=(None, None, None))
        return {"time": time, "at": at, "of": who}
    return {
        "activation": longest([(span, span.start, span.runs) for span in timeline.ready if span.why != START], lambda span: f"{span.thread} ({span.why})"),
        "call": longest([(call, call.start, call.end) for call in timeline.calls], lambda call: f"{call.client} -> {call.server}.{call.method}"),
        "interrupt": longest([(item, item.arrival, item.handled) for item in timeline.interrupts if not item.busy],
                             lambda item: f"{item.device} ({item.number}) -> {item.handler}"),
        "kernel": longest([(stay, stay.start, stay.end) for stay in timeline.kernel if stay.thread != LOADER], lambda stay: stay.what),
    }


def longest_ready(timeline: Timeline, thread: str) -> tuple[int, int] | None:
    """The longest time that a thread was ready without a break, and when it began; from the loader's end on."""
    complete = max((run.end for run in timeline.runs if run.thread == LOADER), default=0)
    spans = [(span.end - max(span.start, complete), max(span.start, complete)) for span in timeline.ready
             if span.thread == thread and span.end is not None and span.end > complete]
    return max(spans, key=lambda span: (span[0], -span[1]), default=None)


def _admission(timeline: Timeline) -> list[dict]:
    """What admission promises to each with time of its own, beside the longest that was seen."""
    from capdl.admission import Admission

    supply = next(level for level in Admission(timeline.names.spec).levels() if level.name == "supply")
    rows = []
    for row in supply.rows:
        seen = longest_ready(timeline, row.name)
        promised = row.data["response"]
        rows.append({"name": row.name, "promised": None if promised is None else round(Fraction(promised) * 1000), "period": row.data["period"] * 1000,
                     "seen": seen and seen[0], "at": seen and seen[1]})
    return rows
