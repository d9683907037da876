# SPDX-License-Identifier: BSD-2-Clause
"""kernel/arch/aarch64 on the machines that QEMU models, with a test in place of the portable kernel: what it sets up, how it enters and
leaves user level, and how it ends when something is wrong.

A run is asked for through the payload (tests/arch/protocol.hpp): how the kernel is entered, then what it does. The suite's results come as
TAP lines; registers of EL2 and of parked cores are read over QEMU's debugging socket."""

import os
import re
import struct
import subprocess
import time
from functools import cache
from pathlib import Path

import gdb_remote
import machines
import payload as payloads
import pytest
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAPROCK_BUILD", ROOT / "build")) / "tests" / "arch"
TIMEOUT = 60  # seconds; a run takes about one
SILENCE = 2   # seconds in which a kernel that must not print has every chance to

MACHINES = [
    machines.Setting("virt", gic=2, el=1),
    machines.Setting("virt", gic=2, el=2),
    machines.Setting("virt", gic=3, el=1),
    machines.Setting("virt", gic=3, el=2),
    machines.Setting("raspi4b"),
]
AT_EL2 = [setting for setting in MACHINES if setting.el != 1]
PLAIN = MACHINES[0]


def spell(setting):
    """A machine's name in the test's."""
    return setting.machine if setting.gic is None else f"{setting.machine}-gic{setting.gic}-el{setting.el}"


def request(folder, boot, run, image="Image", user="arch-test-user.elf"):
    """Returns the paths of an Image and of a payload that asks for a run."""
    program = BUILD / image
    assert program.exists(), f"{program} does not exist: build first (./caprock build)"
    content = program.read_bytes()
    api_hash = payloads.elf_api_hash(content[content.index(b"\x7fELF"):])
    path = folder / "system.bin"
    path.write_bytes(payloads.make_payload((BUILD / user).read_bytes(), "arch", struct.pack("16s16s", boot.encode(), run.encode()), api_hash))
    return program, path


def start(folder, setting, *, boot="", run="suite", image="Image", user="arch-test-user.elf", timeout=TIMEOUT, **options):
    """Runs a machine to its end."""
    program, payload = request(folder, boot, run, image, user)
    return machines.run(setting, timeout=timeout, image=program, payload=payload, offline=True, output=None, **options)


def after_shim(log):
    """Returns the console's lines after the boot shim's summary, without empty ones."""
    lines = [line for line in log.splitlines() if line]
    summaries = [number for number, line in enumerate(lines) if line.startswith("caprock: boot shim ")]
    assert len(summaries) == 1, log
    return lines[summaries[0] + 1:]


class Results:
    """The TAP lines of a run."""

    def __init__(self, outcome):
        self.log = outcome.log
        cases = re.findall(r"^(not )?ok (\d+) - (.*)$", outcome.log, re.MULTILINE)
        self.failed = [name for negation, _, name in cases if negation]
        self.names = [name for _, _, name in cases]
        self.numbers = [int(number) for _, number, _ in cases]
        plan = re.search(r"^1\.\.(\d+)$", outcome.log, re.MULTILINE)
        self.planned = int(plan.group(1)) if plan else None

    def check(self, group):
        """Checks that a group of cases ran and none of it failed, in a run that came to its end."""
        assert self.planned == len(self.names) and self.numbers == list(range(1, self.planned + 1)), self.log
        assert any(name.startswith(f"{group}: ") for name in self.names), self.log
        assert not [name for name in self.failed if name.startswith(f"{group}: ")], self.log


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """The suite's results by machine and way of entry, each run once."""

    @cache
    def results(setting, boot):
        return Results(start(tmp_path_factory.mktemp("suite"), setting, boot=boot))

    return results


# --- The suite --------------------------------------------------------------------------------------------------------------------------

GROUPS = ["memory", "cores", "registers", "interrupts", "sgi", "faults", "exceptions", "el0", "access", "fpu", "debug", "spaces"]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("setting", MACHINES, ids=spell)
def test_suite(suite, setting, group):
    suite(setting, "").check(group)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("setting", MACHINES, ids=spell)
def test_suite_from_poisoned_registers(suite, setting, group):
    """Every register that firmware could have set holds a wrong value at the kernel's entry, on all cores, which wait in a spin table."""
    suite(setting, "poison").check(group)


@pytest.mark.parametrize("boot", ["", "poison"])
@pytest.mark.parametrize("setting", AT_EL2, ids=spell)
def test_stub(suite, setting, boot):
    suite(setting, boot).check("el2")


def test_suite_has_no_other_group(suite):
    """A group that no case asks for would not be judged."""
    groups = {name.split(":")[0] for name in suite(AT_EL2[0], "").names}
    assert groups == {*GROUPS, "el2"}


@pytest.mark.parametrize("setting", [setting for setting in MACHINES if setting.machine == "virt"], ids=spell)
def test_memory_with_holes(suite, setting):
    """Memory in two ranges and firmware's ranges in it, with edges that no block fits."""
    suite(setting, "holes").check("memory")
    assert suite(setting, "holes").failed == []


def test_other_sizes(tmp_path):
    """One core; eight; memory whose blocks are of 1 GiB."""
    for setting in (machines.Setting("virt", cores=1, memory="128M"), machines.Setting("virt", gic=3, cores=8, memory="4G")):
        outcome = start(tmp_path, setting)
        assert outcome.status == 0, outcome.log


def test_absent_core_is_named(tmp_path):
    """A core that does not come is named and not waited for beyond a second; what needs it alone fails."""
    outcome = start(tmp_path, PLAIN, boot="absent-core")
    assert "caprock: core 0x0000000000007f00 did not start; it is not used" in outcome.log
    assert Results(outcome).failed == ["cores: all came up"]


@pytest.mark.parametrize("setting", AT_EL2, ids=spell)
def test_serror_is_delivered(tmp_path, setting):
    """At EL1 under a hypervisor, which raises SErrors at user level, in the kernel and while idle. Each makes another thread run."""
    results = Results(start(tmp_path, setting, boot="hypervisor", run="serrors"))
    results.check("serror")
    assert len([name for name in results.names if name.endswith(" is delivered")]) == 3
    assert results.failed == []


@pytest.mark.parametrize("image", ["Image-system", "Image-system-debug"])
@pytest.mark.parametrize("setting", AT_EL2, ids=spell)
def test_serror_reaches_its_notification(tmp_path, setting, image):
    """The same on the real kernel, to the notification that a handler names."""
    results = Results(start(tmp_path, setting, boot="guest", image=image, user="arch-test-serrors.elf"))
    results.check("serror")
    assert len(results.names) == 12 and results.failed == []


@pytest.mark.parametrize("setting", [machines.Setting("virt", gic=gic, el=1, cores=1) for gic in (2, 3)], ids=spell)
def test_work_is_bounded(tmp_path, setting):
    """The operations on memory that have no preemption point take less than 4,000 instructions for the most that they are asked to do."""
    results = Results(start(tmp_path, setting, run="work", deterministic=True))
    results.check("work")
    assert len(results.names) == 4 and results.failed == []


# --- Registers that EL1 cannot read -----------------------------------------------------------------------------------------------------

IMAGE_BASE, IMAGE_END = 0xFFFFFFFF80000000, 0xFFFFFFFF80200000
EL1_WITH_ALL_MASKED = 0x3C5
CPSR_FLAGS = 0xF0200000  # NZCV, and the software-step bit

# Registers by the names that QEMU gives them, after the kernel's start. Those of EL2 come from kernel/arch/aarch64/el2.S.
AFTER_START = {
    "CNTKCTL": 0x3,
    "CPACR": 0x100000,
    "PMUSERENR_EL0": 0,
    "MDSCR_EL1": 0x1000,
    "OSLSR_EL1": 8,
    "OSDLR_EL1": 0,
    "PMCNTENSET_EL0": 0,
    "PMINTENSET_EL1": 0,
    "CNTP_CTL_EL0": 0,
    "MAIR_EL1": 0xFF4400,
}
STUB = {
    "HCR_EL2": 0x80000000,
    "CNTHCTL_EL2": 3,
    "CNTVOFF_EL2": 0,
    "CNTHP_CTL_EL2": 0,
    "CPTR_EL2": 0x33FF,
    "HSTR_EL2": 0,
    "HACR_EL2": 0,
    "VTTBR_EL2": 0,
    "VPIDR_EL2": 0x410FD083,
    "TPIDR_EL2": 1,
    "SCTLR_EL2": 0x30C5183D,
    "TCR_EL2": 0x80843510,
    "MAIR_EL2": 0xFF4400,
}


class Machine:
    """A machine that stays up, for a debugger: use it in a with statement, which gives the connection."""

    def __init__(self, folder, setting, until, **wanted):
        program, payload = request(folder, **wanted)
        self._socket = folder / "gdb"
        self._serial = folder / "serial"
        self._serial.touch()
        self._until = until
        self._line = machines.command(setting, serial=self._serial, image=program, payload=payload, offline=True,
                                      extra=("-gdb", f"unix:{self._socket},server=on,wait=off"))

    def __enter__(self):
        self._process = subprocess.Popen(self._line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._wait()
            self._debugger = gdb_remote.Debugger(self._socket)
        except BaseException:
            self.__exit__()
            raise
        return self._debugger

    def __exit__(self, *details):
        self._process.kill()
        self._process.wait()

    def _wait(self):
        deadline = time.monotonic() + TIMEOUT
        while self._until not in self._serial.read_text():
            assert time.monotonic() < deadline, self._serial.read_text()
            time.sleep(0.02)


def registers(debugger, core, names):
    """Returns the values of registers by name."""
    return {name: debugger.read(core, name) for name in names}


@pytest.mark.parametrize("boot", ["", "poison"])
@pytest.mark.parametrize("setting", MACHINES, ids=spell)
def test_registers_of_every_core(tmp_path, setting, boot):
    """Each core's registers after the start; the other cores wait in the kernel's image with everything masked."""
    with Machine(tmp_path, setting, "caprock: exit 0", boot=boot, run="suite") as debugger:
        cores = debugger.cores()
        assert len(cores) == 4
        for core in cores[1:]:
            assert registers(debugger, core, AFTER_START) == AFTER_START, core
            assert registers(debugger, core, ["TPIDR_EL0", "TPIDRRO_EL0"]) == {"TPIDR_EL0": 0, "TPIDRRO_EL0": 0}, core
            assert debugger.read(core, "cpsr") & ~CPSR_FLAGS == EL1_WITH_ALL_MASKED, core
            assert IMAGE_BASE <= debugger.read(core, "pc") < IMAGE_END, core
            assert IMAGE_BASE <= debugger.read(core, "sp") < IMAGE_END, core
        assert len({debugger.read(core, "sp") // 4096 for core in cores}) == 4, "two cores share a stack"


@pytest.mark.parametrize("boot", ["", "poison"])
@pytest.mark.parametrize("setting", AT_EL2, ids=spell)
def test_registers_of_el2(tmp_path, setting, boot):
    """Each core's EL2 registers hold what the stub wrote, whatever was in them."""
    with Machine(tmp_path, setting, "caprock: exit 0", boot=boot, run="suite") as debugger:
        cores = debugger.cores()
        for number, core in enumerate(cores):
            assert registers(debugger, core, STUB) == STUB, core
            assert debugger.read(core, "VMPIDR_EL2") == 0x80000000 | number
            assert debugger.read(core, "MDCR_EL2") == debugger.read(core, "PMCR_EL0") >> 11 & 31
        tables = {debugger.read(core, "TTBR0_EL2") for core in cores}
        vectors = {debugger.read(core, "VBAR_EL2") for core in cores}
        assert len(tables) == len(vectors) == 1 and 0 not in tables | vectors
        assert tables.pop() >> 21 == vectors.pop() >> 21, "tables and vectors of EL2 are in the kernel's image"


@pytest.mark.parametrize("setting", AT_EL2, ids=spell)
def test_poison_is_poison(tmp_path, setting):
    """Before the kernel's entry each of these registers differs from what it must be after: the runs above would see one left alone.

    Not so TPIDR_EL2, whose poison is the stub's own mark (taken for true, it makes the stub refuse its installation), and HACR_EL2, which
    holds nothing on this processor."""
    expected = {**STUB, **AFTER_START, "VMPIDR_EL2": 0x80000000, "MDCR_EL2": 6}
    with Machine(tmp_path, setting, "harness: poisoned", boot="poison-only", run="suite") as debugger:
        boot_core = debugger.cores()[0]
        found = registers(debugger, boot_core, expected)
        assert {name for name, value in found.items() if value == expected[name]} == {"TPIDR_EL2", "HACR_EL2"}


# --- Ends -------------------------------------------------------------------------------------------------------------------------------

WRITE_FAULT, FETCH_FAULT = 0x9600004F, 0x8600000F  # permission faults at level 3

# What the kernel is made to do wrong, the reason that it must give, and ESR_EL1 as far as it is fixed.
MISTAKES = {
    "stack-overflow": ("its stack overflowed", None),
    "write-text": ("a data abort", WRITE_FAULT),
    "write-constants": ("a data abort", WRITE_FAULT),
    "write-image": ("a data abort", None),
    "execute-data": ("an instruction abort", FETCH_FAULT),
    "execute-memory": ("an instruction abort", None),
    "execute-user": ("an instruction abort", FETCH_FAULT),
    "undefined": ("an unexpected exception", 0x02000000),
    "interrupt": ("an interrupt while the kernel had them masked", None),
    "stack-pointer": ("an exception on the wrong stack pointer", 0x02000000),
    "aarch32": ("an exception from AArch32", None),
}
WORD = "0x([0-9a-f]{16})"
FATAL = re.compile(f"caprock: halt: kernel exception: (.*): ESR {WORD} FAR {WORD} ELR {WORD} SP {WORD} LR {WORD}$")


def fatal_line(outcome):
    """Returns the reason and the registers of a kernel exception, which must be the last that the kernel printed."""
    found = FATAL.match(outcome.reason)
    assert found, f"{outcome.reason}\n{outcome.log}"
    assert after_shim(outcome.log)[-1] == outcome.reason
    reason, *words = found.groups()
    return reason, dict(zip(("ESR", "FAR", "ELR", "SP", "LR"), (int(word, 16) for word in words)))


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("setting", [MACHINES[0], MACHINES[3], MACHINES[4]], ids=spell)
def test_mistake_of_the_kernel_is_named(tmp_path, setting, mistake):
    reason, registers_then = fatal_line(start(tmp_path, setting, run=mistake))
    expected, syndrome = MISTAKES[mistake]
    assert reason == expected
    assert syndrome is None or registers_then["ESR"] == syndrome


def test_fiq_is_named(tmp_path):
    """Only GICv2 without security extensions lets the kernel make one."""
    assert fatal_line(start(tmp_path, PLAIN, run="fiq"))[0] == "an FIQ, which nothing here sends"


@pytest.mark.parametrize("image", ["Image", "Image-production"])
@pytest.mark.parametrize("setting", MACHINES, ids=spell)
def test_stack_overflow_is_survived(tmp_path, setting, image):
    """The fault is at the boot core's guard page, where SP then points; the report needs a stack all the same."""
    name = "kernel-arch-test.elf" if image == "Image" else "kernel-arch-test-production.elf"
    guard = symbol(BUILD / name, "kernel_stacks")
    reason, registers_then = fatal_line(start(tmp_path, setting, run="stack-overflow", image=image))
    assert reason == "its stack overflowed"
    assert guard <= registers_then["FAR"] < guard + 4096
    assert guard <= registers_then["SP"] < guard + 4096


def symbol(path, name):
    """Returns the value of a symbol in an ELF file."""
    with open(path, "rb") as file:
        return ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name(name)[0]["st_value"]


DEFECTS = {
    "api-hash": "the boot shim is of another build (API hash; build both from one commit)",
    "many-ranges": "BootInfo lists too many memory ranges",
    "no-core": "BootInfo lists no core or more than eight",
    "many-cores": "BootInfo lists no core or more than eight",
    "reversed-range": "BootInfo's memory ranges are not page-aligned, ascending and disjoint",
    "ragged-range": "BootInfo's memory ranges are not page-aligned, ascending and disjoint",
    "no-memory": "BootInfo is not in memory that it lists, or not page-aligned",
    "ragged-info": "BootInfo is not in memory that it lists, or not page-aligned",
    "kernel-place": "the kernel is not where BootInfo says, or not 2 MiB aligned",
    "high-memory": "memory above 64 TiB (limit the memory nodes of the device tree)",
    "fragments": "the kernel's page-table pool is used up (the memory map is too fragmented: join ranges in the device tree)",
    "large-device": "the kernel's device window is full (a device's range in the device tree is too large)",
    "gic-version": "an interrupt controller that is neither GICv2 nor GICv3 (BootInfo.gic_version)",
    "gic-short": "GICv2 CPU interface without GICC_DIR (second range of the interrupt controller's reg must be 0x2000 bytes)",
    "no-frequency": "the counter's frequency is unknown (give clock-frequency in the device tree's timer node)",
}


@pytest.mark.parametrize("image", ["Image", "Image-production"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_bad_boot_info_is_named(tmp_path, defect, image):
    outcome = start(tmp_path, PLAIN, boot=defect, image=image)
    assert outcome.reason == f"caprock: halt: kernel: {DEFECTS[defect]}", outcome.log
    assert after_shim(outcome.log) == [outcome.reason]


@pytest.mark.parametrize("defect", ["magic", "version"])
def test_foreign_boot_info_is_not_believed(tmp_path, defect):
    """Where the console is cannot be known: the kernel stops in silence."""
    outcome = start(tmp_path, PLAIN, boot=defect, timeout=SILENCE)
    assert outcome.reason.startswith("timeout") and after_shim(outcome.log) == []


@pytest.mark.parametrize("setting", MACHINES, ids=spell)
def test_production_kernel_is_silent(tmp_path, setting):
    """Before the first instruction of user level it has unmapped its console; user level, which prints the end, has it."""
    outcome = start(tmp_path, setting, run="silence", image="Image-production")
    assert outcome.status == 0, outcome.log
    assert after_shim(outcome.log) == ["caprock: exit 0"]


def test_debug_kernel_speaks(tmp_path):
    """What the test above would see if the kernel kept its console."""
    outcome = start(tmp_path, PLAIN, run="silence")
    assert outcome.status == 1
    assert after_shim(outcome.log) == ["the kernel speaks", "caprock: exit 1"]
