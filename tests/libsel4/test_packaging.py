# SPDX-License-Identifier: BSD-2-Clause
"""A program outside the tree, in C, built with a plain compiler, with pkg-config and with CMake, and booted; what `./caprock run --root` says of
programs that cannot be root tasks."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import rootimage

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STATUS = 42  # what hello.c ends with
HELLO = "hello from a root task\n"
PLAIN = ("aarch64-linux-gnu-gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
LINK = ("-static", "-nostdlib", "-no-pie", "-Wl,-z,max-page-size=4096", "-Wl,-u,_start")


@pytest.fixture
def outside(tmp_path):
    """A folder outside the tree with the program's sources."""
    shutil.copytree(HERE / "hello", tmp_path / "hello")
    (tmp_path / "hello" / "greeting").write_text("good morning\n", encoding="utf-8")
    return tmp_path / "hello"


def run(*command, cwd, **environment) -> subprocess.CompletedProcess:
    """Runs a tool; its output is text."""
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          timeout=300, env={**os.environ, **environment})


def succeeds(*command, cwd, **environment) -> str:
    """Runs a tool that has to succeed, and returns what it printed."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plain_compiler(prefix, outside):
    include, library = prefix.path / "include", prefix.path / "lib"
    succeeds(*PLAIN, "-I", include, "hello.c", *LINK, "-L", library, "-lcaprock-root", "-lsel4", "-lcaprock", "-lgcc", "-o", "hello.elf", cwd=outside)
    outcome = prefix.boot(outside / "hello.elf")
    assert outcome.status == STATUS and HELLO in outcome.log


@pytest.mark.parametrize("compiler", ["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++"])
def test_pkg_config(prefix, outside, compiler):
    language = "c++" if compiler.endswith("++") else "c"
    standard = "gnu++17" if language == "c++" else "c11"
    flags = prefix.flags("caprock-root", "sel4-debug")
    options = ("-x", language, f"-std={standard}", "-O1", "-Wall", "-Wextra", "-Werror")
    succeeds(compiler, *options, "hello.c", "-x", "none", *flags, "-o", "hello.elf", cwd=outside)
    outcome = prefix.boot(outside / "hello.elf", debug=True, archive=outside / "greeting")
    assert outcome.status == STATUS
    assert HELLO + "good morning\non the debug kernel\n" in outcome.log


def test_a_runtime_of_its_own(prefix, outside):
    """A program that brings its entry and thread-local storage, as runtimes of that ecosystem do, links libsel4 alone."""
    flags = prefix.flags("sel4-debug")
    link = ("-static", "-nostdlib", "-no-pie", "-Wl,-z,max-page-size=4096", "-Wl,-e,_sel4_start")
    succeeds(*PLAIN, "-std=gnu11", "own_runtime.c", *link, *flags, "-o", "own.elf", cwd=outside)
    outcome = prefix.boot(outside / "own.elf", debug=True)
    assert outcome.status == 5 and "own runtime\n" in outcome.log


def test_default_page_size(prefix, outside):
    """The linker's own 64 KiB leave a gap in the image, which becomes zero pages."""
    flags = [flag for flag in prefix.flags("caprock-root") if "max-page-size" not in flag]
    succeeds(*PLAIN, "hello.c", *flags, "-o", "hello.elf", cwd=outside)
    assert prefix.boot(outside / "hello.elf").status == STATUS


def configure(prefix, source, build, *options) -> str:
    """Configures and builds a CMake project for the target."""
    if not shutil.which("cmake"):
        pytest.skip("cmake is missing (./caprock setup dev)")
    toolchain = prefix.path / "share/caprock/cmake/aarch64-linux-gnu.cmake"
    said = succeeds("cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", *options, cwd=source)
    return said + succeeds("cmake", "--build", build, cwd=source)


def test_cmake_package(prefix, outside):
    build = outside / "build"
    configure(prefix, outside / "cmake", build, f"-DCMAKE_PREFIX_PATH={prefix.path}")
    done = run("/usr/bin/python3", "-B", prefix.path / "share/caprock/platform/machines.py", "--image", build / "images/Image",
               "--payload", build / "images/hello.bin", "--timeout", "60", cwd=build)
    assert done.returncode == STATUS, done.stdout + done.stderr
    assert HELLO + "good morning\n" in done.stdout


@pytest.mark.parametrize("debug", ["OFF", "ON"])
def test_cmake_in_the_style_of_sel4_projects(prefix, outside, debug):
    build = outside / "build"
    configure(prefix, outside / "sel4", build, f"-DCMAKE_MODULE_PATH={prefix.path}/share/caprock/cmake", f"-DKernelDebugBuild={debug}",
              "-DKernelRootCNodeSizeBits=16")
    done = run(build / "simulate", "--timeout", "60", "--gic", "3", cwd=build)
    assert done.returncode == STATUS, done.stdout + done.stderr
    assert HELLO in done.stdout
    assert ("on the debug kernel" in done.stdout) == (debug == "ON")


def test_native_components_link(prefix, outside):
    source = outside / "component.cc"
    template = (ROOT / "userland/templates/component/NAME.cc").read_text(encoding="utf-8")
    source.write_text(template, encoding="utf-8")
    flags = prefix.flags("caprock")
    succeeds("aarch64-linux-gnu-g++", "-std=gnu++2b", "-O2", "component.cc", *flags, "-o", "component.elf", cwd=outside)
    assert rootimage.payload.elf_api_hash((outside / "component.elf").read_bytes()) is not None


def compiled(prefix, outside, *options) -> Path:
    """The program with other link options, or without some ("!option")."""
    removed = [option[1:] for option in options if option.startswith("!")]
    flags = [flag for flag in prefix.flags("caprock-root") if flag not in removed]
    succeeds(*PLAIN, "hello.c", *flags, *(option for option in options if not option.startswith("!")), "-o", "hello.elf", cwd=outside)
    return outside / "hello.elf"


def caprock(*arguments, cwd) -> subprocess.CompletedProcess:
    """The command, on the build folder that the tests belong to."""
    return run(ROOT / "caprock", "run", "--no-install", *arguments, cwd=cwd)


def test_run_root(prefix, outside):
    program = compiled(prefix, outside)
    done = caprock("--root", program, "--with", outside / "greeting", "--cnode-bits", "16", cwd=outside)
    assert done.returncode == STATUS, done.stdout + done.stderr
    assert HELLO + "good morning\n" in done.stdout


REFUSED = {
    "no ELF file": (lambda prefix, outside: outside / "hello.c", "hello.c: no 64-bit little-endian ELF file"),
    "another machine": (lambda prefix, outside: Path("/usr/bin/python3").resolve(), "not AArch64"),
    "position-independent": (lambda prefix, outside: compiled(prefix, outside, "!-static", "-static-pie"), "no executable at fixed addresses"),
    "writable and executable": (lambda prefix, outside: compiled(prefix, outside, "-Wl,-N"), "writable and executable"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_run_root_refuses_in_one_line(prefix, outside, case):
    make, words = REFUSED[case]
    done = caprock("--root", make(prefix, outside), cwd=outside)
    assert done.returncode == 1
    assert done.stderr.startswith("caprock: error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr and "(" in done.stderr


def test_without_libsel4_there_is_no_note(prefix, outside, tmp_path):
    (outside / "bare.S").write_text(".global _start\n_start: b _start\n", encoding="utf-8")
    succeeds("aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "bare.S", "-o", "bare.elf", cwd=outside)
    with pytest.raises(rootimage.RootImageError, match="no note with its API hash"):
        rootimage.make(outside / "bare.elf")


@pytest.mark.parametrize("arguments, words", [
    (("--with", "greeting"), "--with and --cnode-bits are for a program that runs as the root task"),
    (("--root", "hello.c", "--cnode-bits", "21"), "21 is not a number from 12 to 20"),
    (("--root", "nowhere.elf"), "nowhere.elf: no such file"),
    ((str(ROOT / "systems/passive.cdl"), "--root", "hello.c"), "either a system or a root task"),
])
def test_wrong_usage_of_run_root(outside, arguments, words):
    done = caprock(*arguments, cwd=outside)
    assert done.returncode == 2
    assert done.stderr.startswith("caprock: error: ") and done.stderr.count("\n") == 1 and words in done.stderr
