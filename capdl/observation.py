# SPDX-License-Identifier: BSD-2-Clause
"""What the host finds in a machine that stands still before its components run, or later: the system as a Spec, and what differs from its description.

The kernel's state (kernel_state.py) has objects by address. Their names come from where the loader planned them: if it lies about that, what stands at
those addresses is not what the description has there, and if it is, the system is the one described, whoever named it.

Of a system that runs, what it is made of is looked at, and not what its threads have made of it: registers, content of memory, and who waits where are
those of the description. Objects that it has made are named by their addresses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .kernel_state import IRQ_SLOTS, MEMORY, SLOT_BYTES, Held, State, Thing, items
from .lower import NONE, OBJECT_TYPES, SGI_TYPE, CapEntry, LoaderTables
from .model import FILL_FILE, PAGE_TABLE_SHIFT, TCB_SLOT_NAMES, TCB_SLOTS, Cap, Object, Spec
from .reading import HELD_SLOTS, Reading, letters, page

BUILT_IN = {"ASIDControl": "asid_control", "IRQControl": "irq_control", "Domain": "domain", "SchedControl": "sched_control"}
# The language's types of what a system may make while it runs, by what the kernel calls them; those of page tables follow from their level.
TYPES = {"Endpoint": "ep", "Notification": "notification", "TCB": "tcb", "CNode": "cnode", "SchedContext": "sc", "Reply": "rtreply", "VSpace": "pgd",
         "Frame": "frame", "Untyped": "ut", "ASIDPool": "asid_pool"}
BELOW = {"pgd": "pud", "pud": "pd", "pd": "pt"}
ARGUMENTS = tuple(f"x{number}" for number in range(9))
# What objects are like that no thread has used; None: the description says what.
UNUSED = {
    "TCB": {"state": "inactive", "yielded_to": "-", "step_count": "0x0", "fault": "-", "breakpoints": "-"},
    "SchedContext": {"extra_refills": "0x0", "flags": "0x0", "consumed": "0x0", "notification": "-", "calls": "-", "yielder": "-"},
    "Endpoint": {"senders": "-", "receivers": "-"},
    "Notification": {"active": "0", "waiters": "-", "sched_context": "-"},
    "Reply": {"caller": "-", "receiver": "-", "along": "-"},
}
NOTHING = "nothing"
MICROSECONDS = 1_000_000
NEVER = (1 << 63) - 1


class Memory(Protocol):
    """The machine's memory."""

    def read(self, physical: int, count: int) -> bytes:
        """Bytes at a physical address."""

    def holds(self, physical: int, count: int) -> bool:
        """Whether all of a range is memory."""


@dataclass
class Observation:
    """live: the system that was found. findings: what differs and no description can say. remainder: what else there is, and who holds it. state: what it
    was found in. places: name of each object with memory -> its address."""

    live: Spec
    findings: list[str] = field(default_factory=list)
    remainder: list[str] = field(default_factory=list)
    state: State = field(default_factory=State)
    places: dict[str, int] = field(default_factory=dict)

    def deviations(self, declared: Spec) -> list[str]:
        """All that differs from the description, a line for each."""
        return differences(declared, self.live) + self.findings


def family(kind: str) -> str:
    """Untypeds and frames may begin where another object does."""
    return kind if kind in MEMORY else "Object"


def kind_of(item: Object) -> str:
    """What the kernel calls an object of the description."""
    return {"frame": "Frame", "asid_pool": "ASIDPool"}.get(item.type) or OBJECT_TYPES.get(item.type, "")


class Observer(Reading):
    """One look at a machine."""

    def __init__(self, declared: Spec, tables: LoaderTables, state: State, memory: Memory, frequency: int, places: dict[str, int],
                 present: Collection[tuple[str, int]] | None = None):
        """places: names of the tables' objects with memory -> address. present: of a system that runs, kind and address of all that there was when the
        loader was done."""
        self.running = present is not None
        super().__init__(deepcopy(declared) if self.running else declared)
        self.present = present or ()
        self.tables, self.state, self.memory, self.frequency = tables, state, memory, frequency
        self.places = {name: address for name, address in places.items() if name in declared.objects}
        self.vault = places[tables.names[tables.vault]]
        self.result = Observation(self.live, state=state, places=self.places)
        self.names = {(family(kind_of(declared.objects[name])), address): name for name, address in self.places.items()}
        self.signals = {(item.params["irq"], item.params["target"]): item.name for item in declared.objects.values() if item.type == SGI_TYPE}
        self.held: dict[tuple[str, int], list[Held]] = defaultdict(list)
        for cap in state.slots.values():
            self.held[family(cap.kind), cap.address].append(cap)

    def look(self) -> Observation:
        """All of it."""
        if self.running:
            self.name_new_objects()
        for item in self.live.objects.values():
            item.slots = item.slots if item.type == "asid_pool" else {}
        for name in self.places:
            self.read_object(self.live.objects[name], self.places[name])
        self.read_interrupts()
        self.read_turns()
        self.check_parents()
        if not self.running:
            self.check_rest()
        return self.result

    def name_new_objects(self) -> None:
        """Objects that the system has made become part of the description, named by their types and addresses."""
        for kind, address in sorted(self.state.things() - set(self.present)):
            if kind in TYPES:
                self.name_new_object(family(kind), address, TYPES[kind])
        for (_, address), name in list(self.names.items()):
            if self.declared.objects[name].type == "pgd":
                self.name_new_tables(address, "pgd")
        for kind, address in sorted(self.state.things() - set(self.present)):
            if kind == "PageTable":
                self.name_new_object("Object", address, "pt")   # in no address space
        for number in self.state.interrupts:
            if number not in self.declared.irqs:
                self.declared.irqs[number] = self.live.irqs[number] = f"irq_{number}"
                self.add_object(f"irq_{number}", "irq")

    def name_new_object(self, kin: str, address: int, kind: str) -> None:
        """What stands at an address, if it has no name."""
        if (kin, address) not in self.names:
            name = self.names[kin, address] = f"{kind}_{address:x}"
            self.places[name] = address
            self.add_object(name, kind)

    def add_object(self, name: str, kind: str) -> None:
        """An object that the description does not have."""
        for spec in (self.declared, self.live):
            spec.objects[name] = Object(name, kind, base=name)

    def name_new_tables(self, table: int, kind: str) -> None:
        """Page tables below one: their types follow from their levels."""
        for what, arguments in self.state.entries(table).values() if table in self.state.objects else ():
            if what == "table" and arguments[0]:
                self.name_new_object("Object", arguments[0], BELOW[kind])
                self.name_new_tables(arguments[0], BELOW[kind])

    def find(self, where: str, what: str, found: object, expected: object) -> None:
        """Note something that is not as it has to be."""
        if found != expected:
            self.result.findings.append(f"{where}: {what} is {found}, not {expected}")

    def name(self, kind: str, address: int) -> str:
        """The object at an address."""
        return self.names.get((family(kind), address)) or (f"{kind} at {address:#x}" if address else NOTHING)

    def spell(self, word: str) -> str:
        """A word of the state, with objects by their names."""
        address = int(word, 16) if word.startswith("0x") else 0
        return NOTHING if word == "-" else self.name(self.state.objects[address].kind, address) if address in self.state.objects else word

    # Objects ----------------------------------------------------------------------------------------------------------------------------

    def read_object(self, item: Object, address: int) -> None:
        """What stands where an object has to be."""
        kind = kind_of(item)
        if family(kind) != "Object":
            return self.read_memory(item, address, kind)
        thing = self.state.objects.get(address)
        if thing is None or thing.kind != kind:
            return self.find(item.name, "type", NOTHING if thing is None else thing.kind, kind)
        for name, value in UNUSED.get(kind, {}).items() if not self.running else ():
            self.find(item.name, name.replace("_", " "), self.spell(thing.fields[name]), self.spell(value))
        reader = getattr(self, f"read_{kind.lower()}", None)
        if reader is not None:
            reader(item, address, thing)

    def read_memory(self, item: Object, address: int, kind: str) -> None:
        """A frame with its content, or an untyped with what lies in it."""
        sizes = [cap.arguments[1] for cap in self.held[kind, address]]
        if not sizes:
            return self.find(item.name, "type", NOTHING, kind)
        item.size_bits = item.size_bits if item.size_bits in sizes else sizes[0]
        if item.paddr is not None:
            item.paddr = address
        if kind == "Untyped":
            item.children = [child for child in item.children if child not in self.places or 0 <= self.places[child] - address < 1 << (item.size_bits or 0)]
        elif not self.running:
            self.check_content(item, address)

    def check_content(self, item: Object, address: int) -> None:
        """What no fill names is zero. The device tree is the machine's."""
        size = 1 << (item.size_bits or 0)
        device = any(cap.arguments[2] for cap in self.held["Frame", address])
        if device or not self.memory.holds(address, size) or any(fill.kind != FILL_FILE for fill in item.fills):
            return
        expected = bytearray(size)
        for fill in item.fills:
            with open(self.declared.files[fill.file], "rb") as file:
                file.seek(fill.file_offset)
                expected[fill.offset:fill.offset + fill.length] = file.read(fill.length)
        found = self.memory.read(address, size)
        if found != expected:
            first = next(place for place in range(size) if found[place] != expected[place])
            self.find(item.name, f"byte {first:#x}", f"{found[first]:#04x}", f"{expected[first]:#04x}")

    def read_cnode(self, item: Object, address: int, thing: Thing) -> None:
        """All slots."""
        item.size_bits = thing.number("radix")
        for index, cap in self.state.slots_of(address, 1 << item.size_bits).items():
            item.slots[index] = self.capability(cap)

    def capability(self, held: Held) -> Cap:
        """What a slot holds, in the language's words."""
        if held.kind in BUILT_IN:
            return Cap(None, BUILT_IN[held.kind], core=held.arguments[0] if held.kind == "SchedControl" else None)
        if held.kind == "IRQHandler":
            return Cap(self.declared.irqs.get(held.address, f"interrupt {held.address}"))
        if held.kind == "SGISignal":
            return Cap(self.signals.get((held.arguments[0], held.arguments[1]), f"interrupt {held.address}"))
        cap = Cap(self.name(held.kind, held.address))
        if held.kind in ("Endpoint", "Notification"):
            cap.badge, cap.rights = held.arguments[1] or 0, letters(held.arguments[2] or 0)
        elif held.kind == "CNode":
            cap.guard, cap.guard_size = held.arguments[2] or 0, held.arguments[3] or 0
        elif held.kind == "Frame":
            cap.rights = letters(held.arguments[3] or 0)
            cap.mapping = self.mapping(held)
        return cap

    def mapping(self, held: Held) -> tuple[str, int] | None:
        """The table and entry in which a capability maps its frame."""
        if held.arguments[4] is None:
            return None
        asid, address, level = held.arguments[4], held.arguments[5] or 0, held.arguments[6]
        table = self.state.spaces.get(asid or 0, 0)
        shift = PAGE_TABLE_SHIFT["pgd"]
        for _ in range(level or 0):
            kind, arguments = self.state.entries(table).get(address >> shift & 511, ("", (0,))) if table in self.state.objects else ("", (0,))
            table = (arguments[0] or 0) if kind == "table" else 0
            shift -= 9
        return self.name("PageTable", table), address >> shift & 511

    # Address spaces ---------------------------------------------------------------------------------------------------------------------

    def read_vspace(self, item: Object, address: int, thing: Thing) -> None:
        """A root, which has a name among address spaces."""
        if address not in self.state.spaces.values():
            self.find(item.name, "ASID", NOTHING, "one of its own")
        self.read_pagetable(item, address, thing)

    def read_pagetable(self, item: Object, address: int, _thing: Thing) -> None:
        """All entries."""
        for index, (kind, arguments) in self.state.entries(address).items():
            if kind == "table":
                item.slots[index] = Cap(self.name("PageTable", arguments[0] or 0))
                continue
            frame, size_bits, _device, rights, attributes = (word or 0 for word in arguments)
            name = self.name("Frame", frame)
            known = self.declared.objects.get(name)
            self.find(f"{item.name} slot {index:#x}", "size in bits", size_bits, size_bits if known is None else known.size_bits)
            item.slots[index] = page(name, rights, attributes)

    def read_asidpool(self, item: Object, _address: int, thing: Thing) -> None:
        """The address spaces that it names. Which number each has is the kernel's to choose."""
        named = {self.name("VSpace", int(word.split(":")[1], 16)) for word in items(thing.fields["assigned"])}
        if self.running and not item.slots:
            item.slots = {slot: Cap(name) for slot, name in enumerate(sorted(named))}
        declared = {cap.object for cap in item.slots.values()}
        item.slots = {slot: cap for slot, cap in item.slots.items() if cap.object in named}
        for name in sorted(named - declared):
            self.find(item.name, "an address space", name, NOTHING)

    # Threads ----------------------------------------------------------------------------------------------------------------------------

    def read_tcb(self, item: Object, address: int, thing: Thing) -> None:
        """Parameters, registers, and the capabilities that it runs with."""
        self.set_thread(item, *(thing.number(name) for name in ("priority", "mcp", "domain", "flags", "buffer")))
        context = self.state.objects.get(thing.number("sched_context"))
        self.set_parameter(item, "affinity", thing.number("affinity") if context is None else context.number("core"))
        if not self.running:
            self.read_registers(item, thing)
        for slot, name, kind in (("sc_slot", "sched_context", "SchedContext"), ("bound_notification", "notification", "Notification")):
            if thing.number(name):
                self.hold(item, TCB_SLOTS[slot], Cap(self.name(kind, thing.number(name))))
        for index, cap in self.state.slots_of(address, len(HELD_SLOTS)).items():
            self.hold(item, TCB_SLOTS[HELD_SLOTS[index]], replace(self.capability(cap), mapping=None))

    def read_registers(self, item: Object, thing: Thing) -> None:
        """Where a thread starts, and with what; other registers have nothing but the processor's state."""
        found = {name: int(value, 16) for name, value in (word.split(":") for word in items(thing.fields["registers"]))}
        self.set_registers(item, found.pop("pc", 0), found.pop("sp", 0), [found.pop(name, 0) for name in ARGUMENTS])
        found.pop("spsr", 0)
        for name, value in found.items():
            self.find(item.name, f"register {name}", f"{value:#x}", "0x0")

    def read_schedcontext(self, item: Object, address: int, thing: Thing) -> None:
        """A budget, and whose it is."""
        if item.size_bits is None:
            self.find(item.name, "size in bits", thing.number("size_bits"), item.memory_bits())
        else:
            item.size_bits = thing.number("size_bits")
        for key, name in (("budget", "budget_us"), ("period", "period_us"), ("data", "badge")):
            self.set_parameter(item, key, thing.number(name))
        self.check_back(item, address, thing, "sc_slot")

    def read_notification(self, item: Object, address: int, thing: Thing) -> None:
        """Whose it is."""
        self.check_back(item, address, thing, "bound_notification")

    def check_back(self, item: Object, _address: int, thing: Thing, slot: str) -> None:
        """The thread that an object is bound to knows it, as the description says; time is lent to others while a system runs."""
        if self.running:
            return
        owners = [thread.name for thread in self.declared.objects.values()
                  if thread.type == "tcb" and TCB_SLOTS[slot] in thread.slots and thread.slots[TCB_SLOTS[slot]].object == item.name]
        self.find(item.name, "thread", self.name("TCB", thing.number("thread")), owners[0] if owners else NOTHING)

    # Interrupts, domains ----------------------------------------------------------------------------------------------------------------

    def read_interrupts(self) -> None:
        """Handlers that there are, and what they signal."""
        self.live.irqs = {}
        for number in self.state.interrupts:
            name = self.declared.irqs.get(number)
            cap = self.state.slots.get(IRQ_SLOTS + SLOT_BYTES * number)
            if name is None:
                self.find(f"interrupt {number}", "handler", "there", NOTHING)
                continue
            self.live.irqs[number] = name
            declared = self.declared.objects[name].slots.get(0)
            self.live.objects[name].slots = {} if cap is None else {0: replace(self.capability(cap), rights="" if declared is None else declared.rights)}

    def read_turns(self) -> None:
        """The domain schedule. Where the description gives no entry there is what the kernel begins with: domain 0 for ever."""
        domains = self.live.domains
        first = 0 if domains is None else domains.index_shift or 0
        declared = {} if domains is None else {first + number: turn for number, turn in enumerate(domains.schedule)}
        expected = {0: (0, NEVER)} | {entry: (domain, self.ticks(duration, unit)) for entry, (domain, duration, unit) in declared.items()}
        for entry in sorted(expected.keys() | self.state.turns.keys()):
            now = self.state.turns.get(entry)
            self.find(f"turn {entry} of the domain schedule", "domain and ticks", *(NOTHING if turn is None else turn for turn in (now, expected.get(entry))))
            if domains is not None and entry in declared and now != expected[entry]:
                domains.schedule[entry - first] = (*(now or (0, 0)), "ticks")

    def ticks(self, duration: int, unit: str | None) -> int:
        """A duration of the description on this machine."""
        return -(-duration * self.frequency // MICROSECONDS) if unit == "us" else duration

    # Derivations, and what else there is ------------------------------------------------------------------------------------------------

    def slot_address(self, cnode: int, slot: int) -> int:
        """Where a slot of a CNode of the tables is."""
        return self.places[self.tables.names[cnode]] + SLOT_BYTES * slot

    def check_parents(self) -> None:
        """Each capability is derived from the one that it has to be from; those whose parent is none of the system's, from one of the loader's."""
        slots = {self.slot_address(entry.cnode, entry.slot): entry for entry in self.tables.caps}
        for address, entry in slots.items():
            held = self.state.slots.get(address)
            expected = self.expected_parent(entry)
            if held is None or held.parent == expected or (expected == 0 and held.parent not in slots):
                continue
            spelled = [self.spell_slot(slots.get(parent)) for parent in (held.parent, expected)]
            self.find(self.spell_slot(entry), "parent", *spelled)
            if entry.parent_cnode != NONE:
                self.live.cdt.pop((self.tables.names[entry.cnode], entry.slot), None)

    def spell_slot(self, entry: CapEntry | None) -> str:
        """A slot as findings call it."""
        return "no slot of the system" if entry is None else f"{self.tables.names[entry.cnode]} slot {entry.slot:#x}"

    def expected_parent(self, entry: CapEntry) -> int:
        """Address of the slot of the system that a capability is derived from; 0 when that is none of the system's."""
        if entry.parent_cnode != NONE:
            return self.slot_address(entry.parent_cnode, entry.parent_slot)
        if entry.source == "Mapping":
            return self.first_of(self.tables.frame_mappings[entry.index].frame)
        if entry.source != "Object":
            return 0
        is_signal = any(entry.index == signal[0] for signal in self.tables.sgi_signals)
        return self.origin_of(entry.index) if entry.action in ("First", "Move") or is_signal else self.first_of(entry.index)

    def first_of(self, target: int) -> int:
        """The slot of an object's first capability, if that is in the system."""
        found = [entry for entry in self.tables.caps if entry.action == "First" and entry.index == target]
        return self.slot_address(found[0].cnode, found[0].slot) if found else 0

    def origin_of(self, target: int) -> int:
        """The slot of what an object was made of, if that is in the system."""
        if target >= len(self.tables.objects):
            source, index = "IRQControl", 0
        else:
            group = next((group for group in self.tables.groups if group.parent != NONE and group.first <= target < group.first + group.count), None)
            source, index = "Object", NONE if group is None else group.parent
        found = [entry for entry in self.tables.caps if entry.action == "Move" and (entry.source, entry.index) == (source, index)]
        return self.slot_address(found[0].cnode, found[0].slot) if found else 0

    def check_rest(self) -> None:
        """Whatever is not in the description belongs to the loader, which is about to delete itself."""
        thread = self.state.current
        node, space = (self.state.slots[thread + SLOT_BYTES * index].address for index in range(2))
        own = {thread, node, space, self.state.objects[thread].number("sched_context"), self.vault, *self.tables_below(space)}
        slots = self.state.slots_of(node, 1 << self.state.objects[node].number("radix"))
        for cap in slots.values():
            if cap.kind == "ASIDPool" and ("Object", cap.address) not in self.names:
                own.add(cap.address)
        for address, thing in self.state.objects.items():
            if address not in own and ("Object", address) not in self.names:
                self.find(f"{thing.kind} at {address:#x}", "description", NOTHING, "some")
        self.count_remainder(slots)

    def tables_below(self, table: int) -> set[int]:
        """Page tables of an address space."""
        below = {arguments[0] or 0 for kind, arguments in self.state.entries(table).values() if kind == "table"}
        return below.union(*(self.tables_below(one) for one in below if one in self.state.objects))

    def count_remainder(self, slots: dict[int, Held]) -> None:
        """What the loader holds beside the system."""
        counts: dict[str, int] = defaultdict(int)
        for cap in slots.values():
            if family(cap.kind) == "Object" or (cap.kind, cap.address) not in self.names:
                counts[cap.kind] += (family(cap.kind), cap.address) not in self.names
        self.result.remainder = [f"{count} {kind} of the loader" for kind, count in sorted(counts.items()) if count]


def differences(declared: Spec, live: Spec) -> list[str]:
    """What two systems of the same names differ in, a line for each."""
    found: list[str] = []

    def compare(where: str, what: str, is_now: Any, expected: Any) -> None:
        if is_now != expected:
            found.append(f"{where}: {what} is {spell(is_now)}, not {spell(expected)}")

    for name, item in declared.objects.items():
        now = live.objects[name]
        compare(name, "size in bits", now.size_bits, item.size_bits)
        compare(name, "physical address", now.paddr, item.paddr)
        for key in sorted(item.params.keys() | now.params.keys()):
            compare(name, key, now.params.get(key), item.params.get(key))
        for slot in sorted(item.slots.keys() | now.slots.keys()):
            where = f"{name} slot {TCB_SLOT_NAMES.get(slot) if item.type == 'tcb' else f'{slot:#x}'}"
            compare_caps(compare, where, now.slots.get(slot), item.slots.get(slot))
        for child in item.children:
            compare(child, "untyped", item.name if child in now.children else None, item.name)
    for number, name in declared.irqs.items():
        compare(name, "interrupt", number if number in live.irqs else None, number)
    return found


def compare_caps(compare: Any, where: str, now: Cap | None, item: Cap | None) -> None:
    """What two capabilities in one slot differ in."""
    target = [None if cap is None else cap.object or cap.built_in for cap in (now, item)]
    compare(where, "object", *target)
    if now is None or item is None or target[0] != target[1]:
        return
    for key in ("rights", "badge", "guard", "guard_size", "core", "cached", "mapping"):
        compare(where, key.replace("_", " "), getattr(now, key), getattr(item, key))


def spell(value: Any) -> str:
    """A value in findings."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, (int, tuple, list)):
        return str(value)
    return f"{value:#x}" if isinstance(value, int) else "(" + ", ".join(map(spell, value)) + ")"
