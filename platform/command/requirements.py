# SPDX-License-Identifier: BSD-2-Clause
"""What the project needs on a machine, tier by tier, and how to see that it is there in the right version.

A requirement is judged by what will be used (a program on PATH, a Python module, a file), not by what a package manager remembers.
"""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

RELEASE = "bookworm"
BACKPORTS = f"{RELEASE}-backports"


@dataclass(frozen=True)
class Requirement:
    """One Debian package that a tier needs.

    `kind` and `probe` say how it is found: "command" (a program; `version_option` prints its version), "module" (of Debian's Python) or "file"
    (an absolute path). `at_least` and `below` bound the version, None: any. `from_backports` names the packages that the backports suite has to give,
    where the release's own are too old: these and no others, since whatever else comes from there may not go with the release's packages.
    """

    package: str
    kind: str
    probe: str
    at_least: str | None = None
    below: str | None = None
    version_option: str = "--version"
    from_backports: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What was found of a requirement: `condition` is "there", "missing" or "other" (there, in a version that does not serve)."""

    requirement: Requirement
    condition: str
    version: str | None = None


TIERS: dict[str, tuple[str, tuple[Requirement, ...]]] = {
    "run": ("build systems and run them on QEMU", (
        Requirement("g++-aarch64-linux-gnu", "command", "aarch64-linux-gnu-g++", "12.2", "13", "-dumpfullversion"),
        Requirement("g++", "command", "g++", "12.2", "13", "-dumpfullversion"),
        Requirement("qemu-system-arm", "command", "qemu-system-aarch64", "10",
                    from_backports=("qemu-system-arm", "qemu-system-common", "qemu-system-data")),
        Requirement("meson", "command", "meson", "1.7", from_backports=("meson",)),
        Requirement("ninja-build", "command", "ninja", "1.10"),
        Requirement("python3-jinja2", "module", "jinja2"),
        Requirement("python3-pyelftools", "module", "elftools"),
        Requirement("python3-libfdt", "module", "libfdt"),
        Requirement("u-boot-qemu", "file", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"),
        Requirement("u-boot-tools", "command", "mkimage", version_option="-V"),
        Requirement("mtools", "command", "mcopy"),
        Requirement("fdisk", "command", "sfdisk"),
    )),
    "dev": ("run the tests, debug, and build with the second compiler", (
        Requirement("catch2", "file", "/usr/share/pkgconfig/catch2-with-main.pc", "3.7", "4",
                    from_backports=("catch2", "libcatch2-dev")),
        Requirement("libfdt-dev", "file", "/usr/include/libfdt.h"),
        Requirement("pkg-config", "command", "pkg-config"),
        Requirement("cmake", "command", "cmake", "3.18"),
        Requirement("python3-pytest", "module", "pytest"),
        Requirement("python3-hypothesis", "module", "hypothesis"),
        Requirement("gdb-multiarch", "command", "gdb-multiarch"),
        Requirement("gcovr", "command", "gcovr", "5.2"),
        Requirement("device-tree-compiler", "command", "dtc"),
        Requirement("graphviz", "command", "dot"),
        Requirement("chromium", "command", "chromium"),
        Requirement("mypy", "command", "mypy"),
        Requirement("python3-pygls", "module", "pygls", from_backports=("python3-pygls", "python3-lsprotocol")),
        Requirement("neovim", "command", "nvim"),
        Requirement("clang-19", "command", "clang++-19", "19", "20"),
        Requirement("libclang-rt-19-dev", "file", "/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.fuzzer-x86_64.a"),
        Requirement("lld-19", "command", "ld.lld-19", "19", "20"),
        Requirement("llvm-19", "command", "llvm-ar-19", "19", "20"),
        Requirement("clang-format-19", "command", "clang-format-19", "19", "20"),
        Requirement("clang-tidy-19", "command", "clang-tidy-19", "19", "20"),
    )),
    "proofs": ("check the specification's proofs", (
        Requirement("coq", "command", "coqc", "8.16", "8.17"),
        Requirement("libcoq-stdpp", "file", "/usr/lib/ocaml/coq/user-contrib/stdpp/base.vo"),
        Requirement("ocaml", "command", "ocamlopt", "4.13", "4.14", "-version"),
        Requirement("libzarith-ocaml-dev", "file", "/usr/lib/ocaml/zarith/zarith.cmxa"),
        Requirement("python3-z3", "module", "z3"),
    )),
}
"""The tiers of set-up: what each is for, and what it needs. `dev` and `proofs` come on top of `run`."""

NEEDED_TIERS = {"run": ("run",), "dev": ("run", "dev"), "proofs": ("run", "proofs"), "all": ("run", "dev", "proofs")}
"""The tiers that a name given to `setup` stands for."""


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that compare: "12.2.0-14" is (12, 2, 0)."""
    return tuple(int(part) for part in re.match(r"[\d.]*\d|", version).group(0).split(".") if part)


def find_program(name: str) -> str | None:
    """The path of a program, also where ordinary users' PATH lacks the system's folders (sfdisk)."""
    return shutil.which(name) or (shutil.which(name, path="/usr/sbin:/sbin") if name == "sfdisk" else None)


def check(requirement: Requirement) -> State:
    """Looks whether a requirement is there, and in which version where that matters."""
    if requirement.kind == "module":
        return State(requirement, "there" if importlib.util.find_spec(requirement.probe) else "missing")
    place = requirement.probe if requirement.kind == "file" else find_program(requirement.probe)
    if place is None or not Path(place).exists():
        return State(requirement, "missing")
    if requirement.at_least is None:
        return State(requirement, "there")
    version = _version(requirement, place)
    serves = version is not None and numbers(version) >= numbers(requirement.at_least) and (
        requirement.below is None or numbers(version) < numbers(requirement.below))
    return State(requirement, "there" if serves else "other", version)


def check_tiers(tiers: tuple[str, ...]) -> list[State]:
    """The state of everything that the given tiers need, in the table's order."""
    return [check(requirement) for tier in tiers for requirement in TIERS[tier][1]]


def expected(requirement: Requirement) -> str:
    """The versions that serve, for a reader."""
    if requirement.at_least is None:
        return "any version"
    return f"{requirement.at_least} or newer" + (f", below {requirement.below}" if requirement.below else "")


def _version(requirement: Requirement, place: str) -> str | None:
    """The version that a program prints, or that a pkg-config file names; None if it does not say."""
    if requirement.kind == "file":
        match = re.search(r"^(?:Version: *|pkg_version=)(\d\S*)", Path(place).read_text(encoding="utf-8"), re.MULTILINE)
        return match.group(1) if match else None
    try:
        output = subprocess.run([place, requirement.version_option], capture_output=True, text=True, check=True, timeout=30,
                                stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+(\.\d+)+", output)
    return match.group(0) if match else None
