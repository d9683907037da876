# SPDX-License-Identifier: BSD-2-Clause
"""Which parameters the reference tool lets a declaration or capability have. Order means nothing; of repeated ones the first counts."""

from collections import Counter
from collections.abc import Sequence

from ..syntax import ObjectDeclaration

_THREAD = ("addr", "ip", "sp", "prio", "max_prio", "affinity", "resume", "fpu_disabled")
_PLACED = frozenset(("ip", "sp", "prio", "max_prio"))
# Parameters that count together: a type may have so many of the group, be they the same or not.
_GROUPS = {
    "thread": _THREAD,
    "schedule": ("period", "budget", "data"),
    "ioapic": ("ioapic_num", "ioapic_pin", "ioapic_level", "ioapic_polarity"),
    "msi": ("msi_handle", "msi_pci_bus", "msi_pci_dev", "msi_pci_fun"),
    "arm": ("trigger", "target"),
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}
_ALLOWED: dict[str, dict[str, int]] = {
    "tcb": {"thread": len(_THREAD), "init": 1, "dom": 1, "fault_ep": 1},
    "cnode": {"bits": 1},
    "ut": {"bits": 1, "paddr": 1},
    "frame": {"size": 1, "paddr": 1, "fill": 1},
    "asid_pool": {"asid_high": 1},
    "io_pt": {"level": 1},
    "io_ports": {"ports": 1},
    "io_device": {"domainID": 1, "pci": 1},
    "arm_io_device": {"iospace": 1},
    "sc": {"schedule": 3, "bits": 1},
    "ioapic_irq": {"ioapic": 4},
    "msi_irq": {"msi": 4},
    "arm_irq": {"arm": 2},
    "contextbank": {"bank": 1},
    "arm_sgi_signal": {"irq": 1, "arm": 1},
}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "cnode": ("bits",), "frame": ("size",), "io_pt": ("level",), "io_ports": ("ports",), "io_device": ("domainID", "pci"),
    "arm_io_device": ("iospace",), "ioapic_irq": _GROUPS["ioapic"], "msi_irq": _GROUPS["msi"], "arm_irq": _GROUPS["arm"],
    "arm_sgi_signal": ("irq", "target"),
}
_TABLES = ("pt", "pd", "pdpt", "pml4", "pud", "pgd")
_CAP_ALLOWED: dict[str, tuple[str, ...]] = {
    "ep": ("badge",), "notification": ("badge",), "smc": ("badge",), "tcb": ("reply", "master_reply"), "cnode": ("guard", "guard_size"),
    "irq": ("guard", "guard_size"), "frame": ("asid", "cached", "mapping"), **{kind: ("asid",) for kind in _TABLES},
}
_WITH_RIGHTS = frozenset(("ep", "notification", "frame"))


def object_problem(declaration: ObjectDeclaration) -> str | None:
    """What is wrong with a declaration's parameters and body, or None."""
    kind = declaration.type
    if declaration.body and kind != "ut":
        return f"only an untyped covers objects, not type {kind}"
    if not declaration.parameters and kind not in _REQUIRED:
        return None
    names = [parameter.name for parameter in declaration.parameters]
    allowed = _ALLOWED.get(kind, {})
    for name, count in Counter(_GROUP_OF.get(name, name) for name in names).items():
        if count > allowed.get(name, 0):
            return f"too many of the parameters {', '.join(_GROUPS.get(name, (name,)))} (type {kind} takes {allowed.get(name, 0)})"
    missing = [name for name in _REQUIRED.get(kind, ()) if name not in names]
    if missing:
        return f"the parameter '{missing[0]}' is missing"
    if kind == "tcb":
        return _thread_problem(set(names))
    if kind == "sc" and not {"period", "budget"} <= set(names) and not {"period", "budget", "data"}.isdisjoint(names):
        return "period and budget go together"
    if kind == "frame":
        size = next(parameter.value for parameter in declaration.parameters if parameter.name == "size")
        if not isinstance(size, int) or size == 0 or size & (size - 1):
            return "the size is no power of two"
    return None


def _thread_problem(names: set[str]) -> str | None:
    """The three sets of parameters of a thread."""
    given = names & set(_THREAD)
    if not given or {"addr", "affinity"} <= given and (_PLACED <= given or _PLACED.isdisjoint(given)):
        return None
    return "it needs all of addr, ip, sp, prio, max_prio and affinity, or addr and affinity, or none of them"


def cap_problem(kind: str, names: Sequence[str]) -> str | None:
    """What is wrong with the parameters of a capability to an object of type `kind`, or None."""
    allowed = _CAP_ALLOWED.get(kind, ())
    for name, count in Counter(names).items():
        if name == "rights" and kind in _WITH_RIGHTS:
            continue
        if name not in allowed:
            return f"takes no parameter '{name}'"
        if count > 1:
            return f"has the parameter '{name}' {count} times"
    if "reply" in names and "master_reply" in names:
        return "is reply or master_reply, not both"
    return None
