# SPDX-License-Identifier: BSD-2-Clause
"""The shipped kernel as its ELF file describes it: segments, the functions with their places in the image and in the sources, and which function of the
sources each instruction comes from where the compiler put one into another."""

import bisect
import hashlib
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .code import BYTES, AuditError, Instruction, disassemble

CXXFILT = "aarch64-linux-gnu-c++filt"
_WRITE, _EXECUTE = 1, 4  # section flags
_LABEL = re.compile(r"^(\w+):")


@dataclass(frozen=True)
class Source:
    """A function of the sources: its name as a reader writes it, its file (from the project's folder on) and line."""

    name: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.name}"


@dataclass(frozen=True)
class Function:
    """A function of the image. `parts` are the functions of the sources that are in it, itself first; only it if it is assembly."""

    name: str
    address: int
    size: int
    source: Source
    is_assembly: bool
    others: tuple[str, ...] = ()
    parts: tuple[Source, ...] = field(default=(), compare=False)

    @property
    def end(self) -> int:
        return self.address + self.size

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Segment:
    """A loaded part of the image, and what may be done with it."""

    start: int
    size: int
    write: bool
    execute: bool


class Image:
    """A kernel image. `root` is the folder of its sources, in which the labels of assembly are looked up."""

    def __init__(self, path: Path, root: Path):
        self.path, self._root = path, root
        try:
            with path.open("rb") as handle:
                self._read(ELFFile(handle))
        except (OSError, ELFError) as error:
            raise AuditError(f"{path}: it is no ELF file that can be read: {error} (`./caprock build` makes the kernel)") from error
        self.instructions, self.data = disassemble(path)
        self._addresses = [instruction.address for instruction in self.instructions]
        self.functions = self._functions()
        self._starts = [function.address for function in self.functions]

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def at(self, address: int) -> Instruction | None:
        """The instruction at an address."""
        place = bisect.bisect_left(self._addresses, address)
        return self.instructions[place] if place < len(self._addresses) and self._addresses[place] == address else None

    def code(self, function: Function) -> list[Instruction]:
        """The instructions of a function."""
        return self.instructions[bisect.bisect_left(self._addresses, function.address):bisect.bisect_left(self._addresses, function.end)]

    def function_at(self, address: int) -> Function | None:
        """The function in which an address lies."""
        place = bisect.bisect_right(self._starts, address) - 1
        return self.functions[place] if place >= 0 and address < self.functions[place].end else None

    def named(self, name: str) -> Function | None:
        """The function of a name, as the linker knows it."""
        return next((function for function in self.functions if name == function.name or name in function.others), None)

    def symbol(self, name: str) -> int:
        """The address of a symbol."""
        if name not in self.symbols:
            raise AuditError(f"{self.path}: it has no symbol {name} (the audit and the kernel's sources must name the same)")
        return self.symbols[name]

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the image as it is loaded; nothing where it has none."""
        for start, content in self._contents:
            if start <= address and address + size <= start + len(content):
                return content[address - start:address - start + size]
        return b""

    def origin(self, address: int) -> list[Source]:
        """The functions of the sources that an instruction comes from: the innermost first, that of the image last."""
        chain = [source for start, end, _, source in sorted(self._covering(address), key=lambda entry: entry[1] - entry[0])]
        function = self.function_at(address)
        return chain or ([function.source] if function else [])

    def stray(self) -> list[Instruction]:
        """Instructions in no function, but for what fills gaps: no-operations and zeros."""
        return [found for found in self.instructions if self.function_at(found.address) is None and str(found) not in ("hint #0x0", "udf #0")]

    # ---- reading ---------------------------------------------------------------------------------------------------------------------
    def _read(self, elf: ELFFile) -> None:
        self.segments = [Segment(part["p_vaddr"], part["p_memsz"], bool(part["p_flags"] & 2), bool(part["p_flags"] & 1))
                         for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"]
        self.sections = {part.name: Segment(part["sh_addr"], part["sh_size"], bool(part["sh_flags"] & _WRITE), bool(part["sh_flags"] & _EXECUTE))
                         for part in elf.iter_sections() if part["sh_flags"] & 2}
        self._contents = [(part["sh_addr"], part.data()) for part in elf.iter_sections() if part["sh_flags"] & 2 and part["sh_type"] != "SHT_NOBITS"]
        self.note = next((part.data() for part in elf.iter_sections() if part.name == ".note.caprock"), b"")
        table = elf.get_section_by_name(".symtab")
        if table is None:
            raise AuditError(f"{self.path}: it has no symbols (the audit needs them: do not strip it)")
        entries = [entry for entry in table.iter_symbols() if entry.name and not entry.name.startswith("$") and entry["st_info"]["type"] != "STT_FILE"]
        self.symbols = {entry.name: entry["st_value"] for entry in entries}
        self._compiled = [(entry["st_value"], entry["st_size"], entry.name) for entry in entries if entry["st_info"]["type"] == "STT_FUNC" and entry["st_size"]]
        self._dwarf = _Dwarf(elf) if elf.has_dwarf_info() else _Dwarf(None)

    def _labels(self) -> dict[str, Source]:
        """The labels of the assembly sources that are symbols of the image."""
        found = {}
        for path in sorted(self._root.glob("kernel/**/*.S")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                label = _LABEL.match(line)
                if label and label[1] in self.symbols:
                    found[label[1]] = Source(label[1], str(path.relative_to(self._root)), number)
        return found

    def _functions(self) -> list[Function]:
        executable = [part for part in self.sections.values() if part.execute]
        compiled: dict[int, list] = {}
        for address, size, name in self._compiled:
            compiled.setdefault(address, []).append((name, size))
        names = _demangle([name for names in compiled.values() for name, _ in names])
        found = []
        for address, entries in compiled.items():
            parts = self._dwarf.parts(address, address + entries[0][1])
            source = next((source for start, _, inlined, source in self._covering(address) if not inlined and start == address), None)
            name = names[entries[0][0]]
            source = source or Source(name, "(unknown)", 0)
            found.append(Function(name, address, entries[0][1], source, False, tuple(sorted({name for name, _ in entries})),
                                  tuple(dict.fromkeys([source, *parts]))))
        found += self._assembly(executable, set(compiled))
        return sorted(found, key=lambda function: function.address)

    def _assembly(self, executable: list[Segment], compiled: set[int]) -> list[Function]:
        """The functions of assembly: each label up to the next function, or to the end of the instructions."""
        labels = {self.symbols[name]: (name, source) for name, source in self._labels().items()
                  if any(part.start <= self.symbols[name] < part.start + part.size for part in executable) and self.symbols[name] not in self.data}
        borders = sorted({*labels, *compiled, *(part.start + part.size for part in executable)})
        found = []
        for address, (name, source) in labels.items():
            if address in compiled:
                continue
            end = borders[bisect.bisect_right(borders, address)]
            while end > address and (self.at(end - BYTES) is None or str(self.at(end - BYTES)) in ("hint #0x0", "udf #0")):
                end -= BYTES
            found.append(Function(name, address, end - address, source, True, (), (source,)))
        return found

    def _covering(self, address: int):
        return self._dwarf.covering(address)


def _demangle(names: list[str]) -> dict[str, str]:
    """Names as a reader writes them, without arguments. The C++ filter is part of the same package as objdump."""
    plain = "\n".join(re.sub(r"\.(lto_priv|isra|part|constprop|cold)\.\d+", "", name) for name in names)
    done = subprocess.run([CXXFILT, "-p"], input=plain, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AuditError(f"{CXXFILT} failed (package binutils-aarch64-linux-gnu: `./caprock setup`)")
    return dict(zip(names, done.stdout.splitlines()))


class _Dwarf:
    """What the debugging information says of functions, also of those that the compiler put into others."""

    def __init__(self, elf):
        self._ranges: list[tuple[int, int, bool, Source]] = []
        self._longest = 0
        if elf is None:
            self._starts = []
            return
        info = elf.get_dwarf_info()
        self._lists = info.range_lists()
        for unit in info.iter_CUs():
            self._unit = unit
            self._files = _files(info, unit)
            top = unit.get_top_DIE()
            self._base = top.attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in top.attributes else 0
            for entry in unit.iter_DIEs():
                if entry.tag in ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine"):
                    self._add(info, entry)
        self._ranges.sort(key=lambda entry: entry[0])
        self._starts = [start for start, _, _, _ in self._ranges]
        self._longest = max((end - start for start, end, _, _ in self._ranges), default=0)

    def covering(self, address: int) -> list[tuple[int, int, bool, Source]]:
        """The ranges of functions that an address lies in: start, end, whether it was put into another, and which."""
        first = bisect.bisect_left(self._starts, address - self._longest)
        return [entry for entry in self._ranges[first:bisect.bisect_right(self._starts, address)] if entry[1] > address]

    def parts(self, start: int, end: int) -> list[Source]:
        """The functions that were put into that of a range."""
        return [source for first, _, inlined, source in self._ranges[bisect.bisect_left(self._starts, start):bisect.bisect_left(self._starts, end)] if inlined]

    def _add(self, info, entry) -> None:
        ranges = list(self._ranges_of(entry))
        if not ranges:
            return
        source = _source(entry, lambda unit: self._files if unit is self._unit else _files(info, unit))
        self._ranges += [(start, end, entry.tag == "DW_TAG_inlined_subroutine", source) for start, end in ranges if end > start]

    def _ranges_of(self, entry):
        attributes = entry.attributes
        if "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
            low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
            yield low, high.value if high.form == "DW_FORM_addr" else low + high.value
        elif "DW_AT_ranges" in attributes:
            base = self._base
            for item in self._lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, cu=self._unit):
                if hasattr(item, "base_address"):
                    base = item.base_address
                else:
                    offset = 0 if getattr(item, "is_absolute", False) else base
                    yield item.begin_offset + offset, item.end_offset + offset


def _files(info, unit) -> list[str]:
    """The names of a unit's files by number, from the project's folder on."""
    header = info.line_program_for_CU(unit).header
    folders = [_text(folder) for folder in header["include_directory"]]
    names = [] if header["version"] >= 5 else [""]
    for entry in header["file_entry"]:
        name, folder = _text(entry.name), folders[entry.dir_index] if entry.dir_index < len(folders) else ""
        names.append(name.removeprefix("./") if "/" in name else f"{folder}/{name}".removeprefix("./"))
    return names


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _source(entry, files) -> Source:
    """The function that an entry stands for: its name with the classes around it, and where it is written."""
    name, file, line = None, None, None
    while entry is not None:
        attributes = entry.attributes
        if name is None and "DW_AT_name" in attributes:
            name = _qualified(entry)
        if line is None and "DW_AT_decl_line" in attributes:
            line = attributes["DW_AT_decl_line"].value
        if file is None and "DW_AT_decl_file" in attributes:
            names = files(entry.cu)
            number = attributes["DW_AT_decl_file"].value
            file = names[number] if number < len(names) else "(unknown)"
        link = next((key for key in ("DW_AT_abstract_origin", "DW_AT_specification") if key in attributes), None)
        # The function of a lambda expression has no place of its own, but its class has.
        place = entry.get_parent() if link is None and line is None else None
        entry = entry.get_DIE_from_attribute(link) if link else place
    return Source(name or "(lambda)", file or "(unknown)", line or 0)


def _qualified(entry) -> str:
    """A name with those of the classes around it; namespaces are the same everywhere and left out."""
    parts = [_text(entry.attributes["DW_AT_name"].value)]
    parent = entry.get_parent()
    while parent is not None and parent.tag in ("DW_TAG_class_type", "DW_TAG_structure_type"):
        if "DW_AT_name" in parent.attributes:
            parts.append(_text(parent.attributes["DW_AT_name"].value))
        parent = parent.get_parent()
    return "::".join(reversed(parts))
