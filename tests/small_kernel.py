# SPDX-License-Identifier: BSD-2-Clause
"""Kernels of a few lines of assembly, for tests of what reads the kernel's image."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = """
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }
SECTIONS
{
    . = 0xffffffff80000000;
    .text : { *(.text*) *(.rodata*) } :text
    . = ALIGN(4096);
    .data : { *(.data*) *(.bss*) } :data
}
"""
FUNCTIONS = """
    .macro function name
    .text
    .global \\name
    .type \\name, %function
\\name:
    .endm
    .macro finish name
    .size \\name, . - \\name
    .endm
"""


def make(folder: Path, text: str, script: str = SCRIPT):
    """The image of an assembly text: `function NAME` begins a function as the compiler makes them, `finish NAME` ends it; other labels are assembly. The
    test is skipped where there is no assembler."""
    from audit.image import Image

    if shutil.which("aarch64-linux-gnu-gcc") is None:
        pytest.skip("aarch64-linux-gnu-gcc is missing (./caprock setup)")
    root = folder / "sources"
    source, layout, elf = root / "kernel" / "fixture.S", folder / "layout.ld", folder / "fixture.elf"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(FUNCTIONS + text, encoding="utf-8")
    layout.write_text(script, encoding="utf-8")
    command = ["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", f"-Wl,-T,{layout}",
               str(source), "-o", str(elf)]
    subprocess.run(command, check=True, capture_output=True)
    return Image(elf, root)
