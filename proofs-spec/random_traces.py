# SPDX-License-Identifier: BSD-2-Clause
"""Random traces: a small system of threads that hold every kind of capability, and events that are mostly meaningful in it. The
specification's own invariants are what they are checked against. Run as a program it measures the oracle's speed with such a trace."""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from traces import BOOT, CONSTANTS, METHODS, READ_WRITE_GRANT, SLOT_BYTES, Oracle, Session, enum, init_slot, message_info

ROOT_CNODE = BOOT["cnode"]
UNTYPED = init_slot("FirstDynamic") + BOOT["cores"]
SCHED_CONTROL = init_slot("FirstDynamic")
CNODE = init_slot("CNode")
# Kinds of objects that a thread receives from.
RECEIVABLE = ("Endpoint", "Endpoint", "Notification")
# Slots of the root CNode that random events use.
FIRST, LAST = 100, 180
# How many objects of each type there are at the start: type, choice of size, count.
START = (("TCB", 0, 5), ("Endpoint", 0, 3), ("Notification", 0, 3), ("Reply", 0, 4), ("SchedContext", 8, 4), ("CNode", 3, 3), ("SmallPage", 0, 5),
         ("PageTable", 0, 4), ("VSpace", 0, 2), ("Untyped", 13, 2), ("LargePage", 0, 1))
# Kinds of capabilities by the names that the API gives arguments.
PRESENT_KINDS = ("Untyped", "TCB", "Endpoint", "Notification", "CNode", "SchedContext", "Reply", "VSpace", "PageTable", "Frame", "IRQHandler",
                 "SGISignal", "ASIDPool")
FIXED = {"IRQControl": init_slot("IRQControl"), "ASIDControl": init_slot("ASIDControl"), "Domain": init_slot("Domain"),
         "Inspect": init_slot("Inspect"), "SchedControl": SCHED_CONTROL}
# Capabilities of the root task that random arguments name besides those of the system.
OWN = {"VSpace": [init_slot("VSpace")] * 4, "ASIDPool": [init_slot("ASIDPool")], "TCB": [], "Untyped": [UNTYPED]}
ROOT = BOOT["thread"]
SENDS = ("Call", "Call", "Send", "NBSend", "NBSend", "NBSend", "ReplyRecv", "ReplyRecv", "Recv", "NBRecv", "NBRecv", "NBRecv", "Wait", "NBWait",
         "NBWait", "NBSendRecv", "NBSendWait", "Yield")
# What the root task does besides invocations: nothing that can block or fault, so that it goes on for ever.
ROOT_SENDS = ("NBSend", "NBSend", "Yield", "Yield", "Yield")

# Methods that take a system apart, which come more rarely, and methods that keep it going, which come more often.
DESTRUCTIVE = ("CNode.Revoke", "CNode.Delete", "TCB.Suspend", "SchedContext.Unbind", "SchedContext.UnbindObject", "TCB.SetSpace", "TCB.Configure",
               "Domain.Set", "Domain.ScheduleSetStart")
CONSTRUCTIVE = ("TCB.Resume", "TCB.Resume", "TCB.Resume", "SchedContext.Bind", "SchedControl.ConfigureFlags", "Untyped.Retype", "CNode.Mint",
                "CNode.Copy", "TCB.Configure", "TCB.SetSchedParams", "Frame.Map", "PageTable.Map", "ASIDPool.Assign")

# Domain schedules that begin with the root task's domain, so that it always runs again.
DOMAIN_WORDS = {"Domain.ScheduleConfigure": ((0, 0, 500), (1, 1, 100), (2, 0, 100), (1, 0, 0), (0, 0, 0), (64, 0, 1), (1, 16, 1)),
                "Domain.ScheduleSetStart": ((0,), (0,), (64,))}


class RandomSystem:
    """Replays random events on an oracle. The same seed makes the same events. `crowd` is how many capabilities there are besides."""

    def __init__(self, program, seed, crowd=0, check=True):
        self.random = random.Random(seed)
        self.oracle = Oracle(program, check=check)
        self.session = Session(self.oracle)
        self.seen = {}
        self._set_up(crowd)

    def close(self):
        self.oracle.close()

    def _set_up(self, crowd):
        slot = LAST
        while crowd > 0:
            count = min(crowd, CONSTANTS["retype_fan_out_limit"])
            self.session.invoke("Untyped.Retype", UNTYPED, enum("ObjectType", "Endpoint"), 0, 0, 0, slot, count, caps=[CNODE])
            slot, crowd = slot + count, crowd - count
        slot = FIRST
        for kind, size, count in START:
            self.session.invoke("Untyped.Retype", UNTYPED, enum("ObjectType", kind), size, 0, 0, slot, count, caps=[CNODE])
            slot += count
        self._refresh()
        contexts, frames = self.held["SchedContext"], self.held["Frame"]
        for number, thread in enumerate(self.held["TCB"]):
            frame = frames[number % len(frames)]
            self.session.invoke("TCB.Configure", thread, 0, 0, 0x20000000 + number * 4096, caps=[CNODE, init_slot("VSpace"), frame])
            if number < len(contexts):
                self.session.invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, 100 * (number + 1), 1000 if number else 100, number, number, number & 1,
                                    caps=[contexts[number]])
            context = contexts[number] if number < len(contexts) else 0
            priority, fault_endpoint = (255, self.held["Endpoint"][0]) if number < 3 else (254, 0)
            self.session.invoke("TCB.SetSchedParams", thread, 255, priority, caps=[init_slot("TCB"), context, fault_endpoint])
            self.session.invoke("TCB.Resume", thread)

    def _refresh(self):
        """What the root CNode holds, and where the threads' IPC buffers are."""
        self.state = self.oracle.state()
        self.held = {kind: [] for kind in PRESENT_KINDS}
        self.empty = []
        for number in range(FIRST, LAST):
            entry = self.state.slots.get(ROOT_CNODE + SLOT_BYTES * number)
            if entry is None:
                self.empty.append(number)
            elif (kind := entry["capability"].split("(")[0]) in self.held:
                self.held[kind].append(number)
        self.session.buffers = {}
        for address, thing in self.state.objects.items():
            entry = self.state.slots.get(address + 2 * SLOT_BYTES)
            if thing["kind"] == "TCB" and thing["buffer"] and entry and entry["capability"].startswith("Frame"):
                base, bits = (int(part, 16) for part in entry["capability"][6:].split(",")[:2])
                self.session.buffers[address] = base + thing["buffer"] % (1 << bits)

    def pick(self, kind):
        """A slot with a capability of a kind, mostly."""
        choices = [slot for name in kind.split(" or ") for slot in ([0] if name == "null" else [FIXED[name]] if name in FIXED
                                                                   else self.held.get(name, []) + OWN.get(name, []))]
        if not choices or self.random.random() < 0.05:
            return self.random.choice((0, UNTYPED, self.random.randrange(FIRST, LAST)))
        return self.random.choice(choices)

    def pick_empty(self):
        if not self.empty or self.random.random() < 0.05:
            return self.random.randrange(FIRST, LAST)
        return self.random.choice(self.empty)

    def word(self, method, name, kind):
        """A value for a word argument."""
        choose = self.random.choice
        if self.random.random() < 0.03 and not method.startswith("Domain"):
            return choose((0, 1, 2**64 - 1, 4096, self.random.getrandbits(16)))
        if name in ("dest_index", "index") and method not in ("CNode.Revoke", "CNode.Delete", "CNode.CancelBadgedSends", "Domain.ScheduleConfigure",
                                                               "Domain.ScheduleSetStart"):
            return self.pick_empty()
        if name.endswith("index") or name == "node_offset":
            return self.random.randrange(FIRST, LAST)
        special = {"node_depth": (0, 0, 0, 64), "size_bits": (1, 3, 4, 7, 8, 12), "num_objects": (1, 1, 2, 3), "object_type": range(12),
                   "badge": (0, 1, 2, 3), "dest_badge": (0,), "pivot_badge": (0,), "rights": (15, 15, 3, 1, 2, 7), "budget": (50, 100, 200),
                   "period": (200, 1000, 5000), "extra_refills": (0, 1, 2), "flags": range(16), "count": range(12), "buffer": (0, 0x20000000, 0x20001000),
                   "priority": range(248, 256), "mcp": (255, 255, 250), "vaddr": (0, 4096, 8192, 0x200000, 0x40000000, 0x8000000000),
                   "attributes": range(8), "start": (0, 64, 4096), "end": (64, 4096, 65536), "irq": (2, 3, 33, 34, 35, 1020, 27), "trigger": (0, 1),
                   "target": (0, 0, 3), "slot": range(FIRST, LAST), "core": (0, 1), "number": range(8), "type": (0, 1), "size": (0, 4, 8), "access": (0, 1, 2),
                   "clear": range(8), "set": (0, 0, 1), "domain": (0,), "cspace_root_data": (0, 0, 52), "instructions": (0, 1, 2), "tls_base": (7,),
                   "vspace_root_data": (0,)}
        if name.endswith("depth"):
            return 64
        return choose(list(special.get(name, (0, 1))))

    def invocation(self):
        name = self.random.choice(list(METHODS))
        if self.random.random() < 0.35 or (name in DESTRUCTIVE and self.random.random() < 0.5):
            name = self.random.choice(CONSTRUCTIVE)
        method = METHODS[name]
        kind = method["object"]["name"]
        target = CNODE if kind == "CNode" else UNTYPED if kind == "Untyped" and self.random.random() < 0.7 else self.pick(kind)
        words = [self.word(name, entry["name"], entry["type"]) for entry in method["words"]]
        if "tail" in method:
            words += [self.random.getrandbits(32) & ~3 for _ in range(self.random.randrange(12))]
        caps = [CNODE if entry["name"].endswith("root") and entry["kind"] == "CNode" else self.pick(entry["kind"]) for entry in method["caps"]]
        if name == "CNode.Rotate":
            words[0:2], words[3:5], words[6:8] = [self.pick_empty(), 64], [self.random.randrange(FIRST, LAST), 64], [self.random.randrange(FIRST, LAST), 64]
        if name in DOMAIN_WORDS:
            words = list(self.random.choice(DOMAIN_WORDS[name]))
        call = "NBSend" if self.session.running == ROOT else self.random.choice(("Call", "Call", "Call", "Send", "NBSend"))
        preempt = self.random.choice((None, None, 0, 1, 2, 3)) if self.random.random() < 0.3 else None
        outcome = self.session.system_call(call, {"x0": target}, words, caps, method["label"], preempt_after=preempt)
        return f"{call} {name}", outcome

    def message(self):
        name = self.random.choice(ROOT_SENDS if self.session.running == ROOT else SENDS)
        words = [self.random.getrandbits(20) for _ in range(self.random.choice((0, 1, 4, 12, 14)))]
        caps = [self.random.randrange(FIRST, LAST) for _ in range(self.random.choice((0, 0, 1, 3)))]
        targets = ("Endpoint", "Endpoint", "Notification", "Reply", "SGISignal") if name.endswith(("Send", "Call")) else RECEIVABLE
        registers = {"x0": self.pick(self.random.choice(targets)), "x6": self.pick("Reply"),
                     "x8": self.pick(self.random.choice(("Endpoint", "Notification", "Reply")))}
        memory = {}
        buffers = self.session.buffers
        for thread in (*self.state.objects,):
            if thread in buffers:
                memory |= {buffers[thread] + 992 + 8: CNODE, buffers[thread] + 992: CNODE}
        for buffer in buffers.values():
            memory |= {buffer + 1000: CNODE, buffer + 1008: self.pick_empty(), buffer + 1016: 64}
        flags = CONSTANTS["syscall_flag_require_donation"] if self.random.random() < 0.3 else 0
        return name, self.session.system_call(name, registers, words, caps, self.random.choice((0, 0, 0, 1, 55)), memory=memory, flags=flags)

    def environment(self):
        """An event that is no system call."""
        self.oracle.time += self.random.choice((10, 1000, 10000, 100000))
        kind = self.random.choice(("timer", "timer", "timer", "irq", "irq", self.random.choice(("memory", "exception", "debug", "bad"))))
        if self.session.running in (None, ROOT) and kind not in ("timer", "irq"):
            kind = "timer"
        if kind == "bad":
            return kind, self.session.system_call("Call", {"x7": 77})
        arguments = {"timer": (), "irq": (self.random.choice((2, 33, 34, 1020)),), "memory": (0x1234000, self.random.choice((0, 1)), 0x92000007),
                     "exception": (0, 0x2000000), "debug": (self.random.choice(("SingleStep", "Data", "SoftwareBreakRequest")), 0x4000, 1)}[kind]
        outcome = self.oracle.event(kind, *arguments)
        self.session.running = outcome.current
        return kind, outcome

    def step(self):
        """One random event; counts what came of it by kind."""
        chance = self.random.random()
        if self.session.running is None or chance < 0.1:
            kind, outcome = self.environment()
        else:
            invokes = chance < (0.6 if self.session.running == ROOT else 0.3)
            kind, outcome = self.invocation() if invokes else self.message()
        self.seen[kind, outcome.result] = self.seen.get((kind, outcome.result), 0) + 1
        self._refresh()
        return outcome


# ---- Speed -------------------------------------------------------------------------------------------------------------------------
def speed_trace(program, seed, events, rounds):
    """A trace of random events among 1,000 capabilities, done over and over from the same state, and how many capabilities there are."""
    system = RandomSystem(program, seed, crowd=1000, check=False)
    start = len(system.oracle.trace)
    capabilities = len(system.state.slots)
    for _ in range(events):
        system.step()
    lines = [line for line in system.oracle.trace if line not in ("flush", "state")]
    start = sum(line not in ("flush", "state") for line in system.oracle.trace[:start])
    system.close()
    return lines[:start] + ["save start"] + (lines[start:] + ["restore start"]) * rounds, capabilities


def seconds(program, mode, path):
    """Processor time that a replay takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([program, mode, path], check=True, stdout=subprocess.DEVNULL, timeout=600)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main():
    parser = argparse.ArgumentParser(description="Measures how many random events the oracle replays in a second of processor time.")
    parser.add_argument("program", type=Path, help="the oracle; build.py prints where it is")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=1000, help="how many events there are")
    parser.add_argument("--rounds", type=int, default=50, help="how often they are replayed")
    arguments = parser.parse_args()
    lines, capabilities = speed_trace(arguments.program, arguments.seed, arguments.events, arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace")
        path.write_text("\n".join(lines) + "\n")
        print(f"{arguments.events * arguments.rounds} events among {capabilities} capabilities")
        for mode, meaning in (("--quiet", "replayed"), ("--digests", "replayed, with the digest of the state after each")):
            print(f"{int(arguments.events * arguments.rounds / seconds(arguments.program, mode, path))} events a second {meaning}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
