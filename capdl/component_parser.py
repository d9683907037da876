# SPDX-License-Identifier: BSD-2-Clause
"""The component level of the description language: interfaces, components and connections, in files that begin with `caprock 1`."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from . import syntax
from .constants import Scope, Value
from .diagnostics import Diagnostics, Source
from .model import ACCESS_PARAMETERS
from .parser import MAX_NUMBER, SIZE_UNITS, SyntaxProblem
from .policy_parser import PolicyParser

LANGUAGE_VERSION = 1
MAX_NAME_LENGTH = 31
MAX_MESSAGE_BYTES = 960
MAX_VERSION = 65535
DURATION_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}
PORT_KINDS = ("uses", "provides", "emits", "consumes", "region")
# Names that end up in C++ and in fixed fields; a dot separates component and port.
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SHORT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
ITEMS = ("elf", "prio", "max_prio", "core", "domain", "budget", "passive", "stack", "heap", "receive", "args", *PORT_KINDS, "device", "irq", "access",
         "grant", "faults", "restart")
RESTART_CAUSES = ("fault", "hang")
RESTART_LIMITS = ("max", "backoff", "heartbeat")


class ComponentParser(PolicyParser):
    """Parser of the whole language."""

    number_parameters = PolicyParser.number_parameters | {"first_receive"}
    boolean_parameters = PolicyParser.boolean_parameters | set(ACCESS_PARAMETERS)
    section_words = "include, interface, components, connect, policy, memory, const, parameter, objects, caps, irq maps, cdt or domains"

    def __init__(self, source: Source, diagnostics: Diagnostics, strict: bool = True, scope: Scope | None = None):
        """scope: constants.Scope of all files that are read together, or None for this one alone."""
        super().__init__(source, diagnostics, strict)
        self.scope = scope or Scope()
        self.structs: dict[str, syntax.Struct] = {}   # of the interface that is being read, by name

    def header(self) -> None:
        """caprock 1, and the architecture if the file gives it"""
        self.index += 1
        index = self.index
        version = self.number("the version of the language") if self.kinds[index] == "number" else None
        if version != LANGUAGE_VERSION:
            self.report(self.problem(f"expected 'caprock {LANGUAGE_VERSION}'; this tool knows no other version of the language", index))
        self.module.language = LANGUAGE_VERSION

    def section(self) -> bool:
        """One section of either level; False when none begins here."""
        if self.at_word("arch"):
            self.arch()
        elif self.accept_word("include"):
            self.include()
        elif self.at_word("const", "parameter"):
            self.constant()
        elif self.accept_word("interface"):
            self.interface()
        elif self.accept_word("components"):
            self.block(self.component, "the components")
        elif self.accept_word("connect"):
            self.block(self.connection, "the connections")
        elif self.accept_word("memory"):
            self.block(self.memory_range, "the memory")
        elif self.accept_word("policy"):
            self.block(self.policy_clause, "the policy")
        else:
            return super().section()
        return True

    def begins_section(self) -> bool:
        """True when the next name begins a section."""
        return self.texts[self.index] in ("include", "const", "parameter", "interface", "components", "connect", "memory", "policy") or super().begins_section()

    def short_name(self, what: str, pattern: re.Pattern[str] = _SHORT_NAME) -> str:
        """A name that fits the fixed field it travels in."""
        index = self.index
        name = self.name(what)
        if not pattern.fullmatch(name):
            raise self.problem(f"'{name}' cannot be {what} (use ASCII letters, digits and _)", index)
        if len(name.encode()) > MAX_NAME_LENGTH:
            raise self.problem(f"the name '{name}' is longer than {MAX_NAME_LENGTH} bytes (shorten it)", index)
        return name

    # Values -----------------------------------------------------------------------------------------------------------------------------

    def include(self) -> None:
        """include "PATH" (NAME: VALUE, ...); the word is taken."""
        place = self.place()
        include = syntax.Include(self.string("the path of a file in double quotes"), place)
        if self.kinds[self.index] == "(":
            include.settings = dict(self.parameters(self.include_setting))
        self.module.includes.append(include)
        if self.scope.include is not None:
            self.scope.include(include)

    def include_setting(self) -> tuple[str, Value]:
        """NAME: VALUE"""
        name = self.short_name("the name of a parameter", _IDENTIFIER)
        self.expect(":", "and a value after the parameter's name")
        return name, self.value()

    def constant(self) -> None:
        """const NAME = VALUE, or parameter NAME = VALUE (the value may be left out)"""
        is_parameter = self.texts[self.index] == "parameter"
        self.index += 1
        place = self.place()
        name = self.short_name("the constant's name", _IDENTIFIER)
        value = None
        self.scope.lost.add(name)
        if not is_parameter or self.kinds[self.index] == "=":
            self.expect("=", "after the constant's name")
            value = self.value()
        self.scope.lost.discard(name)
        self.accept(";")
        if self.scope.syntax_only:
            return
        message = self.scope.declare(name, value, place, is_parameter)
        if message:
            self.report(SyntaxProblem(place.offset, message), "constant")

    def value(self) -> Value:
        """A number, a size, a duration, a text, or the name of a constant."""
        place = self.place()
        if self.kinds[self.index] == "string":
            return Value("text", self.string(), place)
        what = "a number, or a text in double quotes"
        known = self.known_constant()
        if known is not None:
            self.index += 1
            return known
        if self.kinds[self.index] == "name":
            return Value("number", self.constant_number(what, ()), place)
        number = super().number(what)
        if self.at_word(*SIZE_UNITS):
            return Value("size", self.scaled(number, SIZE_UNITS), place)
        if self.at_word(*DURATION_UNITS):
            return Value("duration", self.scaled(number, DURATION_UNITS), place)
        return Value("number", number, place)

    def whole_value(self) -> Value | None:
        """The value that the whole text is, or None."""
        try:
            value = self.value()
        except SyntaxProblem:
            return None
        return value if self.kinds[self.index] == "end" and self.diagnostics.ok else None

    def scaled(self, number: int, units: Mapping[str, int]) -> int:
        """A number times the unit that is next."""
        index = self.index
        self.index += 1
        number *= units[self.texts[index]]
        if number > MAX_NUMBER:
            raise self.problem("the value does not fit 64 bits (the largest is 0xffffffffffffffff)", index - 1)
        return number

    def known_constant(self) -> Value | None:
        """The Value that the next name stands for; None when it is no name of a constant."""
        return self.scope.values.get(self.texts[self.index]) if self.kinds[self.index] == "name" else None

    def lost(self, name: str) -> bool:
        """Whether what was not understood may declare a name. What is made of that name is not understood either."""
        if name not in self.module.damage.names and name not in self.scope.lost and not self.scope.incomplete:
            return False
        self.module.damage.add(self.source, self.offsets[self.entries[-1]], self.offsets[self.index] + 1)
        return True

    def constant_number(self, what: str, kinds: Container[str]) -> Any:
        """The number behind the name of a constant, which is next; None when none is. kinds: that it may have."""
        if self.kinds[self.index] != "name":
            return None
        known = self.known_constant()
        if known is None:
            if _IDENTIFIER.fullmatch(self.texts[self.index]) and (self.scope.syntax_only or self.lost(self.texts[self.index])):
                self.index += 1
                return 1  # any value will do for the syntax
            raise self.problem(f"expected {what}, found {self.found()}{self.scope.near(self.texts[self.index])}")
        if known.kind not in kinds:
            raise self.problem(f"expected {what}, and '{self.texts[self.index]}' is {known}")
        self.index += 1
        return known.value

    def number(self, what: str = "a number") -> int:
        """A number, or the name of a constant that is one."""
        value = self.constant_number(what, ("number", "size"))
        return super().number(what) if value is None else value

    def size(self, what: str) -> int:
        """n, nk, nM or nG: bytes; or the name of a constant"""
        value = self.constant_number(what, ("number", "size"))
        if value is not None:
            return value
        value = super().number(what)
        return self.scaled(value, SIZE_UNITS) if self.at_word(*SIZE_UNITS) else value

    def memory_range(self) -> None:
        """SIZE at ADDRESS"""
        place = self.place()
        size = self.size("the size of memory, for example 128M")
        self.expect_word("at")
        self.module.memory.append(syntax.MemoryRange(self.number("the address at which memory begins"), size, place))
        self.accept(";")

    # interface --------------------------------------------------------------------------------------------------------------------------

    def interface(self) -> None:
        """interface NAME @VERSION { structs and methods }"""
        place = self.place()
        self.structs = {}
        name, version = self.versioned_name("the interface's name")
        interface = syntax.Interface(name, [], place, version or 1)
        self.block(lambda: self.interface_entry(interface), "the methods")
        self.module.interfaces.append(interface)

    def versioned_name(self, what: str) -> tuple[str, int | None]:
        """NAME, NAME @n or NAME@n (which is one token): (name, version or None)"""
        index = self.index
        name, at, digits = self.name(what).partition("@")
        if not _IDENTIFIER.fullmatch(name) or at and not digits.isdecimal():
            raise self.problem(f"'{self.texts[index]}' cannot be {what} (use ASCII letters, digits and _; a version stands behind @)", index)
        if len(name) > MAX_NAME_LENGTH:
            raise self.problem(f"the name '{name}' is longer than {MAX_NAME_LENGTH} bytes (shorten it)", index)
        if not at and not self.accept("@"):
            return name, None
        version = int(digits[:20]) if at else self.number("the interface's version")
        if not 1 <= version <= MAX_VERSION:
            raise self.problem(f"version {version} is out of range (1 to {MAX_VERSION})", self.index - 1)
        return name, version

    def interface_entry(self, interface: syntax.Interface) -> None:
        """A struct or a method."""
        if self.at_word("struct") and self.kinds[self.index + 1] == "name":
            self.index += 1
            struct = self.struct()
            self.structs.setdefault(struct.name, struct)
            interface.structs.append(struct)
        else:
            interface.methods.append(self.method())

    def struct(self) -> syntax.Struct:
        """NAME { type name; ... }; the word is taken."""
        place = self.place()
        name = self.short_name("the struct's name", _IDENTIFIER)
        if name in (*syntax.SCALAR_TYPES, "bytes", "cap"):
            raise self.problem(f"'{name}' is a type of the language (choose another name)", self.index - 1)
        fields: list[syntax.Field] = []
        errors = self.error_count
        self.block(lambda: fields.append(self.field()), "the fields of a struct")
        if not fields and errors == self.error_count:
            raise self.problem(f"the struct '{name}' has no fields", self.index - 1)
        self.accept(";")
        return syntax.Struct(name, tuple(fields), place)

    def field(self) -> syntax.Field:
        """type name"""
        place, index = self.place(), self.index
        kind = self.type()
        if kind.is_bytes or kind.is_cap:
            raise self.problem(f"a struct cannot hold {kind} (make it a parameter; u8[N] is an array)", index)
        name = self.short_name("the field's name", _IDENTIFIER)
        if self.kinds[self.index] == "[":
            raise self.problem(f"the number of elements stands behind the type ({kind}[n] {name})")
        if not self.accept(";"):
            self.accept(",")
        return syntax.Field(kind, name, place)

    def method(self) -> syntax.Method:
        """name(direction type name, ...) -> type idempotent wcet 10us"""
        place = self.place()
        name = self.short_name("a method's name", _IDENTIFIER)
        if self.kinds[self.index] != "(":
            raise self.problem(f"expected '(' after the method's name, found {self.found()}")
        parameters = self.parameters(self.method_parameter)
        returns = None
        if self.accept("->"):
            index = self.index
            returns = self.type()
            if not returns.is_scalar:
                raise self.problem(f"a method returns a number or bool (use an 'out' parameter for {returns})", index)
        method = syntax.Method(name, parameters, returns, place)
        self.promises(method)
        self.accept(";")
        return method

    def promises(self, method: syntax.Method) -> None:
        """idempotent and wcet, each once. A word before '(' is the next method's name."""
        while self.at_word("idempotent", "wcet") and self.kinds[self.index + 1] != "(":
            if not method.idempotent and self.accept_word("idempotent"):
                method.idempotent = True
            elif method.wcet is None and self.accept_word("wcet"):
                method.wcet = self.duration()
            else:
                raise self.problem(f"'{self.texts[self.index]}' is said twice (remove one)")

    def method_parameter(self) -> syntax.MethodParameter:
        """direction type name"""
        place = self.place()
        if not self.at_word(*syntax.DIRECTIONS):
            raise self.problem(f"expected in, out or inout, found {self.found()}")
        direction = self.name()
        kind = self.type()
        if kind.is_cap and direction == "inout":
            raise self.problem("a capability travels one way (use an 'in' and an 'out' parameter)", self.index - 1)
        return syntax.MethodParameter(direction, kind, self.short_name("the parameter's name", _IDENTIFIER), place)

    def type(self) -> syntax.Type:
        """u8 ... u64, i8 ... i64, bool, a struct, an array of these, bytes[N] or cap"""
        index = self.index
        name = self.name("a type")
        if name == "cap":
            return syntax.Type(name, kinds=tuple(self.parameters(self.kind)) if self.kinds[self.index] == "(" else ())
        if name == "bytes":
            self.expect("[", "before the number of bytes")
            return syntax.Type(name, self.length(name))
        if name not in syntax.SCALAR_TYPES and name not in self.structs and not self.lost(name):
            known = " ".join((*syntax.SCALAR_TYPES, *self.structs, "bytes[N]", "cap"))
            raise self.problem(f"unknown type '{name}' (known: {known}; a struct stands before its use)", index)
        count = self.length(name) if self.accept("[") else None
        return syntax.Type(name, count=count, struct=self.structs.get(name))

    def length(self, name: str) -> int:
        """n] after a type: bytes of bytes, elements of an array."""
        index = self.index
        count = self.number("the number of bytes" if name == "bytes" else "the number of elements")
        if not 1 <= count <= MAX_MESSAGE_BYTES:
            raise self.problem(f"{name}[{count}] is out of range (1 to {MAX_MESSAGE_BYTES})", index)
        self.expect("]", "after the number of bytes" if name == "bytes" else "after the number of elements")
        return count

    # components -------------------------------------------------------------------------------------------------------------------------

    def component(self) -> None:
        """NAME = component { items }"""
        place = self.place()
        component = syntax.Component(self.short_name("a component's name"), place)
        self.expect("=", "after the component's name")
        self.expect_word("component")
        self.block(lambda: self.item(component), "the items of a component")
        self.accept(";")
        self.module.components.append(component)

    def item(self, component: syntax.Component) -> None:
        """One item of a component."""
        place, index = self.place(), self.index
        word = self.name("an item of a component")
        if word in PORT_KINDS:
            component.ports.append(self.port(word))
        elif word == "device":
            name = self.port_name()
            component.devices.append(syntax.DeviceItem(name, self.node(), place))
        elif word == "irq":
            name = self.port_name()
            component.irqs.append(syntax.IrqItem(name, self.node(), self.number("the index of the interrupt in the node"), place))
        elif word == "access":
            component.accesses.append(self.access())
        elif word == "grant":
            component.grants.append(self.grant())
        elif word == "args":
            self.block(lambda: component.arguments.append(self.argument()), "the arguments")
        elif word in ITEMS:
            component.settings.append(syntax.Setting(word, self.setting(word), place))
        else:
            raise self.problem(f"unknown item '{word}' of a component (known: {' '.join(ITEMS)})", index)
        self.accept(";")

    def port(self, kind: str) -> syntax.Port:
        """uses NAME: INTERFACE and kin; the word is taken."""
        place = self.place()
        name = self.short_name(f"the name of what it {kind}" if kind != "region" else "the region's name")
        interface = version = None
        if kind in ("uses", "provides"):
            self.expect(":", f"and an interface after '{kind} {name}'")
            interface, version = self.versioned_name("an interface")
        return syntax.Port(kind, name, interface, place, version)

    def port_name(self) -> str:
        """NAME:"""
        name = self.short_name("a name")
        self.expect(":", "and a device-tree node")
        return name

    def node(self) -> str:
        """A node of the device tree: "/path" or an alias."""
        if self.kinds[self.index] == "string":
            return self.string()
        return self.name("a device-tree path in double quotes, or an alias such as stdout")

    def access(self) -> syntax.Access:
        """physical_timer or pmu"""
        place, index = self.place(), self.index
        name = self.name("what the component may use")
        if name not in ACCESS_PARAMETERS:
            raise self.problem(f"unknown access '{name}' (known: {' '.join(ACCESS_PARAMETERS)})", index)
        return syntax.Access(name, place)

    def grant(self) -> syntax.Grant:
        """NAME: OBJECT (parameters of a capability)"""
        place = self.place()
        name = self.short_name("the name of the grant")
        self.expect(":", f"and an object after 'grant {name}'")
        target = self.reference("an object, or a capability of the kernel's such as irq_control")
        parameters = self.parameters(self.cap_parameter) if self.kinds[self.index] == "(" else []
        return syntax.Grant(name, target, parameters, place)

    def argument(self) -> syntax.Argument:
        """name: value"""
        place = self.place()
        name = self.short_name("an argument's name")
        self.expect(":", "and a value after the argument's name")
        index = self.index
        value = self.value().value
        if isinstance(value, str):
            if len(value.encode()) > 63:
                raise self.problem("the text is longer than 63 bytes (shorten it)", index)
        if not self.accept(","):
            self.accept(";")
        return syntax.Argument(name, value, place)

    def setting(self, word: str) -> object:
        """The value of a setting; its word is taken."""
        if word == "elf":
            return self.string("the name of an ELF file in double quotes")
        if word == "passive":
            return True
        if word == "budget":
            return self.budget()
        if word in ("stack", "heap"):
            return self.size("a size in bytes (16k, 2M)")
        if word == "faults":
            self.expect_word("to")
            return self.name("the component that handles the faults")
        if word == "restart":
            return self.restart_rule()
        return self.number()

    def restart_rule(self) -> syntax.RestartRule:
        """on CAUSE or CAUSE (max N per DURATION, backoff DURATION, heartbeat DURATION)"""
        self.expect_word("on")
        causes = [self.one_of(RESTART_CAUSES)]
        while self.accept_word("or"):
            causes.append(self.one_of(RESTART_CAUSES))
        if len(set(causes)) < len(causes):
            raise self.problem(f"'{causes[-1]}' is said twice (remove one)", self.index - 1)
        limits: dict[str, int] = {}
        if self.kinds[self.index] == "(":
            self.parameters(lambda: limits.update(self.restart_limit(limits)))
        return syntax.RestartRule("fault" in causes, "hang" in causes, **limits)

    def restart_limit(self, given: Container[str]) -> dict[str, int]:
        """max N per DURATION, backoff DURATION or heartbeat DURATION: fields of a RestartRule"""
        index = self.index
        word = self.one_of(RESTART_LIMITS)
        if ("most" if word == "max" else word) in given:
            raise self.problem(f"'{word}' is given twice (remove one)", index)
        if word != "max":
            return {word: self.duration()}
        most = self.number("how many restarts")
        self.expect_word("per")
        return {"most": most, "window": self.duration()}

    def one_of(self, words: tuple[str, ...]) -> str:
        """One of the words."""
        index = self.index
        word = self.name(" or ".join(words))
        if word not in words:
            raise self.problem(f"expected {' or '.join(words)}, found '{word}'", index)
        return word

    def budget(self) -> tuple[int, int]:
        """DURATION/DURATION: (budget, period) in microseconds"""
        budget = self.duration()
        self.expect("/", "and the period after the budget")
        return budget, self.duration()

    def duration(self) -> int:
        """n us, n ms or n s: microseconds"""
        value = self.constant_number("a duration (1ms)", ("duration",))
        if value is not None:
            return value
        value = super().number("a duration (1ms)")
        if not self.at_word(*DURATION_UNITS):
            raise self.problem(f"expected a unit of time (us, ms or s), found {self.found()}")
        return self.scaled(value, DURATION_UNITS)

    # connect ----------------------------------------------------------------------------------------------------------------------------

    def connection(self) -> None:
        """call, notify or shared SOURCE -> TARGET (parameters)"""
        place, index = self.place(), self.index
        kind = self.name("call, notify or shared")
        if kind not in ("call", "notify", "shared"):
            raise self.problem(f"unknown connection '{kind}' (known: call, notify, shared)", index)
        source = self.end()
        self.expect("->", "and the other end")
        target = self.end()
        parameters = []
        if self.kinds[self.index] == "(":
            parameters = self.parameters({"call": self.call_parameter, "notify": self.notify_parameter,
                                          "shared": self.shared_parameter}[kind])
        self.accept(";")
        self.module.connections.append(syntax.Connection(kind, source, target, parameters, place))

    def end(self) -> syntax.End:
        """component.port; the dot belongs to names in this language, so it is one token."""
        place, index = self.place(), self.index
        text = self.name("component.port")
        component, dot, port = text.partition(".")
        if not dot or not component or not port:
            raise self.problem(f"expected component.port, found '{text}'", index)
        return syntax.End(component, port, place)

    def call_parameter(self) -> syntax.Parameter:
        """badge: n"""
        place = self.place()
        self.expect_word("badge")
        self.expect(":", "after 'badge'")
        return syntax.Parameter("badge", self.number(), place)

    def notify_parameter(self) -> syntax.Parameter:
        """None exists."""
        raise self.problem("a notify connection has no parameters (remove the parentheses)")

    def shared_parameter(self) -> syntax.Parameter:
        """A size, or from: RIGHTS, or to: RIGHTS"""
        place = self.place()
        if self.kinds[self.index + 1] != ":":
            return syntax.Parameter("size", self.size("a size, from: or to:"), place)
        index = self.index
        name = self.name("a size, from or to")
        if name not in ("from", "to"):
            raise self.problem(f"unknown parameter '{name}' (known: a size such as 4k, from: RIGHTS, to: RIGHTS)", index)
        self.expect(":", f"after '{name}'")
        rights_index = self.index
        rights = self.rights()
        if not set(rights) <= {"R", "W"} or "R" not in rights:
            raise self.problem(f"expected R or RW, found '{rights}'", rights_index)
        return syntax.Parameter(name, "RW" if "W" in rights else "R", place)
