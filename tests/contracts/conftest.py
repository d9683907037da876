# SPDX-License-Identifier: BSD-2-Clause
"""What the contracts' tests share: the kernel that was built, and kernels of a few lines of assembly."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
sys.path[:0] = [str(ROOT / "proofs-spec"), str(ROOT / "platform"), str(ROOT / "tests"), str(ROOT)]

pytest.importorskip("z3", reason="z3 is missing (./caprock setup proofs)")

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
    import small_kernel

    return lambda instructions: small_kernel.make(tmp_path, f"function subject\n{instructions}\nfinish subject\n")
