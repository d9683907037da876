# SPDX-License-Identifier: BSD-2-Clause
"""Syntax trees of the description language: what the parser makes of a file, before names are resolved.

The first part is the object level (capDL); the second the component level, which a file that begins with `caprock 1` may use.
Every node knows its `place` (diagnostics.Place). Nothing here is checked beyond the grammar.
"""

from dataclasses import dataclass, field

from .diagnostics import Place

# Object level ---------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Range:
    """One element of `name[...]`. single: `n` (first == last == n). Else `first..last`; None leaves that end open."""

    first: int | None
    last: int | None
    single: bool = False


@dataclass(slots=True)
class NameReference:
    """`name`, or `name[...]` with its ranges; ranges is None without brackets and empty for `name[]` (all elements)."""

    name: str
    ranges: tuple[Range, ...] | None
    place: Place

    def __str__(self):
        if self.ranges is None:
            return self.name
        def spell(item):
            if item.single:
                return str(item.first)
            return f"{'' if item.first is None else item.first}..{'' if item.last is None else item.last}"
        return f"{self.name}[{', '.join(spell(item) for item in self.ranges)}]"


@dataclass(slots=True)
class Parameter:
    """A parameter in parentheses. name: its keyword (`bits`, `size`, `paddr`, `prio`, `rights`, `badge`, ...).
    value: int, str, bool, tuple, or a list of fills (lists of strings) by keyword."""

    name: str
    value: object
    place: Place


@dataclass(slots=True)
class ObjectDeclaration:
    """`a/b/name[n] = type (parameters) { body }`. covers: the NameReferences before the last `/`.
    body: None without braces, else ObjectDeclarations and NameReferences."""

    covers: list[NameReference]
    name: NameReference
    type: str
    parameters: list[Parameter]
    body: list | None
    place: Place


@dataclass(slots=True)
class SlotReference:
    """`(object, slot)`, or the name of a capability: then object is that name and slot is None."""

    object: NameReference
    slot: int | None
    place: Place


@dataclass(slots=True)
class CapEntry:
    """`slot: name = target (parameters) - child_of parent`. is_copy: the target is the capability name in `< >`.
    slot None: the last one plus one."""

    slot: int | None
    name: NameReference | None
    target: NameReference
    is_copy: bool
    parameters: list[Parameter]
    parent: SlotReference | None
    place: Place


@dataclass(slots=True)
class CapDeclaration:
    """`container { entries }`."""

    container: NameReference
    entries: list[CapEntry]
    place: Place


@dataclass(slots=True)
class CapName:
    """`name = (object, slot)`."""

    name: str
    slot: SlotReference
    place: Place


@dataclass(slots=True)
class IrqMapping:
    """`number: object` in `irq maps`; number None: the last one plus one."""

    number: int | None
    object: NameReference
    place: Place


@dataclass(slots=True)
class CdtNode:
    """`slotref { children }` in `cdt`."""

    slot: SlotReference
    children: list["CdtNode"]
    place: Place


@dataclass(slots=True)
class DomainItem:
    """An item of `domains`. name: schedule (value: list of (domain, duration, unit or None)), domain_set_start (int, or None for
    no_start) or index_shift (int)."""

    name: str
    value: object
    place: Place


# Component level ------------------------------------------------------------------------------------------------------------------------

SCALAR_TYPES = ("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "bool")
DIRECTIONS = ("in", "out", "inout")


@dataclass(slots=True, frozen=True)
class Type:
    """A type of the interface language. name: one of SCALAR_TYPES, or `bytes`. size: for bytes[N] the most bytes N (1 to 960),
    else None."""

    name: str
    size: int | None = None

    @property
    def is_bytes(self):
        """True for bytes[N]."""
        return self.name == "bytes"

    def __str__(self):
        return f"bytes[{self.size}]" if self.is_bytes else self.name


@dataclass(slots=True)
class MethodParameter:
    """`direction type name`; direction is one of DIRECTIONS."""

    direction: str
    type: Type
    name: str
    place: Place


@dataclass(slots=True)
class Method:
    """`name(parameters) -> returns`; returns is None for a method without value, and never bytes. The label of its calls is
    1 + its index in Interface.methods."""

    name: str
    parameters: list[MethodParameter]
    returns: Type | None
    place: Place


@dataclass(slots=True)
class Interface:
    """`interface name { methods }`."""

    name: str
    methods: list[Method]
    place: Place


@dataclass(slots=True)
class Include:
    """`include "path"`."""

    path: str
    place: Place


@dataclass(slots=True)
class Setting:
    """A component's property that occurs at most once. name and value: elf str, prio int, max_prio int, core int, domain int,
    budget (budget us, period us), stack bytes, heap bytes, faults name (str), passive True."""

    name: str
    value: object
    place: Place


@dataclass(slots=True)
class Port:
    """A named item of a component. kind: uses, provides (type: the interface's name), emits, consumes, region (type None)."""

    kind: str
    name: str
    type: str | None
    place: Place


@dataclass(slots=True)
class DeviceItem:
    """`device name: node`. node: a path of the device tree ("/..."), an alias, or `stdout`."""

    name: str
    node: str
    place: Place


@dataclass(slots=True)
class IrqItem:
    """`irq name: node index`: interrupt `index` (from 0) of the node's `interrupts`."""

    name: str
    node: str
    index: int
    place: Place


@dataclass(slots=True)
class Access:
    """`access name`. name: what the component's thread may use, of model.ACCESS_PARAMETERS."""

    name: str
    place: Place


@dataclass(slots=True)
class Argument:
    """`name: value` in `args`; value is int or str."""

    name: str
    value: object
    place: Place


@dataclass(slots=True)
class Component:
    """`name = component { ... }`; each list in order of declaration."""

    name: str
    place: Place
    settings: list[Setting] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    devices: list[DeviceItem] = field(default_factory=list)
    irqs: list[IrqItem] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)


@dataclass(slots=True)
class End:
    """`component.port` of a connection."""

    component: str
    port: str
    place: Place


@dataclass(slots=True)
class Connection:
    """An entry of `connect`. kind: call (parameters: badge), notify (none) or shared (size: bytes, from and to: rights as a string of
    R and W)."""

    kind: str
    source: End
    target: End
    parameters: list[Parameter]
    place: Place


@dataclass(slots=True)
class Module:
    """One file. language: 0 for plain capDL, else the number after `caprock`. arch: None when the file does not say.
    sections: ObjectDeclaration, CapDeclaration, CapName, list[IrqMapping] (one per `irq maps`), CdtNode and DomainItem, in order."""

    language: int = 0
    arch: str | None = None
    arch_place: Place | None = None
    includes: list[Include] = field(default_factory=list)
    interfaces: list[Interface] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    objects: list[ObjectDeclaration] = field(default_factory=list)
    caps: list = field(default_factory=list)
    irq_maps: list[tuple[Place, list[IrqMapping]]] = field(default_factory=list)
    cdt: list[CdtNode] = field(default_factory=list)
    domains: list[DomainItem] = field(default_factory=list)
