#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the table of names in docs/libsel4.md: every name of libsel4's headers, and how it compares with the seL4 API."""

import re
import sys
import textwrap
import tomllib
from pathlib import Path

import generate

FOLDER = Path(__file__).resolve().parent
DOCUMENT = FOLDER.parents[1] / "docs" / "libsel4.md"
START = "<!-- Made by userland/libsel4/document.py from here on: do not edit. -->\n"
PREFIXES = r"(?:seL4_|SEL4_|CONFIG_|LIBSEL4_|__sel4)"
# Headers that have names of other interfaces, or none.
PASSED_OVER = ("sel4/absent.h", "sel4/caprock_stubs.h", "sel4/caprock_trap.h")
HELPERS = re.compile(r"caprock|_pad_|_$")


def headers() -> dict[str, str]:
    """The text of every header, by name; those that only include another are left out."""
    result = {}
    for folder in (FOLDER / "include", FOLDER / "autoconf"):
        for path in sorted(folder.rglob("*.h")):
            text = path.read_text(encoding="utf-8")
            if "Everything is in" not in text and "caprock" not in path.parts:
                result[str(path.relative_to(folder))] = text
    result.update((name, generate.render(name)) for name in generate.HEADERS)
    return {name: text for name, text in sorted(result.items()) if name not in PASSED_OVER}


def names_of(text: str) -> list[str]:
    """What a header declares or defines: functions, types, enumerators, macros, in its order."""
    text = re.sub(r"//[^\n]*", "", text)
    found = re.findall(rf"^\s*#define ({PREFIXES}\w+)", text, re.MULTILINE)
    code = re.sub(r"^\s*#.*(?:\\\n.*)*", "", text, flags=re.MULTILINE)
    found += re.findall(r"^\w[\w ]*[ *](seL4_\w+)\(", code, re.MULTILINE)
    found += re.findall(rf"^\}} (?:__attribute__.* )?({PREFIXES}\w+)\s*(?:__attribute__[^;]*)?;", code, re.MULTILINE)
    found += re.findall(rf"^typedef [^{{;]*?({PREFIXES}\w+)(?: SEL4_DEPRECATED\([^)]*\))?;", code, re.MULTILINE)
    found += re.findall(rf"^    ({PREFIXES}\w+)(?: = [^,\n]+)?,?$", code, re.MULTILINE)
    labels = re.search(r"enum invocation_label \{(.*?)\}", code, re.DOTALL)
    found += re.findall(r"(\w+) = ", labels[1]) if labels else []
    return [name for name in dict.fromkeys(found) if not HELPERS.search(name)]


def differences() -> dict[str, tuple[str, str]]:
    """State and note of every name that is not the same, absent ones included."""
    with open(FOLDER / "differences.toml", "rb") as stream:
        entries = [(name, entry["state"], entry["note"]) for entry in tomllib.load(stream)["difference"] for name in entry["names"]]
    with open(FOLDER / "interface.toml", "rb") as stream:
        entries += [(name, "absent", f"{entry['reason'][0].upper()}{entry['reason'][1:]}.") for entry in tomllib.load(stream)["absent"]
                    for name in entry["names"]]
    return {name: (state, note) for name, state, note in entries}


def table() -> str:
    """The document's last chapters."""
    notes = differences()
    listed = headers()
    labels = names_of(listed["sel4/invocation.h"])
    notes.update((name, ("differs", "The labels have Caprock's numbers.")) for name in labels if name not in notes)
    lines = ["## Names that differ", "", "| name | state | how |", "|---|---|---|"]
    groups = {}
    for name, (state, note) in notes.items():
        groups.setdefault((state, note), []).append(f"`{name}`")
    lines += [f"| {', '.join(names)} | {state} | {note} |" for (state, note), names in groups.items()]
    lines += ["", "## Names that are the same", "", "By the header that has them; other headers of that API include these.", ""]
    shown = set()
    for header, text in listed.items():
        same = [name for name in names_of(text) if name not in notes and name not in shown]
        shown |= set(same)
        if same:
            lines += [textwrap.fill(f"**`<{header}>`**: " + ", ".join(f"`{name}`" for name in same) + ".", 150, break_long_words=False,
                                    break_on_hyphens=False), ""]
    return "\n".join(lines)


def document() -> str:
    """The whole document, its tables made anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return text[:text.index(START)] + START + "\n" + table()


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
    sys.exit(0)
