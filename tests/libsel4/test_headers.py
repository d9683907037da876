# SPDX-License-Identifier: BSD-2-Clause
"""libsel4's headers: each compiles by itself, all of them in every language that software of this ecosystem is written in, by both compilers; what is
absent is an error that says why; the configuration is what the kernel is."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2", "-c", "-o", "/dev/null"]
COMPILERS = {"gcc": ["aarch64-linux-gnu-gcc"], "clang": ["clang-19", "--target=aarch64-linux-gnu"]}
LANGUAGES = {"c": ("c11", "gnu11", "gnu17"), "c++": ("c++11", "gnu++14", "gnu++17", "gnu++20", "gnu++2b")}
# What the software includes, as its sources show.
WANTED = """sel4/sel4.h sel4/types.h sel4/simple_types.h sel4/shared_types.h sel4/shared_types_gen.h sel4/faults.h sel4/bootinfo.h
    sel4/bootinfo_types.h sel4/invocation.h sel4/virtual_client.h sel4/functions.h sel4/syscalls.h sel4/objecttype.h sel4/constants.h sel4/deprecated.h
    sel4/macros.h sel4/errors.h sel4/benchmark_track_types.h sel4/benchmark_tracepoints_types.h sel4/benchmark_utilisation_types.h sel4/arch/mapping.h
    sel4/sel4_arch/mapping.h sel4/mapping.h sel4/mode/types.h sel4/plat/api/constants.h interfaces/sel4_client.h kernel/gen_config.h sel4/gen_config.h
    autoconf.h""".split()


def compile_text(prefix, text, compiler="gcc", language="c", standard="gnu11", options=()):
    """Compiles a text with the prefix's headers: the compiler's words, empty if it has none."""
    if not shutil.which(COMPILERS[compiler][0]):
        pytest.skip(f"{COMPILERS[compiler][0]} is missing (./caprock setup dev)")
    include = prefix.path / "include"
    command = [*COMPILERS[compiler], "-x", language, f"-std={standard}", *WARNINGS, f"-I{include}", f"-I{include / 'caprock-autoconf'}", *options, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stderr


def headers(prefix):
    """Every header below sel4/, and those beside it that belong to libsel4."""
    include = prefix.path / "include"
    names = [str(path.relative_to(include)) for path in (include / "sel4").rglob("*.h")]
    return [*names, "interfaces/sel4_client.h", "kernel/gen_config.h", "caprock/root.h", "autoconf.h"]


def test_every_header_that_is_wanted_is_there(prefix):
    assert sorted(set(WANTED) - set(headers(prefix))) == []


def test_every_header_compiles_by_itself(prefix):
    problems = {name: compile_text(prefix, f"#include <{name}>\n", options=("-fsyntax-only",)) for name in headers(prefix)}
    assert {name: words for name, words in problems.items() if words} == {}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("language, standard", [(language, standard) for language, standards in LANGUAGES.items() for standard in standards])
def test_all_headers_compile_in_every_language(prefix, compiler, language, standard):
    text = "".join(f"#include <{name}>\n" for name in headers(prefix))
    assert compile_text(prefix, text, compiler, language, standard, ("-DCAPROCK_DEBUG_BUILD",)) == ""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("standard", LANGUAGES["c++"])
def test_headers_compile_inside_extern_c(prefix, compiler, standard):
    """As software in C++ includes them that takes them for C headers."""
    assert compile_text(prefix, 'extern "C" {\n#include <sel4/sel4.h>\n}\ntemplate <class T> T f(T x) { return x; }\n', compiler, "c++", standard) == ""


def test_assembly_can_include_the_constants(prefix):
    text = "#include <sel4/constants.h>\n#include <kernel/gen_config.h>\n.quad seL4_PageBits, CONFIG_NUM_PRIORITIES\n"
    assert compile_text(prefix, text, language="assembler-with-cpp") == ""


def absent_names():
    """The functions that interface.toml calls absent, each with its reason."""
    with open(ROOT / "userland/libsel4/interface.toml", "rb") as stream:
        return [(name, entry["reason"]) for entry in tomllib.load(stream)["absent"] for name in entry["names"]]


@pytest.mark.parametrize("compiler, language, standard", [("gcc", "c", "gnu11"), ("clang", "c++", "gnu++17")])
def test_absent_functions_are_errors_with_a_reason(prefix, compiler, language, standard):
    for name, reason in absent_names():
        words = compile_text(prefix, f"#include <sel4/sel4.h>\nint f(void);\nint f(void) {{ return (int){name}(1, 2); }}\n", compiler, language, standard)
        assert f"{name} is not in Caprock: {reason}" in words, words


def test_the_debug_group_is_for_debug_builds(prefix):
    text = "#include <sel4/sel4.h>\nvoid f(void);\nvoid f(void) { seL4_DebugPutChar('x'); seL4_DebugNameThread(1, \"a\"); }\n"
    assert compile_text(prefix, text, options=("-DCAPROCK_DEBUG_BUILD",)) == ""
    assert "seL4_DebugPutChar" in compile_text(prefix, text)


def macros(prefix, *options):
    """The configuration's macros."""
    include = prefix.path / "include"
    command = ["aarch64-linux-gnu-gcc", "-dM", "-E", "-x", "c", f"-I{include}", f"-I{include / 'caprock-autoconf'}", *options, "-"]
    done = subprocess.run(command, input="#include <autoconf.h>\n", capture_output=True, text=True, check=True)
    return dict(re.findall(r"^#define CONFIG_(\w+) (.*)$", done.stdout, re.MULTILINE))


def test_configuration(prefix):
    found = macros(prefix)
    wanted = {"KERNEL_MCS": "1", "ARCH_ARM": "1", "ARCH_AARCH64": "1", "WORD_SIZE": "64", "PLAT_QEMU_ARM_VIRT": "1", "ARM_TLS_REG_TPIDRU": "1",
              "MAX_NUM_NODES": "1", "NUM_DOMAINS": "16", "NUM_PRIORITIES": "256", "MAX_NUM_BOOTINFO_UNTYPED_CAPS": "230",
              "RETYPE_FAN_OUT_LIMIT": "256", "BOOT_THREAD_TIME_SLICE": "10", "EXPORT_PCNT_USER": "1", "EXPORT_PTMR_USER": "1", "HARDWARE_DEBUG_API": "1"}
    assert {name: found.get(name) for name in wanted} == wanted
    assert not {"PRINTING", "DEBUG_BUILD", "ARM_HYPERVISOR_SUPPORT", "ENABLE_BENCHMARKS"} & set(found)
    assert {"PRINTING", "DEBUG_BUILD"} <= set(macros(prefix, "-DCAPROCK_DEBUG_BUILD"))


@pytest.mark.parametrize("old, new, words", [
    ('method = "TCB::Resume"', 'method = "TCB::Wake"', "seL4_TCB_Resume: kernel/api has no method TCB::Wake; correct `method`"),
    ('parameters = ["seL4_TCB authority", "seL4_Word mcp"]', 'parameters = ["seL4_TCB authority"]', "seL4_TCB_SetMCPriority: nothing gives mcp; "),
    ('parameters = ["seL4_Word tls_base"]', 'parameters = ["seL4_Word tls_base", "seL4_Word more"]', "seL4_TCB_SetTLSBase: more goes nowhere; "),
    ('results = ["seL4_Word paddr"]', "results = []", "seL4_ARM_Page_GetAddress: the method has 1 results; "),
    ('"extraCaps=extra_caps", ', "", "seL4_MessageInfo: extra_caps is missing; "),
    ('words = ["Data", "Consumed"]', 'words = ["Data"]', "Timeout: its message has 2 words; "),
])
def test_generator_names_what_does_not_fit(tmp_path, old, new, words):
    source = ROOT / "userland" / "libsel4"
    folder = tmp_path / "userland" / "libsel4"
    shutil.copytree(source, folder)
    (tmp_path / "kernel").symlink_to(ROOT / "kernel")
    text = (source / "interface.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "interface.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    done = subprocess.run(["/usr/bin/python3", "-B", str(folder / "generate.py"), "interfaces/sel4_client.h", str(tmp_path / "out.h")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"interface.toml: {words}") and done.stderr.count("\n") == 1
