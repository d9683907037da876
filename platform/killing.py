# SPDX-License-Identifier: BSD-2-Clause
"""Kills components of a system that runs on QEMU, or damages their code, from outside: by QEMU's debugger interface, so that nothing of the image takes
part in it. `Kills` and `Mutations` choose where by a seed; both go into machines.run, and end with a look at the system."""

import random
import select
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from guest import Later, Stop

_SPACE = 0x0000_ffff_ffff_fffe
_TRANSLATION = "TTBR0_EL1"
_SYSTEM_CALL = 0xd400_0001
_NOP = 0xd503_201f
_LOOP = 0x1400_0000
_WORD = 4
# Points of either kind at which one kill is aimed, stops of others at such a point until that is given up, and how many system calls a kill waits for at
# most; for one in so many kills more of them, so that the system gets on with its work.
_AIMS, _STRANGERS, _CALLS = 3, 8, 6
_LONG_LIVES, _LONG = 8, 64
# One in so many kills is a loop instead of a fault, of components that are watched for hangs.
_LOOPS = 32
# Periods of the restarter between damages, how many instructions are damaged at once, and how many in one life of a component before it ends.
_PERIODS, _BURST, _DAMAGES = 3, 4, 8
# Seconds in which a poll works, and after which a restart is missing.
_TURN, _PATIENCE = 0.3, 300


@dataclass(frozen=True)
class Code:
    """A component's code. space: physical address of its address space. pages: virtual and physical addresses of its pages, with the bytes of each.
    entry: where it starts. waits: functions in which it waits for what comes next, as ranges of addresses. hangs: a loop is noticed."""

    name: str
    space: int
    entry: int
    waits: tuple[tuple[int, int], ...]
    hangs: bool
    pages: tuple[tuple[int, int, bytes], ...]

    @cached_property
    def words(self) -> list[tuple[int, int]]:
        """Address and value of each instruction."""
        return [(vaddr + offset, int.from_bytes(content[offset:offset + _WORD], "little")) for vaddr, _, content in self.pages
                for offset in range(0, len(content), _WORD)]

    @cached_property
    def calls(self) -> set[int]:
        """Addresses of the instructions behind system calls."""
        return {address + _WORD for address, word in self.words if word == _SYSTEM_CALL}

    @cached_property
    def comes_back(self) -> set[int]:
        """Where it will be again, whatever it does: behind the calls by which it waits."""
        return {address for address in self.calls if any(start < address <= end for start, end in self.waits)} or self.calls

    def physical(self, address: int) -> int:
        """Where in memory an instruction is."""
        return next(physical + address - vaddr for vaddr, physical, content in self.pages if vaddr <= address < vaddr + len(content))


@dataclass
class Tally:
    """What a campaign has done. restarts: seen at the components' entries, by component."""

    kills: Counter[str] = field(default_factory=Counter)
    loops: int = 0
    places: set[tuple[str, int]] = field(default_factory=set)
    restarts: Counter[str] = field(default_factory=Counter)


class Campaign(Stop):
    """What kills and mutations share: breakpoints that count only in some address spaces, and the end."""

    def __init__(self, folder: Path, address: int, begin: Callable[[Stop], Sequence[Code]], later: Later, seed: int):
        """begin: looks at the machine where the loader is done, and gives the victims. later: the look at the end; it is wanted only when all is done."""
        super().__init__(folder, address, lambda stop: None, later)
        self._begin_at = begin
        self._random = random.Random(seed)
        self._points: set[int] = set()
        self._progress = time.monotonic()
        self.victims: Sequence[Code] = ()
        self.tally = Tally()
        self.settled = False

    def poll(self) -> tuple[int, str] | None:
        if self.settled and not self.finished and time.monotonic() > self._progress + _PATIENCE:
            self.finished = True
            return 1, f"nothing went on for {_PATIENCE} s, after {self.tally.kills.total()} kills and the last restart"
        if self.finished or self.settled or not self.reached:
            return super().poll()
        end = time.monotonic() + _TURN
        while not self.settled and time.monotonic() < end:
            if self._has_packet():
                self._take()
                self._stopped()
            elif select.select([self._socket], [], [], 0.01)[0]:
                if not self._receive():
                    self.finished = True   # whoever runs the machine says why
                    return None
            elif time.monotonic() > self._progress + _PATIENCE:
                self.finished = True
                return 1, f"nothing was restarted for {_PATIENCE} s, after {self.tally.kills.total()} kills ({self._state()})"
        return None

    def _look_first(self) -> tuple[int, str] | None:
        if self.register("cpsr") & 0b1100:
            self._pass()
            return None
        self.reached = True
        self.victims = self._begin_at(self)
        self._command("z1", f",{self._address:x},4")
        self._start()
        self._put("c")
        return None

    def _start(self) -> None:
        raise NotImplementedError

    def _stopped(self) -> None:
        """The machine stopped at a breakpoint."""
        raise NotImplementedError

    def _state(self) -> str:
        raise NotImplementedError

    def _insert(self, address: int) -> None:
        if address not in self._points:
            self._points.add(address)
            self._command("Z1", f",{address:x},4")

    def _remove(self, address: int) -> None:
        self._points.discard(address)
        self._command("z1", f",{address:x},4")

    def _remove_all(self) -> None:
        if self._points:
            self._several(*(f"z1,{address:x},4" for address in sorted(self._points)))
        self._points.clear()

    def _go_on(self, counter: int) -> None:
        """Goes on behind the instruction at which the machine stopped."""
        if counter not in self._points:
            self._put("c")
            return
        self._several(f"z1,{counter:x},4", "s")
        self._put(f"Z1,{counter:x},4")
        self._put("c")
        self._take(acknowledges=False)

    def _where(self) -> tuple[int, int]:
        """The address at which the machine stopped, and the address space of user level."""
        if not self._numbers:
            self.register("pc")
        counter, translation = (int.from_bytes(bytes.fromhex(text), "little")
                                for text in self._several(*(f"p{self._numbers[name]:x}" for name in ("pc", _TRANSLATION))))
        return counter, translation & _SPACE

    def _several(self, *requests: str) -> list[str]:
        """The answers to requests that are sent at once: turns cost most of a campaign's time."""
        for request in requests:
            self._put(request)
        return [self._take(acknowledges=False) for _ in requests]

    def _settle(self) -> None:
        """All is done: from now on the system goes its way, until the look at the end."""
        self._remove_all()
        self._progress = time.monotonic()
        self.settled = True


class Kills(Campaign):
    """Stops victims where chance wants it, and lets them go on nowhere, or for ever in one place."""

    def __init__(self, *arguments, kills: int):
        super().__init__(*arguments)
        self._left = kills
        self._victim: Code | None = None
        self._wait = 0
        self._strangers: Counter[tuple[str, int]] = Counter()
        self._seen: defaultdict[str, Counter[int]] = defaultdict(Counter)   # how often a victim was at an address, by its name
        self._waits_for_start = False

    def _start(self) -> None:
        self._aim()

    def _state(self) -> str:
        return f"{self._victim.name}, {'killed' if self._waits_for_start else 'to be killed'}"

    def _aim(self) -> None:
        """Chooses a victim, and how long it lives before it may be struck."""
        self._victim = self._random.choice(self.victims)
        self._waits_for_start = False
        self._wait = self._random.randrange(_LONG if self._random.randrange(_LONG_LIVES) == 0 else _CALLS)
        for address in sorted(self._victim.comes_back):
            self._insert(address)
        if self._wait < _CALLS:
            self._choose_places()

    def _choose_places(self) -> None:
        """Where the victim may be struck: at some of its instructions, or where it was before, such as behind its system calls."""
        seen = self._seen[self._victim.name]
        known = set(self._random.sample(sorted(seen), _AIMS)) if len(seen) > 2 * _AIMS else self._victim.calls
        chosen = known | {address for address, _ in self._random.sample(self._victim.words, _AIMS)}
        for address in sorted(address for address in chosen if not self._is_hidden(address)):
            self._insert(address)

    def _stopped(self) -> None:
        counter, space = self._where()
        is_victim = space == self._victim.space
        if self._waits_for_start:
            self._started(counter, is_victim)
        elif not is_victim:
            self._stranger(counter)
        else:
            self._seen[self._victim.name][counter] += 1
            if counter in self._victim.calls and self._wait > 0:
                self._let_live(counter)
            else:
                self._strike(counter)

    def _let_live(self, counter: int) -> None:
        """The victim goes on behind one of its calls; when few are left, it may be struck in other places, too."""
        self._wait -= 1
        if self._wait == _CALLS - 1:
            self._choose_places()
        self._go_on(counter)

    def _started(self, counter: int, is_victim: bool) -> None:
        if not is_victim:
            self._go_on(counter)
            return
        self._progress = time.monotonic()
        self.tally.restarts[self._victim.name] += 1
        self._remove_all()
        if self._left == 0:
            self._settle()
        else:
            self._aim()
        self._put("c")

    def _stranger(self, counter: int) -> None:
        """Another component is at an address of the victim's. One that often is hides the victim."""
        self._strangers[self._victim.name, counter] += 1
        if self._is_hidden(counter):
            self._remove(counter)
        self._go_on(counter)

    def _is_hidden(self, address: int) -> bool:
        """Whether others are at an address of the victim's so often that it is hard to find there, and it is not the only place."""
        name = self._victim.name
        return address not in self._victim.comes_back and self._strangers[name, address] >= _STRANGERS + 2 * self._seen[name][address]

    def _strike(self, counter: int) -> None:
        victim = self._victim
        self._left -= 1
        self.tally.kills[victim.name] += 1
        self.tally.places.add((victim.name, counter))
        self._remove_all()
        if victim.hangs and self._random.randrange(_LOOPS) == 0:
            self.tally.loops += 1
            self._command("M", f"{counter:x},4:{_LOOP.to_bytes(_WORD, 'little').hex()}")
        else:
            self._command("P", f"{self._numbers['pc']:x}={0:016x}")
        self._waits_for_start = True
        self._insert(victim.entry)
        self._put("c")


class Mutations(Campaign):
    """Damages instructions of victims while they run. What one has survived some damages is ended by overwriting all of its code."""

    def __init__(self, *arguments, mutations: int, clock: int, clock_space: Callable[[], int]):
        """clock: address of an instruction of the restarter's, once a period. clock_space: physical address of its address space, known at the beginning."""
        super().__init__(*arguments)
        self._left = mutations
        self._clock, self._clock_space = clock, clock_space
        self._periods = 0
        self._damages: Counter[str] = Counter()   # by victims, in their present lives
        self._wiped: set[str] = set()

    def _start(self) -> None:
        # Writes go to physical addresses from here on.
        self._command("Qqemu.PhyMemMode:1", "")
        for address in sorted({self._clock, *(victim.entry for victim in self.victims)}):
            self._insert(address)

    def _state(self) -> str:
        return f"damaged: {dict(self._damages)}"

    def _stopped(self) -> None:
        counter, space = self._where()
        if counter == self._clock and space == self._clock_space():
            self._period()
        victim = next((item for item in self.victims if (item.entry, item.space) == (counter, space)), None)
        if victim is not None:
            self._progress = time.monotonic()
            self.tally.restarts[victim.name] += 1
            self._damages.pop(victim.name, None)
            self._wiped.discard(victim.name)
        if self._left == 0 and not self._damages:
            self._settle()
        self._go_on(counter)

    def _period(self) -> None:
        self._periods += 1
        if self._periods % _PERIODS:
            return
        victim = self._random.choice(self.victims)
        if victim.name in self._wiped:
            return
        if self._left == 0 or self._damages[victim.name] >= _DAMAGES:
            if self._damages[victim.name]:
                self._wipe(victim)
            return
        for _ in range(min(_BURST, self._left)):
            self._damage(victim)

    def _damage(self, victim: Code) -> None:
        address, word = self._random.choice(victim.words)
        self._left -= 1
        self._damages[victim.name] += 1
        self.tally.kills[victim.name] += 1
        self.tally.places.add((victim.name, address))
        self._write(victim.physical(address), damaged(word, self._random).to_bytes(_WORD, "little"))

    def _wipe(self, victim: Code) -> None:
        """No instruction is left: the next one faults."""
        self._wiped.add(victim.name)
        for _, physical, content in victim.pages:
            self._write(physical, bytes(len(content)))

    def _write(self, physical: int, content: bytes) -> None:
        piece = 512
        for start in range(0, len(content), piece):
            part = content[start:start + piece]
            self._command("M", f"{physical + start:x},{len(part):x}:{part.hex()}")


def damaged(word: int, chance: random.Random) -> int:
    """An instruction with a mistake as programmers and hardware make them: left out, another register, another condition, or a bit."""
    kind = chance.randrange(5)
    if kind == 0:
        return _NOP
    if kind in (1, 2):
        shift = 0 if kind == 1 else 5   # target or first source
        return word & ~(31 << shift) | chance.randrange(32) << shift
    if kind == 3 and word >> 24 == 0x54:
        return word ^ 1                 # b.cond
    if kind == 3 and word >> 25 & 0x3f in (0b011010, 0b011011):
        return word ^ 1 << 24           # cbz, cbnz, tbz, tbnz
    return word ^ 1 << chance.randrange(32)
