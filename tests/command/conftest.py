# SPDX-License-Identifier: BSD-2-Clause
"""Lets the tests import the command's modules, however pytest was started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "platform"))
