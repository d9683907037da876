# SPDX-License-Identifier: BSD-2-Clause
"""What the reference tool checks of a complete model, and what it cannot print, which is a rejection too."""

from collections.abc import Iterator

from ..diagnostics import Diagnostics, Place
from ..model import BUILT_IN_CAPS, TCB_SLOTS
from .model import Capability, KernelObject, Model, Name, spell, spell_slot

_X86 = frozenset(("io_ports", "io_device", "io_pt", "ioapic_irq", "msi_irq", "vcpu"))
_ARM = frozenset(("arm_io_device", "arm_irq", "arm_sgi_signal", "vcpu"))
_EVERYWHERE = frozenset(("ep", "notification", "tcb", "cnode", "irq", "ut", "asid_pool", "pd", "pt", "frame", "sc", "rtreply"))
_TYPES = {
    "ia32": _EVERYWHERE | _X86,
    "x86_64": _EVERYWHERE | _X86 | {"pml4", "pdpt"},
    "arm11": _EVERYWHERE | _ARM,
    "aarch64": _EVERYWHERE | _ARM | {"pud", "pgd", "streamid", "contextbank", "smc"},
    "riscv": _EVERYWHERE,
}
_ROOTS = {"ia32": ("pd",), "arm11": ("pd",), "x86_64": ("pml4",), "aarch64": ("pgd", "pud"), "riscv": ("pt",)}
_INTERRUPTS = frozenset(("irq", "ioapic_irq", "msi_irq", "arm_irq"))
_TABLES = {"pt": ("frame",), "pd": ("frame", "pt"), "pdpt": ("frame", "pd"), "pml4": ("pdpt",), "pud": ("frame", "pd"), "pgd": ("pud",),
           "io_pt": ("frame", "io_pt")}
_ANYTHING = frozenset(("cnode", "arm_io_device", "io_device"))
_THREAD_SLOTS = {"cspace": "cnode", "reply_slot": "master_reply", "caller_slot": "reply", "ipc_buffer_slot": "frame", "fault_ep_slot": "ep",
                 "sc_slot": "sc", "temp_fault_ep_slot": "ep", "bound_notification": "notification", "bound_vcpu": "vcpu"}
_THREAD_KINDS = {TCB_SLOTS[name]: (kind,) for name, kind in _THREAD_SLOTS.items()}
Problem = tuple[Place, str, str]


def check_validity(model: Model, diagnostics: Diagnostics) -> None:
    """Report what the reference tool has against a model that build() completed."""
    if diagnostics.ok:
        for check in (types, contents, parents, interrupts, mappings, printing):
            for place, message, name in check(model):
                diagnostics.error(place, message, name)


def types(model: Model) -> Iterator[Problem]:
    """Objects and built-in capabilities that the architecture lacks."""
    for name, item in model.objects.items():
        if item.kind not in _TYPES[model.arch]:
            yield item.place, f"'{spell(name)}' is of type {item.kind}, which {model.arch} does not have", "architecture"
        for capability in item.slots.values():
            if capability.kind == "io_space_master" and model.arch not in ("ia32", "x86_64"):
                yield capability.place, f"{model.arch} has no io_space_master", "architecture"


def contents(model: Model) -> Iterator[Problem]:
    """Capabilities that their container cannot hold."""
    for name, item in model.objects.items():
        for slot, capability in item.slots.items():
            if not holds(model.arch, item.kind, slot, capability):
                yield (capability.place, f"slot {spell_slot(item, slot)} of '{spell(name)}' ({item.kind}) cannot hold {spell_capability(capability)}",
                       check_name(item))


def check_name(item: KernelObject) -> str:
    """The check that says what a container holds."""
    if item.kind in _INTERRUPTS:
        return "irq-slot"
    return {"tcb": "tcb-slot", "asid_pool": "asid-slot"}.get(item.kind, "table-child")


def holds(arch: str, kind: str, slot: int, capability: Capability) -> bool:
    """True when a container of type `kind` may have the capability in that slot."""
    held = capability.kind
    if kind in _ANYTHING:
        return True
    if kind in _INTERRUPTS:
        return slot == 0 and held == "notification"
    if kind == "asid_pool" or kind == "tcb" and slot == TCB_SLOTS["vspace"]:
        return held in _ROOTS[arch]
    if kind == "tcb":
        return held in _THREAD_KINDS.get(slot, ("null",))
    if kind == "pt" and arch == "riscv":
        return held in ("frame", "pt")
    return held in _TABLES[kind]


def spell_capability(capability: Capability) -> str:
    """A capability as messages call it."""
    if capability.kind in BUILT_IN_CAPS or capability.target is None:
        return capability.kind
    return f"'{spell(capability.target)}' ({capability.kind})"


def parents(model: Model) -> Iterator[Problem]:
    """A page table in two page directories, and a page directory in two ASID pools. Other tables it does not look at."""
    for kind, outer in (("pt", "pd"), ("pd", "asid_pool")):
        seen: dict[Name, Name] = {}
        for name, item in model.objects.items():
            for capability in item.slots.values() if item.kind == outer else ():
                target = capability.target
                if target is not None and model.objects[target].kind == kind and seen.setdefault(target, name) != name:
                    yield (capability.place, f"'{spell(target)}' is in '{spell(seen[target])}' and in '{spell(name)}' (a {kind} has one {outer})",
                           "table-parents")


def interrupts(model: Model) -> Iterator[Problem]:
    """Numbers of objects that are no interrupts."""
    for number, (name, place) in model.interrupts.items():
        item = model.objects.get(name)
        if item is None:
            yield place, f"unknown object '{spell(name)}'", "unknown-name"
        elif item.kind not in _INTERRUPTS:
            yield place, f"'{spell(name)}' ({item.kind}) is mapped as interrupt {number}, but is none", "irq-kind"


def mappings(model: Model) -> Iterator[Problem]:
    """`mapping:` of frame capabilities, and of their copies."""
    seen: dict[tuple[Name, int], Place] = {}
    for name, item in model.objects.items():
        for slot, capability in item.slots.items():
            if capability.mapping is None:
                continue
            if item.kind not in ("cnode", "irq"):
                yield capability.place, f"slot {slot} of '{spell(name)}': only capabilities in CNodes name a mapping", "mapping"
                continue
            table, entry = capability.mapping
            if capability.mapping in seen:
                yield (capability.place, f"entry {entry} of '{spell(table)}' is the mapping of two capabilities, first at "
                       f"{seen[capability.mapping]}", "mapping")
            seen[capability.mapping] = capability.place
            holder = model.objects.get(table)
            if holder is None or holder.kind not in ("pt", "pd"):
                yield capability.place, f"the mapping names '{spell(table)}', which is no pt and no pd", "mapping"
            elif entry not in holder.slots or holder.slots[entry].kind != "frame":
                yield capability.place, f"the mapping names entry {entry} of '{spell(table)}', which holds no frame", "mapping"


def printing(model: Model) -> Iterator[Problem]:
    """What the reference tool takes for an array when it prints, and fails at: things of one name with and without an index."""
    for number, (name, place) in model.interrupts.items():
        follower = model.interrupts.get(number + 1)
        if follower and follower[0][0] == name[0] and (name[1] is None or follower[0][1] is None):
            yield place, f"'{name[0]}' is interrupt {number} and interrupt {number + 1} (the reference tool cannot print this)", "irq-twice"
    for name, item in model.objects.items():
        if name[1] is None and item.slots and model.counts[name[0]] > 1:
            yield item.place, f"'{name[0]}' is an object and, with an index, an untyped (the reference tool cannot print this)", "duplicate-name"
    for covered in model.covers.values():
        names = list(dict.fromkeys(name for name, _ in covered))
        for first, second in zip(names, names[1:]):
            if first[0] == second[0] and None in (first[1], second[1]):
                yield covered[0][1], f"'{first[0]}' is covered with and without an index (the reference tool cannot print this)", "cover"
