# SPDX-License-Identifier: BSD-2-Clause
"""From the plugin's records to what happened: who ran when, calls with their answers, signals, interrupts, faults and budgets. Times are nanoseconds since
the machine's first instruction; docs/trace.md says from where to where each one is."""

from dataclasses import dataclass, field

from .trace_names import LOADER, Names, Target, enumeration, label_of

KERNEL_TIMER, USER_TIMER = 27, 30
"""Interrupts of the virtual and of the physical timer (Arm BSA 3.8)."""
START = "start"
"""Why a thread is ready that the loader let run."""
_NO_INTERRUPT = 1020
_RUNNING, _ON_RECEIVE, _ON_REPLY, _ON_NOTIFICATION = 1, 2, 4, 5
_SYSCALL_BITS = 0xff
_SVC_BYTES = 4
_CLASS_SHIFT = 26
_SVC = 0x15
_CLASSES = {0x07: "first use of the floating-point unit", 0x20: "instruction abort", 0x24: "data abort"}
# Exception vectors: of system calls and faults, and of what comes from outside, with kind and name.
_SYNCHRONOUS = 8
_KINDS = {5: ("interrupt", "interrupt"), 9: ("interrupt", "interrupt"), 11: ("interrupt", "SError")}
_RECEIVES = ("ReplyRecv", "Recv", "NBRecv", "Wait", "NBWait", "NBSendRecv", "NBSendWait")
_SENDS = ("Call", "Send", "NBSend")
_SENDS_FIRST = ("NBSendRecv", "NBSendWait")
# System calls that the kernel does not know, by which components tell their fault handlers of their end (userland/caprock/api/component.toml).
_OWN_CALLS = {0xfe: "end", 0xfd: "panic"}


@dataclass
class Run:
    """A thread's instructions without the kernel's between. context: whose time it is."""

    thread: str
    context: str
    start: int
    end: int


@dataclass
class Kernel:
    """The kernel's instructions from an entry to its end. thread: that ran before, or None. kind: "call", "fault" or "interrupt"."""

    start: int
    end: int
    thread: str | None
    kind: str
    what: str


@dataclass
class Call:
    """A call. taken: the server had it; arrived: its first instruction then; answered: it was entering the kernel to answer; end: the client's next
    instruction. None: did not come to pass. via: the client's port; server: the port that it leads to; by: the thread that took it;
    answerer: the one that answered it. known: the description says that it is a call. error: the
    answer's label, 0 if it was done."""

    client: str
    via: str
    server: str
    method: str
    start: int
    address: int
    taken: int | None = None
    arrived: int | None = None
    answered: int | None = None
    end: int | None = None
    by: str | None = None
    answerer: str | None = None
    known: bool = True
    error: int = 0

    @property
    def is_one(self) -> bool:
        """False for what may have been a call, by what the description says, and that nobody took: an object of the kernel's did it at once."""
        return self.known or self.taken is not None


@dataclass
class Signal:
    """A signal that was sent."""

    time: int
    sender: str
    source: str
    target: str


@dataclass
class Interrupt:
    """arrival: when the line asked for the processor; exact: that is known, not only a time before it. busy: its handler had something else to do."""

    number: int
    device: str
    handler: str | None
    arrival: int
    taken: int
    exact: bool
    busy: bool
    handled: int | None = None


@dataclass
class Fault:
    """A fault, or the end that a component asked for. told: first instruction of the handler with it; end: first of the thread behind the answer."""

    time: int
    thread: str
    kind: str
    address: int
    at: int
    handler: str | None
    told: int | None = None
    end: int | None = None


@dataclass
class Budget:
    """What happened to a budget. what: "ended" while the thread ran, "waits": it woke and nothing was left, "yielded"."""

    time: int
    context: str
    thread: str
    what: str


@dataclass
class Span:
    """From ready to not ready any more; runs: the first instruction, None if there was none. why: what made it ready."""

    thread: str
    start: int
    why: str
    runs: int | None = None
    end: int | None = None


@dataclass
class Use:
    """A context in use by a thread, the kernel's time included."""

    context: str
    thread: str
    start: int
    end: int


@dataclass
class Timeline:
    """All of a run. boot: time of the first instruction of user level. samples: (time, context, what is left of its budget)."""

    names: Names
    length: int = 0
    boot: int = 0
    reason: str = ""
    entries: int = 0
    switches: int = 0
    runs: list[Run] = field(default_factory=list)
    idle: list[tuple[int, int]] = field(default_factory=list)
    kernel: list[Kernel] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    interrupts: list[Interrupt] = field(default_factory=list)
    timer_interrupts: list[Interrupt] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    ready: list[Span] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    samples: list[tuple[int, str, int]] = field(default_factory=list)
    contexts: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class _Thread:
    """What is known of a thread while the records are read. The fields up to `words` are the record's."""

    address: int
    name: str
    state: int = 0
    postponed: bool = False
    context: int = 0
    reply: int = 0
    fault: int = 0
    fetch: bool = False
    words: tuple[int, ...] = (0, 0, 0)
    call: Call | None = None
    trouble: Fault | None = None
    span: Span | None = None
    waiting: list[Interrupt] = field(default_factory=list)    # that it has not seen
    received: list[Interrupt] = field(default_factory=list)   # that it sees when it runs next
    arriving: list = field(default_factory=list)              # calls and faults, likewise

    @property
    def is_ready(self) -> bool:
        return self.state == _RUNNING and self.context != 0 and not self.postponed


@dataclass
class _Entry:
    """An entry of the kernel. name: of the system call."""

    time: int
    thread: _Thread | None
    kind: str
    what: str
    before: int                      # when the last one was left
    link: int
    name: str = ""
    argument: int = 0                # the first one of the system call
    arrival: int | None = None       # of the interrupt that it was for
    target: Target | None = None


def read(lines: list[str], names: Names) -> Timeline:
    """What the records of a whole run say."""
    reader = _Reader(names)
    for letter, offset, values in _with_offsets(lines):
        reader.take(letter, offset, values)
    return reader.timeline


def _with_offsets(lines: list[str]):
    """Records as (letter, what the counter is ahead of the number of instructions, fields). That changes while the machine is idle, and with an instruction
    that faults: always before the entry in which the kernel reads the counter next."""
    records, offset, entry = [], 0, 0
    for line in lines:
        letter, *values = line.split(" ")
        if letter == "E":
            entry = len(records)
        if letter == "T":
            offset = int(values[1])
            offset -= 1 << 64 if offset >> 63 else 0
            for index in range(entry, len(records)):
                records[index][1] = offset
        records.append([letter, offset, values])
    return records


class _Reader:
    """Takes the records in their order."""

    def __init__(self, names: Names):
        self.names = names
        self.timeline = Timeline(names)
        self.threads: dict[int, _Thread] = {}
        self.current: _Thread | None = None
        self.context = 0
        self.left = 0                       # when the kernel was left
        self.use_since = 0
        self.entry: _Entry | None = None
        self.timers = {"V": 0, "P": 0}      # deadlines
        self.timer_set = {"V": 0, "P": 0}   # when one was written
        self.changes: list[tuple[_Thread, list[str]]] = []
        self.samples: dict[int, tuple[int, int]] = {}
        self.owners: dict[int, _Thread] = {}   # of reply objects

    def take(self, letter: str, offset: int, values: list[str]) -> None:
        """One record."""
        if letter == "E":
            self.enter(int(values[0]), int(values[1]) + offset, [int(value, 16) for value in values[2:]])
        elif letter == "X":
            self.leave(int(values[0]) + offset + 1, *(int(value, 16) for value in values[1:]))
        elif letter == "A" and self.entry is not None:
            self.acknowledge(int(values[0]))
        elif letter == "t":
            self.changes.append((self.thread(int(values[0], 16)), values[1:]))
        elif letter == "s":
            self.change_context(int(values[0], 16), *(int(value) for value in values[1:]))
        elif letter in "VvPp":
            timer = letter.upper()
            self.timer_set[timer] = int(values[0]) + offset
            if letter == timer:
                self.timers[timer] = int(values[1])
        elif letter == "Z":
            self.end(int(values[0]) + offset, " ".join(values[1:]))

    def thread(self, address: int) -> _Thread:
        """A thread by its address."""
        if address not in self.threads:
            self.threads[address] = _Thread(address, self.names.thread(address))
        return self.threads[address]

    # Entry ------------------------------------------------------------------------------------------------------------------------------

    def enter(self, vector: int, time: int, values: list[int]) -> None:
        """The kernel is entered: what ran before ends."""
        if self.entry is not None:
            return
        self.timeline.entries += 1
        self.close_run(time)
        syndrome, link, *registers = values
        self.entry = _Entry(time, self.current, *_KINDS.get(vector, ("fault", "")), self.left, link)
        if vector != _SYNCHRONOUS or self.current is None:
            return
        number = syndrome >> _CLASS_SHIFT
        if number != _SVC:
            self.entry.what = _CLASSES.get(number, f"exception {number:#x}")
            return
        self.entry.kind = "call"
        self.system_call(registers)

    def close_run(self, time: int) -> None:
        """What runs since the kernel was left ends."""
        if self.current is not None:
            self.timeline.runs.append(Run(self.current.name, self.names.context(self.context), self.left, time))
        elif self.timeline.boot:
            self.timeline.idle.append((self.left, time))

    def system_call(self, registers: list[int]) -> None:
        """x0, x1, x7, x8."""
        entry, thread = self.entry, self.current
        address, info, number, destination = registers
        entry.argument = address
        number &= _SYSCALL_BITS
        entry.name = enumeration("Syscall").get(number) or _OWN_CALLS.get(number) or f"unknown system call {number:#x}"
        if entry.name in _SENDS_FIRST:
            address = destination
        if entry.name in _RECEIVES:
            thread.received += thread.waiting
            thread.waiting = []
        if entry.name in _SENDS + _SENDS_FIRST:
            entry.target = self.names.target(thread.name, address)
            method = "" if entry.target.kind in ("signal", "answer") else f".{entry.target.method(info)}"
            entry.what = f"{entry.name} {entry.target.name}{method}"
            if entry.target.kind == "signal":
                self.timeline.signals.append(Signal(entry.time, thread.name, entry.target.source, entry.target.name))
            if entry.target.kind in ("call", "unknown") and entry.name == "Call" and thread.name != LOADER:
                self.begin_call(entry.target, info)
        else:
            entry.what = entry.name

    def begin_call(self, target: Target, info: int) -> None:
        """A call, unless it is one that is executed again."""
        thread, entry = self.current, self.entry
        if thread.call is None or thread.call.address != entry.link or thread.call.taken is not None:
            method = target.method(info) if target.kind == "call" else f"label {label_of(info)}"
            thread.call = Call(thread.name, target.source or thread.name, target.name, method, entry.time, entry.link, known=target.kind == "call")

    def acknowledge(self, number: int) -> None:
        """Which interrupt it was."""
        if number >= _NO_INTERRUPT:
            return
        entry = self.entry
        device, handler = ("the kernel's timer", None) if number == KERNEL_TIMER else self.names.interrupt(number)
        entry.what = f"interrupt {number} ({device})"
        timer = {KERNEL_TIMER: "V", USER_TIMER: "P"}.get(number)
        arrival, exact = entry.time, True
        if timer:
            arrival = min(entry.time, max(self.timers[timer], self.timer_set[timer]))
        elif entry.time == entry.before and self.timeline.kernel:
            # It was taken on the way out of the kernel, and came some time in there.
            arrival, exact = self.timeline.kernel[-1].start, False
        entry.arrival = arrival
        found = Interrupt(number, device, handler, arrival, entry.time, exact, False)
        if number == KERNEL_TIMER:
            self.timeline.timer_interrupts.append(found)
            return
        self.timeline.interrupts.append(found)
        thread = next((item for item in self.threads.values() if item.name == handler), None)
        if thread is not None:
            found.busy = thread.state not in (_ON_RECEIVE, _ON_NOTIFICATION)
            (thread.waiting if found.busy else thread.received).append(found)

    # Exit -------------------------------------------------------------------------------------------------------------------------------

    def leave(self, time: int, current: int, context: int, link: int, info: int) -> None:
        """The kernel is left to a thread, or to nobody."""
        entry, self.entry = self.entry, None
        if entry is None:
            self.timeline.boot = time
        else:
            self.close_entry(entry, time)
        following = self.thread(current) if current else None
        for thread, values in self.changes:
            self.change(thread, values, time, entry, self.context)
        self.changes = []
        self.switch_context(following, context, time)
        self.timeline.switches += following is not self.current
        self.current, self.left = following, time
        if following is not None:
            self.begin_run(following, time, link, info)

    def close_entry(self, entry: _Entry, time: int) -> None:
        """The kernel is done with what it was entered for."""
        self.timeline.kernel.append(Kernel(entry.time, time, entry.thread.name if entry.thread else None, entry.kind, entry.what or "exception"))

    def begin_run(self, thread: _Thread, time: int, link: int, info: int) -> None:
        """What a thread learns with its next instruction."""
        for interrupt in thread.received:
            interrupt.handled = time
        for item in thread.arriving:
            if isinstance(item, Call):
                item.arrived = time
            else:
                item.told = time
        thread.received, thread.arriving = [], []
        if thread.span is not None and thread.span.runs is None:
            thread.span.runs = time
        if thread.call is not None and link == thread.call.address:
            thread.call.end, thread.call.error = time, label_of(info)
            if thread.call.is_one:
                self.timeline.calls.append(thread.call)
            thread.call = None
        if thread.trouble is not None:
            thread.trouble.end = time
            thread.trouble = None

    def switch_context(self, thread: _Thread | None, context: int, time: int) -> None:
        """Another context, or another thread on it, is in use from now on."""
        if thread is self.current and context == self.context:
            return
        if self.current is not None:
            self.timeline.uses.append(Use(self.names.context(self.context), self.current.name, self.use_since, time))
        self.use_since, self.context = time, context

    # What changed -----------------------------------------------------------------------------------------------------------------------

    def change(self, thread: _Thread, values: list[str], time: int, entry: _Entry | None, in_use: int) -> None:
        """A thread is another than before. entry: the kernel's, None at boot; in_use: the context before."""
        was_ready, state, fault, postponed, reply = thread.is_ready, thread.state, thread.fault, thread.postponed, thread.reply
        thread.state, thread.postponed = int(values[0]), values[1] == "1"
        thread.context, thread.reply = int(values[2], 16), int(values[3], 16)
        thread.fault, thread.fetch, thread.words = int(values[4]), values[5] == "1", tuple(int(value, 16) for value in values[6:])
        if thread.state == _ON_RECEIVE and thread.reply:
            self.owners[thread.reply] = thread
        began = entry.time if entry is not None else time
        since = entry.arrival if entry is not None and entry.arrival is not None else began
        if thread.is_ready and not was_ready:
            by_loader = entry is None or (entry.thread is not None and entry.thread.name == LOADER)
            thread.span = Span(thread.name, since, START if by_loader else entry.what)
            self.timeline.ready.append(thread.span)
        elif was_ready and not thread.is_ready and thread.span is not None:
            thread.span.end = began
            thread.span = None
        if thread.postponed and not postponed:
            self.postpone(thread, began, entry, in_use)
        if thread.fault and not fault and entry is not None:
            self.fault(thread, entry, in_use)
        if thread.state == _ON_REPLY and (state != _ON_REPLY or thread.reply != reply):
            self.deliver(thread, time)
        elif state == _ON_REPLY and thread.state != _ON_REPLY and thread.call is not None and entry is not None:
            thread.call.answered = entry.time
            thread.call.answerer = entry.thread.name if entry.thread is not None else None

    def postpone(self, thread: _Thread, time: int, entry: _Entry | None, in_use: int) -> None:
        """A thread waits for its budget."""
        what = "waits"
        if thread.context == in_use and in_use:
            what = "yielded" if entry is not None and entry.name == "Yield" else "ended"
        self.timeline.budgets.append(Budget(time, self.names.context(thread.context), thread.name, what))

    def fault(self, thread: _Thread, entry: _Entry, in_use: int) -> None:
        """A thread waits for its fault handler."""
        label = enumeration("FaultLabel").get(thread.fault, str(thread.fault))
        kind, address = label, thread.words[0]
        if label == "VMFault":
            kind = "fetch of memory" if thread.fetch else ("write of memory" if thread.words[1] & 1 << 6 else "read of memory")
        elif label == "UnknownSyscall":
            kind = f"end with status {entry.argument}" if entry.name == "end" else entry.name
        elif label == "Timeout":
            kind, address = "budget used up", 0
            self.timeline.budgets.append(Budget(entry.time, self.names.context(in_use), thread.name, "ended"))
        at = entry.link - _SVC_BYTES if entry.kind == "call" else entry.link
        thread.trouble = Fault(entry.time, thread.name, kind, address, at, self.names.fault_handler(thread.name, label == "Timeout"))
        self.timeline.faults.append(thread.trouble)

    def deliver(self, thread: _Thread, time: int) -> None:
        """Whoever receives has the thread's call, or its fault."""
        owner = self.names.owner(thread.reply)
        receiver = self.owners.get(thread.reply) or next((other for other in self.threads.values() if other.name == owner), None)
        item = thread.trouble if thread.fault else thread.call
        if item is None:
            return
        if isinstance(item, Call):
            item.taken = time
            item.by = receiver.name if receiver is not None else owner
        elif receiver is not None:
            item.handler = receiver.name
        if receiver is not None:
            receiver.arriving.append(item)

    def change_context(self, address: int, budget: int, period: int, refill: int, amount: int) -> None:
        """A context's parameters and its first refill."""
        name = self.names.context(address)
        if budget:
            self.timeline.contexts[name] = budget, period
        time = self.entry.time if self.entry is not None else 0
        earlier = self.samples.get(address)
        if earlier is not None and earlier[0] < time:
            self.timeline.samples.append((earlier[0], name, earlier[1]))
        self.samples.pop(address, None)
        self.timeline.samples.append((time, name, amount if refill <= time else 0))
        if refill > time:
            self.samples[address] = refill, amount

    # End --------------------------------------------------------------------------------------------------------------------------------

    def end(self, time: int, reason: str) -> None:
        """The end of the run: what goes on ends here. At the exception return that is the end itself one instruction is not counted yet."""
        time = max(time, self.left)
        if self.entry is None:
            self.close_run(time)
        else:
            self.close_entry(self.entry, time)
        self.switch_context(None, 0, time)
        for thread in self.threads.values():
            if thread.span is not None:
                thread.span.end = time
            if thread.call is not None and thread.call.is_one:
                self.timeline.calls.append(thread.call)
        for address, (refill, amount) in self.samples.items():
            if refill < time:
                self.timeline.samples.append((refill, self.names.context(address), amount))
        self.timeline.calls.sort(key=lambda call: call.start)
        self.timeline.samples.sort(key=lambda sample: sample[0])
        self.timeline.length, self.timeline.reason = time, reason
