# SPDX-License-Identifier: BSD-2-Clause
"""That the conformance tests leave nothing of the API description out: every method is called, every method's checks are gone through in order,
every system call, fault and error is named, and every test can be selected by a name of its own."""

import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
API = HERE.parents[1] / "kernel" / "api"
sys.path.insert(0, str(API))

from description import Description  # noqa: E402
from rendering import snake  # noqa: E402

FEWEST_TESTS = 220
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in sorted(HERE.glob("test_*.cc"))}
TEXT = "\n".join(SOURCES.values())
TESTS = [(name.removeprefix("test_").removesuffix(".cc"), identifier, description)
         for name, text in SOURCES.items() for identifier, description in re.findall(r'^TEST\((\w+),\s+"((?:[^"\\]|\\.)*)"\)', text, re.MULTILINE)]
DESCRIPTION = Description(API)
# Who else goes through a method's checks than `Order order(Method::X)`: functions that several tests share.
ORDERED = set(re.findall(r"(?:Order order|check_cache_order)\((?:abi::)?Method::(\w+)", TEXT))


@pytest.mark.parametrize("method", DESCRIPTION.methods, ids=lambda method: method["full_name"])
def test_every_methods_checks_are_gone_through(method):
    assert not method["checks"] or method["full_name"] in ORDERED, f"no test has an Order of Method::{method['full_name']}"


@pytest.mark.parametrize("method", DESCRIPTION.methods, ids=lambda method: method["full_name"])
def test_every_method_is_called(method):
    name = "delete_cap" if method["name"] == "Delete" else snake(method["name"])
    assert re.search(rf"(?:\.|::){name}\b", TEXT), f"no test calls {name}"


@pytest.mark.parametrize("enum", ["FaultLabel", "Error", "LookupFailure", "ObjectType", "CapType"])
def test_every_value_is_named(enum):
    """The error of each check comes out of the description; the other values are in the tests themselves."""
    documented = {check["error"] for method in DESCRIPTION.methods for check in method["checks"]} if enum == "Error" else set()
    never = {"NullFault", "NoFailure", "Zombie"}
    values = {value["name"] for value in DESCRIPTION.enum(enum)["values"]} - documented - never
    assert sorted(value for value in values if not re.search(rf"\b{value}\b", TEXT)) == []


def test_every_system_call_is_made():
    calls = {value["name"] for value in DESCRIPTION.enum("Syscall")["values"]}
    assert sorted(call for call in calls if not re.search(rf"Syscall::{call}\b|sys::{snake(call)}\b", TEXT)) == []


def test_names_select_one_test_each():
    names = [f"{suite}.{identifier}" for suite, identifier, _ in TESTS]
    assert len(names) == len(set(names)) >= FEWEST_TESTS
    assert all(re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name) for name in names)


def test_descriptions_are_one_line_of_tap():
    assert [description for _, _, description in TESTS if "#" in description or not description or description.endswith(".")] == []
