# SPDX-License-Identifier: BSD-2-Clause
"""The tool for system descriptions: parse, elaborate, check, print and build (see docs/tutorial.md).

    spec, diagnostics = capdl.load(path, elf_dirs=[...], dtb=path, out_dir=path)
"""

from .diagnostics import CapdlError, Diagnostics, Finding, Place
from .driver import load, load_interfaces

__all__ = ["CapdlError", "Diagnostics", "Finding", "Place", "load", "load_interfaces"]
