# SPDX-License-Identifier: BSD-2-Clause
"""The checker of policies against the specification: random systems of at most four threads are executed exhaustively, up to a bound, by the
specification's oracle. No thread may ever hold more than its authority, and what a thread changes of another one, a way of flow has to lead to.

    policy_oracle.py ORACLE --systems N --seed S [--states M]        N systems from seed S on, M states of each
"""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "proofs-spec")]

from traces import BOOT, BUFFER, METHODS, SLOT_BYTES, Oracle, Session, enum, init_slot  # noqa: E402 (the path comes first)

from capdl.authority import Closure, Item  # noqa: E402
from capdl.authority_flow import Flow  # noqa: E402
from capdl.model import TCB_SLOTS, Cap, Object, Spec  # noqa: E402
from capdl.report_authority import find_subjects  # noqa: E402

ROOT_CNODE, ROOT_THREAD = BOOT["cnode"], BOOT["thread"]
UNTYPED, SCHED_CONTROL = init_slot("FirstDynamic") + BOOT["cores"], init_slot("FirstDynamic")
CNODE = init_slot("CNode")
RADIX, SLOTS, GUARD, DEPTH = 3, 8, 61, 64
# In a thread's CNode: its own CNode, if it has it; a reply object; and a slot for what comes with a message.
OWN, REPLY, RECEIVED = 1, 2, 7
MESSAGE_REGISTERS = {f"x{number}" for number in (*range(6), *range(9, 17))}
CALL_CANCELLED = f"{enum('Error', 'CallCancelled') << 12:#x}"
KINDS = {"Untyped": "ut", "Endpoint": "ep", "Notification": "notification", "Reply": "rtreply", "CNode": "cnode", "TCB": "tcb", "SchedContext": "sc",
         "VSpace": "pgd", "PageTable": "pt", "Frame": "frame", "IRQHandler": "arm_irq", "SGISignal": "arm_sgi_signal", "ASIDPool": "asid_pool"}
BUILT_IN = {"IRQControl": "irq_control", "ASIDControl": "asid_control", "Domain": "domain", "SchedControl": "sched_control"}
RIGHTS = ((2, "R"), (1, "W"), (4, "G"), (8, "P"))
THREAD_SLOTS = ("cspace", "vspace", "ipc_buffer_slot", "fault_ep_slot", "temp_fault_ep_slot")
# What is handed out at random: (type, size, rights that a capability may get).
HANDED = (("Endpoint", 0, (1, 2, 3, 5, 6, 9, 10, 13, 15)), ("Notification", 0, (1, 2, 3)), ("SmallPage", 0, (2, 3)), ("CNode", RADIX, (15,)),
          ("Untyped", 11, (15,)), ("Reply", 0, (15,)))


KINDS_TO_MAKE = {kind for kind, *_ in HANDED}
# What a plan can hand out of a thread, by its number.
PARTS = ("Thread", "CSpace")


class Failure(Exception):
    """The checker's answer was exceeded."""


def label(kind, *numbers):
    """What an object is called: what it is, where, and how large if that is needed."""
    return ":".join([kind, *(f"{number:x}" for number in numbers)])


def letters(rights):
    """Rights as the description language spells them."""
    return "".join(letter for bit, letter in RIGHTS if rights & bit)


def parts_of(capability):
    """(kind, numbers) of a capability as the oracle prints it."""
    name, _, inside = capability.rstrip(")").partition("(")
    return name, [None if part == "-" else int(part, 16) for part in inside.split(",")] if inside else []


def as_cap(capability):
    """A capability of the oracle as (model.Cap, the kind of its object), where objects are called by what they are and where."""
    kind, numbers = parts_of(capability)
    if kind in BUILT_IN:
        return Cap(None, built_in=BUILT_IN[kind]), BUILT_IN[kind]
    if kind not in KINDS:
        return None, kind
    name = label(KINDS[kind], *numbers[:2 if kind in ("Untyped", "Frame") else 1])
    rights = {"Endpoint": 2, "Notification": 2, "Frame": 3}.get(kind)
    return Cap(name, rights="" if rights is None else letters(numbers[rights])), KINDS[kind]


def entries_of(thing):
    """(index, Cap) of a page table's entries."""
    text = thing["entries"]
    for part in [] if text is None else text.replace("),", ")\n").split("\n"):
        index, _, entry = part.partition(":")
        kind, numbers = parts_of(entry)
        if kind == "table":
            yield int(index, 16), Cap(label("pt", numbers[0]))
        else:
            yield int(index, 16), Cap(label("frame", *numbers[:2]), rights=letters(numbers[3]))


def read_spec(state):
    """The description of a state of the oracle, without the root task."""
    spec, names = Spec("oracle"), {}
    for address, thing in state.objects.items():
        kind = KINDS[thing["kind"]]
        names[address] = label(kind, address)
        if address not in (ROOT_THREAD, ROOT_CNODE):
            spec.objects[names[address]] = Object(names[address], kind, size_bits=thing.get("radix"))
    for address, entry in state.slots.items():
        add_object(spec, entry["capability"])
    for address, thing in state.objects.items():
        for index, cap in entries_of(thing) if thing["kind"] in ("VSpace", "PageTable") else ():
            spec.objects[names[address]].slots[index] = cap
            if cap.object not in spec.objects:
                base, bits = (int(part, 16) for part in cap.object.split(":")[1:])
                spec.objects[cap.object] = Object(cap.object, "frame", size_bits=bits, paddr=base)
    for address, entry in state.slots.items():
        add_cap(spec, state, names, address, as_cap(entry["capability"])[0])
    for address, thing in state.objects.items():
        if thing["kind"] == "TCB" and names[address] in spec.objects:
            for field, slot, kind in (("sched_context", "sc_slot", "sc"), ("notification", "bound_notification", "notification")):
                if thing[field]:
                    spec.objects[names[address]].slots[TCB_SLOTS[slot]] = Cap(label(kind, thing[field]), rights="R" if kind == "notification" else "")
    cover(spec, state)
    return spec


def add_object(spec, capability):
    """What only capabilities say that it is there: memory and interrupts."""
    kind, numbers = parts_of(capability)
    cap, kind = as_cap(capability)
    if cap is None or cap.object is None or cap.object in spec.objects or kind not in ("ut", "frame", "arm_irq", "arm_sgi_signal"):
        return
    placed = kind in ("ut", "frame")
    spec.objects[cap.object] = Object(cap.object, kind, size_bits=numbers[1] if placed else None, paddr=numbers[0] if placed else None,
                                      params={"irq": numbers[0]} if kind == "arm_sgi_signal" else {})
    if kind == "arm_irq":
        spec.irqs[numbers[0]] = cap.object


def add_cap(spec, state, names, address, cap):
    """Put a capability into the CNode or thread that has its slot."""
    for holder, thing in state.objects.items():
        count = 1 << thing["radix"] if thing["kind"] == "CNode" else len(THREAD_SLOTS) if thing["kind"] == "TCB" else 0
        number = (address - holder) // SLOT_BYTES
        if 0 <= number < count and cap is not None and names[holder] in spec.objects:
            spec.objects[names[holder]].slots[number if thing["kind"] == "CNode" else TCB_SLOTS[THREAD_SLOTS[number]]] = cap


def cover(spec, state):
    """Say which untyped covers what: the smallest that an object lies in."""
    untypeds = sorted((item for item in spec.objects.values() if item.type == "ut"), key=lambda item: item.size_bits)
    for item in spec.objects.values():
        if item.type in ("arm_irq", "arm_sgi_signal"):
            continue
        address, bits = int(item.name.split(":")[1], 16), item.size_bits if item.type == "ut" else 0
        for untyped in untypeds:
            if untyped.paddr <= address < untyped.paddr + (1 << untyped.size_bits) and untyped.size_bits > bits and untyped is not item:
                untyped.children.append(item.name)
                break


class System:
    """A system that the root task makes, which then is out of it: a random one, or one with what `plan` lists, (type, size, rights by thread, and the thread
    whose faults go there or None), or (a part of PARTS, whose, rights, None). threads: slots of what each consists of."""

    def __init__(self, program, seed, plan=None):
        self.random = Random(seed)
        self.oracle = Oracle(program)
        self.session = Session(self.oracle)
        self.next = 100
        if plan is None:
            self._draw()
        else:
            moves = any(kind not in ("Endpoint", "Notification") for kind, *_ in plan)
            self.threads = [self._thread(moves) for _ in range(max(2, 1 + max(number for _, _, rights, _ in plan for number in rights)))]
            for entry in plan:
                self._give(*entry)
        for tcb, *_ in self.threads:
            self._invoke("TCB.Resume", tcb)
        self._invoke("TCB.Suspend", init_slot("TCB"))
        self.start = self.oracle.state()

    def _draw(self):
        """A random system."""
        count = self.random.choice((2, 3, 3, 4, 4))
        self.threads = [self._thread(self.random.random() < 0.6) for _ in range(count)]
        for thread in self.threads:
            if self.random.random() < 0.3:
                self._mapped(thread[2])
        for _ in range(self.random.randrange(1, 5)):
            self._hand_out()
        if self.random.random() < 0.2:
            # There is one of these capabilities, which is moved.
            thread = self.random.choice(self.threads)
            self._invoke("CNode.Move", thread[1], thread[3].pop() if thread[3] else RECEIVED, RADIX, init_slot("IRQControl"), 64, caps=[CNODE])

    def _give(self, kind, size, rights, faulter):
        """What one entry of a plan says."""
        source = self._make(kind, size) if kind in KINDS_TO_MAKE else self.threads[size][PARTS.index(kind)]
        for thread, mask in rights.items():
            self._mint(self.threads[thread], self.threads[thread][3].pop(0), source, mask, GUARD if kind in ("CNode", "CSpace") else 0)
        if faulter is not None:
            self._handle(self.threads[faulter], source)

    def _handle(self, thread, endpoint):
        """An endpoint becomes a thread's fault handler."""
        tcb, *_, context = thread
        self._invoke("TCB.SetSchedParams", tcb, 255, 254, caps=[init_slot("TCB"), context, endpoint])

    def _invoke(self, name, target, *words, caps=()):
        """A call of the root task that has to succeed."""
        outcome = self.session.invoke(name, target, *words, caps=caps)
        assert outcome.result == "Succeeds", (name, outcome)

    def _make(self, kind, size=0):
        """A new object: its slot in the root task's CNode."""
        self._invoke("Untyped.Retype", UNTYPED, enum("ObjectType", kind), size, 0, 0, self.next, 1, caps=[CNODE])
        self.next += 1
        return self.next - 1

    def _thread(self, owns):
        """A thread with a CSpace, an address space, a buffer and time: slots of TCB, CNode and VSpace, the slots of the CNode that are free,
        and the slot of its time. owns: it holds its own CNode."""
        tcb, cnode, space = self._make("TCB"), self._make("CNode", RADIX), self._make("VSpace")
        frame, context = self._make("SmallPage"), self._make("SchedContext", 8)
        self._invoke("ASIDPool.Assign", init_slot("ASIDPool"), caps=[space])
        self._invoke("TCB.Configure", tcb, GUARD, 0, 0x20000000, caps=[cnode, space, frame])
        self._invoke("SchedControl.ConfigureFlags", SCHED_CONTROL, 100000, 100000, 0, 0, 0, caps=[context])
        self._invoke("TCB.SetSchedParams", tcb, 255, 254, caps=[init_slot("TCB"), context, 0])
        free = [number for number in range(1, SLOTS - 1) if number not in (OWN, REPLY)]
        thread = (tcb, cnode, space, free, context)
        if owns:
            self._mint(thread, OWN, cnode, 15, GUARD)
        self._mint(thread, REPLY, self._make("Reply"), 15, 0)
        return thread

    def _mapped(self, space):
        """A page that is mapped, and what maps it."""
        for _ in range(3):
            self._invoke("PageTable.Map", self._make("PageTable"), 0, 0, caps=[space])
        self.shared = getattr(self, "shared", None) or self._make("SmallPage")
        copy, self.next = self.next, self.next + 1
        self._invoke("CNode.Copy", CNODE, copy, 64, self.shared, 64, 15, caps=[CNODE])
        self._invoke("Frame.Map", copy, 0, self.random.choice((2, 3)), 0, caps=[space])

    def _mint(self, thread, slot, source, rights, badge):
        """Give a thread a capability."""
        self._invoke("CNode.Mint", thread[1], slot, RADIX, source, 64, rights, badge, caps=[CNODE])

    def _place(self, source, rights, badge):
        """Give some thread a capability if it has room."""
        thread = self.random.choice(self.threads)
        if thread[3]:
            self._mint(thread, thread[3].pop(0), source, rights, badge)

    def _hand_out(self):
        """Something that several may get: a new object, or what a thread consists of."""
        if self.random.random() < 0.25:
            thread = self.random.choice(self.threads)
            choice = self.random.randrange(3)
            self._place(thread[choice], 15, GUARD if choice == 1 else 0)
            return
        kind, size, masks = self.random.choice(HANDED)
        source = self._make(kind, size)
        # An untyped has no second capability while one was derived from it.
        for _ in range(1 if kind == "Untyped" else self.random.choice((1, 2, 2, 3))):
            self._place(source, self.random.choice(masks), GUARD if kind == "CNode" else 0)
        if kind == "Endpoint" and self.random.random() < 0.3:
            self._handle(self.random.choice(self.threads), source)


def operations(state, thread):
    """All that a thread may do of what is worth trying: (system call, registers, words, capabilities, label)."""
    caps = own_caps(state, thread)
    by_kind = defaultdict(list)
    for slot, capability in caps.items():
        by_kind[parts_of(capability)[0]].append(slot)

    def invoke(name, target, *words, caps=()):
        return "NBSend", {"x0": target}, words, caps, METHODS[name]["label"]
    yield "Yield", {}, (), (), 0
    for slot in by_kind["Endpoint"]:
        for carried in ((), *((other,) for other in caps if other not in (slot, REPLY))):
            yield "Call", {"x0": slot}, (1,), carried, 0
            yield "NBSend", {"x0": slot}, (2,), carried, 0
        yield "Send", {"x0": slot}, (4,), (), 0
        yield "Recv", {"x0": slot, "x6": REPLY}, (), (), 0
    for slot in by_kind["Reply"]:
        for carried in ((), *((other,) for other in caps if other != slot)):
            yield "NBSend", {"x0": slot}, (3,), carried, 0
    for slot in by_kind["Notification"]:
        yield "NBSend", {"x0": slot}, (), (), 0
        yield "Wait", {"x0": slot}, (), (), 0
    free = [number for number in range(1, SLOTS) if number not in caps]
    held = {cnode: held_in(state, caps[cnode]) for cnode in by_kind["CNode"]}
    for cnode, full in held.items():
        for target, others in held.items():
            dest = next((number for number in range(1, SLOTS) if number not in others), None)
            for source in full if dest is not None else ():
                yield invoke("CNode.Copy", target, dest, DEPTH, source, DEPTH, 15, caps=[cnode])
        for number in full:
            yield invoke("CNode.Delete", cnode, number, DEPTH)
            yield invoke("CNode.Revoke", cnode, number, DEPTH)
    for tcb in by_kind["TCB"]:
        yield invoke("TCB.Suspend", tcb)
        yield invoke("TCB.Resume", tcb)
        yield invoke("TCB.WriteRegisters", tcb, 0, 1, 0x1234)
        for cnode in by_kind["CNode"]:
            for space in by_kind["VSpace"]:
                yield invoke("TCB.SetSpace", tcb, GUARD, 0, caps=[0, cnode, space])
        for notification in by_kind["Notification"]:
            yield invoke("TCB.BindNotification", tcb, caps=[notification])
        for endpoint in by_kind["Endpoint"]:
            yield invoke("TCB.SetTimeoutEndpoint", tcb, caps=[endpoint])
    for untyped in by_kind["Untyped"]:
        for cnode in by_kind["CNode"]:
            for kind, size in (("Endpoint", 0), ("CNode", RADIX), ("TCB", 0), ("Untyped", 10)):
                yield invoke("Untyped.Retype", untyped, enum("ObjectType", kind), size, 0, 0, free[0] if free else 5, 1, caps=[cnode])
    for frame in by_kind["Frame"]:
        for space in by_kind["VSpace"]:
            yield invoke("Frame.Map", frame, 0x1000, 3, 0, caps=[space])
    for control in by_kind["IRQControl"]:
        for cnode in by_kind["CNode"]:
            yield invoke("IRQControl.Get", control, 33, 0, free[0] if free else 5, DEPTH, caps=[cnode])


def own_caps(state, thread):
    """The capabilities in the CNode that a thread runs in: by address, which is the slot's number."""
    root = state.slots.get(thread)
    return held_in(state, root["capability"]) if root and root["capability"].startswith("CNode") else {}


def held_in(state, cnode):
    """What is in a CNode of the usual size: slot -> capability."""
    address = parts_of(cnode)[1][0]
    if state.objects[address]["radix"] != RADIX:
        return {}
    found = {number: state.slots.get(address + SLOT_BYTES * number) for number in range(1, SLOTS)}
    return {number: entry["capability"] for number, entry in found.items() if entry}


def buffers(state):
    """Where the IPC buffers of threads are."""
    result = {}
    for address, thing in state.objects.items():
        entry = state.slots.get(address + 2 * SLOT_BYTES) if thing["kind"] == "TCB" else None
        if entry and thing["buffer"] and entry["capability"].startswith("Frame"):
            result[address] = parts_of(entry["capability"])[1][0]
    return result


def perform(oracle, state, operation):
    """One operation of the running thread: the Outcome. Everybody wants what comes with messages in the slot RECEIVED of the own CNode."""
    name, registers, words, caps, method = operation
    session = Session(oracle, buffers(state))
    session.running = state.core["current"]
    memory = {}
    for base in session.buffers.values():
        memory |= {base + 1000: OWN, base + 1008: RECEIVED, base + 1016: DEPTH}
        memory |= {base + BUFFER["caps_or_badges"] + 8 * number: cap for number, cap in enumerate(caps)}
    return session.system_call(name, registers, words, caps, method, memory=memory)


class Checker:
    """What the checker says of a system's start, against which its states are held."""

    def __init__(self, start):
        self.spec = read_spec(start)
        self.names = {address: label("tcb", address) for address, thing in start.objects.items() if thing["kind"] == "TCB" and address != ROOT_THREAD}
        self.strict, self.generous = Closure(self.spec), Closure(self.spec, gifts=True)
        self.flow = Flow(self.strict)
        self.reached = {name: self._reachable(name) for name in self.names.values()}
        self.counts = Counter()

    def _reachable(self, name):
        """All that information from a subject can get to."""
        found = [name]
        for other in found:
            found += [target for target in self.flow.edges.get(other, {}) if target not in found]
        return set(found)

    def check_authority(self, now, told):
        """Nobody holds more than its authority; what goes beyond it has to be a gift of somebody who controls it. now: what each one holds."""
        for name in self.names.values():
            for item, where in now.get(name, ()):
                self.counts["holdings"] += 1
                if not bounded(item, self.generous.held[name], self.spec):
                    raise Failure(f"{name} holds {item} at {where}, beyond its authority; {told}")
                if not bounded(item, self.strict.held[name], self.spec):
                    self.counts["gifts"] += 1
                    if not any(name in self.reached[other] and bounded(item, self.strict.held[other], self.spec)
                               and self._controls(other, name) for other in self.names.values()):
                        raise Failure(f"{name} holds {item} at {where}, and nobody who controls it could have given it; {told}")

    def _controls(self, giver, taker):
        """True when a subject holds what another one consists of, directly or through others."""
        found = [giver]
        for other in found:
            held = {item.target for item in self.strict.held[other] if item.kind in ("tcb", "cnode", "pgd", "pt") and not item.made}
            found += [name for name, subject in self.strict.subjects.items() if name not in found and held & subject.own]
        return taker in found

    def check_flow(self, before, after, outcome, told):
        """What a thread changes of others, a way of flow leads to."""
        actor = self.names.get(before.core["current"])
        if actor is None:
            return
        for address, name in self.names.items():
            if name != actor and name not in self.reached[actor]:
                for what in changed(before, after, address, outcome):
                    raise Failure(f"{actor} changed {what} of {name}, and no way of flow leads there; {told}")
            elif name != actor and any(changed(before, after, address, outcome)):
                self.counts["flows"] += 1


def all_holdings(state):
    """(Item, where) of all that each thread holds, by its name."""
    spec = read_spec(state)
    return {subject.name: list(holdings(spec, subject)) for subject in find_subjects(spec)}


def holdings(spec, subject):
    """(Item, where) of all that a subject holds, CNodes in CNodes included."""
    waiting = [item for item in (subject.held("cspace"), subject.held("vspace")) if item]
    for name in waiting:
        for slot, cap in spec.objects[name].slots.items():
            if cap.object is None:
                yield Item(cap.built_in, cap.built_in), f"{name} slot {slot}"
                continue
            kind = spec.objects[cap.object].type
            yield Item(kind, cap.object, cap.rights), f"{name} slot {slot}"
            if kind in ("cnode", "pt", "pgd") and cap.object not in waiting:
                waiting.append(cap.object)


def bounded(item, held, spec):
    """True when authority has a capability to the same with all of these rights, or to what it can be made of."""
    for other in held:
        if not other.made and other[:2] == item[:2] and set(item.rights) <= set(other.rights):
            return True
        if other.made and other.kind == item.kind and set(item.rights) <= set(other.rights):
            source = spec.objects.get(other.target)
            if source is None or source.paddr <= int(item.target.split(":")[1], 16) < source.paddr + (1 << source.size_bits):
                return True
    return False


def was_taken(before, after):
    """Whether all that happened to a thread is that its message was taken: a send that waited goes on, and a call that nobody can answer returns with
    CallCancelled. That says when it was, and time is left out."""
    old, new = (dict(part.split(":") for part in state["registers"].split(",")) for state in (before, after))
    sent = {name: value for name, value in old.items() if name not in ("x0", "x1")}
    cancelled = {name: value for name, value in old.items() if name not in MESSAGE_REGISTERS} | {"x1": CALL_CANCELLED}
    return before["state"].startswith("send(") and after["state"] == "running" and new in (sent, cancelled)


def changed(before, after, thread, outcome):
    """What a step changed of a thread that it did not execute itself: registers, slots, mappings, and words in its buffer."""
    if thread not in after.objects or thread not in before.objects:
        if thread in before.objects:
            yield "its life"
        return
    if before.objects[thread]["registers"] != after.objects[thread]["registers"] and not was_taken(before.objects[thread], after.objects[thread]):
        yield "registers"
    containers = [(thread, len(THREAD_SLOTS))]
    root, space = (before.slots.get(thread + number * SLOT_BYTES) for number in (0, 1))
    if root and root["capability"].startswith("CNode"):
        containers.append((parts_of(root["capability"])[1][0], SLOTS))
    for base, count in containers:
        for number in range(count):
            if (before.slots.get(base + number * SLOT_BYTES) or {}).get("capability") != (after.slots.get(base + number * SLOT_BYTES) or {}).get("capability"):
                yield f"slot {number} of {base:#x}"
    if space and space["capability"].startswith("VSpace"):
        table = parts_of(space["capability"])[1][0]
        if before.objects.get(table, {}).get("entries") != after.objects.get(table, {}).get("entries"):
            yield "its address space"
    buffer = buffers(before).get(thread)
    for effect in outcome.effects:
        if effect.startswith("WriteMemory(") and buffer is not None and buffer <= int(effect[12:].split(",")[0], 16) < buffer + 4096:
            yield "its IPC buffer"


def situation(state):
    """What of a state decides what can come of it: all but numbers in registers, and time."""
    objects = {address: {name: value for name, value in thing.items() if name not in ("registers", "refills", "consumed", "unreturned")}
               for address, thing in state.objects.items()}
    return repr((state.core["current"], state.core["ready"], objects, state.slots))


def explore(program, seed, limit, plan=None):
    """Execute one system, all operations of a situation before the next one, which is drawn, up to `limit` states; the Checker's counts. Failure says what
    was exceeded."""
    system = System(program, seed, plan)
    try:
        checker = Checker(system.start)
        oracle = system.oracle
        oracle.write("save 0")
        waiting, seen, situations, number = [(0, ())], set(), set(), 0
        while waiting:
            # In turn the one that was found first, and any.
            saved, way = waiting.pop(0 if len(situations) % 2 else system.random.randrange(len(waiting)))
            oracle.write(f"restore {saved}")
            state = oracle.state()
            for operation in operations(state, state.core["current"]) if state.core["current"] is not None else ():
                oracle.write(f"restore {saved}")
                outcome = perform(oracle, state, operation)
                checker.counts["steps"] += 1
                if outcome.digest in seen:
                    continue
                seen.add(outcome.digest)
                after = oracle.state()
                now = (*way, operation)
                told = f"seed {seed}, after {len(now)} operations: {now}"
                checker.check_flow(state, after, outcome, told)
                checker.check_authority(all_holdings(after), told)
                if (found := situation(after)) not in situations:
                    situations.add(found)
                    checker.counts["states"] += 1
                    number += 1
                    oracle.write(f"save {number}")
                    waiting.append((number, now))
                if checker.counts["states"] >= limit:
                    waiting.clear()
                    break
        checker.counts["systems"] += 1
        return checker.counts
    finally:
        system.oracle.close()


def main():
    """Check the systems that the arguments say; 1 at the first failure."""
    parser = argparse.ArgumentParser(description="Holds the checker of policies against executions of the specification.")
    parser.add_argument("program", type=Path, help="the oracle")
    parser.add_argument("--systems", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--states", type=int, default=2000, help="of each system")
    options = parser.parse_args()
    counts = Counter()
    for seed in range(options.seed, options.seed + options.systems):
        try:
            counts += explore(options.program, seed, options.states)
        except Failure as failure:
            print(f"policy: {failure}")
            return 1
    print(" ".join(f"{name}={counts[name]}" for name in ("systems", "states", "steps", "holdings", "gifts", "flows")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
