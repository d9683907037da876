# SPDX-License-Identifier: BSD-2-Clause
"""One commit, one image: the project is built again in another folder, by another user where that is possible, with other locale, umask, time
zone and number of processes; and every byte that would reach a board is compared."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
OUTPUTS = ("kernel/kernel.elf", "kernel/kernel-debug.elf", "platform/Image", "platform/Image-debug")
MEDIA = ("virt", "raspi4b")
NOBODY = 65534
"""An ordinary user and group, who build the second time if the tests run as root."""


def caprock(root: Path, *arguments: str, **options) -> None:
    """Runs the command of the project in `root`, installing nothing."""
    done = subprocess.run([root / "caprock", *arguments, "--no-install"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=1500, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def make_media(root: Path, folder: Path, **options) -> None:
    """Makes the boot media of the first system for both boards."""
    for machine in MEDIA:
        caprock(root, "image", str(root / "systems" / "hello.cdl"), "--machine", machine, "-o", str(folder / f"{machine}.img"), **options)


def copy_sources(target: Path) -> None:
    """Copies the project's sources, with new times and without what builds and tools made."""
    def made(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name in (".git", "__pycache__", ".hypothesis") or (folder == str(ROOT) and name.startswith("build"))}

    shutil.copytree(ROOT, target, ignore=made, copy_function=shutil.copy)


@pytest.fixture(name="twice", scope="module")
def fixture_twice():
    """Builds the project a second time under other circumstances; gives (build folder, media folder) of both."""
    import fetch  # in platform/, found on PYTHONPATH

    with tempfile.TemporaryDirectory(prefix="caprock-first-") as first, tempfile.TemporaryDirectory(prefix="caprock-second-") as second:
        make_media(ROOT, Path(first))
        sources = Path(second) / "another-folder" / "with" / "a-longer-path"
        media = Path(second) / "media"
        media.mkdir()
        copy_sources(sources)
        cache = Path(second) / "cache"
        shutil.copytree(fetch.cache_folder(), cache, ignore=shutil.ignore_patterns("apt-*", "lock"))
        options = {"umask": 0o077, "cwd": "/", "env": {
            "PATH": os.environ["PATH"], "HOME": second, "USER": "somebody", "LANG": "tr_TR.UTF-8", "LC_ALL": "C", "TZ": "Asia/Kathmandu",
            "COLUMNS": "40", "CAPROCK_CACHE": str(cache), "CAPROCK_BUILD": str(sources / "another-build")}}
        if os.geteuid() == 0:
            options |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", second], check=True)
        caprock(sources, "build", "--systems", "-j", "1", **options)
        make_media(sources, media, **options)
        yield (BUILD, Path(first)), (sources / "another-build", media)


@pytest.mark.parametrize("name", OUTPUTS)
def test_programs_are_the_same(twice, name):
    (first, _), (second, _) = twice
    assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("name", [f"{machine}.img{suffix}" for machine in MEDIA for suffix in ("", ".spdx.json")])
def test_media_are_the_same(twice, name):
    (_, first), (_, second) = twice
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_image_names_its_toolchain_and_no_path(twice):
    image = (twice[0][0] / "platform" / "Image").read_bytes()
    assert b"caprock-toolchain: " in image and b"gcc 12." in image
    for folder in (ROOT, BUILD):
        assert not re.search(rb"[^\w.]" + re.escape(bytes(folder)) + rb"/", image)
