# SPDX-License-Identifier: BSD-2-Clause
"""What `restart on ...` adds to the components and connections of a description, before anything is elaborated (docs/restart.md)."""

from __future__ import annotations

from dataclasses import replace

from . import syntax

RESTARTER = "restarter"
# The file that fills its table's pages.
TABLE_FILE = f"{RESTARTER}.restarts"
# Signals of a component that shows that it is alive: what it is asked by, and its answer.
ASKED, ALIVE = "heartbeat", "alive"


def rule_of(component: syntax.Component) -> syntax.RestartRule | None:
    """How a component is restarted, or None."""
    return next((item.value for item in component.settings if item.name == "restart"), None)


def is_needed(component: syntax.Component) -> bool:
    """Whether others wait for what a component does as long as they run: it has no end that is no failure."""
    rule = rule_of(component)
    return bool(component.irqs) or (rule is not None and rule.hang) or any(port.kind == "provides" for port in component.ports)


def expand(components: list[syntax.Component], connections: list[syntax.Connection]) -> tuple[list[syntax.Component], list[syntax.Connection]]:
    """Components and connections with what restarting needs: faults go to the restarter, and those that may hang are asked for a sign of life."""
    if all(component.name != RESTARTER for component in components):
        return components, connections
    expanded, added = [], []
    asks: list[syntax.Port] = []
    for component in components:
        setting = next((item for item in component.settings if item.name == "restart"), None)
        if setting is None or component.name == RESTARTER:
            expanded.append(component)
            continue
        place, name = setting.place, component.name
        settings, ports = list(component.settings), list(component.ports)
        if all(item.name != "faults" for item in settings):
            settings.append(syntax.Setting("faults", RESTARTER, place))
        if setting.value.heartbeat is not None:
            # First, so that no other signal has the same bit.
            ports = [syntax.Port("consumes", ASKED, None, place), *ports, syntax.Port("emits", ALIVE, None, place)]
            asks += [syntax.Port("emits", name, None, place), syntax.Port("consumes", name, None, place)]
            added += [syntax.Connection("notify", syntax.End(RESTARTER, name, place), syntax.End(name, ASKED, place), [], place),
                      syntax.Connection("notify", syntax.End(name, ALIVE, place), syntax.End(RESTARTER, name, place), [], place)]
        expanded.append(replace(component, settings=settings, ports=ports))
    expanded = [replace(component, ports=component.ports + asks) if component.name == RESTARTER else component for component in expanded]
    return expanded, connections + added
