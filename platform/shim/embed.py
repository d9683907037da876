#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes of a kernel ELF what the boot shim links: the ELF without symbols and debugging information, and an assembly source that embeds it.

A step of the build, so that a changed kernel makes a changed source: Meson knows no dependency of .incbin."""

import argparse
import subprocess
import sys
from pathlib import Path

SOURCE = """// SPDX-License-Identifier: BSD-2-Clause
// Made by platform/shim/embed.py: the kernel in the boot shim.
    .section .rodata.kernel_elf, "a"
    .balign 8
    .global kernel_elf, kernel_elf_end
kernel_elf:
    .incbin "{path}"
kernel_elf_end:
    .section .note.GNU-stack, "", %progbits
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Strip a kernel ELF and write an assembly source that embeds it.")
    parser.add_argument("objcopy", help="the target's objcopy")
    parser.add_argument("kernel", type=Path)
    parser.add_argument("stripped", type=Path)
    parser.add_argument("source", type=Path)
    arguments = parser.parse_args()
    try:
        subprocess.run([arguments.objcopy, "--strip-all", str(arguments.kernel), str(arguments.stripped)], check=True)
        arguments.source.write_text(SOURCE.format(path=arguments.stripped), encoding="utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"embed.py: {arguments.kernel}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
