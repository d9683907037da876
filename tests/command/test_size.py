# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's limits, measured, and how they are measured."""

import pytest

from command import BUILD, building, size


def test_the_kernel_stays_below_its_lines():
    lines, code = size.kernel_lines()
    assert 0 < code < size.LINE_LIMIT, f"{code} lines of code"
    assert 0 < lines <= size.LINE_LIMIT, f"{lines} lines in all"


def test_the_kernels_code_stays_below_its_bytes():
    assert 0 < size.section_sizes(size.kernel_elf())[".text"] < size.TEXT_LIMIT


def test_generated_code_and_the_el2_stub_are_counted():
    names = [path.name for path in size.kernel_sources()]
    assert {"abi.hpp", "decode.hpp", "el2.S"} <= set(names)


@pytest.mark.parametrize("text, lines", [
    ("", 0),
    ("int a;\n\n// only a comment\nint b;  // and code\n", 2),
    ("/* one */\nint a; /* two\nthree */ int b;\n/* four */ /* five */\n", 2),
    ("/* open\n\nint not_code;\n*/\n", 0),
    ("a(); // not /* a block\nb();\n", 2),
])
def test_lines_of_code(text, lines):
    assert size.code_lines(text) == lines


def test_methods_that_the_build_lists_are_those_without_an_implementation():
    listed = building.planned_methods()
    assert listed == []
    info = (BUILD / "kernel" / "api" / "caprock" / "decode.hpp").read_text(encoding="utf-8")
    assert len(listed) == info.count("{CapType::Null,") - 1  # the entry for label 0 is no method
    assert all("::" in name for name in listed)
