# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of libsel4 share: a prefix as `meson install` makes it, programs compiled against it with plain tools, and their runs on QEMU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
sys.path[:0] = [str(ROOT / "platform")]

import machines  # noqa: E402
import rootimage  # noqa: E402

COMPILERS = {"gcc": ("aarch64-linux-gnu-gcc",), "clang": ("clang-19", "--target=aarch64-linux-gnu")}
COMPILE = ("-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-g")
TIMEOUT = 120  # seconds; a run takes less than ten on an idle machine


class Prefix:
    """An installed Caprock: what programs outside the tree are compiled and booted with."""

    def __init__(self, path: Path):
        self.path = path

    def flags(self, *packages: str) -> list[str]:
        """What pkg-config says of the packages."""
        done = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], env={**os.environ, "PKG_CONFIG_PATH": str(self.path / "lib/pkgconfig")},
                              capture_output=True, text=True, check=True)
        return done.stdout.split()

    def compile(self, output: Path, *sources: Path, options: tuple[str, ...] = ("-O2",), debug: bool = False,
                compiler: str = "gcc") -> Path:
        """Links C sources to a root task, for the debug kernel with `debug`."""
        if not shutil.which(COMPILERS[compiler][0]):
            pytest.skip(f"{COMPILERS[compiler][0]} is missing (./caprock setup dev)")
        command = [*COMPILERS[compiler], *COMPILE, *options, *(str(source) for source in sources), "-o", str(output),
                   *self.flags("caprock-root", *["sel4-debug"] * debug)]
        done = subprocess.run(command, cwd=output.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return output

    def boot(self, program: Path, *, debug: bool = False, archive: Path | None = None, cnode_bits: int = 0, **setting) -> machines.Outcome:
        """Runs a root task with the prefix's kernel; virtual time goes by instructions, so that runs repeat."""
        payload = program.with_suffix(".bin")
        payload.write_bytes(rootimage.make(program, archive, cnode_bits))
        image = self.path / "lib/caprock" / ("Image-debug" if debug else "Image")
        chosen = machines.Setting(**setting)
        try:
            return machines.run(chosen, timeout=TIMEOUT, image=image, payload=payload, deterministic=True, output=None)
        except machines.MachineError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """The prefix, installed from the build folder."""
    stage = tmp_path_factory.mktemp("stage")
    done = subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet", "--tags", "devel", "--destdir", str(stage)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = list(stage.rglob("lib/pkgconfig/sel4.pc"))
    assert len(found) == 1
    return Prefix(found[0].parents[2])
