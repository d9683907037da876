# SPDX-License-Identifier: BSD-2-Clause
"""Links a built system's loader again, with a test's code around some of its steps (loader.hpp)."""

import re
import subprocess

import payload as payloads
from test_loader import BUILD, HERE, ROOT

from capdl import emit


def wrap(system, out, source, defines, folder):
    """A payload of `system` (build.BuiltSystem, made in the folder `out`) with the code of `source`, which has __wrap_ functions for some steps."""
    includes = [f"-I{ROOT}", f"-I{BUILD / 'kernel' / 'api'}", f"-I{ROOT / 'userland' / 'caprock' / 'include'}"]
    wrapped, elf, boot_elf = folder / "wrapped.o", folder / "root.elf", folder / "boot.elf"
    subprocess.run([*emit.COMPILE, "-Wno-unused-function", *includes, *defines, "-c", HERE / source, "-o", wrapped], check=True)
    symbols = subprocess.run(["aarch64-linux-gnu-nm", wrapped], stdout=subprocess.PIPE, text=True, check=True).stdout
    options = [f"-Wl,--wrap={name}" for name in re.findall(r" T __wrap_(\w+)$", symbols, re.MULTILINE)]
    library = ["-Wl,--whole-archive", BUILD / "capdl" / "libloader.a", "-Wl,--no-whole-archive"]
    subprocess.run([*emit.LINK, *options, f"-Wl,-T,{emit.LINKER_SCRIPT}", out / "tables.o", out / "files.o", wrapped, *library, "-o", elf], check=True)
    subprocess.run(["aarch64-linux-gnu-objcopy", "--strip-all", elf, boot_elf], check=True)
    content = boot_elf.read_bytes()
    payload = folder / "wrapped.bin"
    payload.write_bytes(payloads.make_payload(content, system.spec.name, system.system_hash, payloads.elf_api_hash(content)))
    return payload
