# SPDX-License-Identifier: BSD-2-Clause
"""What the audit's tests share: the package itself, and small kernels."""

import sys
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "proofs-spec"), str(ROOT / "platform"), str(ROOT / "tests"), str(ROOT)]

import small_kernel  # noqa: E402


@pytest.fixture
def assemble(tmp_path):
    """Makes an image of assembly."""
    return partial(small_kernel.make, tmp_path)
