# SPDX-License-Identifier: BSD-2-Clause
"""What the loader's work costs for each object and frame: instructions, counted by QEMU's virtual time, from the difference of two systems. docs/capdl.md
has the figures as bounds."""

import re

import machines
import pytest
from test_loader import BUILD, ROOT, TIMEOUT, build, idle_system
from wrapping import wrap

# QEMU executes an instruction per nanosecond of virtual time, and its counter has 62.5 MHz.
INSTRUCTIONS_PER_TICK = 16
FEW, MANY = 512, 1536
TABLE = re.search(r"^\| step \| instructions \|\n\|---\|---\|\n((?:\|.*\n)+)", (ROOT / "docs" / "capdl.md").read_text(encoding="utf-8"), re.MULTILINE).group(1)
BOUNDS = {text: int(bound.replace(",", "")) for text, bound in re.findall(r"^\| (.+?) \| ([\d,]+) \|$", TABLE, re.MULTILINE)}


def mapped(count, frame):
    """Objects and capabilities of a system with `count` frames in its address space. frame: the declaration of frame i."""
    tables = count // 512
    objects = " ".join(frame(i) for i in range(count)) + f" p[{tables}] = pt v1 = pud v2 = pd"
    entries = [" ".join(f"{i % 512}: f{i} (RW)" for i in range(table * 512, table * 512 + 512)) for table in range(tables)]
    return objects, "v { 0: v1 } v1 { 0: v2 } v2 { 2: p[] } " + " ".join(f"p[{table}] {{ {text} }}" for table, text in enumerate(entries))


def empty(number):
    return f"f{number} = frame (4k)"


def filled(number):
    """Each page has content of its own."""
    return f'f{number} = frame (4k, fill: [{{0 4096 CDL_FrameFill_FileData "data" {number}}}])'


def copied(_):
    """All pages are alike."""
    return f'f{_} = frame (4k, fill: [{{0 4096 CDL_FrameFill_FileData "data" 0}}])'


def slots(count):
    """A CNode with `count` capabilities to endpoints."""
    return f"e[{count}] = ep k = cnode (11 bits)", "k { e[] (RW) }"


def costs(folder, name, objects, caps):
    """Instructions of each step."""
    folder = folder / name
    folder.mkdir()
    (folder / "data").write_bytes(bytes(i * i // 7 % 251 for i in range(MANY + 4096)))
    system, setting = build(folder, idle_system(objects, caps))
    payload = wrap(system, folder / "out", "cost_probe.cc", [], folder)
    outcome = machines.run(setting, timeout=TIMEOUT, image=BUILD / "platform" / "Image", payload=payload, output=None, deterministic=True)
    assert "caprock: halt: loader: measured" in outcome.log, outcome.log
    return {step: int(ticks) * INSTRUCTIONS_PER_TICK for step, ticks in re.findall(r"^cost (\w+) (\d+)$", outcome.log, re.MULTILINE)}


def per_item(folder, make):
    """Instructions of each step for one item more. make: (objects, caps) of a system with so many items."""
    few, many = costs(folder, "few", *make(FEW)), costs(folder, "many", *make(MANY))
    return {step: (many[step] - few[step]) / (MANY - FEW) for step in many}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Instructions of each step for one more frame with zeros, page of the image, copy of one, and endpoint with a capability to it."""
    kinds = {"plain": lambda count: mapped(count, empty), "pages": lambda count: mapped(count, filled), "copies": lambda count: mapped(count, copied),
             "objects": slots}
    return {kind: per_item(tmp_path_factory.mktemp(kind), make) for kind, make in kinds.items()}


def test_costs_are_those_of_the_table(runs):
    """Nothing costs more than the table says, and nothing half as much: then the table would say nothing."""
    measured = {
        "create an object": runs["objects"]["create_objects"],
        "create a frame of 4k, with zeros": runs["plain"]["create_objects"],
        "map a frame": runs["plain"]["map_memory"],
        "give a page of the image away": runs["pages"]["take_page_frames"],
        "fill a frame with 4k": runs["copies"]["fill_frames"],
        "place a capability": runs["objects"]["install_capabilities"],
        "compare an object": runs["objects"]["verify_objects"],
        "compare a slot": runs["objects"]["verify_system"],
        "compare a page": runs["plain"]["verify_system"],
    }
    assert measured.keys() == BOUNDS.keys()
    told = [f"{name}: {round(cost)}, and the table says {BOUNDS[name]}" for name, cost in measured.items() if not BOUNDS[name] / 2 < cost <= BOUNDS[name]]
    assert not told, "\n".join(told)


def test_pages_of_the_image_are_neither_created_nor_copied(runs):
    """What a page of the image costs has no part of the cost of a new frame."""
    assert runs["pages"]["create_objects"] < 20 and runs["pages"]["fill_frames"] < 20
    assert runs["pages"]["take_page_frames"] < runs["copies"]["fill_frames"]
