# SPDX-License-Identifier: BSD-2-Clause
"""The implementation of ./caprock, the project's one command: set-up, building, running, testing and looking into systems.

One module per concern; `cli` holds the verbs. The package runs under Debian's own Python and needs nothing else before `setup`.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build")).resolve()
"""The build folder: `build` in the project unless the environment names another one."""


def version() -> str:
    """The project's version, which stands in the top meson.build and nowhere else."""
    text = (ROOT / "meson.build").read_text(encoding="utf-8")
    return re.search(r"^\s*version: '([^']+)'", text, re.MULTILINE).group(1)
