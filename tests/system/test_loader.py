# SPDX-License-Identifier: BSD-2-Clause
"""The loader on a real run: a program looks from inside at what it made of a plain description, and what it cannot make ends in one line
that names the object."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import machines  # noqa: E402
import payload as payloads  # noqa: E402
from capdl.build import build_system  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
HERE = Path(__file__).resolve().parent
TIMEOUT = 300  # seconds; a run takes one or two, and more on a busy machine
COMPILE = ["aarch64-linux-gnu-g++", "-std=gnu++2b", "-Wall", "-Wextra", "-Werror", "-O2", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
           "-mgeneral-regs-only", "-mstrict-align", "-fno-pic", "-static", "-no-pie", "-nostdlib", "-fno-asynchronous-unwind-tables",
           "-Wl,--build-id=none", f"-Wl,-T,{HERE / 'loader_probe.ld'}", "-Wl,--no-warn-rwx-segments"]

# Priorities: the probe serves the others, so it is above them; `elsewhere` is above all, but its domain has no time before the probe gives it some.
# `server` is declared first, as it has to be ready before its caller, the probe.
PROBE = """
caprock 1
arch aarch64
objects {
  server = tcb (addr: 0, ip: 0x400018, sp: 0x40c000, prio: 90, max_prio: 0, affinity: 0, first_receive: 1)
  probe = tcb (addr: 0x406000, ip: 0x400000, sp: 0x406000, prio: 100, max_prio: 100, affinity: 0, init: [0x1234, 0xfffffffffffffff0],
               physical_timer: True, pmu: True)
  caller = tcb (addr: 0, ip: 0x400004, sp: 0, prio: 50, max_prio: 0, affinity: 0)
  spinner = tcb (addr: 0, ip: 0x400008, sp: 0, prio: 40, max_prio: 0, affinity: 0)
  faulty = tcb (addr: 0, ip: 0x40000c, sp: 0, prio: 60, max_prio: 0, affinity: 0, fpu_disabled: True)
  asleep = tcb (addr: 0, ip: 0x700000, sp: 0, prio: 200, max_prio: 0, affinity: 0, resume: False)
  elsewhere = tcb (addr: 0, ip: 0x400014, sp: 0, prio: 250, max_prio: 0, affinity: 0, dom: 5)
  cspace = cnode (5 bits)
  callers_cspace = cnode (2 bits)
  v = pgd
  v1 = pud
  v2 = pd
  v3 = pt
  code0 = frame (4k, fill: [{0 4096 CDL_FrameFill_FileData "probe.bin" 0}])
  code1 = frame (4k, fill: [{0 4096 CDL_FrameFill_FileData "probe.bin" 4096}])
  code2 = frame (4k, fill: [{0 2048 CDL_FrameFill_FileData "probe.bin" 8192}, {2048 2048 CDL_FrameFill_FileData "probe.bin" 10240}])
  code3 = frame (4k, fill: [{0 4096 CDL_FrameFill_FileData "probe.bin" 12288}])
  data = frame (4k)
  stack = frame (4k)
  buffer = frame (4k)
  uart = frame (4k, paddr: 0x9000000)
  tree = frame (4k, fill: [{0 4096 CDL_FrameFill_BootInfo CDL_FrameFill_BootInfo_FDT 0}])
  constant = frame (4k, fill: [{0 16 CDL_FrameFill_FileData "probe.data" 32}])
  shared = frame (4k)
  large = frame (2M, fill: [{0 8 CDL_FrameFill_FileData "probe.data" 32}, {2093056 16 CDL_FrameFill_FileData "probe.data" 32}])
  sc_probe = sc (8 bits, period: 10000, budget: 10000, data: 0)
  sc_caller = sc (8 bits, period: 10000, budget: 5000, data: 0)
  sc_spinner = sc (7 bits, period: 50000, budget: 1000, data: 0x55)
  sc_faulty = sc (8 bits, period: 10000, budget: 5000, data: 0)
  sc_asleep = sc (8 bits, period: 10000, budget: 10000, data: 0)
  sc_elsewhere = sc (8 bits, period: 10000, budget: 10000, data: 0)
  sc_server = sc (8 bits, period: 10000, budget: 10000, data: 0)
  served = ep
  server_reply = rtreply
  server_cspace = cnode (2 bits)
  message = arm_sgi_signal (irq: 9, target: 0)
  message_line = irq
  errors = irq
  e = ep
  full = ep
  r = rtreply
  n = notification
  u = ut (14 bits) { child = frame (4k) }
  clock = arm_irq (trigger: level, target: 0)
  pool = asid_pool
  w = pgd
}
caps {
  probe { cspace: cspace (guard: 0, guard_size: 59)  vspace: v  ipc_buffer_slot: buffer (RW)  sc_slot: sc_probe }
  caller { cspace: callers_cspace (guard: 0, guard_size: 62)  vspace: v  sc_slot: sc_caller }
  spinner { cspace: callers_cspace (guard: 0, guard_size: 62)  vspace: v  sc_slot: sc_spinner
            fault_ep_slot: e (WG, badge: 0x11)  temp_fault_ep_slot: e (WG, badge: 0x88) }
  faulty { cspace: callers_cspace (guard: 0, guard_size: 62)  vspace: v  sc_slot: sc_faulty  fault_ep_slot: e (WGP, badge: 0x77) }
  asleep { cspace: callers_cspace (guard: 0, guard_size: 62)  vspace: v  sc_slot: sc_asleep }
  elsewhere { cspace: callers_cspace (guard: 0, guard_size: 62)  vspace: v  sc_slot: sc_elsewhere }
  server { cspace: server_cspace (guard: 0, guard_size: 62)  vspace: v  sc_slot: sc_server }
  callers_cspace { 1: e (WP, badge: 0x99) }
  server_cspace { 1: served (R)  2: server_reply }
  message_line { 0: n (badge: 0x20) }
  cspace {
    1: e (R)
    2: r
    3: n (R)
    4: n (W, badge: 0x10)
    5: u
    6: cspace (guard: 0, guard_size: 59)
    7: faulty
    8: clock
    9: constant (RW, mapping: (v3, 9))
    10: uart (RW)
    11: child (R)
    12: full (W, badge: 0x33) - child_of (cspace, 13)
    13: full (RWGP)
    14: sched_control (core: 0)
    15: sc_probe
    16: v
    17: irq_control
    18: pool
    19: full (W, badge: 0x33) - child_of (cspace, 12)
    21: message
    22: message_line
    23: errors
    24: domain
    25: served (WP, badge: 0x66)
  }
  v { 0: v1 }
  v1 { 0: v2 }
  v2 { 2: v3  5: large (R) }
  pool { 0: w }
  v3 { 0: code0 (RX)  1: code1 (RX)  2: code2 (RX)  3: code3 (RX)  4: data (RW)  5: stack (RW)  6: buffer (RW)  7: uart (RW, uncached)
       8: tree (R, uncached)  9: constant (R)  11: shared (RW)  12: shared (R) }
}
irq maps { 34: clock  9: message_line  1020: errors }
domains { schedule: [(5, 1000 us), (0, 400000 ticks)] index_shift: 7 domain_set_start: no_start }
"""

# A thread that needs nothing but memory, to carry objects that the loader shall stumble over.
SMALL = "arch aarch64 objects {{ {objects} }} caps {{ {caps} }} {rest}"
IDLE = "t = tcb (addr: 0, ip: 0x400000, sp: 0, prio: 1, max_prio: 0, affinity: {core}) c = cnode (1 bits) v = pgd"
IDLE_CAPS = "t { cspace: c  vspace: v  sc_slot: s }"


def build(folder, text, name="system", says="Nothing", **setting):
    """Builds a description for a virt machine of 1 GiB: (BuiltSystem, Setting). says: as of emit."""
    chosen = machines.Setting("virt", **setting).checked()
    tree = machines.device_tree(machines.Setting("virt").checked(), folder / "board.dtb")
    (folder / f"{name}.cdl").write_text(text, encoding="utf-8")
    system = build_system(folder / f"{name}.cdl", machine="virt", dtb=tree, elf_dirs=[folder], build_dir=BUILD, out_dir=folder / "out", says=says)
    return system, chosen


def run(payload, setting, debug=False, until=None):
    """Runs a payload: machines.Outcome. until: a line that ends the run with success."""
    image = BUILD / "platform" / ("Image-debug" if debug else "Image")
    return machines.run(setting, timeout=TIMEOUT, image=image, payload=payload, output=None, until=until)


def make_probe(folder):
    """Compiles the probe to a flat file, and the content of one frame."""
    includes = [f"-I{BUILD / 'kernel' / 'api'}", f"-I{ROOT / 'userland' / 'caprock' / 'include'}"]
    subprocess.run([*COMPILE, *includes, str(HERE / "loader_probe.cc"), "-o", str(folder / "probe.elf")], check=True)
    flat = folder / "probe.bin"
    subprocess.run(["aarch64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", str(folder / "probe.elf"), str(flat)], check=True)
    flat.write_bytes(flat.read_bytes().ljust(4 * 4096, b"\0"))
    (folder / "probe.data").write_bytes(bytes(32) + bytes(range(16)) + b"\xff" * 16)


@pytest.mark.parametrize("debug", (False, True), ids=("production", "debug"))
def test_a_program_finds_what_was_described(tmp_path, debug):
    make_probe(tmp_path)
    system, setting = build(tmp_path, PROBE, "probe")
    outcome = run(system.payload, setting, debug)
    assert outcome.status == 0, outcome.log
    objects = len(system.spec.objects)
    capabilities = sum(len(item.slots) for item in system.spec.objects.values())
    loaded = f"caprock: loaded probe: {objects} objects, {capabilities} capabilities, hash {system.system_hash.hex()[:16]}\n"
    assert outcome.log.count(loaded) == 1


def idle_system(objects="", caps="", core=0, schedule="period: 10000, budget: 10000, data: 0", rest=""):
    """A description with one thread and what a test adds."""
    objects = f"{IDLE.format(core=core)} s = sc (8 bits, {schedule}) {objects}"
    return SMALL.format(objects=objects, caps=f"{IDLE_CAPS} {caps}", rest=rest)


HALTS = {
    "too little memory": (idle_system("big[64] = frame (2M)"), {"memory": "64M"},
                          r"big\[\d+\] \(2 MiB\) does not fit: .* are free, the largest piece .*; .* are still needed$"),
    "the kernel's own device": (idle_system("gic = frame (4k, paddr: 0x8000000)"), {},
                                r"gic \(4 KiB at 0x8000000\) is at an address where the kernel gave nothing$"),
    "the kernel's own interrupt": (idle_system("i = irq", rest="irq maps { 27: i }"), {},
                                   "making the handler of interrupt 27 for i: RevokeFirst$"),
    "a core that does not run": (idle_system(core=1), {}, r"s is for core 1, but the kernel runs 1 \(start the machine with more cores\)$"),
    "a budget that is too small": (idle_system(schedule="period: 10000, budget: 1, data: 0"), {},
                                   r"configuring s with 1 us in 10000 us: RangeError \(from \d+ to \d+\)$"),
    "a core that does not exist": (idle_system("u = tcb (addr: 0, affinity: 5)"), {},
                                   r"placing u on core 5: RangeError \(from 0 to 3\)$"),
    "a core to interrupt that does not exist": (idle_system("g = arm_sgi_signal (irq: 3, target: 4)"), {},
                                                r"making the right to send interrupt 3 to core 4 for g: RangeError \(from 0 to 3\)$"),
    "a turn that is too short": (idle_system(rest="domains { schedule: [(2, 1 us)] }"), {},
                                 r"giving domain 2 entry 0 of the schedule, for 1 us: RangeError \(from \d+ to \d+\)$"),
    "control of a core that does not run": (idle_system("d = cnode (1 bits)", "d { 1: sched_control (core: 2) }"), {},
                                            "d slot 1 names core 2, but the kernel runs 1$"),
}


@pytest.mark.parametrize("case", HALTS)
def test_what_cannot_be_made_is_named(tmp_path, case):
    text, setting, reason = HALTS[case]
    system, machine = build(tmp_path, text, **setting)
    outcome = run(system.payload, machine)
    assert outcome.status == 1
    assert re.search(f"^caprock: halt: loader: {reason}", outcome.log, re.MULTILINE), outcome.log
    assert "caprock: loaded" not in outcome.log


def test_a_payload_of_another_system_is_refused(tmp_path):
    system, setting = build(tmp_path, idle_system())
    root = system.root_elf.read_bytes()
    other = tmp_path / "other.bin"
    other.write_bytes(payloads.make_payload(root, "system", bytes(32), payloads.elf_api_hash(root)))
    outcome = run(other, setting)
    assert outcome.status == 1
    assert "caprock: halt: loader: the payload's header is not that of system (build the image again)\n" in outcome.log


def test_a_system_of_many_frames_loads(tmp_path):
    """More objects than the smallest root CNode has slots, each mapped."""
    frames, tables = 6000, 12
    maps = " ".join(f"p[{i}] {{ 0: f[{i * 512}..{min(frames, i * 512 + 512) - 1}] (RW) }}" for i in range(tables))
    text = idle_system(f"f[{frames}] = frame (4k) p[{tables}] = pt v1 = pud v2 = pd",
                       f"v {{ 0: v1 }} v1 {{ 0: v2 }} v2 {{ 2: p[] }} {maps}")
    system, setting = build(tmp_path, text)
    outcome = run(system.payload, setting, until="caprock: loaded")
    assert f"caprock: loaded system: {len(system.spec.objects)} objects, " in outcome.log
    assert "halt" not in outcome.log
