# SPDX-License-Identifier: BSD-2-Clause
"""What may stand at a place: roles of names, and words of the language."""

from __future__ import annotations

from dataclasses import dataclass

from ..component_checks import END_KINDS
from ..component_parser import DURATION_UNITS, ITEMS, PORT_KINDS, RESTART_CAUSES, RESTART_LIMITS
from ..model import ACCESS_PARAMETERS, ARCHITECTURES, BUILT_IN_CAPS, OBJECT_TYPES, TCB_SLOTS
from ..parameters import OBJECT_PARAMETERS
from ..parser import SIZE_UNITS
from ..policy_parser import CLAUSES, KINDS
from ..syntax import DIRECTIONS, SCALAR_TYPES
from .context import CONNECTIONS, SECTIONS, Context

CAP_PARAMETERS = ("masked", "badge", "guard", "guard_size", "core", "asid", "mapping", "cached", "uncached", "reply", "master_reply")
FLAGS = ("cached", "uncached", "reply", "master_reply")   # of these, without a value
RIGHTS = ("R", "W", "RW", "G", "P")
UNITS = (*SIZE_UNITS, *DURATION_UNITS)
# Items whose value is a number, a size or a duration.
_VALUES = frozenset(("prio", "max_prio", "core", "domain", "budget", "stack", "heap", "receive"))
_WORD = frozenset(("via", "in", "except", "to", "flow", "may", "reach", "->", "(", ",", "trusted", "only", "isolated"))


@dataclass(frozen=True)
class Expected:
    """roles: of names that fit (component, interface, object, capability, constant, node, struct, new: any, and port kinds, as call-0 for the sources of
    calls and call-1 for their targets). words: of the language. parameters: of them that a value follows, behind a colon."""

    roles: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


_NOTHING = Expected()
_VALUE = Expected(("constant",))


def expected(context: Context) -> Expected:
    """What may stand in a context."""
    return _BLOCKS.get(context.block, _nothing)(context)


def _nothing(_context: Context) -> Expected:
    return _NOTHING


def _top(context: Context) -> Expected:
    if not context.words:
        return Expected(words=SECTIONS)
    if context.last == "arch":
        return Expected(words=ARCHITECTURES)
    if context.last == "include":
        return Expected(("file",))
    if context.last == "=":
        return _VALUE
    if context.last == ":" and context.brackets:
        return _VALUE
    return Expected(("new",)) if context.last in ("const", "parameter", "interface") else _NOTHING


def _components(context: Context) -> Expected:
    return Expected(("new",)) if not context.words else Expected(words=("component",)) if context.last == "=" else _NOTHING


def _component(context: Context) -> Expected:
    first, count = context.first, len(context.words)
    if not count:
        return Expected(words=ITEMS)
    if first in _VALUES:
        return _VALUE
    if first == "faults":
        return Expected(words=("to",)) if count == 1 else Expected(("component",))
    if first == "restart":
        return _restart(context)
    if first == "access":
        return Expected(words=ACCESS_PARAMETERS)
    if first == "grant" and context.brackets:
        return _cap_parameters(context)
    if context.last == ":" and first in ("uses", "provides"):
        return Expected(("interface",))
    if context.last == ":" and first in ("device", "irq"):
        return Expected(("node",), ("stdout",))
    if context.last == ":" and first == "grant":
        return Expected(("object", "generated"), BUILT_IN_CAPS)
    if first == "irq" and count == 4:
        return _VALUE
    return Expected(("new",)) if count == 1 and first in (*PORT_KINDS, "device", "irq", "grant") else _NOTHING


def _restart(context: Context) -> Expected:
    if context.brackets:
        words = {"(": RESTART_LIMITS, ",": RESTART_LIMITS}.get(context.last)
        return Expected(words=words) if words else Expected(("constant",), ("per",) if context.words[-2] == "max" else ())
    return Expected(words={"restart": ("on",), "on": RESTART_CAUSES, "or": RESTART_CAUSES}.get(context.last, ("or",)))


def _arguments(context: Context) -> Expected:
    return _VALUE if context.last == ":" else Expected(("new",))


def _connect(context: Context) -> Expected:
    if not context.words:
        return Expected(words=CONNECTIONS)
    first, count = context.first, len(context.words)
    if context.brackets:
        if context.last == ":":
            return Expected(("constant",), ("R", "RW")) if first == "shared" else _VALUE
        return Expected(("constant",), parameters=("from", "to")) if first == "shared" else Expected(parameters=("badge",)) if first == "call" else _NOTHING
    if count == 1 and first in END_KINDS:
        return Expected((f"{first}-0",))
    if count == 3 and first in END_KINDS:
        return Expected((f"{first}-1",))
    return Expected(words=("->",)) if count == 2 else _NOTHING


def _policy(context: Context) -> Expected:
    if not context.words:
        return Expected(words=CLAUSES)
    first, last, count = context.first, context.last, len(context.words)
    if first == "deny" and count == 1:
        return Expected(words=("flow", "caps"))
    if first == "allow" and count == 1:
        return Expected(words=("flow",))
    if context.brackets:
        return Expected(words=KINDS) if first == "deny" else Expected(("node",), ("stdout",))
    if first == "assume":
        return Expected(words=("dma",) if count == 1 else ("within",) if last == ")" else ())
    if first == "cpu":
        return _VALUE if count == 1 else Expected(words=("load",)) if count == 2 else _NOTHING
    if first == "only" and count > 1:
        return Expected(("node",), ("stdout",)) if last == "reach" else Expected(words=("may",) if count == 2 else ("reach",) if last == "may" else ())
    if last in _WORD:
        return Expected(("component",))
    following = {"allow": ("via",), "deny": ("except",) if last == "*" else ("in",) if last == ")" else ()}
    return Expected(words=following.get(first, ()))


def _names(_context: Context) -> Expected:
    return Expected(("component",))


def _interface(context: Context) -> Expected:
    last = context.last
    if not context.words:
        return Expected(("new",), ("struct",))
    if context.brackets and context.brackets[-1] == "(":
        if last in DIRECTIONS:
            return Expected(("struct",), (*SCALAR_TYPES, "bytes", "cap"))
        if "cap" in context.words[-2:] and last == "(":
            return Expected(words=KINDS)
        return Expected(words=DIRECTIONS) if last in ("(", ",") else Expected(("new",))
    if context.brackets or last == "wcet":
        return _VALUE
    if last == "->":
        return Expected(words=SCALAR_TYPES)
    return Expected(words=("idempotent", "wcet")) if ")" in context.words else _NOTHING


def _struct(context: Context) -> Expected:
    if not context.words or context.last == ",":
        return Expected(("struct",), SCALAR_TYPES)
    return _VALUE if context.brackets else Expected(("new",))


def _objects(context: Context) -> Expected:
    if "=" not in context.words:
        return Expected(("object",))
    if context.last == "=":
        return Expected(words=OBJECT_TYPES)
    if not context.brackets:
        return Expected(("object",))
    kind = context.words[context.words.index("=") + 1] if context.words[-1] != "=" else ""
    if context.last in ("(", ","):
        names = OBJECT_PARAMETERS.get(kind, ((), ()))[0]
        return Expected(("constant",), parameters=tuple(name for name in names if name not in ("bits", "size", "pci")))
    words = {"resume": ("True", "False"), "fpu_disabled": ("True", "False"), "physical_timer": ("True", "False"), "pmu": ("True", "False"),
             "trigger": ("level", "edge")}
    if context.last == ":":
        return Expected(("constant",), words.get(context.words[-2], ()))
    return Expected(words=("bits", *SIZE_UNITS)) if context.last[:1].isdigit() else _NOTHING


def _caps(context: Context) -> Expected:
    return Expected(("object",)) if not context.words or context.last == "(" else Expected(words=tuple(TCB_SLOTS)) if context.last == "," else _NOTHING


def _container(context: Context) -> Expected:
    if context.brackets and context.brackets[-1] == "<":
        return Expected(("capability",))
    if context.brackets and "child_of" in context.words:
        return Expected(("object",)) if context.last == "(" else Expected(words=tuple(TCB_SLOTS))
    if context.brackets and "mapping" in context.words[-3:] and context.brackets[-2:] == ("(", "("):
        return Expected(("object",))
    if context.brackets:
        return _cap_parameters(context)
    if context.last == "child_of":
        return Expected(("capability",))
    if not context.words:
        return Expected(("object",), (*TCB_SLOTS, *BUILT_IN_CAPS))
    return Expected(("object",), BUILT_IN_CAPS) if context.last in (":", "=") else _NOTHING


def _cap_parameters(context: Context) -> Expected:
    if context.last in ("(", ","):
        return Expected(words=(*RIGHTS, *FLAGS), parameters=tuple(name for name in CAP_PARAMETERS if name not in FLAGS))
    return Expected(("constant",), RIGHTS if context.words[-2:-1] == ("masked",) else ()) if context.last == ":" else _NOTHING


def _irq_maps(context: Context) -> Expected:
    return Expected(("object",)) if not context.words or context.last == ":" else _NOTHING


def _cdt(context: Context) -> Expected:
    if context.last == "(":
        return Expected(("object",))
    return Expected(words=tuple(TCB_SLOTS)) if context.last == "," else Expected(("capability",))


def _domains(context: Context) -> Expected:
    if not context.words:
        return Expected(parameters=("schedule", "domain_set_start", "index_shift"))
    if context.first == "domain_set_start" and context.last == ":":
        return Expected(("constant",), ("no_start",))
    return Expected(("constant",), ("ticks", "us") if context.last[:1].isdigit() else ())


def _memory(context: Context) -> Expected:
    return Expected(("constant",), ("at",) if context.words and "at" not in context.words else ())


_BLOCKS = {"": _top, "components": _components, "component": _component, "args": _arguments, "connect": _connect, "policy": _policy, "braces": _names,
           "interface": _interface, "struct": _struct, "objects": _objects, "caps": _caps, "container": _container, "irq maps": _irq_maps, "cdt": _cdt,
           "domains": _domains, "memory": _memory}
