# SPDX-License-Identifier: BSD-2-Clause
"""Checks of what a description says about restarting; they are registered with those of the component level."""

from __future__ import annotations

from . import syntax
from .checks import Problems
from .component_checks import System, check
from .restart_rules import RESTARTER, rule_of

# Most restarts of one component that the restarter remembers.
MOST_RESTARTS = 16


@check("restart-rule")
def restart_rules(system: System) -> Problems:
    """Rules of restarting that mean nothing."""
    for component in system.all_components:
        for item in component.settings:
            if item.name == "restart":
                message = rule_problem(item.value) or heartbeat_problem(system, component, item.value)
                if message:
                    yield item.place, f"'{component.name}': {message}"


def rule_problem(rule: syntax.RestartRule) -> str | None:
    """What is wrong with a rule, or None."""
    if rule.hang and rule.heartbeat is None:
        return "a hang shows by a missed heartbeat, and the rule does not say how often one is due (add: heartbeat 100ms)"
    if rule.heartbeat is not None and not rule.hang:
        return "a heartbeat that is missed has no consequence (write: on hang, or remove it)"
    if rule.heartbeat == 0 or rule.backoff == 0 or rule.window == 0:
        return "a time of 0 means nothing (remove it, or write a longer one)"
    if rule.most is not None and not 1 <= rule.most <= MOST_RESTARTS:
        return f"max {rule.most} is out of range (1 to {MOST_RESTARTS})"
    if None not in (rule.backoff, rule.window) and rule.backoff > rule.window:
        return f"the backoff {rule.backoff} us is above the time {rule.window} us in which restarts are counted"
    return None


def heartbeat_problem(system: System, component: syntax.Component, rule: syntax.RestartRule) -> str | None:
    """Why who is asked for a sign of life may have no time to show it, or None."""
    restarter = system.components.get(RESTARTER)
    for item in (component, restarter):
        period = 0 if item is None else system.setting(item, "budget", (0, 0))[1]
        if rule.heartbeat is not None and rule.heartbeat < 2 * period:
            return (f"the heartbeat of {rule.heartbeat} us is shorter than two periods of '{item.name}', {period} us each, which gets its time once in each "
                    f"(write: heartbeat {2 * period}us)")
    return None


@check("restart-handler")
def restart_handlers(system: System) -> Problems:
    """Restarting without the component that does it, or which could not do it."""
    restarter = system.components.get(RESTARTER)
    high = None if restarter is None else system.setting(restarter, "prio")
    for component in system.all_components:
        item = next((item for item in component.settings if item.name == "restart"), None)
        if item is None:
            continue
        faults, low = next((other for other in component.settings if other.name == "faults"), None), system.setting(component, "prio")
        if restarter is None:
            yield item.place, f"the system has no component '{RESTARTER}' to restart '{component.name}' (include \"restart.cdl\")"
        elif component is restarter:
            yield item.place, f"'{RESTARTER}' cannot restart itself (remove 'restart'; 'faults to' says who is told)"
        elif faults is not None and faults.value != RESTARTER:
            yield faults.place, f"the faults of '{component.name}' go to '{RESTARTER}', which restarts it (remove 'faults to')"
        elif system.setting(component, "passive"):
            yield item.place, f"'{component.name}' is passive, and would have no time to start again (give it a budget)"
        elif None not in (low, high) and low >= high:
            yield item.place, f"'{component.name}' of priority {low} is not below '{RESTARTER}' of priority {high}, so that it could hold that up (lower it)"
    if restarter is not None and system.setting(restarter, "passive"):
        yield restarter.place, f"'{RESTARTER}' is passive, and nobody calls it when something faults (give it a budget)"


@check("restart-calls")
def restart_calls(system: System) -> Problems:
    """Restarted components that lend their time: it may be with the passive server when it is needed for the start."""
    for connection, client, server in system.calls():
        if rule_of(client) is not None and system.setting(server, "passive"):
            yield connection.place, (f"'{client.name}' is restarted, and its time may be with the passive '{server.name}' then (give '{server.name}' a "
                                     "budget)")


@check("restart-grants")
def restart_grants(system: System) -> Problems:
    """Restarted components with capabilities of which others may have copies that nobody can take back."""
    for component in system.all_components:
        if rule_of(component) is None:
            continue
        for grant in component.grants if passes_caps(system, component) else ():
            if not any(parameter.name == "badge" for parameter in grant.parameters):
                yield grant.place, (f"'{component.name}' is restarted and passes capabilities on; those of '{grant.target}' could not be taken back from "
                                    "others (give it a badge, or give it to a component that passes none on)")


def passes_caps(system: System, component: syntax.Component) -> bool:
    """True when a component may send capabilities: with calls of what it uses, or with replies to what it provides."""
    return any(port.type in system.interfaces and system.interfaces[port.type].takes_cap("in" if port.kind == "uses" else "out")
               for port in component.ports if port.type is not None)
