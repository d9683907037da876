# SPDX-License-Identifier: BSD-2-Clause
"""ComponentInfo pages, packed by the layout that the SDK's start-up code reads (userland/caprock/api/component.toml)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from kernel.api.layout import load_structs

ROOT = Path(__file__).resolve().parent.parent
COMPONENT_LAYOUT = ROOT / "userland" / "caprock" / "api" / "component.toml"
MAX_TEXT = 63


@cache
def layout() -> Any:
    """The structures of component.toml."""
    return load_structs(COMPONENT_LAYOUT)


class InfoPage:
    """The ComponentInfo of one component, entry by entry."""

    def __init__(self, name: str):
        self.fields = {"name": name.encode()}
        self.entries: list[dict[str, Any]] = []

    @staticmethod
    def constants() -> dict[str, int]:
        """The numbers that badges are made of."""
        return {name: layout().constant(name) for name in ("badge_provide_shift", "badge_fault_provide")}

    def head(self, **fields: Any) -> None:
        """Set fields of ComponentInfo."""
        self.fields.update(fields)

    def entry(self, kind: str, name: str, value: int = 0, size: int = 0, badge: int = 0, text: str = "") -> None:
        """Add a ComponentEntry; kind: a name of ComponentEntryKind. Text that does not fit is cut at a character."""
        cut = text.encode()[:MAX_TEXT].decode("utf-8", "ignore").encode()
        self.entries.append({"name": name.encode(), "kind": layout().enum("ComponentEntryKind")[kind], "value": value, "size": size,
                             "badge": badge, "text": cut})

    def content(self, api_hash: bytes) -> bytes:
        """The bytes of the page(s). api_hash: 8 bytes as in the note of ELF files."""
        head = layout().pack("ComponentInfo", {**self.fields, "magic": layout().constant("component_magic"),
                                               "api_hash": int.from_bytes(api_hash, "little"), "entry_count": len(self.entries)})
        return head + b"".join(layout().pack("ComponentEntry", entry) for entry in self.entries)
