# SPDX-License-Identifier: BSD-2-Clause
"""From a checked Spec to the root task's ELF: writes the loader's tables and the content of frames as sources, compiles and links them
with the loader's library.

    root = emit(spec, build_dir=..., out_dir=...)

The same description and files give the same ELF, wherever they are and whoever builds it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2

from .diagnostics import CapdlError
from .lower import NONE, PAGE_BITS, THREAD_FLAGS, Handler, LoaderTables, LoweredFill, PagePart, lower
from .model import Spec
from .printing import canonical_text

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).resolve().parent / "templates"
LINKER_SCRIPT = Path(__file__).resolve().parent / "loader" / "link.ld"
CROSS = "aarch64-linux-gnu-"
COMPILE = [CROSS + "g++", "-std=gnu++2b", "-Wall", "-Wextra", "-Werror", "-O2", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
           "-mcpu=cortex-a72", "-mgeneral-regs-only", "-mstrict-align", "-fno-pic", "-fno-asynchronous-unwind-tables"]
LINK = [CROSS + "g++", "-static", "-no-pie", "-nostdlib", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096", "-Wl,-z,noexecstack",
        "-Wl,--gc-sections", "-Wl,--fatal-warnings"]
# Parts of a file that are closer than this are embedded as one.
JOIN_GAP = 256


@dataclass(frozen=True)
class Blob:
    """A part of a file that the image embeds. path: relative to the folder of the sources. start, length: bytes of the file."""

    label: str
    path: str
    start: int
    length: int


@dataclass(frozen=True)
class LocatedFill:
    """A fill with the C++ expression for its bytes."""

    fill: LoweredFill
    bytes: str
    tree_offset: int


@dataclass(frozen=True)
class Root:
    """The root task. elf: with symbols. boot_elf: without, as it boots. tables: what it was made of. system_hash: 32 bytes."""

    elf: Path
    boot_elf: Path
    tables: LoaderTables
    system_hash: bytes


def system_hash(spec: Spec) -> bytes:
    """SHA-256 over the canonical text of a model.Spec and every file that it embeds, ELFs above all."""
    digest = hashlib.sha256()
    text = canonical_text(spec).encode()
    digest.update(f"capdl {len(text)}\n".encode() + text)
    for name in sorted(spec.files):
        content = read_file(spec.files[name])
        digest.update(f"file {name} {len(content)}\n".encode() + content)
    return digest.digest()


def read_file(path: Path) -> bytes:
    """The bytes of a file that the system embeds."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CapdlError(f"capdl: error: {path}: {error.strerror} (build the component again)\n") from error


def embed(spec: Spec, fills: list[LoweredFill], out_dir: Path) -> tuple[list[Blob], list[LocatedFill]]:
    """The Blobs of all embedded fills, and all fills with their places. Files of equal content are embedded once, and of each file only
    what frames need."""
    canonical = {}
    by_content: dict[bytes, str] = {}
    for name in sorted({fill.file for fill in fills if fill.source == "Embedded"}):
        canonical[name] = by_content.setdefault(hashlib.sha256(read_file(spec.files[name])).digest(), name)
    wanted = defaultdict(list)
    for fill in fills:
        if fill.source == "Embedded":
            wanted[canonical[fill.file]].append((fill.file_offset, fill.file_offset + fill.length))
    blobs: list[Blob] = []
    blobs_of = defaultdict(list)
    for name, ranges in sorted(wanted.items()):
        path = os.path.relpath(spec.files[name], out_dir)
        for start, end in join_ranges(ranges):
            blob = Blob(f"content_{len(blobs)}", path, start, end - start)
            blobs.append(blob)
            blobs_of[name].append(blob)
    return blobs, [locate(fill, blobs_of[canonical[fill.file]] if fill.source == "Embedded" else ()) for fill in fills]


def join_ranges(ranges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Ranges of bytes as fewer ranges that cover them: overlapping and close ones become one."""
    joined: list[list[int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + JOIN_GAP:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return joined


def page_contents(spec: Spec, pages: list[tuple[PagePart, ...]]) -> bytes:
    """The bytes of the image's pages for frames. pages: lists of lower.PagePart."""
    contents = {name: read_file(spec.files[name]) for name in {part.file for parts in pages for part in parts}}
    result = bytearray(len(pages) << PAGE_BITS)
    for number, parts in enumerate(pages):
        for part in parts:
            start = (number << PAGE_BITS) + part.offset
            result[start:start + part.length] = contents[part.file][part.file_offset:part.file_offset + part.length]
    return bytes(result)


def locate(fill: LoweredFill, blobs: Iterable[Blob]) -> LocatedFill:
    """The fill with the place of its bytes: in one of `blobs`, among the pages, or nowhere for fills from the device tree."""
    if fill.source == "Page":
        return LocatedFill(fill, f"image_pages + {fill.file_offset}", 0)
    for blob in blobs:
        if blob.start <= fill.file_offset and fill.file_offset + fill.length <= blob.start + blob.length:
            return LocatedFill(fill, f"{blob.label} + {fill.file_offset - blob.start}", 0)
    return LocatedFill(fill, "nullptr", fill.file_offset)


def spell_text(text: str) -> str:
    """A C++ string literal."""
    escaped = "".join(character if 32 <= ord(character) < 127 and character not in '"\\?' else
                      "".join(f"\\{byte:03o}" for byte in character.encode()) for character in text)
    return f'"{escaped}"'


def spell_handler(handler: Handler) -> str:
    """A Handler of tables.hpp."""
    return f"{{{spell_index(handler.endpoint)}, {handler.badge:#x}, {{{handler.rights}}}}}"


def spell_index(index: int) -> str:
    """An index, or `none`."""
    return "none" if index == NONE else str(index)


def environment() -> jinja2.Environment:
    """The Jinja2 environment of the emitter's templates."""
    result = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, trim_blocks=True,
                                lstrip_blocks=True, keep_trailing_newline=True)
    result.filters.update(
        text=spell_text, index=spell_index, handler=spell_handler, hex=lambda value: f"{value:#x}",
        truth=lambda value: "true" if value else "false", bytes=lambda data: ", ".join(f"{byte:#04x}" for byte in data),
        address=lambda value: "alloc::any_address" if value is None else f"{value:#x}",
        words=lambda values: ", ".join(f"{value:#x}" for value in values))
    return result


def write_sources(spec: Spec, tables: LoaderTables, digest: bytes, out_dir: Path, says: str = "Nothing") -> list[Path]:
    """Write tables.cc and files.S, and what the latter brings into the image, to `out_dir`. Returns the paths of both."""
    blobs, fills = embed(spec, tables.fills, out_dir)
    (Path(out_dir) / "pages.bin").write_bytes(page_contents(spec, tables.pages))
    templates = environment()
    sources = {"tables.cc": "tables.cc.j2", "files.S": "tables_files.S.j2"}
    for target, template in sources.items():
        text = templates.get_template(template).render(tables=tables, blobs=blobs, fills=fills, system_hash=digest, thread_flags=THREAD_FLAGS,
                                                        says=says)
        (Path(out_dir) / target).write_text(text, encoding="utf-8")
    return [Path(out_dir) / target for target in sources]


def execute(command: list[str], folder: Path, what: str) -> None:
    """Run a tool in `folder`; a failure is an error that holds its words."""
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CapdlError(f"capdl: error: {command[0]} cannot be run: {error.strerror} (install g++-aarch64-linux-gnu)\n") from error
    if done.returncode != 0:
        raise CapdlError(f"capdl: error: {what} failed:\n{done.stderr}")


def emit(spec: Spec, *, build_dir: Path, out_dir: Path, says: str = "Nothing") -> Root:
    """Make the root task of a checked model.Spec. says: what it prints beside, of Says in loader/tables.hpp.

    build_dir: the project's build folder, which has the generated headers and the loader's library. out_dir: a folder for the sources,
    objects and ELFs, which is made when missing. Returns a Root. Raises CapdlError.
    """
    build_dir, out_dir = Path(build_dir).resolve(), Path(out_dir).resolve()
    out_dir.mkdir(parents=True, exist_ok=True)
    library = build_dir / "capdl" / "libloader.a"
    if not library.is_file():
        raise CapdlError(f"capdl: error: {library}: no such file (build the project first)\n")
    tables = lower(spec)
    digest = system_hash(spec)
    objects = []
    for source in write_sources(spec, tables, digest, out_dir, says):
        objects.append(source.with_suffix(".o").name)
        includes = [f"-I{ROOT}", f"-I{build_dir / 'kernel' / 'api'}"]
        execute([*COMPILE, *includes, "-c", source.name, "-o", objects[-1]], out_dir, f"compiling {source}")
    elf = out_dir / "root.elf"
    inputs = [*objects, "-Wl,--whole-archive", str(library), "-Wl,--no-whole-archive"]
    execute([*LINK, f"-Wl,-T,{LINKER_SCRIPT}", *inputs, "-o", elf.name], out_dir, f"linking {elf}")
    boot_elf = out_dir / "root-boot.elf"
    execute([CROSS + "objcopy", "--strip-all", elf.name, boot_elf.name], out_dir, f"stripping {elf}")
    return Root(elf, boot_elf, tables, digest)
