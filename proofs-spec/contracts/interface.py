# SPDX-License-Identifier: BSD-2-Clause
"""Numbers of the interface, out of the description that kernel and specification are generated from (kernel/api)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]

from kernel.api.layout import FOLDER, load_structs  # noqa: E402

_LAYOUT = load_structs(FOLDER / "abi.toml")
TYPES: dict[str, int] = _LAYOUT.enum("CapType")
ERRORS: dict[str, int] = _LAYOUT.enum("Error")
LOOKUP_FAILURES: dict[str, int] = _LAYOUT.enum("LookupFailure")
CSPACE_LEVELS: int = _LAYOUT.constant("cspace_levels")
PRIORITIES: int = _LAYOUT.constant("priorities")
SLOT_BITS: int = _LAYOUT.constant("slot_bits")
