# SPDX-License-Identifier: BSD-2-Clause
"""How large the kernel is, beside its limits: lines to audit, and bytes of code."""

from pathlib import Path

from . import BUILD, ROOT
from .errors import Finding

LINE_LIMIT = 10_000
TEXT_LIMIT = 56 * 1024
_SOURCES = (".cc", ".hpp", ".h", ".S")
_GENERATED = ("abi.hpp", "decode.hpp")


def written_sources() -> list[Path]:
    """The files that the kernel is made of, EL2 stub included, as far as a person wrote them."""
    return sorted(path for path in (ROOT / "kernel").rglob("*") if path.suffix in _SOURCES)


def kernel_sources() -> list[Path]:
    """What a person wrote, and what was generated for it."""
    return written_sources() + [BUILD / "kernel" / "api" / "caprock" / name for name in _GENERATED]


def code_lines(text: str) -> int:
    """The lines of C++ or assembly that hold code: neither empty nor comment only."""
    lines = 0
    in_comment = False
    for line in text.splitlines():
        code, in_comment = _without_comments(line, in_comment)
        lines += bool(code.strip())
    return lines


def _without_comments(line: str, in_comment: bool) -> tuple[str, bool]:
    """A line less its comments, and whether a block comment is open after it. A comment's start in a string counts as one: none is written."""
    code = ""
    while line:
        if in_comment:
            _, end, line = line.partition("*/")
            in_comment = not end
            continue
        block, single = line.find("/*"), line.find("//")
        if single >= 0 and (block < 0 or single < block):
            return code + line[:single], False
        before, start, line = line.partition("/*")
        code += before
        in_comment = bool(start)
    return code, in_comment


def kernel_lines() -> tuple[int, int]:
    """All written lines of the kernel, comments and empty ones included; and its lines of code, written and generated."""
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in written_sources())
    return lines, sum(code_lines(path.read_text(encoding="utf-8")) for path in kernel_sources())


def section_sizes(elf: Path) -> dict[str, int]:
    """Bytes of each section of an ELF file that is loaded."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as handle:
        return {section.name: section["sh_size"] for section in ELFFile(handle).iter_sections() if section["sh_flags"] & 2}


def kernel_elf() -> Path:
    """The production kernel in the build folder."""
    path = BUILD / "kernel" / "kernel.elf"
    if not path.is_file():
        raise Finding(f"{path}: not built (`./caprock build` makes it)")
    return path


def report() -> int:
    """Prints lines and bytes beside their limits. Returns 1 if one is exceeded."""
    lines, code = kernel_lines()
    sections = section_sizes(kernel_elf())
    text = sections[".text"]
    print(f"kernel source: {lines} lines in all (limit {LINE_LIMIT}); with generated headers {code} lines that hold code")
    print(f"kernel .text: {text} bytes (limit {TEXT_LIMIT})")
    for name, size in sections.items():
        if name != ".text":
            print(f"kernel {name}: {size} bytes")
    return 0 if lines <= LINE_LIMIT and text < TEXT_LIMIT else 1
