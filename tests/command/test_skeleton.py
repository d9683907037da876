# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock new` makes a component that builds and runs where it is, outside the project's tree."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CAPROCK = ROOT / "caprock"


def caprock(folder: Path, *arguments: str):
    """Runs the command in a folder."""
    return subprocess.run([CAPROCK, *arguments], cwd=folder, capture_output=True, text=True, timeout=250, stdin=subprocess.DEVNULL, check=False)


@pytest.fixture(name="made")
def fixture_made(tmp_path):
    """A folder with a new component `lamp` in it."""
    done = caprock(tmp_path, "new", "lamp")
    assert done.returncode == 0, done.stderr
    assert "lamp/lamp.cdl" in done.stdout
    return tmp_path


def test_a_new_component_runs_where_it_is(made):
    done = caprock(made, "run", "lamp/lamp.cdl", "--no-install")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[lamp]" in done.stdout


def test_a_change_of_its_source_takes_effect(made):
    source = made / "lamp" / "lamp.cc"
    source.write_text("int main() { return 0; }\n#error changed\n", encoding="utf-8")
    done = caprock(made, "run", "lamp/lamp.cdl", "--no-install")
    assert done.returncode == 1
    assert "lamp.cc does not compile" in done.stderr and "changed" in done.stderr


def test_no_placeholder_is_left(made):
    for path in (made / "lamp").iterdir():
        assert "NAME" not in path.name and "NAME" not in path.read_text(encoding="utf-8")


def test_an_existing_folder_is_left_alone(made):
    (made / "lamp" / "lamp.cc").write_text("mine\n", encoding="utf-8")
    done = caprock(made, "new", "lamp")
    assert done.returncode == 2 and "exists already" in done.stderr
    assert (made / "lamp" / "lamp.cc").read_text(encoding="utf-8") == "mine\n"


def test_the_readme_shows_what_new_makes_and_run_prints(tmp_path):
    blocks = re.findall(r"^```\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    description = next(block for block in blocks if block.startswith("caprock 1\n"))
    printed = next(block for block in blocks if block.startswith("caprock: boot shim"))
    assert len(description.splitlines()) == 10
    assert caprock(tmp_path, "new", "hello").returncode == 0
    made = (tmp_path / "hello" / "hello.cdl").read_text(encoding="utf-8")
    assert made.endswith(description)
    done = caprock(tmp_path, "run", "hello/hello.cdl", "--no-install")
    assert done.returncode == 0, done.stdout + done.stderr
    # The hash of the system changes with every change of a program in it, and with that perhaps the number of its pages.
    numbers = re.compile(r"loaded hello: .*")
    assert numbers.sub("", done.stdout) == numbers.sub("", printed)
