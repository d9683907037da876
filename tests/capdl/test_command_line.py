# SPDX-License-Identifier: BSD-2-Clause
"""`python3 -m capdl`: verbs, output and exit status."""

import json
import os
import re
import subprocess
import sys

import pytest
from capdl_support import GOLDEN, ROOT

from capdl.explanations import EXPLANATIONS

GOOD = "arch aarch64\nobjects {\ne = ep\n}\n"


def capdl(*words, folder=None):
    """Run the command line: (status, output, errors)."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run([sys.executable, "-m", "capdl", *map(str, words)], cwd=folder or ROOT, capture_output=True, text=True,
                            timeout=120, env={**os.environ, "PYTHONPATH": path})
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def good(tmp_path):
    """A file without findings."""
    (tmp_path / "good.cdl").write_text(GOOD)
    return tmp_path / "good.cdl"


def test_check(good):
    """Silence and 0, or findings and 1."""
    assert capdl("check", good) == (0, "", "")
    good.write_text("arch aarch64 objects { e = epp }")
    status, output, errors = capdl("check", "good.cdl", folder=good.parent)
    assert (status, output) == (1, "")
    assert errors.startswith("good.cdl:1:28: error: unknown object type 'epp'")


def test_check_as_the_reference_tool(good):
    """Its verdict, whatever this tool has beyond; and what it rejects."""
    good.write_text("arch aarch64 objects { f = frame (4k, paddr: 8) }")
    assert capdl("check", good)[0] == 1
    status, output, errors = capdl("check", good, "--compat")
    assert (status, output) == (0, "") and "warning: the address 0x8 of 'f' is not aligned" in errors
    good.write_text("arch aarch64 objects { e = ep } caps { e { e } }")
    status, _, errors = capdl("check", good, "--compat")
    assert status == 1 and "error: 'e' is of type ep, which holds no capabilities [no-slots]" in errors


def test_check_as_json(good):
    """All that the text says, for programs; the status stays."""
    good.write_text("arch aarch64\nobjects { e = epp\n f = ep g = eq }")
    status, output, errors = capdl("check", "good.cdl", "--json", folder=good.parent)
    found = json.loads(output)
    assert status == 1 and errors == "" and found["ok"] is False
    assert [(item["code"], item["severity"], item["file"], item["line"], item["column"]) for item in found["findings"]] == [
        ("syntax", "error", "good.cdl", 2, 15), ("syntax", "error", "good.cdl", 3, 13)]
    assert found["findings"][0]["text"] == "objects { e = epp" and found["findings"][0]["suggestion"].startswith("known: ep notification")
    good.write_text(GOOD)
    assert json.loads(capdl("check", good, "--json")[1]) == {"ok": True, "findings": []}
    status, output, _ = capdl("check", good.parent / "good.cdl", "--json", "--compat")
    assert status == 0 and json.loads(output)["ok"] is True


def test_explain():
    """What a code means, all codes, and codes that there are not."""
    status, output, errors = capdl("explain", "slot-twice")
    assert (status, errors) == (0, "") and output.startswith("slot-twice\n\nCause:  ") and "\nRemedy: " in output
    assert capdl("explain")[1].count("\n") == len(EXPLANATIONS)
    status, output, errors = capdl("explain", "slot-twic")
    assert (status, output, errors) == (2, "", "capdl: unknown code slot-twic (did you mean slot-twice?)\n")


def test_check_for_a_machine(good):
    """With a machine the system must also be loadable."""
    good.write_text("arch arm11 objects { e = ep }")
    assert capdl("check", good)[0] == 0
    status, _, errors = capdl("check", good, "--machine", "virt")
    assert status == 1 and "cannot be built" in errors


def test_elaborate(good, tmp_path):
    """To standard output, or to a file; the output elaborates to itself."""
    status, output, errors = capdl("elaborate", good, "--canonical")
    assert (status, errors) == (0, "") and "e = ep\n" in output
    assert capdl("elaborate", good, "--canonical", "-o", tmp_path / "out.cdl") == (0, "", "")
    assert (tmp_path / "out.cdl").read_text() == output
    assert capdl("elaborate", tmp_path / "out.cdl", "--canonical")[1] == output


def test_elaborate_maps_back_to_the_source(tmp_path, programs, board):
    """Behind each object and each capability stands where it comes from; without these comments the text is the canonical one."""
    path = tmp_path / "system.cdl"
    path.write_text("caprock 1\ninterface I { m() }\ncomponents {\n  a = component { elf \"a.elf\"; prio 1; budget 1ms/2ms; provides i: I }\n"
                    "  b = component { elf \"a.elf\"; prio 1; budget 1ms/2ms; uses i: I }\n}\nconnect {\n  call b.i -> a.i\n}\nobjects { e = ep }\n")
    status, output, errors = capdl("elaborate", path, "--elf-dir", programs)
    assert (status, errors) == (0, "")
    assert f"a_ep = ep  -- {path}:4:3 component a\n" in output and f"e = ep  -- {path}:10:11\n" in output
    assert f"  0x4: a_ep (WP, badge: 0x1000000000001)  -- {path}:8:3\n" in output and "  cspace: b_cnode (guard: 0x0, guard_size: 61)\n" in output
    canonical = capdl("elaborate", path, "--elf-dir", programs, "--canonical")[1]
    assert canonical == "".join(line.split("  -- ")[0].rstrip("\n") + "\n" for line in output.splitlines())
    assert capdl("elaborate", path, "--elf-dir", programs, "--compat")[1] == canonical


def test_elaborate_for_other_tools_names_what_they_cannot_read(tmp_path, programs, board):
    """Plain text, which the reference tool would accept, or one error for each extension."""
    text = ("caprock 1\narch aarch64\ninterface I { m() }\ncomponents {\n  a = component { elf \"a.elf\"; prio 1; passive; provides i: I }\n"
            "  b = component { elf \"a.elf\"; prio 1; budget 1ms/2ms; access pmu; access physical_timer }\n}\ndomains { schedule: [(0, 5 us)] }\n")
    (tmp_path / "own.cdl").write_text(text)
    status, output, errors = capdl("elaborate", tmp_path / "own.cdl", "--elf-dir", programs, "--compat")
    assert (status, output, errors.count("[extension]")) == (1, "", 4)
    for words in ("'a_tcb' starts on time that is lent to it", "'b_tcb' has access to the performance monitor", "'b_tcb' has access to the physical timer",
                  "plain capDL has no units of time"):
        assert words in errors
    (tmp_path / "plain.cdl").write_text(text.replace("passive", "budget 1ms/9ms").replace("access pmu; access physical_timer", "").replace("5 us", "5"))
    status, output, errors = capdl("elaborate", tmp_path / "plain.cdl", "--elf-dir", programs, "--compat", "-o", tmp_path / "out.cdl")
    assert (status, output) == (0, "") and "error" not in errors
    assert (tmp_path / "out.cdl").read_text().startswith("arch aarch64\n")
    assert capdl("check", "--compat", tmp_path / "out.cdl") == (0, "", "")


def test_parameters_on_the_command_line(tmp_path, programs):
    """--set gives a parameter its value; one that the description does not have is an error."""
    (tmp_path / "p.cdl").write_text("caprock 1 parameter badge = 3 objects { e = ep c = cnode (2 bits) } caps { c { 1: e (W, badge: badge) } }")
    assert "badge: 0x3" in capdl("elaborate", tmp_path / "p.cdl")[1]
    assert "badge: 0x11" in capdl("elaborate", tmp_path / "p.cdl", "--set", "badge=17")[1]
    status, _, errors = capdl("check", tmp_path / "p.cdl", "--set", "bagde=17")
    assert status == 1 and "--set bagde: the description has no parameter 'bagde'" in errors


def test_elaborate_components(programs, board, tmp_path):
    """A component system needs its programs and board; its text with the generated pages beside it is complete."""
    out = tmp_path / "out.cdl"
    status, _, errors = capdl("elaborate", GOLDEN / "components.cdl", "-o", out)
    assert status == 1 and "build it: ./caprock build" in errors and "--dtb" in errors
    status, output, errors = capdl("elaborate", GOLDEN / "components.cdl", "--elf-dir", programs, "--dtb", board, "--canonical", "-o", out)
    assert (status, output) == (0, "") and re.findall(r": (\w+): .* \[([a-z-]+)\]$", errors, re.MULTILINE) == [("warning", "core-load")]
    assert (tmp_path / "uart.info").stat().st_size % 128 == 0
    assert capdl("elaborate", out, "--elf-dir", programs, "--machine", "virt", "--canonical")[:2] == (0, out.read_text())


def test_fmt(good):
    """To standard output, or in place; never of a file with syntax errors."""
    good.write_text("arch aarch64\nobjects {\n      e = ep\n}\n\n")
    assert capdl("fmt", good)[:2] == (0, "arch aarch64\nobjects {\n  e = ep\n}\n")
    assert capdl("fmt", good, "--in-place") == (0, "", "")
    assert good.read_text() == "arch aarch64\nobjects {\n  e = ep\n}\n"
    good.write_text("arch aarch64 objects { e = }")
    assert capdl("fmt", good, "-i")[0] == 1
    assert good.read_text() == "arch aarch64 objects { e = }"


@pytest.mark.parametrize("words", [(), ("bogus",), ("check",), ("check", "nowhere.cdl"), ("check", "--colour", "x.cdl"),
                                   ("elaborate", GOLDEN / "arm11.cdl", "-o", "/nowhere/out.cdl")])
def test_wrong_usage(words):
    """One line and status 2."""
    status, output, errors = capdl(*words)
    assert (status, output) == (2, "")
    assert errors.startswith("capdl: ") and errors.count("\n") == 1


def test_what_a_language_server_needs(tmp_path):
    """Without its library, and without the device tree that it shall know, it says so and ends."""
    (tmp_path / "lsprotocol").mkdir()
    (tmp_path / "lsprotocol" / "__init__.py").write_text("")
    assert capdl("lsp", folder=tmp_path) == (2, "", "capdl: lsp needs the Python module lsprotocol (./caprock setup dev)\n")
    pytest.importorskip("pygls", reason="pygls is not installed (./caprock setup dev)")
    status, output, errors = capdl("lsp", "--dtb", tmp_path / "none.dtb")
    assert (status, output) == (1, "") and "none.dtb cannot be read" in errors


def test_missing_device_tree():
    """A board that cannot be read is told once."""
    status, _, errors = capdl("check", GOLDEN / "components.cdl", "--dtb", "/nowhere.dtb")
    assert status == 1 and errors.count(": error: ") == 1
    assert "capdl: error: the device tree /nowhere.dtb cannot be read: No such file or directory [device-tree]\n" in errors
    status, _, errors = capdl("check", GOLDEN / "components.cdl", "--dtb", GOLDEN / "components.cdl")
    assert status == 1 and "is no device tree blob" in errors
