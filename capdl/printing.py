# SPDX-License-Identifier: BSD-2-Clause
"""The canonical text of a system: plain capDL, sorted, that parses again to the same system. It begins with `caprock 1` if it says what plain
capDL cannot.

Two systems are the same exactly when their canonical texts are.
"""

from collections.abc import Callable, Iterable

from .model import FILL_FILE, OWN_TCB_PARAMETERS, TCB_SLOT_NAMES, Cap, DomainSchedule, Fill, Object, Spec

Note = Callable[..., str]

_TCB_PARAMETERS = ("addr", "ip", "sp", "prio", "max_prio", "affinity", "resume", "fpu_disabled", "init", "dom", "fault_ep",
                   *OWN_TCB_PARAMETERS)
_HEXADECIMAL = frozenset(("addr", "ip", "sp", "fault_ep", "asid_high", "first_receive"))


def object_order(item: Object) -> tuple[str, int]:
    """Sort key of objects: by name, elements of an array by index."""
    return item.base, -1 if item.index is None else item.index


def spell_size(bits: int) -> str:
    """A frame's size: 4k, 2M."""
    return f"{1 << (bits - 20)}M" if bits >= 20 else f"{1 << (bits - 10)}k"


def spell_number(name: str, value: object) -> str:
    """The value of a parameter."""
    if isinstance(value, bool):
        return str(value)
    return f"{value:#x}" if name in _HEXADECIMAL else str(value)


def spell_fill(fill: Fill) -> str:
    """A fill in braces."""
    file = f'"{fill.file}"' if fill.kind == FILL_FILE else fill.file
    return f"{{{fill.offset} {fill.length} {fill.kind} {file} {fill.file_offset}}}"


def object_parameters(item: Object) -> str:
    """The parameters of an object, as text without parentheses."""
    parts = []
    params = item.params
    if item.type == "frame" and item.size_bits is not None:
        parts.append(spell_size(item.size_bits))
    elif item.size_bits is not None:
        parts.append(f"{item.size_bits} bits")
    if item.paddr is not None:
        parts.append(f"paddr: {item.paddr:#x}")
    if item.fills:
        parts.append(f"fill: [{', '.join(spell_fill(fill) for fill in item.fills)}]")
    if "pci" in params:
        bus, device, function = params["pci"]
        parts.append(f"{bus:#x}:{device}.{function}")
    names = _TCB_PARAMETERS if item.type == "tcb" else sorted(name for name in params if name != "pci")
    for name in names:
        if name not in params:
            continue
        value = params[name]
        if name == "init":
            parts.append(f"init: [{', '.join(f'{word:#x}' for word in value)}]")
        elif name == "ports":
            parts.append(f"ports: [{value[0]:#x}..{value[1]:#x}]")
        else:
            parts.append(f"{name}: {spell_number(name, value)}")
    return ", ".join(parts)


def object_line(item: Object, count: int | None) -> str:
    """The declaration of an object, or of an array of `count`."""
    name = item.name if count is None else f"{item.base}[{count}]"
    parameters = object_parameters(item)
    return f"{name} = {item.type}" + (f" ({parameters})" if parameters else "")


def compress(names: Iterable[str], objects: dict[str, Object]) -> list[str]:
    """References to `names`: runs of consecutive array elements become ranges."""
    result: list[tuple[str, int | None, int | None]] = []
    for name in names:
        item = objects[name]
        base, first, last = result[-1] if result else ("", None, None)
        if item.index is not None and base == item.base and last is not None and last + 1 == item.index:
            result[-1] = base, first, item.index
        else:
            result.append((item.base, item.index, item.index))
    return [base if first is None else f"{base}[{first}]" if first == last else f"{base}[{first}..{last}]" for base, first, last in result]


def spell_cap(cap: Cap, kind: str | None) -> str:
    """A capability; kind: the type of its object, or None for a built-in one."""
    if kind is None:
        return f"{cap.built_in}" if cap.core is None else f"{cap.built_in} (core: {cap.core})"
    parts = []
    if cap.rights:
        parts.append(cap.rights)
    if cap.badge:
        parts.append(f"badge: {cap.badge:#x}")
    if kind == "cnode":
        parts += [f"guard: {cap.guard:#x}", f"guard_size: {cap.guard_size}"]
    if cap.reply:
        parts.append(cap.reply)
    if cap.asid:
        parts.append(f"asid: ({cap.asid[0]:#x}, {cap.asid[1]:#x})")
    if not cap.cached:
        parts.append("uncached")
    if cap.mapping:
        parts.append(f"mapping: ({cap.mapping[0]}, {cap.mapping[1]:#x})")
    return f"{cap.object}" + (f" ({', '.join(parts)})" if parts else "")


def container_lines(item: Object, spec: Spec, note: Note) -> list[str]:
    """The capabilities of one object. note: see canonical_text."""
    objects = spec.objects
    lines = [f"{item.name} {{"]
    for slot in sorted(item.slots):
        cap = item.slots[slot]
        label = TCB_SLOT_NAMES.get(slot, f"{slot:#x}") if item.type == "tcb" else f"{slot:#x}"
        parent = spec.cdt.get((item.name, slot)) if spec.cdt else None
        derived = f" - child_of ({parent[0]}, {parent[1]:#x})" if parent else ""
        kind = None if cap.object is None else objects[cap.object].type
        lines.append(f"  {label}: {spell_cap(cap, kind)}{derived}{note(cap, item.name)}")
    lines.append("}")
    return lines


def object_lines(spec: Spec, ordered: list[Object], note: Note) -> list[str]:
    """The declarations of all objects, then what each untyped covers. note: see canonical_text."""
    lines = []
    for item in ordered:
        if item.index is None:
            lines.append(object_line(item, None) + note(item))
        elif item.index == 0:
            lines.append(object_line(item, spec.arrays[item.base]) + note(item))
    for item in ordered:
        if item.children:
            children = compress(sorted(item.children, key=lambda name: object_order(spec.objects[name])), spec.objects)
            lines += [f"{item.name} = ut {{", *(f"  {child}" for child in children), "}"]
    return lines


def domain_lines(domains: DomainSchedule) -> list[str]:
    """The domain schedule."""
    lines = []
    if domains.schedule:
        entries = ", ".join(f"({domain}, {duration}{f' {unit}' if unit else ''})" for domain, duration, unit in domains.schedule)
        lines.append(f"schedule: [{entries}]")
    if domains.index_shift is not None:
        lines.append(f"index_shift: {domains.index_shift}")
    if domains.has_start:
        lines.append(f"domain_set_start: {'no_start' if domains.start is None else domains.start}")
    return lines


def orphan_derivations(spec: Spec) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """Derivations whose child slot holds nothing cannot stand behind a capability: (child, parent), sorted."""
    return sorted((child, parent) for child, parent in spec.cdt.items() if child[1] not in spec.objects[child[0]].slots)


def no_note(_item: Object | Cap, _holder: str | None = None) -> str:
    """The comment behind an object or capability of the canonical text: none."""
    return ""


def canonical_text(spec: Spec, note: Note = no_note) -> str:
    """The canonical text of a model.Spec that has no errors. note: gives the comment behind a model.Object, or behind a model.Cap in a holder; with comments
    the text is not canonical any more."""
    ordered = sorted(spec.objects.values(), key=object_order)
    own = any(item.type == "tcb" and not item.params.keys().isdisjoint(OWN_TCB_PARAMETERS) for item in ordered)
    lines = [*(["caprock 1"] if own else []), f"arch {spec.arch}", "", "objects {", *object_lines(spec, ordered, note), "}", "", "caps {"]
    for item in ordered:
        if item.slots:
            lines += container_lines(item, spec, note)
    lines.append("}")
    if spec.irqs:
        lines += ["", "irq maps {", *(f"{number}: {spec.irqs[number]}" for number in sorted(spec.irqs)), "}"]
    orphans = orphan_derivations(spec)
    if orphans:
        lines += ["", "cdt {", *(f"({parent[0]}, {parent[1]:#x}) {{ ({child[0]}, {child[1]:#x}) }}" for child, parent in orphans), "}"]
    if spec.domains is not None:
        lines += ["", "domains {", *domain_lines(spec.domains), "}"]
    return "\n".join(lines) + "\n"
