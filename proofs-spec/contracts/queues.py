# SPDX-License-Identifier: BSD-2-Clause
"""Contracts of the queues of threads. Those that can run stand in rings, one for each priority, the first of which its head leads to; a word of bits says
which rings are not empty. So the list of ready threads is that of the rings, the highest priority first, and insertion and removal change it as
insert_behind and unplace say. Those that wait for an endpoint or a notification stand in groups of equals, and the first of each group in a list."""

from functools import partial

import z3

from . import representation as kernel
from . import specification as spec
from .instructions import leading_zeros
from .interface import PRIORITIES
from .proving import Case, Contract

_WORDS = PRIORITIES // 64
_TCB_BITS = 11


class _Ready:
    """The ready threads of the current domain, and a thread of that domain in x1."""

    def __init__(self, case: Case):
        self.case, self.offset = case, case.layouts.offset
        core = case.object(case.set_register(0, kernel.image_pointer("core", 6), "core"), 128, 64)
        queues = kernel.image_pointer("queues", 3)
        self.queues = case.object(case.set_word(core + self.offset("Core", "ready"), queues), case.layouts.size("ReadyQueues"))
        self.thread = case.set_register(1, self.new_thread("thread"), "thread")
        priority, domain = z3.BitVec("priority", 8), z3.BitVec("domain", 8)
        case.set_word(self.thread + self.offset("Tcb", "priority"), z3.Concat(z3.BitVec("more of the thread", 48), domain, priority))
        case.set_word(core + self.offset("Core", "no_priority"), z3.Concat(z3.BitVec("more of the core", 48), domain, z3.BitVec("none", 8)))
        self.priority = case.named("priority", z3.ZeroExt(56, priority))
        self.ring = z3.simplify(self.queues + self.offset("ReadyQueues", "rings") + (self.priority << 3))
        self.present = [self.queues + self.offset("ReadyQueues", "present") + 8 * number for number in range(_WORDS)]
        self.assume_marks()

    def new_thread(self, name: str) -> z3.BitVecRef:
        return self.case.object(kernel.pointer(name, _TCB_BITS), self.case.layouts.size("Tcb"), 1 << _TCB_BITS)

    def next(self, thread: z3.BitVecRef) -> z3.BitVecRef:
        return thread + self.offset("Tcb", "ready.next")

    def previous(self, thread: z3.BitVecRef) -> z3.BitVecRef:
        return thread + self.offset("Tcb", "ready.prev")

    def _member(self, name: str) -> z3.BitVecRef:
        return self.queues + self.offset("ReadyQueues", name)

    def assume_marks(self) -> None:
        """Before and after, `summary` and `highest` say what the bits of the rings say."""
        case = self.case
        for number, place in enumerate(self.present):
            case.named(f"present {number}", case.word(place))
        case.assume(*self.are_right(case.machine.memory))
        case.writes(*self.present, self._member("summary"), self._member("highest"))

    def are_right(self, memory) -> list[z3.BoolRef]:
        present = [memory.word(place) for place in self.present]
        summary, highest = spec.word(0), spec.word(-1 % (1 << 64))
        for number, bits in enumerate(present):
            summary = summary | z3.If(bits != 0, spec.word(1 << number), spec.word(0))
            highest = z3.If(bits != 0, 64 * number + 63 - leading_zeros(bits), highest)
        return [memory.word(self._member("summary")) == summary, memory.word(self._member("highest")) == highest]

    def marks(self, end, is_there: bool):
        """Claims that the bit of the thread's ring says whether it is empty, and that all else follows from the bits."""
        for number, place in enumerate(self.present):
            old, bit = self.case.word(place), spec.word(1) << (self.priority & 63)
            new = z3.If(z3.LShR(self.priority, 6) == number, old | bit if is_there else old & ~bit, old)
            yield f"priorities from {64 * number} on: those that have threads are marked", end.memory.word(place) == new
        right = self.are_right(end.memory)
        yield "the words with marks are known", right[0]
        yield "the highest priority that has a thread is known", right[1]


def _enqueue(is_empty: bool, case: Case):
    ready = _Ready(case)
    thread = ready.thread
    case.writes(ready.ring, ready.next(thread), ready.previous(thread))
    if is_empty:
        case.set_word(ready.ring, spec.word(0))
        first = last = thread
    else:
        first, last = ready.new_thread("first"), kernel.pointer("last", _TCB_BITS)
        case.set_word(ready.ring, first)
        case.set_word(ready.previous(first), last)
        case.assume(last != thread)
        case.writes(ready.next(last), ready.previous(first))

    def claims(end):
        word = end.memory.word
        head = thread if is_empty else first
        yield "the ring begins with the right thread", word(ready.ring) == head
        yield "the thread leads to the first", word(ready.next(thread)) == first
        yield "and back to the last", word(ready.previous(thread)) == last
        yield "the last leads to it", word(ready.next(last)) == z3.If(last == thread, first, thread)
        yield "and the first back to it", word(ready.previous(first)) == z3.If(first == thread, last, thread)
        yield from ready.marks(end, True)
    return claims


def _take(is_alone: bool, case: Case):
    ready = _Ready(case)
    thread = ready.thread
    case.writes(ready.ring, ready.next(thread), ready.previous(thread))
    bit = spec.word(1) << (ready.priority & 63)
    case.assume(*(z3.Implies(z3.LShR(ready.priority, 6) == number, case.word(place) & bit != 0) for number, place in enumerate(ready.present)))
    following = before = thread
    if not is_alone:
        following, before = ready.new_thread("next"), kernel.pointer("previous", _TCB_BITS)
        case.assume(before != thread)
        case.writes(ready.previous(following), ready.next(before))
    case.set_word(ready.next(thread), following)
    case.set_word(ready.previous(thread), before)
    head = case.set_word(ready.ring, kernel.pointer("first", _TCB_BITS))
    if is_alone:
        case.assume(head == thread)

    def claims(end):
        word = end.memory.word
        yield "the thread is in no ring", z3.And(word(ready.next(thread)) == 0, word(ready.previous(thread)) == 0)
        if is_alone:
            yield "the ring is empty", word(ready.ring) == 0
            yield from ready.marks(end, False)
            return
        yield "the one before leads on", word(ready.next(before)) == following
        yield "the one behind leads back", word(ready.previous(following)) == before
        yield "who is first stays it, or the one behind follows", word(ready.ring) == z3.If(head == thread, following, head)
        yield from ready.marks(end, True)
    return claims


def _signal(case: Case):
    # A notification for which threads wait, and the first of them.
    offset, size = case.layouts.offset, case.layouts.size("Tcb")
    notification = case.object(case.set_register(1, kernel.pointer("notification", 6), "notification"), case.layouts.size("Notification"))
    badge = case.register(2, "badge")
    queue, state = (notification + offset("Notification", member) for member in ("queue", "state"))
    case.set_word(state, spec.word(kernel.WAITING))
    thread = case.object(case.set_word(queue, kernel.pointer("thread", _TCB_BITS)), size)

    def place(of: z3.BitVecRef, member: str) -> z3.BitVecRef:
        return of + offset("Tcb", f"wait.{member}")

    def follows(memory, of: z3.BitVecRef) -> z3.BitVecRef:
        return spec.bits_of(memory.word(place(of, "follower")), 0, 8)

    # One in a ring of equals has two neighbours there, who may be the same. The first of all is the first of its group, which none is above.
    following, before, below = (case.named(name, case.word(place(thread, name))) for name in ("ring.next", "ring.prev", "lower"))
    case.object(following, size, when=following != 0)
    case.object(before, size, when=z3.And(before != 0, before != following))
    case.object(below, size, when=below != 0)
    case.assume((following == 0) == (before == 0))
    case.set_word(place(thread, "higher"), spec.word(0))
    case.set_word(place(thread, "follower"), z3.ZeroExt(8, z3.BitVec("padding", 56)) << 8)
    members = ("ring.next", "ring.prev", "higher", "lower", "follower")
    case.writes(queue, state, thread + offset("Tcb", "notification"), *(place(thread, member) for member in members),
                *(place(following, member) for member in members), place(before, "ring.next"), place(below, "higher"))

    def claims(end):
        word = end.memory.word
        more, pair = following != 0, z3.And(following != 0, following == before)
        heir = z3.If(more, following, below)
        yield "it wakes the first, with the badge", z3.And(end.registers[1] == notification, end.registers[2] == thread, end.registers[3] == badge)
        yield "which waits no more", word(thread + offset("Tcb", "notification")) == 0
        yield "and is in no queue", z3.And(*(word(place(thread, member)) == 0 for member in members[:4]), follows(end.memory, thread) == 0)
        yield "first is now the next of its equals, or of the others", word(queue) == heir
        yield "the notification knows whether there is one", word(state) == z3.If(heir == 0, spec.word(kernel.IDLE), spec.word(kernel.WAITING))
        yield "one that is left alone among its equals is in no ring", z3.Implies(
            pair, z3.And(word(place(following, "ring.next")) == 0, word(place(following, "ring.prev")) == 0))
        yield "in a ring the one before leads on", z3.Implies(z3.And(more, z3.Not(pair)), word(place(before, "ring.next")) == following)
        yield "and the one behind leads back", z3.Implies(z3.And(more, z3.Not(pair)), word(place(following, "ring.prev")) == before)
        yield "the next of the group is first of it", z3.Implies(more, z3.And(
            word(place(following, "higher")) == 0, word(place(following, "lower")) == below, follows(end.memory, following) == 0))
        yield "the group below knows what is above it", z3.Implies(below != 0, word(place(below, "higher")) == z3.If(more, following, spec.word(0)))
    return claims


_BACK, _TAKE = "caprock::enqueue_back", "caprock::(anonymous namespace)::take_from_ready"
CONTRACTS = (
    Contract("queue insertion", _BACK, "Schedule.v: insert_behind, equals are there", partial(_enqueue, False)),
    Contract("queue insertion", _BACK, "Schedule.v: insert_behind, no equals are there", partial(_enqueue, True)),
    Contract("queue removal", _TAKE, "Schedule.v: unplace, from equals", partial(_take, False)),
    Contract("queue removal", _TAKE, "Schedule.v: unplace, from no equals", partial(_take, True)),
    Contract("queue removal", "caprock::signal", "Messages.v: signal, of a notification for which threads wait", _signal,
             ends=("caprock::(anonymous namespace)::wake",)),
)
