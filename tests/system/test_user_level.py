# SPDX-License-Identifier: BSD-2-Clause
"""The project's systems on the machines that QEMU models: what they print, how they end, and what is typed into them."""

import os
import re
import socket
import subprocess
import tempfile
import time
from itertools import product
from pathlib import Path

import machines
import pytest

from capdl import build, elf

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
IMAGE = BUILD / "platform" / "Image"

# Console lines of systems/hello.cdl by component; addresses of instructions are not fixed.
HELLO = {
    "greeter": ["greeting 1 given", "greeting 2 given", "greeting 3 given"],
    "client": ["greeting 1 arrived", "greeting 2 arrived", "greeting 3 arrived", "the server says: hello, client"],
    "supervisor": [
        "client: ended with status 0",
        r"constant_writer: write of forbidden address 0x4\w+ at 0x4\w+",
        r"null_reader: read of unmapped address 0x0 at 0x4\w+",
        "spinner: ran past its budget",
        "all came to the expected end",
    ],
}
WAYS = ("kernel", "uboot")
MACHINES = [
    *(machines.Setting("virt", via=via, gic=gic, el=el, cores=cores) for via, gic, el, cores in product(WAYS, (2, 3), (1, 2), (1, 4))),
    *(machines.Setting("raspi4b", via=via) for via in WAYS),
]


def spell(setting):
    """A machine's name in the test's."""
    fields = (setting.machine, setting.via, setting.gic and f"gic{setting.gic}", setting.el and f"el{setting.el}", setting.cores)
    return "-".join(str(field) for field in fields if field)


def make_payload(path, setting, folder):
    """Build a system for a machine: its payload."""
    tree = machines.device_tree(setting, folder / "board.dtb", offline=True)
    return build.build_system(path, machine=setting.machine, dtb=tree, elf_dirs=[BUILD / "userland"],
                              build_dir=BUILD, out_dir=folder).payload


def run(name, setting, folder, image=IMAGE, **options):
    """Build and run a system of the project, on its production kernel if not told otherwise."""
    payload = make_payload(ROOT / "systems" / f"{name}.cdl", setting, folder)
    return machines.run(setting, timeout=120, image=image, payload=payload, offline=True, output=None, **options)


def lines_by_component(log):
    """The console's lines of each component, in order; other lines are left out."""
    lines = {}
    for line in log.splitlines():
        if found := re.fullmatch(r"\[(\w+)\] (.*)", line):
            lines.setdefault(found[1], []).append(found[2])
    return lines


def check_hello(log):
    """Each component's lines are those expected. The supervisor's come in any order but the last."""
    lines = lines_by_component(log)
    assert set(lines) == set(HELLO), log
    assert lines["greeter"] == HELLO["greeter"] and lines["client"] == HELLO["client"], log
    assert lines["supervisor"][-1] == HELLO["supervisor"][-1], log
    printed = sorted(lines["supervisor"])
    for line, pattern in zip(printed, sorted(HELLO["supervisor"]), strict=True):
        assert re.fullmatch(pattern, line), log


@pytest.mark.parametrize("setting", MACHINES, ids=spell)
def test_hello_reports_three_faults_and_ends_with_success(setting, tmp_path):
    outcome = run("hello", setting, tmp_path)
    check_hello(outcome.log)
    assert (outcome.status, outcome.reason) == (0, "caprock: exit 0"), outcome.log


@pytest.mark.parametrize("setting", [machines.Setting("virt"), machines.Setting("raspi4b")], ids=spell)
def test_hello_on_the_debug_kernel(setting, tmp_path):
    outcome = run("hello", setting, tmp_path, image=BUILD / "platform" / "Image-debug")
    check_hello(outcome.log)
    assert outcome.status == 0, outcome.log


def test_hello_repeats_to_the_byte_under_instruction_counting(tmp_path):
    first, second = (run("hello", machines.Setting("virt"), tmp_path, deterministic=True) for _ in range(2))
    assert first.status == 0, first.log
    assert first.log == second.log


def run_changed(name, changes, folder, setting=machines.Setting("virt"), **options):
    """Run a system of the project with parts of its text replaced, under instruction counting. changes: (old, new), each old as often as it is
    there."""
    text = (ROOT / "systems" / f"{name}.cdl").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "changed.cdl"
    path.write_text(text, encoding="utf-8")
    return machines.run(setting, timeout=120, image=IMAGE, payload=make_payload(path, setting, folder), offline=True, output=None,
                        deterministic=True, **options)


TIMER_MACHINES = [*(machines.Setting("virt", gic=gic, el=el) for gic, el in product((2, 3), (1, 2))), machines.Setting("raspi4b")]


@pytest.mark.parametrize("setting", TIMER_MACHINES, ids=spell)
def test_sleeps_take_their_time(setting, tmp_path):
    """No sleep ends early, or more than 100 us late: what the two clients, the timer and the console take together."""
    outcome = run_changed("timer", [("slack: 500000", "slack: 100")], tmp_path, setting)
    assert outcome.status == 0, outcome.log
    lines = lines_by_component(outcome.log)
    assert lines["early"] == [f"sleep {number} of 5000 us done" for number in (1, 2, 3)]
    assert lines["late"] == [f"sleep {number} of 20000 us done" for number in (1, 2, 3)]
    # The short sleeps all end before the first long one does.
    assert outcome.log.index("sleep 3 of 5000 us") < outcome.log.index("sleep 1 of 20000 us")


def test_an_idle_system_does_not_tick(tmp_path):
    """While one client sleeps for 3 s there is nothing to do, and next to no interrupts."""
    record = tmp_path / "interrupts"
    outcome = run_changed("timer", [("count: 3, us: 20000", "count: 1, us: 3000000")], tmp_path, extra=("-d", "int", "-D", str(record)))
    assert outcome.status == 0 and "[late] sleep 1 of 3000000 us done" in outcome.log, outcome.log
    assert 0 < record.read_text(encoding="ascii").count("[IRQ]") < 50


RESTART = """caprock 1
arch aarch64
include "serial.cdl"
include "timer.cdl"
components {{
  timer = component {{
    elf "timer.elf"; prio 210; budget 1ms/5ms; access physical_timer; irq alarm: "/timer" 1
    provides timer: Timer; emits restarter; faults to restarter
  }}
  restarter = component {{
    elf "timer-restart.elf"; prio 100; budget 5ms/5ms; args {{ entry: {entry} }}
    uses console: Console; uses system: System; uses timer: Timer; consumes alarm
  }}
}}
connect {{
  notify timer.restarter -> restarter.alarm
  call restarter.timer -> timer.timer
  call restarter.console -> console.console
  call restarter.system -> console.system
}}
"""
COMPILE = ["aarch64-linux-gnu-g++", "-std=gnu++2b", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2", "-ffreestanding", "-fno-exceptions",
           "-fno-rtti", "-mcpu=cortex-a72", "-mstrict-align", "-fno-threadsafe-statics", "-fno-pic", "-static", "-no-pie", "-nostdlib",
           "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096", "-Wl,-z,noexecstack"]


def compile_component(source, target, *more_includes):
    """Compile a component for one test. more_includes: folders of headers beside the build's."""
    includes = [f"-I{folder}" for folder in (*more_includes, BUILD / "kernel" / "api", BUILD / "userland", ROOT / "userland" / "caprock" / "include")]
    script = f"-Wl,-T,{ROOT / 'userland' / 'caprock' / 'component.ld'}"
    subprocess.run([*COMPILE, *includes, script, str(source), str(BUILD / "userland" / "libcaprock.a"), "-o", str(target)], check=True)


@pytest.mark.parametrize("setting", [machines.Setting("virt"), machines.Setting("raspi4b")], ids=spell)
def test_the_timer_can_be_restarted(setting, tmp_path):
    """Whatever state it was stopped in, and with a deadline that came meanwhile: started again at its entry it serves new deadlines."""
    compile_component(ROOT / "tests" / "system" / "timer_restart.cc", tmp_path / "timer-restart.elf")
    path = tmp_path / "restart.cdl"
    path.write_text(RESTART.format(entry=elf.read(BUILD / "userland" / "timer.elf").entry), encoding="utf-8")
    record = tmp_path / "interrupts"
    outcome = machines.run(setting, timeout=60, image=IMAGE, payload=make_payload(path, setting, tmp_path), offline=True, output=None,
                           deterministic=True, extra=("-d", "int", "-D", str(record)))
    assert outcome.status == 0, outcome.log
    took = [int(duration) for duration in re.findall(r"\[restarter\] sleep \d took (\d+) us", outcome.log)]
    assert len(took) == 3 and all(2_000 <= duration < 2_100 for duration in took), outcome.log
    # Here, other than in the system with a supervisor, there are times without any deadline.
    assert 0 < record.read_text(encoding="ascii").count("[IRQ]") < 100


def shortest_calls(log):
    """The microseconds that the clients of systems/passive.cdl print, by client."""
    return {name: int(duration) for name, duration in re.findall(r"^\[(\w+)\] \d sums, the shortest took (\d+) us$", log, re.MULTILINE)}


@pytest.mark.parametrize("setting", [machines.Setting("virt"), machines.Setting("raspi4b")], ids=spell)
def test_a_passive_server_works_on_its_callers_time(setting, tmp_path):
    """The same work takes one client a part of one budget, and the other, who has 500 us in 10 ms, several periods."""
    outcome = run_changed("passive", [], tmp_path, setting)
    assert outcome.status == 0, outcome.log
    took = shortest_calls(outcome.log)
    assert took["rich"] < 5_000 and took["poor"] > 20_000, outcome.log


PASSIVE = "prio 120; passive; provides worker: Worker"


def test_a_passive_server_that_never_receives_holds_up_its_callers_only(tmp_path):
    broken = "prio 120; passive; args { address: 0 }; faults to supervisor; provides worker: Worker"
    changes = [('elf "passive-server.elf"', 'elf "hello-null-reader.elf"'), (PASSIVE, broken), ("seconds: 20", "seconds: 1"),
               ('rich: "ended"', 'worker: "memory", rich: "ended"')]
    outcome = run_changed("passive", changes, tmp_path)
    fault, *others = lines_by_component(outcome.log)["supervisor"]
    assert fault.startswith("worker: read of unmapped address 0x0 at "), outcome.log
    assert others == ["missing: the end of rich (ended)", "missing: the end of poor (ended)", "failed: the time is up"], outcome.log


def test_domains_take_turns(tmp_path):
    """Work of 2 ms has to wait for the other domain's turns, one to three of 3 ms, in a domain that has 1 ms in 4; and in one that has none it
    is never done."""
    changes = [(PASSIVE, "prio 120; budget 5ms/5ms; domain 1; provides worker: Worker"), ("prio 100; budget", "prio 100; domain 1; budget"),
               ("count: 5", "count: 1"), ("count: 2, rounds: 500000", "count: 0, rounds: 0"), ("  cpu 0 load <= 90%\n", "")]
    for turns in ("(0, 3000 us), (1, 1000 us)", "(0, 187500 ticks), (1, 62500)"):
        outcome = run_changed("passive", [*changes, ("connect {", f"domains {{ schedule: [{turns}] }}\nconnect {{")], tmp_path)
        assert outcome.status == 0, outcome.log
        assert 2_000 + 3 * 3_000 + 100 > shortest_calls(outcome.log)["rich"] > 2_000 + 3_000, outcome.log
    outcome = run_changed("passive", [*changes, ("seconds: 20", "seconds: 1"), ("connect {", "domains { schedule: [(0, 3000 us)] }\nconnect {")],
                          tmp_path)
    assert lines_by_component(outcome.log)["supervisor"][-2:] == ["missing: the end of rich (ended)", "failed: the time is up"], outcome.log


@pytest.mark.parametrize(("old", "new", "lines"), [
    ('elf "hello-null-reader.elf"', 'elf "hello-spinner.elf"', ["missing: the end of null_reader (memory)", "failed: the time is up"]),
    ('constant_writer: "memory"', 'constant_writer: "timeout"', ["failed: that was not expected"]),
    ("args { address: 0 }; ", "", ["null_reader: panicked: the description lacks `argument address`", "failed: that was not expected"]),
    ('client: "ended"', 'client: "ended", greeter: "ended"', ["missing: the end of greeter (ended)", "failed: the time is up"]),
], ids=["missing fault", "other fault", "missing argument", "missing end"])
def test_a_system_that_does_not_come_to_the_expected_end_says_why(tmp_path, old, new, lines):
    outcome = run_changed("hello", [(old, new), ("seconds: 20", "seconds: 2")], tmp_path)
    assert (outcome.status, outcome.reason) == (1, "caprock: exit 1"), outcome.log
    assert lines_by_component(outcome.log)["supervisor"][-len(lines):] == lines, outcome.log


class Typist:
    """A machine with its console on a socket."""

    def __init__(self, line, serial, folder):
        path = folder / "console"
        line = [f"unix:{path},server=on,wait=on" if argument == f"file:{serial}" else argument for argument in line]
        assert any(str(path) in argument for argument in line)
        self.machine = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.console = socket.socket(socket.AF_UNIX)
        self.console.settimeout(30)
        self.log = ""
        deadline = time.monotonic() + 30
        while True:
            try:
                self.console.connect(str(path))
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    self.close()
                    raise
                time.sleep(0.05)

    def read_until(self, text):
        """Read the console until it has printed `text`, for 30 s at most."""
        deadline = time.monotonic() + 30
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            piece = self.console.recv(4096)
            assert piece, self.log
            self.log += piece.decode("ascii", "replace").replace("\r\n", "\n")

    def close(self):
        """End the machine."""
        self.console.close()
        self.machine.terminate()
        self.machine.wait()


@pytest.mark.parametrize("setting", [machines.Setting("virt"), machines.Setting("raspi4b")], ids=spell)
def test_typed_lines_come_back(setting, tmp_path):
    payload = make_payload(ROOT / "systems" / "echo.cdl", setting, tmp_path)
    # A socket's path is at most 107 characters long, which a test's own folder may exceed.
    with tempfile.TemporaryDirectory() as scratch:
        serial = Path(scratch) / "serial"
        line = machines.command(setting, serial=serial, image=IMAGE, payload=payload, offline=True)
        typist = Typist(line, serial, Path(scratch))
        try:
            typist.read_until("[echo] type lines, `quit` ends\n")
            typist.console.sendall(b"hello there\n")
            typist.read_until("[echo] hello there\n")
            # More than any FIFO holds, and characters that the console must not print.
            typist.console.sendall(b"0123456789abcdefghijklmnopqrstuvwxyz\x1b[2J\n")
            typist.read_until("[echo] 0123456789abcdefghijklmnopqrstuvwxyz?[2J\n")
            typist.console.sendall(b"quit\n")
            typist.read_until("caprock: exit 0\n")
        finally:
            typist.close()
