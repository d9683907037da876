# SPDX-License-Identifier: BSD-2-Clause
"""A running system as a description: what its loader printed of it (loader/dump.cc), as a Spec.

The kernel tells everything but what a frame was filled with, which untyped covers what, how an interrupt's line is sampled and what the domain schedule
is. That is taken from the description; all else is what was read.
"""

from dataclasses import replace

from .model import PAGE_TABLE_SHIFT, TCB_SLOTS, Cap, Object, Spec
from .reading import HELD_SLOTS, Reading, letters, page

BEGIN, END = "caprock: dump", "caprock: end of dump"
TABLE_TYPES = ("pgd", "pud", "pd", "pt")
# abi::CapType
ENDPOINT, NOTIFICATION, CNODE, SCHED_CONTROL, FRAME = 2, 3, 5, 8, 11
BUILT_IN = {12: "asid_control", 14: "irq_control", 16: "domain", SCHED_CONTROL: "sched_control"}


def read(declared: Spec, log: str) -> Spec:
    """The system that a log tells of. declared: its description. The log must hold a whole dump."""
    return _Reader(declared).read(log)


class _Reader(Reading):
    """Fills a copy of the description with what was read."""

    def __init__(self, declared: Spec):
        super().__init__(declared)
        self.tables: dict[str, int] = {}                          # page table -> address that it is mapped at
        self.pages: dict[tuple[str, int], tuple[str, int]] = {}   # (frame, address) -> (table, entry)
        self.controls: list[tuple[str, int, Cap, int]] = []       # of mappings: CNode, slot, capability, address
        for item in self.live.objects.values():
            if item.type in ("cnode", "tcb"):
                item.slots = {}

    def read(self, log: str) -> Spec:
        """Take each line to the method of its first word."""
        for line in log.partition(BEGIN)[2].partition(END)[0].splitlines()[1:]:
            word, *rest = line.split(" ")
            getattr(self, f"read_{word}")(*(int(item, 16) if item.startswith("0x") else item for item in rest))
        self.link_tables()
        for cnode, slot, cap, address in self.controls:
            self.live.objects[cnode].slots[slot] = replace(cap, mapping=self.pages.get((cap.object or "", address)))
        return self.live

    # Objects and capabilities -----------------------------------------------------------------------------------------------------------

    def read_object(self, name: str, kind: int, size_bits: int, badge: int) -> None:
        """An object that the loader has a capability to. Its address, of a page table."""
        item = self.live.objects[name]
        if item.type in TABLE_TYPES:
            self.tables[name] = 0 if item.type == "pgd" else badge
            item.slots = {}
        elif kind in (CNODE, FRAME):
            item.size_bits = size_bits

    def capability(self, kind: int, name: str, rights: int, badge: int, guard_size: int) -> Cap:
        """What a slot holds."""
        if name == "-":
            return Cap(None, BUILT_IN[kind], core=badge if kind == SCHED_CONTROL else None)
        cap = Cap(name)
        if kind in (ENDPOINT, NOTIFICATION, FRAME):
            cap.rights = letters(rights)
        if kind in (ENDPOINT, NOTIFICATION):
            cap.badge = badge
        if kind == CNODE:
            cap.guard, cap.guard_size = badge, guard_size
        return cap

    def read_slot(self, cnode: str, slot: int, kind: int, name: str, rights: int, badge: int, guard_size: int) -> None:
        """A slot of a CNode. A frame with an address is a capability that controls a mapping."""
        cap = self.capability(kind, name, rights, badge, guard_size)
        if kind == FRAME and badge:
            self.controls.append((cnode, slot, cap, badge))
        self.live.objects[cnode].slots[slot] = cap

    # Address spaces ---------------------------------------------------------------------------------------------------------------------

    def read_page(self, vspace: str, address: int, frame: str, rights: int, attributes: int) -> None:
        """A page: it stands in the table that the description has there."""
        table = self.live.objects[vspace]
        while (below := self.below(table, address)) is not None:
            table = below
        entry = (address >> PAGE_TABLE_SHIFT[table.type]) & 511
        table.slots[entry] = page(frame, rights, attributes)
        self.pages[frame, address] = (table.name, entry)

    def below(self, table: Object, address: int) -> Object | None:
        """The table below another one on the way to an address."""
        cap = self.declared.objects[table.name].slots.get((address >> PAGE_TABLE_SHIFT[table.type]) & 511)
        target = None if cap is None else self.live.objects[cap.object or ""]
        return target if target is not None and target.type in TABLE_TYPES else None

    def link_tables(self) -> None:
        """Page tables hang where the description has them, if they are mapped at that address."""
        for item in self.declared.objects.values():
            for slot, cap in item.slots.items() if item.type in TABLE_TYPES else ():
                size = PAGE_TABLE_SHIFT[item.type]
                if cap.object in self.tables and self.tables[cap.object] == self.tables.get(item.name, 0) + (slot << size):
                    self.live.objects[item.name].slots[slot] = cap

    # Threads ----------------------------------------------------------------------------------------------------------------------------

    def read_thread(self, name: str, priority: int, highest: int, domain: int, core: int, flags: int, buffer: int, context: str, notification: str) -> None:
        """Parameters of a thread; those that are 0 and that the description leaves out stay out."""
        item = self.live.objects[name]
        self.set_thread(item, priority, highest, domain, flags, buffer)
        if context == "-":
            self.set_parameter(item, "affinity", core)
        for slot, target in (("sc_slot", context), ("bound_notification", notification)):
            if target != "-":
                self.hold(item, TCB_SLOTS[slot], Cap(target))

    def read_held(self, thread: str, slot: int, kind: int, name: str, rights: int, badge: int, guard_size: int) -> None:
        """A capability that a thread runs with."""
        self.hold(self.live.objects[thread], TCB_SLOTS[HELD_SLOTS[slot]], self.capability(kind, name, rights, badge, guard_size))

    def read_registers(self, name: str, counter: int, stack: int, *arguments: int) -> None:
        """Where a thread starts, and with what."""
        self.set_registers(self.live.objects[name], counter, stack, arguments)

    def read_context(self, name: str, budget: int, period: int, badge: int, core: int) -> None:
        """A scheduling context, and the core of the thread that has it."""
        item = self.live.objects[name]
        for key, value in (("budget", budget), ("period", period), ("data", badge)):
            self.set_parameter(item, key, value)
        for thread in self.live.objects.values():
            cap = thread.slots.get(TCB_SLOTS["sc_slot"]) if thread.type == "tcb" else None
            if cap is not None and cap.object == name:
                self.set_parameter(thread, "affinity", core)

    def read_interrupt(self, name: str, number: int, notification: str, badge: int) -> None:
        """An interrupt and what it signals."""
        self.live.irqs = {irq: owner for irq, owner in self.live.irqs.items() if owner != name} | {number: name}
        rights = {slot: cap.rights for slot, cap in self.declared.objects[name].slots.items()}
        self.live.objects[name].slots = {} if notification == "-" else {0: Cap(notification, rights=rights.get(0, ""), badge=badge)}
