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

from capdl import build

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


@pytest.mark.parametrize("setting", [machines.Setting("virt"), machines.Setting("raspi4b")], ids=spell)
def test_sleeps_take_their_time(setting, tmp_path):
    outcome = run("timer", setting, tmp_path, deterministic=True)
    assert outcome.status == 0, outcome.log
    lines = lines_by_component(outcome.log)
    assert lines["early"] == [f"sleep {number} of 5000 us done" for number in (1, 2, 3)]
    assert lines["late"] == [f"sleep {number} of 20000 us done" for number in (1, 2, 3)]
    # The short sleeps all end before the first long one does.
    assert outcome.log.index("sleep 3 of 5000 us") < outcome.log.index("sleep 1 of 20000 us")


def run_changed(old, new, folder):
    """Run systems/hello.cdl with a part of its text replaced, and 2 s instead of 20 to wait for what is missing."""
    text = (ROOT / "systems" / "hello.cdl").read_text(encoding="utf-8")
    for before, after in ((old, new), ("seconds: 20", "seconds: 2")):
        assert text.count(before) == 1
        text = text.replace(before, after)
    path = folder / "changed.cdl"
    path.write_text(text, encoding="utf-8")
    setting = machines.Setting("virt")
    return machines.run(setting, timeout=120, image=IMAGE, payload=make_payload(path, setting, folder), offline=True, output=None,
                        deterministic=True)


@pytest.mark.parametrize(("old", "new", "lines"), [
    ('elf "hello-null-reader.elf"', 'elf "hello-spinner.elf"', ["missing: the end of null_reader (memory)", "failed: the time is up"]),
    ('constant_writer: "memory"', 'constant_writer: "timeout"', ["failed: that was not expected"]),
    ("args { address: 0 }; ", "", ["null_reader: panicked: the description lacks `argument address`", "failed: that was not expected"]),
    ('client: "ended"', 'client: "ended", greeter: "ended"', ["missing: the end of greeter (ended)", "failed: the time is up"]),
], ids=["missing fault", "other fault", "missing argument", "missing end"])
def test_a_system_that_does_not_come_to_the_expected_end_says_why(tmp_path, old, new, lines):
    outcome = run_changed(old, new, tmp_path)
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
