# SPDX-License-Identifier: BSD-2-Clause
"""Looks at a system from outside, where its loader is done and nothing else has run, or when it has said something: the stopped machine's kernel memory
is read by a program of the specification's (proofs-spec/reader/state.cc), and what stands there becomes a system to compare with the description, or to
print."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import BUILD
from .errors import Finding, in_one_line, say

TARGET = "proofs-spec/reader/caprock-state"
CORE, TABLES, FREQUENCY = "TPIDR_EL1", "TTBR1_EL1", "CNTFRQ_EL0"
"""Registers that lead to what a kernel has: its state, its page tables, and how fast its counter runs."""


class Listener:
    """A console that knows what was said. output: where it goes on to, or None."""

    def __init__(self, output):
        self.said = ""
        self._output = output

    def write(self, text: str) -> None:
        """More is said."""
        self.said += text
        if self._output is not None:
            self._output.write(text)

    def flush(self) -> None:
        """All of it is to be seen."""
        if self._output is not None:
            self._output.flush()


def run(setting, ready, look: Callable, *, timeout: float, output, offline: bool | None, before: Callable = lambda memory, places: None,
        at: str | None = None):
    """Runs a system (systems.Built), and calls `look` with what was found (capdl.observation.Observation) when it is complete, or, with `at`, when its
    console has said that; if that gives status and reason, the run ends with them, else the system goes on. Gives how it ended (machines.Outcome). before:
    is called ahead of the look, with memory and the places of objects."""
    import guest
    import machines
    from capdl import planned

    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        size = guest.memory_bytes(setting.memory)
        path = Path(scratch) / "memory"
        with open(path, "wb") as file:
            file.truncate(size)
        console = Listener(output)
        eye = Eye(ready, guest.Memory(path, guest.MEMORY_STARTS[setting.machine]), before)
        later = None if at is None else guest.Later(lambda: at in console.said, lambda stop: look(eye.look(stop, running=True)))
        stop = guest.Stop(Path(scratch), planned.symbols(ready.root)[planned.READY], eye.remember if later else lambda stop: look(eye.look(stop)), later)
        extra = (*stop.arguments, "-object", f"memory-backend-file,id=shared,size={size},mem-path={path},share=on", "-machine", "memory-backend=shared")
        try:
            outcome = in_one_line(machines.run, setting, timeout=timeout, image=ready.image, payload=ready.payload, offline=offline, output=console,
                                  extra=extra, beside=stop.poll)
        except guest.GuestError as error:
            raise Finding(str(error)) from error
    if not stop.reached and outcome.status == 0:
        raise Finding("the loader never came to the end of its work, and the system ended without an error (is its root task another one?)")
    if later and not stop.finished and outcome.status == 0:
        raise Finding(f"the system ended before its console said {at!r} (nothing was read)")
    return outcome


class Eye:
    """Looks at a machine that stands still, once or twice: a system that runs is found where the loader planned its objects."""

    def __init__(self, ready, memory, before: Callable):
        from capdl import lower

        self._ready, self._memory, self._before = ready, memory, before
        self._tables = lower.lower(ready.spec)
        self.places: dict[str, int] = {}
        self._present: frozenset[tuple[str, int]] = frozenset()

    def remember(self, stop) -> None:
        """Where objects are, while the loader is there, and what there is: whatever is made later, the system has made."""
        from capdl import kernel_state, planned

        state = self._state(stop)
        space = state.slots[state.current + kernel_state.SLOT_BYTES].address
        self.places = planned.places(self._tables, planned.symbols(self._ready.root), space, self._memory)
        self._present = frozenset(state.things())

    def look(self, stop, running: bool = False):
        """What the machine consists of. running: it goes its way, and the loader is gone."""
        from capdl import observation

        if not running:
            self.remember(stop)
            self._before(self._memory, self.places)
        return observation.Observer(self._ready.spec, self._tables, self._state(stop, running), self._memory, stop.register(FREQUENCY), self.places,
                                    self._present if running else None).look()

    def _state(self, stop, running: bool = False):
        """The kernel's state. It is found from the thread that runs, or from the CNode that the loader leaves."""
        import guest
        from capdl import kernel_state, lower

        image = self._memory.walk(stop.register(TABLES), guest.KERNEL_BASE)
        words = ["--memory", self._memory.path, "--start", self._memory.start, "--image", image, "--core", stop.register(CORE), "--frequency",
                 stop.register(FREQUENCY)]
        if running:
            vault = self._tables.objects[self._tables.vault]
            words += ["--root", self.places[vault.name], "--radix", vault.bits - lower.SLOT_BITS]
        command = [str(word) for word in (BUILD / TARGET, *words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Finding(f"the kernel's memory makes no sense: {done.stderr.strip() or done.returncode} (is the build current? ./caprock build)")
        return kernel_state.parse(done.stdout)


def compare(spec, observation) -> tuple[int, str] | None:
    """Says what differs, and ends the run; or that nothing does."""
    found = observation.deviations(spec)
    for line in found:
        print(f"caprock: deviation: {line}", flush=True)
    if found:
        return 1, f"the system differs from its description in {len(found)} places, read from the host"
    slots = sum(len(item.slots) for item in spec.objects.values())
    say(f"verified {spec.name} from the host: {len(spec.objects)} objects and {slots} slots are as described; " + ", ".join(observation.remainder))
    return None


def take(texts: list[str], observation) -> tuple[int, str]:
    """Keeps what was found, as a canonical description with what else there is in comments; that is all the run is for."""
    from capdl.printing import canonical_text

    texts.append(canonical_text(observation.live) + "".join(f"-- {line}\n" for line in [*observation.findings, *observation.remainder]))
    return 0, "read"
