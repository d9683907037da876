# SPDX-License-Identifier: BSD-2-Clause
"""A machine that QEMU models, stopped where the loader is done and nothing else has run or later, and what is in its memory.

`Stop` drives QEMU's debugger interface, which takes packets in a text of its own (the remote protocol of GDB); memory is a file that the machine
shares. Nothing of the image takes part in it.
"""

import mmap
import re
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MEMORY_STARTS = {"virt": 0x4000_0000, "raspi4b": 0}
"""Where physical memory begins."""
KERNEL_BASE = 0xffff_ffff_8000_0000
"""Where the kernel's image is linked."""
_PAGE_BITS, _INDEX_BITS = 12, 9
_LEVELS = 4
_ADDRESS = 0x0000_ffff_ffff_f000
_UNITS = {"M": 20, "G": 30}
_EXCEPTION_LEVEL = 0b1100
_WAIT_FOR_INTERRUPT = 0xd503207f
_VECTORS = "VBAR"
_ENTRIES = (0x280, 0x400, 0x480)
"""Where, behind the exception vectors' beginning, interrupts of the idle kernel and exceptions and interrupts of user level arrive."""
_POLLS = 100
"""Between two wishes to stop."""
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


class Later(NamedTuple):
    """A second look, at a system that runs. wanted: whether it is time; look: ends the run."""

    wanted: Callable[[], bool]
    look: Callable[["Stop"], tuple[int, str]]


class Stop:
    """Watches a machine from its first instruction until its user level reaches an address; then `look` is called once while it stands still. Later, if
    given, it is stopped once more, where the kernel is between two operations.

    `arguments` are QEMU's. `poll` goes into machines.run: it gives the end of the run when a look returns one, else None; the machine goes on."""

    def __init__(self, folder: Path, address: int, look: Callable[["Stop"], tuple[int, str] | None], later: Later | None = None):
        self.path = folder / "debugger"
        self.arguments = ("-S", "-gdb", f"unix:{self.path},server=on,wait=off")
        self._address, self._look, self._later = address, look, later
        self._socket: socket.socket | None = None
        self._input = b""
        self._numbers: dict[str, int] = {}
        self._following = 0   # number of the next register that has none of its own
        self._entries: list[int] = []
        self._wishes = 0      # polls since the machine was to stop once more
        self.reached = False
        self.finished = False

    def poll(self) -> tuple[int, str] | None:
        """What is to be done now; never waits for the machine to get anywhere."""
        if self.finished:
            return None
        if self._socket is None:
            self._begin()
            return None
        if self.reached and not self._wish():
            return None
        while not _PACKET.search(self._input):
            if not select.select([self._socket], [], [], 0)[0]:
                return None
            if not self._receive():
                self.finished = True   # whoever runs the machine says why
                return None
        self._take()
        return self._look_again() if self.reached else self._look_first()

    def _look_first(self) -> tuple[int, str] | None:
        """The machine is at the address."""
        if self.register("cpsr") & _EXCEPTION_LEVEL:
            self._pass()
            return None
        self.reached = True
        end = self._look(self)
        self._command("z1", f",{self._address:x},4")
        if self._later is not None and end is None:
            self._put("c")
            return None
        self.finished = True
        self._put("D")
        self._socket.close()
        return end

    def _wish(self) -> bool:
        """Whether the machine is to stop once more. If it does not, it is told again: it may have been at work in the kernel, and then have nothing to do."""
        if self._wishes == 0 and not self._later.wanted():
            return False
        if self._wishes % _POLLS == 0:
            self._socket.sendall(b"\x03")
        self._wishes += 1
        return True

    def _look_again(self) -> tuple[int, str] | None:
        """The machine stands still, somewhere."""
        self._command("Hg", "1")
        if self._between_operations():
            self.finished = True
            return self._later.look(self)
        if not self._entries:
            self._entries = [self.register(_VECTORS) + offset for offset in _ENTRIES]
            for entry in self._entries:
                self._command("Z1", f",{entry:x},4")
        self._put("c")
        return None

    def _between_operations(self) -> bool:
        """Whether the kernel's state is whole: user level runs, or the kernel is just entered, or it waits."""
        counter = self.register("pc")
        if not self.register("cpsr") & _EXCEPTION_LEVEL or counter in self._entries:
            return True
        words = (self._ask(f"m{place:x},4") for place in (counter, counter - 4))
        return any(word == _WAIT_FOR_INTERRUPT.to_bytes(4, "little").hex() for word in words)

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

    def _has_packet(self) -> bool:
        """Whether there is a packet to take."""
        return _PACKET.search(self._input) is not None

    def _take(self, acknowledges: bool = True) -> str:
        """The next packet. One that is not acknowledged is so by the next request: a running machine would take a mere acknowledgement for the wish to
        stop. Escaped and repeated bytes are spelled out."""
        assert self._socket is not None
        while not (found := _PACKET.search(self._input)):
            if not self._receive():
                raise GuestError("QEMU ended while the machine stood still (the lines above may say why)")
        self._input = self._input[found.end():]
        if acknowledges:
            self._socket.sendall(b"+")
        content = re.sub(rb"\}(.)", lambda match: bytes([match.group(1)[0] ^ 0x20]), found.group(1), flags=re.DOTALL)
        content = re.sub(rb"(.)\*(.)", lambda match: match.group(1) * (match.group(2)[0] - 28), content, flags=re.DOTALL)
        return content.decode("latin-1")
