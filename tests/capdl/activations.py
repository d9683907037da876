# SPDX-License-Identifier: BSD-2-Clause
"""What a trace of a running system says of time: for how long each thread was ready without a break, and how much it ran in a period.

The trace is one that was taken of the shipped kernel on QEMU; the specification's oracle replays it and says after each event who is ready.
"""

import subprocess
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Activity:
    """Of one thread, in microseconds. budget, period: of its scheduling context. ready: (from, to) of each time that it was ready; running: the same of it
    being the one that runs."""

    priority: int
    budget: int
    period: int
    ready: list = field(default_factory=list)
    running: list = field(default_factory=list)

    @property
    def longest(self):
        """The longest time that it was ready without a break."""
        return max((end - start for start, end in self.ready), default=0)

    @property
    def most(self):
        """The most time that it ran in any period."""
        return max((sum(min(end, start + self.period) - begin for begin, end in self.running if start <= begin < start + self.period)
                    for start, _ in self.running), default=0)


def fields(line):
    """The fields of a state line by name."""
    return dict(word.split("=", 1) for word in line.split(" ") if "=" in word)


def addresses(text):
    """A list of addresses of a state line."""
    return [] if text == "-" else [int(part, 16) for part in text.split(",")]


def replay(oracle, trace):
    """(time, lines of the state that changed) after each event of a trace."""
    commands = []
    for line in trace.read_text().splitlines():
        commands.append(line)
        if line == "end" or line.startswith(("svc ", "irq ", "timer ", "memory ", "exception ", "debug ")):
            commands.append("changes")
    done = subprocess.run([oracle, "--results"], input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=300, check=True)
    lines = []
    for line in done.stdout.splitlines():
        if line == ".":
            yield lines
            lines = []
        else:
            lines.append(line)


def activities(oracle, trace):
    """The Activity of each thread with a scheduling context of its own, by the address of its TCB."""
    objects, since, running = {}, {}, (None, 0)
    found, now = {}, 0
    spans = defaultdict(list), defaultdict(list)
    for lines in replay(oracle, trace):
        core = next((fields(line) for line in lines if line.startswith("core ")), None)
        objects.update((int(line.split(" ")[1], 16), fields(line)) for line in lines
                       if line.startswith("object ") and (" TCB " in line or " SchedContext " in line))
        if core is None:
            continue
        now = int(core["now"], 16)
        ready = set(addresses(core["ready"]))
        for thread in set(since) - ready:
            spans[0][thread].append((since.pop(thread), now))
        for thread in ready - set(since):
            since[thread] = now
        current = None if core["current"] == "-" else int(core["current"], 16)
        if current != running[0]:
            spans[1][running[0]].append((running[1], now))
            running = (current, now)
    for address, thing in objects.items():
        context = objects.get(int(thing.get("sched_context", "-").replace("-", "0"), 16))
        if "priority" in thing and context:
            found[address] = Activity(int(thing["priority"], 16), int(context["budget_us"], 16), int(context["period_us"], 16), spans[0][address],
                                      spans[1][address])
    return found
