# SPDX-License-Identifier: BSD-2-Clause
"""Canonical text: each tests/golden/NAME.cdl elaborates to NAME.elaborated, which is a fixed point.

Run with UPDATE_GOLDEN=1 to write the expected texts anew, then review the difference.
"""

import os
import struct

import pytest
from capdl_support import GOLDEN, ROOT

import capdl
from capdl.driver import load_text
from capdl.printing import canonical_text

SYSTEMS = sorted(path.stem for path in GOLDEN.glob("*.cdl"))


def elaborate(name, programs, board, out_dir):
    """The Spec of a golden system and its text."""
    spec, diagnostics = capdl.load(GOLDEN / f"{name}.cdl", elf_dirs=[programs], dtb=board, out_dir=out_dir, loadable=False)
    assert diagnostics.ok, diagnostics.render()
    return spec, canonical_text(spec)


def test_there_are_golden_systems():
    """The glob above finds something."""
    assert len(SYSTEMS) >= 4


@pytest.mark.parametrize("name", SYSTEMS)
def test_golden(name, programs, board, tmp_path):
    """The text is what it was."""
    _, text = elaborate(name, programs, board, tmp_path)
    expected = GOLDEN / f"{name}.elaborated"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        expected.write_text(text)
    assert text == expected.read_text(), "run with UPDATE_GOLDEN=1 if the change is meant"


@pytest.mark.parametrize("name", SYSTEMS)
def test_fixed_point(name, programs, board, tmp_path):
    """The text means itself."""
    _, text = elaborate(name, programs, board, tmp_path)
    spec, diagnostics = load_text(text)
    assert diagnostics.ok, diagnostics.render()
    assert canonical_text(spec) == text


@pytest.mark.parametrize("name", SYSTEMS)
def test_same_model(name, programs, board, tmp_path):
    """The text parses to the same objects and capabilities, not only to the same text."""
    spec, text = elaborate(name, programs, board, tmp_path)
    again, _ = load_text(text)
    assert spec.objects.keys() == again.objects.keys()
    assert spec.irqs == again.irqs and spec.cdt == again.cdt
    for item in spec.objects.values():
        other = again.objects[item.name]
        assert (item.type, item.size_bits, item.paddr, item.fills, item.params) == (other.type, other.size_bits, other.paddr, other.fills,
                                                                                    other.params)
        assert sorted(item.children) == sorted(other.children)
        assert item.slots.keys() == other.slots.keys()
        for slot, cap in item.slots.items():
            assert cap.same(other.slots[slot]), (item.name, slot)


def test_project_systems_elaborate_partially():
    """The systems of the project are free of findings (their programs are not needed for that)."""
    paths = sorted((ROOT / "systems").glob("*.cdl"))
    assert paths
    for path in paths:
        spec, diagnostics = capdl.load(path, partial=True, loadable=True)
        assert diagnostics.ok, diagnostics.render()
        assert spec.components


def entries(content):
    """(name, kind, value, size, badge, text) of each entry of ComponentInfo bytes."""
    result = []
    for at in range(128, len(content), 128):
        name, kind, value, size, badge, text = struct.unpack_from("<32sQQQQ64s", content, at)
        result.append((name.rstrip(b"\0").decode(), kind, value, size, badge, text.rstrip(b"\0").decode()))
    return result


def test_component_info(programs, board, tmp_path):
    """What the components are told agrees with what they hold."""
    spec, _ = elaborate("components", programs, board, tmp_path)
    uses, provides, emits, consumes, region, device, irq, faults, client, argument = range(1, 11)
    told = {name: {(entry[1], entry[0]): entry for entry in entries((tmp_path / f"{name}.info").read_bytes())}
            for name in ("client", "uart", "server")}
    assert told["client"][uses, "greeter"][2] == 4
    assert spec.objects["client_cnode"].slots[4].badge == 1 << 48 | 7
    assert told["server"][client, "client"][4] in (1 << 48 | 7, 2 << 48 | 1)
    assert told["server"][provides, "greeter"][2] == 1 and told["server"][provides, "other"][2] == 2
    assert told["client"][argument, "count"][2] == 3 and told["client"][argument, "count"][5] == "3"
    assert told["client"][argument, "mode"][5] == "fast"
    assert told["uart"][device, "regs"][2:] == (0x1800_0000, 0x1000, 0, "arm,pl011")
    assert told["uart"][device, "clock"][2:4] == (0x1800_2040, 0x20)
    assert told["uart"][irq, "line"][4] == 2 and told["uart"][irq, "second"][4] == 4
    assert spec.objects["uart_irq_second"].slots[0].badge == 4
    assert spec.irqs == {33: "uart_irq_line", 34: "uart_irq_second", 30: "uart_irq_alarm"}
    assert spec.objects["uart_irq_alarm"].params["trigger"] == "level"
    assert spec.objects["uart_irq_second"].params["trigger"] == "edge"
    assert told["server"][region, "ring"][2:4] == (0x1200_0000, 0x2000)
    assert told["server"][consumes, "rx"][2] == 1
    assert spec.objects["uart_cnode"].slots[told["uart"][emits, "rx"][2]].badge == 1
    fault = told["server"][faults, "client"]
    assert spec.objects["client_tcb"].slots[5].badge == fault[4] == 0xf000 << 48 | 1
    assert spec.objects["server_cnode"].slots[fault[2]].object == "client_tcb"
    head = struct.unpack_from("<QQ32s8Q", (tmp_path / "server.info").read_bytes())
    assert head[2].rstrip(b"\0") == b"server" and head[0] == 0x504d4f4352504143
    assert head[3:10] == (0x1010_0000, 0, 0, 1, 2, 3, len(entries((tmp_path / "server.info").read_bytes())))


def test_summary(programs, board, tmp_path):
    """Components are summed up for the tools that build images."""
    spec, _ = elaborate("components", programs, board, tmp_path)
    assert list(spec.components) == ["client", "uart", "server", "borrower", "lender"]
    borrower = spec.components["borrower"]
    assert (borrower.sc, borrower.endpoint) == (None, "borrower_ep")
    summary = spec.components["server"]
    assert (summary.tcb, summary.cnode, summary.vspace, summary.endpoint, summary.reply) == (
        "server_tcb", "server_cnode", "server_vspace", "server_ep", "server_reply")
    assert summary.entry == 0x401000 and summary.provides == {"greeter": "Greeter", "other": "Other"}
    assert spec.files[summary.elf] == programs / "a.elf"
    assert spec.files["server.info"] == tmp_path / "server.info"


def test_start_order(programs, board, tmp_path):
    """Components start as they are declared, but a passive one after those it calls and before those who call it."""
    spec, _ = elaborate("components", programs, board, tmp_path)
    assert spec.start_order == ["client", "uart", "server", "borrower", "lender"]
    path = tmp_path / "order.cdl"
    path.write_text("""caprock 1 interface I { m() } interface J { n() }
components {
  first = component { elf "a.elf"; prio 1; budget 1ms/2ms; uses i: I }
  deep = component { elf "a.elf"; prio 1; passive; provides i: I; uses j: J }
  deepest = component { elf "a.elf"; prio 1; passive; provides j: J }
  other = component { elf "a.elf"; prio 1; budget 1ms/2ms }
}
connect { call first.i -> deep.i call deep.j -> deepest.j }""")
    spec, diagnostics = capdl.load(path, elf_dirs=[programs], dtb=board, out_dir=tmp_path)
    assert diagnostics.ok, diagnostics.render()
    assert spec.start_order == ["other", "deepest", "deep", "first"]


def test_plain_text_stays_plain(programs, board, tmp_path):
    """Only a system that says what plain capDL cannot gets a text that is not plain."""
    assert elaborate("components", programs, board, tmp_path)[1].startswith("caprock 1\narch aarch64\n")
    assert elaborate("aarch64", programs, board, tmp_path)[1].startswith("arch aarch64\n")


def test_writable_pages_are_never_executable(programs, board, tmp_path):
    """W^X, for every mapping of a generated system."""
    spec, _ = elaborate("components", programs, board, tmp_path)
    mapped = [cap for item in spec.objects.values() if item.type in ("pt", "pd") for cap in item.slots.values()
              if spec.objects[cap.object].type == "frame"]
    assert any("G" in cap.rights for cap in mapped) and any("W" in cap.rights for cap in mapped)
    assert not any("G" in cap.rights and "W" in cap.rights for cap in mapped)


def test_guard_page_below_the_stack(programs, board, tmp_path):
    """Nothing is mapped below a stack."""
    spec, _ = elaborate("components", programs, board, tmp_path)
    table = spec.objects["client_pt_1fe00000"]
    assert sorted(table.slots) == [508, 509, 510, 511]
