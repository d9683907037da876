#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs an Image and its payload on a machine that QEMU models, and says how the run ended.

The serial console goes to a file that is copied to the caller as it grows: bytes on a console's input would stop U-Boot's countdown, so the
machine has none. A line `caprock: exit N` ends the run with status N, a line `caprock: halt: ...` with 1."""

import argparse
import codecs
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import fetch
import images

QEMU = "qemu-system-aarch64"
VIRT_U_BOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
POLL_SECONDS = 0.02
Beside = Callable[[], tuple[int, str] | None]
END_OF_RUN = re.compile(r"caprock: (?:exit (\d+)|(halt: .*))$")


class MachineError(Exception):
    """The machine cannot be started as asked; the text is one line that says what, why and what to do."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: int  # the system's own, 0 to 255; 1 if it halted, ended without a result or ran out of time
    reason: str  # the line that ended the run, or why it ended without one
    log: str     # everything that the console printed, with newlines as line ends


@dataclass(frozen=True)
class Setting:
    """What machine to run. None stands for the machine's default.

    machine: "virt" or "raspi4b". via: "kernel" (QEMU loads the Image itself) or "uboot" (U-Boot loads it from a boot medium). gic: 2 or 3
    (virt; default 2). el: exception level at entry, 1 or 2 (virt; default 2). cores: 1 to 8 (virt; default 4). memory: with unit, as
    QEMU takes it (virt; default "1G"). A Raspberry Pi 4 has GICv2, EL2, 4 cores and 2 GiB, and takes no other values."""

    machine: str = "virt"
    via: str = "kernel"
    gic: int | None = None
    el: int | None = None
    cores: int | None = None
    memory: str | None = None

    def checked(self) -> "Setting":
        """Returns the setting with its defaults filled in; MachineError if the machine has no such setting."""
        defaults = {"virt": {"gic": 2, "el": 2, "cores": 4, "memory": "1G"}, "raspi4b": {"gic": 2, "el": 2, "cores": 4, "memory": "2G"}}
        allowed = {
            "virt": {"gic": (2, 3), "el": (1, 2), "cores": tuple(range(1, 9))},
            "raspi4b": {"gic": (2,), "el": (2,), "cores": (4,), "memory": ("2G",)},
        }
        if self.machine not in defaults:
            raise MachineError(f"machine {self.machine}: it must be one of {', '.join(defaults)}")
        if self.via not in ("kernel", "uboot"):
            raise MachineError(f"boot by {self.via}: it must be kernel or uboot")
        values = {name: default if getattr(self, name) is None else getattr(self, name) for name, default in defaults[self.machine].items()}
        for name, choices in allowed[self.machine].items():
            if values[name] not in choices:
                raise MachineError(f"machine {self.machine} has no {name} {values[name]} (choose from {', '.join(map(str, choices))})")
        return Setting(self.machine, self.via, **values)


def device_tree(setting: Setting, target: Path, offline: bool | None = None) -> Path:
    """Returns the path of the device tree that the machine starts with: QEMU's own for virt (written to `target`, without the
    random seeds of a run), Debian's for the Raspberry Pi 4."""
    setting = setting.checked()
    if setting.machine == "raspi4b":
        return _rpi4_device_tree(offline)
    model, *rest = _virt_arguments(setting, False)
    _execute([QEMU, "-M", f"{model},dumpdtb={target}", *rest, "-display", "none", "-nic", "none"])
    return target


def command(setting: Setting, *, serial: Path, image: Path | None, payload: Path | None, disk: Path | None = None,
            dtb: Path | None = None, deterministic: bool = False, gdb_port: int | None = None, extra: tuple[str, ...] = (),
            offline: bool | None = None) -> list[str]:
    """Returns QEMU's command line, with the console that the device tree names going to the file `serial`.

    `image` and `payload` are what QEMU loads itself, with via "kernel" (no payload: none is loaded); `disk` is the boot medium, with via
    "uboot". `dtb` replaces the Raspberry Pi 4's device tree. `deterministic`: one instruction takes 1 ns of virtual time and nothing
    random is passed, so that two runs print the same; only with via "kernel". `gdb_port`: wait for a debugger on this port of 127.0.0.1
    before the first instruction. `extra`: further arguments for QEMU."""
    setting = setting.checked()
    if deterministic and setting.via == "uboot":
        raise MachineError("a deterministic run needs boot by kernel (U-Boot does not repeat)")
    build = _virt if setting.machine == "virt" else _rpi4
    arguments = build(setting, serial, dtb, deterministic, offline)
    if setting.via == "kernel":
        if image is None:
            raise MachineError("boot by kernel needs an Image")
        arguments += ["-kernel", str(image)] + (["-initrd", str(payload)] if payload else [])
    else:
        if disk is None:
            raise MachineError("boot by U-Boot needs a boot medium")
        arguments += _boot_medium(setting, disk, offline)
    if deterministic:
        arguments += ["-icount", "shift=0,sleep=off"]
    if gdb_port is not None:
        arguments += ["-S", "-gdb", f"tcp:127.0.0.1:{gdb_port}"]
    return [QEMU, *arguments, "-display", "none", "-nic", "none", "-monitor", "none", *extra]


def run(setting: Setting, *, timeout: float, image: Path | None = None, payload: Path | None = None, disk: Path | None = None,
        dtb: Path | None = None, deterministic: bool = False, gdb_port: int | None = None, extra: tuple[str, ...] = (),
        offline: bool | None = None, output: TextIO | None = sys.stdout, until: str | None = None, beside: Beside | None = None) -> Outcome:
    """Runs the machine until the system says how it ended, or for `timeout` seconds; the arguments are those of `command`.

    With via "uboot" and no `disk`, a boot medium is made of `image` and `payload` first. `output`, `until` and `beside` are those of `run_command`.
    MachineError if the machine cannot be started."""
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        folder = Path(scratch)
        if setting.checked().via == "uboot" and disk is None:
            disk = _make_medium(setting, folder / "medium.img", image, payload, offline)
        serial = folder / "serial"
        line = command(setting, serial=serial, image=image, payload=payload, disk=disk, dtb=dtb, deterministic=deterministic,
                       gdb_port=gdb_port, extra=extra, offline=offline)
        return run_command(line, serial=serial, timeout=timeout, output=output, until=until, beside=beside)


def run_command(line: list[str], *, serial: Path, timeout: float, output: TextIO | None = None, until: str | None = None,
                beside: Beside | None = None) -> Outcome:
    """Runs a QEMU command line whose console goes to the file `serial`, until the system says how it ended, or for `timeout` seconds.

    The console is copied to `output` while the machine runs (None: nowhere). A console line that the regular expression `until` matches
    from its start ends the run with status 0. `beside` is called again and again while the machine runs, and ends the run when it gives status and
    reason. MachineError if QEMU is not installed."""
    serial.touch()
    with tempfile.TemporaryFile() as errors, open(serial, "rb") as handle:
        try:
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        except FileNotFoundError as error:
            raise MachineError(f"{line[0]} is not installed (package qemu-system-arm)") from error
        console = _Console(handle, output, re.compile(until) if until else None)
        try:
            status, reason = _watch(process, console, timeout, beside)
        finally:
            _end(process)
        errors.seek(0)
        if reason.startswith("QEMU"):
            reason = _with_error(reason, errors.read().decode("utf-8", "replace"))
        return Outcome(status, reason, console.log)


class _Console:
    """Follows the file that the serial line writes: copies it on, and finds the line that ends the run."""

    def __init__(self, handle: BinaryIO, output: TextIO | None, until: re.Pattern | None):
        self._handle = handle
        self._until = until
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._output = output
        self._line = ""
        self.log = ""

    def follow(self) -> tuple[int, str] | None:
        """Reads what is new; returns status and text of a line that ends the run, once there is one. Later lines are left alone."""
        text = self._decoder.decode(self._handle.read()).replace("\r", "")
        for piece in text.splitlines(keepends=True):
            self._emit(piece)
            self._line += piece
            if not self._line.endswith("\n"):
                continue
            whole, self._line = self._line.rstrip("\n"), ""
            found = END_OF_RUN.match(whole)
            if found:
                return (min(int(found.group(1)), 255), whole) if found.group(1) else (1, whole)
            if self._until and self._until.match(whole):
                return 0, whole
        return None

    def _emit(self, text: str) -> None:
        self.log += text
        if self._output is not None:
            self._output.write(text)
            self._output.flush()


def _watch(process: subprocess.Popen, console: _Console, timeout: float, beside: Beside | None) -> tuple[int, str]:
    """Waits for the end of a run; returns its status and why it ended."""
    deadline = time.monotonic() + timeout
    while True:
        ended = process.poll()
        found = console.follow() or (beside() if beside and ended is None else None)
        if found:
            return found
        if ended is not None:
            return 1, f"QEMU ended with status {ended} before the system said how it ended"
        if time.monotonic() >= deadline:
            return 1, f"timeout: no result after {timeout:g} s (give more time, or look at the last lines for where it stopped)"
        time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen) -> None:
    """Ends QEMU, which has nothing to save. It would not heed SIGTERM while virtual time stands still (`-icount sleep=off`)."""
    process.kill()
    process.wait()


def _with_error(reason: str, errors: str) -> str:
    lines = [line for line in errors.splitlines() if line.strip() and "warning:" not in line]
    return f"{reason}: {lines[-1]}" if lines else reason


def _execute(line: list[str]) -> None:
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise MachineError(f"{line[0]} is not installed (package qemu-system-arm)") from error
    if done.returncode != 0:
        raise MachineError(f"{line[0]}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def _virt_arguments(setting: Setting, random: bool) -> list[str]:
    """Returns the model and the core, memory and device arguments of virt; the model comes first."""
    model = f"virt,gic-version={setting.gic},virtualization={'on' if setting.el == 2 else 'off'}"
    model += "" if random else ",dtb-randomness=off"
    return [model, "-cpu", "cortex-a72", "-smp", str(setting.cores), "-m", str(setting.memory), "-global", "virtio-mmio.force-legacy=false"]


def _virt(setting: Setting, serial: Path, dtb: Path | None, deterministic: bool, offline: bool | None) -> list[str]:
    del offline  # nothing is fetched for this machine
    arguments = ["-M", *_virt_arguments(setting, not deterministic), "-serial", f"file:{serial}"]
    return arguments + (["-dtb", str(dtb)] if dtb else [])


def _rpi4_device_tree(offline: bool | None) -> Path:
    try:
        return fetch.fetch("rpi4-dtb", offline=offline).file("*/bcm2711-rpi-4-b.dtb")
    except fetch.FetchError as error:
        raise MachineError(str(error)) from error


def _rpi4(setting: Setting, serial: Path, dtb: Path | None, deterministic: bool, offline: bool | None) -> list[str]:
    del setting, deterministic  # one fixed machine, whose device tree holds nothing random
    tree = dtb or _rpi4_device_tree(offline)
    ports = ["null", f"file:{serial}"] if _console_is_mini_uart(tree) else [f"file:{serial}"]
    return ["-M", "raspi4b", "-dtb", str(tree), *(argument for port in ports for argument in ("-serial", port))]


def _console_is_mini_uart(tree: Path) -> bool:
    """Whether stdout-path of a device tree names the mini-UART, which is QEMU's second serial line, and not the PL011, its first."""
    import libfdt  # Debian's python3-libfdt; needed for this machine only
    fdt = libfdt.FdtRo(tree.read_bytes())
    quiet = (libfdt.NOTFOUND,)
    chosen = fdt.path_offset("/chosen", quiet)
    path = fdt.getprop(chosen, "stdout-path", quiet) if chosen >= 0 else -1
    if isinstance(path, int):
        return False
    name = path.as_str().split(":")[0]
    node = fdt.path_offset(name, quiet)
    compatible = fdt.getprop(node, "compatible", quiet) if node >= 0 else -1
    return not isinstance(compatible, int) and b"brcm,bcm2835-aux-uart" in bytes(compatible).split(b"\0")


def _boot_medium(setting: Setting, disk: Path, offline: bool | None) -> list[str]:
    """Returns the arguments for U-Boot and its boot medium, which the run does not change."""
    drive = f"file={str(disk).replace(',', ',,')},format=raw,snapshot=on"
    if setting.machine == "virt":
        if not VIRT_U_BOOT.exists():
            raise MachineError(f"{VIRT_U_BOOT} does not exist (package u-boot-qemu)")
        return ["-bios", str(VIRT_U_BOOT), "-drive", f"{drive},if=none,id=boot", "-device", "virtio-blk-device,drive=boot"]
    try:
        u_boot = fetch.fetch("u-boot-rpi", offline=offline).file("*/rpi_arm64/u-boot.bin")
    except fetch.FetchError as error:
        raise MachineError(str(error)) from error
    return ["-kernel", str(u_boot), "-drive", f"{drive},if=sd"]


def _make_medium(setting: Setting, target: Path, image: Path | None, payload: Path | None, offline: bool | None) -> Path:
    if image is None or payload is None:
        raise MachineError("boot by U-Boot needs a boot medium, or an Image and a payload to make one of")
    try:
        images.make_image(setting.machine, target, image, payload, firmware=False, offline=offline)
    except images.ImageError as error:
        raise MachineError(str(error)) from error
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description="Run an Image and its payload in QEMU; the status is the system's own.")
    parser.add_argument("--machine", default="virt")
    parser.add_argument("--via", default="kernel")
    parser.add_argument("--gic", type=int)
    parser.add_argument("--el", type=int)
    parser.add_argument("--cores", type=int)
    parser.add_argument("--memory")
    parser.add_argument("--timeout", type=float, default=60, help="seconds")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--payload", type=Path)
    parser.add_argument("--disk", type=Path, help="boot medium, for --via uboot")
    parser.add_argument("--dtb", type=Path)
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--gdb-port", type=int)
    arguments = parser.parse_args()
    setting = Setting(arguments.machine, arguments.via, arguments.gic, arguments.el, arguments.cores, arguments.memory)
    try:
        outcome = run(setting, timeout=arguments.timeout, image=arguments.image, payload=arguments.payload, disk=arguments.disk,
                      dtb=arguments.dtb, deterministic=arguments.deterministic, gdb_port=arguments.gdb_port)
    except (MachineError, OSError) as error:
        print(f"machines.py: {error}", file=sys.stderr)
        return 1
    if outcome.status != 0:
        print(f"machines.py: {outcome.reason}", file=sys.stderr)
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
