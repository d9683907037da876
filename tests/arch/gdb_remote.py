# SPDX-License-Identifier: BSD-2-Clause
"""Reads the registers of every core of a machine in QEMU over its debugging socket (GDB's remote protocol): what EL2 holds, nothing at EL1
can say. Connecting stops the machine."""

import re
import socket
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

WAIT = 10  # seconds for an answer


class Debugger:
    """A connection; use it in a with statement."""

    def __init__(self, path: Path):
        """`path`: the Unix socket that QEMU listens on (-gdb unix:PATH,server=on,wait=off)."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WAIT)
        self._connect(path)
        self._input = b""
        self._ask("qSupported:multiprocess+;xmlRegisters=arm")
        self._ask("?")
        self._numbers = self._read_numbers()

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self._socket.close()

    def cores(self) -> list[str]:
        """Returns the names of the cores, the boot core's first."""
        found = self._ask("qfThreadInfo")
        names = []
        while found.startswith("m"):
            names += found[1:].split(",")
            found = self._ask("qsThreadInfo")
        return names

    def read(self, core: str, register: str) -> int:
        """Returns a register of a core. KeyError if QEMU has none of that name."""
        self._ask(f"Hg{core}")
        answer = self._ask(f"p{self._numbers[register]:x}")
        if re.fullmatch("([0-9a-f]{2})+", answer) is None:
            raise RuntimeError(f"QEMU does not tell {register}: {answer!r}")
        return int.from_bytes(bytes.fromhex(answer), "little")

    def has(self, register: str) -> bool:
        """Whether QEMU's machine has a register of that name."""
        return register in self._numbers

    def _connect(self, path: Path) -> None:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                self._socket.connect(str(path))
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _read_numbers(self) -> dict[str, int]:
        """Numbers of the registers by name: given, or counted on from the one before."""
        numbers, number = {}, 0
        for annex in re.findall(r'xi:include href="([^"]+)"', self._annex("target.xml")):
            text = re.sub(r"<!DOCTYPE[^>]*>", "", self._annex(annex))
            for register in ElementTree.fromstring(text).iter("reg"):
                number = int(register.get("regnum", number))
                numbers[register.get("name")] = number
                number += 1
        return numbers

    def _annex(self, name: str) -> str:
        text = ""
        while True:
            piece = self._ask(f"qXfer:features:read:{name}:{len(text):x},800")
            text += piece[1:]
            if piece[0] != "m":
                return text

    def _ask(self, request: str) -> str:
        data = request.encode()
        self._socket.sendall(b"$" + data + b"#%02x" % (sum(data) % 256))
        while (packet := re.search(rb"\$(.*?)#..", self._input, re.DOTALL)) is None:
            received = self._socket.recv(65536)
            if not received:
                raise ConnectionError(f"QEMU closed its debugging socket at {request}")
            self._input += received
        self._input = self._input[packet.end():]
        self._socket.sendall(b"+")
        return re.sub(rb"\}(.)", lambda escaped: bytes([escaped.group(1)[0] ^ 0x20]), packet.group(1), flags=re.DOTALL).decode("latin-1")
