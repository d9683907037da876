# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock new NAME`: a component and a system around it, in a folder of its own that builds and runs where it is."""

import re
from pathlib import Path

from . import ROOT
from .errors import Usage

TEMPLATE = ROOT / "userland" / "templates" / "component"
LONGEST_NAME = 31
PLACEHOLDER = "NAME"


def create(name: str, parent: Path) -> int:
    """Copies the template to `parent`/NAME, with NAME in the place of its placeholder, in file names as in text.

    A name is a component's: a letter, then letters, digits and `_`, at most 31 in all. Wrong usage if it is not, or if the folder exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > LONGEST_NAME:
        raise Usage(f"{name} is no component's name (a small letter, then small letters, digits and _, at most {LONGEST_NAME})")
    folder = parent / name
    if folder.exists():
        raise Usage(f"{folder}: exists already (choose another name, or move it away)")
    folder.mkdir()
    for template in sorted(TEMPLATE.iterdir()):
        target = folder / template.name.replace(PLACEHOLDER, name)
        target.write_text(template.read_text(encoding="utf-8").replace(PLACEHOLDER, name), encoding="utf-8")
    print(f"made {folder}; run it: {ROOT / 'caprock'} run {folder / name}.cdl")
    return 0
