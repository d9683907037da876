# SPDX-License-Identifier: BSD-2-Clause
"""From a description to the root task: what the loader is told, what is refused, and that the image is the same wherever it is built."""

import os
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from capdl import driver, emit, lower
from capdl.diagnostics import CapdlError

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
needs_build = pytest.mark.skipif(not (BUILD / "capdl" / "libloader.a").is_file(), reason="the project is not built")

TABLES = """
  v = pgd
  v1 = pud
  v2 = pd
  v3 = pt
"""
TREE = "v { 0: v1 } v1 { 0: v2 } v2 { 2: v3 }"


def load(objects, caps="", irqs="", folder=None, rest="", head=""):
    """The Spec of a plain description, which must be sound. head: what stands before it. rest: further sections."""
    text = f"{head}arch aarch64\nobjects {{ {objects} }}\ncaps {{ {caps} }}\n" + (f"irq maps {{ {irqs} }}\n" if irqs else "") + rest
    if folder is None:
        spec, diagnostics = driver.load_text(text, "system", loadable=True)
    else:
        (folder / "system.cdl").write_text(text, encoding="utf-8")
        spec, diagnostics = driver.load(folder / "system.cdl")
    assert diagnostics.ok, diagnostics.render()
    return spec


def tables_of(objects, caps="", irqs="", **more):
    """The LoaderTables of a plain description; more: as of load."""
    return lower.lower(load(objects, caps, irqs, **more))


def names(tables, *indices):
    """Names of objects by index."""
    return [None if index == lower.NONE else tables.names[index] for index in indices]


# Objects --------------------------------------------------------------------------------------------------------------------------------

def test_every_type_has_its_kernel_object_and_size():
    tables = tables_of("a = ep b = notification c = cnode (7 bits) d = tcb e = sc (9 bits, period: 10, budget: 5, data: 0) f = rtreply "
                       "g = frame (4k) h = frame (2M) i = frame (1G) j = pgd k = pt l = asid_pool m = frame (4k, paddr: 0x9000000)")
    found = {item.name: (item.type, item.bits, item.paddr) for item in tables.objects}
    assert found == {
        "a": ("Endpoint", 4, None), "b": ("Notification", 6, None), "c": ("CNode", 12, None), "d": ("TCB", 11, None),
        "e": ("SchedContext", 9, None), "f": ("Reply", 5, None), "g": ("SmallPage", 12, None), "h": ("LargePage", 21, None),
        "i": ("HugePage", 30, None), "j": ("VSpace", 12, None), "k": ("PageTable", 12, None), "l": ("Untyped", 12, None),
        "m": ("SmallPage", 12, 0x9000000), lower.VAULT_NAME: ("CNode", 10, None)}
    assert names(tables, *tables.asid_pools) == ["l"]
    assert tables.names == [item.name for item in tables.objects] + [lower.CONSOLE_NAME]
    assert tables.object_count == 13


def test_an_untyped_that_is_held_contains_its_children():
    tables = tables_of("u = ut (16 bits) { w = ut (14 bits) { f = frame (4k) } e = ep } n = notification c = cnode (4 bits)",
                       "c { 0: u  1: w }")
    groups = [(names(tables, group.parent)[0], [item.name for item in tables.objects[group.first:group.first + group.count]])
              for group in tables.groups]
    assert groups == [(None, ["u", "n", "c", lower.VAULT_NAME]), ("u", ["w", "e"]), ("w", ["f"])]
    assert tables.groups[0].first + tables.groups[0].count == len(tables.objects)


def test_an_untyped_that_nobody_holds_leaves_its_children_to_the_one_around_it():
    tables = tables_of("u = ut (16 bits) { w = ut (14 bits) { f = frame (4k) } } c = cnode (4 bits)", "c { 0: u }")
    assert [(names(tables, group.parent)[0], group.count) for group in tables.groups] == [(None, 3), ("u", 1)]
    tables = tables_of("u = ut (16 bits) { f = frame (4k) } c = cnode (4 bits)")
    assert [item.name for item in tables.objects] == ["f", "c", lower.VAULT_NAME]


def test_the_vault_has_room_for_everything():
    for count in (1, 11, 12, 13, 27, 28, 29, 500):
        tables = tables_of(f"e[{count}] = ep")
        kept = len(tables.names) + len(tables.frame_mappings) + 2
        assert 1 << (tables.objects[tables.vault].bits - 5) >= kept


def test_runs_of_fixed_addresses():
    def run(*addresses):
        return lower.fixed_runs([lower.MemoryObject("f", "SmallPage", 12, address) for address in addresses])
    assert run() == 0
    assert run(None, None) == 0
    assert run(0x1000, None, 0x2000, 0x0) == 1
    assert run(0x1000, 0x3000) == 2


# Memory ---------------------------------------------------------------------------------------------------------------------------------

def test_address_spaces_are_built_from_the_top():
    tables = tables_of(TABLES + "f = frame (4k) g = frame (2M) h = frame (1G)",
                       TREE + " v1 { 3: h (R) } v2 { 5: g (RW) } v3 { 1: f (RG) }")
    assert [(*names(tables, vspace, table), address) for vspace, table, address in tables.table_mappings] == [
        ("v", "v1", 0), ("v", "v2", 0), ("v", "v3", 0x400000)]
    mappings = [(names(tables, item.frame)[0], item.address, item.rights, item.execute_never, item.cached)
                for item in tables.frame_mappings]
    assert mappings == [
        ("h", 3 << 30, 2, True, True), ("g", 5 << 21, 3, True, True), ("f", 0x401000, 2, False, True)]
    assert not any(item.is_copy for item in tables.frame_mappings)
    assert tables.address_spaces == [(tables.names.index("v"), lower.NONE)]


def test_a_frame_that_is_mapped_twice_needs_a_copy():
    tables = tables_of(TABLES + "f = frame (4k)", TREE + " v3 { 1: f (RW)  2: f (R, uncached) }")
    assert [(item.is_copy, item.rights, item.cached) for item in tables.frame_mappings] == [(False, 3, True), (True, 2, False)]


def test_a_capability_that_controls_a_mapping_is_the_one_that_maps():
    tables = tables_of(TABLES + "f = frame (4k) c = cnode (4 bits)", TREE + " v3 { 1: f (R) } c { 0: f (RW, mapping: (v3, 1)) }")
    mapping, = tables.frame_mappings
    assert (mapping.is_copy, mapping.rights, mapping.cap_rights) == (True, 2, 3)
    entry, = tables.caps
    assert (entry.source, entry.index, entry.action) == ("Mapping", 0, "Move")


def test_asid_pools_name_their_address_spaces():
    tables = tables_of("v = pgd w = pgd p = asid_pool", "p { 3: w }")
    assert [names(tables, *pair) for pair in tables.address_spaces] == [["v", None], ["w", "p"]]


def test_fills_know_how_their_frames_are_mapped(tmp_path):
    (tmp_path / "data").write_bytes(bytes(range(256)))
    spec = load(TABLES + 'f = frame (4k, fill: [{16 32 CDL_FrameFill_FileData "data" 8}, {64 0 CDL_FrameFill_FileData "data" 0}]) '
                         "g = frame (4k, fill: [{0 4096 CDL_FrameFill_BootInfo CDL_FrameFill_BootInfo_FDT 100}])",
                TREE + " v3 { 0: f (RG)  1: g (R, uncached) }", folder=tmp_path)
    tables = lower.lower(spec)
    page, tree = *tables.page_frames, *tables.fills
    assert (names(tables, page.frame), page.page, page.executable, page.uncached) == (["f"], 0, True, False)
    assert tables.pages == [(lower.PagePart(16, 32, "data", 8),)]
    assert (tree.source, tree.file_offset, tree.executable, tree.uncached) == ("DeviceTree", 100, False, True)


def test_what_becomes_of_a_page_of_the_image(tmp_path):
    """One frame of each content, if the kernel's untypeds are where it would be placed; equal ones are copies, all others are filled."""
    (tmp_path / "data").write_bytes(bytes(8192))
    part = 'CDL_FrameFill_FileData "data"'
    spec = load(f"u = ut (13 bits) {{ inner = frame (4k, fill: [{{0 16 {part} 0}}])  other = frame (4k, fill: [{{0 16 {part} 4}}]) }} "
                f"a = frame (4k, fill: [{{0 16 {part} 0}}]) b = frame (4k, fill: [{{0 16 {part} 0}}]) c = frame (4k, fill: [{{8 16 {part} 0}}]) "
                f"d = frame (4k) e = frame (2M, fill: [{{0 16 {part} 0}}]) f = frame (4k, paddr: 0x40000000, fill: [{{0 16 {part} 0}}]) k = cnode (4 bits)",
                "k { 1: u }", folder=tmp_path)
    tables = lower.lower(spec)
    assert names(tables, *(item.frame for item in tables.page_frames)) == ["a", "c"] == [item.name for item in tables.objects[:2]]
    assert [(names(tables, item.frame)[0], item.source, item.offset, item.length, item.file_offset) for item in tables.fills] == [
        ("inner", "Page", 0, 16, 0), ("other", "Embedded", 0, 16, 4), ("b", "Page", 0, 16, 0), ("e", "Embedded", 0, 16, 0), ("f", "Embedded", 0, 16, 0)]
    placed = {index for group in tables.groups for index in range(group.first, group.first + group.count)}
    assert placed == set(range(2, len(tables.objects)))


def test_pages_of_the_image_are_padded_with_zeros(tmp_path):
    (tmp_path / "data").write_bytes(bytes(range(1, 101)))
    part = 'CDL_FrameFill_FileData "data"'
    spec = load(f"a = frame (4k, fill: [{{10 3 {part} 5}}, {{4094 2 {part} 0}}]) b = frame (4k, fill: [{{0 1 {part} 99}}])", folder=tmp_path)
    content = emit.page_contents(spec, lower.lower(spec).pages)
    assert content == bytes(10) + bytes((6, 7, 8)) + bytes(4081) + bytes((1, 2)) + bytes((100,)) + bytes(4095)


# Capabilities ---------------------------------------------------------------------------------------------------------------------------

def test_rights_badges_and_guards_are_exact():
    tables = tables_of("e = ep n = notification c = cnode (4 bits) d = cnode (5 bits) t = tcb r = rtreply f = frame (4k)",
                       "c { 0: e (RWGP)  1: e (W, badge: 7)  2: n (R)  3: d (guard: 2, guard_size: 59)  4: d  5: t  6: r  7: f (R)  8: e }")
    assert [(names(tables, item.index)[0], item.slot, item.action, item.rights, item.data) for item in tables.caps] == [
        ("e", 0, "Copy", 15, 0), ("e", 1, "Mint", 1, 7), ("n", 2, "Copy", 2, 0), ("d", 3, "Mint", 15, 2 << 6 | 59), ("d", 4, "Copy", 15, 0),
        ("t", 5, "Copy", 15, 0), ("r", 6, "Copy", 15, 0), ("f", 7, "Copy", 2, 0), ("e", 8, "Copy", 0, 0)]


def test_built_in_capabilities():
    tables = tables_of("c = cnode (4 bits)", "c { 0: irq_control  1: asid_control  2: domain  3: sched_control (core: 2) }")
    assert [(item.source, item.index, item.action) for item in tables.caps] == [
        ("IRQControl", 0, "Move"), ("ASIDControl", 0, "Copy"), ("Domain", 0, "Copy"), ("SchedControl", 2, "Copy")]


def test_derived_capabilities_come_after_badged_parents_and_before_first_ones():
    tables = tables_of("e = ep c = cnode (4 bits) d = cnode (4 bits)",
                       "c { 0: e (W, badge: 3) - child_of (d, 1)  1: e (RW) - child_of (d, 0) } "
                       "d { 0: e (RWGP)  1: e (W, badge: 3) - child_of (d, 0) }")
    order = [(*names(tables, item.cnode), item.slot, item.action, *names(tables, item.parent_cnode), item.parent_slot)
             for item in tables.caps]
    assert order == [("c", 1, "Copy", None, 0), ("d", 1, "Mint", None, 0), ("c", 0, "Copy", "d", 1), ("d", 0, "First", None, 0)]


def test_the_first_capability_of_a_frame_does_not_map_it():
    tables = tables_of(TABLES + "f = frame (4k) c = cnode (4 bits)", TREE + " v3 { 1: f (R) } c { 0: f (RW)  1: f (R) - child_of (c, 0) }")
    mapping, = tables.frame_mappings
    assert mapping.is_copy
    assert [item.action for item in tables.caps] == ["Copy", "First"]


def test_what_cannot_be_copied_is_moved():
    tables = tables_of("u = ut (12 bits) p = pt c = cnode (4 bits)", "c { 0: u  1: p }")
    assert [item.action for item in tables.caps] == ["Move", "Move"]
    tables = tables_of(TABLES + "c = cnode (4 bits)", TREE + " c { 0: v  1: v3 }")
    assert [item.action for item in tables.caps] == ["Copy", "Copy"]


def test_interrupts_are_numbered_behind_the_console_page():
    tables = tables_of("i = arm_irq (trigger: edge, target: 0) j = irq n = notification c = cnode (2 bits)",
                       "i { 0: n (badge: 4) } c { 0: i  1: j }", "33: i 40: j")
    first = len(tables.objects) + 1
    note = tables.names.index("n")
    assert tables.interrupts == [(first, 33, "Edge", note, 4), (first + 1, 40, "Level", lower.NONE, 0)]
    assert names(tables, *(item.index for item in tables.caps)) == ["i", "j"]


def test_rights_to_send_interrupts_are_numbered_behind_the_interrupts():
    tables = tables_of("s = arm_sgi_signal (irq: 5, target: 2) i = irq n = notification c = cnode (2 bits)", "i { 0: n } c { 0: i  1: s }",
                       "5: i")
    first = len(tables.objects) + 1
    assert tables.interrupts == [(first, 5, "Level", tables.names.index("n"), 0)]
    assert tables.sgi_signals == [(first + 1, 5, 2)]
    assert [(*names(tables, item.index), item.source, item.action) for item in tables.caps] == [
        ("i", "Object", "Copy"), ("s", "Object", "Copy")]


def test_serror_has_a_number():
    assert [item[1] for item in tables_of("i = irq", irqs="1020: i").interrupts] == [1020]


# Threads --------------------------------------------------------------------------------------------------------------------------------

THREAD = ("t = tcb (addr: 0x10000400, ip: 0x400000, sp: 0x500000, prio: 9, max_prio: 8, affinity: 1, init: [1, 2]) c = cnode (4 bits) "
          "v = pgd f = frame (4k) s = sc (8 bits, period: 100, budget: 50, data: 6) e = ep n = notification ")


def test_threads_get_what_their_slots_say():
    tables = tables_of(THREAD, "t { cspace: c (guard: 1, guard_size: 60)  vspace: v  ipc_buffer_slot: f (RW)  sc_slot: s  "
                               "fault_ep_slot: e (WG, badge: 5)  temp_fault_ep_slot: e (WG, badge: 6)  bound_notification: n (R) }")
    thread, = tables.threads
    assert names(tables, thread.tcb, thread.cspace, thread.vspace, thread.buffer_frame, thread.sched_context, thread.notification) == [
        "t", "c", "v", "f", "s", "n"]
    endpoint = tables.names.index("e")
    assert (thread.fault, thread.timeout) == (lower.Handler(endpoint, 5, 5), lower.Handler(endpoint, 6, 5))
    assert (thread.cspace_data, thread.buffer_address, thread.ip, thread.sp) == (1 << 6 | 60, 0x10000400, 0x400000, 0x500000)
    assert (thread.arguments, thread.priority, thread.max_priority, thread.resume) == ((1, 2), 9, 8, True)
    assert tables.schedules == [(tables.names.index("s"), 1, 50, 100, 6)]
    assert tables.capability_count == 7


def test_a_thread_without_an_entry_does_not_start():
    thread, = tables_of("t = tcb").threads
    assert not thread.resume
    assert thread.cspace == thread.fault.endpoint == lower.NONE


def test_resume_false_is_obeyed():
    objects = THREAD.replace("init: [1, 2]", "resume: False")
    thread, = tables_of(objects, "t { cspace: c  vspace: v  ipc_buffer_slot: f (RW) }").threads
    assert not thread.resume


def test_threads_have_domain_core_and_flags():
    thread, = tables_of("t = tcb (addr: 0, affinity: 3, dom: 15, fpu_disabled: True)").threads
    assert (thread.domain, thread.core, thread.flags, thread.first_receive) == (15, 3, ("fpu_disabled",), lower.NONE)
    thread, = tables_of("t = tcb (addr: 0, affinity: 0, physical_timer: True, pmu: True, fpu_disabled: False)", head="caprock 1 ").threads
    assert (thread.domain, thread.core, thread.flags) == (0, 0, ("pmu", "physical_timer"))
    # The core of a thread with a scheduling context is that of the context.
    tables = tables_of("t = tcb (addr: 0, affinity: 3) s = sc (8 bits, period: 10, budget: 5, data: 0)", "t { sc_slot: s }")
    assert tables.threads[0].core == 0 and tables.schedules[0][1] == 3


LENT = THREAD.replace("init: [1, 2]", "first_receive: 2")
LENT_CAPS = "t {{ cspace: c (guard: 0, guard_size: 60)  vspace: v  ipc_buffer_slot: f (RW)  sc_slot: s }} c {{ 2: e ({}) }}"


def test_a_context_is_lent_until_the_first_receive():
    tables = tables_of(LENT, LENT_CAPS.format("RWGP"), head="caprock 1 ")
    assert names(tables, tables.threads[0].first_receive, tables.threads[0].sched_context) == ["e", "s"]


@pytest.mark.parametrize(("objects", "caps", "message"), [
    (LENT, LENT_CAPS.format("W"), "'t': first_receive is 0x2, where its CSpace has no endpoint to receive from"),
    (LENT, LENT_CAPS.format("R").replace("2: e", "3: e"), "where its CSpace has no endpoint"),
    (LENT, LENT_CAPS.format("R").replace("guard: 0", "guard: 1"), "where its CSpace has no endpoint"),
    (LENT, LENT_CAPS.format("R").replace("guard_size: 60", "guard_size: 59"), "where its CSpace has no endpoint"),
    (LENT, LENT_CAPS.format("R").replace("sc_slot: s", ""), "has first_receive but does not start on a scheduling context"),
    (LENT.replace("first", "resume: False, first"), LENT_CAPS.format("R"), "has first_receive but does not start"),
], ids=["no right", "empty slot", "guard", "short address", "no context", "no start"])
def test_a_loan_that_cannot_end_is_refused(objects, caps, message):
    with pytest.raises(CapdlError) as caught:
        tables_of(objects, caps, head="caprock 1 ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("section", "turns", "start"), [
    ("schedule: [(0, 100 us), (3, 20 ticks), (1, 7)]", [(0, 0, 100, False), (1, 3, 20, True), (2, 1, 7, True), (3, 0, 0, False)], 0),
    ("schedule: [(0, 100 us), (3, 20 us)] domain_set_start: 1 index_shift: 5",
     [(5, 0, 100, False), (6, 3, 20, False), (7, 0, 0, False)], 6),
    ("schedule: [(1, 9)] domain_set_start: no_start index_shift: 63", [(63, 1, 9, True)], lower.NONE),
    ("index_shift: 3", [], lower.NONE),
], ids=["from the first", "shifted", "up to the last entry", "empty"])
def test_domain_schedules(section, turns, start):
    tables = tables_of("e = ep", rest=f"domains {{ {section} }}")
    assert (tables.domain_turns, tables.domain_start) == (turns, start)


def test_flags_are_spelled_in_the_order_of_the_api():
    layout = (ROOT / "kernel" / "api" / "abi.toml").read_text(encoding="utf-8").split('name = "ThreadFlags"')[1].split("[[")[0]
    assert sorted(lower.THREAD_FLAGS, key=layout.index) == list(lower.THREAD_FLAGS)


# Refusals -------------------------------------------------------------------------------------------------------------------------------

REFUSALS = {
    "an untyped in two slots": ("u = ut (12 bits) c = cnode (2 bits)", "c { 0: u  1: u }", "",
                                "'u' is in slots (c, 0x0) and (c, 0x1)"),
    "IRQControl twice": ("c = cnode (2 bits)", "c { 0: irq_control  1: irq_control }", "", "'irq_control' is in slots (c, 0x0)"),
    "an address above user level": ("v = pgd p = pud", "v { 256: p }", "", "'p' at 0x800000000000 is above user addresses"),
    "half an address space": (THREAD, "t { cspace: c  ipc_buffer_slot: f (RW) }", "", "'t' has only one of cspace and vspace"),
    "a start without address space": (THREAD, "t { ipc_buffer_slot: f (RW) }", "", "'t' shall start but has no cspace and vspace"),
    "a buffer without frame": (THREAD, "t { cspace: c  vspace: v }", "", "'t' has an address for an IPC buffer but no frame"),
    "another tree": ("f = frame (4k, fill: [{0 8 CDL_FrameFill_BootInfo CDL_FrameFill_BootInfo_BI 0}])", "", "",
                     "CDL_FrameFill_BootInfo_BI"),
    "a filled gigabyte": ("f = frame (1G, fill: [{0 8 CDL_FrameFill_BootInfo CDL_FrameFill_BootInfo_FDT 0}])", "", "", "'f' has a fill"),
    "derived from a thread's slot": ("t = tcb e = ep c = cnode (2 bits)", "t { fault_ep_slot: e (WG) } c { 0: e (W) - child_of (t, 5) }",
                                     "",
                                     "slot (c, 0x0) is derived from (t, 0x5); the loader can do so only between slots of CNodes"),
    "derived from another badge": ("e = ep c = cnode (2 bits)", "c { 0: e (W, badge: 1)  1: e (W, badge: 2) - child_of (c, 0) }", "",
                                   "slot (c, 0x1) is derived from (c, 0x0), which has another badge"),
    "two parents without a badge": ("e = ep c = cnode (3 bits)",
                                    "c { 0: e (RWGP)  1: e (RWGP)  2: e (W) - child_of (c, 0)  3: e (W) - child_of (c, 1) }",
                                    "", "'e' has capabilities derived from (c, 0x1) and from (c, 0x0)"),
    "a first capability that is derived": ("e = ep c = cnode (3 bits)",
                                           "c { 0: e (RWGP, badge: 4)  1: e (RWGP) - child_of (c, 0)  2: e (W) - child_of (c, 1) }", "",
                                           "slot (c, 0x1) is derived itself"),
    "a first capability without all rights": ("e = ep c = cnode (2 bits)", "c { 0: e (RW)  1: e (W) - child_of (c, 0) }", "",
                                              "slot (c, 0x0) holds the first capability to 'e'"),
    "too many address spaces": ("v[511] = pgd", "", "", "511 address spaces are in no ASID pool"),
    "too many ASID pools": ("p[128] = asid_pool", "", "", "128 ASID pools and the loader's own are more than the processor has"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_loader_cannot_do_is_refused_by_name(case):
    objects, caps, irqs, message = REFUSALS[case]
    spec = load(objects, caps, irqs)
    with pytest.raises(CapdlError) as caught:
        lower.lower(spec)
    assert message in str(caught.value)


# Content --------------------------------------------------------------------------------------------------------------------------------

def test_close_ranges_are_joined():
    far = emit.JOIN_GAP + 1
    assert emit.join_ranges([(10, 20), (0, 10), (15, 30), (30 + far, 31 + far)]) == [[0, 30], [30 + far, 31 + far]]
    assert emit.join_ranges([(0, 10), (10 + emit.JOIN_GAP, 400)]) == [[0, 400]]


def test_equal_files_are_embedded_once(tmp_path):
    (tmp_path / "one").write_bytes(b"x" * 8192)
    (tmp_path / "two").write_bytes(b"x" * 8192)
    spec = load('f = frame (2M, fill: [{0 4096 CDL_FrameFill_FileData "one" 0}]) '
                'g = frame (2M, fill: [{0 4000 CDL_FrameFill_FileData "two" 4096}])',
                folder=tmp_path)
    blobs, fills = emit.embed(spec, lower.lower(spec).fills, tmp_path)
    assert [(blob.path, blob.start, blob.length) for blob in blobs] == [("one", 0, 8096)]
    assert [fill.bytes for fill in fills] == ["content_0 + 0", "content_0 + 4096"]


def test_text_survives_as_a_literal():
    assert emit.spell_text('a"b\\c?\n') == '"a\\042b\\134c\\077\\012"'
    assert emit.spell_text("é") == '"\\303\\251"'


def test_the_hash_covers_text_and_files(tmp_path):
    (tmp_path / "data").write_bytes(b"abc")
    objects = 'f = frame (4k, fill: [{0 3 CDL_FrameFill_FileData "data" 0}])'
    first = emit.system_hash(load(objects, folder=tmp_path))
    assert first == emit.system_hash(load(objects, folder=tmp_path))
    assert first != emit.system_hash(load(objects + " e = ep", folder=tmp_path))
    (tmp_path / "data").write_bytes(b"abd")
    assert first != emit.system_hash(load(objects, folder=tmp_path))


# The image ------------------------------------------------------------------------------------------------------------------------------

SYSTEM = (TABLES + THREAD.replace("v = pgd ", "") + "u = ut (16 bits) { k = frame (4k) } i = arm_irq (trigger: level, target: 0) "
          'x = frame (4k, fill: [{8 100 CDL_FrameFill_FileData "data" 24}]) y = frame (2M, fill: [{8 100 CDL_FrameFill_FileData "data" 24}])',
          TREE + " v3 { 0: x (RG)  1: f (RW) } c { 1: e (W, badge: 3)  2: u  3: i } i { 0: n (badge: 1) } "
          "t { cspace: c  vspace: v  ipc_buffer_slot: f (RW)  sc_slot: s  fault_ep_slot: e (WG, badge: 5) }", "33: i")


def make_root(folder):
    """Emits SYSTEM in `folder`."""
    folder.mkdir()
    (folder / "data").write_bytes(bytes(i * 7 % 251 for i in range(4096)))
    return emit.emit(load(*SYSTEM, folder=folder), build_dir=BUILD, out_dir=folder / "out")


@needs_build
def test_the_image_is_the_same_wherever_it_is_built(tmp_path):
    first = make_root(tmp_path / "a")
    second = make_root(tmp_path / "another place")
    assert first.system_hash == second.system_hash
    assert first.elf.read_bytes() == second.elf.read_bytes()
    assert first.boot_elf.read_bytes() == second.boot_elf.read_bytes()


@needs_build
def test_the_image_has_contiguous_segments_that_are_not_both_writable_and_executable(tmp_path):
    with make_root(tmp_path / "a").elf.open("rb") as stream:
        segments = [item for item in ELFFile(stream).iter_segments() if item["p_type"] == "PT_LOAD"]
    assert len(segments) == 3
    address = segments[0]["p_vaddr"]
    for segment in segments:
        assert segment["p_vaddr"] == address
        assert segment["p_flags"] & 3 != 3
        address += -(-segment["p_memsz"] // 4096) * 4096


@needs_build
def test_content_stands_in_the_image_as_in_the_file(tmp_path):
    root = make_root(tmp_path / "a")
    with root.elf.open("rb") as stream:
        elf = ELFFile(stream)
        symbol = elf.get_section_by_name(".symtab").get_symbol_by_name("content_0")[0]
        section = elf.get_section(symbol["st_shndx"])
        start = symbol["st_value"] - section["sh_addr"]
        assert section.data()[start:start + 100] == (tmp_path / "a" / "data").read_bytes()[24:124]
    assert symbol["st_value"] % 16 == 24 % 16


@needs_build
def test_pages_that_become_frames_stand_on_pages_of_the_image(tmp_path):
    root = make_root(tmp_path / "a")
    with root.elf.open("rb") as stream:
        elf = ELFFile(stream)
        start = elf.get_section_by_name(".symtab").get_symbol_by_name("image_pages")[0]["st_value"]
        section = elf.get_section_by_name(".pages")
        assert section["sh_addr"] == start and start % 4096 == 0 and section["sh_size"] == 4096 * len(root.tables.pages)
        assert section.data() == bytes(8) + (tmp_path / "a" / "data").read_bytes()[24:124] + bytes(4096 - 108)


@needs_build
def test_the_payload_carries_hash_and_radix(tmp_path):
    import payload
    from capdl import build
    root = make_root(tmp_path / "a")
    built = build.build_system(tmp_path / "a" / "system.cdl", machine="virt", dtb=None, elf_dirs=[], build_dir=BUILD,
                               out_dir=tmp_path / "b")
    content = built.payload.read_bytes()
    header = payload.HeaderLayout().unpack(content)
    assert header["system_hash"] == root.system_hash == built.system_hash
    assert header["name"].rstrip(b"\0") == b"system"
    assert header["root_cnode_bits"] == 12
    assert content[header["root_offset"]:] == root.boot_elf.read_bytes()
    assert header["api_hash"] == payload.elf_api_hash(content[header["root_offset"]:])


def test_the_root_cnode_grows_with_the_system():
    from capdl import build
    assert build.root_cnode_bits(tables_of("e = ep"), 100) == 12
    assert build.root_cnode_bits(tables_of("e[5000] = ep"), 100) == 13
    with pytest.raises(CapdlError, match="has at most 1048576"):
        build.root_cnode_bits(tables_of("e = ep"), 2_000_000)


@needs_build
def test_a_missing_library_is_named(tmp_path):
    (tmp_path / "data").write_bytes(bytes(4096))
    with pytest.raises(CapdlError, match="build the project first"):
        emit.emit(load(*SYSTEM, folder=tmp_path), build_dir=tmp_path, out_dir=tmp_path / "out")


# The tables as compiled -----------------------------------------------------------------------------------------------------------------

DUMP_TABLES = r"""
#include <cstdio>
#include "capdl/loader/tables.hpp"

using namespace caprock::loader;
using Number = unsigned long long;

int main() {
    const System& s = caprock::loader::system;
    std::printf("system %u %llu %llu ", s.vault, Number{s.object_count}, Number{s.capability_count});
    for (int i = 0; i < 32; ++i) std::printf("%02x", s.hash[i]);
    std::printf("\n");
    for (const char* name : s.object_names) std::printf("name %s\n", name);
    for (const auto& item : s.objects) std::printf("object %u %lld\n", item.size_bits, static_cast<long long>(item.paddr));
    for (const auto& item : s.groups) std::printf("group %u %u %u\n", item.parent, item.first, item.count);
    for (const auto& item : s.interrupts)
        std::printf("interrupt %u %u %llu %u %llu\n", item.object, item.number, static_cast<Number>(item.trigger), item.notification,
                    Number{item.badge});
    for (const auto& item : s.page_frames) std::printf("page %u %u %d %d\n", item.frame, item.page, item.executable, item.uncached);
    for (const auto& item : s.fills) std::printf("fill %u %u %u %u\n", item.frame, item.offset, item.length, item.bytes[0]);
    for (const auto& item : s.address_spaces) std::printf("space %u %u\n", item.vspace, item.pool);
    for (const auto& item : s.table_mappings) std::printf("table %u %u %llu\n", item.vspace, item.table, Number{item.address});
    for (const auto& item : s.frame_mappings)
        std::printf("mapping %u %u %llu %llu %llu\n", item.vspace, item.frame, Number{item.address}, Number{item.rights.raw},
                    Number{item.attributes.raw});
    for (const auto& item : s.caps)
        std::printf("cap %u %u %u %u %llu %llu %u\n", item.cnode, item.slot, item.index, static_cast<unsigned>(item.action),
                    Number{item.rights.raw}, Number{item.data}, item.parent_cnode);
    for (const auto& item : s.schedules)
        std::printf("schedule %u %u %llu %llu %llu\n", item.sched_context, item.core, Number{item.budget}, Number{item.period},
                    Number{item.badge});
    for (const auto& item : s.threads)
        std::printf("thread %u %u %u %u %u %u %llu %llu %llu %llu %u %u %d\n", item.tcb, item.cspace, item.vspace, item.buffer_frame,
                    item.sched_context, item.fault.endpoint, Number{item.fault.badge}, Number{item.ip}, Number{item.sp},
                    Number{item.arguments[1]}, item.priority, item.max_priority, item.resume);
}
"""


@needs_build
def test_the_compiled_tables_say_what_was_lowered(tmp_path):
    """The tables compiled for this machine, read back by a program, are the tables that were to be written."""
    root = make_root(tmp_path / "a")
    tables, out = root.tables, tmp_path / "a" / "out"
    (out / "dump.cc").write_text(DUMP_TABLES, encoding="utf-8")
    command = ["g++", "-std=gnu++2b", "-no-pie", f"-I{ROOT}", f"-I{BUILD / 'kernel' / 'api'}", "-o", "dump"]
    subprocess.run([*command, "tables.cc", "files.S", "dump.cc"], cwd=out, check=True)
    words = subprocess.run([str(out / "dump")], capture_output=True, text=True, check=True).stdout.split("\n")
    expected = [f"system {tables.vault} {tables.object_count} {tables.capability_count} {root.system_hash.hex()}"]
    expected += [f"name {name}" for name in tables.names]
    expected += [f"object {item.bits} {-1 if item.paddr is None else item.paddr}" for item in tables.objects] + ["object 12 -1"]
    expected += [f"group {item.parent} {item.first} {item.count}" for item in tables.groups]
    expected += [f"interrupt {item[0]} {item[1]} {['Level', 'Edge'].index(item[2])} {item[3]} {item[4]}" for item in tables.interrupts]
    expected += [f"page {item.frame} {item.page} {item.executable:d} {item.uncached:d}" for item in tables.page_frames]
    data = (tmp_path / "a" / "data").read_bytes()
    expected += [f"fill {item.frame} {item.offset} {item.length} {data[item.file_offset]}" for item in tables.fills]
    expected += [f"space {item[0]} {item[1]}" for item in tables.address_spaces]
    expected += [f"table {item[0]} {item[1]} {item[2]}" for item in tables.table_mappings]
    expected += [f"mapping {item.vspace} {item.frame} {item.address} {item.rights} {item.cached + 4 * item.execute_never}"
                 for item in tables.frame_mappings]
    actions = ["Copy", "Mint", "Move"]
    expected += [f"cap {item.cnode} {item.slot} {item.index} {actions.index(item.action)} {item.rights} {item.data} {item.parent_cnode}"
                 for item in tables.caps]
    expected += ["schedule " + " ".join(map(str, item)) for item in tables.schedules]
    expected += [f"thread {item.tcb} {item.cspace} {item.vspace} {item.buffer_frame} {item.sched_context} {item.fault.endpoint} "
                 f"{item.fault.badge} {item.ip} {item.sp} {item.arguments[1]} {item.priority} {item.max_priority} {int(item.resume)}"
                 for item in tables.threads]
    assert words[:-1] == expected
