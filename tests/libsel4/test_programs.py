# SPDX-License-Identifier: BSD-2-Clause
"""Programs in the style of this ecosystem's libraries: programs/ is one root task, with an archive in it that has the program of its processes."""

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
SOURCES = (HERE / "functions/testing.c", PROGRAMS / "process.c", PROGRAMS / "programs.c", PROGRAMS / "archive.S")
TESTS = re.findall(r"^TEST\((\w+)\)", (PROGRAMS / "programs.c").read_text(encoding="utf-8"), re.MULTILINE)
RUNS = {
    "production-virt": {"machine": "virt"},
    "debug-virt-gic3": {"debug": True, "machine": "virt", "gic": 3},
    "production-raspi4b": {"machine": "raspi4b"},
}


def cpio(files: dict[str, bytes]) -> bytes:
    """A cpio archive (new ASCII format) of the files."""
    result = b""
    for name, content in [*files.items(), ("TRAILER!!!", b"")]:
        fields = [0, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        entry = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
        for part in (entry, content):
            result += part + b"\0" * (-len(part) % 4)
    return result


@pytest.fixture(scope="module")
def outcomes(prefix, tmp_path_factory):
    """The run of each setting, made when it is asked for: what machines.run says."""
    folder = tmp_path_factory.mktemp("programs")
    child = folder / "child.elf"
    flags = [flag for flag in prefix.flags("sel4") if not flag.startswith("-l")]
    subprocess.run(["aarch64-linux-gnu-gcc", "-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2", "-ffreestanding", "-fno-pic", "-nostdlib",
                    "-static", "-no-pie", "-Wl,-z,max-page-size=4096", "-Wl,-Ttext-segment=0x10000000", "-Wl,--build-id=none", *flags,
                    str(PROGRAMS / "child.c"), "-lsel4", "-o", str(child)], check=True)
    archive = folder / "archive.cpio"
    archive.write_bytes(cpio({"notes.txt": b"notes\n", "child.elf": child.read_bytes()}))
    made = {}

    def outcome(run):
        if run not in made:
            options = dict(RUNS[run])
            debug = options.pop("debug", False)
            program = prefix.compile(folder / f"{run}.elf", *SOURCES, debug=debug, options=("-O2", f'-DARCHIVE="{archive}"'))
            made[run] = prefix.boot(program, debug=debug, cnode_bits=16, **options)
        return made[run]

    return outcome


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", TESTS)
def test_program(outcomes, run, name):
    outcome = outcomes(run)
    report = outcome.log[:outcome.log.find(f" - {name}\n")]
    assert re.search(rf"^ok \d+ - {name}$", outcome.log, re.MULTILINE), f"{outcome.reason}\n" + "\n".join(report.splitlines()[-3:])


@pytest.mark.parametrize("run", RUNS)
def test_the_run_ends_with_success(outcomes, run):
    assert outcomes(run).status == 0, outcomes(run).reason
    assert f"1..{len(TESTS)}\n" in outcomes(run).log


def test_a_round_trip_costs_little_more_than_natively(prefix, tmp_path):
    """In instructions, on the machine that figures are given for."""
    program = prefix.compile(tmp_path / "measure.elf", HERE / "functions/testing.c", PROGRAMS / "measure.c", options=("-O2", "-mgeneral-regs-only"))
    outcome = prefix.boot(program, machine="virt", gic=2, el=1, cores=1)
    assert outcome.status == 0, outcome.log
    native, ours = (int(re.search(rf"^# round trip of 4 words, {kind}: (\d+)$", outcome.log, re.MULTILINE)[1]) for kind in ("native", "libsel4"))
    assert 100 < native and ours <= native + 16
