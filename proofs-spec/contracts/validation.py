# SPDX-License-Identifier: BSD-2-Clause
"""Whether the model of the instructions is right: instructions with random operands are executed by the model and by QEMU, which must agree in every register,
flag, byte of memory and in where execution goes on. One boot of a bare machine (driver.S) does thousands of them."""

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import z3

from .instructions import FORMS, LINK, STACK_POINTER, WORD, Form, Unmodelled, decode, execute
from .machine import Fault, Machine

START = 0x4020_0000
"""Where the program is loaded in QEMU's machine `virt`."""
_MEMORY = (0x4000_0000, 64 << 20)
_RECORD, _OUT, _SP, _FLAGS, _PC, _SYSTEM, _CAUSE = 2048, 512, 248, 256, 264, 272, 280
_CODE, _DATA, _WINDOW = 1024, 1280, 256
"""In a record: where its code and its data are, and how large each is."""
_MIDDLE = _CODE + _WINDOW // 2
_BREAK = 0xD420_0000
_BREAKPOINT_CLASS = 0x3C
_EL1H = 0x3C5
_TPIDRRO_EL0 = 0b1_011_1101_0000_011
"""The system register that stands for all that are read and written."""
_SECONDS = 120
_RELATIVE = {"B": 26, "BL": 26, "B.cond": 19, "CBZ, CBNZ": 19, "TBZ, TBNZ": 14, "LDR (literal)": 19}
"""Forms with a distance in words, and its bits: it is made to stay within the case's code."""
_TO_REGISTER = ("BR, RET", "BLR")


class ValidationError(Exception):
    """The comparison cannot be made; the text says why."""


@dataclass
class Trial:
    """An instruction, and what it starts from."""

    word: int
    registers: list[int]
    stack_pointer: int
    flags: int
    system: int
    code: list[int]
    data: bytes
    place: int
    """The address of its record."""


class _Window:
    """The memory of a trial in the model: its code and its data."""

    def __init__(self, trial: Trial):
        code = b"".join(word.to_bytes(4, "little") for word in trial.code)
        self.content = {trial.place + _CODE + place: byte for place, byte in enumerate(code + trial.data)}
        self.first: int | None = None

    def load(self, address, size: int):
        start = self._start(address, size)
        return z3.BitVecVal(int.from_bytes(bytes(self.content[start + place] for place in range(size)), "little"), 8 * size)

    def store(self, address, value) -> None:
        size = value.size() // 8
        start = self._start(address, size)
        for place, byte in enumerate(z3.simplify(value).as_long().to_bytes(size, "little")):
            self.content[start + place] = byte

    def copy(self) -> "_Window":
        return self

    def demand_aligned(self, address, size: int) -> None:
        if z3.simplify(address).as_long() % size:
            raise Fault("not aligned")

    def _start(self, address, size: int) -> int:
        start = z3.simplify(address).as_long()
        self.first = start if self.first is None else self.first
        if start % size or any(start + place not in self.content for place in range(size)):
            raise Fault("outside of the window")
        return start


@dataclass
class Outcome:
    """What an instruction made of a trial."""

    registers: list[int]
    stack_pointer: int
    flags: int
    pc: int
    system: int
    data: bytes


def _machine(trial: Trial) -> Machine:
    return Machine(_Window(trial), [z3.BitVecVal(value, WORD) for value in trial.registers], z3.BitVecVal(trial.stack_pointer, WORD),
                   tuple(z3.BoolVal(bool(trial.flags >> place & 1)) for place in (31, 30, 29, 28)), {_TPIDRRO_EL0: z3.BitVecVal(trial.system, WORD)},
                   trial.place + _MIDDLE)


def by_model(trial: Trial) -> Outcome:
    """What the model makes of a trial."""
    machine = _machine(trial)
    jumps = execute(machine, trial.word)
    pc = next((z3.simplify(target).as_long() for condition, target in jumps if condition is None or z3.is_true(z3.simplify(condition))), machine.pc + 4)
    data = bytes(machine.memory.content[trial.place + _DATA + place] for place in range(_WINDOW))
    flags = sum(z3.is_true(z3.simplify(flag)) << place for place, flag in zip((31, 30, 29, 28), machine.flags))
    return Outcome([z3.simplify(value).as_long() for value in machine.registers], z3.simplify(machine.stack_pointer).as_long(), flags, pc,
                   z3.simplify(machine.systems[_TPIDRRO_EL0]).as_long(), data)


# ---- trials ------------------------------------------------------------------------------------------------------------------------------
def _value(source: random.Random) -> int:
    """Numbers at which something may change: small ones, edges, and any."""
    kind = source.randrange(6)
    if kind == 0:
        return source.randrange(130)
    if kind == 1:
        return -source.randrange(1, 130) % (1 << WORD)
    if kind == 2:
        return ((1 << source.randrange(WORD)) + source.randrange(-1, 2)) % (1 << WORD)
    if kind == 3:
        return source.getrandbits(32)
    return source.getrandbits(WORD)


def make_trial(word: int, place: int, source: random.Random) -> Trial | None:
    """A trial of an instruction, or None if it does nothing that can be tried (an access that leads nowhere in memory, a reserved encoding)."""
    form = decode(word)
    word = _in_reach(form, word, source)
    operands = form.operands(word)
    values = [_value(source) for _ in range(3)]
    registers = [source.choice((*values, _value(source))) for _ in range(31)]
    code, data = [_BREAK] * (_WINDOW // 4), source.randbytes(_WINDOW)
    trial = Trial(word, registers, _value(source) & ~0xF, source.randrange(16) << 28, _value(source), code, data, place)
    trial.code[(_MIDDLE - _CODE) // 4] = word
    if form.name in _TO_REGISTER:
        if operands.n == STACK_POINTER:
            return None
        registers[operands.n] = place + _CODE + 4 * source.randrange(_WINDOW // 4)
    try:
        if not _aim(trial, form, operands, source):
            return None
        outcome = by_model(trial)
    except (Unmodelled, Fault):
        return None
    return trial if outcome.pc != place + _MIDDLE else None


def _in_reach(form: Form, word: int, source: random.Random) -> int:
    """The same instruction with a distance that stays within the trial's code, and a system register that may be tried."""
    if form.name in _RELATIVE:
        return _with_field(form, word, "i", source.randrange(-_WINDOW // 8, _WINDOW // 8) % (1 << _RELATIVE[form.name]))
    if form.name in ("MRS", "MSR (register)"):
        return _with_field(form, word, "s", _TPIDRRO_EL0)
    return word


def _with_field(form: Form, word: int, letter: str, value: int) -> int:
    bits = dict(form.fields)[letter]
    for place, bit in enumerate(reversed(bits)):
        word = word & ~(1 << bit) | (value >> place & 1) << bit
    return word


def _aim(trial: Trial, form: Form, operands, source: random.Random) -> bool:
    """Makes the base register of an access lead to the trial's data. False if no value does."""
    if not form.name.startswith("LD") or form.name == "LDR (literal)":
        return True
    machine = _machine(trial)
    try:
        execute(machine, trial.word)
    except Fault:
        pass  # it leads elsewhere so far
    if machine.memory.first is None or operands.n == getattr(operands, "m", None) and "register" in form.name:
        return False
    base = trial.stack_pointer if operands.n == STACK_POINTER else trial.registers[operands.n]
    distance = machine.memory.first - base
    target = trial.place + _DATA + 16 * source.randrange(1, _WINDOW // 16 - 1)
    if operands.n == STACK_POINTER:
        trial.stack_pointer = (target - distance & ~0xF) % (1 << WORD)
    else:
        size = 1 << (operands.z if "P" not in form.name.split(",")[0] else 3)
        trial.registers[operands.n] = (target + size * source.randrange(16 // size) - distance) % (1 << WORD)
    return True


def random_word(form: Form, source: random.Random) -> int:
    """Some instruction of a form, which may be reserved."""
    return source.getrandbits(32) & ~form.mask | form.value


def make_trials(words: list[int], forms: list[Form], seed: int, of_each_word: int, of_each_form: int) -> list[Trial]:
    """Trials of given instructions, and of random ones of given forms."""
    source = random.Random(seed)
    trials: list[Trial] = []

    def add(word_of, count: int) -> None:
        wanted = len(trials) + count
        for _ in range(count * 20):
            if len(trials) < wanted:
                trial = make_trial(word_of(), _place(len(trials)), source)
                trials.extend([trial] if trial else [])

    for word in words:
        add(lambda word=word: word, of_each_word)
    for form in forms:
        add(lambda form=form: random_word(form, source), of_each_form)
    return trials


def _place(number: int) -> int:
    return START + 2 * _RECORD + number * _RECORD


# ---- QEMU --------------------------------------------------------------------------------------------------------------------------------
def _record(trial: Trial) -> bytes:
    content = bytearray(_RECORD)

    def put(offset: int, value: int) -> None:
        content[offset:offset + 8] = value.to_bytes(8, "little")

    for number, value in enumerate(trial.registers):
        put(8 * number, value)
    put(_SP, trial.stack_pointer)
    put(_FLAGS, trial.flags | _EL1H)
    put(_PC, trial.place + _MIDDLE)
    put(_SYSTEM, trial.system)
    content[_CODE:_CODE + _WINDOW] = b"".join(word.to_bytes(4, "little") for word in trial.code)
    content[_DATA:_DATA + _WINDOW] = trial.data
    return bytes(content)


def _outcome(content: bytes) -> tuple[Outcome, int]:
    """What QEMU made of a record, and the class of the exception that ended it."""
    def get(offset: int) -> int:
        return int.from_bytes(content[_OUT + offset:_OUT + offset + 8], "little")

    outcome = Outcome([get(8 * number) for number in range(31)], get(_SP), get(_FLAGS) & 0xF000_0000, get(_PC), get(_SYSTEM), content[_DATA:_DATA + _WINDOW])
    return outcome, get(_CAUSE) >> 26 & 0x3F


def _program(folder: Path) -> bytes:
    """The driver as it is loaded; records follow it."""
    source, elf, flat = Path(__file__).with_name("driver.S"), folder / "driver.elf", folder / "driver.bin"
    for command in (["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", f"-Wl,-Ttext={START:#x}", str(source), "-o", str(elf)],
                    ["aarch64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", str(elf), str(flat)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise ValidationError(f"{source.name}: {command[0]} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    content = flat.read_bytes()
    if len(content) != 2 * _RECORD:
        raise ValidationError(f"{source.name}: it has {len(content)} bytes, and the records are expected behind {2 * _RECORD}")
    return content


def by_qemu(trials: list[Trial], folder: Path) -> list[tuple[Outcome, int]]:
    """What QEMU makes of trials, in one boot."""
    if shutil.which("qemu-system-aarch64") is None:
        raise ValidationError("qemu-system-aarch64 is not installed (./caprock setup)")
    program, memory = folder / "program.bin", folder / "memory"
    program.write_bytes(_program(folder) + b"".join(map(_record, trials)) + bytes(_RECORD))
    start, size = _MEMORY
    with memory.open("wb") as file:
        file.truncate(size)
    command = ["qemu-system-aarch64", "-cpu", "cortex-a72", "-machine", "virt,memory-backend=shared", "-m", str(size >> 20), "-object",
               f"memory-backend-file,id=shared,size={size},mem-path={memory},share=on", "-device", f"loader,file={program},addr={START:#x},force-raw=on",
               "-device", f"loader,addr={START:#x},cpu-num=0", "-display", "none", "-serial", "none", "-monitor", "none", "-nic", "none"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ValidationError(f"qemu-system-aarch64 did not end in {_SECONDS} s") from error
    if done.returncode != 0:
        raise ValidationError(f"qemu-system-aarch64 failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    content = memory.read_bytes()
    return [_outcome(content[trial.place - start:trial.place - start + _RECORD]) for trial in trials]


def compare(trials: list[Trial], folder: Path) -> list[str]:
    """In what model and QEMU differ."""
    found = []
    for trial, (real, cause) in zip(trials, by_qemu(trials, folder)):
        name = f"{trial.word:#010x} ({decode(trial.word).name})"
        if cause != _BREAKPOINT_CLASS:
            found.append(f"{name}: QEMU raised an exception of class {cause:#x}")
            continue
        model = by_model(trial)
        for what in ("registers", "stack_pointer", "flags", "pc", "system", "data"):
            if getattr(model, what) != getattr(real, what):
                found.append(f"{name}: {what}: {_difference(getattr(model, what), getattr(real, what))}")
    return found


def _difference(model, real) -> str:
    if isinstance(model, list):
        number = next(number for number, (a, b) in enumerate(zip(model, real)) if a != b)
        return f"x{number}: the model has {model[number]:#x}, QEMU {real[number]:#x}"
    return f"the model has {model if isinstance(model, bytes) else hex(model)}, QEMU {real if isinstance(real, bytes) else hex(real)}"
