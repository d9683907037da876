# SPDX-License-Identifier: BSD-2-Clause
"""Policies: each rule of authority and of flow is found where it is, each clause holds and is violated, and a witness names what it stands on."""

import json

import pytest
from capdl_support import ROOT

import capdl
from capdl import authority, policy
from capdl.diagnostics import Diagnostics
from capdl.policy import HOLDS, UNKNOWN, VIOLATED, judge
from capdl.report import as_json, make_report
from capdl.report_text import as_text

THREAD = ("{0}_v = pgd {0}_1 = pud {0}_2 = pd {0}_3 = pt {0}_c = cnode (4 bits) "
          "{0} = tcb (addr: 0, ip: 4, sp: 0, prio: 10, max_prio: 0, affinity: 0) ")
SLOTS = "{0}_v {{ 0: {0}_1 }} {0}_1 {{ 0: {0}_2 }} {0}_2 {{ 2: {0}_3 }} {0} {{ cspace: {0}_c (guard_size: 60) vspace: {0}_v {1} }} "
NAMES = ("a", "b", "c")


@pytest.fixture(name="system")
def system_of_threads(tmp_path):
    """A function that makes the Spec of three threads without components: a, b and c."""
    def make(objects="", caps="", clauses="", irqs="", dtb=None, slots=None):
        head = "".join(THREAD.format(name) for name in NAMES)
        body = "".join(SLOTS.format(name, (slots or {}).get(name, "")) for name in NAMES)
        text = f"caprock 1 arch aarch64 objects {{ {head}{objects} }} caps {{ {body}{caps} }} " + (f"irq maps {{ {irqs} }} " if irqs else "")
        (tmp_path / "three.cdl").write_text(text + f"policy {{\n{clauses} }}")
        spec, diagnostics = capdl.load(tmp_path / "three.cdl", dtb=dtb, partial=True, loadable=False, judged=False)
        assert diagnostics.ok, diagnostics.render()
        return spec
    return make


def verdicts(spec):
    """The states of a policy's verdicts; its clauses have to make sense."""
    judgement = judge(spec)
    assert not judgement.problems, judgement.problems
    return [verdict.state for verdict in judgement.verdicts]


def only_verdict(spec):
    """The verdict on a policy of one clause."""
    judgement = judge(spec)
    assert not judgement.problems and len(judgement.verdicts) == 1
    return judgement.verdicts[0]


# Rules of authority: objects and capabilities, slots of the threads, and what a gets by them: (kind, object, rights).
AUTHORITY = {
    "take": ("m = cnode (2 bits) e = ep", "a_c { 1: m (guard_size: 62) } m { 1: e (W) }", {}, ("ep", "e", "W")),
    "take from another's": ("e = ep", "a_c { 1: b_c } b_c { 3: e (R) }", {}, ("ep", "e", "R")),
    "control": ("e = ep", "a_c { 1: b } b_c { 3: e (R) }", {}, ("ep", "e", "R")),
    "control twice": ("e = ep", "a_c { 1: b } b_c { 1: c } c_c { 3: e (R) }", {}, ("ep", "e", "R")),
    "control of what comes later": ("e = ep x = ep", "a_c { 1: b } b_c { 1: x (R) } c_c { 1: x (WG) 3: e (R) }", {}, ("ep", "e", "R")),
    "table": ("f = frame (4k)", "a_c { 1: b_v } b_3 { 4: f (R) }", {}, ("frame", "f", "R")),
    "table in the middle": ("f = frame (4k)", "a_c { 1: b_2 } b_3 { 4: f (RW) }", {}, ("frame", "f", "RW")),
    "same CNode": ("m = cnode (2 bits) e = ep", "a_c { 1: m (guard_size: 62) } b_c { 1: m (guard_size: 62) 3: e (R) }", {}, ("ep", "e", "R")),
    "create": ("u = ut (12 bits)", "a_c { 1: u }", {}, ("frame", "u", "RWG")),
    "grant": ("e = ep n = notification", "a_c { 1: e (WG) } b_c { 1: e (R) 2: n (W) }", {}, ("notification", "n", "W")),
    "grant back": ("e = ep n = notification", "a_c { 1: e (R) } b_c { 1: e (WG) 2: n (W) }", {}, ("notification", "n", "W")),
    "reply-grant": ("e = ep n = notification", "a_c { 1: e (WP) } b_c { 1: e (RG) 2: n (W) }", {}, ("notification", "n", "W")),
    "same CSpace": ("e = ep x = ep d = tcb", "a_c { 1: x (R) } b_c { 2: x (WG) 3: e (R) } d { cspace: a_c (guard_size: 60) }", {}, ("ep", "e", "R")),
}


@pytest.mark.parametrize("name", AUTHORITY)
def test_authority_grows_by(system, name):
    objects, caps, slots, expected = AUTHORITY[name]
    held = authority.Closure(system(objects, caps, slots=slots)).held["d" if name == "same CSpace" else "a"]
    assert expected in {(item.kind, item.target, item.rights) for item in held}


# What authority does not grow by: objects, capabilities, slots.
NO_AUTHORITY = {
    "no grant": ("e = ep n = notification", "a_c { 1: e (WP) } b_c { 1: e (R) 2: n (W) }", {}),
    "no reply-grant": ("e = ep n = notification", "a_c { 1: e (W) } b_c { 1: e (RG) 2: n (W) }", {}),
    "receiving does not take": ("e = ep n = notification", "a_c { 1: e (R) } b_c { 1: e (WP) 2: n (W) }", {}),
    "no receiver": ("e = ep n = notification", "a_c { 1: e (WG) } b_c { 1: e (WG) 2: n (W) }", {}),
    "faults": ("e = ep n = notification", "b_c { 1: e (RG) 2: n (W) }", {"a": "fault_ep_slot: e (WG)"}),
    "upwards": ("n = notification", "b_c { 1: a 2: a_v 3: a_c 4: n (W) }", {}),
    "time": ("s = sc n = notification", "a_c { 1: s } b_c { 4: n (W) }", {"b": "sc_slot: s"}),
}


@pytest.mark.parametrize("name", NO_AUTHORITY)
def test_authority_does_not_grow_by(system, name):
    objects, caps, slots = NO_AUTHORITY[name]
    assert not [item for item in authority.Closure(system(objects, caps, slots=slots)).held["a"] if item.kind == "notification"]


def test_an_untyped_becomes_what_fits_into_it(system):
    spec = system("small = ut (6 bits) large = ut (12 bits) registers = ut (13 bits, paddr: 0x9000000)",
                  "a_c { 1: small } b_c { 1: large } c_c { 1: registers }")
    closure = authority.Closure(spec)
    kinds = {name: {item.kind for item in closure.held[name] if item.made} for name in NAMES}
    assert {"ep", "notification", "cnode", "rtreply", "ut"} == kinds["a"]
    assert {"ep", "tcb", "frame", "pt", "sc", "vcpu"} < kinds["b"] == kinds["c"] and "asid_pool" not in kinds["b"]


def test_what_is_issued(system):
    spec = system("", "a_c { 1: irq_control } b_c { 1: asid_control }", "deny caps (irq) in a; deny caps (asid_pool) in b; deny caps (irq) in b")
    assert verdicts(spec) == [VIOLATED, VIOLATED, HOLDS]


def test_gifts_of_those_that_control(system):
    """What a subject could be given by one that controls it counts as that one's, unless it is asked for."""
    for part in ("b", "b_c", "b_v", "b_2"):
        spec = system("f = frame (4k) n = notification", f"a_c {{ 1: {part} 2: f (RW) 3: n (W) }}")
        held = {gifts: {item.kind for item in authority.Closure(spec, gifts=gifts).held["b"]} for gifts in (False, True)}
        assert "frame" not in held[False] and "frame" in held[True]
        assert ("notification" in held[True]) == (part in ("b", "b_c"))


# Rules of flow: objects, capabilities, slots, interrupts; then the direct flows that there are, among a, b and c.
FLOW = {
    "nothing": ("", "", {}, "", set()),
    "memory": ("f = frame (4k)", "a_3 { 1: f (RW) } b_3 { 1: f (R) }", {}, "", {"ab"}),
    "memory both ways": ("f = frame (4k)", "a_3 { 1: f (RW) } b_c { 1: f (RW) }", {}, "", {"ab", "ba"}),
    "memory that overlaps": ("u = ut (16 bits, paddr: 0x9000000) { f = frame (4k, paddr: 0x9001000) }", "a_c { 1: u } b_3 { 1: f (R) }", {}, "", {"ab", "ba"}),
    "memory apart": ("f = frame (4k, paddr: 0x9000000) g = frame (4k, paddr: 0x9001000)", "a_3 { 1: f (RW) } b_3 { 1: g (RW) }", {}, "", set()),
    "send": ("e = ep", "a_c { 1: e (W) } b_c { 1: e (R) }", {}, "", {"ab"}),
    "call": ("e = ep", "a_c { 1: e (WP) } b_c { 1: e (R) }", {}, "", {"ab", "ba"}),
    "call with grant": ("e = ep", "a_c { 1: e (WG) } b_c { 1: e (R) }", {}, "", {"ab", "ba"}),
    "signal": ("n = notification", "a_c { 1: n (W) } b_c { 1: n (R) }", {}, "", {"ab"}),
    "bound": ("n = notification", "a_c { 1: n (W) }", {"b": "bound_notification: n"}, "", {"ab"}),
    "thread": ("", "a_c { 1: b }", {}, "", {"ab", "ba"}),
    "CSpace": ("", "a_c { 1: b_c }", {}, "", {"ab", "ba"}),
    "address space": ("", "a_c { 1: b_v }", {}, "", {"ab", "ba"}),
    "page table": ("", "a_c { 1: b_3 }", {}, "", {"ab", "ba"}),
    "untyped": ("u = ut (16 bits) { v = ut (14 bits) { b } }", "a_c { 1: u }", {}, "", {"ab", "ba"}),
    "untyped of what another one holds": ("u = ut (16 bits) { v = ut (14 bits) }", "a_c { 1: u } b_c { 1: v }", {}, "", {"ab", "ba"}),
    "untyped of memory that another one holds": ("u = ut (16 bits) { v = ut (14 bits) { f = frame (4k) } }", "a_c { 1: u } b_c { 1: f (R) }", {}, "", {"ab"}),
    "untyped of memory": ("u = ut (16 bits) { f = frame (4k) }", "a_c { 1: u } b_3 { 1: f (R) }", {}, "", {"ab", "ba"}),
    "faults": ("e = ep", "b_c { 1: e (R) }", {"a": "fault_ep_slot: e (WG)"}, "", {"ab", "ba"}),
    "timeouts": ("e = ep", "b_c { 1: e (R) }", {"a": "temp_fault_ep_slot: e (WG)"}, "", {"ab", "ba"}),
    "time": ("s = sc", "b_c { 1: s }", {"a": "sc_slot: s"}, "", {"ab"}),
    "software interrupt": ("i = arm_irq (trigger: edge, target: 0) s = arm_sgi_signal (irq: 3, target: 0)", "a_c { 1: s } b_c { 1: i }", {}, "3: i", {"ab"}),
    "interrupt's notification": ("n = notification i = arm_irq (trigger: edge, target: 0) s = arm_sgi_signal (irq: 3, target: 0)",
                                 "a_c { 1: s } b_c { 1: n (R) } i { 0: n (W) }", {}, "3: i", {"ab"}),
    "two memories of one untyped": ("u = ut (16 bits)", "a_c { 1: u } b_c { 1: u }", {}, "", {"ab", "ba"}),
    "granted": ("e = ep n = notification", "a_c { 1: e (WG) } b_c { 1: e (R) 2: n (W) } c_c { 1: n (R) }", {}, "", {"ab", "ba", "ac", "bc"}),
}


@pytest.mark.parametrize("name", FLOW)
def test_direct_flow(system, name):
    objects, caps, slots, irqs, expected = FLOW[name]
    flow = policy.Flow(authority.Closure(system(objects, caps, slots=slots, irqs=irqs)))
    assert {source + target for source in NAMES for target in NAMES if target in flow.edges[source]} == expected


CHAIN = ("e = ep f = ep", "a_c { 1: e (W) } b_c { 1: e (R) 2: f (W) } c_c { 1: f (R) }")


def test_denied_flow(system):
    assert verdicts(system(*CHAIN, "deny flow a -> c; deny flow c -> a; deny flow b -> a")) == [VIOLATED, UNKNOWN, UNKNOWN]
    assert verdicts(system(*CHAIN, "deny flow a -> c; allow flow a -> c via b")) == [UNKNOWN]
    assert verdicts(system(*CHAIN, 'trusted b "says nothing"; deny flow a -> c')) == [VIOLATED]


def test_a_flow_is_allowed_through_way_stations_only(system):
    around = ("e = ep f = ep n = notification", CHAIN[1].replace("a_c { 1", "a_c { 5: n (W) 1").replace("c_c { 1", "c_c { 5: n (R) 1"))
    assert verdicts(system(*around, "deny flow a -> c allow flow a -> c via b")) == [VIOLATED]
    assert verdicts(system(*CHAIN, "deny flow a -> c allow flow c -> a via b deny flow c -> a")) == [VIOLATED, UNKNOWN]


def test_a_witness_is_shortest_and_names_everything(system):
    objects, caps = "e = ep f = ep g = frame (4k)", "a_c { 1: e (W) 2: c_c } b_c { 1: e (R) 2: f (W) } c_c { 1: f (R) 7: g (RW) }"
    verdict = only_verdict(system(objects, caps, "deny flow a -> c"))
    steps = verdict.violation.witness
    assert [(step.subject, step.rule, step.other) for step in steps] == [("a", "control", "c")]
    assert steps[0].capabilities[0][:3] == ("a", "a_c slot 2", "c_c") and steps[0].place.line == 1
    # Authority that was passed on takes steps of its own.
    verdict = only_verdict(system("e = ep n = notification", "a_c { 1: e (WG) } b_c { 4: e (R) 2: n (W) } c_c { 1: n (R) }", "deny caps (notification) in a"))
    assert [step.rule for step in verdict.violation.witness] == ["grant", "grant"]
    assert "b_c slot 4" in verdict.violation.witness[0].text and "n (W) in b_c slot 2" in verdict.violation.witness[1].text
    verdict = only_verdict(system("m = cnode (2 bits) u = ut (10 bits)", "a_c { 1: m (guard_size: 62) } b_c { 1: a }  m { 1: u }", "deny caps (sc) in b"))
    assert sorted(step.rule for step in verdict.violation.witness) == ["control", "control", "create"]


def test_a_finding_shows_the_steps(system):
    diagnostics = Diagnostics()
    judge(system(*CHAIN, "  deny flow a -> c")).report(diagnostics)
    text = diagnostics.render()
    assert "three.cdl:2:3: error: information can flow from a to c via b" in text and text.rstrip().endswith("[policy-flow]") is False
    assert "allow flow a -> c via b) [policy-flow]" in text
    assert "    1. a sends to b (send): a has right W of e (W) in a_c slot 1" in text and "    2. b sends to c (send)" in text
    assert len(json.loads(diagnostics.as_json())["findings"][0]["notes"]) == 2


def test_isolation(system):
    assert verdicts(system("", "", "isolated {a, b, c}")) == [UNKNOWN]
    assert verdicts(system(*CHAIN, "isolated {a, c}")) == [VIOLATED]
    assert verdicts(system(*CHAIN, "isolated {a, c} via b")) == [UNKNOWN]
    assert verdicts(system(*CHAIN, "isolated {c, b}")) == [VIOLATED]
    assert verdicts(system("f = frame (4k)", "a_3 { 1: f (R) } b_3 { 1: f (R) }", "isolated {a, b}")) == [VIOLATED]
    assert verdicts(system("e = ep", "a_c { 1: e (WP) } b_c { 1: e (WP) } c_c { 1: e (R) }", "isolated {a, b} via c")) == [UNKNOWN]
    assert verdicts(system("s = rtreply", "a_c { 1: s } b_c { 1: s }", "isolated {a, b} via c")) == [VIOLATED]
    assert verdicts(system("u = ut (16 bits) { b_c }", "a_c { 1: u }", "isolated {a, b}")) == [VIOLATED]


def test_denied_capabilities(system):
    assert verdicts(system("", "", "deny caps (ut, tcb, cnode, pgd, irq_control) in *")) == [HOLDS]
    assert verdicts(system("", "a_c { 1: irq_control 2: b }", "deny caps (irq_control) in a; deny caps (irq_control) in b; deny caps (tcb) in a")) == [
        VIOLATED, HOLDS, VIOLATED]
    assert verdicts(system("", "a_c { 1: b }", "deny caps (tcb) in *; deny caps (tcb) in * except a; deny caps (tcb) in * except b, c")) == [
        VIOLATED, HOLDS, VIOLATED]
    assert verdicts(system("u = ut (12 bits)", "a_c { 1: u }", "deny caps (tcb) in a")) == [VIOLATED]
    assert verdicts(system("i = arm_irq (trigger: edge, target: 0)", "a_c { 1: i }", "deny caps (irq) in a", "40: i")) == [VIOLATED]


def test_load(system):
    objects = "s = sc (8 bits, period: 1000, budget: 300) t = sc (8 bits, period: 1000, budget: 301)"
    slots = {"a": "sc_slot: s", "b": "sc_slot: t"}
    assert verdicts(system(objects, "", "cpu 0 load <= 60%; cpu 0 load <= 61%; cpu 1 load <= 0%", slots=slots)) == [VIOLATED, HOLDS, HOLDS]
    assert "60.10%" in judge(system(objects, "", "cpu 0 load <= 60%", slots=slots)).verdicts[0].violation.message


UART, CLOCK = 0x9001000, 0x9002000
DRIVER = ("r = frame (4k, paddr: 0x9001000) i = arm_irq (trigger: level, target: 0)", "a_3 { 1: r (RW) } a_c { 1: i }")


def test_devices(system, board):
    """Of the test board only the first serial line's kind is known to leave memory alone."""
    def judged(clauses, objects="", caps="", irqs="33: i"):
        return verdicts(system(DRIVER[0] + objects, DRIVER[1] + caps, clauses, irqs, board))
    none = "assume dma(*) within {}; "
    assert judged("only a may reach stdout; only b may reach stdout") == [HOLDS, VIOLATED]
    assert judged('only b may reach stdout; trusted a "its driver"') == [HOLDS]
    assert judged('only a may reach stdout', caps="b_c { 1: irq_control }") == [VIOLATED]
    assert judged('only a may reach stdout', " j = arm_irq (trigger: edge, target: 0)", "b_c { 1: j }", "33: i 34: j") == [VIOLATED]
    assert judged('only a may reach stdout', " u = ut (16 bits, paddr: 0x9000000) { r }", "b_c { 1: u }") == [VIOLATED]
    assert judged('only a may reach stdout', caps="b_c { 1: a_3 }") == [VIOLATED]
    assert judged('only a may reach "/soc/rtc@2000"') == [HOLDS]
    # Both ways between a driver and its device; from there to everywhere if it may access memory.
    assert judged(none + "deny flow a -> stdout") == [VIOLATED] and judged(none + "deny flow stdout -> a") == [VIOLATED]
    assert judged(none + "deny flow a -> b") == [HOLDS] and judged("deny flow a -> b") == [VIOLATED]
    assert judged("deny flow b -> stdout") == [VIOLATED]
    # One address serves the device and its twin in the same page.
    clock = ("; only b may reach \"/soc/twin@2080\"", " g = frame (4k, paddr: 0x9002000)", "b_3 { 1: g (R) }")
    assert judged("only b may reach clock" + clock[0], *clock[1:]) == [HOLDS, HOLDS]
    assert judged("only a may reach clock", *clock[1:]) == [VIOLATED]


def test_interrupts_flow_from_the_device(system, board):
    spec = system("i = arm_irq (trigger: level, target: 0)", "a_c { 1: i }",
                  "assume dma(*) within {}; deny flow stdout -> a; deny flow a -> stdout", "33: i", board)
    assert verdicts(spec) == [VIOLATED, HOLDS]


def test_assumptions_of_memory_accesses(system, board):
    """A device keeps to the memory of those that are named; what a verdict stands on is told with it."""
    clauses = "assume dma(*) within {}; assume dma(clock) within {a, b}; "
    assert verdicts(system("", "", clauses + "deny flow a -> b; deny flow a -> c", dtb=board)) == [VIOLATED, HOLDS]
    judgement = judge(system("", "", clauses + "deny flow a -> c; deny caps (ut) in *", dtb=board))
    assert [len(verdict.assumptions) for verdict in judgement.verdicts] == [2, 0]
    violated = judge(system("", "", "deny flow a -> b", dtb=board)).verdicts[0].violation
    assert [step.rule for step in violated.witness] == ["memory of all", "dma"] and "assume dma" in violated.remedy


def test_without_a_board_nothing_is_promised_of_devices(system):
    assert verdicts(system("", "", "only a may reach stdout; deny flow a -> b; assume dma(stdout) within {}")) == [UNKNOWN, UNKNOWN]
    assert "it takes a board" in as_text(make_report(system("", "", "deny flow a -> b")))


def test_trust(system, board):
    """Nothing is granted where one side is trusted; the verdict says on whom it relies."""
    granting = ("e = ep n = notification", "a_c { 1: e (WG) } b_c { 1: e (R) 2: n (W) } c_c { 1: n (R) }")
    clauses = "deny caps (notification) in a; assume dma(*) within {}; "
    assert verdicts(system(*granting, clauses, dtb=board)) == [VIOLATED]
    for trusted, relies in (("a", ("a",)), ("b", ("b",)), ("c", None)):
        verdict = only_verdict(system(*granting, clauses + f'trusted {trusted} "tested"', dtb=board))
        assert (verdict.state, verdict.relies) == ((HOLDS, relies) if relies else (VIOLATED, ()))
    both = only_verdict(system(*granting, clauses + 'trusted a "tested"; trusted b "tested"', dtb=board))
    assert (both.state, both.relies) == (HOLDS, ("a", "b"))
    unneeded = only_verdict(system("", "", 'deny caps (ut) in *; trusted a "tested"', dtb=board))
    assert (unneeded.state, unneeded.relies) == (HOLDS, ())


WRONG = {
    "deny flow a -> nobody": ("unknown subject nobody", "policy-name"),
    'only a may reach "/soc/nothing"': ("no device \"/soc/nothing\"", "policy-name"),
    'assume dma("/soc/nothing") within {}': ("no device", "policy-name"),
    'trusted stdout "a device"': ("unknown component stdout", "policy-name"),
    "isolated {a, d}": ("unknown component d", "policy-name"),
    "deny caps (ut) in * except d": ("unknown component d", "policy-name"),
    "allow flow a -> b via c": ("allows what nothing denies", "policy-form"),
    "deny flow a -> b; allow flow a -> b via a": ("a is an end of this flow", "policy-form"),
    "deny flow a -> a": ("both ends", "policy-form"),
    "deny flow stdout -> \"/soc/serial@1000\"": ("both ends", "policy-form"),
    "isolated {a}": ("two or more", "policy-form"),
    "isolated {a, b, a}": ("name each once", "policy-form"),
    "isolated {a, b} via b": ("one of those that are isolated", "policy-form"),
    'trusted a "x"; trusted a "y"': ("was said of a at", "policy-form"),
    "assume dma(clock) within {}; assume dma(\"/soc/rtc@2000\") within {a}": ("was said of", "policy-form"),
}


@pytest.mark.parametrize("clauses", WRONG)
def test_clauses_that_mean_nothing(system, board, clauses):
    message, code = WRONG[clauses]
    judgement = judge(system("", "", clauses, dtb=board))
    assert not judgement.ok and not judgement.verdicts
    assert [(message in found, found_code) for _, found, found_code in judgement.problems] == [(True, code)]


SYNTAX = {
    "deny a -> b": "expected 'flow' or 'caps' after 'deny'",
    "permit flow a -> b": "unknown clause 'permit'",
    "deny caps (file) in a": "unknown kind of capability 'file'",
    "deny caps (ut) in a except b": "'except' goes with *",
    "cpu 0 load <= 101%": "a core has 100% of its time, not 101%",
    "cpu 0 load <= 50": "expected '%'",
    "cpu 0 load < 50%": "expected '='",
    "isolated {a b}": "expected '}' or ',' after a name",
    "only a may reach": "expected a device",
    "trusted a": "expected the reason",
    "assume dma(*) in {}": "expected 'within'",
    "allow flow a -> b": "expected 'via'",
}


@pytest.mark.parametrize("clauses", SYNTAX)
def test_syntax_of_clauses(tmp_path, clauses):
    (tmp_path / "wrong.cdl").write_text(f"caprock 1 arch aarch64 policy {{ {clauses} }} objects {{ e = ep }}")
    _, diagnostics = capdl.load(tmp_path / "wrong.cdl")
    assert [finding.check for finding in diagnostics.errors][0] == "syntax" and SYNTAX[clauses] in diagnostics.render()


COMPONENTS = """caprock 1
arch aarch64
interface Give {{ take(in cap{0} given); give(out cap{1} given) }}
components {{
  giver = component {{ elf "a.elf"; prio 10; budget 1ms/10ms; uses give: Give; emits go }}
  taker = component {{ elf "b.elf"; prio 20; budget 1ms/10ms; provides give: Give; grant thread: giver_tcb; grant spare: spare (RW) }}
  other = component {{ elf "c.elf"; prio 10; budget 1ms/10ms; consumes go }}
}}
connect {{ call giver.give -> taker.give; notify giver.go -> other.go }}
objects {{ spare = frame (4k) }}
policy {{ {2} }}
"""
PASSES = {
    ("", "", "deny caps (tcb) in giver"): VIOLATED,
    ("", "", 'deny caps (tcb) in giver; trusted taker "tested"'): VIOLATED,
    ("", "(frame)", 'deny caps (tcb) in giver; trusted taker "tested"'): HOLDS,
    ("", "(frame)", "deny caps (tcb) in giver"): VIOLATED,
    ("(notification)", "(frame)", 'deny caps (ep) in other; trusted taker "tested"'): HOLDS,
}


@pytest.mark.parametrize("case", PASSES)
def test_interfaces_say_what_trusted_components_pass(tmp_path, case):
    (tmp_path / "pass.cdl").write_text(COMPONENTS.format(*case))
    spec, diagnostics = capdl.load(tmp_path / "pass.cdl", partial=True, judged=False)
    assert diagnostics.ok, diagnostics.render()
    assert judge(spec).verdicts[0].state == PASSES[case]


def test_a_violation_is_an_error_of_the_description(tmp_path):
    (tmp_path / "wrong.cdl").write_text(COMPONENTS.format("", "", "deny flow giver -> other"))
    _, diagnostics = capdl.load(tmp_path / "wrong.cdl", partial=True)
    assert [finding.check for finding in diagnostics.errors] == ["policy-flow"]
    assert "1. giver signals other (signal): giver has right W of other_ntfn (W) in giver_cnode slot 5" in diagnostics.render()


def test_clauses_of_included_files_count(tmp_path):
    (tmp_path / "main.cdl").write_text('caprock 1 arch aarch64 include "./system.cdl" policy { deny flow giver -> other }')
    (tmp_path / "system.cdl").write_text(COMPONENTS.format("", "", "deny caps (ut) in *"))
    spec, _ = capdl.load(tmp_path / "main.cdl", partial=True, judged=False)
    assert verdicts(spec) == [HOLDS, VIOLATED]


SYSTEMS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "systems").rglob("*.cdl"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_shipped_systems_keep_a_policy(name, board):
    """Each has one, with verdicts on devices, authority and flow, and none of them is open."""
    spec, diagnostics = capdl.load(ROOT / name, dtb=board, partial=True)
    assert diagnostics.ok, diagnostics.render()
    kinds = {type(verdict.clause).__name__ for verdict in judge(spec).verdicts if verdict.state == HOLDS}
    assert {"OnlyReach", "DenyCaps", "Isolated"} <= kinds
    assert set(verdicts(spec)) == {HOLDS}


def test_the_example_of_the_document(tmp_path, board):
    text = (ROOT / "docs" / "policy.md").read_text()
    (tmp_path / "example.cdl").write_text(text.split("```capdl\n")[1].split("```")[0])
    spec, diagnostics = capdl.load(tmp_path / "example.cdl", dtb=board, partial=True)
    assert diagnostics.ok, diagnostics.render()
    assert len(verdicts(spec)) == 7 and set(verdicts(spec)) == {HOLDS}


def test_a_report_has_the_verdicts(system, board):
    spec = system(*CHAIN, 'trusted b "tested"; assume dma(*) within {}; deny flow a -> c; deny caps (ut) in *', dtb=board)
    report = make_report(spec)
    text = as_text(report)
    for words in ('trusted b "tested"', "violated: deny flow a -> c", "      1. a sends to b (send)", "holds: deny caps (ut) in *",
                  "timing, caches and scheduling"):
        assert words in text, words
    data = json.loads(as_json(report))["policy"]
    assert [verdict["state"] for verdict in data["verdicts"]] == [VIOLATED, HOLDS] and not data["ok"]
    assert data["verdicts"][0]["witness"][0]["capabilities"][0] == {
        "holder": "a", "slot": "a_c slot 1", "object": "e (W)", "right": "W", "place": data["verdicts"][0]["witness"][0]["place"]}
    assert "promises nothing" in as_text(make_report(system()))


def test_large_systems_are_judged_in_time(system):
    """Work grows with the capabilities there are, not with their square."""
    spec = system("f[4000] = frame (4k) w = cnode (13 bits)",
                  "a_c { 1: w (guard_size: 51) } b_c { 1: a } w { f[] (RW) }", "deny flow c -> a; deny caps (ut) in *")
    closure = authority.Closure(spec)
    assert len(closure.held["b"]) > 4000 and len(closure.reasons) < 10 * 4000
    assert verdicts(spec) == [UNKNOWN, HOLDS]
