# SPDX-License-Identifier: BSD-2-Clause
"""The verbs that start systems, as a user calls them: status, console, media, debugger, descriptions."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAPROCK = ROOT / "caprock"
HELLO = ROOT / "systems" / "hello.cdl"


def caprock(*arguments, **environment):
    """Runs the command, installing nothing."""
    return subprocess.run([CAPROCK, *map(str, arguments), "--no-install"], capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL,
                          check=False, env={**os.environ, **environment})


def test_run_prints_the_console_and_returns_the_systems_status():
    done = caprock("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caprock: exit 0\n" in done.stdout
    assert "caprock: loaded hello:" in done.stdout
    assert done.stderr == "" or all(line.startswith("caprock: ") for line in done.stderr.splitlines())


def test_run_tells_what_the_comparison_gave():
    done = caprock("run", ROOT / "systems" / "passive.cdl", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^caprock: verified passive: \d+ objects, \d+ slots, \d+ pages, 7 threads are as described, and there is nothing else$", done.stdout,
                     re.MULTILINE)


def test_dump_prints_the_system_as_the_kernel_has_it():
    system = ROOT / "systems" / "passive.cdl"
    done = caprock("dump", system)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == caprock("elaborate", system, "--canonical").stdout != ""


def test_the_host_reads_the_same_by_itself():
    system = ROOT / "systems" / "passive.cdl"
    done = caprock("run", system, "--verify", "--from-host")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^caprock: verified passive from the host: \d+ objects and \d+ slots are as described; ", done.stderr, re.MULTILINE)
    assert "caprock: verified" not in done.stdout and "caprock: exit 0\n" in done.stdout
    dumped = caprock("dump", system, "--from-host").stdout.splitlines()
    assert [line for line in dumped if not line.startswith("-- ")] == caprock("elaborate", system, "--canonical").stdout.splitlines() != []
    assert any(line.endswith("Untyped of the loader") for line in dumped)


def test_run_gives_up_after_the_time_asked_for():
    done = caprock("run", "--timeout", "1", "--machine", "raspi4b", "--via", "uboot")
    assert done.returncode == 1
    assert "timeout: no result after 1 s" in done.stderr


def test_a_description_with_a_mistake_is_a_finding(tmp_path):
    bad = tmp_path / "bad.cdl"
    bad.write_text("caprock 1\narch aarch64\ncomponents { a = component { elf \"nowhere.elf\"; prio 10; budget 1ms/10ms } }\n", encoding="utf-8")
    for arguments in (["run", bad], ["check", bad, "--machine", "virt"], ["elaborate", bad]):
        done = caprock(*arguments)
        assert done.returncode == 1
        assert "bad.cdl:3:" in done.stderr and "nowhere.elf" in done.stderr


def test_check_accepts_the_projects_systems():
    for system in sorted((ROOT / "systems").glob("*.cdl")):
        for machine in ("virt", "raspi4b"):
            done = caprock("check", system, "--machine", machine)
            assert done.returncode == 0, done.stderr


def test_elaborated_text_elaborates_to_itself(tmp_path):
    once, twice = tmp_path / "once.cdl", tmp_path / "twice.cdl"
    assert caprock("elaborate", HELLO, "--canonical", "-o", once).returncode == 0
    done = caprock("elaborate", once, "--canonical", "-o", twice)
    assert done.returncode == 0, done.stderr
    assert once.read_text(encoding="utf-8") == twice.read_text(encoding="utf-8") != ""


def test_fmt_prints_a_description_that_formats_to_itself(tmp_path):
    first = subprocess.run([CAPROCK, "fmt", HELLO], capture_output=True, text=True, timeout=60, check=False)
    assert first.returncode == 0 and "caprock 1" in first.stdout
    again = tmp_path / "again.cdl"
    again.write_text(first.stdout, encoding="utf-8")
    second = subprocess.run([CAPROCK, "fmt", again], capture_output=True, text=True, timeout=60, check=False)
    assert second.stdout == first.stdout


@pytest.mark.parametrize("machine", ["virt", "raspi4b"])
def test_image_comes_with_its_bill_of_materials(tmp_path, machine):
    done = caprock("image", HELLO, "--machine", machine, "-o", tmp_path / "x.img")
    assert done.returncode == 0, done.stderr
    size = (tmp_path / "x.img").stat().st_size
    assert size >= 1 << 20 and (machine == "virt" or size & (size - 1) == 0)
    bill = json.loads((tmp_path / "x.img.spdx.json").read_text(encoding="utf-8"))
    names = {file["fileName"].rsplit("/", 1)[-1] for file in bill["files"]}
    assert {"Image", "system.bin", "boot.scr"} <= names
    assert all(file["checksums"] for file in bill["files"])


def test_gdb_stops_at_the_kernels_entry_with_symbols_of_both_worlds():
    done = caprock("gdb", HELLO, "--command", "info registers pc", "--command", "info line main", "--command", "list", "--command", "kill")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "breakpoint 1, caprock::arch::start_core" in done.stdout
    assert "0xffffffff8" in done.stdout
    assert "void start_core(" in done.stdout  # its source
    assert '"userland/drivers/uart/main.cc" starts at' in done.stdout  # a component's


def test_report_counts_the_code_that_each_component_relies_on():
    done = caprock("report", HELLO, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    client = next(item for item in report["subjects"] if item["name"] == "client")
    assert client["relies_on"] == ["client", "console", "greeter", "supervisor", "timer", "kernel"]
    assert client["trusted"]["lines"] > report["kernel"]["lines"] > client["code"]["lines"] > 50
    assert "userland/apps/hello/client.cc" in client["code"]["files"] and "userland/servers/console/main.cc" in client["trusted"]["files"]


def test_diff_fails_when_authority_is_gained(tmp_path):
    new = tmp_path / "hello.cdl"
    new.write_text(HELLO.read_text(encoding="utf-8").replace("uses greeter: Greeter; uses console: Console", "uses greeter: Greeter; uses console: Console; "
                   "uses system: System").replace("call client.console", "call client.system -> console.system\n  call client.console"), encoding="utf-8")
    gained = caprock("diff", HELLO, new)
    assert gained.returncode == 1 and gained.stdout == "client\n  + calls console_ep: system (WP)\n", gained.stdout + gained.stderr
    new.write_text(HELLO.read_text(encoding="utf-8").replace("emits supervisor", "emits supervisor; emits client").replace(
        "uses greeter: Greeter; uses console: Console\n", "uses greeter: Greeter; uses console: Console; consumes alarm\n").replace(
        "notify timer.supervisor", "notify timer.client -> client.alarm\n  notify timer.supervisor"), encoding="utf-8")
    gained = caprock("diff", HELLO, new)
    assert gained.returncode == 1 and "timer\n  + signals client\n" in gained.stdout, gained.stdout + gained.stderr
    lost = caprock("diff", new, HELLO)
    assert lost.returncode == 0 and "timer\n  - signals client\n" in lost.stdout
