# SPDX-License-Identifier: BSD-2-Clause
"""The tutorial, done word for word in an empty folder: its commands, its files, and what it says that is printed."""

import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def steps(text: str) -> list[tuple[str, str]]:
    """What a reader does, in order: ("run", command), ("see", line that was printed), ("write:FILE", content).

    Indented blocks are commands (`$`), output (`>`), or the content of a file that the sentence before names with "In `FILE`:" or the like."""
    found = []
    for block in re.finditer(r"(?P<before>[^\n]*)\n\n(?P<block>(?:    [^\n]*\n|\n(?=    ))+)", text):
        lines = [line[4:] for line in block["block"].splitlines()]
        target = re.search(r"[Ii]n `(mine/[\w.]+)`", block["before"])
        if lines[0][:2] in ("$ ", "> "):
            found += [("run" if line[0] == "$" else "see", line[2:]) for line in lines if line]
        elif target:
            found.append((f"write:{target[1]}", "\n".join(lines) + "\n"))
    return found


def test_the_tutorial_works_word_for_word(tmp_path):
    printed = ""
    done = []
    for kind, text in steps((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
        done.append(kind.split(":")[0])
        if kind == "see":
            assert text in printed.splitlines(), f"{text!r} is not in\n{printed}"
        elif kind.startswith("write:"):
            (tmp_path / kind.removeprefix("write:")).write_text(text, encoding="utf-8")
        else:
            command, *arguments = shlex.split(text)
            assert command == "./caprock", text
            if arguments[0] == "gdb" and "--command" not in arguments:
                continue  # this one waits for a person
            options = ["--no-install"] if arguments[0] in ("run", "gdb") else []
            result = subprocess.run([ROOT / "caprock", *arguments, *options], cwd=tmp_path, capture_output=True, text=True, timeout=250,
                                    stdin=subprocess.DEVNULL, check=False)
            assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
            printed = result.stdout
    assert (done.count("run"), done.count("write")) == (10, 3) and done.count("see") >= 8, done
