# SPDX-License-Identifier: BSD-2-Clause
"""docs/libsel4.md: its tables are current, and have every name of the headers; what differs is named as the headers have it."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "userland" / "libsel4"))

import document  # noqa: E402

TEXT = (ROOT / "docs/libsel4.md").read_text(encoding="utf-8")


def test_tables_are_current():
    assert document.document() == TEXT, "run userland/libsel4/document.py"


def test_every_name_is_there():
    named = set(re.findall(r"`(\w+)`", TEXT[TEXT.index(document.START):]))
    names = {name for text in document.headers().values() for name in document.names_of(text)}
    assert len(names) > 600
    assert sorted(names - named) == []


def test_what_differs_exists_or_is_absent():
    names = {name for text in document.headers().values() for name in document.names_of(text)}
    unknown = [name for name, (state, _) in document.differences().items() if state != "absent" and name not in names]
    assert unknown == []


def test_names_are_found():
    text = """#define seL4_Page 12
LIBSEL4_INLINE_FUNC seL4_Word seL4_Get(seL4_Word x)
{
    return seL4_Other(x);
}
typedef struct seL4_Thing_ {
    int field;
} seL4_Thing;
typedef seL4_Word seL4_Slot;
enum {
    seL4_First = 1,
    seL4_Last
};
"""
    assert document.names_of(text) == ["seL4_Page", "seL4_Get", "seL4_Thing", "seL4_Slot", "seL4_First", "seL4_Last"]
