# SPDX-License-Identifier: BSD-2-Clause
"""The instructions of the shipped image as objdump reads them: another program than the compiler that wrote them, and part of the same tier."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OBJDUMP = "aarch64-linux-gnu-objdump"
BYTES = 4
"""An instruction's."""
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f]{8})\s*\t(\S+)\s*(.*)$")
_DATA = (".word", ".xword", ".quad", ".short", ".byte")
_UNKNOWN = ".inst"
_NOT_WRITING = ("st", "cmp", "cmn", "tst", "b", "cb", "tb", "ret", "dc", "ic", "tlbi", "sys", "msr", "dsb", "dmb", "isb", "hint", "prfm", "ccmp", "ccmn")
ENDINGS = ("b", "br", "ret", "eret")
"""Mnemonics after which the next instruction is not executed."""


class AuditError(Exception):
    """A part of the audit cannot be worked out; the text is one line that names place, cause and remedy."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: its mnemonic and operands in objdump's words, aliases written out, addresses as bare hexadecimal numbers."""

    address: int
    word: int
    mnemonic: str
    operands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.mnemonic} {', '.join(self.operands)}".strip()

    @property
    def target(self) -> int | None:
        """Where a direct branch or call goes."""
        if self.is_call or self.is_jump:
            return int(self.operands[-1], 16)
        return None

    @property
    def is_call(self) -> bool:
        return self.mnemonic == "bl"

    @property
    def is_jump(self) -> bool:
        """A direct branch, conditional or not."""
        return self.mnemonic in ("b", "cbz", "cbnz", "tbz", "tbnz") or self.mnemonic.startswith(("b.", "bc."))

    @property
    def goes_on(self) -> bool:
        """Whether the next instruction may follow."""
        return self.mnemonic not in ENDINGS

    def writes(self, register: int) -> bool:
        """Whether general register `register` may change here."""
        names = (f"x{register}", f"w{register}")
        if self.mnemonic in ("bl", "blr"):
            return register == 30
        if self.mnemonic.startswith(("ldp", "ldnp", "ldxp", "ldaxp")) and self.operands[1] in names:
            return True
        if self.mnemonic.startswith(_NOT_WRITING) and self.mnemonic not in ("bic", "bfm", "bics", "sysl"):
            return self.mnemonic.startswith("st") and self._writes_back(names) or self.mnemonic.startswith("stx") and self.operands[0] in names
        return bool(self.operands) and self.operands[0] in names or self._writes_back(names)

    def _writes_back(self, names: tuple[str, str]) -> bool:
        """Whether an address register among `names` moves along."""
        text = ", ".join(self.operands)
        return any(re.search(rf"\[{name}\], |\[{name}, [^\]]*\]!", text) for name in names)


def read_operands(text: str) -> tuple[str, ...]:
    """Operands one by one: `x0, [sp, #16]` has two."""
    text = re.sub(r"\s*(//.*|<[^>]*>.*)$", "", text).strip()
    return tuple(part.strip() for part in re.findall(r"(?:\[[^\]]*\]!?|\{[^}]*\}(?:\[\d+\])?|[^,\[{])+", text)) if text else ()


def parse(text: str) -> tuple[list[Instruction], set[int]]:
    """The instructions of a listing, in order, and the addresses that hold data, in words of an instruction's size."""
    instructions, data = [], set()
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found:
            wide = re.match(r"^\s*([0-9a-f]+):\t[0-9a-f]{2,16}\s*\t\.\w+", line)
            if wide:
                data.add(int(wide[1], 16) // BYTES * BYTES)
            continue
        address, word, mnemonic, operands = int(found[1], 16), int(found[2], 16), found[3], found[4]
        if mnemonic in _DATA:
            data.add(address)
        elif mnemonic.startswith(_UNKNOWN):
            instructions.append(Instruction(address, word, "unknown", (f"{word:#010x}",)))
        else:
            instructions.append(Instruction(address, word, mnemonic, read_operands(operands)))
    return instructions, data


def disassemble(elf: Path) -> tuple[list[Instruction], set[int]]:
    """All instructions of an ELF file's executable sections, and where data lies among them."""
    if shutil.which(OBJDUMP) is None:
        raise AuditError(f"{OBJDUMP} is not installed (package binutils-aarch64-linux-gnu: `./caprock setup`)")
    done = subprocess.run([OBJDUMP, "-d", "-z", "-M", "no-aliases", str(elf)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AuditError(f"{elf}: {OBJDUMP} cannot read it: {done.stderr.strip()}")
    return parse(done.stdout)
