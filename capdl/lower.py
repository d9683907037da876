# SPDX-License-Identifier: BSD-2-Clause
"""From a Spec to what the loader executes: indices for names, and lists in the order of the loader's steps.

`lower` gives a LoaderTables, whose lists correspond to the structures of capdl/loader/tables.hpp. What a description can say and the
loader cannot do is refused here, by place and reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .checks import CPTR_BITS, DOMAIN_SCHEDULE_ENTRIES
from .diagnostics import CapdlError, Diagnostics, Place
from .model import (ACCESS_PARAMETERS, ASID_POOLS, FILL_BOOT_INFO, FILL_FILE, LOADER_POOL_FREE, PAGE_TABLE_SHIFT, SLOT_BITS, TCB_SLOTS, BoardFact, Cap,
                    Object, Spec)

# Names of abi::ObjectType by the language's types; frames by their size.
OBJECT_TYPES = {"ep": "Endpoint", "notification": "Notification", "tcb": "TCB", "cnode": "CNode", "ut": "Untyped", "asid_pool": "Untyped",
                "pgd": "VSpace", "pud": "PageTable", "pd": "PageTable", "pt": "PageTable", "sc": "SchedContext", "rtreply": "Reply"}
FRAME_TYPES = {12: "SmallPage", 21: "LargePage", 30: "HugePage"}
IRQ_TYPES = ("irq", "arm_irq")
SGI_TYPE = "arm_sgi_signal"
TABLE_TYPES = ("pud", "pd", "pt")
# Built-in capabilities that the loader holds, as CapSource spells them; and the one that cannot be copied.
BUILT_IN_SOURCES = {"irq_control": "IRQControl", "asid_control": "ASIDControl", "domain": "Domain", "sched_control": "SchedControl"}
RIGHTS_BITS = {"W": 1, "R": 2, "G": 4, "P": 8}
# Parameters of threads that are fields of abi::ThreadFlags, in the order of that.
THREAD_FLAGS = ("fpu_disabled", *ACCESS_PARAMETERS)
ALL_RIGHTS = 15
READ_WRITE = 3
TYPES_WITH_RIGHTS = ("ep", "notification", "frame")
# Rights that a new object's capability has.
FIRST_RIGHTS = {"ep": "RWGP", "notification": "RW", "frame": "RW"}

USER_TOP = 1 << 47
ROOT_MAX_UNTYPEDS = 230
PADDINGS_PER_RUN = 96
CONSOLE_SLOTS = PADDINGS_PER_RUN + 1
PAGE_BITS = 12
NONE = 0xffff_ffff
DEVICE_TREE = "CDL_FrameFill_BootInfo_FDT"
CONSOLE_NAME = "the loader's console page"
VAULT_NAME = "the loader's vault"
Slot = tuple[str, int]   # container and number
Placed = tuple[Object, int, Cap, Slot | None]   # CNode, slot, capability, and the slot of its badged parent


@dataclass(slots=True)
class MemoryObject:
    """An object with memory. type: of abi::ObjectType. bits: log2 of its bytes. paddr: or None."""

    name: str
    type: str
    bits: int
    paddr: int | None


@dataclass(slots=True)
class Group:
    """Objects [first, first + count) that are placed in untyped object `parent`; NONE for the kernel's untypeds."""

    parent: int
    first: int
    count: int


@dataclass(slots=True, frozen=True)
class PagePart:
    """Bytes of a file that stand in a page of the loader's image; all others of the page are zero."""

    offset: int
    length: int
    file: str
    file_offset: int


@dataclass(slots=True)
class PageFrame:
    """A frame that is made of a page of the loader's image, without a copy: page `page` of those for frames."""

    frame: int
    page: int
    executable: bool
    uncached: bool


@dataclass(slots=True)
class LoweredFill:
    """source: "Embedded" (from `file`), "Page" (the page `file_offset` of the image) or "DeviceTree"; file_offset: in either."""

    frame: int
    offset: int
    length: int
    source: str
    executable: bool
    uncached: bool
    file: str
    file_offset: int


@dataclass(slots=True)
class FrameMapping:
    """rights: RIGHTS_BITS of the mapping; cap_rights: of the copy that maps, when is_copy."""

    vspace: int
    frame: int
    address: int
    rights: int
    cached: bool
    execute_never: bool
    is_copy: bool
    cap_rights: int


@dataclass(slots=True)
class CapEntry:
    """A capability of a CNode. source: of CapSource. action: of CapAction."""

    cnode: int
    slot: int
    source: str
    index: int
    action: str
    rights: int
    data: int
    parent_cnode: int
    parent_slot: int


@dataclass(slots=True)
class Handler:
    """A fault or timeout handler; endpoint NONE for none."""

    endpoint: int = NONE
    badge: int = 0
    rights: int = 0


@dataclass(slots=True)
class Thread:
    """A TCB with what it is bound to; indices NONE for what it has not. cspace_data: CNodeCapData. core: of a thread without a scheduling
    context. flags: names of THREAD_FLAGS. first_receive: the endpoint whose first receive ends the loan of the scheduling context."""

    tcb: int
    cspace: int
    cspace_data: int
    vspace: int
    buffer_frame: int
    buffer_address: int
    sched_context: int
    notification: int
    fault: Handler
    timeout: Handler
    ip: int
    sp: int
    arguments: tuple[int, ...]
    priority: int
    max_priority: int
    domain: int
    core: int
    flags: tuple[str, ...]
    first_receive: int
    resume: bool


@dataclass(slots=True)
class LoaderTables:
    """Everything that the emitter writes. Indices count objects first, then the loader's console page, then interrupts: `names`."""

    name: str
    names: list[str] = field(default_factory=list)
    objects: list[MemoryObject] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    asid_pools: list[int] = field(default_factory=list)
    interrupts: list[tuple[int, int, str, int, int]] = field(default_factory=list)  # object, number, trigger, notification, badge
    sgi_signals: list[tuple[int, int, int]] = field(default_factory=list)           # object, interrupt, core
    domain_turns: list[tuple[int, int, int, bool]] = field(default_factory=list)    # entry, domain, duration, in ticks (not us)
    domain_start: int = NONE                                                        # the entry that begins, or NONE
    pages: list[tuple[PagePart, ...]] = field(default_factory=list)                 # of the image, for frames
    page_frames: list[PageFrame] = field(default_factory=list)
    fills: list[LoweredFill] = field(default_factory=list)
    address_spaces: list[tuple[int, int]] = field(default_factory=list)             # vspace, pool
    table_mappings: list[tuple[int, int, int]] = field(default_factory=list)        # vspace, table, address
    frame_mappings: list[FrameMapping] = field(default_factory=list)
    caps: list[CapEntry] = field(default_factory=list)
    schedules: list[tuple[int, int, int, int, int]] = field(default_factory=list)   # sc, core, budget, period, badge
    board_facts: list[BoardFact] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    vault: int = NONE
    object_count: int = 0
    capability_count: int = 0

    def largest_group(self) -> int:
        """Objects of the largest group, the loader's console page included."""
        return max([self.groups[0].count + 1, *(group.count for group in self.groups[1:])])

    def padding_limit(self) -> int:
        """Most paddings that the planner can make for any one group."""
        return max(PADDINGS_PER_RUN * (fixed_runs(self.objects[group.first:group.first + group.count]) + (group.parent == NONE))
                   for group in self.groups)

    def piece_limit(self) -> int:
        """Most pieces of memory that the planner can handle for any one group."""
        return ROOT_MAX_UNTYPEDS + self.padding_limit()

    def slots_needed(self) -> int:
        """Slots of the root CNode that the loader takes at most, beside those that the kernel fills."""
        paddings = sum(PADDINGS_PER_RUN * (fixed_runs(self.objects[group.first:group.first + group.count]) + 1) for group in self.groups)
        copies = sum(mapping.is_copy for mapping in self.frame_mappings)
        return 1 + CONSOLE_SLOTS + len(self.names) + len(self.asid_pools) + paddings + copies


def page_parts(item: Object) -> tuple[PagePart, ...]:
    """The PageParts of a frame of 4k that has no address of its own and content from files alone; none for all other objects."""
    if item.type != "frame" or item.size_bits != PAGE_BITS or item.paddr is not None or any(fill.kind != FILL_FILE for fill in item.fills):
        return ()
    return tuple(PagePart(fill.offset, fill.length, fill.file, fill.file_offset) for fill in item.fills if fill.length > 0)


def fixed_runs(objects: Iterable[MemoryObject]) -> int:
    """Runs of adjacent objects at fixed addresses: each needs paddings before and after it."""
    fixed = sorted((item.paddr, item.bits) for item in objects if item.paddr is not None)
    ends = [None] + [paddr + (1 << bits) for paddr, bits in fixed]
    return sum(end != paddr for end, (paddr, _) in zip(ends, fixed))


def rights_bits(letters: str) -> int:
    """The bits of abi::CapRights for letters of RIGHTS."""
    return sum(RIGHTS_BITS[letter] for letter in letters)


def spell(slot: Slot) -> str:
    """A slot as messages call it; slot: (container, number)."""
    return f"({slot[0]}, {slot[1]:#x})"


def guard_data(cap: Cap) -> int:
    """abi::CNodeCapData of a CNode capability."""
    return cap.guard << 6 | cap.guard_size


def lower(spec: Spec) -> LoaderTables:
    """The LoaderTables of a checked model.Spec. Raises CapdlError with all findings when the loader cannot make the system."""
    diagnostics = Diagnostics()
    tables = lower_or_report(spec, diagnostics)
    if tables is None:
        raise CapdlError(diagnostics.render())
    return tables


def lower_or_report(spec: Spec, diagnostics: Diagnostics) -> LoaderTables | None:
    """The LoaderTables of a checked model.Spec; None, and findings in `diagnostics`, when the loader cannot make the system."""
    lowering = _Lowering(spec)
    tables = lowering.run()
    diagnostics.findings += lowering.diagnostics.findings
    return tables if lowering.diagnostics.ok else None


class _Lowering:
    """The state of one call of lower."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.diagnostics = Diagnostics()
        self.tables = LoaderTables(spec.name)
        self.index: dict[str, int] = {}         # name of an object -> its index
        self.mapped_tables: set[str] = set()    # names of page tables that are in an address space
        self.mapping_of: dict[Slot, int] = {}   # (container, slot) -> index of the frame mapping that it describes
        self.page_of: dict[tuple[PagePart, ...], int] = {}   # parts of a page -> its number in the image
        self.page_frames: set[str] = set()      # names of frames that are pages of the image
        self.controls = self.find_controls()
        self.originals: set[Slot] = set()       # slots that hold the first capability of an object
        self.derived_from: dict[Slot, Slot] = {}   # slot -> slot of its badged parent

    def run(self) -> LoaderTables:
        self.find_derivations()
        self.number_objects()
        self.lower_interrupts()
        self.lower_sgi_signals()
        self.lower_address_spaces()
        self.lower_fills()
        self.lower_caps()
        self.lower_schedules()
        self.lower_threads()
        self.lower_domains()
        self.size_vault()
        self.tables.board_facts = list(self.spec.board_facts)
        self.tables.object_count = len(self.index)
        self.tables.capability_count = sum(len(item.slots) for item in self.spec.objects.values())
        return self.tables

    def error(self, place: Place | None, message: str) -> None:
        self.diagnostics.error(place, message, "emit")

    # Objects ----------------------------------------------------------------------------------------------------------------------------

    def number_objects(self) -> None:
        """Lay out the objects: frames that are pages of the image, then group by group, the kernel's untypeds last. Number them."""
        members = self.group_members()
        tables = self.tables
        self.take_page_frames(members)
        for name in (name for name in self.spec.objects if name in self.page_frames):
            self.index[name] = len(tables.objects)
            tables.objects.append(self.memory_object(self.spec.objects[name]))
        order = [name for name in members if name is not None] + [None]
        for owner in order:
            for name in members.get(owner, ()):
                self.index[name] = len(tables.objects)
                tables.objects.append(self.memory_object(self.spec.objects[name]))
        tables.vault = len(tables.objects)
        tables.objects.append(MemoryObject(VAULT_NAME, "CNode", 0, None))
        first = {owner: self.index[members[owner][0]] for owner in order if members.get(owner)}
        kernel_count = len(members.get(None, ())) + 1
        tables.groups.append(Group(NONE, tables.vault + 1 - kernel_count, kernel_count))
        tables.groups += [Group(self.index[owner], first[owner], len(members[owner])) for owner in self.by_depth(members)]
        tables.names = [item.name for item in tables.objects] + [CONSOLE_NAME]

    def group_members(self) -> dict[str | None, list[str]]:
        """The untyped that holds them (None: the kernel's) -> names of objects with memory. Untypeds that nobody holds are only the
        description's way to say where things came from: what they cover is placed with their parent."""
        held = {cap.object for item in self.spec.objects.values() for cap in item.slots.values() if cap.object is not None}
        parents = self.spec.parents()
        members = defaultdict(list)
        for item in self.spec.objects.values():
            if item.type in (*IRQ_TYPES, SGI_TYPE) or (item.type == "ut" and item.name not in held):
                continue
            owner = parents.get(item.name)
            while owner is not None and owner not in held:
                owner = parents.get(owner)
            members[owner].append(item.name)
        return members

    def take_page_frames(self, members: dict[str | None, list[str]]) -> None:
        """Take from the objects that are placed in the kernel's untypeds those frames that can be made of pages of the image: one of each content.
        Equal ones are copies of it."""
        for name in members.get(None, ()):
            parts = page_parts(self.spec.objects[name])
            if parts and parts not in self.page_of:
                self.page_of[parts] = len(self.tables.pages)
                self.tables.pages.append(parts)
                self.page_frames.add(name)
        if self.page_frames:
            members[None] = [name for name in members[None] if name not in self.page_frames]

    def by_depth(self, members: dict[str | None, list[str]]) -> list[str]:
        """Untypeds that hold something, outer ones first."""
        parents = self.spec.parents()

        def depth(name: str) -> int:
            count = 0
            while (name := parents.get(name)) is not None:
                count += 1
            return count
        return sorted((name for name in members if name is not None), key=lambda name: (depth(name), self.index[name]))

    def memory_object(self, item: Object) -> MemoryObject:
        kind = FRAME_TYPES.get(item.size_bits) if item.type == "frame" else OBJECT_TYPES.get(item.type)
        if kind is None:
            self.error(item.place, f"'{item.name}' ({item.type}) is no object that the loader can create")
        return MemoryObject(item.name, kind, item.memory_bits(), item.paddr)

    def size_vault(self) -> None:
        """The vault holds one capability per object and mapping, the ASID pool of the loader, the loader and itself; one slot is empty."""
        count = len(self.tables.names) + len(self.tables.frame_mappings) + 4
        self.tables.objects[self.tables.vault].bits = max(1, (count - 1).bit_length()) + SLOT_BITS

    # Interrupts -------------------------------------------------------------------------------------------------------------------------

    def lower_interrupts(self) -> None:
        for number, name in sorted(self.spec.irqs.items()):
            item = self.spec.objects[name]
            self.index[name] = len(self.tables.names)
            self.tables.names.append(name)
            trigger = {"edge": "Edge"}.get(item.params.get("trigger"), "Level")
            cap = item.slots.get(0)
            notification = NONE if cap is None else self.index[cap.object]
            self.tables.interrupts.append((self.index[name], number, trigger, notification, 0 if cap is None else cap.badge))

    def lower_sgi_signals(self) -> None:
        for item in self.spec.objects.values():
            if item.type == SGI_TYPE:
                self.index[item.name] = len(self.tables.names)
                self.tables.names.append(item.name)
                self.tables.sgi_signals.append((self.index[item.name], item.params["irq"], item.params["target"]))

    # Memory -----------------------------------------------------------------------------------------------------------------------------

    def find_controls(self) -> dict[Slot, Slot]:
        """(page table, slot) -> (CNode, slot) of the capability that controls the mapping."""
        return {cap.mapping: (item.name, slot) for item in self.spec.objects.values() if item.type == "cnode"
                for slot, cap in item.slots.items() if cap.mapping is not None}

    def lower_address_spaces(self) -> None:
        pools = {}
        for item in self.spec.objects.values():
            if item.type == "asid_pool":
                self.tables.asid_pools.append(self.index[item.name])
                for cap in item.slots.values():
                    pools[cap.object] = self.index[item.name]
        # The first capability of such a frame goes to a CNode, and must not take a mapping along.
        used_frames = {self.spec.objects[name].slots[slot].object for name, slot in self.originals}
        for item in self.spec.objects.values():
            if item.type == "pgd":
                self.tables.address_spaces.append((self.index[item.name], pools.get(item.name, NONE)))
                self.lower_tables(item, used_frames)
        own = sum(pool == NONE for _, pool in self.tables.address_spaces)
        if own > LOADER_POOL_FREE:
            self.error(None, f"{own} address spaces are in no ASID pool, and the loader's has room for {LOADER_POOL_FREE} "
                             "(put the others into an asid_pool)")
        if len(self.tables.asid_pools) >= ASID_POOLS:
            self.error(None, f"{len(self.tables.asid_pools)} ASID pools and the loader's own are more than the processor has address spaces for "
                             f"({ASID_POOLS} pools; divide the system)")

    def lower_tables(self, pgd: Object, used_frames: set[str]) -> None:
        """Page tables of one address space level by level, then its frames."""
        level = [(pgd, 0)]
        frames = []
        while level:
            below = []
            for table, base in level:
                for slot, cap in sorted(table.slots.items()):
                    address = base + (slot << PAGE_TABLE_SHIFT[table.type])
                    child = self.spec.objects[cap.object]
                    size = 1 << child.size_bits if child.type == "frame" else 1
                    if address + size > USER_TOP:
                        self.error(cap.place, f"'{child.name}' at {address:#x} is above user addresses, which end at {USER_TOP:#x}")
                    elif child.type == "frame":
                        frames.append((table, slot, cap, address))
                    elif child.name in self.mapped_tables:
                        self.error(cap.place, f"'{child.name}' is in two address spaces (a page table is in one)")
                    else:
                        self.mapped_tables.add(child.name)
                        self.tables.table_mappings.append((self.index[pgd.name], self.index[child.name], address))
                        below.append((child, address))
            level = below
        for table, slot, cap, address in frames:
            self.lower_mapping(pgd, table, slot, cap, address, used_frames)

    def lower_mapping(self, pgd: Object, table: Object, slot: int, cap: Cap, address: int, used_frames: set[str]) -> None:
        """One frame in an address space. The first mapping uses the frame's own capability, all others and those that a CNode's
        capability controls use a copy."""
        control = self.controls.get((table.name, slot))
        is_copy = control is not None or cap.object in used_frames
        cap_rights = ALL_RIGHTS
        if control is not None:
            cap_rights = rights_bits(self.spec.objects[control[0]].slots[control[1]].rights)
        if not is_copy:
            used_frames.add(cap.object)
        self.mapping_of[table.name, slot] = len(self.tables.frame_mappings)
        self.tables.frame_mappings.append(FrameMapping(
            self.index[pgd.name], self.index[cap.object], address, rights_bits(cap.rights) & READ_WRITE, cap.cached, "G" not in cap.rights,
            is_copy, cap_rights))

    def lower_fills(self) -> None:
        executable = {mapping.frame for mapping in self.tables.frame_mappings if not mapping.execute_never}
        uncached = {mapping.frame for mapping in self.tables.frame_mappings if not mapping.cached}
        for item in self.spec.objects.values():
            if item.fills and item.size_bits > 21:
                self.error(item.place, f"'{item.name}' has a fill; the loader fills frames of 4k and 2M (divide it)")
                continue
            frame = self.index[item.name] if item.fills else NONE
            page = self.page_of.get(page_parts(item))
            if page is not None:
                self.fill_from_page(item, frame, page, frame in executable, frame in uncached)
                continue
            for fill in item.fills:
                if fill.kind == FILL_FILE:
                    source = "Embedded"
                elif fill.kind == FILL_BOOT_INFO and fill.file == DEVICE_TREE:
                    source = "DeviceTree"
                else:
                    self.error(item.place, f"'{item.name}': the loader has no '{fill.file}' to fill it with (only {DEVICE_TREE})")
                    continue
                if fill.length > 0:
                    self.tables.fills.append(LoweredFill(frame, fill.offset, fill.length, source, frame in executable, frame in uncached,
                                                         fill.file, fill.file_offset))

    def fill_from_page(self, item: Object, frame: int, page: int, executable: bool, uncached: bool) -> None:
        """A frame of 4k whose content is a page of the image: it becomes that page, or a copy of what is not zero in it."""
        if item.name in self.page_frames:
            self.tables.page_frames.append(PageFrame(frame, page, executable, uncached))
            return
        first = min(fill.offset for fill in item.fills)
        length = max(fill.offset + fill.length for fill in item.fills) - first
        self.tables.fills.append(LoweredFill(frame, first, length, "Page", executable, uncached, "", (page << PAGE_BITS) + first))

    # Capabilities -----------------------------------------------------------------------------------------------------------------------

    def lower_caps(self) -> None:
        """All capabilities of CNodes: each badged one before those derived from it, the objects' first capabilities last."""
        waiting: dict[Slot, list[Placed]] = defaultdict(list)
        ready: list[Placed] = []
        last: list[Placed] = []
        for item in self.spec.objects.values():
            if item.type != "cnode":
                continue
            for slot, cap in sorted(item.slots.items()):
                parent = self.derived_from.get((item.name, slot))
                if (item.name, slot) in self.originals:
                    last.append((item, slot, cap, None))
                elif parent is None:
                    ready.append((item, slot, cap, None))
                else:
                    waiting[parent].append((item, slot, cap, parent))
        moved: dict[tuple[str, int], Slot] = {}
        for item, slot, cap, parent in ready:
            self.tables.caps.append(self.cap_entry(item, slot, cap, parent, moved))
            ready += waiting.pop((item.name, slot), ())
        for item, slot, cap, _ in (entry for entries in waiting.values() for entry in entries):
            self.error(cap.place, f"slot {slot:#x} of '{item.name}' is derived from itself, directly or through others")
        for item, slot, cap, parent in last:
            self.tables.caps.append(self.cap_entry(item, slot, cap, parent, moved))

    def find_derivations(self) -> None:
        """Sort the derivations that the description states. The kernel knows two kinds of parents: the first capability of an object,
        from which all others are derived, and one that got its badge, from which equal ones are. Sets `originals` (the slots that hold
        first capabilities) and `derived_from` (slot -> slot of a badged parent)."""
        owner: dict[str, Slot] = {}
        for child, parent in sorted(self.spec.cdt.items()):
            cap = self.spec.objects[child[0]].slots.get(child[1])
            container = self.spec.objects[parent[0]]
            origin = container.slots.get(parent[1])
            if cap is None or origin is None or (origin.object, origin.built_in) != (cap.object, cap.built_in):
                # Derived from the untyped that the object was made of, which the loader's own capabilities are by nature.
                continue
            if container.type != "cnode" or self.spec.objects[child[0]].type != "cnode" or cap.object is None:
                self.error(cap.place, f"slot {spell(child)} is derived from {spell(parent)}; the loader can do so only between slots "
                                      "of CNodes and for objects of the description")
            elif origin.badge:
                self.derived_from[child] = parent
                if cap.badge != origin.badge:
                    self.error(cap.place, f"slot {spell(child)} is derived from {spell(parent)}, which has another badge (the kernel "
                                          "copies badges and does not change them)")
            elif owner.setdefault(cap.object, parent) != parent:
                self.error(cap.place, f"'{cap.object}' has capabilities derived from {spell(parent)} and from {spell(owner[cap.object])}; "
                                      "without a badge only one capability of an object can be a parent")
            else:
                self.check_original(parent, origin)
        self.originals = set(owner.values())

    def check_original(self, slot: Slot, cap: Cap) -> None:
        """What an object's first capability is like."""
        if slot in self.spec.cdt and self.same_object(slot, self.spec.cdt[slot]):
            self.error(cap.place, f"slot {spell(slot)} is derived itself; without a badge only an object's first capability can be "
                                  "a parent")
        missing = set(FIRST_RIGHTS.get(self.spec.objects[cap.object].type, "")) - set(cap.rights)
        if missing or cap.guard_size:
            self.error(cap.place, f"slot {spell(slot)} holds the first capability to '{cap.object}', as others are derived from it; "
                                  "that one has all rights and no guard (give it those, or remove the derivations)")

    def same_object(self, one: Slot, other: Slot) -> bool:
        """Whether two slots hold capabilities to one object."""
        caps = [self.spec.objects[name].slots.get(slot) for name, slot in (one, other)]
        return None not in caps and caps[0].object == caps[1].object

    def cap_entry(self, item: Object, slot: int, cap: Cap, parent: Slot | None, moved: dict[tuple[str, int], Slot]) -> CapEntry:
        source, index = self.cap_source(cap)
        kind = None if cap.object is None else self.spec.objects[cap.object].type
        rights = rights_bits(cap.rights) if kind in TYPES_WITH_RIGHTS else ALL_RIGHTS
        data = guard_data(cap) if kind == "cnode" else cap.badge
        action = "Copy" if parent is not None or data == 0 else "Mint"
        if source == "Mapping" or self.only_moves(cap, kind):
            action = "Move"
            self.check_moved(item, slot, cap, source, index, moved)
        elif (item.name, slot) in self.originals:
            action = "First"
        parent_cnode, parent_slot = (NONE, 0) if parent is None else (self.index[parent[0]], parent[1])
        return CapEntry(self.index[item.name], slot, source, index, action, rights, data if action == "Mint" else 0, parent_cnode,
                        parent_slot)

    def cap_source(self, cap: Cap) -> tuple[str, int]:
        """CapSource and its index."""
        if cap.object is None:
            if cap.built_in not in BUILT_IN_SOURCES:
                self.error(cap.place, f"'{cap.built_in}' is a capability that this kernel does not have")
            return BUILT_IN_SOURCES.get(cap.built_in, ""), cap.core or 0
        if cap.mapping is not None:
            if cap.mapping in self.mapping_of:
                return "Mapping", self.mapping_of[cap.mapping]
            self.error(cap.place, f"the mapping ({cap.mapping[0]}, {cap.mapping[1]:#x}) is in no address space")
        if cap.object not in self.index:
            self.error(cap.place, f"the interrupt '{cap.object}' is not in 'irq maps'")
        return "Object", self.index.get(cap.object, NONE)

    def only_moves(self, cap: Cap, kind: str | None) -> bool:
        """Whether the kernel refuses copies: of untypeds, unmapped page tables, and the right to make interrupt handlers."""
        return kind == "ut" or (kind in TABLE_TYPES and cap.object not in self.mapped_tables) or cap.built_in == "irq_control"

    def check_moved(self, item: Object, slot: int, cap: Cap, source: str, index: int, moved: dict[tuple[str, int], Slot]) -> None:
        """What is moved is in one slot only."""
        first = moved.setdefault((source, index), (item.name, slot))
        if first != (item.name, slot):
            self.error(cap.place, f"'{cap.object or cap.built_in}' is in slots {spell(first)} and {spell((item.name, slot))}; the kernel "
                                  "does not copy such a capability (give it to one only)")

    # Threads ----------------------------------------------------------------------------------------------------------------------------

    def lower_schedules(self) -> None:
        cores = {}
        for item in self.spec.objects.values():
            cap = item.slots.get(TCB_SLOTS["sc_slot"]) if item.type == "tcb" else None
            if cap is not None:
                cores[cap.object] = item.params.get("affinity", 0)
        for item in self.spec.objects.values():
            if item.type == "sc" and "budget" in item.params:
                self.tables.schedules.append((self.index[item.name], cores.get(item.name, 0), item.params["budget"], item.params["period"],
                                              item.params.get("data", 0)))

    def lower_threads(self) -> None:
        """Threads in the order in which they start: components, then all others as they are declared."""
        names = [self.spec.components[name].tcb for name in self.spec.start_order]
        names += [item.name for item in self.spec.objects.values() if item.type == "tcb"]
        for name in dict.fromkeys(names):
            self.tables.threads.append(self.thread(self.spec.objects[name]))

    def thread(self, item: Object) -> Thread:
        caps = {name: item.slots.get(number) for name, number in TCB_SLOTS.items()}
        for slot in ("reply_slot", "caller_slot", "bound_vcpu"):
            if caps[slot] is not None:
                self.error(caps[slot].place, f"'{item.name}' has a {slot}, which this kernel's threads do not have (remove it)")
        cspace, vspace, frame = caps["cspace"], caps["vspace"], caps["ipc_buffer_slot"]
        if (cspace is None) != (vspace is None):
            self.error(item.place, f"'{item.name}' has only one of cspace and vspace (give it both or none)")
        if frame is None and item.params.get("addr", 0):
            self.error(item.place, f"'{item.name}' has an address for an IPC buffer but no frame for it (add ipc_buffer_slot)")
        resume = item.params.get("resume", "ip" in item.params)
        if resume and (cspace is None or vspace is None):
            self.error(item.place, f"'{item.name}' shall start but has no cspace and vspace (add them, or resume: False)")
        return Thread(
            tcb=self.index[item.name], cspace=self.target(cspace), cspace_data=0 if cspace is None else guard_data(cspace),
            vspace=self.target(vspace), buffer_frame=self.target(frame), buffer_address=0 if frame is None else item.params.get("addr", 0),
            sched_context=self.target(caps["sc_slot"]), notification=self.target(caps["bound_notification"]),
            fault=self.handler(caps["fault_ep_slot"]), timeout=self.handler(caps["temp_fault_ep_slot"]),
            ip=item.params.get("ip", 0), sp=item.params.get("sp", 0), arguments=tuple(item.params.get("init", ())),
            priority=item.params.get("prio", 0), max_priority=item.params.get("max_prio", 0), domain=item.params.get("dom", 0),
            core=item.params.get("affinity", 0) if caps["sc_slot"] is None else 0,
            flags=tuple(name for name in THREAD_FLAGS if item.params.get(name)), first_receive=self.first_receive(item, cspace, resume), resume=resume)

    def first_receive(self, item: Object, cspace: Cap | None, resume: bool) -> int:
        """The endpoint at the address `first_receive` of a thread, or NONE for threads that keep their scheduling context."""
        address = item.params.get("first_receive")
        if address is None:
            return NONE
        cap = None
        cnode = None if cspace is None else self.spec.objects[cspace.object]
        if cnode is not None and cspace.guard == 0 and cspace.guard_size + cnode.size_bits == CPTR_BITS:
            cap = cnode.slots.get(address)
        if cap is None or cap.object is None or self.spec.objects[cap.object].type != "ep" or "R" not in cap.rights:
            self.error(item.place, f"'{item.name}': first_receive is {address:#x}, where its CSpace has no endpoint to receive from (write the "
                                   "slot of one in its CNode)")
            return NONE
        if not resume or TCB_SLOTS["sc_slot"] not in item.slots:
            self.error(item.place, f"'{item.name}' has first_receive but does not start on a scheduling context (add sc_slot, and resume: "
                                   "True)")
        return self.index[cap.object]

    def lower_domains(self) -> None:
        """The schedule's entries where they go in the kernel's table, and behind them one that ends it."""
        domains = self.spec.domains
        if domains is None or not domains.schedule:
            return
        first = domains.index_shift or 0
        turns = self.tables.domain_turns
        turns += [(first + number, domain, duration, unit != "us") for number, (domain, duration, unit) in enumerate(domains.schedule)]
        end = first + len(turns)
        if end < DOMAIN_SCHEDULE_ENTRIES:
            turns.append((end, 0, 0, False))
        start = domains.start if domains.has_start else 0
        self.tables.domain_start = NONE if start is None else first + start

    def target(self, cap: Cap | None) -> int:
        return NONE if cap is None else self.index[cap.object]

    def handler(self, cap: Cap | None) -> Handler:
        return Handler() if cap is None else Handler(self.index[cap.object], cap.badge, rights_bits(cap.rights))
