#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes what the API description says of each method as a table for the conformance tests, so that they expect what the manual says.

usage: documented.py HEADER"""

import sys
from pathlib import Path

API = Path(__file__).resolve().parents[2] / "kernel" / "api"
sys.path.insert(0, str(API))

from description import Description, DescriptionError  # noqa: E402

HEAD = """// SPDX-License-Identifier: BSD-2-Clause
// What the manual says of each method. Made by tests/conformance/documented.py of kernel/api: do not edit.
#pragma once

#include "caprock/abi.hpp"

namespace caprock::conformance {{

inline constexpr unsigned most_checks = {most};

struct DocumentedMethod {{
    const char* name;
    abi::CapType object;
    uint8_t words, caps;
    uint8_t check_count;
    abi::Error checks[most_checks];   // the error of each check, in order
}};

/// By label; entry 0 is no method.
inline constexpr DocumentedMethod documented_methods[] = {{
    {{"no method", abi::CapType::Null, 0, 0, 0, {{}}}},
"""


def row(method: dict) -> str:
    """The table's row of one method."""
    errors = ", ".join(f"abi::Error::{check['error']}" for check in method["checks"])
    return (f'    {{"{method["object"]["name"]}::{method["name"]}", abi::CapType::{method["object"]["cap_type"]}, '
            f'{len(method["words"])}, {len(method["caps"])}, {len(method["checks"])}, {{{errors}}}}},\n')


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        methods = Description(API).methods
    except DescriptionError as error:
        print(error, file=sys.stderr)
        return 1
    text = HEAD.format(most=max(len(method["checks"]) for method in methods))
    text += "".join(map(row, methods)) + "};\n\n}  // namespace caprock::conformance\n"
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
