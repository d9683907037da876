# SPDX-License-Identifier: BSD-2-Clause
"""Traces for the oracle, written in the API's own words: events as lines, the oracle as a program that is talked to, and its states as
dictionaries. The form of all of it is in trace.md."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "kernel/api"))
from description import Description  # noqa: E402

API = Description(ROOT / "kernel/api")
CONSTANTS = {entry["name"]: entry["value"] for entry in API.constants}
METHODS = {f"{method['object']['name']}.{method['name']}": method for method in API.methods}
BUFFER = {entry["name"]: entry["offset"] for entry in API.struct("IPCBuffer")["fields"]}
# The registers that hold words 0 to 11 of a message.
MESSAGE_REGISTERS = (2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16)
SLOT_BYTES = 1 << CONSTANTS["slot_bits"]
READ_WRITE_GRANT = 15
# The address behind the system calls of a session that say no other.
PROGRAM_COUNTER = 0x10004

# The root task of the traces: its objects, and memory and a device to make others of.
BOOT = {"thread": 0x40001000, "cnode": 0x40020000, "radix": 12, "vspace": 0x40002000, "pool": 0x40003000, "context": 0x40004000,
        "buffer": 0x40005000, "boot_info": 0x40006000, "budget_us": 5000, "untypeds": "0x41000000:24:0,0x8000000:24:1", "cores": 4,
        "last_interrupt": 287, "timer_interrupt": 27, "timer_frequency": 62500000, "smallest_budget_us": 20, "breakpoints": 6,
        "watchpoints": 4, "debug_build": 0}


def enum(name, value):
    """The number of a value of one of the API's enumerations."""
    return API.value(name, value)


def message_info(label=0, length=0, extra_caps=0, caps_unwrapped=0):
    """A MessageInfo."""
    return length | extra_caps << 7 | caps_unwrapped << 9 | label << 12


def init_slot(name):
    """The number of a slot that the root task holds from boot on."""
    return enum("InitSlot", name)


def event_line(kind, time, *arguments, registers=None, memory=None, preempt_after=None, choices=()):
    """One event as a line of a trace. registers: values by name; memory: values by physical address; choices: parts like `%`."""
    words = [kind, str(time), *map(str, arguments)]
    words += [f"{name}={value:#x}" for name, value in (registers or {}).items()]
    words += [f"@{address:#x}={value:#x}" for address, value in (memory or {}).items()]
    if preempt_after is not None:
        words.append(f"!{preempt_after}")
    words += choices
    return " ".join(words)


def parse_value(text):
    """A number, a list, a name with its parts, or a dictionary, as a field of a state line says it."""
    if text == "-":
        return None
    if text.startswith("0x"):
        return int(text, 16) if "," not in text and ":" not in text else text
    return text


@dataclass
class Outcome:
    """What the oracle says of an event."""
    result: str
    current: int | None
    digest: str
    effects: list


@dataclass
class State:
    """A state of the oracle: its lines by kind and name, each a dictionary of fields."""
    machine: dict = field(default_factory=dict)
    core: dict = field(default_factory=dict)
    objects: dict = field(default_factory=dict)
    slots: dict = field(default_factory=dict)
    children: dict = field(default_factory=dict)
    interrupts: dict = field(default_factory=dict)
    pools: dict = field(default_factory=dict)
    turns: dict = field(default_factory=dict)

    def registers(self, thread):
        """The registers of a thread that are not 0, by name."""
        text = self.objects[thread]["registers"]
        return {} if text is None else {name: int(value, 16) for name, value in (pair.split(":") for pair in text.split(","))}

    def numbers(self, thing, name):
        """A field that is a list of numbers."""
        text = thing[name]
        return [] if text is None else [text] if isinstance(text, int) else [int(part, 16) for part in text.split(",")]


def parse_state(lines):
    """The State that lines of the oracle say."""
    state = State()
    for line in lines:
        kind, *words = line.split(" ")
        fields = {key: parse_value(value) for key, value in (word.split("=", 1) for word in words if "=" in word and "(" not in word.split("=")[0])}
        if kind in ("machine", "core"):
            setattr(state, kind, fields)
            continue
        name = int(words[0], 16)
        if kind == "object":
            state.objects[name] = {"kind": words[1], **fields}
        elif kind == "slot":
            state.slots[name] = {"capability": words[1], **fields}
        elif kind == "children":
            state.children[name] = [int(part, 16) for part in words[1].removeprefix("of=").split(",")]
        else:
            {"interrupt": state.interrupts, "pool": state.pools, "turn": state.turns}[kind][name] = fields
    return state


class Oracle:
    """The oracle as a program that replays one event after the other. It starts from `boot`, a dictionary like BOOT, or from the lines of
    a state. Every event is checked against the invariants unless `check` is false."""

    def __init__(self, program, boot=BOOT, lines=None, check=True):
        self.process = subprocess.Popen([program, "--digests"] + (["--check"] if check else []), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1 << 16)
        self.time = 0
        self.trace = []
        for line in ["boot " + " ".join(f"{key}={value}" for key, value in boot.items())] if lines is None else ["begin", *lines, "end"]:
            self.write(line)

    def close(self):
        """Ends the program. AssertionError with what it said if it did not end well."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait(timeout=60)
        text = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert status == 0, f"{text}after: {self.trace[-1] if self.trace else 'nothing'}"

    def write(self, line):
        self.trace.append(line)
        self.process.stdin.write(line + "\n")

    def answer(self):
        """The next line that the oracle prints."""
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise AssertionError("the oracle ended early")
        return line.rstrip("\n")

    def event(self, kind, *arguments, **options):
        """Replays an event at the present time: an Outcome."""
        self.write(event_line(kind, self.time, *arguments, **options))
        self.write("flush")
        result, current, digest, *effects = self.answer().split(" ")
        current = current.removeprefix("current=")
        return Outcome(result, None if current == "-" else int(current, 16), digest.removeprefix("digest="), effects)

    def lines(self, command):
        """What the oracle prints up to a line `.`."""
        self.write(command)
        self.write("flush")
        lines = []
        while (line := self.answer()) != ".":
            lines.append(line)
        return lines

    def state(self):
        """The whole state."""
        return parse_state(self.lines("state"))

    def changes(self):
        """The lines that differ from those that were told last."""
        return self.lines("changes")


class Session:
    """A running system of threads, in terms of system calls of the thread that runs. `buffers` tells the physical addresses of the IPC
    buffers of threads, which is where words and capabilities beyond the registers go."""

    def __init__(self, oracle, buffers=None):
        self.oracle = oracle
        self.buffers = {BOOT["thread"]: BOOT["buffer"]} if buffers is None else buffers
        self.running = BOOT["thread"]

    def system_call(self, name, registers=None, words=(), caps=(), label=0, memory=None, preempt_after=None, flags=0, choices=()):
        """A system call of the running thread with a message. registers: x0, x6, x8 and others by name."""
        given = {f"x{number}": word for number, word in zip(MESSAGE_REGISTERS, words)}
        given["x1"] = message_info(label, len(words), len(caps))
        given["x7"], given["pc"] = enum("Syscall", name) | flags, PROGRAM_COUNTER
        given |= registers or {}
        buffer = self.buffers.get(self.running)
        readable = dict(memory or {})
        if buffer is not None:
            readable |= {buffer + BUFFER["msg"] + 8 * number: word for number, word in enumerate(words) if number >= len(MESSAGE_REGISTERS)}
            readable |= {buffer + BUFFER["caps_or_badges"] + 8 * number: cap for number, cap in enumerate(caps)}
        outcome = self.oracle.event("svc", registers=given, memory=readable, preempt_after=preempt_after, choices=choices)
        self.running = outcome.current
        return outcome

    def again(self, memory=None, preempt_after=None):
        """The running thread executes a preempted system call again, with the registers that the kernel left it."""
        address = self.oracle.state().registers(self.running).get("pc", 0)
        outcome = self.oracle.event("svc", registers={"pc": address + 4}, memory=memory, preempt_after=preempt_after)
        self.running = outcome.current
        return outcome

    def invoke(self, method, target, *words, caps=(), **options):
        """Calls a method on the capability at address `target`: the Outcome."""
        return self.system_call("Call", {"x0": target}, words, caps, METHODS[method]["label"], **options)

    def results(self, thread=None):
        """The words that a thread has received, without those that are cleared."""
        registers = self.oracle.state().registers(thread or self.running)
        length = registers.get("x1", 0) & 0x7f
        return [registers.get(f"x{number}", 0) for number in MESSAGE_REGISTERS[:length]]
