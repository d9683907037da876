# SPDX-License-Identifier: BSD-2-Clause
"""Numbers of the interface, out of the description that kernel and specification are generated from (kernel/api)."""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]

from kernel.api.description import Description  # noqa: E402
from kernel.api.layout import FOLDER, load_structs  # noqa: E402

_LAYOUT = load_structs(FOLDER / "abi.toml")
TYPES: dict[str, int] = _LAYOUT.enum("CapType")
OBJECT_TYPES: dict[str, int] = _LAYOUT.enum("ObjectType")
ERRORS: dict[str, int] = _LAYOUT.enum("Error")
LOOKUP_FAILURES: dict[str, int] = _LAYOUT.enum("LookupFailure")
CSPACE_LEVELS: int = _LAYOUT.constant("cspace_levels")
PRIORITIES: int = _LAYOUT.constant("priorities")
SLOT_BITS: int = _LAYOUT.constant("slot_bits")
USER_TOP: int = _LAYOUT.constant("user_top")
ASID_POOLS: int = _LAYOUT.constant("asid_pools")
ASID_POOL_ENTRIES: int = _LAYOUT.constant("asid_pool_entries")

_DESCRIPTION = Description(FOLDER)


@dataclass(frozen=True)
class Method:
    """A method: its number, and how many words and capabilities it takes."""

    label: int
    words: int
    caps: int


METHODS: dict[str, Method] = {f"{entry['name']}::{method['name']}": Method(method["label"], len(method["words"]), len(method["caps"]))
                              for entry in _DESCRIPTION.objects for method in entry["method"]}
OBJECT_BITS: dict[str, int] = {entry["object_type"]: int(entry["size_bits"]) for entry in _DESCRIPTION.objects
                               if "object_type" in entry and entry.get("size_bits", "").isdigit()}
"""log2 of the size of objects that have but one."""
_BITS: dict[tuple[str, str], tuple[int, int]] = {(entry["name"], field["name"]): (field["lo"], field["hi"] - field["lo"] + 1)
                                                 for entry in _DESCRIPTION.bitfields for field in entry["fields"]}


def bits(bitfield: str, field: str) -> tuple[int, int]:
    """Where a field of a word is: its lowest bit, and how many bits it has."""
    return _BITS[bitfield, field]
