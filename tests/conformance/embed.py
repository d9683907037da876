#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes of a component's ELF what the driver links: a flat image, and an assembly source that embeds it.

A step of the build, so that a changed component makes a changed source: Meson knows no dependency of .incbin."""

import subprocess
import sys
from pathlib import Path

SOURCE = """// SPDX-License-Identifier: BSD-2-Clause
// Made by tests/conformance/embed.py: the components' image in the driver.
    .section .rodata.component_image, "a"
    .balign 16
    .global component_image, component_image_end
component_image:
    .incbin "{path}"
component_image_end:
    .section .note.GNU-stack, "", %progbits
"""


def main() -> int:
    if len(sys.argv) != 5:
        print("usage: embed.py OBJCOPY COMPONENT.elf IMAGE SOURCE.S", file=sys.stderr)
        return 2
    objcopy, component, image, source = sys.argv[1:]
    try:
        subprocess.run([objcopy, "-O", "binary", component, image], check=True)
        Path(source).write_text(SOURCE.format(path=image), encoding="utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"embed.py: {component}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
