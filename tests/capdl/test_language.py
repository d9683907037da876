# SPDX-License-Identifier: BSD-2-Clause
"""docs/capdl.md and docs/components.md: their examples are descriptions without findings, their tables say what the tool does, and they name the codes
that there are."""

import re

import pytest

import capdl
from capdl import checks, component_checks
from capdl.compat.verdict import judge
from capdl.diagnostics import Source
from capdl.component_parser import ITEMS
from capdl.driver import load_text
from capdl.explanations import EXPLANATIONS
from capdl.model import OBJECT_TYPES, TCB_SLOTS
from capdl.syntax import SCALAR_TYPES
from capdl_support import ROOT

TEXT = (ROOT / "docs" / "capdl.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```capdl\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
COMPONENTS = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
COMPONENT_EXAMPLES = re.findall(r"^```capdl\n(.*?)^```$", COMPONENTS, re.DOTALL | re.MULTILINE)


def section(heading, text=TEXT):
    """The text below a heading, to the next one."""
    return re.search(rf"^#+ {heading}$(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE).group(1)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples(text):
    """Nothing is to be said against an example, by either tool."""
    _, diagnostics = load_text(text, loadable=True)
    assert diagnostics.findings == [], diagnostics.render()
    assert judge(Source("example", text)).ok == (not text.startswith("caprock"))


@pytest.mark.parametrize("text", COMPONENT_EXAMPLES)
def test_component_examples(text, tmp_path):
    """Nothing is to be said against an example, and it says what it seems to say."""
    path = tmp_path / "example.cdl"
    path.write_text(text, encoding="utf-8")
    spec, diagnostics = capdl.load(path, partial=True)
    assert diagnostics.findings == [], diagnostics.render()
    assert spec.components and spec.arch == "aarch64"


def test_there_are_examples():
    """The pattern finds them."""
    assert EXAMPLES and COMPONENT_EXAMPLES


def test_items_of_components_are_named():
    """The tables of items and types are complete."""
    assert set(ITEMS) <= set(re.findall(r"`(\w+)", section("What a component has", COMPONENTS).partition("| item |")[2]))
    assert {*SCALAR_TYPES, "bytes", "cap", "struct"} <= set(re.findall(r"`(\w+)", section("Interfaces", COMPONENTS)))


def test_component_checks_are_listed():
    """The table has each check of the component level, and those that are warnings are called so."""
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|$", section("What is checked", COMPONENTS), re.MULTILINE)
    listed = {code: "warning" in text for codes, text in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert listed == {item.name: item.kind == "warning" for item in component_checks.COMPONENT_CHECKS}


def test_loadable_table():
    """The table is what the check does."""
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| (.*?) ?\|$", section("Loadable"), re.MULTILINE)
    assert {kind: reason or None for kind, _, reason in rows} == checks.LOADABLE
    assert all((answer == "yes") == (not reason) for _, answer, reason in rows)


@pytest.mark.parametrize("kind", OBJECT_TYPES)
def test_refusals_name_object_and_reason(kind):
    """What the table does not have is refused by name."""
    parameters = {"cnode": "(4 bits)", "ut": "(12 bits)", "frame": "(4k)", "arm_irq": "(trigger: level, target: 0)", "arm_sgi_signal": "(irq: 5, target: 0)",
                  "arm_io_device": "(iospace: 1)", "io_ports": "(ports: [1..2])", "io_device": "(domainID: 1, 0:1.2)", "io_pt": "(level: 1)",
                  "ioapic_irq": "(ioapic_num: 0, ioapic_pin: 4, ioapic_level: 1, ioapic_polarity: 1)",
                  "msi_irq": "(msi_handle: 0, msi_pci_bus: 1, msi_pci_dev: 2, msi_pci_fun: 3)"}.get(kind, "")
    _, diagnostics = load_text(f"arch aarch64 objects {{ thing = {kind} {parameters} }}", loadable=True)
    reason = checks.LOADABLE.get(kind, "does not have it")
    assert diagnostics.ok == (reason is None), diagnostics.render()
    refused = f"'thing' ({kind}) cannot be loaded: {reason}" if kind in checks.LOADABLE else f"'thing' is of type {kind}, which aarch64 does not have"
    assert reason is None or refused in diagnostics.render()


def test_thread_without_time_loads():
    """A thread without a scheduling context is no finding."""
    _, diagnostics = load_text("arch aarch64 objects { t = tcb (dom: 1) }", loadable=True)
    assert diagnostics.findings == []


def test_every_type_and_slot_is_named():
    """The tables of objects and the grammar are complete."""
    assert set(OBJECT_TYPES) <= set(re.findall(r"`(\w+)`", section("Objects")))
    assert set(TCB_SLOTS) <= set(re.findall(r'"(\w+)"', section("Grammar")))


def test_strict_checks_are_listed():
    """What is refused beyond the reference tool is in the list, by its code."""
    listed = set(re.findall(r"\(`([a-z-]+)`\)", section("Checks beyond the reference tool")))
    assert {item.name for item in checks.CHECKS if item.kind == "strict"} <= listed <= EXPLANATIONS.keys()
