# SPDX-License-Identifier: BSD-2-Clause
"""The loader compares the system with its description: whatever is changed in between is named, and nothing else is."""

import os
import re

import pytest
from test_loader import HERE, PROBE, build, make_probe, run
from wrapping import wrap

from capdl import live
from capdl.lower import lower
from capdl.printing import canonical_text

SEED = int(os.environ.get("CAPROCK_SEED", "1"))
SYSTEM = PROBE.replace("  e = ep\n", "  e = ep\n  loner = tcb (addr: 0, affinity: 1)\n")
NUMBER = "0x[0-9a-f]+"
# What is found for each deviation: all lines, in order. CHOSEN stands for the thread that the seed picks.
DEVIATIONS = {
    "object_kind": ["e: is Notification, not Endpoint", "n: is Endpoint, not Notification"],
    "object_size": ["cspace: size in bits is 0x2, not 0x5", "callers_cspace: size in bits is 0x5, not 0x2"],
    "object_address": [f"uart: physical address is {NUMBER}, not 0x9000000"],
    "table_address": [f"v2: mapped address is 0x400000, not 0x0", "v3: mapped address is 0x0, not 0x400000"],
    "slot_missing": ["cspace slot 0x1: is nothing, not Endpoint", "cspace slot 0x1: object is nothing, not e",
                     "cspace slot 0x1: rights is 0x0, not 0x2"],
    "slot_extra": ["cspace slot 0x1e: is Endpoint, not nothing"],
    "slot_rights": ["cspace slot 0x3: rights is 0x1, not 0x2"],
    "slot_badge": ["cspace slot 0x4: badge, guard or address is 0x11, not 0x10"],
    "slot_guard": ["cspace slot 0x6: badge, guard or address is 0x1, not 0x0"],
    "slot_guard_size": ["cspace slot 0x6: guard size is 0x3a, not 0x3b"],
    "slot_object": ["cspace slot 0x1: object is served, not e"],
    "slot_parent": ["cspace slot 0x13: slot \\+ 1 of its parent is 0xe, not 0xd"],
    "page_missing": ["v address 0x404000: frame is nothing, not data", "v address 0x404000: rights is 0x0, not 0x3",
                     "v address 0x404000: attributes is 0x0, not 0x5"],
    "page_frame": ["v address 0x404000: frame is shared, not data"],
    "page_rights": ["v address 0x404000: rights is 0x2, not 0x3"],
    "page_attributes": ["v address 0x404000: attributes is 0x4, not 0x5"],
    "page_extra": ["v address 0x40a000: frame is shared, not nothing"],
    "thread_state": ["spinner: state is 0x1, not 0x0"],
    "thread_priority": [f"CHOSEN: priority is {NUMBER}, not {NUMBER}"],
    "thread_highest": [f"CHOSEN: highest priority that it may give is {NUMBER}, not {NUMBER}"],
    "thread_domain": [f"CHOSEN: domain is {NUMBER}, not {NUMBER}"],
    "thread_core": ["loner: core is 0x2, not 0x1"],
    "thread_flags": [f"caller: flags is {NUMBER}, not 0x0"],
    "thread_buffer": ["probe: address of the IPC buffer is 0x406400, not 0x406000"],
    "thread_context": ["asleep: scheduling context is nothing, not sc_asleep", "sc_asleep: thread is nothing, not asleep"],
    "thread_notification": ["CHOSEN: notification is n, not nothing"],
    "thread_registers": ["caller: stack pointer is 0x8, not 0x0"],
    "thread_cspace": ["caller slot 0x0: guard size is 0x3d, not 0x3e"],
    "thread_vspace": ["caller slot 0x1: object is w, not v"],
    "thread_buffer_frame": ["probe slot 0x2: object is data, not buffer"],
    "thread_handler": ["faulty slot 0x3: badge or guard is 0x78, not 0x77"],
    "thread_timeout": ["spinner slot 0x4: badge or guard is 0x89, not 0x88"],
    "context_budget": ["sc_caller: budget is 0xfa0, not 0x1388"],
    "context_period": ["sc_caller: period is 0x2af8, not 0x2710"],
    "context_refills": ["sc_caller: further refills is 0x1, not 0x0"],
    "context_badge": ["sc_caller: badge is 0x1, not 0x0"],
    "context_notification": ["asleep: scheduling context is nothing, not sc_asleep", "sc_asleep: thread is nothing, not asleep",
                             "sc_asleep: notification is n, not nothing"],
    "interrupt_notification": ["clock: notification is n, not nothing"],
    "interrupt_badge": ["message_line: badge is 0x21, not 0x20"],
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The system of the loader's test, built: (BuiltSystem, Setting, folder of its objects, names of its threads in order)."""
    folder = tmp_path_factory.mktemp("probe")
    make_probe(folder)
    system, setting = build(folder, SYSTEM, "probe")
    root = lower(system.spec)
    return system, setting, folder / "out", [root.names[thread.tcb] for thread in root.threads]


def deviate(system, out, name, folder, late=False):
    """A payload whose loader does the deviation. late: when it has compared the system already."""
    of_objects = str(name.startswith(("object", "table"))).lower()
    return wrap(system, out, "deviations.cc", [f"-DDEVIATION={name}", f"-DSEED={SEED}", f"-DOF_OBJECTS={of_objects}",
                                                   f"-DLATE={str(late).lower()}"], folder)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_deviation_is_named(probe, name, tmp_path):
    """Each compared item, and the system does not start."""
    system, setting, out, threads = probe
    outcome = run(deviate(system, out, name, tmp_path), setting)
    lines = re.findall(r"^caprock: deviation: (.*)$", outcome.log, re.MULTILINE)
    expected = [line.replace("CHOSEN", threads[SEED % len(threads)]) for line in DEVIATIONS[name]]
    assert len(lines) == len(expected) and all(map(re.fullmatch, expected, lines)), outcome.log
    assert re.search(rf"caprock: halt: loader: the system differs from its description in {len(expected)} places$", outcome.log, re.MULTILINE)
    assert outcome.status == 1 and "caprock: loaded" not in outcome.log


@pytest.fixture(scope="module")
def dumping(tmp_path_factory):
    """The same system with a loader that prints it: (BuiltSystem, Setting, folder of its objects)."""
    folder = tmp_path_factory.mktemp("dumping")
    make_probe(folder)
    system, setting = build(folder, SYSTEM, "probe", says="Dump")
    return system, setting, folder / "out"


def dumped(system, payload, setting):
    """The canonical text of what a loader printed."""
    outcome = run(payload, setting, until=live.END)
    assert outcome.status == 0, outcome.log
    return canonical_text(live.read(system.spec, outcome.log))


def test_a_dump_is_the_description(dumping):
    """Word for word."""
    system, setting, _ = dumping
    assert dumped(system, system.payload, setting).splitlines() == canonical_text(system.spec).splitlines()


# What a dump has instead of the description's lines.
SHOWN = {
    "slot_rights": [("  0x3: n (R)", "  0x3: n (W)")],
    "slot_extra": [(None, "  0x1e: e (R)")],
    "page_rights": [("  0x4: data (RW)", "  0x4: data (R)")],
    "page_missing": [("  0x4: data (RW)", None)],
    "thread_timeout": [("  temp_fault_ep_slot: e (WG, badge: 0x88)", "  temp_fault_ep_slot: e (WG, badge: 0x89)")],
    "context_budget": [("sc_caller = sc (8 bits, budget: 5000, data: 0, period: 10000)", "sc_caller = sc (8 bits, budget: 4000, data: 0, period: 10000)")],
    "interrupt_badge": [("  0x0: n (badge: 0x20)", "  0x0: n (badge: 0x21)")],
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_dump_shows_what_is_there(dumping, name, tmp_path):
    """Not what was described: whatever is changed behind the comparison."""
    system, setting, out = dumping
    old, new = canonical_text(system.spec).splitlines(), dumped(system, deviate(system, out, name, tmp_path, late=True), setting).splitlines()
    gone, come = [line for line in old if line not in new], [line for line in new if line not in old]
    assert gone == [line for line, _ in SHOWN[name] if line is not None] and come == [line for _, line in SHOWN[name] if line is not None]


def test_every_deviation_is_tried():
    """The table has what the source can do."""
    text = (HERE / "deviations.cc").read_text(encoding="utf-8")
    named = re.findall(r"^void ((?:object|table|slot|page|thread|context|interrupt)_\w+)\(\)", text, re.MULTILINE)
    assert set(named) == set(DEVIATIONS)
