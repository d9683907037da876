# SPDX-License-Identifier: BSD-2-Clause
"""The elaborated system: kernel objects, the capabilities in their slots, interrupts and derivations, with all names resolved.

It is what the checks read, the canonical text spells and the image emitter compiles. `capdl.load` returns it as a Spec; when the
Diagnostics beside it hold no error, every reference in it resolves, every slot lies in its container, every fill lies in its frame and
file, and every object can be loaded on AArch64.

How a component's memory, CSpace and page tables come about stands in components.py; here they are objects like all others.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .diagnostics import Place
from .policy_clauses import Policy
from .syntax import MemoryRange

ARCHITECTURES = ("ia32", "arm11", "x86_64", "aarch64", "riscv")

OBJECT_TYPES = ("ep", "notification", "tcb", "cnode", "ut", "irq", "ioapic_irq", "msi_irq", "arm_irq", "asid_pool", "pt", "pd", "pml4",
                "pdpt", "pud", "pgd", "frame", "io_ports", "io_device", "arm_io_device", "io_pt", "vcpu", "sc", "rtreply", "streamid",
                "contextbank", "smc", "arm_sgi_signal")

# Slots of a TCB: keyword of the language -> number.
TCB_SLOTS = {"cspace": 0, "vspace": 1, "reply_slot": 2, "caller_slot": 3, "ipc_buffer_slot": 4, "fault_ep_slot": 5, "sc_slot": 6,
             "temp_fault_ep_slot": 7, "bound_notification": 8, "bound_vcpu": 9}
TCB_SLOT_NAMES = {number: name for name, number in TCB_SLOTS.items()}

# Capabilities that name no object of the description.
BUILT_IN_CAPS = ("irq_control", "asid_control", "domain", "sched_control", "io_space_master")

# Rights in the order in which text spells them. X of the language is G (on a frame: executable).
RIGHTS = "RWGP"

# Words that a page table resolves per level, and the bits of address below one entry, by object type (AArch64).
PAGE_TABLE_SHIFT = {"pgd": 39, "pud": 30, "pd": 21, "pt": 12}
PAGE_TABLE_ENTRIES = 512

# ASIDs that one pool has, and pools that there are (kernel/api/abi.toml). ASID 0 is nobody's, and one is that of the loader's own address space.
ASID_POOL_ENTRIES, ASID_POOLS = 512, 128
LOADER_POOL_FREE = ASID_POOL_ENTRIES - 2

# Kernel object sizes that do not depend on parameters, as log2 of bytes (AArch64).
FIXED_SIZE_BITS = {"tcb": 11, "ep": 4, "notification": 6, "rtreply": 5, "pgd": 12, "pud": 12, "pd": 12, "pt": 12, "asid_pool": 12,
                   "vcpu": 12}
SLOT_BITS = 5
DEFAULT_SC_BITS = 8

# Parameters of a TCB that plain capDL does not have: a text that uses them begins with `caprock 1`.
ACCESS_PARAMETERS = ("pmu", "physical_timer")
OWN_TCB_PARAMETERS = (*ACCESS_PARAMETERS, "first_receive")

FILL_FILE = "CDL_FrameFill_FileData"
FILL_BOOT_INFO = "CDL_FrameFill_BootInfo"


@dataclass(slots=True, frozen=True)
class Fill:
    """Initial content of a part of a frame. offset, length: bytes in the frame.

    kind FILL_FILE: the bytes of file `file` (a key of Spec.files) from file_offset on.
    kind FILL_BOOT_INFO: the boot information chunk named `file` ("CDL_FrameFill_BootInfo_FDT"), from file_offset on.
    What is not filled is zero.
    """

    offset: int
    length: int
    kind: str
    file: str
    file_offset: int


@dataclass(slots=True)
class Cap:
    """A capability in a slot.

    object: name of the object, or None for a built-in one, whose name is then in `built_in` (BUILT_IN_CAPS).
    rights: letters of RIGHTS in that order. Endpoints, notifications and frames have them; for all other kinds it is "".
        On endpoints R receives, W sends, G passes capabilities, P passes the reply. On frames G is "executable".
    badge: of endpoint and notification capabilities (0: none).
    guard, guard_size: of CNode capabilities.
    core: of sched_control.
    reply: None, "reply" or "master_reply" (capabilities made from a TCB by kernels without reply objects; not loadable).
    asid: (high, low) or None, of page tables and frames.
    cached: False maps a frame as device memory.
    mapping: (container, slot) that this frame capability controls, or None.
    """

    object: str | None
    built_in: str | None = None
    rights: str = ""
    badge: int = 0
    guard: int = 0
    guard_size: int = 0
    core: int | None = None
    reply: str | None = None
    asid: tuple[int, int] | None = None
    cached: bool = True
    mapping: tuple[str, int] | None = None
    place: Place | None = None

    def same(self, other: "Cap") -> bool:
        """True when both are the same capability, wherever they were written."""
        return all(getattr(self, item.name) == getattr(other, item.name) for item in fields(self) if item.name != "place")


@dataclass(slots=True)
class Object:
    """A kernel object. name: unique; elements of an array are called `name[0]`, `name[1]`, ... (base and index hold the parts).

    size_bits: the number that the language spells. cnode: radix; ut and sc: log2 of bytes; frame: log2 of bytes; None when not given
        (use `memory_bits()` for what Untyped::Retype needs).
    paddr: physical address of a ut or frame, or None.
    fills: of a frame.
    params: further parameters by keyword, only those that were given:
        tcb: addr (IPC buffer address), ip, sp, prio, max_prio, affinity (core), resume (bool), fpu_disabled (bool), dom, fault_ep
             (int), init (tuple of ints for x0, x1, ...); of `caprock 1` only: physical_timer, pmu (bool: access to these), first_receive
             (address of an endpoint: the context in sc_slot is lent, and taken back when the thread first receives from that endpoint)
        sc: period, budget (microseconds), data (badge of timeout faults)
        arm_irq: trigger ("level" or "edge"), target (core)
        asid_pool: asid_high. Other types: as the language names them.
    slots: capabilities by slot number. tcb: TCB_SLOTS. Page tables: index of the entry. irq, arm_irq and kin: slot 0 is the
        notification that the interrupt signals, with the badge that arrives.
    children: names of the objects that an untyped covers, in order.
    component: name of the component that it was generated for, or None.
    """

    name: str
    type: str
    place: Place | None = None
    base: str = ""
    index: int | None = None
    size_bits: int | None = None
    paddr: int | None = None
    fills: tuple[Fill, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    slots: dict[int, Cap] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    component: str | None = None

    def memory_bits(self) -> int | None:
        """log2 of the bytes that the object takes from an untyped on AArch64; None for those that take none (interrupts) and for
        untypeds without a size."""
        if self.type == "cnode":
            return None if self.size_bits is None else self.size_bits + SLOT_BITS
        if self.type == "sc":
            return DEFAULT_SC_BITS if self.size_bits is None else self.size_bits
        if self.type in ("ut", "frame"):
            return self.size_bits
        return FIXED_SIZE_BITS.get(self.type)


@dataclass(slots=True)
class ComponentSummary:
    """What tools want to know of a component that is not in its objects.

    elf: file name as described (a key of Spec.files). tcb, cnode, vspace, sc, endpoint, notification, reply: names of its objects, or
    None. entry, stack_top: addresses. info: key in Spec.files of the generated ComponentInfo page(s). provides, uses: port name ->
    interface name.
    """

    name: str
    elf: str
    tcb: str
    cnode: str
    vspace: str
    sc: str | None
    endpoint: str | None
    notification: str | None
    reply: str | None
    info: str
    entry: int
    stack_top: int
    provides: dict[str, str] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    place: Place | None = None


@dataclass(slots=True, frozen=True)
class Call:
    """A connection by which a component calls another one. methods: (name, microseconds that it promises to take at most, or None)."""

    client: str
    server: str
    methods: tuple[tuple[str, int | None], ...]
    place: Place


@dataclass(slots=True)
class DomainSchedule:
    """The `domains` section. schedule: (domain, duration, unit or None) in order; None means ticks of the counter, as "ticks" does.
    index_shift: entry of the kernel's table that the first one becomes, or None (0). has_start, start: the entry of `schedule` that begins;
    None for no_start: the table is filled, and what runs stays as it is. Without has_start the first entry begins."""

    schedule: list[tuple[int, int, str | None]] = field(default_factory=list)
    start: int | None = None
    has_start: bool = False
    index_shift: int | None = None
    place: Place | None = None


@dataclass(slots=True, frozen=True)
class BoardFact:
    """Bytes of a property of the board's device tree that a component stands on; the loader compares them with the tree at boot. offset: in the property.
    user: the component."""

    path: str
    property: str
    offset: int
    content: bytes
    user: str


@dataclass(slots=True)
class Spec:
    """A whole system.

    name: the file's name without suffix. arch: of ARCHITECTURES.
    objects: by name, in order of declaration (generated ones by component in order of declaration).
    arrays: base name -> number of elements.
    irqs: interrupt number -> name of the irq or arm_irq object (number as the GIC counts: SPI n is 32 + n).
    cdt: (container, slot) of a capability -> that of its parent; only for derivations that the text states.
    files: name in fills -> path on this machine.
    board_facts: what was taken from the device tree.
    components: by name, in order of declaration; empty for plain capDL. start_order: their names in the order in which they start.
    memory: ranges that every board has at least, as the description declares; empty: it does not say.
    policy: what the description promises (policy_clauses.Policy). calls: which component calls which.
    """

    name: str = ""
    arch: str = "aarch64"
    objects: dict[str, Object] = field(default_factory=dict)
    arrays: dict[str, int] = field(default_factory=dict)
    irqs: dict[int, str] = field(default_factory=dict)
    irq_places: dict[int, Place] = field(default_factory=dict)
    cdt: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    cdt_places: dict[tuple[str, int], Place] = field(default_factory=dict)
    domains: DomainSchedule | None = None
    files: dict[str, Path] = field(default_factory=dict)
    board_facts: list[BoardFact] = field(default_factory=list)
    components: dict[str, ComponentSummary] = field(default_factory=dict)
    start_order: list[str] = field(default_factory=list)
    memory: list[MemoryRange] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    calls: list[Call] = field(default_factory=list)

    def parents(self) -> dict[str, str]:
        """untyped that covers it -> by name of the covered object."""
        return {child: ut.name for ut in self.objects.values() for child in ut.children}
