# SPDX-License-Identifier: BSD-2-Clause
"""The planner as a host program, and the check that a system fits a board. What plans are like is tested in tests/unit/test_alloc.cc."""

import os
import subprocess
from pathlib import Path

import pytest

from capdl import driver, lower
from capdl.alloc import fit
from capdl.diagnostics import CapdlError

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
PLANNER = BUILD / "capdl" / "capdl-plan"
needs_planner = pytest.mark.skipif(not PLANNER.is_file(), reason="the project is not built")


def plan(text):
    """Runs the planner: (status, lines of output, errors)."""
    done = subprocess.run([str(PLANNER)], input=text, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


def tables_of(objects):
    """The LoaderTables of a plain description."""
    spec, diagnostics = driver.load_text(f"arch aarch64 objects {{ {objects} }} caps {{ }}", "system", loadable=True)
    assert diagnostics.ok, diagnostics.render()
    return lower.lower(spec)


@needs_planner
def test_a_plan_lists_retypes_places_and_what_is_free():
    status, lines, errors = plan("untyped 0x40000000 14 memory\n\nuntyped 0x8000000 20 device\n"
                                 "object SmallPage 12 0x8002000 uart\nobject TCB 11 - thread\nobject SmallPage 12 - page\n")
    assert (status, errors) == (0, "")
    assert lines == ["retype 1 Untyped 13 1 padding", "retype 1 SmallPage 12 1 object", "retype 0 SmallPage 12 1 object",
                     "retype 0 TCB 11 1 object", "place uart 0x8002000", "place thread 0x40001000", "place page 0x40000000",
                     "free 10240 13"]


MALFORMED = {
    "untyped 0x40000000 14 flash": "line 1: 'flash' is neither memory nor device",
    "untyped here 14 memory": "line 1: the address 'here' is no number",
    "untyped 0x40000000 48 memory": "line 1: the size '48' is not in 4 to 47 bits",
    "untyped 0x40000800 12 memory": "line 1: the address 0x40000800 is no multiple of the size",
    "\nobject Gadget 12 - a": "line 2: 'Gadget' is no type of object",
    "object TCB x - a": "line 1: the size 'x' is not in 4 to 47 bits",
    "object TCB 11 nowhere a": "line 1: the address 'nowhere' is neither a number nor -",
    "object TCB 11 -": "line 1: the object has no name",
    "object TCB 11 - a b": "line 1: 'b' is more than the line takes",
    "frame 12": "line 1: 'frame' is neither untyped nor object",
}


@needs_planner
@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_input_names_line_and_reason(text):
    assert plan(text + "\n") == (2, [], f"capdl-plan: {MALFORMED[text]}\n")


UNPLACEABLE = {
    "object LargePage 21 - big": "big (2 MiB) does not fit: 16 KiB are free, the largest piece 16 KiB; 2 MiB are still needed (give the "
                                 "machine more memory, or make the system smaller)",
    "object SmallPage 12 0x10000000 far": "far (4 KiB at 0x10000000) is at an address where the board has nothing to give (correct the "
                                          "address)",
    "object SmallPage 12 0x8000000 a\nobject SmallPage 12 0x8000000 b": "b (4 KiB at 0x8000000) overlaps a (correct one of the addresses)",
    "object SmallPage 12 0x8000010 odd": "odd (4 KiB at 0x8000010) is not aligned to its size (correct the address)",
    "object TCB 11 0x8000000 t": "t (2 KiB at 0x8000000) cannot be in device memory, which holds frames and untypeds only",
}


@needs_planner
@pytest.mark.parametrize("objects", UNPLACEABLE)
def test_what_does_not_fit_is_named(objects):
    status, lines, errors = plan(f"untyped 0x40000000 14 memory\nuntyped 0x8000000 20 device\n{objects}\n")
    assert (status, lines, errors) == (1, [], f"capdl-plan: {UNPLACEABLE[objects]}\n")


def test_ranges_become_aligned_blocks():
    assert list(fit.blocks(0x1000, 0x4000)) == [(0x1000, 12), (0x2000, 13)]
    assert list(fit.blocks(0, 0x5000)) == [(0, 14), (0x4000, 12)]
    assert list(fit.blocks(0x10, 0x2fff)) == [(0x1000, 12)]
    assert not list(fit.blocks(0x1000, 0x1000))


def test_nominal_untypeds_leave_out_what_the_boot_takes():
    lines = fit.nominal_untypeds([(0x1000_0000, 0x1010_0000), (0x2000_0000, 0x2010_0000)], 0x18_0000)
    assert [line for line in lines if line.endswith("memory")] == ["untyped 0x20080000 19 memory"]
    devices = [line.split() for line in lines if line.endswith("device")]
    assert sum(1 << int(bits) for _, _, bits, _ in devices) == fit.DEVICE_TOP - 0x20_0000


@needs_planner
def test_a_system_that_fits_passes(board, tmp_path):
    (tmp_path / "root.elf").write_bytes(bytes(100))
    fit.check_fit(tables_of("f[100] = frame (4k) uart = frame (4k, paddr: 0x9001000)"), "virt", board, tmp_path / "root.elf", BUILD)


@needs_planner
def test_a_system_that_does_not_fit_names_an_object_and_the_board(board, tmp_path):
    (tmp_path / "root.elf").write_bytes(bytes(100))
    with pytest.raises(CapdlError, match=r"system on virt: f\[\d+\] \(2 MiB\) does not fit"):
        fit.check_fit(tables_of("f[64] = frame (2M)"), "virt", board, tmp_path / "root.elf", BUILD)
    with pytest.raises(CapdlError, match="uart .* is at an address where the board has nothing to give"):
        fit.check_fit(tables_of("uart = frame (4k, paddr: 0x20000000000)"), "virt", board, tmp_path / "root.elf", BUILD)


@needs_planner
def test_a_board_whose_firmware_fills_the_memory_in_is_known_by_name(board, tmp_path):
    source = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", str(board)], capture_output=True, text=True, check=True).stdout
    (tmp_path / "bare.dts").write_text(source.replace("0x8000000>;", "0>;"), encoding="utf-8")
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", str(tmp_path / "bare.dtb"), str(tmp_path / "bare.dts")], check=True)
    (tmp_path / "root.elf").write_bytes(bytes(100))
    fit.check_fit(tables_of("f[400] = frame (2M)"), "raspi4b", tmp_path / "bare.dtb", tmp_path / "root.elf", BUILD)
    with pytest.raises(CapdlError, match="the device tree has no memory"):
        fit.check_fit(tables_of("e = ep"), "virt", tmp_path / "bare.dtb", tmp_path / "root.elf", BUILD)


def test_a_missing_planner_is_named(board, tmp_path):
    (tmp_path / "root.elf").write_bytes(bytes(100))
    with pytest.raises(CapdlError, match="build the project first"):
        fit.check_fit(tables_of("e = ep"), "virt", board, tmp_path / "root.elf", tmp_path)


def test_without_a_device_tree_nothing_is_checked(tmp_path):
    fit.check_fit(tables_of("f[64] = frame (2M)"), "virt", None, tmp_path / "none", tmp_path)


MAP = "caprock 1\narch aarch64\nmemory { SIZE at 0x40000000; 2M at 0x50000000 }\nobjects { f[8] = frame (2M) }\n"


def placement_of(text, tmp_path, build=BUILD, dtb=None):
    """The findings of placing a description."""
    path = tmp_path / "system.cdl"
    path.write_text(text)
    spec, diagnostics = driver.load(path, partial=True)
    assert diagnostics.ok, diagnostics.render()
    driver.check_placement(spec, diagnostics, build, "virt", dtb)
    return diagnostics


@needs_planner
def test_a_declared_map_that_is_too_small(tmp_path):
    """What does not fit is a finding at the object's declaration; with more memory there is none."""
    found = placement_of(MAP.replace("SIZE", "16M"), tmp_path).findings
    assert [item.check for item in found] == ["memory-fit"]
    assert (found[0].place.line, found[0].place.column) == (4, 11)
    assert found[0].message.startswith("on the declared memory (2 ranges): f[")
    assert placement_of(MAP.replace("SIZE", "64M"), tmp_path).findings == []


@needs_planner
def test_declared_map_and_board_are_both_asked(board, tmp_path):
    """Each is told of on its own: the board of the tests has 128 MiB."""
    text = MAP.replace("SIZE", "16M").replace("f[8]", "f[70]")
    assert [item.message.split(":")[0] for item in placement_of(text, tmp_path, dtb=board).findings] == ["on the declared memory (2 ranges)", "on virt"]


@pytest.mark.parametrize(("ranges", "message"), [
    ("64M at 0x40000000; 2M at 0x41000000", "the memory at 0x41000000 overlaps that at 0x40000000"),
    ("2M at 0x40000100", "are no memory (whole pages"), ("0 at 0x40000000", "are no memory"), ("100 at 0x40000000", "are no memory"),
    ("4G at 0xfffffff0000", "are no memory")])
def test_maps_that_cannot_be(ranges, message, tmp_path):
    """A wrong map is a finding of its own, and nothing is placed in it."""
    found = placement_of(f"caprock 1 memory {{ {ranges} }} objects {{ e = ep }}", tmp_path, build=tmp_path).findings
    assert [item.check for item in found] == ["memory-map"] and message in found[0].message


def test_without_map_and_board_nothing_is_placed(tmp_path):
    """There is nothing to place it in; no planner is run."""
    assert placement_of("arch aarch64 objects { f[64] = frame (2M) }", tmp_path, build=tmp_path).findings == []


def test_what_cannot_be_lowered_is_told_first(tmp_path):
    """Placing needs the loader's tables."""
    found = placement_of("arch aarch64 objects { t = tcb (addr: 4096, affinity: 0) }", tmp_path, build=tmp_path).findings
    assert [item.check for item in found] == ["emit"]
