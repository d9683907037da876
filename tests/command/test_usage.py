# SPDX-License-Identifier: BSD-2-Clause
"""How ./caprock answers wrong usage: one line that names the cause and a remedy, and a status that tells usage (2) from findings (1)."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAPROCK = ROOT / "caprock"


def caprock(*arguments, **environment):
    """Runs the command as a user does and returns what it printed and its status."""
    return subprocess.run([CAPROCK, *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False,
                          env={**os.environ, **environment})


@pytest.mark.parametrize("arguments, status, words", [
    ((), 2, "no verb given"),
    (("frob",), 2, "frob"),
    (("run", "--frob"), 2, "unknown option or argument --frob"),
    (("run", "a.cdl", "b.cdl"), 2, "a.cdl: no such file"),
    (("run", str(ROOT / "README.md"), "b.cdl"), 2, "unknown option or argument b.cdl"),
    (("run", "nowhere.cdl"), 2, "nowhere.cdl: no such file"),
    (("run", str(ROOT / "kernel")), 2, "is a folder"),
    (("run", "--machine", "toaster"), 2, "toaster"),
    (("run", "--gic", "4"), 2, "--gic"),
    (("run", "--el", "3"), 2, "--el"),
    (("run", "--cores", "0"), 2, "0 is not a number from 1 to 8"),
    (("run", "--timeout", "soon"), 2, "soon is not a number"),
    (("run", "--machine", "raspi4b", "--gic", "3"), 2, "has no gic 3"),
    (("run", "--machine", "raspi4b", "--el", "1"), 2, "has no el 1"),
    (("run", "--machine", "raspi4b", "--cores", "2"), 2, "has no cores 2"),
    (("image",), 2, "required"),
    (("image", str(ROOT / "systems" / "hello.cdl")), 2, "-o"),
    (("image", str(ROOT / "systems" / "hello.cdl"), "-o", "/nowhere/at/all/x.img"), 2, "/nowhere/at/all"),
    (("gdb",), 2, "SYSTEM.cdl"),
    (("check", "nowhere.cdl"), 2, "no such file"),
    (("fmt",), 2, "FILE"),
    (("new",), 2, "NAME"),
    (("new", "../evil"), 2, "../evil"),
    (("new", "9lives"), 2, "9lives"),
    (("setup", "everything"), 2, "everything"),
    (("help", "frob"), 2, "unknown verb frob"),
    (("build", "-j", "many"), 2, "many"),
    (("mutants", "--mutant", "no_such_mutant"), 2, "no mutant is named no_such_mutant"),
    (("mutants", "--suite", "nothing"), 2, "no conformance suite is named nothing"),
    (("mutants", "--record", "--suite", "cnode"), 2, "--record needs the whole campaign"),
    (("mutants", "--jobs", "0"), 2, "0 is not a number from 1 to 64"),
    (("lockstep", "--ops", "0"), 2, "0 is not a number from 1 to"),
    (("lockstep", "--seed", "x"), 2, "x is not a number"),
    (("lockstep", "--backwards"), 2, "--backwards"),
    (("lockstep", "--mutants", "0"), 2, "0 is not a number from 1 to"),
    (("lockstep", "--exhaustive", "--mutants", "3"), 2, "not allowed with"),
    (("kill", "--debug", str(ROOT / "systems" / "restart.cdl")), 2, "production kernel"),
    (("kill", "--cores", "4", str(ROOT / "systems" / "restart.cdl")), 2, "leave out --machine, --via, --cores and --debug"),
    (("kill", "--kills", "0", str(ROOT / "systems" / "restart.cdl")), 2, "--kills"),
    (("trace", "--debug"), 2, "production kernel"),
    (("trace", "--gic", "4"), 2, "--gic"),
    (("trace", "--via", "uboot"), 2, "production kernel"),
    (("trace", "--for", "3"), 2, "3 is no time"),
    (("trace", "--for", "0ms"), 2, "0ms is no time"),
    (("trace", "--keep", "x"), 2, "give --compare with it"),
    (("trace", "--frequency", "10000000"), 2, "give --compare with it"),
    (("trace", "--compare", "--json"), 2, "leave out --json, --perfetto and --for"),
    (("trace", "--tests", "--for", "1s"), 2, "leave out --json, --perfetto and --for"),
    (("trace", "--perfetto", "/nowhere/at/all/x.json"), 2, "/nowhere/at/all: no such folder"),
    (("fuzz",), 2, "part"),
    (("fuzz", "toaster"), 2, "toaster"),
    (("fuzz", "kernel", "--ops", "0"), 2, "0 is not a number from 1 to"),
    (("fuzz", "kernel", "--replay", "nowhere.bin"), 2, "nowhere.bin: No such file or directory"),
    (("fuzz", "kernel", "--replay", "1", "--ops", "5"), 2, "neither --ops nor --guided"),
    (("fuzz", "kernel", "--target", "--replay", str(ROOT / "README.md")), 2, "--target replays a seed"),
    (("fuzz", "kernel", "--guided", "5", "--target"), 2, "neither --target nor --ops"),
    (("fuzz", "kernel", "--inputs", "5"), 2, "--inputs is for capdl"),
    (("fuzz", "capdl", "--ops", "5"), 2, "--ops is for the kernel"),
    (("fuzz", "capdl", "--replay", "README.md", "--inputs", "5"), 2, "give no --inputs"),
    (("fuzz", "capdl", "--replay", "nowhere.cdl"), 2, "nowhere.cdl: no such file"),
    (("bench", "--footprint", "--wall"), 2, "give neither --wall nor --plot"),
    (("bench", "--wall", "--plot", "x.svg"), 2, "give no --wall"),
    (("bench", "--console", str(ROOT / "README.md")), 2, "give --wall with it"),
    (("bench", "--wall", "--console", "nowhere.txt"), 2, "nowhere.txt: no such file"),
    (("bench", "--record", "--machine", "raspi4b"), 2, "--record is for the figures of virt"),
    (("bench", "--plot", "/nowhere/at/all/x.svg"), 2, "/nowhere/at/all: no such folder"),
    (("bench", "--machine", "toaster"), 2, "toaster"),
    (("dump", "--at", "hello", str(ROOT / "systems" / "hello.cdl")), 2, "give --from-host"),
    (("check", "--compat", "--machine", "virt", str(ROOT / "systems" / "hello.cdl")), 2, "give no --machine"),
])
def test_wrong_usage_is_one_line(arguments, status, words):
    done = caprock(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("caprock: error: ")
    assert words in done.stderr


def test_version_is_that_of_the_build_system():
    done = caprock("--version")
    assert done.returncode == 0
    assert f"version: '{done.stdout.split()[1]}'" in (ROOT / "meson.build").read_text(encoding="utf-8")


def test_help_names_every_verb():
    done = caprock("help")
    assert done.returncode == 0
    for verb in ("run", "test", "fuzz", "lockstep", "trace", "bench", "build", "image", "dump", "gdb", "check", "explain", "elaborate", "fmt", "lsp", "report",
                 "diff", "new", "setup", "doctor", "size", "help"):
        assert f"\n    {verb}" in done.stdout


def test_help_of_a_verb_names_its_options():
    done = caprock("help", "run")
    assert done.returncode == 0
    for option in ("--machine", "--via", "--gic", "--el", "--cores", "--timeout", "--debug", "--no-install"):
        assert option in done.stdout


def test_the_callers_folder_cannot_replace_a_module(tmp_path):
    (tmp_path / "argparse.py").write_text("raise SystemExit(99)\n", encoding="utf-8")
    done = subprocess.run([CAPROCK, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
