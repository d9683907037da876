# SPDX-License-Identifier: BSD-2-Clause
"""What the contracts' tests share: the kernel that was built, and kernels of a few lines of assembly."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
sys.path[:0] = [str(ROOT / "proofs-spec"), str(ROOT / "platform"), str(ROOT)]

pytest.importorskip("z3", reason="z3 is missing (./caprock setup proofs)")

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


@pytest.fixture(scope="session")
def kernel():
    """The production kernel of the build, and its structures."""
    from audit.image import Image
    from contracts.places import Layouts

    image = Image(BUILD / "kernel" / "kernel.elf", ROOT)
    return image, Layouts(image)


@pytest.fixture
def assemble(tmp_path):
    """Makes an image with one function, `subject`, out of its instructions."""
    if shutil.which("aarch64-linux-gnu-gcc") is None:
        pytest.skip("aarch64-linux-gnu-gcc is missing (./caprock setup)")
    from audit.image import Image

    def make(instructions: str):
        source, layout, elf = tmp_path / "subject.S", tmp_path / "layout.ld", tmp_path / "subject.elf"
        source.write_text(f".text\n.global subject\n.type subject, %function\nsubject:\n{instructions}\n.size subject, . - subject\n", encoding="utf-8")
        layout.write_text(SCRIPT, encoding="utf-8")
        subprocess.run(["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", f"-Wl,-T,{layout}",
                        str(source), "-o", str(elf)], check=True, capture_output=True)
        return Image(elf, tmp_path)

    return make
