# SPDX-License-Identifier: BSD-2-Clause
"""What the audit's tests share: the package itself, and kernels of a few lines of assembly."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "proofs-spec"), str(ROOT / "platform"), str(ROOT)]

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


@pytest.fixture
def assemble(tmp_path):
    """Makes an image of assembly: `function NAME` begins a function as the compiler makes them, `finish NAME` ends it; other labels are assembly."""
    if shutil.which("aarch64-linux-gnu-gcc") is None:
        pytest.skip("aarch64-linux-gnu-gcc is missing (./caprock setup)")
    from audit.image import Image

    def make(text: str, script: str = SCRIPT) -> Image:
        root = tmp_path / "sources"
        source, layout, elf = root / "kernel" / "fixture.S", tmp_path / "layout.ld", tmp_path / "fixture.elf"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(FUNCTIONS + text, encoding="utf-8")
        layout.write_text(script, encoding="utf-8")
        command = ["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", f"-Wl,-T,{layout}",
                   str(source), "-o", str(elf)]
        subprocess.run(command, check=True, capture_output=True)
        return Image(elf, root)

    return make
