# SPDX-License-Identifier: BSD-2-Clause
"""Admission: each level's arithmetic, what it blames, and what it says that it did not check. That no activation of a running system takes longer is in
tests/command/test_trace.py."""

import json
from fractions import Fraction

import pytest
from capdl_support import ROOT

import capdl
from capdl import admission
from capdl.__main__ import main
from capdl.admission import LONGEST, SWITCH, admit, as_dictionary, as_lines
from capdl.report import as_json, make_report
from capdl.report_text import as_text

SYSTEM = """caprock 1
arch aarch64
interface Work {{ short() wcet 100us; long() wcet 700us; unknown(){unknown} }}
components {{
  {components}
}}
connect {{ {connections} }}
"""


@pytest.fixture(name="load")
def loader(tmp_path):
    """A function that makes the Spec of components, each (name, priority, "budget/period" or "passive", further items), and connections."""
    def make(*components, connections="", unknown=" wcet 1us"):
        lines = []
        for name, priority, time, more in components:
            lines.append(f'{name} = component {{ elf "a.elf"; prio {priority}; {"passive" if time == "passive" else "budget " + time}; {more} }}')
        path = tmp_path / "times.cdl"
        path.write_text(SYSTEM.format(components="\n  ".join(lines), connections=connections, unknown=unknown))
        spec, diagnostics = capdl.load(path, partial=True)
        assert diagnostics.ok, diagnostics.render()
        return spec
    return make


def level(spec, name):
    """One level's result."""
    return next(item for item in admit(spec) if item.name == name)


def rows(spec, name):
    """Its rows: name -> whether it holds."""
    return {row.name: row.ok for row in level(spec, name).rows}


def test_load(load):
    spec = load(("a", 10, "5ms/10ms", ""), ("b", 10, "10ms/20ms", ""), ("c", 10, "7ms/10ms", "core 1"), ("d", 10, "301us/1ms", "core 1"))
    assert rows(spec, "load") == {"core 0": True, "core 1": False}
    assert [row.data["share"] for row in level(spec, "load").rows] == [1.0, 1.001]


def test_a_thread_without_time_is_an_error(tmp_path):
    (tmp_path / "thread.cdl").write_text("arch aarch64 objects { t = tcb (addr: 0, ip: 4, sp: 0, prio: 1, max_prio: 0, affinity: 0) }")
    spec, _ = capdl.load(tmp_path / "thread.cdl", partial=True, loadable=False)
    assert rows(spec, "load") == {"t": False} and "no budget" in level(spec, "load").rows[0].text


def test_supply_counts_all_of_equal_and_higher_priority(load):
    """The textbook's recurrence: the low one is preempted three times by the first and twice by the second."""
    spec = load(("high", 30, "1ms/4ms", ""), ("middle", 20, "1ms/5ms", ""), ("low", 10, "3ms/9ms", ""))
    result = {row.name: row.data["response"] for row in level(spec, "supply").rows}
    assert result["high"] == float(1000 + SWITCH + LONGEST)
    assert result["middle"] == float(2000 + 2 * SWITCH + LONGEST)
    # 3 + 1 + 1 = 5 > 4 = 3 + 2 + 1 = 6 > 5 = 3 + 2 + 2 = 7
    assert result["low"] == float(7000 + 5 * SWITCH + LONGEST)


def test_supply_has_to_come_within_the_period(load):
    exact = ("high", 30, "1ms/4ms", ""), ("low", 10, "3ms/5ms", "")
    assert rows(load(*exact), "supply") == {"high": True, "low": False}
    assert rows(load(exact[0], ("low", 10, "2900us/5ms", "")), "supply") == {"high": True, "low": True}
    assert rows(load(("a", 10, "3ms/5ms", ""), ("b", 10, "3ms/5ms", "core 1")), "supply") == {"a": True, "b": True}
    assert rows(load(("a", 10, "3ms/5ms", ""), ("b", 10, "3ms/5ms", "")), "supply") == {"a": False, "b": False}
    assert rows(load(("a", 10, "5ms/5ms", ""), ("b", 9, "1ms/50ms", "")), "supply") == {"a": False, "b": False}


PASSIVE = (("server", 30, "passive", "provides work: Work"), ("high", 20, "1ms/5ms", ""), ("low", 10, "1ms/20ms", "uses work: Work"))
CALL = "call low.work -> server.work"


def test_supply_waits_for_the_longest_method_of_a_less_important_caller(load):
    high = level(load(*PASSIVE, connections=CALL), "supply").rows[0]
    assert high.data == {"response": float(1000 + 700 + SWITCH + LONGEST), "period": 5000, "blocking": 700.0} and "low in server.long" in high.text
    # A method that promises nothing takes what its caller has, and the result says so.
    unknown = level(load(*PASSIVE, connections=CALL, unknown=""), "supply")
    assert unknown.rows[0].data["blocking"] == 1000.0 and any("server.unknown promises no time" in note for note in unknown.notes)
    # Nobody waits for a server that is less important, nor for callers that are more important.
    assert level(load(("server", 15, *PASSIVE[0][2:]), *PASSIVE[1:], connections=CALL), "supply").rows[0].data["blocking"] == 0.0
    callers = (PASSIVE[0], ("high", 20, "1ms/5ms", "uses work: Work"), ("low", 10, "1ms/20ms", ""))
    assert [row.data["blocking"] for row in level(load(*callers, connections="call high.work -> server.work"), "supply").rows] == [0.0, 0.0]


def test_chain_adds_own_and_callees_methods(load):
    """A passive server in the middle: its own 700 us and those of the one that it calls."""
    components = (("inner", 40, "passive", "provides work: Work"), ("outer", 30, "passive", "provides work: Work; uses more: Work"),
                  ("client", 10, "{}", "uses work: Work"))
    connections = "call client.work -> outer.work; call outer.more -> inner.work"

    def chain(budget):
        return level(load(*components[:2], ("client", 10, budget, "uses work: Work"), connections=connections), "chain")
    assert [(row.name, row.ok, row.data) for row in chain("1400us/10ms").rows] == [("client", True, {"needed": 1400, "budget": 1400})]
    assert not chain("1399us/10ms").ok and "outer.long + inner.long" in chain("1399us/10ms").rows[0].text
    # Servers with time of their own are no part of a chain, but promise for themselves.
    active = level(load(("server", 30, "500us/10ms", "provides work: Work"), ("client", 10, "1ms/10ms", "uses work: Work"),
                        connections="call client.work -> server.work"), "chain")
    assert [(row.name, row.ok) for row in active.rows] == [("server", False)]


def test_each_level_says_what_it_did_not_check(load):
    spec = load(*PASSIVE, connections=CALL, unknown="")
    text = "\n".join(as_lines(admit(spec)))
    for name, unchecked in admission.NOT_CHECKED.items():
        assert f"Admission, {name}: holds" in text and all(f"not checked: {words}" in text for words in unchecked)
    assert "no time is promised by server.unknown" in text and "taken for granted: the kernel takes 1 us" in text
    assert as_dictionary(admit(spec))["supply"]["not_checked"] == list(admission.NOT_CHECKED["supply"])
    report = make_report(spec)
    assert "Admission, chain: holds" in as_text(report) and json.loads(as_json(report))["admission"]["load"]["ok"]


def test_the_kernel_costs_what_is_measured():
    """The constants are not below the recorded figures."""
    recorded = json.loads((ROOT / "tests" / "bench" / "expected.json").read_text())["instructions"]
    assert recorded["irq cycle"] <= admission.SWITCH_INSTRUCTIONS <= 2 * recorded["irq cycle"]
    assert Fraction(admission.LONGEST_INSTRUCTIONS, admission.INSTRUCTIONS_PER_MICROSECOND) == LONGEST == 8


def test_the_verb_has_a_status(load, tmp_path, capsys):
    load(("a", 10, "6ms/10ms", ""), ("b", 10, "5ms/10ms", ""))
    path = str(tmp_path / "times.cdl")
    assert main(["admit", path]) == 1 and "Admission, load: does not hold" in capsys.readouterr().out
    assert main(["admit", path, "--level", "chain"]) == 0 and "load" not in capsys.readouterr().out
    assert main(["admit", path, "--json"]) == 1 and json.loads(capsys.readouterr().out)["load"]["ok"] is False
    load(("a", 10, "1ms/10ms", ""))
    assert main(["admit", path]) == 0
