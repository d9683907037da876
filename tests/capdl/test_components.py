# SPDX-License-Identifier: BSD-2-Clause
"""Components and their interfaces: versions and meanings, grants, capabilities in messages, and what of it their programs are told."""

import struct

import pytest
from capdl_support import default_elf

import capdl
from capdl.interface_meaning import differences, meaning, meaning_hash
from capdl.model import LOADER_POOL_FREE

HEAD = "caprock 1 arch aarch64 "
ITEMS = 'elf "a.elf"; prio 9; budget 1ms/10ms; '
USES, PROVIDES, EMITS, CONSUMES, REGION, CLIENT, GRANT, RECEIVE = 1, 2, 3, 4, 5, 9, 11, 12


def load(folder, text, programs, board=None, **options):
    """(Spec, Diagnostics) of a description in `folder`."""
    path = folder / "test.cdl"
    path.write_text(text, encoding="utf-8")
    return capdl.load(path, elf_dirs=[programs], dtb=board, out_dir=folder, **options)


def load_good(*arguments, **options):
    """The Spec of a description without findings."""
    spec, diagnostics = load(*arguments, **options)
    assert not diagnostics.findings, diagnostics.render()
    return spec


def told(folder, component):
    """(kind, name) -> (value, size, badge, text) of what a component is told."""
    content = (folder / f"{component}.info").read_bytes()
    result = {}
    for at in range(128, len(content), 128):
        name, kind, value, size, badge, text = struct.unpack_from("<32sQQQQ64s", content, at)
        result[kind, name.rstrip(b"\0").decode()] = (value, size, badge, text.rstrip(b"\0").decode())
    return result


def interface_of(folder, text):
    """The only interface of a text."""
    path = folder / "interface.cdl"
    path.write_text("caprock 1 " + text, encoding="utf-8")
    interfaces, diagnostics = capdl.load_interfaces(path)
    assert diagnostics.ok, diagnostics.render()
    return interfaces[0]


# Interfaces -----------------------------------------------------------------------------------------------------------------------------

BASE = "interface I @2 { struct P { i32 x; i32 y } m(in P p, out u8 a) -> u64 n(in bytes[8] b) idempotent }"
SAME = {
    "spaces and comments": BASE.replace("{ struct", "{ /* a */ struct"),
    "version beside the name": BASE.replace("I @2", "I@2"),
    "time": BASE.replace("-> u64", "-> u64 wcet 5us"),
    "separators": BASE.replace("x; i32 y", "x, i32 y;"),
}
DIFFERENT = {
    "version": (BASE.replace("@2", "@3"), ["version @3 in the program, @2 here"]),
    "no version": (BASE.replace("@2 ", ""), ["version @1 in the program, @2 here"]),
    "field type": (BASE.replace("i32 y", "u32 y"), ["struct 'P': 'y' is u32 (number 2) in the program, i32 (number 2) here"]),
    "field name": (BASE.replace("i32 y", "i32 z"), ["struct 'P': 'z' is only in the program: i32 (number 2)", "struct 'P': 'y' is only here: i32 (number 2)"]),
    "order": (BASE.replace("in P p, out u8 a", "out u8 a, in P p"), ["method 'm': 'a' is out u8 (number 1) in the program, out u8 (number 2) here",
                                                                     "method 'm': 'p' is in P (number 2) in the program, in P (number 1) here"]),
    "direction": (BASE.replace("out u8", "inout u8"), ["method 'm': 'a' is inout u8 (number 2) in the program, out u8 (number 2) here"]),
    "length": (BASE.replace("bytes[8]", "bytes[9]"), ["method 'n': 'b' is in bytes[9] (number 1) in the program, in bytes[8] (number 1) here"]),
    "result": (BASE.replace("-> u64", "-> u32"), ["method 'm': result is u32 in the program, u64 here"]),
    "promise": (BASE.replace(" idempotent", ""), ["method 'n': idempotent is no in the program, yes here"]),
    "method": (BASE.replace("n(in bytes[8] b) idempotent", "o()"), ["method 'o' is only in the program", "method 'n' is only here"]),
    "labels": (BASE.replace("m(in", "o() m(in"), ["method 'o' is only in the program", "method 'm': number is 2 in the program, 1 here",
                                                  "method 'n': number is 3 in the program, 2 here"]),
}


@pytest.mark.parametrize("name", SAME)
def test_meaning_is_what_travels(name, tmp_path):
    assert meaning(interface_of(tmp_path, SAME[name])) == meaning(interface_of(tmp_path, BASE))


@pytest.mark.parametrize("name", DIFFERENT)
def test_differences_are_told_field_by_field(name, tmp_path):
    theirs, ours = meaning(interface_of(tmp_path, DIFFERENT[name][0])), meaning(interface_of(tmp_path, BASE))
    assert meaning_hash(theirs) != meaning_hash(ours)
    assert sorted(differences(theirs, ours)) == sorted(DIFFERENT[name][1])


def test_order_of_structs_is_part_of_the_meaning(tmp_path):
    one, other = (meaning(interface_of(tmp_path, f"interface I {{ {text} }}")) for text in
                  ("struct A { u8 a } struct B { u8 b }", "struct B { u8 b } struct A { u8 a }"))
    assert differences(one, other) == ["structs or methods stand in another order"]


PAIR = HEAD + BASE.replace("{", "{{").replace("}", "}}") + (
    "components {{ s = component {{ " + ITEMS + "provides i: I{1} }} "
    "c = component {{ elf \"{0}\"; prio 8; budget 1ms/10ms; uses i: I }} }} connect {{ call c.i -> s.i }}")


def test_a_program_with_another_interface_is_refused(tmp_path, programs):
    """Also when it is not the first component with that program."""
    theirs = meaning(interface_of(tmp_path, DIFFERENT["length"][0]))
    (tmp_path / "good.elf").write_bytes(default_elf(meanings=["interface Other @1", meaning(interface_of(tmp_path, BASE))]))
    (tmp_path / "bad.elf").write_bytes(default_elf(meanings=[theirs]))
    (tmp_path / "both.elf").write_bytes(default_elf(meanings=[theirs, meaning(interface_of(tmp_path, BASE))]))
    (tmp_path / "a.elf").write_bytes(default_elf())
    load_good(tmp_path, PAIR.format("good.elf", ""), tmp_path)
    _, diagnostics = load(tmp_path, PAIR.format("bad.elf", ""), tmp_path)
    assert [item.check for item in diagnostics.errors] == ["interface-meaning"]
    assert "method 'n': 'b' is in bytes[9] (number 1) in the program, in bytes[8] (number 1) here" in diagnostics.render()
    _, diagnostics = load(tmp_path, PAIR.format("both.elf", ""), tmp_path)
    assert "was compiled with two different interfaces I" in diagnostics.render()


def test_programs_are_told_interface_and_hash(tmp_path, programs):
    load_good(tmp_path, PAIR.format("a.elf", " @2"), programs)
    expected = meaning_hash(meaning(interface_of(tmp_path, BASE)))
    assert told(tmp_path, "c")[USES, "i"][1:] == (expected, 0, "I")
    assert told(tmp_path, "s")[PROVIDES, "i"] == (1, expected, 0, "I")


def test_a_port_may_ask_for_a_version(tmp_path, programs):
    load_good(tmp_path, PAIR.format("a.elf", "@2"), programs)
    _, diagnostics = load(tmp_path, PAIR.format("a.elf", "@1"), programs)
    assert [item.check for item in diagnostics.errors] == ["unknown-interface"]
    assert "'s.i' wants I @1, and version @2 is described at" in diagnostics.render()


SYNTAX = [
    ("interface I @0 { }", "version 0 is out of range (1 to 65535)"),
    ("interface I @x { }", "expected the interface's version"),
    ("interface I@x { }", "'I@x' cannot be the interface's name"),
    ("interface I { struct S { } }", "the struct 'S' has no fields"),
    ("interface I { struct S { S s } }", "unknown type 'S'"),
    ("interface I { struct u8 { u8 s } }", "'u8' is a type of the language"),
    ("interface I { struct S { bytes[3] b } }", "a struct cannot hold bytes[3]"),
    ("interface I { struct S { cap b } }", "a struct cannot hold cap"),
    ("interface I { m(in S s) struct S { u8 a } }", "a struct stands before its use"),
    ("interface I { m(in u8[0] a) }", "u8[0] is out of range"),
    ("interface I { m(in cap[2] a) }", "expected the parameter's name"),
    ("interface I { m(inout cap a) }", "a capability travels one way"),
    ("interface I { m() -> u8[2] }", "use an 'out' parameter for u8[2]"),
    ("interface I { m() idempotent idempotent }", "'idempotent' is said twice"),
    ("interface I { m() wcet 5 }", "expected a unit of time"),
]


@pytest.mark.parametrize(("text", "message"), SYNTAX)
def test_interface_syntax(text, message, tmp_path, programs):
    _, diagnostics = load(tmp_path, HEAD + text, programs)
    assert message in diagnostics.render()


def test_words_of_promises_may_name_methods(tmp_path):
    interface = interface_of(tmp_path, "interface I { idempotent() wcet() idempotent wcet 3ms struct() }")
    assert [(item.name, item.idempotent, item.wcet) for item in interface.methods] == [("idempotent", False, None), ("wcet", True, 3000),
                                                                                       ("struct", False, None)]


# Size -----------------------------------------------------------------------------------------------------------------------------------

def test_channels_and_components_have_no_limit(tmp_path, programs):
    """One server with hundreds of clients, each with calls, signals and shared memory of its own; and a client of hundreds of servers."""
    count = 300
    items = 'elf "a.elf"; prio 9; budget 5ms/5ms; '
    clients = "".join(f"c{i} = component {{ {items}uses ask: I; emits kick; region ring }} " for i in range(count))
    servers = "".join(f"s{i} = component {{ {items}provides i: I }} " for i in range(count))
    hub = "hub = component { " + items + "provides i: I; consumes kick; " + "".join(f"region r{i}; " for i in range(count)) + "} "
    caller = "caller = component { " + items + "".join(f"uses u{i}: I; " for i in range(count)) + "} "
    connect = "".join(f"call c{i}.ask -> hub.i notify c{i}.kick -> hub.kick shared c{i}.ring -> hub.r{i} (4k, from: RW, to: RW) call caller.u{i} -> s{i}.i "
                      for i in range(count))
    spec = load_good(tmp_path, f"{HEAD}interface I {{ m() }} components {{ {hub}{caller}{clients}{servers} }} connect {{ {connect} }}", programs)
    assert len(spec.components) == 2 * count + 2
    clients_of_hub = [entry for (kind, _), entry in told(tmp_path, "hub").items() if kind == CLIENT]
    assert len({badge for _, _, badge, _ in clients_of_hub}) == count
    regions = [value for (kind, _), (value, _, _, _) in told(tmp_path, "hub").items() if kind == REGION]
    assert len(set(regions)) == count and any(address >= 1 << 32 for address in regions)
    assert sum(cap.object.startswith("s") for cap in spec.objects["caller_cnode"].slots.values()) == count
    spaces = [item.name for item in spec.objects.values() if item.type == "pgd"]
    pooled = [cap.object for item in spec.objects.values() if item.type == "asid_pool" for cap in item.slots.values()]
    assert len(set(spaces) - set(pooled)) == LOADER_POOL_FREE and len(pooled) == len(set(pooled)) == len(spaces) - LOADER_POOL_FREE


def test_signals_have_no_limit(tmp_path, programs):
    """One component consumes 10,000 kinds of signals, more than its notification and a notification for each of its bits have, and another one emits them:
    more connections than the usual place of what components are told holds."""
    count = 10_000
    ear = "ear = component { " + ITEMS + "".join(f"consumes k{i}; " for i in range(count)) + "} "
    voice = "voice = component { " + ITEMS + "".join(f"emits o{i}; " for i in range(count)) + "} "
    connect = "".join(f"notify voice.o{i} -> ear.k{i} " for i in range(count))
    spec = load_good(tmp_path, f"{HEAD} components {{ {ear}{voice} }} connect {{ {connect} }}", programs)
    of_ear, of_voice = told(tmp_path, "ear"), told(tmp_path, "voice")
    arrivals = [of_ear[CONSUMES, f"k{i}"] for i in range(0, count, 7)]
    assert len({(mask, bank, bit) for mask, bank, bit, _ in arrivals}) == len(arrivals)
    assert all(mask.bit_count() == 1 and bit.bit_count() == 1 for mask, bank, bit, _ in arrivals if bank)
    held = spec.objects["voice_cnode"].slots
    for i in range(0, count, 7):
        first, second, _, _ = of_voice[EMITS, f"o{i}"]
        mask, bank, bit, _ = arrivals[i // 7]
        bells = [(held[slot].object, held[slot].badge) for slot in (first, second) if slot]
        own = ("ear_ntfn", mask)
        assert bells == ([(spec.objects["ear_cnode"].slots[bank].object, bit), own] if bank else [own])
    for name in ("ear", "voice"):
        start, = spec.objects[f"{name}_tcb"].params["init"]
        assert start >= 1 << 32 and f"{name}_frame_{start:x}" in spec.objects


# Capabilities ---------------------------------------------------------------------------------------------------------------------------

CAPS = HEAD + ("interface Give { give(in cap c) } interface Get { get(out cap c) } interface Plain { m() } components { "
               "s = component { " + ITEMS + "provides give: Give; provides get: Get; provides plain: Plain } "
               "a = component { " + ITEMS + "uses give: Give; uses plain: Plain } "
               "b = component { " + ITEMS + "uses get: Get; receive 3 } } "
               "connect { call a.give -> s.give call a.plain -> s.plain call b.get -> s.get }")


def test_who_passes_capabilities_may_grant_and_who_gets_them_has_slots(tmp_path, programs):
    spec = load_good(tmp_path, CAPS, programs)
    slots = {name: spec.objects[f"{name}_cnode"].slots for name in "sab"}
    assert slots["s"][1].rights == "RG"
    assert [slots["a"][told(tmp_path, "a")[USES, name][0]].rights for name in ("give", "plain")] == ["WGP", "WP"]
    assert slots["b"][told(tmp_path, "b")[USES, "get"][0]].rights == "WP"
    assert (RECEIVE, "caps") not in told(tmp_path, "a")
    for name, count in (("s", 8), ("b", 3)):
        own, size, first, _ = told(tmp_path, name)[RECEIVE, "caps"]
        assert size == count and not any(slot in slots[name] for slot in range(first, first + count))
        cap = slots[name][own]
        assert cap.object == f"{name}_cnode" and cap.guard_size == 64 - spec.objects[cap.object].size_bits
        assert first + count <= 1 << spec.objects[cap.object].size_bits


GRANTS = HEAD + ("objects { u = ut (16 bits) f[3] = frame (4k) n = notification e = ep } components { "
                 "a = component { " + ITEMS + "{} } b = component { " + ITEMS + "provides i: I } } interface I { m() }")


def granted(folder, programs, text):
    """(entry, capabilities) of the grants of component a."""
    spec = load_good(folder, GRANTS.replace("{}", text, 1), programs)
    slots = spec.objects["a_cnode"].slots
    return {name: [slots[value + index] for index in range(size)] for (kind, name), (value, size, _, _) in told(folder, "a").items() if kind == GRANT}


def test_grants_of_every_kind(tmp_path, programs):
    caps = granted(tmp_path, programs, "grant memory: u; grant pages: f[1..2] (RW); grant all: f[] (R); grant wake: n (W, badge: 6); "
                   "grant ask: b_ep (WG, badge: 9); grant thread: b_tcb; grant time: b_sc; "
                   "grant names: b_cnode (guard: 1, guard_size: 3); grant space: b_vspace; "
                   "grant irqs: irq_control; grant core: sched_control (core: 1); grant asids: asid_control; grant domains: domain; grant self: a_tcb;")
    assert [cap.object for cap in caps["pages"]] == ["f[1]", "f[2]"] and [cap.rights for cap in caps["all"]] == ["R"] * 3
    assert (caps["wake"][0].object, caps["wake"][0].rights, caps["wake"][0].badge) == ("n", "W", 6)
    assert (caps["ask"][0].object, caps["ask"][0].rights, caps["ask"][0].badge) == ("b_ep", "WG", 9)
    assert [caps[name][0].object for name in ("memory", "thread", "time", "space", "self")] == ["u", "b_tcb", "b_sc", "b_vspace", "a_tcb"]
    assert (caps["names"][0].guard, caps["names"][0].guard_size) == (1, 3)
    assert [caps[name][0].built_in for name in ("irqs", "core", "asids", "domains")] == ["irq_control", "sched_control", "asid_control", "domain"]
    assert caps["core"][0].core == 1


GRANT_ERRORS = [
    ("grant a: nothing", "unknown-name", "unknown object 'nothing'"),
    ("grant a: b_tbc", "unknown-name", "did you mean 'b_tcb'?"),
    ("grant a: f (RW)", "unknown-name", "'f' is an array"),
    ("grant a: f[3] (RW)", "array-bounds", "reaches past the array"),
    ("grant a: n", "grant-rights", "says no rights to 'n' (notification)"),
    ("grant a: u (RW)", "cap-parameters", "has no meaning for a capability to 'u'"),
    ("grant a: sched_control", "cap-parameters", "needs the parameter 'core'"),
    ("grant a: u; grant a: u", "component-names", "has two grants 'a'"),
    ("grant a", "syntax", "expected ':' and an object"),
    ("receive 65", "component-ranges", "receive 65 is out of range (1 to 64 slots)"),
]


@pytest.mark.parametrize(("text", "check", "message"), GRANT_ERRORS)
def test_grants_that_cannot_be(text, check, message, tmp_path, programs):
    _, diagnostics = load(tmp_path, GRANTS.replace("{}", text, 1), programs)
    assert [item.check for item in diagnostics.errors] == [check] and message in diagnostics.render(), diagnostics.render()


# Constants and parameters ---------------------------------------------------------------------------------------------------------------

def test_constants_stand_for_values_with_units(tmp_path, programs):
    spec = load_good(tmp_path, """caprock 1 arch aarch64
const ring = 8k const prio_a = 77 const slice = 500us const second = 1s; const file = "b.elf" const copy = ring
const shared_prio = prio_a const index = 0x9
objects { e = notification c = cnode (3 bits) } caps { c { 2: e (W, badge: index) } }
components {
  a = component {
    elf "a.elf"; prio prio_a; budget slice/second; stack ring; heap copy; args { size: ring, time: slice, file: file, n: 3, s: "x", t: 2ms } region r
  }
  b = component { elf "a.elf"; prio shared_prio; budget slice/10ms; region r }
}
connect { shared a.r -> b.r (ring, from: RW, to: R) }""", programs)
    assert spec.objects["a_tcb"].params["prio"] == spec.objects["b_tcb"].params["prio"] == 77
    assert spec.objects["a_sc"].params == {"period": 1_000_000, "budget": 500}
    assert spec.objects["c"].slots[2].badge == 9
    assert {name: entry[0] for (kind, name), entry in told(tmp_path, "a").items() if kind == 10} == {
        "size": 8192, "time": 500, "file": 0, "n": 3, "s": 0, "t": 2000}
    assert told(tmp_path, "a")[5, "r"][1] == 8192


ONE = "components { a = component { elf \"a.elf\"; prio p; budget 1ms/q } }"
CONSTANT_ERRORS = [
    ("const p = 3 const ¦p = 4", "the name 'p' stands for 3 already, since"),
    ("const p = ¦q", "expected a number, or a text in double quotes, found 'q'"),
    ("const p = 1ms const q = 2ms components { a = component { prio ¦p } }", "expected a number, and 'p' is 1000 us"),
    ("const p = 3 const q = 7 components { a = component { prio 1; budget 1ms/¦q } }", "expected a duration (1ms), and 'q' is 7"),
    ("const period = 3 components { a = component { prio ¦perod } }", "did you mean 'period'?"),
    ("const p = ¦1000000000000000000s", "the value does not fit 64 bits"),
    ("parameter ¦p", "the parameter 'p' has no value"),
    ("const ¦a-b = 3", "cannot be the constant's name"),
    ("const p ¦3", "expected '=' after the constant's name"),
    ("const p = ¦;", "expected a number"),
    ("components { a = component { prio ¦p } } const p = 3", "expected a number, found 'p'"),
]


@pytest.mark.parametrize(("text", "message"), CONSTANT_ERRORS)
def test_constants_that_cannot_be(text, message, tmp_path, programs):
    column = len("caprock 1 ") + text.index("¦") + 1
    _, diagnostics = load(tmp_path, "caprock 1 " + text.replace("¦", ""), programs)
    assert any(message in item.message and item.place.column == column for item in diagnostics.errors), diagnostics.render()


def write_part(folder, text="parameter p = 5 parameter q = 10ms " + ONE):
    """An included file with parameters."""
    (folder / "part.cdl").write_text("caprock 1 " + text, encoding="utf-8")


def test_parameters_are_set_by_the_including_file_and_the_command_line(tmp_path, programs):
    write_part(tmp_path)
    def prio_and_period(spec):
        return spec.objects["a_tcb"].params["prio"], spec.objects["a_sc"].params["period"]
    assert prio_and_period(load_good(tmp_path, 'caprock 1 include "part.cdl"', programs)) == (5, 10_000)
    assert prio_and_period(load_good(tmp_path, 'caprock 1 include "part.cdl" (p: 6, q: 1s)', programs)) == (6, 1_000_000)
    assert prio_and_period(load_good(tmp_path, 'caprock 1 const x = 9 include "part.cdl" (p: x)', programs, settings=["q=20ms"])) == (9, 20_000)
    write_part(tmp_path, "parameter p parameter q = 10ms " + ONE)
    assert prio_and_period(load_good(tmp_path, 'caprock 1 include "part.cdl"', programs, settings=["p=0x21"])) == (33, 10_000)
    # What an included file declares is known behind the include.
    write_part(tmp_path, "const p = 44")
    assert prio_and_period(load_good(tmp_path, 'caprock 1 include "part.cdl" ' + ONE.replace("/q", "/5ms"), programs)) == (44, 5_000)


@pytest.mark.parametrize(("text", "settings", "message"), [
    ('include "part.cdl" (r: 1)', [], "part.cdl has no parameter 'r'"),
    ('include "part.cdl" (p: 6) include "part.cdl" (p: 7)', [], "'p' of part.cdl was set to 6 before"),
    ('include "part.cdl" (p: 6ms)', [], "the parameter 'p' is a number (5), but 6000 us was given"),
    ('include "part.cdl"', ["r=1"], "--set r: the description has no parameter 'r'"),
    ('include "part.cdl"', ["p"], "--set p: expected NAME=VALUE"),
    ('include "part.cdl"', ["p=1 2"], "--set p=1 2: the value is none"),
    ('include "part.cdl"', ["p=x"], "--set p=x: the value is none"),
    ('include "part.cdl"', ['p="x"'], "is a number (5), but \"x\" was given"),
])
def test_settings_that_cannot_be(text, settings, message, tmp_path, programs):
    write_part(tmp_path)
    _, diagnostics = load(tmp_path, "caprock 1 " + text, programs, settings=settings)
    assert not diagnostics.ok and message in diagnostics.render(), diagnostics.render()


def test_includes_nest_to_a_depth(tmp_path, programs):
    for number in range(40):
        (tmp_path / f"part{number}.cdl").write_text(f'caprock 1 include "part{number + 1}.cdl"', encoding="utf-8")
    _, diagnostics = load(tmp_path, 'caprock 1 include "part0.cdl"', programs)
    assert [item.check for item in diagnostics.errors] == ["include"] and "nest deeper than 32 files" in diagnostics.render()


def test_the_formatter_needs_no_included_file(tmp_path):
    from capdl import driver
    from capdl.diagnostics import Diagnostics
    (tmp_path / "alone.cdl").write_text('caprock 1 include "nowhere.cdl" components { a = component { prio p; budget q/r; args { a: b } } }', encoding="utf-8")
    diagnostics = Diagnostics()
    driver.read_file(tmp_path / "alone.cdl", diagnostics)
    assert diagnostics.ok, diagnostics.render()
