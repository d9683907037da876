# SPDX-License-Identifier: BSD-2-Clause
"""What is shown of the word under the pointer: what it stands for, with all values worked out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .. import syntax
from ..component_parser import DURATION_UNITS
from ..interface_meaning import meaning as interface_meaning
from ..interface_meaning import meaning_hash
from ..lexer import number_value
from ..model import Object, Spec
from ..parser import SIZE_UNITS
from .analysis import Analysis, Definition
from .definition import Word, find, word_at
from .roles import expected
from .words import meaning

UNITS = {**SIZE_UNITS, **DURATION_UNITS}
MAX_HOLDERS = 12


@dataclass(frozen=True)
class Hover:
    """text: Markdown. start, end: offsets of what it is about."""

    text: str
    start: int
    end: int


def hover(analysis: Analysis, offset: int) -> Hover | None:
    """What is shown at an offset."""
    word = word_at(analysis, offset)
    if word is None:
        return None
    text = _number(analysis, word) or _node(analysis, word)
    if text is None:
        found = find(analysis, word)
        text = _of(analysis, found) if found is not None else meaning(word.context.block, word.text) if word.kind == "name" else None
    return None if text is None else Hover(text, word.start, word.end)


def size(count: int) -> str:
    """Bytes, readably."""
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count and count % (1 << bits) == 0:
            return f"{count >> bits} {unit}"
    return f"{count} bytes"


def code(text: str) -> str:
    """A piece of the language."""
    return f"```capdl\n{text}\n```"


def _number(analysis: Analysis, word: Word) -> str | None:
    """A number with its unit; of a unit, the number in front of it."""
    tokens = analysis.tokens
    index = tokens.offsets.index(word.start) if word.start in tokens.offsets else -1
    if word.kind == "name" and word.text in UNITS and index > 0 and tokens.kinds[index - 1] == "number":
        index -= 1
    elif word.kind != "number":
        return None
    value = number_value(tokens.texts[index])
    unit = tokens.texts[index + 1] if tokens.kinds[index + 1] == "name" else ""
    if unit in SIZE_UNITS:
        count = value * SIZE_UNITS[unit]
        return f"**{count} bytes** = {count:#x}"
    if unit in DURATION_UNITS:
        return f"**{value * DURATION_UNITS[unit]} us**"
    if unit == "bits" and value < 64:
        return f"2^{value} = **{1 << value}**"
    return f"**{value}** = {value:#x}" if value > 9 else None


def _node(analysis: Analysis, word: Word) -> str | None:
    """A node of the board's device tree."""
    if "node" not in expected(word.context).roles or analysis.board is None:
        return None
    from ..devicetree import DeviceProblem  # which needs libfdt
    name = word.text.strip('"')
    try:
        path, node = analysis.board.path_of(name), analysis.board.node(name)
        specifiers = analysis.board.specifiers(node)
    except DeviceProblem as problem:
        return str(problem)
    answers = [_registers(analysis.board, name), *(_interrupt(analysis.board, name, index) for index in range(len(specifiers)))]
    return "\n\n".join([f"**{path}** of the board's device tree", *answers])


def _registers(board: Any, name: str) -> str:
    """The registers of a device, or why there are none."""
    from ..devicetree import DeviceProblem
    try:
        registers = board.registers(name)
    except DeviceProblem as problem:
        return str(problem)
    return f"registers {registers.address:#x}, {registers.size:#x} bytes ({registers.compatible})"


def _interrupt(board: Any, name: str, index: int) -> str:
    """An interrupt of a device."""
    from ..devicetree import DeviceProblem
    try:
        number, trigger = board.interrupt(name, index)
    except DeviceProblem as problem:
        return f"interrupt {index}: {problem}"
    return f"interrupt {index}: number {number}, {trigger}"


def _of(analysis: Analysis, found: Definition) -> str | None:
    """What there is to say of a named thing."""
    node = found.node
    if found.kind == "constant":
        return f"{code(f'const {found.name} = {_value(node)}')}\n{node.kind}: {node}"
    if found.kind == "component":
        return _component(analysis, node)
    if found.kind == "interface":
        return _interface(node)
    if found.kind == "method":
        request = sum(item.type.words() for item in node.parameters if item.direction != "out")
        reply = sum(item.type.words() for item in node.parameters if item.direction != "in") + (node.returns is not None)
        return f"{code(_signature(node))}\nof {found.owner}: at most {request} words there and {reply} back"
    if found.kind == "struct":
        return f"{code(_struct(node))}\n{syntax.Type(node.name, struct=node).words()} words of a message"
    if found.kind == "object":
        return _object(analysis, node)
    if found.kind == "capability":
        return f"{code(f'{found.name}')}\na capability that has a name"
    if found.kind == "file":
        return f"{found.place.source.name}"
    return _port(analysis, found)


def _value(value: Any) -> str:
    spelled = {"text": f'"{value.value}"', "duration": f"{value.value}us"}
    return spelled.get(value.kind, str(value.value))


def _component(analysis: Analysis, node: syntax.Component) -> str:
    """Settings, and what becomes of it: its objects and memory, without those of its program."""
    settings = {item.name: item.value for item in node.settings}
    words = [f"{name} {value}" for name, value in settings.items() if name in ("prio", "max_prio", "core", "domain", "receive")]
    if "budget" in settings and settings["budget"][1]:
        budget, period = settings["budget"]
        words.append(f"budget {budget}us/{period}us ({100 * budget / period:.3g} % of core {settings.get('core', 0)})")
    words += ["passive"] * ("passive" in settings)
    words += [f"{name} {size(settings[name])}" for name in ("stack", "heap") if name in settings]
    lines = [code(f"{node.name} = component {{ elf \"{settings.get('elf', '')}\" }}"), "; ".join(words)]
    callers = sorted({item.source.component for item in analysis.system.connections if item.kind == "call" and item.target.component == node.name})
    callees = sorted({item.target.component for item in analysis.system.connections if item.kind == "call" and item.source.component == node.name})
    lines += [f"called by {', '.join(callers)}"] * bool(callers) + [f"calls {', '.join(callees)}"] * bool(callees)
    if analysis.spec is not None:
        lines.append(_memory(analysis.spec, node.name))
    return "\n\n".join(line for line in lines if line)


def _memory(spec: Spec, component: str) -> str:
    """The objects that were made for a component, and their bytes."""
    objects = [item for item in spec.objects.values() if item.component == component]
    counts = Counter(item.type for item in objects)
    held = len(spec.objects[spec.components[component].cnode].slots) if component in spec.components else 0
    total = sum(1 << bits for item in objects if (bits := item.memory_bits()) is not None)
    spelled = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"without its program and devices: {spelled}; {total} bytes of memory; {held} capabilities"


def _signature(method: syntax.Method) -> str:
    parameters = ", ".join(f"{item.direction} {item.type} {item.name}" for item in method.parameters)
    returns = f" -> {method.returns}" if method.returns else ""
    return f"{method.name}({parameters}){returns}{' idempotent' * method.idempotent}{'' if method.wcet is None else f' wcet {method.wcet}us'}"


def _struct(struct: syntax.Struct) -> str:
    return f"struct {struct.name} {{ {'; '.join(f'{item.type} {item.name}' for item in struct.fields)} }}"


def _interface(node: syntax.Interface) -> str:
    body = "".join(f"  {line}\n" for line in (*map(_struct, node.structs), *map(_signature, node.methods)))
    whole = code(f"interface {node.name} @{node.version} {{\n{body}}}")
    return f"{whole}\nhash of its meaning: {meaning_hash(interface_meaning(node)):#018x}"


def _object(analysis: Analysis, node: syntax.ObjectDeclaration) -> str:
    """Type and size, and who holds capabilities to it."""
    lines = [code(f"{node.name} = {node.type}")]
    spec = analysis.spec
    names = [] if spec is None else [name for name, item in spec.objects.items() if node.name.name in (name, item.base)]
    if spec is not None and names:
        lines.append(_sizes(spec.objects[names[0]], len(names)))
        chosen = set(names)
        holders = [f"{item.name} slot {slot:#x}{f' ({cap.rights})' if cap.rights else ''}" for item in spec.objects.values()
                   for slot, cap in item.slots.items() if cap.object in chosen]
        lines.append(f"in {', '.join(holders[:MAX_HOLDERS])}{' ...' if len(holders) > MAX_HOLDERS else ''}" if holders else "nobody holds a capability to it")
    return "\n\n".join(line for line in lines if line)


def _sizes(item: Object, count: int) -> str:
    bits = item.memory_bits()
    each = "" if bits is None else f"{size(1 << bits)}{' each' if count > 1 else ''}"
    return ", ".join(filter(None, [f"{count} objects" if count > 1 else "", each, "" if item.paddr is None else f"at {item.paddr:#x}"]))


def _port(analysis: Analysis, found: Definition) -> str:
    """What a port is, and what it is connected to."""
    node = found.node
    if found.kind in ("device", "irq"):
        return code(f"{found.kind} {found.name}: {node.node}{f' {node.index}' if found.kind == 'irq' else ''}")
    if found.kind == "grant":
        return code(f"grant {found.name}: {node.target}")
    head = code(f"{found.kind} {found.name}{f': {node.type}' if node.type else ''}")
    ends = []
    for item in analysis.system.connections:
        for end, other in ((item.source, item.target), (item.target, item.source)):
            if (end.component, end.port) == (found.owner, found.name):
                size_of = next((f" ({size(parameter.value)})" for parameter in item.parameters if parameter.name == "size"), "")
                ends.append(f"{item.kind}: {other.component}.{other.port}{size_of}")
    return f"{head}\nof {found.owner}\n\n" + ("\n\n".join(ends) if ends else "not connected")
