# SPDX-License-Identifier: BSD-2-Clause
"""Lexing and parsing: tokens, comments, numbers, the syntax tree, formatting, speed by counting, and no crash on any input."""

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capdl import syntax
from capdl.compat.verdict import judge
from capdl.diagnostics import Diagnostics, Source
from capdl.driver import load_text
from capdl.formatting import format_text
from capdl.lexer import Tokens, number_value
from capdl.parsing import parse_text
from capdl.printing import canonical_text
from capdl_support import GOLDEN, ROOT
from robustness import examine_file, examine_text


def test_tokens():
    """Names contain - _ @ and dots; ranges are no dots of names; comments nest."""
    tokens = Tokens("a-b.c@1 [3..0x1F] /* x /* y */ \" */ -> 4k -- rest\n<é>;")
    assert tokens.texts == ["a-b.c@1", "[", "3", "..", "0x1F", "]", "->", "4", "k", "<", "é", ">", ";", "", ""]
    assert tokens.kinds[:6] == ["name", "[", "number", "..", "number", "]"]
    assert tokens.kinds[-2:] == ["end", "end"] and tokens.unclosed_comment is None


def test_unclosed_comment():
    """The place of the outermost open comment is kept."""
    assert Tokens("a /* b /* c */ d").unclosed_comment == 2


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("010", 10), ("0x1f", 31), ("0XFF", 255), ("0o17", 15), ("0O7", 7),
                                             ("18446744073709551615", (1 << 64) - 1)])
def test_numbers(text, value):
    """A leading zero means nothing."""
    assert number_value(text) == value
    spec, diagnostics = load_text(f"arch aarch64 objects {{ t = tcb (init: [{text}]) }}")
    assert diagnostics.ok and spec.objects["t"].params["init"] == (value,)


def test_names_may_be_keywords():
    """Only `objects` and `caps` are reserved."""
    words = ("ep", "tcb", "arch", "irq", "cdt", "domains", "cspace", "bits", "R", "child_of", "maps", "components", "connect", "caprock")
    objects = " ".join(f"{word} = ep" for word in words)
    text = f"arch aarch64 objects {{ {objects} c = cnode (4 bits) }} caps {{ c {{ {' '.join(words)} }} }}"
    spec, diagnostics = load_text(text)
    assert diagnostics.ok, diagnostics.render()
    assert [cap.object for cap in spec.objects["c"].slots.values()] == list(words)


def test_sections_repeat():
    """Sections come in any order and more than once."""
    spec, diagnostics = load_text("arch aarch64 caps { c { e } } objects { c = cnode (1 bits) } caps { c { 1: e } } objects { e = ep }")
    assert diagnostics.ok and sorted(spec.objects["c"].slots) == [0, 1]


def test_slot_counting():
    """An entry without a slot takes the next one; an array takes as many as it has elements."""
    spec, diagnostics = load_text("arch aarch64 objects { a[3] = ep e = ep c = cnode (5 bits) } caps { c { a[]; e 7: e a[2..1] e } }")
    assert diagnostics.ok
    assert {slot: cap.object for slot, cap in spec.objects["c"].slots.items()} == {
        0: "a[0]", 1: "a[1]", 2: "a[2]", 3: "e", 7: "e", 8: "a[2]", 9: "a[1]", 10: "e"}


def test_rights():
    """X is G, order and repetition mean nothing, and letters may stand apart."""
    spec, diagnostics = load_text("arch aarch64 objects { e = ep c = cnode (3 bits) } caps { c { e (P W R) e (XX) e (GR, W) e } }")
    assert diagnostics.ok
    assert [cap.rights for cap in spec.objects["c"].slots.values()] == ["RWP", "G", "RWG", ""]


def test_arrays_of_containers():
    """The entries of an array's declaration go into each element."""
    spec, diagnostics = load_text("arch aarch64 objects { e = ep c[3] = cnode (1 bits) } caps { c[1..] { name = e } c[0] { 0: <name> } }")
    assert diagnostics.ok, diagnostics.render()
    assert [spec.objects[f"c[{index}]"].slots[0].object for index in range(3)] == ["e", "e", "e"]


def test_covers_by_path():
    """a/b/c: a covers b, and b covers c; untypeds named only so exist."""
    spec, diagnostics = load_text("arch aarch64 objects { a/b/c = ep x = ut { d/e = ep y[2] = ep } }")
    assert diagnostics.ok, diagnostics.render()
    assert {name: item.children for name, item in spec.objects.items() if item.children} == {
        "a": ["b"], "b": ["c"], "x": ["d", "y[0]", "y[1]"], "d": ["e"]}


def test_interface_tree():
    """What the generator of stubs stands on."""
    diagnostics = Diagnostics()
    module = parse_text("caprock 1 interface Greeter { greet(in u64 number) -> u64   log(in bytes[64] text, inout bool b); none() }",
                        diagnostics)
    assert diagnostics.ok
    greet, log, none = module.interfaces[0].methods
    assert (greet.name, greet.returns) == ("greet", syntax.Type("u64"))
    assert [(item.direction, str(item.type), item.name) for item in log.parameters] == [("in", "bytes[64]", "text"), ("inout", "bool", "b")]
    assert none.parameters == [] and none.returns is None


# Formatting -----------------------------------------------------------------------------------------------------------------------------

def test_format():
    """Indentation by brackets; comments and line breaks stay."""
    text = "caprock 1   \n\n\n\ncomponents {\n a = component {\nprio 1  -- {\n/* {\n   inner\n*/\n}\n  }\n\n"
    assert format_text(text) == ("caprock 1\n\ncomponents {\n  a = component {\n    prio 1  -- {\n    /* {\n       inner\n    */\n  }\n}\n")


@pytest.mark.parametrize("path", sorted([*GOLDEN.glob("*.cdl"), *(ROOT / "systems").glob("*.cdl"),
                                         *(ROOT / "userland" / "interfaces").glob("*.cdl")]), ids=lambda path: path.name)
def test_files_are_formatted(path):
    """The project's own files have the uniform shape."""
    assert format_text(path.read_text()) == path.read_text()


LINES = st.lists(st.sampled_from(["a = {", "}", "/* x", "*/", "-- {", "  \"{\" (", ")", "", "\tb", "} } {", "/* {\n */ [", "]"]),
                 max_size=30)


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_format_is_idempotent(lines):
    """Formatted text stays as it is, and only white space changes."""
    text = "\n".join(lines)
    formatted = format_text(text)
    assert format_text(formatted) == formatted
    assert "".join(formatted.split()) == "".join(text.split())


# Any input ------------------------------------------------------------------------------------------------------------------------------

WORDS = ["arch", "aarch64", "objects", "caps", "irq maps", "cdt", "domains", "{", "}", "(", ")", "[", "]", "<", ">", "=", ":", ";", ",",
         "..", "/", "-", "- child_of", "->", ".", "a", "b", "c", "e[2]", "a[]", "ep", "tcb", "cnode", "ut", "frame", "pt", "pgd", "irq",
         "sc", "4k", "8 bits", "3", "0x10", "99999999999999999999", "cspace", "RW", "badge", "masked", "guard", "mapping", "reply",
         "paddr", "fill", "{0 1 x y 2}", "schedule", "caprock", "1", "include", "\"x\"", "interface", "components", "component",
         "connect", "call", "notify", "shared", "a.b", "prio", "budget", "1ms", "elf", "uses", "provides", "region", "emits", "device",
         "/*", "*/", "--", "\n", "é", "\""]


def run(text):
    """Everything that holds for any text."""
    examine_file(text.encode("utf-8", "replace"))
    examine_text(text)


FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_random_words(words):
    """Words of the language in any order crash nothing."""
    run(" ".join(words))


@FUZZ
@given(st.text(max_size=200))
def test_random_text(text):
    """Any text crashes nothing, nor does it behind a good beginning."""
    run(text)
    run("arch aarch64 objects { " + text)


@FUZZ
@given(st.sampled_from(sorted(GOLDEN.glob("*.cdl"))), st.data())
def test_damaged_systems(path, data):
    """Good systems with a part removed, repeated or replaced crash nothing."""
    text = path.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 60, len(text))))
    run(text[:start] + data.draw(st.sampled_from(["", text[start:end] * 2, " ", *WORDS])) + text[end:])


NAMES = ["a", "b", "c", "d"]
OBJECTS = st.lists(st.sampled_from(["ep", "notification", "tcb", "cnode (2 bits)", "frame (4k)", "pt", "pd", "pud", "pgd", "irq",
                                    "ut (14 bits)", "rtreply", "sc (8 bits, period: 2, budget: 1)"]), min_size=4, max_size=4)
TARGETS = st.sampled_from(NAMES + ["a (RW)", "b (badge: 3)", "c (guard: 1, guard_size: 2)", "<n>", "n = a", "irq_control",
                                   "d - child_of (a, 0)"])
CONTAINERS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 4), TARGETS), max_size=8)


@FUZZ
@given(OBJECTS, CONTAINERS)
def test_small_systems(types, caps):
    """Well-formed small systems are accepted or refused, and what is accepted prints as itself."""
    objects = " ".join(f"{name} = {kind}" for name, kind in zip(NAMES, types))
    entries = " ".join(f"{container} {{ {slot}: {target} }}" for container, slot, target in caps)
    run(f"arch aarch64 objects {{ {objects} }} caps {{ {entries} }}")


# Speed ----------------------------------------------------------------------------------------------------------------------------------

def large_system(count):
    """`count` frames with as many capabilities in page tables."""
    tables = (count + 499) // 500
    frames = "".join(f"frame_of_a_component_{index:05} = frame (4k)\n" for index in range(count))
    caps = "".join(f"pt_{table} {{\n" + "".join(f"{slot:#x}: frame_of_a_component_{table * 500 + slot:05} (RW)\n"
                                               for slot in range(min(500, count - table * 500))) + "}\n" for table in range(tables))
    table_objects = "".join(f"pt_{table} = pt\n" for table in range(tables))
    return f"arch aarch64\nobjects {{\n{frames}{table_objects}}}\ncaps {{\n{caps}}}\n"


def check_and_print(text):
    """What `elaborate` does."""
    spec, diagnostics = load_text(text, loadable=False)
    assert diagnostics.ok and canonical_text(spec).count("(RW)") == text.count("(RW)")


def judge_it(text):
    """What `check --compat` does beside."""
    assert judge(Source("<text>", text)).ok


def format_it(text):
    """What `fmt` does beside."""
    assert format_text(text).count("(RW)") == text.count("(RW)")


def calls_for(work, count):
    """Function calls, Python's and built-in ones, that work on a system of `count` frames takes."""
    text = large_system(count)
    calls = 0

    def count_call(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")
    sys.setprofile(count_call)
    try:
        work(text)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("work", [check_and_print, judge_it, format_it])
def test_work_grows_linearly(work):
    """Twice the system is twice the work, and 20,000 frames stay within what takes two seconds (some four million calls)."""
    small, large = calls_for(work, 1000), calls_for(work, 2000)
    assert large < 2.1 * small
    assert large * 10 < 6_000_000
