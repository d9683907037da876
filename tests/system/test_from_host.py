# SPDX-License-Identifier: BSD-2-Clause
"""The host reads the stopped machine's memory and compares it with the description: whatever a loader did wrong and did not notice is named, and nothing
else is."""

import os
import random
import re
from types import SimpleNamespace

import machines
import pytest
from command import from_host
from test_loader import BUILD, HERE, ROOT, TIMEOUT, build, make_probe
from test_user_level import compile_component, spell
from test_verification import SYSTEM as VERIFIED
from test_verification import deviate
from wrapping import wrap

from capdl.build import build_system
from capdl.driver import load_text
from capdl.lower import lower
from capdl.model import FILL_BOOT_INFO
from capdl.printing import canonical_text

SEED = int(os.environ.get("CAPROCK_SEED", "1"))
# The system of the loader's test, and things that only a wrong loader touches.
UNTOUCHED = "  idle = notification\n  spare = cnode (2 bits)\n  apart = frame (4k, paddr: 0x9010000)\n  w1 = pud\n  w2 = pd\n  w3 = pt\n"
SYSTEM = VERIFIED.replace("  e = ep\n", "  e = ep\n" + UNTOUCHED) \
    .replace("  v { 0: v1 }\n", "  v { 0: v1 }\n  w { 0: w1 }\n  w1 { 0: w2 }\n  w2 { 0: w3 }\n")
NUMBER = "0x[0-9a-f]+"
# What is found for each deviation: all lines, in order. CHOSEN stands for the thread that the seed picks. These are changes behind the loader's
# comparison, as test_verification.py has them before it.
LATE = {
    "slot_missing": ["cspace slot 0x1: object is nothing, not e"],
    "slot_extra": ["cspace slot 0x1e: object is e, not nothing"],
    "slot_rights": ["cspace slot 0x3: rights is W, not R"],
    "slot_badge": ["cspace slot 0x4: badge is 0x11, not 0x10"],
    "slot_guard": ["cspace slot 0x6: guard is 0x1, not 0x0"],
    "slot_guard_size": ["cspace slot 0x6: guard size is 0x3a, not 0x3b"],
    "slot_object": ["cspace slot 0x1: object is served, not e"],
    "slot_parent": ["cspace slot 0x13: parent is cspace slot 0xd, not cspace slot 0xc"],
    "page_missing": ["v3 slot 0x4: object is nothing, not data"],
    "page_frame": ["v3 slot 0x4: object is shared, not data"],
    "page_rights": ["v3 slot 0x4: rights is R, not RW"],
    "page_attributes": ["v3 slot 0x4: cached is False, not True"],
    "page_extra": ["v3 slot 0xa: object is shared, not nothing"],
    "thread_state": ["spinner: state is running, not inactive"],
    "thread_priority": [f"CHOSEN: prio is {NUMBER}, not {NUMBER}"],
    "thread_highest": [f"CHOSEN: max_prio is {NUMBER}, not {NUMBER}"],
    "thread_domain": [f"CHOSEN: dom is {NUMBER}, not ({NUMBER}|nothing)"],
    "thread_core": ["loner: affinity is 0x2, not 0x1"],
    "thread_flags": ["caller: pmu is True, not nothing"],
    "thread_buffer": ["probe: addr is 0x406400, not 0x406000"],
    "thread_context": ["asleep slot sc_slot: object is nothing, not sc_asleep", "sc_asleep: thread is nothing, not asleep"],
    "thread_notification": ["CHOSEN slot bound_notification: object is n, not nothing", "n: thread is CHOSEN, not nothing"],
    "thread_registers": ["caller: sp is 0x8, not 0x0"],
    "thread_cspace": ["caller slot cspace: guard size is 0x3d, not 0x3e"],
    "thread_vspace": ["caller slot vspace: object is w, not v"],
    "thread_buffer_frame": ["probe slot ipc_buffer_slot: object is data, not buffer"],
    "thread_handler": ["faulty slot fault_ep_slot: badge is 0x78, not 0x77"],
    "thread_timeout": ["spinner slot temp_fault_ep_slot: badge is 0x89, not 0x88"],
    "context_budget": ["sc_caller: budget is 0xfa0, not 0x1388"],
    "context_period": ["sc_caller: period is 0x2af8, not 0x2710"],
    "context_refills": ["sc_caller: extra refills is 0x1, not 0x0"],
    "context_badge": ["sc_caller: data is 0x1, not 0x0"],
    "context_notification": ["asleep slot sc_slot: object is nothing, not sc_asleep", "sc_asleep: notification is n, not nothing",
                             "sc_asleep: thread is nothing, not asleep", "n: sched context is sc_asleep, not nothing"],
    "interrupt_notification": ["clock slot 0x0: object is n, not nothing"],
    "interrupt_badge": ["message_line slot 0x0: badge is 0x21, not 0x20"],
}
# And these are of loaders that look for the wrong thing themselves, or for none.
WRONG = {
    "object_kind": ["idle: type is Endpoint, not Notification"],
    "object_radix": ["spare: size in bits is 0x3, not 0x2"],
    "object_size": ["sc_asleep: size in bits is 0x9, not 0x8"],
    "object_address": ["apart: physical address is 0x9011000, not 0x9010000"],
    "interrupt_extra": ["interrupt 40: handler is there, not nothing"],
    "thread_extra": [f"TCB at {NUMBER}: description is nothing, not some"],
    "turn_length": [r"turn 8 of the domain schedule: domain and ticks is \(0, \d+\), not \(0, 400000\)"],
    "table_missing": ["w2 slot 0x0: object is nothing, not w3"],
    "thread_register": ["loner: register x9 is 0x1, not 0x0"],
    "notification_active": ["n: active is 1, not 0"],
}


def read(setting, system, payload, root, before=lambda memory, places: None, at=None):
    """What is found in a machine (observation.Observation) that runs a payload of a system (build.BuiltSystem). root: the ELF file of its loader. before:
    does something to the memory of the machine that stands still. at: what its console says when it is looked at; None: nothing runs yet."""
    ready = SimpleNamespace(image=BUILD / "platform" / "Image", payload=payload, root=root, spec=system.spec)
    found = []

    def take(observation):
        found.append(observation)
        return 0, "read"

    outcome = from_host.run(setting, ready, take, timeout=TIMEOUT, output=None, offline=True, before=before, at=at)
    assert found, outcome.log
    return found[0]


class Probe:
    """The system, built; `look` runs a payload of it until the host has read it."""

    def __init__(self, folder):
        make_probe(folder)
        self.out = folder / "out"
        self.system, self.setting = build(folder, SYSTEM, "probe")
        root = lower(self.system.spec)
        self.chosen = [root.names[thread.tcb] for thread in root.threads][SEED % len(root.threads)]

    def look(self, payload, root, **options):
        """What is found."""
        return read(self.setting, self.system, payload, root, **options)

    def deviations(self, *arguments):
        """What differs, a line for each."""
        return self.look(*arguments).deviations(self.system.spec)


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return Probe(tmp_path_factory.mktemp("probe"))


def expect(lines, patterns, chosen):
    """Each line is as its pattern says, and there are no others."""
    patterns = [pattern.replace("CHOSEN", chosen) for pattern in patterns]
    assert len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines)), lines


def test_a_system_as_described_is_that(probe):
    """Nothing differs, and the canonical text is the description's."""
    found = probe.look(probe.system.payload, probe.system.root_elf)
    assert found.deviations(probe.system.spec) == []
    assert canonical_text(found.live).splitlines() == canonical_text(probe.system.spec).splitlines()
    assert any(line.endswith("Untyped of the loader") for line in found.remainder)


@pytest.mark.parametrize("name", LATE)
def test_what_changed_behind_the_comparison_is_named(probe, name, tmp_path):
    payload = deviate(probe.system, probe.out, name, tmp_path, late=True)
    expect(probe.deviations(payload, tmp_path / "root.elf"), LATE[name], probe.chosen)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_loader_is_found_out(probe, name, tmp_path):
    payload = wrap(probe.system, probe.out, "wrong_loader.cc", [f"-DDEVIATION={name}"], tmp_path)
    expect(probe.deviations(payload, tmp_path / "root.elf"), WRONG[name], probe.chosen)


def test_wrong_content_is_named(probe):
    """A byte of a frame, anywhere in memory that the description gives content to or leaves empty."""
    random.seed(SEED)
    frames = [item for item in probe.system.spec.objects.values()
              if item.type == "frame" and item.paddr is None and all(fill.kind != FILL_BOOT_INFO for fill in item.fills)]
    chosen = random.choice(frames)
    offset = random.randrange(1 << chosen.size_bits)

    def spoil(memory, places):
        address = places[chosen.name] + offset
        with open(memory.path, "r+b") as file:
            file.seek(address - memory.start)
            file.write(bytes([memory.read(address, 1)[0] ^ 0x5a]))

    found = probe.look(probe.system.payload, probe.system.root_elf, before=spoil).deviations(probe.system.spec)
    expect(found, [f"{re.escape(chosen.name)}: byte {offset:#x} is 0x[0-9a-f]{{2}}, not 0x[0-9a-f]{{2}}"], probe.chosen)


@pytest.mark.parametrize("setting", [machines.Setting("virt", gic=3, el=1, cores=1), machines.Setting("raspi4b")], ids=spell)
def test_a_project_of_components_is_as_described(setting, tmp_path):
    """On other machines, and with programs."""
    setting = setting.checked()
    tree = machines.device_tree(setting, tmp_path / "board.dtb", offline=True)
    system = build_system(ROOT / "systems" / "hello.cdl", machine=setting.machine, dtb=tree, elf_dirs=[BUILD / "userland"], build_dir=BUILD, out_dir=tmp_path)
    assert read(setting, system, system.payload, system.root_elf).deviations(system.spec) == []


# Systems that run ---------------------------------------------------------------------------------------------------------------------------

MAKER = """caprock 1
arch aarch64
include "serial.cdl"
components {
  maker = component {
    elf "maker.elf"; prio 100; budget 1ms/10ms; uses console: Console; consumes never
    grant memory: pool; grant own: maker_cnode (guard_size: 60); grant space: maker_vspace; grant spare: spare (RW)
  }
  other = component { elf "maker.elf"; prio 1; budget 100us/10ms; faults to maker; emits never }
}
connect {
  call maker.console -> console.console
  notify other.never -> maker.never
}
objects { pool = ut (14 bits)  spare = notification }
"""


def found_later(path, folder, text, settings=(), **setting):
    """The description's canonical lines, and those of its system that runs when its console has said a text; `settings`: NAME=VALUE for its parameters."""
    chosen = machines.Setting(**({"machine": "virt"} | setting)).checked()
    tree = machines.device_tree(chosen, folder / "board.dtb", offline=True)
    system = build_system(path, machine=chosen.machine, dtb=tree, elf_dirs=[folder, BUILD / "userland"], build_dir=BUILD, out_dir=folder, settings=settings)
    found = read(chosen, system, system.payload, system.root_elf, at=text)
    assert not found.findings
    return canonical_text(system.spec).splitlines(), canonical_text(found.live).splitlines()


@pytest.mark.parametrize("setting", [{}, {"gic": 3, "el": 1, "cores": 1}, {"machine": "raspi4b"}], ids=str)
def test_a_system_that_runs_is_still_the_described_one(setting, tmp_path):
    """In the middle of calls. It never ends: when the host looks is the host's affair."""
    declared, found = found_later(ROOT / "systems" / "restart.cdl", tmp_path, "[writer]", ["count=1000000000", "crash=0"], **setting)
    assert found == declared


def test_lent_time_is_where_it_is(tmp_path):
    """Passive components have given back what they started with; nothing else has changed."""
    declared, found = found_later(ROOT / "systems" / "passive.cdl", tmp_path, "sums, the shortest took")
    assert [line for line in declared if line not in found] == ["  sc_slot: worker_start_sc"]
    assert [line for line in found if line not in declared] == []


def test_what_a_system_made_of_itself(tmp_path):
    """An endpoint and a page table that a component made, and a capability that it deleted; the text is a description."""
    compile_component(HERE / "maker.cc", tmp_path / "maker.elf")
    path = tmp_path / "maker.cdl"
    path.write_text(MAKER, encoding="utf-8")
    declared, found = found_later(path, tmp_path, "made all, deleted it")
    names = [line.partition(" ")[0] for line in found if re.fullmatch(r"(ep_[0-9a-f]+ = ep|pd_[0-9a-f]+ = pd)", line)]
    assert [line for line in found if line not in declared] == [
        f"{names[0]} = ep", f"{names[1]} = pd", f"  0xc: {names[0]} (RWGP)", f"  0xd: {names[1]}", f"  0x2: {names[1]}"]
    assert [line.partition(": ")[2] for line in declared if line not in found] == ["spare (RW)"]
    assert load_text("\n".join(found))[1].ok


def test_every_deviation_is_tried():
    """The tables have what the sources can do. What deviations.cc does to objects it does to the loader's notes alone, which the host does not ask."""
    late = re.findall(r"^void ((?:slot|page|thread|context|interrupt)_\w+)\(\)", (HERE / "deviations.cc").read_text(encoding="utf-8"), re.MULTILINE)
    wrong = re.findall(r"^struct (\w+) : ", (HERE / "wrong_loader.cc").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(late) == set(LATE) and set(wrong) == set(WRONG)
