# SPDX-License-Identifier: BSD-2-Clause
"""Syntax trees of the description language: what the parser makes of a file, before names are resolved.

The first part is the object level (capDL); the second the component level, which a file that begins with `caprock 1` may use.
Every node knows its `place` (diagnostics.Place). Nothing here is checked beyond the grammar.
"""

from dataclasses import dataclass, field
from typing import Any

from .damage import Damage
from .diagnostics import Place
from .policy_clauses import Clause

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

    def __str__(self) -> str:
        if self.ranges is None:
            return self.name
        def spell(item: Range) -> str:
            if item.single:
                return str(item.first)
            return f"{'' if item.first is None else item.first}..{'' if item.last is None else item.last}"
        return f"{self.name}[{', '.join(spell(item) for item in self.ranges)}]"


@dataclass(slots=True)
class Parameter:
    """A parameter in parentheses. name: its keyword (`bits`, `size`, `paddr`, `prio`, `rights`, `badge`, ...).
    value: int, str, bool, tuple, or a list of fills (lists of strings) by keyword."""

    name: str
    value: Any
    place: Place


@dataclass(slots=True)
class ObjectDeclaration:
    """`a/b/name[n] = type (parameters) { body }`. covers: the NameReferences before the last `/`.
    body: None without braces, else ObjectDeclarations and NameReferences."""

    covers: list[NameReference]
    name: NameReference
    type: str
    parameters: list[Parameter]
    body: "list[ObjectDeclaration | NameReference] | None"
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
    value: Any
    place: Place


# Component level ------------------------------------------------------------------------------------------------------------------------

SCALAR_BYTES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "bool": 1}
SCALAR_TYPES = tuple(SCALAR_BYTES)
DIRECTIONS = ("in", "out", "inout")


@dataclass(slots=True, frozen=True)
class Type:
    """A type of the interface language. name: one of SCALAR_TYPES, `bytes`, `cap`, or that of a struct. size: for bytes[N] the most bytes N (1 to
    960), else None. count: elements of an array of scalars or structs, else None. struct: its Struct, else None. kinds: of the capabilities that a cap
    may be; empty: of any."""

    name: str
    size: int | None = None
    count: int | None = None
    struct: "Struct | None" = None
    kinds: tuple[str, ...] = ()

    @property
    def is_bytes(self) -> bool:
        """True for bytes[N]."""
        return self.name == "bytes"

    @property
    def is_cap(self) -> bool:
        """True for a capability."""
        return self.name == "cap"

    @property
    def is_scalar(self) -> bool:
        """True for one number or bool."""
        return self.name in SCALAR_TYPES and self.count is None

    @property
    def element(self) -> "Type":
        """The type of an array's elements."""
        return Type(self.name, struct=self.struct)

    def words(self) -> int:
        """Words of a message that a value takes at most. Elements of arrays of scalars stand side by side in words."""
        if self.is_bytes:
            return 1 + ((self.size or 0) + 7) // 8
        if self.is_cap:
            return 0
        if self.count is not None and self.struct is None:
            return (self.count * SCALAR_BYTES[self.name] + 7) // 8
        words = 1 if self.struct is None else sum(item.type.words() for item in self.struct.fields)
        return words * (1 if self.count is None else self.count)

    def __str__(self) -> str:
        if self.is_bytes:
            return f"bytes[{self.size}]"
        return self.name if self.count is None else f"{self.name}[{self.count}]"


@dataclass(slots=True, frozen=True)
class Field:
    """`type name` of a struct; the type is a scalar, a struct that stands before, or an array of such."""

    type: Type
    name: str
    place: Place


@dataclass(slots=True, frozen=True)
class Struct:
    """`struct name { fields }` in an interface."""

    name: str
    fields: tuple[Field, ...]
    place: Place


@dataclass(slots=True)
class MethodParameter:
    """`direction type name`; direction is one of DIRECTIONS."""

    direction: str
    type: Type
    name: str
    place: Place


@dataclass(slots=True)
class Method:
    """`name(parameters) -> returns idempotent wcet 10us`; returns is None for a method without value, else a scalar. The label of its calls is
    1 + its index in Interface.methods. idempotent: doing it twice is as good as once. wcet: most microseconds that the server takes, or None."""

    name: str
    parameters: list[MethodParameter]
    returns: Type | None
    place: Place
    idempotent: bool = False
    wcet: int | None = None

    def takes_cap(self, direction: str) -> bool:
        """True when a capability travels in `direction` (in: with the request, out: with the reply)."""
        return any(item.type.is_cap and item.direction == direction for item in self.parameters)


@dataclass(slots=True)
class Interface:
    """`interface name @version { structs and methods }`. version: 1 when the file does not say."""

    name: str
    methods: list[Method]
    place: Place
    version: int = 1
    structs: list[Struct] = field(default_factory=list)

    def takes_cap(self, direction: str) -> bool:
        """True when a method's request (in) or reply (out) has a capability."""
        return any(method.takes_cap(direction) for method in self.methods)


@dataclass(slots=True)
class Include:
    """`include "path" (name: value, ...)`. settings: constants.Value by name of a parameter that the file declares."""

    path: str
    place: Place
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Setting:
    """A component's property that occurs at most once. name and value: elf str, prio int, max_prio int, core int, domain int,
    budget (budget us, period us), stack bytes, heap bytes, receive (slots for capabilities that come with messages), faults name (str), passive True,
    restart (RestartRule)."""

    name: str
    value: Any
    place: Place


@dataclass(slots=True, frozen=True)
class RestartRule:
    """`restart on fault or hang (max most per window, backoff backoff, heartbeat heartbeat)`. fault, hang: on what. Durations in microseconds, None for
    what is not said."""

    fault: bool
    hang: bool
    most: int | None = None
    window: int | None = None
    backoff: int | None = None
    heartbeat: int | None = None


@dataclass(slots=True)
class Port:
    """A named item of a component. kind: uses, provides (type: the interface's name; version: that it must have, or None), emits, consumes, region
    (type None)."""

    kind: str
    name: str
    type: str | None
    place: Place
    version: int | None = None


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
class Grant:
    """`grant name: target (parameters)`: a capability, or one to each element of an array. target: an object of `objects`, a generated one, or one of
    model.BUILT_IN_CAPS. parameters: as of a CapEntry."""

    name: str
    target: NameReference
    parameters: list[Parameter]
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
    grants: list[Grant] = field(default_factory=list)
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


@dataclass(slots=True, frozen=True)
class MemoryRange:
    """`size at start` in `memory`: memory that every board has that the system is for."""

    start: int
    size: int
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
    caps: list[CapDeclaration | CapName] = field(default_factory=list)
    irq_maps: list[tuple[Place, list[IrqMapping]]] = field(default_factory=list)
    cdt: list[CdtNode] = field(default_factory=list)
    domains: list[DomainItem] = field(default_factory=list)
    memory: list[MemoryRange] = field(default_factory=list)
    policy: list[Clause] = field(default_factory=list)
    damage: Damage = field(default_factory=Damage)
