# SPDX-License-Identifier: BSD-2-Clause
"""What `./caprock trace` makes of single records: time that stands still, calls that are executed again, interrupts on the way out of the kernel."""

import random

import pytest
from command import trace_figures, trace_timeline
from command.trace_names import LOADER, Target
from command.trace_timeline import Use

from capdl.model import Spec

CLIENT, SERVER, REPLY, BUDGET = 0x1000, 0x2000, 0x3000, 0x4000
SVC = 0x15 << 26
CALL, RECEIVE = 1, 5
RUNNING, ON_RECEIVE, ON_REPLY = 1, 2, 4


class Names:
    """Names of a client and a server: slot 4 leads to the server, slot 5 to what no description has."""

    spec = Spec()

    def thread(self, address):
        return {CLIENT: "client", SERVER: "server"}.get(address, LOADER)

    def context(self, address):
        return "client" if address == BUDGET else LOADER

    def owner(self, _address):
        return "server"

    def target(self, _thread, address):
        return Target("call", "server.work", "server", "client.work", {1: "do"}) if address == 4 else Target("unknown", f"slot {address:#x}")

    def interrupt(self, _number):
        return "/device", "server"

    def fault_handler(self, _thread, _timeout):
        return None


def entry(time, number=None, slot=4, link=0x104, vector=8):
    """The record of an entry; number: of the system call, None: no system call."""
    return f"E {vector} {time} {SVC if number else 0:x} {link:x} {slot:x} {1 << 12:x} {number or 0:x} 0"


def thread(address, state, reply=0, context=BUDGET):
    """The record of a thread."""
    return f"t {address:x} {state} 0 {context:x} {reply:x} 0 0 0 0 0"


def leave(time, address, link=0x104, context=BUDGET, label=0):
    """The record of an exit. label: what is answered."""
    return f"X {time} {address:x} {context if address else 0:x} {link:x} {label << 12:x}"


START = [thread(SERVER, ON_RECEIVE, REPLY, 0), thread(CLIENT, RUNNING), leave(999, CLIENT, 0x80)]


def read(*lines):
    """The timeline of records, of which those of the start need not be given."""
    timeline = trace_timeline.read([*START, *lines], Names())
    assert timeline.boot + sum(run.end - run.start for run in timeline.runs) + sum(end - start for start, end in timeline.idle) + sum(
        stay.end - stay.start for stay in timeline.kernel) == timeline.length
    return timeline


def test_a_call_from_its_start_to_its_answer():
    timeline = read(entry(2000, CALL), thread(CLIENT, ON_REPLY, REPLY, 0), thread(SERVER, RUNNING), leave(2099, SERVER, 0x200), entry(2150, 2, 1, 0x300),
                    thread(SERVER, ON_RECEIVE, REPLY, 0), thread(CLIENT, RUNNING), leave(2249, CLIENT), "Z 3000 caprock: exit 0")
    call, = timeline.calls
    assert (call.start, call.taken, call.arrived, call.answered, call.end) == (2000, 2100, 2100, 2150, 2250)
    assert (call.client, call.server, call.method, call.by, call.answerer) == ("client", "server.work", "do", "server", "server")
    assert [(run.thread, run.context, run.start, run.end) for run in timeline.runs] == [
        ("client", "client", 1000, 2000), ("server", "client", 2100, 2150), ("client", "client", 2250, 3000)]
    assert timeline.reason == "caprock: exit 0" and timeline.length == 3000


def test_an_answer_may_be_an_error():
    timeline = read(entry(2000, CALL), thread(CLIENT, ON_REPLY, REPLY, 0), thread(SERVER, RUNNING), leave(2099, SERVER, 0x200), entry(2150, 2, 1, 0x300),
                    thread(SERVER, ON_RECEIVE, REPLY, 0), thread(CLIENT, RUNNING), leave(2249, CLIENT, label=265), "Z 3000 for")
    assert [(call.end, call.error) for call in timeline.calls] == [(2250, 265)]
    assert trace_figures.figures(timeline)["calls"][0]["errors"] == 1


def test_a_label_names_a_method_below_an_incarnation():
    target = Target("call", "server.work", methods={1: "do"})
    assert [target.method(label << 12) for label in (1, 3 << 16 | 1, 2)] == ["do", "do", "label 2"]
    assert Target("call", "server.work").method(3 << 28 | 1 << 12) == f"label {3 << 16 | 1}"


def test_a_call_that_is_executed_again_is_one():
    """The kernel was left to the system call itself."""
    timeline = read(entry(2000, CALL), leave(2099, CLIENT, 0x100), entry(2101, CALL), thread(CLIENT, ON_REPLY, REPLY, 0), thread(SERVER, RUNNING),
                    leave(2199, SERVER, 0x200), "Z 2300 for")
    call, = timeline.calls
    assert (call.start, call.taken, call.end) == (2000, 2200, None)


def test_what_nobody_takes_was_no_call():
    method = read(entry(2000, CALL, slot=5), leave(2099, CLIENT), "Z 2300 for")
    assert method.calls == [] and method.kernel[0].what.startswith("Call slot 0x5")
    call = read(entry(2000, CALL, slot=5), thread(CLIENT, ON_REPLY, REPLY, 0), thread(SERVER, RUNNING), leave(2099, SERVER), "Z 2300 for")
    assert [(item.server, item.method, item.by) for item in call.calls] == [("slot 0x5", "label 1", "server")]
    unanswered = read(entry(2000, CALL), leave(2099, 0), "Z 2300 for")
    assert [(item.taken, item.end) for item in unanswered.calls] == [(None, None)]


def test_the_counter_jumps_before_the_entry_that_reads_it():
    timeline = read(entry(2000, RECEIVE), thread(CLIENT, ON_RECEIVE, 0, 0), leave(2099, 0), "V 2050 1000000", "v 2051 1", entry(2102, vector=5), "A 27",
                    "T 2120 997898", thread(CLIENT, RUNNING), leave(2199, CLIENT), "Z 2300 for")
    assert timeline.idle == [(2100, 1_000_000)]
    assert timeline.kernel[-1].start == 1_000_000 and timeline.length == 2300 + 997_898
    assert [(item.number, item.arrival) for item in timeline.timer_interrupts] == [(27, 1_000_000)]


def test_an_instruction_that_faults_is_not_executed():
    negative = (1 << 64) - 1
    timeline = read(entry(2000, link=0x90), f"T 2050 {negative}", leave(2099, CLIENT, 0x90), "Z 2300 for")
    assert (timeline.runs[0].end, timeline.kernel[0].end, timeline.length) == (1999, 2099, 2299)


def test_an_interrupt_on_the_way_out_may_have_come_earlier():
    timeline = read(entry(2000, 3, slot=9), leave(2099, CLIENT), entry(2100, vector=9), "A 40", thread(SERVER, RUNNING, 0, 0x5000),
                    leave(2199, SERVER, 0x200, 0x5000), entry(2300, vector=9), "A 41", leave(2399, SERVER, 0x200, 0x5000), "Z 2500 for")
    first, second = timeline.interrupts
    assert (first.arrival, first.taken, first.exact, first.busy, first.handled) == (2000, 2100, False, False, 2200)
    # Its handler runs already, and has not received it.
    assert (second.arrival, second.exact, second.busy, second.handled) == (2300, True, True, None)


def test_a_budget_that_ends_and_one_that_is_not_there():
    ended = read(entry(2000, vector=9), "A 27", f"t {CLIENT:x} {RUNNING} 1 {BUDGET:x} 0 0 0 0 0 0", leave(2099, 0), "Z 2500 for")
    assert [(item.thread, item.what) for item in ended.budgets] == [("client", "ended")]
    waits = read(entry(2000, 3, slot=9), f"t {SERVER:x} {RUNNING} 1 5000 0 0 0 0 0 0", leave(2099, CLIENT), "Z 2500 for")
    assert [(item.thread, item.what) for item in waits.budgets] == [("server", "waits")]


def test_a_system_that_never_came_to_user_level_has_no_runs():
    assert trace_timeline.read(["Z 100 caprock: halt: no memory"], Names()).runs == []


@pytest.mark.parametrize("seed", range(20))
def test_the_most_in_a_period(seed):
    """The same as looked for by trying every beginning."""
    random.seed(seed)
    uses, time = [], 0
    for _ in range(random.randrange(1, 30)):
        start = time + random.randrange(0, 40)
        time = start + random.randrange(1, 40)
        uses.append(Use("a", "a", start, time))
    for period in (1, 7, 50, 200):
        tried = max(sum(max(0, min(use.end, begin.start + period) - max(use.start, begin.start)) for use in uses) for begin in uses)
        assert trace_figures.most_in(uses, period) == tried
