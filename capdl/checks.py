# SPDX-License-Identifier: BSD-2-Clause
"""Checks of a resolved system. Each is one function, registered in CHECKS with a name and one of three kinds:

always: what every capDL tool rejects.
strict: what the reference tool lets pass and this one rejects by default (a warning otherwise).
loadable: what the language can say but a Caprock kernel on AArch64 cannot hold; for systems that shall be built.

A check is called with the Spec and yields (place, message); messages name the objects, the reason and the remedy.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .diagnostics import Diagnostics, Place
from .model import FILL_FILE, FIXED_SIZE_BITS, PAGE_TABLE_ENTRIES, TCB_SLOT_NAMES, TCB_SLOTS, Cap, Object, Spec
from .resolve import IRQ_TYPES, TABLE_TYPES, spell_slot

Problems = Iterator[tuple[Place | None, str]]
Function = Callable[[Spec], Problems]

MAX_PRIORITY = 255
CPTR_BITS = 64
CORES = 8
DOMAINS = 16
DOMAIN_SCHEDULE_ENTRIES = 64
LARGEST_PERIOD_US = 3_600_000_000
ARGUMENT_REGISTERS = 9
# Interrupts that a handler can be made for: SGIs (of which 0 and 1 are the kernel's), PPIs and SPIs of a GIC, and SError.
FIRST_IRQ, LAST_SGI, LAST_IRQ, SERROR_IRQ = 2, 15, 1019, 1020

COMMON_TYPES = frozenset(("ep", "notification", "tcb", "cnode", "ut", "irq", "asid_pool", "pd", "pt", "frame", "sc", "rtreply"))
_X86 = frozenset(("io_ports", "io_device", "io_pt", "ioapic_irq", "msi_irq", "vcpu"))
ARCH_TYPES = {
    "ia32": COMMON_TYPES | _X86,
    "x86_64": COMMON_TYPES | _X86 | {"pml4", "pdpt"},
    "arm11": COMMON_TYPES | {"arm_io_device", "arm_irq", "arm_sgi_signal", "vcpu"},
    "aarch64": COMMON_TYPES | {"arm_io_device", "arm_irq", "arm_sgi_signal", "vcpu", "pud", "pgd", "streamid", "contextbank", "smc"},
    "riscv": COMMON_TYPES,
}
VSPACE_ROOTS = {"ia32": ("pd",), "arm11": ("pd",), "x86_64": ("pml4",), "aarch64": ("pgd", "pud"), "riscv": ("pt",)}
FRAME_BITS = {"ia32": (12, 22), "arm11": (12, 16, 20, 24), "x86_64": (12, 21, 30), "aarch64": (12, 21, 30), "riscv": (12, 21, 22, 30)}
# Entries that a table has, and the frame size that an entry of it maps, where architectures agree.
TABLE_ENTRIES = {"aarch64": PAGE_TABLE_ENTRIES, "x86_64": PAGE_TABLE_ENTRIES}
TABLE_FRAME_BITS = {"pt": 12, "pd": 21, "pud": 30, "pdpt": 30}
TABLE_CHILDREN = {"pt": ("frame",), "pd": ("frame", "pt"), "pud": ("frame", "pd"), "pgd": ("pud",), "pdpt": ("frame", "pd"),
                  "pml4": ("pdpt",), "io_pt": ("frame", "io_pt")}

# What the kernel has, by object type: None, or why it is refused.
LOADABLE: dict[str, str | None] = {
    **dict.fromkeys(("ep", "notification", "tcb", "cnode", "ut", "irq", "arm_irq", "asid_pool", "pt", "pd", "pud", "pgd", "frame", "sc",
                     "rtreply", "arm_sgi_signal")),
    "vcpu": "virtual machines are not supported yet",
    "streamid": "the SMMU is not supported yet",
    "contextbank": "the SMMU is not supported yet",
    "smc": "calls of secure firmware are not supported",
    "arm_io_device": "the SMMU is not supported yet",
}


class Check(NamedTuple):
    """A registered check. kind: always, strict or loadable."""

    name: str
    kind: str
    function: Function


CHECKS: list[Check] = []
# Checks that find something missing.
NEED_ALL = frozenset(("cdt-empty", "irq-unmapped", "loadable-domains", "loadable-size", "loadable-tcb", "loadable-vspace", "mapping"))


def check(name: str, kind: str) -> Callable[[Function], Function]:
    """Register the decorated function under `name`."""
    def register(function: Function) -> Function:
        CHECKS.append(Check(name, kind, function))
        return function
    return register


def run(spec: Spec, diagnostics: Diagnostics, strict: bool = True, loadable: bool = True) -> None:
    """Run the registered checks on `spec`. strict: findings of strict checks are errors, else warnings. loadable: run those too. After errors the system
    is what could be understood: checks that would take for missing what was not understood are left out."""
    complete = diagnostics.ok
    for item in CHECKS:
        if item.kind == "loadable" and not loadable or item.name in NEED_ALL and not complete:
            continue
        record = diagnostics.warning if item.kind == "strict" and not strict else diagnostics.error
        for place, message in item.function(spec):
            record(place, message, item.name)


def kind_of(spec: Spec, cap: Cap) -> str | None:
    """The type of a capability's object, or None for a built-in one."""
    return None if cap.object is None else spec.objects[cap.object].type


def spell_target(spec: Spec, cap: Cap) -> str:
    """What a capability refers to, as messages call it."""
    return f"{cap.built_in}" if cap.object is None else f"'{cap.object}' ({kind_of(spec, cap)})"


# Always ---------------------------------------------------------------------------------------------------------------------------------

@check("architecture", "always")
def object_architecture(spec: Spec) -> Problems:
    """Object types that the architecture lacks."""
    known = ARCH_TYPES[spec.arch]
    for item in spec.objects.values():
        if item.type not in known:
            yield item.place, f"'{item.name}' is of type {item.type}, which {spec.arch} does not have"
    for item in spec.objects.values():
        for cap in item.slots.values():
            if cap.built_in == "io_space_master" and spec.arch not in ("ia32", "x86_64"):
                yield cap.place, f"{spec.arch} has no io_space_master"


def tcb_slot_accepts(spec: Spec, slot: int, cap: Cap) -> bool:
    """True when a capability may be in slot `slot` of a TCB."""
    kind = kind_of(spec, cap)
    wanted = {TCB_SLOTS["cspace"]: ("cnode",), TCB_SLOTS["vspace"]: VSPACE_ROOTS[spec.arch], TCB_SLOTS["ipc_buffer_slot"]: ("frame",),
              TCB_SLOTS["fault_ep_slot"]: ("ep",), TCB_SLOTS["sc_slot"]: ("sc",), TCB_SLOTS["temp_fault_ep_slot"]: ("ep",),
              TCB_SLOTS["bound_notification"]: ("notification",), TCB_SLOTS["bound_vcpu"]: ("vcpu",)}
    if slot == TCB_SLOTS["reply_slot"]:
        return cap.reply == "master_reply"
    if slot == TCB_SLOTS["caller_slot"]:
        return cap.reply == "reply"
    return kind in wanted.get(slot, ())


@check("tcb-slot", "always")
def tcb_slots(spec: Spec) -> Problems:
    """Capabilities of the wrong kind in a TCB's slots."""
    for item in spec.objects.values():
        if item.type != "tcb":
            continue
        for slot, cap in item.slots.items():
            if slot not in TCB_SLOT_NAMES:
                yield cap.place, f"'{item.name}' has no slot {slot} (the slots of a TCB are {', '.join(TCB_SLOTS)})"
            elif not tcb_slot_accepts(spec, slot, cap):
                yield cap.place, f"slot {TCB_SLOT_NAMES[slot]} of '{item.name}' cannot hold {spell_target(spec, cap)}"


@check("table-child", "always")
def table_children(spec: Spec) -> Problems:
    """Capabilities of the wrong kind in page tables."""
    for item in spec.objects.values():
        accepted = TABLE_CHILDREN.get(item.type)
        if accepted is None:
            continue
        if spec.arch == "riscv" and item.type == "pt":
            accepted = ("frame", "pt")
        for slot, cap in item.slots.items():
            if kind_of(spec, cap) not in accepted:
                yield cap.place, (f"entry {slot:#x} of '{item.name}' ({item.type}) cannot hold {spell_target(spec, cap)} "
                                  f"(it holds: {', '.join(accepted)})")


@check("irq-slot", "always")
def irq_slots(spec: Spec) -> Problems:
    """An interrupt object has one slot, for a notification."""
    for item in spec.objects.values():
        if item.type in IRQ_TYPES:
            for slot, cap in item.slots.items():
                if slot != 0 or kind_of(spec, cap) != "notification":
                    yield cap.place, (f"slot {slot} of '{item.name}' cannot hold {spell_target(spec, cap)} (only slot 0 holds a "
                                      "notification)")


@check("asid-slot", "always")
def asid_slots(spec: Spec) -> Problems:
    """An ASID pool holds roots of address spaces."""
    for item in spec.objects.values():
        if item.type == "asid_pool":
            for slot, cap in item.slots.items():
                if kind_of(spec, cap) not in (*VSPACE_ROOTS[spec.arch], "pd"):
                    yield cap.place, f"slot {slot} of '{item.name}' cannot hold {spell_target(spec, cap)} (only roots of address spaces)"


@check("cover", "always")
def covers(spec: Spec) -> Problems:
    """An object that two untypeds cover, or an untyped inside itself."""
    owner: dict[str, str] = {}
    for item in spec.objects.values():
        for child in item.children:
            if child in owner:
                yield item.place, f"'{child}' is covered by '{owner[child]}' and by '{item.name}' (remove one)"
            owner[child] = item.name
    settled: set[str] = set()
    for name in owner:
        trail: list[str] = []
        while name in owner and name not in settled and name not in trail:
            trail.append(name)
            name = owner[name]
        if name in trail:
            yield spec.objects[name].place, f"the untyped '{name}' covers itself"
        settled.update(trail)


@check("mapping", "always")
def mappings(spec: Spec) -> Problems:
    """`mapping:` of frame capabilities."""
    seen: dict[tuple[str, int], Place | None] = {}
    for item in spec.objects.values():
        for slot, cap in item.slots.items():
            if cap.mapping is None:
                continue
            container, entry = cap.mapping
            if item.type != "cnode":
                yield cap.place, f"slot {spell_slot(item, slot)} of '{item.name}': only capabilities in CNodes name a mapping"
            if cap.mapping in seen:
                yield cap.place, f"entry {entry:#x} of '{container}' is the mapping of two capabilities, first at {seen[cap.mapping]}"
            seen[cap.mapping] = cap.place
            table = spec.objects[container]
            if table.type not in ("pt", "pd", "pud"):
                yield cap.place, f"the mapping names '{container}', which is of type {table.type} and maps no frames"
            elif entry not in table.slots or kind_of(spec, table.slots[entry]) != "frame":
                yield cap.place, f"the mapping names entry {entry:#x} of '{container}', which holds no frame"


# Strict ---------------------------------------------------------------------------------------------------------------------------------

@check("cnode-slot", "strict")
def cnode_slots(spec: Spec) -> Problems:
    """Slots outside their CNode, and CNodes that no address can reach."""
    for item in spec.objects.values():
        if item.type != "cnode" or item.size_bits is None:
            continue
        if item.size_bits > 57:
            yield item.place, f"'{item.name}' with {item.size_bits} bits exceeds the address space (at most 57)"
            continue
        limit = 1 << item.size_bits
        for slot, cap in item.slots.items():
            if slot >= limit:
                yield cap.place, f"slot {slot} is outside '{item.name}', which has {limit} slots (give it more bits)"


@check("table-index", "strict")
def table_indices(spec: Spec) -> Problems:
    """Indices outside a page table or ASID pool."""
    for item in spec.objects.values():
        if item.type in TABLE_TYPES or item.type == "asid_pool":
            limit = TABLE_ENTRIES.get(spec.arch, 4096)
            for slot, cap in item.slots.items():
                if slot >= limit:
                    yield cap.place, f"index {slot:#x} is outside '{item.name}', which has {limit} entries"


@check("frame-size", "strict")
def frame_sizes(spec: Spec) -> Problems:
    """Frame sizes that the architecture lacks, and frames in tables of another level."""
    sizes = FRAME_BITS[spec.arch]
    for item in spec.objects.values():
        if item.type == "frame" and item.size_bits is not None and item.size_bits not in sizes:
            yield item.place, (f"{spec.arch} has no frames of 2^{item.size_bits} bytes, as '{item.name}' wants "
                               f"(it has: {', '.join(f'2^{bits}' for bits in sizes)})")
    if spec.arch not in TABLE_ENTRIES:
        return
    for item in spec.objects.values():
        wanted = TABLE_FRAME_BITS.get(item.type)
        if wanted is None:
            continue
        for slot, cap in item.slots.items():
            frame = spec.objects.get(cap.object or "")
            if frame is not None and frame.type == "frame" and frame.size_bits in sizes and frame.size_bits != wanted:
                yield cap.place, (f"entry {slot:#x} of '{item.name}' ({item.type}) maps frames of 2^{wanted} bytes; "
                                  f"'{frame.name}' has 2^{frame.size_bits}")


@check("priority", "strict")
def priorities(spec: Spec) -> Problems:
    """Priorities above the highest."""
    for item in spec.objects.values():
        if item.type == "tcb":
            for name in ("prio", "max_prio"):
                if item.params.get(name, 0) > MAX_PRIORITY:
                    yield item.place, f"{name} {item.params[name]} of '{item.name}' is above the highest priority {MAX_PRIORITY}"


@check("budget", "strict")
def budgets(spec: Spec) -> Problems:
    """Budgets above their periods, and none at all."""
    for item in spec.objects.values():
        if item.type == "sc" and "budget" in item.params and "period" in item.params:
            budget, period = item.params["budget"], item.params["period"]
            if budget > period:
                yield item.place, f"the budget {budget} us of '{item.name}' is above its period {period} us"
            elif budget == 0:
                yield item.place, f"the budget of '{item.name}' is 0 (its threads would never run)"
            elif period > LARGEST_PERIOD_US:
                yield item.place, f"the period {period} us of '{item.name}' is above {LARGEST_PERIOD_US} us"


@check("untyped-size", "strict")
def untyped_sizes(spec: Spec) -> Problems:
    """Objects that do not fit the untyped that covers them."""
    for item in spec.objects.values():
        if not item.children or item.size_bits is None or item.size_bits > 63:
            continue
        total, capacity = 0, 1 << item.size_bits
        for name in item.children:
            bits = spec.objects[name].memory_bits()
            if bits is None:
                continue
            if bits > item.size_bits:
                yield spec.objects[name].place, (f"'{name}' (2^{bits} bytes) is larger than the untyped '{item.name}' that covers it "
                                                 f"(2^{item.size_bits} bytes)")
                break
            total += 1 << bits
        else:
            if total > capacity:
                yield item.place, f"the objects that '{item.name}' covers need {total} bytes; it has {capacity}"


@check("physical-address", "strict")
def physical_addresses(spec: Spec) -> Problems:
    """Misaligned addresses, and objects outside the untyped that covers them."""
    for item in spec.objects.values():
        if item.paddr is None or item.size_bits is None or item.size_bits > 63:
            continue
        if item.paddr & ((1 << item.size_bits) - 1):
            yield item.place, f"the address {item.paddr:#x} of '{item.name}' is not aligned to its size (2^{item.size_bits} bytes)"
        if item.paddr + (1 << item.size_bits) > 1 << 64:
            yield item.place, f"'{item.name}' ends above the last address"
    for item in spec.objects.values():
        if item.paddr is None or item.size_bits is None:
            continue
        end = item.paddr + (1 << min(item.size_bits, 64))
        for name in item.children:
            child = spec.objects[name]
            if child.paddr is not None and child.size_bits is not None and not (
                    item.paddr <= child.paddr and child.paddr + (1 << min(child.size_bits, 64)) <= end):
                yield child.place, f"'{name}' at {child.paddr:#x} is outside the untyped '{item.name}' that covers it"


@check("physical-overlap", "strict")
def physical_overlaps(spec: Spec) -> Problems:
    """Two objects at the same physical address, neither of which covers the other."""
    parents = spec.parents()
    placed = [(item.paddr, item.size_bits, item) for item in spec.objects.values()
              if item.paddr is not None and item.size_bits is not None and item.size_bits < 64]
    open_ranges: list[tuple[int, int, Object]] = []
    for start, bits, item in sorted(placed, key=lambda entry: (entry[0], -entry[1])):
        while open_ranges and open_ranges[-1][0] + (1 << open_ranges[-1][1]) <= start:
            open_ranges.pop()
        if open_ranges and not covers_indirectly(parents, open_ranges[-1][2].name, item.name):
            other_start, _, other = open_ranges[-1]
            yield item.place, (f"'{item.name}' at {start:#x} overlaps '{other.name}' at {other_start:#x}, which is from {other.place or 'a component'} "
                               "(move one of them)")
            continue
        open_ranges.append((start, bits, item))


def covers_indirectly(parents: dict[str, str], ancestor: str, name: str) -> bool:
    """True when the untyped `ancestor` covers `name`, directly or not."""
    steps = set()
    while name in parents and name not in steps:
        steps.add(name)
        name = parents[name]
        if name == ancestor:
            return True
    return False


@check("cdt-cycle", "strict")
def cdt_cycles(spec: Spec) -> Problems:
    """Derivations in a circle."""
    settled: set[tuple[str, int]] = set()
    for start in spec.cdt:
        trail: list[tuple[str, int]] = []
        where = start
        position: dict[tuple[str, int], int] = {}
        while where in spec.cdt and where not in settled and where not in position:
            position[where] = len(trail)
            trail.append(where)
            where = spec.cdt[where]
        if where in position:
            yield spec.cdt_places[where], f"the derivation of slot {where[1]:#x} of '{where[0]}' leads back to itself"
        settled.update(trail)


@check("cdt-rights", "strict")
def cdt_rights(spec: Spec) -> Problems:
    """Children with more rights than their parents."""
    for child, parent in spec.cdt.items():
        child_cap = spec.objects[child[0]].slots.get(child[1])
        parent_cap = spec.objects[parent[0]].slots.get(parent[1])
        if child_cap is None or parent_cap is None or child_cap.object != parent_cap.object:
            continue
        extra = [letter for letter in child_cap.rights if letter not in parent_cap.rights]
        if extra:
            yield spec.cdt_places[child], (f"slot {child[1]:#x} of '{child[0]}' has the right {extra[0]} that its parent, slot "
                                           f"{parent[1]:#x} of '{parent[0]}', lacks")


@check("cdt-empty", "strict")
def cdt_empty(spec: Spec) -> Problems:
    """Derivations of or from empty slots."""
    for child, parent in spec.cdt.items():
        for name, slot in (child, parent):
            if slot not in spec.objects[name].slots:
                yield spec.cdt_places[child], f"slot {slot:#x} of '{name}' holds nothing that could derive"


@check("fill", "strict")
def fills(spec: Spec) -> Problems:
    """Fills past their frame, overlapping fills, and files that are missing or too short. Files are looked at when Spec.files has them."""
    sizes = {}
    for item in spec.objects.values():
        if not item.fills or item.size_bits is None:
            continue
        end = 0
        for fill in sorted(item.fills, key=lambda fill: fill.offset):
            if fill.offset + fill.length > 1 << item.size_bits:
                yield item.place, (f"a fill of '{item.name}' ends at byte {fill.offset + fill.length}, past the frame of "
                                   f"{1 << item.size_bits} bytes")
            elif fill.offset < end:
                yield item.place, f"two fills of '{item.name}' overlap at byte {fill.offset}"
            end = max(end, fill.offset + fill.length)
            if fill.kind != FILL_FILE or fill.file not in spec.files:
                continue
            if fill.file not in sizes:
                sizes[fill.file] = spec.files[fill.file].stat().st_size
            if fill.file_offset + fill.length > sizes[fill.file]:
                yield item.place, (f"a fill of '{item.name}' reads up to byte {fill.file_offset + fill.length} of \"{fill.file}\", "
                                   f"which has {sizes[fill.file]} bytes")


@check("guard", "strict")
def guards(spec: Spec) -> Problems:
    """Guards wider than their size, and CNodes that resolve more than 64 bits."""
    for item in spec.objects.values():
        for cap in item.slots.values():
            target = spec.objects.get(cap.object or "")
            if target is None or target.type != "cnode":
                continue
            if cap.guard_size > CPTR_BITS - 1:
                yield cap.place, f"the guard size {cap.guard_size} of the capability to '{cap.object}' is out of range (0 to 63)"
            elif cap.guard >> cap.guard_size:
                yield cap.place, (f"the guard {cap.guard:#x} of the capability to '{cap.object}' is wider than its size of "
                                  f"{cap.guard_size} bits")
            elif target.size_bits is not None and cap.guard_size + target.size_bits > CPTR_BITS:
                yield cap.place, (f"guard ({cap.guard_size} bits) and radix ({target.size_bits} bits) of '{cap.object}' exceed "
                                  f"{CPTR_BITS} bits")


@check("table-parents", "strict")
def table_parents(spec: Spec) -> Problems:
    """A page table under two parents, or an address space with two ASIDs."""
    seen: dict[tuple[str | None, bool], str] = {}
    for item in spec.objects.values():
        if item.type not in TABLE_TYPES and item.type != "asid_pool":
            continue
        for slot, cap in item.slots.items():
            if kind_of(spec, cap) not in TABLE_TYPES:
                continue
            key = (cap.object, item.type == "asid_pool")
            if key in seen:
                yield cap.place, f"'{cap.object}' is in '{item.name}' and in '{seen[key]}' (a table has one parent)"
            seen[key] = item.name


@check("irq-unmapped", "strict")
def unmapped_irqs(spec: Spec) -> Problems:
    """Handlers of interrupts that `irq maps` does not know."""
    mapped = set(spec.irqs.values())
    for item in spec.objects.values():
        for cap in item.slots.values():
            if kind_of(spec, cap) in IRQ_TYPES and cap.object not in mapped:
                yield cap.place, f"'{cap.object}' is the handler of no interrupt (give it a number in 'irq maps')"


# Loadable -------------------------------------------------------------------------------------------------------------------------------

@check("loadable-architecture", "loadable")
def loadable_architecture(spec: Spec) -> Problems:
    """Caprock runs on AArch64."""
    if spec.arch != "aarch64":
        place = min((item.place for item in spec.objects.values() if item.place), key=lambda place: place.offset, default=None)
        yield place, f"a system for {spec.arch} cannot be built (Caprock runs on aarch64)"


@check("loadable-object", "loadable")
def loadable_objects(spec: Spec) -> Problems:
    """Objects that the kernel does not have, by name and reason."""
    for item in spec.objects.values():
        reason = LOADABLE.get(item.type, "AArch64 does not have it")
        if reason is not None:
            yield item.place, f"'{item.name}' ({item.type}) cannot be loaded: {reason}"


@check("loadable-size", "loadable")
def loadable_sizes(spec: Spec) -> Problems:
    """Sizes that Untyped::Retype does not offer."""
    for item in spec.objects.values():
        bits = item.size_bits
        if item.type == "sc" and bits is not None and bits < 7:
            yield item.place, f"'{item.name}' has {bits} bits (a scheduling context has at least 7)"
        elif item.type == "cnode" and (bits is None or not 1 <= bits <= 42):
            yield item.place, f"'{item.name}' has {bits} bits (a CNode has 1 to 42)"
        elif item.type == "ut" and (bits is None or not 4 <= bits <= 47):
            yield item.place, f"the untyped '{item.name}' has {'no size' if bits is None else f'{bits} bits'} (give it 4 to 47 bits)"
        elif item.type in FIXED_SIZE_BITS and item.paddr is not None:
            yield item.place, f"'{item.name}' has an address, which only frames and untypeds have"


@check("loadable-tcb", "loadable")
def loadable_tcbs(spec: Spec) -> Problems:
    """Properties of threads that the loader cannot give."""
    for item in spec.objects.values():
        if item.type != "tcb":
            continue
        params = item.params
        if params.get("fault_ep"):
            yield item.place, (f"'{item.name}': fault_ep is a capability address, which this kernel does not use (put the endpoint into "
                               "fault_ep_slot)")
        if params.get("dom", 0) >= DOMAINS:
            yield item.place, f"'{item.name}': domain {params['dom']} does not exist (0 to {DOMAINS - 1})"
        if "first_receive" in params and params.get("dom"):
            yield item.place, f"'{item.name}' starts on a lent context, which it can in domain 0 only (remove dom or first_receive)"
        if params.get("affinity", 0) >= CORES:
            yield item.place, f"'{item.name}': core {params['affinity']} does not exist (0 to {CORES - 1})"
        if len(params.get("init", ())) > ARGUMENT_REGISTERS:
            yield item.place, f"'{item.name}': {len(params['init'])} initial arguments (at most {ARGUMENT_REGISTERS}, for x0 to x8)"
        yield from loadable_tcb_slots(spec, item)


def loadable_tcb_slots(spec: Spec, item: Object) -> Problems:
    """Address space and IPC buffer of one thread."""
    for slot, cap in item.slots.items():
        if slot == TCB_SLOTS["vspace"] and kind_of(spec, cap) == "pud":
            yield cap.place, f"'{item.name}': an address space begins with a pgd, not with the pud '{cap.object}'"
        if slot == TCB_SLOTS["ipc_buffer_slot"]:
            if "addr" not in item.params:
                yield cap.place, f"'{item.name}' has an IPC buffer but no address for it (add the parameter 'addr')"
            elif item.params["addr"] % 1024:
                yield cap.place, f"'{item.name}': the IPC buffer's address {item.params['addr']:#x} is no multiple of 1024"


@check("loadable-cap", "loadable")
def loadable_caps(spec: Spec) -> Problems:
    """Capabilities that the loader cannot give."""
    for item in spec.objects.values():
        for slot, cap in item.slots.items():
            if cap.reply:
                yield cap.place, f"slot {spell_slot(item, slot)} of '{item.name}': this kernel has reply objects (use an rtreply)"
            elif cap.core is not None and cap.core >= CORES:
                yield cap.place, f"slot {spell_slot(item, slot)} of '{item.name}': core {cap.core} does not exist (0 to {CORES - 1})"


@check("loadable-irq", "loadable")
def loadable_irqs(spec: Spec) -> Problems:
    """Interrupt numbers, and interrupts that belong to the kernel."""
    for number, name in spec.irqs.items():
        if not FIRST_IRQ <= number <= LAST_IRQ and number != SERROR_IRQ:
            yield spec.irq_places[number], (f"interrupt {number} ('{name}') is out of range ({FIRST_IRQ} to {LAST_IRQ}, or {SERROR_IRQ} for "
                                            "SError)")
        if spec.objects[name].params.get("target", 0) != 0:
            yield spec.objects[name].place, f"'{name}': interrupts go to core 0, not to core {spec.objects[name].params['target']}"


@check("loadable-sgi", "loadable")
def loadable_sgi_signals(spec: Spec) -> Problems:
    """Software-generated interrupts that do not exist or are the kernel's, and cores that do not exist."""
    for item in spec.objects.values():
        if item.type != "arm_sgi_signal" or not {"irq", "target"} <= item.params.keys():
            continue
        if not FIRST_IRQ <= item.params["irq"] <= LAST_SGI:
            yield item.place, f"'{item.name}': {item.params['irq']} is no software-generated interrupt ({FIRST_IRQ} to {LAST_SGI})"
        if item.params["target"] >= CORES:
            yield item.place, f"'{item.name}': core {item.params['target']} does not exist (0 to {CORES - 1})"


@check("loadable-domains", "loadable")
def loadable_domains(spec: Spec) -> Problems:
    """Domain schedules that the kernel's table cannot hold, and starts of no duration."""
    domains = spec.domains
    if domains is None:
        return
    end = (domains.index_shift or 0) + len(domains.schedule)
    if end > DOMAIN_SCHEDULE_ENTRIES:
        yield domains.place, f"the schedule ends at entry {end}, and the kernel has {DOMAIN_SCHEDULE_ENTRIES} (shorten it)"
    for domain, duration, unit in domains.schedule:
        if domain >= DOMAINS:
            yield domains.place, f"domain {domain} does not exist (0 to {DOMAINS - 1})"
        if unit == "us" and duration > LARGEST_PERIOD_US:
            yield domains.place, f"the duration {duration} us is above {LARGEST_PERIOD_US} us"
    start = domains.start if domains.has_start else 0
    if domains.schedule and start is not None and domains.schedule[start][1] == 0:
        yield domains.place, f"the schedule begins with entry {start}, whose duration is 0 (which ends a schedule)"


@check("loadable-shared-irq", "loadable")
def loadable_irq_once(spec: Spec) -> Problems:
    """One handler object per interrupt."""
    numbers = defaultdict(list)
    for number, name in spec.irqs.items():
        numbers[name].append(number)
    for name, mapped in numbers.items():
        if len(mapped) > 1:
            yield spec.irq_places[mapped[1]], f"'{name}' is the handler of {len(mapped)} interrupts (one each)"


@check("loadable-vspace", "loadable")
def loadable_vspaces(spec: Spec) -> Problems:
    """Page tables that hang in no address space, and frames mapped by no table are legal; tables without a root are not."""
    held = {cap.object for item in spec.objects.values() if item.type in TABLE_TYPES for cap in item.slots.values()}
    for item in spec.objects.values():
        if item.type in ("pud", "pd", "pt") and item.slots and item.name not in held:
            yield item.place, f"'{item.name}' ({item.type}) maps pages but is in no address space (put it into its parent table)"
