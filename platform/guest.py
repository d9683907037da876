# SPDX-License-Identifier: BSD-2-Clause
"""A machine that QEMU models, stopped where the loader is done and nothing else has run, and what is in its memory.

`Stop` drives QEMU's debugger interface, which takes packets in a text of its own (the remote protocol of GDB); memory is a file that the machine
shares. Nothing of the image takes part in it.
"""

import mmap
import re
import select
import socket
from collections.abc import Callable
from pathlib import Path

MEMORY_STARTS = {"virt": 0x4000_0000, "raspi4b": 0}
"""Where physical memory begins."""
KERNEL_BASE = 0xffff_ffff_8000_0000
"""Where the kernel's image is linked."""
_PAGE_BITS, _INDEX_BITS = 12, 9
_LEVELS = 4
_ADDRESS = 0x0000_ffff_ffff_f000
_UNITS = {"M": 20, "G": 30}
_EXCEPTION_LEVEL = 0b1100
_PACKET = re.compile(rb"\$([^#]*)#..", re.DOTALL)


class GuestError(Exception):
    """The machine cannot be looked at; the text is one line that says what, why and what to do."""


def memory_bytes(size: str) -> int:
    """Bytes of a machines.Setting's memory."""
    return int(size[:-1]) << _UNITS[size[-1]]


class Memory:
    """The memory of a machine, as the machine has it now. path: the file; start: physical address of its first byte."""

    def __init__(self, path: Path, start: int):
        self.path, self.start = path, start
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self, physical: int, count: int) -> bytes:
        """Bytes at a physical address. Raises GuestError for what is no memory."""
        offset = physical - self.start
        if offset < 0 or offset + count > len(self._map):
            raise GuestError(f"the machine has no memory at {physical:#x} (is it another board?)")
        return self._map[offset:offset + count]

    def holds(self, physical: int, count: int) -> bool:
        """Whether all of a range is memory."""
        return 0 <= physical - self.start <= len(self._map) - count

    def walk(self, root: int, address: int) -> int:
        """The physical address of a virtual one, by the page tables at `root`."""
        table = root & _ADDRESS
        for level in range(_LEVELS):
            shift = _PAGE_BITS + _INDEX_BITS * (_LEVELS - 1 - level)
            index = address >> shift & ((1 << _INDEX_BITS) - 1)
            entry = int.from_bytes(self.read(table + 8 * index, 8), "little")
            if not entry & 1:
                raise GuestError(f"nothing is mapped at {address:#x}")
            if level == _LEVELS - 1 or not entry & 2:
                inside = (1 << shift) - 1
                return (entry & _ADDRESS & ~inside) | (address & inside)
            table = entry & _ADDRESS
        raise AssertionError("the last level ends the walk")


class Stop:
    """Watches a machine from its first instruction until its user level reaches an address; then `look` is called once while it stands still.

    `arguments` are QEMU's. `poll` goes into machines.run: it gives the end of the run when `look` returns one, else None; the machine goes on."""

    def __init__(self, folder: Path, address: int, look: Callable[["Stop"], tuple[int, str] | None]):
        self.path = folder / "debugger"
        self.arguments = ("-S", "-gdb", f"unix:{self.path},server=on,wait=off")
        self._address, self._look = address, look
        self._socket: socket.socket | None = None
        self._input = b""
        self._numbers: dict[str, int] = {}
        self._following = 0   # number of the next register that has none of its own
        self.reached = False
        self._gone = False

    def poll(self) -> tuple[int, str] | None:
        """What is to be done now; never waits for the machine to get anywhere."""
        if self.reached or self._gone:
            return None
        if self._socket is None:
            self._begin()
            return None
        while not _PACKET.search(self._input):
            if not select.select([self._socket], [], [], 0)[0]:
                return None
            if not self._receive():
                self._gone = True   # whoever runs the machine says why
                return None
        self._take()
        if self.register("cpsr") & _EXCEPTION_LEVEL:
            self._pass()
            return None
        self.reached = True
        end = self._look(self)
        self._command("z1", f",{self._address:x},4")
        self._put("D")
        self._socket.close()
        return end

    def register(self, name: str) -> int:
        """A register of the core that stopped, by the name that QEMU has for it."""
        if not self._numbers:
            self._numbers = self._read_numbers("target.xml")
        if name not in self._numbers:
            raise GuestError(f"QEMU does not tell the register {name} (another version of QEMU?)")
        return int.from_bytes(bytes.fromhex(self._ask(f"p{self._numbers[name]:x}")), "little")

    def _begin(self) -> None:
        """Connect as soon as QEMU listens; start the machine."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return
        self._socket = connection
        self._command("Z1", f",{self._address:x},4")
        self._put("c")

    def _pass(self) -> None:
        """Go on behind an instruction that only has the same address."""
        self._command("z1", f",{self._address:x},4")
        self._ask("s")
        self._command("Z1", f",{self._address:x},4")
        self._put("c")

    def _command(self, word: str, rest: str) -> None:
        answer = self._ask(word + rest)
        if answer != "OK":
            raise GuestError(f"QEMU's debugger interface answers {answer or 'nothing'} to {word}{rest} (another version of QEMU?)")

    def _read_numbers(self, name: str) -> dict[str, int]:
        """Numbers of all registers: of a description and those that it includes."""
        text, offset = "", 0
        while True:
            part = self._ask(f"qXfer:features:read:{name}:{offset:x},800")
            text += part[1:]
            offset += len(part) - 1
            if part[:1] != "m":
                break
        if name == "target.xml":
            numbers: dict[str, int] = {}
            for included in re.findall(r'<xi:include href="([^"]+)"', text):
                numbers |= self._read_numbers(included)
            return numbers
        found: dict[str, int] = {}
        for register in re.findall(r"<reg ([^>]*)/?>", text):
            fields = dict(re.findall(r'(\w+)="([^"]*)"', register))
            found[fields["name"]] = int(fields.get("regnum", self._following))
            self._following = found[fields["name"]] + 1
        return found

    def _ask(self, packet: str) -> str:
        self._put(packet)
        return self._take()

    def _put(self, packet: str) -> None:
        assert self._socket is not None
        content = packet.encode("ascii")
        self._socket.sendall(b"$" + content + b"#%02x" % (sum(content) % 256))

    def _receive(self) -> bool:
        """More of what QEMU says, for which it waits; false when QEMU has ended."""
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        self._input += data
        return data != b""

    def _take(self) -> str:
        """The next packet, acknowledged. Escaped and repeated bytes are spelled out."""
        assert self._socket is not None
        while not (found := _PACKET.search(self._input)):
            if not self._receive():
                raise GuestError("QEMU ended while the machine stood still (the lines above may say why)")
        self._input = self._input[found.end():]
        self._socket.sendall(b"+")
        content = re.sub(rb"\}(.)", lambda match: bytes([match.group(1)[0] ^ 0x20]), found.group(1), flags=re.DOTALL)
        content = re.sub(rb"(.)\*(.)", lambda match: match.group(1) * (match.group(2)[0] - 28), content, flags=re.DOTALL)
        return content.decode("latin-1")
