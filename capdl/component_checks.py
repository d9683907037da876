# SPDX-License-Identifier: BSD-2-Clause
"""Checks of the component level, before anything is generated. Each is one function, registered in COMPONENT_CHECKS with a name.

A check is called with the System and yields (place, message).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

from . import syntax
from .checks import CORES, DOMAINS, LARGEST_PERIOD_US, MAX_PRIORITY, Problems
from .diagnostics import Diagnostics

PAGE = 4096
MESSAGE_WORDS = 120
NOTIFICATION_BITS = 64
LOW_BADGE_BITS = 48
# As many as the 16 upper bits of a badge number, below what marks faults (userland/caprock/api/component.toml).
MAX_PROVIDED = 0xefff
MAX_RECEIVE_SLOTS = 64
MAX_STACK = 16 << 20
MAX_HEAP = 16 << 20
REGION_SPACE = 0x600_0000

Item = TypeVar("Item")
Function = Callable[["System"], Problems]


class Check(NamedTuple):
    """A registered check. kind: always, or warning. function: yields what is wrong with a System."""

    name: str
    kind: str
    function: Function


COMPONENT_CHECKS: list[Check] = []


@dataclass
class System:
    """The component level of a description and its includes. interfaces, components: by name, the first of equal names.
    all_interfaces, all_components: as written."""

    all_interfaces: list[syntax.Interface] = field(default_factory=list)
    all_components: list[syntax.Component] = field(default_factory=list)
    connections: list[syntax.Connection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.interfaces = {item.name: item for item in reversed(self.all_interfaces)}
        self.components = {item.name: item for item in reversed(self.all_components)}

    def port(self, end: syntax.End, kind: str) -> syntax.Port | None:
        """The port of `kind` at an end of a connection, or None."""
        component = self.components.get(end.component)
        return None if component is None else find(component.ports, end.port, kind)

    def calls(self) -> Iterator[tuple[syntax.Connection, syntax.Component, syntax.Component]]:
        """(connection, client, server) of each call between components that there are."""
        for connection in self.connections:
            client, server = (self.components.get(end.component) for end in (connection.source, connection.target))
            if connection.kind == "call" and client is not None and server is not None:
                yield connection, client, server

    def setting(self, component: syntax.Component, name: str, default: Any = None) -> Any:
        """The value of a component's setting."""
        return next((item.value for item in component.settings if item.name == name), default)


def find(ports: Iterable[syntax.Port], name: str, kind: str) -> syntax.Port | None:
    """The port called `name` of `kind`, or None."""
    return next((port for port in ports if port.kind == kind and port.name == name), None)


def check(name: str, kind: str = "always") -> Callable[[Function], Function]:
    """Register the decorated function under `name`. kind: always, or warning: its findings do not end the run."""
    def register(function: Function) -> Function:
        COMPONENT_CHECKS.append(Check(name, kind, function))
        return function
    return register


def run(system: System, diagnostics: Diagnostics) -> None:
    """Run all checks of the component level."""
    for item in COMPONENT_CHECKS:
        report = diagnostics.warning if item.kind == "warning" else diagnostics.error
        for place, message in item.function(system):
            report(place, message, item.name)


def hint(name: str, known: Collection[str]) -> str:
    """The nearest known name, as a remedy."""
    near = get_close_matches(name, known, 1)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (known: {', '.join(sorted(known))})" if known and len(known) <= 12 else ""


def repeated(items: Iterable[Item], key: Callable[[Item], Hashable]) -> Iterator[tuple[Item, Item]]:
    """(item, first item of the same key) for each repetition."""
    seen: dict[Hashable, Item] = {}
    for item in items:
        first = seen.setdefault(key(item), item)
        if first is not item:
            yield item, first


# Interfaces -----------------------------------------------------------------------------------------------------------------------------

@check("interface-names")
def interface_names(system: System) -> Problems:
    """Interfaces, methods and parameters of the same name."""
    for item, first in repeated(system.all_interfaces, lambda item: item.name):
        yield item.place, f"the interface '{item.name}' is declared twice, first at {first.place} (rename one)"
    for interface in system.all_interfaces:
        for method, _ in repeated(interface.methods, lambda item: item.name):
            yield method.place, f"'{interface.name}' has two methods '{method.name}' (rename one)"
        for struct, _ in repeated(interface.structs, lambda item: item.name):
            yield struct.place, f"'{interface.name}' has two structs '{struct.name}' (rename one)"
        for struct in interface.structs:
            for entry, _ in repeated(struct.fields, lambda item: item.name):
                yield entry.place, f"'{struct.name}' has two fields '{entry.name}' (rename one)"
        for method in interface.methods:
            for parameter, _ in repeated(method.parameters, lambda item: item.name):
                yield parameter.place, f"'{method.name}' has two parameters '{parameter.name}' (rename one)"


@check("message-length")
def message_lengths(system: System) -> Problems:
    """Messages that are too long."""
    for interface in system.all_interfaces:
        for method in interface.methods:
            request = sum(item.type.words() for item in method.parameters if item.direction != "out")
            reply = sum(item.type.words() for item in method.parameters if item.direction != "in") + (method.returns is not None)
            for what, words in (("request", request), ("reply", reply)):
                if words > MESSAGE_WORDS:
                    yield method.place, (f"the {what} of '{interface.name}.{method.name}' takes {words} words; a message has at most "
                                         f"{MESSAGE_WORDS} (use a shared region)")


@check("message-caps")
def message_caps(system: System) -> Problems:
    """More capabilities than a message can hand over: a receiver names one slot."""
    for interface in system.all_interfaces:
        for method in interface.methods:
            for direction, what in (("in", "request"), ("out", "reply")):
                caps = [item for item in method.parameters if item.type.is_cap and item.direction == direction]
                for item in caps[1:]:
                    yield item.place, (f"the {what} of '{interface.name}.{method.name}' has {len(caps)} capabilities; a message hands over one "
                                       "(use a method for each)")


# Components -----------------------------------------------------------------------------------------------------------------------------

@check("component-names")
def component_names(system: System) -> Problems:
    """Components, and items of one, of the same name."""
    for item, first in repeated(system.all_components, lambda item: item.name):
        yield item.place, f"the component '{item.name}' is declared twice, first at {first.place} (rename one)"
    for component in system.all_components:
        named: tuple[tuple[Sequence[Any], str], ...] = (
            (component.devices, "devices"), (component.irqs, "interrupts"), (component.arguments, "arguments"), (component.accesses, "accesses"),
            (component.grants, "grants"))
        for items, what in named:
            for entry, _ in repeated(items, lambda entry: entry.name):
                yield entry.place, f"'{component.name}' has two {what} '{entry.name}' (rename one)"
        for port, _ in repeated(component.ports, lambda port: (port.kind, port.name)):
            yield port.place, f"'{component.name}' has '{port.kind} {port.name}' twice (rename one)"
        for setting, _ in repeated(component.settings, lambda setting: setting.name):
            yield setting.place, f"'{component.name}' has '{setting.name}' twice (remove one)"


@check("component-settings")
def missing_settings(system: System) -> Problems:
    """What every component must say."""
    for component in system.all_components:
        given = {item.name: item for item in component.settings}
        if "elf" not in given:
            yield component.place, f"'{component.name}' has no program (add: elf \"{component.name}.elf\")"
        if "prio" not in given:
            yield component.place, f"'{component.name}' has no priority (add: prio 100)"
        if "budget" not in given and "passive" not in given:
            yield component.place, f"'{component.name}' has no budget (add: budget 1ms/10ms)"
        if "budget" in given and "passive" in given:
            yield given["passive"].place, f"'{component.name}' is passive and has a budget (remove one)"
        if "passive" in given and not any(port.kind == "provides" for port in component.ports):
            yield given["passive"].place, f"'{component.name}' is passive but provides nothing, so it would never run (give it a budget)"


@check("component-passive")
def passive_components(system: System) -> Problems:
    """What a component without time of its own cannot do: take signals, start in a domain that has no turn yet, handle timeouts."""
    passive = {component.name for component in system.all_components if system.setting(component, "passive")}
    for component in system.all_components:
        for item in component.settings:
            if item.name == "passive":
                signals = [port.name for port in component.ports if port.kind == "consumes"] + [item.name for item in component.irqs]
                if signals:
                    yield item.place, (f"'{component.name}' is passive, and the signal '{signals[0]}' would bring it no time (give it a "
                                       "budget)")
                if system.setting(component, "domain"):
                    yield item.place, f"'{component.name}' is passive, and starts in domain 0 only (remove 'domain', or give it a budget)"
            elif item.name == "faults" and item.value in passive:
                yield item.place, f"'{item.value}' is passive, and a timeout would bring it no time (give it a budget)"
    order = start_order(system)
    for component in system.all_components:
        if component.name in passive and component.name not in order:
            yield component.place, (f"'{component.name}' is passive and has to be ready before those who call it, but it calls one of them, "
                                    "directly or through others (give it a budget)")


def start_order(system: System) -> list[str]:
    """Names of components in the order in which they start: as they are declared, but a passive server, which has to reach its first receive on
    time that is lent to it, after whom it calls, and before its callers. Lacks those that would wait for each other."""
    passive = {component.name for component in system.all_components if system.setting(component, "passive")}
    waits: dict[str, set[str]] = {component.name: set() for component in system.all_components}
    for item in system.connections:
        if item.kind == "call" and not passive.isdisjoint((item.source.component, item.target.component)):
            if item.source.component in waits and item.target.component in waits:
                waits[item.source.component].add(item.target.component)
    order: dict[str, None] = {}
    while True:
        ready = [name for name, servers in waits.items() if name not in order and servers <= order.keys()]
        if not ready:
            return list(order)
        # Whoever does not depend on a passive server comes first: should one never be ready, only its callers miss it.
        active = [name for name in ready if name not in passive]
        order.update(dict.fromkeys(active or ready[:1]))


@check("component-ranges")
def setting_ranges(system: System) -> Problems:
    """Settings out of range."""
    for component in system.all_components:
        for item in component.settings:
            message = setting_problem(item)
            if message:
                yield item.place, f"'{component.name}': {message}"
        provided = [port for port in component.ports if port.kind == "provides"]
        if len(provided) > MAX_PROVIDED:
            yield provided[MAX_PROVIDED].place, (f"'{component.name}' provides {len(provided)} interfaces, and badges tell {MAX_PROVIDED} apart "
                                                 "(divide the component)")


def setting_problem(item: syntax.Setting) -> str | None:
    """What is wrong with the value of a setting, or None."""
    name, value = item.name, item.value
    if name in ("prio", "max_prio") and value > MAX_PRIORITY:
        return f"{name} {value} is above the highest priority {MAX_PRIORITY}"
    if name == "core" and value >= CORES:
        return f"core {value} does not exist (0 to {CORES - 1})"
    if name == "domain" and value >= DOMAINS:
        return f"domain {value} does not exist (0 to {DOMAINS - 1})"
    if name == "budget":
        budget, period = value
        if budget == 0:
            return "the budget is 0 (it would never run)"
        if budget > period:
            return f"the budget {budget} us is above the period {period} us"
        if period > LARGEST_PERIOD_US:
            return f"the period {period} us is above {LARGEST_PERIOD_US} us"
    if name == "receive" and not 1 <= value <= MAX_RECEIVE_SLOTS:
        return f"receive {value} is out of range (1 to {MAX_RECEIVE_SLOTS} slots)"
    if name in ("stack", "heap"):
        limit = MAX_STACK if name == "stack" else MAX_HEAP
        if value % PAGE or name == "stack" and value == 0:
            return f"{name} {value} is no multiple of {PAGE} bytes (write {max(value + PAGE - 1, PAGE) // PAGE * PAGE // 1024}k)"
        if value > limit:
            return f"{name} {value} is above {limit} bytes"
    if name == "elf" and not re.fullmatch(r"[^\s/{}\"]+", value):
        return f"\"{value}\" is no plain file name (directories are given to the tool)"
    return None


@check("unknown-interface")
def interface_types(system: System) -> Problems:
    """Interfaces that do not exist."""
    for component in system.all_components:
        for port in component.ports:
            if port.type is not None and port.type not in system.interfaces:
                yield port.place, f"unknown interface '{port.type}'{hint(port.type, system.interfaces) or ' (include its file)'}"
            elif port.version is not None and port.version != system.interfaces[port.type].version:
                interface = system.interfaces[port.type]
                yield port.place, (f"'{component.name}.{port.name}' wants {port.type} @{port.version}, and version @{interface.version} is described "
                                   f"at {interface.place} (include the other one, or use this one)")


@check("fault-handler")
def fault_handlers(system: System) -> Problems:
    """Fault handlers that do not exist."""
    for component in system.all_components:
        for item in component.settings:
            if item.name != "faults":
                continue
            if item.value == component.name:
                yield item.place, f"'{component.name}' cannot handle its own faults (name another component)"
            elif item.value not in system.components:
                yield item.place, f"unknown component '{item.value}'{hint(item.value, system.components)}"


def bells_for(kinds: int, irqs: int) -> int:
    """How many bits of a notification stand for banks of 64 signals each: as few as there can be, or all that interrupts, which have bits of their own,
    leave."""
    free = NOTIFICATION_BITS - irqs
    return next((bells for bells in range(free) if free - bells + NOTIFICATION_BITS * bells >= kinds), free)


@check("notification-bits")
def notification_bits(system: System) -> Problems:
    """More interrupts than a notification has bits, or none left for signals."""
    for component in system.all_components:
        signals = any(port.kind == "consumes" for port in component.ports)
        if len(component.irqs) + signals > NOTIFICATION_BITS:
            yield component.place, (f"'{component.name}' has {len(component.irqs)} interrupts{' and consumes signals' if signals else ''}; its notification "
                                    f"has {NOTIFICATION_BITS} bits, one for each interrupt{' and one or more for signals' if signals else ''} (divide it)")


@check("wcet")
def lent_time(system: System) -> Problems:
    """Callers of passive servers whose budget is below the time that a method promises to take at most."""
    for connection, client, server in system.calls():
        port = system.port(connection.target, "provides")
        if port is None or not system.setting(server, "passive"):
            continue
        budget, interface = system.setting(client, "budget"), system.interfaces.get(port.type)
        for method in interface.methods if interface and budget else ():
            if method.wcet is not None and method.wcet > budget[0]:
                yield connection.place, (f"'{interface.name}.{method.name}' takes up to {method.wcet} us on its caller's time, and '{client.name}' has "
                                         f"{budget[0]} us (give it a budget of {method.wcet} us or more)")


@check("priority-order")
def server_priorities(system: System) -> Problems:
    """Servers below their clients: whoever is between them would delay the client, for as long as he likes."""
    for connection, client, server in system.calls():
        low, high = system.setting(server, "prio"), system.setting(client, "prio")
        if low is not None and high is not None and low < high:
            yield connection.place, (f"'{client.name}' of priority {high} calls '{server.name}' of priority {low}, so that all between them delay it "
                                     f"(give '{server.name}' priority {high} or above)")


@check("call-cycle")
def call_cycles(system: System) -> Problems:
    """Components that call each other in a circle: when all of them call at once, each waits for the next."""
    servers: dict[str, dict[str, syntax.Connection]] = {}
    for connection, client, server in system.calls():
        servers.setdefault(client.name, {}).setdefault(server.name, connection)
    told: set[str] = set()
    for name in servers:
        circle = way_back(servers, name)
        if circle and told.isdisjoint(circle):
            told.update(circle)
            yield servers[circle[-2]][name].place, (f"calls lead in a circle: {' -> '.join(circle)}; when each of them calls, all wait for ever (let one of "
                                                    "them signal instead: emits, consumes)")


def way_back(servers: Mapping[str, Mapping[str, syntax.Connection]], name: str) -> list[str] | None:
    """The shortest way from a component back to itself; servers: whom each one calls. None if there is none."""
    ways = [[name]]
    seen = set()
    for way in ways:
        for server in servers.get(way[-1], ()):
            if server == name:
                return [*way, name]
            if server not in seen:
                seen.add(server)
                ways.append([*way, server])
    return None


@check("core-load", "warning")
def core_loads(system: System) -> Problems:
    """More time promised on a core than it has. A budget of a whole period promises nothing: who has it takes turns with what is left."""
    shares: dict[int, list[tuple[Fraction, syntax.Component]]] = {}
    for component in system.all_components:
        budget, period = system.setting(component, "budget", (1, 1))
        if 0 < budget < period:
            shares.setdefault(system.setting(component, "core", 0), []).append((Fraction(budget, period), component))
    for core, items in shares.items():
        total = sum(share for share, _ in items)
        if total > 1:
            largest = max(items, key=lambda item: item[0])[1]
            yield largest.place, (f"the components of core {core} have {float(total):.2%} of its time by their budgets, so that the less important may get "
                                  "less than theirs (lower some budgets, or give others another core)")


# Connections ----------------------------------------------------------------------------------------------------------------------------

END_KINDS = {"call": ("uses", "provides"), "notify": ("emits", "consumes"), "shared": ("region", "region")}


@check("connection-end")
def connection_ends(system: System) -> Problems:
    """Ends that do not exist."""
    for connection in system.connections:
        for end, kind in zip((connection.source, connection.target), END_KINDS[connection.kind]):
            component = system.components.get(end.component)
            if component is None:
                yield end.place, f"unknown component '{end.component}'{hint(end.component, system.components)}"
            elif find(component.ports, end.port, kind) is None:
                other = next((port for port in component.ports if port.name == end.port), None)
                if other is not None:
                    yield end.place, (f"'{end.component}.{end.port}' is '{other.kind}', but a {connection.kind} connection goes from "
                                      f"'{END_KINDS[connection.kind][0]}' to '{END_KINDS[connection.kind][1]}'")
                else:
                    known = [port.name for port in component.ports if port.kind == kind]
                    yield end.place, f"'{end.component}' has no '{kind} {end.port}'{hint(end.port, known)}"


@check("connection-type")
def connection_types(system: System) -> Problems:
    """Calls between different interfaces."""
    for connection in system.connections:
        if connection.kind == "call":
            source, target = system.port(connection.source, "uses"), system.port(connection.target, "provides")
            if source and target and source.type != target.type:
                yield connection.place, (f"'{connection.source.component}.{source.name}' uses {source.type}, but "
                                         f"'{connection.target.component}.{target.name}' provides {target.type}")


@check("connected-twice")
def connected_twice(system: System) -> Problems:
    """Sources with two targets, and two calls with one badge."""
    for kind in ("call", "notify"):
        connections = [item for item in system.connections if item.kind == kind]
        for item, first in repeated(connections, lambda item: (item.source.component, item.source.port)):
            yield item.source.place, (f"'{item.source.component}.{item.source.port}' is connected twice, first at {first.place} "
                                      "(remove one)")
    badged = [(item, parameter) for item in system.connections if item.kind == "call" for parameter in item.parameters]
    for (item, parameter), _ in repeated(badged, lambda pair: (pair[0].target.component, pair[0].target.port, pair[1].value)):
        yield parameter.place, f"badge {parameter.value} is already that of another caller of '{item.target.component}.{item.target.port}'"
    for item, parameter in badged:
        if parameter.value >> LOW_BADGE_BITS or parameter.value == 0:
            yield parameter.place, f"badge {parameter.value} is out of range (1 to 2^{LOW_BADGE_BITS} - 1)"


@check("connection-parameters")
def connection_parameters(system: System) -> Problems:
    """Parameters of shared regions, and parameters given twice."""
    for connection in system.connections:
        counts = Counter(parameter.name for parameter in connection.parameters)
        for name, count in counts.items():
            if count > 1:
                yield connection.place, f"'{name}' is given {count} times (remove {'one' if count == 2 else 'all but one'})"
        if connection.kind != "shared":
            continue
        missing = [name for name in ("size", "from", "to") if name not in counts]
        if missing:
            yield connection.place, f"the shared region lacks '{missing[0]}' (write, for example: (4k, from: RW, to: R))"
        for parameter in connection.parameters:
            if parameter.name == "size" and (parameter.value == 0 or parameter.value % PAGE or parameter.value > REGION_SPACE):
                yield parameter.place, f"a region of {parameter.value} bytes is impossible (a multiple of {PAGE}, at most {REGION_SPACE})"


@check("unconnected")
def unconnected(system: System) -> Problems:
    """Ports that no connection names."""
    used = set()
    for connection in system.connections:
        for end, kind in zip((connection.source, connection.target), END_KINDS[connection.kind]):
            used.add((end.component, kind, end.port))
    verbs = {"uses": "call", "emits": "notify", "consumes": "notify", "region": "shared"}
    for component in system.all_components:
        for port in component.ports:
            if port.kind in verbs and (component.name, port.kind, port.name) not in used:
                yield port.place, (f"'{component.name}.{port.name}' ({port.kind}) is not connected (add a '{verbs[port.kind]}' to "
                                   "'connect', or remove it)")


@check("unused-interface", "warning")
def unused_interfaces(system: System) -> Problems:
    """What is provided and nobody calls. A component whose endpoint is granted to somebody is called by what is written nowhere."""
    called = {(connection.target.component, connection.target.port) for connection in system.connections if connection.kind == "call"}
    granted = {grant.target.name for component in system.all_components for grant in component.grants}
    for component in system.all_components:
        for port in component.ports if f"{component.name}_ep" not in granted else ():
            if port.kind == "provides" and (component.name, port.name) not in called:
                yield port.place, f"nobody calls '{component.name}.{port.name}' (add a 'call' to 'connect', or remove it)"
