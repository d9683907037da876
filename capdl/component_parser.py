# SPDX-License-Identifier: BSD-2-Clause
"""The component level of the description language: interfaces, components and connections, in files that begin with `caprock 1`."""

import re

from . import syntax
from .model import ACCESS_PARAMETERS
from .parser import SIZE_UNITS, Parser

LANGUAGE_VERSION = 1
MAX_NAME_LENGTH = 31
MAX_MESSAGE_BYTES = 960
DURATION_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}
PORT_KINDS = ("uses", "provides", "emits", "consumes", "region")
# Names that end up in C++ and in fixed fields; a dot separates component and port.
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SHORT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
ITEMS = ("elf", "prio", "max_prio", "core", "domain", "budget", "passive", "stack", "heap", "args", *PORT_KINDS, "device", "irq", "access",
         "faults")


class ComponentParser(Parser):
    """Parser of the whole language."""

    number_parameters = Parser.number_parameters | {"first_receive"}
    boolean_parameters = Parser.boolean_parameters | set(ACCESS_PARAMETERS)
    section_words = "include, interface, components, connect, objects, caps, irq maps, cdt or domains"

    def header(self):
        """caprock 1, and the architecture if the file gives it"""
        self.index += 1
        index = self.index
        version = self.number("the version of the language") if self.kinds[index] == "number" else None
        if version != LANGUAGE_VERSION:
            self.report(self.problem(f"expected 'caprock {LANGUAGE_VERSION}'; this tool knows no other version of the language", index))
        self.module.language = LANGUAGE_VERSION

    def section(self):
        """One section of either level; False when none begins here."""
        if self.at_word("arch"):
            self.arch()
        elif self.accept_word("include"):
            place = self.place()
            self.module.includes.append(syntax.Include(self.string("the path of a file in double quotes"), place))
        elif self.accept_word("interface"):
            self.interface()
        elif self.accept_word("components"):
            self.block(self.component, "the components")
        elif self.accept_word("connect"):
            self.block(self.connection, "the connections")
        else:
            return super().section()
        return True

    def begins_section(self):
        """True when the next name begins a section."""
        return self.texts[self.index] in ("include", "interface", "components", "connect") or super().begins_section()

    def short_name(self, what, pattern=_SHORT_NAME):
        """A name that fits the fixed field it travels in."""
        index = self.index
        name = self.name(what)
        if not pattern.fullmatch(name):
            raise self.problem(f"'{name}' cannot be {what} (use ASCII letters, digits and _)", index)
        if len(name.encode()) > MAX_NAME_LENGTH:
            raise self.problem(f"the name '{name}' is longer than {MAX_NAME_LENGTH} bytes (shorten it)", index)
        return name

    def size(self, what):
        """n, nk, nM or nG: bytes"""
        value = self.number(what)
        if self.at_word(*SIZE_UNITS):
            self.index += 1
            value *= SIZE_UNITS[self.texts[self.index - 1]]
        return value

    # interface --------------------------------------------------------------------------------------------------------------------------

    def interface(self):
        """interface NAME { methods }"""
        place = self.place()
        interface = syntax.Interface(self.short_name("the interface's name", _IDENTIFIER), [], place)
        self.block(lambda: interface.methods.append(self.method()), "the methods")
        self.module.interfaces.append(interface)

    def method(self):
        """name(direction type name, ...) -> type"""
        place = self.place()
        name = self.short_name("a method's name", _IDENTIFIER)
        if self.kinds[self.index] != "(":
            raise self.problem(f"expected '(' after the method's name, found {self.found()}")
        parameters = self.parameters(self.method_parameter)
        returns = None
        if self.accept("->"):
            index = self.index
            returns = self.type()
            if returns.is_bytes:
                raise self.problem("a method returns a number or bool (use an 'out' parameter for bytes)", index)
        self.accept(";")
        return syntax.Method(name, parameters, returns, place)

    def method_parameter(self):
        """direction type name"""
        place = self.place()
        if not self.at_word(*syntax.DIRECTIONS):
            raise self.problem(f"expected in, out or inout, found {self.found()}")
        direction = self.name()
        kind = self.type()
        if kind.is_bytes and direction == "inout":
            raise self.problem("bytes travel one way (use an 'in' and an 'out' parameter)", self.index - 1)
        return syntax.MethodParameter(direction, kind, self.short_name("the parameter's name", _IDENTIFIER), place)

    def type(self):
        """u8 ... u64, i8 ... i64, bool or bytes[N]"""
        index = self.index
        name = self.name("a type")
        if name in syntax.SCALAR_TYPES:
            return syntax.Type(name)
        if name != "bytes":
            raise self.problem(f"unknown type '{name}' (known: {' '.join(syntax.SCALAR_TYPES)} bytes[N])", index)
        self.expect("[", "before the number of bytes")
        number_index = self.index
        size = self.number("the number of bytes")
        if not 1 <= size <= MAX_MESSAGE_BYTES:
            raise self.problem(f"bytes[{size}] is out of range (1 to {MAX_MESSAGE_BYTES})", number_index)
        self.expect("]", "after the number of bytes")
        return syntax.Type("bytes", size)

    # components -------------------------------------------------------------------------------------------------------------------------

    def component(self):
        """NAME = component { items }"""
        place = self.place()
        component = syntax.Component(self.short_name("a component's name"), place)
        self.expect("=", "after the component's name")
        self.expect_word("component")
        self.block(lambda: self.item(component), "the items of a component")
        self.accept(";")
        self.module.components.append(component)

    def item(self, component):
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
        elif word == "args":
            self.block(lambda: component.arguments.append(self.argument()), "the arguments")
        elif word in ITEMS:
            component.settings.append(syntax.Setting(word, self.setting(word), place))
        else:
            raise self.problem(f"unknown item '{word}' of a component (known: {' '.join(ITEMS)})", index)
        self.accept(";")

    def port(self, kind):
        """uses NAME: INTERFACE and kin; the word is taken."""
        place = self.place()
        name = self.short_name(f"the name of what it {kind}" if kind != "region" else "the region's name")
        interface = None
        if kind in ("uses", "provides"):
            self.expect(":", f"and an interface after '{kind} {name}'")
            interface = self.name("an interface")
        return syntax.Port(kind, name, interface, place)

    def port_name(self):
        """NAME:"""
        name = self.short_name("a name")
        self.expect(":", "and a device-tree node")
        return name

    def node(self):
        """A node of the device tree: "/path" or an alias."""
        if self.kinds[self.index] == "string":
            return self.string()
        return self.name("a device-tree path in double quotes, or an alias such as stdout")

    def access(self):
        """physical_timer or pmu"""
        place, index = self.place(), self.index
        name = self.name("what the component may use")
        if name not in ACCESS_PARAMETERS:
            raise self.problem(f"unknown access '{name}' (known: {' '.join(ACCESS_PARAMETERS)})", index)
        return syntax.Access(name, place)

    def argument(self):
        """name: value"""
        place = self.place()
        name = self.short_name("an argument's name")
        self.expect(":", "and a value after the argument's name")
        if self.kinds[self.index] == "number":
            value = self.number()
        else:
            index = self.index
            value = self.string("a number, or a text in double quotes")
            if len(value.encode()) > 63:
                raise self.problem("the text is longer than 63 bytes (shorten it)", index)
        if not self.accept(","):
            self.accept(";")
        return syntax.Argument(name, value, place)

    def setting(self, word):
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
        return self.number()

    def budget(self):
        """DURATION/DURATION: (budget, period) in microseconds"""
        budget = self.duration()
        self.expect("/", "and the period after the budget")
        return budget, self.duration()

    def duration(self):
        """n us, n ms or n s: microseconds"""
        value = self.number("a duration (1ms)")
        if not self.at_word(*DURATION_UNITS):
            raise self.problem(f"expected a unit of time (us, ms or s), found {self.found()}")
        self.index += 1
        return value * DURATION_UNITS[self.texts[self.index - 1]]

    # connect ----------------------------------------------------------------------------------------------------------------------------

    def connection(self):
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

    def end(self):
        """component.port; the dot belongs to names in this language, so it is one token."""
        place, index = self.place(), self.index
        text = self.name("component.port")
        component, dot, port = text.partition(".")
        if not dot or not component or not port:
            raise self.problem(f"expected component.port, found '{text}'", index)
        return syntax.End(component, port, place)

    def call_parameter(self):
        """badge: n"""
        place = self.place()
        self.expect_word("badge")
        self.expect(":", "after 'badge'")
        return syntax.Parameter("badge", self.number(), place)

    def notify_parameter(self):
        """None exists."""
        raise self.problem("a notify connection has no parameters (remove the parentheses)")

    def shared_parameter(self):
        """A size, or from: RIGHTS, or to: RIGHTS"""
        place = self.place()
        if self.kinds[self.index] == "number":
            return syntax.Parameter("size", self.size("a size in bytes"), place)
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
