# SPDX-License-Identifier: BSD-2-Clause
"""Runs a system for `./caprock trace` on a machine on which an instruction takes a nanosecond, watched by a plugin of QEMU's (platform/trace/plugin.cc)."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from . import BUILD
from .errors import Finding, in_one_line

TARGET = "platform/trace/caprock-trace.so"
_VECTORS = "exception_vectors"
_MEMORY_BASE = 0xffff_8000_0000_0000
_NAMED = ("tcb", "sc", "rtreply", "ep", "notification")
# Where GICv2 tells which interrupt is taken.
_ACKNOWLEDGE = {"virt": 0x0801_000c, "raspi4b": 0xff84_200c}


@dataclass(frozen=True)
class Recording:
    """What a run left. lines: the plugin's records, the last of which is Z. objects: kernel address -> name. outcome: how the run ended
    (machines.Outcome)."""

    lines: list[str]
    objects: dict[int, str]
    outcome: object


def record(setting, ready, *, timeout: float, duration: int | None, offline: bool | None) -> Recording:
    """Runs a system (systems.Built) until it ends, or for `duration` nanoseconds of its own time. A Finding if it does not end in `timeout` seconds."""
    import machines
    from capdl import lower, planned

    tables, symbols = lower.lower(ready.spec), planned.symbols(ready.root)
    indices = {kind: [index for index, item in enumerate(tables.objects) if getattr(ready.spec.objects.get(item.name), "type", "") == kind] for kind in _NAMED}
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        out = Path(scratch) / "records"
        arguments = {"out": out, "vectors": _vectors(), "iar": _ACKNOWLEDGE[setting.machine], "ready": symbols[planned.READY],
                     "addresses": symbols[planned.ADDRESSES], "threads": "+".join(map(str, indices["tcb"])),
                     "contexts": "+".join(map(str, indices["sc"])),
                     "others": "+".join(str(index) for kind in _NAMED[2:] for index in indices[kind])}
        arguments |= {"for": duration} if duration is not None else {}
        plugin = f"file={BUILD / TARGET}," + ",".join(f"{name}={value}" for name, value in arguments.items() if value != "")
        outcome = in_one_line(
            machines.run, setting, timeout=timeout, image=ready.image, payload=ready.payload, deterministic=True, offline=offline, output=None,
            extra=("-global", "cortex-a72-arm-cpu.cntfrq=1000000000", "-plugin", plugin),
            beside=lambda: (0, "the time asked for is over") if out.exists() else None)
        lines = _complete(out)
    if not lines:
        sys.stderr.write(outcome.log)
        hint = "what goes on for ever is traced with --for TIME" if duration is None else "its time stands still while nobody runs and no timer is set"
        raise Finding(f"{ready.spec.name} came to no end: {outcome.reason}; {hint}")
    return Recording(lines, _objects(lines, tables), outcome)


def _vectors() -> int:
    """The address of the kernel's exception vectors."""
    path = BUILD / "kernel" / "kernel.elf"
    with path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name(_VECTORS)
    if not symbols:
        raise Finding(f"{path} has no symbol {_VECTORS} (trace_recording.py must name the vectors of vectors.S)")
    return symbols[0]["st_value"]


def _complete(out: Path) -> list[str]:
    """The records up to the end of the run: the last Z, which the plugin writes again as long as the console's last line goes on. None without an end."""
    path = out if out.exists() else out.with_name(out.name + ".part")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    last = max((index for index, line in enumerate(lines) if line.startswith("Z ")), default=None)
    if last is None:
        return []
    return [line for line in lines[:last] if not line.startswith("Z ")] + [lines[last]]


def _objects(lines: list[str], tables) -> dict[int, str]:
    """Where the loader made which object."""
    found = {}
    for line in lines:
        if line.startswith("o "):
            _, index, address = line.split()
            found[int(address, 16)] = tables.objects[int(index)].name
    return found
