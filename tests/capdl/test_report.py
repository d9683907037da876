# SPDX-License-Identifier: BSD-2-Clause
"""`report` and `diff`: each relation is found where it is and nowhere else, sums are right, and gained authority is told apart from lost."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from capdl_support import GOLDEN, ROOT

import capdl
from capdl import diff
from capdl.diagnostics import CapdlError
from capdl.driver import load_text
from capdl.report import as_json, make_report
from capdl.report_authority import Authority
from capdl.report_code import CodeSize, code_size
from capdl.report_svg import as_dot, as_svg
from capdl.report_text import as_text

SPACE = "{0}_v = pgd {0}_1 = pud {0}_2 = pd {0}_3 = pt {0}_c = cnode (4 bits) {0} = tcb (addr: 0, ip: 4, sp: 0, prio: {1}, max_prio: 0, affinity: 0)"
TABLES = "{0}_v {{ 0: {0}_1 }} {0}_1 {{ 0: {0}_2 }} {0}_2 {{ 2: {0}_3 }} {0} {{ cspace: {0}_c (guard_size: 60) vspace: {0}_v {1} }}"


def system(objects="", caps="", slots="", a_slots="", irqs=""):
    """Two threads a and b with a CSpace and an address space each; caps: further containers; slots, a_slots: of the TCBs b and a."""
    text = (f"arch aarch64 objects {{ {SPACE.format('a', 10)} {SPACE.format('b', 20)} {objects} }} caps {{ {TABLES.format('a', a_slots)} "
            f"{TABLES.format('b', slots)} {caps} }}" + (f" irq maps {{ {irqs} }}" if irqs else ""))
    spec, diagnostics = load_text(text, "pair")
    assert diagnostics.ok, diagnostics.render()
    return spec


def relations(spec):
    """The relations of a system, without the objects."""
    return sorted({(item.subject, item.verb, item.target) for item in Authority(spec).relations})


RELATIONS = {
    "nothing": ({}, []),
    "call": ({"objects": "e = ep", "caps": "a_c { 1: e (W, badge: 3) } b_c { 1: e (R) }"}, [("a", "call", "b")]),
    "no sender": ({"objects": "e = ep", "caps": "a_c { 1: e (G) } b_c { 1: e (R) }"}, []),
    "no receiver": ({"objects": "e = ep", "caps": "a_c { 1: e (W) } b_c { 1: e (W) }"}, []),
    "signal": ({"objects": "n = notification", "caps": "a_c { 1: n (W) } b_c { 1: n (R) }"}, [("a", "signal", "b")]),
    "bound": ({"objects": "n = notification", "caps": "a_c { 1: n (W) }", "slots": "bound_notification: n"}, [("a", "signal", "b")]),
    "shared": ({"objects": "f = frame (4k)", "caps": "a_3 { 1: f (RW) } b_3 { 5: f (R) }"},
               [("a", "read", "b"), ("a", "write", "b"), ("b", "read", "a")]),
    "frame held": ({"objects": "f = frame (4k)", "caps": "a_3 { 1: f (R) } b_c { 5: f (RW) }"},
                   [("a", "read", "b"), ("b", "read", "a"), ("b", "write", "a")]),
    "device": ({"objects": "f[2] = frame (4k) d = frame (4k, paddr: 0x9000000)", "caps": "a_3 { 1: d (RW) 2: f[0] (RW) } b_3 { 1: f[1] (RW) }"},
               [("a", "read", "physical 0x9000000"), ("a", "write", "physical 0x9000000")]),
    "faults": ({"objects": "e = ep", "caps": "a_c { 1: e (R) }", "slots": "fault_ep_slot: e (WG)"}, [("a", "handle", "b")]),
    "timeouts": ({"objects": "e = ep", "caps": "a_c { 1: e (R) }", "slots": "temp_fault_ep_slot: e (WG)"}, [("a", "handle", "b")]),
    "thread": ({"caps": "a_c { 1: b }"}, [("a", "control", "b")]),
    "own thread": ({"caps": "a_c { 1: a }"}, []),
    "cspace": ({"caps": "a_c { 1: b_c }"}, [("a", "control", "b")]),
    "address space": ({"caps": "a_c { 1: b_v }"}, [("a", "control", "b")]),
    "page table": ({"caps": "a_c { 1: b_3 }"}, [("a", "control", "b")]),
    "time": ({"objects": "s = sc (8 bits, period: 10, budget: 5)", "caps": "a_c { 1: s }", "slots": "sc_slot: s"}, [("a", "control", "b")]),
    "untyped": ({"objects": "u = ut (16 bits) { w = ut (14 bits) { b } }", "caps": "a_c { 1: u }"}, [("a", "control", "b")]),
    "second level": ({"objects": "e = ep m = cnode (2 bits)", "caps": "a_c { 1: m (guard_size: 2) } m { 1: e (W) } b_c { 1: e (R) }"},
                     [("a", "call", "b")]),
    "interrupt": ({"objects": "i = arm_irq (trigger: level, target: 0)", "caps": "a_c { 1: i }", "irqs": "40: i"},
                  [("a", "handle", "interrupt 40")]),
}


@pytest.mark.parametrize("name", RELATIONS)
def test_relations(name):
    parts, expected = RELATIONS[name]
    assert relations(system(**parts)) == expected


@pytest.fixture(name="golden", scope="module")
def load_golden(programs, board, tmp_path_factory):
    """The Spec of the golden component system."""
    spec, diagnostics = capdl.load(GOLDEN / "components.cdl", elf_dirs=[programs], dtb=board, out_dir=tmp_path_factory.mktemp("out"))
    assert diagnostics.ok, diagnostics.render()
    return spec


def test_report_of_components(golden):
    report = make_report(golden)
    assert [subject.name for subject in report.subjects] == ["client", "uart", "server", "borrower", "lender"]
    found = {(item.subject, item.verb, item.target) for item in report.relations}
    assert found == {
        ("client", "call", "server"), ("client", "signal", "server"), ("borrower", "call", "server"), ("lender", "call", "borrower"),
        ("uart", "signal", "server"), ("uart", "signal", "client"), ("server", "signal", "uart"),
        ("uart", "read", "server"), ("uart", "write", "server"), ("server", "read", "uart"),
        ("server", "handle", "client"), ("server", "control", "client"),
        ("uart", "read", "physical 0x9001000"), ("uart", "write", "physical 0x9001000"),
        ("uart", "handle", "interrupt 30"), ("uart", "handle", "interrupt 33"), ("uart", "handle", "interrupt 34")}
    shares = {load.core: (load.share, load.threads) for load in report.load}
    assert shares == {0: (500 + 500_000 + 500_000, ["uart", "server", "lender"]), 1: (100_000, ["client"])}
    client = report.subjects[0]
    assert client.relies_on == ["client", "server", "kernel"] and client.trusted is None
    assert report.subjects[4].relies_on == ["lender", "borrower", "server", "kernel"]
    assert client.capabilities == {"ep": 2, "notification": 2}
    total = sum(1 << (item.memory_bits() or 0) for item in golden.objects.values() if item.component == "client")
    assert sum(client.bytes_by_kind.values()) == total
    assert sum(size for _, size in report.objects.values()) == sum(1 << item.memory_bits() for item in golden.objects.values()
                                                                   if item.memory_bits() is not None)


def test_address_spaces_are_told_page_by_page(golden):
    uart = make_report(golden).subjects[1]
    told = [(item.start, item.end - item.start, item.rights, item.cached, item.what) for item in uart.memory]
    assert (0x401000, 0x1000, "RG", True, "file b.elf") in told
    assert (0x1200_0000, 0x2000, "RW", True, "shared with server") in told
    assert (0x1800_0000, 0x1000, "RW", False, "physical 0x9001000") in told
    assert (0x1fff_c000, 0x4000, "RW", True, "memory") in told
    assert all(before.end <= after.start for before, after in zip(uart.memory, uart.memory[1:]))


def test_shapes_of_a_report(golden):
    """Text says all; JSON parses and holds the same; the picture has a node and an arrow for each."""
    report = make_report(golden)
    text = as_text(report)
    for words in ("core 0: 100.05 %", "server handle client: by server_ep", "borrower: no time of its own",
                  "0x000018000000 0x000018001000 RW- 4 KiB", "server: itself program unknown"):
        assert words in text, words
    data = json.loads(as_json(report))
    assert [item["name"] for item in data["subjects"]] == [subject.name for subject in report.subjects]
    assert {"subject": "lender", "verb": "call", "target": "borrower", "by": "borrower_ep: greeter"} in data["relations"]
    dot = as_dot(report)
    assert '"lender" -> "borrower" [label="call"];' in dot and dot.count(" -> ") == len({(item.subject, item.target) for item in report.relations})
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed")
    root = xml.etree.ElementTree.fromstring(as_svg(report))
    titles = {item.text for item in root.iter("{http://www.w3.org/2000/svg}title")}
    assert {"lender", "lender->borrower", "physical 0x9001000"} <= titles
    assert as_svg(report) == as_svg(make_report(golden))


def test_a_picture_without_graphviz_says_what_is_missing(golden, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CapdlError, match="dot cannot be run.*install graphviz"):
        as_svg(make_report(golden))


def test_code_is_counted_by_its_debugging_information(tmp_path):
    """Files with code in the program, each once, and no others."""
    (tmp_path / "main.cc").write_text('#include "used.hpp"\n#include "unused.hpp"\n\nint main()\n{\n    return twice(2);\n}\n')
    (tmp_path / "used.hpp").write_text("inline int twice(int value)\n{\n    return 2 * value;\n}\n")
    (tmp_path / "unused.hpp").write_text("int nobody();\n")
    subprocess.run(["g++", "-g", "-O0", f"-ffile-prefix-map={tmp_path}=.", "-c", tmp_path / "main.cc", "-o", tmp_path / "main.o"], check=True)
    subprocess.run(["g++", "-nostdlib", "-static", "-Wl,-e,main", tmp_path / "main.o", "-o", tmp_path / "main.elf"], check=True)
    size = code_size(tmp_path / "main.elf", (tmp_path,))
    assert dict(size.files) == {"main.cc": 7, "used.hpp": 4} and size.lines == 11 and size.bytes > 0
    both = CodeSize.total([size, CodeSize(100, (("other.cc", 5), ("used.hpp", 4)))])
    assert (both.bytes, both.lines) == (size.bytes + 100, 16)
    assert code_size(tmp_path / "main.elf", (tmp_path / "elsewhere",)).missing == ("main.cc", "used.hpp")
    (tmp_path / "text.elf").write_text("text")
    with pytest.raises(CapdlError, match="is no ELF file"):
        code_size(tmp_path / "text.elf", (tmp_path,))
    subprocess.run(["strip", "-o", tmp_path / "bare.elf", tmp_path / "main.elf"], check=True)
    with pytest.raises(CapdlError, match="no debugging information"):
        code_size(tmp_path / "bare.elf", (tmp_path,))


CHANGES = {
    "nothing": ({}, {}, {}),
    "call": ({"objects": "e = ep", "caps": "b_c { 1: e (R) }"}, {"objects": "e = ep", "caps": "a_c { 1: e (W) } b_c { 1: e (R) }"},
             {"a": ["+ calls b", "+ sends to e with badge 0x0 (W)"]}),
    "grant": ({"objects": "e = ep", "caps": "a_c { 1: e (WP) }"}, {"objects": "e = ep", "caps": "a_c { 1: e (WG) }"},
              {"a": ["+ sends to e with badge 0x0: + G", "- sends to e with badge 0x0: - P"]}),
    "slot": ({"objects": "e = ep", "caps": "a_c { 1: e (W) }"}, {"objects": "e = ep", "caps": "a_c { 7: e (W) }"}, {}),
    "badge": ({"objects": "e = ep", "caps": "a_c { 1: e (W, badge: 1) }"}, {"objects": "e = ep", "caps": "a_c { 1: e (W, badge: 2) }"},
              {"a": ["+ sends to e with badge 0x2 (W)", "- sends to e with badge 0x1 (W)"]}),
    "lost": ({"caps": "a_c { 1: b }"}, {}, {"a": ["- controls b", "- holds tcb b"]}),
    "built-in": ({}, {"caps": "a_c { 1: irq_control 2: sched_control (core: 1) }"}, {"a": ["+ holds irq_control", "+ holds sched_control of core 1"]}),
    "untyped": ({}, {"objects": "u = ut (16 bits)", "caps": "b_c { 1: u }"}, {"b": ["+ holds untyped u of 2^16 bytes"]}),
    "time": ({"objects": "s = sc (8 bits, period: 10, budget: 5)", "a_slots": "sc_slot: s"},
             {"objects": "s = sc (8 bits, period: 10, budget: 4)", "a_slots": "sc_slot: s"}, {"a": ["- share of a core (per million): 500000 -> 400000"]}),
    "own cspace": ({}, {"caps": "a_c { 1: a_c }"}, {"a": ["+ holds cnode a_c"]}),
}


def change_lines(old, new):
    """What diff says, by subject."""
    return {change.subject: [f"+ {item}" for item in change.gained] + [f"- {item}" for item in change.lost] for change in diff.compare(old, new)}


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name):
    old, new, expected = CHANGES[name]
    assert change_lines(system(**old), system(**new)) == expected


def test_a_new_thread_gains_all_that_it_has():
    old, _ = load_text("arch aarch64 objects { e = ep }")
    new, _ = load_text("caprock 1 arch aarch64 objects { e = ep c = cnode (2 bits) "
                       "t = tcb (addr: 0, ip: 4, sp: 0, prio: 9, max_prio: 3, affinity: 0, pmu: True) } "
                       "caps { c { 1: e (R) } t { cspace: c } }")
    assert change_lines(old, new) == {"t": ["+ holds ep e (R)", "+ priority (9)", "+ highest priority that it may give (3)", "+ access to pmu"]}
    assert change_lines(new, old) == {"t": ["- holds ep e (R)", "- priority (9)", "- highest priority that it may give (3)", "- access to pmu"]}


def command(*words):
    """Run the command line: (status, output, errors)."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-m", "capdl", *map(str, words)], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "PYTHONPATH": path})
    return done.returncode, done.stdout, done.stderr


def test_command_line(tmp_path, board):
    """Status 0 without, 1 with gained authority or findings, 2 for wrong usage."""
    old, new = tmp_path / "old.cdl", tmp_path / "new.cdl"
    text = (GOLDEN / "components.cdl").read_text(encoding="utf-8")
    old.write_text(text, encoding="utf-8")
    new.write_text(text.replace("emits wake; consumes kick", "emits wake; emits more; consumes kick").replace(
        "notify uart.wake -> client.wake", "notify uart.wake -> client.wake notify uart.more -> lender.more").replace(
        "domain 3; budget", "domain 3; consumes more; budget"), encoding="utf-8")
    assert command("diff", old, old, "--dtb", board) == (0, "no authority changed\n", "")
    status, output, errors = command("diff", old, new, "--dtb", board)
    assert (status, errors) == (1, "") and "uart\n  + signals lender\n" in output
    status, output, _ = command("diff", new, old, "--dtb", board)
    assert status == 0 and "uart\n  - signals lender\n" in output
    assert command("report", old, "--dtb", board)[1].startswith("System old (aarch64):")
    assert command("report", old, "--json", "-o", tmp_path / "out.json") == (0, "", "") and json.loads((tmp_path / "out.json").read_text())["system"] == "old"
    new.write_text("caprock 1 components { a = component { } }", encoding="utf-8")
    status, output, errors = command("diff", old, new)
    assert (status, output) == (1, "") and "has no program" in errors
    for words in (("report",), ("report", tmp_path / "nowhere"), ("diff", old), ("report", old, "--json", "--svg"), ("sum", old)):
        status, output, errors = command(*words)
        assert (status, output, errors.count("\n")) == (2, "", 1)
