# SPDX-License-Identifier: BSD-2-Clause
"""What `./caprock trace` calls things: threads, budgets and capabilities of a running system by the names of its description."""

import struct
from dataclasses import dataclass
from functools import cache

LOADER = "(loader)"
_ENTRY = struct.Struct("<32sQQQQ64s")
_LABEL_SHIFT = 12
# Of a component's labels; what is above is the server's incarnation (userland/caprock/include/caprock/rpc.hpp).
_METHOD_MASK = 0xffff
_PROVIDE_SHIFT = 48
_FAULT_SLOTS = ("fault_ep_slot", "temp_fault_ep_slot")
# (first number, type of the device tree's interrupt specifiers) of shared and of private interrupts.
_FIRST_INTERRUPT = {0: 32, 1: 16}


@dataclass(frozen=True)
class Target:
    """What a capability leads to. kind: "call", "signal", "answer", "kernel" or "unknown": the description does not say. name: of the far end,
    `component.port`; of an object of the kernel's its name. component: whose it is. source: the near end, `component.port`. methods: names by label."""

    kind: str
    name: str
    component: str | None = None
    source: str = ""
    methods: dict[int, str] | None = None

    def method(self, info: int) -> str:
        """The name of what a message with this MessageInfo asks for."""
        label = label_of(info) & _METHOD_MASK if self.kind == "call" and self.methods else label_of(info)
        return (self.methods or {}).get(label, f"label {label}")


def label_of(info: int) -> int:
    """The label in a MessageInfo."""
    return info >> _LABEL_SHIFT


@cache
def kernel_methods() -> dict[int, str]:
    """Methods of the kernel's objects by label."""
    from kernel.api.description import Description
    from kernel.api.layout import FOLDER

    return {method["label"]: f"{method['object']['name']}::{method['name']}" for method in Description(FOLDER).methods}


@cache
def enumeration(name: str) -> dict[int, str]:
    """Names of an enumeration of the kernel's API by number."""
    from kernel.api.layout import FOLDER, load_structs

    return {number: word for word, number in load_structs(FOLDER / "abi.toml").enum(name).items()}


class Names:
    """Names in one system. spec: its description (capdl.model.Spec). objects: kernel address -> name of the object."""

    def __init__(self, spec, objects: dict[int, str]):
        from capdl.model import TCB_SLOTS

        self.spec, self.objects = spec, objects
        self._slots = TCB_SLOTS
        self._by_tcb = {item.tcb: item.name for item in spec.components.values()}
        self._entries = {name: _entries(spec, name) for name in spec.components}
        self._methods = {call.place: {label: name for label, (name, _) in enumerate(call.methods, 1)} for call in spec.calls}
        self._seen: dict[int, str] = {}
        self._targets: dict[tuple[str, int], Target] = {}

    def thread(self, address: int) -> str:
        """Of a thread: its component, its object, or for those that no description has, the loader and a number."""
        if address not in self._seen:
            name = self.objects.get(address)
            unknown = sum(1 for key in self._seen if key not in self.objects)
            self._seen[address] = self._by_tcb.get(name, name) if name else (f"thread {unknown}" if unknown else LOADER)
        return self._seen[address]

    def context(self, address: int) -> str:
        """Whose a scheduling context is."""
        name = self.objects.get(address)
        item = self.spec.objects.get(name)
        return LOADER if name is None else item.component if item is not None and item.component else name

    def owner(self, address: int) -> str:
        """The component that an object was made for, or its name."""
        name = self.objects.get(address, "")
        item = self.spec.objects.get(name)
        return item.component if item is not None and item.component else name

    def tcb(self, thread: str):
        """The object of a thread, or None."""
        component = self.spec.components.get(thread)
        return self.spec.objects.get(component.tcb if component else thread)

    def target(self, thread: str, address: int) -> Target:
        """What a thread's capability address leads to, as far as the description says."""
        key = thread, address
        if key not in self._targets:
            self._targets[key] = self._find(thread, address)
        return self._targets[key]

    def _find(self, thread: str, address: int) -> Target:
        tcb = self.tcb(thread)
        root = tcb.slots.get(self._slots["cspace"]) if tcb is not None else None
        cap = self.spec.objects[root.object].slots.get(address) if root is not None else None
        if cap is None:
            return Target("unknown", f"slot {address:#x}", methods=kernel_methods())
        item = self.spec.objects.get(cap.object or "")
        if item is None:
            return Target("kernel", cap.built_in or "", methods=kernel_methods())
        source = self._port(thread, ("Uses", "Emits"), address)
        if item.type == "ep":
            provides = list(self.spec.components[item.component].provides) if item.component in self.spec.components else []
            index = (cap.badge >> _PROVIDE_SHIFT) - 1
            name = f"{item.component}.{provides[index]}" if 0 <= index < len(provides) else item.name
            return Target("call", name, item.component, source, self._methods.get(cap.place))
        if item.type == "notification":
            ports = self._entries.get(item.component, [])
            port = next((name for kind, name, value, _, _ in ports if kind == "Consumes" and value == cap.badge), "")
            return Target("signal", f"{item.component}.{port}" if port else item.name, item.component, source)
        if item.type == "rtreply":
            return Target("answer", item.name)
        return Target("kernel", item.name, methods=kernel_methods())

    def _port(self, thread: str, kinds: tuple[str, ...], slot: int) -> str:
        """The port of a component that a slot is for."""
        port = next((name for kind, name, value, _, _ in self._entries.get(thread, []) if kind in kinds and value == slot), "")
        return f"{thread}.{port}" if port else thread

    def fault_handler(self, thread: str, timeout: bool) -> str | None:
        """Who is told of a thread's faults."""
        tcb = self.tcb(thread)
        cap = tcb.slots.get(self._slots[_FAULT_SLOTS[timeout]]) if tcb is not None else None
        item = self.spec.objects.get(cap.object) if cap is not None else None
        return None if item is None else item.component or item.name

    def interrupt(self, number: int) -> tuple[str, str | None]:
        """(device, component that handles it) of an interrupt."""
        handler = self.spec.objects.get(self.spec.irqs.get(number, ""))
        for fact in self.spec.board_facts:
            if fact.property.startswith("interrupts") and handler is not None and fact.user == handler.component:
                kind, line, _ = struct.unpack(">3I", fact.content)
                if _FIRST_INTERRUPT.get(kind, 0) + line == number:
                    return fact.path, handler.component
        return (handler.name, handler.component or self._holder(handler.name)) if handler is not None else (f"interrupt {number}", None)

    def _holder(self, interrupt: str) -> str | None:
        """The thread that waits at the notification of an interrupt, where the description has no components."""
        cap = self.spec.objects[interrupt].slots.get(0)
        for item in self.spec.objects.values():
            bound = item.slots.get(self._slots["bound_notification"]) if item.type == "tcb" else None
            if cap is not None and bound is not None and bound.object == cap.object:
                return item.name
        return None


def _entries(spec, component: str) -> list[tuple[str, str, int, int, int]]:
    """What a component is told of itself: (kind, name, value, size, badge) of each entry."""
    from capdl.component_info import layout

    path = spec.files.get(spec.components[component].info)
    head = layout().size("ComponentInfo")
    assert layout().size("ComponentEntry") == _ENTRY.size, "ComponentEntry has another layout (change _ENTRY)"
    if path is None:
        return []
    kinds = {number: word for word, number in layout().enum("ComponentEntryKind").items()}
    content = path.read_bytes()[head:]
    whole = content[:len(content) - len(content) % _ENTRY.size]
    return [(kinds.get(kind, ""), name.split(b"\0")[0].decode(), value, size, badge) for name, kind, value, size, badge, _ in _ENTRY.iter_unpack(whole)]
