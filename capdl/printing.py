# SPDX-License-Identifier: BSD-2-Clause
"""The canonical text of a system: plain capDL, sorted, that parses again to the same system. It begins with `caprock 1` if it says what plain
capDL cannot.

Two systems are the same exactly when their canonical texts are.
"""

from .model import FILL_FILE, OWN_TCB_PARAMETERS, TCB_SLOT_NAMES

_TCB_PARAMETERS = ("addr", "ip", "sp", "prio", "max_prio", "affinity", "resume", "fpu_disabled", "init", "dom", "fault_ep",
                   *OWN_TCB_PARAMETERS)
_HEXADECIMAL = frozenset(("addr", "ip", "sp", "fault_ep", "asid_high", "first_receive"))


def object_order(item):
    """Sort key of objects: by name, elements of an array by index."""
    return item.base, -1 if item.index is None else item.index


def spell_size(bits):
    """A frame's size: 4k, 2M."""
    return f"{1 << (bits - 20)}M" if bits >= 20 else f"{1 << (bits - 10)}k"


def spell_number(name, value):
    """The value of a parameter."""
    if isinstance(value, bool):
        return str(value)
    return f"{value:#x}" if name in _HEXADECIMAL else str(value)


def spell_fill(fill):
    """A fill in braces."""
    file = f'"{fill.file}"' if fill.kind == FILL_FILE else fill.file
    return f"{{{fill.offset} {fill.length} {fill.kind} {file} {fill.file_offset}}}"


def object_parameters(item):
    """The parameters of an object, as text without parentheses."""
    parts = []
    params = item.params
    if item.type == "frame":
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


def object_line(item, count):
    """The declaration of an object, or of an array of `count`."""
    name = item.name if count is None else f"{item.base}[{count}]"
    parameters = object_parameters(item)
    return f"{name} = {item.type}" + (f" ({parameters})" if parameters else "")


def compress(names, objects):
    """References to `names`: runs of consecutive array elements become ranges."""
    result = []
    for name in names:
        item = objects[name]
        if item.index is not None and result and result[-1][0] == item.base and result[-1][2] + 1 == item.index:
            result[-1][2] = item.index
        else:
            result.append([item.base, item.index, item.index])
    return [base if first is None else f"{base}[{first}]" if first == last else f"{base}[{first}..{last}]" for base, first, last in result]


def spell_cap(cap, kind):
    """A capability; kind: the type of its object, or None for a built-in one."""
    if kind is None:
        return cap.built_in if cap.core is None else f"{cap.built_in} (core: {cap.core})"
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
    return cap.object + (f" ({', '.join(parts)})" if parts else "")


def container_lines(item, spec):
    """The capabilities of one object."""
    objects = spec.objects
    lines = [f"{item.name} {{"]
    for slot in sorted(item.slots):
        cap = item.slots[slot]
        label = TCB_SLOT_NAMES.get(slot, f"{slot:#x}") if item.type == "tcb" else f"{slot:#x}"
        parent = spec.cdt.get((item.name, slot)) if spec.cdt else None
        derived = f" - child_of ({parent[0]}, {parent[1]:#x})" if parent else ""
        kind = None if cap.object is None else objects[cap.object].type
        lines.append(f"  {label}: {spell_cap(cap, kind)}{derived}")
    lines.append("}")
    return lines


def object_lines(spec, ordered):
    """The declarations of all objects, then what each untyped covers."""
    lines = []
    for item in ordered:
        if item.index is None:
            lines.append(object_line(item, None))
        elif item.index == 0:
            lines.append(object_line(item, spec.arrays[item.base]))
    for item in ordered:
        if item.children:
            children = compress(sorted(item.children, key=lambda name: object_order(spec.objects[name])), spec.objects)
            lines += [f"{item.name} = ut {{", *(f"  {child}" for child in children), "}"]
    return lines


def domain_lines(domains):
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


def orphan_derivations(spec):
    """Derivations whose child slot holds nothing cannot stand behind a capability: (child, parent), sorted."""
    return sorted((child, parent) for child, parent in spec.cdt.items() if child[1] not in spec.objects[child[0]].slots)


def canonical_text(spec):
    """The canonical text of a model.Spec that has no errors."""
    ordered = sorted(spec.objects.values(), key=object_order)
    own = any(item.type == "tcb" and not item.params.keys().isdisjoint(OWN_TCB_PARAMETERS) for item in ordered)
    lines = [*(["caprock 1"] if own else []), f"arch {spec.arch}", "", "objects {", *object_lines(spec, ordered), "}", "", "caps {"]
    for item in ordered:
        if item.slots:
            lines += container_lines(item, spec)
    lines.append("}")
    if spec.irqs:
        lines += ["", "irq maps {", *(f"{number}: {spec.irqs[number]}" for number in sorted(spec.irqs)), "}"]
    orphans = orphan_derivations(spec)
    if orphans:
        lines += ["", "cdt {", *(f"({parent[0]}, {parent[1]:#x}) {{ ({child[0]}, {child[1]:#x}) }}" for child, parent in orphans), "}"]
    if spec.domains is not None:
        lines += ["", "domains {", *domain_lines(spec.domains), "}"]
    return "\n".join(lines) + "\n"
