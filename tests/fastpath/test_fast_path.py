# SPDX-License-Identifier: BSD-2-Clause
"""The fast paths in assembly do what the general path does, and the comparison would see it if they did not."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import differential  # noqa: E402
from differential import Change  # noqa: E402

SEED = 1
COMPONENTS = 60
OPERATIONS = 200   # of each component: so many states
OFTEN = 20   # times that each way is taken at least
KERNELS = {"production": ("kernel.elf", "Image"), "debug": ("kernel-debug.elf", "Image-debug")}
CHANGES = [
    Change("a server hears of no badge", 0xaa1403e0, 0xd2800000),                    # mov x0, x20: mov x0, #0
    Change("words beyond the length stay", 0x8b120a31, 0x9100c231),                  # add x17, x17, x18, lsl #2: add x17, x17, #48
    Change("a register that is dead keeps something of the kernel's", 0xd2800012),   # mov x18, #0
    Change("a server's system call executes again as it was", 0xb3401e27),           # bfxil x7, x17, #0, #8
    Change("a fault's handler hears of another address", 0xaa0203e3, 0xd2800003),    # mov x3, x2: mov x3, #0
    Change("words in buffers are not copied", 0xa8825331),                           # stp x17, x20, [x25], #32
    Change("a signal is not joined with others", 0xaa14035a),                        # orr x26, x26, x20
    Change("a word is taken and not told", 0xaa1a03e0, 0xd2800000),                  # mov x0, x26: mov x0, #0
    Change("a reply object does not know whom it is for", 0xf90002d2),               # str x18, [x22]
    Change("who goes on after a yield or a wait seems to be in a queue", 0xa9007f5f),   # stp xzr, xzr, [x26]
    Change("an interrupt that woke somebody keeps others away", 0xb9001256),         # str w22, [x18, #GICC_EOIR]
    Change("an interrupt does not come again", 0xb9100254),                          # str w20, [x18, #GICC_DIR]
]


def load(name: str) -> differential.Fastpath:
    kernel, image = KERNELS[name]
    return differential.Fastpath(differential.BUILD / "kernel" / kernel, differential.BUILD / "platform" / image)


@pytest.fixture(scope="module")
def reference() -> list[str]:
    """What happens without the fast path."""
    return differential.digests(load("production").without(), SEED, COMPONENTS, OPERATIONS)


@pytest.mark.parametrize("kernel", KERNELS)
def test_both_paths_do_the_same(kernel, reference):
    assert len(reference) == COMPONENTS
    path = load(kernel)
    other = reference if kernel == "production" else differential.digests(path.without(), SEED, COMPONENTS, OPERATIONS)
    assert differential.difference(differential.digests(path.image, SEED, COMPONENTS, OPERATIONS), other) is None


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.breaks)
def test_a_mistake_is_seen(change, reference):
    assert differential.difference(differential.digests(load("production").changed(change), SEED, COMPONENTS, OPERATIONS, timeout=60), reference) is not None


def test_the_comparison_comes_to_every_way():
    counts = differential.taken(load("production"), SEED, COMPONENTS, OPERATIONS)
    assert {way: times for way, times in counts.items() if times < OFTEN} == {}


def test_an_image_without_the_fast_path_is_refused(tmp_path):
    image = tmp_path / "Image"
    image.write_bytes(bytes(4096))
    with pytest.raises(differential.DifferentialError, match="does not hold the fast path"):
        differential.Fastpath(differential.BUILD / "kernel" / "kernel.elf", image)
