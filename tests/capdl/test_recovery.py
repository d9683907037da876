# SPDX-License-Identifier: BSD-2-Clause
"""Syntax errors do not hide other errors, and are not followed by findings that are due to them alone."""

import os
import random
import re

import pytest
from capdl_support import ROOT

from capdl import driver
from capdl.lexer import Tokens

SEED = int(os.environ.get("CAPROCK_SEED", "1"))
TRIALS = 300
SYSTEMS = ("echo", "hello", "passive", "timer")
# What a token is replaced by: nothing, what no grammar has, braces that do not match, an end, itself twice, a number that fits nowhere.
REPLACEMENTS = ("", "%", "{", "}", ";", None, "99999999999999999999")
OF_SYNTAX = ("syntax", "number-range")
PLAIN = """arch aarch64
objects {
  thread = tcb (addr: 0x10000000, ip: 0x400000, sp: 0x8000000, prio: 100, max_prio: 100, affinity: 0, resume: True)
  context = sc (8 bits, period: 10000, budget: 2000)
  node = cnode (4 bits)
  space = pgd
  upper = pud middle = pd lower = pt
  code[2] = frame (4k)
  buffer = frame (4k)
  requests = ep
  clock = arm_irq (trigger: level, target: 0)
  n = notification
  pool = ut (16 bits) { spare = ep  extra[4] = frame (4k) }
}
caps {
  thread { cspace: node (guard_size: 60) vspace: space ipc_buffer_slot: buffer sc_slot: context }
  node {
    1: inbox = requests (RWGP)
    2: requests (WGP, badge: 7)
    3: <inbox>
    4: spare (R) - child_of outbox
    5: outbox = spare (RW)
    6: clock
  }
  clock { 0: n (badge: 1) }
  space { 0: upper }
  upper { 0: middle }
  middle { 2: lower }
  lower { 0: code[] (RX) 0x100: buffer (RW) }
}
irq maps { 34: clock }
cdt { (node, 1) { (node, 2) } }
domains { schedule: [(5, 1000 us), (0, 400000 ticks)] }
"""
# Description, and the codes of what is found, in order.
BOTH = {
    "in_one_block": ("arch aarch64 objects {\n  a = ep (\n  b = frame (3k)\n  c = ep\n  c = ep\n}", ["syntax", "duplicate-name"]),
    "in_the_same_container": (
        "arch aarch64 objects { n = cnode (2 bits) e = ep }\ncaps {\n  n {\n    0: e (R\n    1: e (R)\n    9: e (R)\n    2: other\n  }\n}",
        ["syntax", "unknown-name"]),
    "a_damaged_name_is_not_missing": ("arch aarch64 objects {\n  n = cnode (2 bits)\n  e = = ep\n}\ncaps { n { 0: e (R) } }", ["syntax"]),
    "another_one_is": ("arch aarch64 objects {\n  n = cnode (2 bits)\n  e = = ep\n}\ncaps { n { 0: e (R)\n 1: f (R) } }", ["syntax", "unknown-name"]),
    "a_damaged_constant": ("caprock 1\narch aarch64\nconst SIZE = =\nmemory { SIZE at 0x40000000 }\nobjects { f = frame (3k) }", ["syntax", "frame-size"]),
    "a_damaged_struct": ("caprock 1\narch aarch64\ninterface I {\n  struct S { u8 }\n  m(in S s)\n  k(in u8 a)\n}\nobjects { e[0] = ep }",
                         ["syntax", "empty-array"]),
    "a_missing_file": ("caprock 1\narch aarch64\ninclude \"absent.cdl\"\nobjects { f = frame (3k) }\ncaps { g { } }", ["include", "frame-size"]),
    "an_item_of_a_component": ("caprock 1\narch aarch64\ncomponents {\n  a = component {\n    elf \"a.elf\"\n    prio = 3\n    budget 1ms/10ms\n  }\n"
                               "  b = component { elf \"b.elf\"; prio 300; budget 1ms/10ms }\n}\nconnect { call a.x -> b.y }",
                               ["syntax", "component-ranges"]),
}


def codes(path, text):
    """The codes of what is found in a description, in order of places."""
    path.write_text(text, encoding="utf-8")
    return [finding.check for finding in driver.load(path, partial=True)[1].ordered()]


@pytest.mark.parametrize("name", BOTH)
def test_both_kinds_are_found(name, tmp_path):
    text, expected = BOTH[name]
    assert codes(tmp_path / "system.cdl", text) == expected


def damages(text):
    """A sample of the descriptions that differ from this one by a token: (the description, what was changed)."""
    tokens = Tokens(text)
    places = list(zip(tokens.texts, tokens.offsets))[:-2]
    for _ in range(TRIALS):
        (token, offset), by = random.choice(places), random.choice(REPLACEMENTS)
        yield f"{text[:offset]} {f'{token} {token}' if by is None else by} {text[offset + len(token):]}", f"{token} at {offset} became {by}"


@pytest.mark.parametrize("name", (*SYSTEMS, "plain"))
def test_nothing_else_is_found_in_what_was_right(name, tmp_path):
    """A system without errors, but for a damaged token: where that is an error of syntax there are no others."""
    random.seed(SEED)
    text = PLAIN if name == "plain" else (ROOT / "systems" / f"{name}.cdl").read_text(encoding="utf-8")
    path = tmp_path / "system.cdl"
    assert codes(path, text) == []
    tried = 0
    for damaged, what in damages(text):
        found = codes(path, damaged)
        if set(found) & set(OF_SYNTAX):
            tried += 1
            assert set(found) <= {*OF_SYNTAX, "include", "constant"}, what
    assert tried > TRIALS / 2
