# SPDX-License-Identifier: BSD-2-Clause
"""kernel/arch/aarch64/sysreg.hpp against the assembler's own table: each register's read and write is one instruction, and it is the one
that the register's name in the Arm manual stands for."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
ARCH = ROOT / "kernel" / "arch" / "aarch64"
COMPILERS = {
    "gcc": ["aarch64-linux-gnu-g++"],
    "clang": ["clang++-19", "--target=aarch64-none-elf", "-nostdinc++"],
}
RETURN = 0xD65F03C0
RT = 0x1F         # bits of an mrs or msr instruction that name its general register
HEADER = (ARCH / "sysreg.hpp").read_text(encoding="utf-8")
NUMBERED = 16     # registers of a kind that is a template of their number


def types_of(header):
    """Returns the C++ types of the header's registers by the registers' names in the Arm manual."""
    found = {}
    for template, name in re.findall(r"^(template <unsigned n>\n)?struct (\w+) : SysReg<", header, re.MULTILINE):
        if template:
            found |= {name.replace("_", f"{number}_"): f"{name}<{number}>" for number in range(NUMBERED)}
        else:
            found[name] = name
    return found


REGISTERS = types_of(HEADER)


def functions(path):
    """Returns the instructions of every function of an object file whose functions have sections of their own."""
    found = {}
    with open(path, "rb") as file:
        elf = ELFFile(file)
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC":
                data = elf.get_section(symbol["st_shndx"]).data()[symbol["st_value"]:][:symbol["st_size"]]
                found[symbol.name] = [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]
    return found


def build(folder, name, source, command):
    """Compiles or assembles a source text into functions."""
    (folder / name).write_text(source, encoding="utf-8")
    target = folder / f"{name}.o"
    done = subprocess.run([*command, "-c", str(folder / name), "-o", str(target)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return functions(target)


@pytest.fixture(scope="session")
def by_name(tmp_path_factory):
    """The assembler's instructions, from the registers' names. It warns of reads and writes that a register does not have."""
    if shutil.which(COMPILERS["gcc"][0]) is None:
        pytest.skip("aarch64-linux-gnu-g++ is missing (./caprock setup)")
    text = "".join(f".type {kind}_{name}, %function\n{kind}_{name}: {instruction}\n.size {kind}_{name}, 4\n" for name in REGISTERS
                   for kind, instruction in (("read", f"mrs x0, {name.lower()}"), ("write", f"msr {name.lower()}, x0")))
    return build(tmp_path_factory.mktemp("names"), "names.s", text, ["aarch64-linux-gnu-g++", "-march=armv8-a"])


@pytest.fixture(scope="session", params=COMPILERS)
def by_encoding(request, tmp_path_factory):
    """The instructions of the header's functions, by each compiler."""
    command = COMPILERS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is missing (./caprock setup dev)")
    text = '#include "sysreg.hpp"\nusing namespace caprock;\nusing namespace caprock::arch;\nextern "C" {\n'
    for name, kind in REGISTERS.items():
        text += f"Word read_{name}() {{ return {kind}::read(); }}\nvoid write_{name}(Word value) {{ {kind}::write(value); }}\n"
        text += f"void clear_{name}() {{ {kind}::write(0); }}\n"
    flags = ["-std=gnu++2b", "-O2", "-ffreestanding", "-mgeneral-regs-only", "-ffunction-sections", "-fno-asynchronous-unwind-tables",
             f"-I{ARCH}", f"-I{ROOT / 'kernel'}"]
    return build(tmp_path_factory.mktemp("encodings"), "encodings.cc", text + "}\n", [*command, *flags])


def test_the_header_was_understood():
    assert len(REGISTERS) > 100 and {"SCTLR_EL1", "TTBR0_EL1", "CNTVCT_EL0", "ICC_IAR1_EL1", "DBGWCR15_EL1"} <= set(REGISTERS)
    assert len({kind.split("<")[0] for kind in REGISTERS.values()}) == HEADER.count(": SysReg<")


@pytest.mark.parametrize("name", REGISTERS)
def test_register(by_name, by_encoding, name):
    """A read is one mrs and a write one msr; a constant may have to be put in a register first."""
    read, = by_name[f"read_{name}"]
    write, = by_name[f"write_{name}"]
    assert by_encoding[f"read_{name}"] == [read, RETURN]
    assert by_encoding[f"write_{name}"] == [write, RETURN]
    assert [word & ~RT for word in by_encoding[f"clear_{name}"] if word >> 20 == write >> 20] == [write & ~RT]
