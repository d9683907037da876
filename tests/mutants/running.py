# SPDX-License-Identifier: BSD-2-Clause
"""Runs the conformance system on an Image, and goes on behind a test with which the kernel dies or hangs.

A machine hangs when it says nothing for long, in processor time of its own and not by the clock: how busy the host is makes no difference.
No machine outlives the program that started it, however that ends."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "platform"), str(HERE.parent / "conformance")]

import machines  # noqa: E402
from run import CASE, PLAN  # noqa: E402

_SILENT_CPU_SECONDS = 2    # no test takes a fifth of a second
_ASLEEP_SECONDS = 3        # a machine that waits for nothing uses no processor time at all, nor does it wait for the host's
_WALL_SECONDS = 600        # whatever happens
_POLL_SECONDS = 0.05
_END_WITH_CALLER = ("setpriv", "--pdeathsig", "KILL")   # for a caller that is killed itself
MACHINE_ENDED = "the machine ended: "   # how the reason begins when a test failed because the machine ended, not by its own verdict
_END = re.compile(machines.END_OF_RUN.pattern, re.MULTILINE)

_stopping = threading.Event()


class Stopped(Exception):
    """`stop` was called."""


def stop() -> None:
    """Ends the machines that run, in whichever thread, and starts no more: who waits for them gets Stopped."""
    _stopping.set()


@dataclass
class Verdicts:
    """What a system said of its tests."""

    order: list[str] = field(default_factory=list)    # tests that passed or failed, as they came
    skipped: list[str] = field(default_factory=list)  # passed over: the machine or the kernel lacks what they need
    failed: dict[str, str] = field(default_factory=dict)   # why each failed one did
    not_run: list[str] = field(default_factory=list)  # behind the last end that was allowed for
    broken: str = ""                                  # why the system did not come to its first result


def run(setting: machines.Setting, image: bytes, payload: Path, names: list[str], restarts: int) -> Verdicts:
    """Runs the tests `names`, in the order of the test program. When the kernel dies or hangs, the test that ran has failed, and those
    behind it are run in another start, up to `restarts` times. When it is the test driver that gives up, that says nothing of a test."""
    verdicts = Verdicts()
    left = list(names)
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        kernel = Path(folder) / "Image"
        kernel.write_bytes(image)
        for _ in range(restarts + 1):
            log, reason = _boot(setting, kernel, payload, left, Path(folder))
            if not any(map(PLAN.match, log.splitlines())):
                verdicts.broken = reason
                break
            driver_ended = note(verdicts, left, log, reason)
            if driver_ended and not verdicts.order:
                verdicts.broken = reason
            if driver_ended or not left:
                break
    verdicts.not_run = left
    return verdicts


def run_all(setting: machines.Setting, image: bytes, payload: Path) -> Verdicts:
    """Runs all tests there are. MachineError if not all of them reported."""
    with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
        kernel = Path(folder) / "Image"
        kernel.write_bytes(image)
        log, reason = _boot(setting, kernel, payload, [], Path(folder))
    plan = next((int(found[1]) for line in log.splitlines() if (found := PLAN.match(line))), 0)
    verdicts = Verdicts()
    _record(verdicts, log)
    if len(verdicts.order) + len(verdicts.skipped) != plan:
        raise machines.MachineError(f"the conformance system ended after {len(verdicts.order) + len(verdicts.skipped)} of {plan} tests: {reason}")
    return verdicts


def note(verdicts: Verdicts, left: list[str], log: str, reason: str) -> bool:
    """Takes the tests that reported off `left`, and the one that ran when the machine ended; whether the driver ended it before all reported."""
    reported = _record(verdicts, log)
    left[:] = [name for name in left if name not in reported]
    if left and reason.startswith("exit "):
        return True
    if left:
        verdicts.order.append(left[0])
        verdicts.failed[left[0]] = MACHINE_ENDED + reason
        del left[0]
    return False


def _record(verdicts: Verdicts, log: str) -> set[str]:
    """Adds the cases in a log; returns their names."""
    lines = log.splitlines()
    reported = set()
    for position, line in enumerate(lines):
        found = CASE.match(line)
        if not found:
            continue
        reported.add(found[2])
        if "# SKIP" in line:
            verdicts.skipped.append(found[2])
            continue
        verdicts.order.append(found[2])
        if found[1]:
            reasons = [text for text in lines[position + 1:position + 4] if text.startswith("# ")]
            verdicts.failed[found[2]] = reasons[-1][2:] if reasons else "no reason given"
    return reported


def _boot(setting: machines.Setting, image: Path, payload: Path, names: list[str], folder: Path) -> tuple[str, str]:
    """One start; returns what the console said and why the run ended: "exit N", or what else."""
    serial = folder / "serial"
    serial.write_bytes(b"")
    extra = ("-append", f"tests={','.join(names)}") if names else ()
    line = machines.command(setting, serial=serial, image=image, payload=payload, deterministic=True, extra=extra)
    if shutil.which(line[0]) is None:
        raise machines.MachineError(f"{line[0]} is not installed (package qemu-system-arm)")
    process = subprocess.Popen([*_END_WITH_CALLER, *line], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return _watch(process, serial)
    finally:
        process.kill()
        process.wait()


def _watch(process: subprocess.Popen, serial: Path) -> tuple[str, str]:
    """Waits for the end of a run; returns the console's complete lines and why it ended."""
    end = time.monotonic() + _WALL_SECONDS
    size, cpu_at_output, cpu_before, idle_since = 0, 0.0, 0.0, time.monotonic()
    while True:
        if _stopping.is_set():
            raise Stopped
        ended, now = process.poll(), time.monotonic()
        text = serial.read_text(encoding="utf-8", errors="replace").replace("\r", "")
        lines = text[:text.rfind("\n") + 1]
        if found := _END.search(lines):
            return lines, f"exit {found[1]}" if found[1] else found[2]
        if ended is not None:
            return lines, f"QEMU ended with status {ended}"
        cpu = _cpu_seconds(process.pid)
        if len(text) != size:
            size, cpu_at_output = len(text), cpu
        if cpu != cpu_before or _wants_to_run(process.pid):
            cpu_before, idle_since = cpu, now
        if cpu - cpu_at_output > _SILENT_CPU_SECONDS:
            return lines, "it hangs"
        if now - idle_since > _ASLEEP_SECONDS:
            return lines, "it sleeps for ever"
        if now > end:
            return lines, f"no end after {_WALL_SECONDS} s"
        time.sleep(_POLL_SECONDS)


def _cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wants_to_run(pid: int) -> bool:
    """Whether a thread of a process runs, waits for its turn or for a disk."""
    try:
        states = [path.read_text(encoding="utf-8").rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return True   # a thread ended meanwhile
    return any(state in "RD" for state in states)
