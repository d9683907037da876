# SPDX-License-Identifier: BSD-2-Clause
"""How many instructions booting takes, for `./caprock bench`: a plugin of QEMU's (platform/bench/boot.cc) counts those of systems/hello.cdl."""

from pathlib import Path

from elftools.elf.elffile import ELFFile

from . import BUILD, ROOT
from .bench_machine import Bench
from .errors import Finding

TARGET = "platform/bench/caprock-boot.so"
_SYSTEM = ROOT / "systems" / "hello.cdl"
_WORD = 4


def figures(bench: Bench) -> dict[str, int]:
    """Instructions, by the names of their rows."""
    _, text = bench.run(_SYSTEM, "caprock-boot.so", _arguments)
    found = {name: int(count) for name, count in (line.split() for line in text.splitlines())}
    if found["component"] == found["user"]:
        raise Finding("the loader begins with the instruction, and at the address, of a component: they cannot be told apart (change one's start-up code)")
    return {
        "kernel entry to the first user instruction": found["user"] - found["kernel"],
        "first instruction of the Image to the first user instruction": found["user"] - found["image"],
        "hello.cdl: first instruction of the Image to the first one of a component": found["component"] - found["image"],
    }


def _arguments(ready) -> dict[str, int]:
    """By what the plugin recognises Image, kernel and components."""
    address, component = entry(ready.elfs[0])
    return {"image": int.from_bytes(ready.image.read_bytes()[:_WORD], "little"), "kernel": entry(BUILD / "kernel" / "kernel.elf")[1],
            "component": address, "component-word": component}


def entry(elf: Path) -> tuple[int, int]:
    """The address of a program's first instruction, and the instruction."""
    with elf.open("rb") as handle:
        file = ELFFile(handle)
        address = file["e_entry"]
        for segment in file.iter_segments("PT_LOAD"):
            offset = address - segment["p_vaddr"]
            if 0 <= offset < segment["p_filesz"]:
                return address, int.from_bytes(segment.data()[offset:offset + _WORD], "little")
    raise Finding(f"{elf}: its entry lies in no segment (build it again: ./caprock build)")
