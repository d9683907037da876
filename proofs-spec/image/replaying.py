#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a system on QEMU with the plugin, and the replayer beside it, which compares kernel and specification after each kernel entry.

usage: replaying.py --oracle PROGRAM (--payload FILE | --tests [NAME,...]) [--image IMAGE] [--trace FILE] [--timeout S] [--frequency HZ] MACHINE [NAME=VALUE...]
MACHINE and NAME=VALUE are those of platform/machines.py. --tests: the conformance tests, all or those named. --trace keeps what the oracle heard.
The console comes first, then how often each kind of event had which result, what differed, and a line of counts. The status is 0 when nothing
differed and the system's own is 0, 1 when something differed, 2 when the replay could not be made."""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests" / "conformance")]

import machines  # noqa: E402
import run as conformance  # noqa: E402

BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build"))
FREQUENCY = 1_000_000
"""Of the machine's counter: within one entry of the kernel it rarely moves, and to the specification each entry is one instant."""

# Numbers of message.hpp's events.
SYSCALL, EXCEPTION, INTERRUPT, SYSTEM_ERROR, LEAVE, FAST_ENTRY, FAST_LEAVE, _REGISTER, TIME, PENDING, ACKNOWLEDGE, DEACTIVATE = range(12)
ENTRIES = {"handle_syscall": SYSCALL, "handle_found": SYSCALL, "handle_synchronous": EXCEPTION, "handle_interrupt": INTERRUPT, "handle_serror": SYSTEM_ERROR,
           "return_to_thread": LEAVE, "leave_whole": LEAVE, "fast_call": FAST_ENTRY, "fast_reply_recv": FAST_ENTRY,
           "fast_other": FAST_ENTRY, "fast_fault": EXCEPTION, "fast_irq": INTERRUPT}
# The fast paths leave by themselves, by an exception return between these two.
FAST_PATHS = ("fast_path_start", "fast_path_end")
ERET = 0xd69f03e0
# mrs of CNTVCT_EL0, ISR_EL1, ICC_IAR1_EL1 and msr of ICC_DIR_EL1, without their register. What was read is there at the next instruction.
READS = {0xd53be040: TIME, 0xd538c100: PENDING, 0xd538cc00: ACKNOWLEDGE}
WRITES = {0xd518cb20: DEACTIVATE}
REGISTER = 0x1f
INSTRUCTION = 4
FINDINGS = (0, 1)
"""Statuses of a replayer that came to an end."""


@dataclass(frozen=True)
class Board:
    """Where the replayer finds what it watches: memory's start, and the interrupt controller's registers."""

    memory: int
    distributor: int
    cpu: int


BOARDS = {("virt", 2): Board(0x4000_0000, 0x0800_0000, 0x0801_0000), ("virt", 3): Board(0x4000_0000, 0x0800_0000, 0x080a_0000),
          ("raspi4b", 2): Board(0, 0xff84_1000, 0xff84_2000)}


class ReplayError(Exception):
    """The replay cannot be made; the text is one line that says what, why and what to do."""


def hooks(kernel: Path) -> str:
    """What the plugin has to watch in a kernel: EVENT:ADDRESS:REGISTER, joined by plus signs."""
    with open(kernel, "rb") as file:
        elf = ELFFile(file)
        symbols = elf.get_section_by_name(".symtab")
        text = elf.get_section_by_name(".text")
        code, start = text.data(), text["sh_addr"]

        def address_of(name):
            places = symbols.get_symbol_by_name(name) if symbols else None
            if not places:
                raise ReplayError(f"{kernel}: it has no symbol {name} (replaying.py must name the entries of vectors.S)")
            return places[0]["st_value"]
        found = [(event, address_of(name), 0) for name, event in ENTRIES.items()]
        fast_start, fast_end = map(address_of, FAST_PATHS)
    for offset in range(0, len(code), INSTRUCTION):
        word = int.from_bytes(code[offset:offset + INSTRUCTION], "little")
        opcode, register = word & ~REGISTER, word & REGISTER
        if opcode in READS:
            found.append((READS[opcode], start + offset + INSTRUCTION, register))
        if opcode in WRITES:
            found.append((WRITES[opcode], start + offset, register))
        if word == ERET and fast_start <= start + offset < fast_end:
            found.append((FAST_LEAVE, start + offset, 0))
    return "+".join(f"{event}:{address:#x}:{register}" for event, address, register in found)


def replay(setting: machines.Setting, image: Path, payload: Path, oracle: str, timeout: float, trace: Path | None = None,
           words: tuple[str, ...] = (), more: tuple[str, ...] = (), frequency: int = FREQUENCY) -> tuple[machines.Outcome, int, str]:
    """Runs a payload and replays it: how the machine ended, the replayer's status (0: nothing differed, 1: something did) and what it printed.

    `words` are for the program, in the device tree; `more` are further arguments for QEMU."""
    setting = setting.checked()
    board = BOARDS[setting.machine, setting.gic]
    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        folder = Path(scratch)
        records, answers, memory = folder / "records", folder / "answers", folder / "memory"
        os.mkfifo(records)
        os.mkfifo(answers)
        size = int(setting.memory[:-1]) << {"M": 20, "G": 30}[setting.memory[-1]]
        with open(memory, "wb") as file:
            file.truncate(size)
        command = [BUILD / "proofs-spec/image/caprock-replay", "--oracle", oracle, "--memory", memory, "--start", board.memory, "--records", records,
                   "--answers", answers, "--frequency", frequency, "--distributor", board.distributor, "--cpu", board.cpu]
        command += ["--version3"] if setting.gic == 3 else []
        command += ["--trace", trace] if trace else []
        plugin = f"file={BUILD / 'proofs-spec/image/caprock-image.so'},records={records},answers={answers},hooks={hooks(BUILD / 'kernel/kernel.elf')}"
        extra = ["-plugin", plugin, "-object", f"memory-backend-file,id=shared,size={size},mem-path={memory},share=on", "-machine",
                 "memory-backend=shared", "-cpu", f"cortex-a72,cntfrq={frequency}", *(("-append", " ".join(words)) if words else ()), *more]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output, _running([str(word) for word in command], output) as replayer:
            outcome = machines.run(setting, timeout=timeout, image=image, payload=payload, deterministic=True, output=None, extra=tuple(extra))
            try:
                status = replayer.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise ReplayError(f"the replayer did not end {timeout:g} s after the machine (give more time)") from error
            output.seek(0)
            text = output.read()
    if status not in FINDINGS:
        raise ReplayError(text.strip().splitlines()[-1] if text.strip() else f"the replayer ended with status {status}")
    return outcome, status, text


@contextmanager
def _running(command: list[str], output):
    """A program while the block runs; it is ended behind it."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--payload", type=Path)
    what.add_argument("--tests", nargs="?", const="", metavar="NAME[,NAME...]")
    parser.add_argument("--image", type=Path, default=BUILD / "platform" / "Image")
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--timeout", type=float, default=3600)
    parser.add_argument("--frequency", type=int, default=FREQUENCY)
    parser.add_argument("machine", choices=("virt", "raspi4b"))
    parser.add_argument("options", nargs="*", metavar="NAME=VALUE")
    arguments = parser.parse_args()
    words = (f"tests={arguments.tests}",) if arguments.tests else ()
    try:
        setting = conformance.read_setting(arguments.machine, arguments.options)
        with tempfile.TemporaryDirectory(prefix="caprock-") as folder:
            payload = arguments.payload or conformance.make_payload(BUILD / "tests/conformance/conformance.elf", Path(folder) / "system.bin")
            outcome, status, text = replay(setting, arguments.image, payload, arguments.oracle, arguments.timeout, arguments.trace, words,
                                           frequency=arguments.frequency)
    except (OSError, TypeError, ValueError, ReplayError, machines.MachineError) as error:
        print(f"replaying.py: {error}", file=sys.stderr)
        return 2
    print(outcome.log + text, end="")
    if outcome.status != 0:
        print(f"replaying.py: {outcome.reason}", file=sys.stderr)
    return status or min(outcome.status, 1)


if __name__ == "__main__":
    sys.exit(main())
