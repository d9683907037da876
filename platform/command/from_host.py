# SPDX-License-Identifier: BSD-2-Clause
"""Looks at a system from outside, where its loader is done and nothing else has run: the stopped machine's kernel memory is read by a program of the
specification's (proofs-spec/reader/state.cc), and what stands there becomes a system to compare with the description, or to print."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import BUILD
from .errors import Finding, say

TARGET = "proofs-spec/reader/caprock-state"
CORE, TABLES, FREQUENCY = "TPIDR_EL1", "TTBR1_EL1", "CNTFRQ_EL0"
"""Registers that lead to what a kernel has: its state, its page tables, and how fast its counter runs."""


def run(setting, ready, look: Callable, *, timeout: float, output, offline: bool | None, before: Callable = lambda memory, places: None):
    """Runs a system (systems.Built), and calls `look` with what was found (capdl.observation.Observation) when it is complete; if that gives status and
    reason, the run ends with them, else the system goes on. Gives how it ended (machines.Outcome). before: is called ahead of the look, with memory
    and the places of objects."""
    import guest
    import machines
    from capdl import planned

    from .systems import in_one_line

    with tempfile.TemporaryDirectory(prefix="caprock-") as scratch:
        size = guest.memory_bytes(setting.memory)
        path = Path(scratch) / "memory"
        with open(path, "wb") as file:
            file.truncate(size)
        stop = guest.Stop(Path(scratch), planned.symbols(ready.root)[planned.READY],
                          lambda at: look(observe(at, guest.Memory(path, guest.MEMORY_STARTS[setting.machine]), ready, before)))
        extra = (*stop.arguments, "-object", f"memory-backend-file,id=shared,size={size},mem-path={path},share=on", "-machine", "memory-backend=shared")
        try:
            outcome = in_one_line(machines.run, setting, timeout=timeout, image=ready.image, payload=ready.payload, offline=offline, output=output,
                                  extra=extra, beside=stop.poll)
        except guest.GuestError as error:
            raise Finding(str(error)) from error
    if not stop.reached and outcome.status == 0:
        raise Finding("the loader never came to the end of its work, and the system ended without an error (is its root task another one?)")
    return outcome


def observe(stop, memory, ready, before: Callable):
    """What the machine consists of that has stopped."""
    import guest
    from capdl import kernel_state, lower, observation, planned

    frequency = stop.register(FREQUENCY)
    image = memory.walk(stop.register(TABLES), guest.KERNEL_BASE)
    state = kernel_state.parse(read_state(memory, image, stop.register(CORE), frequency))
    tables = lower.lower(ready.spec)
    space = state.slots[state.current + kernel_state.SLOT_BYTES].address
    places = planned.places(tables, planned.symbols(ready.root), space, memory)
    before(memory, places)
    return observation.Observer(ready.spec, tables, state, memory, frequency, places).look()


def read_state(memory, image: int, core: int, frequency: int) -> str:
    """The kernel's state as text. image: physical address of its image. core: of its core's data, its own address."""
    command = [BUILD / TARGET, "--memory", memory.path, "--start", memory.start, "--image", image, "--core", core, "--frequency", frequency]
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Finding(f"the kernel's memory makes no sense: {done.stderr.strip() or done.returncode} (is the build current? ./caprock build)")
    return done.stdout


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
